//! The check of everything: packs against themselves, packs against index, index against packs.

use std::{collections::BTreeSet, ops::Range, sync::atomic::Ordering};

use mithaq_core::id::{ContentId, ReleaseId};

use super::{
    Shared,
    aside::{Aside, Piece},
    upheld::Told,
};
use crate::{
    contract::{LACKING_MAX, Report, StoreError},
    index::Row,
    pack::{
        frame::Entry,
        group::{Group, GroupKind},
        marks::{MARKS, Note, Reader},
        record::{ReleaseRecord, Tombstone},
        scan::{FoundFrame, Scanned, Scanner},
        segments::{Position, file_name, io_error},
    },
};

/// How many problems are listed: a report is for people.
const PROBLEMS_MAX: usize = 1000;

/// How many rows are compared at a time.
const ROWS_AT_ONCE: usize = 512;

/// What a check found, for a repair.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) report: Report,
    /// Damage in the packs that was not set aside.
    pub(super) pieces: Vec<Piece>,
    /// Damage that was set aside.
    pub(super) known: Vec<Piece>,
    /// What else may have been in it.
    pub(super) lost: LostKinds,
    /// Releases that cannot be read.
    pub(super) damaged: Vec<ReleaseId>,
    /// Whether the index says something else than the packs, which are right.
    pub(super) contradicts: bool,
    /// Whether what was purged is not noted beside the packs as it should be.
    pub(super) notes_lack: bool,
}

/// What kinds of records damaged bytes held or may have held, besides bodies and releases.
#[derive(Debug, Default)]
pub(super) struct LostKinds {
    pub(super) state: bool,
    pub(super) purges: bool,
}

struct Check<'a> {
    shared: &'a Shared,
    aside: Aside,
    found: Found,
    /// Rows that lie in damage that was set aside.
    rows_aside: Vec<Range<u64>>,
    /// The last row whose place is known, and whether damage that was set aside follows it.
    last_row: u64,
    is_aside_behind: bool,
    purged: BTreeSet<ReleaseId>,
    notes: Reader,
    /// What is noted of the frame that is looked at, and how many tombstones were not noted so far.
    noted: Vec<Note>,
    unnoted: u64,
    state: Told,
}

impl Shared {
    pub(super) fn verify(&self) -> Result<Found, StoreError> {
        // What was read before the disk went bad says nothing of the disk.
        self.cache.forget_all();
        self.recent.forget_all();
        let head = self.index.counters().head;
        let aside = Aside::of(&self.dir);
        let mut check = Check {
            shared: self,
            aside,
            found: Found::default(),
            rows_aside: Vec::new(),
            last_row: 0,
            is_aside_behind: false,
            purged: BTreeSet::new(),
            notes: self.marks.reader(),
            noted: Vec::new(),
            unnoted: 0,
            state: Told::nothing(),
        };
        check.packs()?;
        check.opening();
        check.note_gap(head + 1);
        check.rows(head)?;
        check.found.report.lacking.purged = check.purged;
        Ok(check.found)
    }
}

