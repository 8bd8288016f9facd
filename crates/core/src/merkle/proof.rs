//! Checking proofs, which come from whoever keeps the tree.

use super::{empty_hash, leaf_hash, left_size, node_hash};
use crate::id::TreeHash;

/// The most hashes of a proof. A tree would need more than 2^63 leaves to have a longer one.
pub const PROOF_HASHES_MAX: usize = 64;

/// A proof does not lead where it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the proof does not lead to the root of the tree")]
pub struct BadProof;

/// Checks that `leaf` is leaf `index` of the tree of `size` leaves with root `root` (RFC 6962, section 2.1.1).
///
/// The caller must have `size` from a signed statement: a proof alone does not bind it.
///
/// # Errors
/// When the path is of the wrong length or leads elsewhere.
pub fn verify_inclusion(leaf: &[u8], index: u64, size: u64, path: &[[u8; 32]], root: TreeHash) -> Result<(), BadProof> {
    if path.len() > PROOF_HASHES_MAX || index >= size {
        return Err(BadProof);
    }
    let hash = climb(leaf_hash(leaf), index, size, path).ok_or(BadProof)?;
    if hash == *root.as_bytes() { Ok(()) } else { Err(BadProof) }
}

/// The root that `path` implies for a leaf with hash `hash`, or `None` if the path's length is wrong.
fn climb(hash: [u8; 32], index: u64, size: u64, path: &[[u8; 32]]) -> Option<[u8; 32]> {
    if size == 1 {
        return path.is_empty().then_some(hash);
    }
    let (sibling, rest) = path.split_last()?;
    let left = left_size(size);
    if index < left {
        Some(node_hash(&climb(hash, index, left, rest)?, sibling))
    } else {
        Some(node_hash(sibling, &climb(hash, index - left, size - left, rest)?))
    }
}

/// Checks that the tree of `new_size` leaves with root `new_root` begins with the leaves of the tree of `old_size`
/// leaves with root `old_root` (RFC 6962, section 2.1.2).
///
/// Every tree continues the empty one, and a tree continues itself; both are proven by no hashes. The caller must have
/// both sizes from signed statements: a proof alone does not bind them.
///
/// # Errors
/// When the new tree is the smaller one, or the proof is of the wrong length or leads elsewhere.
pub fn verify_consistency(
    old_size: u64,
    old_root: TreeHash,
    new_size: u64,
    new_root: TreeHash,
    proof: &[[u8; 32]],
) -> Result<(), BadProof> {
    if proof.len() > PROOF_HASHES_MAX || old_size > new_size {
        return Err(BadProof);
    }
    if old_size == 0 {
        let is_empty = *old_root.as_bytes() == empty_hash();
        let is_same = new_size > 0 || new_root == old_root;
        return if proof.is_empty() && is_empty && is_same { Ok(()) } else { Err(BadProof) };
    }
    let known = Some(*old_root.as_bytes());
    let roots = rebuild(old_size, new_size, known, proof).ok_or(BadProof)?;
    if roots == (*old_root.as_bytes(), *new_root.as_bytes()) { Ok(()) } else { Err(BadProof) }
}

/// The roots that `proof` implies for the first `old` leaves of a subtree and for all its `new` ones, or `None` if the
/// proof's length is wrong.
///
/// `known` is the root of the old tree, as long as the old tree as a whole may stand in this subtree: where it is
/// complete there, the proof does not repeat it.
fn rebuild(old: u64, new: u64, known: Option<[u8; 32]>, proof: &[[u8; 32]]) -> Option<([u8; 32], [u8; 32])> {
    if old == new {
        let hash = match (known, proof) {
            (Some(hash), []) => hash,
            (None, [hash]) => *hash,
            _ => return None,
        };
        return Some((hash, hash));
    }
    let (sibling, rest) = proof.split_last()?;
    let left = left_size(new);
    if old <= left {
        let (old_hash, new_hash) = rebuild(old, left, known, rest)?;
        Some((old_hash, node_hash(&new_hash, sibling)))
    } else {
        let (old_hash, new_hash) = rebuild(old - left, new - left, None, rest)?;
        Some((node_hash(sibling, &old_hash), node_hash(sibling, &new_hash)))
    }
}
