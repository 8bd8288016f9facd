//! Runs: the postings of one table, sorted, written once and never changed.
//!
//! A run is some blocks of 4 KB, and a head with the first key of each block and a filter, which are kept in
//! memory. A key that a run does not have costs a few bit tests, one that it has costs one read from sled.

use std::sync::Arc;

use super::{
    ROW_BYTES,
    alike::{self, BEGINNING_BYTES, Beginning},
    failed,
    filter::Filter,
    table::{Key, Table},
    unreadable,
};
use crate::contract::StoreError;

/// The prefix of blocks in sled.
const BLOCK: u8 = b'b';

/// The prefix of heads in sled, which are cut into pieces.
const HEAD: u8 = b'h';

/// What the manifest says of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunMeta {
    pub(super) table: Table,
    /// 0 for what a flush writes, one more for each merge.
    pub(super) level: u8,
    pub(super) id: u32,
    pub(super) postings: u64,
    pub(super) blocks: u32,
    pub(super) head_bytes: u32,
}

/// A run that can be searched.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) meta: RunMeta,
    /// The first key of each block.
    fences: Vec<Key>,
    filter: Filter,
}

fn row_key(prefix: u8, run: u32, row: u32) -> [u8; 9] {
    let mut key = [prefix; 9];
    key[1..5].copy_from_slice(&run.to_be_bytes());
    key[5..].copy_from_slice(&row.to_be_bytes());
    key
}

/// Writes a run, posting by posting in ascending order.
pub(super) struct RunWriter<'a> {
    tree: &'a sled::Db,
    run: Run,
    pending: Vec<(Key, u64)>,
}

impl<'a> RunWriter<'a> {
    pub(super) fn new(tree: &'a sled::Db, table: Table, level: u8, id: u32, postings: u64) -> Self {
        let meta = RunMeta { table, level, id, postings: 0, blocks: 0, head_bytes: 0 };
        let run = Run { meta, fences: Vec::new(), filter: Filter::new(table, postings) };
        Self { tree, run, pending: Vec::new() }
    }

    pub(super) fn push(&mut self, key: Key, value: u64) -> Result<(), StoreError> {
        self.run.filter.insert(&key);
        self.pending.push((key, value));
        let entry_bytes = self.run.meta.table.key_bytes() + 4;
        if self.pending.len() * entry_bytes >= ROW_BYTES { self.write_block() } else { Ok(()) }
    }

    fn write_block(&mut self) -> Result<(), StoreError> {
        let Some((first, _)) = self.pending.first() else { return Ok(()) };
        self.run.fences.push(*first);
        let block = encode_block(&self.pending, self.run.meta.table.key_bytes());
        let key = row_key(BLOCK, self.run.meta.id, self.run.meta.blocks);
        self.tree.insert(key, block).map_err(|error| failed(&error))?;
        self.run.meta.blocks += 1;
        self.run.meta.postings += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Arc<Run>, StoreError> {
        self.write_block()?;
        let width = self.run.meta.table.key_bytes();
        let mut head: Vec<u8> = self.run.fences.iter().flat_map(|fence| &fence[..width]).copied().collect();
        self.run.filter.put(&mut head);
        self.run.meta.head_bytes = u32::try_from(head.len()).map_err(|_| unreadable("a run so large"))?;
        for (row, piece) in (0..).zip(head.chunks(ROW_BYTES)) {
            let key = row_key(HEAD, self.run.meta.id, row);
            self.tree.insert(key, piece).map_err(|error| failed(&error))?;
        }
        Ok(Arc::new(self.run))
    }
}

/// Lays a block out: the bytes that all its keys begin with once, and values as wide as the largest needs.
fn encode_block(postings: &[(Key, u64)], width: usize) -> Vec<u8> {
    let (first, last) = (postings[0].0, postings[postings.len() - 1].0);
    let shared = first[..width].iter().zip(&last[..width]).take_while(|(a, b)| a == b).count();
    let largest = postings.iter().map(|(_, value)| *value).max().unwrap_or(0);
    let value_width = (8 - largest.leading_zeros() as usize / 8).max(1);
    // INVARIANT: neither width is over 16.
    let mut out = Vec::with_capacity(2 + shared + postings.len() * (width - shared + value_width));
    out.extend([shared, value_width].map(|width| u8::try_from(width).unwrap_or(u8::MAX)));
    out.extend_from_slice(&first[..shared]);
    for (key, value) in postings {
        out.extend_from_slice(&key[shared..width]);
        out.extend_from_slice(&value.to_be_bytes()[8 - value_width..]);
    }
    out
}

/// A block as it lies in sled.
struct Block {
    bytes: sled::IVec,
    shared: usize,
    /// The bytes of a key that follow the shared ones, and of a value.
    widths: (usize, usize),
    count: usize,
}

impl Block {
    fn read(tree: &sled::Db, meta: &RunMeta, block: u32) -> Result<Self, StoreError> {
        let bytes = tree.get(row_key(BLOCK, meta.id, block)).map_err(|error| failed(&error))?;
        let bytes = bytes.ok_or_else(|| unreadable("a block of a run"))?;
        Self::parse(bytes, meta.table.key_bytes()).ok_or_else(|| unreadable("a block of a run"))
    }

