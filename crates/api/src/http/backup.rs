//! What a backup asks of the daemon, and what a restored store is still waiting for.

use std::path::PathBuf;

use mithaq_core::{
    id::{CertId, StoreId},
    time::Time,
};
use serde::{Deserialize, Serialize};

use super::Problem;

/// Answer to `GET /v1/store/cut`: the packs as they are at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoreCut {
    /// The store.
    pub store: StoreId,
    /// Its layout.
    pub schema: u32,
    /// A row of the log that is in the cut, as all rows before it are.
    pub head: u64,
    /// About how many objects are in it.
    pub objects: u64,
    /// Its segments, in order.
    pub packs: Vec<PackCut>,
}

/// One segment of a [`StoreCut`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackCut {
    /// The name of its file.
    pub file: String,
    /// How often it was written anew. Within one edition bytes are only added.
    pub edition: u32,
    /// The inode of its file: another file under the name is of another edition.
    pub inode: u64,
    /// How many of its bytes, from the first, belong to the cut.
    pub bytes: u64,
}

/// Since a store was restored: what it is waiting for, and what it is known to lack.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Restored {
    /// When the backup was taken.
    pub backup_at: Time,
    /// Whether SIEMs are served.
    pub serves: bool,
    /// The peers of which it is not sure that they have told all that the store lacks; none if SIEMs are served.
    pub waits_for: Vec<String>,
    /// What keeps SIEMs waiting until an operator does something, with a code each; none if SIEMs are served.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked_by: Vec<Problem>,
    /// What peers say that they have accepted of the ledger as it was before, and is not here.
    pub lost: Vec<LostEntries>,
}

/// Entries of a ledger that are not in the backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostEntries {
    /// Our name for the peer.
    pub peer: String,
    /// How many entries: disclosures, and receipts for them.
    pub entries: u64,
}

/// A copy of a store that is to take the place of the one that was lost.
#[derive(Debug, Clone)]
pub struct Revival {
    /// The folder of the copy.
    pub dir: PathBuf,
    /// When the backup was taken.
    pub backup_at: Time,
    /// The time.
    pub now: Time,
}

/// What became of a [`Revival`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Revived {
    /// The id of the store that was lost; `None` if it cannot be told.
    pub was: Option<StoreId>,
    /// The id that the copy has now.
    pub store: StoreId,
    /// The newest row of its log.
    pub head: u64,
    /// Releases in it.
    pub releases: u64,
    /// Objects in it.
    pub objects: u64,
    /// Its ledgers.
    pub ledgers: Vec<RevivedLedger>,
    /// What is damaged in it.
    pub problems: Vec<String>,
}

/// A ledger of a store that was restored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevivedLedger {
    /// The CERT that was disclosed to.
    pub cert: CertId,
    /// How many entries it has.
    pub entries: u64,
    /// The last checkpoint of the ledger under the old id that the peer has cosigned, a signed note.
    pub cosigned: Option<String>,
}

/// Gives a copy of a store an id of its own and takes out of it what belongs to the old one.
pub type ReviveStore = fn(&Revival) -> Result<Revived, Problem>;
