//! Cursors that do not fit where much is held: what differs is found by a sketch, and costs what it is.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use mithaq_core::id::ReleaseId;
use mithaq_sync::{
    CELLS_MAX, Channel,
    sketch::{CELL_BYTES, Digest},
    wire::{Kind, Missing},
};

use crate::{
    fixtures::{Parcel, parcel_of},
    node::Node,
    pair::{Pair, World},
};

/// Releases of node 0, numbered.
fn parcels(pair: &Pair, numbers: std::ops::Range<u64>) -> Vec<Parcel> {
    numbers.map(|number| parcel_of(&pair.nodes[0].cert, number, 1, 330)).collect()
}

/// A pair whose node 0 has these releases in its journal and whose node 1 has those, without a cursor.
fn pair_of(world: World, journal: std::ops::Range<u64>, held: std::ops::Range<u64>) -> Pair {
    let mut pair = Pair::new(world);
    for parcel in parcels(&pair, journal) {
        pair.push(0, &parcel);
    }
    for parcel in parcels(&pair, held) {
        pair.nodes[1].store.put(&parcel);
    }
    pair
}

fn frames(node: &Node, is_such: fn(&Kind) -> bool) -> usize {
    node.sent.frames.iter().filter(|(_, kind)| is_such(kind)).count()
}

fn is_offer(kind: &Kind) -> bool {
    matches!(kind, Kind::Offer(_))
}

fn is_sketch(kind: &Kind) -> bool {
    matches!(kind, Kind::Reconcile(_))
}

fn is_give_up(kind: &Kind) -> bool {
    matches!(kind, Kind::Missing(Missing { give_up: true, .. }))
}

fn cells_sent(node: &Node) -> usize {
    let bytes = node.sent.frames.iter().map(|(_, kind)| match kind {
        Kind::Reconcile(sketch) => sketch.cells.len(),
        Kind::Cells(cells) => cells.cells.len(),
        _ => 0,
    });
    bytes.sum::<usize>() / CELL_BYTES
}

/// Bytes on the control streams of both sides.
fn control_bytes(pair: &Pair) -> usize {
    pair.nodes.iter().map(|node| node.sent.bytes[&Channel::Control]).sum()
}

/// Checks that a sketch has found what lacked, and that nothing else was sent.
fn assert_found(pair: &Pair, lacking: usize) {
    pair.assert_converged();
    assert_eq!(frames(&pair.nodes[0], is_sketch), 1);
    assert_eq!(frames(&pair.nodes[0], is_offer), 0);
    assert_eq!(frames(&pair.nodes[1], is_give_up), 0);
    assert_eq!(pair.nodes[0].sent.manifests.len(), lacking);
}

#[test]
fn another_journal_of_the_same_releases_costs_a_sketch() {
    let mut pair = pair_of(World::default(), 0..3_000, 0..3_000);
    pair.connect();
    pair.run();
    assert_found(&pair, 0);
    assert_eq!(cells_sent(&pair.nodes[0]), 8);
    // Offers of them are 96,000.
    assert!(control_bytes(&pair) < 600, "{}", control_bytes(&pair));
    // The cursor is good from here on.
    pair.cut();
    pair.connect();
    pair.run();
    pair.assert_converged();
    assert_eq!(frames(&pair.nodes[0], is_sketch), 0);
    assert!(pair.nodes[0].sent.total() < 200, "{}", pair.nodes[0].sent.total());
}

/// As many on both sides are taken for the same at first, which costs a round more if they are not.
#[test]
fn as_many_others_cost_one_round_more() {
    let mut pair = pair_of(World::default(), 0..1_000, 5..1_005);
    pair.connect();
    pair.run();
    assert_found(&pair, 5);
    assert_eq!(frames(&pair.nodes[1], |kind| matches!(kind, Kind::WantCells(_))), 1);
    assert_eq!(cells_sent(&pair.nodes[0]), 32);
}

#[test]
fn an_agreement_that_was_widened_sends_only_what_it_adds() {
    let mut pair = pair_of(World::default(), 0..2_000, 0..1_990);
    pair.nodes[0].store.journal.rotate_left(1_300);
    pair.connect();
    pair.run();
    assert_found(&pair, 10);
    let receipts_and_wants = 10 * 250;
    assert!(control_bytes(&pair) < 1_400 + receipts_and_wants, "{}", control_bytes(&pair));
}

/// What the sink has and the journal has not is no trouble: it is settled.
#[test]
fn an_agreement_that_was_narrowed_sends_nothing() {
    let mut pair = pair_of(World::default(), 0..1_000, 0..1_400);
    pair.connect();
    pair.run();
    assert_found(&pair, 0);
    assert_eq!(pair.nodes[1].store.releases.len(), 1_400);
}

