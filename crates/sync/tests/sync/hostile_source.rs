//! Peers that release what they should not: our sink refuses it, closes, and stores nothing of it.

use bytes::Bytes;
use mithaq_core::{code::Code, id::ReleaseId};
use mithaq_sync::{
    CONTROL_FRAME_BYTES_MAX, FRAME_BYTES_MAX, Input, OFFER_IDS_MAX, OFFERS_OPEN_MAX, Output,
    wire::{self, Bodies, Gone, Kind, Offer, Start, frame_length},
};

use crate::{
    fixtures::{Parcel, cert, parcel_of},
    lone::{Lone, group, hello, manifest, whole},
};

pub(crate) fn offer(first: u64, ids: &[ReleaseId]) -> Kind {
    let ids = ids.iter().flat_map(ReleaseId::as_bytes).copied().collect();
    Kind::Offer(Offer { first, ids })
}

pub(crate) fn some_ids(count: usize) -> Vec<ReleaseId> {
    let id = |number: usize| ReleaseId::from_bytes(mithaq_core::id::sha256(&number.to_be_bytes()));
    (0..count).map(id).collect()
}

fn gone(index: u64, id: ReleaseId) -> Kind {
    let id = Bytes::copy_from_slice(id.as_bytes());
    Kind::Gone(Gone { index, id })
}

/// Checks that a started session answers these frames with a close, and that nothing was stored.
pub(crate) fn check_closes(frames: impl IntoIterator<Item = Kind>, code: Code) {
    let mut lone = Lone::started(0);
    let mut stored = false;
    for frame in frames {
        let outputs = lone.take_all();
        assert!(!outputs.iter().any(|output| matches!(output, Output::Close(_))));
        stored |= outputs.iter().any(|output| matches!(output, Output::Store { .. }));
        lone.receive(frame);
    }
    lone.assert_closed(code);
    assert!(!stored);
}

/// A session to which `parcel` was sent as entry 1, of which it wants all bodies.
pub(crate) fn wanting(parcel: &Parcel) -> Lone {
    let mut lone = Lone::started(0);
    lone.receive(Kind::Manifest(manifest(1, parcel)));
    let held = vec![None; parcel.bodies.len()];
    lone.give(Input::BodiesHeld { index: 1, held });
    let outputs = lone.take_all();
    assert!(matches!(outputs[..], [Output::CheckBodies { .. }, Output::Send { .. }]));
    lone
}

pub(crate) fn bodies(index: u64, of: &[Vec<u8>]) -> Kind {
    Kind::Bodies(Bodies { index, group: group(of), ..Bodies::default() })
}

pub(crate) fn three() -> Parcel {
    parcel_of(&cert(2), 1, 3, 400)
}

