//! Sketches of sets of releases, from which two sides find out how their sets differ at the cost of the difference.
//!
//! A sketch is a sequence of *cells*, each the sum of those items that are in it; subtracting the other
//! side's cells leaves a sketch of what is in one set only, and [`decode`] reads that from a prefix about 1.4 times as long
//! as the difference. The sequence has no end: a side that cannot decode yet asks for more of the same cells.
//!
//! Items are known by *short* ids of 8 bytes, keyed by the agreement and by random numbers of both daemons: nobody
//! else can prepare releases whose short ids collide, and a sketch stays good from one session to the next.

mod compare;
mod decode;
mod mapping;

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    ops::Range,
};

use mithaq_core::id::{AgreementId, ReleaseId, sha256_of};

use self::mapping::Mapping;
pub use self::{
    compare::{Compared, compare},
    decode::{Difference, Undecided, decode},
};
use crate::limits::{CELLS_FIRST_EQUAL, CELLS_FIRST_MIN, CELLS_FRAME_MAX, CELLS_MAX};

/// What a cell takes on the wire.
pub const CELL_BYTES: usize = 12;

/// How many cells a sketch keeps up to date before anybody asks.
const CELLS_KEPT: usize = 2_048;

/// The domain of the hash that makes short ids.
const DOMAIN: &[u8] = b"mithaq-sketch/1\0";

/// How many cells the first frame has for two sets of so many releases: enough for none or a difference that is all in one
/// direction.
#[must_use]
pub fn first_cells(one: u64, other: u64) -> usize {
    if one == other {
        return CELLS_FIRST_EQUAL;
    }
    let more = usize::try_from(one.abs_diff(other)).unwrap_or(CELLS_FRAME_MAX);
    more.saturating_add(more / 2).saturating_add(16).clamp(CELLS_FIRST_MIN, CELLS_FRAME_MAX)
}

/// Turns the ids of releases into short ones, for one direction of one pair of daemons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SketchKey([u8; 32]);

impl SketchKey {
    /// The key for what `source` releases to `sink`, each named by the instance that its hello told.
    #[must_use]
    pub fn new(agreement: AgreementId, source: [u8; 16], sink: [u8; 16]) -> Self {
        Self(sha256_of(&[DOMAIN, agreement.as_bytes(), &source, &sink]))
    }

    /// What stands for a release in sketches and digests.
    #[must_use]
    pub fn mark(&self, release: ReleaseId) -> Mark {
        let hash = sha256_of(&[&self.0, release.as_bytes()]);
        let word = |place: usize| hash[8 * place..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Mark { short: word(0), digest: word(1) }
    }
}

/// What stands for a release under a [`SketchKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The short id.
    pub short: u64,
    /// What it adds to the digest of a set.
    pub digest: u64,
}

/// A digest of a set of releases, whatever the order in which they came and went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Digest {
    /// How many they are.
    pub count: u64,
    /// The sum of what each adds, modulo 2^64.
    pub sum: u64,
}

impl Digest {
    /// Takes 16 bytes that were received: count and sum in big-endian order.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (count, sum) = bytes.split_first_chunk::<8>()?;
        Some(Self { count: u64::from_be_bytes(*count), sum: u64::from_be_bytes(sum.try_into().ok()?) })
    }

    /// The 16 bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.count.to_be_bytes());
        bytes[8..].copy_from_slice(&self.sum.to_be_bytes());
        bytes
    }

    /// Takes a release in.
    pub fn add(&mut self, mark: Mark) {
        self.count = self.count.wrapping_add(1);
        self.sum = self.sum.wrapping_add(mark.digest);
    }

    /// Takes a release out.
    pub fn remove(&mut self, mark: Mark) {
        self.count = self.count.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(mark.digest);
    }
}

/// The sum of the items of one cell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cell {
    /// Their short ids, by exclusive or.
    sum: u64,
    /// Their check values of 24 bits, by exclusive or.
    check: u32,
    /// How many they are, modulo 256.
    count: u8,
}

impl Cell {
    /// Reads a run of cells; `None` if the last is cut.
    #[must_use]
    pub fn read_all(bytes: &[u8]) -> Option<Vec<Self>> {
        let (cells, rest) = bytes.as_chunks::<CELL_BYTES>();
        rest.is_empty().then(|| cells.iter().map(Self::read).collect())
    }

