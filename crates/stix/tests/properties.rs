//! What must hold of every text, and not only of good ones.
#![allow(clippy::unwrap_used)]

use mithaq_stix::{
    Observable, ObservableKind, Reader, StixId, Timestamp,
    json::{JsonErrorKind, canonical, is_canonical, parse},
    pattern::Pattern,
};
use proptest::prelude::*;
use std::fmt::Write;

/// JSON of every shape, written in every way: escapes, spaces, and orders that are canonical or not.
fn json() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        any::<i32>().prop_map(|number| number.to_string()),
        any::<f64>()
            .prop_filter("JSON has finite numbers only", |number| number.is_finite())
            .prop_map(|n| format!("{n:e}")),
        Just("-0".to_owned()),
        Just("1.50E+2".to_owned()),
    ];
    let leaf = prop_oneof![Just("null".to_owned()), Just(" true\n".to_owned()), number, string(),];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(|values| format!("[{}]", values.join(","))),
            prop::collection::vec((string(), inner), 0..6).prop_map(|members| {
                let members: Vec<_> = members.iter().map(|(key, value)| format!("{key}:{value}")).collect();
                format!("{{{}}}", members.join(", "))
            }),
        ]
    })
}

fn string() -> impl Strategy<Value = String> {
    let plain = "[a-z\u{e000}\u{ff61}😀é]{0,4}".prop_map(|text| format!("\"{text}\""));
    let escaped = prop::collection::vec(any::<char>(), 0..5).prop_map(|chars| {
        let mut text = String::from("\"");
        for c in chars {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                write!(text, "\\u{unit:04X}").unwrap();
            }
        }
        text + "\""
    });
    let short = Just(r#""\/\"\\\b\f\n\r\t""#.to_owned());
    prop_oneof![4 => plain, 1 => escaped, 1 => short]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// One pass to the canonical form, which then stays; passing it through is what the writer would do.
    #[test]
    fn canonical_form_is_reached_once(text in json()) {
        match parse(text.as_bytes()) {
            Ok(value) => {
                let written = canonical(&value);
                let again = parse(&written).unwrap();
                prop_assert_eq!(&canonical(&again), &written);
                prop_assert_eq!(&again, &value);
                prop_assert!(is_canonical(&written));
                prop_assert_eq!(is_canonical(text.as_bytes()), written == text.as_bytes());
                // Another reader understands the same; it parses floats its own way when they are long.
                let oracle: serde_json::Value = serde_json::from_slice(text.as_bytes()).unwrap();
                let ours: serde_json::Value = serde_json::from_slice(&written).unwrap();
                prop_assert_eq!(without_numbers(oracle), without_numbers(ours));
            }
            Err(error) => {
                let expected = matches!(error.kind, JsonErrorKind::DuplicateKey | JsonErrorKind::IntegerRange);
                prop_assert!(expected, "{error}: {text}");
            }
        }
    }

    /// What is well-formed JSON for another reader is refused by ours only for a reason that is not syntax.
    #[test]
    fn syntax_agrees_with_another_reader(text in "[\\[\\]{},:\"\\\\a0-9.eE+ -]{0,12}") {
        let is_json = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        match parse(text.as_bytes()) {
            Ok(_) => prop_assert!(is_json || text.contains(['e', 'E']), "{text}"),
            Err(error) => prop_assert!(!is_json || !error.kind.is_syntax(), "{error}: {text}"),
        }
    }

    /// Broken input is refused, never a panic; good objects before it are read.
    #[test]
    fn mutations_never_panic(
        mutations in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4u8), 1..6),
    ) {
        let mut text = BUNDLE.as_bytes().to_vec();
        for (index, byte, action) in mutations {
            if text.is_empty() {
                break;
            }
            let at = index.index(text.len());
            match action {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                2 => drop(text.remove(at)),
                _ => text.truncate(at),
            }
        }
        for entry in Reader::new(&text).take(1_000).flatten() {
            if let Ok(object) = entry.object {
                let _ = (object.refs(), object.subject_refs(), object.marking_refs().count(), object.labels());
                let _ = (object.valid_from(), object.confidence(), mithaq_stix::marking::definition(&object));
                let _ = object.observables();
                let written = object.canonical();
                prop_assert!(is_canonical(&written));
            }
        }
        let _ = parse(&text).map_err(|error| error.line_column(&text));
    }

    #[test]
    fn any_text_may_be_asked_about(text in any::<String>()) {
        let _ = (StixId::parse(&text), Timestamp::parse(&text), Pattern::parse(&text));
        for kind in ObservableKind::ALL {
            if let Some(found) = Observable::new(*kind, &text) {
                prop_assert_eq!(Observable::new(found.kind, &found.value), Some(found));
            }
        }
        let _ = Observable::from_query(&text);
    }

    #[test]
    fn hosts_have_one_normal_form(text in "(hxxps?|http)?(\\[:\\]|:)?(//)?[a-zA-Z0-9ßü一.\\[\\]()@_-]{1,20}(/[a-z]{0,3})?") {
        for kind in [ObservableKind::Url, ObservableKind::Domain, ObservableKind::Email, ObservableKind::Ipv4] {
            if let Some(found) = Observable::new(kind, &text) {
                prop_assert_eq!(Observable::new(found.kind, &found.value), Some(found));
            }
        }
    }

    #[test]
    fn patterns_print_as_they_mean(text in pattern()) {
        let pattern = Pattern::parse(&text).unwrap();
        let printed = pattern.to_string();
        prop_assert_eq!(Pattern::parse(&printed).unwrap(), pattern, "{}", printed);
    }
}

