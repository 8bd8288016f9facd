//! The types of what is held, and of why it may go or not.

use mithaq_core::{
    id::{CertId, ContentId, ReleaseId},
    receipt::Status as ReceiptStatus,
    time::Time,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Corroboration, Translation};

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
