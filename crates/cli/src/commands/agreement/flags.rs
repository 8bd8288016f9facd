//! The flags that change one term each of a new agreement.

use std::collections::BTreeSet;

use mithaq_api::home::Home;
use mithaq_core::{
    agreement::{
        AgreementTerms, AtEnd, DAYS_MAX, Flow, IepTerm, Onward, Permission, PersonalData, Scope, SightingTerm,
        ThirdParty,
    },
    id::CertId,
    label::{Category, Confidence},
    stix::marking::{Pap, Tlp},
};
use serde::de::{DeserializeOwned, IntoDeserializer, value};

use crate::{failure::Failure, people::People};

/// The terms of a flow and of the whole.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Terms (defaults are the template's)")]
pub(super) struct TermFlags {
    /// The strictest TLP level that goes: clear, green, amber, amber+strict, or red to named recipients
    #[arg(long, value_name = "LEVEL")]
    tlp_max: Option<Tlp>,
    /// A category that goes; may be repeated. Known are threat, observable, sighting, report, mitigation, identity,
    /// meta, vulnerability and custom
    #[arg(long = "category", value_name = "CATEGORY")]
    categories: Vec<Category>,
    /// A sector that goes, such as energy; may be repeated. With one, what names no sector stays
    #[arg(long = "sector", value_name = "SECTOR")]
    sectors: Vec<String>,
    /// The id of a marking that nobody here knows and that goes; may be repeated
    #[arg(long = "marking", value_name = "MARKING_ID")]
    markings: Vec<String>,
    /// Whether what carries a statement for people goes: allow or deny
    #[arg(long, value_name = "WORD", value_parser = word::<Permission>)]
    statements: Option<Permission>,
    /// The strictest PAP level that goes: clear, green, amber or red
    #[arg(long, value_name = "LEVEL")]
    pap_max: Option<Pap>,
    /// The oldest release that goes, in days
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    age_days_max: Option<u32>,
    /// The least confidence that goes: unspecified, none, low, med or high
    #[arg(long, value_name = "STEP")]
    confidence_min: Option<Confidence>,
    /// Whether personal data goes: deny, pseudonymise or allow
    #[arg(long, value_name = "WORD", value_parser = word::<PersonalData>)]
    personal_data: Option<PersonalData>,
    /// Whether sightings go: none, count or full
    #[arg(long, value_name = "WORD", value_parser = word::<SightingTerm>)]
    sightings: Option<SightingTerm>,
    /// Whether what carries an Information Exchange Policy goes: deny or honour
    #[arg(long, value_name = "WORD", value_parser = word::<IepTerm>)]
    iep: Option<IepTerm>,
    /// Whether the receiver may pass it on: never or ask
    #[arg(long, value_name = "WORD", value_parser = word::<Onward>, conflicts_with = "onward_to")]
    onward: Option<Onward>,
    /// A CERT that the receiver may pass it on to without asking, by our name for it or its id; may be repeated
    #[arg(long, value_name = "PEER|CERT_ID")]
    onward_to: Vec<String>,
    /// The community that all parties belong to, which TLP:GREEN may reach
    #[arg(long, value_name = "NAME")]
    community: Option<String>,
    /// Why data is shared; may be repeated
    #[arg(long = "purpose", value_name = "PURPOSE")]
    purposes: Vec<String>,
    /// Whether the parties take what third CERTs released: accept or refuse
    #[arg(long, value_name = "WORD", value_parser = word::<ThirdParty>)]
    third_party: Option<ThirdParty>,
    /// The TLP level that the parties give to what nobody marked
    #[arg(long, value_name = "LEVEL")]
    tlp_default: Option<Tlp>,
    /// How many days a party keeps what it received
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    retention_days: Option<u32>,
    /// What becomes of what was received once the agreement is over: keep or purge
    #[arg(long, value_name = "WORD", value_parser = word::<AtEnd>)]
    at_end: Option<AtEnd>,
    /// How many days before the end the parties begin to speak of renewal
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(0..=i64::from(DAYS_MAX)))]
    notice_days: Option<u32>,
}

/// One of the words that an agreement knows for a term.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    T::deserialize(text.into_deserializer()).map_err(|error: value::Error| error.to_string())
}

impl TermFlags {
    /// Changes the terms of a template by what was given.
    pub(super) fn change(&self, terms: &mut AgreementTerms, home: &Home) -> Result<(), Failure> {
        self.change_flow(&mut terms.flow);
        if !self.onward_to.is_empty() {
            terms.flow.onward = Onward::Listed(certs(&self.onward_to, home)?);
        }
        if self.community.is_some() {
            terms.community.clone_from(&self.community);
        }
        set_all(&mut terms.purposes, &self.purposes);
        set(&mut terms.third_party, self.third_party);
        set(&mut terms.tlp_default, self.tlp_default);
        set(&mut terms.at_end, self.at_end);
        set(&mut terms.notice_days, self.notice_days);
        terms.retention_days = self.retention_days.or(terms.retention_days);
        Ok(())
    }

    fn change_flow(&self, flow: &mut Flow) {
        set(&mut flow.tlp_max, self.tlp_max);
        set_all(&mut flow.categories, &self.categories);
        if !self.sectors.is_empty() {
            flow.sectors = Scope::Only(self.sectors.iter().cloned().collect());
        }
        set_all(&mut flow.markings, &self.markings);
        set(&mut flow.statements, self.statements);
        set(&mut flow.pap_max, self.pap_max);
        flow.age_days_max = self.age_days_max.or(flow.age_days_max);
        set(&mut flow.confidence_min, self.confidence_min);
        set(&mut flow.personal_data, self.personal_data);
        set(&mut flow.sightings, self.sightings);
        set(&mut flow.iep, self.iep);
        set(&mut flow.onward, self.onward.clone());
    }
}

fn set<T>(term: &mut T, given: Option<T>) {
    if let Some(given) = given {
        *term = given;
    }
}

fn set_all<T: Clone + Ord>(term: &mut BTreeSet<T>, given: &[T]) {
    if !given.is_empty() {
        *term = given.iter().cloned().collect();
    }
}

/// CERTs by our names for them or by their ids.
fn certs(names: &[String], home: &Home) -> Result<BTreeSet<CertId>, Failure> {
    let people = People::of(home);
    let cert = |name: &String| {
        let known = people.named(name).or_else(|| name.parse().ok());
        known.ok_or_else(|| Failure::Argument {
            what: "--onward-to",
            problem: format!("{name:?} is neither a peer here nor the 64 digits of a CERT's id"),
        })
    };
    names.iter().map(cert).collect()
}
