#![allow(clippy::unwrap_used)]

use super::*;
use crate::{
    bundle::{Entry, Reader},
    json::JsonErrorKind,
    object::{Object, ObjectError},
};
use proptest::prelude::*;
use sha1_smol::Sha1;

/// What stands in one entry, so that two of them can be compared: place, index, bytes or error, hint.
#[derive(Debug, PartialEq)]
enum Seen {
    Entry { index: usize, offset: usize, object: Result<String, String>, id_hint: Option<String> },
    Broken(JsonError),
}

/// An entry as it is compared. The place at which a value is found to be too long is each reader's own.
fn seen(item: Result<Entry<'_>, JsonError>) -> Seen {
    let digest = |object: Object<'_>| {
        let parts = [object.source(), &object.canonical()].map(|bytes| Sha1::from(bytes).digest().to_string());
        format!("{} {}", object.id(), parts.join(" "))
    };
    match item {
        Ok(Entry { index, offset, object, id_hint }) => {
            let object = object.map(digest).map_err(|error| match error {
                ObjectError::Json(JsonError { kind: kind @ JsonErrorKind::TooLong(_), .. }) => format!("{kind:?}"),
                other => format!("{other:?}"),
            });
            Seen::Entry { index, offset, object, id_hint }
        }
        Err(error) => Seen::Broken(error),
    }
}

/// What the splitter makes of a text that comes in chunks, whose sizes go round; and the most that it held.
fn split(text: &[u8], sizes: &[usize]) -> (Vec<Seen>, usize) {
    let mut splitter = Splitter::default();
    let (mut out, mut held) = (Vec::new(), 0);
    let mut rest = text;
    for size in sizes.iter().cycle() {
        let (chunk, after) = rest.split_at((*size).min(rest.len()));
        rest = after;
        splitter.feed(chunk);
        held = held.max(splitter.buffer.len() + splitter.envelope.len());
        if rest.is_empty() {
            splitter.end();
        }
        while let Some(item) = splitter.next_part() {
            match item {
                Ok(Part::Object(object)) => out.push(seen(Ok(object.entry()))),
                Ok(Part::Bundle(envelope)) => out.extend(envelope.entry().map(|entry| seen(Ok(entry)))),
                Err(error) => out.push(seen(Err(error))),
            }
        }
        if rest.is_empty() {
            return (out, held);
        }
    }
    unreachable!("there is at least one size")
}

/// In chunks of each of these sizes, the splitter makes of `text` what the reader makes of it.
#[track_caller]
pub(in crate::bundle) fn check_in_chunks(text: &[u8], sizes: &[usize]) {
    let read: Vec<_> = Reader::new(text).map(seen).collect();
    for size in sizes {
        let (split, _) = split(text, &[*size]);
        assert_eq!(split, read, "in chunks of {size}: {}", String::from_utf8_lossy(&text[..text.len().min(2_000)]));
    }
}

const TOOL: &str = r#"{"type":"tool","spec_version":"2.1","id":"tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2024-05-01T00:00:00Z","modified":"2024-05-01T00:00:00Z"}"#;

