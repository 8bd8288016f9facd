//! Agreements that differ, are missing or are over: no data moves, and both sides say why.

use std::{
    fs,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::harness::{
    Cert, Daemon, Place, activate, activate_both, bundle, draft, id_of, indicator, indicators, settle, until,
};

fn two_certs(place: &Place) -> [Cert; 2] {
    ["pk", "cn"].map(|name| Cert::init(place, name))
}

/// Waits until both sides name this problem, and checks that nothing has moved.
#[track_caller]
fn both_say(a: &Cert, b: &Cert, code: &str) {
    for (cert, peer) in [(a, b), (b, a)] {
        let what = format!("{} says {code} of {}", cert.name, peer.name);
        until(&what, || cert.problem_with(peer).filter(|problem| problem == code));
        assert_ne!(cert.peer(peer).unwrap()["state"], "connected");
        assert_eq!(cert.peer(peer).unwrap()["objects_received"], 0);
    }
}

#[test]
fn with_different_agreements_no_data_moves_and_both_sides_say_so() {
    let place = Place::new();
    let certs = two_certs(&place);
    let [pk, cn] = &certs;
    let (first, second) = (draft(pk, cn, &[]), draft(pk, cn, &["--community", "demo"]));
    activate(pk, cn, &first);
    activate(cn, pk, &second);
    let _daemons = certs.each_ref().map(Daemon::start);
    pk.push(bundle(&indicators(1, 0..10)), &[]).exits(0);
    cn.push(bundle(&indicators(2, 0..10)), &[]).exits(0);
    both_say(pk, cn, "MQ-4002");
    assert_eq!((pk.objects(), cn.objects()), (10, 10));
    pk.run(&["status", "--check"]).exits(3);

    // The side with the older one activates the newer, while both daemons run.
    activate(pk, cn, &second);
    settle(pk, cn, 1);
    settle(cn, pk, 2);
    assert_eq!((pk.objects(), cn.objects()), (22, 22));
    let connected = || cn.peer(pk).filter(|peer| peer["state"] == "connected" && peer["problem"].is_null());
    until("the problem is gone", connected);
    pk.run(&["status", "--check"]).exits(0);
}

#[test]
fn an_agreement_on_one_side_alone_moves_nothing() {
    let place = Place::new();
    let certs = two_certs(&place);
    let [pk, cn] = &certs;
    let agreement = draft(pk, cn, &[]);
    activate(pk, cn, &agreement);
    let _daemons = certs.each_ref().map(Daemon::start);
    pk.push(bundle(&indicators(1, 0..10)), &[]).exits(0);
    both_say(pk, cn, "MQ-4002");
    assert_eq!(cn.objects(), 0);
    // Without the comparison by telephone there is no way to activate.
    cn.run(&["peer", "activate", "pk", "--agreement", &agreement]).refused(5, "MQ-3004");
    assert_eq!(cn.peer(pk).unwrap()["state"], "added");

    activate(cn, pk, &agreement);
    settle(pk, cn, 1);
    assert_eq!(cn.objects(), 11);
}

#[test]
fn an_agreement_of_the_past_is_not_signed() {
    let place = Place::new();
    let [pk, cn] = &two_certs(&place);
    // Any agreement: the two know each other then.
    activate_both(pk, cn, &draft(pk, cn, &[]));
    let file = place.path().join("old.pact");
    let terms = ["--from", "2020-01-01T00:00:00Z", "--days", "1", "--out", file.to_str().unwrap()];
    pk.run(&[&["agreement", "new", "--peer", "cn"], &terms[..]].concat()).exits(0);
    let before = fs::read(&file).unwrap();
    pk.run(&["agreement", "sign", file.to_str().unwrap(), "--yes"]).refused(4, "MQ-2003");
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn an_agreement_that_ends_stops_the_flow() {
    /// How long it still holds once it is drafted: enough to sign, to activate and to push.
    const SECONDS: u64 = 12;
    let place = Place::new();
    let certs = two_certs(&place);
    let [pk, cn] = &certs;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let from = utc(now + SECONDS - 24 * 60 * 60);
    activate_both(pk, cn, &draft(pk, cn, &["--from", &from, "--days", "1"]));
    let _daemons = certs.each_ref().map(Daemon::start);
    pk.push(bundle(&indicators(1, 0..10)), &[]).exits(0);
    until("CN holds it", || (cn.objects() == 10).then_some(()));

    let id = indicator(1, 0)["id"].as_str().unwrap().to_owned();
    pk.run(&["why", &id, "--peer", "cn"]).exits(0);
    until("the agreement ends", || (pk.run(&["why", &id, "--peer", "cn"]).exit == 4).then_some(()));
    let pushed = pk.push(bundle(&indicators(1, 10..20)), &["-n"]).exits(0).last();
    assert_eq!(pushed["preview"][0]["released"], false, "{pushed}");
    pk.push(bundle(&indicators(1, 10..20)), &[]).exits(0);
    // The session goes on, for what takes back; of everything else the rule was asked, and it kept it.
    until("the rule was asked", || pk.peer(cn).filter(|peer| peer["lag"] == 0));
    let withdrawal = pk.withdraw(&id);
    cn.until_dropped(&id);
    pk.until_receipt(cn, &withdrawal, "applied");
    assert!(cn.show(&id_of(&indicator(1, 11))).is_empty());
    pk.run(&["peer", "drill", "cn"]).exits(3);

    // A new agreement starts the flow again, with what was withheld meanwhile.
    activate_both(pk, cn, &draft(pk, cn, &[]));
    settle(pk, cn, 1);
    assert!(cn.serves(&id_of(&indicator(1, 11))) && !cn.serves(&id));
}

#[test]
fn a_terminated_agreement_publishes_nothing_more_and_is_not_revived() {
    let place = Place::new();
    let certs = two_certs(&place);
    let [pk, cn] = &certs;
    let agreement = draft(pk, cn, &[]);
    activate_both(pk, cn, &agreement);
    let _daemons = certs.each_ref().map(Daemon::start);
    pk.push(bundle(&indicators(1, 0..10)), &[]).exits(0);
    until("CN holds it", || (cn.objects() == 10).then_some(()));

    let ended = pk.run(&["agreement", "terminate", "cn", "--yes", "--json"]).exits(0).last();
    assert_eq!(ended["reloaded"], true, "{ended}");
    let id = indicator(1, 0)["id"].as_str().unwrap().to_owned();
    let why = pk.run(&["why", &id, "--peer", "cn", "--json"]).exits(4).last();
    let withheld = |reason: &serde_json::Value| reason["code"] == "MQ-2005" && reason["ok"] == false;
    assert!(why["reasons"].as_array().unwrap().iter().any(withheld), "{why}");
    let pushed = pk.push(bundle(&indicators(1, 10..20)), &["-n"]).exits(0).last();
    assert_eq!(pushed["preview"][0]["released"], false, "{pushed}");
    pk.run(&["agreement", "terminate", "cn", "--yes"]).refused(1, "MQ-3014");
    pk.run(&["peer", "activate", "cn", "--agreement", &agreement]).refused(1, "MQ-3014");

    // A new agreement starts the flow again, with what was withheld meanwhile.
    pk.push(bundle(&indicators(1, 10..20)), &[]).exits(0);
    activate_both(pk, cn, &draft(pk, cn, &["--community", "demo"]));
    settle(pk, cn, 1);
    assert_eq!(cn.objects(), 21);
}

#[test]
fn what_is_pushed_before_an_agreement_begins_goes_once_it_has_begun() {
    const SECONDS: u64 = 8;
    let place = Place::new();
    let certs = two_certs(&place);
    let [pk, cn] = &certs;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    activate_both(pk, cn, &draft(pk, cn, &["--from", &utc(now + SECONDS), "--days", "1"]));
    let _daemons = certs.each_ref().map(Daemon::start);
    pk.push(bundle(&indicators(1, 0..10)), &[]).exits(0);
    assert_eq!(cn.objects(), 0);
    until("CN holds it", || (cn.objects() == 10).then_some(()));
    let begun = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(begun >= now + SECONDS, "data moved before the agreement began");
}

/// A time as agreements take it (the algorithm of Howard Hinnant's `civil_from_days`).
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}
