//! Merkle trees of RFC 6962, section 2.1: the root over a list of leaves and proofs that a leaf is in it.

use crate::id::{TreeHash, sha256, sha256_of};

/// The hash of a leaf: SHA-256 of a zero byte and the leaf.
fn leaf_hash(leaf: &[u8]) -> [u8; 32] {
    sha256_of(&[&[0], leaf])
}

/// The hash of an inner node: SHA-256 of a one byte and its children.
fn node_hash(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256_of(&[&[1], left, right])
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
        [] => sha256(b""),
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

/// A proof does not lead from the leaf to the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the inclusion proof does not lead to the tree's root")]
pub struct BadProof;

/// Checks that `leaf` is leaf `index` of the tree of `size` leaves with root `root`.
///
/// The caller must have `size` from a signed statement: a proof alone does not bind it.
///
/// # Errors
/// When the path is of the wrong length or leads elsewhere.
pub fn verify_inclusion(
    leaf: &[u8],
    index: usize,
    size: usize,
    path: &[[u8; 32]],
    root: TreeHash,
) -> Result<(), BadProof> {
    if index >= size {
        return Err(BadProof);
    }
    let hash = climb(leaf_hash(leaf), index, size, path).ok_or(BadProof)?;
    if hash == *root.as_bytes() { Ok(()) } else { Err(BadProof) }
}

/// The root that `path` implies for a leaf with hash `hash`, or `None` if the path's length is wrong.
fn climb(hash: [u8; 32], index: usize, size: usize, path: &[[u8; 32]]) -> Option<[u8; 32]> {
    if size == 1 {
        return path.is_empty().then_some(hash);
    }
    let (sibling, rest) = path.split_last()?;
    let left_size = split_point(size);
    if index < left_size {
        Some(node_hash(&climb(hash, index, left_size, rest)?, sibling))
    } else {
        Some(node_hash(sibling, &climb(hash, index - left_size, size - left_size, rest)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::to_hex;

    /// The eight leaves of the test vectors of Certificate Transparency's reference code.
    const LEAVES: [&[u8]; 8] = [
        &[],
        &[0x00],
        &[0x10],
        &[0x20, 0x21],
        &[0x30, 0x31],
        &[0x40, 0x41, 0x42, 0x43],
        &[0x50, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56, 0x57],
        &[0x60, 0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x6f],
    ];

    #[test]
    fn roots_agree_with_certificate_transparency() {
        let check = |n: usize, expect: &str| assert_eq!(to_hex(root(&LEAVES[..n]).as_bytes()), expect, "{n}");
        check(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        check(1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
        check(2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
        check(3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
        check(8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
    }

    #[test]
    fn every_leaf_of_every_size_is_proven_and_nothing_else() {
        for size in 1..=33_usize {
            let leaves: Vec<_> = (0..size).map(|n| n.to_be_bytes()).collect();
            let tree = root(&leaves);
            for (index, leaf) in leaves.iter().enumerate() {
                let path = inclusion_proof(&leaves, index).unwrap();
                assert_eq!(verify_inclusion(leaf, index, size, &path, tree), Ok(()));
                assert!(verify_inclusion(b"other", index, size, &path, tree).is_err());
                assert!(verify_inclusion(leaf, size, size, &path, tree).is_err());
                let longer = [&path[..], &[[0; 32]]].concat();
                assert!(verify_inclusion(leaf, index, size, &longer, tree).is_err());
            }
        }
    }
}