#[test]
fn a_sink_that_was_restored_from_a_backup_gets_what_it_lost() {
    let mut pair = pair_of(World::default(), 0..500, 0..0);
    pair.connect();
    pair.run();
    pair.assert_converged();
    pair.cut();
    let lost: BTreeSet<ReleaseId> = pair.nodes[0].store.journal.iter().skip(400).copied().collect();
    pair.nodes[1].store.releases.retain(|id, _| !lost.contains(id));
    pair.nodes[1].store.cursor = None;
    pair.connect();
    pair.run();
    assert_found(&pair, 100);
}

#[test]
fn a_sink_that_lost_most_gets_it_by_a_sketch_and_one_that_lost_all_by_offers() {
    for (held, is_sketched) in [(0, false), (30, false), (700, true)] {
        let mut pair = pair_of(World::default(), 0..1_000, 0..held);
        pair.connect();
        pair.run();
        pair.assert_converged();
        assert_eq!(frames(&pair.nodes[0], is_sketch) == 1, is_sketched, "{held}");
        assert_eq!(pair.nodes[0].sent.manifests.len(), 1_000 - usize::try_from(held).unwrap());
    }
}

#[test]
fn journals_of_few_entries_are_offered() {
    let mut pair = pair_of(World::default(), 0..64, 0..64);
    pair.connect();
    pair.run();
    pair.assert_converged();
    assert_eq!(frames(&pair.nodes[0], is_sketch), 0);
}

/// As many on both sides, so nothing tells beforehand how many cells it takes.
#[test]
fn differences_that_the_counts_hide_take_more_cells() {
    for differing in [20, 300, 3_000] {
        let mut pair = pair_of(World::default(), 0..10_000, differing..10_000 + differing);
        pair.connect();
        pair.run();
        assert_found(&pair, usize::try_from(differing).unwrap());
        let cells = cells_sent(&pair.nodes[0]);
        assert!(cells < 100 + 2 * 2 * usize::try_from(differing).unwrap(), "{differing}: {cells}");
    }
}

/// More short ids than one frame has, and more entries than may be open.
#[test]
fn thousands_that_lack_are_named_in_several_frames() {
    let mut pair = pair_of(World::default(), 0..12_000, 5_000..12_000);
    pair.connect();
    pair.run();
    assert_found(&pair, 5_000);
    assert_eq!(frames(&pair.nodes[1], |kind| matches!(kind, Kind::Missing(_))), 2);
}

#[test]
fn a_difference_that_costs_more_than_offers_is_given_up() {
    let mut pair = pair_of(World::default(), 0..2_000, 5_000..7_000);
    pair.connect();
    pair.run();
    pair.assert_converged();
    assert_eq!(frames(&pair.nodes[1], is_give_up), 1);
    assert_eq!(frames(&pair.nodes[0], is_offer), 2);
    assert_eq!(pair.nodes[0].sent.manifests.len(), 2_000);
    assert!(cells_sent(&pair.nodes[0]) * CELL_BYTES <= 2_000 * 32);
}

#[test]
fn what_may_no_longer_go_is_passed_over() {
    let mut pair = pair_of(World::default(), 0..300, 10..300);
    let withdrawn = pair.nodes[0].store.journal[3];
    pair.nodes[0].store.withdrawn.insert(withdrawn);
    pair.connect();
    pair.run();
    assert_found(&pair, 9);
    assert_eq!(pair.nodes[0].sent.gone, 1);
}

/// A slow world in which things are on their way for long.
fn slow(seed: u64) -> World {
    World {
        seed,
        delay: Duration::from_millis(300),
        jitter: Duration::from_millis(50),
        rate: Some(200_000),
        answer: Duration::from_millis(40),
        commit: Duration::from_millis(80),
        short_reads: false,
    }
}

#[test]
fn what_comes_meanwhile_does_not_wait_for_what_lacked() {
    let mut pair = pair_of(slow(1), 0..4_000, 2_000..4_000);
    pair.connect();
    pair.run_until(Duration::from_secs(1));
    let mut fresh = Vec::new();
    for number in 0..20 {
        let until = pair.now + Duration::from_millis(150);
        pair.run_until(until);
        let parcel = parcel_of(&pair.nodes[0].cert, 9_000 + number, 1, 330);
        pair.push(0, &parcel);
        fresh.push(parcel.id());
    }
    while !fresh.iter().all(|id| pair.nodes[1].store.releases.contains_key(id)) {
        assert!(pair.step(), "fresh releases are lost");
    }
    assert!(pair.progress(0).lag > 500, "at {:?}: {:?}", pair.now, pair.progress(0));
    pair.run();
    pair.assert_converged();
    assert_eq!(pair.nodes[0].sent.manifests.len(), 2_000 + fresh.len());
}

