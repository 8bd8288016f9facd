//! Evidence: two documents that a CERT signed and that contradict each other, in one file that anyone can check.
//!
//! What counts as proof is narrow on purpose, for on it a CERT's key is stopped: only what no honest CERT ever signs,
//! whatever became of its clock, its backups or its messages. Two agreements, releases or receipts prove nothing against
//! one signer: an agreement that was signed twice was wanted twice, and neither releases nor receipts have serials.

use serde::{Deserialize, Serialize};

use crate::{
    canonical::{self, CanonicalError},
    card::{CardError, VerifiedCard},
    dsse::Envelope,
    id::{CertId, sha256, to_hex},
    ledger::{CheckpointError, SignedCheckpoint, Tree, VerifiedCheckpoint},
    time::Time,
};

/// The schema that evidence names.
pub const EVIDENCE_SCHEMA: &str = "mithaq-evidence/1";

/// The most bytes of a file of evidence: three cards and a little more.
pub const EVIDENCE_BYTES_MAX: usize = 1024 * 1024;

/// What the documents prove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// Two cards with one serial say different things.
    CardEquivocation,
    /// Two checkpoints of one ledger, of one size, have different roots.
    CheckpointFork,
    /// A later checkpoint of a ledger has fewer entries than an earlier one.
    LedgerRollback,
}

impl Kind {
    /// The kind's name, as it stands in the file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CardEquivocation => "card-equivocation",
            Self::CheckpointFork => "checkpoint-fork",
            Self::LedgerRollback => "ledger-rollback",
        }
    }

    /// What it says of the CERT, for people.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::CardEquivocation => "signed two different cards with one serial",
            Self::CheckpointFork => "signed two different histories of its ledger, of the same length",
            Self::LedgerRollback => "signed a ledger from which entries were taken back",
        }
    }
}

/// One of the two documents, as it was signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "signed", rename_all = "lowercase", deny_unknown_fields)]
#[non_exhaustive]
pub enum Exhibit {
    /// A card.
    Card(Envelope),
    /// A checkpoint, the text of its note.
    Checkpoint(String),
}

/// Two documents that contradict each other: nothing in it has been checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    schema: String,
    /// What they prove.
    pub kind: Kind,
    /// The CERT that signed both.
    pub accused: CertId,
    /// Its card as it stood then: a later one may no longer name the key.
    card: Envelope,
    /// The CERT that noticed.
    pub noticed_by: CertId,
    /// When it noticed, by its clock.
    pub noticed_at: Time,
    /// The two documents.
    exhibits: [Exhibit; 2],
}

/// Evidence that was checked: the CERT signed both documents, and they contradict each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedEvidence {
    evidence: Evidence,
}

/// Who noticed, and when.
#[derive(Debug, Clone, Copy)]
pub struct Noticed {
    /// The CERT.
    pub by: CertId,
    /// The time.
    pub at: Time,
}

