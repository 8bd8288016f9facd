use proptest::prelude::*;

use super::{
    nodes::{Nodes, completing_leaf, consistency_proof, root_at},
    *,
};
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

/// The most leaves of the trees that are looked at size by size.
const SIZE_MAX: u64 = 70;

/// A tree as a store keeps it: what each leaf completed stands beside the leaf.
#[derive(Default)]
struct Kept {
    frontier: Frontier,
    completed: Vec<Completed>,
    lookups: std::cell::Cell<usize>,
}

impl Kept {
    fn of<L: AsRef<[u8]>>(leaves: &[L]) -> Self {
        let mut kept = Self::default();
        for leaf in leaves {
            let completed = kept.frontier.push(leaf.as_ref());
            kept.completed.push(completed);
        }
        kept
    }
}

/// A node that is not complete was asked for.
#[derive(Debug)]
struct Incomplete;

impl Nodes for Kept {
    type Error = Incomplete;

    fn node(&self, level: u8, index: u64) -> Result<[u8; 32], Incomplete> {
        self.lookups.set(self.lookups.get() + 1);
        let leaf = usize::try_from(completing_leaf(level, index)).map_err(|_| Incomplete)?;
        self.completed.get(leaf).and_then(|hashes| hashes.get(usize::from(level))).copied().ok_or(Incomplete)
    }
}

fn leaves(size: u64) -> Vec<[u8; 8]> {
    (0..size).map(u64::to_be_bytes).collect()
}

fn len(index: u64) -> usize {
    usize::try_from(index).unwrap()
}

