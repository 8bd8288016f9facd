//! What is known beside the packs, brought into line with them: notes of what was purged, and what a repair set aside.

use std::{collections::BTreeMap, io, ops::Range};

use super::{Shared, aside::Aside};
use crate::{
    contract::StoreError,
    pack::{
        group::{Group, GroupKind},
        marks::Note,
        record::Tombstone,
        scan::{FoundFrame, Scanned, Scanner},
        segments::io_error,
    },
};

impl Shared {
    /// Has all that was purged noted beside the packs, and what will be.
    pub(super) fn complete_marks(&self, has_all: bool) {
        let has_gone = self.index.has_gone();
        let lacks = !has_all || self.marks.has_lost();
        let lacks = (lacks && has_gone) || self.marks.last() > self.index.reached().frame;
        if lacks && let Err(error) = self.note_purged() {
            tracing::warn!(%error, "what was purged cannot be noted beside the packs");
        }
        if !has_all {
            // Only now: a crash before it leaves no file that looks whole. If there is none yet, nothing was noted.
            self.marks.begin(!has_gone);
        }
    }

    /// Notes beside the packs all that they say was purged, next to what is noted.
    pub(super) fn note_purged(&self) -> Result<(), StoreError> {
        let reached = self.index.reached().next;
        // A frame is noted a moment before the index takes it in.
        let last = || self.index.reached().frame + 1;
        let written = self.marks.rewrite(last, |put| {
            let mut scanner = Scanner::new(&self.segments, self.segments.start());
            while let Some(scanned) = scanner.next()? {
                match scanned {
                    Scanned::Frame(frame) if frame.at < reached => put(&self.tombstones_of(&frame)?)?,
                    Scanned::Damage { at, .. } if at < reached => {}
                    _ => break,
                }
            }
            Ok(())
        });
        written.map_err(io_error(&self.packs))
    }

    fn tombstones_of(&self, frame: &FoundFrame) -> io::Result<Vec<Note>> {
        let mut notes = Vec::new();
        for (entry, offset) in frame.entries.iter().filter(|(entry, _)| entry.kind == GroupKind::Purges) {
            let group = self.read_group(entry, frame.group_at(*offset)).map_err(io::Error::other)?;
            let records = (entry.first..).zip(group.iter().flat_map(Group::records));
            let note = |(ordinal, record)| {
                Some(Note { frame: frame.header.number, ordinal, tombstone: Tombstone::decode(record)? })
            };
            notes.extend(records.filter_map(note));
        }
        Ok(notes)
    }

    /// Has the store claim none of the bodies that a repair has set aside: the index may be of a moment before it.
    pub(super) fn claim_none_set_aside(&self) -> Result<(), StoreError> {
        let failed = |error| io_error(&self.dir)(error);
        let mut places: BTreeMap<u32, Vec<Range<u64>>> = BTreeMap::new();
        for piece in Aside::of(&self.dir).pieces().map_err(failed)? {
            places.entry(piece.at.segment).or_default().push(piece.at.offset..piece.at.offset + piece.bytes);
        }
        for (segment, places) in places {
            for (kind, extent) in self.index.extents_of(segment) {
                let offset = extent.at().offset;
                if !kind.holds_bodies() || !places.iter().any(|place| place.contains(&offset)) {
                    continue;
                }
                if self.sound_group(kind, &extent)?.is_none() {
                    (extent.first..extent.first + u64::from(extent.count)).for_each(|n| self.index.set_damaged(n));
                }
            }
        }
        Ok(())
    }
}
