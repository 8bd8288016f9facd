//! What two honest sides do: catch up, go live, share bodies, keep to the window.

use std::time::Duration;

use mithaq_sync::{Channel, EAGER_OPEN_MAX, Session, wire::Kind};

use crate::{
    fixtures::{Parcel, object, parcel, parcel_of},
    pair::{Pair, World},
};

fn pair() -> Pair {
    Pair::new(World::default())
}

/// Parcels of `size` objects each, with objects of their own.
fn parcels(pair: &Pair, node: usize, count: u64, size: u64) -> Vec<Parcel> {
    let cert = &pair.nodes[node].cert;
    let first = |number| (node as u64 + 1) * 1_000_000 + number * size;
    (0..count).map(|number| parcel_of(cert, first(number), size, 400)).collect()
}

fn push_all(pair: &mut Pair, node: usize, parcels: &[Parcel]) {
    for parcel in parcels {
        pair.push(node, parcel);
    }
}

/// Checks a catch-up of `releases` of `objects` each, from each side to the other.
fn check_catch_up(releases: [u64; 2], objects: u64) {
    let mut pair = pair();
    for node in [0, 1] {
        let parcels = parcels(&pair, node, releases[node], objects);
        push_all(&mut pair, node, &parcels);
    }
    pair.connect();
    pair.run();
    pair.assert_converged();
    pair.assert_nothing_else();
    for node in [0, 1] {
        let progress = pair.progress(node);
        assert_eq!(progress.objects_sent, releases[node] * objects);
        assert_eq!(progress.objects_received, releases[1 - node] * objects);
        assert_eq!(progress.objects_deduplicated, 0);
        let sent = &pair.nodes[node].sent;
        assert!(sent.times().values().all(|times| *times == 1), "a body went twice");
    }
}

#[test]
fn nothing_to_say_costs_under_200_bytes_and_one_round_trip() {
    let mut pair = pair();
    push_both_and_run(&mut pair, 3);
    pair.cut();
    let before = pair.now;
    pair.connect();
    pair.run();
    pair.assert_converged();
    for node in &pair.nodes {
        assert!(node.established);
        assert!(node.sent.total() < 200, "{} bytes", node.sent.total());
        assert_eq!(node.sent.frames.len(), 2, "hello and start");
    }
    assert_eq!(pair.now - before, Duration::from_millis(20));
}

fn push_both_and_run(pair: &mut Pair, count: u64) {
    pair.connect();
    for node in [0, 1] {
        let parcels = parcels(pair, node, count, 2);
        push_all(pair, node, &parcels);
    }
    pair.run();
    pair.assert_converged();
}

#[test]
fn two_empty_sides_have_nothing_to_say() {
    let mut pair = pair();
    pair.connect();
    pair.run();
    pair.assert_converged();
    assert!(pair.nodes.iter().all(|node| node.sent.total() < 200));
}

#[test]
fn catching_up() {
    check_catch_up([1, 0], 1);
    check_catch_up([0, 3], 7);
    check_catch_up([5, 9], 100);
    check_catch_up([2, 2], 1000);
    check_catch_up([300, 20], 1);
}

#[test]
fn catching_up_on_more_than_may_be_offered_at_once() {
    check_catch_up([5000, 0], 1);
}

#[test]
fn large_bodies_keep_to_the_window() {
    let mut pair = Pair::new(World { commit: Duration::from_secs(1), ..World::default() });
    // Bodies of 1 MiB at most, and releases of nearly 8 MiB: the window is full most of the time.
    for number in 0..4 {
        let parcel = parcel_of(&pair.nodes[0].cert, number * 10, 7, 1024 * 1024);
        pair.push(0, &parcel);
    }
    pair.connect();
    pair.run();
    pair.assert_converged();
    assert_eq!(pair.progress(1).objects_received, 28);
}

#[test]
fn a_group_may_end_in_the_largest_body() {
    let mut pair = pair();
    let mut bodies: Vec<_> = (0..999).map(|number| object(number, 262)).collect();
    bodies.push(object(999, 1024 * 1024));
    let parcel = parcel(&pair.nodes[0].cert, bodies);
    pair.push(0, &parcel);
    pair.connect();
    pair.run();
    pair.assert_converged();
}

