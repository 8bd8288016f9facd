//! Trees of third origins, as one session sees them: what a source offers in place of sending, and what a sink asks for
//! late.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use mithaq_core::{code::Code, id::CertId, receipt::Status, release::ReleaseDraft};
use mithaq_sync::{
    Branch, Channel, Input, LAZY_ANSWER_MAX, LAZY_REST, LAZY_REST_LONG, LAZY_SPAN, LAZY_WAIT, Late, Manner,
    OFFERS_OPEN_MAX, Output, Session, Setup, TWINS_WAIT,
    wire::{Kind, LazyOffer, Manifest, Tree, Twins},
};

use crate::{
    fixtures::{BRIEFS, Cert, Parcel, at, cert, green, parcel_of, setup, wall},
    lone::{Lone, hello, want, whole},
};

fn third() -> CertId {
    cert(3).card.cert_id()
}

pub(crate) fn tree(eager: bool) -> Kind {
    Kind::Tree(Tree { origin: Bytes::copy_from_slice(third().as_bytes()), eager })
}

pub(crate) fn lazy_offer(index: u64, parcel: &Parcel) -> Kind {
    lazy_offers(&[(index, parcel)])
}

pub(crate) fn lazy_offers(entries: &[(u64, &Parcel)]) -> Kind {
    let entries: Vec<_> = entries.iter().map(|(index, parcel)| (*index, BRIEFS.brief(parcel.id()))).collect();
    Kind::LazyOffer(LazyOffer::of(&entries))
}

/// What tells of entries that were offered lazily and are held, each with an entry of the teller's own.
pub(crate) fn twins(entries: &[(u64, Option<u64>)]) -> Kind {
    Kind::Twins(Twins::of(entries))
}

/// What is found of entries that were offered lazily.
pub(crate) fn found(entries: &[(u64, Option<&Parcel>)]) -> Input {
    Input::ReleasesFound { found: entries.iter().map(|(index, parcel)| (*index, parcel.map(Parcel::id))).collect() }
}

/// A release of this CERT by number.
pub(crate) fn of(cert: &Cert, number: u64) -> Parcel {
    parcel_of(cert, 10 * number, 1, 400)
}

/// The frames among outputs.
pub(crate) fn frames(lone: &mut Lone) -> Vec<(Channel, Kind)> {
    lone.take_all().into_iter().filter_map(frame_of).collect()
}

fn frame_of(output: Output) -> Option<(Channel, Kind)> {
    match output {
        Output::Send { channel, frame } => Some((channel, crate::fixtures::decode(&frame))),
        _ => None,
    }
}

/// A source whose peer is up to date, and takes this entry unasked.
pub(crate) fn live(pruned: bool) -> Lone {
    let mut lone = Lone::started(0);
    if pruned {
        lone.receive(tree(false));
    }
    lone
}

/// The journal grows by an entry, which is loaded; what goes out for it.
pub(crate) fn grow(lone: &mut Lone, index: u64, cert: &Cert, parcel: &Parcel) -> Vec<(Channel, Kind)> {
    lone.give(Input::JournalGrew { head: index });
    lone.give(Input::JournalRead { ids: vec![parcel.id()] });
    lone.take_all();
    load(lone, index, cert, parcel)
}

pub(crate) fn load(lone: &mut Lone, index: u64, origin: &Cert, parcel: &Parcel) -> Vec<(Channel, Kind)> {
    let is_third = origin.card.cert_id() != cert(1).card.cert_id();
    lone.give(Input::ReleaseLoaded {
        index,
        release: Some(parcel.release.signed().clone()),
        card: is_third.then(|| Arc::clone(&origin.card)),
        inline: Some(parcel.bodies.clone()),
    });
    frames(lone)
}

/// Lets time pass until the session offers what has rested; what goes out then.
pub(crate) fn rested(lone: &mut Lone) -> Vec<(Channel, Kind)> {
    wake(lone).into_iter().filter_map(frame_of).collect()
}