    fn parse(bytes: sled::IVec, width: usize) -> Option<Self> {
        let (shared, value_width) = (usize::from(*bytes.first()?), usize::from(*bytes.get(1)?));
        let suffix = width.checked_sub(shared).filter(|_| (1..=8).contains(&value_width))?;
        let entries = bytes.len().checked_sub(2 + shared)?;
        let is_whole = entries.is_multiple_of(suffix + value_width);
        let count = entries / (suffix + value_width);
        is_whole.then_some(Self { bytes, shared, widths: (suffix, value_width), count })
    }

    fn suffix(&self, position: usize) -> &[u8] {
        let start = 2 + self.shared + position * (self.widths.0 + self.widths.1);
        &self.bytes[start..start + self.widths.0]
    }

    fn key(&self, position: usize) -> Key {
        let mut key = [0; 16];
        key[..self.shared].copy_from_slice(&self.bytes[2..2 + self.shared]);
        key[self.shared..self.shared + self.widths.0].copy_from_slice(self.suffix(position));
        key
    }

    fn value(&self, position: usize) -> u64 {
        let end = 2 + self.shared + (position + 1) * (self.widths.0 + self.widths.1);
        self.bytes[end - self.widths.1..end].iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
    }

    /// The place of the first posting that is not before `from`.
    fn seek(&self, from: (Key, u64)) -> usize {
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if (self.key(middle), self.value(middle)) < from { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Adds the postings of the keys that begin as `first`, the lowest of them, does.
    fn find_beginning(&self, first: Key, found: &mut Vec<(Key, u64)>) {
        let behind = (self.seek((first, 0))..self.count).map(|position| (self.key(position), self.value(position)));
        found.extend(behind.take_while(|(key, _)| alike::beginning(key) == alike::beginning(&first)));
    }

    /// Adds the values of `key` to `found`.
    fn find(&self, key: &Key, found: &mut Vec<u64>) {
        if key[..self.shared] != self.bytes[2..2 + self.shared] {
            return;
        }
        let wanted = &key[self.shared..self.shared + self.widths.0];
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low.midpoint(high);
            if self.suffix(middle) < wanted { low = middle + 1 } else { high = middle }
        }
        let matches = (low..self.count).take_while(|position| self.suffix(*position) == wanted);
        found.extend(matches.map(|position| self.value(position)));
    }
}

impl Run {
    /// Reads the head of a run.
    pub(super) fn open(tree: &sled::Db, meta: RunMeta) -> Result<Arc<Self>, StoreError> {
        let mut head = Vec::new();
        let mut row = 0;
        while head.len() < meta.head_bytes as usize {
            let piece = tree.get(row_key(HEAD, meta.id, row)).map_err(|error| failed(&error))?;
            head.extend_from_slice(&piece.ok_or_else(|| unreadable("the head of a run"))?);
            row += 1;
        }
        let width = meta.table.key_bytes();
        let fences_bytes = width * meta.blocks as usize;
        let (fences, filter) = head.split_at_checked(fences_bytes).ok_or_else(|| unreadable("the head of a run"))?;
        let filter = Filter::read(meta.table, filter).ok_or_else(|| unreadable("the filter of a run"))?;
        let fences = fences.chunks(width).map(|fence| {
            let mut key = [0; 16];
            key[..width].copy_from_slice(fence);
            key
        });
        Ok(Arc::new(Self { meta, fences: fences.collect(), filter }))
    }

    pub(super) fn table(&self) -> Table {
        self.meta.table
    }

    /// Whether it may have postings from `first` to `last`; told without reading any.
    pub(super) fn may_hold(&self, first: &Key, last: &Key) -> bool {
        let is_before = self.fences.first().is_none_or(|fence| fence > last);
        !is_before && (first != last || self.filter.may_hold(first))
    }

    pub(super) fn reader<'a>(&'a self, tree: &'a sled::Db) -> Reader<'a> {
        Reader { run: self, tree, last: None }
    }

    /// Removes a run that no manifest names any more.
    pub(super) fn remove(tree: &sled::Db, id: u32) -> Result<(), StoreError> {
        for prefix in [BLOCK, HEAD] {
            let rows = row_key(prefix, id, 0)..=row_key(prefix, id, u32::MAX);
            for key in tree.range(rows).keys() {
                tree.remove(key.map_err(|error| failed(&error))?).map_err(|error| failed(&error))?;
            }
        }
        Ok(())
    }

