//! Releases and bodies that are not what they should be: nothing of them is stored.

use std::time::Duration;

use bytes::Bytes;
use mithaq_core::{
    body::Body,
    code::Code,
    id::ContentId,
    label::{Category, Label},
    stix::marking::Tlp,
};
use mithaq_sync::{
    GROUP_BYTES_MAX, Input, Output, RELEASES_OPEN_MAX, WINDOW_BYTES,
    wire::{Bodies, Kind, Manifest},
};

use crate::{
    fixtures::{Parcel, cert, object, parcel, parcel_at, parcel_of, wall},
    hostile_source::{bodies, check_closes, offer, some_ids, three, wanting},
    lone::{Lone, group, hello, join, manifest, whole},
};

const TLP_RED: &str = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1";

#[test]
fn a_release_of_another_origin() {
    let stranger = parcel_of(&cert(3), 1, 1, 400);
    check_closes([Kind::Manifest(manifest(1, &stranger))], Code::BAD_RELEASE);
}

#[test]
fn a_release_dated_in_the_future() {
    let check = |seconds| {
        let time = wall().plus(Duration::from_secs(seconds));
        parcel_at(&cert(2), vec![object(1, 400)], three().release.manifest().label.clone(), time)
    };
    check_closes([Kind::Manifest(manifest(1, &check(301)))], Code::BAD_RELEASE);
    let mut lone = Lone::started(0);
    lone.receive(Kind::Manifest(manifest(1, &check(299))));
    assert!(matches!(lone.take_all()[..], [Output::CheckBodies { .. }]));
}

#[test]
fn a_manifest_with_any_byte_flipped() {
    let parcel = three();
    let honest = manifest(1, &parcel);
    for position in 0..honest.manifest.len() {
        let mut bytes = honest.manifest.to_vec();
        bytes[position] ^= 1;
        let manifest = bytes.into();
        check_closes([Kind::Manifest(Manifest { manifest, ..honest.clone() })], Code::BAD_RELEASE);
    }
}

#[test]
fn a_signature_with_any_byte_flipped_or_cut() {
    let honest = manifest(1, &three());
    for position in 0..64 {
        let mut bytes = honest.signature.to_vec();
        bytes[position] ^= 0x10;
        let signature = bytes.into();
        check_closes([Kind::Manifest(Manifest { signature, ..honest.clone() })], Code::BAD_RELEASE);
    }
    let signature = honest.signature.slice(1..);
    check_closes([Kind::Manifest(Manifest { signature, ..honest })], Code::MISBEHAVED);
}

#[test]
fn contents_other_than_those_signed() {
    let parcel = three();
    let ids = parcel.release.contents();
    let check = |contents: &[ContentId], code| {
        let contents = join(contents);
        let honest = manifest(1, &parcel);
        check_closes([Kind::Manifest(Manifest { contents, ..honest })], code);
    };
    check(&[ids[1], ids[0], ids[2]], Code::MISBEHAVED);
    check(&ids[..2], Code::BAD_RELEASE);
    check(&[], Code::MISBEHAVED);
    check(&vec![ids[0]; 1001], Code::MISBEHAVED);
}