#[test]
fn the_envelope_of_a_bundle_is_all_but_its_objects() {
    let envelopes = |text: &str| {
        let mut splitter = Splitter::default();
        splitter.feed(text.as_bytes());
        splitter.end();
        let mut out = Vec::new();
        while let Some(part) = splitter.next_part() {
            if let Part::Bundle(envelope) = part.unwrap() {
                out.push((envelope.objects, String::from_utf8(envelope.text.to_vec()).unwrap()));
            }
        }
        out
    };
    let check = |text: &str, expect: &[(usize, &str)]| {
        let expect: Vec<_> = expect.iter().map(|(objects, text)| (*objects, (*text).to_owned())).collect();
        assert_eq!(envelopes(text), expect, "{text}");
    };
    check(r#"{"type":"bundle","id":"x"}"#, &[(0, r#"{"type":"bundle","id":"x"}"#)]);
    check(r#"{"id":"x","type":"b\u0075ndle"} {}"#, &[(0, r#"{"id":"x","type":"b\u0075ndle"}"#)]);
    check(r#"{"type":"bundle","objects": [ 1, {} ] ,"x":[2]}"#, &[(2, r#"{"type":"bundle","objects": [] ,"x":[2]}"#)]);
    check(r#"{"objects":[1],"type":"bundle"}"#, &[(1, r#"{"objects":[],"type":"bundle"}"#)]);
    check(r#"{"objects":[1],"type":"tool"}"#, &[]);
    check(r#"{"type":"bundle","objects":{}}"#, &[(0, r#"{"type":"bundle","objects":{}}"#)]);
}

#[test]
fn a_bundle_that_says_so_after_more_than_can_be_held_is_read_all_the_same() {
    let long = |before: &str, behind: &str, room: usize| {
        let pad = format!(r#"{{"x":"{}"}}"#, "x".repeat(room));
        format!(r#"{{{before}"objects":[{TOOL},{pad}],{behind}}} {TOOL}"#)
    };
    let verdicts = |text: &str, sizes: &[usize]| {
        let (out, held) = split(text.as_bytes(), sizes);
        let bound = OBJECT_BYTES_MAX + 2 * sizes.iter().max().unwrap() + 4_096;
        assert!(held <= bound, "{held} bytes were held");
        let short = |seen: Seen| match seen {
            Seen::Entry { object: Ok(_), .. } => "ok".to_owned(),
            Seen::Entry { object: Err(error), .. } => error.split(['(', ' ', '{']).next().unwrap().to_owned(),
            Seen::Broken(error) => error.to_string(),
        };
        out.into_iter().map(short).collect::<Vec<_>>().join(" ")
    };
    for size in [4_096, 1 << 20] {
        let room = OBJECT_BYTES_MAX - 100;
        let text = long(r#""id":"x","#, r#""spec_version":"2.1","type":"bundle""#, room);
        assert_eq!(verdicts(&text, &[size]), "ok Missing ok");
        let text = long("", r#""spec_version":"2.0","type":"bundle""#, room);
        assert_eq!(verdicts(&text, &[size]), "ok Missing Stix20 ok", "its objects were given before it said so");
        let text = long("", r#""type":"tool""#, OBJECT_BYTES_MAX);
        assert_eq!(verdicts(&text, &[size]), "ok TooLong TooLong ok");
        let text = long(r#""type":"tool","#, r#""x":1"#, OBJECT_BYTES_MAX);
        assert_eq!(verdicts(&text, &[size]), "TooLong ok");
    }
}

#[test]
fn a_chunk_does_not_change_what_is_too_long() {
    let prefix = r#"{"type":"bundle","objects":["#;
    for extra in [-2_i64, -1, 0, 1, 2] {
        let len = usize::try_from(i64::try_from(OBJECT_BYTES_MAX).unwrap() + extra).unwrap();
        let object = format!(r#"{{"id":"a","x":"{}"}}"#, "x".repeat(len - 17));
        assert_eq!(object.len(), len);
        for text in [format!("{prefix}{object},{TOOL}]}}"), format!("{object}{TOOL}")] {
            let (whole, _) = split(text.as_bytes(), &[text.len()]);
            for size in [1 << 16, OBJECT_BYTES_MAX - 1, OBJECT_BYTES_MAX, OBJECT_BYTES_MAX + 1, OBJECT_BYTES_MAX + 31] {
                assert_eq!(split(text.as_bytes(), &[size]).0, whole, "{extra} {size}");
            }
            check_in_chunks(text.as_bytes(), &[1 << 20]);
        }
    }
}

#[test]
fn memory_is_bounded_by_one_object() {
    let bundle = format!(r#"{{"type":"bundle","objects":[{TOOL}{}]}}"#, format!(",{TOOL}").repeat(20_000));
    let (out, held) = split(bundle.as_bytes(), &[4_096]);
    assert_eq!(out.len(), 20_001);
    assert!(held < 3 * 4_096, "{held} bytes were held");
    let (_, held) = split(format!("[{}", "1,".repeat(OBJECT_BYTES_MAX)).as_bytes(), &[65_536]);
    assert!(held <= OBJECT_BYTES_MAX + 2 * 65_536, "{held} bytes were held");
}

/// Inputs of every form: objects, poisons and bundles, whose members stand in any order, between any white space.
fn input() -> impl Strategy<Value = String> {
    let object = prop::sample::select(vec![
        TOOL,
        r#"{"id":"x--1","objects":[{"type":"bundle"}]}"#,
        r#"{"objects":[1,[2]],"type":"tool","id":"tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}"#,
        r#"{"id":"a","id":"b"}"#,
        r#"{"id":"a","x":1e999}"#,
        r#"{"x":"\ud83d","id":"\u0062"}"#,
        r#"{"type":"file","id":"file--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f","objects":{"0":{}}}"#,
        r#"{"type":"bundle","id":"y"}"#,
        r#"{"type":"bundle","objects":7}"#,
        "{}",
        "[]",
        "[1,{\"a\":[]}]",
        "12",
        "-0.5e1",
        "true",
        "\"x\\n\"",
        "null",
    ]);
    let member = prop::sample::select(vec![
        r#""type":"bundle""#,
        r#""t\u0079pe":"bundle""#,
        r#""type":"bun\u0064le""#,
        r#""type":"tool""#,
        r#""type":7"#,
        r#""spec_version":"2.0""#,
        r#""spec_version":"2.1""#,
        r#""id":"bundle--1""#,
        r#""x":1e999"#,
        r#""x":{"objects":[1]}"#,
        r#""objects":[1]"#,
        r#""objects":{}"#,
    ]);
    let space = prop::sample::select(vec!["", "", " ", "\n", "\r\n\t"]);
    let objects = (
        prop::collection::vec(object.clone(), 0..4),
        space.clone(),
        prop::sample::select(vec!["objects", "o\\u0062jects"]),
    )
        .prop_map(|(objects, space, name)| {
            format!(r#""{name}":{space}[{space}{}{space}]"#, objects.join(&format!("{space},{space}")))
        });
    let bundle =
        (prop::collection::vec(member.clone(), 0..3), objects, prop::collection::vec(member, 0..3), space.clone())
            .prop_map(|(before, objects, behind, space)| {
                let members: Vec<_> = before.into_iter().chain([objects.as_str()]).chain(behind).collect();
                format!("{{{space}{}{space}}}", members.join(&format!("{space},{space}")))
            });
    let value = prop_oneof![object.prop_map(str::to_owned), bundle];
    let mark = prop::sample::select(vec!["", "", "", "\u{feff}"]);
    (mark, prop::collection::vec((value, space), 0..4)).prop_map(|(mark, values)| {
        values.into_iter().fold(mark.to_owned(), |text, (value, space)| text + &value + space)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chunks_do_not_change_what_is_read(
        text in input(),
        mutation in prop::option::of((any::<prop::sample::Index>(), prop::sample::select(b"{}[],:\"\\1e \xff".to_vec()), 0..4_u8)),
        sizes in prop::collection::vec(1..40_usize, 1..4),
    ) {
        let mut text = text.into_bytes();
        if let Some((index, byte, action)) = mutation.filter(|_| !text.is_empty()) {
            let at = index.index(text.len());
            match action {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                2 => drop(text.remove(at)),
                _ => text.truncate(at),
            }
        }
        let read: Vec<_> = Reader::new(&text).map(seen).collect();
        let (split, _) = split(&text, &sizes);
        prop_assert_eq!(split, read, "{}", String::from_utf8_lossy(&text));
    }
}
