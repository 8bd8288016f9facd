//! Arrays of records of one size, kept in sled as blocks: the log's rows, and where the packs' groups lie.

use mithaq_core::{id::ReleaseId, time::Time};

use super::{ROW_BYTES, failed, unreadable};
use crate::{
    contract::{LogRow, StoreError},
    pack::{codec::Input, frame::Entry, segments::Position},
};

/// A record of fixed size.
pub(super) trait Fixed: Sized + Copy {
    /// Its size.
    const BYTES: usize;
    /// How many share a block.
    const PER_BLOCK: usize = ROW_BYTES / Self::BYTES;
    fn put(&self, out: &mut Vec<u8>);
    fn read(input: &mut Input<'_>) -> Option<Self>;
}

/// A log row as the index keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) release: [u8; 32],
    pub(crate) added_at: Time,
    /// The ordinal of the first body that came with it.
    pub(crate) first: u64,
    /// How many bodies came with it.
    pub(crate) stored: u32,
    pub(crate) objects: u32,
    pub(crate) all_new: bool,
}

impl Row {
    /// Stands for a row that was lost to damage, before the body `first`.
    pub(crate) fn hole(first: u64) -> Self {
        Self { release: [0; 32], added_at: Time::from_micros(0), first, stored: 0, objects: 0, all_new: false }
    }

    /// Whether no reader sees it.
    pub(crate) fn is_hole(&self) -> bool {
        self.release == [0; 32]
    }

    /// Whether it was lost to damage, and not purged.
    pub(crate) fn is_lost(&self) -> bool {
        self.is_hole() && self.objects == 0
    }

    /// What stays of it once it is purged.
    pub(crate) fn purged(self) -> Self {
        Self { release: [0; 32], all_new: false, ..self }
    }

    /// The first microsecond that none of its objects has.
    pub(crate) fn next_added_at(&self) -> Time {
        Time::from_micros(self.added_at.as_micros().saturating_add(i64::from(self.objects)))
    }

    /// The row as the contract shows it.
    pub(crate) fn public(&self, seq: u64) -> LogRow {
        LogRow {
            seq,
            release: ReleaseId::from_bytes(self.release),
            added_at: self.added_at,
            objects: self.objects,
            all_new: self.all_new,
        }
    }
}

impl Fixed for Row {
    const BYTES: usize = 57;

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.release);
        out.extend_from_slice(&self.added_at.as_micros().to_le_bytes());
        out.extend_from_slice(&self.first.to_le_bytes());
        out.extend_from_slice(&self.stored.to_le_bytes());
        out.extend_from_slice(&self.objects.to_le_bytes());
        out.push(u8::from(self.all_new));
    }

    fn read(input: &mut Input<'_>) -> Option<Self> {
        Some(Self {
            release: input.array()?,
            added_at: Time::from_micros(i64::from_le_bytes(input.array()?)),
            first: input.u64()?,
            stored: input.u32()?,
            objects: input.u32()?,
            all_new: input.byte()? != 0,
        })
    }
}

/// Where a group lies and which numbers its records have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) first: u64,
    pub(crate) count: u32,
    pub(crate) segment: u32,
    pub(crate) offset: u32,
    pub(crate) packed_bytes: u32,
    pub(crate) raw_bytes: u32,
    pub(crate) crc: u32,
}

impl Extent {
    /// The extent of a group; `None` if the segment is larger than any that this program writes.
    pub(crate) fn of(entry: &Entry, at: Position) -> Option<Self> {
        Some(Self {
            first: entry.first,
            count: entry.count,
            segment: at.segment,
            offset: at.offset.try_into().ok()?,
            packed_bytes: entry.packed_bytes,
            raw_bytes: entry.raw_bytes,
            crc: entry.crc,
        })
    }

    /// The bytes of one of its records, about.
    pub(crate) fn share(&self) -> u64 {
        u64::from(self.packed_bytes) / u64::from(self.count.max(1))
    }

    pub(crate) fn at(&self) -> Position {
        Position { segment: self.segment, offset: u64::from(self.offset) }
    }
}

impl Fixed for Extent {
    const BYTES: usize = 32;

    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.first.to_le_bytes());
        for number in [self.count, self.segment, self.offset, self.packed_bytes, self.raw_bytes, self.crc] {
            out.extend_from_slice(&number.to_le_bytes());
        }
    }

    fn read(input: &mut Input<'_>) -> Option<Self> {
        Some(Self {
            first: input.u64()?,
            count: input.u32()?,
            segment: input.u32()?,
            offset: input.u32()?,
            packed_bytes: input.u32()?,
            raw_bytes: input.u32()?,
            crc: input.u32()?,
        })
    }
}

/// The extent that holds a number, and the record's place in it.
pub(crate) fn find_extent(extents: &[Extent], number: u64) -> Option<(Extent, usize)> {
    let after = extents.partition_point(|extent| extent.first <= number);
    let extent = extents.get(after.checked_sub(1)?)?;
    let position = number - extent.first;
    (position < u64::from(extent.count)).then_some((*extent, usize::try_from(position).ok()?))
}

fn block_key(prefix: u8, block: u64) -> [u8; 9] {
    let mut key = [prefix; 9];
    key[1..].copy_from_slice(&block.to_be_bytes());
    key
}

