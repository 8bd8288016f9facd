//! What a peer gave for a release that was cut: told to it alone, bounded, and gone when it is old.

use mithaq_core::{
    body::Body,
    id::{ContentId, ReleaseId, sha256_of},
    label::Label,
    release::{ReleaseDraft, VerifiedRelease},
    stix::Object,
};
use mithaq_store::{Arrival, Batch, Holding, StateChange};
use mithaq_sync::{Part, Pending, WINDOW_BYTES};

use super::*;
use crate::{fetching::Seat, outbox::Outbox, peer::loader::Loader, staging};

fn body(number: u32) -> Body {
    let text = format!(
        r#"{{"created":"2026-01-01T00:00:00.000Z","id":"indicator--00000000-0000-4000-8000-{number:012x}","modified":"2026-01-01T00:00:00.000Z","pattern":"[ipv4-addr:value = '192.0.2.1']","pattern_type":"stix","spec_version":"2.1","type":"indicator","valid_from":"2026-01-01T00:00:00Z"}}"#
    );
    Body::of(&Object::parse(text.as_bytes()).unwrap()).unwrap()
}

pub(super) fn bodies(numbers: std::ops::Range<u32>) -> Vec<Body> {
    let mut bodies: Vec<_> = numbers.map(body).collect();
    bodies.sort_unstable_by_key(Body::id);
    bodies
}

pub(super) fn ids(bodies: &[Body]) -> Vec<ContentId> {
    bodies.iter().map(Body::id).collect()
}

/// A release of a CERT.
pub(super) fn release(origin: &Cert, bodies: &[Body]) -> VerifiedRelease {
    let draft = ReleaseDraft::publish(Label::new(Tlp::Green, Category::Threat), ids(bodies), clock::wall());
    VerifiedRelease::sign(origin.id(), &key(origin.seed + 1), draft).unwrap()
}

/// One CERT and two peers of it.
pub(super) fn three() -> [Cert; 3] {
    let certs = [10, 20, 30].map(Cert::new);
    certs[0].pair(&certs[1]);
    certs[0].pair(&certs[2]);
    certs
}

/// What `us` tells a peer that it holds of a release.
pub(super) fn told(us: &Cert, peer: &Cert, release: ReleaseId, contents: &[ContentId]) -> Vec<bool> {
    let entry = us.node.peer(peer.id()).unwrap();
    let outbox = Outbox::new(Arc::clone(&us.node), Arc::clone(&entry)).unwrap();
    let loader = Loader::new(Arc::clone(&us.node), outbox, entry, Arc::new(Seat::new(&us.node.fetching)));
    let told = loader.told(&Pending::new(1, release, contents.iter().map(ContentId::prefix).collect())).unwrap();
    assert!(told.iter().zip(contents).all(|(told, content)| told.is_none_or(|told| told == *content)));
    told.iter().map(Option::is_some).collect()
}

fn stage(us: &Cert, peer: &Cert, release: ReleaseId, bodies: &[Body]) -> bool {
    let batch = staging::stage(&us.node, peer.id(), vec![Part { release, bodies: bodies.to_vec() }]).unwrap();
    let is_staged = !batch.staged.is_empty();
    us.node.commit(batch).unwrap();
    is_staged
}

/// Says of the lots of a peer that they are so old and so large.
fn change_lots(us: &Cert, peer: &Cert, days: i64, bytes: u64) {
    let rows = us.node.store.state_range(&[b"sb/", &peer.id().as_bytes()[..]].concat(), None, usize::MAX).unwrap();
    let state = rows.into_iter().map(|(key, mut value)| {
        value[..8].copy_from_slice(&hours(-24 * days).as_micros().to_be_bytes());
        value[8..16].copy_from_slice(&bytes.to_be_bytes());
        StateChange::set(key, value)
    });
    us.node.commit(Batch { state: state.collect(), ..Batch::default() }).unwrap();
}

