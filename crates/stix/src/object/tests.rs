#![allow(clippy::unwrap_used)]

use super::*;

const UUID: &str = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f";

/// An indicator with more members; of a name given twice the later counts, so that each test says what it changes.
fn indicator(more: &str) -> String {
    object("indicator", more)
}

fn object(object_type: &str, more: &str) -> String {
    let id = format!("{object_type}--{UUID}");
    let base = [
        ("type", object_type),
        ("spec_version", "2.1"),
        ("id", &id),
        ("created", "2024-05-01T00:00:00.000Z"),
        ("modified", "2024-05-01T00:00:00.000Z"),
    ];
    let mut members: Vec<String> = Vec::new();
    for (name, value) in base {
        if !more.contains(&format!("\"{name}\":")) {
            members.push(format!("\"{name}\":\"{value}\""));
        }
    }
    // A member that is `drop` only takes the default away.
    members
        .extend(more.split('\n').filter(|member| !member.is_empty() && !member.ends_with(":drop")).map(str::to_owned));
    format!("{{{}}}", members.join(","))
}

#[track_caller]
fn accepted(text: &str) {
    if let Err(error) = Object::parse(text.as_bytes()) {
        assert_eq!(error.to_string(), "", "{text}");
    }
}

#[track_caller]
fn refused(text: &str, code: u16, message: &str) {
    let error = Object::parse(text.as_bytes()).unwrap_err();
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(message), "{error}\nlacks\n{message}");
}

#[test]
fn what_can_be_told_is_accepted() {
    accepted(&indicator(""));
    accepted(&indicator("\"x_unknown\":{\"deep\":[1,null]}"));
    accepted(&object("x-acme-thing", "\"created\":drop\n\"modified\":drop\n\"spec_version\":drop"));
    accepted(&object("ipv4-addr", "\"created\":\"whenever\"\n\"modified\":drop\n\"spec_version\":drop"));
    accepted(&object("marking-definition", "\"modified\":drop\n\"spec_version\":drop"));
    accepted(&indicator("\"modified\":\"2024-05-01T00:00:00Z\""));
    accepted(&indicator("\"granular_markings\":[{\"selectors\":[\"name\"],\"lang\":\"ar\"}]"));
    accepted(&format!(" \n{}\r\n", indicator("")));
}

#[test]
fn what_cannot_be_told_is_refused() {
    refused("{\"type\":", 1001, "not acceptable JSON");
    refused("[]", 1010, "an array stands where");
    refused(&format!("{{\"type\":\"bundle\",\"id\":\"bundle--{UUID}\"}}"), 1011, "inside a bundle");
    refused(&indicator("\"spec_version\":drop"), 1013, "STIX 2.0");
    refused(&indicator("\"spec_version\":\"2.0\""), 1013, "STIX 2.0");
    refused(&indicator("\"spec_version\":\"3\\u001b\""), 1014, "\"3\\u{1b}\"");
    refused(&indicator("\"created\":drop"), 1020, "/created is missing");
    refused(&object("marking-definition", "\"created\":drop"), 1020, "/created is missing");
    refused(&indicator("\"id\":7"), 1021, "/id is a number: it must be a string");
    refused(&indicator("\"revoked\":\"true\""), 1021, "/revoked is a string: it must be true or false");
    refused(&object("X", ""), 1022, "/type is \"X\"");
    refused(&indicator("\"id\":\"indicator--1\""), 1023, "indicator--1");
    refused(&indicator(&format!("\"id\":\"malware--{UUID}\"")), 1024, "does not begin with the object's type");
    refused(&indicator("\"modified\":\"2024-05-01\""), 1025, "/modified \"2024-05-01\"");
    refused(&object("x-acme", "\"modified\":\"2024-05-01\""), 1025, "/modified");
}

#[test]
fn markings_that_cannot_be_understood_are_refused() {
    refused(&indicator("\"created_by_ref\":\"me\""), 1027, "/created_by_ref \"me\"");
    refused(&indicator("\"created_by_ref\":null"), 1021, "/created_by_ref is null");
    refused(&indicator("\"object_marking_refs\":\"x\""), 1021, "/object_marking_refs is a string");
    refused(&indicator("\"object_marking_refs\":[\"TLP:RED\"]"), 1027, "/object_marking_refs/0");
    refused(&indicator(&format!("\"object_marking_refs\":[\"tool--{UUID}\"]")), 1028, "/object_marking_refs/0");
    refused(&indicator("\"granular_markings\":{}"), 1021, "/granular_markings is an object");
    refused(&indicator("\"granular_markings\":[1]"), 1021, "/granular_markings/0 is a number");
    refused(&indicator("\"granular_markings\":[{\"lang\":\"ar\"}]"), 1020, "/granular_markings/0/selectors");
    refused(&indicator("\"granular_markings\":[{\"selectors\":[\"a\"]}]"), 1020, "/granular_markings/0/marking_ref");
    let text = indicator("\"granular_markings\":[{\"selectors\":[\"a\"],\"marking_ref\":\"x\"}]");
    refused(&text, 1027, "/granular_markings/0/marking_ref");
}

