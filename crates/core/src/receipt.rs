//! Receipts: what the CERT that was given releases signs to say what became of them.
//!
//! Both sides know which release stands at which place of a journal, so a receipt travels as places, statuses, a time
//! and a signature; whoever checks it writes the signed document again. In a ledger it stands whole, and anyone with the
//! card of its signer can check it.

use serde::{Deserialize, Serialize};

use crate::{
    canonical::{self, CanonicalError},
    card::VerifiedCard,
    id::{AgreementId, CertId, KeyId, ReleaseId, StoreId},
    keys::{SecretKey, Signature, Suite},
    release::CLOCK_SKEW_MAX,
    time::Time,
};

/// The type under which receipts are signed.
pub const RECEIPT_TYPE: &str = "application/vnd.mithaq.receipt+json;version=1";

/// The schema that receipts name.
pub const RECEIPT_SCHEMA: &str = "mithaq-receipt/1";

/// The most entries of a receipt.
pub const RECEIPT_ENTRIES_MAX: usize = 4_096;

/// The largest number of a journal's entry: the largest integer that JSON carries exactly.
const INDEX_MAX: u64 = (1 << 53) - 1;

/// What became of a release where it was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Status {
    /// It is stored durably.
    Received,
    /// It is stored and has taken effect: its objects are served, or what it withdraws is not any more.
    Applied,
    /// It is stored, and something in it is held back from readers.
    Held,
}

impl Status {
    /// The byte that stands for it where JSON would be too long.
    #[must_use]
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Received => 1,
            Self::Applied => 2,
            Self::Held => 3,
        }
    }

    /// The status that a byte stands for, if it stands for one.
    #[must_use]
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Received),
            2 => Some(Self::Applied),
            3 => Some(Self::Held),
            _ => None,
        }
    }
}

/// What became of one release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, ReleaseId, Status)", into = "(u64, ReleaseId, Status)")]
pub struct ReceiptEntry {
    /// The entry of the journal under which the release was sent.
    pub index: u64,
    /// The release.
    pub release: ReleaseId,
    /// What became of it.
    pub status: Status,
}

impl From<(u64, ReleaseId, Status)> for ReceiptEntry {
    fn from((index, release, status): (u64, ReleaseId, Status)) -> Self {
        Self { index, release, status }
    }
}

impl From<ReceiptEntry> for (u64, ReleaseId, Status) {
    fn from(entry: ReceiptEntry) -> Self {
        (entry.index, entry.release, entry.status)
    }
}

/// What a receipt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    from: CertId,
    journal: Journal,
    entries: Vec<ReceiptEntry>,
    at: Time,
}

/// The journal that a receipt speaks of: an entry's number means something in a journal alone, so a receipt for one never
/// passes for a receipt for that of another pair, nor of another agreement, nor of the same pair after a restored backup.
/// The releases stand in the entries besides, since a journal begins anew when its owner's own ceiling changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Journal {
    /// The CERT that discloses.
    pub owner: CertId,
    /// The store that the journal lies in.
    pub store: StoreId,
    /// The agreement under which it discloses.
    pub agreement: AgreementId,
}

/// A receipt with its signature, which was not checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Whole", into = "Whole")]
pub struct SignedReceipt {
    receipt: Receipt,
    key: KeyId,
    signature: Signature,
}

/// A receipt whose signature was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedReceipt {
    signed: SignedReceipt,
}

/// What is signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    schema: String,
    suite: Suite,
    key: KeyId,
    from: CertId,
    to: CertId,
    store: StoreId,
    agreement: AgreementId,
    at: Time,
    entries: Vec<ReceiptEntry>,
}

/// A receipt as it rests, with its signature beside what is signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    receipt: Document,
    signature: Signature,
}

/// Why a receipt is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiptError {
    /// It cannot be read or written.
    #[error("the receipt cannot be read")]
    Document(#[source] CanonicalError),
    /// It is of another schema.
    #[error("the receipt has schema {found:?}; this program knows {RECEIPT_SCHEMA}")]
    Schema {
        /// What it names.
        found: String,
    },
    /// It speaks of nothing, or of too much.
    #[error("the receipt has {entries} entries; 1 to {RECEIPT_ENTRIES_MAX} are taken")]
    Count {
        /// How many it has.
        entries: usize,
    },
    /// Its entries are not in ascending order, or one has no place in a journal.
    #[error("the entries of the receipt are not strictly ascending numbers of a journal, from 1 to {INDEX_MAX}")]
    Order,
    /// A CERT acknowledges its own journal.
    #[error("the receipt is from the CERT whose journal it speaks of")]
    Own,
    /// It is another CERT's than the one whose card is at hand.
    #[error("the receipt is of CERT {found}, not of {expected}")]
    Signer {
        /// Whose card is at hand.
        expected: CertId,
        /// Whom the receipt names.
        found: CertId,
    },
    /// The card does not name the key, or not for that suite and time.
    #[error("key {key} is not a signing key of the signer's card at {at}")]
    Key {
        /// The key.
        key: KeyId,
        /// When it signed, by its own word.
        at: Time,
    },
    /// The signature does not fit.
    #[error("the signature does not fit the receipt")]
    Signature,
    /// It is dated in the future.
    #[error("the receipt is dated {at}, more than five minutes ahead of {now}")]
    Future {
        /// Its date.
        at: Time,
        /// This machine's clock.
        now: Time,
    },
}

