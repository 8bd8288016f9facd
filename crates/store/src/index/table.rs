//! The tables of postings and their keys. A key is a cut hash: keys that must never be mistaken for another are
//! long, and where the answer is compared with the stored object anyway they are short.

use mithaq_core::{
    id::{ContentId, ReleaseId, sha256, sha256_of},
    stix::observable::Observable,
};

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
    /// Observable to body ordinals.
    Observables,
    /// Content id to the rows that name it without having brought it.
    References,
}

impl Table {
    pub(crate) const ALL: [Self; 5] =
        [Self::Contents, Self::Releases, Self::Versions, Self::Observables, Self::References];

    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Contents => 0,
            Self::Releases => 1,
            Self::Versions => 2,
            Self::Observables => 3,
            Self::References => 4,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.code() == code)
    }

    /// How many bytes of a key count. Nobody can make two SHA-256 that agree in 16 bytes; that two agree in 5
    /// happens, and costs one needless read.
    pub(crate) fn key_bytes(self) -> usize {
        match self {
            Self::Contents | Self::Releases => 16,
            Self::Versions | Self::Observables | Self::References => 5,
        }
    }
}

fn cut(hash: &[u8; 32], table: Table) -> Key {
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

/// The key of an observable.
pub(crate) fn observable_key(observable: &Observable) -> Key {
    let kind = observable.kind.as_str();
    cut(&sha256_of(&[kind.as_bytes(), &[0], observable.value.as_bytes()]), Table::Observables)
}
