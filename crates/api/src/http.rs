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
mod health;
mod ledger;
mod link;
mod published;
mod search;
mod store;

use mithaq_core::{
    code::Code,
    id::{AgreementId, CertId, ContentId, ReleaseId},
    receipt::Status as ReceiptStatus,
    time::Time,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::export::ExportStatus;

pub use backup::*;
pub use ledger::*;
pub use link::*;
pub use published::*;
pub use search::*;
pub use store::*;

/// The most bytes of a push: 100 MB, and a little for the bundle around the objects.
pub const PUSH_BYTES_MAX: usize = 104 * 1024 * 1024;

/// The most objects of a push.
pub const PUSH_OBJECTS_MAX: usize = 100_000;

/// The longest that a stream waits for something new, in seconds.
pub const STREAM_WAIT_SECONDS_MAX: u64 = 300;

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

/// Query of `POST /v1/push`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PushQuery {
    /// The TLP level of objects that carry none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tlp: Option<String>,
    /// The peers that it is for alone, their names with commas between; TLP:RED goes to nobody else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// All or nothing.
    pub atomic: bool,
    /// Store and release nothing, but say what would be released to whom.
    pub dry_run: bool,
    /// Push also what stands on a warning list that blocks, and record it.
    pub force: bool,
}

// The form that serde asks for.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PushStatus {
    /// It was released by us, durably.
    Stored,
    /// We had released it before, with the same label.
    Duplicate,
    /// It was refused.
    Refused,
}

/// A line of the answer to a push.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PushLine {
    /// What became of one object.
    Object(PushedObject),
    /// The last line, if the push was carried out.
    Summary(PushSummary),
    /// The last line, if it failed on the way.
    Problem(Problem),
}

/// What became of one object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PushedObject {
    /// The object's number in the input, from 0.
    pub index: usize,
    /// Its STIX id, as far as it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What became of it.
    pub status: PushStatus,
    /// Its content id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<ContentId>,
    /// The warning lists that its values stand on, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub listed: Vec<String>,
    /// Why it was refused.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// The last line of the answer to a push.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PushSummary {
    /// Objects newly released.
    pub stored: usize,
    /// Objects that we had released before with the same label.
    pub duplicate: usize,
    /// Objects refused.
    pub refused: usize,
    /// Releases signed.
    pub releases: usize,
    /// Objects whose values stand on warning lists.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub listed: usize,
    /// Objects among them that were pushed although the lists block.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub forced: usize,
    /// Time taken by the daemon, in seconds.
    pub seconds: f64,
    /// Of a dry run: what would be released to whom. Of a push for named peers: what the rule keeps from them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preview: Vec<Preview>,
}

/// What a dry run says of one peer and one label.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Preview {
    /// The peer's name.
    pub peer: String,
    /// The label, for people.
    pub label: String,
    /// How many objects have it.
    pub objects: usize,
    /// Whether they would be released.
    pub released: bool,
    /// The steps of the rule that withhold.
    pub reasons: Vec<WhyReason>,
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

/// An object that is held.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Held {
    /// Its STIX id.
    pub id: String,
    /// Its STIX type.
    #[serde(rename = "type")]
    pub object_type: String,
    /// Its content id.
    pub content: ContentId,
    /// Whether it is the newest version of its STIX id.
    pub current: bool,
    /// The releases that name it.
    pub releases: Vec<HeldRelease>,
    /// The object.
    pub object: Box<RawValue>,
    /// In a search: where to go on behind this result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// When one object is shown: who else speaks of its values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub corroboration: Vec<Corroboration>,
    /// When one object is shown: its translations; in a search by words the one that has the words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub translations: Vec<Translation>,
}

/// A release that names an object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldRelease {
    /// Its id.
    pub release: ReleaseId,
    /// The CERT that signed it.
    pub origin: CertId,
    /// Our name for that CERT; `us` for our own.
    pub from: String,
    /// The label, for people.
    pub label: String,
    /// When it was signed.
    pub published_at: Time,
    /// When its objects were added here.
    pub added_at: Time,
    /// Why the object is not served out of this release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<HeldBack>,
    /// The peers that were given this release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub given: Vec<Given>,
    /// The withdrawals of it, and who has applied them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub withdrawal: Option<WithdrawalState>,
}