#[test]
fn both_directions_reconcile_at_once() {
    let mut pair = pair_of(slow(2), 0..400, 50..400);
    for number in 10_000..10_300 {
        let parcel = parcel_of(&pair.nodes[1].cert, number, 1, 330);
        pair.push(1, &parcel);
        if number % 7 > 0 {
            pair.nodes[0].store.put(&parcel);
        }
    }
    pair.connect();
    pair.run();
    pair.assert_converged();
    for (node, lacking) in [(0, 50), (1, 43)] {
        assert_eq!(frames(&pair.nodes[node], is_sketch), 1);
        assert_eq!(pair.nodes[node].sent.manifests.len(), lacking);
    }
}

/// Cuts a reconciliation after so many events, and finishes it in another session; says whether it was over before.
fn run_with_cut(cut: usize) -> bool {
    let mut pair = pair_of(slow(3), 0..200, 60..200);
    pair.connect();
    let mut over = false;
    for event in 0..cut {
        if event == 30 {
            let parcel = parcel_of(&pair.nodes[0].cert, 9_000, 1, 330);
            pair.push(0, &parcel);
        }
        over = !pair.step();
    }
    let durable: BTreeSet<_> = pair.nodes[1].store.releases.keys().copied().collect();
    pair.cut();
    pair.connect();
    pair.run();
    pair.assert_converged();
    let resent = pair.nodes[0].sent.manifests.keys().filter(|id| durable.contains(id)).count();
    assert_eq!(resent, 0, "after a cut at event {cut}");
    over
}

#[test]
fn a_cut_anywhere_loses_nothing_and_sends_nothing_durable_again() {
    let cuts = (0..).step_by(9).take_while(|cut| !run_with_cut(*cut)).count();
    assert!(cuts > 20, "there are only {cuts} moments to cut at");
}

/// Checks that sides converge by offers although somebody tampers, and that no more cells went than may.
fn check_listed_with(tamper: fn(&mut Kind)) {
    let mut pair = pair_of(World::default(), 0..2_000, 30..2_000);
    pair.tamper = Some(tamper);
    pair.connect();
    pair.run();
    pair.assert_converged();
    assert_eq!(frames(&pair.nodes[0], is_sketch), 1);
    assert_eq!(frames(&pair.nodes[0], is_offer), 2);
    assert!(cells_sent(&pair.nodes[0]) <= CELLS_MAX && cells_sent(&pair.nodes[0]) * CELL_BYTES <= 2_000 * 32);
}

#[test]
fn a_digest_that_lies_about_what_there_is_leads_to_a_list() {
    check_listed_with(|kind| {
        if let Kind::Reconcile(sketch) = kind {
            let digest = Digest::from_bytes(&sketch.digest).unwrap();
            let lie = Digest { sum: digest.sum ^ 1, ..digest };
            sketch.digest = Bytes::copy_from_slice(&lie.to_bytes());
        }
    });
}

#[test]
fn a_digest_that_lies_about_how_many_there_are_leads_to_a_list() {
    check_listed_with(|kind| {
        if let Kind::Reconcile(sketch) = kind {
            let digest = Digest::from_bytes(&sketch.digest).unwrap();
            sketch.digest = Bytes::copy_from_slice(&Digest { count: digest.count + 1, ..digest }.to_bytes());
        }
    });
}

#[test]
fn cells_that_never_decode_lead_to_a_list() {
    check_listed_with(|kind| {
        let cells = match kind {
            Kind::Reconcile(sketch) => &mut sketch.cells,
            Kind::Cells(cells) => &mut cells.cells,
            _ => return,
        };
        let garbage = cells.iter().enumerate().map(|(place, byte)| byte ^ u8::try_from(place % 251).unwrap() | 1);
        *cells = garbage.collect();
    });
}

#[test]
fn short_ids_out_of_nothing_lead_to_a_list() {
    check_listed_with(|kind| {
        if let Kind::Missing(missing) = kind
            && !missing.shorts.is_empty()
        {
            let mut shorts = missing.shorts.to_vec();
            shorts[0] ^= 1;
            missing.shorts = shorts.into();
        }
    });
}

/// What lacked came, and then it does not add up: what came stays, and nothing of it comes again.
#[test]
fn a_chain_that_lies_costs_another_sketch() {
    let mut pair = pair_of(World::default(), 0..500, 3..500);
    pair.tamper = Some(|kind| {
        if let Kind::Reconcile(sketch) = kind {
            sketch.chain = Bytes::from_static(&[9; 32]);
        }
    });
    pair.connect();
    pair.run();
    assert_found(&pair, 3);
    pair.cut();
    pair.tamper = None;
    pair.connect();
    pair.run();
    assert_found(&pair, 0);
}
