//! Roots and proofs of a tree whose complete subtrees are kept somewhere, each with a number of look-ups that grows with
//! the logarithm of the tree's size.

use super::{TREE_SIZE_MAX, empty_hash, left_size, node_hash};
use crate::id::TreeHash;

/// Where the hashes of a tree's complete subtrees are kept.
pub trait Nodes {
    /// Why a hash cannot be had.
    type Error;

    /// The hash of subtree number `index` among those of 2^`level` leaves, all of which are in the tree.
    ///
    /// # Errors
    /// When the hash cannot be had.
    fn node(&self, level: u8, index: u64) -> Result<[u8; 32], Self::Error>;
}

/// The leaf that completes subtree number `index` of 2^`level` leaves: a store keeps the subtree's hash beside it, as
/// entry `level` of what [`Frontier::push`](super::Frontier::push) returned for it.
#[must_use]
pub const fn completing_leaf(level: u8, index: u64) -> u64 {
    let width = 1_u64.wrapping_shl(level as u32);
    index.wrapping_mul(width).wrapping_add(width - 1)
}

/// The root of the first `size` leaves; `None` if no tree has that many.
///
/// # Errors
/// When a hash cannot be had.
pub fn root_at<N: Nodes>(nodes: &N, size: u64) -> Result<Option<TreeHash>, N::Error> {
    match size {
        0 => Ok(Some(TreeHash::from_bytes(empty_hash()))),
        1..=TREE_SIZE_MAX => range(nodes, 0, size).map(|hash| Some(TreeHash::from_bytes(hash))),
        _ => Ok(None),
    }
}

/// The audit path of leaf `index` in the tree of the first `size` leaves, from the leaf's sibling up; `None` if there is
/// no such leaf.
///
/// # Errors
/// When a hash cannot be had.
pub fn inclusion_proof<N: Nodes>(nodes: &N, index: u64, size: u64) -> Result<Option<Vec<[u8; 32]>>, N::Error> {
    if index >= size || size > TREE_SIZE_MAX {
        return Ok(None);
    }
    let (mut start, mut width, mut path) = (0, size, Vec::new());
    while width > 1 {
        let left = left_size(width);
        if index - start < left {
            path.push(range(nodes, start + left, width - left)?);
            width = left;
        } else {
            path.push(range(nodes, start, left)?);
            (start, width) = (start + left, width - left);
        }
    }
    path.reverse();
    Ok(Some(path))
}

/// The proof that the tree of the first `new` leaves continues that of the first `old`, as
/// [`verify_consistency`](super::verify_consistency) takes it; `None` if `old` is the larger one.
///
/// # Errors
/// When a hash cannot be had.
pub fn consistency_proof<N: Nodes>(nodes: &N, old: u64, new: u64) -> Result<Option<Vec<[u8; 32]>>, N::Error> {
    if old > new || new > TREE_SIZE_MAX {
        return Ok(None);
    }
    if old == 0 {
        return Ok(Some(Vec::new()));
    }
    // What is looked at narrows to the complete subtree in which the old tree ends.
    let (mut start, mut width, mut proof) = (0, new, Vec::new());
    while old - start != width {
        let left = left_size(width);
        if old - start <= left {
            proof.push(range(nodes, start + left, width - left)?);
            width = left;
        } else {
            proof.push(range(nodes, start, left)?);
            (start, width) = (start + left, width - left);
        }
    }
    // From the very left that subtree is the old tree, whose root the verifier has.
    if start > 0 {
        proof.push(range(nodes, start, width)?);
    }
    proof.reverse();
    Ok(Some(proof))
}

/// The hash of `width` leaves from `start` on, where `start` is a multiple of the power of two that is not less than
/// `width`, as it is for every node of a tree.
fn range<N: Nodes>(nodes: &N, start: u64, width: u64) -> Result<[u8; 32], N::Error> {
    if width.is_power_of_two() {
        // INVARIANT: the logarithm of a u64 is less than 64.
        let level = u8::try_from(width.ilog2()).unwrap_or(u8::MAX);
        return nodes.node(level, start >> level);
    }
    let left = left_size(width);
    let (left, right) = (range(nodes, start, left)?, range(nodes, start + left, width - left)?);
    Ok(node_hash(&left, &right))
}
