//! The steps that read nothing but the label: peers and collections of our own readers are asked the same.

use std::collections::BTreeSet;

use mithaq_stix::marking::{Pap, Tlp};

use super::Trace;
use crate::{
    agreement::{Permission, Scope, SightingTerm},
    code::Code,
    label::{Category, Confidence, Label},
    release::Kind,
};

pub(super) fn ceiling(trace: &mut Trace, level: Tlp, ceiling: Tlp, whose: &str) {
    let verb = if level <= ceiling { "is within" } else { "is over" };
    trace.step(Code::TLP_CEILING, level <= ceiling, format!("TLP:{level} {verb} {whose} ceiling TLP:{ceiling}"));
}

/// Each category must be in `listed`, and in `local` where our own policy lists some too.
pub(super) fn categories(
    trace: &mut Trace,
    label: &Label,
    listed: &BTreeSet<Category>,
    local: Option<&BTreeSet<Category>>,
) {
    for category in &label.categories {
        let code = if *category == Category::Vulnerability { Code::VULNERABILITY } else { Code::CATEGORY };
        if local.is_some_and(|local| !local.contains(category)) {
            trace.step(code, false, format!("category {category} is not in our own policy"));
        }
        let ok = listed.contains(category);
        let verb = if ok { "is" } else { "is not" };
        trace.step(code, ok, format!("category {category} {verb} listed"));
    }
    if label.categories.is_empty() {
        trace.step(Code::CATEGORY, false, "the release has no category");
    }
}

/// Sightings go in full or as their counts, never both.
pub(super) fn sightings(trace: &mut Trace, kind: Kind, label: &Label, term: SightingTerm) {
    let is_count = kind == Kind::Tally;
    if !is_count && !label.categories.contains(&Category::Sighting) {
        return;
    }
    let (ok, text) = match (term, is_count) {
        (SightingTerm::Full, false) => (true, "sightings go"),
        (SightingTerm::Full, true) => (false, "sightings go in full, and so without their counts"),
        (SightingTerm::Count, true) => (true, "sightings go as counts, and this is one"),
        (SightingTerm::Count, false) => (false, "sightings go as counts alone, which are published beside them"),
        (SightingTerm::None, _) => (false, "no sightings go"),
    };
    trace.step(Code::SIGHTINGS, ok, text);
}

pub(super) fn sectors(trace: &mut Trace, label: &Label, scope: &Scope) {
    let Scope::Only(listed) = scope else {
        return trace.step(Code::SECTOR, true, "any sector goes");
    };
    for sector in &label.sectors {
        let ok = listed.contains(sector);
        let verb = if ok { "is" } else { "is not" };
        trace.step(Code::SECTOR, ok, format!("sector {sector:?} {verb} listed"));
    }
    if label.sectors.is_empty() {
        // Who lists sectors shares what concerns them; what names none is not known to.
        trace.step(Code::SECTOR, false, "sectors are listed and the release names none");
    }
}

pub(super) fn markings(trace: &mut Trace, label: &Label, named: &BTreeSet<String>) {
    for marking in &label.markings {
        let ok = named.contains(marking);
        let verb = if ok { "is named" } else { "is not known and not named" };
        trace.step(Code::MARKING, ok, format!("{marking} {verb} in the agreement"));
    }
    if label.markings.is_empty() {
        trace.step(Code::MARKING, true, "no marking of unknown meaning is on it");
    }
}

pub(super) fn statements(trace: &mut Trace, label: &Label, term: Permission) {
    let (ok, text) = match (label.statements, term) {
        (false, _) => (true, "no statement for people is on it"),
        (true, Permission::Allow) => (true, "statements for people go"),
        (true, Permission::Deny) => (false, "a statement for people is on it, and the agreement lets none go"),
    };
    trace.step(Code::STATEMENT, ok, text);
}

pub(super) fn pap(trace: &mut Trace, label: &Label, ceiling: Pap) {
    let Some(level) = label.pap else {
        return trace.step(Code::PAP, true, "no PAP level is on it");
    };
    let verb = if level <= ceiling { "is within" } else { "is over" };
    trace.step(Code::PAP, level <= ceiling, format!("PAP:{level} {verb} the ceiling PAP:{ceiling}"));
}

pub(super) fn confidence(trace: &mut Trace, label: &Label, least: Confidence) {
    let found = label.confidence;
    let text = match least {
        Confidence::Unspecified => "any confidence goes".into(),
        least => format!("confidence {found}, and {least} is the least that goes"),
    };
    trace.step(Code::CONFIDENCE, found >= least, text);
}
