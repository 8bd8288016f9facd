//! Agreements: what CERTs have signed to share, two of them or a group. An agreement's id is the hash of its canonical
//! bytes, and a session moves data only while both sides name the same one.
//!
//! Nothing in an agreement has a default that is not written out, so that what people sign is all there is.

pub mod attestation;
mod check;
mod error;
mod flow;
mod signed;
pub mod termination;

use std::collections::BTreeSet;

pub use error::AgreementError;
pub use flow::{Flow, IepTerm, Onward, Permission, PersonalData, Scope, SightingTerm};
use mithaq_stix::marking::Tlp;
use serde::{Deserialize, Serialize};
pub use signed::{SignedAgreement, VerifiedAgreement};

use crate::{
    id::{AgreementId, CertId},
    label::tlp_text,
    time::Time,
};

/// The type under which agreements are signed.
pub const AGREEMENT_TYPE: &str = "application/vnd.mithaq.agreement+json;version=1";

/// The schema that agreements name.
pub const AGREEMENT_SCHEMA: &str = "mithaq-agreement/1";

/// The most bytes of an agreement.
pub const AGREEMENT_BYTES_MAX: usize = 128 * 1024;

/// The most parties of an agreement.
pub const PARTIES_MAX: usize = 64;

/// The most contacts of one party.
pub const CONTACTS_MAX: usize = 16;

/// The most days that any term of an agreement may count: a hundred years.
pub const DAYS_MAX: u32 = 36_500;

/// A party, and whom to call there about this agreement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Party {
    /// The CERT.
    pub cert: CertId,
    /// Addresses, telephone numbers; may be empty, as its card has some too.
    pub contacts: Vec<String>,
}

impl Party {
    /// A party without contacts of its own for this agreement.
    #[must_use]
    pub fn new(cert: CertId) -> Self {
        Self { cert, contacts: Vec::new() }
    }
}

/// Whether the parties take from each other what a third CERT has released.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThirdParty {
    /// They do not.
    Refuse,
    /// They do, where its origin agrees.
    Accept,
}

/// What becomes of what was received once the agreement is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AtEnd {
    /// It is purged, and the purge attested.
    Purge,
    /// It is kept until its retention ends.
    Keep,
}

/// What makes a group of the parties. No member is special.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name, which members alone learn.
    pub name: String,
    /// How many members must sign a version that only admits or removes members or renews.
    pub threshold: u32,
}

/// What CERTs agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agreement {
    schema: String,
    /// The parties, ascending by their ids: two, or the members of the group.
    pub parties: Vec<Party>,
    /// The group that the parties are; `null` between two.
    pub group: Option<Group>,
    /// The community that all parties belong to, which GREEN data may reach; `null` if there is none.
    pub community: Option<String>,
    /// Why data is shared, for people.
    pub purposes: BTreeSet<String>,
    /// From when on it holds.
    pub valid_from: Time,
    /// Until when it holds.
    pub valid_until: Time,
    /// How many days before it ends the parties begin to speak of its renewal.
    pub notice_days: u32,
    /// Between two, one flow from each party, in the parties' order; in a group, one that holds from every member.
    pub flows: Vec<Flow>,
    /// Whether the parties take from each other what a third CERT has released.
    pub third_party: ThirdParty,
    /// The TLP level that the parties give to what nobody marked.
    #[serde(with = "tlp_text")]
    pub tlp_default: Tlp,
    /// How many days a party keeps what it received; `null` for as long as it is of use.
    pub retention_days: Option<u32>,
    /// What becomes of what was received once the agreement is over.
    pub at_end: AtEnd,
    /// The agreement that this one takes the place of.
    pub supersedes: Option<AgreementId>,
}

/// What a new agreement says, but for its parties.
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
    /// See [`Agreement::notice_days`].
    pub notice_days: u32,
    /// What goes from every party; [`Flow::from`] is filled in.
    pub flow: Flow,
    /// See [`Agreement::third_party`].
    pub third_party: ThirdParty,
    /// See [`Agreement::tlp_default`].
    pub tlp_default: Tlp,
    /// See [`Agreement::retention_days`].
    pub retention_days: Option<u32>,
    /// See [`Agreement::at_end`].
    pub at_end: AtEnd,
    /// See [`Agreement::supersedes`].
    pub supersedes: Option<AgreementId>,
}

impl Agreement {
    /// Makes an agreement of two in which the same terms hold in both directions.
    ///
    /// # Errors
    /// When a field breaks its limits.
    pub fn new(a: CertId, b: CertId, terms: AgreementTerms) -> Result<Self, AgreementError> {
        let parties = [a.min(b), a.max(b)];
        let flow = |from| Flow { from: Some(from), ..terms.flow.clone() };
        let flows = parties.map(flow).into();
        Self::cast(parties.map(Party::new).into(), None, flows, terms)
    }

    /// Makes the agreement of a group, whose members may come in any order.
    ///
    /// # Errors
    /// When a field breaks its limits.
    pub fn of_group(mut members: Vec<Party>, group: Group, terms: AgreementTerms) -> Result<Self, AgreementError> {
        members.sort_unstable_by_key(|party| party.cert);
        let flow = Flow { from: None, ..terms.flow.clone() };
        Self::cast(members, Some(group), vec![flow], terms)
    }

    fn cast(
        parties: Vec<Party>,
        group: Option<Group>,
        flows: Vec<Flow>,
        terms: AgreementTerms,
    ) -> Result<Self, AgreementError> {
        let agreement = Self {
            schema: AGREEMENT_SCHEMA.to_owned(),
            parties,
            group,
            community: terms.community,
            purposes: terms.purposes,
            valid_from: terms.valid_from,
            valid_until: terms.valid_until,
            notice_days: terms.notice_days,
            flows,
            third_party: terms.third_party,
            tlp_default: terms.tlp_default,
            retention_days: terms.retention_days,
            at_end: terms.at_end,
            supersedes: terms.supersedes,
        };
        agreement.check()?;
        Ok(agreement)
    }

    /// The flow from `from`, if it is a party.
    #[must_use]
    pub fn flow_from(&self, from: CertId) -> Option<&Flow> {
        let is_theirs = |flow: &&Flow| flow.from.is_none_or(|party| party == from);
        self.flows.iter().find(is_theirs).filter(|_| self.has_party(from))
    }

    /// Whether `cert` is a party.
    #[must_use]
    pub fn has_party(&self, cert: CertId) -> bool {
        self.parties.iter().any(|party| party.cert == cert)
    }

    /// The ids of the parties, ascending.
    pub fn certs(&self) -> impl Iterator<Item = CertId> {
        self.parties.iter().map(|party| party.cert)
    }

    /// Whether this version of a group's agreement differs from `previous` in nothing but members and validity, which
    /// is what a threshold of its members may decide.
    #[must_use]
    pub fn only_renews(&self, previous: &Self) -> bool {
        let renewed = Self {
            parties: previous.parties.clone(),
            valid_from: previous.valid_from,
            valid_until: previous.valid_until,
            supersedes: previous.supersedes,
            ..self.clone()
        };
        self.group.is_some() && renewed == *previous
    }
}
