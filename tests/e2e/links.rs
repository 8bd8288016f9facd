//! Bad links: a session outlives a change of address and a cut, a restart goes on where it was, what comes twice or in
//! another order harms nothing, and what an operator says of a link is obeyed.

use std::time::Duration;

use mithaq_relay::{Link, Loss, Relay, Way};
use serde_json::Value;

use crate::harness::{Cert, Daemon, Place, bundle, free_port, get, indicators, pair, settle, until};

/// Objects of a bulk, and how many are pushed at once.
const BULK: u32 = 4_000;
const BUNDLE: u32 = 200;

/// Bits a second of a slow link: a bulk has about 180 kB on the wire, most of it content ids.
const RATE: u64 = 400_000;

/// How that is said in the configuration of the CERT that sends.
const SAID: &str = "[link.cn]\nrate = \"400kbit/s\"";

/// A link that takes some seconds for a bulk.
fn slow() -> Way {
    Way { rate: Some(RATE), delay: Duration::from_millis(20), ..Way::default() }
}

/// PK, which dials, and CN behind the relay.
pub(crate) fn linked(place: &Place, link: Link) -> ([Cert; 2], Relay) {
    let port = free_port();
    let relay = Relay::start(([127, 0, 0, 1], port).into(), link).unwrap();
    let pk = Cert::init_at(place, "pk", free_port(), None);
    let cn = Cert::init_at(place, "cn", port, Some(&relay.address().to_string()));
    pair(&pk, &cn, &[]);
    ([pk, cn], relay)
}

fn push_bulk(cert: &Cert, family: u32) {
    for first in (0..BULK).step_by(BUNDLE as usize) {
        cert.push(bundle(&indicators(family, first..first + BUNDLE)), &[]).exits(0);
    }
}

#[track_caller]
pub(crate) fn until_connected(cert: &Cert, peer: &Cert) {
    until(&format!("{} is connected", cert.name), || cert.peer(peer).filter(|peer| peer["state"] == "connected"));
}

#[track_caller]
fn until_objects(cert: &Cert, objects: u32) {
    until(&format!("{} holds {objects} objects", cert.name), || (cert.objects() >= objects.into()).then_some(()));
}

/// How many sessions a daemon has seen begin.
fn sessions(daemon: &Daemon) -> usize {
    daemon.log().matches("the session is established").count()
}

#[test]
fn a_session_survives_a_change_of_address() {
    let place = Place::new();
    let ([pk, cn], relay) = linked(&place, Link::both(slow(), 1));
    let daemons = [&pk, &cn].map(Daemon::start);
    until_connected(&pk, &cn);
    push_bulk(&pk, 1);
    until_objects(&cn, BUNDLE);
    // First as a NAT that forgets, then as another network.
    relay.change_address([127, 0, 0, 1].into());
    until_objects(&cn, BULK / 2);
    relay.change_address([127, 0, 0, 2].into());
    settle(&pk, &cn, 1);
    settle(&cn, &pk, 2);
    assert_eq!(cn.objects(), u64::from(BULK) + 2);
    assert_eq!(daemons.each_ref().map(sessions), [1, 1], "a session ended");
}

#[test]
fn a_cut_is_waited_out_and_nothing_comes_twice() {
    let place = Place::new();
    let ([pk, cn], relay) = linked(&place, Link::both(slow(), 1));
    pk.configure_more(SAID);
    let daemons = [&pk, &cn].map(Daemon::start);
    until_connected(&pk, &cn);
    push_bulk(&pk, 1);
    for part in [BULK / 4, BULK / 2] {
        until_objects(&cn, part);
        relay.cut();
        let before = relay.counters()[0].lost;
        // The daemon asks again and again whether the link is back.
        until("a probe was lost", || (relay.counters()[0].lost > before + 2).then_some(()));
        relay.heal();
    }
    settle(&pk, &cn, 1);
    assert_eq!((cn.objects(), cn.status()["references"].as_u64()), (u64::from(BULK) + 1, Some(u64::from(BULK) + 1)));
    assert_eq!(daemons.each_ref().map(sessions), [1, 1], "a session ended");
    assert_eq!(cn.peer(&pk).unwrap()["objects_received"], BULK + 1);
}

#[test]
fn a_restart_costs_little_of_what_was_sent_before() {
    let wire_bytes = |relay: &Relay| relay.counters()[0].bytes;
    let transfer = |is_interrupted: bool| {
        let place = Place::new();
        let ([pk, cn], relay) = linked(&place, Link::both(slow(), 1));
        pk.configure_more(SAID);
        let _pk = Daemon::start(&pk);
        push_bulk(&pk, 1);
        let mut receiver = Daemon::start(&cn);
        if is_interrupted {
            until_objects(&cn, BULK / 2);
            receiver.kill();
            receiver = Daemon::start(&cn);
        }
        until_objects(&cn, BULK);
        let held_before = if is_interrupted { BULK / 2 } else { 0 };
        let received = cn.peer(&pk).unwrap()["objects_received"].as_u64().unwrap();
        assert!(received <= u64::from(BULK - held_before), "{received} bodies came after the restart");
        drop(receiver);
        wire_bytes(&relay)
    };
    let (whole, interrupted) = (transfer(false), transfer(true));
    // Two handshakes, what was under way, and the manifests that had come ahead of their bodies: most of the bytes of
    // these objects, which compress well, are content ids.
    assert!(interrupted < whole + whole * 3 / 5, "{interrupted} bytes with a restart, {whole} without one");
}

