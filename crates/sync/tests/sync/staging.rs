//! Cuts in the middle of a large release: after the reconnect only what is missing comes.

use std::{collections::BTreeSet, time::Duration};

use mithaq_core::id::ContentId;
use mithaq_sync::{GROUP_BYTES, STAGE_BYTES};

use crate::{
    fixtures::{Parcel, object, parcel},
    pair::{Pair, World},
};

/// What the slow link carries in a second.
const RATE: u64 = 32 * 1024;

/// One body of these.
const BODY: usize = 20_000;

/// Two sides on a slow link; one has a release for the other that takes it most of a minute.
fn slow(seed: u64) -> (Pair, Parcel) {
    let mut pair = Pair::new(World { seed, rate: Some(RATE), jitter: Duration::from_millis(20), ..World::default() });
    let bodies = (0..120).map(|number| object(number, BODY)).collect();
    let parcel = parcel(&pair.nodes[0].cert, bodies);
    pair.push(0, &parcel);
    pair.connect();
    (pair, parcel)
}

fn sent(pair: &Pair) -> BTreeSet<ContentId> {
    pair.nodes[0].sent.bodies.keys().map(|(_, content)| *content).collect()
}

fn held(pair: &Pair) -> BTreeSet<ContentId> {
    pair.nodes[1].store.bodies.keys().copied().collect()
}

#[test]
fn only_what_is_missing_comes_after_a_cut() {
    for is_crash in [false, true] {
        let (mut pair, parcel) = slow(u64::from(is_crash));
        let mut ends = Duration::ZERO;
        let mut wasted = 0;
        for cut in 0.. {
            ends += Duration::from_secs(11);
            pair.run_until(ends);
            let came = usize::try_from(pair.progress(1).received).unwrap();
            if came == 1 {
                assert!(cut > 2, "it took {cut} sessions");
                break;
            }
            let in_flight = pair.nodes[1].session.as_ref().unwrap().in_flight().bytes_in;
            let before = held(&pair);
            if is_crash {
                pair.cut()
            } else {
                pair.hang_up()
            }
            // A crash loses what came since the last second began, a lost connection nothing.
            let lost = in_flight.saturating_sub((held(&pair).len() - before.len()) * BODY);
            wasted += usize::from(is_crash) * lost.min(GROUP_BYTES);
            let kept = held(&pair);
            assert!(kept.len() > cut * 10, "session {cut} brought nothing: {} bodies are held", kept.len());
            assert!(!pair.nodes[1].store.releases.contains_key(&parcel.id()));
            assert!(pair.nodes[1].store.cursor.is_none_or(|cursor| cursor.index == 0));
            pair.connect();
            pair.run_until(ends + Duration::from_secs(3));
            assert!(sent(&pair).is_disjoint(&kept), "session {cut} sends again what is held");
        }
        pair.run();
        pair.assert_converged();
        assert_eq!(held(&pair), parcel.release.contents().iter().copied().collect());
        assert!(wasted <= 8 * GROUP_BYTES, "{wasted} bytes were lost");
    }
}

#[test]
fn what_comes_quickly_is_not_staged() {
    let mut pair = Pair::new(World::default());
    for first in 0..10 {
        let bodies = (0..40).map(|number| object(first * 100 + number, BODY)).collect();
        let parcel = parcel(&pair.nodes[0].cert, bodies);
        pair.push(0, &parcel);
    }
    pair.connect();
    pair.run();
    pair.assert_converged();
    assert_eq!((pair.nodes[1].staged, pair.nodes[1].store.releases.len()), (0, 10));
}

/// The model of a node asserts that at most [`STAGE_BYTES`] and a body are held twice.
#[test]
fn a_store_that_is_slow_is_given_no_more_than_it_takes() {
    let mut pair =
        Pair::new(World { rate: Some(STAGE_BYTES as u64 * 2), commit: Duration::from_secs(3), ..World::default() });
    let bodies = (0..390).map(|number| object(number, BODY)).collect();
    let parcel = parcel(&pair.nodes[0].cert, bodies);
    pair.push(0, &parcel);
    pair.connect();
    pair.run();
    pair.assert_converged();
    let staged = pair.nodes[1].staged;
    assert!(staged > 0 && staged <= 390, "{staged}");
}

/// A cut every three seconds, on a link on which a group of the usual size takes five.
#[test]
fn a_cut_wastes_no_more_than_a_second_of_the_link() {
    let (mut pair, parcel) = slow(3);
    pair.nodes[0].store.link = Some(RATE);
    let (mut ends, mut sessions) = (Duration::ZERO, 0);
    loop {
        ends += Duration::from_secs(3);
        pair.run_until(ends);
        if pair.progress(1).received == 1 {
            break;
        }
        sessions += 1;
        assert!(sessions < 40, "{} bodies are here", held(&pair).len());
        pair.hang_up();
        pair.connect();
    }
    assert_eq!(held(&pair), parcel.release.contents().iter().copied().collect());
    assert!(sessions > 10, "it is no slow link: {sessions} sessions");
}
