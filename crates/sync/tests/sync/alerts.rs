//! Alerts while a backlog is under way: they go ahead of it, within bounds, once.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use mithaq_core::{
    code::Code,
    id::ReleaseId,
    notice::Notice,
    release::{Kind as ReleaseKind, ReleaseDraft, VerifiedRelease},
};
use mithaq_sync::{
    AHEAD_MAX, Chain, Channel, EAGER_OPEN_MAX, INDEX_MAX, Input, OFFERS_OPEN_MAX, Output, Prompt, RELEASES_OPEN_MAX,
    sketch::{Cell, Digest},
    wire::{Gone, Hello, Kind, Manifest, Start},
};

use crate::{
    fixtures::{Cert, Parcel, green, parcel_of, wall},
    hostile_source::some_ids,
    lone::{Lone, group, hello, manifest, want, whole},
    pair::{Pair, World},
};

/// How long a frame of a single object may take at [`paced`], its way included.
const ALERT_TIME: Duration = Duration::from_millis(450);

/// 256 kbit/s over a satellite.
fn paced() -> World {
    World { rate: Some(32_000), delay: Duration::from_millis(300), ..World::default() }
}

/// A pair on a slow link in the middle of a backlog that takes minutes.
fn behind() -> Pair {
    let mut pair = Pair::new(paced());
    for number in 0..30 {
        let parcel = parcel_of(&pair.nodes[0].cert, number * 1_000, 400, 400);
        pair.push(0, &parcel);
    }
    pair.connect();
    pair.run_until(Duration::from_secs(10));
    assert!(pair.progress(0).lag > 8, "the backlog is nearly over");
    pair
}

fn alert(pair: &Pair) -> Parcel {
    parcel_of(&pair.nodes[0].cert, 900_000, 1, 400)
}

/// The release by which a CERT takes back a content of another.
fn withdrawal(cert: &Cert, of: &Parcel) -> Parcel {
    let contents = of.release.contents()[..1].iter().copied().collect();
    let notice = Notice { contents, reason: "false positive".to_owned() }.to_body(wall()).unwrap();
    let label = notice.facts().own_label(green().tlp);
    let draft = ReleaseDraft { kind: ReleaseKind::Withdraw, ..ReleaseDraft::publish(label, vec![notice.id()], wall()) };
    let release = VerifiedRelease::sign(cert.card.cert_id(), &cert.signing, draft).unwrap();
    Parcel { release, bodies: vec![notice.bytes().to_vec()] }
}

/// Pushes at node 0 and says how long it takes until node 1 has it.
fn time_until_stored(pair: &mut Pair, parcel: &Parcel) -> Duration {
    let pushed = pair.now;
    pair.push(0, parcel);
    while !pair.nodes[1].store.releases.contains_key(&parcel.id()) {
        assert!(pair.step(), "it never comes");
    }
    pair.now - pushed
}

fn channel_of(pair: &Pair, parcel: &Parcel) -> Channel {
    let manifest = Bytes::from(parcel.release.signed().manifest.clone());
    let mut frames = pair.nodes[0].sent.frames.iter();
    let sent = frames.find(|(_, kind)| matches!(kind, Kind::Manifest(sent) if sent.manifest == manifest));
    sent.expect("it was not sent").0
}

#[test]
fn an_alert_overtakes_a_backlog_on_a_slow_link() {
    let mut pair = behind();
    let alert = alert(&pair);
    let took = time_until_stored(&mut pair, &alert);
    assert!(took < ALERT_TIME, "{took:?}");
    assert_eq!(channel_of(&pair, &alert), Channel::Live);
    assert!(pair.progress(0).lag > 8, "it waited for the backlog");
    let cursor = pair.nodes[1].store.cursor.map_or(0, |cursor| cursor.index);
    assert!(cursor <= pair.progress(1).received, "the cursor runs ahead of what is durable");
    pair.run();
    pair.assert_converged();
    assert!(pair.now > Duration::from_secs(15), "the backlog was none");
}

#[test]
fn a_withdrawal_overtakes_what_it_takes_back() {
    let mut pair = behind();
    let last = parcel_of(&pair.nodes[0].cert, 700_000, 600, 400);
    pair.push(0, &last);
    let withdrawal = withdrawal(&pair.nodes[0].cert, &last);
    let took = time_until_stored(&mut pair, &withdrawal);
    assert!(took < ALERT_TIME, "{took:?}");
    assert_eq!(channel_of(&pair, &withdrawal), Channel::Urgent);
    assert!(!pair.nodes[1].store.releases.contains_key(&last.id()));
    // What was taken back is not let go any more.
    pair.nodes[0].store.withdrawn.insert(last.id());
    pair.run();
    pair.assert_converged();
    assert_eq!(pair.nodes[0].sent.gone, 1);
}