fn without_numbers(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    match value {
        Value::Number(_) => Value::Null,
        Value::Array(values) => values.into_iter().map(without_numbers).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(key, value)| (key, without_numbers(value)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        other => other,
    }
}

fn pattern() -> impl Strategy<Value = String> {
    let test = prop::sample::select(vec![
        "a:b='x'",
        "a:'AND'[*].c not_",
        "EXISTS a:b",
        "NOT EXISTS a:'b-c'",
        "a:b NOT IN (1,2)",
    ])
    .prop_map(|text| text.replace(" not_", "<=1.5"));
    let comparison = test.prop_recursive(3, 12, 3, |inner| {
        (inner.clone(), prop::sample::select(vec!["AND", "OR"]), inner, any::<bool>()).prop_map(
            |(a, word, b, nested)| {
                if nested { format!("({a} {word} {b})") } else { format!("{a} {word} {b}") }
            },
        )
    });
    let observation = comparison.prop_map(|comparison| format!("[{comparison}]"));
    observation.prop_recursive(3, 12, 3, |inner| {
        let word = prop::sample::select(vec!["AND", "OR", "FOLLOWEDBY"]);
        let end = prop::sample::select(vec!["", " WITHIN 5 SECONDS", " REPEATS 2 TIMES WITHIN 1.5 SECONDS"]);
        (inner.clone(), word, inner, end).prop_map(|(a, word, b, end)| format!("({a} {word} {b}){end}"))
    })
}

const BUNDLE: &str = r#"{"type":"bundle","id":"bundle--b7ab1e7c-8a4c-4c6f-9d84-d6b2a3dc1f02","objects":[
{"type":"indicator","spec_version":"2.1","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","revoked":false,
"created":"2024-05-01T00:00:00.000Z","modified":"2024-05-01T00:00:00.000Z","labels":["a","b"],"confidence":5e1,
"pattern":"[domain-name:value = 'evil[.]Example' AND url:value IN ('hxxp://x.example/','y')]","pattern_type":"stix",
"valid_from":"2024-05-01T00:00:00Z","x":[1.5,-2,{"deep_ref":"tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}],
"granular_markings":[{"selectors":["name"],"marking_ref":"marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"}],
"object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"],"name":"\ud83d\ude00 \u0627é"},
{"type":"file","id":"file--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f","hashes":{"MD5":"d41d8cd98f00b204e9800998ecf8427e"}}]}"#;
