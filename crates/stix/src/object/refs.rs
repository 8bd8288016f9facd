//! The ids that an object holds besides its own.

use crate::{id::StixIdRef, json::Value};

/// The properties that say what an object speaks of (STIX 2.1 §4.6, §4.12 to §4.16, §5, §7.1).
const SUBJECTS: [&str; 6] =
    ["source_ref", "target_ref", "sighting_of_ref", "observed_data_refs", "object_refs", "object_ref"];

/// The id that `value` is, if it is one.
pub(super) fn id<'a>(value: &Value<'a>) -> Option<StixIdRef<'a>> {
    StixIdRef::from_cow(value.as_str()?).ok()
}

pub(super) fn subjects<'a>(value: &Value<'a>) -> Vec<StixIdRef<'a>> {
    let mut found = Vec::new();
    for name in SUBJECTS {
        if let Some(value) = value.get(name) {
            ids(value, &mut found);
        }
    }
    found
}

pub(super) fn all<'a>(value: &Value<'a>) -> Vec<StixIdRef<'a>> {
    let mut found = Vec::new();
    collect(value, &mut found);
    found
}

/// The recursion ends: the reader let no value nest deeper than its limit.
fn collect<'a>(value: &Value<'a>, found: &mut Vec<StixIdRef<'a>>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, found)),
        Value::Object(map) => {
            for member in map {
                let name = member.key.as_str();
                if name.ends_with("_ref") || name.ends_with("_refs") {
                    ids(&member.value, found);
                }
                collect(&member.value, found);
            }
        }
        _ => {}
    }
}

/// Takes one id or a list of them under either kind of name: a producer's slip must not hide a reference.
fn ids<'a>(value: &Value<'a>, found: &mut Vec<StixIdRef<'a>>) {
    match value {
        Value::Array(values) => found.extend(values.iter().filter_map(id)),
        _ => found.extend(id(value)),
    }
}
