//! Terminations: any party may end an agreement, alone and at once, for what goes out.

use serde::{Deserialize, Serialize};

use crate::{
    id::{AgreementId, CertId},
    statement::{STATEMENT_TEXT_BYTES_MAX, Statement, StatementError, Verified},
    text::is_plain,
    time::Time,
};

/// The type under which terminations are signed.
pub const TERMINATION_TYPE: &str = "application/vnd.mithaq.termination+json;version=1";

/// The schema that terminations name.
pub const TERMINATION_SCHEMA: &str = "mithaq-termination/1";

/// One party's word that an agreement is over for it. In a group the others go on without it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Termination {
    schema: String,
    /// The agreement.
    pub agreement: AgreementId,
    /// The party.
    pub by: CertId,
    /// When it said so.
    pub at: Time,
    /// Why, for people; may be empty.
    pub reason: String,
}

/// A termination whose signature was checked.
pub type VerifiedTermination = Verified<Termination>;

impl Termination {
    /// Ends an agreement.
    #[must_use]
    pub fn new(agreement: AgreementId, by: CertId, at: Time, reason: impl Into<String>) -> Self {
        Self { schema: TERMINATION_SCHEMA.to_owned(), agreement, by, at, reason: reason.into() }
    }
}

impl Statement for Termination {
    const TYPE: &'static str = TERMINATION_TYPE;
    const NAME: &'static str = "termination";

    fn signer(&self) -> CertId {
        self.by
    }

    fn at(&self) -> Time {
        self.at
    }

    fn check(&self) -> Result<(), StatementError> {
        let field = |field, problem| Err(StatementError::Field { name: Self::NAME, field, problem });
        if self.schema != TERMINATION_SCHEMA {
            return field("schema", "is not mithaq-termination/1");
        }
        if !is_plain(&self.reason, STATEMENT_TEXT_BYTES_MAX) {
            return field("reason", "is over 1000 bytes or has control or bidi characters");
        }
        Ok(())
    }
}
