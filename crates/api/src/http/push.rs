//! The types of a push and of its preview.

use mithaq_core::id::ContentId;
use serde::{Deserialize, Serialize};

use super::{Problem, WhyReason};

/// The most bytes of a push: 100 MB, and a little for the bundle around the objects.
pub const PUSH_BYTES_MAX: usize = 104 * 1024 * 1024;

/// The most objects of a push.
pub const PUSH_OBJECTS_MAX: usize = 100_000;

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
