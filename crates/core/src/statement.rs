//! Statements: what one CERT says over its signature, on a page of its own. Terminations, attestations and consents
//! are statements.

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    canonical::{self, CanonicalError},
    card::VerifiedCard,
    dsse::{Envelope, EnvelopeError},
    id::CertId,
    keys::{SecretKey, Suite},
    time::Time,
};

/// The most bytes of a statement's text for people.
pub const STATEMENT_TEXT_BYTES_MAX: usize = 1_000;

/// A document that one CERT signs alone.
pub trait Statement: Serialize + DeserializeOwned {
    /// The type under which it is signed.
    const TYPE: &'static str;

    /// What people call it, such as `termination`.
    const NAME: &'static str;

    /// The CERT that says it.
    fn signer(&self) -> CertId;

    /// When it was said, by the signer's clock.
    fn at(&self) -> Time;

    /// Checks the limits of its fields.
    ///
    /// # Errors
    /// Names the field that breaks its limits.
    fn check(&self) -> Result<(), StatementError>;
}

/// A statement whose signature by a key of its signer's card was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<S> {
    statement: S,
    envelope: Envelope,
}

/// Why a statement is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StatementError {
    /// The file is not an envelope with such a statement.
    #[error("the {name} cannot be opened")]
    Envelope {
        /// What was expected.
        name: &'static str,
        /// Why.
        source: EnvelopeError,
    },
    /// The statement inside cannot be read.
    #[error("the {name} cannot be read")]
    Shape {
        /// What was expected.
        name: &'static str,
        /// Why.
        source: CanonicalError,
    },
    /// A field breaks its limits.
    #[error("the {name}'s {field} {problem}")]
    Field {
        /// What it is.
        name: &'static str,
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It is another CERT's than the one whose card is at hand.
    #[error("the {name} is of CERT {found}, not of {expected}")]
    Signer {
        /// What it is.
        name: &'static str,
        /// Whose card is at hand.
        expected: CertId,
        /// Whom it names.
        found: CertId,
    },
    /// It is not signed, by one key alone, with a key that the card names for that time; or was changed since.
    #[error("the {name} is not signed with a key that the card of its CERT names for {at}, or was changed since")]
    Signature {
        /// What it is.
        name: &'static str,
        /// When it was said.
        at: Time,
    },
}

/// Reads a statement, without checking its signature, to learn whose card is needed.
///
/// # Errors
/// When it is damaged or breaks a limit.
pub fn peek<S: Statement>(envelope: &Envelope) -> Result<S, StatementError> {
    let source = |source| StatementError::Envelope { name: S::NAME, source };
    let (payload, _) = envelope.open(S::TYPE).map_err(source)?;
    read(&payload)
}

fn read<S: Statement>(payload: &[u8]) -> Result<S, StatementError> {
    let source = |source| StatementError::Shape { name: S::NAME, source };
    let statement: S = canonical::from_slice(payload).map_err(source)?;
    statement.check()?;
    Ok(statement)
}

impl<S: Statement> Verified<S> {
    /// Signs a statement of our own.
    ///
    /// # Errors
    /// When a field breaks its limits.
    pub fn sign(statement: S, key: &SecretKey) -> Result<Self, StatementError> {
        statement.check()?;
        let source = |source| StatementError::Shape { name: S::NAME, source };
        let payload = canonical::to_vec(&statement).map_err(source)?;
        let signature = (key.public().id(), key.sign(S::TYPE, &payload));
        Ok(Self { statement, envelope: Envelope::new(S::TYPE, &payload, &[signature]) })
    }

    /// Checks a statement against the card of the CERT that it names. The key must be valid at the time that the
    /// statement gives.
    ///
    /// # Errors
    /// When it is damaged, changed, another CERT's, or breaks a limit.
    pub fn verify(envelope: Envelope, card: &VerifiedCard) -> Result<Self, StatementError> {
        let name = S::NAME;
        let (payload, signatures) =
            envelope.open(S::TYPE).map_err(|source| StatementError::Envelope { name, source })?;
        let statement: S = read(&payload)?;
        if statement.signer() != card.cert_id() {
            return Err(StatementError::Signer { name, expected: card.cert_id(), found: statement.signer() });
        }
        let at = statement.at();
        // One signature and no more: what stands beside it unchecked would make two documents of one.
        let [(signer, signature)] = signatures[..] else {
            return Err(StatementError::Signature { name, at });
        };
        let key = card.signing_key(signer, Suite::Ed25519, at).ok_or(StatementError::Signature { name, at })?;
        let _valid = key.verify(S::TYPE, &payload, &signature).map_err(|_| StatementError::Signature { name, at })?;
        Ok(Self { statement, envelope })
    }

    /// What it says.
    #[must_use]
    pub fn statement(&self) -> &S {
        &self.statement
    }

    /// The statement as it travels.
    #[must_use]
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }
}
