//! Lists, tables, mails and MISP events from an analyst's hands to a peer, and warning lists on the way.

use std::{fs, os::unix::net::UnixStream};

use serde_json::{Value, json};

use crate::harness::{Answer, Cert, Daemon, Output, Place, bundle, id_of, indicator, indicators, post, two_peers};

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
    // What we withdrew comes again with the next list, and whoever pushes that is told before.
    let notes = |output: &Output| output.lines()[0]["notes"].to_string();
    let pushed = pk.push("bad[.]example\n", &[]).exits(0);
    assert!(!notes(&pushed).contains("withdrawn"), "{pushed:#?}");
    pk.withdraw(&made(&pushed)[0]);
    assert!(notes(&pk.push("bad[.]example\n", &["-n"]).exits(0)).contains("was withdrawn by us"), "{pushed:#?}");
    pk.push("bad[.]example\n", &[]).exits(0);
    assert!(!notes(&pk.push("bad[.]example\n", &[]).exits(0)).contains("withdrawn"));
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

#[test]
fn what_we_published_is_asked_for_in_pages_of_bounded_size() {
    let place = Place::new();
    let [pk, cn] = &two_peers(&place);
    let _daemons = [pk, cn].map(Daemon::start);
    let ask = |ids: &[String]| -> Answer {
        post(UnixStream::connect(pk.control_socket()).unwrap(), "/v1/published", &ids.join("\n")).unwrap()
    };
    let lines = |answer: &Answer| -> Vec<Value> {
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    // A list of more lines than one request asks for says nothing new the second time.
    let list: String = (0..2_500).map(|number| format!("a{number}.bad.example\n")).collect();
    counts(&pk.push(&list, &["--tlp", "clear"]).exits(0), [2_500, 0, 0]);
    let again = pk.push(&list, &["--tlp", "clear"]).exits(0);
    counts(&again, [0, 2_500, 0]);
    // Large objects end a page before its last id, and it tells where.
    let ids: Vec<String> = made(&again);
    let mut large = indicators(1, 0..6);
    large.iter_mut().for_each(|object| object["description"] = "x".repeat(900_000).into());
    counts(&pk.push(bundle(&large), &[]).exits(0), [6, 0, 0]);
    let asked: Vec<String> = large.iter().map(id_of).chain(ids.iter().take(100).cloned()).collect();
    let page = ask(&asked);
    let answered: usize = page.header("mithaq-next").unwrap().parse().unwrap();
    assert!((6..106).contains(&answered), "{answered}");
    assert_eq!(lines(&page).len(), answered);
    let rest = ask(&asked[answered..]);
    assert_eq!((lines(&rest).len(), rest.header("mithaq-next")), (106 - answered, None));
    // Of what others published, and of what nobody did, there is no line; of versions the newest.
    let theirs = indicator(2, 1);
    cn.push(bundle(std::slice::from_ref(&theirs)), &[]).exits(0);
    pk.until_serves(&id_of(&theirs));
    let (mut ours, nobody) = (indicator(1, 1), "indicator--00000000-0000-4000-8000-000000000000".to_owned());
    ours["modified"] = "2031-01-01T00:00:00.000Z".into();
    pk.push(bundle(std::slice::from_ref(&ours)), &[]).exits(0);
    let told = lines(&ask(&[id_of(&theirs), nobody, id_of(&ours)]));
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["id"], &told[0]["object"]), (&ours["id"], &ours));
    // Too much and nonsense are refused, and what is refused is told.
    let many: Vec<String> = ids.iter().take(1_001).cloned().collect();
    assert_eq!((ask(&many).status, ask(&many).json()["code"].clone()), (413, json!("MQ-1052")));
    assert_eq!(ask(&["x".repeat(600 * 1024)]).status, 413);
    assert_eq!((ask(&["nonsense".into()]).status, lines(&ask(&[])).len()), (400, 0));
}
