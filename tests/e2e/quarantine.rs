//! What arrives and is not served until an operator decides: another's name, another's id, a time to come.

use serde_json::{Value, json};

use crate::harness::{
    Cert, Daemon, Place, Told, bundle, domain, end_of_stream, id_of, indicator, pair, read_taxii, settle, told_since,
    until,
};

/// An indicator with members in place of its own.
fn with(mut object: Value, members: &[(&str, &str)]) -> Value {
    for (key, value) in members {
        object[*key] = json!(value);
    }
    object
}

/// Waits until an object is in quarantine: its row.
#[track_caller]
fn until_quarantined(cert: &Cert, id: &str) -> Value {
    until(&format!("{id} is in quarantine at {}", cert.name), || {
        quarantine(cert).into_iter().find(|row| row["id"] == id)
    })
}

#[track_caller]
fn quarantine(cert: &Cert) -> Vec<Value> {
    cert.run(&["quarantine", "list", "--json"]).exits(0).lines()
}

#[test]
fn another_ones_name_id_and_time_are_held_back_until_they_are_accepted() {
    let place = Place::new();
    let certs = ["pk", "cn", "qa", "om"].map(|name| Cert::init(&place, name));
    let [pk, cn, qa, om] = &certs;
    pair(pk, cn, &["--onward-to", &om.id()]);
    pair(pk, qa, &["--onward-to", &om.id()]);
    pair(pk, om, &["--third-party", "accept"]);
    let _daemons = certs.each_ref().map(Daemon::start);
    qa.push(bundle(&[indicator(1, 1)]), &[]).exits(0);
    settle(qa, pk, 1);
    let cursor = end_of_stream(pk);

    // CN knows nothing of QA, so it takes all of these itself. The last says nothing wrong.
    let held = [
        ("MQ-3061", with(indicator(2, 1), &[("created_by_ref", &qa.identity)])),
        ("MQ-3062", with(indicator(1, 1), &[("modified", "2025-05-01T00:00:00.000Z"), ("name", "mine")])),
        ("MQ-3064", with(indicator(2, 2), &[("modified", "2031-01-01T00:00:00.000Z")])),
    ];
    let objects: Vec<Value> = held.iter().map(|(_, object)| object.clone()).chain([indicator(2, 3)]).collect();
    cn.push(bundle(&objects), &[]).exits(0);
    let rows: Vec<Value> = held
        .iter()
        .map(|(code, object)| {
            let row = until_quarantined(pk, &id_of(object));
            assert_eq!((&row["code"], &row["from"]), (&json!(code), &json!("cn")), "{row}");
            row
        })
        .collect();
    settle(cn, pk, 2);
    // What came beside them is served, and CN is told that not all of it is.
    pk.until_serves(&id_of(&indicator(2, 3)));
    cn.until_receipt(pk, rows[0]["release"].as_str().unwrap(), "held");
    let put: Vec<Told> = told_since(pk, &cursor);
    let fresh = [id_of(&indicator(2, 3)), id_of(&indicator(0xfeed, 2))];
    assert_eq!(put.iter().map(|told| &told.id).collect::<Vec<_>>(), fresh.iter().collect::<Vec<_>>(), "{put:?}");
    for number in [1, 2] {
        pk.run(&["search", &domain(2, number)]).exits(6);
    }
    // QA's own version is the one that stands.
    let current = pk.show(&id_of(&indicator(1, 1)));
    assert_eq!(current.iter().filter(|held| held["current"] == true).count(), 1);
    assert!(read_taxii(pk, 10).iter().all(|object| object["name"] != "mine"));
    // A release of which a part is held goes on to nobody.
    settle(pk, om, 3);
    assert!(om.show(&id_of(&indicator(2, 3))).is_empty() && om.serves(&id_of(&indicator(1, 1))));

    let content = |row: &Value| row["content"].as_str().unwrap().to_owned();
    let shown = pk.run(&["quarantine", "show", &content(&rows[0]), "--json"]).exits(0).last();
    assert!(shown.to_string().contains(&qa.identity), "{shown}");
    let cursor = end_of_stream(pk);
    pk.run(&["quarantine", "accept", &content(&rows[0])]).exits(0);
    pk.run(&["quarantine", "drop", &content(&rows[2])]).exits(0);
    assert_eq!(told_since(pk, &cursor), [Told { op: "put".into(), id: id_of(&objects[0]) }]);
    let found = pk.run(&["search", &domain(2, 1)]).exits(0).stdout;
    assert!(found.contains("served again since") && !found.contains("not served"), "{found}");
    pk.run(&["search", &domain(2, 2)]).exits(6);
    assert_eq!(quarantine(pk).iter().map(content).collect::<Vec<_>>(), [content(&rows[1])]);
    pk.run(&["quarantine", "accept", &content(&rows[2])]).refused(6, "MQ-6008");
    // Pushed again, what was dropped stays dropped.
    cn.push(bundle(&objects), &[]).exits(0);
    settle(cn, pk, 4);
    pk.run(&["search", &domain(2, 2)]).exits(6);

    // What was accepted was CN's word, and CN takes it back.
    let cursor = end_of_stream(pk);
    cn.withdraw(&id_of(&objects[0]));
    pk.until_dropped(&id_of(&objects[0]));
    pk.run(&["search", &domain(2, 1)]).exits(6);
    let told = told_since(pk, &cursor);
    assert!(told.contains(&Told { op: "withdraw".into(), id: id_of(&objects[0]) }), "{told:?}");
    certs.iter().for_each(|cert| drop(cert.ledger_is_whole()));
}
