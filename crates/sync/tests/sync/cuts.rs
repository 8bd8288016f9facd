//! A cut at every possible moment: nothing is lost, nothing durable is sent again.

use std::{collections::BTreeSet, time::Duration};

use mithaq_core::id::ReleaseId;

use crate::{
    fixtures::{object, parcel, parcel_of},
    pair::{Pair, World},
};

/// Releases in both directions, small and large, held and not, some from before the session and some fresh.
fn scenario() -> Pair {
    let mut pair = Pair::new(World {
        seed: 5,
        jitter: Duration::from_millis(7),
        answer: Duration::from_millis(2),
        commit: Duration::from_millis(15),
        ..World::default()
    });
    for number in 0..3 {
        let parcel = parcel_of(&pair.nodes[0].cert, number * 10, 2, 400);
        pair.push(0, &parcel);
    }
    let shared = vec![object(0, 400), object(70, 400)];
    let shared = parcel(&pair.nodes[1].cert, shared);
    pair.push(1, &shared);
    pair.connect();
    pair
}

/// What is pushed while the session runs, after so many events.
fn push_fresh(pair: &mut Pair, event: usize) {
    let fresh = match event {
        40 => parcel_of(&pair.nodes[0].cert, 40, 3, 400),
        60 => parcel_of(&pair.nodes[0].cert, 50, 4, 150_000),
        61 => parcel_of(&pair.nodes[1].cert, 60, 1, 400),
        _ => return,
    };
    pair.push(usize::from(event == 61), &fresh);
}

/// Runs the scenario with a cut after `cut` events; says whether it was over before.
fn run_with_cut(cut: usize) -> bool {
    let mut pair = scenario();
    let mut over = false;
    for event in 0.. {
        push_fresh(&mut pair, event);
        if event == cut {
            break;
        }
        if !pair.step() && event > 61 {
            over = true;
            break;
        }
    }
    let durable: [BTreeSet<ReleaseId>; 2] =
        [0, 1].map(|node: usize| pair.nodes[1 - node].store.releases.keys().copied().collect());
    pair.cut();
    pair.connect();
    for event in cut + 1..62 {
        push_fresh(&mut pair, event);
    }
    pair.run();
    pair.assert_converged();
    pair.assert_nothing_else();
    for node in [0, 1] {
        let resent = pair.nodes[node].sent.manifests.keys();
        let mut resent = resent.filter(|id| durable[node].contains(id));
        assert_eq!(resent.next(), None, "after a cut at event {cut}");
        assert_eq!(pair.nodes[node].store.journal.len(), if node == 0 { 5 } else { 2 });
    }
    over
}

#[test]
fn a_cut_at_every_event_loses_nothing_and_sends_nothing_durable_again() {
    let cuts = (0..).take_while(|cut| !run_with_cut(*cut)).count();
    assert!(cuts > 70, "the scenario has only {cuts} events");
}
