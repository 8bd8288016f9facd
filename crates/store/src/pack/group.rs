//! Groups: records that are compressed, checked and cached together.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use zstd::{
    bulk::{Compressor, Decompressor},
    zstd_safe::compress_bound,
};

use super::codec::{Input, put_varint};

/// A group is closed once it holds this many bytes of records.
pub(crate) const GROUP_BYTES: usize = 128 * 1024;

/// The most bytes that a group may hold: an edited file must not make us reserve more.
pub(crate) const GROUP_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// The most bytes that the length of a record takes.
const LENGTH_BYTES_MAX: usize = 4;

/// What a group's records are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GroupKind {
    /// Releases, in the order of the log.
    Releases,
    /// Changes of state, in the order in which they apply.
    State,
    /// Bodies, in the order of their ordinals.
    Bodies,
    /// What was purged: each takes an ordinal of its own.
    Purges,
    /// Bodies that came before a release that names them, in the order of their ordinals.
    Staged,
}

impl GroupKind {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Releases => 1,
            Self::State => 2,
            Self::Bodies => 3,
            Self::Purges => 4,
            Self::Staged => 5,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        let all = [Self::Releases, Self::State, Self::Bodies, Self::Purges, Self::Staged];
        all.into_iter().find(|kind| kind.code() == code)
    }

    /// Whether its records are bodies.
    pub(crate) fn holds_bodies(self) -> bool {
        matches!(self, Self::Bodies | Self::Staged)
    }
}

/// A compressed group.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) kind: GroupKind,
    /// How many records it holds.
    pub(crate) count: u32,
    /// Their bytes before compression.
    pub(crate) raw_bytes: u32,
    /// CRC-32 of `bytes`.
    pub(crate) crc: u32,
    /// The zstd frame.
    pub(crate) bytes: Vec<u8>,
}

/// Collects records until they make a group.
#[derive(Debug, Default)]
pub(crate) struct RawGroup {
    bytes: Vec<u8>,
    count: u32,
}

impl RawGroup {
    /// One that will take records of these sizes.
    pub(crate) fn for_records(sizes: impl Iterator<Item = usize>) -> Self {
        Self { bytes: Vec::with_capacity(sizes.map(|bytes| bytes + LENGTH_BYTES_MAX).sum()), count: 0 }
    }

    pub(crate) fn push(&mut self, record: &[u8]) {
        self.push_parts(&[record]);
    }

    /// Adds a record that lies in parts.
    pub(crate) fn push_parts(&mut self, parts: &[&[u8]]) {
        put_varint(&mut self.bytes, parts.iter().map(|part| part.len() as u64).sum());
        parts.iter().for_each(|part| self.bytes.extend_from_slice(part));
        self.count += 1;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= GROUP_BYTES
    }
}

/// A group read back.
#[derive(Debug)]
pub(crate) struct Group {
    raw: Vec<u8>,
    spans: Vec<(u32, u32)>,
}

impl Group {
    /// Finds the records; `None` unless there are exactly `count`.
    fn parse(raw: Vec<u8>, count: u32) -> Option<Self> {
        let mut input = Input(&raw);
        let mut spans = Vec::with_capacity(raw.len().min(count as usize));
        for _ in 0..count {
            let record = input.bytes()?;
            let end = u32::try_from(raw.len() - input.0.len()).ok()?;
            spans.push((end - u32::try_from(record.len()).ok()?, end));
        }
        input.0.is_empty().then_some(Self { raw, spans })
    }

    pub(crate) fn record(&self, position: usize) -> Option<&[u8]> {
        let (start, end) = *self.spans.get(position)?;
        self.raw.get(start as usize..end as usize)
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &[u8]> {
        self.records_from(0)
    }

    pub(crate) fn records_from(&self, position: usize) -> impl Iterator<Item = &[u8]> {
        (position..self.spans.len()).filter_map(|position| self.record(position))
    }

    /// What it costs to keep in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.raw.len() + self.spans.len() * size_of::<(u32, u32)>()
    }
}