/// The journal of which a peer that has just returned lacks a million entries, in the middle of which it says nothing.
#[test]
fn an_alert_overtakes_a_million_entries_of_which_none_is_answered() {
    const BACKLOG: u64 = 1_000_000;
    let mut lone = Lone::started(BACKLOG);
    for _ in 0..OFFERS_OPEN_MAX / 1024 {
        lone.give(Input::JournalRead { ids: some_ids(1024) });
    }
    for first in [1, 1025] {
        lone.receive(want(first, &[0xff; 128], 1024));
    }
    let (sent, _) = lone.load_all(parcel_of(&lone.peer, 2, 1, 400).release.signed());
    assert_eq!(sent.len(), RELEASES_OPEN_MAX - EAGER_OPEN_MAX, "the backlog leaves room for what is prompt");
    let (index, parcel) = (BACKLOG + 1, parcel_of(&lone.peer, 1, 1, 400));
    lone.give(Input::JournalGrew { head: index });
    assert!(matches!(lone.take_all()[..], [Output::ReadTail { after: BACKLOG, limit }] if limit > 0));
    lone.give(Input::TailRead { through: index, entries: vec![Prompt { index, id: parcel.id(), urgent: false }] });
    assert!(
        matches!(lone.take_all()[..], [Output::LoadRelease { index: loaded, inline: true, .. }] if loaded == index)
    );
    let (release, inline) = (Some(parcel.release.signed().clone()), Some(parcel.bodies.clone()));
    lone.give(Input::ReleaseLoaded { index, release, card: None, inline });
    let (channel, kind) = lone.take_frame();
    assert!(channel == Channel::Live && matches!(kind, Kind::Manifest(sent) if sent.index == index));
}

#[test]
fn no_more_goes_ahead_than_the_peer_takes() {
    let check = |ahead_max: u64, expected: usize| {
        let mut lone = Lone::new();
        lone.receive(Kind::Hello(Hello { ahead_max, ..hello() }));
        lone.give(Input::JournalOpened { after: 0, head: 1_000 });
        lone.take_all();
        lone.give(Input::JournalGrew { head: 2_100 });
        let is_read = lone.take_all().iter().any(|output| matches!(output, Output::ReadTail { after: 1_076, .. }));
        assert_eq!(is_read, expected > 0, "{ahead_max}");
        let entries = (1_077..).zip(some_ids(1_024)).map(|(index, id)| Prompt { index, id, urgent: index == 1_500 });
        lone.give(Input::TailRead { through: 2_100, entries: entries.collect() });
        let loaded: BTreeSet<u64> = lone
            .take_all()
            .iter()
            .filter_map(|output| match output {
                Output::LoadRelease { index, inline: true, .. } => Some(*index),
                _ => None,
            })
            .collect();
        let newest = 2_101_u64.saturating_sub(expected.saturating_sub(1) as u64)..2_101;
        let most_urgent = newest.chain((expected > 0).then_some(1_500)).collect();
        assert_eq!(loaded, most_urgent, "{ahead_max}");
    };
    check(0, 0);
    check(3, 3);
    check(u64::MAX, EAGER_OPEN_MAX);
}

