//! `[collection.NAME]`: what some of our SIEMs are shown, and which.

use std::{collections::BTreeSet, fmt};

use mithaq_core::{
    label::{Category, Confidence, LABEL_SET_MAX, tlp_text},
    stix::{
        marking::{Pap, Tlp},
        observable::ObservableKind,
    },
};
use serde::{Deserialize, Deserializer, de};

/// The name of the collection that is always there; `[siem]` says what it shows.
pub const COLLECTION_DEFAULT: &str = "default";

/// The most collections beside the default one.
pub const COLLECTIONS_MAX: usize = 64;

/// The most bytes of a collection's name.
const NAME_BYTES_MAX: usize = 32;

/// The most CERTs that a collection may ask to have seen an object.
pub const CORROBORATION_MAX: u32 = 64;

/// The most entries of each list of a collection.
const LIST_MAX: usize = 256;

/// What one collection shows, and who may read it. What is not set restricts nothing but for the TLP level.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Collection {
    /// What readers are told that it is; its name if there is nothing here.
    pub title: Option<String>,
    /// The strictest TLP level that it shows.
    #[serde(with = "tlp_text")]
    pub tlp_max: Tlp,
    /// Whose word it shows: `own`, names of peers, ids of CERTs.
    pub origins: Option<BTreeSet<String>>,
    /// The sectors that it shows; `unspecified` stands for objects that name none.
    pub sectors: Option<BTreeSet<String>>,
    /// The categories that it shows.
    pub categories: Option<BTreeSet<Category>>,
    /// It shows objects that carry an observable of one of these types, and no others.
    #[serde(deserialize_with = "kinds")]
    pub types: Option<BTreeSet<ObservableKind>>,
    /// The least confidence.
    pub confidence_min: Confidence,
    /// By how many CERTs an object must have been seen.
    #[serde(deserialize_with = "corroboration")]
    pub corroboration_min: u32,
    /// The strictest level of the Permissible Actions Protocol.
    pub pap_max: Pap,
    /// The users that may read at its socket.
    pub uids: BTreeSet<u32>,
    /// The groups whose processes may read at its socket.
    pub gids: BTreeSet<u32>,
}

impl Default for Collection {
    fn default() -> Self {
        Self {
            title: None,
            tlp_max: Tlp::AmberStrict,
            origins: None,
            sectors: None,
            categories: None,
            types: None,
            confidence_min: Confidence::Unspecified,
            corroboration_min: 1,
            pap_max: Pap::Red,
            uids: BTreeSet::new(),
            gids: BTreeSet::new(),
        }
    }
}

/// A collection's name: 1 to 32 of `a-z`, `0-9` and `-`, so that it is a plain file name; not `default`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct CollectionName(String);

impl CollectionName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CollectionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CollectionName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name == COLLECTION_DEFAULT {
            return Err(de::Error::custom("the collection `default` is always there: set [siem] tlp_max for it"));
        }
        if is_collection_name(&name) { Ok(Self(name)) } else { Err(de::Error::custom(NAME_FORM)) }
    }
}

const NAME_FORM: &str = "a collection's name has 1 to 32 of a-z, 0-9 and -, and begins with a letter";

/// Whether a text may name a collection.
#[must_use]
pub fn is_collection_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let begins = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    begins && name.len() <= NAME_BYTES_MAX && name.bytes().all(fits)
}

/// Reads the tables, of which there may be so many and no more.
pub(super) fn tables<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<std::collections::BTreeMap<CollectionName, Collection>, D::Error> {
    let tables = std::collections::BTreeMap::<CollectionName, Collection>::deserialize(deserializer)?;
    if tables.len() > COLLECTIONS_MAX {
        return Err(de::Error::custom(format_args!("at most {COLLECTIONS_MAX} collections can be served")));
    }
    match tables.values().find_map(Collection::excess) {
        Some(problem) => Err(de::Error::custom(problem)),
        None => Ok(tables),
    }
}

impl Collection {
    /// What is too much of it.
    fn excess(&self) -> Option<String> {
        let lengths = [
            ("origins", self.origins.as_ref().map_or(0, BTreeSet::len), LIST_MAX),
            ("sectors", self.sectors.as_ref().map_or(0, BTreeSet::len), LABEL_SET_MAX),
            ("uids", self.uids.len(), LIST_MAX),
            ("gids", self.gids.len(), LIST_MAX),
        ];
        let over = lengths.into_iter().find(|(_, length, most)| length > most)?;
        Some(format!("{} has {} entries; at most {} can be listed", over.0, over.1, over.2))
    }
}

fn kinds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<BTreeSet<ObservableKind>>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let read = |name: &String| {
        let known = || ObservableKind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
        name.parse()
            .map_err(|_| de::Error::custom(format_args!("{name:?} is no observable type; known are {}", known())))
    };
    names.iter().map(read).collect::<Result<_, D::Error>>().map(Some)
}

fn corroboration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let least = u32::deserialize(deserializer)?;
    if (1..=CORROBORATION_MAX).contains(&least) {
        return Ok(least);
    }
    Err(de::Error::custom(format_args!("{least} is no number of CERTs from 1 to {CORROBORATION_MAX}")))
}
