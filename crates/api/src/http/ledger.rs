//! The ledger: what was disclosed to whom, whether the record is whole, and proofs of it.

use mithaq_core::{
    id::{AgreementId, CertId, ReleaseId, StoreId, TreeHash},
    receipt::Status as ReceiptStatus,
    time::Time,
};
use serde::{Deserialize, Serialize};

/// The most entries of an answer of `GET /v1/ledger`.
pub const LEDGER_LIMIT_MAX: usize = 10_000;

/// How many entries `GET /v1/ledger` answers unless told.
pub const LEDGER_LIMIT_DEFAULT: usize = 100;

/// The schema that proof files name.
pub const LEDGER_PROOF_SCHEMA: &str = "mithaq-ledger-proof/1";

/// Query of `GET /v1/ledger`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerQuery {
    /// The peer's name; all peers, in the order of their names, if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// The entry after which to begin. Without it the newest entries of each peer are answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// The most entries for each peer; [`LEDGER_LIMIT_DEFAULT`] unless told, at most [`LEDGER_LIMIT_MAX`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// What an entry of the ledger is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum LedgerKind {
    /// We let the peer have a release.
    Disclosure,
    /// The peer said what became of releases.
    Receipt,
}

/// A line of `GET /v1/ledger`: one entry, in ascending order of a peer's entries.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerEntry {
    /// Our name for the peer.
    pub peer: String,
    /// The entry's number in the ledger with the peer, from 0.
    pub index: u64,
    /// What it is.
    pub kind: LedgerKind,
    /// When: by our clock for a disclosure, by the peer's for a receipt.
    pub at: Time,
    /// The agreement under which the release was let go.
    pub agreement: AgreementId,
    /// The release that was let go; of a receipt, see [`LedgerEntry::receipts`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    /// The version of the release rule that let it go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<u32>,
    /// What the peer says of which release.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub receipts: Vec<LedgerReceipt>,
}

/// What a receipt says of one release.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerReceipt {
    /// The release.
    pub release: ReleaseId,
    /// What became of it.
    pub status: ReceiptStatus,
}

/// Answer to `POST /v1/ledger/verify`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerCheck {
    /// Whether nothing is wrong.
    pub ok: bool,
    /// Entries read and hashed.
    pub entries: u64,
    /// What is wrong, a sentence each, with the peer and the entry.
    pub problems: Vec<String>,
    /// The ledgers that were looked at.
    pub peers: Vec<LedgerHead>,
}

/// The head of the ledger with one peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerHead {
    /// Our name for the peer.
    pub peer: String,
    /// Its id.
    pub cert: CertId,
    /// The store that the ledger lies in.
    pub store: StoreId,
    /// How many entries it has.
    pub size: u64,
    /// The root over them.
    pub root: TreeHash,
    /// How many entries the peer has cosigned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosigned_size: Option<u64>,
    /// When the peer cosigned them, by its clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosigned_at: Option<Time>,
}

/// Query of `GET /v1/ledger/proof`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerProofQuery {
    /// The peer's name.
    pub peer: String,
    /// The release.
    pub release: ReleaseId,
}

/// Answer to `GET /v1/ledger/proof`, and what stands in a proof file: that the ledger has an entry, so that anyone with
/// the card of the CERT that discloses can check it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerProof {
    /// [`LEDGER_PROOF_SCHEMA`].
    pub schema: String,
    /// Our name for the peer, for people.
    pub peer: String,
    /// The entry's number, from 0.
    pub index: u64,
    /// The entry's canonical JSON, as a text: its bytes are the leaf.
    pub entry: String,
    /// How many entries the signed head covers.
    pub size: u64,
    /// The root over them.
    pub root: TreeHash,
    /// The audit path of RFC 6962, from the leaf's sibling up.
    pub path: Vec<TreeHash>,
    /// The signed head, a note, with the peer's cosignature if there is one.
    pub checkpoint: String,
}

/// Query of `GET /v1/ledger/report`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerReportQuery {
    /// The peer's name.
    pub peer: String,
    /// The month in UTC, `YYYY-MM`.
    pub month: String,
}

/// Answer to `GET /v1/ledger/report`: what one peer was given in one month.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerReport {
    /// Our name for the peer.
    pub peer: String,
    /// Its id.
    pub cert: CertId,
    /// The month in UTC, `YYYY-MM`.
    pub month: String,
    /// The head of the ledger from which the report was made.
    pub head: LedgerHead,
    /// One row for each disclosure of the month, in order.
    pub rows: Vec<LedgerReportRow>,
}

/// One disclosure.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LedgerReportRow {
    /// The entry's number in the ledger.
    pub index: u64,
    /// When the release was let go.
    pub at: Time,
    /// The release.
    pub release: ReleaseId,
    /// The agreement under which it was let go.
    pub agreement: AgreementId,
    /// The version of the release rule that let it go.
    pub rule: u32,
    /// The release's label, for people, if the release is still held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// How many objects it names, if it is still held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objects: Option<u32>,
    /// What the peer last said of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ReceiptStatus>,
    /// When the peer said so, by its clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_at: Option<Time>,
}