    /// The ids of all runs of which sled holds rows.
    pub(super) fn ids(tree: &sled::Db) -> Result<Vec<u32>, StoreError> {
        let mut ids = Vec::new();
        for prefix in [BLOCK, HEAD] {
            let mut from = row_key(prefix, 0, 0);
            while let Some(row) = tree.range(from..row_key(prefix + 1, 0, 0)).keys().next() {
                let key = row.map_err(|error| failed(&error))?;
                let id = key.get(1..5).and_then(|id| id.try_into().ok()).map(u32::from_be_bytes);
                let id = id.ok_or_else(|| unreadable("the key of a run"))?;
                ids.push(id);
                let Some(next) = id.checked_add(1) else { break };
                from = row_key(prefix, next, 0);
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }
}

/// Searches a run, with the block that was read last at hand.
pub(super) struct Reader<'a> {
    run: &'a Run,
    tree: &'a sled::Db,
    last: Option<(u32, Block)>,
}

impl Reader<'_> {
    /// Adds the values of `key` to `found`.
    pub(super) fn find(&mut self, key: &Key, found: &mut Vec<u64>) -> Result<(), StoreError> {
        if !self.run.filter.may_hold(key) {
            return Ok(());
        }
        // The key's first posting may be in the block before the first whose first key is not smaller.
        let after = self.run.fences.partition_point(|fence| fence < key);
        let mut block = after.saturating_sub(1);
        while self.run.fences.get(block).is_some_and(|fence| fence <= key) {
            self.block(block)?.find(key, found);
            block += 1;
        }
        Ok(())
    }

    /// Adds the postings of all keys that begin so to `found`.
    pub(super) fn find_beginning(
        &mut self,
        beginning: &Beginning,
        found: &mut Vec<(Key, u64)>,
    ) -> Result<(), StoreError> {
        let mut first = [0; 16];
        first[..BEGINNING_BYTES].copy_from_slice(beginning);
        // The filter goes by no more of a key than that.
        if !self.run.filter.may_hold(&first) {
            return Ok(());
        }
        let mut block = self.run.fences.partition_point(|fence| *fence < first).saturating_sub(1);
        while self.run.fences.get(block).is_some_and(|fence| alike::beginning(fence) <= beginning) {
            self.block(block)?.find_beginning(first, found);
            block += 1;
        }
        Ok(())
    }

    fn block(&mut self, block: usize) -> Result<&Block, StoreError> {
        let number = u32::try_from(block).map_err(|_| unreadable("a block of a run"))?;
        let kept = self.last.take().filter(|(kept, _)| *kept == number);
        let read = || Ok((number, Block::read(self.tree, &self.run.meta, number)?));
        Ok(&self.last.insert(kept.map_or_else(read, Ok)?).1)
    }
}

/// Reads a run's postings in order.
pub(super) struct Cursor<'a> {
    run: &'a Run,
    tree: &'a sled::Db,
    block: u32,
    current: Option<Block>,
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(run: &'a Run, tree: &'a sled::Db) -> Self {
        Self { run, tree, block: 0, current: None, position: 0 }
    }

    /// Begins at the first posting that is not before `from`.
    pub(super) fn seek(run: &'a Run, tree: &'a sled::Db, from: (Key, u64)) -> Result<Self, StoreError> {
        let before = run.fences.partition_point(|fence| *fence < from.0).saturating_sub(1);
        let mut cursor = Self::new(run, tree);
        cursor.block = u32::try_from(before).map_err(|_| unreadable("a block of a run"))?;
        loop {
            let Some(block) = cursor.load()? else { return Ok(cursor) };
            let (position, count) = (block.seek(from), block.count);
            cursor.position = position;
            if position < count {
                return Ok(cursor);
            }
        }
    }

    /// The next posting.
    pub(super) fn next(&mut self) -> Result<Option<(Key, u64)>, StoreError> {
        loop {
            if let Some(block) = self.current.as_ref().filter(|block| self.position < block.count) {
                self.position += 1;
                return Ok(Some((block.key(self.position - 1), block.value(self.position - 1))));
            }
            if self.load()?.is_none() {
                return Ok(None);
            }
        }
    }

    /// Goes on to the next block; `None` behind the last.
    fn load(&mut self) -> Result<Option<&Block>, StoreError> {
        if self.block == self.run.meta.blocks {
            self.current = None;
            return Ok(None);
        }
        let block = Block::read(self.tree, &self.run.meta, self.block)?;
        self.position = 0;
        self.block += 1;
        Ok(Some(self.current.insert(block)))
    }
}
