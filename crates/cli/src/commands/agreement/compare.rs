//! What differs between two agreements, term by term, and which of them lets more go.

use std::{cmp::Ordering, collections::BTreeSet};

use mithaq_core::{
    agreement::{Agreement, Flow, Onward, Scope},
    id::CertId,
};
use serde::Serialize;
use serde_json::Value;

/// Where the second agreement goes, seen from the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Change {
    /// It lets more go, or for longer.
    Wider,
    /// It lets less go.
    Narrower,
    /// Neither is the wider one.
    Other,
}

/// One term that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    /// Whose flow it is of; absent of the whole agreement and of a group's flow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) from: Option<CertId>,
    /// The term, by its name in the agreement.
    pub(super) term: &'static str,
    /// What the first agreement says.
    pub(super) a: String,
    /// What the second agreement says.
    pub(super) b: String,
    /// Where it goes.
    pub(super) change: Change,
}

/// Every term in which two agreements differ.
pub(super) fn compare(a: &Agreement, b: &Agreement) -> Vec<Difference> {
    let mut found = Found { from: None, differences: Vec::new() };
    found.agreement(a, b);
    for flow in &b.flows {
        if let Some(before) = a.flows.iter().find(|before| before.from == flow.from) {
            found.from = flow.from;
            found.flow(before, flow);
        }
    }
    found.differences
}

struct Found {
    from: Option<CertId>,
    differences: Vec<Difference>,
}

impl Found {
    fn agreement(&mut self, a: &Agreement, b: &Agreement) {
        let certs = |agreement: &Agreement| agreement.certs().collect::<BTreeSet<_>>();
        self.note("parties", &certs(a), &certs(b), sets(&certs(a), &certs(b)));
        self.note("contacts", &contacts(a), &contacts(b), Change::Other);
        self.note("group", &a.group, &b.group, Change::Other);
        self.note("community", &a.community, &b.community, community(a, b));
        self.note("purposes", &a.purposes, &b.purposes, sets(&a.purposes, &b.purposes));
        self.note("valid_from", &a.valid_from, &b.valid_from, by(b.valid_from.cmp(&a.valid_from).reverse()));
        self.note("valid_until", &a.valid_until, &b.valid_until, by(b.valid_until.cmp(&a.valid_until)));
        self.note("notice_days", &a.notice_days, &b.notice_days, Change::Other);
        self.note("third_party", &a.third_party, &b.third_party, by(b.third_party.cmp(&a.third_party)));
        let (before, after) = (a.tlp_default.as_str(), b.tlp_default.as_str());
        self.note("tlp_default", &before, &after, by(a.tlp_default.cmp(&b.tlp_default)));
        self.note("retention_days", &a.retention_days, &b.retention_days, days(a.retention_days, b.retention_days));
        self.note("at_end", &a.at_end, &b.at_end, by(b.at_end.cmp(&a.at_end)));
    }

    fn flow(&mut self, a: &Flow, b: &Flow) {
        self.note("tlp_max", &a.tlp_max.as_str(), &b.tlp_max.as_str(), by(b.tlp_max.cmp(&a.tlp_max)));
        self.note("categories", &a.categories, &b.categories, sets(&a.categories, &b.categories));
        self.note("sectors", &a.sectors, &b.sectors, scopes(&a.sectors, &b.sectors));
        self.note("markings", &a.markings, &b.markings, sets(&a.markings, &b.markings));
        self.note("statements", &a.statements, &b.statements, by(b.statements.cmp(&a.statements)));
        self.note("pap_max", &a.pap_max, &b.pap_max, by(b.pap_max.cmp(&a.pap_max)));
        self.note("age_days_max", &a.age_days_max, &b.age_days_max, days(a.age_days_max, b.age_days_max));
        let confidence = a.confidence_min.cmp(&b.confidence_min);
        self.note("confidence_min", &a.confidence_min, &b.confidence_min, by(confidence));
        self.note("personal_data", &a.personal_data, &b.personal_data, by(b.personal_data.cmp(&a.personal_data)));
        self.note("sightings", &a.sightings, &b.sightings, by(b.sightings.cmp(&a.sightings)));
        self.note("iep", &a.iep, &b.iep, by(b.iep.cmp(&a.iep)));
        self.note("onward", &a.onward, &b.onward, onward(&a.onward, &b.onward));
    }

    fn note<T: Serialize + PartialEq>(&mut self, term: &'static str, a: &T, b: &T, change: Change) {
        if a != b {
            self.differences.push(Difference { from: self.from, term, a: text_of(a), b: text_of(b), change });
        }
    }
}

fn contacts(agreement: &Agreement) -> Vec<Vec<String>> {
    agreement.parties.iter().map(|party| party.contacts.clone()).collect()
}

fn by(order: Ordering) -> Change {
    match order {
        Ordering::Less => Change::Narrower,
        Ordering::Equal => Change::Other,
        Ordering::Greater => Change::Wider,
    }
}

fn sets<T: Ord>(a: &BTreeSet<T>, b: &BTreeSet<T>) -> Change {
    match (b.is_superset(a), b.is_subset(a)) {
        (true, false) => Change::Wider,
        (false, true) => Change::Narrower,
        _ => Change::Other,
    }
}

fn scopes(a: &Scope, b: &Scope) -> Change {
    match (a, b) {
        (Scope::Any, Scope::Any) => Change::Other,
        (Scope::Any, _) => Change::Narrower,
        (_, Scope::Any) => Change::Wider,
        (Scope::Only(a), Scope::Only(b)) => sets(a, b),
    }
}

/// No number of days is the most.
fn days(a: Option<u32>, b: Option<u32>) -> Change {
    by(b.unwrap_or(u32::MAX).cmp(&a.unwrap_or(u32::MAX)))
}

fn community(a: &Agreement, b: &Agreement) -> Change {
    match (&a.community, &b.community) {
        (None, Some(_)) => Change::Wider,
        (Some(_), None) => Change::Narrower,
        _ => Change::Other,
    }
}

fn onward(a: &Onward, b: &Onward) -> Change {
    match (a, b) {
        (Onward::Listed(a), Onward::Listed(b)) => sets(a, b),
        (Onward::Never, _) => Change::Wider,
        (_, Onward::Never) => Change::Narrower,
        _ => Change::Other,
    }
}

/// A term as people read it.
pub(super) fn text_of<T: Serialize>(term: &T) -> String {
    fn text(value: &Value) -> String {
        match value {
            Value::Null => "none".to_owned(),
            Value::String(text) => text.clone(),
            Value::Array(values) if values.is_empty() => "none".to_owned(),
            Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
            Value::Object(members) => {
                let member = |(name, value)| format!("{name} {}", text(value));
                members.iter().map(member).collect::<Vec<_>>().join(", ")
            }
            other => other.to_string(),
        }
    }
    serde_json::to_value(term).map_or_else(|error| error.to_string(), |value| text(&value))
}
