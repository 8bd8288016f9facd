//! Contents that are named by how their ids begin: what is taken for held by that and is something else is found out,
//! and costs no more than its bodies.

use std::time::Duration;

use bytes::Bytes;
use mithaq_core::{
    code::Code,
    id::{ContentId, ContentPrefix},
    receipt::Status,
};
use mithaq_sync::{
    Channel, Input, Output,
    wire::{Kind, Manifest, WantBodies},
};

use crate::{
    fixtures::{Parcel, cert, decode, object, parcel, parcel_of},
    hostile_source::{bodies, check_closes, three, wanting},
    lone::{Lone, group, join, manifest, whole},
    node::Store,
    pair::{Pair, World},
};

/// Another content whose id begins as this one does.
pub(crate) fn twin(of: ContentId) -> ContentId {
    let mut bytes = of.as_bytes().map(|byte| !byte);
    bytes[..ContentPrefix::BYTES].copy_from_slice(of.prefix().as_bytes());
    ContentId::from_bytes(bytes)
}

impl Store {
    /// The one content here that begins so.
    pub(crate) fn content_with(&self, prefix: ContentPrefix) -> Option<ContentId> {
        let mut first = [0; 32];
        first[..ContentPrefix::BYTES].copy_from_slice(prefix.as_bytes());
        let bodies = self.bodies.range(ContentId::from_bytes(first)..).map(|(content, _)| *content);
        let alike = bodies.take_while(|content| content.prefix() == prefix);
        match alike.chain(self.twins.get(&prefix).copied()).collect::<Vec<_>>()[..] {
            [content] => Some(content),
            _ => None,
        }
    }
}

/// Two objects whose content ids begin alike, the lower id first.
fn alike() -> [Vec<u8>; 2] {
    let mut lines = include_str!("../../../../tests/vectors/alike.jsonl").lines();
    std::array::from_fn(|_| lines.next().unwrap().into())
}

/// A sink to which a release was sent as entry 1, and which takes these for held.
fn holding(parcel: &Parcel, held: &[Option<ContentId>]) -> Lone {
    let mut lone = Lone::started(0);
    lone.receive(Kind::Manifest(manifest(1, parcel)));
    assert!(matches!(lone.take_all()[..], [Output::CheckBodies { index: 1, .. }]));
    lone.give(Input::BodiesHeld { index: 1, held: held.to_vec() });
    lone
}

/// Checks that these bodies are asked for, perhaps after others came.
fn check_wants(lone: &mut Lone, bits: u8) {
    let outputs = lone.take_all();
    let ([Output::Send { channel: Channel::Control, frame }]
    | [Output::Send { channel: Channel::Control, frame }, Output::BodiesCame { index: 1, .. }]) = &outputs[..]
    else {
        panic!("{outputs:?}")
    };
    assert_eq!(decode(frame), want(bits));
}

