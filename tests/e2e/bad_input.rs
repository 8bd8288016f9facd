//! What analysts push by mistake, and what others make them push: each has its code, and loses nothing.

use serde_json::{Value, json};

use crate::harness::{Cert, Daemon, Output, Place, bundle, indicator, indicators, pair};

/// An observable with another member, written by hand.
fn observable(number: u32, member: &str) -> String {
    let id = format!("ipv4-addr--00000000-0000-4000-8000-{number:012x}");
    format!(r#"{{"type":"ipv4-addr","spec_version":"2.1","id":"{id}","value":"192.0.2.{number}"{member}}}"#)
}

fn bundle_of(texts: &[String]) -> String {
    let id = "bundle--5d0092c5-5f74-4287-9642-33f4c354e56d";
    format!(r#"{{"type":"bundle","id":"{id}","objects":[{}]}}"#, texts.join(",\n"))
}

#[track_caller]
fn counts(output: &Output, stored: usize, duplicate: usize, refused: usize) {
    let last = output.last();
    let found = ["stored", "duplicate", "refused"].map(|name| last[name].as_u64().unwrap());
    assert_eq!(found, [stored, duplicate, refused].map(|count| count as u64), "{output:#?}");
}

/// The codes of what was refused.
fn codes(output: &Output) -> Vec<String> {
    let lines = output.lines();
    let refused = lines.iter().filter(|line| line["status"] == "refused");
    refused.map(|line| line["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn an_object_that_cannot_be_taken_is_refused_with_its_code_and_the_others_are_stored() {
    let place = Place::new();
    let pk = &Cert::init(&place, "pk");
    let mut daemon = Daemon::start(pk);
    let deep = format!(r#","x_deep":{}1{}"#, "[".repeat(100_000), "]".repeat(100_000));
    let long = format!(r#","x_long":"{}""#, "x".repeat(1 << 20));
    let poisons = [
        (r#","value":"192.0.2.99""#, "MQ-1003"),
        (r#","\u0076alue":"192.0.2.99""#, "MQ-1003"),
        (r#","x_half":"\ud83d""#, "MQ-1004"),
        (r#","x_half":"\ude00""#, "MQ-1004"),
        (r#","x_number":1e999"#, "MQ-1005"),
        (r#","x_number":-1e999"#, "MQ-1005"),
        (r#","x_number":9007199254740993"#, "MQ-1005"),
        (r#","x_number":-9007199254740993"#, "MQ-1005"),
        (deep.as_str(), "MQ-1006"),
        (long.as_str(), "MQ-1053"),
        (r#","object_marking_refs":["marking-definition--none"]"#, "MQ-1027"),
        (r#","object_marking_refs":["indicator--94868c89-83c2-464b-929b-a1a8aa3c8487"]"#, "MQ-1028"),
        (r#","object_marking_refs":"marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487""#, "MQ-1021"),
        (r#","created_by_ref":"nobody""#, "MQ-1027"),
    ];
    let mut stored = 0;
    for (number, (poison, code)) in (1..).zip(poisons) {
        let input = bundle_of(&[observable(2 * number, ""), observable(200, poison), observable(2 * number + 1, "")]);
        let output = pk.push(&input, &[]).exits(1);
        counts(&output, 2, 0, 1);
        let refused: Value = output.lines().into_iter().find(|line| line["status"] == "refused").unwrap();
        assert_eq!((&refused["code"], &refused["index"]), (&code.into(), &1.into()), "{poison:.80}");
        assert!(refused["message"].as_str().is_some_and(|message| message.len() < 500), "{refused}");
        stored += 2;
        assert_eq!(pk.objects(), stored);
    }
    pk.run(&["show", "ipv4-addr--00000000-0000-4000-8000-0000000000c8"]).exits(6);
    assert!(daemon.is_alive());
}

#[test]
fn a_poison_among_a_thousand_costs_itself_alone_unless_the_push_is_atomic() {
    let place = Place::new();
    let pk = &Cert::init(&place, "pk");
    let _daemon = Daemon::start(pk);
    let mut objects = indicators(1, 0..1_000);
    objects[500]["id"] = "indicator--not-a-uuid".into();
    let input = bundle(&objects);

    let output = pk.push(&input, &["--atomic"]).exits(1);
    counts(&output, 0, 0, 1_000);
    let codes = codes(&output);
    assert_eq!(codes.iter().filter(|code| *code == "MQ-1055").count(), 999);
    assert_eq!(codes.iter().filter(|code| *code == "MQ-1023").count(), 1);
    assert_eq!(pk.objects(), 0);

    let dry = pk.push(&input, &["-n"]).exits(1);
    counts(&dry, 999, 0, 1);
    assert_eq!(pk.objects(), 0);

    counts(&pk.push(&input, &[]).exits(1), 999, 0, 1);
    assert_eq!(pk.objects(), 999);
    counts(&pk.push(&input, &[]).exits(1), 0, 999, 1);
    // All good: all or nothing is all.
    counts(&pk.push(bundle(&indicators(2, 0..100)), &["--atomic"]).exits(0), 100, 0, 0);
    assert_eq!(pk.objects(), 1_099);
}

#[test]
fn broken_json_is_refused_with_its_place() {
    let place = Place::new();
    let pk = &Cert::init(&place, "pk");
    let _daemon = Daemon::start(pk);
    let check = |input: &str, line: usize, column: usize| {
        for args in [&["-n"][..], &["--atomic"]] {
            let output = pk.push(input, args).exits(1);
            let broken = output.lines().into_iter().find(|line| line["code"] == "MQ-1051").unwrap();
            let (place, message) = (format!("line {line}, column {column}:"), broken["message"].as_str().unwrap());
            assert!(message.contains(&place), "{place} in {message}");
            assert_eq!(broken["status"], "refused");
            assert_ne!(output.last()["refused"], 0, "the summary counts it");
        }
        assert_eq!(pk.objects(), 0);
    };
    check("{", 1, 2);
    check("{}}", 1, 3);
    check("{\"type\":\n  \"bündle\",}", 2, 12);
    check(&"[".repeat(100_000), 1, 100_001);
    check(&format!("{}\n{{\"a\" 1}}", observable(1, "")), 2, 6);
    // What is no JSON at all is taken for text, in which there is nothing to share.
    assert!(pk.push("\u{feff}nonsense", &["-n"]).exits(1).stderr.contains("holds no value that Mithaq knows"));
    let good = observable(1, "");
    let cut = bundle_of(&[good.clone(), observable(2, "")]);
    check(&cut[..cut.len() - 20], 2, observable(2, "").len() - 17);
    // Without --atomic what came before the break is kept, and pushed again it is recognised.
    counts(&pk.push(&cut[..cut.len() - 20], &[]).exits(1), 1, 0, 1);
    assert_eq!(pk.objects(), 1);
    counts(&pk.push(&cut, &[]).exits(0), 1, 1, 0);
}

#[test]
fn every_form_of_input_is_taken() {
    let place = Place::new();
    let pk = &Cert::init(&place, "pk");
    let _daemon = Daemon::start(pk);
    // Nothing at all is no error, and says so.
    counts(&pk.push("", &[]).exits(0), 0, 0, 0);
    counts(&pk.push(" \n\t", &[]).exits(0), 0, 0, 0);
    counts(&pk.push(r#"{"type":"bundle","id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d"}"#, &[]).exits(0), 0, 0, 0);
    // One object, lines of objects, a bundle, lines of bundles; line ends of all kinds and a byte order mark.
    counts(&pk.push(observable(1, ""), &[]).exits(0), 1, 0, 0);
    let lines = format!("\u{feff}{}\r\n\r\n{}\n", observable(1, ""), observable(2, ""));
    counts(&pk.push(lines, &[]).exits(0), 1, 1, 0);
    let lines = format!("{}\n{}", bundle_of(&[observable(2, "")]), bundle_of(&[observable(3, ""), observable(3, "")]));
    counts(&pk.push(lines, &[]).exits(0), 1, 2, 0);
    // The same object in another spelling is the same object.
    let spelled = observable(3, "").replace("192.0.2.3", r"192\u002e0.2.3").replace(',', " ,\n");
    counts(&pk.push(spelled, &[]).exits(0), 0, 1, 0);
    let file = place.write("objects.ndjson", observable(4, ""));
    counts(&pk.run(&["push", &file, "--json"]).exits(0), 1, 0, 0);
    assert_eq!(pk.objects(), 4);
    // What is no STIX 2.1.
    let check = |input: &str, code: &str| {
        let output = pk.push(input, &[]).exits(1);
        assert_eq!(codes(&output), [code], "{output:#?}");
    };
    check("[1]", "MQ-1010");
    check("7", "MQ-1010");
    check(r#"{"type":"bundle","id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d","objects":{}}"#, "MQ-1012");
    check(&observable(5, "").replace(r#""spec_version":"2.1""#, r#""spec_version":"3.0""#), "MQ-1014");
    check("{}", "MQ-1020");
    pk.run(&["push", "/nonexistent/bundle.json"]).refused(1, "MQ-6012");
    pk.run(&["push", place.path().to_str().unwrap()]).refused(1, "MQ-6012");
    assert_eq!(pk.objects(), 4);
}

#[test]
fn what_a_marking_means_is_never_guessed() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    pair(pk, cn, &["--community", "demo"]);
    let _daemons = [pk, cn].map(Daemon::start);
    pk.push(bundle(&indicators(1, 0..1)), &["--tlp", "purple"]).exits(2);

    let purple = "marking-definition--11111111-1111-4111-8111-111111111111";
    let marked = |number: u32, markings: &[&str]| {
        let mut object = indicator(1, number);
        object["object_marking_refs"] = json!(markings);
        object
    };
    let definition = json!({
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": purple,
        "created": "2025-03-20T04:30:00.000Z",
        "definition_type": "tlp",
        "definition": {"tlp": "purple"},
        "name": "TLP:CLEAR",
    });
    let clear = "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487";
    let red = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1";
    let relation = json!({
        "type": "relationship",
        "spec_version": "2.1",
        "id": "relationship--11111111-1111-4111-8111-111111111111",
        "created": "2025-03-20T04:30:00.000Z",
        "modified": "2025-03-20T04:30:00.000Z",
        "relationship_type": "related-to",
        "source_ref": indicator(1, 1)["id"],
        "target_ref": indicator(1, 3)["id"],
        "object_marking_refs": [clear],
    });
    let objects = [
        marked(1, &[purple]),
        marked(2, &[purple, clear]),
        marked(3, &[clear]),
        marked(4, &[clear, red]),
        relation.clone(),
        definition,
    ];
    counts(&pk.push(bundle(&objects), &[]).exits(0), 6, 0, 0);
    let why = |object: &Value, exit: i32, code: &str| {
        let why = pk.run(&["why", object["id"].as_str().unwrap(), "--peer", "cn", "--json"]).exits(exit).last();
        let is_against = |reason: &&Value| reason["ok"] == false;
        let against: Vec<_> = why["reasons"].as_array().unwrap().iter().filter(is_against).collect();
        assert_eq!(why["released"], exit == 0);
        assert!(against.iter().any(|reason| reason["code"] == code) || exit == 0, "{code} in {why}");
    };
    why(&objects[0], 4, "MQ-2040");
    why(&objects[1], 4, "MQ-2040");
    why(&objects[2], 0, "");
    why(&objects[3], 4, "MQ-2011");
    // What connects takes the strictest of what it connects.
    why(&relation, 4, "MQ-2040");
    crate::harness::settle(pk, cn, 1);
    for (object, exit) in objects.iter().zip([6, 6, 0, 6, 6]) {
        cn.run(&["show", object["id"].as_str().unwrap()]).exits(exit);
    }
}

#[test]
fn what_a_peers_card_claims_is_the_peers_to_publish() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    pair(pk, cn, &[]);
    let _daemon = Daemon::start(pk);
    let mut objects = indicators(1, 0..3);
    objects[1]["created_by_ref"] = cn.identity.as_str().into();
    objects[2]["created_by_ref"] = pk.identity.as_str().into();
    let output = pk.push(bundle(&objects), &[]).exits(1);
    counts(&output, 2, 0, 1);
    assert_eq!(codes(&output), ["MQ-1054"]);
}
