#![allow(clippy::unwrap_used)]

use super::*;
use crate::json::JsonErrorKind;

fn tool(number: usize, more: &str) -> String {
    format!(
        r#"{{"type":"tool","spec_version":"2.1","id":"tool--{number:08}-0000-4000-8000-000000000000","created":"2024-05-01T00:00:00Z","modified":"2024-05-01T00:00:00Z"{more}}}"#
    )
}

fn tools(count: usize) -> String {
    (0..count).map(|number| tool(number, "")).collect::<Vec<_>>().join(",\n")
}

/// What the reader makes of `text`, each item in short: the id's number, an error's code, or `!` and the offset.
///
/// The splitter must make the same of it, in whatever chunks it comes.
fn read(text: &str) -> String {
    stream::tests::check_in_chunks(text.as_bytes(), &[1 << 20, 1_000_003]);
    if text.len() < 1 << 20 {
        stream::tests::check_in_chunks(text.as_bytes(), &[text.len().max(1), 1, 2, 7]);
    }
    let short = |item: Item<'_>| match item {
        Ok(Entry { object: Ok(object), offset, .. }) => {
            assert!(text.as_bytes()[offset..].starts_with(object.source()));
            object.id().as_str()[6..14].parse::<usize>().unwrap().to_string()
        }
        Ok(Entry { object: Err(error), .. }) => error.code().to_string(),
        Err(error) => format!("!{}", error.offset),
    };
    Reader::new(text.as_bytes()).map(short).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(text: &str, expect: &str) {
    assert_eq!(read(text), expect, "{text}");
}