/// Compresses and decompresses groups; contexts are kept for reuse, at most one for each thread that was at it.
pub(crate) struct Zip {
    level: i32,
    compressors: Mutex<Vec<Packing>>,
    decompressors: Mutex<Vec<Decompressor<'static>>>,
}

/// A compressor, and where it puts what it makes: that is short in the end, but needs room for what does not compress.
struct Packing {
    compressor: Compressor<'static>,
    out: Vec<u8>,
}

impl Packing {
    fn new(level: i32) -> io::Result<Self> {
        Ok(Self { compressor: Compressor::new(level)?, out: Vec::new() })
    }

    fn pack(&mut self, raw: &[u8]) -> io::Result<Vec<u8>> {
        self.out.reserve(compress_bound(raw.len()));
        self.compressor.compress_to_buffer(raw, &mut self.out)?;
        let packed = self.out.clone();
        self.out.clear();
        self.out.shrink_to(2 * GROUP_BYTES);
        Ok(packed)
    }
}

/// How many idle contexts are kept: each holds about a megabyte.
const IDLE_CONTEXTS_MAX: usize = 4;

fn idle<T>(pool: &Mutex<Vec<T>>) -> MutexGuard<'_, Vec<T>> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

fn put_back<T>(pool: &Mutex<Vec<T>>, context: T) {
    let mut pool = idle(pool);
    if pool.len() < IDLE_CONTEXTS_MAX {
        pool.push(context);
    }
}

impl Zip {
    pub(crate) fn new(level: i32) -> Self {
        Self { level, compressors: Mutex::default(), decompressors: Mutex::default() }
    }

    /// Compresses what `raw` has collected and empties it.
    pub(crate) fn pack(&self, kind: GroupKind, raw: &mut RawGroup) -> io::Result<Packed> {
        let idle = idle(&self.compressors).pop();
        let mut packing = idle.map_or_else(|| Packing::new(self.level), Ok)?;
        let bytes = packing.pack(&raw.bytes)?;
        put_back(&self.compressors, packing);
        let (raw_bytes, count) = (u32::try_from(raw.bytes.len()).map_err(io::Error::other)?, raw.count);
        raw.bytes.clear();
        raw.count = 0;
        Ok(Packed { kind, count, raw_bytes, crc: crc32fast::hash(&bytes), bytes })
    }

    /// Reads a group; `None` if it is not what was written.
    pub(crate) fn unpack(&self, bytes: &[u8], count: u32, raw_bytes: u32, crc: u32) -> Option<Group> {
        if raw_bytes > GROUP_BYTES_MAX || crc32fast::hash(bytes) != crc {
            return None;
        }
        let idle = idle(&self.decompressors).pop();
        let mut decompressor = idle.map_or_else(Decompressor::new, Ok).ok()?;
        let raw = decompressor.decompress(bytes, raw_bytes as usize).ok()?;
        put_back(&self.decompressors, decompressor);
        Group::parse(raw, count).filter(|group| group.raw.len() == raw_bytes as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_survives_and_every_flipped_bit_is_seen() {
        let zip = Zip::new(3);
        let mut raw = RawGroup::default();
        for record in [&b"one"[..], b"", b"three three three three"] {
            raw.push(record);
        }
        let packed = zip.pack(GroupKind::Bodies, &mut raw).unwrap();
        assert!(raw.is_empty());
        let group = zip.unpack(&packed.bytes, 3, packed.raw_bytes, packed.crc).unwrap();
        assert_eq!(group.records().collect::<Vec<_>>(), [&b"one"[..], b"", b"three three three three"]);
        for bit in 0..packed.bytes.len() * 8 {
            let mut bytes = packed.bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(zip.unpack(&bytes, 3, packed.raw_bytes, packed.crc).is_none());
        }
        assert!(zip.unpack(&packed.bytes, 2, packed.raw_bytes, packed.crc).is_none());
        assert!(zip.unpack(&packed.bytes, 3, u32::MAX, packed.crc).is_none());
    }
}