/// Says of the lots of a peer that they are so large.
fn set_bytes(us: &Cert, peer: &Cert, bytes: u64) {
    let rows = us.node.store.state_range(&[b"sb/", &peer.id().as_bytes()[..]].concat(), None, usize::MAX).unwrap();
    let state = rows.into_iter().map(|(key, mut value)| {
        value[8..16].copy_from_slice(&bytes.to_be_bytes());
        StateChange::set(key, value)
    });
    us.node.commit(Batch { state: state.collect(), ..Batch::default() }).unwrap();
}

fn lots(us: &Cert) -> usize {
    us.node.store.state_range(b"sb/", None, usize::MAX).unwrap().len()
}

#[tokio::test]
async fn only_who_gave_a_part_is_told_that_it_is_held_whatever_others_release() {
    let [us, giver, other] = three();
    let (came, rest) = (bodies(0..5), bodies(5..8));
    let all = bodies(0..8);
    let (given, same) = (release(&giver, &all), release(&other, &all));
    assert!(stage(&us, &giver, given.id(), &came));
    assert_eq!(told(&us, &giver, given.id(), &ids(&came)), [true; 5]);
    assert_eq!(told(&us, &giver, given.id(), &ids(&rest)), [false; 3]);
    assert_eq!(told(&us, &other, same.id(), &ids(&came)), [false; 5]);
    // What was given for one release is not looked up for another.
    assert_eq!(told(&us, &giver, release(&giver, &came).id(), &ids(&came)), [false; 5]);
    assert_eq!(us.node.store.holding(came[0].id()).unwrap(), Holding::Staged);

    // Another CERT releases the same: the giver must not see that in what it is asked for.
    let batch = Batch { arrivals: vec![Arrival { release: same, bodies: all.clone() }], ..Batch::default() };
    us.node.commit(batch).unwrap();
    assert_eq!(us.node.store.holding(came[0].id()).unwrap(), Holding::Held);
    assert_eq!(told(&us, &giver, given.id(), &ids(&came)), [true; 5]);
    assert_eq!(told(&us, &giver, given.id(), &ids(&rest)), [false; 3]);

    let mut brought = rest.clone();
    let changes = staging::complete(&us.node, giver.id(), &given, &mut brought).unwrap();
    assert_eq!((changes.len(), brought.len()), (1, 3), "what a release has taken need not come along");
    us.node.commit(Batch { state: changes, ..Batch::default() }).unwrap();
    assert_eq!(lots(&us), 0);
}

#[tokio::test]
async fn a_release_is_judged_with_what_was_staged_for_it() {
    let [us, giver, _] = three();
    let all = bodies(0..8);
    let given = release(&giver, &all);
    assert!(stage(&us, &giver, given.id(), &all[..3]) && stage(&us, &giver, given.id(), &all[3..6]));
    let mut brought = all[6..].to_vec();
    let state = staging::complete(&us.node, giver.id(), &given, &mut brought).unwrap();
    brought.sort_unstable_by_key(Body::id);
    assert_eq!((ids(&brought), state.len()), (ids(&all), 2));
    let arrivals = vec![Arrival { release: given, bodies: brought }];
    assert_eq!(us.node.commit(Batch { arrivals, state, ..Batch::default() }).unwrap()[0].bodies_new, 8);
    assert_eq!((lots(&us), us.node.store.stats().staged), (0, 0));
}

#[tokio::test]
async fn what_is_staged_is_bounded_and_goes_when_it_is_old() {
    let [us, giver, other] = three();
    let window = WINDOW_BYTES as u64;
    let id = |number| ReleaseId::from_bytes([number; 32]);
    assert!(stage(&us, &giver, id(1), &bodies(0..5)) && stage(&us, &other, id(2), &bodies(4..6)));
    change_lots(&us, &other, 4, 1000);
    staging::sweep(&us.node).unwrap();
    let held = |number| us.node.store.holding(body(number).id()).unwrap();
    // What both gave stays as long as one of them has it on its account.
    assert_eq!([0, 4, 5].map(held), [Holding::Staged, Holding::Staged, Holding::Unknown]);
    assert_eq!((lots(&us), told(&us, &other, id(2), &ids(&bodies(4..6)))), (1, vec![false; 2]));

    // There is room for so much of one peer, and the oldest goes first.
    change_lots(&us, &giver, 1, window - 100);
    assert!(stage(&us, &giver, id(3), &bodies(10..12)));
    assert_eq!([0, 4, 10, 11].map(held), [Holding::Unknown, Holding::Unknown, Holding::Staged, Holding::Staged]);
    // Nothing more is staged of who has too much dropped in a day; others do not suffer from it.
    for round in 0..4 {
        change_lots(&us, &giver, 1, window);
        assert_eq!(stage(&us, &giver, id(4), &bodies(20 + round..21 + round)), round < 3, "round {round}");
    }
    assert_eq!((lots(&us), us.node.store.stats().staged), (0, 0));
    assert!(stage(&us, &other, id(5), &bodies(30..31)));
    staging::forget(&us.node, other.id()).unwrap();
    assert_eq!((lots(&us), us.node.store.stats().staged), (0, 0));
}

