//! The commands that need neither home nor daemon: what they print, how they end, and what memory they take.

use std::{
    env, fs,
    io::Write,
    path::PathBuf,
    process::{Child, Stdio},
};

use serde_json::{Value, json};

use crate::harness::{
    Cert, Daemon, Output, Place, bundle, command, indicator, indicators, mithaq, mithaq_with_input, root, skipped,
};

/// The most memory that it takes to validate an input, however large, in KiB.
const PEAK_KIB_MAX: u64 = 64 << 10;

/// How long the large inputs are, in bytes.
const LARGE: usize = 200 << 20;

fn broken_indicator() -> Value {
    let mut broken = indicator(9, 1);
    broken["created"] = "2025-02-30T00:00:00.000Z".into();
    broken
}

/// A corpus, if it is at hand.
fn corpus_text(file: &str) -> Option<String> {
    let corpora = env::var_os("MITHAQ_CORPORA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let read = fs::read_to_string(corpora.join(file));
    read.map_err(|error| skipped(file, &format!("{}: {error}", corpora.display()))).ok()
}

fn codes(line: &Value, of: &str) -> Vec<String> {
    line[of].as_array().unwrap().iter().map(|problem| problem["code"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn objects_are_validated_one_by_one() {
    let place = Place::new();
    let good = place.write("good.json", bundle(&indicators(1, 0..3)));
    let bad = place.write("bad.json", bundle(&[indicator(1, 0), broken_indicator(), json!(7)]));
    let nowhere = place.path().join("no-home");
    let validate = |args: &[&str]| mithaq(&nowhere, &[&["validate"], args].concat());

    let output = validate(&[&good, "--json"]).exits(0);
    assert!(output.lines().iter().all(|line| line["valid"] == true && line["type"] == "indicator"), "{output:#?}");
    // An indicator should have a description.
    validate(&[&good, "--strict", "--json"]).exits(1);

    let lines = validate(&[&bad, "--json"]).exits(1).lines();
    let valid: Vec<_> = lines.iter().map(|line| (line["index"].as_u64().unwrap(), line["valid"] == true)).collect();
    assert_eq!(valid, [(0, true), (1, false), (2, false)]);
    assert_eq!(codes(&lines[1], "errors"), ["MQ-1105"]);
    assert_eq!(lines[1]["errors"][0]["pointer"], "/created");
    assert_eq!(lines[1]["id"], indicator(9, 1)["id"]);
    assert_eq!(codes(&lines[2], "errors"), ["MQ-1010"]);

    let for_people = validate(&[&bad]).exits(1);
    assert!(for_people.stdout.contains("  error MQ-1105 /created: "), "{for_people:#?}");
    assert!(for_people.stdout.contains("\n1 valid, 2 invalid; 2 errors, "), "{for_people:#?}");

    let all = validate(&[place.path().to_str().unwrap(), "--json"]).exits(1).lines();
    let files: Vec<_> = all.iter().map(|line| line["file"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    assert_eq!(files, ["bad.json", "bad.json", "bad.json", "good.json", "good.json", "good.json"]);

    let stdin = mithaq_with_input(&nowhere, &["validate", "-", "--json"], broken_indicator().to_string().as_bytes());
    assert_eq!(codes(&stdin.exits(1).last(), "errors"), ["MQ-1105"]);
    validate(&["/nonexistent", &good]).refused(1, "MQ-6012");
    mithaq(&nowhere, &["explain", "MQ-1105"]).exits(0);
}

#[test]
fn stix_2_0_and_broken_text_are_named() {
    let place = Place::new();
    let mut old = indicator(1, 0);
    old.as_object_mut().unwrap().remove("spec_version");
    let file = place.write("old.json", old.to_string());
    let output = mithaq(place.path(), &["validate", &file]).exits(1);
    assert!(output.stdout.contains("MQ-1013") && output.stdout.contains("mithaq upgrade"), "{output:#?}");
    let text = format!("{}\n{{\"type\":", indicator(1, 0));
    let lines = mithaq_with_input(place.path(), &["validate", "-", "--json"], text.as_bytes()).exits(1).lines();
    assert_eq!((lines.len(), codes(&lines[1], "errors")), (2, vec!["MQ-1001".to_owned()]));
    let message = lines[1]["errors"][0]["message"].as_str().unwrap();
    assert!(message.contains(&format!("at byte {}", text.len())), "{message}");
}

/// Writes a bundle of at least [`LARGE`] bytes to a program, and tells what memory it took before the end.
fn peak_kib(mut child: Child, head: &str, tail: &str) -> (u64, Output) {
    let mut stdin = child.stdin.take().unwrap();
    let mut object = indicator(7, 0);
    object["description"] = "x".repeat(1_500).into();
    let object = object.to_string();
    let mut written = 0;
    stdin.write_all(head.as_bytes()).unwrap();
    for number in 0_u32.. {
        let comma = if number == 0 { "" } else { "," };
        let object = object.replace("000000000000\"", &format!("{number:012x}\""));
        write!(stdin, "{comma}{object}").unwrap();
        written += object.len();
        if written > LARGE {
            break;
        }
    }
    stdin.write_all(tail.as_bytes()).unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak = peak.trim().trim_end_matches("kB").trim().parse().unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (peak, Output { asked: "a large bundle".to_owned(), exit: output.status.code().unwrap(), stdout, stderr })
}

#[test]
fn memory_does_not_grow_with_the_input() {
    let place = Place::new();
    let id = r#""id":"bundle--5d0092c5-5f74-4287-9642-33f4c354e56d""#;
    // In canonical order a bundle says only at its end what it is.
    let forms = [
        (format!(r#"{{"type":"bundle",{id},"objects":["#), "]}".to_owned()),
        (format!(r#"{{{id},"objects":["#), r#"],"type":"bundle"}"#.to_owned()),
    ];
    for (head, tail) in forms {
        let mut validate = command(place.path(), &["validate", "-"]);
        validate.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (peak, output) = peak_kib(validate.spawn().unwrap(), &head, &tail);
        assert!(peak < PEAK_KIB_MAX, "{peak} KiB");
        assert!(output.exits(0).stdout.contains(" valid, 0 invalid; 0 errors, 0 warnings\n"));
    }
}

#[test]
fn the_canonical_form_is_that_of_the_golden_hashes() {
    let place = Place::new();
    let text = r#"{"type":"mutex","name":"x","id":"mutex--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"} {"id":"y"}"#;
    let output = mithaq_with_input(place.path(), &["canon", "-"], text.as_bytes()).refused(1, "MQ-1020 at byte 79");
    assert_eq!(
        output.stdout,
        "{\"id\":\"mutex--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f\",\"name\":\"x\",\"type\":\"mutex\"}\n"
    );
    let Some(golden) = corpus_text("attack/ics-history.jcs-sha256.txt") else { return };
    let history = corpus_text("attack/ics-history.ndjson").unwrap();
    let ids = mithaq_with_input(place.path(), &["canon", "-", "--ids"], history.as_bytes()).exits(0).stdout;
    let expected: String = golden.lines().map(|line| format!("{}\n", line.rsplit_once(' ').unwrap().0)).collect();
    assert!(ids == expected, "{} lines and {} are not the same", ids.lines().count(), expected.lines().count());
}

#[test]
fn patterns_have_the_verdicts_of_the_reference() {
    let place = Place::new();
    let [json, people] = [&["pattern", "-", "--json"][..], &["pattern", "-"]];
    let line = mithaq_with_input(place.path(), json, b"[ipv4-addr:value='192.0.2.1']\r\n").exits(0).last();
    let found = json!([{"type": "ipv4-addr", "value": "192.0.2.1"}]);
    assert_eq!(line, json!({"valid": true, "error": null, "observables": found}));
    let output = mithaq_with_input(place.path(), people, b"[a:b = ]\n").exits(1);
    assert!(output.stdout.starts_with("1: [a:b = ]\n          ^ expected "), "{output:#?}");

    let Some(unit) = corpus_text("patterns/unit.ndjson") else { return };
    let real = corpus_text("patterns/real.ndjson").unwrap();
    let cases = unit.lines().chain(real.lines()).map(|line| serde_json::from_str(line).unwrap());
    let cases: Vec<Value> = cases.collect();
    // A pattern with a line end in it is no line.
    let is_line = |case: &&Value| !case["pattern"].as_str().unwrap().contains(['\n', '\r']);
    let cases: Vec<&Value> = cases.iter().filter(is_line).collect();
    let input: String = cases.iter().map(|case| format!("{}\n", case["pattern"].as_str().unwrap())).collect();
    let lines = mithaq_with_input(place.path(), json, input.as_bytes()).exits(1).lines();
    assert_eq!(lines.len(), cases.len());
    let differs = |(case, line): &(&&Value, &Value)| case["valid"] != line["valid"];
    let different: Vec<_> = cases.iter().zip(&lines).filter(differs).collect();
    assert!(different.is_empty() && cases.len() > 100, "{} of {}: {different:#?}", different.len(), cases.len());
}

#[test]
fn a_push_tells_what_the_standard_has_against_it_and_pushes_it() {
    let place = Place::new();
    let pk = &Cert::init(&place, "pk");
    let _daemon = Daemon::start(pk);
    let mut bad = indicator(1, 1);
    bad["confidence"] = 101.into();
    let file = place.write("some.json", bundle(&[indicator(1, 0), bad, json!({"type": "tool"})]));
    let output = pk.run(&["push", &file]).exits(1);
    assert!(output.stderr.contains("STIX 2.1: ") && output.stderr.contains("MQ-1104 /confidence: "), "{output:#?}");
    assert!(output.stdout.contains("2 stored, 0 duplicate, 1 refused"), "{output:#?}");
    let summary = pk.run(&["push", &file, "--json"]).exits(1).last();
    assert_eq!((&summary["duplicate"], &summary["looked_at"]), (&2.into(), &3.into()));
    // One for the number out of range; that indicators should have a description is said of both.
    assert_eq!(summary["warnings"], 3);
}
