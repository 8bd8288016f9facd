//! The types of the local HTTP API, as JSON on the control socket and the SIEM socket.
//!
//! | method and path | body or query | answer |
//! |---|---|---|
//! | `POST /v1/push` | [`PushQuery`], the input as body | NDJSON of [`PushLine`], one for each object and a summary last |
//! | `GET /v1/status` | | [`Status`] |
//! | `GET /metrics` | | the same figures in Prometheus' text format |
//! | `GET /readyz` | | 200, or 503 with a line for each reason of [`Status::unready`] |
//! | `GET /v1/show/{id}` | | NDJSON of [`Held`] |
//! | `POST /v1/published` | STIX ids, one a line, at most [`PUBLISHED_IDS_MAX`] | NDJSON of [`Published`], and [`NEXT_HEADER`] |
//! | `GET /v1/search` | [`SearchQuery`] | NDJSON of [`Held`], and [`NEXT_HEADER`] |
//! | `GET /v1/why` | [`WhyQuery`] | [`Why`] |
//! | `GET /v1/stream` | [`StreamQuery`] | NDJSON of [`StreamLine`] |
//! | `GET /v1/siem/readers` | | NDJSON of [`SiemReader`] |
//! | `POST /v1/reload` | | [`Reloaded`] |
//! | `POST /v1/check` | [`CheckQuery`] | [`Check`] |
//! | `GET`, `POST /v1/export` | [`ExportQuery`](crate::export::ExportQuery), the state of the export before | NDJSON of [`ExportLine`](crate::export::ExportLine) |
//! | `POST /v1/sightings` | [`SightingsQuery`](crate::sighting::SightingsQuery) | NDJSON of [`SightingLine`](crate::sighting::SightingLine) |
//! | `GET /v1/store` | | [`StoreStats`] |
//! | `POST /v1/compact` | [`CompactQuery`] | [`Compacted`] |
//! | `GET /v1/store/cut` | | [`StoreCut`] |
//! | `POST /v1/store/serve` | | [`Restored`] |
//! | `GET /v1/ledger` | [`LedgerQuery`] | NDJSON of [`LedgerEntry`] |
//! | `POST /v1/ledger/verify` | | [`LedgerCheck`] |
//! | `GET /v1/ledger/proof` | [`LedgerProofQuery`] | [`LedgerProof`] |
//! | `GET /v1/ledger/report` | [`LedgerReportQuery`] | [`LedgerReport`] |
//!
//! Errors are a [`Problem`] with a 4xx or 5xx status.

mod backup;
mod decision;
mod health;
mod held;
mod ledger;
mod link;
mod published;
mod push;
mod search;
mod store;
mod stream;

use mithaq_core::{
    code::Code,
    id::{AgreementId, CertId},
    time::Time,
};
use serde::{Deserialize, Serialize};

use crate::export::ExportStatus;

pub use backup::*;
pub use decision::*;
pub use held::*;
pub use ledger::*;
pub use link::*;
pub use published::*;
pub use push::*;
pub use search::*;
pub use store::*;
pub use stream::*;

/// An error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Problem {
    /// The code, `MQ-…`.
    pub code: String,
    /// What happened and what to do next.
    pub message: String,
}

impl Problem {
    /// Makes a problem.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code: code.to_string(), message: message.into() }
    }
}

/// The daemon's state.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Status {
    /// Our CERT.
    pub cert: CertId,
    /// Our name.
    pub name: String,
    /// The program's version.
    pub version: String,
    /// Distinct objects held.
    pub objects: u64,
    /// Releases held.
    pub releases: u64,
    /// Objects that releases name, counted once for each release.
    pub references: u64,
    /// Bytes on disk.
    pub store_bytes: u64,
    /// Canonical bytes of all objects.
    pub body_bytes: u64,
    /// How long the daemon has run, in seconds.
    pub uptime_seconds: u64,
    /// The address where peers reach us.
    pub listen: String,
    /// Our peers.
    pub peers: Vec<PeerStatus>,
    /// Whether nothing is taken from pushes and peers for want of room on the store's disk.
    #[serde(default)]
    pub read_only: bool,
    /// Bytes that are free on the store's disk; `None` if it cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// What a store that was restored from a backup is still waiting for; `None` if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
    /// The exports that the configuration has made again and again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exports: Vec<ExportStatus>,
}

/// What stands between us and one peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Our name for it.
    pub name: String,
    /// Its id.
    pub cert: CertId,
    /// `added`, `verified`, `connecting`, `connected` or `refused`.
    pub state: String,
    /// Why it is not connected, with a code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
    /// Releases that it may have and has not acknowledged, and those of which the release rule was not asked yet.
    pub lag: u64,
    /// Releases that it has acknowledged under this agreement.
    pub sent: u64,
    /// Releases that we have of it under this agreement.
    pub received: u64,
    /// Objects whose bodies went to it since the daemon started.
    pub objects_sent: u64,
    /// Objects whose bodies came from it since the daemon started.
    pub objects_received: u64,
    /// Objects that it released and that we held already, since the daemon started.
    pub objects_deduplicated: u64,
    /// CERTs whose fresh releases it gets sooner from others, so that they are only offered to it; left out if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<usize>,
    /// Bytes sent to it on the wire since the daemon started, all of QUIC.
    pub bytes_sent: u64,
    /// Bytes received from it.
    pub bytes_received: u64,
    /// What the bytes of sessions were for.
    #[serde(default)]
    pub traffic: Traffic,
    /// What its link is like.
    #[serde(default)]
    pub link: LinkFigures,
    /// The agreement in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreement: Option<AgreementId>,
    /// Until when it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Time>,
    /// When a party ended that agreement: nothing goes any more but what takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Time>,
}

/// Answer to `POST /v1/reload`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reloaded {
    /// How many peers are known now.
    pub peers: usize,
}

/// Live and dead bytes of one kind of record, as they lie on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// What can be read.
    pub live: u64,
    /// What was purged or superseded and can be given back; estimated.
    pub dead: u64,
}

/// Query of `POST /v1/compact`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CompactQuery {
    /// The least percentage of a segment that must be dead; [`DEAD_PERCENT_DEFAULT`] unless told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead: Option<u8>,
}

/// How many percent of a segment must be dead before it is written anew, unless told.
pub const DEAD_PERCENT_DEFAULT: u8 = 20;

/// Answer to `POST /v1/compact`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Compacted {
    /// Segments that were looked at.
    pub packs: u64,
    /// Segments that were written anew.
    pub rewritten: u64,
    /// Bytes of all segments before.
    pub bytes_before: u64,
    /// Bytes of all segments after.
    pub bytes_after: u64,
    /// Segments that were left as they are since they are damaged, a sentence each.
    pub left: Vec<String>,
}
