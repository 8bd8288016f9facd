//! The one row that says what sled holds and how far it reaches.

use std::collections::BTreeMap;

use mithaq_core::time::Time;

use super::{run::RunMeta, table::Table};
use crate::{
    contract::StoreId,
    pack::{
        codec::{Input, put_varint},
        segments::Position,
    },
};

/// The layout of the index, and what objects are found by; one that differs in either is built anew from the packs.
const INDEX_SCHEMA: u64 = 5;

/// The key of the manifest in sled.
pub(super) const MANIFEST: &[u8] = b"m";

/// How far the index reaches into the packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    /// Where the next frame begins.
    pub(crate) next: Position,
    /// The newest frame taken in: its number (0 for none), place and checksum, by which the packs are recognised.
    pub(crate) frame: u64,
    pub(crate) frame_at: Position,
    pub(crate) frame_crc: u32,
}

impl Checkpoint {
    /// Before the first frame.
    pub(crate) fn at_start(start: Position) -> Self {
        Self { next: start, frame: 0, frame_at: start, frame_crc: 0 }
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) head: u64,
    pub(crate) next_ordinal: u64,
    pub(crate) next_added_at: Time,
    pub(crate) objects: u64,
    pub(crate) releases: u64,
    pub(crate) references: u64,
    pub(crate) body_bytes: u64,
    /// Tombstones taken in: while this stays, nothing was purged.
    pub(crate) purges: u64,
    /// Flushes since the store was opened; not kept.
    pub(crate) flushes: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            head: 0,
            next_ordinal: 0,
            next_added_at: Time::from_micros(0),
            objects: 0,
            releases: 0,
            references: 0,
            body_bytes: 0,
            purges: 0,
            flushes: 0,
        }
    }
}

/// How many bytes of a segment are gone and still lie there, about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Dead {
    pub(crate) bodies: u64,
    pub(crate) releases: u64,
}

impl Dead {
    pub(crate) fn less(self, reclaimed: Self) -> Self {
        Self {
            bodies: self.bodies.saturating_sub(reclaimed.bodies),
            releases: self.releases.saturating_sub(reclaimed.releases),
        }
    }
}

/// What sled holds.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) id: StoreId,
    pub(super) checkpoint: Checkpoint,
    pub(super) counters: Counters,
    pub(super) bodies: u64,
    pub(super) releases: u64,
    pub(super) next_run: u32,
    pub(super) runs: Vec<RunMeta>,
    /// Bodies that were found damaged, so that a later copy is known to be the one to read.
    pub(super) damaged: Vec<u64>,
    /// Whether notes of what was purged before the checkpoint may lack beside the packs.
    pub(super) lacks_notes: bool,
    /// How often each segment had been written anew when its groups were placed.
    pub(super) editions: BTreeMap<u32, u32>,
    /// How many bytes of each segment are bodies and releases that are gone.
    pub(super) dead: BTreeMap<u32, Dead>,
}

/// What a row that should be a manifest is.
pub(super) enum Decoded {
    Manifest(Box<Manifest>),
    /// Of an index that a program with another layout wrote.
    OtherSchema,
    Damaged,
}

impl Manifest {
    pub(super) fn empty(id: StoreId, start: Position) -> Self {
        Self {
            id,
            checkpoint: Checkpoint::at_start(start),
            counters: Counters::default(),
            bodies: 0,
            releases: 0,
            next_run: 0,
            runs: Vec::new(),
            damaged: Vec::new(),
            lacks_notes: false,
            editions: BTreeMap::new(),
            dead: BTreeMap::new(),
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, INDEX_SCHEMA);
        out.extend_from_slice(self.id.as_bytes());
        let Checkpoint { next, frame, frame_at, frame_crc } = self.checkpoint;
        let counters = &self.counters;
        for number in [
            u64::from(next.segment),
            next.offset,
            frame,
            u64::from(frame_at.segment),
            frame_at.offset,
            u64::from(frame_crc),
            counters.head,
            counters.next_ordinal,
            counters.next_added_at.as_micros().unsigned_abs(),
            counters.objects,
            counters.releases,
            counters.references,
            counters.body_bytes,
            counters.purges,
            self.bodies,
            self.releases,
            u64::from(self.next_run),
            u64::from(self.lacks_notes),
            self.runs.len() as u64,
        ] {
            put_varint(&mut out, number);
        }
        for run in &self.runs {
            out.extend_from_slice(&[run.table.code(), run.level]);
            for number in [u64::from(run.id), run.postings, u64::from(run.blocks), u64::from(run.head_bytes)] {
                put_varint(&mut out, number);
            }
        }
        put_varint(&mut out, self.damaged.len() as u64);
        self.damaged.iter().for_each(|ordinal| put_varint(&mut out, *ordinal));
        let editions = self.editions.iter().map(|(segment, edition)| (*segment, u64::from(*edition)));
        put_segments(&mut out, editions.collect());
        put_segments(&mut out, self.dead.iter().map(|(segment, dead)| (*segment, dead.bodies)).collect());
        put_segments(&mut out, self.dead.iter().map(|(segment, dead)| (*segment, dead.releases)).collect());
        out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
        out
    }