#[test]
fn roots_agree_with_certificate_transparency() {
    let check = |n: usize, expect: &str| {
        assert_eq!(to_hex(root(&LEAVES[..n]).as_bytes()), expect, "{n}");
        assert_eq!(Kept::of(&LEAVES[..n]).frontier.root(), root(&LEAVES[..n]), "{n}");
    };
    check(0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check(1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    check(2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
    check(3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
    check(4, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7");
    check(5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4");
    check(6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef");
    check(7, "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c");
    check(8, "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328");
}

#[test]
fn inclusion_proofs_agree_with_certificate_transparency() {
    let check = |index: u64, size: u64, expect: &[&str]| {
        let path = nodes::inclusion_proof(&Kept::of(&LEAVES), index, size).unwrap().unwrap();
        assert_eq!(path.iter().map(|hash| to_hex(hash)).collect::<Vec<_>>(), expect, "{index} of {size}");
    };
    check(0, 1, &[]);
    check(1, 2, &["6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"]);
    check(2, 3, &["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]);
    check(
        1,
        5,
        &[
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    );
    check(
        5,
        8,
        &[
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    );
}

#[test]
fn consistency_proofs_agree_with_certificate_transparency() {
    let check = |old: u64, new: u64, expect: &[&str]| {
        let proof = consistency_proof(&Kept::of(&LEAVES), old, new).unwrap().unwrap();
        assert_eq!(proof.iter().map(|hash| to_hex(hash)).collect::<Vec<_>>(), expect, "{old} to {new}");
    };
    check(1, 1, &[]);
    check(
        1,
        8,
        &[
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    );
    check(
        2,
        5,
        &[
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    );
    check(
        6,
        8,
        &[
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    );
}

#[test]
fn every_leaf_of_every_size_is_proven_and_nothing_else() {
    for size in 1..=SIZE_MAX {
        let leaves = leaves(size);
        let (tree, kept) = (root(&leaves), Kept::of(&leaves));
        for (index, leaf) in (0..).zip(&leaves) {
            let path = inclusion_proof(&leaves, len(index)).unwrap();
            assert_eq!(nodes::inclusion_proof(&kept, index, size).unwrap().unwrap(), path);
            assert_eq!(verify_inclusion(leaf, index, size, &path, tree), Ok(()));
            assert!(verify_inclusion(b"other", index, size, &path, tree).is_err());
            assert!(verify_inclusion(leaf, size, size, &path, tree).is_err());
            let longer = [&path[..], &[[0; 32]]].concat();
            assert!(verify_inclusion(leaf, index, size, &longer, tree).is_err());
        }
    }
}

#[test]
fn every_size_continues_every_smaller_one_and_no_other() {
    let leaves = leaves(SIZE_MAX);
    let (kept, roots): (_, Vec<_>) = (Kept::of(&leaves), (0..=len(SIZE_MAX)).map(|n| root(&leaves[..n])).collect());
    for new in 0..=SIZE_MAX {
        assert_eq!(root_at(&kept, new).unwrap(), Some(roots[len(new)]));
        for old in 0..=new {
            let proof = consistency_proof(&kept, old, new).unwrap().unwrap();
            let check = |old_size, old_root, new_size, new_root, proof: &[[u8; 32]]| {
                verify_consistency(old_size, old_root, new_size, new_root, proof).is_ok()
            };
            let (old_root, new_root) = (roots[len(old)], roots[len(new)]);
            assert!(check(old, old_root, new, new_root, &proof), "{old} {new}");
            let other = TreeHash::from_bytes([7; 32]);
            assert!(!check(old, other, new, new_root, &proof), "{old} {new}: another old root");
            assert!(old == 0 && new > 0 || !check(old, old_root, new, other, &proof), "{old} {new}: another new root");
            assert!(old == new || !check(new, new_root, old, old_root, &proof), "{old} {new}: backwards");
            assert!(!check(old, old_root, new, new_root, &[&proof[..], &[[0; 32]]].concat()), "{old} {new}: longer");
            assert!(
                proof.is_empty() || !check(old, old_root, new, new_root, &proof[1..]),
                "{old} {new}: without the first hash"
            );
        }
    }
}

#[test]
fn what_no_tree_has_is_not_proven() {
    let kept = Kept::of(&leaves(3));
    assert_eq!(root_at(&kept, u64::MAX).unwrap(), None);
    assert_eq!(nodes::inclusion_proof(&kept, 3, 3).unwrap(), None);
    assert_eq!(nodes::inclusion_proof(&kept, 0, u64::MAX).unwrap(), None);
    assert_eq!(consistency_proof(&kept, 2, 1).unwrap(), None);
    assert_eq!(Frontier::at(&kept, u64::MAX).unwrap(), None);
    assert!(root_at(&kept, 4).is_err(), "the fourth leaf is not there");
    let (hash, long) = (TreeHash::from_bytes([0; 32]), vec![[0; 32]; PROOF_HASHES_MAX + 1]);
    for size in [0, 1, 2, u64::MAX - 1, u64::MAX] {
        assert_eq!(verify_inclusion(b"", size.saturating_sub(1), size, &long, hash), Err(BadProof));
        assert_eq!(verify_consistency(size / 2, hash, size, hash, &long), Err(BadProof));
        assert_eq!(verify_consistency(size / 2, hash, size, hash, &long[2..]), Err(BadProof));
    }
}

#[test]
fn a_frontier_is_read_as_it_was_written_and_nothing_else_is() {
    let leaves = leaves(SIZE_MAX);
    let kept = Kept::of(&leaves);
    for size in 0..=SIZE_MAX {
        let frontier = Frontier::at(&kept, size).unwrap().unwrap();
        assert_eq!(frontier, Kept::of(&leaves[..len(size)]).frontier);
        let bytes = frontier.to_bytes();
        assert!(bytes.len() <= FRONTIER_BYTES_MAX);
        assert_eq!(Frontier::from_bytes(&bytes), Ok(frontier));
        assert!(Frontier::from_bytes(&bytes[..bytes.len() - 1]).is_err());
        assert!(Frontier::from_bytes(&[&bytes[..], &[0; 32]].concat()).is_err());
    }
    assert!(Frontier::from_bytes(&[0xff; FRONTIER_BYTES_MAX]).is_err(), "no tree is that large");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Trees of any size agree with the definition, and need few look-ups.
    #[test]
    fn large_trees_agree_with_the_definition(size in 1_u64..6_000, index in any::<u64>(), old in any::<u64>()) {
        let (index, old) = (index % size, old % size + 1);
        let leaves = leaves(size);
        let kept = Kept::of(&leaves);
        let tree = root(&leaves);
        prop_assert_eq!(kept.frontier.root(), tree);

        let path = nodes::inclusion_proof(&kept, index, size).unwrap().unwrap();
        prop_assert_eq!(&path, &inclusion_proof(&leaves, len(index)).unwrap());
        prop_assert!(kept.lookups.take() <= 26, "two for each of 13 levels");

        let proof = consistency_proof(&kept, old, size).unwrap().unwrap();
        prop_assert!(kept.lookups.take() <= 27);
        prop_assert_eq!(verify_consistency(old, root(&leaves[..len(old)]), size, tree, &proof), Ok(()));
    }

    /// Nothing that a stranger sends makes a check panic or pass.
    #[test]
    fn strange_proofs_are_refused(
        sizes in any::<(u64, u64)>(),
        proof in proptest::collection::vec(any::<[u8; 32]>(), 1..70),
        hash in any::<[u8; 32]>(),
    ) {
        let hash = TreeHash::from_bytes(hash);
        prop_assert!(verify_inclusion(b"leaf", sizes.0, sizes.1, &proof, hash).is_err());
        prop_assert!(verify_consistency(sizes.0, hash, sizes.1, hash, &proof).is_err());
    }
}
