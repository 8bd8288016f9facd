//! The types of what is decided by people: withdrawals, quarantine, consents, previews.

use mithaq_core::{
    id::{CertId, ContentId, ReleaseId},
    time::Time,
};
use serde::{Deserialize, Serialize};

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
