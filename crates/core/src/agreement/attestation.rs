//! Attestations: a party's signed word that it has purged what it received under an agreement.

use serde::{Deserialize, Serialize};

use crate::{
    id::{AgreementId, CertId},
    statement::{Statement, StatementError, Verified},
    time::Time,
};

/// The type under which attestations are signed.
pub const ATTESTATION_TYPE: &str = "application/vnd.mithaq.purge+json;version=1";

/// The schema that attestations name.
pub const ATTESTATION_SCHEMA: &str = "mithaq-purge/1";

/// The largest number that canonical JSON carries exactly.
const COUNT_MAX: u64 = (1 << 53) - 1;

/// One party's word that it holds no more of what it received under an agreement, but for what others gave it too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    schema: String,
    /// The agreement.
    pub agreement: AgreementId,
    /// The party that purged.
    pub by: CertId,
    /// When it was done.
    pub at: Time,
    /// How many releases it purged.
    pub releases: u64,
    /// How many objects it purged.
    pub objects: u64,
}

/// An attestation whose signature was checked.
pub type VerifiedAttestation = Verified<Attestation>;

impl Attestation {
    /// Attests a purge.
    #[must_use]
    pub fn new(agreement: AgreementId, by: CertId, at: Time, releases: u64, objects: u64) -> Self {
        Self { schema: ATTESTATION_SCHEMA.to_owned(), agreement, by, at, releases, objects }
    }
}

impl Statement for Attestation {
    const TYPE: &'static str = ATTESTATION_TYPE;
    const NAME: &'static str = "purge attestation";

    fn signer(&self) -> CertId {
        self.by
    }

    fn at(&self) -> Time {
        self.at
    }

    fn check(&self) -> Result<(), StatementError> {
        let field = |field, problem| Err(StatementError::Field { name: Self::NAME, field, problem });
        if self.schema != ATTESTATION_SCHEMA {
            return field("schema", "is not mithaq-purge/1");
        }
        if self.releases.max(self.objects) > COUNT_MAX {
            return field("counts", "are over 2^53 - 1");
        }
        Ok(())
    }
}
