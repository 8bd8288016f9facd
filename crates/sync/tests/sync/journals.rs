//! Cursors that fit and cursors that do not, rules that change, journals that are read in pieces or grow early.

use std::time::Duration;

use bytes::Bytes;
use mithaq_core::id::ReleaseId;
use mithaq_sync::{
    Chain, Cursor, Input, Output, Session,
    wire::{Kind, Want},
};

use crate::{
    fixtures::{at, parcel_of, setup},
    lone::Lone,
    pair::{Pair, World},
};

/// A pair of which node 1 has five releases of node 0, with its session cut.
fn synced() -> Pair {
    let mut pair = Pair::new(World::default());
    for number in 0..5 {
        let parcel = parcel_of(&pair.nodes[0].cert, number, 1, 400);
        pair.push(0, &parcel);
    }
    pair.connect();
    pair.run();
    pair.assert_converged();
    pair.cut();
    pair
}

fn start_of(pair: &Pair, node: usize) -> u64 {
    let mut frames = pair.nodes[node].sent.frames.iter();
    frames
        .find_map(|(_, kind)| match kind {
            Kind::Start(start) => Some(start.after),
            _ => None,
        })
        .unwrap()
}

/// Checks that the session starts anew, that nothing held is sent again, and that a new release still arrives.
fn check_starts_anew(mut pair: Pair) {
    pair.connect();
    pair.run();
    assert_eq!(start_of(&pair, 0), 0);
    assert!(pair.nodes[0].sent.manifests.is_empty());
    pair.assert_converged();
    let fresh = parcel_of(&pair.nodes[0].cert, 9, 1, 400);
    pair.push(0, &fresh);
    pair.run();
    pair.assert_converged();
    assert!(pair.nodes[1].store.releases.contains_key(&fresh.id()));
}

#[test]
fn a_cursor_that_fits_goes_on() {
    let mut pair = synced();
    pair.connect();
    pair.run();
    assert_eq!(start_of(&pair, 0), 5);
    pair.assert_converged();
}

#[test]
fn a_cursor_into_another_store_starts_anew() {
    let mut pair = synced();
    pair.nodes[0].store.id = 7;
    check_starts_anew(pair);
}

#[test]
fn a_cursor_into_a_fork_starts_anew() {
    let mut pair = synced();
    // A backup was restored and the journal went on differently.
    pair.nodes[0].store.journal.swap(3, 4);
    check_starts_anew(pair);
}

#[test]
fn a_cursor_beyond_the_journal_starts_anew() {
    let mut pair = synced();
    pair.nodes[0].store.journal.truncate(2);
    check_starts_anew(pair);
}

#[test]
fn a_cursor_with_a_wrong_chain_or_a_huge_index_starts_anew() {
    for index in [5, u64::MAX] {
        let mut pair = synced();
        let cursor = pair.nodes[1].store.cursor.as_mut().unwrap();
        cursor.chain = Chain::from_bytes([9; 32]);
        cursor.index = index;
        check_starts_anew(pair);
    }
}

#[test]
fn a_sink_that_lost_its_store_gets_everything_again() {
    let mut pair = synced();
    pair.nodes[1].store.releases.clear();
    pair.nodes[1].store.bodies.clear();
    pair.nodes[1].store.cursor = None;
    pair.connect();
    pair.run();
    pair.assert_converged();
    assert_eq!(pair.nodes[0].sent.manifests.len(), 5);
}

#[test]
fn what_the_rule_withholds_after_the_offer_is_passed_over() {
    let mut pair = Pair::new(World::default());
    let mut ids = Vec::new();
    for number in 0..5 {
        let parcel = parcel_of(&pair.nodes[0].cert, number, 1, 400);
        pair.push(0, &parcel);
        ids.push(parcel.id());
    }
    pair.nodes[0].store.withdrawn.extend([ids[0], ids[3]]);
    pair.connect();
    pair.run();
    pair.assert_converged();
    assert_eq!(pair.nodes[0].sent.gone, 2);
    assert!(!pair.nodes[1].store.releases.contains_key(&ids[0]));
    assert!(!pair.nodes[1].store.releases.contains_key(&ids[3]));
    assert_eq!(pair.nodes[1].store.releases.len(), 3);
}

#[test]
fn a_fresh_release_that_may_not_go_is_passed_over() {
    let mut pair = Pair::new(World { answer: Duration::from_millis(1), ..World::default() });
    pair.connect();
    pair.run();
    let withheld = parcel_of(&pair.nodes[0].cert, 1, 1, 400);
    pair.nodes[0].store.withdrawn.insert(withheld.id());
    pair.push(0, &withheld);
    let fresh = parcel_of(&pair.nodes[0].cert, 2, 1, 400);
    pair.push(0, &fresh);
    pair.run();
    pair.assert_converged();
    assert_eq!(pair.nodes[0].sent.gone, 1);
    assert!(pair.nodes[1].store.releases.contains_key(&fresh.id()));
}

#[test]
fn what_the_rule_withholds_between_its_bodies_is_dropped_whole() {
    let mut pair = Pair::new(World { answer: Duration::from_millis(5), ..World::default() });
    let large = parcel_of(&pair.nodes[0].cert, 0, 20, 200_000);
    pair.push(0, &large);
    let small = parcel_of(&pair.nodes[0].cert, 50, 1, 400);
    pair.push(0, &small);
    pair.connect();
    while pair.nodes[0].sent.bodies.len() < 5 {
        assert!(pair.step());
    }
    pair.nodes[0].store.withdrawn.insert(large.id());
    pair.run();
    pair.assert_converged();
    assert_eq!(pair.nodes[0].sent.gone, 1);
    assert!(!pair.nodes[1].store.releases.contains_key(&large.id()));
    assert!(pair.nodes[1].store.releases.contains_key(&small.id()));
    assert!(!large.release.contents().iter().any(|id| pair.nodes[1].store.bodies.contains_key(id)));
}

