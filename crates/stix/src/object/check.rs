//! What must hold of an object before anything else is asked of it: its type, id, version and markings.

use super::{ObjectClass, ObjectError};
use crate::{
    id::{StixIdRef, is_type_name},
    json::{Map, Value},
    quote::quote,
    time::TimestampRef,
};
use std::borrow::Cow;

/// The checked properties that most questions are about.
pub(super) struct Header<'a> {
    pub(super) id: StixIdRef<'a>,
    pub(super) created: Option<TimestampRef<'a>>,
    pub(super) modified: Option<TimestampRef<'a>>,
}

pub(super) fn header<'a>(map: &Map<'a>) -> Result<Header<'a>, ObjectError> {
    let object_type = object_type(map)?;
    let class = ObjectClass::of(&object_type);
    if class == ObjectClass::Bundle {
        return Err(ObjectError::NestedBundle);
    }
    let id = id(map, &object_type)?;
    spec_version(map, class)?;
    let (created, modified) = versioning(map, class)?;
    references(map)?;
    granular_markings(map)?;
    Ok(Header { id, created, modified })
}

fn object_type<'a>(map: &Map<'a>) -> Result<Cow<'a, str>, ObjectError> {
    let found = string(map.get("type").ok_or_else(|| missing("/type"))?, "/type")?;
    if is_type_name(&found) { Ok(found) } else { Err(ObjectError::Type { found: quote(&found) }) }
}

fn id<'a>(map: &Map<'a>, object_type: &str) -> Result<StixIdRef<'a>, ObjectError> {
    let found = string(map.get("id").ok_or_else(|| missing("/id"))?, "/id")?;
    let id = StixIdRef::from_cow(found.clone()).map_err(|source| ObjectError::Id { found: quote(&found), source })?;
    if id.object_type() == object_type {
        return Ok(id);
    }
    Err(ObjectError::IdOfOtherType { found: quote(&found), object_type: quote(object_type) })
}

/// STIX 2.0 has `spec_version` on bundles only; STIX 2.1 on each object that has versions.
fn spec_version(map: &Map<'_>, class: ObjectClass) -> Result<(), ObjectError> {
    let Some(value) = map.get("spec_version") else {
        return match class {
            ObjectClass::Domain | ObjectClass::Relationship => {
                Err(ObjectError::Stix20 { evidence: "lack of a spec_version" })
            }
            _ => Ok(()),
        };
    };
    match string(value, "/spec_version")?.as_ref() {
        "2.1" => Ok(()),
        "2.0" => Err(ObjectError::Stix20 { evidence: "spec_version" }),
        other => Err(ObjectError::SpecVersion { found: quote(other) }),
    }
}

type Version<'a> = (Option<TimestampRef<'a>>, Option<TimestampRef<'a>>);

fn versioning<'a>(map: &Map<'a>, class: ObjectClass) -> Result<Version<'a>, ObjectError> {
    let (needs_created, needs_modified) = match class {
        // These have no versions: whatever stands under the names is a custom property.
        ObjectClass::Observable => return Ok((None, None)),
        ObjectClass::Marking => (true, false),
        ObjectClass::Custom | ObjectClass::Bundle => (false, false),
        ObjectClass::Domain | ObjectClass::Relationship | ObjectClass::Meta => (true, true),
    };
    if let Some(value) = map.get("revoked")
        && value.as_bool().is_none()
    {
        return Err(wrong_kind("/revoked", value, "true or false"));
    }
    let created = timestamp(map, "created", needs_created)?;
    if class == ObjectClass::Marking {
        return Ok((created, None));
    }
    let modified = timestamp(map, "modified", needs_modified)?;
    // Feeds exist whose `modified` lies a moment before `created`: the order is for validation to find, not for
    // ingest to refuse.
    Ok((created, modified))
}

fn timestamp<'a>(map: &Map<'a>, name: &str, needed: bool) -> Result<Option<TimestampRef<'a>>, ObjectError> {
    let Some(value) = map.get(name) else {
        return if needed { Err(missing(&format!("/{name}"))) } else { Ok(None) };
    };
    // The pointer is only built where there is something to say.
    let Value::String(text) = value else {
        return Err(wrong_kind(&format!("/{name}"), value, "a string"));
    };
    TimestampRef::from_cow(text.as_str()).map(Some).map_err(|source| ObjectError::Timestamp {
        pointer: format!("/{name}"),
        found: quote(&text.as_str()),
        source,
    })
}

fn references(map: &Map<'_>) -> Result<(), ObjectError> {
    if let Some(value) = map.get("created_by_ref") {
        reference(value, || "/created_by_ref".to_owned())?;
    }
    if let Some(value) = map.get("object_marking_refs") {
        for (i, value) in list(value, || "/object_marking_refs".to_owned())?.iter().enumerate() {
            marking(value, || format!("/object_marking_refs/{i}"))?;
        }
    }
    Ok(())
}

/// STIX 2.1 §7.2.3: `selectors`, and a `marking_ref` or a `lang`.
fn granular_markings(map: &Map<'_>) -> Result<(), ObjectError> {
    let Some(value) = map.get("granular_markings") else {
        return Ok(());
    };
    for (i, value) in list(value, || "/granular_markings".to_owned())?.iter().enumerate() {
        let pointer = |name: &str| format!("/granular_markings/{i}{name}");
        let Some(granular) = value.as_object() else {
            return Err(wrong_kind(&pointer(""), value, "an object"));
        };
        let selectors = granular.get("selectors").ok_or_else(|| missing(&pointer("/selectors")))?;
        for (j, selector) in list(selectors, || pointer("/selectors"))?.iter().enumerate() {
            string(selector, &pointer(&format!("/selectors/{j}")))?;
        }
        match (granular.get("marking_ref"), granular.get("lang")) {
            (Some(value), _) => marking(value, || pointer("/marking_ref"))?,
            (None, Some(lang)) => drop(string(lang, &pointer("/lang"))?),
            (None, None) => return Err(missing(&pointer("/marking_ref"))),
        }
    }
    Ok(())
}

fn reference<'a>(value: &Value<'a>, pointer: impl Fn() -> String) -> Result<StixIdRef<'a>, ObjectError> {
    let Value::String(text) = value else {
        return Err(wrong_kind(&pointer(), value, "a string"));
    };
    StixIdRef::from_cow(text.as_str()).map_err(|source| ObjectError::Reference {
        pointer: pointer(),
        found: quote(&text.as_str()),
        source,
    })
}

fn marking(value: &Value<'_>, pointer: impl Fn() -> String) -> Result<(), ObjectError> {
    let id = reference(value, &pointer)?;
    if id.object_type() == "marking-definition" {
        return Ok(());
    }
    Err(ObjectError::NotAMarking { pointer: pointer(), found: quote(id.as_str()) })
}

fn list<'v, 'a>(value: &'v Value<'a>, pointer: impl Fn() -> String) -> Result<&'v [Value<'a>], ObjectError> {
    value.as_array().ok_or_else(|| wrong_kind(&pointer(), value, "an array"))
}

fn string<'a>(value: &Value<'a>, pointer: &str) -> Result<Cow<'a, str>, ObjectError> {
    value.as_str().ok_or_else(|| wrong_kind(pointer, value, "a string"))
}

fn missing(pointer: &str) -> ObjectError {
    ObjectError::Missing { pointer: pointer.to_owned() }
}

fn wrong_kind(pointer: &str, value: &Value<'_>, expected: &'static str) -> ObjectError {
    ObjectError::WrongKind { pointer: pointer.to_owned(), found: value.kind(), expected }
}
