//! Which numbers stand for what is gone, or is only staged: a bit each, kept in memory and in sled as blocks.

use std::collections::{BTreeMap, BTreeSet};

use super::{ROW_BYTES, failed, unreadable};
use crate::contract::StoreError;

/// The prefixes of blocks in sled: those of bodies, those of rows of the log, and those of bodies that are staged.
pub(super) const GONE_BODIES: u8 = b'p';
pub(super) const GONE_ROWS: u8 = b'q';
pub(super) const STAGED_BODIES: u8 = b'u';

/// How many numbers share a block.
const PER_BLOCK: u64 = ROW_BYTES as u64 * 8;

/// A block by its number; `None` if nothing is left in it.
pub(super) type Block = (u64, Option<Vec<u8>>);

/// A set of numbers.
#[derive(Debug, Default)]
pub(super) struct Bits {
    blocks: BTreeMap<u64, Vec<u8>>,
    /// Blocks that sled does not have yet.
    unwritten: BTreeSet<u64>,
}

fn place(number: u64) -> (u64, usize, u8) {
    let bit = number % PER_BLOCK;
    (number / PER_BLOCK, usize::try_from(bit / 8).unwrap_or(0), 1 << (bit % 8))
}

fn block_key(prefix: u8, block: u64) -> [u8; 9] {
    let mut key = [prefix; 9];
    key[1..].copy_from_slice(&block.to_be_bytes());
    key
}

impl Bits {
    pub(super) fn open(tree: &sled::Db, prefix: u8) -> Result<Self, StoreError> {
        let mut bits = Self::default();
        for row in tree.range([prefix]..[prefix + 1]) {
            let (key, block) = row.map_err(|error| failed(&error))?;
            let number = key.get(1..).and_then(|number| number.try_into().ok()).map(u64::from_be_bytes);
            let block = Some(block.to_vec()).filter(|block| block.len() == ROW_BYTES);
            let damaged = || unreadable("a block of what was purged");
            bits.blocks.insert(number.ok_or_else(damaged)?, block.ok_or_else(damaged)?);
        }
        Ok(bits)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        let (block, byte, bit) = place(number);
        self.blocks.get(&block).is_some_and(|block| block[byte] & bit != 0)
    }

    /// Adds a number; says whether it is new.
    pub(super) fn insert(&mut self, number: u64) -> bool {
        let (number, byte, bit) = place(number);
        let block = self.blocks.entry(number).or_insert_with(|| vec![0; ROW_BYTES]);
        let is_new = block[byte] & bit == 0;
        block[byte] |= bit;
        if is_new {
            self.unwritten.insert(number);
        }
        is_new
    }

    /// Takes a number out; says whether it was there.
    pub(super) fn remove(&mut self, number: u64) -> bool {
        let (number, byte, bit) = place(number);
        let Some(block) = self.blocks.get_mut(&number).filter(|block| block[byte] & bit != 0) else { return false };
        block[byte] &= !bit;
        if block.iter().all(|byte| *byte == 0) {
            self.blocks.remove(&number);
        }
        self.unwritten.insert(number);
        true
    }

    /// How many there are.
    pub(super) fn len(&self) -> u64 {
        self.blocks.values().flatten().map(|byte| u64::from(byte.count_ones())).sum()
    }

    /// The numbers, ascending.
    pub(super) fn iter(&self) -> impl Iterator<Item = u64> {
        self.blocks.iter().flat_map(|(number, block)| {
            let bits = block.iter().enumerate().flat_map(|(byte, bits)| {
                let set = (0..8_u64).filter(move |bit| bits >> bit & 1 == 1);
                set.map(move |bit| byte as u64 * 8 + bit)
            });
            bits.map(move |bit| number * PER_BLOCK + bit)
        })
    }

    /// Takes out what sled does not have.
    pub(super) fn take_unwritten(&mut self) -> Vec<Block> {
        let numbers = std::mem::take(&mut self.unwritten);
        numbers.into_iter().map(|number| (number, self.blocks.get(&number).cloned())).collect()
    }

    /// Notes that these blocks were not written after all.
    pub(super) fn put_back(&mut self, blocks: &[Block]) {
        self.unwritten.extend(blocks.iter().map(|(number, _)| *number));
    }
}

/// Adds blocks to a batch.
pub(super) fn write(prefix: u8, blocks: &[Block], batch: &mut sled::Batch) {
    for (number, block) in blocks {
        match block {
            Some(block) => batch.insert(&block_key(prefix, *number)[..], block.as_slice()),
            None => batch.remove(&block_key(prefix, *number)[..]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_and_no_others() {
        let tree = sled::Config::new().temporary(true).open().unwrap();
        let mut bits = Bits::default();
        let numbers = [0, 7, 8, PER_BLOCK - 1, PER_BLOCK, 5 * PER_BLOCK + 3];
        for number in numbers {
            assert!(bits.insert(number) && !bits.insert(number));
        }
        let mut batch = sled::Batch::default();
        let written = bits.take_unwritten();
        bits.put_back(&written);
        assert_eq!(bits.take_unwritten(), written, "what was not written comes again");
        super::write(GONE_ROWS, &written, &mut batch);
        tree.apply_batch(batch).unwrap();
        assert_eq!(written.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [0, 1, 5]);
        assert!(bits.take_unwritten().is_empty());
        let read = Bits::open(&tree, GONE_ROWS).unwrap();
        for number in 0..6 * PER_BLOCK {
            assert_eq!(read.contains(number), numbers.contains(&number), "{number}");
        }
        assert!(Bits::open(&tree, GONE_BODIES).unwrap().is_empty());
        assert_eq!(bits.iter().collect::<Vec<_>>(), numbers);
        assert_eq!(bits.len(), 6);
        assert!(bits.remove(7) && !bits.remove(7) && bits.remove(PER_BLOCK) && !bits.remove(2 * PER_BLOCK));
        let mut batch = sled::Batch::default();
        let written = bits.take_unwritten();
        assert_eq!(
            written.iter().map(|(number, block)| (*number, block.is_some())).collect::<Vec<_>>(),
            [(0, true), (1, false)]
        );
        super::write(GONE_ROWS, &written, &mut batch);
        tree.apply_batch(batch).unwrap();
        let read = Bits::open(&tree, GONE_ROWS).unwrap();
        assert_eq!((read.len(), read.contains(7), read.contains(8), read.contains(PER_BLOCK)), (4, false, true, false));
    }
}
