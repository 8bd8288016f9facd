//! Agreements: what two CERTs have signed to share. An agreement's id is the hash of its canonical bytes, and a
//! session moves data only while both sides name the same one.

use std::collections::BTreeSet;

use mithaq_stix::{id::StixId, marking::Tlp};
use serde::{Deserialize, Serialize};

use crate::{
    canonical::{self, CanonicalError},
    card::VerifiedCard,
    dsse::{Envelope, EnvelopeError},
    id::{AgreementId, CertId, KeyId, sha256},
    keys::{SecretKey, Signature, Suite},
    label::{Category, LABEL_SET_MAX, SECTOR_BYTES_MAX, tlp_text},
    text::is_plain,
    time::Time,
};

/// The type under which agreements are signed.
pub const AGREEMENT_TYPE: &str = "application/vnd.mithaq.agreement+json;version=1";

/// The schema that agreements name.
pub const AGREEMENT_SCHEMA: &str = "mithaq-agreement/1";

/// Which values a flow lets through: all, or those listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Every value.
    Any,
    /// These values alone.
    Only(BTreeSet<String>),
}

/// Whether what one party releases may be passed on by the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Onward {
    /// It stays with the party that received it.
    Never,
}

/// What goes from one party to the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// The party that releases.
    pub from: CertId,
    /// The strictest TLP level that goes.
    #[serde(with = "tlp_text")]
    pub tlp_max: Tlp,
    /// The categories that go; an object goes only if all of its categories are here.
    pub categories: BTreeSet<Category>,
    /// The sectors that go; an object goes only if all of its sectors are here. What names no sector is of the
    /// sector [`SECTOR_UNSPECIFIED`](crate::label::SECTOR_UNSPECIFIED).
    pub sectors: Scope,
    /// Markings other than TLP that go.
    pub markings: BTreeSet<String>,
    /// Whether the receiver may pass it on.
    pub onward: Onward,
}

/// What two CERTs agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    schema: String,
    /// The parties, in ascending order.
    pub parties: [CertId; 2],
    /// The community that both belong to, which GREEN data may reach; `null` if there is none.
    pub community: Option<String>,
    /// Why data is shared, for people.
    pub purposes: BTreeSet<String>,
    /// From when on it holds.
    pub valid_from: Time,
    /// Until when it holds.
    pub valid_until: Time,
    /// One flow from each party.
    pub flows: [Flow; 2],
}

/// What the two sides of a new agreement have in common, before it is cast into an [`Agreement`].
#[derive(Debug, Clone)]
pub struct AgreementTerms {
    /// See [`Agreement::community`].
    pub community: Option<String>,
    /// See [`Agreement::purposes`].
    pub purposes: BTreeSet<String>,
    /// See [`Agreement::valid_from`].
    pub valid_from: Time,
    /// See [`Agreement::valid_until`].
    pub valid_until: Time,
    /// See [`Flow::tlp_max`].
    pub tlp_max: Tlp,
    /// See [`Flow::categories`].
    pub categories: BTreeSet<Category>,
    /// See [`Flow::sectors`].
    pub sectors: Scope,
    /// See [`Flow::markings`].
    pub markings: BTreeSet<String>,
}

/// An agreement with the signatures that it carries so far, none of them checked.
#[derive(Debug, Clone)]
pub struct SignedAgreement {
    agreement: Agreement,
    payload: Vec<u8>,
    signatures: Vec<(KeyId, Signature)>,
}

/// An agreement that both of its parties signed.
#[derive(Debug, Clone)]
pub struct VerifiedAgreement {
    id: AgreementId,
    agreement: Agreement,
}

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
}

impl Agreement {
    /// Makes an agreement in which the same terms hold in both directions.
    ///
    /// # Errors
    /// When a field breaks its limits.
    pub fn new(a: CertId, b: CertId, terms: AgreementTerms) -> Result<Self, AgreementError> {
        let parties = [a.min(b), a.max(b)];
        let flow = |from| Flow {
            from,
            tlp_max: terms.tlp_max,
            categories: terms.categories.clone(),
            sectors: terms.sectors.clone(),
            markings: terms.markings.clone(),
            onward: Onward::Never,
        };
        let agreement = Self {
            schema: AGREEMENT_SCHEMA.to_owned(),
            parties,
            flows: parties.map(flow),
            community: terms.community,
            purposes: terms.purposes,
            valid_from: terms.valid_from,
            valid_until: terms.valid_until,
        };
        agreement.check()?;
        Ok(agreement)
    }

    fn check(&self) -> Result<(), AgreementError> {
        let field = |field, problem| Err(AgreementError::Field { field, problem });
        if self.schema != AGREEMENT_SCHEMA {
            return Err(AgreementError::Schema { found: self.schema.chars().take(80).collect() });
        }
        if self.parties[0] >= self.parties[1] {
            return field("parties", "are not two CERTs in ascending order");
        }
        if self.flows.each_ref().map(|flow| flow.from) != self.parties {
            return field("flows", "are not one from each party, in the parties' order");
        }
        if self.valid_from >= self.valid_until {
            return field("validity", "ends before it begins");
        }
        if self.community.as_ref().is_some_and(|name| name.is_empty() || !is_short_text(name)) {
            return field("community", "is empty, too long or has control or bidi characters");
        }
        if self.purposes.len() > LABEL_SET_MAX || !self.purposes.iter().all(|text| is_short_text(text)) {
            return field("purposes", "are too many, too long or have control or bidi characters");
        }
        self.flows.iter().try_for_each(Flow::check)
    }

