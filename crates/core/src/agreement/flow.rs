//! Flows: what goes from one party to another, term by term.

use std::collections::BTreeSet;

use mithaq_stix::marking::{Pap, Tlp};
use serde::{Deserialize, Serialize};

use crate::{
    id::CertId,
    label::{Category, Confidence, tlp_text},
};

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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Onward {
    /// It stays with the party that received it.
    Never,
    /// Only where the origin consents, asked each time.
    Ask,
    /// To these CERTs, without asking.
    Listed(BTreeSet<CertId>),
}

/// Whether something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permission {
    /// It stays.
    Deny,
    /// It goes.
    Allow,
}

/// Whether personal data goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PersonalData {
    /// It stays.
    Deny,
    /// It goes once its producer has replaced names by pseudonyms, and so has published something else: what is signed
    /// is never changed on its way.
    Pseudonymise,
    /// It goes.
    Allow,
}

/// Whether sightings go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SightingTerm {
    /// They stay.
    None,
    /// Only how many there were goes; each by itself stays.
    Count,
    /// They go.
    Full,
}

/// Whether what carries an Information Exchange Policy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IepTerm {
    /// It stays.
    Deny,
    /// It goes, and the receiver undertakes to do as the policy says.
    Honour,
}

/// What goes from one party to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flow {
    /// The party that releases; absent in a group, whose one flow holds from every member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<CertId>,
    /// The strictest TLP level that goes.
    #[serde(with = "tlp_text")]
    pub tlp_max: Tlp,
    /// The categories that go; an object goes only if all of its categories are here.
    pub categories: BTreeSet<Category>,
    /// The sectors that go; an object goes only if all of its sectors are here. What names no sector is of the
    /// sector [`SECTOR_UNSPECIFIED`](crate::label::SECTOR_UNSPECIFIED).
    pub sectors: Scope,
    /// Markings of unknown meaning that go, by their ids.
    pub markings: BTreeSet<String>,
    /// Whether what carries a statement for people to read goes.
    pub statements: Permission,
    /// The strictest level of the Permissible Actions Protocol that goes.
    pub pap_max: Pap,
    /// The oldest release that goes, in days since it was published; `null` for any.
    pub age_days_max: Option<u32>,
    /// The least confidence that goes; `unspecified` for any, and for what states none.
    pub confidence_min: Confidence,
    /// Whether personal data goes.
    pub personal_data: PersonalData,
    /// Whether sightings go; their category must be listed too.
    pub sightings: SightingTerm,
    /// Whether what carries an Information Exchange Policy goes.
    pub iep: IepTerm,
    /// Whether the receiver may pass it on.
    pub onward: Onward,
}
