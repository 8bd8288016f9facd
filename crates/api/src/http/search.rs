//! Searching, and what is known around an object.

use mithaq_core::{id::ContentId, time::Time};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The most results of a search.
pub const SEARCH_LIMIT_MAX: usize = 10_000;

/// The header of an answer that says where the next page begins; without it there is none. A page may be empty and have a
/// next: each looks at a bounded part of what is held.
pub const NEXT_HEADER: &str = "mithaq-next";

/// Query of `GET /v1/search`: a value, or words, or neither for all that the rest lets through, the oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SearchQuery {
    /// The value to look for, defanged or not: an address, a network, a domain, `.domain` for all below it, a URL, a hash,
    /// a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Words of the name, aliases, ids or description, all of which are to be there, or to be in one translation of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The value alone: no network around it, no URL on it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
    /// STIX types, with commas between.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub object_type: Option<String>,
    /// The CERT that signed: our name for it, `us`, or the first digits of its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// TLP levels of the release, with commas between.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tlp: Option<String>,
    /// A category of the release's label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// A sector of the release's label.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sector: Option<String>,
    /// Added here at this time or later.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<Time>,
    /// Added here before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// The cursor of a result or a page: go on behind it. It belongs to this query and this store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The most results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// Who else speaks of a value that an object carries, under whatever id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Corroboration {
    /// What the value is.
    pub kind: String,
    /// The value in normal form.
    pub value: String,
    /// Our names for the CERTs that stand by an object with it.
    pub origins: Vec<String>,
    /// How many objects these are.
    pub objects: usize,
    /// Whether there are more objects than were counted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A translation of an object: a `language-content` that refers to it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Translation {
    /// The content id of the translation.
    pub content: ContentId,
    /// Our names for the CERTs that stand by it.
    pub from: Vec<String>,
    /// The `language-content`.
    pub object: Box<RawValue>,
}
