//! The local ledger: the heads of all pairs' trees under one signed root. It never leaves the CERT.
//!
//! Each pair's tree is watched by the peer it concerns; the local ledger says which trees there are, so that not even a
//! whole tree of a peer that is gone can vanish unseen. It is a snapshot: its notes do not continue one another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    checkpoint::{Checkpoint, VerifiedCheckpoint},
    origin::Origin,
};
use crate::{
    canonical::{self, CanonicalError},
    id::{CertId, StoreId, TreeHash},
    merkle,
    time::Time,
};

/// The most trees that a local ledger holds.
pub const LOCAL_PAIRS_MAX: usize = 4_096;

/// The most bytes of a local ledger's list of heads: 1 MiB.
pub const LOCAL_LEDGER_BYTES_MAX: usize = 1024 * 1024;

/// The head of one pair's tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairHead {
    /// The CERT that is disclosed to.
    pub peer: CertId,
    /// The store that the tree lies in.
    pub store: StoreId,
    /// How many leaves it has.
    pub size: u64,
    /// Its root.
    pub root: TreeHash,
}

/// The heads of all pairs' trees of one CERT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalLedger {
    origin: Origin,
    heads: BTreeMap<(CertId, StoreId), PairHead>,
}

/// Why a local ledger cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalLedgerError {
    /// The list is too large.
    #[error("the local ledger has {bytes} bytes; at most {LOCAL_LEDGER_BYTES_MAX} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The list cannot be read.
    #[error("the local ledger cannot be read")]
    Document(#[source] CanonicalError),
    /// The list is not in order, names a tree twice, or has too many.
    #[error("the trees of the local ledger are not at most {LOCAL_PAIRS_MAX}, each once, in ascending order")]
    Order,
    /// The signed note says something else.
    #[error("the local ledger is not the one that was signed: {} trees were signed, {} are here", .signed, .found)]
    Differs {
        /// How many trees the note names.
        signed: u64,
        /// How many there are.
        found: u64,
    },
}

impl LocalLedger {
    /// The local ledger of `us` without any tree.
    #[must_use]
    pub fn new(us: CertId, store: StoreId) -> Self {
        Self { origin: Origin::local(us, store), heads: BTreeMap::new() }
    }

    /// Takes the head of a tree, in place of an earlier one of the same tree.
    ///
    /// # Errors
    /// When there are [`LOCAL_PAIRS_MAX`] trees already.
    pub fn set(&mut self, head: PairHead) -> Result<(), LocalLedgerError> {
        let tree = (head.peer, head.store);
        if self.heads.len() >= LOCAL_PAIRS_MAX && !self.heads.contains_key(&tree) {
            return Err(LocalLedgerError::Order);
        }
        self.heads.insert(tree, head);
        Ok(())
    }

    /// The heads, in ascending order of peers and stores.
    pub fn heads(&self) -> impl Iterator<Item = &PairHead> {
        self.heads.values()
    }

    /// The root over the heads, each a leaf of canonical JSON.
    ///
    /// # Errors
    /// When a head has a size that no tree has.
    pub fn root(&self) -> Result<TreeHash, LocalLedgerError> {
        let leaves = self.heads().map(canonical::to_vec).collect::<Result<Vec<_>, _>>();
        Ok(merkle::root(&leaves.map_err(LocalLedgerError::Document)?))
    }

    /// What is to be signed of it at `at`.
    ///
    /// # Errors
    /// When a head has a size that no tree has.
    pub fn checkpoint(&self, at: Time) -> Result<Checkpoint, LocalLedgerError> {
        Ok(Checkpoint::new(self.origin, self.size(), self.root()?, at))
    }

    fn size(&self) -> u64 {
        u64::try_from(self.heads.len()).unwrap_or(u64::MAX)
    }

    /// Checks that these are the heads that the note was signed over.
    ///
    /// # Errors
    /// When they are not.
    pub fn check(&self, note: &VerifiedCheckpoint) -> Result<(), LocalLedgerError> {
        let (signed, found) = (note.checkpoint(), self.size());
        let is_same = (signed.origin, signed.size, signed.root) == (self.origin, found, self.root()?);
        if is_same { Ok(()) } else { Err(LocalLedgerError::Differs { signed: signed.size, found }) }
    }

    /// The list of heads as canonical JSON, to be kept beside the note.
    ///
    /// # Errors
    /// When a head has a size that no tree has.
    pub fn to_bytes(&self) -> Result<Vec<u8>, LocalLedgerError> {
        canonical::to_vec(&self.heads().collect::<Vec<_>>()).map_err(LocalLedgerError::Document)
    }

    /// Reads what [`LocalLedger::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the list is too large, malformed or out of order.
    pub fn from_bytes(us: CertId, store: StoreId, bytes: &[u8]) -> Result<Self, LocalLedgerError> {
        if bytes.len() > LOCAL_LEDGER_BYTES_MAX {
            return Err(LocalLedgerError::TooLarge { bytes: bytes.len() });
        }
        let heads: Vec<PairHead> = canonical::from_slice(bytes).map_err(LocalLedgerError::Document)?;
        if heads.len() > LOCAL_PAIRS_MAX || !heads.is_sorted_by_key(|head| (head.peer, head.store)) {
            return Err(LocalLedgerError::Order);
        }
        let (origin, listed) = (Origin::local(us, store), heads.len());
        let heads: BTreeMap<_, _> = heads.into_iter().map(|head| ((head.peer, head.store), head)).collect();
        if heads.len() == listed { Ok(Self { origin, heads }) } else { Err(LocalLedgerError::Order) }
    }
}
