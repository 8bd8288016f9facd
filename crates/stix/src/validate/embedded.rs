//! Observables in the `objects` of an `observed-data`, the form that STIX 2.1 keeps for the sake of STIX 2.0 (§2.13).

use super::{Findings, Rule, Subject, object};
use crate::{json::Value, object::ObjectClass, quote::quote};

/// What an observation may not refer to: everything that is not an observable or a relation of them.
const NOT_OBSERVED: [ObjectClass; 1] = [ObjectClass::Domain];

pub(super) fn check(subject: &Subject<'_, '_>, findings: &mut Findings) {
    if subject.object_type != "observed-data" {
        return;
    }
    refs(subject, findings);
    let Some(objects) = subject.get("objects").and_then(Value::as_object) else { return };
    let path = subject.path.name("objects");
    for member in objects {
        let key = member.key.as_str();
        let path = path.name(&key);
        match member.value.as_object() {
            // An observation inside of one would nest without end.
            Some(map) if map.get("objects").is_none() => object(map, Some(objects), path, findings),
            _ => findings
                .add(Rule::Kind, &path, || format!("{} stands here: it must be an observable", member.value.kind())),
        }
        if !key.bytes().all(|byte| byte.is_ascii_digit()) {
            findings.add(Rule::Deprecated, &path, || format!("the key \"{}\" should be a whole number", quote(&key)));
        }
    }
}

fn refs(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let path = subject.path.name("object_refs");
    for (i, value) in subject.list("object_refs").iter().enumerate() {
        let Some(text) = value.as_str() else { continue };
        let object_type = text.split("--").next().unwrap_or_default();
        if NOT_OBSERVED.contains(&ObjectClass::of(object_type)) {
            findings.add(Rule::IdentifierType, &path.index(i), || {
                format!("an observation refers to observables and their relations, not to a {object_type}")
            });
        }
    }
}
