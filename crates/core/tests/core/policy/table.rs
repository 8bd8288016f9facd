//! The table that an operator can read, row by row.

use mithaq_core::{
    agreement::{AgreementTerms, IepTerm, Onward, Permission, PersonalData, Scope, SightingTerm, ThirdParty},
    consent::ConsentState,
    label::{Category, Iep},
    release::Kind,
    stix::marking::{Attribution, PermittedActions, Tlp},
};
use std::collections::BTreeSet;

use super::{Case, PEER, THIRD, US, case::cert_of, group};
use crate::cast::{MARKING, pact, terms, time};

const TABLE: &str = include_str!("../release-rule.md");
const OTHER_MARKING: &str = "marking-definition--00000000-0000-4000-8000-000000000002";

#[test]
fn every_case_of_the_table_is_answered_as_it_says() {
    let is_case = |cells: &Vec<&str>| !cells[0].starts_with("**");
    let cases: Vec<Vec<&str>> = TABLE
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .filter(is_case)
        .collect();
    assert!(cases.len() > 110, "the table is found and read: {}", cases.len());
    for case in cases {
        check(&case);
    }
}

/// The words of a cell: a key and what it is set to, which may be nothing.
fn words(cell: &str) -> impl Iterator<Item = (&str, &str)> {
    cell.split_whitespace().map(|word| word.split_once(':').unwrap_or((word, "")))
}

fn list(value: &str) -> BTreeSet<String> {
    value.split(',').filter(|word| *word != "none").map(str::to_owned).collect()
}

fn categories(value: &str) -> BTreeSet<Category> {
    list(value).iter().map(|word| word.parse().unwrap()).collect()
}

fn markings(value: &str) -> BTreeSet<String> {
    let known = |word: String| if word == "M1" { MARKING } else { OTHER_MARKING }.to_owned();
    list(value).into_iter().map(known).collect()
}

fn number(value: &str) -> u8 {
    ["us", "peer", "third"].iter().position(|name| *name == value).map(|at| u8::try_from(at).unwrap() + 1).unwrap()
}

/// Puts one row of the table to the rule.
fn check(cells: &[&str]) {
    let &[name, of_release, of_agreement, circumstances, answer] = cells else {
        panic!("a row with {} cells: {cells:?}", cells.len());
    };
    let mut case = Case::usual();
    words(of_release).for_each(|(key, value)| set_release(&mut case, key, value));
    words(circumstances).for_each(|(key, value)| set_circumstance(&mut case, key, value));
    let mut terms = terms();
    terms.flow.categories = categories("threat,observable,sighting");
    let own = words(of_agreement).filter(|(key, _)| !is_which(key));
    own.for_each(|(key, value)| set_term(&mut terms, key, value));
    let agreement = match of_agreement {
        "none" => None,
        "of-others" => Some(pact(&PEER, &THIRD, terms)),
        "with-another" => Some(pact(&US, &THIRD, terms)),
        "group" => Some(group(terms)),
        _ => Some(pact(&US, &PEER, terms)),
    };
    let to_ourselves = circumstances.contains("peer:ourselves");
    let decision = case.ask_for(cert_of(if to_ourselves { 1 } else { 2 }), agreement.as_ref());
    let found = decision.withheld_by().map_or("goes".to_owned(), |reason| reason.code.to_string());
    assert_eq!(found, answer, "{name}: {decision:#?}");
    assert_eq!(decision.released, answer == "goes", "{name}");
}

fn is_which(key: &str) -> bool {
    matches!(key, "none" | "of-others" | "with-another" | "group")
}

fn set_release(case: &mut Case, key: &str, value: &str) {
    let label = &mut case.label;
    match key {
        "categories" => label.categories = categories(value),
        "sectors" => label.sectors = list(value),
        "markings" => label.markings = markings(value),
        "statement" => label.statements = true,
        "personal" => label.personal = true,
        "pap" => label.pap = Some(value.parse().unwrap()),
        "confidence" => label.confidence = value.parse().unwrap(),
        "iep" => label.iep = Some(policy(value.parse().unwrap())),
        "resale" => label.iep.as_mut().unwrap().unmodified_resale = value != "must-not",
        "attribution" => label.iep.as_mut().unwrap().attribution = Attribution::MustNot,
        "iep-start" => label.iep.as_mut().unwrap().start = Some(time("2026-07-01T00:00:00Z")),
        "iep-end" => label.iep.as_mut().unwrap().end = Some(time("2026-05-01T00:00:00Z")),
        "origin" => case.origin = number(value),
        "to" => case.recipients = value.split(',').map(number).collect(),
        "age" => case.age_days = value.parse().unwrap(),
        "held" => case.held = true,
        "disclosed" => case.disclosed = true,
        "kind" => case.kind = if value == "withdraw" { Kind::Withdraw } else { Kind::Review },
        level => label.tlp = level.parse().unwrap(),
    }
}

/// A policy that lets all go.
fn policy(tlp: Tlp) -> Iep {
    Iep {
        tlp,
        start: None,
        end: None,
        permitted_actions: PermittedActions::ExternallyVisibleDirectActions,
        attribution: Attribution::May,
        unmodified_resale: true,
    }
}

fn set_term(terms: &mut AgreementTerms, key: &str, value: &str) {
    let flow = &mut terms.flow;
    match key {
        "max" => flow.tlp_max = value.parse().unwrap(),
        "categories" => flow.categories = categories(value),
        "sectors" => flow.sectors = Scope::Only(list(value)),
        "markings" => flow.markings = markings(value),
        "community" => terms.community = None,
        "statements" => flow.statements = Permission::Allow,
        "pap" => flow.pap_max = value.parse().unwrap(),
        "age" => flow.age_days_max = Some(value.parse().unwrap()),
        "confidence" => flow.confidence_min = value.parse().unwrap(),
        "personal" if value == "allow" => flow.personal_data = PersonalData::Allow,
        "personal" if value == "deny" => flow.personal_data = PersonalData::Deny,
        "personal" => flow.personal_data = PersonalData::Pseudonymise,
        "sightings" if value == "none" => flow.sightings = SightingTerm::None,
        "sightings" => flow.sightings = SightingTerm::Count,
        "iep" => flow.iep = IepTerm::Honour,
        "third-party" => terms.third_party = ThirdParty::Accept,
        other => panic!("{other}"),
    }
}

fn set_circumstance(case: &mut Case, key: &str, value: &str) {
    match (key, value) {
        ("our-max", level) => case.local.tlp_max = level.parse().unwrap(),
        ("our-categories", names) => case.local.categories = Some(categories(names)),
        ("our-onward", "no") => case.local.onward = false,
        ("when", "before") => case.at = time("2025-12-31T23:59:59.999999Z"),
        ("when", "after") => case.at = time("2026-12-31T00:00:00.000001Z"),
        ("ended", who) => case.ended = Some(number(who)),
        ("consent", "granted") => case.consent = ConsentState::Granted,
        ("consent", "denied") => case.consent = ConsentState::Denied,
        ("origin-says", "never") => case.origin_says = Some(Onward::Never),
        ("origin-says", "ask") => case.origin_says = Some(Onward::Ask),
        ("origin-says", "peer") => case.origin_says = Some(Onward::Listed([cert_of(2)].into())),
        ("origin-says", "another") => case.origin_says = Some(Onward::Listed([cert_of(1)].into())),
        ("with-origin", "over") => case.origin_over = true,
        ("peer", "ourselves") => {}
        other => panic!("{other:?}"),
    }
}