    /// Reads a manifest.
    pub(super) fn decode(bytes: &[u8]) -> Decoded {
        let Some((body, crc)) = bytes.split_last_chunk::<4>() else { return Decoded::Damaged };
        if crc32fast::hash(body) != u32::from_le_bytes(*crc) {
            return Decoded::Damaged;
        }
        let mut input = Input(body);
        match input.varint() {
            Some(INDEX_SCHEMA) => {
                Self::read(input).map_or(Decoded::Damaged, |manifest| Decoded::Manifest(Box::new(manifest)))
            }
            Some(_) => Decoded::OtherSchema,
            None => Decoded::Damaged,
        }
    }

    fn read(mut input: Input<'_>) -> Option<Self> {
        let id = StoreId::from_bytes(input.array()?);
        let next = Position { segment: input.varint_u32()?, offset: input.varint()? };
        let frame = input.varint()?;
        let frame_at = Position { segment: input.varint_u32()?, offset: input.varint()? };
        let checkpoint = Checkpoint { next, frame, frame_at, frame_crc: input.varint_u32()? };
        let counters = Counters {
            head: input.varint()?,
            next_ordinal: input.varint()?,
            next_added_at: Time::from_micros(input.varint()?.try_into().ok()?),
            objects: input.varint()?,
            releases: input.varint()?,
            references: input.varint()?,
            body_bytes: input.varint()?,
            purges: input.varint()?,
            flushes: 0,
        };
        let (bodies, releases, next_run) = (input.varint()?, input.varint()?, input.varint_u32()?);
        let lacks_notes = input.varint()? != 0;
        let count = input.varint()?;
        let runs = (0..count).map(|_| read_run(&mut input)).collect::<Option<_>>()?;
        let count = input.varint()?;
        let damaged = (0..count).map(|_| input.varint()).collect::<Option<_>>()?;
        let editions = read_segments(&mut input)?.into_iter();
        let editions = editions.map(|(segment, edition)| Some((segment, edition.try_into().ok()?)));
        let editions = editions.collect::<Option<_>>()?;
        let (of_bodies, of_releases) = (read_segments(&mut input)?, read_segments(&mut input)?);
        let dead = of_bodies.into_iter().zip(of_releases.into_values());
        let dead = dead.map(|((segment, bodies), releases)| (segment, Dead { bodies, releases })).collect();
        let manifest =
            Self { id, checkpoint, counters, bodies, releases, next_run, runs, damaged, lacks_notes, editions, dead };
        input.0.is_empty().then_some(manifest)
    }
}

fn put_segments(out: &mut Vec<u8>, segments: Vec<(u32, u64)>) {
    put_varint(out, segments.len() as u64);
    for (segment, number) in segments {
        put_varint(out, u64::from(segment));
        put_varint(out, number);
    }
}

fn read_segments(input: &mut Input<'_>) -> Option<BTreeMap<u32, u64>> {
    let count = input.varint()?;
    (0..count).map(|_| Some((input.varint_u32()?, input.varint()?))).collect()
}

fn read_run(input: &mut Input<'_>) -> Option<RunMeta> {
    let [table, level] = input.array()?;
    Some(RunMeta {
        table: Table::from_code(table)?,
        level,
        id: input.varint_u32()?,
        postings: input.varint()?,
        blocks: input.varint_u32()?,
        head_bytes: input.varint_u32()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_survives_and_every_flipped_bit_is_seen() {
        let mut manifest = Manifest::empty(StoreId::from_bytes([3; 16]), Position { segment: 1, offset: 64 });
        manifest.counters.head = 77;
        manifest.damaged = vec![5, 500];
        manifest.lacks_notes = true;
        manifest.runs.push(RunMeta {
            table: Table::Versions,
            level: 2,
            id: 9,
            postings: 1000,
            blocks: 3,
            head_bytes: 100,
        });
        manifest.editions.insert(3, 1);
        manifest.dead.insert(3, Dead { bodies: 700, releases: 70 });
        let bytes = manifest.encode();
        let Decoded::Manifest(read) = Manifest::decode(&bytes) else { panic!("unreadable") };
        assert_eq!((&read.editions, &read.dead, read.lacks_notes), (&manifest.editions, &manifest.dead, true));
        assert_eq!((read.counters, &read.runs, &read.damaged), (manifest.counters, &manifest.runs, &manifest.damaged));
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(matches!(Manifest::decode(&bytes), Decoded::Damaged), "bit {bit}");
        }
    }
}