#[test]
fn journals_read_in_pieces_arrive_whole() {
    for seed in 0..20 {
        let mut pair =
            Pair::new(World { seed, short_reads: true, answer: Duration::from_millis(30), ..World::default() });
        for number in 0..150 {
            let parcel = parcel_of(&pair.nodes[0].cert, number, 1, 400);
            pair.push(0, &parcel);
        }
        pair.connect();
        pair.run();
        pair.assert_converged();
    }
}

/// The sink limits how far apart open entries are: a source that counted only how many there are would be thrown out.
#[test]
fn offers_do_not_run_ahead_of_a_release_that_takes_long() {
    let mut pair = Pair::new(World { rate: Some(2_000_000), ..World::default() });
    let slow = parcel_of(&pair.nodes[0].cert, 0, 7, 1024 * 1024);
    pair.push(0, &slow);
    for number in 0..6000 {
        let known = parcel_of(&pair.nodes[0].cert, 100 + number, 1, 300);
        pair.push(0, &known);
        pair.nodes[1].store.put(&known);
    }
    pair.connect();
    pair.run();
    pair.assert_converged();
    assert_eq!(pair.nodes[0].sent.manifests.len(), 1);
}

/// The head must not fall back to what it was when the journal was opened.
#[test]
fn a_journal_that_grows_while_it_is_opened_is_read_to_its_end() {
    let mut lone = Lone::greeted();
    lone.give(Input::JournalGrew { head: 9 });
    lone.give(Input::JournalOpened { after: 4, head: 7 });
    let reads = |output: &Output| matches!(output, Output::ReadJournal { after: 4, .. });
    assert!(lone.take_all().iter().any(reads));
    assert_eq!(lone.session.progress().lag, 5);
    assert_eq!(lone.session.progress().sent, 4);
}

#[test]
fn a_journal_shorter_than_the_cursor_harms_nothing() {
    let mut lone = Lone::greeted();
    lone.give(Input::JournalOpened { after: 7, head: 3 });
    lone.take_all();
    assert_eq!(lone.session.progress().lag, 0);
    lone.give(Input::JournalSettled { head: 3 });
    lone.give(Input::JournalGrew { head: 8 });
    let reads = |output: &Output| matches!(output, Output::ReadJournal { after: 7, .. });
    assert!(lone.take_all().iter().any(reads));
}

/// A read that brought nothing must not be the last.
#[test]
fn an_empty_read_is_tried_again() {
    let mut lone = Lone::greeted();
    lone.give(Input::JournalOpened { after: 0, head: 1 });
    lone.take_all();
    lone.give(Input::JournalRead { ids: Vec::new() });
    assert!(lone.take_all().is_empty());
    lone.give(Input::Tick);
    assert!(matches!(lone.take_all()[..], [Output::ReadJournal { after: 0, .. }]));
}

#[test]
fn answers_that_nobody_asked_for_have_no_effect() {
    let mut lone = Lone::greeted();
    lone.give(Input::JournalOpened { after: 0, head: 0 });
    lone.take_all();
    let ids = vec![ReleaseId::from_bytes([1; 32])];
    for input in [
        Input::JournalOpened { after: 9, head: 9 },
        Input::JournalRead { ids },
        Input::ReleaseLoaded { index: 1, release: None, card: None, inline: None },
        Input::BodiesLoaded { index: 1, bodies: vec![vec![1]] },
        Input::BodiesHeld { index: 1, held: vec![None] },
        Input::Stored {
            entries: vec![(1, mithaq_core::receipt::Status::Received), (1, mithaq_core::receipt::Status::Received)],
        },
    ] {
        lone.give(input);
        let outputs = lone.take_all();
        assert!(outputs.is_empty(), "{outputs:?}");
    }
}

#[test]
fn the_hello_carries_the_cursor_and_tells_the_instance() {
    let lone = Lone::greeted();
    assert_eq!(lone.session.peer_instance(), Some([0x22; 16]));
    assert_eq!(lone.session.peer_card_serial(), Some(5));
    let cursor = Cursor::start([2; 16]);
    let setup = setup(1, &lone.peer, Some(cursor));
    let mut session = Session::new(setup, at(Duration::ZERO));
    let Some(Output::Send { frame, .. }) = session.poll_output() else {
        panic!("no hello");
    };
    assert!(matches!(crate::fixtures::decode(&frame), Kind::Hello(hello) if hello.cursor == cursor.to_bytes()));
}

/// A side that is slow to open its own journal may answer the other's before its start (seed 58).
#[test]
fn answers_may_come_before_the_start() {
    let mut lone = Lone::greeted();
    lone.give(Input::JournalOpened { after: 0, head: 100 });
    let ids: Vec<_> = (0..100).map(|byte| ReleaseId::from_bytes([byte; 32])).collect();
    lone.give(Input::JournalRead { ids });
    lone.take_all();
    lone.receive(Kind::Want(Want { first: 1, bitmap: Bytes::from_static(&[0; 13]), count: 100 }));
    assert!(lone.take_all().is_empty());
    assert_eq!(lone.session.progress().sent, 100);
}
