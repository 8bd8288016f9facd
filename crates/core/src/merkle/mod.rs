//! Merkle trees of RFC 6962, section 2.1: roots, and proofs that a leaf is in a tree or that one tree continues another.
//!
//! [`root`] and [`inclusion_proof`] work on a list of leaves that is at hand as a whole, as a release's contents are.
//! A tree that grows, as a ledger does, keeps a [`Frontier`] to be appended to and to know its root, and the hashes of
//! its complete subtrees, the [`nodes::Nodes`], to prove things.

mod frontier;
pub mod nodes;
mod proof;
#[cfg(test)]
mod tests;

pub use frontier::{Completed, FRONTIER_BYTES_MAX, Frontier, FrontierError};
pub use proof::{BadProof, PROOF_HASHES_MAX, verify_consistency, verify_inclusion};

use crate::id::{TreeHash, sha256, sha256_of};

/// The most leaves of a tree: the largest integer that JSON carries exactly.
pub const TREE_SIZE_MAX: u64 = (1 << 53) - 1;

/// The hash of a leaf: SHA-256 of a zero byte and the leaf.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> [u8; 32] {
    sha256_of(&[&[0], leaf])
}

/// The hash of an inner node: SHA-256 of a one byte and its children.
fn node_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256_of(&[&[1], left, right])
}

/// The hash of a tree without leaves.
fn empty_hash() -> [u8; 32] {
    sha256(b"")
}

/// How many leaves stand to the left of a tree's root: the largest power of two smaller than `size`, for 2 or more.
fn left_size(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

/// The largest power of two smaller than `n`, for `n` of 2 or more.
fn split_point(n: usize) -> usize {
    1 << (n - 1).ilog2()
}

/// The Merkle tree hash of `leaves`.
#[must_use]
pub fn root<L: AsRef<[u8]>>(leaves: &[L]) -> TreeHash {
    TreeHash::from_bytes(subtree(leaves))
}

fn subtree<L: AsRef<[u8]>>(leaves: &[L]) -> [u8; 32] {
    match leaves {
        [] => empty_hash(),
        [leaf] => leaf_hash(leaf.as_ref()),
        _ => {
            let (left, right) = leaves.split_at(split_point(leaves.len()));
            node_hash(&subtree(left), &subtree(right))
        }
    }
}

/// The audit path of leaf `index`, from the leaf's sibling up; `None` if there is no such leaf.
#[must_use]
pub fn inclusion_proof<L: AsRef<[u8]>>(leaves: &[L], index: usize) -> Option<Vec<[u8; 32]>> {
    if index >= leaves.len() {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let (left, right) = leaves.split_at(split_point(leaves.len()));
    let (mut path, sibling) = if index < left.len() {
        (inclusion_proof(left, index)?, subtree(right))
    } else {
        (inclusion_proof(right, index - left.len())?, subtree(left))
    };
    path.push(sibling);
    Some(path)
}
