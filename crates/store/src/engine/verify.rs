//! The check of everything: packs against themselves, packs against index, index against packs.

use mithaq_core::id::ContentId;

use super::Shared;
use crate::{
    contract::{Report, StoreError},
    pack::{
        frame::Entry,
        group::{Group, GroupKind},
        record::ReleaseRecord,
        scan::{FoundFrame, Scanned, Scanner},
        segments::{Position, file_name, io_error},
    },
};

/// How many problems are listed: a report is for people.
const PROBLEMS_MAX: usize = 1000;

/// How many rows are compared at a time.
const ROWS_AT_ONCE: usize = 512;

struct Check<'a> {
    shared: &'a Shared,
    report: Report,
}

impl Shared {
    pub(super) fn verify(&self) -> Result<Report, StoreError> {
        let head = self.index.counters().head;
        let mut check = Check { shared: self, report: Report::default() };
        check.report.problems.clone_from(&self.problems);
        check.packs()?;
        check.rows(head)?;
        Ok(check.report)
    }
}

impl Check<'_> {
    fn problem(&mut self, what: String) {
        if self.report.problems.len() < PROBLEMS_MAX && !self.report.problems.contains(&what) {
            self.report.problems.push(what);
        }
    }

    /// Reads every frame, and asks the index for every body and release found.
    fn packs(&mut self) -> Result<(), StoreError> {
        let mut scanner = Scanner::new(&self.shared.segments, self.shared.segments.start());
        let reached = self.shared.index.reached().next;
        while let Some(scanned) = scanner.next().map_err(io_error(&self.shared.packs))? {
            match scanned {
                Scanned::Damage { at, .. } if at >= reached => break,
                Scanned::Damage { at, bytes } => {
                    self.problem(format!("{} at {}: {bytes} bytes are no frame", file_name(at.segment), at.offset));
                }
                Scanned::Frame(frame) if frame.at >= reached => break,
                Scanned::Frame(frame) => self.frame(&frame)?,
            }
        }
        Ok(())
    }

    fn frame(&mut self, frame: &FoundFrame) -> Result<(), StoreError> {
        for (entry, offset) in &frame.entries {
            let at = frame.group_at(*offset);
            let read = self.shared.segments.read(at, entry.packed_bytes as usize);
            let packed = read.map_err(io_error(&self.shared.packs))?;
            let unpack = |packed: Vec<u8>| self.shared.zip.unpack(&packed, entry.count, entry.raw_bytes, entry.crc);
            match packed.and_then(unpack) {
                Some(group) => self.group(entry, at, &group)?,
                None => {
                    let kind = entry.kind;
                    self.problem(format!("{} at {}: a group of {kind:?} is damaged", file_name(at.segment), at.offset));
                }
            }
        }
        Ok(())
    }

    fn group(&mut self, entry: &Entry, at: Position, group: &Group) -> Result<(), StoreError> {
        let place = |number| format!("{} at {}, number {number}", file_name(at.segment), at.offset);
        match entry.kind {
            GroupKind::Bodies | GroupKind::Staged => {
                let bodies = (entry.first..).zip(group.records());
                let held = bodies.filter(|(ordinal, body)| !body.is_empty() && !self.shared.index.is_gone(*ordinal));
                let (ordinals, contents): (Vec<_>, Vec<_>) = held.map(|(n, body)| (n, ContentId::of(body))).unzip();
                self.report.objects += contents.len() as u64;
                let found = self.shared.index.find_bodies(&contents)?;
                for ((ordinal, content), found) in ordinals.into_iter().zip(&contents).zip(found) {
                    // It may have been purged meanwhile.
                    let is_out = |ordinal| self.shared.index.is_damaged(ordinal) || self.shared.index.is_gone(ordinal);
                    if found.is_none() && !is_out(ordinal) {
                        self.problem(format!("{}: the index does not know body {content}", place(ordinal)));
                    }
                }
            }
            GroupKind::Releases => {
                let rows = (entry.first..).zip(group.records());
                for (seq, record) in rows.filter(|(seq, _)| !self.shared.index.is_gone_row(*seq)) {
                    let Some(record) = ReleaseRecord::decode(record) else {
                        self.problem(format!("{}: the release cannot be read", place(seq)));
                        continue;
                    };
                    let id = record.signed.id();
                    let is_known = self.shared.index.rows_of_release(id)?.contains(&seq);
                    if !is_known && !self.shared.index.is_gone_row(seq) {
                        self.problem(format!("{}: the index does not know release {id}", place(seq)));
                    }
                }
            }
            GroupKind::State | GroupKind::Purges => {}
        }
        Ok(())
    }

    /// Reads every row of the log with its release, and every body that it names.
    fn rows(&mut self, head: u64) -> Result<(), StoreError> {
        let mut after = 0;
        while after < head {
            let rows = self.shared.index.rows(after, ROWS_AT_ONCE)?;
            let Some((last, _)) = rows.last() else { break };
            after = *last;
            for (seq, row) in rows {
                if row.is_hole() {
                    if row.is_lost() {
                        self.problem(format!("row {seq} of the log is lost"));
                    }
                    continue;
                }
                match self.shared.release_at(seq) {
                    Ok(Some(release)) if *release.id().as_bytes() == row.release => {
                        self.contents(seq, &release.contents)?;
                    }
                    Ok(_) => self.problem(format!("row {seq} of the log: the packs hold another release")),
                    Err(StoreError::Corrupt { what }) => self.problem(what),
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    /// A body that a release names is found by everything that leads to it.
    fn hidden(&mut self, seq: u64, contents: &[ContentId]) -> Result<(), StoreError> {
        let ordinals = self.shared.index.find_bodies(contents)?;
        let staged = self.shared.index.are_staged(&ordinals);
        for (content, _) in contents.iter().zip(staged).filter(|(_, is_staged)| *is_staged) {
            self.problem(format!("row {seq} of the log names {content}, which the index takes to be staged"));
        }
        Ok(())
    }

    fn contents(&mut self, seq: u64, contents: &[ContentId]) -> Result<(), StoreError> {
        // A damaged body is named and then counted as missing, so that the next round finds the next one.
        for _ in 0..=contents.len() {
            match self.shared.bodies(contents) {
                Ok(bodies) => {
                    self.hidden(seq, contents)?;
                    for (content, _) in contents.iter().zip(bodies).filter(|(_, body)| body.is_none()) {
                        if !self.shared.index.is_purged(content)? {
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
