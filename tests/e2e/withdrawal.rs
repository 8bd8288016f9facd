//! What was published is taken back: everywhere, in every order of arrival, and whoever is away at that time.

use crate::harness::{
    Cert, Daemon, Place, Told, bundle, domain, end_of_stream, id_of, indicator, indicators, pair, read_taxii, settle,
    told_since, two_peers, unmarked, until,
};

fn withdrawn(id: &str) -> Told {
    Told { op: "withdraw".into(), id: id.to_owned() }
}

/// Fails if anything that readers of a CERT can ask for shows them an object.
#[track_caller]
fn is_gone(cert: &Cert, id: &str, value: &str) {
    assert!(!cert.serves(id));
    cert.run(&["search", value]).exits(6);
    assert!(read_stream_puts(cert).iter().all(|put| put != id), "the stream of {} shows {id}", cert.name);
    assert!(read_taxii(cert, 10).iter().all(|object| object["id"] != id), "TAXII at {} shows {id}", cert.name);
}

/// A cursor before everything.
fn start_of_stream(cert: &Cert) -> String {
    let cursor = end_of_stream(cert);
    format!("{}-1-0", cursor.split('-').next().unwrap())
}

/// The ids of what a SIEM is shown that reads the stream from the start.
fn read_stream_puts(cert: &Cert) -> Vec<String> {
    let told = told_since(cert, &start_of_stream(cert));
    told.into_iter().filter(|told| told.op == "put").map(|told| told.id).collect()
}

#[test]
fn what_is_withdrawn_is_gone_at_both_and_the_rest_of_its_release_stays() {
    let place = Place::new();
    let certs = two_peers(&place);
    let [pk, cn] = &certs;
    let _daemons = certs.each_ref().map(Daemon::start);
    let id = id_of(&indicator(1, 2));
    pk.push(bundle(&indicators(1, 0..5)), &[]).exits(0);
    settle(pk, cn, 1);
    // Only whoever published it can take it back.
    cn.run(&["withdraw", &id]).refused(1, "MQ-3067");
    let cursors = certs.each_ref().map(end_of_stream);

    let withdrawal = pk.withdraw(&id);
    cn.until_dropped(&id);
    settle(pk, cn, 2);
    pk.until_receipt(cn, &withdrawal, "applied");
    for (cert, cursor) in certs.iter().zip(&cursors) {
        is_gone(cert, &id, &domain(1, 2));
        let told = told_since(cert, cursor);
        assert_eq!(told.iter().filter(|told| told.op == "withdraw").collect::<Vec<_>>(), [&withdrawn(&id)], "{told:?}");
        for number in [0, 1, 3, 4] {
            assert!(cert.serves(&id_of(&indicator(1, number))), "{} lost number {number}", cert.name);
        }
        // Four that stay and two probes.
        assert_eq!(read_taxii(cert, 10).len(), 6);
    }
    let shown = &pk.show(&id)[0]["releases"][0];
    assert_eq!((&shown["held"]["code"], &shown["withdrawal"]["release"]), (&"MQ-3060".into(), &withdrawal.into()));
    assert_eq!(shown["withdrawal"]["given"][0]["status"], "applied", "{shown}");
    pk.run(&["withdraw", &id]).refused(1, "MQ-3005");

    // What is published again is a new word.
    pk.push(bundle(&[indicator(1, 2)]), &[]).exits(0);
    cn.until_serves(&id);
    cn.run(&["search", &domain(1, 2)]).exits(0);
    certs.iter().for_each(|cert| drop(cert.ledger_is_whole()));
}

#[test]
fn a_withdrawal_waits_for_a_peer_that_is_away_and_outlives_restarts() {
    let place = Place::new();
    let certs = two_peers(&place);
    let [pk, cn] = &certs;
    let [mut of_pk, of_cn] = certs.each_ref().map(Daemon::start);
    let [early, late] = [id_of(&indicator(1, 1)), id_of(&indicator(1, 2))];
    pk.push(bundle(&[indicator(1, 1)]), &[]).exits(0);
    cn.until_serves(&early);
    of_cn.terminate();
    // One that CN was given, and one that the rule kept from it: it learns nothing of the second.
    let withdrawal = pk.withdraw(&early);
    pk.push(bundle(&[unmarked(1, 2)]), &["--tlp", "red"]).exits(0);
    let unseen = pk.withdraw(&late);
    of_pk.kill();
    of_pk = Daemon::start(pk);
    let of_cn = Daemon::start(cn);
    cn.until_dropped(&early);
    pk.until_receipt(cn, &withdrawal, "applied");
    settle(pk, cn, 1);
    assert!(cn.show(&late).is_empty());
    let told = told_since(cn, &start_of_stream(cn));

    for daemon in [of_pk, of_cn] {
        daemon.kill();
    }
    let _daemons = certs.each_ref().map(Daemon::start);
    settle(pk, cn, 2);
    is_gone(cn, &early, &domain(1, 1));
    assert_eq!(pk.receipt_of(cn, &unseen), None, "CN was told of what it was never given");
    assert!(told.iter().all(|told| told.id != late), "{told:?}");
    certs.iter().for_each(|cert| drop(cert.ledger_is_whole()));
}

