//! Canonical documents: one text for one meaning.

use mithaq_core::{
    canonical::{self, CanonicalError},
    release::Manifest,
    time::Time,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    at: Time,
    n: u64,
    names: BTreeSet<String>,
}

const GOOD: &str = r#"{"at":"2026-06-01T12:00:00.000000Z","n":2,"names":["a","ب"]}"#;

#[test]
fn what_is_written_is_read_and_written_the_same() {
    let document: Document = canonical::from_slice(GOOD.as_bytes()).unwrap();
    assert_eq!(canonical::to_vec(&document).unwrap(), GOOD.as_bytes());
}

fn check(from: &str, to: &str, expect: &str) {
    assert_eq!(GOOD.matches(from).count(), 1, "{from}");
    let text = GOOD.replace(from, to);
    let error = canonical::from_slice::<Document>(text.as_bytes()).unwrap_err();
    let kind = match &error {
        CanonicalError::Json(_) => "json",
        CanonicalError::NotCanonical => "not canonical",
        CanonicalError::Shape(_) => "shape",
        _ => "other",
    };
    assert_eq!(kind, expect, "{text}: {error}");
    let shown = error.to_string();
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
}

#[test]
fn any_other_text_is_refused() {
    check(r#""n":2"#, r#""n":2,"n":3"#, "json");
    check(r#""n":2"#, r#""n":9007199254740992"#, "json");
    check(r#""ب""#, r#""\ud800""#, "json");
    check("]}", "]", "json");
    check("]}", "]} x", "json");
    check(r#""n":2"#, r#""n": 2"#, "not canonical");
    check(r#""n":2"#, r#""n":2,"o":1"#, "shape");
    check(r#""n":2,"#, "", "shape");
    check(r#""n":2"#, r#""n":-2"#, "shape");
    check(r#""n":2"#, r#""n":2.5"#, "shape");
    check(
        r#"{"at":"2026-06-01T12:00:00.000000Z","n":2"#,
        r#"{"n":2,"at":"2026-06-01T12:00:00.000000Z""#,
        "not canonical",
    );
    check("ب", r"\u0628", "not canonical");
    check(r#""a","ب""#, r#""ب","a""#, "not canonical");
    check(r#""a","ب""#, r#""a","a","ب""#, "not canonical");
    check("12:00:00.000000Z", "12:00:00Z", "not canonical");
    check("12:00:00.000000Z", "12:00:00.0000000Z", "not canonical");
    check("12:00:00.000000Z", "11:59:60.000000Z", "not canonical");
    check("12:00:00.000000Z", "12:00:00.000000+00:00", "shape");
    check("]}", "]}\n", "not canonical");
}

#[test]
fn a_message_never_obeys_the_text_that_it_repeats() {
    check(r#""n":2"#, r#""n":2,"\u001b[2J\u202e":1"#, "shape");
    let manifest = canonical::from_slice::<Manifest>(br#"{"\u001b]0;owned\u0007":1}"#);
    let shown = manifest.unwrap_err().to_string();
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
}

#[test]
fn integers_that_readers_round_are_never_written() {
    let document = |n| Document { at: Time::from_micros(0), n, names: BTreeSet::new() };
    assert!(canonical::to_vec(&document((1 << 53) - 1)).is_ok());
    assert!(canonical::to_vec(&document(1 << 53)).is_err());
}