    /// The flow from `from`, if it is a party.
    #[must_use]
    pub fn flow_from(&self, from: CertId) -> Option<&Flow> {
        self.flows.iter().find(|flow| flow.from == from)
    }

    /// Whether `cert` is a party.
    #[must_use]
    pub fn has_party(&self, cert: CertId) -> bool {
        self.parties.contains(&cert)
    }
}

impl Flow {
    fn check(&self) -> Result<(), AgreementError> {
        let field = |field, problem| Err(AgreementError::Field { field, problem });
        if let Scope::Only(sectors) = &self.sectors
            && (sectors.len() > LABEL_SET_MAX || !sectors.iter().all(|text| is_short_text(text)))
        {
            return field("sectors", "are too many, too long or have control or bidi characters");
        }
        let is_marking = |id: &String| {
            StixId::parse(id).is_ok_and(|id| id.object_type() == "marking-definition")
                && Tlp::from_marking_id(id).is_none()
        };
        if self.markings.len() > LABEL_SET_MAX || !self.markings.iter().all(is_marking) {
            return field("markings", "are too many, or not ids of marking definitions other than TLP");
        }
        Ok(())
    }
}

fn is_short_text(text: &str) -> bool {
    is_plain(text, SECTOR_BYTES_MAX)
}

impl SignedAgreement {
    /// Takes a draft that nobody has signed.
    ///
    /// # Errors
    /// When a field breaks its limits.
    pub fn draft(agreement: Agreement) -> Result<Self, AgreementError> {
        agreement.check()?;
        let payload = canonical::to_vec(&agreement).map_err(AgreementError::Agreement)?;
        Ok(Self { agreement, payload, signatures: Vec::new() })
    }

    /// Reads the JSON text of an agreement's envelope, without checking signatures.
    ///
    /// # Errors
    /// When it is damaged or breaks a limit.
    pub fn from_json(text: &[u8]) -> Result<Self, AgreementError> {
        Self::open(&Envelope::from_json(text)?)
    }

    /// Opens an agreement's envelope, without checking signatures.
    ///
    /// # Errors
    /// When it is damaged or breaks a limit.
    pub fn open(envelope: &Envelope) -> Result<Self, AgreementError> {
        let (payload, signatures) = envelope.open(AGREEMENT_TYPE)?;
        let agreement: Agreement = canonical::from_slice(&payload).map_err(AgreementError::Agreement)?;
        agreement.check()?;
        Ok(Self { agreement, payload, signatures })
    }

    /// The agreement's id.
    #[must_use]
    pub fn id(&self) -> AgreementId {
        AgreementId::from_bytes(sha256(&self.payload))
    }

    /// What it says, unchecked.
    #[must_use]
    pub fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// The keys that have signed, unchecked.
    pub fn signers(&self) -> impl Iterator<Item = KeyId> {
        self.signatures.iter().map(|(key, _)| *key)
    }

    /// Adds our signature, in place of an earlier one by the same key.
    pub fn sign(&mut self, key: &SecretKey) {
        let id = key.public().id();
        self.signatures.retain(|(signer, _)| *signer != id);
        self.signatures.push((id, key.sign(AGREEMENT_TYPE, &self.payload)));
    }

    /// The agreement as it travels.
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        Envelope::new(AGREEMENT_TYPE, &self.payload, &self.signatures)
    }

    /// Checks that `party` is one and has signed with a key that its card names.
    ///
    /// # Errors
    /// When it is no party, has not signed, or its signature does not fit.
    pub fn verify_signer(&self, party: &VerifiedCard) -> Result<(), AgreementError> {
        let name = || party.card().name.clone();
        if !self.agreement.has_party(party.cert_id()) {
            return Err(AgreementError::NotAParty { cert: party.cert_id(), name: name() });
        }
        let keys = &party.card().signing_keys;
        let mut theirs = self
            .signatures
            .iter()
            .filter_map(|(id, signature)| {
                let key = keys.iter().find(|key| key.public.id() == *id)?;
                (key.suite == Suite::Ed25519).then_some((key.public, signature))
            })
            .peekable();
        if theirs.peek().is_none() {
            return Err(AgreementError::Unsigned { name: name() });
        }
        // Anyone can put a broken signature beside a good one; it must not hide it.
        if theirs.any(|(key, signature)| key.verify(AGREEMENT_TYPE, &self.payload, signature).is_ok()) {
            Ok(())
        } else {
            Err(AgreementError::Signature { name: name() })
        }
    }

    /// Checks that both parties, whose cards are given in either order, have signed.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(self, a: &VerifiedCard, b: &VerifiedCard) -> Result<VerifiedAgreement, AgreementError> {
        self.verify_signer(a)?;
        self.verify_signer(b)?;
        if a.cert_id() == b.cert_id() {
            return Err(AgreementError::Field { field: "parties", problem: "are one and the same CERT" });
        }
        Ok(VerifiedAgreement { id: self.id(), agreement: self.agreement })
    }
}

impl VerifiedAgreement {
    /// The agreement's id.
    #[must_use]
    pub fn id(&self) -> AgreementId {
        self.id
    }

    /// What it says.
    #[must_use]
    pub fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// Whether it holds at `now`.
    #[must_use]
    pub fn is_in_force(&self, now: Time) -> bool {
        self.agreement.valid_from <= now && now <= self.agreement.valid_until
    }
}
