//! Trees of third origins, as one session sees them: what a source offers in place of sending, and what a sink asks for late.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use mithaq_core::{code::Code, id::CertId, receipt::Status, release::ReleaseDraft};
use mithaq_sync::{
    Branch, Channel, Input, LAZY_ANSWER_MAX, LAZY_WAIT, Late, Manner, OFFERS_OPEN_MAX, Output, Session, Setup,
    wire::{Kind, Manifest, Offer, Tree},
};

use crate::{
    fixtures::{Cert, Parcel, at, cert, green, parcel_of, setup, wall},
    lone::{Lone, group, hello, manifest, want},
};

fn third() -> CertId {
    cert(3).card.cert_id()
}

fn tree(eager: bool) -> Kind {
    Kind::Tree(Tree { origin: Bytes::copy_from_slice(third().as_bytes()), eager })
}

fn lazy_offer(index: u64, parcel: &Parcel) -> Kind {
    Kind::Offer(Offer { first: index, ids: Bytes::copy_from_slice(parcel.id().as_bytes()), lazy: true })
}

/// A release of this CERT by number.
fn of(cert: &Cert, number: u64) -> Parcel {
    parcel_of(cert, 10 * number, 1, 400)
}

/// The frames among outputs.
fn frames(lone: &mut Lone) -> Vec<(Channel, Kind)> {
    let frame = |output| match output {
        Output::Send { channel, frame } => Some((channel, crate::fixtures::decode(&frame))),
        _ => None,
    };
    lone.take_all().into_iter().filter_map(frame).collect()
}

/// A source whose peer is up to date, and takes this entry unasked.
fn live(pruned: bool) -> Lone {
    let mut lone = Lone::started(0);
    if pruned {
        lone.receive(tree(false));
    }
    lone
}

/// The journal grows by an entry, which is loaded; what goes out for it.
fn grow(lone: &mut Lone, index: u64, cert: &Cert, parcel: &Parcel) -> Vec<(Channel, Kind)> {
    lone.give(Input::JournalGrew { head: index });
    lone.give(Input::JournalRead { ids: vec![parcel.id()] });
    lone.take_all();
    load(lone, index, cert, parcel)
}

fn load(lone: &mut Lone, index: u64, origin: &Cert, parcel: &Parcel) -> Vec<(Channel, Kind)> {
    let is_third = origin.card.cert_id() != cert(1).card.cert_id();
    lone.give(Input::ReleaseLoaded {
        index,
        release: Some(parcel.release.signed().clone()),
        card: is_third.then(|| Arc::clone(&origin.card)),
        inline: Some(parcel.bodies.clone()),
    });
    frames(lone)
}

#[test]
fn what_the_sink_has_pruned_is_offered_and_sent_live_once_it_is_wanted() {
    let (three, parcel) = (cert(3), of(&cert(3), 1));
    let mut lone = live(true);
    assert_eq!(lone.session.progress().pruned, 1);
    assert_eq!(grow(&mut lone, 1, &three, &parcel), [(Channel::Control, lazy_offer(1, &parcel))]);
    lone.receive(want(1, &[1], 1));
    assert!(matches!(lone.take_all()[..], [Output::LoadRelease { index: 1, inline: true, .. }]));
    let sent = load(&mut lone, 1, &three, &parcel);
    assert!(matches!(&sent[..], [(Channel::Live, Kind::Manifest(sent))] if !sent.bodies.is_empty()), "{sent:?}");
}

#[test]
fn what_the_sink_has_meanwhile_is_done_with() {
    let (three, parcel) = (cert(3), of(&cert(3), 1));
    let mut lone = live(true);
    grow(&mut lone, 1, &three, &parcel);
    assert_eq!(lone.session.progress().lag, 1);
    lone.receive(want(1, &[0], 1));
    assert_eq!((lone.session.progress().lag, lone.session.in_flight().releases_out), (0, 0));
    // Nothing of it is left that would count against what comes.
    for index in 2..200 {
        let parcel = of(&three, index);
        assert_eq!(grow(&mut lone, index, &three, &parcel).len(), 1, "entry {index}");
        lone.receive(want(index, &[0], 1));
    }
}

