//! What commands print and how they end: what scripts rely on, and what terminals are spared.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::harness::{
    Cert, Daemon, Place, bundle, domain, draft, indicator, indicators, mithaq, pair, read_stream, skipped,
};

#[test]
fn every_command_speaks_json() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    let file = draft(pk, cn, &[]);
    let lines = |cert: &Cert, args: &[&str], exit: i32, members: &[&str]| {
        let output = cert.run(&[args, &["--json"]].concat()).exits(exit);
        for line in output.lines() {
            assert!(members.iter().all(|member| !line[member].is_null()), "{members:?} in {output:#?}");
        }
        output.lines().len()
    };
    let one = |cert: &Cert, args: &[&str], exit: i32, members: &[&str]| {
        assert_eq!(lines(cert, args, exit, members), 1, "{args:?}");
    };
    // At home, with no daemon.
    one(pk, &["peer", "invite"], 0, &["payload", "signatures"]);
    one(pk, &["peer", "list"], 0, &["name", "state", "cert"]);
    one(pk, &["peer", "show", "cn"], 0, &["name", "state", "endpoints"]);
    one(pk, &["agreement", "show", &file], 0, &["id", "parties", "flows", "valid_until"]);
    let other = place.path().join("other.pact");
    one(pk, &["agreement", "new", "--peer", "cn", "--out", other.to_str().unwrap()], 0, &["id"]);
    one(pk, &["agreement", "sign", other.to_str().unwrap(), "--yes"], 0, &["id"]);
    one(pk, &["peer", "verify", "cn", "--agreement", &file, "--show"], 0, &["groups"]);
    pair(pk, cn, &[]);
    one(pk, &["agreement", "show", "cn"], 0, &["id"]);
    one(pk, &["explain", "MQ-2010"], 0, &["code", "title", "text"]);
    assert!(lines(pk, &["explain"], 0, &["code", "title", "text"]) > 40);
    one(pk, &["explain", "MQ-9999"], 6, &["code", "message"]);
    one(pk, &["status"], 7, &["code", "message"]);
    one(pk, &["push"], 2, &["code", "message"]);
    one(pk, &["init", "--name", "x", "--country", "XX"], 1, &["code", "message"]);

    let _daemon = Daemon::start(pk);
    let pushed = pk.push(bundle(&indicators(1, 0..3)), &[]).exits(0).lines();
    assert_eq!(pushed.len(), 4);
    let members = ["stored", "duplicate", "refused", "releases", "seconds"];
    assert!(members.iter().all(|member| pushed[3][member].is_number()), "{pushed:?}");
    let id = indicator(1, 0)["id"].as_str().unwrap().to_owned();
    one(pk, &["status"], 0, &["cert", "objects", "releases", "store_bytes", "peers"]);
    one(pk, &["show", &id], 0, &["content", "releases", "object"]);
    one(pk, &["search", &domain(1, 0)], 0, &["content", "releases", "object"]);
    one(pk, &["why", &id, "--peer", "cn"], 0, &["released", "reasons"]);
    one(pk, &["store", "check"], 0, &["ok", "objects", "problems"]);
    one(pk, &["reload"], 0, &["peers"]);
    assert_eq!(lines(pk, &["tail", "--since-start", "--lines", "3"], 0, &["cursor", "op", "object"]), 3);
    // To find nothing is an answer: no line, and a status that says so.
    assert_eq!(lines(pk, &["search", "nothing.example"], 6, &[]), 0);
    assert_eq!(lines(pk, &["show", "indicator--00000000-0000-4000-8000-000000000000"], 6, &[]), 0);
    let status = pk.status();
    for member in ["name", "state", "lag", "sent", "received"] {
        assert!(!status["peers"][0][member].is_null(), "{status}");
    }
}

#[test]
fn scripts_can_rely_on_the_exit_status() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    pair(pk, cn, &[]);
    let id = indicator(1, 0)["id"].as_str().unwrap().to_owned();
    let check = |args: &[&str], exit: i32| {
        pk.run(args).exits(exit);
    };
    check(&["--version"], 0);
    check(&["push", "--help"], 0);
    check(&["pusch"], 2);
    check(&[], 2);
    for args in [&["status"][..], &["push", "-"], &["show", &id], &["search", "x"], &["tail"], &["reload"]] {
        check(args, 7);
    }
    let daemon = Daemon::start(pk);
    check(&["status"], 0);
    check(&["status", "--check"], 3);
    let mut objects = indicators(1, 0..2);
    objects[0]["object_marking_refs"] = json!(["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]);
    pk.push(bundle(&objects), &[]).exits(0);
    check(&["show", &id], 0);
    check(&["show", "nonsense"], 2);
    check(&["search", "nothing.example"], 6);
    check(&["why", &id, "--peer", "cn"], 4);
    check(&["why", &id, "--peer", "qa"], 6);
    check(&["why", "indicator--00000000-0000-4000-8000-000000000000", "--peer", "cn"], 6);
    check(&["peer", "show", "qa"], 6);
    check(&["peer", "show", "../cn"], 2);
    check(&["tail", "--cursor", "nonsense"], 2);
    check(&["tail", "--cursor", "0123456789abcdef-1-0"], 1);
    let broken = place.write("broken.json", "{");
    check(&["push", &broken], 1);
    assert_eq!(daemon.terminate().0, Some(0));
    check(&["status"], 7);
}

/// Objects whose texts a terminal would obey.
fn hostile() -> Vec<Value> {
    let nasty = "\u{1b}[31mred\u{1b}]0;title\u{7}\u{8}\u{9b}2J\u{90}q\u{202e}txt.exe\u{2066}\u{200f}\u{7f}\r";
    let mut objects = indicators(6, 0..1);
    objects[0]["name"] = nasty.into();
    objects[0]["description"] = nasty.into();
    objects[0]["pattern"] = format!("[file:name = '{nasty}']").into();
    objects[0]["labels"] = json!([nasty]);
    objects[0][format!("x_{nasty}")] = nasty.into();
    objects.push(json!({
        "type": "file",
        "spec_version": "2.1",
        "id": "file--00000000-0000-4000-8000-000000000001",
        "name": nasty,
    }));
    objects.push(json!({"type": "file", "id": format!("file--{nasty}"), "spec_version": nasty}));
    objects.push(json!({"type": nasty, "id": nasty}));
    objects
}

fn is_dangerous(c: char) -> bool {
    let is_bidi = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && c != '\n') || is_bidi
}

