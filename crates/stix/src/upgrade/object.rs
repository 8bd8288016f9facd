//! Domain, relationship and marking objects, from STIX 2.0 part 2 to STIX 2.1 §4, §5 and §7.

use super::{
    marking, observable, pattern,
    report::{ChangeKind, Log},
    tree::{Members, Node, string},
};
use crate::{
    json::Value,
    model::{
        fields::Words,
        vocabulary::{IndicatorType, MalwareType, ReportType, ThreatActorType, ToolType, Vocabulary},
    },
    object::ObjectClass,
    quote::quote,
    time::TimestampRef,
};
use std::borrow::Cow;

/// The fewest digits of a fraction of a second in `created` and `modified` (STIX 2.1 §3.2).
const FRACTION_DIGITS_MIN: usize = 3;

/// Where STIX 2.0 had an object's kind in `labels`: its type, the property of STIX 2.1, and that one's vocabulary.
const KINDS: [(&str, &str, &Vocabulary); 5] = [
    ("indicator", "indicator_types", IndicatorType::VOCABULARY),
    ("malware", "malware_types", MalwareType::VOCABULARY),
    ("report", "report_types", ReportType::VOCABULARY),
    ("threat-actor", "threat_actor_types", ThreatActorType::VOCABULARY),
    ("tool", "tool_types", ToolType::VOCABULARY),
];

/// Brings an object's own properties to STIX 2.1, but for the observables of an observed-data object.
pub(super) fn upgrade(members: &mut Members<'_>, log: &mut Log) {
    members.insert(Cow::Borrowed("spec_version"), Node::from("2.1"));
    timestamp(members, "created", log);
    timestamp(members, "modified", log);
    kinds(members, log);
    match string(members, "type") {
        Some("indicator") => indicator(members, log),
        Some("malware") => malware(members, log),
        Some("identity") => identity(members, log),
        Some("marking-definition") => name_tlp(members, log),
        Some(other) => not_in_20(other, log),
        None => {}
    }
    // The observables have a report of their own.
    let container = members.remove("objects");
    observable::hashes(members, &mut Vec::new(), log);
    marking::redirect(members, log);
    members.extend(container.map(|container| (Cow::Borrowed("objects"), container)));
}

/// Writes the milliseconds out, without which STIX 2.1 accepts no version.
fn timestamp(members: &mut Members<'_>, name: &str, log: &mut Log) {
    let Some(Node::Text(text)) = members.get_mut(name) else { return };
    let Some(seconds) = TimestampRef::borrow(text).ok().and_then(|_| text.strip_suffix('Z')) else { return };
    let (whole, fraction) = seconds.split_once('.').unwrap_or((seconds, ""));
    if fraction.len() < FRACTION_DIGITS_MIN {
        *text = Cow::Owned(format!("{whole}.{fraction:0<FRACTION_DIGITS_MIN$}Z"));
        log.add(
            ChangeKind::Derived,
            &[name],
            "STIX 2.1 wants milliseconds here: the same time, written out".to_owned(),
        );
    }
}

/// Labels that name an object's kind in the words of the standard go to the property for that; others stay labels, which
/// STIX 2.1 §3.2 leaves to users and groups.
fn kinds(members: &mut Members<'_>, log: &mut Log) {
    let Some((_, property, vocabulary)) = KINDS.iter().find(|(of, _, _)| string(members, "type") == Some(of)) else {
        return;
    };
    if members.contains_key(*property) || !matches!(members.get("labels"), Some(Node::List(_))) {
        return;
    }
    let Some(Node::List(labels)) = members.remove("labels") else { return };
    let is_kind = |label: &Node<'_>| label.as_str().is_some_and(|label| vocabulary.contains(label));
    let mut places: Vec<&[&str]> = Vec::new();
    let (kinds, others): (Vec<_>, Vec<_>) = labels.into_iter().enumerate().partition(|(_, label)| is_kind(label));
    for (at, label) in &kinds {
        let message = format!("{} is one of STIX 2.1's {property} and stands there", quote(&label.text()));
        log.add(ChangeKind::Moved, &["labels", &at.to_string()], message);
    }
    for (at, label) in &others {
        let label = quote(&label.text());
        let message = format!("{label} is none of STIX 2.1's {property} and stays a label");
        log.add(ChangeKind::Kept, &["labels", &at.to_string()], message);
    }
    let kind_path = [*property];
    for (name, labels, path) in [(*property, kinds, &kind_path), ("labels", others, &["labels"])] {
        if !labels.is_empty() {
            places.push(path);
            members.insert(Cow::Borrowed(name), Node::List(labels.into_iter().map(|(_, label)| label).collect()));
        }
    }
    log.redirect(&["labels"], &places);
}