#[test]
fn the_sink_takes_entries_beyond_its_window_within_a_bound() {
    let mut lone = Lone::started(0);
    let gone = |number: usize| {
        let id = Bytes::copy_from_slice(some_ids(number + 1)[number].as_bytes());
        Kind::Gone(Gone { index: OFFERS_OPEN_MAX + 1 + number as u64, id })
    };
    let ids = some_ids(usize::try_from(AHEAD_MAX).unwrap());
    for (number, id) in ids.iter().enumerate() {
        let index = OFFERS_OPEN_MAX + 1 + number as u64;
        lone.receive(Kind::Gone(Gone { index, id: Bytes::copy_from_slice(id.as_bytes()) }));
    }
    assert!(!lone.take_all().iter().any(|output| matches!(output, Output::Close(_))));
    assert_eq!(lone.session.in_flight().entries_in, ids.len());
    assert_eq!(lone.session.progress().received, 0, "the cursor does not move over what lacks");
    lone.receive(gone(0));
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn a_release_beyond_the_window_past_the_bound_is_refused() {
    let mut lone = Lone::started(0);
    for (number, id) in some_ids(usize::try_from(AHEAD_MAX).unwrap()).into_iter().enumerate() {
        let index = INDEX_MAX - number as u64;
        lone.receive(Kind::Gone(Gone { index, id: Bytes::copy_from_slice(id.as_bytes()) }));
    }
    lone.take_all();
    let parcel = parcel_of(&lone.peer, 1, 1, 400);
    lone.receive(Kind::Manifest(manifest(OFFERS_OPEN_MAX + 1, &parcel)));
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn what_came_ahead_cannot_be_offered_or_come_again() {
    let parcel = parcel_of(&crate::fixtures::cert(2), 1, 1, 400);
    let index = OFFERS_OPEN_MAX + 9;
    let ahead = || {
        let mut lone = Lone::started(0);
        let bodies = group(&parcel.bodies);
        lone.receive(Kind::Manifest(Manifest { contents: Bytes::new(), bodies, ..manifest(index, &parcel) }));
        assert!(matches!(lone.take_all()[..], [Output::Store { cursor, .. }] if cursor.index == 0));
        lone
    };
    let mut lone = ahead();
    lone.receive(Kind::Manifest(manifest(index, &parcel)));
    lone.assert_closed(Code::MISBEHAVED);
    let mut lone = ahead();
    lone.receive(crate::hostile_source::offer(index, &[ReleaseId::from_bytes([3; 32])]));
    lone.assert_closed(Code::MISBEHAVED);
}

/// A cut at any moment: what came ahead and is durable is offered with the rest, and not wanted.
#[test]
fn a_cut_does_not_double_what_went_ahead() {
    for moment in [0, 1, 100, 310, 350, 700, 2_000, 30_000] {
        let mut pair = behind();
        let alert = alert(&pair);
        pair.push(0, &alert);
        pair.run_until(pair.now + Duration::from_millis(moment));
        let durable = pair.nodes[1].store.releases.contains_key(&alert.id());
        pair.cut();
        pair.connect();
        pair.run();
        pair.assert_converged();
        let resent = pair.nodes[0].sent.manifests.contains_key(&alert.id());
        assert_eq!(resent, !durable, "after a cut {moment} ms later");
    }
}

#[test]
fn alerts_go_ahead_while_one_large_release_holds_up_the_window() {
    let mut pair = Pair::new(World { rate: Some(200_000), ..World::default() });
    pair.connect();
    pair.run();
    let large = parcel_of(&pair.nodes[0].cert, 1, 7, 1024 * 1024);
    pair.push(0, &large);
    pair.run_until(pair.now + Duration::from_secs(1));
    for number in 0..OFFERS_OPEN_MAX + 200 {
        let alert = parcel_of(&pair.nodes[0].cert, 10_000 + number, 1, 300);
        let took = time_until_stored(&mut pair, &alert);
        assert!(took < Duration::from_millis(100), "alert {number} took {took:?}");
        if pair.nodes[1].store.releases.contains_key(&large.id()) {
            break;
        }
    }
    pair.run();
    pair.assert_converged();
}

/// A pair of which the second side has most of a long journal and no cursor into it.
fn reconciling() -> Pair {
    let mut pair = Pair::new(paced());
    for number in 0..600 {
        let parcel = parcel_of(&pair.nodes[0].cert, number, 1, 400);
        pair.push(0, &parcel);
        if number % 100 > 0 {
            pair.nodes[1].store.put(&parcel);
        }
    }
    pair.connect();
    pair
}

/// At whatever moment of a reconciliation it is pushed.
#[test]
fn an_alert_does_not_wait_for_a_reconciliation() {
    for moment in [310, 610, 650, 900, 1_250, 1_600] {
        let mut pair = reconciling();
        pair.run_until(Duration::from_millis(moment));
        let alert = alert(&pair);
        let took = time_until_stored(&mut pair, &alert);
        assert!(took < ALERT_TIME + Duration::from_millis(400), "{took:?} after {moment} ms");
        pair.run();
        pair.assert_converged();
        let count =
            |is_such: fn(&Kind) -> bool| pair.nodes[0].sent.frames.iter().filter(|(_, kind)| is_such(kind)).count();
        assert_eq!(count(|kind| matches!(kind, Kind::Reconcile(_))), 1);
        assert_eq!(count(|kind| matches!(kind, Kind::Offer(_))), 0, "the sketch was of no use");
        assert_eq!(pair.nodes[0].sent.manifests.values().sum::<usize>(), 7, "after {moment} ms");
    }
}

/// Opening the first sketch takes a pass over the whole journal.
#[test]
fn an_alert_goes_out_while_a_sketch_is_opened() {
    let mut lone = Lone::new();
    lone.receive(Kind::Hello(Hello { held: 190, ..hello() }));
    let mut lone = lone.start(200);
    lone.give(Input::JournalSettled { head: 200 });
    assert!(matches!(lone.take_all()[..], [Output::OpenSketch { through: 200, .. }]));
    let (index, parcel) = (201, parcel_of(&lone.peer, 1, 1, 400));
    lone.give(Input::JournalGrew { head: index });
    assert!(matches!(lone.take_all()[..], [Output::ReadTail { after: 200, .. }]));
    lone.give(Input::TailRead { through: index, entries: vec![Prompt { index, id: parcel.id(), urgent: true }] });
    assert!(matches!(lone.take_all()[..], [Output::LoadRelease { index: 201, inline: true, .. }]));
    let (release, inline) = (Some(parcel.release.signed().clone()), Some(parcel.bodies.clone()));
    lone.give(Input::ReleaseLoaded { index, release, card: None, inline });
    assert!(matches!(lone.take_frame(), (Channel::Live, Kind::Manifest(sent)) if sent.index == index));
    assert_eq!(lone.session.progress().lag, 201);
    let (chain, digest, cells) = (Chain::START, Digest::default(), vec![Cell::default(); 32]);
    lone.give(Input::SketchOpened { through: 200, chain, digest, cells });
    assert!(matches!(lone.take_frame().1, Kind::Reconcile(_)));
    assert_eq!(lone.session.progress().lag, 201, "each entry counts once");
}

/// A sketch that has more than it should could have what went ahead.
#[test]
fn what_went_ahead_is_in_no_sketch() {
    let mut lone = Lone::new();
    lone.receive(Kind::Hello(Hello { held: 190, ..hello() }));
    let mut lone = lone.start(200);
    lone.give(Input::JournalSettled { head: 200 });
    lone.give(Input::JournalGrew { head: 201 });
    let entries = vec![Prompt { index: 201, id: ReleaseId::from_bytes([1; 32]), urgent: false }];
    lone.give(Input::TailRead { through: 201, entries });
    lone.take_all();
    let (chain, digest, cells) = (Chain::START, Digest::default(), vec![Cell::default(); 32]);
    lone.give(Input::SketchOpened { through: 201, chain, digest, cells });
    assert!(matches!(lone.take_all()[..], [Output::ReadJournal { after: 0, .. }]));
}

#[test]
fn a_sketch_is_taken_behind_an_alert_that_it_does_not_have() {
    let check = |index: u64, through: u64| {
        let mut lone = Lone::holding(100);
        lone.receive(Kind::Hello(hello()));
        let mut lone = lone.start(0);
        let parcel = parcel_of(&lone.peer, 1, 1, 400);
        lone.receive(Kind::Manifest(whole(index, &parcel)));
        assert!(matches!(lone.take_all()[..], [Output::Store { .. }]));
        lone.receive(Kind::Reconcile(crate::hostile_cells::sketch(through, 32)));
        lone
    };
    assert!(matches!(check(201, 200).take_all()[..], [Output::CompareSketch { .. }]));
    check(200, 200).assert_closed(Code::MISBEHAVED);
    // In what is sketched nothing goes ahead.
    let mut lone = check(6_000, 5_000);
    lone.take_all();
    let parcel = parcel_of(&lone.peer, 2, 1, 400);
    lone.receive(Kind::Manifest(manifest(4_999, &parcel)));
    lone.assert_closed(Code::MISBEHAVED);
}

/// The cursor fits what a journal begins with that is being made anew: what it grows by meanwhile is no news.
#[test]
fn what_a_journal_made_anew_comes_to_is_offered() {
    let mut lone = Lone::new();
    lone.receive(Kind::Hello(Hello { held: 60, ..hello() }));
    lone.take_all();
    lone.receive(Kind::Start(Start { after: 0 }));
    lone.give(Input::JournalOpened { after: 8, head: 10 });
    let outputs = lone.take_all();
    assert!(outputs.iter().any(|output| matches!(output, Output::SettleJournal)));
    assert!(outputs.iter().any(|output| matches!(output, Output::ReadJournal { after: 8, limit: 2 })));
    let id = |number: u8| ReleaseId::from_bytes([number; 32]);
    lone.give(Input::JournalRead { ids: vec![id(9), id(10)] });
    assert!(matches!(lone.take_frame().1, Kind::Offer(_)));
    lone.give(Input::JournalGrew { head: 60 });
    assert!(lone.take_all().is_empty(), "what it grows by goes ahead, or unasked");
    lone.give(Input::JournalSettled { head: 60 });
    assert!(matches!(lone.take_all()[..], [Output::ReadJournal { after: 10, .. }]));
    // What comes then is.
    lone.give(Input::JournalGrew { head: 61 });
    assert!(matches!(lone.take_all()[..], [Output::ReadTail { after: 60, .. }]));
}
