//! What we published under ids that somebody has a list of.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The most ids of one `POST /v1/published`, a line each.
pub const PUBLISHED_IDS_MAX: usize = 1_000;

/// The most bytes of the ids of one `POST /v1/published`, with their line ends.
pub const PUBLISHED_BYTES_MAX: usize = 512 * 1024;

/// A line of the answer to `POST /v1/published`. An id under which we published nothing has none.
///
/// The answer may end before the last id: its header [`NEXT_HEADER`](super::NEXT_HEADER) then tells how many of the ids
/// are answered, and the others are to be asked again.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Published {
    /// The STIX id, as it was asked.
    pub id: String,
    /// The newest version of the object that we published.
    pub object: Box<RawValue>,
    /// Whether we withdrew it, and nothing of ours has published it since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}
