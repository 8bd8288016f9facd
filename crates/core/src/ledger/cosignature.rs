//! Cosignatures: what a CERT signs once it has seen that a tree of disclosures to it continues the one that it knew, as
//! the C2SP tlog-cosignature specification (v1, Ed25519) has it.
//!
//! A cosigner makes the checkpoint durable before it cosigns: otherwise a crash could make it cosign two histories.

use std::{fmt, str::FromStr};

use super::{
    checkpoint::{VerifiedCheckpoint, signing_key},
    note::{NOTE_BYTES_MAX, NoteSignature, SignatureType, key_hash},
};
use crate::{
    card::VerifiedCard,
    id::CertId,
    keys::{SecretKey, Signature},
    release::CLOCK_SKEW_MAX,
    time::Time,
};

/// Bytes of a cosignature: the time and an Ed25519 signature.
const COSIGNATURE_BYTES: usize = 8 + 64;

/// A cosignature as it travels, a signature line: nothing in it has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    line: NoteSignature,
    seconds: u64,
    signature: Signature,
}

/// What a cosignature that was checked says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifiedCosignature {
    by: CertId,
    at: Time,
}

impl VerifiedCosignature {
    /// The CERT that cosigned.
    #[must_use]
    pub fn by(&self) -> CertId {
        self.by
    }

    /// When, by its clock, in whole seconds.
    #[must_use]
    pub fn at(&self) -> Time {
        self.at
    }
}

/// Why a cosignature is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CosignatureError {
    /// It is not a cosignature line.
    #[error("the text is not the signature line of a cosignature")]
    Line,
    /// The checkpoint is of a tree that does not concern the CERT.
    #[error("CERT {cert} has no part in the tree of the checkpoint, so it does not cosign it")]
    Stranger {
        /// The CERT.
        cert: CertId,
    },
    /// The card does not name the key, or not for that time.
    #[error("the cosignature is not made with a key that the cosigner's card names for {at}")]
    Key {
        /// When it was made, by its own word.
        at: Time,
    },
    /// The signature does not fit.
    #[error("the cosignature does not fit the checkpoint")]
    Signature,
    /// It is dated in the future.
    #[error("the cosignature is dated {at}, more than five minutes ahead of {now}")]
    Future {
        /// Its date.
        at: Time,
        /// This machine's clock.
        now: Time,
    },
}

/// What is signed: two lines, and the checkpoint's text.
fn message(seconds: u64, text: &str) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

/// A time from seconds of the Unix epoch.
fn time(seconds: u64) -> Time {
    Time::from_micros(i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX))
}

impl Cosignature {
    /// Takes a signature line of a note, if it has a cosignature's length.
    pub(super) fn of(line: &NoteSignature) -> Option<Self> {
        let bytes: &[u8; COSIGNATURE_BYTES] = line.signature.as_slice().try_into().ok()?;
        let (seconds, signature) = bytes.split_first_chunk()?;
        let signature = Signature::from_bytes(signature.try_into().ok()?);
        Some(Self { line: line.clone(), seconds: u64::from_be_bytes(*seconds), signature })
    }

    /// Whether the line names this CERT as the one that cosigned; anyone can write such a line.
    #[must_use]
    pub fn is_named(&self, cert: CertId) -> bool {
        self.line.name == cert.to_string()
    }
}

impl FromStr for Cosignature {
    type Err = CosignatureError;

    /// Reads a signature line without its newline.
    fn from_str(line: &str) -> Result<Self, CosignatureError> {
        let is_short = line.len() <= NOTE_BYTES_MAX;
        let line = is_short.then(|| NoteSignature::parse(line)).flatten();
        line.as_ref().and_then(Self::of).ok_or(CosignatureError::Line)
    }
}

impl fmt::Display for Cosignature {
    /// Writes the signature line without its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line.fmt(f)
    }
}

impl VerifiedCheckpoint {
    /// Cosigns the checkpoint as `cosigner`, the CERT that was disclosed to, with a signing key of its card.
    ///
    /// The caller has [`compare`](super::compare)d the checkpoint with the one that it held, and has made it durable.
    ///
    /// # Errors
    /// When the tree is not one of disclosures to the cosigner.
    pub fn cosign(&self, cosigner: CertId, key: &SecretKey, at: Time) -> Result<Cosignature, CosignatureError> {
        self.require_cosigner(cosigner)?;
        let seconds = u64::try_from(at.as_micros() / 1_000_000).unwrap_or(0);
        let signature = key.sign_note(&message(seconds, self.note.text()));
        let name = cosigner.to_string();
        let line = NoteSignature {
            key_hash: key_hash(&name, SignatureType::Cosignature, key.public().as_bytes()),
            signature: [&seconds.to_be_bytes()[..], signature.as_bytes()].concat(),
            name,
        };
        Ok(Cosignature { line, seconds, signature })
    }

    /// Checks a cosignature of this checkpoint against the card of the CERT that was disclosed to.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify_cosignature(
        &self,
        cosignature: &Cosignature,
        cosigner: &VerifiedCard,
        now: Time,
    ) -> Result<VerifiedCosignature, CosignatureError> {
        self.require_cosigner(cosigner.cert_id())?;
        let at = time(cosignature.seconds);
        if at > now.plus(CLOCK_SKEW_MAX) {
            return Err(CosignatureError::Future { at, now });
        }
        let key = signing_key(cosigner, &cosignature.line, SignatureType::Cosignature, at);
        let key = key.ok_or(CosignatureError::Key { at })?;
        let signed = message(cosignature.seconds, self.note.text());
        let _valid = key.verify_note(&signed, &cosignature.signature).map_err(|_| CosignatureError::Signature)?;
        Ok(VerifiedCosignature { by: cosigner.cert_id(), at })
    }

    /// Checks a cosignature and puts it under the note, in place of an earlier one.
    ///
    /// # Errors
    /// The first thing that is wrong; the note is as it was.
    pub fn add_cosignature(
        &mut self,
        cosignature: &Cosignature,
        cosigner: &VerifiedCard,
        now: Time,
    ) -> Result<VerifiedCosignature, CosignatureError> {
        let verified = self.verify_cosignature(cosignature, cosigner, now)?;
        self.note.add(cosignature.line.clone());
        self.cosigned_at = Some(verified.at);
        Ok(verified)
    }

    fn require_cosigner(&self, cert: CertId) -> Result<(), CosignatureError> {
        if self.checkpoint.origin.to() == Some(cert) { Ok(()) } else { Err(CosignatureError::Stranger { cert }) }
    }
}

impl super::checkpoint::SignedCheckpoint {
    /// The lines under the note that may be cosignatures, unchecked.
    pub fn cosignatures(&self) -> impl Iterator<Item = Cosignature> {
        self.note().signatures().iter().filter_map(Cosignature::of)
    }
}
