//! Bodies: the bytes that the content id names, canonical, STIX, and what they say of themselves.

use mithaq_core::{
    body::{BODY_BYTES_MAX, Body, BodyError},
    id::ContentId,
    label::{Category, LABEL_SET_MAX, Label},
    stix::{Object, Tlp},
};
use serde_json::{Value, json};

use crate::cast::{MARKING, body, id, object};

fn verify(bytes: &[u8]) -> Result<Body, BodyError> {
    Body::verify(ContentId::of(bytes), bytes.to_vec())
}

#[test]
fn a_body_is_the_same_however_it_came() {
    let text = object("indicator", 1, json!({"name": "قومی", "x_n": 2})).to_string().replace(":2}", ":2.0 }");
    let made = Body::of(&Object::parse(text.as_bytes()).unwrap()).unwrap();
    let read = Body::verify(made.id(), made.bytes().to_vec()).unwrap();
    assert_eq!(made, read);
    assert_eq!(made.id(), ContentId::of(made.bytes()));
}

#[test]
fn other_bytes_are_refused() {
    let good = body(&object("indicator", 1, json!({})));
    let error = Body::verify(ContentId::from_bytes([0; 32]), good.bytes().to_vec()).unwrap_err();
    assert!(matches!(error, BodyError::Hash { .. }), "{error}");
    for at in 0..good.bytes().len() {
        let mut changed = good.bytes().to_vec();
        changed[at] ^= 1;
        assert!(matches!(Body::verify(good.id(), changed), Err(BodyError::Hash { .. })), "byte {at}");
    }
}

#[test]
fn a_prefix_is_no_more_than_that() {
    let good = body(&object("indicator", 1, json!({})));
    assert_eq!(Body::verify_prefix(good.id().prefix(), good.bytes().to_vec()).unwrap(), good);
    let other = body(&object("indicator", 2, json!({})));
    let error = Body::verify_prefix(good.id().prefix(), other.bytes().to_vec()).unwrap_err();
    assert!(matches!(error, BodyError::Prefix { .. }), "{error}");
    let spaced = [b" ", good.bytes()].concat();
    let prefix = ContentId::of(&spaced).prefix();
    assert!(matches!(Body::verify_prefix(prefix, spaced), Err(BodyError::NotCanonical)));
    let large = vec![b'x'; BODY_BYTES_MAX + 1];
    let error = Body::verify_prefix(ContentId::of(&large).prefix(), large).unwrap_err();
    assert!(matches!(error, BodyError::TooLarge { .. }), "{error}");
}

#[test]
fn one_form_only() {
    let good = String::from_utf8(body(&object("indicator", 1, json!({"x_n": 2}))).bytes().to_vec()).unwrap();
    for text in [
        format!(" {good}"),
        format!("{good}\n"),
        good.replace("\"x_n\":2", "\"x_n\":2.0"),
        good.replace("\"x_n\":2", "\"x_n\": 2"),
        good.replace("indicator", "\\u0069ndicator"),
    ] {
        assert_ne!(text, good);
        assert!(matches!(verify(text.as_bytes()), Err(BodyError::NotCanonical)), "{text}");
    }
}

#[test]
fn what_is_not_stix_is_refused() {
    for text in ["", "{", "[]", "{}", "null", r#"{"type":"indicator"}"#, r#"{"a":1,"a":1}"#, "\u{0}"] {
        assert!(matches!(verify(text.as_bytes()), Err(BodyError::Object(_))), "{text}");
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(verify(deep.as_bytes()), Err(BodyError::Object(_))));
}

#[test]
fn a_body_has_at_most_a_mebibyte() {
    let sized = |bytes: usize| {
        let empty = object("indicator", 1, json!({"x_text": ""}));
        let filling = bytes - body(&empty).bytes().len();
        object("indicator", 1, json!({"x_text": "x".repeat(filling)})).to_string()
    };
    let largest = sized(BODY_BYTES_MAX);
    assert!(Body::of(&Object::parse(largest.as_bytes()).unwrap()).is_ok());
    let larger = sized(BODY_BYTES_MAX + 1);
    let error = Body::of(&Object::parse(larger.as_bytes()).unwrap()).unwrap_err();
    assert!(matches!(error, BodyError::TooLarge { .. }), "{error}");
    let error = verify(&vec![b'x'; BODY_BYTES_MAX + 1]).unwrap_err();
    assert!(matches!(error, BodyError::TooLarge { .. }), "{error}");
}

