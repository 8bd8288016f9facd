//! Contents whose ids begin alike, which nobody can make for a test in a moment: the index alone is told of them.

use mithaq_core::id::{ContentId, ContentPrefix};

use super::*;
use crate::index::Delta;

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
        store.shared.index.flush().unwrap();
    }
    // One in a run and one that waits, and then both in runs.
    tell(&store, &[(103, id(7, 2))]);
    for flushes in 0..3 {
        assert_eq!((found(&store, 7), found(&store, 8)), (None, Some(101)), "{flushes}");
        store.shared.index.flush().unwrap();
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
    store.shared.index.flush().unwrap();
    assert_eq!((found(&store, 6), found(&store, 7), found(&store, 8)), (Some(5_000), Some(1_999), Some(5_001)));
    tell(&store, &[(5_002, id(7, 2))]);
    assert_eq!(found(&store, 7), None);
}
