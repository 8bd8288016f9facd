//! The main job: push here, hold there, read by SIEMs; and nothing that no agreement releases.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::harness::{
    Cert, Daemon, Place, bundle, corpus, id_of, indicator, indicators, pair, read_stream, read_taxii, settle, until,
};

/// The marking of ATT&CK, a statement of its terms, which agreements must name to let it go.
const ATTACK_TERMS: &str = "marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168";

/// What a dry run announces for each peer.
fn announced(summary: &Value) -> BTreeMap<String, u64> {
    let mut released = BTreeMap::new();
    for row in summary["preview"].as_array().unwrap() {
        let count = released.entry(row["peer"].as_str().unwrap().to_owned()).or_default();
        if row["released"] == true {
            *count += row["objects"].as_u64().unwrap();
        }
    }
    released
}

/// Reads a CERT's SIEM socket both ways, page by page, and checks that each object comes once: content ids.
#[track_caller]
fn read_by_siems(cert: &Cert) -> BTreeSet<String> {
    let lines = read_stream(cert, None, 97);
    let contents: BTreeSet<_> = lines.iter().map(|line| line.content.clone()).collect();
    assert_eq!(contents.len(), lines.len(), "the stream gives an object twice");
    let text = |object: &Value| object["id"].as_str().unwrap().to_owned();
    let by_taxii = read_taxii(cert, 89);
    let ids: BTreeSet<_> = by_taxii.iter().map(text).collect();
    assert_eq!(ids.len(), by_taxii.len(), "TAXII gives an object twice");
    assert_eq!(ids, lines.iter().map(|line| text(&line.object)).collect());
    contents
}

fn three_certs(place: &Place) -> [Cert; 3] {
    let [pk, cn, qa] = ["pk", "cn", "qa"].map(|name| Cert::init(place, name));
    pair(&pk, &cn, &["--community", "demo", "--marking", ATTACK_TERMS]);
    pair(&pk, &qa, &["--tlp-max", "green"]);
    [pk, cn, qa]
}

#[test]
fn peers_hold_what_was_announced_and_siems_read_it_once() {
    let place = Place::new();
    let certs = three_certs(&place);
    let [pk, cn, qa] = &certs;
    let _daemons = certs.each_ref().map(Daemon::start);
    let input = corpus(&[
        "attack/ics-attack-18.1.json",
        "indicators/mvt-intellexa_predator-predator.stix2",
        "indicators/amnesty-2021-12-16_cytrox-cytrox.stix2",
    ]);

    let dry = pk.push(&input, &["-n"]).exits(0).last();
    let announced = announced(&dry);
    assert_eq!(pk.objects(), 0, "a dry run stored something");
    assert!(announced["cn"] > 0 && announced["cn"] > announced["qa"], "{announced:?}");

    let pushed = pk.push(&input, &[]).exits(0).last();
    assert_eq!(pushed["stored"], dry["stored"]);
    assert_eq!(pushed["refused"], 0);
    settle(pk, cn, 1);
    settle(pk, qa, 2);
    // Both probes go to both, the second one to CN in its own time.
    until("CN holds the second probe", || cn.serves(&id_of(&indicator(0xfeed, 2))).then_some(()));
    assert_eq!(cn.objects(), announced["cn"] + 2, "{dry}");
    assert_eq!(qa.objects(), announced["qa"] + 2, "{dry}");

    let [of_pk, of_cn, of_qa] = certs.each_ref().map(read_by_siems);
    assert!(of_cn.is_subset(&of_pk) && of_qa.is_subset(&of_cn));
    assert_eq!(of_cn.len() as u64, cn.objects());

    let sent_before = cn.peer(pk).unwrap()["objects_received"].clone();
    let again = pk.push(&input, &[]).exits(0).last();
    assert_eq!((&again["stored"], &again["releases"]), (&Value::from(0), &Value::from(0)), "{again}");
    assert_eq!(
        again["duplicate"].as_u64().unwrap(),
        dry["stored"].as_u64().unwrap() + dry["duplicate"].as_u64().unwrap()
    );
    assert_eq!(cn.peer(pk).unwrap()["objects_received"], sent_before);
    for cert in &certs {
        let check = cert.run(&["store", "check", "--json"]).exits(0).last();
        assert_eq!((&check["ok"], &check["objects"]), (&Value::from(true), &Value::from(cert.objects())));
    }
}

#[test]
fn what_came_from_one_peer_does_not_go_on_to_another() {
    let place = Place::new();
    let certs = three_certs(&place);
    let [pk, cn, qa] = &certs;
    let _daemons = certs.each_ref().map(Daemon::start);

    cn.push(bundle(&indicators(5, 0..20)), &[]).exits(0);
    settle(cn, pk, 1);
    assert_eq!(pk.objects(), 21);
    settle(pk, qa, 2);
    assert_eq!(qa.objects(), 1, "QA holds what CN shared with PK alone");

    let id = indicator(5, 7)["id"].as_str().unwrap().to_owned();
    let why = pk.run(&["why", &id, "--peer", "qa", "--json"]).exits(4).last();
    let withheld = |reason: &Value| reason["code"] == "MQ-2014" && reason["ok"] == false;
    assert!(why["reasons"].as_array().unwrap().iter().any(withheld), "{why}");
    qa.run(&["show", &id]).exits(6);

    // The same object released by PK itself is PK's to share; its body is held once.
    let told = pk.push(bundle(&indicators(5, 7..8)), &[]).exits(0).last();
    assert_eq!(told["stored"], 1);
    until("QA holds it", || (qa.run(&["show", &id]).exit == 0).then_some(()));
    assert_eq!(pk.objects(), 22);
    let shown = pk.run(&["show", &id, "--json"]).exits(0).last();
    let from: BTreeSet<_> = shown["releases"].as_array().unwrap().iter().map(|held| held["from"].to_string()).collect();
    assert_eq!(from, BTreeSet::from(["\"cn\"".to_owned(), "\"us\"".to_owned()]));
}
