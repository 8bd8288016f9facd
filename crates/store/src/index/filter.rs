//! Filters that say of a key that a run does not have it, or that it may.
//!
//! Each key has one block of 32 bytes, and a bit in each of the block's eight words: whatever the answer is, it costs
//! one look at memory, and while the processor waits for that it goes on to the next run's filter.

use super::table::{Key, Table};

/// Words of a block.
const WORDS: usize = 8;

/// Bytes of a block.
const BLOCK_BYTES: usize = 4 * WORDS;

/// Odd numbers, drawn once, that place a key's bit in each word.
const SALTS: [u32; WORDS] =
    [0x733b_a43b, 0xe13b_ecb9, 0x7bde_a469, 0xdf17_aa73, 0xfe0a_6095, 0xf049_823f, 0x5335_5837, 0xf87f_7763];

/// A block, which never lies across two lines of the processor's cache.
#[derive(Debug, Clone, Copy, Default)]
#[repr(align(32))]
struct Block([u32; WORDS]);

/// Says of a key that it is not there, or that it may be.
#[derive(Debug)]
pub(super) struct Filter {
    blocks: Vec<Block>,
    /// Whether keys are hashes: then blocks lie in their order, and keys that come in it find theirs one behind the
    /// other.
    is_hashed: bool,
}

/// Spreads the bits of a key, which may be as short as five bytes.
fn spread(key: &Key) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *key;
    let mut mixed = u64::from_le_bytes([a, b, c, d, e, f, g, h]).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ (mixed >> 27)
}

/// A key's bit in each word.
fn bits(spread: u64) -> [u32; WORDS] {
    let [a, b, c, d, ..] = spread.to_le_bytes();
    let low = u32::from_le_bytes([a, b, c, d]);
    SALTS.map(|salt| 1 << (low.wrapping_mul(salt) >> 27))
}

impl Filter {
    /// An empty one for so many postings of a table.
    pub(super) fn new(table: Table, postings: u64) -> Self {
        let blocks = (postings * table.filter_bits()).div_ceil(8 * BLOCK_BYTES as u64).max(1);
        let blocks = vec![Block::default(); usize::try_from(blocks).unwrap_or(1)];
        Self { blocks, is_hashed: table.is_hashed() }
    }

    /// Reads what [`Self::put`] wrote of a table; `None` if it is no filter.
    pub(super) fn read(table: Table, bytes: &[u8]) -> Option<Self> {
        let (blocks, rest) = bytes.as_chunks::<BLOCK_BYTES>();
        let block = |bytes: &[u8; BLOCK_BYTES]| {
            let mut block = Block::default();
            let words = block.0.iter_mut().zip(bytes.as_chunks().0);
            words.for_each(|(to, from)| *to = u32::from_le_bytes(*from));
            block
        };
        let is_whole = rest.is_empty() && !blocks.is_empty();
        is_whole.then(|| Self { blocks: blocks.iter().map(block).collect(), is_hashed: table.is_hashed() })
    }

    /// Writes it.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let words = self.blocks.iter().flat_map(|block| block.0);
        words.for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    }

    /// The number of a key's block.
    fn place(&self, key: &Key, spread: u64) -> usize {
        let ([a, b, c, d, ..], [.., e, f, g, h]) = (*key, spread.to_le_bytes());
        let fraction = u32::from_be_bytes(if self.is_hashed { [a, b, c, d] } else { [e, f, g, h] });
        usize::try_from((u64::from(fraction) * self.blocks.len() as u64) >> 32).unwrap_or(0)
    }

    pub(super) fn insert(&mut self, key: &Key) {
        let spread = spread(key);
        let place = self.place(key, spread);
        self.blocks[place].0.iter_mut().zip(bits(spread)).for_each(|(word, bit)| *word |= bit);
    }

    pub(super) fn may_hold(&self, key: &Key) -> bool {
        let spread = spread(key);
        let block = &self.blocks[self.place(key, spread)];
        // All words are looked at: a branch for each of them would take longer.
        let missing = block.0.iter().zip(bits(spread)).fold(0, |missing, (word, bit)| missing | (!word & bit));
        missing == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A key as a hash makes it, or one that lies beside the next.
    fn key(table: Table, number: u64) -> Key {
        let mut key = [0; 16];
        let spread = if table.is_hashed() { number.wrapping_mul(0x9e37_79b9_7f4a_7c15) } else { number << 24 };
        key[..5].copy_from_slice(&spread.to_be_bytes()[..5]);
        key
    }

    #[test]
    fn what_was_put_in_may_be_there_and_little_else() {
        for (table, postings) in
            Table::ALL.into_iter().flat_map(|table| [1, 7, 1_000, 60_000].map(|count| (table, count)))
        {
            let mut filter = Filter::new(table, postings);
            (0..postings).for_each(|number| filter.insert(&key(table, number)));
            let mut bytes = Vec::new();
            filter.put(&mut bytes);
            let read = Filter::read(table, &bytes).unwrap();
            let is_found = |number| filter.may_hold(&key(table, number)) && read.may_hold(&key(table, number));
            assert!((0..postings).all(is_found));
            let strangers = (postings..postings + 10_000).filter(|number| read.may_hold(&key(table, *number))).count();
            let mistaken_max = if table.filter_bits() > 10 { 30 } else { 300 };
            assert!(strangers < mistaken_max, "{strangers} of 10,000 that are not among {postings} of {table:?}");
            assert!(Filter::read(table, &bytes[1..]).is_none());
        }
        assert!(Filter::read(Table::Contents, &[]).is_none());
    }
}
