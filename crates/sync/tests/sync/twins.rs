//! Releases that stand in both journals: what one side offers lazily, and the other answers with a number of its own.

use mithaq_core::{code::Code, release::ReleaseDraft};
use mithaq_sync::{
    AHEAD_MAX, Branch, Brief, Channel, Input, Late, OFFER_IDS_MAX, OFFERS_OPEN_MAX, Output, TWINS_WAIT,
    wire::{Gone, Kind, LazyOffer, Offer},
};

use crate::{
    fixtures::{BRIEFS, Parcel, cert, green, wall},
    lone::{Lone, want},
    pair::{Pair, World},
    trees::{found, frames, grow, inline, lazy_offer, lazy_offers, live, load, of, rested, sink, tree, twins},
};

fn id_of(parcel: &Parcel) -> bytes::Bytes {
    bytes::Bytes::copy_from_slice(parcel.id().as_bytes())
}

/// The peer offers lazily what we hold.
fn offer_held(lone: &mut Lone, index: u64, parcel: &Parcel) {
    lone.receive(lazy_offer(index, parcel));
    lone.take_all();
    lone.give(found(&[(index, Some(parcel))]));
    assert!(frames(lone).is_empty(), "the answer is kept for a moment");
}

#[test]
fn what_rests_with_both_is_offered_by_one_and_told_by_number() {
    let (three, parcel) = (cert(3), of(&cert(3), 1));
    let mut lone = live(true);
    grow(&mut lone, 1, &three, &parcel);
    offer_held(&mut lone, 7, &parcel);
    assert_eq!(lone.session.progress().lag, 1, "the peer has not heard of it");
    assert_eq!(rested(&mut lone), [(Channel::Control, twins(&[(7, Some(1))]))]);
    assert_eq!(lone.now, TWINS_WAIT);
    assert_eq!((lone.session.progress().lag, lone.session.in_flight().entries_out), (0, 0));
    assert_eq!(lone.session.wakes_at(), None, "it is offered no more");
}

/// Whoever offers a release needs no copy of it, also if it has not said that others bring it sooner.
#[test]
fn what_the_peer_has_offered_is_not_sent_unasked() {
    let (three, parcel) = (cert(3), of(&cert(3), 1));
    let mut lone = live(false);
    offer_held(&mut lone, 7, &parcel);
    assert!(grow(&mut lone, 1, &three, &parcel).is_empty());
    assert_eq!(rested(&mut lone), [(Channel::Control, twins(&[(7, Some(1))]))]);
    // Once that is told, the next copy goes as ever.
    let sent = grow(&mut lone, 2, &three, &of(&three, 2));
    assert!(matches!(sent[..], [(Channel::Live, Kind::Manifest(_))]), "{sent:?}");
}

#[test]
fn what_takes_back_goes_all_the_same() {
    let three = cert(3);
    let draft = |contents| ReleaseDraft {
        kind: mithaq_core::release::Kind::Withdraw,
        ..ReleaseDraft::publish(green(), contents, wall())
    };
    let withdrawal = crate::cast::signed(&three, of(&three, 3).bodies, draft);
    let mut lone = live(true);
    offer_held(&mut lone, 7, &withdrawal);
    let sent = grow(&mut lone, 1, &three, &withdrawal);
    assert!(matches!(sent[..], [(Channel::Urgent, Kind::Manifest(_))]), "{sent:?}");
}

/// What the peer has asked for it gets, whatever it has offered since.
#[test]
fn what_was_asked_for_goes_all_the_same() {
    let (three, parcel) = (cert(3), of(&cert(3), 1));
    let mut lone = live(true);
    grow(&mut lone, 1, &three, &parcel);
    rested(&mut lone);
    lone.receive(want(1, &[1], 1));
    lone.take_all();
    offer_held(&mut lone, 7, &parcel);
    let sent = load(&mut lone, 1, &three, &parcel);
    assert!(matches!(sent[..], [(Channel::Live, Kind::Manifest(_))]), "{sent:?}");
}