impl Check<'_> {
    fn problem(&mut self, what: String) {
        let problems = &mut self.found.report.problems;
        if problems.len() < PROBLEMS_MAX && !problems.contains(&what) {
            problems.push(what);
        }
    }

    /// Names what was wrong when the store was opened, unless it was about damage that has been set aside.
    fn opening(&mut self) {
        if self.shared.is_mended.load(Ordering::Acquire) {
            return;
        }
        let (headers, others) = self.shared.problems.split_at(self.shared.header_problems);
        let is_aside = self.found.pieces.is_empty() && !self.found.report.set_aside.is_empty();
        let others = if is_aside { &[] } else { others };
        headers.iter().chain(others).for_each(|problem| self.problem(problem.clone()));
    }

    /// Names damage in the packs; says whether it was set aside before.
    fn damage(&mut self, piece: Piece, what: &str) -> Result<bool, StoreError> {
        let text = format!("{} at {}: {what}", file_name(piece.at.segment), piece.at.offset);
        let is_aside = self.aside.has(piece, &self.shared.segments).map_err(io_error(&self.shared.packs))?;
        if !is_aside {
            self.found.pieces.push(piece);
            self.problem(text);
            return Ok(false);
        }
        self.found.known.push(piece);
        if self.found.report.set_aside.len() < PROBLEMS_MAX {
            self.found.report.set_aside.push(text);
        }
        Ok(is_aside)
    }

    /// Reads every frame, and asks the index for every body and release found.
    fn packs(&mut self) -> Result<(), StoreError> {
        let mut scanner = Scanner::new(&self.shared.segments, self.shared.segments.start());
        let reached = self.shared.index.reached().next;
        // Not before: what is purged is noted before the index takes it in.
        self.notes = self.shared.marks.reader();
        while let Some(scanned) = scanner.next().map_err(io_error(&self.shared.packs))? {
            match scanned {
                Scanned::Damage { at, .. } if at >= reached => break,
                Scanned::Damage { at, bytes } => {
                    self.state.damaged();
                    let is_aside = self.damage(Piece { at, bytes }, &format!("{bytes} bytes are no frame"))?;
                    self.is_aside_behind |= is_aside;
                    self.found.lost.state |= !is_aside;
                    self.found.lost.purges |= !is_aside;
                }
                Scanned::Frame(frame) if frame.at >= reached => break,
                Scanned::Frame(frame) => self.frame(&frame)?,
            }
        }
        self.notes();
        self.state(reached)
    }

    fn state(&mut self, reached: Position) -> Result<(), StoreError> {
        let told = std::mem::replace(&mut self.state, Told::nothing());
        let otherwise = told.beside(self.shared, reached)?;
        for key in otherwise.keys {
            self.contradiction(format!("state {}: the packs hold something else", key.escape_ascii()));
        }
        if otherwise.missing > 0 {
            self.contradiction(format!("the index lacks {} rows of state", otherwise.missing));
        }
        Ok(())
    }

    /// Takes in what is noted of frames behind the last that was found, and names what is wrong with the notes.
    fn notes(&mut self) {
        while let Some(note) = self.notes.next_within(0, u64::MAX) {
            self.tombstone(&note.tombstone);
        }
        let (damaged, unnoted) = (self.notes.damaged(), self.unnoted);
        if damaged + unnoted > 0 {
            self.found.notes_lack = true;
            self.problem(format!("{MARKS} lacks {unnoted} of what was purged, and {damaged} of its notes are damaged"));
        }
    }

    /// Takes in what is noted of lost frames before a frame, and of the frame itself.
    fn note_frame(&mut self, frame: u64) {
        self.noted.clear();
        while let Some(note) = self.notes.next_within(0, frame) {
            self.tombstone(&note.tombstone);
            if note.frame == frame {
                self.noted.push(note);
            }
        }
    }

    fn frame(&mut self, frame: &FoundFrame) -> Result<(), StoreError> {
        self.note_frame(frame.header.number);
        for (entry, offset) in &frame.entries {
            let at = frame.group_at(*offset);
            let end = entry.first + u64::from(entry.count);
            if entry.kind == GroupKind::Releases {
                self.note_gap(entry.first);
                self.last_row = end - 1;
            }
            match self.shared.read_group(entry, at)? {
                Some(group) => self.group(entry, at, &group)?,
                None => self.damaged_group(entry, at, entry.first..end)?,
            }
        }
        Ok(())
    }

    /// The rows before `next` whose place is unknown lie in the damage before it.
    fn note_gap(&mut self, next: u64) {
        if std::mem::take(&mut self.is_aside_behind) {
            self.rows_aside.push(self.last_row + 1..next);
        }
    }

    fn damaged_group(&mut self, entry: &Entry, at: Position, numbers: Range<u64>) -> Result<(), StoreError> {
        let piece = Piece { at, bytes: u64::from(entry.packed_bytes) };
        let is_aside = self.damage(piece, &format!("a group of {:?} is damaged", entry.kind))?;
        match entry.kind {
            GroupKind::Releases if is_aside => self.rows_aside.push(numbers),
            // From now on the store says that it does not have them, so that they can come again.
            GroupKind::Bodies | GroupKind::Staged => numbers.for_each(|number| self.shared.index.set_damaged(number)),
            GroupKind::State => {
                self.found.lost.state |= !is_aside;
                self.state.damaged();
            }
            GroupKind::Purges => self.found.lost.purges |= !is_aside,
            GroupKind::Releases => {}
        }
        Ok(())
    }

    fn group(&mut self, entry: &Entry, at: Position, group: &Group) -> Result<(), StoreError> {
        match entry.kind {
            GroupKind::Bodies | GroupKind::Staged => self.bodies(entry, at, group),
            GroupKind::Releases => self.releases(entry, at, group),
            GroupKind::Purges => {
                self.tombstones(entry, group);
                Ok(())
            }
            GroupKind::State => {
                self.state.take(group);
                Ok(())
            }
        }
    }

    fn bodies(&mut self, entry: &Entry, at: Position, group: &Group) -> Result<(), StoreError> {
        let bodies = (entry.first..).zip(group.records());
        let held = bodies.filter(|(ordinal, body)| !body.is_empty() && !self.shared.index.is_gone(*ordinal));
        let (ordinals, contents): (Vec<_>, Vec<_>) = held.map(|(n, body)| (n, ContentId::of(body))).unzip();
        self.found.report.objects += contents.len() as u64;
        let found = self.shared.index.find_bodies(&contents)?;
        for ((ordinal, content), found) in ordinals.into_iter().zip(&contents).zip(found) {
            // It may have been purged meanwhile.
            let is_out = |ordinal| self.shared.index.is_damaged(ordinal) || self.shared.index.is_gone(ordinal);
            if found.is_none() && !is_out(ordinal) {
                self.contradiction(format!("{}: the index does not know body {content}", place(at, ordinal)));
            }
        }
        Ok(())
    }

    fn releases(&mut self, entry: &Entry, at: Position, group: &Group) -> Result<(), StoreError> {
        let rows = (entry.first..).zip(group.records());
        for (seq, record) in rows.filter(|(seq, _)| !self.shared.index.is_gone_row(*seq)) {
            let Some(record) = ReleaseRecord::decode(record) else {
                self.problem(format!("{}: the release cannot be read", place(at, seq)));
                continue;
            };
            let id = record.signed.id();
            // It came again after it was purged.
            self.purged.remove(&id);
            let is_known = self.shared.index.rows_of_release(id)?.contains(&seq);
            if !is_known && !self.shared.index.is_gone_row(seq) {
                self.contradiction(format!("{}: the index does not know release {id}", place(at, seq)));
            }
        }
        Ok(())
    }

    fn tombstones(&mut self, entry: &Entry, group: &Group) {
        for (ordinal, tombstone) in (entry.first..).zip(group.records().map(Tombstone::decode)) {
            let Some(tombstone) = tombstone else { continue };
            self.tombstone(&tombstone);
            let is_noted = |note: &Note| note.ordinal == ordinal && note.tombstone == tombstone;
            self.unnoted += u64::from(!self.noted.iter().any(is_noted));
        }
    }

    fn tombstone(&mut self, tombstone: &Tombstone) {
        match tombstone {
            Tombstone::Release(id) if self.purged.len() < LACKING_MAX => drop(self.purged.insert(*id)),
            // It was taken out to come again.
            Tombstone::Damaged(id) => drop(self.purged.remove(id)),
            _ => {}
        }
    }

    /// Reads every row of the log with its release, and every body that it names.
    fn rows(&mut self, head: u64) -> Result<(), StoreError> {
        let mut after = 0;
        while after < head {
            let rows = self.shared.index.rows(after, ROWS_AT_ONCE)?;
            let Some((last, _)) = rows.last() else { break };
            after = *last;
            for (seq, row) in rows {
                match row.is_hole() {
                    true => self.hole(seq, &row),
                    false => self.row(seq, &row)?,
                }
            }
        }
        Ok(())
    }

    fn hole(&mut self, seq: u64, row: &Row) {
        if row.is_lost() && !self.is_aside(seq) {
            self.found.report.lacking.rows += 1;
            self.problem(format!("row {seq} of the log is lost"));
        }
    }

    fn row(&mut self, seq: u64, row: &Row) -> Result<(), StoreError> {
        let id = ReleaseId::from_bytes(row.release);
        match self.shared.release_at(seq) {
            Ok(Some(release)) if release.id() == id => self.contents(seq, id, &release.contents),
            Ok(Some(_)) => {
                // The packs are right. The row stays theirs, and what the index has made of it comes again beside it.
                self.shared.index.set_damaged_row(seq);
                self.lacks(id);
                self.contradiction(format!("row {seq} of the log: the packs hold another release"));
                Ok(())
            }
            Ok(None) => self.lost_row(seq, id, &format!("release {id}, row {seq} of the log,")),
            Err(StoreError::Corrupt { what }) => self.lost_row(seq, id, &what),
            Err(error) => Err(error),
        }
    }

    /// A row whose release cannot be read. It may have come again and have another row.
    fn lost_row(&mut self, seq: u64, id: ReleaseId, what: &str) -> Result<(), StoreError> {
        self.shared.index.set_damaged_row(seq);
        let came_again = self.shared.index.find_sound_release(id)?.is_some();
        if !came_again || !self.is_aside(seq) {
            self.lacks(id);
            self.found.damaged.push(id);
            self.problem(format!("{what} is damaged"));
        }
        Ok(())
    }

    /// Names what the index says otherwise than the packs.
    fn contradiction(&mut self, what: String) {
        self.found.contradicts = true;
        self.problem(what);
    }

    fn is_aside(&self, seq: u64) -> bool {
        self.rows_aside.iter().any(|rows| rows.contains(&seq))
    }

    fn lacks(&mut self, release: ReleaseId) {
        let releases = &mut self.found.report.lacking.releases;
        if releases.len() < LACKING_MAX {
            releases.insert(release);
        }
    }

    /// A body that a release names is found by everything that leads to it.
    fn hidden(&mut self, seq: u64, contents: &[ContentId]) -> Result<(), StoreError> {
        let ordinals = self.shared.index.find_bodies(contents)?;
        let staged = self.shared.index.are_staged(&ordinals);
        for (content, _) in contents.iter().zip(staged).filter(|(_, is_staged)| *is_staged) {
            self.contradiction(format!("row {seq} of the log names {content}, which the index takes to be staged"));
        }
        Ok(())
    }

    fn contents(&mut self, seq: u64, release: ReleaseId, contents: &[ContentId]) -> Result<(), StoreError> {
        // A damaged body is named and then counted as missing, so that the next round finds the next one.
        for _ in 0..=contents.len() {
            match self.shared.bodies(contents) {
                Ok(bodies) => {
                    self.hidden(seq, contents)?;
                    for (content, _) in contents.iter().zip(bodies).filter(|(_, body)| body.is_none()) {
                        if !self.shared.index.is_purged(content)? {
                            self.lacks(release);
                            self.found.report.lacking.bodies += 1;
                            self.problem(format!("row {seq} of the log names {content}, which is missing"));
                        }
                    }
                    break;
                }
                Err(StoreError::Corrupt { what }) => self.problem(format!("{what} is damaged")),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn place(at: Position, number: u64) -> String {
    format!("{} at {}, number {number}", file_name(at.segment), at.offset)
}
