//! What a sink makes of a source's sketch.

use super::{Cell, Difference, Digest, Sketch, Undecided, decode};

/// What the comparison of a source's sketch with ours has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Compared {
    /// How the sets differ.
    Differs {
        /// The short ids of what the source has and we lack.
        missing: Vec<u64>,
        /// The digest of what both have.
        common: Digest,
    },
    /// That takes more cells.
    Undecided {
        /// How many may be enough, those that there were included.
        cells: usize,
    },
}

/// Compares the first cells of a source's sketch with ours.
pub fn compare<T>(theirs: &[Cell], ours: &mut Sketch<T>) -> Compared {
    let common = ours.digest();
    match decode(theirs, ours.cells(0..theirs.len())) {
        Err(Undecided { cells }) => Compared::Undecided { cells },
        Ok(difference) => told(difference, common, ours),
    }
}

fn told<T>(difference: Difference, mut common: Digest, ours: &Sketch<T>) -> Compared {
    // What cells of a liar say that we have and we do not is left in: the digests then differ.
    difference.extra.into_iter().filter_map(|short| ours.mark(short)).for_each(|mark| common.remove(mark));
    Compared::Differs { missing: difference.missing, common }
}

#[cfg(test)]
mod tests {
    use mithaq_core::id::{AgreementId, ReleaseId, sha256_of};

    use super::*;
    use crate::sketch::SketchKey;

    fn sketch(range: std::ops::Range<u32>) -> Sketch<()> {
        let key = SketchKey::new(AgreementId::from_bytes([1; 32]), [2; 16], [3; 16]);
        let mut sketch = Sketch::new();
        for number in range {
            sketch.insert(key.mark(ReleaseId::from_bytes(sha256_of(&[&number.to_be_bytes()]))), ());
        }
        sketch
    }

    #[test]
    fn the_digest_of_what_both_have_is_told() {
        let (mut theirs, mut ours) = (sketch(0..300), sketch(3..310));
        let compared = compare(theirs.cells(0..64), &mut ours);
        let Compared::Differs { missing, common } = &compared else { unreachable!("{compared:?}") };
        assert_eq!((missing.len(), *common), (3, sketch(3..300).digest()));
        assert!(matches!(compare(theirs.cells(0..2), &mut ours), Compared::Undecided { cells } if cells > 2));
    }
}
