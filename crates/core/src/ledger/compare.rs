//! Whether a checkpoint goes on from the one that was held before.

use super::{
    checkpoint::{Checkpoint, VerifiedCheckpoint},
    origin::Tree,
};
use crate::merkle::verify_consistency;

/// How a checkpoint goes on from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It is the same tree.
    Same,
    /// It is the same tree with so many more leaves.
    Grown {
        /// How many.
        leaves: u64,
    },
    /// It is of another store: the CERT has begun a new ledger, after a restored backup or a lost store. The held
    /// checkpoint stays what was said of the old one.
    NewLedger,
}

/// How a checkpoint contradicts the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Divergence {
    /// The tree is smaller than it was: entries were taken back.
    #[error("the ledger had {held} entries and has {new} now: it was rolled back")]
    Rollback {
        /// How many it had.
        held: u64,
        /// How many it has now.
        new: u64,
    },
    /// The tree is as large as it was and is another one. The two notes together prove it to anyone.
    #[error("the ledger shows two different histories of {size} entries")]
    Fork {
        /// How many entries both have.
        size: u64,
    },
    /// The tree is larger than it was, and it was not proven that it begins with what was there before.
    #[error("it is not proven that the ledger of {new} entries begins with the {held} entries that it had")]
    BadProof {
        /// How many it had.
        held: u64,
        /// How many it has now.
        new: u64,
    },
    /// The two are not checkpoints of one pair's ledger.
    #[error("the two checkpoints are not of the ledger of one pair of CERTs")]
    Unrelated,
}

/// Compares a new checkpoint of a pair's ledger with the one that was held, given the proof that came with it. The held
/// one was verified when it came: what was accepted stands, also once the card names its key no more.
///
/// # Errors
/// How the new one contradicts the held one. Both are to be kept as evidence.
pub fn compare(held: &Checkpoint, new: &VerifiedCheckpoint, proof: &[[u8; 32]]) -> Result<Progress, Divergence> {
    let new = &new.checkpoint;
    let is_pair = matches!(held.origin.tree, Tree::Pair(_));
    if !is_pair || (held.origin.from, held.origin.tree) != (new.origin.from, new.origin.tree) {
        return Err(Divergence::Unrelated);
    }
    if held.origin.store != new.origin.store {
        return Ok(Progress::NewLedger);
    }
    let sizes = (held.size, new.size);
    if new.size < held.size {
        return Err(Divergence::Rollback { held: sizes.0, new: sizes.1 });
    }
    if new.size == held.size {
        return if new.root == held.root { Ok(Progress::Same) } else { Err(Divergence::Fork { size: new.size }) };
    }
    verify_consistency(held.size, held.root, new.size, new.root, proof)
        .map(|()| Progress::Grown { leaves: sizes.1 - sizes.0 })
        .map_err(|_| Divergence::BadProof { held: sizes.0, new: sizes.1 })
}
