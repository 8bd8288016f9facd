//! The care of the store: what it holds on disk, whether that is sound, and what is to come again.

use mithaq_core::{id::ReleaseId, time::Time};
use serde::{Deserialize, Serialize};

use super::{Problem, Share};
use crate::home::Home;

/// Query of `POST /v1/check`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CheckQuery {
    /// Whether what is damaged is to be set aside and asked of peers again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub repair: bool,
}

/// Answer to `POST /v1/check`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Check {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// Objects read and hashed.
    pub objects: u64,
    /// What is wrong.
    pub problems: Vec<String>,
    /// Damage that an earlier repair has taken care of, and that is no problem any more.
    #[serde(default)]
    pub set_aside: Vec<String>,
    /// What the repair did; `None` if none was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repair: Option<Repair>,
}

/// What a repair did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repair {
    /// The files that damaged bytes were copied to, in the store's folder.
    pub files: Vec<String>,
    /// Objects that releases name and that are not here.
    pub objects_lacking: u64,
    /// Rows of the log of which nothing tells any more which releases they were.
    pub rows_lost: u64,
    /// Releases that cannot be read and were taken out of the log.
    pub dropped: Vec<ReleaseId>,
    /// What is asked for again.
    pub asked: Vec<Asked>,
    /// Releases that no peer sends again: our own, and those of CERTs that are peers no more.
    pub unasked: Vec<ReleaseId>,
}

/// What is asked of one peer again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Our name for the peer.
    pub peer: String,
    /// How many releases.
    pub releases: u64,
}

/// Answer to `GET /v1/store`. Sizes are in bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StoreStats {
    /// The store's id, 32 hexadecimal digits: another one after a restore or in place of a lost store.
    pub store: String,
    /// The layout that new segments are written in.
    pub schema: u32,
    /// Objects held: distinct contents.
    pub objects: u64,
    /// Releases held.
    pub releases: u64,
    /// Contents that releases name, counted once for each release.
    pub references: u64,
    /// Canonical bytes of all objects.
    pub body_bytes: u64,
    /// Segments.
    pub packs: u64,
    /// Bytes of all segments.
    pub pack_bytes: u64,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// Objects on disk.
    pub bodies: Share,
    /// Releases on disk.
    pub release_records: Share,
    /// Cursors, journals and other state on disk.
    pub state: Share,
    /// Bodies of releases that have not come whole.
    #[serde(default)]
    pub staged: StagedStats,
    /// Headers, directories, and the marks of what was purged.
    pub overhead_bytes: u64,
    /// Bytes before compression for each byte in the segments' groups.
    pub compression: f64,
    /// When the oldest release that is held was added.
    pub oldest: Option<Time>,
    /// When the newest release that is held was added.
    pub newest: Option<Time>,
}

/// Bodies of releases that have not come whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedStats {
    /// Objects.
    pub objects: u64,
    /// What they count: canonical bytes, at least 4 KiB a lot.
    pub bytes: u64,
    /// Whose they are.
    pub peers: Vec<StagedOfPeer>,
}

/// What is staged of one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedOfPeer {
    /// Our name for the peer.
    pub peer: String,
    /// Lots: what came of one release at one time.
    pub lots: u64,
    /// What they count.
    pub bytes: u64,
}

/// What is asked of a store while no daemon runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreTask {
    /// As `POST /v1/check`.
    Check {
        /// Whether what is damaged is to be set aside and asked of peers again.
        repair: bool,
    },
    /// As `GET /v1/store`.
    Stats,
}

/// The answer to a [`StoreTask`].
#[derive(Debug, Clone)]
pub enum StoreAnswer {
    /// To a check.
    Check(Check),
    /// To the question for figures.
    Stats(Box<StoreStats>),
}

/// Opens the store of a home, as its daemon would, and does what is asked.
pub type AskStore = fn(&Home, StoreTask) -> Result<StoreAnswer, Problem>;