/// Each has offered it when it hears of the other: each is told that it is held, and no more.
#[test]
fn offers_that_cross_are_answered_without_numbers() {
    let (three, parcel) = (cert(3), of(&cert(3), 1));
    let mut lone = live(true);
    grow(&mut lone, 1, &three, &parcel);
    rested(&mut lone);
    offer_held(&mut lone, 7, &parcel);
    lone.receive(twins(&[(1, None)]));
    assert_eq!(lone.session.progress().lag, 0);
    assert_eq!(rested(&mut lone), [(Channel::Control, twins(&[(7, None)]))]);
}

#[test]
fn what_the_peer_has_a_number_for_is_done_with_on_both_ways() {
    let (three, parcel) = (cert(3), of(&cert(3), 1));
    let mut lone = live(true);
    grow(&mut lone, 1, &three, &parcel);
    rested(&mut lone);
    lone.receive(twins(&[(1, Some(1))]));
    let outputs = lone.take_all();
    let [Output::SaveCursor(cursor)] = outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((cursor.index, cursor.chain), (1, mithaq_sync::Chain::START.after(parcel.id())));
    assert_eq!((lone.session.progress().lag, lone.session.in_flight()), (0, Default::default()));
}

/// A session that has offered its first entry lazily.
fn offering() -> Lone {
    let mut lone = live(true);
    grow(&mut lone, 1, &cert(3), &of(&cert(3), 1));
    rested(&mut lone);
    lone
}

