//! The ledger: what was disclosed to whom, as trees that only grow and that the other side watches.
//!
//! Each pair of CERTs has one tree for each direction and store, an RFC 6962 [`merkle`](crate::merkle) tree whose leaves
//! are [`Entry`]s. Its head is signed as a [`Checkpoint`] and cosigned by the CERT that was given the releases, which
//! [`compare`]s each with the one before. [`LocalLedger`] holds the heads of all pairs together; it stays at home.

mod checkpoint;
mod compare;
mod cosignature;
mod entry;
mod local;
mod note;
mod origin;
mod proof;

pub use checkpoint::{
    CHECKPOINT_EXTENSIONS_MAX, Checkpoint, CheckpointError, EXTENSION_BYTES_MAX, SignedCheckpoint, VerifiedCheckpoint,
};
pub use compare::{Divergence, Progress, compare};
pub use cosignature::{Cosignature, CosignatureError, VerifiedCosignature};
pub use entry::{Disclosure, ENTRY_BYTES_MAX, Entry, EntryError, LEDGER_SCHEMA};
pub use local::{LOCAL_LEDGER_BYTES_MAX, LOCAL_PAIRS_MAX, LocalLedger, LocalLedgerError, PairHead};
pub use note::{NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX, Note, NoteError, NoteSignature};
pub use origin::{Origin, OriginError, Tree};
pub use proof::{EntryProof, EntryProofError, ProvenEntry};