#[test]
fn grafted_it_goes_unasked_again() {
    let three = cert(3);
    let mut lone = live(true);
    lone.receive(tree(true));
    assert_eq!(lone.session.progress().pruned, 0);
    let sent = grow(&mut lone, 1, &three, &of(&three, 1));
    assert!(matches!(sent[..], [(Channel::Live, Kind::Manifest(_))]), "{sent:?}");
}

#[test]
fn only_the_pruned_origin_is_offered_and_nothing_that_takes_back() {
    let three = cert(3);
    let mut lone = live(true);
    let draft = |contents| ReleaseDraft {
        kind: mithaq_core::release::Kind::Withdraw,
        ..ReleaseDraft::publish(green(), contents, wall())
    };
    let withdrawal = crate::cast::signed(&three, of(&three, 3).bodies, draft);
    let entries = [(cert(1), of(&cert(1), 1)), (cert(4), of(&cert(4), 2)), (three, withdrawal)];
    for (index, (origin, parcel)) in (1..).zip(&entries) {
        let sent = grow(&mut lone, index, origin, parcel);
        assert!(matches!(sent[..], [(_, Kind::Manifest(_))]), "{index}: {sent:?}");
    }
}

#[test]
fn a_session_that_takes_its_time_with_lazy_offers_is_still_sent_what_is_fresh() {
    let (one, three) = (cert(1), cert(3));
    let mut lone = live(true);
    for index in 1..=150 {
        grow(&mut lone, index, &three, &of(&three, index));
    }
    let sent = grow(&mut lone, 151, &one, &of(&one, 151));
    assert!(matches!(sent[..], [(Channel::Live, Kind::Manifest(_))]), "{sent:?}");
}

#[test]
fn an_origin_of_the_wrong_length() {
    let mut lone = live(false);
    lone.receive(Kind::Tree(Tree { origin: Bytes::from_static(&[3; 31]), eager: false }));
    lone.assert_closed(Code::MISBEHAVED);
}

/// A sink that takes releases of others.
fn sink() -> Lone {
    let mut lone = Lone::new();
    let setup = Setup { third_party: true, ..setup(1, &lone.peer, None) };
    lone.session = Session::new(setup, at(lone.now));
    lone.receive(Kind::Hello(hello()));
    lone.receive(Kind::Start(mithaq_sync::wire::Start { after: 0 }));
    lone.give(Input::JournalOpened { after: 0, head: 0 });
    lone.take_all();
    lone
}

/// The same, which was offered a release lazily and does not have it.
fn offered(parcel: &Parcel) -> Lone {
    let mut lone = sink();
    lone.receive(lazy_offer(1, parcel));
    assert!(matches!(lone.take_all()[..], [Output::CheckReleases { first: 1, .. }]));
    lone.give(Input::ReleasesKnown { first: 1, known: vec![false] });
    assert!(lone.take_all().is_empty(), "it is not answered at once");
    lone
}

/// Lets time pass until the session is due.
fn wake(lone: &mut Lone) -> Vec<Output> {
    let due = lone.session.wakes_at().unwrap();
    lone.now = due - Duration::from_millis(1);
    lone.give(Input::Tick);
    assert!(lone.take_all().is_empty(), "too early");
    lone.now = due;
    lone.give(Input::Tick);
    lone.take_all()
}

fn claimed(lone: &mut Lone, late: Late) {
    assert!(matches!(wake(lone)[..], [Output::ClaimRelease { index: 1, .. }]));
    lone.give(Input::ReleaseClaimed { index: 1, late });
}

fn stored_as(lone: &mut Lone) -> Manner {
    let manner = |output| if let Output::Store { manner, .. } = output { Some(manner) } else { None };
    lone.take_all().into_iter().find_map(manner).unwrap()
}

fn inline(index: u64, parcel: &Parcel) -> Kind {
    let card = cert(3).card.envelope().to_json().into();
    Kind::Manifest(Manifest { bodies: group(&parcel.bodies), card, ..manifest(index, parcel) })
}