#[test]
fn what_the_sink_has_pruned_is_offered_and_sent_live_once_it_is_wanted() {
    let (three, parcel) = (cert(3), of(&cert(3), 1));
    let mut lone = live(true);
    assert_eq!(lone.session.progress().pruned, 1);
    assert!(grow(&mut lone, 1, &three, &parcel).is_empty(), "it rests");
    assert_eq!(rested(&mut lone), [(Channel::Control, lazy_offer(1, &parcel))]);
    assert_eq!(lone.now, LAZY_REST);
    lone.receive(want(1, &[1], 1));
    assert!(matches!(lone.take_all()[..], [Output::LoadRelease { index: 1, inline: true, .. }]));
    let sent = load(&mut lone, 1, &three, &parcel);
    assert!(matches!(&sent[..], [(Channel::Live, Kind::Manifest(sent))] if !sent.bodies.is_empty()), "{sent:?}");
}

#[test]
fn what_the_sink_has_meanwhile_is_done_with() {
    let (three, parcel) = (cert(3), of(&cert(3), 1));
    // Whoever has no journal of it may answer as to any offer.
    for answer in [want(1, &[0], 1), twins(&[(1, None)])] {
        let mut lone = live(true);
        grow(&mut lone, 1, &three, &parcel);
        rested(&mut lone);
        assert_eq!(lone.session.progress().lag, 1);
        lone.receive(answer);
        assert_eq!((lone.session.progress().lag, lone.session.in_flight().releases_out), (0, 0));
        // Nothing of it is left that would count against what comes.
        for index in 2..200 {
            grow(&mut lone, index, &three, &of(&three, index));
            assert_eq!(rested(&mut lone).len(), 1, "entry {index}");
            lone.receive(twins(&[(index, None)]));
        }
    }
}

