//! Contents whose ids begin alike: two that somebody has made, and as many as it takes of which the index alone is
//! told, since nobody can make them for a test in a moment.

use mithaq_core::id::{ContentId, ContentPrefix};

use super::*;
use crate::{
    conformance::{purge, stage},
    index::Delta,
};

/// An id of which the first bytes, as many as its prefix has, are `first`, and all others `rest`.
fn id(first: u8, rest: u8) -> ContentId {
    let mut bytes = [rest; 32];
    bytes[..ContentPrefix::BYTES].fill(first);
    ContentId::from_bytes(bytes)
}

/// Tells the index of contents by their ordinals.
fn tell(store: &SledStore, contents: &[(u64, ContentId)]) {
    let mut delta = Delta::default();
    contents.iter().for_each(|(ordinal, content)| delta.stage(*ordinal, content));
    store.shared.index.apply(delta, store.shared.index.reached());
}

fn found(store: &SledStore, first: u8) -> Option<u64> {
    store.shared.index.find_beginning(&[id(first, 0).prefix()]).unwrap()[0]
}

#[test]
fn of_two_that_begin_alike_neither_is_found_until_one_is_gone() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir, lazy());
    tell(&store, &[(100, id(7, 1)), (101, id(8, 1)), (102, id(7, 1))]);
    for flushes in 0..3 {
        assert_eq!((found(&store, 7), found(&store, 8), found(&store, 9)), (Some(102), Some(101), None), "{flushes}");
        store.shared.index.flush(false).unwrap();
    }
    // One in a run and one that waits, and then both in runs.
    tell(&store, &[(103, id(7, 2))]);
    for flushes in 0..3 {
        assert_eq!((found(&store, 7), found(&store, 8)), (None, Some(101)), "{flushes}");
        store.shared.index.flush(false).unwrap();
    }
    for lost in [100, 102] {
        store.shared.index.set_damaged(lost);
    }
    assert_eq!(found(&store, 7), Some(103));
}

#[test]
fn many_that_begin_alike_are_found_over_the_ends_of_blocks() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir, lazy());
    let alike: Vec<_> = (0..2_000).map(|ordinal| (ordinal, id(7, 1))).collect();
    tell(&store, &alike);
    tell(&store, &[(5_000, id(6, 255)), (5_001, id(8, 0))]);
    store.shared.index.flush(false).unwrap();
    assert_eq!((found(&store, 6), found(&store, 7), found(&store, 8)), (Some(5_000), Some(1_999), Some(5_001)));
    tell(&store, &[(5_002, id(7, 2))]);
    assert_eq!(found(&store, 7), None);
}

/// Two bodies whose ids begin alike.
fn alike() -> [Body; 2] {
    let mut lines = include_str!("../../../../../tests/vectors/alike.jsonl").lines();
    std::array::from_fn(|_| {
        let line = lines.next().unwrap();
        Body::verify(ContentId::of(line.as_bytes()), line.into()).unwrap()
    })
}

fn check_alike(store: &impl Store) {
    let [one, other] = alike();
    let found = || store.contents_with(&[one.id().prefix()]).unwrap()[0];
    assert_eq!(found(), None);
    store.commit(push(vec![one.clone()], 0), time(0)).unwrap();
    assert_eq!(found(), Some(one.id()));
    store.commit(stage(vec![other.clone()]), time(1)).unwrap();
    assert_eq!(found(), None);
    store.commit(push(vec![other.clone()], 1), time(2)).unwrap();
    assert_eq!((found(), store.has_bodies(&[one.id(), other.id()]).unwrap()), (None, vec![true; 2]));
    store.commit(purge(Vec::new(), vec![one.id()]), time(3)).unwrap();
    assert_eq!(found(), Some(other.id()));
}

#[test]
fn both_stores_tell_bodies_that_begin_alike_apart() {
    check_alike(&MemoryStore::new(StoreId::from_bytes([1; 16])));
    for options in [lazy(), tiny()] {
        let dir = TempDir::new().unwrap();
        check_alike(&open(&dir, options));
    }
}