#[test]
fn what_was_offered_lazily_and_has_not_come_is_asked_for_late() {
    let parcel = of(&cert(3), 1);
    let mut lone = offered(&parcel);
    claimed(&mut lone, Late::Wanted);
    assert_eq!(lone.now, LAZY_WAIT);
    assert_eq!(lone.take_frame(), (Channel::Control, want(1, &[1], 1)));
    assert_eq!(lone.session.wakes_at(), None);
    lone.receive(inline(1, &parcel));
    assert_eq!(stored_as(&mut lone), Manner::AskedLate);
    lone.receive(inline(2, &of(&cert(3), 2)));
    assert_eq!(stored_as(&mut lone), Manner::Unasked);
}

#[test]
fn what_has_come_from_elsewhere_is_not_asked_for() {
    let mut lone = offered(&of(&cert(3), 1));
    claimed(&mut lone, Late::Held);
    let mut outputs = lone.take_all();
    assert!(matches!(outputs.pop(), Some(Output::SaveCursor(cursor)) if cursor.index == 1));
    // One that is held already is answered at once.
    let mut lone = sink();
    lone.receive(lazy_offer(1, &of(&cert(3), 1)));
    lone.take_all();
    lone.give(Input::ReleasesKnown { first: 1, known: vec![true] });
    assert_eq!(frames(&mut lone), [(Channel::Control, want(1, &[0], 1))]);
}

#[test]
fn while_another_was_asked_it_waits_on_but_not_for_ever() {
    let mut lone = offered(&of(&cert(3), 1));
    while lone.now + LAZY_WAIT < LAZY_ANSWER_MAX {
        claimed(&mut lone, Late::Elsewhere);
        assert!(lone.take_all().is_empty());
    }
    claimed(&mut lone, Late::Elsewhere);
    assert_eq!(lone.take_frame(), (Channel::Control, want(1, &[1], 1)));
}

#[test]
fn who_was_asked_too_soon_is_given_more_time() {
    let mut lone = offered(&of(&cert(3), 1));
    lone.give(Input::Placed { origin: third(), branch: Branch::Hasty });
    let waits = |lone: &mut Lone, index: u64| {
        lone.receive(lazy_offer(index, &of(&cert(3), index)));
        lone.take_all();
        let now = lone.now;
        lone.give(Input::ReleasesKnown { first: index, known: vec![false] });
        lone.session.wakes_at().unwrap().saturating_sub(now)
    };
    claimed(&mut lone, Late::Wanted);
    lone.take_all();
    assert_eq!(waits(&mut lone, 2), 2 * LAZY_WAIT);
    lone.give(Input::Placed { origin: third(), branch: Branch::Grafted });
    assert_eq!(lone.take_frame(), (Channel::Control, tree(true)));
    lone.now += Duration::from_secs(60);
    lone.give(Input::Placed { origin: third(), branch: Branch::Pruned });
    assert_eq!(lone.take_frame(), (Channel::Control, tree(false)));
}

#[test]
fn lazy_offers_lie_where_what_comes_unasked_may_lie() {
    let mut lone = sink();
    let far = OFFERS_OPEN_MAX + 100;
    lone.receive(lazy_offer(far, &of(&cert(3), 1)));
    lone.give(Input::ReleasesKnown { first: far, known: vec![true] });
    let outputs = lone.take_all();
    assert!(matches!(outputs[..], [Output::CheckReleases { .. }, Output::Send { .. }]), "{outputs:?}");
    lone.receive(inline(1, &of(&cert(3), 2)));
    assert_eq!(stored_as(&mut lone), Manner::Unasked);
    lone.give(Input::Stored { entries: vec![(1, Status::Received)] });
    assert_eq!(lone.session.progress().received, 1, "the cursor waits for what is between");
}

#[test]
fn a_lazy_offer_of_two() {
    let mut lone = sink();
    let ids = [of(&cert(3), 1).id(), of(&cert(3), 2).id()].iter().flat_map(|id| *id.as_bytes()).collect();
    lone.receive(Kind::Offer(Offer { first: 1, ids, lazy: true }));
    lone.assert_closed(Code::MISBEHAVED);
}