#[test]
fn questions_are_answered() {
    let marking = |digit| format!("marking-definition--0000000{digit}-0000-4000-8000-000000000000");
    let text = indicator(&format!(
        "\"name\":\"ع\\u0031\"\n\"revoked\":true\n\"confidence\":5e1\n\"lang\":\"ur\"\n\"labels\":[\"a\",\"b\"]\n\
         \"sectors\":[\"energy\"]\n\"valid_from\":\"2024-05-02T00:00:00Z\"\n\"valid_until\":\"never\"\n\
         \"created_by_ref\":\"identity--{UUID}\"\n\"object_marking_refs\":[\"{}\"]\n\
         \"granular_markings\":[{{\"selectors\":[\"name\"],\"marking_ref\":\"{}\"}}]",
        marking(1),
        marking(2).to_uppercase().replace("MARKING-DEFINITION", "marking-definition"),
    ));
    let object = Object::parse(text.as_bytes()).unwrap();
    assert_eq!(object.id().as_str(), format!("indicator--{UUID}"));
    assert_eq!(object.object_type(), "indicator");
    assert_eq!(object.class(), ObjectClass::Domain);
    assert_eq!(object.spec_version().as_deref(), Some("2.1"));
    assert_eq!(object.name().as_deref(), Some("ع1"));
    assert_eq!(object.lang().as_deref(), Some("ur"));
    assert_eq!(object.confidence(), Some(50));
    assert!(object.revoked());
    assert_eq!(object.labels(), ["a", "b"]);
    assert_eq!(object.sectors(), ["energy"]);
    assert_eq!(object.valid_from().unwrap().as_str(), "2024-05-02T00:00:00Z");
    assert!(object.valid_until().is_none());
    assert_eq!(object.created(), object.modified());
    assert_eq!(object.created_by_ref().unwrap().object_type(), "identity");
    let markings: Vec<_> = object.marking_refs().map(|id| id.to_string()).collect();
    assert_eq!(markings, [marking(1), marking(2)]);
    assert_eq!(object.span_len(), text.len());
}

#[test]
fn subjects_are_what_an_object_speaks_of() {
    let id = |name: &str| format!("{name}--{UUID}");
    let text = object(
        "sighting",
        &format!(
            "\"sighting_of_ref\":\"{}\"\n\"observed_data_refs\":[\"{}\"]\n\"where_sighted_refs\":[\"{}\"]\n\
             \"x_deep\":{{\"any_ref\":\"{}\",\"bad_ref\":\"0\"}}",
            id("indicator"),
            id("observed-data"),
            id("identity"),
            id("tool"),
        ),
    );
    let object = Object::parse(text.as_bytes()).unwrap();
    let types = |refs: Vec<StixIdRef<'_>>| refs.iter().map(|id| id.object_type().to_owned()).collect::<Vec<_>>();
    assert_eq!(types(object.subject_refs()), ["indicator", "observed-data"]);
    assert_eq!(types(object.refs()), ["observed-data", "indicator", "identity", "tool"]);
}

#[test]
fn canonical_bytes_are_passed_on_as_they_came() {
    let text = indicator("");
    let object = Object::parse(text.as_bytes()).unwrap();
    let written = object.canonical();
    assert!(matches!(written, Cow::Owned(_)));
    let padded = [b"  ", written.as_ref(), b"\n"].concat();
    let again = Object::parse(&padded).unwrap();
    assert!(matches!(again.canonical(), Cow::Borrowed(_)));
    assert_eq!(again.canonical(), written);
}

#[test]
fn every_code_is_explained_once() {
    let codes: Vec<u16> = ERROR_CODES.iter().map(|(code, ..)| *code).collect();
    assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
    assert!(codes.iter().all(|code| (1001..=1099).contains(code)));
    let source = include_str!("error.rs");
    for code in 1001..=1099 {
        let is_returned = source.contains(&format!("=> {code},"));
        assert_eq!(is_returned, codes.contains(&code), "{code}");
    }
}
