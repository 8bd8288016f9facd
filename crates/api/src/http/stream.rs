//! The types of what SIEMs read, and of who reads.

use mithaq_core::{
    id::{CertId, ContentId, ReleaseId},
    time::Time,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The longest that a stream waits for something new, in seconds.
pub const STREAM_WAIT_SECONDS_MAX: u64 = 300;

/// Query of `GET /v1/stream`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StreamQuery {
    /// Where to go on: the `cursor` of the last line that was taken, or `end` for what comes from now on. From the
    /// start if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// How many seconds to wait for something new at the end; 0 ends the answer there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
    /// The most lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Keep the answer open and write each new line as it comes, until the client goes away.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
    /// The collection, for readers of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
}

/// Query of `GET /v1/snapshot`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnapshotQuery {
    /// The collection, for readers of several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
}

/// Who read which collection, one row of `GET /v1/siem/readers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiemReader {
    /// The collection.
    pub collection: String,
    /// Who: `uid:N` at a unix socket, `token:NAME` over TCP.
    pub reader: String,
    /// When it was first there.
    pub first_at: Time,
    /// When it was last given anything.
    pub last_at: Time,
    /// How many answers it was given.
    pub answers: u64,
    /// How many objects those had; what was given twice counts twice.
    pub objects: u64,
    /// Up to which `added` it was given the collection.
    pub up_to: Option<Time>,
}

/// What a stream line asks its reader to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StreamOp {
    /// Take the object in, in place of older versions of its id.
    Put,
    /// The same, of an object whose owner has revoked it.
    Revoke,
    /// Act on the object no more: the time until which it is valid is over.
    Expire,
    /// Drop the object: it was taken back, or it is in quarantine.
    Withdraw,
}

/// A line of the stream.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StreamLine {
    /// Resume after this line with this cursor.
    pub cursor: String,
    /// What to do.
    pub op: StreamOp,
    /// When it was added here.
    pub added: Time,
    /// The CERT that released it.
    pub origin: CertId,
    /// When that CERT published it; earlier daemons do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Time>,
    /// The release.
    pub release: ReleaseId,
    /// The TLP level that applies, which may be stricter than the object's own marking.
    pub tlp: String,
    /// The object's content id.
    pub content: ContentId,
    /// The object, unless it is to be dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<Box<RawValue>>,
    /// The STIX id of an object that is to be dropped, or acted on no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Why it is to be dropped, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