#[test]
fn what_has_all_but_rested_goes_along() {
    let (three, moment) = (cert(3), Duration::from_millis(1));
    let parcels: Vec<Parcel> = (1..=3).map(|number| of(&three, number)).collect();
    let mut lone = live(true);
    for (index, (at, parcel)) in (1..).zip([Duration::ZERO, LAZY_SPAN, LAZY_SPAN + moment].into_iter().zip(&parcels)) {
        lone.now = at;
        grow(&mut lone, index, &three, parcel);
    }
    let both = lazy_offers(&[(1, &parcels[0]), (2, &parcels[1])]);
    assert_eq!(rested(&mut lone), [(Channel::Control, both)]);
    assert_eq!(rested(&mut lone), [(Channel::Control, lazy_offer(3, &parcels[2]))]);
    assert_eq!(lone.now, LAZY_SPAN + moment + LAZY_REST);
    assert_eq!(lone.session.wakes_at(), None);
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

/// A sink that takes releases of others, and whose peer lets rest what it offers for the shorter or for the longer
/// time.
pub(crate) fn sink() -> Lone {
    sink_of(2, 1)
}

fn sink_of(us: u8, peer: u8) -> Lone {
    let mut lone = Lone::new();
    let setup = Setup { third_party: true, ..setup(us, &cert(peer), None) };
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
    offer_to(&mut lone, 1, parcel);
    lone
}

/// Offers lazily what is not held.
fn offer_to(lone: &mut Lone, index: u64, parcel: &Parcel) {
    lone.receive(lazy_offer(index, parcel));
    let asked = vec![(index, BRIEFS.brief(parcel.id()))];
    assert!(matches!(&lone.take_all()[..], [Output::FindReleases { offered, .. }] if *offered == asked));
    lone.give(found(&[(index, None)]));
    assert!(lone.take_all().is_empty(), "it is not answered at once");
}

/// Lets time pass until the session is due.
fn wake(lone: &mut Lone) -> Vec<Output> {
    let due = lone.session.wakes_at().unwrap();
    lone.now = due - Duration::from_millis(1);
    lone.give(Input::Wake);
    assert!(lone.take_all().is_empty(), "too early");
    lone.now = due;
    lone.give(Input::Wake);
    lone.take_all()
}

fn claimed(lone: &mut Lone, late: Late) {
    assert!(matches!(wake(lone)[..], [Output::ClaimRelease { index: 1, .. }]));
    lone.give(Input::ReleaseClaimed { index: 1, late });
}

pub(crate) fn stored_as(lone: &mut Lone) -> Manner {
    let manner = |output| if let Output::Store { manner, .. } = output { Some(manner) } else { None };
    lone.take_all().into_iter().find_map(manner).unwrap()
}

pub(crate) fn inline(index: u64, parcel: &Parcel) -> Kind {
    let card = cert(3).card.envelope().to_json().into();
    Kind::Manifest(Manifest { card, ..whole(index, parcel) })
}

#[test]
fn what_was_offered_lazily_and_has_not_come_is_asked_for_late() {
    let parcel = of(&cert(3), 1);
    let mut lone = offered(&parcel);
    claimed(&mut lone, Late::Wanted);
    assert_eq!(lone.now, LAZY_WAIT - LAZY_REST, "it has rested with the peer");
    assert_eq!(lone.take_frame(), (Channel::Control, want(1, &[1], 1)));
    assert_eq!(lone.session.wakes_at(), None);
    lone.receive(inline(1, &parcel));
    assert_eq!(stored_as(&mut lone), Manner::AskedLate);
    lone.receive(inline(2, &of(&cert(3), 2)));
    assert_eq!(stored_as(&mut lone), Manner::Unasked);
}

#[test]
fn what_has_rested_long_is_asked_for_at_once() {
    assert_eq!(LAZY_REST_LONG, LAZY_WAIT);
    let mut lone = sink_of(1, 2);
    offer_to(&mut lone, 1, &of(&cert(3), 1));
    assert_eq!(lone.session.wakes_at(), Some(Duration::ZERO));
    lone.give(Input::Tick);
    assert!(matches!(lone.take_all()[..], [Output::ClaimRelease { index: 1, .. }]));
}

#[test]
fn what_has_come_from_elsewhere_is_not_asked_for() {
    let parcel = of(&cert(3), 1);
    let mut lone = offered(&parcel);
    claimed(&mut lone, Late::Held(parcel.id()));
    assert!(matches!(lone.take_all()[..], [Output::SaveCursor(cursor)] if cursor.index == 1));
    assert_eq!(rested(&mut lone), [(Channel::Control, twins(&[(1, None)]))]);
    // So it is if it was there when it was offered.
    let mut lone = sink();
    lone.receive(lazy_offer(1, &parcel));
    lone.take_all();
    lone.give(found(&[(1, Some(&parcel))]));
    assert!(matches!(lone.take_all()[..], [Output::SaveCursor(cursor)] if cursor.index == 1));
    assert_eq!(rested(&mut lone), [(Channel::Control, twins(&[(1, None)]))]);
    assert_eq!(lone.now, TWINS_WAIT);
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
        let now = lone.now;
        offer_to(lone, index, &of(&cert(3), index));
        lone.session.wakes_at().unwrap().saturating_sub(now)
    };
    claimed(&mut lone, Late::Wanted);
    lone.take_all();
    assert_eq!(waits(&mut lone, 2), 2 * LAZY_WAIT - LAZY_REST);
    lone.give(Input::Placed { origin: third(), branch: Branch::Grafted });
    assert_eq!(lone.take_frame(), (Channel::Control, tree(true)));
    lone.now += Duration::from_secs(60);
    lone.give(Input::Placed { origin: third(), branch: Branch::Pruned });
    assert_eq!(lone.take_frame(), (Channel::Control, tree(false)));
}

#[test]
fn lazy_offers_lie_where_what_comes_unasked_may_lie() {
    let (mut lone, parcel) = (sink(), of(&cert(3), 1));
    let far = OFFERS_OPEN_MAX + 100;
    lone.receive(lazy_offer(far, &parcel));
    lone.take_all();
    lone.give(found(&[(far, Some(&parcel))]));
    assert!(lone.take_all().is_empty(), "the cursor stands still");
    lone.receive(inline(1, &of(&cert(3), 2)));
    assert_eq!(stored_as(&mut lone), Manner::Unasked);
    lone.give(Input::Stored { entries: vec![(1, Status::Received)] });
    assert_eq!(lone.session.progress().received, 1, "the cursor waits for what is between");
}
