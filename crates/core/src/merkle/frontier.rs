//! What must be known of a tree to append to it and to tell its root.

use super::{TREE_SIZE_MAX, empty_hash, leaf_hash, node_hash, nodes::Nodes};
use crate::id::TreeHash;

/// The most bytes of a frontier: its size, and a hash for each bit of it.
pub const FRONTIER_BYTES_MAX: usize = 8 + 64 * 32;

/// The hashes of the subtrees that a new leaf completes, level 0, the leaf itself, first: entry `l` is the hash of the
/// 2^`l` leaves that end with the new one.
pub type Completed = Vec<[u8; 32]>;

/// The right edge of a tree: the roots of the complete subtrees that its leaves fall into.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    /// One for each bit that is set in `size`, the largest subtree first.
    peaks: Vec<[u8; 32]>,
}

/// Bytes are not a frontier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{bytes} bytes are not a frontier: it has 8 bytes of size and 32 for each bit that is set in it")]
pub struct FrontierError {
    /// How many there are.
    pub bytes: usize,
}

impl Frontier {
    /// The frontier of a tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, peaks: Vec::new() }
    }

    /// The frontier of the first `size` leaves of a tree whose nodes are kept; `None` if no tree has that many.
    ///
    /// # Errors
    /// When a hash cannot be had.
    pub fn at<N: Nodes>(nodes: &N, size: u64) -> Result<Option<Self>, N::Error> {
        if size > TREE_SIZE_MAX {
            return Ok(None);
        }
        let (mut start, mut peaks) = (0_u64, Vec::new());
        for level in (0..64_u8).rev().filter(|level| size >> level & 1 == 1) {
            peaks.push(nodes.node(level, start >> level)?);
            start += 1 << level;
        }
        Ok(Some(Self { size, peaks }))
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf.
    #[must_use = "a proof needs the hashes of the subtrees that the leaf completes"]
    pub fn push(&mut self, leaf: &[u8]) -> Completed {
        let mut hash = leaf_hash(leaf);
        let mut completed = vec![hash];
        // As in a binary counter, each bit that is set from the right on is a subtree as large as what is carried.
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            completed.push(hash);
        }
        self.peaks.push(hash);
        // INVARIANT: nobody appends 2^63 leaves to a tree of TREE_SIZE_MAX.
        self.size += 1;
        completed
    }

    /// The tree's root.
    #[must_use]
    pub fn root(&self) -> TreeHash {
        let fold = |right: Option<[u8; 32]>, left: &[u8; 32]| Some(right.map_or(*left, |hash| node_hash(left, &hash)));
        TreeHash::from_bytes(self.peaks.iter().rev().fold(None, fold).unwrap_or_else(empty_hash))
    }

    /// The frontier's bytes: the size as eight, most significant first, and the hashes, the largest subtree first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.size.to_be_bytes()[..], self.peaks.as_flattened()].concat()
    }

    /// Reads what [`Frontier::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are too few or too many for the size that they name, or that size is over [`TREE_SIZE_MAX`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let error = FrontierError { bytes: bytes.len() };
        let (size, hashes) = bytes.split_first_chunk().ok_or(error)?;
        let (peaks, rest) = hashes.as_chunks::<32>();
        let size = u64::from_be_bytes(*size);
        let is_whole = rest.is_empty() && u32::try_from(peaks.len()) == Ok(size.count_ones());
        if is_whole && size <= TREE_SIZE_MAX { Ok(Self { size, peaks: peaks.to_vec() }) } else { Err(error) }
    }
}