#[test]
fn a_frame_before_the_hello() {
    let mut lone = Lone::new();
    lone.receive(Kind::Start(Start { after: 0 }));
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn a_second_hello() {
    let mut lone = Lone::greeted();
    lone.receive(Kind::Hello(hello()));
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn a_frame_before_the_start() {
    let mut lone = Lone::greeted();
    lone.receive(offer(1, &some_ids(1)));
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn a_second_start() {
    check_closes([Kind::Start(Start { after: 0 })], Code::MISBEHAVED);
}

#[test]
fn a_start_at_an_entry_that_we_do_not_have() {
    for after in [1, u64::MAX] {
        let mut lone = Lone::greeted();
        lone.receive(Kind::Start(Start { after }));
        lone.assert_closed(Code::MISBEHAVED);
    }
}

#[test]
fn malformed_hellos() {
    let check = |change: fn(&mut wire::Hello)| {
        let mut lone = Lone::new();
        let mut hello = hello();
        change(&mut hello);
        lone.receive(Kind::Hello(hello));
        lone.assert_closed(Code::MISBEHAVED);
    };
    check(|hello| hello.agreement = Bytes::from_static(&[1; 31]));
    check(|hello| hello.store = Bytes::from_static(&[1; 17]));
    check(|hello| hello.instance = Bytes::new());
    check(|hello| hello.cursor = Bytes::from_static(&[1; 55]));
    check(|hello| hello.cursor = Bytes::from_static(&[1; 57]));
    check(|hello| hello.seen = Bytes::from_static(&[1; 19]));
    check(|hello| hello.frame_bytes_max = 1000);
    check(|hello| hello.releases_open_max = 0);
    check(|hello| hello.window_bytes = 8 * 1024 * 1024);
}

#[test]
fn hellos_with_the_largest_numbers_are_taken() {
    let mut lone = Lone::new();
    lone.receive(Kind::Hello(wire::Hello {
        card_serial: u64::MAX,
        frame_bytes_max: u64::MAX,
        window_bytes: u64::MAX,
        releases_open_max: u64::MAX,
        cursor: Bytes::from_static(&[0xff; 56]),
        held_card_serial: u64::MAX,
        ledger_size: u64::MAX,
        seen: Bytes::from_static(&[0xff; 20]),
        ..hello()
    }));
    assert!(matches!(lone.take_all()[..], [Output::Greeted(_), Output::OpenJournal { cursor: None }]));
}

#[test]
fn frames_over_their_limit() {
    let mut lone = Lone::started(0);
    lone.give(Input::Received(vec![0x2a; FRAME_BYTES_MAX + 1].into()));
    lone.assert_closed(Code::MISBEHAVED);
    check_closes([offer(1, &some_ids(CONTROL_FRAME_BYTES_MAX / 32))], Code::MISBEHAVED);
    assert!(frame_length(&[0x81, 0x80, 0x80, 0x01]).is_err());
    assert!(frame_length(&[0xff; 10]).is_err());
}

#[test]
fn frames_that_are_not_one_message() {
    let check = |bytes: &[u8]| {
        let mut lone = Lone::started(0);
        lone.give(Input::Received(Bytes::copy_from_slice(bytes)));
        lone.assert_closed(Code::MISBEHAVED);
    };
    check(&[]);
    check(b"GET / HTTP/1.1\r\n\r\n");
    // An unknown kind, a number in place of a message, two acknowledgements, one that is cut, a length without end.
    check(&[0x82, 0]);
    check(&[0x82, 0x01, 0]);
    check(&[0x48, 1]);
    check(&[0x4a, 0, 0x4a, 0]);
    check(&[0x4a, 2, 0x0a]);
    check(&[0x4a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
}

#[test]
fn offers_outside_the_window() {
    let last = OFFERS_OPEN_MAX;
    for first in [0, last, u64::MAX, u64::MAX - 1] {
        check_closes([offer(first, &some_ids(2))], Code::MISBEHAVED);
    }
    let mut lone = Lone::started(0);
    lone.receive(offer(last, &some_ids(1)));
    assert!(matches!(lone.take_all()[..], [Output::CheckReleases { .. }]));
}

#[test]
fn offers_that_are_empty_cut_or_too_long() {
    check_closes([offer(1, &[])], Code::MISBEHAVED);
    check_closes([offer(1, &some_ids(OFFER_IDS_MAX + 1))], Code::MISBEHAVED);
    let ids = Bytes::from_static(&[1; 33]);
    check_closes([Kind::Offer(Offer { first: 1, ids })], Code::MISBEHAVED);
}

#[test]
fn an_entry_offered_twice() {
    let ids = some_ids(3);
    check_closes([offer(1, &ids), offer(3, &ids[2..])], Code::MISBEHAVED);
}

#[test]
fn manifests_outside_the_window() {
    check_closes([Kind::Manifest(manifest(0, &three()))], Code::MISBEHAVED);
}

#[test]
fn an_open_release_that_is_gone_is_dropped() {
    let parcel = three();
    let mut lone = wanting(&parcel);
    lone.receive(bodies(1, &parcel.bodies[..2]));
    assert!(lone.session.in_flight().bytes_in > 0);
    lone.receive(gone(1, parcel.id()));
    let held = lone.session.in_flight();
    assert_eq!((held.releases_in, held.bytes_in, held.entries_in), (0, 0, 0));
    let outputs = lone.take_all();
    let [came, gone, Output::Send { .. }, Output::SaveCursor(cursor)] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(matches!(came, Output::BodiesCame { index: 1, bodies: 2 }));
    assert!(matches!(gone, Output::BodiesGone { index: 1 }));
    assert_eq!(cursor.index, 1);
    lone.receive(bodies(1, &parcel.bodies[2..]));
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn gone_with_another_id_a_cut_id_or_an_index_that_cannot_be() {
    let parcel = three();
    let mut lone = wanting(&parcel);
    lone.receive(gone(1, some_ids(1)[0]));
    lone.assert_closed(Code::MISBEHAVED);
    check_closes([gone(0, parcel.id())], Code::MISBEHAVED);
    let id = Bytes::from_static(&[1; 31]);
    check_closes([Kind::Gone(Gone { index: 1, id })], Code::MISBEHAVED);
}

/// The same entry could be gone without end, each time with a frame and a cursor to store.
#[test]
fn gone_twice() {
    let id = some_ids(1)[0];
    check_closes([gone(2, id), gone(2, id)], Code::MISBEHAVED);
}

#[test]
fn a_release_that_came_cannot_be_gone() {
    let parcel = three();
    let mut lone = Lone::started(0);
    lone.receive(Kind::Manifest(whole(2, &parcel)));
    lone.take_all();
    lone.receive(gone(2, parcel.id()));
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn a_wanted_release_that_is_gone_is_not_waited_for() {
    let ids = some_ids(2);
    let mut lone = Lone::started(0);
    lone.receive(offer(1, &ids));
    lone.give(Input::ReleasesKnown { first: 1, known: vec![false, false] });
    lone.take_all();
    lone.receive(gone(1, ids[0]));
    let outputs = lone.take_all();
    assert!(matches!(outputs[..], [Output::Send { .. }, Output::SaveCursor(cursor)] if cursor.index == 1));
    assert_eq!(lone.session.progress().received, 1);
}

/// Entry after entry could be named and gone, each time with one more question in our own store's queue.
#[test]
fn gone_while_we_find_out_what_we_hold() {
    let ids = some_ids(2);
    check_closes([offer(1, &ids), gone(1, ids[0])], Code::MISBEHAVED);
    let parcel = three();
    check_closes([Kind::Manifest(manifest(1, &parcel)), gone(1, parcel.id())], Code::MISBEHAVED);
}
