//! Peers that ask for what they may not have, or acknowledge what they did not get: our source closes.

use bytes::Bytes;
use mithaq_core::{code::Code, id::ReleaseId};
use mithaq_sync::{
    Channel, EAGER_OPEN_MAX, Input, OFFERS_OPEN_MAX, Output, RELEASES_OPEN_MAX,
    wire::{Ack, Hello, Kind, WantBodies},
};

use crate::{
    fixtures::{Parcel, cert, parcel_of},
    lone::{Lone, hello, receipt, want},
};

fn want_bodies(index: u64, bits: &[u8]) -> Kind {
    let bitmap = Bytes::copy_from_slice(bits);
    Kind::WantBodies(WantBodies { index, bitmap })
}

fn ack(indexes: &[u64]) -> Kind {
    let indexes = indexes.to_vec();
    Kind::Ack(Ack { indexes, ..Ack::default() })
}

/// The release that [`offering`] names as entry 1.
const ENTRY: ReleaseId = ReleaseId::from_bytes([0; 32]);

/// What an unsigned acknowledgement has beside indexes nobody has signed.
#[test]
fn an_unsigned_acknowledgement_with_more_than_indexes() {
    let unsigned = Ack { indexes: vec![1], ..Ack::default() };
    let gone = || {
        let mut lone = offering(1);
        lone.receive(want(1, &[1], 1));
        lone.give(Input::ReleaseLoaded { index: 1, release: None, card: None, inline: None });
        lone.take_all();
        lone
    };
    for more in [
        Ack { statuses: vec![1].into(), ..unsigned.clone() },
        Ack { at: 1, ..unsigned.clone() },
        Ack { key: Bytes::from_static(&[7; 32]), ..unsigned.clone() },
    ] {
        let mut lone = gone();
        lone.receive(Kind::Ack(more));
        lone.assert_closed(Code::MISBEHAVED);
    }
    let mut lone = gone();
    lone.receive(Kind::Ack(unsigned));
    assert!(!lone.take_all().iter().any(|output| matches!(output, Output::Close(_))));
}

fn ours() -> Parcel {
    parcel_of(&cert(1), 1, 3, 400)
}

/// A session that has offered `count` entries.
fn offering(count: u8) -> Lone {
    let mut lone = Lone::started(u64::from(count) + 100);
    let ids = (0..count).map(|number| ReleaseId::from_bytes([number; 32]));
    let ids = ids.collect();
    lone.give(Input::JournalRead { ids });
    assert!(lone.take_all().iter().any(|output| matches!(output, Output::Send { channel: Channel::Control, .. })));
    lone
}

/// A session that has sent the manifest of [`ours`] as entry 1, without its bodies.
fn sent() -> Lone {
    let mut lone = offering(1);
    lone.receive(want(1, &[1], 1));
    lone.give(Input::ReleaseLoaded {
        index: 1,
        release: Some(ours().release.signed().clone()),
        card: None,
        inline: None,
    });
    assert_eq!(lone.take_all().len(), 2, "load, send");
    lone
}

fn check_closes(mut lone: Lone, frame: Kind) {
    lone.receive(frame);
    lone.assert_closed(Code::MISBEHAVED);
}

/// The number after the largest must not be computed: it ends the program.
#[test]
fn wants_of_what_was_not_offered() {
    for first in [0, 2, 9, u64::MAX - 1, u64::MAX] {
        check_closes(offering(8), want(first, &[0xff], 8));
        check_closes(offering(8), want(first, &[], 0));
    }
    check_closes(offering(8), want(1, &[0xff, 1], 9));
    check_closes(offering(8), want(1, &[1], 7));
    check_closes(offering(8), want(1, &[], 0));
    check_closes(offering(8), want(1, &[0xff; 1], u32::MAX));
}

#[test]
fn wants_before_our_journal_is_open() {
    for first in [0, 1, u64::MAX] {
        let mut lone = Lone::greeted();
        lone.receive(Kind::Start(mithaq_sync::wire::Start { after: 0 }));
        lone.take_all();
        lone.receive(want(first, &[], 0));
        lone.assert_closed(Code::MISBEHAVED);
    }
}