/// In STIX 2.0 every pattern was a STIX pattern.
fn indicator(members: &mut Members<'_>, log: &mut Log) {
    if members.contains_key("pattern_type") {
        return;
    }
    members.insert(Cow::Borrowed("pattern_type"), Node::from("stix"));
    let Some(Node::Text(text)) = members.get_mut("pattern") else { return };
    let kept = match pattern::upgrade(text) {
        pattern::Outcome::Same => return,
        pattern::Outcome::Rewritten(new) => {
            *text = Cow::Owned(new);
            let message = "STIX 2.1 has other names or forms for what the pattern looks for: it is written in them";
            return log.add(ChangeKind::Moved, &["pattern"], message.to_owned());
        }
        pattern::Outcome::OnlyIn20(paths) => {
            let paths = quote(&paths.join(", "));
            format!("STIX 2.1 observables have no {paths}: the pattern stays as it is, marked as of version 2.0")
        }
        pattern::Outcome::Malformed(error) => {
            format!("the pattern does not follow the grammar ({error}): it stays as it is, marked as of version 2.0")
        }
    };
    members.insert(Cow::Borrowed("pattern_version"), Node::from("2.0"));
    log.add(ChangeKind::Kept, &["pattern"], kept);
}

/// STIX 2.0 did not tell families from samples.
fn malware(members: &mut Members<'_>, log: &mut Log) {
    if members.contains_key("is_family") {
        return;
    }
    members.insert(Cow::Borrowed("is_family"), Node::Leaf(Value::from(false)));
    let message = "STIX 2.1 requires to say whether this is a family, which STIX 2.0 could not: false was chosen";
    log.add(ChangeKind::Assumed, &["is_family"], message.to_owned());
}

/// The labels of an identity were its roles (STIX 2.0 part 2 §2.4), for which STIX 2.1 has a property.
fn identity(members: &mut Members<'_>, log: &mut Log) {
    if !members.contains_key("roles")
        && let Some(labels) = members.remove("labels")
    {
        members.insert(Cow::Borrowed("roles"), labels);
        log.moved(&["labels"], &[&["roles"]], "the labels of an identity are its roles in STIX 2.1".to_owned());
    }
    let Some(Node::List(sectors)) = members.get_mut("sectors") else { return };
    for (at, sector) in sectors.iter_mut().enumerate().filter(|(_, sector)| sector.as_str() == Some("defence")) {
        *sector = Node::from("defense");
        log.add(ChangeKind::Moved, &["sectors", &at.to_string()], "STIX 2.1 spells this sector defense".to_owned());
    }
}

fn name_tlp(members: &mut Members<'_>, log: &mut Log) {
    if let Some(name) = marking::tlp_name(members).filter(|_| !members.contains_key("name")) {
        members.insert(Cow::Borrowed("name"), Node::from(name));
        log.add(ChangeKind::Derived, &["name"], format!("STIX 2.1 calls this marking {name}"));
    }
}

/// Types that are new in STIX 2.1, whose objects say no version.
fn not_in_20(object_type: &str, log: &mut Log) {
    let is_new = match ObjectClass::of(object_type) {
        ObjectClass::Meta | ObjectClass::Observable => true,
        ObjectClass::Domain => matches!(
            object_type,
            "grouping" | "incident" | "infrastructure" | "location" | "malware-analysis" | "note" | "opinion"
        ),
        _ => false,
    };
    if is_new {
        let message = format!("STIX 2.0 has no {object_type}: it is taken for the one of STIX 2.1");
        log.add(ChangeKind::Assumed, &["spec_version"], message);
    }
}
