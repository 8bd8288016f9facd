//! Lists, tables, mails and MISP events from an analyst's hands to a peer, and warning lists on the way.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Cert, Daemon, Output, Place, bundle, indicator, two_peers};

#[track_caller]
fn counts(output: &Output, expect: [u64; 3]) {
    let last = output.last();
    let found = ["stored", "duplicate", "refused"].map(|name| last[name].as_u64().unwrap());
    assert_eq!(found, expect, "{output:#?}");
}

/// The ids of what was made.
fn made(output: &Output) -> Vec<String> {
    let lines = output.lines();
    let made = lines.iter().filter(|line| line["intake"] == "made");
    made.map(|line| line["id"].as_str().unwrap().to_owned()).collect()
}

fn newest(cert: &Cert, id: &str) -> Value {
    cert.show(id).into_iter().find(|held| held["current"] == true).unwrap()["object"].clone()
}

#[test]
fn a_table_is_shared_once_and_a_fuller_one_is_a_new_version() {
    let place = Place::new();
    let [pk, cn] = &two_peers(&place);
    let _daemons = [pk, cn].map(Daemon::start);
    let table = "\u{feff}Type;IOC;Why;TLP\r\ndomain;evil[.]example;\"فدية\nتصيد\";green\r\nip;١٩٢.٠.٢.١;;\r\nmd5;d41d8cd98f00b204e9800998ecf8427f;;\r\n";
    let file = place.write("list.csv", table);
    let args = ["push", &file, "--map", "description=why", "--sector", "energy", "--expires", "30d", "--json"];
    let seen = pk.run(&[&args[..], &["-n"]].concat()).exits(1);
    counts(&seen, [2, 0, 1]);
    assert_eq!(pk.objects(), 0, "a preview stores nothing");
    assert!(
        seen.lines().iter().any(|line| line["reason"].as_str().is_some_and(|text| text.contains("192.0.2.1"))),
        "{seen:#?}"
    );
    let pushed = pk.run(&args).exits(1);
    counts(&pushed, [2, 0, 1]);
    counts(&pk.run(&args).exits(1), [0, 2, 1]);
    let id = &made(&pushed)[0];
    let object = newest(pk, id);
    assert_eq!((&object["description"], &object["sectors"]), (&json!("فدية\nتصيد"), &json!(["energy"])));
    assert!(
        object["created_by_ref"].as_str().unwrap().starts_with("identity--") && object.get("valid_until").is_some()
    );
    // The same value out of a mail takes nothing back; another label makes a version.
    let mail =
        "From: a@cert.example\r\nSubject: x\r\nContent-Type: text/plain\r\n\r\nplease block EVIL[dot]example today\r\n";
    counts(&pk.push(mail, &[]).exits(0), [0, 1, 0]);
    counts(&pk.push(mail, &["--label", "c2"]).exits(0), [1, 0, 0]);
    let next = newest(pk, id);
    assert_eq!((&next["created"], &next["labels"]), (&object["created"], &json!(["c2"])));
    assert!(next["modified"].as_str() > object["modified"].as_str());
    // The agreement of these two speaks of no sector and no community: only what names none and is clear is shared.
    let shared = pk.push("bad[.]example\n", &["--tlp", "clear"]).exits(0);
    counts(&shared, [1, 0, 0]);
    cn.until_serves(&made(&shared)[0]);
}

#[test]
fn a_deleted_attribute_revokes_what_was_published() {
    let place = Place::new();
    let pk = &Cert::init(&place, "pk");
    let _daemon = Daemon::start(pk);
    let uuid = "0f3e7a4c-2b2e-4d7e-9b43-0d0c6b9c2a11";
    let event = |deleted: bool| {
        let attribute =
            json!({ "uuid": uuid, "type": "domain", "value": "evil.example", "to_ids": true, "deleted": deleted });
        let event = json!({ "uuid": uuid, "info": "حملة", "timestamp": "1767312000", "Attribute": [attribute], "Tag": [{ "name": "tlp:green" }] });
        json!({ "Event": event }).to_string()
    };
    let feed = place.path().join("feed");
    fs::create_dir(&feed).unwrap();
    fs::write(feed.join("manifest.json"), json!({ uuid: {}, "../../etc/passwd": {} }).to_string()).unwrap();
    fs::write(feed.join(format!("{uuid}.json")), event(false)).unwrap();
    let pushed = pk.run(&["push", feed.to_str().unwrap(), "--json"]).exits(1);
    counts(&pushed, [2, 0, 1]);
    let id = &made(&pushed)[0];
    counts(&pk.push(event(false), &[]).exits(0), [0, 2, 0]);
    counts(&pk.push(event(true), &[]).exits(0), [1, 1, 0]);
    assert_eq!(newest(pk, id)["revoked"], true);
    counts(&pk.push(event(true), &[]).exits(0), [0, 2, 0]);
}

#[test]
fn warning_lists_block_and_what_is_forced_is_recorded() {
    let place = Place::new();
    let pk = &Cert::init(&place, "pk");
    let lists = pk.home.join("warning-lists");
    fs::create_dir(&lists).unwrap();
    fs::write(lists.join("own.json"), r#"{"name":"resolvers","type":"cidr","list":["198.18.0.53"]}"#).unwrap();
    pk.configure("# dir = \"warning-lists\"", "dir = \"warning-lists\"");
    pk.configure("mode = \"warn\"", "mode = \"block\"");
    let _daemon = Daemon::start(pk);
    let mut wide = indicator(1, 0);
    wide["pattern"] = "[ipv4-addr:value = '198.18.0.0/16']".into();
    let input = bundle(&[wide.clone(), indicator(1, 1)]);
    let blocked = pk.push(&input, &[]).exits(1);
    counts(&blocked, [1, 0, 1]);
    let line = blocked.lines().into_iter().find(|line| line["status"] == "refused").unwrap();
    assert_eq!(line["code"], "MQ-1070", "{line}");
    assert!(line["message"].as_str().unwrap().contains("on the list \"resolvers\""), "{line}");
    let forced = pk.push(&input, &["--force"]).exits(0);
    counts(&forced, [1, 1, 0]);
    assert_eq!((&forced.last()["listed"], &forced.last()["forced"]), (&json!(1), &json!(1)));
    let record = fs::read_to_string(pk.home.join("audit/forced.ndjson")).unwrap();
    assert_eq!(record.lines().count(), 1, "{record}");
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["id"], wide["id"]);
    // What is published is revoked all the same.
    pk.run(&["revoke", wide["id"].as_str().unwrap()]).exits(0);
}

#[test]
fn stix_2_0_is_brought_to_2_1_when_it_is_asked_for() {
    let place = Place::new();
    let pk = &Cert::init(&place, "pk");
    let _daemon = Daemon::start(pk);
    let old = json!({ "type": "bundle", "id": "bundle--08b9a88e-0d79-46c1-94b7-75e531fb3daf", "spec_version": "2.0", "objects": [{
        "type": "indicator", "id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "labels": ["malicious-activity"],
        "created": "2018-05-01T00:00:00.000Z", "modified": "2018-05-01T00:00:00.000Z", "valid_from": "2018-05-01T00:00:00Z",
        "pattern": "[url:value = 'http://evil.example/']" }] });
    let file = place.write("old.json", old.to_string());
    counts(&pk.run(&["push", &file, "--json"]).exits(1), [0, 0, 1]);
    counts(&pk.run(&["push", &file, "--from", "stix", "--json"]).exits(0), [1, 0, 0]);
    counts(&pk.run(&["push", &file, "--from", "auto", "--json"]).exits(0), [0, 1, 0]);
}
