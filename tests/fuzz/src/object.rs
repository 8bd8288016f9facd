//! One object: what the standard has to say of it, its typed model, and the id that follows from its properties.

use mithaq_stix::{
    Object, StixId,
    json::{Map, Value, canonical, parse},
    model::Model,
    sco_id::{contributing_properties, sco_id as id_of},
    validate::{FINDINGS_MAX, Finding, Severity, validate},
};

/// Validation and models: findings are bounded and fit to be shown. An object without errors is relayed and has a model;
/// every model gives back the object that it was made of.
pub fn object(data: &[u8]) {
    let Ok(value) = parse(data) else { return };
    let findings = validate(&value);
    assert!(findings.len() <= FINDINGS_MAX + 1);
    findings.iter().for_each(finding);
    assert_eq!(validate(&value), findings, "twice the same object, and not the same findings");
    let is_valid = findings.iter().all(|finding| finding.severity() != Severity::Error);
    let is_bundle = value.get("type").is_some_and(|found| *found == Value::from("bundle"));
    if is_valid && !is_bundle {
        Object::from_value(value.clone(), data).unwrap();
    }
    match Model::from_value(&value) {
        Ok(model) => {
            let written = model.canonical().unwrap();
            assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&canonical(&value)));
        }
        Err(error) => assert!(!is_valid, "a valid object has no model: {error}"),
    }
}

fn finding(finding: &Finding) {
    let is_pointer = finding.pointer.is_empty() || finding.pointer.starts_with('/');
    assert!(is_pointer && !finding.message.is_empty() && !finding.section.is_empty(), "{finding:?}");
    assert!(!finding.message.contains(char::is_control), "a message that is not fit to be shown: {finding:?}");
}

/// The id of an observable: of its type, a UUIDv5, and a matter of what contributes to it alone.
pub fn sco_id(data: &[u8]) {
    let Ok(value) = parse(data) else { return };
    let Some(map) = value.as_object() else { return };
    let Some(object_type) = value.get("type").and_then(Value::as_str) else { return };
    let id = id_of(&object_type, map);
    let contributing = contributing_properties(&object_type);
    let is_contributed_to = contributing.iter().any(|name| map.get(name).is_some());
    assert_eq!(id.is_some(), is_contributed_to, "{id:?}");
    let Some(id) = id else { return };
    let uuid = id.uuid_bytes();
    assert_eq!((id.object_type(), uuid[6] >> 4, uuid[8] >> 6), (&*object_type, 5, 0b10));
    assert_eq!(StixId::parse(id.as_str()).as_ref(), Ok(&id));
    let members = contributing.iter().filter_map(|name| Some((*name, map.get(name)?.clone())));
    let bare = Value::object(members);
    let bare: &Map<'_> = bare.as_object().unwrap();
    assert_eq!(id_of(&object_type, bare), Some(id), "what does not contribute has changed the id");
}
