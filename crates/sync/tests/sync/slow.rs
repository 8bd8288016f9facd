//! Silence: when it means a dead peer, and when only a slow link or an idle hour.

use std::time::Duration;

use bytes::Bytes;
use mithaq_core::id::ReleaseId;
use mithaq_sync::{
    Input, Output,
    wire::{Kind, Offer, Want},
};

use crate::{
    fixtures::{Parcel, parcel_of},
    lone::{Lone, manifest, receipt},
    pair::{Pair, World},
};

const MINUTE: Duration = Duration::from_secs(60);

/// Lets time pass with a tick in each second; says after how many seconds the session closed.
fn seconds_until_closed(lone: &mut Lone, at_most: u64) -> Option<u64> {
    for second in 1..=at_most {
        lone.now += Duration::from_secs(1);
        lone.give(Input::Tick);
        if lone.take_all().iter().any(|output| matches!(output, Output::Close(_))) {
            return Some(second);
        }
    }
    None
}

/// Sends a fresh release unasked.
fn send_fresh(lone: &mut Lone, head: u64, parcel: &Parcel) {
    lone.give(Input::JournalGrew { head });
    lone.give(Input::JournalRead { ids: vec![parcel.id()] });
    lone.give(Input::ReleaseLoaded {
        index: head,
        release: Some(parcel.release.signed().clone()),
        card: None,
        inline: Some(parcel.bodies.clone()),
    });
    assert_eq!(lone.take_all().len(), 3, "read, load, send");
}

/// An hour in which nothing was owed does not count against the peer, also once something is.
#[test]
fn an_idle_hour_is_no_fault() {
    let mut lone = Lone::started(0);
    assert_eq!(seconds_until_closed(&mut lone, 3600), None);
    let parcel = parcel_of(&lone.peer, 1, 1, 400);
    send_fresh(&mut lone, 1, &parcel);
    assert_eq!(seconds_until_closed(&mut lone, 59), None);
    lone.receive(Kind::Ack(receipt(&[(1, parcel.id())])));
    assert_eq!(seconds_until_closed(&mut lone, 3600), None);
}

#[test]
fn an_idle_hour_without_ticks_is_no_fault_either() {
    let mut lone = Lone::started(0);
    lone.now += 60 * MINUTE;
    let parcel = parcel_of(&lone.peer, 1, 1, 400);
    send_fresh(&mut lone, 1, &parcel);
    lone.now += Duration::from_secs(1);
    lone.give(Input::Tick);
    assert!(lone.take_all().is_empty());
}

#[test]
fn a_peer_that_acknowledges_nothing_is_left() {
    let mut lone = Lone::started(0);
    let parcel = parcel_of(&lone.peer, 1, 1, 400);
    send_fresh(&mut lone, 1, &parcel);
    assert_eq!(seconds_until_closed(&mut lone, 100), Some(61));
}

/// Only what answers us resets the clock, not whatever the peer sends.
#[test]
fn a_peer_that_sends_and_never_acknowledges_is_left() {
    let mut lone = Lone::started(0);
    let parcel = parcel_of(&lone.peer, 1, 1, 400);
    send_fresh(&mut lone, 1, &parcel);
    for second in 0..60 {
        let ids = Bytes::copy_from_slice(&[u8::try_from(second).unwrap(); 32]);
        let first = second + 1;
        lone.receive(Kind::Offer(Offer { first, ids }));
        lone.give(Input::ReleasesKnown { first, known: vec![true] });
        assert_eq!(seconds_until_closed(&mut lone, 1), None);
    }
    assert_eq!(seconds_until_closed(&mut lone, 1), Some(1));
}

#[test]
fn a_peer_that_leaves_offers_unanswered_is_left() {
    let mut lone = Lone::started(1000);
    let ids = vec![ReleaseId::from_bytes([7; 32]); 1000];
    lone.give(Input::JournalRead { ids });
    assert_eq!(seconds_until_closed(&mut lone, 100), Some(61));
    let mut lone = Lone::started(1000);
    let ids = vec![ReleaseId::from_bytes([7; 32]); 1000];
    lone.give(Input::JournalRead { ids });
    lone.receive(Kind::Want(Want { first: 1, bitmap: Bytes::from_static(&[0; 125]), count: 1000 }));
    assert_eq!(seconds_until_closed(&mut lone, 1000), None);
}

#[test]
fn a_peer_that_offers_and_never_delivers_is_left() {
    let mut lone = Lone::started(0);
    let parcel = parcel_of(&lone.peer, 1, 1, 400);
    let ids = Bytes::copy_from_slice(parcel.id().as_bytes());
    lone.receive(Kind::Offer(Offer { first: 1, ids }));
    lone.give(Input::ReleasesKnown { first: 1, known: vec![false] });
    lone.now += 2 * MINUTE;
    lone.receive(Kind::Manifest(manifest(1, &parcel)));
    lone.give(Input::BodiesHeld { index: 1, held: vec![None] });
    lone.take_all();
    let closed = seconds_until_closed(&mut lone, 1000).unwrap();
    assert!((60..=300).contains(&closed), "{closed}");
}

#[test]
fn a_store_of_our_own_that_takes_long_is_not_the_peers_fault() {
    let mut lone = Lone::started(0);
    lone.give(Input::JournalGrew { head: 1 });
    let ids = vec![ReleaseId::from_bytes([1; 32])];
    lone.give(Input::JournalRead { ids });
    let parcel = parcel_of(&lone.peer, 1, 1, 400);
    lone.receive(Kind::Manifest(manifest(1, &parcel)));
    lone.take_all();
    assert_eq!(seconds_until_closed(&mut lone, 3600), None);
    lone.give(Input::BodiesHeld { index: 1, held: vec![Some(parcel.release.contents()[0])] });
    assert_eq!(seconds_until_closed(&mut lone, 3600), None);
}

/// A window of bodies takes many minutes at 256 kbit/s; a source must not give up on it after one.
#[test]
fn a_slow_link_is_no_fault() {
    let mut pair = Pair::new(World { rate: Some(16_000), delay: Duration::from_millis(300), ..World::default() });
    for number in 0..6 {
        let parcel = parcel_of(&pair.nodes[0].cert, 10 * number, 4, 1024 * 1024);
        pair.push(0, &parcel);
    }
    pair.connect();
    pair.run();
    pair.assert_converged();
    assert!(pair.now > 5 * MINUTE);
}

/// A side that has no room for bodies keeps its sessions for as long as that lasts, and goes on where it was.
#[test]
fn who_has_no_room_for_five_minutes_is_waited_for() {
    let mut pair = Pair::new(World { delay: Duration::from_millis(50), ..World::default() });
    pair.nodes[1].held_back = Some(Vec::new());
    for number in 0..8 {
        let parcel = parcel_of(&pair.nodes[0].cert, 10 * number, 4, 100_000);
        pair.push(0, &parcel);
    }
    pair.connect();
    for second in 1..=300 {
        pair.run_until(Duration::from_secs(second));
        pair.tick_until(Duration::from_secs(second));
    }
    assert!(
        pair.nodes.iter().all(|node| node.closed.is_none()),
        "{:?}",
        pair.nodes.each_ref().map(|node| &node.closed)
    );
    assert!(pair.nodes[1].store.bodies.is_empty());
    let held_back = pair.nodes[1].held_back.take().unwrap();
    assert_eq!(held_back.len(), 8);
    for (index, count) in held_back {
        pair.give(1, Input::BodiesHeld { index, held: vec![None; count] });
    }
    pair.run();
    pair.assert_converged();
}