impl Receipt {
    /// What `from` says at `at` of the entries of a journal, given in any order.
    ///
    /// # Errors
    /// When there are no entries or too many, one is named twice, or the journal is its own.
    pub fn new(from: CertId, journal: Journal, mut entries: Vec<ReceiptEntry>, at: Time) -> Result<Self, ReceiptError> {
        entries.sort_unstable_by_key(|entry| entry.index);
        let receipt = Self { from, journal, entries, at };
        receipt.check()?;
        Ok(receipt)
    }

    fn check(&self) -> Result<(), ReceiptError> {
        let entries = self.entries.len();
        if !(1..=RECEIPT_ENTRIES_MAX).contains(&entries) {
            return Err(ReceiptError::Count { entries });
        }
        let is_placed = self.entries.iter().all(|entry| (1..=INDEX_MAX).contains(&entry.index));
        if !is_placed || !self.entries.is_sorted_by(|a, b| a.index < b.index) {
            return Err(ReceiptError::Order);
        }
        if self.from == self.journal.owner { Err(ReceiptError::Own) } else { Ok(()) }
    }

    /// The CERT that acknowledges.
    #[must_use]
    pub fn from(&self) -> CertId {
        self.from
    }

    /// The journal that it speaks of.
    #[must_use]
    pub fn journal(&self) -> Journal {
        self.journal
    }

    /// What became of which release, in ascending order of their numbers.
    #[must_use]
    pub fn entries(&self) -> &[ReceiptEntry] {
        &self.entries
    }

    /// When it was signed, by the signer's clock.
    #[must_use]
    pub fn at(&self) -> Time {
        self.at
    }

    /// Signs the receipt with a signing key of the CERT that acknowledges.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn sign(self, key: &SecretKey) -> Result<VerifiedReceipt, ReceiptError> {
        let id = key.public().id();
        let payload = self.payload(id)?;
        let signature = key.sign(RECEIPT_TYPE, &payload);
        Ok(VerifiedReceipt { signed: SignedReceipt { receipt: self, key: id, signature } })
    }

    /// The canonical bytes that key `key` signs.
    fn payload(&self, key: KeyId) -> Result<Vec<u8>, ReceiptError> {
        canonical::to_vec(&self.document(key)).map_err(ReceiptError::Document)
    }

    fn document(&self, key: KeyId) -> Document {
        Document {
            schema: RECEIPT_SCHEMA.to_owned(),
            suite: Suite::Ed25519,
            key,
            from: self.from,
            to: self.journal.owner,
            store: self.journal.store,
            agreement: self.journal.agreement,
            at: self.at,
            entries: self.entries.clone(),
        }
    }
}

impl TryFrom<Whole> for SignedReceipt {
    type Error = ReceiptError;

    fn try_from(Whole { receipt: document, signature }: Whole) -> Result<Self, ReceiptError> {
        if document.schema != RECEIPT_SCHEMA {
            return Err(ReceiptError::Schema { found: document.schema.chars().take(80).collect() });
        }
        let journal = Journal { owner: document.to, store: document.store, agreement: document.agreement };
        let receipt = Receipt { from: document.from, journal, entries: document.entries, at: document.at };
        receipt.check()?;
        Ok(Self { receipt, key: document.key, signature })
    }
}

impl From<SignedReceipt> for Whole {
    fn from(signed: SignedReceipt) -> Self {
        Self { receipt: signed.receipt.document(signed.key), signature: signed.signature }
    }
}

impl SignedReceipt {
    /// Puts a receipt together with the signature that came with it.
    #[must_use]
    pub fn new(receipt: Receipt, key: KeyId, signature: Signature) -> Self {
        Self { receipt, key, signature }
    }

    /// What it says, unchecked.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.receipt
    }

    /// The key that is said to have signed.
    #[must_use]
    pub fn key(&self) -> KeyId {
        self.key
    }

    /// The signature.
    #[must_use]
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// Checks the receipt against the card of the CERT that acknowledges. The key must have been valid at the time that
    /// the receipt states.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(self, signer: &VerifiedCard, now: Time) -> Result<VerifiedReceipt, ReceiptError> {
        let Receipt { from, at, .. } = self.receipt;
        if from != signer.cert_id() {
            return Err(ReceiptError::Signer { expected: signer.cert_id(), found: from });
        }
        if at > now.plus(CLOCK_SKEW_MAX) {
            return Err(ReceiptError::Future { at, now });
        }
        let key = signer.signing_key(self.key, Suite::Ed25519, at).ok_or(ReceiptError::Key { key: self.key, at })?;
        let payload = self.receipt.payload(self.key)?;
        let _valid = key.verify(RECEIPT_TYPE, &payload, &self.signature).map_err(|_| ReceiptError::Signature)?;
        Ok(VerifiedReceipt { signed: self })
    }
}

impl VerifiedReceipt {
    /// What it says.
    #[must_use]
    pub fn receipt(&self) -> &Receipt {
        &self.signed.receipt
    }

    /// The receipt as it travels and rests.
    #[must_use]
    pub fn signed(&self) -> &SignedReceipt {
        &self.signed
    }

    /// The receipt as it travels and rests.
    #[must_use]
    pub fn into_signed(self) -> SignedReceipt {
        self.signed
    }
}
