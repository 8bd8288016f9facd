//! After a restore: SIEMs wait until peers have told all that they had, for as long as that takes, and an operator is told
//! what keeps them waiting.

use std::{fs, path::Path, time::Duration};

use mithaq_relay::{Link, Way};
use serde_json::Value;

use crate::{
    backup::{backup, read_stream_puts, restore, siem_status, until_served},
    harness::{Cert, Daemon, Place, bundle, id_of, indicator, indicators, settle, two_peers, until},
    links::linked,
    resume::large,
};

/// A release of so many large objects takes about twenty seconds on the link below, and nothing is counted before its end.
const OBJECTS: u32 = 20;

/// Bits a second.
const RATE: u64 = 300_000;

/// Loses a CERT's store, whose daemon is gone, and puts a backup in its place.
#[track_caller]
fn lose_and_restore(cert: &Cert, dir: &Path) {
    fs::remove_dir_all(cert.home.join("store")).unwrap();
    restore(&cert.home, dir).exits(0);
}

#[test]
fn siems_wait_for_a_withdrawal_behind_a_release_that_takes_long() {
    let place = Place::new();
    let way = Way { rate: Some(RATE), delay: Duration::from_millis(20), ..Way::default() };
    let ([pk, cn], _relay) = linked(&place, Link::both(way, 1));
    let of_pk = Daemon::start(&pk);
    let of_cn = Daemon::start(&cn);
    cn.push(bundle(&indicators(2, 0..3)), &[]).exits(0);
    settle(&cn, &pk, 1);
    let dir = place.path().join("backup");
    backup(&pk, &dir, &[]);
    of_pk.kill();
    cn.push(bundle(&(0..OBJECTS).map(large).collect::<Vec<_>>()), &[]).exits(0);
    cn.withdraw(&id_of(&indicator(2, 0)));
    // All of it is missed, and nothing of it fresh, when the session begins.
    of_cn.terminate();
    lose_and_restore(&pk, &dir);
    let _of_cn = Daemon::start(&cn);
    let _of_pk = Daemon::start(&pk);
    until_served(&pk);
    let shown: Vec<_> = read_stream_puts(&pk).iter().map(|line| line.object["id"].clone()).collect();
    assert!(!shown.contains(&Value::from(id_of(&indicator(2, 0)))), "a SIEM is shown what was withdrawn");
    assert_eq!(shown.len(), 2 + 1 + OBJECTS as usize, "SIEMs are served before all is here");
}

#[test]
fn siems_wait_for_a_suspended_peer_and_an_operator_is_told_so() {
    let place = Place::new();
    let [pk, cn] = &two_peers(&place);
    let of_pk = Daemon::start(pk);
    let _of_cn = Daemon::start(cn);
    cn.push(bundle(&indicators(2, 0..3)), &[]).exits(0);
    settle(cn, pk, 1);
    let dir = place.path().join("backup");
    backup(pk, &dir, &[]);
    cn.withdraw(&id_of(&indicator(2, 0)));
    pk.until_dropped(&id_of(&indicator(2, 0)));
    pk.run(&["peer", "suspend", "cn"]).exits(0);
    of_pk.kill();
    lose_and_restore(pk, &dir);
    let of_pk = Daemon::start(pk);
    let told = || {
        let problem = pk.try_status()?["restored"]["blocked_by"].as_array()?.first()?.clone();
        (problem["code"] == "MQ-4040").then_some(problem)
    };
    let problem = until("PK says what it waits for", told);
    assert!(problem["message"].as_str().unwrap().contains("mithaq peer resume cn"), "{problem}");
    assert_eq!(siem_status(pk), 503);
    assert_eq!(pk.status()["restored"]["waits_for"], Value::from(vec!["cn"]));
    assert!(pk.run(&["status"]).exits(0).stdout.contains("mithaq restore --serve"));
    until("the log says so", || of_pk.log().contains("MQ-4040").then_some(()));
    pk.run(&["peer", "resume", "cn"]).exits(0);
    until_served(pk);
    assert!(!pk.serves(&id_of(&indicator(2, 0))) && pk.serves(&id_of(&indicator(2, 1))));
}

#[test]
fn a_withdrawal_that_was_not_kept_beside_the_store_is_kept_at_the_next_start() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let kept = pk.home.join("ledger/withdrawals.ndjson");
    let of_pk = Daemon::start(&pk);
    pk.push(bundle(&indicators(1, 0..4)), &[]).exits(0);
    for number in [0, 1, 2] {
        pk.withdraw(&id_of(&indicator(1, number)));
    }
    of_pk.terminate();
    let whole = fs::read_to_string(&kept).unwrap();
    assert_eq!(whole.lines().count(), 3);
    let starts = || Daemon::start(&pk).terminate();
    // As a crash leaves it: without the last line, with half of it, without any.
    let last = whole.trim_end().rfind('\n').unwrap() + 1;
    for end in [whole.len(), last, (last + whole.len()) / 2, whole.len() - 1] {
        fs::write(&kept, &whole[..end]).unwrap();
        starts();
        assert_eq!(fs::read_to_string(&kept).unwrap(), whole, "cut at {end}");
    }
    fs::remove_file(&kept).unwrap();
    starts();
    assert_eq!(fs::read_to_string(&kept).unwrap(), whole);
}