#[test]
fn what_comes_twice_late_or_never_harms_nothing() {
    let place = Place::new();
    let bad = Way {
        jitter: Duration::from_millis(30),
        reorder: true,
        duplicate: 0.2,
        loss: Loss::Random(0.03),
        delay: Duration::from_millis(10),
        ..Way::default()
    };
    let ([pk, cn], relay) = linked(&place, Link::both(bad, 7));
    let daemons = [&pk, &cn].map(Daemon::start);
    until_connected(&pk, &cn);
    push_bulk(&pk, 1);
    push_bulk(&cn, 2);
    settle(&pk, &cn, 1);
    settle(&cn, &pk, 2);
    for cert in [&pk, &cn] {
        assert_eq!(cert.objects(), 2 * u64::from(BULK) + 2);
        assert_eq!(cert.status()["references"], 2 * BULK + 2);
        cert.run(&["store", "check"]).exits(0);
        cert.ledger_is_whole();
    }
    let [up, down] = relay.counters();
    assert!(up.doubled.min(down.doubled) > 0 && up.lost.min(down.lost) > 0, "the link was good: {up:?} {down:?}");
    assert_eq!(daemons.each_ref().map(sessions), [1, 1], "a session ended");
}

#[test]
fn what_is_said_of_a_link_is_obeyed_at_once_and_nonsense_changes_nothing() {
    let place = Place::new();
    let ([pk, cn], _relay) = linked(&place, Link::both(Way::default(), 1));
    pk.configure_more("[link.cn]\nrate = \"512kbit/s\"\nround_trip = \"600ms\"");
    let daemons = [&pk, &cn].map(Daemon::start);
    until_connected(&pk, &cn);
    let rate = |cert: &Cert, peer: &Cert| cert.peer(peer).unwrap()["link"]["rate_bits"].clone();
    assert_eq!((rate(&pk, &cn), rate(&cn, &pk)), (512_000.into(), Value::Null));
    pk.configure("rate = \"512kbit/s\"", "rate = \"4Mbit/s\"");
    pk.run(&["reload"]).exits(0);
    assert_eq!(rate(&pk, &cn), 4_000_000);
    pk.configure("rate = \"4Mbit/s\"", "rate = \"nonsense\"");
    let refused = pk.run(&["reload"]);
    assert!(refused.exit == 64 && refused.stderr.contains("link.cn.rate"), "{refused:#?}");
    assert_eq!(rate(&pk, &cn), 4_000_000);
    pk.configure("rate = \"nonsense\"", "rate = \"4Mbit/s\"");
    settle(&pk, &cn, 1);
    assert_eq!(daemons.each_ref().map(sessions), [1, 1], "a reload of rates ends no session");
}

#[test]
fn bytes_are_told_by_what_they_were_for() {
    let place = Place::new();
    let ([pk, cn], relay) = linked(&place, Link::both(Way::default(), 1));
    let _daemons = [&pk, &cn].map(Daemon::start);
    push_bulk(&pk, 1);
    settle(&pk, &cn, 1);
    let [sent, received] = [(&pk, &cn, "sent"), (&cn, &pk, "received")].map(|(cert, peer, direction)| {
        let traffic = cert.peer(peer).unwrap()["traffic"].clone();
        ["control", "manifests", "bodies"].map(|purpose| traffic[purpose][direction].as_u64().unwrap())
    });
    assert_eq!(sent, received, "what was sent is what came");
    // 8 bytes of each content id go, and nothing compresses them.
    assert!(sent[1] > u64::from(BULK) * 8 && sent[2] > 10_000 && sent[0] > 100, "{sent:?}");
    let (frames, wire) = (sent.iter().sum::<u64>(), relay.counters()[0].bytes);
    assert!(frames < wire && wire < 2 * frames, "{frames} bytes of frames in {wire} on the wire");
    let receipts = pk.peer(&cn).unwrap()["traffic"]["receipts"].clone();
    assert!(receipts["received"].as_u64() > Some(0) && receipts["sent"] == 0, "{receipts}");

    let stream = std::os::unix::net::UnixStream::connect(pk.control_socket()).unwrap();
    let page = get(stream, "/metrics", &[]).unwrap();
    assert_eq!(page.status, 200);
    let line =
        format!("mithaq_peer_frame_bytes_total{{peer=\"cn\",direction=\"sent\",purpose=\"bodies\"}} {}", sent[2]);
    assert!(page.text().lines().any(|found| found == line), "{line} is not in\n{}", page.text());
}