/// Why evidence proves nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// It is too large.
    #[error("the evidence has {bytes} bytes; at most {EVIDENCE_BYTES_MAX} are read")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It cannot be read or written.
    #[error("the evidence cannot be read")]
    Document(#[source] CanonicalError),
    /// It is of another schema.
    #[error("the evidence has schema {found:?}; this program knows {EVIDENCE_SCHEMA}")]
    Schema {
        /// What it names.
        found: String,
    },
    /// It is about another CERT than the one whose card is at hand.
    #[error("the evidence is about CERT {found}, not about {expected}")]
    Accused {
        /// Whose card is at hand.
        expected: CertId,
        /// Whom it accuses.
        found: CertId,
    },
    /// A card in it does not verify.
    #[error("a card in the evidence does not verify")]
    Card(#[source] CardError),
    /// A checkpoint in it does not verify.
    #[error("a checkpoint in the evidence does not verify")]
    Checkpoint(#[source] CheckpointError),
    /// The documents do not contradict each other, or not as it says.
    #[error("the two documents do not prove what the evidence says: both may be signed honestly")]
    NoContradiction,
}

/// What two cards prove, if they are of one CERT and contradict each other.
///
/// Only what the root key signed counts: two envelopes of one payload are the same card.
#[must_use]
pub fn cards(a: &VerifiedCard, b: &VerifiedCard) -> Option<Kind> {
    let is_one_serial = a.cert_id() == b.cert_id() && a.card().serial == b.card().serial;
    (is_one_serial && a.card() != b.card()).then_some(Kind::CardEquivocation)
}

/// What two checkpoints prove, if they are of one pair's ledger and contradict each other, in either order.
///
/// A smaller tree proves something only where its checkpoint is dated later: signers never date a checkpoint before an
/// earlier one. The local ledger is a snapshot and may shrink.
#[must_use]
pub fn checkpoints(a: &VerifiedCheckpoint, b: &VerifiedCheckpoint) -> Option<Kind> {
    let (a, b) = (a.checkpoint(), b.checkpoint());
    if a.origin != b.origin || a.origin.tree == Tree::Local {
        return None;
    }
    let (earlier, later) = if a.at <= b.at { (a, b) } else { (b, a) };
    if earlier.size == later.size {
        (earlier.root != later.root).then_some(Kind::CheckpointFork)
    } else {
        (earlier.at < later.at && later.size < earlier.size).then_some(Kind::LedgerRollback)
    }
}

impl Evidence {
    /// Evidence of two cards of one CERT; `None` if they do not contradict each other.
    #[must_use]
    pub fn of_cards(a: &VerifiedCard, b: &VerifiedCard, noticed: Noticed) -> Option<VerifiedEvidence> {
        let exhibits = [a, b].map(|card| Exhibit::Card(card.envelope().clone()));
        Some(VerifiedEvidence { evidence: Self::new(cards(a, b)?, a, exhibits, noticed) })
    }

    /// Evidence of two checkpoints that were verified against `signer`, the card of the CERT whose ledger it is; `None`
    /// if they do not contradict each other or are another CERT's.
    #[must_use]
    pub fn of_checkpoints(
        signer: &VerifiedCard,
        a: &VerifiedCheckpoint,
        b: &VerifiedCheckpoint,
        noticed: Noticed,
    ) -> Option<VerifiedEvidence> {
        let kind = checkpoints(a, b).filter(|_| a.checkpoint().origin.from == signer.cert_id())?;
        let exhibits = [a, b].map(|checkpoint| Exhibit::Checkpoint(checkpoint.to_string()));
        let evidence = Self::new(kind, signer, exhibits, noticed);
        // A key that the card no longer names cannot be checked by anyone with this evidence.
        evidence.judge(signer).is_ok().then_some(VerifiedEvidence { evidence })
    }

    fn new(kind: Kind, accused: &VerifiedCard, exhibits: [Exhibit; 2], noticed: Noticed) -> Self {
        Self {
            schema: EVIDENCE_SCHEMA.to_owned(),
            kind,
            accused: accused.cert_id(),
            card: accused.envelope().clone(),
            noticed_by: noticed.by,
            noticed_at: noticed.at,
            exhibits,
        }
    }

    /// Reads evidence, unchecked.
    ///
    /// # Errors
    /// When it is too large, malformed or of another schema.
    pub fn from_json(text: &[u8]) -> Result<Self, EvidenceError> {
        if text.len() > EVIDENCE_BYTES_MAX {
            return Err(EvidenceError::TooLarge { bytes: text.len() });
        }
        let evidence: Self = canonical::from_slice(text.trim_ascii()).map_err(EvidenceError::Document)?;
        if evidence.schema == EVIDENCE_SCHEMA {
            Ok(evidence)
        } else {
            Err(EvidenceError::Schema { found: evidence.schema.chars().take(80).collect() })
        }
    }

    /// The two documents.
    #[must_use]
    pub fn exhibits(&self) -> &[Exhibit; 2] {
        &self.exhibits
    }

    /// Checks it with any card of the CERT that it accuses: that its root key vouches for the keys, that they signed
    /// both documents, and that these contradict each other.
    ///
    /// # Errors
    /// Why it proves nothing.
    pub fn verify(self, accused: &VerifiedCard) -> Result<VerifiedEvidence, EvidenceError> {
        let card = VerifiedCard::verify(self.card.clone()).map_err(EvidenceError::Card)?;
        for found in [self.accused, card.cert_id()] {
            if found != accused.cert_id() {
                return Err(EvidenceError::Accused { expected: accused.cert_id(), found });
            }
        }
        if self.judge(&card)? == self.kind {
            Ok(VerifiedEvidence { evidence: self })
        } else {
            Err(EvidenceError::NoContradiction)
        }
    }

    /// What the documents prove against the CERT of `card`.
    fn judge(&self, card: &VerifiedCard) -> Result<Kind, EvidenceError> {
        let kind = match &self.exhibits {
            [Exhibit::Card(a), Exhibit::Card(b)] => {
                let (a, b) = (verified_card(a)?, verified_card(b)?);
                cards(&a, &b).filter(|_| a.cert_id() == card.cert_id())
            }
            [Exhibit::Checkpoint(a), Exhibit::Checkpoint(b)] => {
                checkpoints(&verified_checkpoint(a, card)?, &verified_checkpoint(b, card)?)
            }
            _ => None,
        };
        kind.ok_or(EvidenceError::NoContradiction)
    }
}

fn verified_card(envelope: &Envelope) -> Result<VerifiedCard, EvidenceError> {
    VerifiedCard::verify(envelope.clone()).map_err(EvidenceError::Card)
}

fn verified_checkpoint(note: &str, card: &VerifiedCard) -> Result<VerifiedCheckpoint, EvidenceError> {
    // A contradiction is one whatever the clock of whoever checks it says.
    let end_of_time = Time::from_micros(i64::MAX);
    let signed = SignedCheckpoint::parse(note.as_bytes());
    signed.and_then(|signed| signed.verify(card, end_of_time)).map_err(EvidenceError::Checkpoint)
}

impl VerifiedEvidence {
    /// What it says.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// The evidence as one line of canonical JSON with a newline.
    ///
    /// # Errors
    /// When canonical JSON cannot carry it.
    pub fn to_json(&self) -> Result<Vec<u8>, EvidenceError> {
        let mut text = canonical::to_vec(&self.evidence).map_err(EvidenceError::Document)?;
        text.push(b'\n');
        Ok(text)
    }

    /// A name for its file, without a suffix: the kind, the CERT, and a hash of the two documents, so that what is
    /// noticed twice is kept once.
    ///
    /// # Errors
    /// When canonical JSON cannot carry the documents.
    pub fn name(&self) -> Result<String, EvidenceError> {
        let mut documents = self
            .evidence
            .exhibits
            .iter()
            .map(|exhibit| canonical::to_vec(exhibit).map(|bytes| sha256(&bytes)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(EvidenceError::Document)?;
        documents.sort_unstable();
        let hash = to_hex(&sha256(documents.as_flattened())[..8]);
        Ok(format!("{}-{}-{hash}", self.evidence.kind.name(), self.evidence.accused.fmt_short()))
    }
}
