//! Brings the index up to the end of the packs.

use std::{
    collections::{HashMap, HashSet},
    io,
};

use mithaq_core::{
    body::Body,
    id::{ContentId, ReleaseId},
};

use super::Options;
use crate::{
    contract::StoreError,
    index::{BodyKeys, Checkpoint, Delta, Extent, Index, Row},
    pack::{
        frame::Entry,
        group::{Group, GroupKind, Zip},
        marks::{Marks, Note, Reader},
        record::{PurgedRelease, ReleaseRecord, Tombstone, decode_state},
        scan::{FoundFrame, Scanned, Scanner},
        segments::{Position, Segments, file_name, io_error},
        tear::{is_torn, rows_at_most},
    },
};

/// How many frames at the end of the packs are believed to be lost, if notes say so: more than any segments that are
/// lost with them held, and few enough for a repair to fill their numbers.
const FRAMES_LOST_MAX: u64 = 1 << 24;

/// Reads the packs from the index's checkpoint on; gives what was found damaged.
pub(super) fn recover(
    segments: &Segments,
    index: &Index,
    marks: &Marks,
    zip: &Zip,
    options: &Options,
) -> Result<Vec<String>, StoreError> {
    let mut recovery = Recovery {
        segments,
        index,
        marks,
        noted: marks.reader(),
        zip,
        problems: Vec::new(),
        is_lossy: false,
        unnumbered: 0,
        unpacked: None,
    };
    let mut scanner = Scanner::new(segments, index.reached().next);
    let failed = |error| io_error(std::path::Path::new("packs"))(error);
    while let Some(scanned) = scanner.next().map_err(failed)? {
        recovery.take(scanned, scanner.is_at_end())?;
        if index.is_full(&options.flush_limits()) && recovery.unnumbered == 0 {
            // Behind what the index has reached no tombstone is noted again, unless it says that notes lack.
            marks.write();
            index.flush(marks.lacks())?;
            // Merging at once keeps a rebuild's searches short; nobody waits for anything else yet.
            while index.merge_once()? {}
        }
    }
    recovery.skip_unnumbered();
    recovery.take_noted_behind()?;
    marks.write();
    Ok(recovery.problems)
}

struct Recovery<'a> {
    segments: &'a Segments,
    index: &'a Index,
    marks: &'a Marks,
    /// What was noted of tombstones, as far as it was read.
    noted: Reader,
    zip: &'a Zip,
    problems: Vec<String>,
    /// Whether there is damage between the last frame that was taken in and the next one.
    is_lossy: bool,
    /// Bytes of damage since the last row whose number is known.
    unnumbered: u64,
    /// The group of staged bodies that was read last: what a release takes mostly lies together.
    unpacked: Option<(Extent, Group)>,
}

/// What the bodies of a frame add.
struct Brought {
    /// The ordinals and contents of those that are new, in ascending order.
    new: Vec<(u64, ContentId)>,
    /// Those that are new and that no release names yet.
    staged: HashMap<ContentId, (u64, BodyKeys)>,
}

/// A group of a frame; `None` in place of one that is damaged.
type ReadGroup = (Entry, Position, Option<Group>);