    /// Writes a run of cells.
    #[must_use]
    pub fn write_all(cells: &[Self]) -> Vec<u8> {
        cells.iter().flat_map(Self::write).collect()
    }

    /// Sum (8, big-endian), check (3, big-endian), count (1).
    fn read(bytes: &[u8; CELL_BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, high, middle, low, count] = *bytes;
        Self {
            sum: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            check: u32::from_be_bytes([0, high, middle, low]),
            count,
        }
    }

    fn write(&self) -> [u8; CELL_BYTES] {
        let ([a, b, c, d, e, f, g, h], [_, high, middle, low]) = (self.sum.to_be_bytes(), self.check.to_be_bytes());
        [a, b, c, d, e, f, g, h, high, middle, low, self.count]
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is left of a cell without another.
    fn minus(&self, other: &Self) -> Self {
        let count = self.count.wrapping_sub(other.count);
        Self { sum: self.sum ^ other.sum, check: self.check ^ other.check, count }
    }

    /// Adds an item once, or, with -1 as 255, takes it out.
    fn add(&mut self, short: u64, times: u8) {
        self.sum ^= short;
        self.check ^= check_of(short);
        self.count = self.count.wrapping_add(times);
    }
}

/// The 24 bits by which a cell of one item is told from a cell of several.
fn check_of(short: u64) -> u32 {
    // Another draw than the first of the mapping, which begins with the short id itself.
    u32::try_from(mapping::mix(&mut !short) >> 40).unwrap_or(0)
}

/// A short id is a hash already.
#[derive(Debug, Default, Clone)]
struct ShortHasher(u64);

impl Hasher for ShortHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, short: u64) {
        self.0 = short;
    }
}

/// A set of releases, each with what its keeper wants to know of it, and the first cells of its sketch, which are kept up
/// to date as releases come and go.
#[derive(Debug, Clone)]
pub struct Sketch<T> {
    items: HashMap<u64, (u64, T), BuildHasherDefault<ShortHasher>>,
    digest: Digest,
    cells: Vec<Cell>,
}

impl<T> Default for Sketch<T> {
    fn default() -> Self {
        Self { items: HashMap::default(), digest: Digest::default(), cells: vec![Cell::default(); CELLS_KEPT] }
    }
}

impl<T> Sketch<T> {
    /// A sketch of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a release in; says whether it was not there. Of two releases with one short id the first stays: the digest
    /// then tells that the sets differ.
    pub fn insert(&mut self, mark: Mark, item: T) -> bool {
        if self.items.contains_key(&mark.short) {
            return false;
        }
        self.items.insert(mark.short, (mark.digest, item));
        self.digest.add(mark);
        self.change(mark.short, 1);
        true
    }

    /// Takes a release out.
    pub fn remove(&mut self, short: u64) -> Option<T> {
        let (digest, item) = self.items.remove(&short)?;
        self.digest.remove(Mark { short, digest });
        self.change(short, u8::MAX);
        Some(item)
    }

    /// What is kept of a release.
    #[must_use]
    pub fn get(&self, short: u64) -> Option<&T> {
        self.items.get(&short).map(|(_, item)| item)
    }

    /// What stands for a release of this set.
    #[must_use]
    pub fn mark(&self, short: u64) -> Option<Mark> {
        self.items.get(&short).map(|(digest, _)| Mark { short, digest: *digest })
    }

    /// How many releases there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The digest of the set.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Some of the cells, of which there are [`CELLS_MAX`]. Cells that were never asked for cost a pass over all items;
    /// from then on they are kept up to date too.
    pub fn cells(&mut self, range: Range<usize>) -> &[Cell] {
        let end = range.end.min(CELLS_MAX);
        if end > self.cells.len() {
            // In large steps, since each is a pass over all items.
            self.grow((4 * self.cells.len()).max(end.next_power_of_two()).min(CELLS_MAX));
        }
        self.cells.get(range.start..end).unwrap_or_default()
    }

    fn grow(&mut self, end: usize) {
        let start = self.cells.len();
        self.cells.resize(end, Cell::default());
        for short in self.items.keys() {
            for cell in Mapping::cells(*short, end).skip_while(|cell| *cell < start) {
                self.cells[cell].add(*short, 1);
            }
        }
    }

    fn change(&mut self, short: u64, times: u8) {
        for cell in Mapping::cells(short, self.cells.len()) {
            self.cells[cell].add(short, times);
        }
    }
}

#[cfg(test)]
mod tests;