#[test]
fn what_came_from_outside_never_reaches_a_terminal_as_it_is() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    pair(pk, cn, &[]);
    let _daemon = Daemon::start(pk);
    let input = place.write("hostile.json", bundle(&hostile()));
    let pushed = pk.run(&["push", "--verbose", &input]).exits(1);
    let id = indicator(6, 0)["id"].as_str().unwrap().to_owned();
    let nasty = hostile()[0]["name"].as_str().unwrap().to_owned();
    let commands: [&[&str]; 12] = [
        &["show", &id],
        &["search", &nasty],
        &["search", "\u{1b}[2J"],
        &["show", "\u{1b}[2J"],
        &["tail", "--since-start", "--lines", "2"],
        &["why", &id, "--peer", "cn"],
        &["why", "\u{202e}", "--peer", "cn"],
        &["why", &id, "--peer", "\u{1b}[2J"],
        &["push", "\u{1b}[2J"],
        &["tail", "--cursor", "\u{1b}[2J"],
        &["peer", "show", "\u{1b}[2J"],
        &["\u{1b}[2J"],
    ];
    let outputs: Vec<_> = commands.iter().map(|args| pk.run(args)).chain([pushed]).collect();
    for output in &outputs {
        for text in [&output.stdout, &output.stderr] {
            assert!(!text.contains(is_dangerous), "{output:#?}");
        }
    }
    // It is shown, not left out.
    assert!(outputs[0].stdout.contains(r"\u{1b}[31mred"), "{:#?}", outputs[0]);
    // And SIEMs get what the producer wrote.
    let lines = read_stream(pk, None, 10);
    assert!(lines.iter().any(|line| line.object == hostile()[0]), "{lines:#?}");
    // A card's name is not for terminals to obey either.
    let named = place.path().join("named");
    let made = mithaq(&named, &["init", "--name", "\u{1b}[31m", "--country", "PK", "--contact", "a@b.example"]);
    assert!(!format!("{}{}", made.stdout, made.stderr).contains(is_dangerous), "{made:#?}");
}

#[test]
fn a_terminal_is_spared_in_json_too() {
    let place = Place::new();
    let pk = &Cert::init(&place, "pk");
    let _daemon = Daemon::start(pk);
    pk.push(bundle(&hostile()), &[]).exits(1);
    let id = indicator(6, 0)["id"].as_str().unwrap().to_owned();
    for args in [format!("show {id} --json"), format!("show {id}"), "tail --since-start -l 2 --json".to_owned()] {
        let Some(seen) = on_a_terminal(&pk.home, &args) else { return };
        // Colours are the program's own; nothing else may steer the terminal.
        let seen = without_colours(&seen);
        assert!(!seen.contains(|c| is_dangerous(c) && c != '\r'), "{seen:?}");
        if args.ends_with("--json") {
            let first: Value = serde_json::from_str(seen.lines().next().unwrap().trim()).unwrap();
            assert!(first["object"]["name"].is_string());
        }
    }
}

/// What a terminal would be sent; `None` where there is no program `script` to play one.
fn on_a_terminal(home: &Path, args: &str) -> Option<String> {
    let program = crate::harness::command(home, &[]);
    let command = format!("{} --home {} {args}", program.get_program().display(), home.display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]).env("TERM", "xterm").stdin(Stdio::null());
    match script.output() {
        Ok(output) => Some(String::from_utf8(output.stdout).unwrap()),
        Err(error) => {
            skipped("output on a terminal", &format!("script: {error}"));
            None
        }
    }
}

/// The text without `ESC [ … m`.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once('m').filter(|(code, _)| code.bytes().all(|byte| byte.is_ascii_digit() || byte == b';')) {
            Some((_, rest)) => out += rest,
            None => out = out + "\u{1b}[" + part,
        }
    }
    out
}