/// Checks what an indicator with these properties says of itself when unmarked data is AMBER.
fn check(more: Value, expect: Label) {
    let label = body(&object("indicator", 1, more.clone())).facts().own_label(Tlp::Amber);
    assert_eq!(label, expect, "{more}");
}

fn threat(tlp: Tlp) -> Label {
    Label::new(tlp, Category::Threat)
}

fn marked(level: &str) -> Value {
    json!(format!("marking-definition--{level}"))
}

const CLEAR: &str = "94868c89-83c2-464b-929b-a1a8aa3c8487";
const RED: &str = "e828b379-4e03-4974-9ac4-e53a884c97c1";

#[test]
fn markings_of_parts_mark_the_whole_and_the_strictest_wins() {
    let refs = |ids: &[&str]| json!({"object_marking_refs": ids.iter().map(|id| marked(id)).collect::<Vec<_>>()});
    check(json!({}), threat(Tlp::Amber));
    check(refs(&[CLEAR]), threat(Tlp::Clear));
    check(refs(&[CLEAR, RED]), threat(Tlp::Red));
    check(refs(&["613f2e26-407d-48c7-9eca-b8e91df99dc9"]), threat(Tlp::Clear));
    check(refs(&["f88d31f6-486f-44da-b317-01333bde0b82", CLEAR]), threat(Tlp::Amber));
    check(refs(&["826578e1-40ad-459f-bc73-ede076f81f37"]), threat(Tlp::AmberStrict));
    let granular = json!({"object_marking_refs": [marked(CLEAR)],
        "granular_markings": [{"marking_ref": marked(RED), "selectors": ["name"]}]});
    check(granular, threat(Tlp::Red));
}

#[test]
fn unknown_markings_are_kept_whole() {
    let mut expect = threat(Tlp::Clear);
    expect.markings.insert(MARKING.to_owned());
    check(json!({"object_marking_refs": [marked(CLEAR), MARKING]}), expect.clone());
    expect.tlp = Tlp::Amber;
    check(json!({"object_marking_refs": [MARKING]}), expect.clone());
    check(json!({"granular_markings": [{"marking_ref": MARKING, "selectors": ["name"]}]}), expect);
    let language = json!({"granular_markings": [{"lang": "ur", "selectors": ["name"]}]});
    check(language, threat(Tlp::Amber));
}

#[test]
fn whatever_refers_to_a_vulnerability_is_one() {
    let mut expect = threat(Tlp::Amber);
    expect.categories.insert(Category::Vulnerability);
    let cve = id("vulnerability", 7);
    check(json!({"x_exploits_ref": cve}), expect.clone());
    check(json!({"x_deep": [{"x_exploits_refs": [cve]}]}), expect.clone());
    check(json!({"extensions": {"x": {"cve_ref": [cve]}}}), expect);
    check(json!({"created_by_ref": id("identity", 7)}), threat(Tlp::Amber));
}

#[test]
fn categories_follow_types() {
    let check = |object_type: &str, expect: Category| {
        let label = body(&object(object_type, 1, json!({}))).facts().own_label(Tlp::Amber);
        assert_eq!(label.categories, [expect].into(), "{object_type}");
    };
    check("malware", Category::Threat);
    check("vulnerability", Category::Vulnerability);
    check("course-of-action", Category::Mitigation);
    check("x-national-thing", Category::Custom);
    check("ipv4-addr", Category::Observable);
    check("relationship", Category::Custom);
}

#[test]
fn a_hostile_label_stays_small_and_unusable() {
    let many: Vec<_> = (0..20_000).map(|n| format!("sector {n}")).collect();
    for sectors in [json!(many), json!(["x".repeat(900_000)]), json!(["سرٹ".repeat(100_000)])] {
        let label = body(&object("indicator", 1, json!({"sectors": sectors}))).facts().own_label(Tlp::Amber);
        assert!(label.check().is_err());
        assert!(label.sectors.len() <= LABEL_SET_MAX + 1);
        assert!(label.sectors.iter().all(|sector| sector.len() < 2_000));
    }
}