#[test]
fn answers_that_answer_nothing() {
    for entries in [&[(2, None)][..], &[(2, Some(1))], &[(1, None), (1, None)], &[(1, Some(1)), (1, Some(2))]] {
        let mut lone = offering();
        lone.receive(twins(entries));
        assert!(lone.take_all().iter().any(|output| matches!(output, Output::Close(_))), "{entries:?}");
    }
    let mut lone = offering();
    lone.receive(want(1, &[1], 1));
    lone.take_all();
    lone.receive(twins(&[(1, None)]));
    lone.assert_closed(Code::MISBEHAVED);
    let mut lone = live(true);
    grow(&mut lone, 1, &cert(3), &of(&cert(3), 1));
    lone.receive(twins(&[(1, None)]));
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn numbers_of_the_peer_that_cannot_be() {
    // It lies too far ahead, or was named before.
    let mut lone = offering();
    lone.receive(twins(&[(1, Some(u64::MAX >> 1))]));
    lone.take_all();
    lone.receive(inline(u64::MAX >> 1, &of(&cert(2), 5)));
    lone.assert_closed(Code::MISBEHAVED);
    let ids = id_of(&of(&cert(2), 9));
    for before in [Kind::Offer(Offer { first: 1, ids }), lazy_offer(1, &of(&cert(2), 9))] {
        let mut lone = offering();
        lone.receive(before);
        lone.take_all();
        lone.receive(twins(&[(1, Some(1))]));
        lone.assert_closed(Code::MISBEHAVED);
    }
}

#[test]
fn an_entry_of_the_peer_before_its_start() {
    let mut lone = Lone::greeted();
    lone.give(Input::JournalOpened { after: 0, head: 0 });
    lone.receive(tree(false));
    grow(&mut lone, 1, &cert(3), &of(&cert(3), 1));
    rested(&mut lone);
    lone.receive(twins(&[(1, Some(1))]));
    lone.assert_closed(Code::MISBEHAVED);
}

/// Checks that a sink which was offered these lazily, and holds nothing, closes at a frame.
fn check_sink_closes(offered: Kind, then: Kind) {
    let mut lone = sink();
    lone.receive(offered);
    lone.take_all();
    lone.receive(then);
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn lazy_offers_that_cannot_be() {
    let (one, two) = (of(&cert(3), 1), of(&cert(3), 2));
    check_sink_closes(lazy_offer(1, &one), lazy_offer(1, &two));
    check_sink_closes(lazy_offer(1, &one), lazy_offers(&[(2, &two), (2, &two)]));
    check_sink_closes(lazy_offer(1, &one), Kind::Offer(Offer { first: 1, ids: id_of(&one) }));
    check_sink_closes(Kind::Offer(Offer { first: 1, ids: id_of(&one) }), lazy_offer(1, &one));
    check_sink_closes(lazy_offer(1, &one), inline(1, &one));
    check_sink_closes(lazy_offer(1, &one), Kind::Gone(Gone { index: 1, id: id_of(&one) }));
    let brief = BRIEFS.brief(one.id());
    for (entries, briefs) in [(vec![], 0), (vec![1], 0), (vec![1, 1], 8), (vec![0], 8), (vec![1; OFFER_IDS_MAX + 1], 8)]
    {
        let briefs = brief.as_bytes().repeat(briefs / 8).into();
        check_sink_closes(lazy_offer(1, &one), Kind::LazyOffer(LazyOffer { entries, briefs }));
    }
}

/// What it held was asked for, and comes as something else.
#[test]
fn what_comes_is_what_was_offered() {
    let (one, two) = (of(&cert(3), 1), of(&cert(3), 2));
    for (kind, is_right) in [
        (inline(1, &one), true),
        (inline(1, &two), false),
        (Kind::Gone(Gone { index: 1, id: id_of(&one) }), true),
        (Kind::Gone(Gone { index: 1, id: id_of(&two) }), false),
    ] {
        let mut lone = sink();
        lone.receive(lazy_offer(1, &one));
        lone.give(found(&[(1, None)]));
        lone.now = lone.session.wakes_at().unwrap();
        lone.give(Input::Tick);
        lone.give(Input::ReleaseClaimed { index: 1, late: Late::Wanted });
        lone.take_all();
        lone.receive(kind.clone());
        let is_closed = lone.take_all().iter().any(|output| matches!(output, Output::Close(_)));
        assert_eq!(is_closed, !is_right, "{kind:?}");
    }
}

/// By the chain both find out in the next session that they did not speak of the same.
#[test]
fn what_was_taken_for_another_comes_with_the_next_session() {
    let (one, other) = (of(&cert(3), 1), of(&cert(3), 2));
    let mut pair = Pair::new(World::default());
    let origin = cert(3).card.cert_id();
    for node in &mut pair.nodes {
        node.store.origins.insert(origin, cert(3).card);
        node.adjust = |setup| setup.third_party = true;
    }
    pair.connect();
    pair.run();
    (0..2).for_each(|node| pair.give(node, Input::Placed { origin, branch: Branch::Pruned }));
    pair.run();
    pair.nodes[1].store.mistaken = Some(other.id());
    pair.push(0, &one);
    pair.push(1, &other);
    pair.run();
    let has = |pair: &Pair, node: usize, parcel: &Parcel| pair.nodes[node].store.releases.contains_key(&parcel.id());
    assert!(!has(&pair, 1, &one) && !has(&pair, 0, &other), "nothing was mistaken");
    assert_eq!((pair.progress(0).lag, pair.progress(1).lag), (0, 0), "and nobody knows");
    pair.nodes[1].store.mistaken = None;
    pair.hang_up();
    pair.connect();
    pair.run();
    assert!(has(&pair, 1, &one) && has(&pair, 0, &other));
    pair.assert_converged();
}

/// A peer that offers what there is not, without end, is left; what is kept of it is bounded.
#[test]
fn lazy_offers_without_end() {
    let mut lone = sink();
    let entry = |index: u64| (index, Brief::from_bytes(index.to_be_bytes()));
    let mut sent = 0;
    while lone.session.in_flight().entries_in as u64 == sent {
        let entries: Vec<_> = (sent + 1..).map(entry).take(OFFER_IDS_MAX).collect();
        lone.receive(Kind::LazyOffer(LazyOffer::of(&entries)));
        sent += OFFER_IDS_MAX as u64;
        let outputs = lone.take_all();
        if outputs.iter().any(|output| matches!(output, Output::Close(_))) {
            break;
        }
    }
    assert_eq!(sent, OFFERS_OPEN_MAX + AHEAD_MAX + OFFER_IDS_MAX as u64);
    assert!(lone.session.in_flight().entries_in as u64 <= OFFERS_OPEN_MAX + AHEAD_MAX);
}
