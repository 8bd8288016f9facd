//! Sketches over the rows of a store: made once, followed from then on, made anew for another run of the peer's daemon.

use mithaq_core::id::{AgreementId, ReleaseId, sha256_of};
use mithaq_store::{Batch, StateChange};
use mithaq_sync::{
    Chain, Input,
    sketch::{Cell, Compared, Digest, SketchKey},
};

use super::{Cert, pair};
use crate::{held, node::PeerEntry, outbox::Outbox};

fn release(number: u64) -> ReleaseId {
    ReleaseId::from_bytes(sha256_of(&[&number.to_be_bytes()]))
}

fn key(instance: u8) -> SketchKey {
    SketchKey::new(AgreementId::from_bytes([1; 32]), [2; 16], [instance; 16])
}

fn digest(key: SketchKey, releases: impl Iterator<Item = u64>) -> Digest {
    let mut digest = Digest::default();
    releases.for_each(|number| digest.add(key.mark(release(number))));
    digest
}

/// The entry of the peer, as the tasks that serve it have it.
fn entry_of(cert: &Cert, peer: &Cert) -> std::sync::Arc<PeerEntry> {
    cert.node.peer(peer.id()).unwrap()
}

/// Writes entries into the journal, as the outbox does.
fn write(cert: &Cert, outbox: &Outbox, mut chain: Chain, numbers: std::ops::RangeInclusive<u64>) -> Chain {
    let mut state = Vec::new();
    for number in numbers {
        chain = chain.after(release(number));
        let row = [b"j/", &outbox.name()[..], &number.to_be_bytes()].concat();
        state.push(StateChange::set(row, [release(number).as_bytes(), &chain.as_bytes()[..]].concat()));
    }
    cert.node.commit(Batch { state, ..Batch::default() }).unwrap();
    chain
}

fn opened(input: Input) -> (u64, Chain, Digest, Vec<Cell>) {
    match input {
        Input::SketchOpened { through, chain, digest, cells } => (through, chain, digest, cells),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_sketch_of_a_journal_follows_it() {
    let (a, b) = pair();
    let entry = entry_of(&a, &b);
    let outbox = Outbox::new(a.node.clone(), entry.clone()).unwrap();
    let nothing = opened(entry.sketches.open(&outbox, 0, key(3), 4).unwrap());
    assert_eq!((nothing.0, nothing.1, nothing.2), (0, Chain::START, Digest::default()));
    let chain = write(&a, &outbox, Chain::START, 1..=1_500);
    let first = opened(entry.sketches.open(&outbox, 1_500, key(3), 4).unwrap());
    assert_eq!((first.0, first.1, first.2, first.3.len()), (1_500, chain, digest(key(3), 1..=1_500), 4));
    let shorts = [7, 1_500, 1_501].map(|number| key(3).mark(release(number)).short);
    assert_eq!(entry.sketches.find(&shorts), [Some(7), Some(1_500), None]);
    let (before, chain) = (chain, write(&a, &outbox, chain, 1_501..=1_510));
    // What is behind the entry that was named may have gone ahead.
    let bounded = opened(entry.sketches.open(&outbox, 1_500, key(3), 4).unwrap());
    assert_eq!((bounded.0, bounded.1, bounded.2), (1_500, before, digest(key(3), 1..=1_500)));
    let followed = opened(entry.sketches.open(&outbox, 1_510, key(3), 4).unwrap());
    assert_eq!((followed.0, followed.1, followed.2), (1_510, chain, digest(key(3), 1..=1_510)));
    assert_eq!(entry.sketches.cells(0, 4), followed.3);
    // Another run of the peer's daemon: other short ids. One at once after the other is not made, and nothing is lost by it.
    let refused = opened(entry.sketches.open(&outbox, 1_510, key(4), 4).unwrap());
    assert_eq!((refused.0, refused.3), (1_510, Vec::new()));
    assert_eq!(opened(entry.sketches.open(&outbox, 1_510, key(3), 4).unwrap()), followed);
    entry.sketches.let_time_pass();
    let anew = opened(entry.sketches.open(&outbox, 1_510, key(4), 4).unwrap());
    assert_eq!((anew.0, anew.1, anew.2), (1_510, chain, digest(key(4), 1..=1_510)));
    assert_eq!(entry.sketches.find(&shorts), [None; 3]);
    assert_eq!(outbox.read_each(&[2, 1_501]).unwrap(), [release(2), release(1_501)]);
    assert!(outbox.read_each(&[1_511]).is_err());
}

#[tokio::test]
async fn what_is_held_is_told_to_whom_it_is_about_and_followed() {
    let (a, b) = pair();
    let entry = entry_of(&a, &b);
    let hold = |numbers: std::ops::Range<u64>| {
        let mut rows = held::Rows::default();
        numbers.for_each(|number| rows.add(b.id(), release(number)));
        a.node.commit(Batch { state: rows.to_changes().collect(), ..Batch::default() }).unwrap();
        rows.note(&a.node);
    };
    hold(0..1_100);
    assert!(held::is_held(&a.node, b.id(), release(3)).unwrap());
    assert!(!held::is_held(&a.node, a.id(), release(3)).unwrap());
    assert_eq!(held::each(&a.node, b.id(), |_| ()).unwrap(), 1_100);
    assert_eq!(entry.sketches.count_held(), None, "nobody has asked for a sketch");
    let compare = |key| entry.sketches.compare(&a.node, b.id(), key, &[Cell::default(); 8]).unwrap();
    assert!(matches!(compare(key(3)), Compared::Undecided { .. }));
    assert_eq!(entry.sketches.count_held(), Some(1_100));
    // The same release again is one.
    hold(1_095..1_105);
    assert_eq!(entry.sketches.count_held(), Some(1_105));
    let refused = Compared::Differs { missing: Vec::new(), common: Digest::default() };
    assert_eq!(compare(key(4)), refused, "one was made a moment ago");
    assert_ne!(compare(key(3)), refused, "it is still there");
    entry.sketches.let_time_pass();
    assert_ne!(compare(key(4)), refused);
    assert_eq!(entry.sketches.count_held(), Some(1_105));
}

#[tokio::test]
async fn what_is_held_is_counted_once() {
    let (a, b) = pair();
    let entry = entry_of(&a, &b);
    let rows = |numbers: std::ops::Range<u64>| {
        let mut rows = held::Rows::default();
        numbers.for_each(|number| rows.add(b.id(), release(number)));
        a.node.commit(Batch { state: rows.to_changes().collect(), ..Batch::default() }).unwrap();
        rows
    };
    rows(0..20).note(&a.node);
    assert_eq!(entry.sketches.about_held(&a.node, b.id()).unwrap(), 20);
    // Rows that nobody told of are not seen: they were not looked at again.
    drop(rows(20..25));
    assert_eq!(entry.sketches.about_held(&a.node, b.id()).unwrap(), 20);
    rows(25..27).note(&a.node);
    assert_eq!(entry.sketches.about_held(&a.node, b.id()).unwrap(), 22);
}