#[test]
fn a_withdrawal_that_comes_before_its_content_holds_it_back() {
    let place = Place::new();
    let certs = ["pk", "qa", "cn"].map(|name| Cert::init(&place, name));
    let [pk, qa, cn] = &certs;
    pair(pk, cn, &["--third-party", "accept"]);
    pair(pk, qa, &["--onward-to", &cn.id()]);
    pair(qa, cn, &["--third-party", "accept"]);
    let _daemons = certs.each_ref().map(Daemon::start);
    let peer = |cert: &Cert, what: &str, peer: &Cert| drop(cert.run(&["peer", what, &peer.name]).exits(0));
    let id = id_of(&indicator(1, 1));

    // CN has a first release from PK, and QA alone a second one, which is still on its way to CN.
    pk.push(bundle(&[indicator(1, 1)]), &["--to", "cn"]).exits(0);
    cn.until_serves(&id);
    peer(qa, "suspend", cn);
    peer(pk, "suspend", cn);
    pk.push(bundle(&[indicator(1, 1)]), &[]).exits(0);
    qa.until_serves(&id);
    peer(pk, "suspend", qa);

    let withdrawal = pk.withdraw(&id);
    peer(pk, "resume", cn);
    cn.until_dropped(&id);
    pk.until_receipt(cn, &withdrawal, "applied");
    peer(qa, "resume", cn);
    settle(qa, cn, 1);
    assert!(qa.serves(&id), "the relay knew of the withdrawal");
    is_gone(cn, &id, &domain(1, 1));

    peer(pk, "resume", qa);
    qa.until_dropped(&id);
    pk.until_receipt(qa, &withdrawal, "applied");
    settle(qa, cn, 2);
    is_gone(cn, &id, &domain(1, 1));
    certs.iter().for_each(|cert| drop(cert.ledger_is_whole()));
}

#[test]
fn withdrawals_go_after_the_end_of_an_agreement_and_nothing_else_does() {
    let place = Place::new();
    let certs = two_peers(&place);
    let [pk, cn] = &certs;
    let _daemons = certs.each_ref().map(Daemon::start);
    let [kept, taken_back, after] = [1, 2, 3].map(|number| id_of(&indicator(1, number)));
    pk.push(bundle(&[indicator(1, 1)]), &[]).exits(0);
    pk.push(bundle(&[indicator(1, 2)]), &[]).exits(0);
    cn.push(bundle(&[indicator(2, 1)]), &[]).exits(0);
    settle(pk, cn, 1);
    settle(cn, pk, 2);

    // CN ends it: PK is told in the session that begins anew, and neither publishes to the other any more.
    cn.run(&["agreement", "terminate", "pk", "--reason", "a test", "--yes"]).exits(0);
    until("PK knows", || pk.withheld_by(&kept, cn).contains(&"MQ-2005".to_owned()).then_some(()));
    pk.push(bundle(&[indicator(1, 3)]), &[]).exits(0);
    let withdrawal = pk.withdraw(&taken_back);
    cn.until_dropped(&taken_back);
    pk.until_receipt(cn, &withdrawal, "applied");
    let of_cn = id_of(&indicator(2, 1));
    cn.withdraw(&of_cn);
    pk.until_dropped(&of_cn);
    assert!(cn.serves(&kept) && cn.show(&after).is_empty(), "something was published after the end");
    // Both say so wherever an operator looks.
    for (cert, peer) in [(pk, cn), (cn, pk)] {
        assert!(cert.peer(peer).unwrap()["ended"].is_string());
        assert!(cert.run(&["status"]).exits(0).stdout.contains("ended 2"));
        cert.run(&["peer", "drill", &peer.name]).exits(3);
    }
    certs.iter().for_each(|cert| drop(cert.ledger_is_whole()));
}

#[test]
fn a_revoked_object_stays_and_says_so() {
    let place = Place::new();
    let certs = two_peers(&place);
    let [pk, cn] = &certs;
    let _daemons = certs.each_ref().map(Daemon::start);
    let id = id_of(&indicator(1, 1));
    pk.push(bundle(&[indicator(1, 1)]), &[]).exits(0);
    settle(pk, cn, 1);
    cn.run(&["revoke", &id]).refused(1, "MQ-3067");
    let cursor = end_of_stream(cn);
    pk.run(&["revoke", &id]).exits(0);
    pk.run(&["revoke", &id]).refused(1, "MQ-3005");
    settle(pk, cn, 2);
    let told = told_since(cn, &cursor);
    assert_eq!(told[0], Told { op: "revoke".into(), id: id.clone() }, "{told:?}");
    let current = cn.show(&id).into_iter().find(|held| held["current"] == true).unwrap();
    assert_eq!(current["object"]["revoked"], true);
    // Taken back by its STIX id, both versions go.
    let done = pk.run(&["withdraw", &id, "--json"]).exits(0).last();
    assert_eq!(done["objects"], 2);
    cn.until_dropped(&id);
}
