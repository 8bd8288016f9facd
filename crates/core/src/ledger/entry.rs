//! Entries: the leaves of a pair's tree, as canonical JSON.

use serde::{Deserialize, Serialize};

use crate::{
    canonical::{self, CanonicalError},
    id::{AgreementId, ReleaseId},
    policy::RULE_VERSION,
    receipt::{SignedReceipt, VerifiedReceipt},
    time::Time,
};

/// The schema that entries name.
pub const LEDGER_SCHEMA: &str = "mithaq-ledger/1";

/// The most bytes of an entry: room for a receipt with all the entries that it may have.
pub const ENTRY_BYTES_MAX: usize = 512 * 1024;

/// One leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entry {
    /// We let the CERT have a release.
    Disclosure(Disclosure),
    /// The CERT said what became of releases that it was given.
    Receipt(SignedReceipt),
}

/// A release that was let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disclosure {
    /// The release.
    pub release: ReleaseId,
    /// The agreement under which it was let go.
    pub agreement: AgreementId,
    /// The version of the release rule that let it go.
    pub rule: u32,
    /// When, by our clock.
    pub at: Time,
}

/// An entry as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Document {
    Disclosure { schema: String, release: ReleaseId, agreement: AgreementId, rule: u32, at: Time },
    Receipt { schema: String, signed: SignedReceipt },
}

/// Why bytes are not an entry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EntryError {
    /// They are too many.
    #[error("the ledger entry has {bytes} bytes; at most {ENTRY_BYTES_MAX} are read")]
    TooLarge {
        /// How many there are.
        bytes: usize,
    },
    /// They are not a canonical document of this shape.
    #[error("the ledger entry cannot be read")]
    Document(#[source] CanonicalError),
    /// It is of another schema.
    #[error("the ledger entry has schema {found:?}; this program knows {LEDGER_SCHEMA}")]
    Schema {
        /// What it names.
        found: String,
    },
}

impl Entry {
    /// The entry of a release that the rule of this program let go.
    #[must_use]
    pub fn disclosure(release: ReleaseId, agreement: AgreementId, at: Time) -> Self {
        Self::Disclosure(Disclosure { release, agreement, rule: RULE_VERSION, at })
    }

    /// The entry of a receipt.
    #[must_use]
    pub fn receipt(receipt: VerifiedReceipt) -> Self {
        Self::Receipt(receipt.into_signed())
    }

    /// When it happened: when we let the release go, or when the peer signed.
    #[must_use]
    pub fn at(&self) -> Time {
        match self {
            Self::Disclosure(disclosure) => disclosure.at,
            Self::Receipt(signed) => signed.receipt().at(),
        }
    }

    /// The leaf's bytes.
    ///
    /// # Errors
    /// When they would be over [`ENTRY_BYTES_MAX`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, EntryError> {
        let bytes = canonical::to_vec(&self.document()).map_err(EntryError::Document)?;
        if bytes.len() > ENTRY_BYTES_MAX { Err(EntryError::TooLarge { bytes: bytes.len() }) } else { Ok(bytes) }
    }

    fn document(&self) -> Document {
        let schema = LEDGER_SCHEMA.to_owned();
        match self {
            Self::Disclosure(Disclosure { release, agreement, rule, at }) => {
                Document::Disclosure { schema, release: *release, agreement: *agreement, rule: *rule, at: *at }
            }
            Self::Receipt(signed) => Document::Receipt { schema, signed: signed.clone() },
        }
    }

    /// Reads a leaf. The signature of a receipt in it is not checked.
    ///
    /// # Errors
    /// When the bytes are too many, not canonical, or not an entry.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EntryError> {
        if bytes.len() > ENTRY_BYTES_MAX {
            return Err(EntryError::TooLarge { bytes: bytes.len() });
        }
        let (schema, entry) = match canonical::from_slice(bytes).map_err(EntryError::Document)? {
            Document::Disclosure { schema, release, agreement, rule, at } => {
                (schema, Self::Disclosure(Disclosure { release, agreement, rule, at }))
            }
            Document::Receipt { schema, signed } => (schema, Self::Receipt(signed)),
        };
        if schema == LEDGER_SCHEMA {
            Ok(entry)
        } else {
            Err(EntryError::Schema { found: schema.chars().take(80).collect() })
        }
    }
}
