//! A relay: what it passes on, whom it asks before, and that what is taken back is taken back behind it too.

use serde_json::Value;

use crate::harness::{
    Cert, Daemon, Place, activate_both, bundle, draft, id_of, indicator, pair, settle, unmarked, until,
};

/// PK shares with QA under these terms on passing on, and QA with CN, which takes what third CERTs released.
fn chain(place: &Place, onward: &[&str]) -> [Cert; 3] {
    let [pk, qa, cn] = ["pk", "qa", "cn"].map(|name| Cert::init(place, name));
    pair(&pk, &qa, onward);
    pair(&qa, &cn, &["--third-party", "accept"]);
    [pk, qa, cn]
}

/// Waits until the list of consents of a CERT has one with this answer.
#[track_caller]
fn until_consent(cert: &Cert, answer: &Value) -> Value {
    until(&format!("{} lists a consent with the answer {answer}", cert.name), || {
        let rows = cert.run(&["consent", "list", "--json"]).exits(0).lines();
        rows.into_iter().find(|row| row["answer"] == *answer)
    })
}

#[test]
fn a_relay_asks_and_passes_on_what_the_origin_grants_but_never_amber() {
    let place = Place::new();
    let certs = chain(&place, &["--onward", "ask"]);
    let [pk, qa, cn] = &certs;
    let _daemons = certs.each_ref().map(Daemon::start);
    let [clear, amber] = [id_of(&indicator(1, 1)), id_of(&unmarked(1, 2))];
    settle(pk, qa, 1);
    settle(qa, cn, 2);

    // QA asks by itself, in the session that runs; until PK answers nothing goes on.
    pk.push(bundle(&[indicator(1, 1)]), &[]).exits(0);
    pk.push(bundle(&[unmarked(1, 2)]), &["--tlp", "amber"]).exits(0);
    let asked = until_consent(pk, &Value::Null);
    assert_eq!((&asked["via"], &asked["to_cert"]), (&"qa".into(), &cn.id().into()), "{asked}");
    settle(pk, qa, 3);
    settle(qa, cn, 4);
    assert_eq!(qa.withheld_by(&clear, cn), ["MQ-2015"]);
    assert!(qa.serves(&clear) && qa.serves(&amber));
    assert_eq!(cn.objects(), 2, "CN holds what no origin let be passed on");

    let answer = |verdict: &str| pk.run(&["consent", verdict, "--via", "qa", "--to", &cn.id()]).exits(0);
    answer("deny");
    until_consent(qa, &"denied".into());
    settle(qa, cn, 5);
    assert_eq!(cn.objects(), 3);
    answer("grant");
    cn.until_serves(&clear);
    settle(qa, cn, 6);
    assert_eq!(qa.withheld_by(&clear, cn), [""; 0]);
    assert!(qa.withheld_by(&amber, cn).contains(&"MQ-2013".to_owned()));
    assert!(cn.show(&amber).is_empty(), "TLP:AMBER reached a third CERT");
    // Both probes of PK came with it.
    assert_eq!(cn.objects(), 7);
    assert_eq!(cn.show(&clear)[0]["releases"][0]["origin"], pk.id());

    // What PK takes back is taken back at both, and each hop has the signed word of the next.
    let withdrawal = pk.withdraw(&clear);
    cn.until_dropped(&clear);
    qa.until_dropped(&clear);
    pk.until_receipt(qa, &withdrawal, "applied");
    qa.until_receipt(cn, &withdrawal, "applied");
    assert!(qa.serves(&amber));

    // Denied again: from now on nothing new goes, and what went is taken back all the same.
    answer("deny");
    let denied = |codes: Vec<String>| codes.contains(&"MQ-2015".to_owned()).then_some(());
    let probe = id_of(&indicator(0xfeed, 3));
    until("QA has the answer", || denied(qa.withheld_by(&probe, cn)));
    pk.push(bundle(&[indicator(1, 3)]), &[]).exits(0);
    settle(pk, qa, 7);
    settle(qa, cn, 8);
    assert!(qa.serves(&id_of(&indicator(1, 3))) && cn.show(&id_of(&indicator(1, 3))).is_empty());
    let withdrawal = pk.withdraw(&probe);
    cn.until_dropped(&probe);
    qa.until_receipt(cn, &withdrawal, "applied");
    certs.iter().for_each(|cert| drop(cert.ledger_is_whole()));
}

#[test]
fn a_relay_passes_on_to_those_that_the_origin_lists_and_to_nobody_else() {
    let place = Place::new();
    let names = ["pk", "qa", "cn", "om"];
    let certs = names.map(|name| Cert::init(&place, name));
    let [pk, qa, cn, om] = &certs;
    pair(pk, qa, &["--onward-to", &cn.id()]);
    pair(qa, cn, &["--third-party", "accept"]);
    pair(qa, om, &["--third-party", "accept"]);
    let mut daemons = certs.each_ref().map(|cert| Some(Daemon::start(cert)));
    let object = id_of(&indicator(1, 1));
    pk.push(bundle(&[indicator(1, 1)]), &[]).exits(0);
    cn.until_serves(&object);
    settle(qa, om, 1);
    assert!(om.show(&object).is_empty());
    assert_eq!(qa.withheld_by(&object, om), ["MQ-2014"]);

    // Taken back while CN is away and the relay starts anew: CN learns of it from the relay alone.
    daemons[2].take().unwrap().terminate();
    let withdrawal = pk.withdraw(&object);
    qa.until_dropped(&object);
    daemons[1].take().unwrap().kill();
    daemons[1] = Some(Daemon::start(qa));
    daemons[2] = Some(Daemon::start(cn));
    cn.until_dropped(&object);
    qa.until_receipt(cn, &withdrawal, "applied");
    settle(qa, om, 2);
    assert_eq!(qa.receipt_of(om, &withdrawal), None, "OM was told of what it was never given");
}

/// The releases that a CERT's ledger says were disclosed to a peer, in order.
#[track_caller]
fn disclosed(cert: &Cert, peer: &Cert) -> Vec<String> {
    let args = ["ledger", "show", "--peer", &peer.name, "--after", "0", "--limit", "10000", "--json"];
    let entries = cert.run(&args).exits(0).lines();
    entries.iter().filter_map(|entry| entry["release"].as_str()).map(str::to_owned).collect()
}

#[test]
fn what_a_relay_kept_back_goes_on_once_a_new_agreement_with_its_origin_permits_it() {
    let place = Place::new();
    let [pk, qa, cn] = &chain(&place, &[]);
    let _daemons = [pk, qa, cn].map(Daemon::start);
    let object = id_of(&indicator(1, 1));
    pk.push(bundle(&[indicator(1, 1)]), &[]).exits(0);
    settle(pk, qa, 1);
    settle(qa, cn, 2);
    assert_eq!(qa.withheld_by(&object, cn), ["MQ-2014"]);
    let before = disclosed(qa, cn);

    // Nothing is pushed any more, and nobody starts anything anew.
    activate_both(pk, qa, &draft(pk, qa, &["--onward-to", &cn.id()]));
    cn.until_serves(&object);
    settle(qa, cn, 3);
    let after = disclosed(qa, cn);
    let mut distinct = after.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), after.len(), "a journal that is made anew disclosed something anew");
    // PK's object and probe, and the last probe of QA.
    assert_eq!((after.len(), &after[..before.len()]), (before.len() + 3, &before[..]));
    qa.ledger_is_whole();
}
