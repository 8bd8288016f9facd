//! The tables of postings and their keys. A key is a cut hash, or what `ordered` makes of it: keys that must never be
//! mistaken for another are long, and where the answer is compared with the stored object anyway they are short.

use mithaq_core::id::{ContentId, ReleaseId, sha256, sha256_of};

use super::ordered::observable_key;
use crate::query::Term;

/// A key, zeros after the table's width.
pub(crate) type Key = [u8; 16];

/// What is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Table {
    /// Content id to body ordinal.
    Contents,
    /// Release id to log row.
    Releases,
    /// STIX id to the body ordinals of its versions.
    Versions,
    /// Observable to body ordinals, for those that have no place in a network; and what else an object is found by.
    Observables,
    /// Content id to the rows that name it without having brought it.
    References,
    /// IPv4 address or network to body ordinals, in the order of addresses.
    Ipv4,
    /// The same for IPv6, and for URLs on such addresses.
    Ipv6,
    /// Domain name, URL or mail address to body ordinals, in the order of the names that they lie at.
    Names,
}

impl Table {
    /// How many tables there are.
    pub(crate) const COUNT: usize = 8;

    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Contents,
        Self::Releases,
        Self::Versions,
        Self::Observables,
        Self::References,
        Self::Ipv4,
        Self::Ipv6,
        Self::Names,
    ];

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Contents => 0,
            Self::Releases => 1,
            Self::Versions => 2,
            Self::Observables => 3,
            Self::References => 4,
            Self::Ipv4 => 5,
            Self::Ipv6 => 6,
            Self::Names => 7,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.code() == code)
    }

    /// Whether its keys are cut hashes, and as like as not to begin with any bytes.
    pub(super) fn is_hashed(self) -> bool {
        !matches!(self, Self::Ipv4 | Self::Ipv6 | Self::Names)
    }

    /// How many bits of filter a posting has. With 10 of them one key in a hundred that is not there looks as if it
    /// were, with 20 one in two thousand; each costs a read of sled, and of what comes new every run is asked.
    pub(super) fn filter_bits(self) -> u64 {
        if matches!(self, Self::Contents | Self::Releases) { 20 } else { 10 }
    }

    /// How many bytes of a key count. Nobody can make two SHA-256 that agree in 16 bytes; that two agree in 5
    /// happens, and costs one needless read.
    pub(crate) fn key_bytes(self) -> usize {
        match self {
            Self::Contents | Self::Releases | Self::Ipv6 => 16,
            Self::Names => 11,
            Self::Versions | Self::Observables | Self::References | Self::Ipv4 => 5,
        }
    }
}

pub(super) fn cut(hash: &[u8; 32], table: Table) -> Key {
    let mut key = [0; 16];
    let bytes = table.key_bytes();
    key[..bytes].copy_from_slice(&hash[..bytes]);
    key
}

pub(crate) fn content_key(content: &ContentId) -> Key {
    cut(content.as_bytes(), Table::Contents)
}

pub(crate) fn release_key(release: &ReleaseId) -> Key {
    cut(release.as_bytes(), Table::Releases)
}

pub(crate) fn reference_key(content: &ContentId) -> Key {
    cut(content.as_bytes(), Table::References)
}

/// The key of a STIX id.
pub(crate) fn version_key(stix_id: &str) -> Key {
    cut(&sha256(stix_id.as_bytes()), Table::Versions)
}

/// The key of what is no observable, and leads to an object all the same.
pub(crate) fn term_key(term: &Term<'_>) -> (Table, Key) {
    let (kind, text) = match term {
        Term::Observable(observable) => return observable_key(observable),
        Term::Word(word) => ("word", *word),
        Term::Translates(id) => ("translates", *id),
    };
    (Table::Observables, cut(&sha256_of(&[kind.as_bytes(), &[0], text.as_bytes()]), Table::Observables))
}
