//! What was seen of what others told us: where it goes, in which form, and who hears of a false positive.

use std::os::unix::net::UnixStream;

use serde_json::{Value, json};

use crate::harness::{
    Cert, Daemon, Place, bundle, domain, id_of, indicator, pair, post, read_stream, settle, two_peers, unmarked, until,
};

/// The objects of a type that a CERT's SIEM is shown.
fn shown(cert: &Cert, object_type: &str) -> Vec<Value> {
    let lines = read_stream(cert, None, 100);
    lines.into_iter().map(|line| line.object).filter(|object| object["type"] == object_type).collect()
}

/// What a SIEM is answered that reports these lines.
#[track_caller]
fn report(cert: &Cert, lines: &[Value]) -> Vec<Value> {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let answer = post(UnixStream::connect(cert.siem_socket()).unwrap(), "/v1/sightings", &text).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A sighting of an object, as STIX.
fn sighting(number: u32, of: &Value) -> Value {
    json!({
        "type": "sighting", "spec_version": "2.1", "id": format!("sighting--00000000-0000-4000-8000-{number:012}"),
        "created": "2026-11-20T08:00:00.000Z", "modified": "2026-11-20T08:00:00.000Z", "count": number,
        "sighting_of_ref": of["id"],
    })
}

#[test]
fn a_sighting_goes_in_full_or_as_a_count_as_each_agreement_says() {
    let place = Place::new();
    let certs = ["pk", "cn", "qa", "ir"].map(|name| Cert::init(&place, name));
    let [pk, cn, qa, ir] = &certs;
    pair(pk, cn, &["--sightings", "full"]);
    pair(pk, qa, &["--sightings", "count"]);
    pair(pk, ir, &["--sightings", "none"]);
    let _daemons = certs.each_ref().map(Daemon::start);
    pk.push(bundle(&[indicator(1, 1)]), &[]).exits(0);
    let seen = ["--count", "12", "--first-seen", "2026-11-19T23:59:00Z", "--last-seen", "2026-11-20T08:07:06Z"];
    let value = domain(1, 1);
    let args = [&["sighting", "add", &value, "--note", "at the gateway 10.9.8.7", "--json"], &seen[..]].concat();
    let lines = pk.run(&args).exits(0).lines();
    assert_eq!(lines[0], json!({"index": 0, "status": "sighted", "of": [id_of(&indicator(1, 1))]}));
    assert_eq!((&lines[1]["sighted"], &lines[1]["stored"]), (&1.into(), &1.into()), "{lines:?}");
    // Told again it is no other.
    assert_eq!(pk.run(&args).exits(0).last()["duplicate"], 1);

    [cn, qa, ir].into_iter().zip(1..).for_each(|(peer, number)| settle(pk, peer, number));
    let own = shown(pk, "sighting");
    let [own] = own.as_slice() else { panic!("PK's own readers see {own:?}") };
    let at_cn = shown(cn, "sighting");
    assert_eq!(at_cn, std::slice::from_ref(own), "full is what was signed");
    assert_eq!(own["description"], "at the gateway 10.9.8.7");
    let at_qa = shown(qa, "sighting");
    let [count] = at_qa.as_slice() else { panic!("QA's readers see {at_qa:?}") };
    assert_eq!((&count["count"], &count["sighting_of_ref"]), (&12.into(), &own["sighting_of_ref"]));
    assert_eq!(count["first_seen"], "2026-11-19T00:00:00.000000Z", "a count tells the day");
    assert_ne!(count["id"], own["id"]);
    assert!(count["description"].is_null(), "{count}");
    assert_eq!(shown(ir, "sighting"), [] as [Value; 0]);
    assert_eq!(pk.withheld_by(&id_of(own), qa), ["MQ-2022"]);

    // Both forms are taken back together.
    let withdrawn = pk.run(&["withdraw", &id_of(own), "--json"]).exits(0).last();
    assert_eq!(withdrawn["objects"], 1, "{withdrawn}");
    cn.until_dropped(&id_of(own));
    qa.until_dropped(&id_of(count));
    certs.iter().for_each(|cert| drop(cert.ledger_is_whole()));
}

#[test]
fn a_siem_reports_what_it_saw_and_only_the_origin_hears_of_a_false_positive() {
    let place = Place::new();
    let certs = ["pk", "cn", "qa"].map(|name| Cert::init(&place, name));
    let [pk, cn, qa] = &certs;
    [(pk, cn), (cn, qa), (pk, qa)].into_iter().for_each(|(a, b)| pair(a, b, &[]));
    let _daemons = certs.each_ref().map(Daemon::start);
    let objects = [indicator(1, 1), indicator(1, 2)];
    pk.push(bundle(&objects), &[]).exits(0);
    // One that CN's own SIEM may not see.
    cn.push(bundle(&[unmarked(2, 1)]), &["--tlp", "red"]).exits(0);
    for object in &objects {
        cn.until_serves(&id_of(object));
    }

    let lines = report(
        cn,
        &[
            json!({"value": format!("hxxp://{}/x", domain(1, 1).replace('.', "[.]"))}),
            json!({"value": domain(1, 1), "count": 5, "last_seen": "2026-11-20T08:00:00Z"}),
            json!({"id": id_of(&objects[0]), "count": 2, "last_seen": "2026-11-20T09:00:00Z"}),
            json!({"value": domain(1, 2), "false_positive": true, "note": "hamari apni site"}),
            json!({"value": domain(2, 1)}),
            json!({"value": "nobody.example"}),
            json!({"value": domain(1, 1), "count": 0}),
            json!({"value": domain(1, 1), "cuont": 1}),
            json!({"value": domain(1, 1), "note": "\u{1b}[2J"}),
        ],
    );
    let statuses: Vec<_> = lines.iter().filter_map(|line| line["status"].as_str()).collect();
    let refused = ["refused"; 3];
    assert_eq!(statuses[1..6], ["sighted", "sighted", "false_positive", "unknown", "unknown"], "{lines:?}");
    assert_eq!(statuses[6..], refused, "{lines:?}");
    // What is hidden from a reader and what nobody has are told alike.
    let mut hidden = lines[4].clone();
    hidden["index"] = 5.into();
    assert_eq!(hidden, lines[5]);
    assert_eq!(lines.last().unwrap()["told"], json!([pk.id()]));

    let opinion = until("PK hears of the false positive", || shown(pk, "opinion").into_iter().next());
    assert_eq!((&opinion["opinion"], &opinion["object_refs"][0]), (&"strongly-disagree".into(), &objects[1]["id"]));
    assert_eq!(opinion["explanation"], "hamari apni site");
    let sighting = until("PK hears of the sighting", || shown(pk, "sighting").into_iter().next());
    assert_eq!((&sighting["count"], &sighting["sighting_of_ref"]), (&7.into(), &objects[0]["id"]), "{sighting}");
    settle(cn, qa, 1);
    assert_eq!(shown(qa, "sighting"), [] as [Value; 0], "QA heard of what CN may not pass on");
    assert_eq!(shown(qa, "opinion"), [] as [Value; 0], "QA heard of what is between CN and PK");
}

#[test]
fn a_sighting_that_is_pushed_goes_to_nobody_who_may_not_have_what_was_seen() {
    let place = Place::new();
    let certs = ["pk", "cn", "qa"].map(|name| Cert::init(&place, name));
    let [pk, cn, qa] = &certs;
    [(pk, cn), (cn, qa), (pk, qa)].into_iter().for_each(|(a, b)| pair(a, b, &[]));
    let _daemons = certs.each_ref().map(Daemon::start);
    // One of PK, for CN and QA each by itself, and one of CN.
    pk.push(bundle(&[indicator(1, 1)]), &["--tlp", "amber", "--to", "cn"]).exits(0);
    cn.push(bundle(&[indicator(2, 1)]), &[]).exits(0);
    cn.until_serves(&id_of(&indicator(1, 1)));
    let (foreign, own) = (sighting(1, &indicator(1, 1)), sighting(2, &indicator(2, 1)));
    // Whoever names a recipient hears that it may not learn of it.
    let named = cn.push(bundle(std::slice::from_ref(&foreign)), &["--to", "qa"]).last();
    assert_eq!(named["preview"][0]["peer"], "qa", "{named}");
    cn.push(bundle(&[foreign.clone(), own.clone()]), &[]).exits(0);
    pk.until_serves(&id_of(&foreign));
    qa.until_serves(&id_of(&own));
    settle(cn, qa, 2);
    assert_eq!(shown(qa, "sighting"), std::slice::from_ref(&own), "QA heard of what PK told CN alone");
    assert_eq!(shown(cn, "sighting").len(), 2);
}

#[test]
fn a_sighting_that_is_pushed_of_what_was_taken_back_goes_to_its_origin_alone() {
    let place = Place::new();
    let certs = ["pk", "cn", "qa"].map(|name| Cert::init(&place, name));
    let [pk, cn, qa] = &certs;
    [(pk, cn), (cn, qa), (pk, qa)].into_iter().for_each(|(a, b)| pair(a, b, &[]));
    let _daemons = certs.each_ref().map(Daemon::start);
    let [theirs, ours, unknown] = [indicator(1, 1), indicator(2, 1), indicator(9, 1)];
    pk.push(bundle(std::slice::from_ref(&theirs)), &["--tlp", "amber", "--to", "cn"]).exits(0);
    cn.push(bundle(std::slice::from_ref(&ours)), &["--to", "pk"]).exits(0);
    cn.until_serves(&id_of(&theirs));
    pk.until_serves(&id_of(&ours));
    pk.withdraw(&id_of(&theirs));
    cn.until_dropped(&id_of(&theirs));
    cn.withdraw(&id_of(&ours));
    pk.until_dropped(&id_of(&ours));

    let [of_theirs, of_ours, of_unknown] = [sighting(1, &theirs), sighting(2, &ours), sighting(3, &unknown)];
    cn.push(bundle(&[of_theirs.clone(), of_ours.clone(), of_unknown.clone()]), &[]).exits(0);
    settle(cn, qa, 2);
    settle(cn, pk, 3);
    let at = |cert: &Cert| [&of_theirs, &of_ours, &of_unknown].map(|sighting| cert.serves(&id_of(sighting)));
    assert_eq!(at(cn), [true; 3]);
    assert_eq!(at(pk), [true, false, true], "PK heard that what CN took back was seen");
    assert_eq!(at(qa), [false, false, true], "QA heard of what PK told CN alone");
}

#[test]
fn reports_that_are_too_many_or_no_json_are_refused_and_nothing_is_done() {
    let place = Place::new();
    let certs = two_peers(&place);
    let _daemon = Daemon::start(&certs[0]);
    let many = "{\"value\":\"a.example\"}\n".repeat(10_001);
    for (text, status, code) in [(many.as_str(), 413, "MQ-1052"), ("[{\"value\":\"a.example\"}", 400, "MQ-6006")] {
        let answer = post(UnixStream::connect(certs[0].siem_socket()).unwrap(), "/v1/sightings", text).unwrap();
        assert_eq!((answer.status, answer.json()["code"].as_str()), (status, Some(code)), "{answer:?}");
    }
    let large = " ".repeat(5 << 20);
    let answer = post(UnixStream::connect(certs[0].siem_socket()).unwrap(), "/v1/sightings", &large);
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == 413));
    certs[0].run(&["sighting", "add", "a.example"]).exits(6);
}