#[tokio::test]
async fn tiny_lots_are_few_and_count_for_more_than_they_hold() {
    let [us, giver, other] = three();
    let id = |number: u32| ReleaseId::from_bytes(sha256_of(&[&number.to_be_bytes()]));
    let part = |number| Part { release: id(number), bodies: bodies(number..number + 1) };
    for first in (0..1_200).step_by(100) {
        let batch = staging::stage(&us.node, giver.id(), (first..first + 100).map(part).collect()).unwrap();
        us.node.commit(batch).unwrap();
    }
    assert_eq!((lots(&us), us.node.store.stats().staged), (1_024, 1_024), "so many of one peer at the most");
    assert!(stage(&us, &other, id(1), &bodies(2_000..2_001)), "others have room of their own");

    // All of them go in one commit; what they count is not what they hold.
    let dropped = |peer: &Cert| {
        let row = us.node.store.state(&[b"sd/", &peer.id().as_bytes()[..]].concat()).unwrap().unwrap();
        u64::from_be_bytes(row[8..].try_into().unwrap())
    };
    assert_eq!(dropped(&giver), (1_200 - 1_024) * 4_096);
    staging::forget(&us.node, giver.id()).unwrap();
    assert_eq!(dropped(&giver), 1_200 * 4_096);
    assert_eq!((lots(&us), us.node.store.stats().staged), (1, 1));
}

#[tokio::test]
async fn many_lots_are_dropped_with_all_that_they_hold() {
    let [us, giver, other] = three();
    let id = |number: u32| ReleaseId::from_bytes(sha256_of(&[&number.to_be_bytes()]));
    // More than one purge may name, some of it twice, and some of it another's too.
    for number in 0..12 {
        assert!(stage(&us, &giver, id(number), &bodies(900 * number..900 * number + 1_000)));
    }
    assert!(stage(&us, &other, id(0), &bodies(10_850..10_950)));
    staging::forget(&us.node, giver.id()).unwrap();
    assert_eq!((lots(&us), us.node.store.stats().staged), (1, 100));
}

#[tokio::test]
async fn what_a_peer_goes_on_with_is_the_last_to_be_dropped() {
    let [us, giver, _] = three();
    let id = |number| ReleaseId::from_bytes([number; 32]);
    assert!(stage(&us, &giver, id(1), &bodies(0..2)));
    change_lots(&us, &giver, 2, 4_096);
    assert!(stage(&us, &giver, id(2), &bodies(2..4)));
    assert_eq!(told(&us, &giver, id(1), &ids(&bodies(0..2))), [true; 2]);
    // The first is the older of the two, and the peer relies on it.
    let half = WINDOW_BYTES as u64 / 2;
    set_bytes(&us, &giver, half);
    assert!(stage(&us, &giver, id(3), &bodies(4..5)));
    let held = |number| us.node.store.holding(body(number).id()).unwrap();
    assert_eq!([0, 2, 4].map(held), [Holding::Staged, Holding::Unknown, Holding::Staged]);
    // It goes if there is no room else.
    set_bytes(&us, &giver, 2 * half);
    assert!(stage(&us, &giver, id(4), &bodies(5..6)));
    assert_eq!([0, 4, 5].map(held), [Holding::Unknown, Holding::Unknown, Holding::Staged]);
}
