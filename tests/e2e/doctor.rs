//! What `mithaq doctor` tells of a home and of the daemon that runs on it.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;

use crate::harness::{Cert, Daemon, Place, pair, settle, until};

/// What is told, and the state of each.
#[track_caller]
fn told(cert: &Cert, exit: i32) -> Vec<(String, String)> {
    let text = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    let lines = cert.run(&["doctor", "--json"]).exits(exit).lines();
    lines.iter().map(|line| (text(line, "what"), text(line, "state"))).collect()
}

#[track_caller]
fn has(told: &[(String, String)], what: &str, state: &str) {
    let found = told.iter().any(|(found, of)| found == what && of == state);
    assert!(found, "{what} is not {state} in {told:#?}");
}

#[test]
fn what_is_well_and_what_is_not_is_told_and_nothing_changes() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    let alone = told(pk, 3);
    has(&alone, "peers", "look");
    has(&alone, "daemon", "look");
    pair(pk, cn, &[]);
    let [ours, theirs] = [pk, cn].map(Daemon::start);
    settle(cn, pk, 1);
    settle(pk, cn, 2);
    let well = told(pk, 0);
    for what in ["configuration", "card", "signing key", "TLS key", "agreement with cn", "daemon", "link to cn"] {
        has(&well, what, "well");
    }
    let people = pk.run(&["doctor"]).exits(0).stdout;
    assert!(people.contains("well   agreement with cn  until 20"), "{people}");

    theirs.terminate();
    until("the link is down", || (told_state(pk, "link to cn")? == "look").then_some(()));
    ours.terminate();
    // What only a start would tell is told before it.
    let lists = pk.home.join("lists");
    fs::create_dir(&lists).unwrap();
    fs::write(lists.join("broken.json"), "{").unwrap();
    pk.configure("# dir = \"warning-lists\"", "dir = \"lists\"");
    has(&told(pk, 1), "warning lists", "wrong");
    let key = fs::read_dir(pk.home.join("keys")).unwrap().map(|entry| entry.unwrap().path());
    let keys: Vec<_> = key.filter(|path| path.to_str().unwrap().contains("signing")).collect();
    fs::set_permissions(&keys[0], fs::Permissions::from_mode(0o644)).unwrap();
    has(&told(pk, 1), "signing key", "wrong");
    fs::write(pk.home.join("mithaq.toml"), "nonsense").unwrap();
    let output = pk.run(&["doctor"]).exits(1);
    assert!(
        output.stdout.contains("WRONG  configuration  MQ-6001") && output.stdout.contains("chmod 600"),
        "{output:#?}"
    );
}

fn told_state(cert: &Cert, what: &str) -> Option<String> {
    let lines = cert.run(&["doctor", "--json"]).lines();
    let line = lines.iter().find(|line| line["what"] == what)?;
    Some(line["state"].as_str()?.to_owned())
}
