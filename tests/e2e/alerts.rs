//! An alert while a bulk is under way: it is in the peer's stream before the bulk is over, and nothing of either is lost.

use std::{io::BufRead, ops::Range, thread, time::Duration};

use mithaq_relay::{Link, Way};
use serde_json::Value;

use crate::{
    harness::{Cert, Daemon, Place, bundle, id_of, indicator, indicators, open_stream, read_stream, settle, two_peers},
    links::{linked, until_connected},
};

/// Objects of a bulk.
const BULK: u32 = 6_000;

/// How many lines of the bulk must come behind the alert's at the least.
const BEHIND_MIN: usize = 500;

/// The ids of objects as they come in a CERT's stream, from now on.
fn follow(cert: &Cert) -> impl Iterator<Item = Value> {
    let stream = open_stream(&cert.siem_socket(), "/v1/stream?follow=true").lines();
    // Between the lines stand the sizes of chunks.
    stream.map_while(Result::ok).filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(&line).unwrap())
}

fn push_bulk(cert: &Cert, size: u32) {
    for first in (0..BULK).step_by(size as usize) {
        cert.push(bundle(&indicators(1, first..first + size)), &[]).exits(0);
    }
}

fn alert() -> Value {
    indicator(2, 1)
}

/// Counts the lines before that of the alert, which `push` pushes once the first line of the bulk has come, and then those
/// of the bulk behind it.
fn lines_around_alert(lines: impl Iterator<Item = Value>, push: impl FnOnce()) -> (usize, usize) {
    let (mut lines, alert) = (lines.peekable(), id_of(&alert()));
    assert!(lines.peek().is_some(), "the bulk does not come");
    push();
    let before = lines.by_ref().take_while(|line| line["object"]["id"] != alert).count();
    (before, lines.take(BULK as usize - before).count())
}

/// Pushes a bulk in bundles of this size, and an alert in its middle.
fn check_during_bulk(size: u32) {
    let place = Place::new();
    let certs = two_peers(&place);
    let [pk, cn] = &certs;
    let _daemons = certs.each_ref().map(Daemon::start);
    let lines = follow(cn);
    let (before, behind) = thread::scope(|scope| {
        scope.spawn(|| push_bulk(pk, size));
        lines_around_alert(lines, || drop(pk.push(bundle(&[alert()]), &[]).exits(0)))
    });
    assert!(behind >= BEHIND_MIN, "{before} lines of the bulk in bundles of {size} came before the alert");
    assert_eq!(before + behind, BULK as usize);
    settle(pk, cn, 1);
    assert_eq!(read_stream(cn, None, 1_000).len(), BULK as usize + 2);
}

#[test]
fn an_alert_comes_while_a_bulk_of_large_releases_is_under_way() {
    check_during_bulk(1_000);
}

#[test]
fn an_alert_comes_while_a_bulk_of_small_releases_is_under_way() {
    check_during_bulk(20);
}

/// Indicators that become four releases, none of them large.
fn of_four_labels(numbers: Range<u32>) -> Vec<Value> {
    let mut objects = indicators(1, numbers);
    for (object, label) in objects.iter_mut().zip((0..4).cycle()) {
        object["confidence"] = (label * 25).into();
    }
    objects
}

/// Over a link that takes seconds for the bulk. Its releases are small, and the first of them are as fresh as the alert.
#[test]
fn an_alert_overtakes_on_a_slow_link_the_bulk_that_was_pushed_just_before() {
    let place = Place::new();
    let slow = Way { rate: Some(200_000), delay: Duration::from_millis(20), ..Way::default() };
    let ([pk, cn], _relay) = linked(&place, Link::both(slow, 1));
    let _daemons = [&pk, &cn].map(Daemon::start);
    until_connected(&pk, &cn);
    let lines = follow(&cn);
    for first in (0..BULK).step_by(300) {
        pk.push(bundle(&of_four_labels(first..first + 300)), &[]).exits(0);
    }
    let (before, behind) = lines_around_alert(lines, || drop(pk.push(bundle(&[alert()]), &[]).exits(0)));
    assert!(behind >= BEHIND_MIN, "{before} lines of the bulk came before the alert");
    settle(&pk, &cn, 1);
    assert_eq!(read_stream(&cn, None, 1_000).len(), BULK as usize + 2);
}

/// A peer that was away gets what is new before what it missed.
#[test]
fn an_alert_comes_before_the_backlog_of_a_peer_that_has_just_returned() {
    let place = Place::new();
    let certs = two_peers(&place);
    let [pk, cn] = &certs;
    let _pk = Daemon::start(pk);
    push_bulk(pk, 20);
    let _cn = Daemon::start(cn);
    let (before, behind) = lines_around_alert(follow(cn), || drop(pk.push(bundle(&[alert()]), &[]).exits(0)));
    assert!(behind >= BEHIND_MIN, "{before} lines of the backlog came before the alert");
    settle(pk, cn, 1);
    assert_eq!(read_stream(cn, None, 1_000).len(), BULK as usize + 2);
    pk.ledger_is_whole();
}

/// What is taken back before its turn in the backlog has come is never shown.
#[test]
fn a_withdrawal_overtakes_the_backlog_and_wins() {
    let place = Place::new();
    let certs = two_peers(&place);
    let [pk, cn] = &certs;
    let _pk = Daemon::start(pk);
    push_bulk(pk, 20);
    let (wrong, right) = (indicator(3, 1), indicator(3, 2));
    for object in [&wrong, &right] {
        pk.push(bundle(std::slice::from_ref(object)), &[]).exits(0);
    }
    let _cn = Daemon::start(cn);
    let mut lines = follow(cn);
    lines.next().expect("the backlog does not come");
    let release = pk.withdraw(&id_of(&wrong));
    pk.until_receipt(cn, &release, "applied");
    settle(pk, cn, 1);
    assert!(cn.serves(&id_of(&right)) && !cn.serves(&id_of(&wrong)));
    let shown = read_stream(cn, None, 1_000);
    assert!(!shown.iter().any(|line| line.object["id"] == wrong["id"]), "it was shown though it was taken back");
    assert_eq!(shown.len(), BULK as usize + 2);
    pk.ledger_is_whole();
}
