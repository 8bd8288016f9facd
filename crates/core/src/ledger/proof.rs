//! Proofs of one entry, for whoever has nothing but the card of the CERT that discloses.

use super::{
    checkpoint::{CheckpointError, SignedCheckpoint, VerifiedCheckpoint},
    entry::{Entry, EntryError},
};
use crate::{
    card::VerifiedCard,
    merkle::{BadProof, verify_inclusion},
    time::Time,
};

/// An entry, its place, and the signed head of the tree that it is in: nothing in it has been checked.
#[derive(Debug, Clone)]
pub struct EntryProof {
    /// The entry's number, from 0.
    pub index: u64,
    /// The leaf's bytes.
    pub leaf: Vec<u8>,
    /// The audit path, from the leaf's sibling up.
    pub path: Vec<[u8; 32]>,
    /// The signed head.
    pub checkpoint: SignedCheckpoint,
}

/// An entry that a CERT's signed ledger was proven to have.
#[derive(Debug, Clone)]
pub struct ProvenEntry {
    entry: Entry,
    checkpoint: VerifiedCheckpoint,
}

/// Why a proof is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryProofError {
    /// The head of the ledger does not verify.
    #[error("the signed head of the ledger does not verify")]
    Checkpoint(#[from] CheckpointError),
    /// The path does not lead from the entry to the head.
    #[error("the entry is not proven to be in the ledger")]
    Path(#[from] BadProof),
    /// The leaf is not an entry.
    #[error("what is in the ledger is not an entry")]
    Entry(#[from] EntryError),
}

impl EntryProof {
    /// Checks that the ledger of the CERT whose card this is has the entry. The signature of a receipt in the entry is
    /// not checked: that takes the card of the CERT that signed it.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(self, signer: &VerifiedCard, now: Time) -> Result<ProvenEntry, EntryProofError> {
        let checkpoint = self.checkpoint.verify(signer, now)?;
        let head = checkpoint.checkpoint();
        verify_inclusion(&self.leaf, self.index, head.size, &self.path, head.root)?;
        Ok(ProvenEntry { entry: Entry::from_bytes(&self.leaf)?, checkpoint })
    }
}

impl ProvenEntry {
    /// The entry.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// The head of the ledger that has it.
    #[must_use]
    pub fn checkpoint(&self) -> &VerifiedCheckpoint {
        &self.checkpoint
    }
}