#[test]
fn another_release_than_was_offered() {
    let mut lone = Lone::started(0);
    lone.receive(offer(1, &some_ids(1)));
    lone.give(Input::ReleasesKnown { first: 1, known: vec![false] });
    lone.take_all();
    lone.receive(Kind::Manifest(manifest(1, &three())));
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn a_release_that_was_offered_and_is_held() {
    let parcel = three();
    let mut lone = Lone::started(0);
    lone.receive(offer(2, &[parcel.id()]));
    lone.give(Input::ReleasesKnown { first: 2, known: vec![true] });
    lone.take_all();
    lone.receive(Kind::Manifest(manifest(2, &parcel)));
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn the_same_manifest_twice() {
    let frame = Kind::Manifest(manifest(1, &three()));
    check_closes([frame.clone(), frame], Code::MISBEHAVED);
}

#[test]
fn manifests_without_end() {
    let frames = (1..).map(|index| {
        let parcel = parcel_of(&cert(2), index, 1, 300);
        Kind::Manifest(manifest(index, &parcel))
    });
    check_closes(frames.take(RELEASES_OPEN_MAX + 1), Code::MISBEHAVED);
}

/// Releases in the hands of the store used not to count: a slow store and tiny releases filled the memory.
#[test]
fn complete_releases_without_end() {
    let mut lone = Lone::started(0);
    for index in 1..=RELEASES_OPEN_MAX as u64 + 1 {
        let parcel = parcel_of(&lone.peer, index, 1, 300);
        lone.receive(Kind::Manifest(whole(index, &parcel)));
    }
    let outputs = lone.take_all();
    let stores = outputs.iter().filter(|output| matches!(output, Output::Store { .. }));
    assert_eq!(stores.count(), RELEASES_OPEN_MAX);
    assert!(matches!(outputs.last(), Some(Output::Close(fault)) if fault.code() == Code::MISBEHAVED));
    lone.assert_silent();
}

#[test]
fn bodies_that_were_not_asked_for() {
    let parcel = three();
    check_closes([bodies(1, &parcel.bodies)], Code::MISBEHAVED);
    let manifest = Kind::Manifest(manifest(1, &parcel));
    check_closes([manifest, bodies(1, &parcel.bodies)], Code::MISBEHAVED);
    let mut lone = wanting(&parcel);
    let mut more = parcel.bodies.clone();
    more.push(object(99, 400));
    lone.receive(bodies(1, &more));
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn bodies_after_the_last() {
    let parcel = three();
    let mut lone = wanting(&parcel);
    lone.receive(bodies(1, &parcel.bodies));
    assert!(matches!(lone.take_all()[..], [Output::Store { .. }]));
    lone.receive(bodies(1, &parcel.bodies));
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn bodies_with_other_bytes() {
    let parcel = three();
    let check = |position: usize, change: fn(&mut Vec<u8>)| {
        let mut lone = wanting(&parcel);
        let mut of = parcel.bodies.clone();
        change(&mut of[position]);
        lone.receive(bodies(1, &of));
        lone.assert_closed(Code::BAD_RELEASE);
    };
    for position in 0..3 {
        check(position, |body| body[20] ^= 1);
        check(position, |body| body.push(b' '));
        check(position, Vec::clear);
    }
    let mut lone = wanting(&parcel);
    lone.receive(bodies(1, &[parcel.bodies[1].clone()]));
    lone.assert_closed(Code::BAD_RELEASE);
}

/// What came in groups before it stays, as it does in a cut.
#[test]
fn of_a_group_that_is_refused_nothing_is_staged() {
    let parcel = three();
    let mut lone = wanting(&parcel);
    lone.receive(bodies(1, &parcel.bodies[..1]));
    assert!(matches!(lone.take_all()[..], [Output::BodiesCame { index: 1, bodies: 1 }]));
    lone.receive(bodies(1, &[parcel.bodies[1].clone(), object(99, 400)]));
    lone.assert_closed(Code::BAD_RELEASE);
    lone.session.abandon();
    let outputs = lone.take_all();
    let [Output::Stage(parts)] = &outputs[..] else { panic!("{outputs:?}") };
    let staged: Vec<ContentId> = parts.iter().flat_map(|part| &part.bodies).map(Body::id).collect();
    assert_eq!(staged, parcel.release.contents()[..1]);
}

/// What travels inline is held against the tree hash alone, as nothing names it beforehand.
#[test]
fn of_inline_bodies_that_were_not_signed_none_is_staged() {
    let parcel = three();
    let mut lone = Lone::started(0);
    let other = [&parcel.bodies[..2], &[object(99, 400)]].concat();
    lone.receive(Kind::Manifest(Manifest { bodies: group(&other), ..whole(1, &parcel) }));
    lone.assert_closed(Code::BAD_RELEASE);
    lone.session.abandon();
    let outputs = lone.take_all();
    assert!(outputs.is_empty(), "{outputs:?}");
}

#[test]
fn bodies_that_are_no_objects_or_not_canonical() {
    for body in [&b"{}"[..], b"nonsense", b"{\"type\": \"indicator\"}"] {
        let parcel = parcel(&cert(2), vec![body.to_vec()]);
        let mut lone = wanting(&parcel);
        lone.receive(bodies(1, &parcel.bodies));
        lone.assert_closed(Code::BAD_RELEASE);
    }
}

#[test]
fn a_red_body_in_a_green_release() {
    let body = String::from_utf8(object(1, 400)).unwrap();
    let red = format!("\"object_marking_refs\":[\"{TLP_RED}\"],\"pattern\"");
    let body = body.replacen("\"pattern\"", &red, 1);
    let red = parcel(&cert(2), vec![body.into_bytes()]);
    let mut lone = wanting(&red);
    lone.receive(bodies(1, &red.bodies));
    lone.assert_closed(Code::BAD_RELEASE);
}

#[test]
fn a_body_of_another_category_or_with_a_marking() {
    let label = Label::new(Tlp::Green, Category::Observable);
    let wrong = parcel_at(&cert(2), vec![object(1, 400)], label, wall());
    let mut lone = wanting(&wrong);
    lone.receive(bodies(1, &wrong.bodies));
    lone.assert_closed(Code::BAD_RELEASE);
}

#[test]
fn groups_that_are_bombs_empty_or_cut() {
    let parcel = three();
    let check = |group: Bytes| {
        let mut lone = wanting(&parcel);
        lone.receive(Kind::Bodies(Bodies { index: 1, group, ..Bodies::default() }));
        lone.assert_closed(Code::MISBEHAVED);
    };
    check(zstd::bulk::compress(&vec![0; 64 << 20], 19).unwrap().into());
    check(zstd::bulk::compress(&vec![0; GROUP_BYTES_MAX + 1], 3).unwrap().into());
    check(group(&[]));
    check(Bytes::new());
    check(Bytes::from_static(b"not zstd at all"));
    let whole = group(&parcel.bodies);
    check(whole.slice(..whole.len() - 5));
    // A frame that does not state how much it holds.
    check(zstd::stream::encode_all(&[0_u8; 100][..], 3).unwrap().into());
    // A skippable frame holds nothing.
    check(Bytes::from_static(&[0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7]));
}

#[test]
fn tiny_groups_without_end_end_with_the_release() {
    let parcel = parcel_of(&cert(2), 1, 100, 300);
    let mut lone = wanting(&parcel);
    for body in &parcel.bodies {
        lone.receive(bodies(1, std::slice::from_ref(body)));
    }
    let outputs = lone.take_all();
    let [came @ .., Output::Store { .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert!(came.iter().all(|output| matches!(output, Output::BodiesCame { index: 1, bodies: 1 })));
    assert_eq!(came.len(), 99, "the last is told by the release");
    lone.receive(bodies(1, &parcel.bodies[..1]));
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn a_fresh_release_with_some_bodies_missing_or_too_many_bytes() {
    let parcel = three();
    let with = |parcel: &Parcel, count: usize| {
        Kind::Manifest(Manifest { bodies: group(&parcel.bodies[..count]), ..whole(1, parcel) })
    };
    check_closes([with(&parcel, 2)], Code::BAD_RELEASE);
    let large = parcel_of(&cert(2), 1, 2, 40_000);
    check_closes([with(&large, 2)], Code::MISBEHAVED);
}

#[test]
fn a_release_larger_than_a_release_may_be() {
    let parcel = parcel_of(&cert(2), 1, 9, 1024 * 1024);
    let mut lone = wanting(&parcel);
    for body in &parcel.bodies {
        lone.receive(bodies(1, std::slice::from_ref(body)));
    }
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn more_bytes_than_the_window() {
    let mut lone = Lone::started(0);
    let mut sent = 0;
    let mut outputs = Vec::new();
    for index in 1..=3 {
        let parcel = parcel_of(&lone.peer, index * 10, 6, 1024 * 1024);
        lone.receive(Kind::Manifest(manifest(index, &parcel)));
        let held = vec![None; 6];
        lone.give(Input::BodiesHeld { index, held });
        for body in &parcel.bodies {
            lone.receive(bodies(index, std::slice::from_ref(body)));
            sent += body.len();
            assert!(lone.session.in_flight().bytes_in <= WINDOW_BYTES);
        }
        outputs.extend(lone.take_all());
    }
    assert!(sent > WINDOW_BYTES);
    assert!(matches!(outputs.last(), Some(Output::Close(fault)) if fault.code() == Code::MISBEHAVED));
    let stores = outputs.iter().filter(|output| matches!(output, Output::Store { .. }));
    assert_eq!(stores.count(), 2);
}

#[test]
fn what_was_verified_before_a_close_is_still_stored() {
    let parcel = three();
    let mut lone = wanting(&parcel);
    lone.receive(bodies(1, &parcel.bodies));
    lone.receive(Kind::Hello(hello()));
    let outputs = lone.take_all();
    assert!(matches!(outputs[..], [Output::Store { .. }, Output::Close(_)]));
    lone.assert_silent();
}
