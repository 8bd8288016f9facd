//! Marking definitions, and markings of parts of objects (STIX 2.1 §7.2).

use super::{Findings, Path, Rule, Subject, form};
use crate::{json::Value, marking::TLP_1, object::ObjectClass, quote::quote};

/// When the standard made the markings of TLP 1.
const TLP_1_CREATED: &str = "2017-01-20T00:00:00.000Z";

/// The properties of the markings of TLP 1, which have no others.
const TLP_1_PROPERTIES: [&str; 7] = ["type", "spec_version", "id", "created", "name", "definition_type", "definition"];

pub(super) fn check(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for (i, marking) in subject.list("granular_markings").iter().enumerate() {
        let path = subject.path.name("granular_markings");
        granular(subject, marking, &path.index(i), findings);
    }
    if subject.class == ObjectClass::Marking {
        definition(subject, findings);
        own_markings(subject, findings);
    }
}

fn granular(subject: &Subject<'_, '_>, marking: &Value<'_>, path: &Path<'_>, findings: &mut Findings) {
    match (marking.get("marking_ref"), marking.get("lang")) {
        (Some(_), Some(_)) => findings.add(Rule::Marking, path, || {
            "marking_ref and lang exclude each other: make two granular markings of it".to_owned()
        }),
        (None, None) => {
            findings.add(Rule::Required, &path.name("marking_ref"), || {
                "a granular marking needs a marking_ref or a lang: add it".to_owned()
            });
        }
        (None, Some(lang)) => {
            if let Some(lang) = lang.as_str().filter(|lang| !form::is_language(lang)) {
                findings.add(Rule::Language, &path.name("lang"), || {
                    format!("\"{}\" is not a language tag of RFC 5646", quote(&lang))
                });
            }
        }
        (Some(_), None) => {}
    }
    let selectors = marking.get("selectors").and_then(Value::as_array).unwrap_or_default();
    for (i, selector) in selectors.iter().enumerate() {
        let Some(selector) = selector.as_str() else { continue };
        if !selects(subject, &selector) {
            findings.add(Rule::Selector, &path.name("selectors").index(i), || {
                format!("nothing is at \"{}\" in the object: correct the selector", quote(&selector))
            });
        }
    }
}

/// Tells whether a path of names and `[index]` steps leads to something in the object.
fn selects(subject: &Subject<'_, '_>, selector: &str) -> bool {
    let mut steps = selector.split('.');
    let Some(first) = steps.next().and_then(|name| subject.get(name)) else { return false };
    steps.try_fold(first, step_into).is_some()
}

fn step_into<'v, 'a>(value: &'v Value<'a>, step: &str) -> Option<&'v Value<'a>> {
    let index = step.strip_prefix('[').and_then(|step| step.strip_suffix(']'));
    match index {
        Some(index) => value.as_array()?.get(index.parse::<usize>().ok()?),
        None => value.get(step),
    }
}

/// A marking definition marks neither itself nor parts of itself.
fn own_markings(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let Some(id) = subject.text("id") else { return };
    let is_own = |value: Option<&Value<'_>>| value.and_then(Value::as_str).is_some_and(|found| found == id);
    let whole = subject.list("object_marking_refs").iter().any(|value| is_own(Some(value)));
    let part = subject.list("granular_markings").iter().any(|marking| is_own(marking.get("marking_ref")));
    for (found, name) in [(whole, "object_marking_refs"), (part, "granular_markings")] {
        if found {
            findings.add(Rule::Marking, &subject.path.name(name), || "a marking cannot mark itself".to_owned());
        }
    }
}

fn definition(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let definition_type = subject.text("definition_type");
    match (definition_type.as_deref(), subject.get("definition")) {
        (Some("tlp"), definition) => tlp(subject, definition, findings),
        (Some("statement"), Some(definition)) => {
            let path = subject.path.name("definition");
            match definition.get("statement") {
                Some(statement) if statement.as_str().is_some() => {}
                _ => findings.add(Rule::Marking, &path.name("statement"), || {
                    "a statement marking says its statement, as a string".to_owned()
                }),
            }
        }
        (Some(_), Some(definition)) if definition.as_object().is_none() => {
            findings.add(Rule::Kind, &subject.path.name("definition"), || {
                format!("{} stands here: a definition is an object", definition.kind())
            });
        }
        (Some(_), Some(_)) => {}
        (None, None) if subject.has("extensions") => {}
        _ => findings.add(Rule::Marking, &subject.path, || {
            "a marking has a definition_type and a definition, or an extension that defines it".to_owned()
        }),
    }
}

/// The four markings of TLP 1 exist once: with these ids, names, times and contents (STIX 2.1 §7.2.1.4).
fn tlp(subject: &Subject<'_, '_>, definition: Option<&Value<'_>>, findings: &mut Findings) {
    let text = |name: &str| subject.text(name).unwrap_or_default();
    let colour = definition.and_then(|definition| definition.get("tlp")).and_then(Value::as_str).unwrap_or_default();
    let has_more = subject.map.iter().any(|member| !TLP_1_PROPERTIES.contains(&member.key.as_str().as_ref()));
    let own = TLP_1.iter().find(|(id, ..)| *id == text("id"));
    if has_more
        || !own
            .is_some_and(|(_, name, own)| *name == text("name") && *own == colour && text("created") == TLP_1_CREATED)
    {
        findings.add(Rule::Marking, &subject.path, || {
            "this is none of the four TLP 1 markings: refer to the standard's own, and define no other".to_owned()
        });
    }
}
