//! Manifests of a backlog go ahead of their bodies, but not all of them.

use mithaq_core::id::ReleaseId;
use mithaq_sync::{Input, LOADING_MAX, MANIFESTS_BYTES_MAX, wire::Kind};

use crate::{
    fixtures::parcel_of,
    lone::{Lone, receipt, want},
};

/// How many releases the peer wants, of which each names as many objects as one may.
const WANTED: u8 = 184;

fn id(number: u64) -> ReleaseId {
    ReleaseId::from_bytes([u8::try_from(number).unwrap(); 32])
}

#[test]
fn bodies_need_not_wait_for_all_manifests() {
    let mut lone = Lone::started(WANTED.into());
    lone.give(Input::JournalRead { ids: (1..=u64::from(WANTED)).map(id).collect() });
    lone.take_all();
    lone.receive(want(1, &[0xff; WANTED as usize / 8], WANTED.into()));
    let large = parcel_of(&lone.peer, 0, 1_000, 400).release.signed().clone();
    let (sent, bytes) = lone.load_all(&large);
    let each = bytes / sent.len();
    assert!(bytes >= MANIFESTS_BYTES_MAX && bytes <= MANIFESTS_BYTES_MAX + LOADING_MAX * each, "{bytes}");
    assert!(sent.len() < usize::from(WANTED), "that is all of them");
    // Each that is done with makes room, and at last all went.
    let mut done: Vec<u64> = sent;
    let mut next = 0;
    while next < done.len() {
        let entries: Vec<(u64, ReleaseId)> = done[next..].iter().map(|index| (*index, id(*index))).collect();
        next = done.len();
        lone.receive(Kind::Ack(receipt(&entries)));
        done.extend(lone.load_all(&large).0);
    }
    assert_eq!(done, (1..=u64::from(WANTED)).collect::<Vec<_>>());
}