impl Recovery<'_> {
    fn take(&mut self, scanned: Scanned, is_last: bool) -> Result<(), StoreError> {
        let packs = |error| io_error(std::path::Path::new("packs"))(error);
        match scanned {
            Scanned::Damage { at, bytes } if is_last && is_torn(self.segments, at, bytes).map_err(packs)? => {
                self.cut(at);
                Ok(())
            }
            Scanned::Damage { at, bytes } => {
                self.step_over(at, bytes, is_last);
                Ok(())
            }
            Scanned::Frame(frame) => {
                let groups = self.read_groups(&frame).map_err(packs)?;
                let is_sound = groups.iter().all(|(_, _, group)| group.is_some());
                let bytes = frame.header.frame_bytes();
                if is_last && !is_sound && is_torn(self.segments, frame.at, bytes).map_err(packs)? {
                    self.cut(frame.at);
                    return Ok(());
                }
                self.take_frame(&frame, &groups)
            }
        }
    }

    fn problem(&mut self, at: Position, what: &str) {
        self.problems.push(format!("{} at {}: {what}", file_name(at.segment), at.offset));
    }

    /// Names damage and goes on behind it.
    fn step_over(&mut self, at: Position, bytes: u64, is_last: bool) {
        self.problem(at, &format!("{bytes} bytes are no frame"));
        self.unnumbered += bytes;
        self.is_lossy = true;
        if is_last {
            // A frame behind it, if that were torn, could not be told from it.
            self.segments.seal_tail();
            let next = Position { offset: at.offset + bytes, ..at };
            self.index.apply(Delta::default(), Checkpoint { next, ..self.index.reached() });
        }
    }

    /// Damage that no numbered row follows may have held rows, which readers may have seen: their numbers stay taken.
    fn skip_unnumbered(&mut self) {
        let rows = rows_at_most(self.unnumbered);
        if rows == 0 {
            return;
        }
        let counters = self.index.counters();
        let mut delta = Delta::default();
        (0..rows).for_each(|_| delta.add_hole(counters.next_ordinal));
        self.index.apply(delta, self.index.reached());
        let (first, last) = (counters.head + 1, counters.head + rows);
        self.problems.push(format!("rows {first} to {last} of the log are left out: damaged bytes may have held them"));
    }

    /// The newest frame is torn: a crash came before it was acknowledged.
    fn cut(&mut self, at: Position) {
        tracing::warn!(segment = at.segment, offset = at.offset, "a frame that a crash tore is cut off");
        self.segments.cut_tail(at.offset);
    }

    fn read_groups(&self, frame: &FoundFrame) -> io::Result<Vec<ReadGroup>> {
        let mut groups = Vec::with_capacity(frame.entries.len());
        for (entry, offset) in &frame.entries {
            let at = frame.group_at(*offset);
            let packed = self.segments.read(at, entry.packed_bytes as usize)?;
            let group = packed.and_then(|packed| self.zip.unpack(&packed, entry.count, entry.raw_bytes, entry.crc));
            groups.push((*entry, at, group));
        }
        Ok(groups)
    }

    fn take_frame(&mut self, frame: &FoundFrame, groups: &[ReadGroup]) -> Result<(), StoreError> {
        let number = frame.header.number;
        let expected = self.index.reached().frame + 1;
        if number < expected {
            self.problem(frame.at, &format!("frame {number} was there before"));
            return Ok(());
        }
        if number > expected {
            self.problem(frame.at, &format!("frames {expected} to {} are lost", number - 1));
        }
        let lost_tombstones = |(entry, _, group): &ReadGroup| entry.kind == GroupKind::Purges && group.is_none();
        if number > expected || std::mem::take(&mut self.is_lossy) || groups.iter().any(lost_tombstones) {
            // Those of this frame too: it drops nothing that it brings itself, and one dropped twice is gone all the
            // same.
            self.take_noted(expected, number)?;
        }
        let mut delta = Delta::default();
        let mut brought = self.take_bodies(groups, &mut delta)?;
        self.take_releases(groups, &mut brought, &mut delta)?;
        self.take_state(groups, &mut delta);
        self.take_purges(number, groups, &mut delta)?;
        for (entry, at, group) in groups {
            match (entry.kind, group, Extent::of(entry, *at)) {
                (_, None, _) => self.problem(*at, &format!("a group of {:?} is damaged", entry.kind)),
                (GroupKind::Bodies | GroupKind::Staged, _, Some(extent)) => delta.add_body_extent(extent),
                (GroupKind::Releases, _, Some(extent)) => delta.add_release_extent(extent),
                _ => {}
            }
        }
        let reached = Checkpoint { next: frame.end(), frame: number, frame_at: frame.at, frame_crc: frame.header.crc };
        self.index.apply(delta, reached);
        Ok(())
    }

    /// Takes bodies in, staged ones among them.
    fn take_bodies(&mut self, groups: &[ReadGroup], delta: &mut Delta) -> Result<Brought, StoreError> {
        let mut found = Vec::new();
        for (entry, at, group) in groups.iter().filter(|(entry, ..)| entry.kind.holds_bodies()) {
            delta.reserve_ordinals(entry.first + u64::from(entry.count));
            let records = (entry.first..).zip(group.iter().flat_map(Group::records));
            // In place of a body that was purged stands nothing.
            for (ordinal, bytes) in records.filter(|(_, bytes)| !bytes.is_empty()) {
                match Body::verify(ContentId::of(bytes), bytes.to_vec()) {
                    Ok(body) => found.push((ordinal, BodyKeys::of(&body), entry.kind == GroupKind::Staged)),
                    Err(error) => self.problem(*at, &format!("body number {ordinal}: {error}")),
                }
            }
        }
        found.sort_unstable_by_key(|(ordinal, ..)| *ordinal);
        let contents: Vec<_> = found.iter().map(|(_, keys, _)| keys.content).collect();
        let held = self.index.find_bodies(&contents)?;
        let mut seen = HashSet::new();
        let mut brought = Brought { new: Vec::with_capacity(found.len()), staged: HashMap::new() };
        for ((ordinal, keys, is_staged), held) in found.into_iter().zip(held) {
            match held.is_none() && seen.insert(keys.content) {
                true if is_staged => {
                    delta.stage(ordinal, &keys.content);
                    brought.staged.insert(keys.content, (ordinal, keys));
                }
                true => {
                    delta.add_body(ordinal, &keys);
                    brought.new.push((ordinal, keys.content));
                }
                false => delta.discard(ordinal),
            }
        }
        Ok(brought)
    }

    /// Shows what of a release was staged before it came.
    fn adopt(
        &mut self,
        contents: &[ContentId],
        staged: &mut HashMap<ContentId, (u64, BodyKeys)>,
        delta: &mut Delta,
    ) -> Result<(), StoreError> {
        if staged.is_empty() && !self.index.has_staged() {
            return Ok(());
        }
        for (content, held) in contents.iter().zip(self.index.find_bodies(contents)?) {
            if let Some((ordinal, keys)) = staged.remove(content) {
                delta.adopt(ordinal, &keys);
                continue;
            }
            let held = held.filter(|ordinal| self.index.is_staged(*ordinal) && !delta.has_adopted(*ordinal));
            if let Some(keys) = held.and_then(|ordinal| self.keys_of(ordinal, *content)).as_ref()
                && let Some(ordinal) = held
            {
                delta.adopt(ordinal, keys);
            }
        }
        Ok(())
    }

    /// What the index needs to know of a body that it has; `None`, and a problem, if it is damaged.
    fn keys_of(&mut self, ordinal: u64, content: ContentId) -> Option<BodyKeys> {
        let (extent, position) = self.index.body_extents([ordinal].into_iter()).pop().flatten()?;
        if self.unpacked.as_ref().is_none_or(|(unpacked, _)| *unpacked != extent) {
            let packed = self.segments.read(extent.at(), extent.packed_bytes as usize).ok().flatten();
            let group = packed.and_then(|packed| self.zip.unpack(&packed, extent.count, extent.raw_bytes, extent.crc));
            self.unpacked = group.map(|group| (extent, group));
        }
        let bytes = self.unpacked.as_ref().and_then(|(_, group)| group.record(position));
        let body = bytes.and_then(|bytes| Body::verify(content, bytes.to_vec()).ok());
        if body.is_none() {
            self.problem(extent.at(), &format!("body number {ordinal} is damaged"));
        }
        body.map(|body| BodyKeys::of(&body))
    }

    fn take_releases(
        &mut self,
        groups: &[ReadGroup],
        brought: &mut Brought,
        delta: &mut Delta,
    ) -> Result<(), StoreError> {
        let counters = self.index.counters();
        let mut seq = counters.head + 1;
        let mut next_ordinal = counters.next_ordinal;
        for (entry, at, group) in groups.iter().filter(|(entry, ..)| entry.kind == GroupKind::Releases) {
            self.unnumbered = 0;
            for lost in seq..entry.first {
                self.problem(*at, &format!("row {lost} of the log is lost"));
                delta.add_hole(next_ordinal);
            }
            seq = seq.max(entry.first);
            for position in 0..entry.count as usize {
                let record = group.as_ref().and_then(|group| group.record(position));
                if let Some(purged) = record.and_then(PurgedRelease::decode) {
                    next_ordinal = purged.first + u64::from(purged.stored);
                    delta.add_purged_row(seq, purged);
                    seq += 1;
                    continue;
                }
                match record.and_then(ReleaseRecord::decode) {
                    Some(record) => {
                        next_ordinal = record.first + u64::from(record.stored);
                        self.adopt(&record.signed.contents, &mut brought.staged, delta)?;
                        add_row(delta, seq, &record, &brought.new);
                    }
                    None => {
                        self.problem(*at, &format!("row {seq} of the log is lost"));
                        delta.add_hole(next_ordinal);
                    }
                }
                seq += 1;
            }
        }
        Ok(())
    }

    /// Takes out what was purged: all that came before this frame.
    fn take_purges(&mut self, frame: u64, groups: &[ReadGroup], delta: &mut Delta) -> Result<(), StoreError> {
        let mut notes = Vec::new();
        for (entry, at, group) in groups.iter().filter(|(entry, ..)| entry.kind == GroupKind::Purges) {
            delta.reserve_ordinals(entry.first + u64::from(entry.count));
            for (ordinal, record) in (entry.first..).zip(group.iter().flat_map(Group::records)) {
                let Some(tombstone) = Tombstone::decode(record) else {
                    self.problem(*at, "what was purged cannot be read");
                    continue;
                };
                self.take_purge(Some(ordinal), &tombstone, delta)?;
                notes.push(Note { frame, ordinal, tombstone });
            }
        }
        self.marks.gather(&notes);
        Ok(())
    }

    /// Takes out what a tombstone names. One without an ordinal leaves nothing that tells of it.
    fn take_purge(&self, ordinal: Option<u64>, tombstone: &Tombstone, delta: &mut Delta) -> Result<(), StoreError> {
        match tombstone {
            Tombstone::Content(content, bytes) => {
                let copies = self.index.copies(content)?;
                match ordinal {
                    Some(ordinal) => delta.purge_content(ordinal, content, &copies, *bytes),
                    None => delta.drop_copies(&copies, *bytes),
                }
            }
            Tombstone::Release(id) | Tombstone::Damaged(id) => {
                for seq in self.index.rows_of_release(*id)? {
                    self.index.rows(seq - 1, 1)?.iter().for_each(|(seq, row)| delta.purge_row(*seq, row));
                }
            }
            Tombstone::Staged(first, count) => {
                let ordinals = *first..first.saturating_add(u64::from(*count));
                delta.drop_staged(ordinals.filter(|ordinal| self.index.is_staged(*ordinal)));
            }
        }
        Ok(())
    }

    /// Takes out what tombstones of these frames named, of which the packs have lost some.
    fn take_noted(&mut self, first: u64, last: u64) -> Result<(), StoreError> {
        let (mut taken, mut frame, mut delta) = (0_u64, 0, Delta::default());
        while let Some(note) = self.noted.next_within(first, last) {
            if note.frame != frame {
                // What one purge took out the next one does not find.
                self.index.apply(std::mem::take(&mut delta), self.index.reached());
                frame = note.frame;
            }
            taken += 1;
            // Its ordinal lies in what is lost. One that was given to something else meanwhile must not be hit.
            let is_free = note.ordinal >= self.index.counters().next_ordinal;
            self.take_purge(is_free.then_some(note.ordinal), &note.tombstone, &mut delta)?;
            if is_free {
                delta.reserve_ordinals(note.ordinal + 1);
            }
        }
        self.index.apply(delta, self.index.reached());
        if taken > 0 {
            tracing::warn!(
                first,
                last,
                taken,
                "damage has taken what says what was purged: it was noted beside the packs"
            );
        }
        Ok(())
    }

    /// The packs end before a purge that was acknowledged: what it took out stays out, and no other frame takes its
    /// number.
    fn take_noted_behind(&mut self) -> Result<(), StoreError> {
        let reached = self.index.reached();
        let last = self.marks.last().min(reached.frame + FRAMES_LOST_MAX);
        if last <= reached.frame {
            return Ok(());
        }
        self.take_noted(reached.frame + 1, last)?;
        self.problems.push(format!("frames {} to {last} are lost, in which something was purged", reached.frame + 1));
        self.index.apply(Delta::default(), Checkpoint { frame: last, ..self.index.reached() });
        Ok(())
    }

    fn take_state(&mut self, groups: &[ReadGroup], delta: &mut Delta) {
        for (_, at, group) in groups.iter().filter(|(entry, ..)| entry.kind == GroupKind::State) {
            for record in group.iter().flat_map(Group::records) {
                match decode_state(record) {
                    Some(record) => delta.add_state(record),
                    None => self.problem(*at, "a change of state cannot be read"),
                }
            }
        }
    }
}

fn add_row(delta: &mut Delta, seq: u64, record: &ReleaseRecord, new: &[(u64, ContentId)]) {
    let contents = &record.signed.contents;
    let from = new.partition_point(|(ordinal, _)| *ordinal < record.first);
    let to = new.partition_point(|(ordinal, _)| *ordinal < record.first + u64::from(record.stored));
    let brought: HashSet<_> = new[from..to].iter().map(|(_, content)| content).collect();
    let objects = u32::try_from(contents.len()).unwrap_or(u32::MAX);
    let release: ReleaseId = record.signed.id();
    let row = Row {
        release: *release.as_bytes(),
        added_at: record.added_at,
        first: record.first,
        stored: record.stored,
        objects,
        all_new: record.new == objects,
    };
    delta.add_row(seq, row, contents.iter().filter(|content| !brought.contains(content)));
}
