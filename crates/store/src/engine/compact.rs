//! Gives back the space of what is dead: segments are written anew without it.
//!
//! A segment that is written anew keeps its number, its frames and their groups, with the same numbers of bodies and rows
//! in them; in place of a dead body stands an empty record, in place of a dead release what its row needs. So only places
//! change. The new file is made durable and then takes the old one's name at once: a crash leaves either of them,
//! whole, and an index that names the other is brought up to date when it is opened.

use std::sync::PoisonError;

use super::{Shared, survey::Pack};
use crate::{
    contract::{Compacted, StoreError},
    index::Moved,
    pack::{
        frame::{Entry, Frame},
        group::{Group, GroupKind, Packed, RawGroup},
        record::{PurgedRelease, ReleaseRecord},
        scan::{FoundFrame, Scanned, Scanner},
        segments::{Position, Rewrite, file_name, io_error},
    },
};

/// What became of a segment.
enum Outcome {
    Rewritten,
    /// Nothing would be gained.
    Same,
    /// It was left as it is, and why.
    Left(String),
}

impl Shared {
    pub(super) fn compact(&self, dead_percent_min: u8) -> Result<Compacted, StoreError> {
        let packs = self.survey()?;
        let bytes_before = self.segments.bytes();
        let mut compacted = Compacted { packs: packs.len() as u64, bytes_before, ..Compacted::default() };
        let last = packs.last().map(|pack| pack.number);
        for pack in packs {
            let is_worth_it = pack.dead() * 100 >= u64::from(dead_percent_min) * pack.bytes;
            if pack.dead() == 0 || !is_worth_it {
                continue;
            }
            if Some(pack.number) == last {
                self.seal();
            }
            match self.rewrite(&pack)? {
                Outcome::Rewritten => compacted.rewritten += 1,
                Outcome::Same => {}
                Outcome::Left(why) => compacted.left.push(why),
            }
        }
        compacted.bytes_after = self.segments.bytes();
        Ok(compacted)
    }

    /// Lets nothing be appended any more to the last segment, once the index knows all of it.
    pub(super) fn seal(&self) {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.segments.seal_tail();
    }

    fn rewrite(&self, pack: &Pack) -> Result<Outcome, StoreError> {
        let failed = |error| io_error(&self.packs)(error);
        if !self.segments.has_room(pack.bytes - pack.dead().min(pack.bytes)) {
            return Err(StoreError::Full);
        }
        let reclaimed = self.index.dead(pack.number);
        let Some(mut rewrite) = self.segments.begin_rewrite(pack.number).map_err(failed)? else {
            return Ok(Outcome::Left(format!("the header of {} is damaged", file_name(pack.number))));
        };
        let copied = self.copy_live(&mut rewrite);
        let moved = match copied {
            Ok(Ok(moved)) if rewrite.bytes() < pack.bytes => moved,
            other => {
                self.segments.abandon(rewrite).map_err(failed)?;
                return other.map(|copied| copied.map_or_else(Outcome::Left, |_| Outcome::Same));
            }
        };
        self.put_in_place(rewrite, &moved, reclaimed)?;
        Ok(Outcome::Rewritten)
    }

    /// Copies what is live; says why not if something of it is damaged.
    fn copy_live(&self, rewrite: &mut Rewrite) -> Result<Result<Moved, String>, StoreError> {
        let (number, edition) = rewrite.name();
        let mut moved = Moved::new(number, edition);
        let damaged =
            |at: Position| format!("{} is damaged at {}: it is left as it is", file_name(at.segment), at.offset);
        let mut scanner = Scanner::of_segment(&self.segments, number);
        while let Some(scanned) = scanner.next().map_err(io_error(&self.packs))? {
            let frame = match scanned {
                Scanned::Damage { at, .. } => return Ok(Err(damaged(at))),
                Scanned::Frame(frame) => frame,
            };
            let Some(copy) = self.live_frame(&frame)? else { return Ok(Err(damaged(frame.at))) };
            let at = self.segments.append_to(rewrite, &copy.bytes).map_err(io_error(&self.packs))?;
            moved.add(&FoundFrame { at, header: copy.header, entries: copy.entries });
        }
        Ok(Ok(moved))
    }

    /// A frame without what is dead in it; `None` if it is damaged.
    fn live_frame(&self, frame: &FoundFrame) -> Result<Option<Frame>, StoreError> {
        let mut groups = Vec::with_capacity(frame.entries.len());
        for (entry, offset) in &frame.entries {
            match self.live_group(entry, frame.group_at(*offset))? {
                Some(group) if group.count > 0 => groups.push((entry.first, group)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
        Ok(Frame::build(frame.header.number, &groups))
    }

    fn live_group(&self, entry: &Entry, at: Position) -> Result<Option<Packed>, StoreError> {
        let packed = self.segments.read(at, entry.packed_bytes as usize).map_err(io_error(&self.packs))?;
        let Some(bytes) = packed.filter(|packed| crc32fast::hash(packed) == entry.crc) else { return Ok(None) };
        if !self.has_dead(entry) {
            let Entry { kind, count, raw_bytes, crc, .. } = *entry;
            return Ok(Some(Packed { kind, count, raw_bytes, crc, bytes }));
        }
        let Some(group) = self.zip.unpack(&bytes, entry.count, entry.raw_bytes, entry.crc) else { return Ok(None) };
        let mut raw = self.live_records(entry, &group)?;
        self.zip.pack(entry.kind, &mut raw).map(Some).map_err(io_error(&self.packs))
    }

    /// Whether something in a group may be dead.
    fn has_dead(&self, entry: &Entry) -> bool {
        let mut numbers = entry.first..entry.first + u64::from(entry.count);
        match entry.kind {
            GroupKind::Bodies | GroupKind::Staged => numbers.any(|ordinal| self.index.is_gone(ordinal)),
            GroupKind::Releases => numbers.any(|row| self.index.is_gone_row(row)),
            GroupKind::State => true,
            GroupKind::Purges => false,
        }
    }

    fn live_records(&self, entry: &Entry, group: &Group) -> Result<RawGroup, StoreError> {
        let mut raw = RawGroup::default();
        for (number, record) in (entry.first..).zip(group.records()) {
            match entry.kind {
                GroupKind::Bodies | GroupKind::Staged if self.index.is_gone(number) => raw.push(b""),
                GroupKind::Releases if self.index.is_gone_row(number) => match ReleaseRecord::decode(record) {
                    Some(release) => raw.push(&PurgedRelease::of(&release).encode()),
                    None => raw.push(record),
                },
                GroupKind::State if !self.is_live_state(record)? => {}
                _ => raw.push(record),
            }
        }
        Ok(raw)
    }
}
