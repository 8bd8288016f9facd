use super::*;
use std::fs;

const BAD_TOOL: &str = r#"{"type":"tool","spec_version":"2.1","id":"tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"yesterday","modified":"2024-05-01T00:00:00.000Z","name":"x"}"#;
const WARNED: &str = r#"{"type":"x-mine","spec_version":"2.1","id":"x-mine--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2024-05-01T00:00:00.000Z","modified":"2024-05-01T00:00:00.000Z"}"#;

fn good() -> String {
    BAD_TOOL.replace("yesterday", "2024-05-01T00:00:00.000Z")
}

struct Run {
    exit: Exit,
    out: String,
    err: String,
}

impl Run {
    fn lines(&self) -> Vec<serde_json::Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// Validates files of a folder, or the folder itself.
fn validate(files: &[(&str, &str)], inputs: &[&str], change: impl FnOnce(&mut Args), json: bool) -> Run {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let (mut console, captured) = Console::captured(None);
    console.set_json(json);
    let inputs = inputs.iter().map(|name| folder.path().join(name)).collect();
    let mut args = Args { inputs, strict: false, all: false };
    change(&mut args);
    let exit = run(&args, &mut console).unwrap();
    let prefix = format!("{}/", folder.path().display());
    let plain = |text: String| text.replace(&prefix, "");
    Run { exit, out: plain(captured.out()), err: plain(captured.err()) }
}

#[test]
fn findings_are_grouped_for_people() {
    let text = format!("{}\n{BAD_TOOL}\n12\n", good());
    let run = validate(&[("a", &text)], &["a"], |_| {}, false);
    assert_eq!(run.exit, Exit::Failure);
    let lines: Vec<_> = run.out.lines().collect();
    assert_eq!(lines[0], "a:1  tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f");
    assert!(
        lines[1].starts_with("  error MQ-1105 /created: ") && lines[1].ends_with("(STIX 2.1 §2.16)"),
        "{}",
        run.out
    );
    assert_eq!(lines[2], "a:2  (object without id)");
    assert!(lines[3].starts_with("  error MQ-1010 a number stands where"), "{}", run.out);
    assert_eq!(lines[4], "1 valid, 2 invalid; 2 errors, 0 warnings");
}

#[test]
fn programs_get_a_line_for_each_object() {
    let run = validate(&[("a", &format!("{}\n{BAD_TOOL}\n{WARNED}", good()))], &["a"], |_| {}, true);
    assert_eq!(run.exit, Exit::Failure);
    let lines = run.lines();
    assert_eq!(lines.len(), 3);
    let clean = serde_json::json!({
        "index": 0, "offset": 0, "id": "tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "type": "tool",
        "valid": true, "errors": [], "warnings": [],
    });
    assert_eq!(lines[0], clean);
    let error = &lines[1]["errors"][0];
    assert_eq!(
        (&error["code"], &error["pointer"], &error["section"]),
        (&"MQ-1105".into(), &"/created".into(), &"2.16".into())
    );
    assert_eq!((&lines[1]["index"], &lines[1]["valid"]), (&1.into(), &false.into()));
    assert_eq!((&lines[2]["valid"], &lines[2]["warnings"][0]["code"]), (&true.into(), &"MQ-1206".into()));
}

#[test]
fn warnings_count_when_that_is_asked() {
    assert_eq!(validate(&[("a", WARNED)], &["a"], |_| {}, false).exit, Exit::Ok);
    let run = validate(&[("a", WARNED)], &["a"], |args| args.strict = true, true);
    assert_eq!((run.exit, &run.lines()[0]["valid"]), (Exit::Failure, &false.into()));
}

#[test]
fn a_folder_is_read_in_order_in_spite_of_what_cannot_be_read() {
    let files = [("b.json", WARNED), ("a.json", BAD_TOOL), ("c.txt", "no STIX")];
    let run = validate(&files, &["", "missing.json"], |_| {}, true);
    assert_eq!(run.exit, Exit::Failure);
    let files: Vec<_> = run.lines().iter().map(|line| line["file"].clone()).collect();
    assert_eq!(files, ["a.json".into(), "b.json".into(), serde_json::Value::Null]);
    assert!(run.err.starts_with("error: MQ-6012: cannot read missing.json: "), "{}", run.err);
    let run = validate(&[("a", &good())], &["missing", "a"], |_| {}, false);
    assert_eq!(run.exit, Exit::Failure);
    assert_eq!(run.out, "1 valid, 0 invalid; 0 errors, 0 warnings; 1 not readable\n");
}

#[test]
fn many_findings_are_cut_unless_all_are_wanted() {
    let properties: String = (0..30).map(|number| format!(r#","mine_{number}":1"#)).collect();
    let text = good().replace(r#","name":"x""#, &format!(r#","name":"x"{properties}"#));
    let count = |all| {
        let run = validate(&[("a", &text)], &["a"], |args| args.all = all, false);
        (run.out.matches("warning MQ-1205").count(), run.out.contains("  and 10 more: --all shows them\n"))
    };
    assert_eq!((count(false), count(true)), ((SHOWN_MAX, true), (30, false)));
}

#[test]
fn stix_2_0_is_told_its_remedy_and_nothing_is_obeyed() {
    let old = good().replace(r#""spec_version":"2.1","#, "").replace(r#""name":"x""#, r#""name":"x","\u202e":1"#);
    let run = validate(&[("a\u{1b}.json", &old)], &[""], |_| {}, false);
    assert!(run.out.contains("error MQ-1013 ") && run.out.contains("`mithaq upgrade FILE`"), "{}", run.out);
    assert!(!run.out.contains(['\u{202e}', '\u{1b}']), "{}", run.out);
}