#[test]
fn a_fresh_release_travels_with_its_bodies() {
    let mut pair = pair();
    pair.connect();
    pair.run();
    let before = pair.now;
    let fresh = parcel_of(&pair.nodes[0].cert, 1, 3, 400);
    pair.push(0, &fresh);
    pair.run_until(before + Duration::from_millis(10));
    assert_eq!(pair.nodes[1].stored.get(&fresh.id()), Some(&1), "it takes half a round trip");
    pair.run();
    pair.assert_converged();
    let frames = &pair.nodes[0].sent.frames;
    assert!(matches!(frames.last(), Some((Channel::Live, Kind::Manifest(manifest))) if !manifest.bodies.is_empty()));
}

#[test]
fn a_large_fresh_release_sends_its_bodies_when_asked() {
    let mut pair = pair();
    pair.connect();
    pair.run();
    let fresh = parcel_of(&pair.nodes[0].cert, 1, 300, 4000);
    pair.push(0, &fresh);
    pair.run();
    pair.assert_converged();
    let bytes = &pair.nodes[0].sent.bytes;
    assert!(bytes[&Channel::Backfill] > 100_000 && !bytes.contains_key(&Channel::Live));
}

#[test]
fn a_burst_falls_back_to_offers_and_returns_to_live() {
    let mut pair = pair();
    pair.connect();
    pair.run();
    let burst = parcels(&pair, 0, 5000, 1);
    push_all(&mut pair, 0, &burst);
    pair.run();
    pair.assert_converged();
    let unasked = |pair: &Pair| {
        let frames = pair.nodes[0].sent.frames.iter();
        frames.filter(|(channel, _)| *channel == Channel::Live).count()
    };
    let live = unasked(&pair);
    let offered = pair.nodes[0].sent.frames.iter().filter(|(_, kind)| matches!(kind, Kind::Offer(_))).count();
    assert!(live >= EAGER_OPEN_MAX && offered >= 3, "{live}, {offered}");
    let last = parcel_of(&pair.nodes[0].cert, 5, 1, 400);
    pair.push(0, &last);
    pair.run();
    assert_eq!(unasked(&pair), live + 1, "it went on as offers");
    pair.assert_converged();
}

#[test]
fn a_session_that_began_behind_goes_live() {
    let mut pair = pair();
    let old = parcels(&pair, 0, 200, 1);
    push_all(&mut pair, 0, &old);
    pair.connect();
    pair.run();
    let fresh = parcel_of(&pair.nodes[0].cert, 1, 1, 400);
    pair.push(0, &fresh);
    pair.run();
    pair.assert_converged();
    assert!(matches!(pair.nodes[0].sent.frames.last(), Some((Channel::Live, _))));
}

/// Before, a single release on the way kept a session from going live.
#[test]
fn a_steady_load_stays_live() {
    let mut pair = pair();
    let old = parcels(&pair, 0, 100, 1);
    push_all(&mut pair, 0, &old);
    pair.connect();
    for number in 0..200 {
        let fresh = parcel_of(&pair.nodes[0].cert, number, 1, 400);
        pair.push(0, &fresh);
        pair.run_until(pair.now + Duration::from_millis(3));
    }
    pair.run();
    pair.assert_converged();
    let frames = &pair.nodes[0].sent.frames;
    let live = frames.iter().filter(|(channel, _)| *channel == Channel::Live);
    assert!(live.count() > 150);
}

#[test]
fn both_directions_at_once() {
    let mut pair = pair();
    pair.connect();
    for node in [0, 1] {
        let parcels = parcels(&pair, node, 400, 2);
        push_all(&mut pair, node, &parcels);
    }
    pair.run();
    pair.assert_converged();
}