#[test]
fn bitmaps_of_the_wrong_length() {
    check_closes(offering(8), want(1, &[0xff, 0], 8));
    check_closes(offering(8), want(1, &[], 8));
    check_closes(offering(7), want(1, &[0xff], 7));
    check_closes(sent(), want_bodies(1, &[0xff]));
    check_closes(sent(), want_bodies(1, &[7, 0]));
    check_closes(sent(), want_bodies(1, &[]));
}

#[test]
fn the_same_offer_answered_twice() {
    let mut lone = offering(8);
    lone.receive(want(1, &[0], 8));
    lone.take_all();
    check_closes(lone, want(1, &[0], 8));
}

#[test]
fn bodies_of_a_release_that_was_not_sent() {
    for index in [0, 1, 2, u64::MAX] {
        check_closes(offering(2), want_bodies(index, &[7]));
    }
}

#[test]
fn bodies_wanted_twice() {
    let mut lone = sent();
    lone.receive(want_bodies(1, &[1]));
    assert!(matches!(lone.take_all()[..], [Output::LoadBodies { .. }]));
    check_closes(lone, want_bodies(1, &[1]));
    let mut later = sent();
    later.receive(want_bodies(1, &[1]));
    later.take_all();
    check_closes(later, want_bodies(1, &[0]));
}

#[test]
fn bodies_that_came_with_the_manifest() {
    let mut lone = Lone::started(0);
    lone.give(Input::JournalGrew { head: 1 });
    let ids = vec![ENTRY];
    lone.give(Input::JournalRead { ids });
    lone.give(Input::ReleaseLoaded {
        index: 1,
        release: Some(ours().release.signed().clone()),
        card: None,
        inline: Some(ours().bodies),
    });
    lone.take_all();
    check_closes(lone, want_bodies(1, &[7]));
}

#[test]
fn acknowledgements_of_what_was_not_sent() {
    for index in [0, 1, 2, 99, u64::MAX] {
        check_closes(offering(2), ack(&[index]));
    }
    check_closes(sent(), ack(&[1]));
    check_closes(sent(), Kind::Ack(receipt(&[(1, ENTRY), (2, ENTRY)])));
    let twice = Ack { indexes: vec![1, 1], statuses: vec![1, 1].into(), ..receipt(&[(1, ENTRY)]) };
    check_closes(sent(), Kind::Ack(twice));
}

#[test]
fn an_acknowledgement_before_the_bodies_that_were_asked_for() {
    let mut lone = sent();
    lone.receive(want_bodies(1, &[7]));
    lone.take_all();
    check_closes(lone, Kind::Ack(receipt(&[(1, ENTRY)])));
}

#[test]
fn a_receipt_that_was_changed_anywhere_is_refused() {
    let good = receipt(&[(1, ENTRY)]);
    let flipped = |bytes: &Bytes| {
        let mut bytes = bytes.to_vec();
        bytes[5] ^= 1;
        Bytes::from(bytes)
    };
    let other = [
        Ack { at: good.at + 1, ..good.clone() },
        Ack { statuses: vec![2].into(), ..good.clone() },
        Ack { signature: flipped(&good.signature), ..good.clone() },
        Ack { key: flipped(&good.key), ..good.clone() },
        receipt(&[(1, ReleaseId::from_bytes([9; 32]))]),
    ];
    for ack in other {
        let mut lone = sent();
        lone.receive(Kind::Ack(ack));
        lone.assert_closed(Code::RECEIPT);
    }
    for statuses in [Bytes::new(), vec![0].into(), vec![9].into(), vec![1, 1].into()] {
        check_closes(sent(), Kind::Ack(Ack { statuses, ..good.clone() }));
    }
}

#[test]
fn a_release_whose_bodies_are_held_is_acknowledged_without_asking() {
    let mut lone = sent();
    lone.receive(Kind::Ack(receipt(&[(1, ENTRY)])));
    assert_eq!(lone.session.in_flight().releases_out, 0);
    let outputs = lone.take_all();
    assert!(outputs.iter().any(|output| matches!(output, Output::Receipt(_))), "{outputs:?}");
    assert_eq!(lone.session.progress().sent, 1);
}

