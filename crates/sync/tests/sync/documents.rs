//! What is no release: documents, and releases that a peer passes on for others.

use bytes::Bytes;
use mithaq_core::{
    code::Code,
    notice::Notice,
    release::{Kind as ReleaseKind, ReleaseDraft, VerifiedRelease},
};
use mithaq_sync::{
    Channel, DOCUMENTS_OPEN_MAX, Input, Output, Session,
    wire::{Document, Kind, Manifest, Start},
};

use crate::{
    fixtures::{Cert, Parcel, at, cert, cert_with, green, parcel_of, setup, wall},
    lone::{Lone, hello, manifest, want, whole},
};

fn document(kind: u32) -> Kind {
    Kind::Document(Document { kind, body: Bytes::from_static(b"{}") })
}

#[test]
fn a_document_is_handed_over_and_another_sent() {
    let mut lone = Lone::greeted();
    lone.receive(document(7));
    assert!(matches!(&lone.take_all()[..], [Output::Document { kind: 7, body }] if body == "{}"));
    lone.give(Input::SendDocument { kind: 9, body: Bytes::from_static(b"[]") });
    let sent = Kind::Document(Document { kind: 9, body: Bytes::from_static(b"[]") });
    assert_eq!(lone.take_frame(), (Channel::Control, sent));
}

#[test]
fn a_document_before_the_hello() {
    let mut lone = Lone::new();
    lone.receive(document(1));
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn more_documents_than_are_dealt_with() {
    let mut lone = Lone::greeted();
    for _ in 0..DOCUMENTS_OPEN_MAX {
        lone.receive(document(1));
    }
    assert_eq!(lone.take_all().len(), DOCUMENTS_OPEN_MAX);
    lone.give(Input::DocumentTaken);
    lone.receive(document(1));
    assert!(matches!(lone.take_all()[..], [Output::Document { .. }]));
    lone.receive(document(1));
    lone.assert_closed(Code::MISBEHAVED);
}

/// A session of CERT 1 that takes releases of others from CERT 2.
fn relayed() -> Lone {
    let mut lone = Lone::new();
    let setup = mithaq_sync::Setup { third_party: true, ..setup(1, &lone.peer, None) };
    lone.session = Session::new(setup, at(lone.now));
    lone.receive(Kind::Hello(hello()));
    lone.receive(Kind::Start(Start { after: 0 }));
    lone.give(Input::JournalOpened { after: 0, head: 0 });
    lone.take_all();
    lone
}

fn of_a_third() -> Parcel {
    parcel_of(&cert(3), 1, 1, 400)
}

fn shown(number: u8) -> Bytes {
    cert(number).card.envelope().to_json().into()
}

fn inline(index: u64, card: Bytes) -> Kind {
    inline_of(index, card, &of_a_third())
}

fn inline_of(index: u64, card: Bytes, parcel: &Parcel) -> Kind {
    Kind::Manifest(Manifest { card, ..whole(index, parcel) })
}

#[test]
fn a_release_of_a_third_verifies_against_the_card_that_came_with_it() {
    let mut lone = relayed();
    lone.receive(inline(1, shown(3)));
    let outputs = lone.take_all();
    let Some(Output::Store { release, card: Some(card), .. }) = outputs.first() else { panic!("{outputs:?}") };
    assert_eq!((release.manifest().origin, card.cert_id()), (cert(3).card.cert_id(), cert(3).card.cert_id()));
    // A card is shown once on each stream.
    lone.receive(inline(2, Bytes::new()));
    assert!(matches!(lone.take_all()[..], [Output::Store { card: Some(_), .. }]));
}

#[test]
fn of_the_cards_of_a_third_the_newest_counts() {
    let mut lone = relayed();
    lone.receive(inline(1, shown(3)));
    // It signs with another key since, which its next card names; and the first card comes late on another stream.
    let (first, renewed) = (shown(3), cert_with(3, 2, 0x33));
    let card = renewed.card.envelope().to_json().into();
    lone.receive(inline_of(2, card, &parcel_of(&renewed, 2, 1, 400)));
    lone.receive(inline_of(3, first, &parcel_of(&renewed, 3, 1, 400)));
    let serials = lone.take_all().into_iter().filter_map(|output| match output {
        Output::Store { card, .. } => card.map(|card| card.card().serial),
        _ => None,
    });
    assert_eq!(serials.collect::<Vec<_>>(), [1, 2, 2]);
}

/// Whether the manifest that goes out with this card of a third carries the card.
fn is_shown_with(lone: &mut Lone, index: u64, card: &Cert) -> bool {
    let parcel = parcel_of(card, index, 1, 400);
    lone.give(Input::ReleaseLoaded {
        index,
        release: Some(parcel.release.signed().clone()),
        card: Some(std::sync::Arc::clone(&card.card)),
        inline: None,
    });
    loop {
        if let (_, Kind::Manifest(manifest)) = lone.take_frame() {
            return !manifest.card.is_empty();
        }
    }
}

#[test]
fn a_card_of_a_third_is_shown_once_and_again_when_it_is_newer() {
    let (first, renewed) = (cert(3), cert_with(3, 2, 0x33));
    let mut lone = Lone::started(3);
    let releases = [(1, &first), (2, &first), (3, &renewed)];
    let ids = releases.map(|(index, card)| parcel_of(card, index, 1, 400).release.id());
    lone.give(Input::JournalRead { ids: ids.to_vec() });
    lone.take_all();
    lone.receive(want(1, &[0b111], 3));
    lone.take_all();
    let shown = releases.map(|(index, card)| is_shown_with(&mut lone, index, card));
    assert_eq!(shown, [true, false, true]);
}

#[test]
fn a_release_of_a_third_without_its_card_or_with_another() {
    for card in [Bytes::new(), shown(4), Bytes::from_static(b"{}")] {
        let mut lone = relayed();
        lone.receive(inline(1, card));
        lone.assert_closed(Code::MISBEHAVED);
    }
}

#[test]
fn a_release_of_our_own_that_comes_back() {
    let mut lone = relayed();
    let parcel = parcel_of(&cert(1), 1, 1, 400);
    lone.receive(Kind::Manifest(Manifest { card: shown(1), ..manifest(1, &parcel) }));
    lone.assert_closed(Code::BAD_RELEASE);
}

#[test]
fn a_release_of_a_third_where_the_agreement_takes_none() {
    let mut lone = Lone::started(0);
    lone.receive(inline(1, shown(3)));
    lone.assert_closed(Code::BAD_RELEASE);
}

#[test]
fn a_withdrawal_of_a_third_where_the_agreement_takes_nothing_of_one_any_more() {
    let three = cert(3);
    let contents = of_a_third().release.contents().iter().copied().collect();
    let notice = Notice { contents, reason: String::new() }.to_body(wall()).unwrap();
    let label = notice.facts().own_label(green().tlp);
    let draft = ReleaseDraft { kind: ReleaseKind::Withdraw, ..ReleaseDraft::publish(label, vec![notice.id()], wall()) };
    let release = VerifiedRelease::sign(three.card.cert_id(), &three.signing, draft).unwrap();
    let parcel = Parcel { release, bodies: vec![notice.bytes().to_vec()] };
    let mut lone = Lone::started(0);
    lone.receive(Kind::Manifest(Manifest { card: shown(3), ..whole(1, &parcel) }));
    assert!(matches!(&lone.take_all()[..], [Output::Store { card: Some(_), .. }]));
}