fn check_stores(lone: &mut Lone, parcel: &Parcel, brought: usize) {
    let outputs = lone.take_all();
    let [Output::Store { index: 1, release, bodies, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((&**release, bodies.len()), (&parcel.release, brought));
    lone.give(Input::Stored { entries: vec![(1, Status::Received)] });
    assert!(matches!(lone.take_frame(), (Channel::Control, Kind::Ack(_))));
    let progress = lone.session.progress();
    let deduplicated = (parcel.bodies.len() - brought) as u64;
    assert_eq!((progress.objects_received, progress.objects_deduplicated), (brought as u64, deduplicated));
}

#[test]
fn what_is_held_is_not_asked_for() {
    let parcel = three();
    let [first, _, third] = parcel.release.contents() else { panic!("not three") };
    let mut lone = holding(&parcel, &[Some(*first), None, Some(*third)]);
    check_wants(&mut lone, 0b010);
    lone.receive(bodies(1, &parcel.bodies[1..2]));
    check_stores(&mut lone, &parcel, 1);
}

#[test]
fn what_begins_alike_and_is_something_else_is_asked_for_once_more() {
    let parcel = three();
    let [first, _, third] = parcel.release.contents() else { panic!("not three") };
    for held in [[Some(twin(*first)), None, Some(*third)], [Some(*first), None, Some(twin(*third))]] {
        let mut lone = holding(&parcel, &held);
        check_wants(&mut lone, 0b010);
        lone.receive(bodies(1, &parcel.bodies[1..2]));
        // Which of those that it took for held is another it cannot tell.
        check_wants(&mut lone, 0b101);
        lone.receive(bodies(1, &parcel.bodies[..1]));
        assert!(matches!(lone.take_all()[..], [Output::BodiesCame { index: 1, bodies: 1 }]));
        lone.receive(bodies(1, &parcel.bodies[2..]));
        check_stores(&mut lone, &parcel, 3);
    }
}

#[test]
fn where_nothing_was_asked_for_all_is() {
    let parcel = three();
    let contents = parcel.release.contents();
    let mut lone = holding(&parcel, &[Some(contents[0]), Some(twin(contents[1])), Some(contents[2])]);
    check_wants(&mut lone, 0b111);
    lone.receive(bodies(1, &parcel.bodies));
    check_stores(&mut lone, &parcel, 3);
}

/// What a store answers that is no answer counts as nothing held.
#[test]
fn what_does_not_begin_so_is_not_held() {
    let parcel = three();
    let mut lone = holding(&parcel, &[Some(ContentId::of(b"x")), None]);
    check_wants(&mut lone, 0b111);
    lone.receive(bodies(1, &parcel.bodies));
    check_stores(&mut lone, &parcel, 3);
}

#[test]
fn a_body_that_does_not_begin_as_it_should() {
    let parcel = three();
    let ids = parcel.release.contents();
    let check = |contents: &[ContentId]| {
        let frame = Manifest { contents: join(contents), ..manifest(1, &parcel) };
        let mut lone = Lone::started(0);
        lone.receive(Kind::Manifest(frame));
        lone.give(Input::BodiesHeld { index: 1, held: Vec::new() });
        assert_eq!(lone.take_all().len(), 2);
        lone.receive(bodies(1, &parcel.bodies));
        lone.assert_closed(Code::BAD_RELEASE);
    };
    check(&[ids[0], ids[0], ids[1]]);
    let mut last = *ids[2].as_bytes();
    last[ContentPrefix::BYTES - 1] ^= 1;
    check(&[ids[0], ids[1], ContentId::from_bytes(last)]);
}

/// A release whose signature is good, named by the contents of another.
#[test]
fn bodies_that_begin_as_they_were_named_and_are_not_those_that_were_signed() {
    let (signed, others) = (three(), parcel_of(&cert(2), 10, 3, 400));
    let contents = others.release.contents();
    for held in [[None; 3], [Some(contents[0]), None, None], [0, 1, 2].map(|place: usize| Some(contents[place]))] {
        let mut lone = Lone::started(0);
        lone.receive(Kind::Manifest(Manifest { contents: join(contents), ..manifest(1, &signed) }));
        lone.take_all();
        lone.give(Input::BodiesHeld { index: 1, held: held.to_vec() });
        let lacking: Vec<_> = others.bodies.iter().zip(held).filter(|(_, held)| held.is_none()).collect();
        let asked_first: Vec<_> = lacking.iter().map(|(body, _)| (*body).clone()).collect();
        let held_bodies: Vec<_> = others.bodies.iter().zip(held).filter(|(_, held)| held.is_some()).collect();
        let asked_again: Vec<_> = held_bodies.iter().map(|(body, _)| (*body).clone()).collect();
        for asked in [asked_first, asked_again].iter().filter(|asked| !asked.is_empty()) {
            assert!(matches!(lone.take_all()[0], Output::Send { channel: Channel::Control, .. }));
            lone.receive(bodies(1, asked));
        }
        lone.assert_closed(Code::BAD_RELEASE);
    }
}

#[test]
fn bodies_inline_are_those_that_were_signed() {
    let (parcel, others) = (three(), parcel_of(&cert(2), 10, 3, 400));
    let with = |bodies: &[Vec<u8>]| Kind::Manifest(Manifest { bodies: group(bodies), ..whole(1, &parcel) });
    let mut lone = Lone::started(0);
    lone.receive(with(&parcel.bodies));
    check_stores(&mut lone, &parcel, 3);
    check_closes([with(&others.bodies)], Code::BAD_RELEASE);
    let [first, second, third] = &parcel.bodies[..] else { panic!("not three") };
    check_closes([with(&[first.clone(), third.clone(), second.clone()])], Code::BAD_RELEASE);
    check_closes([with(&[first.clone(), first.clone(), second.clone()])], Code::BAD_RELEASE);
    check_closes([with(&[first.clone(), second.clone()])], Code::BAD_RELEASE);
    check_closes([with(&[&parcel.bodies[..], &others.bodies[..1]].concat())], Code::BAD_RELEASE);
    let beside = Manifest { contents: join(parcel.release.contents()), ..whole(1, &parcel) };
    check_closes([Kind::Manifest(beside)], Code::MISBEHAVED);
}

#[test]
fn lists_of_contents_of_the_wrong_shape() {
    let parcel = three();
    let honest = manifest(1, &parcel);
    for length in [1, 8, 23, 25] {
        let contents = Bytes::from(vec![0; length]);
        let code = if length == 8 { Code::BAD_RELEASE } else { Code::MISBEHAVED };
        check_closes([Kind::Manifest(Manifest { contents, ..honest.clone() })], code);
    }
}

/// A source that was asked for the first of three bodies as entry 1 and has sent it.
fn sent_first() -> Lone {
    let mut lone = Lone::started(1);
    let parcel = parcel_of(&cert(1), 1, 3, 40_000);
    lone.give(Input::JournalRead { ids: vec![parcel.id()] });
    lone.take_all();
    lone.receive(crate::lone::want(1, &[1], 1));
    let release = Some(parcel.release.signed().clone());
    lone.give(Input::ReleaseLoaded { index: 1, release, card: None, inline: None });
    lone.take_all();
    lone.receive(want(0b001));
    assert!(matches!(&lone.take_all()[..], [Output::LoadBodies { contents, .. }] if contents.len() == 1));
    lone.give(Input::BodiesLoaded { index: 1, bodies: parcel.bodies[..1].to_vec() });
    lone.take_all();
    lone
}

fn want(bits: u8) -> Kind {
    Kind::WantBodies(WantBodies { index: 1, bitmap: Bytes::copy_from_slice(&[bits]) })
}

#[test]
fn a_source_sends_the_rest_once_and_nothing_twice() {
    let mut lone = sent_first();
    lone.receive(want(0b110));
    assert!(matches!(&lone.take_all()[..], [Output::LoadBodies { contents, .. }] if contents.len() == 2));
    let rest = parcel_of(&cert(1), 1, 3, 40_000).bodies[1..].to_vec();
    lone.give(Input::BodiesLoaded { index: 1, bodies: rest });
    assert!(matches!(lone.take_frame(), (Channel::Backfill, Kind::Bodies(_))));
    for bits in [0b111, 0b110, 0b001, 0] {
        let mut lone = sent_first();
        lone.receive(want(0b110));
        lone.take_all();
        lone.receive(want(bits));
        lone.assert_closed(Code::MISBEHAVED);
    }
}

#[test]
fn a_second_want_that_is_not_of_the_rest() {
    for bits in [0, 0b001, 0b010, 0b100, 0b011, 0b101, 0b111] {
        let mut lone = sent_first();
        lone.receive(want(bits));
        lone.assert_closed(Code::MISBEHAVED);
    }
}

#[test]
fn a_sink_that_is_sent_more_than_it_asked_for() {
    let parcel = three();
    let mut lone = wanting(&parcel);
    lone.receive(bodies(1, &[&parcel.bodies[..], &parcel.bodies[..1]].concat()));
    lone.assert_closed(Code::MISBEHAVED);
}

/// A pair of which the second side holds twins of some of what the first releases, cut again and again.
#[test]
fn twins_cost_their_bodies_and_no_more_over_cuts() {
    for cuts in 0..25 {
        let mut pair = Pair::new(World { seed: cuts, answer: Duration::from_millis(3), ..World::default() });
        let mut parcels = Vec::new();
        for number in 0..6 {
            let objects = (0..8).map(|place| object(10 * number + place, 400)).collect();
            parcels.push(parcel(&cert(1), objects));
        }
        for (place, parcel) in parcels.iter().enumerate() {
            let contents = parcel.release.contents();
            let store = &mut pair.nodes[1].store;
            store.bodies.extend(contents[4..6].iter().copied().zip(parcel.bodies[4..6].iter().cloned()));
            store.twins.extend(contents[..place].iter().take(3).map(|content| (content.prefix(), twin(*content))));
            pair.push(0, parcel);
        }
        pair.connect();
        for _ in 0..cuts {
            (0..40).for_each(|_| _ = pair.step());
            pair.hang_up();
            pair.connect();
        }
        pair.run();
        pair.assert_converged();
        pair.assert_nothing_else();
        assert!(parcels.iter().all(|parcel| pair.nodes[1].store.releases.contains_key(&parcel.id())));
    }
}

/// What a node with these bodies makes of a release of those: how often it asks, and for how many.
fn asked(held: &[&Vec<u8>], released: &[&Vec<u8>]) -> Vec<u32> {
    let mut pair = Pair::new(World::default());
    let bodies = held.iter().map(|body| (ContentId::of(body), (*body).clone()));
    pair.nodes[1].store.bodies.extend(bodies);
    let other = object(1, 40_000);
    let parcel = parcel(&cert(1), released.iter().copied().chain([&other]).cloned().collect());
    pair.push(0, &parcel);
    pair.connect();
    pair.run();
    pair.assert_converged();
    let store = &pair.nodes[1].store;
    assert!(store.releases.contains_key(&parcel.id()));
    assert!(parcel.release.contents().iter().zip(&parcel.bodies).all(|(id, body)| store.bodies.get(id) == Some(body)));
    let wants = pair.nodes[1].sent.frames.iter().filter_map(|(_, kind)| match kind {
        Kind::WantBodies(want) => Some(want.bitmap.iter().map(|byte| byte.count_ones()).sum()),
        _ => None,
    });
    wants.collect()
}

#[test]
fn objects_that_begin_alike_arrive_whatever_is_held() {
    let [low, high] = &alike();
    assert!(low != high && ContentId::of(low).prefix() == ContentId::of(high).prefix());
    for (one, other) in [(low, high), (high, low)] {
        assert_eq!(asked(&[], &[one]), [2]);
        assert_eq!(asked(&[], &[low, high]), [3]);
        assert_eq!(asked(&[one], &[one]), [1]);
        // It takes the one for the other, or for both, until it sees that they do not fit.
        assert_eq!(asked(&[one], &[other]), [1, 1]);
        assert_eq!(asked(&[one], &[low, high]), [1, 2]);
        // Of two it cannot tell which is meant.
        assert_eq!(asked(&[low, high], &[one]), [2]);
        assert_eq!(asked(&[low, high], &[low, high]), [3]);
    }
}
