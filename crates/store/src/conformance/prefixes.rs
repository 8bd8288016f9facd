//! Contents that are found by how their ids begin.

use mithaq_core::{
    body::Body,
    id::{ContentId, ContentPrefix},
};

use super::{drop_staged, indicators, purge, push, stage, time};
use crate::contract::Store;

/// Runs this part of the suite; `open` gives a new, empty store each time.
pub(super) fn run<S: Store>(open: impl Fn() -> S) {
    what_is_held_is_found_in_any_order(&open());
    what_is_staged_is_found_until_it_is_dropped(&open());
    what_is_purged_is_not_found(&open());
}

fn prefixes(bodies: &[Body]) -> Vec<ContentPrefix> {
    bodies.iter().map(|body| body.id().prefix()).collect()
}

fn ids(bodies: &[Body]) -> Vec<Option<ContentId>> {
    bodies.iter().map(|body| Some(body.id())).collect()
}

fn what_is_held_is_found_in_any_order(store: &impl Store) {
    let (held, strangers) = (indicators(0, 300), indicators(300, 310));
    assert_eq!(store.contents_with(&prefixes(&held)).unwrap(), vec![None; 300]);
    for (at, salt) in [(0, 0), (100, 1), (200, 2)] {
        store.commit(push(held[at..at + 100].to_vec(), salt), time(salt)).unwrap();
    }
    assert_eq!(store.contents_with(&prefixes(&held)).unwrap(), ids(&held));
    assert_eq!(store.contents_with(&prefixes(&strangers)).unwrap(), vec![None; 10]);
    let mixed =
        [prefixes(&held[7..9]), prefixes(&strangers[..1]), prefixes(&held[..1]), prefixes(&held[7..8])].concat();
    let [seven, eight, first] = [7, 8, 0].map(|at: usize| Some(held[at].id()));
    assert_eq!(store.contents_with(&mixed).unwrap(), [seven, eight, None, first, seven]);
    // What differs in the last byte that counts is another.
    let mut near = *held[0].id().prefix().as_bytes();
    near[ContentPrefix::BYTES - 1] ^= 1;
    assert_eq!(store.contents_with(&[ContentPrefix::from_bytes(near)]).unwrap(), [None]);
    for edge in [[0; ContentPrefix::BYTES], [u8::MAX; ContentPrefix::BYTES]] {
        assert_eq!(store.contents_with(&[ContentPrefix::from_bytes(edge)]).unwrap(), [None]);
    }
}

fn what_is_staged_is_found_until_it_is_dropped(store: &impl Store) {
    let bodies = indicators(0, 20);
    store.commit(stage(bodies.clone()), time(0)).unwrap();
    assert_eq!(store.contents_with(&prefixes(&bodies)).unwrap(), ids(&bodies));
    store.commit(push(bodies[..10].to_vec(), 0), time(1)).unwrap();
    assert_eq!(store.contents_with(&prefixes(&bodies)).unwrap(), ids(&bodies));
    store.commit(drop_staged(&bodies), time(2)).unwrap();
    assert_eq!(store.contents_with(&prefixes(&bodies)).unwrap(), [ids(&bodies[..10]), vec![None; 10]].concat());
}

fn what_is_purged_is_not_found(store: &impl Store) {
    let bodies = indicators(0, 20);
    store.commit(push(bodies.clone(), 0), time(0)).unwrap();
    let gone = bodies[..5].iter().map(Body::id).collect();
    store.commit(purge(Vec::new(), gone), time(1)).unwrap();
    assert_eq!(store.contents_with(&prefixes(&bodies)).unwrap(), [vec![None; 5], ids(&bodies[5..])].concat());
    // It may come again.
    store.commit(push(bodies[..5].to_vec(), 1), time(2)).unwrap();
    assert_eq!(store.contents_with(&prefixes(&bodies)).unwrap(), ids(&bodies));
}
