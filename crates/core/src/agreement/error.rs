//! Why an agreement is refused.

use super::{AGREEMENT_BYTES_MAX, AGREEMENT_SCHEMA};
use crate::{
    canonical::CanonicalError,
    dsse::EnvelopeError,
    id::{AgreementId, CertId},
};

/// Why an agreement is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AgreementError {
    /// The file is not an envelope with an agreement.
    #[error("the agreement cannot be opened")]
    Envelope(#[from] EnvelopeError),
    /// The agreement inside cannot be read.
    #[error("the agreement cannot be read")]
    Agreement(#[source] CanonicalError),
    /// It is too large.
    #[error("the agreement has {bytes} bytes; at most {AGREEMENT_BYTES_MAX} are taken")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// It is of another schema.
    #[error("the agreement has schema {found:?}; this program knows {AGREEMENT_SCHEMA}")]
    Schema {
        /// What it names.
        found: String,
    },
    /// A field breaks its limits.
    #[error("the agreement's {field} {problem}")]
    Field {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The CERT at hand is not a party.
    #[error("CERT {cert} ({name}) is not a party to the agreement")]
    NotAParty {
        /// The CERT.
        cert: CertId,
        /// Its name.
        name: String,
    },
    /// A party has not signed.
    #[error("the agreement is not signed by {name} with a key that its card names")]
    Unsigned {
        /// The party's name.
        name: String,
    },
    /// A signature does not fit.
    #[error("the signature of {name} does not fit the agreement: it was changed after it was signed")]
    Signature {
        /// The party's name.
        name: String,
    },
    /// A group's agreement is taken for one of two, or the other way round.
    #[error("the agreement is {found}, not {expected}")]
    Shape {
        /// What was asked for.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// The card of a member whose signature is needed is not at hand.
    #[error("the card of CERT {cert}, a member whose signature is needed, is not known here: ask it for its card")]
    NoCard {
        /// The member.
        cert: CertId,
    },
    /// The agreement that it supersedes is not the one at hand.
    #[error("the agreement supersedes {}; the one at hand is another", .superseded.fmt_short())]
    Previous {
        /// What it names.
        superseded: AgreementId,
    },
    /// Too few members of the previous version have signed.
    #[error("{signed} members of the agreement that it supersedes have signed; {threshold} must")]
    Threshold {
        /// How many have signed.
        signed: usize,
        /// How many must.
        threshold: usize,
    },
}