#[test]
fn a_withdrawn_release_takes_its_place_until_it_is_confirmed() {
    let mut lone = offering(1);
    lone.receive(want(1, &[1], 1));
    lone.give(Input::ReleaseLoaded { index: 1, release: None, card: None, inline: None });
    assert_eq!(lone.session.in_flight().entries_out, 1);
    lone.receive(ack(&[1]));
    assert_eq!(lone.session.in_flight().entries_out, 0);
    lone.take_all();
    check_closes(lone, ack(&[1]));
}

#[test]
fn a_peer_that_answers_nothing_gets_no_more_than_its_limits() {
    let mut lone = Lone::started(1_000_000);
    let mut offered = 0;
    loop {
        let outputs = lone.take_all();
        let reads = outputs.iter().any(|output| matches!(output, Output::ReadJournal { .. }));
        if !reads && offered > 0 {
            break;
        }
        let id = |number: u64| ReleaseId::from_bytes(mithaq_core::id::sha256(&number.to_be_bytes()));
        let ids: Vec<_> = (offered..offered + 1024).map(id).collect();
        offered += 1024;
        lone.give(Input::JournalRead { ids });
    }
    assert_eq!(offered, OFFERS_OPEN_MAX);
    for first in [1, 1025] {
        lone.receive(want(first, &[0xff; 128], 1024));
    }
    let small = parcel_of(&lone.peer, 1, 1, 400).release.signed().clone();
    let (sent, _) = lone.load_all(&small);
    assert_eq!(sent.len(), RELEASES_OPEN_MAX - EAGER_OPEN_MAX, "what is prompt still finds room");
}

#[test]
fn a_peer_with_smaller_limits_is_spared() {
    let mut lone = Lone::new();
    lone.receive(Kind::Hello(Hello { releases_open_max: 2, window_bytes: 10 * 1024 * 1024, ..hello() }));
    lone.receive(Kind::Start(mithaq_sync::wire::Start { after: 0 }));
    lone.give(Input::JournalOpened { after: 0, head: 9 });
    let ids = (0..9).map(|number| ReleaseId::from_bytes([number; 32]));
    lone.give(Input::JournalRead { ids: ids.collect() });
    lone.take_all();
    lone.receive(want(1, &[0xff, 1], 9));
    let loads = lone.take_all();
    assert!(
        matches!(loads[..], [Output::LoadRelease { index: 1, .. }, Output::LoadRelease { index: 2, .. }]),
        "{loads:?}"
    );
}

/// Otherwise parts of several releases could fill the window, with none of them complete.
#[test]
fn a_release_that_has_begun_is_finished_first() {
    let mut lone = offering(3);
    lone.receive(want(1, &[7], 3));
    let ours = [3, 2, 1].map(|index| {
        let parcel = parcel_of(&cert(1), index * 10, 2, 400);
        lone.give(Input::ReleaseLoaded {
            index,
            release: Some(parcel.release.signed().clone()),
            card: None,
            inline: None,
        });
        (index, parcel)
    });
    lone.take_all();
    let mut order = Vec::new();
    for (index, parcel) in &ours {
        lone.receive(want_bodies(*index, &[3]));
        let loaded = lone.take_all();
        if order.is_empty() {
            assert!(matches!(loaded[..], [Output::LoadBodies { index: 3, .. }]));
        }
        order.push(parcel.bodies.clone());
    }
    lone.give(Input::BodiesLoaded { index: 3, bodies: order[0][..1].to_vec() });
    let outputs = lone.take_all();
    assert!(
        matches!(&outputs[..], [Output::Send { .. }, Output::LoadBodies { index: 3, contents, .. }] if contents.len() == 1)
    );
}

#[test]
fn a_release_of_ours_that_is_too_large_is_passed_over() {
    let mut lone = sent();
    lone.receive(want_bodies(1, &[7]));
    lone.take_all();
    lone.give(Input::BodiesLoaded { index: 1, bodies: vec![vec![0; 9 << 20]] });
    let (_, frame) = lone.take_frame();
    assert!(matches!(frame, Kind::Gone(gone) if gone.index == 1));
}