/// Why an object is not served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeldBack {
    /// The code.
    pub code: String,
    /// The same in words.
    pub reason: String,
    /// Since when.
    pub since: Time,
}

/// A peer that was given a release, and what it said of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Given {
    /// Our name for the peer.
    pub peer: String,
    /// What its last signed receipt says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ReceiptStatus>,
    /// When it signed, by its clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Time>,
}

/// The withdrawal of an object.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WithdrawalState {
    /// The release that withdraws.
    pub release: ReleaseId,
    /// The peers that were told, and when they applied it.
    pub given: Vec<Given>,
}

/// Query of `GET /v1/why`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhyQuery {
    /// A STIX id, a content id or a release id.
    pub id: String,
    /// The peer's name.
    pub peer: String,
}

/// Whether an object may go to a peer, and why.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Why {
    /// Whether it may go.
    pub released: bool,
    /// The steps of the rule.
    pub reasons: Vec<WhyReason>,
}

/// One step of the rule.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WhyReason {
    /// The step's code.
    pub code: String,
    /// What was found.
    pub text: String,
    /// Whether it lets the object go.
    pub ok: bool,
}

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

/// Query of `POST /v1/withdraw`: what is taken back, in all of our releases.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawQuery {
    /// A STIX id (all of its versions), a content id, or a release id (all of its objects).
    pub id: String,
    /// Why, for people at the CERTs that received it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Answer to `POST /v1/withdraw`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Withdrawn {
    /// How many contents were taken back.
    pub objects: usize,
    /// The releases that say so.
    pub releases: Vec<ReleaseId>,
}

/// Query of `POST /v1/revoke`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeQuery {
    /// The STIX id.
    pub id: String,
}

/// A line of `GET /v1/quarantine`: an object that arrived and is not served.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuarantineRow {
    /// Its content id.
    pub content: ContentId,
    /// Its STIX id.
    pub id: String,
    /// The release that brought it.
    pub release: ReleaseId,
    /// Our name for the CERT that signed the release.
    pub from: String,
    /// The release's label, for people.
    pub label: String,
    /// Why it is in quarantine, as a code.
    pub code: String,
    /// The same in words.
    pub reason: String,
    /// Since when.
    pub since: Time,
}

/// Query of `POST /v1/quarantine/accept` and `POST /v1/quarantine/drop`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuarantineQuery {
    /// The object's content id.
    pub content: ContentId,
}

/// Answer to `POST /v1/quarantine/accept` and `POST /v1/quarantine/drop`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QuarantineDecided {
    /// In how many releases it was in quarantine.
    pub releases: usize,
}

/// A line of `GET /v1/consents`: a request to pass on what an origin released.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConsentRow {
    /// Our name for the origin.
    pub origin: String,
    /// Our name for the CERT that would pass it on.
    pub via: String,
    /// Our name for the CERT that would receive it.
    pub to: String,
    /// The id of that CERT.
    pub to_cert: CertId,
    /// When it was asked for.
    pub asked_at: Time,
    /// Why.
    pub reason: String,
    /// `granted` or `denied`, once it was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<String>,
    /// Until when the answer holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
}

/// Query of `POST /v1/consents`: the answer of our operator to a peer's request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentQuery {
    /// The name of the peer that asked.
    pub via: String,
    /// The name or id of the CERT that would receive it.
    pub to: String,
    /// Whether it may.
    pub grant: bool,
    /// For how many days.
    pub days: u32,
}

/// Query of `GET /v1/preview`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PreviewQuery {
    /// The peer's name.
    pub peer: String,
}

/// Answer to `GET /v1/preview`: what a peer may have of all that we hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PeerPreview {
    /// The peer's name.
    pub peer: String,
    /// Objects that it may have.
    pub released: u64,
    /// Objects that it may not have.
    pub withheld: u64,
    /// Releases that it may have.
    pub releases: u64,
    /// Why the others are withheld, the most frequent first; an object counts for each reason.
    pub reasons: Vec<PreviewReason>,
}

/// Why objects are withheld.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PreviewReason {
    /// The code.
    pub code: String,
    /// Its title.
    pub title: String,
    /// How many objects.
    pub objects: u64,
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
