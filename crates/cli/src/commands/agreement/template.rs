//! Templates: whole sets of terms to begin with.

use std::{collections::BTreeSet, time::Duration};

use clap::ValueEnum;
use mithaq_core::{
    agreement::{
        AgreementTerms, AtEnd, Flow, IepTerm, Onward, Permission, PersonalData, Scope, SightingTerm, ThirdParty,
    },
    label::{Category, Confidence},
    stix::marking::{Pap, Tlp},
    time::Time,
};

/// Where a new agreement begins; every flag changes one term of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Template {
    /// Much goes, and on to others where its origin consents
    Open,
    /// What most pacts say
    Standard,
    /// Threats and observables alone, nothing for people, purged at the end
    Strict,
}

impl Template {
    /// The template's terms, in force from a moment for a number of days.
    pub(super) fn terms(self, valid_from: Time, days: u32) -> AgreementTerms {
        let standard = AgreementTerms {
            community: None,
            purposes: ["incident-response".to_owned()].into(),
            valid_from,
            valid_until: after_days(valid_from, days),
            notice_days: 30,
            flow: standard_flow(),
            third_party: ThirdParty::Refuse,
            tlp_default: Tlp::Amber,
            retention_days: Some(365),
            at_end: AtEnd::Keep,
            supersedes: None,
        };
        match self {
            Self::Standard => standard,
            Self::Open => {
                AgreementTerms { flow: open_flow(), third_party: ThirdParty::Accept, retention_days: None, ..standard }
            }
            Self::Strict => {
                AgreementTerms { flow: strict_flow(), retention_days: Some(180), at_end: AtEnd::Purge, ..standard }
            }
        }
    }
}

/// A moment some days later.
pub(super) fn after_days(from: Time, days: u32) -> Time {
    from.plus(Duration::from_secs(24 * 60 * 60) * days)
}

fn standard_flow() -> Flow {
    Flow {
        from: None,
        tlp_max: Tlp::Amber,
        categories: all_but(&[Category::Vulnerability, Category::Custom]),
        sectors: Scope::Any,
        markings: BTreeSet::new(),
        statements: Permission::Allow,
        pap_max: Pap::Red,
        age_days_max: None,
        confidence_min: Confidence::Unspecified,
        personal_data: PersonalData::Deny,
        sightings: SightingTerm::Full,
        iep: IepTerm::Honour,
        onward: Onward::Never,
    }
}

/// Vulnerabilities are never in a template: laws often forbid to give them abroad.
fn open_flow() -> Flow {
    Flow {
        tlp_max: Tlp::AmberStrict,
        categories: all_but(&[Category::Vulnerability]),
        personal_data: PersonalData::Allow,
        onward: Onward::Ask,
        ..standard_flow()
    }
}

fn strict_flow() -> Flow {
    Flow {
        categories: [Category::Threat, Category::Observable, Category::Mitigation, Category::Meta].into(),
        statements: Permission::Deny,
        pap_max: Pap::Amber,
        age_days_max: Some(180),
        sightings: SightingTerm::None,
        iep: IepTerm::Deny,
        ..standard_flow()
    }
}

fn all_but(left_out: &[Category]) -> BTreeSet<Category> {
    Category::ALL.into_iter().filter(|category| !left_out.contains(category)).collect()
}