#[test]
fn bodies_that_are_held_never_travel() {
    let mut pair = pair();
    let bodies: Vec<_> = (0..100).map(|number| object(number, 400)).collect();
    let half: Vec<_> = bodies.iter().step_by(2).cloned().collect();
    let ours = parcel(&pair.nodes[1].cert, half);
    pair.nodes[1].store.put(&ours);
    let theirs = parcel(&pair.nodes[0].cert, bodies);
    pair.push(0, &theirs);
    pair.connect();
    pair.run();
    pair.assert_converged();
    assert_eq!(pair.progress(0).objects_sent, 50);
    let progress = pair.progress(1);
    assert_eq!((progress.objects_received, progress.objects_deduplicated), (50, 50));
    let sent = &pair.nodes[0].sent.bodies;
    let held = ours.release.contents().iter();
    assert!(held.clone().all(|id| !sent.keys().any(|(_, sent)| sent == id)));
}

#[test]
fn a_release_whose_bodies_are_all_held_is_stored() {
    let mut pair = pair();
    let bodies: Vec<_> = (0..10).map(|number| object(number, 400)).collect();
    let ours = parcel(&pair.nodes[1].cert, bodies.clone());
    pair.nodes[1].store.put(&ours);
    let theirs = parcel(&pair.nodes[0].cert, bodies);
    pair.push(0, &theirs);
    pair.connect();
    pair.run();
    pair.assert_converged();
    assert!(pair.nodes[0].sent.bodies.is_empty());
    assert!(pair.nodes[1].store.releases.contains_key(&theirs.id()));
}

#[test]
fn a_store_much_slower_than_the_link_fills_the_window_and_no_more() {
    let mut pair =
        Pair::new(World { delay: Duration::from_micros(100), commit: Duration::from_secs(5), ..World::default() });
    for number in 0..40 {
        let parcel = parcel_of(&pair.nodes[0].cert, number * 10, 5, 200_000);
        pair.push(0, &parcel);
    }
    pair.connect();
    let mut most = 0;
    // The bound itself is checked after each step.
    while pair.step() {
        let held = pair.nodes[1].session.as_ref().map(Session::in_flight);
        most = most.max(held.map_or(0, |held| held.bytes_in));
    }
    pair.assert_converged();
    assert!(most > 12 * 1024 * 1024, "the window is not used: {most} bytes");
}

#[test]
fn small_releases_wait_for_a_slow_store() {
    let mut pair =
        Pair::new(World { delay: Duration::from_micros(100), commit: Duration::from_secs(5), ..World::default() });
    let parcels = parcels(&pair, 0, 2000, 1);
    push_all(&mut pair, 0, &parcels);
    pair.connect();
    pair.run();
    pair.assert_converged();
}

#[test]
fn swapped_sides_send_the_same_bytes() {
    let total = |node: usize| {
        let mut pair = pair();
        let cert = &pair.nodes[node].cert;
        let parcels: Vec<_> = (0..20).map(|number| parcel_of(cert, number, 3, 400)).collect();
        push_all(&mut pair, node, &parcels);
        pair.connect();
        pair.run();
        pair.assert_converged();
        let frames = |node: usize| pair.nodes[node].sent.frames.len();
        (frames(node), frames(1 - node))
    };
    assert_eq!(total(0), total(1));
}

#[test]
fn what_is_durable_follows_what_came_and_never_leads() {
    let mut pair = Pair::new(World { commit: Duration::from_millis(50), ..World::default() });
    let parcels = parcels(&pair, 0, 40, 30);
    push_all(&mut pair, 0, &parcels);
    pair.connect();
    let mut has_lagged = false;
    while pair.step() {
        let progress = pair.progress(1);
        assert!(progress.durable <= progress.received);
        has_lagged |= progress.durable < progress.received;
        let durable = usize::try_from(progress.durable).unwrap();
        let is_stored = |parcel: &Parcel| pair.nodes[1].store.releases.contains_key(&parcel.id());
        assert!(parcels[..durable].iter().all(is_stored), "said to be durable and is not");
    }
    assert!(has_lagged, "the test shows nothing");
    assert_eq!((pair.progress(1).durable, pair.progress(1).received), (40, 40));
}