/// Writes `items`, the first of which opens a block and has number `first`.
pub(super) fn write_blocks<T: Fixed>(tree: &sled::Db, prefix: u8, first: u64, items: &[T]) -> Result<(), StoreError> {
    let block = first / T::PER_BLOCK as u64;
    for (block, items) in (block..).zip(items.chunks(T::PER_BLOCK)) {
        let mut out = Vec::with_capacity(T::BYTES * items.len());
        for item in items {
            item.put(&mut out);
        }
        tree.insert(block_key(prefix, block), out).map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Reads the items of one block; those behind the array's end may be left from a flush that was cut off.
pub(super) fn read_block<T: Fixed>(tree: &sled::Db, prefix: u8, block: u64) -> Result<Vec<T>, StoreError> {
    let bytes = tree.get(block_key(prefix, block)).map_err(|error| failed(&error))?;
    let bytes = bytes.ok_or_else(|| unreadable("a block of the log"))?;
    let mut input = Input(&bytes);
    let mut items = Vec::with_capacity(T::PER_BLOCK);
    while !input.0.is_empty() && items.len() < T::PER_BLOCK {
        items.push(T::read(&mut input).ok_or_else(|| unreadable("a block of the log"))?);
    }
    Ok(items)
}

/// Reads the items `from .. to`; `from` opens a block.
pub(super) fn read_items<T: Fixed>(tree: &sled::Db, prefix: u8, from: u64, to: u64) -> Result<Vec<T>, StoreError> {
    let count = usize::try_from(to.saturating_sub(from)).unwrap_or(usize::MAX);
    let mut items = Vec::new();
    let mut block = from / T::PER_BLOCK as u64;
    while items.len() < count {
        let read = read_block::<T>(tree, prefix, block)?;
        if read.len() < T::PER_BLOCK && items.len() + read.len() < count {
            return Err(unreadable("a block of the log"));
        }
        items.extend(read);
        block += 1;
    }
    items.truncate(count);
    Ok(items)
}

/// The prefix of row blocks in sled.
pub(super) const ROWS: u8 = b'l';

/// The log's rows: the newest in memory, whole blocks of older ones in sled.
#[derive(Debug, Default)]
pub(super) struct RowStore {
    /// How many rows lie in whole blocks and are not in `tail`.
    base: u64,
    tail: Vec<Row>,
}

impl RowStore {
    pub(super) fn open(tree: &sled::Db, count: u64) -> Result<Self, StoreError> {
        let base = count - count % Row::PER_BLOCK as u64;
        Ok(Self { base, tail: read_items(tree, ROWS, base, count)? })
    }

    pub(super) fn len(&self) -> u64 {
        self.base + self.tail.len() as u64
    }

    pub(super) fn push(&mut self, row: Row) {
        self.tail.push(row);
    }

    /// What has to be written, with the number of its first row.
    pub(super) fn unwritten(&self) -> (u64, Vec<Row>) {
        (self.base, self.tail.clone())
    }

    /// Forgets the rows up to row `len` whose blocks are whole, now that sled has them.
    pub(super) fn trim(&mut self, len: u64) {
        let written =
            usize::try_from(len.saturating_sub(self.base)).map_or(self.tail.len(), |len| len.min(self.tail.len()));
        let whole = written - written % Row::PER_BLOCK;
        self.tail.drain(..whole);
        self.base += whole as u64;
    }

    /// At most `limit` rows after row `after`, each with its number; rows count from 1.
    pub(super) fn range(&self, tree: &sled::Db, after: u64, limit: usize) -> Result<Vec<(u64, Row)>, StoreError> {
        let end = self.len().min(after.saturating_add(limit as u64));
        let mut rows = Vec::new();
        let mut at = after;
        while at < end.min(self.base) {
            let block = at / Row::PER_BLOCK as u64;
            let skip = usize::try_from(at - block * Row::PER_BLOCK as u64).unwrap_or(usize::MAX);
            let read = read_block::<Row>(tree, ROWS, block)?;
            if read.len() < Row::PER_BLOCK {
                return Err(unreadable("a block of the log"));
            }
            rows.extend((at + 1..=end).zip(read.into_iter().skip(skip)));
            at = (block + 1) * Row::PER_BLOCK as u64;
        }
        if at < end {
            let skip = usize::try_from(at - self.base).unwrap_or(usize::MAX);
            rows.extend((at + 1..=end).zip(self.tail.iter().copied().skip(skip)));
        }
        Ok(rows)
    }

    /// The number of the row that brought a body.
    pub(super) fn row_of_body(&self, tree: &sled::Db, ordinal: u64) -> Result<Option<u64>, StoreError> {
        if self.tail.first().is_some_and(|row| row.first <= ordinal) {
            return Ok(find_row(&self.tail, ordinal).map(|position| self.base + position + 1));
        }
        // The last block whose first row begins at or before the body.
        let (mut low, mut high) = (0, self.base / Row::PER_BLOCK as u64);
        while low < high {
            let middle = low.midpoint(high);
            let first = read_block::<Row>(tree, ROWS, middle)?.first().map_or(u64::MAX, |row| row.first);
            if first <= ordinal { low = middle + 1 } else { high = middle }
        }
        let Some(block) = low.checked_sub(1) else { return Ok(None) };
        let rows = read_block::<Row>(tree, ROWS, block)?;
        Ok(find_row(&rows, ordinal).map(|position| block * Row::PER_BLOCK as u64 + position + 1))
    }
}

/// The place in `rows` of the one that brought a body.
fn find_row(rows: &[Row], ordinal: u64) -> Option<u64> {
    let after = rows.partition_point(|row| row.first <= ordinal);
    // Rows that brought nothing share their first ordinal with the next that brought something.
    let position = rows[..after].iter().rposition(|row| row.stored > 0)?;
    (ordinal - rows[position].first < u64::from(rows[position].stored)).then_some(position as u64)
}
