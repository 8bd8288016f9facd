//! What lies in the packs: how much of it is live and how much could be given back.

use mithaq_core::time::Time;

use super::{Shared, files_bytes};
use crate::{
    contract::{Census, Share, StoreError},
    pack::{
        frame::Entry,
        group::{Group, GroupKind},
        record::decode_state,
        scan::{Scanned, Scanner},
        segments::{Position, SCHEMA, io_error},
    },
};

/// How many rows of the log are read at a time.
const ROWS_AT_ONCE: usize = 512;

/// What lies in one segment, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pack {
    pub(super) number: u32,
    pub(super) bytes: u64,
    pub(super) bodies: Share,
    pub(super) releases: Share,
    pub(super) state: Share,
    raw_bytes: u64,
}

impl Pack {
    /// What could be given back.
    pub(super) fn dead(&self) -> u64 {
        self.bodies.dead + self.releases.dead + self.state.dead
    }
}

impl Share {
    fn of(bytes: u64, dead: u64) -> Self {
        let dead = dead.min(bytes);
        Self { live: bytes - dead, dead }
    }

    fn add(&mut self, other: Self) {
        self.live += other.live;
        self.dead += other.dead;
    }
}

impl Shared {
    pub(super) fn census(&self) -> Result<Census, StoreError> {
        let mut census = Census { schema: SCHEMA, ..Census::default() };
        for pack in self.survey()? {
            census.packs += 1;
            census.pack_bytes += pack.bytes;
            census.bodies.add(pack.bodies);
            census.releases.add(pack.releases);
            census.state.add(pack.state);
            census.raw_bytes += pack.raw_bytes;
        }
        let shares = [census.bodies, census.releases, census.state];
        let held: u64 = shares.iter().map(|share| share.live + share.dead).sum();
        census.overhead_bytes = census.pack_bytes.saturating_sub(held);
        census.index_bytes = files_bytes(&self.dir.join("index"));
        (census.oldest, census.newest) = (self.oldest()?, self.newest()?);
        Ok(census)
    }

    fn oldest(&self) -> Result<Option<Time>, StoreError> {
        let mut after = 0;
        while after < self.index.counters().head {
            let rows = self.index.rows(after, ROWS_AT_ONCE)?;
            if let Some((_, row)) = rows.iter().find(|(_, row)| !row.is_hole()) {
                return Ok(Some(row.added_at));
            }
            after += ROWS_AT_ONCE as u64;
        }
        Ok(None)
    }

    fn newest(&self) -> Result<Option<Time>, StoreError> {
        let mut end = self.index.counters().head;
        while end > 0 {
            let from = end.saturating_sub(ROWS_AT_ONCE as u64);
            let rows = self.index.rows(from, ROWS_AT_ONCE)?;
            if let Some((_, row)) = rows.iter().rfind(|(_, row)| !row.is_hole()) {
                return Ok(Some(row.added_at));
            }
            end = from;
        }
        Ok(None)
    }

    /// Looks through all segments.
    pub(super) fn survey(&self) -> Result<Vec<Pack>, StoreError> {
        let reached = self.index.reached().next;
        let mut packs = Vec::new();
        for (number, bytes) in self.segments.list() {
            packs.push(self.survey_one(number, bytes, reached)?);
        }
        Ok(packs)
    }

    fn survey_one(&self, number: u32, bytes: u64, reached: Position) -> Result<Pack, StoreError> {
        let mut pack = Pack { number, bytes, ..Pack::default() };
        let (mut bodies, mut releases) = (0, 0);
        let mut scanner = Scanner::of_segment(&self.segments, number);
        while let Some(scanned) = scanner.next().map_err(io_error(&self.packs))? {
            let Scanned::Frame(frame) = scanned else { continue };
            if frame.at >= reached {
                break;
            }
            for (entry, offset) in &frame.entries {
                match entry.kind {
                    GroupKind::Bodies | GroupKind::Staged => bodies += u64::from(entry.packed_bytes),
                    GroupKind::Releases => releases += u64::from(entry.packed_bytes),
                    GroupKind::State => pack.state.add(self.survey_state(entry, frame.group_at(*offset))?),
                    GroupKind::Purges => continue,
                }
                pack.raw_bytes += u64::from(entry.raw_bytes);
            }
        }
        let dead = self.index.dead(number);
        pack.bodies = Share::of(bodies, dead.bodies);
        pack.releases = Share::of(releases, dead.releases);
        Ok(pack)
    }

    fn survey_state(&self, entry: &Entry, at: Position) -> Result<Share, StoreError> {
        let packed = u64::from(entry.packed_bytes);
        // What is damaged cannot be given back.
        let Some(group) = self.read_group(entry, at)? else { return Ok(Share::of(packed, 0)) };
        let (mut live, mut all) = (0, 0);
        for record in group.records() {
            let bytes = record.len() as u64 + 1;
            all += bytes;
            live += if self.is_live_state(record)? { bytes } else { 0 };
        }
        let dead = packed * (all - live) / all.max(1);
        Ok(Share::of(packed, dead))
    }

    /// The group of an entry; `None` if it is damaged.
    pub(super) fn read_group(&self, entry: &Entry, at: Position) -> Result<Option<Group>, StoreError> {
        let packed = self.segments.read(at, entry.packed_bytes as usize).map_err(io_error(&self.packs))?;
        Ok(packed.and_then(|packed| self.zip.unpack(&packed, entry.count, entry.raw_bytes, entry.crc)))
    }

    /// Whether a change of state still says what its key holds. That a key was removed is never dead: an older change
    /// may lie in a segment that is not written anew.
    pub(super) fn is_live_state(&self, record: &[u8]) -> Result<bool, StoreError> {
        match decode_state(record) {
            Some((key, Some(value))) => Ok(self.index.state(&key)? == Some(value)),
            _ => Ok(true),
        }
    }
}