#[test]
fn every_form_of_input_is_read() {
    let (a, b, c) = (tool(1, ""), tool(2, ""), tool(3, ""));
    check("", "");
    check(" \n", "");
    check(&a, "1");
    check(&format!("\u{feff}{a}\n{b}\r\n{c}\n"), "1 2 3");
    check(&format!(r#"{{"type":"bundle","id":"x","objects":[{a},{b}]}}"#), "1 2");
    check(&format!(r#"{{"id":"x","objects":[{a} , {b}],"type":"bundle"}}"#), "1 2");
    check(&format!(r#"{{"objects":[{a},{b}],"\u0074ype":"bundle"}}"#), "1 2");
    check(&format!(r#"{{"type":"bundle","objects":[{a}]}} {b} {{"type":"bundle","objects":[{c}]}}"#), "1 2 3");
    check(r#"{"type":"bundle","id":"x","objects":[]}"#, "");
    check(r#"{"type":"bundle","id":"x"}"#, "");
}

#[test]
fn an_object_with_objects_of_its_own_is_no_bundle() {
    let (a, b) = (tool(1, r#","objects":[1,{"type":"bundle"}],"x":"y""#), tool(2, ""));
    check(&format!("{a}\n{b}"), "1 2");
    let reordered = a.replacen("{", r#"{"objects":[{}],"#, 1).replacen(r#","objects":[1,{"type":"bundle"}]"#, "", 1);
    check(&format!("{reordered}\n{b}"), "1 2");
    let object = Reader::new(reordered.as_bytes()).next().unwrap().unwrap().object.unwrap();
    assert_eq!(object.value().get("objects").unwrap().as_array().unwrap().len(), 1);
    assert_eq!(object.canonical(), crate::json::canonical(&crate::json::parse(reordered.as_bytes()).unwrap()));
}

#[test]
fn a_wrong_bundle_says_so() {
    let a = tool(1, "");
    check(r#"{"type":"bundle","objects":{}}"#, "1012");
    check(r#"{"objects":"x","type":"bundle"} 12"#, "1012 1010");
    check(&format!(r#"{{"type":"bundle","objects":[{a}],"type":"bundle"}} {a}"#), "1 1003 1");
    check(&format!(r#"{{"type":"bundle","objects":[{a}],"objects":[{a}]}} {a}"#), "1 1003 1");
    check(&format!(r#"{{"type":"bundle","type":"tool","objects":[{a}]}} {a}"#), "1 1003 1");
    check(r#"{"type":"bundle","objects":[1,{"type":"bundle","objects":[]},[]]}"#, "1010 1011 1010");
}

#[test]
fn stix_2_0_is_refused_object_by_object() {
    let (a, b) = (tool(1, ""), tool(2, ""));
    check(&format!(r#"{{"type":"bundle","spec_version":"2.0","objects":[{a},{b}]}}"#), "1013 1013");
    check(&format!(r#"{{"objects":[{a},{b}],"spec_version":"2.0","type":"bundle"}}"#), "1013 1013");
    check(&format!(r#"{{"type":"bundle","objects":[{a}],"spec_version":"2.0"}}"#), "1 1013");
    check(&format!(r#"{{"type":"bundle","spec_version":"2.1","objects":[{a}]}}"#), "1");
}

#[test]
fn one_poisoned_object_costs_no_other() {
    let deep = format!(r#","x":{}{}"#, "[".repeat(100_000), "]".repeat(100_000));
    let poisons: [(&[u8], u16); 7] = [
        (br#","name":"a","name":"b""#, 1003),
        (br#","name":"\ud83d""#, 1004),
        (br#","x":1e999"#, 1005),
        (br#","x":18446744073709551616"#, 1005),
        (deep.as_bytes(), 1006),
        (b",\"name\":\"\xff\"", 1002),
        (br#","created_by_ref":"nobody""#, 1027),
    ];
    for (poison, code) in poisons {
        let before = format!(r#"{{"type":"bundle","id":"x","objects":[{},"#, tools(500));
        let bad = tool(7, "|");
        let (head, tail) = bad.split_once('|').unwrap();
        let after = format!(",{}]}}", tools(499));
        let text = [before.as_bytes(), head.as_bytes(), poison, tail.as_bytes(), after.as_bytes()].concat();
        let entries: Vec<_> = Reader::new(&text).map(Result::unwrap).collect();
        assert_eq!(entries.iter().filter(|entry| entry.object.is_ok()).count(), 999, "{code}");
        assert_eq!(entries[500].object.as_ref().unwrap_err().code(), code);
        assert_eq!((entries[500].index, entries[500].offset), (500, before.len()));
        assert_eq!(entries[500].id_hint.as_deref(), Some("tool--00000007-0000-4000-8000-000000000000"));
    }
}

#[test]
fn a_refused_object_is_named_as_far_as_it_can_be() {
    let hint = |text: &str| Reader::new(text.as_bytes()).next().unwrap().unwrap().id_hint;
    assert_eq!(hint("{ \n \"x\" : [1], \"id\" : \"a\u{202e}\" }").as_deref(), Some("a\\u{202e}"));
    assert_eq!(hint(r#"{"id":7}"#), None);
    assert_eq!(hint("[]"), None);
    assert_eq!(hint(&tool(1, "")), None, "an object that was read speaks for itself");
}

#[test]
fn broken_text_ends_the_reading_after_what_was_good() {
    let (a, b) = (tool(1, ""), tool(2, ""));
    check(&format!("{a}\n{b}\n{{\"type\""), &format!("1 2 !{}", a.len() + b.len() + 9));
    check(&format!("{a}\nnot json"), &format!("1 !{}", a.len() + 2));
    let cut = format!(r#"{{"type":"bundle","objects":[{a},{b}"#);
    check(&cut, &format!("1 2 !{}", cut.len()));
    let cut = format!(r#"{{"objects":[{a},{b},"#);
    check(&cut, &format!("1 2 !{}", cut.len()));
    check(&format!(r#"{{"type":"bundle","objects":[{a},]}}"#), &format!("1 !{}", a.len() + 29));
    check(&format!(r#"{{"type":"bundle","objects":[{a}]"#), &format!("1 !{}", a.len() + 29));
}

#[test]
fn one_object_has_a_largest_size() {
    let wide = tool(1, &format!(r#","x":[{}0]"#, "0,".repeat(crate::object::OBJECT_VALUES_MAX)));
    let long = tool(2, &format!(r#","x":"{}""#, "x".repeat(crate::object::OBJECT_BYTES_MAX)));
    assert_eq!(read(&format!("{wide}\n{long}\n{}", tool(3, ""))), "1007 1007 3");
    let gap = " ".repeat(crate::object::OBJECT_BYTES_MAX + 1);
    let (a, b) = (tool(1, ""), tool(2, ""));
    let gaps = format!(r#"{{"type":"bundle","objects":[{gap}{a}{gap},{gap}{b}{gap}]}}"#);
    assert_eq!(read(&gaps), "1 2", "what lies between objects counts to none");
    let error = Reader::new(long.as_bytes()).next().unwrap().unwrap().object.unwrap_err();
    assert!(matches!(error, ObjectError::Json(JsonError { kind: JsonErrorKind::TooLong(_), .. })));
}
