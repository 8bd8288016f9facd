//! Several sources of one CERT: they share the work, no body comes twice, and none holds the others up.

use std::time::Duration;

use mithaq_core::receipt::Status;
use mithaq_sync::{CLAIM_TTL, Channel, Input, LATER_INTERVAL, STALL_TIMEOUT, wire::Kind};

use crate::{
    fixtures::{Parcel, Rng, cert, object, parcel, parcel_of},
    lone::{Lone, manifest},
    pair::World,
    star::{ORIGIN, Star},
};

/// Releases of CERT 3, of `objects` each, with objects of their own.
fn releases(count: u64, objects: u64) -> Vec<Parcel> {
    let origin = cert(ORIGIN);
    (0..count).map(|number| parcel_of(&origin, number * objects, objects, 600)).collect()
}

fn rated(rate: u64) -> World {
    World { rate: Some(rate), ..World::default() }
}

/// Relays that all hold the same releases, each in the order of its own log.
fn relays(worlds: Vec<World>, parcels: &[Parcel]) -> Star {
    let mut star = Star::new(worlds, true);
    for source in 0..star.pairs.len() {
        parcels.iter().for_each(|parcel| star.push(source, parcel));
    }
    star
}

/// How long one source takes alone.
fn alone(world: World, parcels: &[Parcel]) -> Duration {
    let mut star = relays(vec![world], parcels);
    star.connect_all();
    let took = star.run();
    star.assert_converged();
    assert_eq!(star.sent_twice(), 0);
    took
}

/// Checks that sources of one rate bring each body once, each its part, sooner than one of them.
fn check_shared(sources: usize, parcels: &[Parcel]) {
    let mut star = relays(vec![rated(25_000); sources], parcels);
    star.connect_all();
    let took = star.run();
    star.assert_converged();
    assert_eq!(star.sent_twice(), 0);
    let total: usize = parcels.iter().map(|parcel| parcel.bodies.len()).sum();
    assert_eq!(star.shares.iter().sum::<usize>(), total);
    assert!(star.shares.iter().all(|share| share * sources * 3 > total), "{:?}", star.shares);
    let alone = alone(rated(25_000), parcels);
    assert!(took * 6 < alone * 5, "{took:?} instead of {alone:?}");
}

#[test]
fn two_sources_share_a_backfill() {
    check_shared(2, &releases(60, 100));
    check_shared(2, &releases(600, 4));
}

#[test]
fn three_sources_share_a_backfill() {
    check_shared(3, &releases(60, 100));
}

/// Who comes later than another has fetched everything sends manifests, and no body.
#[test]
fn a_second_source_of_what_is_held_sends_no_body() {
    let mut star = relays(vec![World::default(); 2], &releases(50, 20));
    star.connect(0);
    star.run();
    star.connect(1);
    star.run();
    star.assert_converged();
    assert_eq!(star.sent_twice(), 0);
    assert_eq!(star.shares, [1000, 0]);
}

#[test]
fn what_two_origins_release_at_once_comes_once() {
    let mut star = Star::new(vec![rated(100_000), rated(100_000)], false);
    let bodies: Vec<Vec<_>> = (0..20).map(|number| (0..300).map(|i| object(number * 300 + i, 400)).collect()).collect();
    for source in 0..2 {
        let origin = cert(10 + u8::try_from(source).unwrap());
        bodies.iter().for_each(|bodies| star.push(source, &parcel(&origin, bodies.clone())));
    }
    star.connect_all();
    star.run();
    star.assert_converged();
    assert_eq!(star.sent_twice(), 0);
    assert_eq!(star.shares.iter().sum::<usize>(), 6000);
    assert!(star.shares.iter().all(|share| *share > 1500), "{:?}", star.shares);
}

/// Of what another origin gave us before, an origin learns nothing: it is asked for all that it releases.
#[test]
fn what_is_held_from_another_is_wanted_all_the_same() {
    let mut star = Star::new(vec![World::default(); 2], false);
    let bodies: Vec<_> = (0..50).map(|number| object(number, 400)).collect();
    star.push(0, &parcel(&cert(10), bodies.clone()));
    star.connect(0);
    star.run();
    star.push(1, &parcel(&cert(11), bodies));
    star.connect(1);
    star.run();
    star.assert_converged();
    assert_eq!(star.sent_twice(), 50);
}

#[test]
fn a_source_that_stops_costs_the_others_the_time_of_a_claim() {
    let parcels = releases(30, 100);
    let mut star = relays(vec![rated(12_500), rated(12_500)], &parcels);
    star.connect_all();
    star.run_until(Duration::from_secs(8));
    star.pairs[0].stop();
    // What it had sent still arrives; then its session ends, and the other has brought the rest.
    star.run();
    assert!(star.pairs[0].nodes[1].session.is_none(), "it is still waited for");
    star.assert_converged();
    // A release of which it had sent a part may come again from its first body.
    assert!(star.sent_twice() <= 100, "{}", star.sent_twice());
}

#[test]
fn a_source_that_goes_on_after_a_while_ends_with_the_same() {
    let parcels = releases(30, 100);
    let mut star = relays(vec![rated(12_500), rated(12_500)], &parcels);
    star.connect_all();
    star.run_until(Duration::from_secs(15));
    star.pairs[0].stop();
    star.run_until(Duration::from_secs(45));
    star.with(0, |pair| pair.go_on());
    star.run();
    assert!(star.pairs[0].nodes[1].session.is_some());
    star.assert_converged();
    // What it had been asked for it still sends.
    assert!(star.sent_twice() <= mithaq_sync::CREDIT_BODIES_MIN * 2, "{}", star.sent_twice());
}

#[test]
fn a_source_that_is_cut_is_followed_at_once() {
    let parcels = releases(30, 100);
    let mut star = relays(vec![rated(12_500), rated(12_500)], &parcels);
    star.connect_all();
    star.run_until(Duration::from_secs(15));
    star.cut(0);
    let took = star.run();
    star.assert_converged();
    // Manifests take the first seconds.
    let alone = alone(rated(12_500), &parcels);
    assert!(took + Duration::from_secs(4) < alone, "{took:?}: it waited for the dead; alone {alone:?}");
    star.connect(0);
    star.run();
    star.assert_converged();
    // What waited on the link when it was cut never arrived.
    assert!(star.sent_twice() <= 2_048, "{}", star.sent_twice());
    assert_eq!(star.pairs.iter().map(|pair| pair.progress(1).objects_received).min(), Some(0));
}

#[test]
fn a_source_that_advertises_and_never_delivers_costs_the_time_of_a_claim() {
    let parcels = releases(40, 100);
    let mut star = relays(vec![World::default(); 2], &parcels);
    star.pairs[0].nodes[0].store.is_mute = true;
    star.connect(0);
    star.run_until(Duration::from_secs(1));
    let began = star.now;
    star.connect(1);
    while !parcels.iter().all(|parcel| star.holds(parcel.id())) {
        star.advance();
        assert!(star.now < began + CLAIM_TTL + Duration::from_secs(2), "it holds up the other");
    }
    star.run();
    star.assert_converged();
    assert_eq!((star.sent_twice(), star.shares[0]), (0, 0));
}

#[test]
fn a_slow_source_holds_up_a_fast_one_for_a_bounded_time() {
    let parcels = releases(40, 100);
    let most = alone(rated(100_000), &parcels) + mithaq_sync::WAIT_MAX * 2;
    let mut star = relays(vec![rated(2_000), rated(100_000)], &parcels);
    star.connect_all();
    while !parcels.iter().all(|parcel| star.holds(parcel.id())) {
        star.advance();
        assert!(star.now < most, "{:?}", star.now);
    }
    star.run();
    star.assert_converged();
}

#[test]
fn fresh_releases_of_several_sources_all_arrive() {
    let mut star = relays(vec![World::default(); 3], &releases(5, 10));
    star.connect_all();
    for number in 0..30 {
        star.push_to_all(&parcel_of(&cert(ORIGIN), 10_000 + number * 50, 50, 3_000));
        star.run_until(star.now + Duration::from_millis(7));
    }
    star.run();
    star.assert_converged();
    assert_eq!(star.sent_twice(), 0);
}

/// Sources in any state of any journals, with objects that many releases share, cuts and stops.
fn run_seed(seed: u64) {
    let mut rng = Rng(seed);
    let worlds = (0..2 + rng.below(2)).map(|number| World {
        seed: seed ^ number,
        delay: Duration::from_millis(rng.below(100)),
        jitter: Duration::from_millis(rng.below(200)),
        rate: [None, Some(50_000 + rng.below(1_000_000))][rng.size(2)],
        commit: Duration::from_millis(rng.below(300)),
        ..World::default()
    });
    let mut star = Star::new(worlds.collect(), true);
    star.connect_all();
    let mut disturbed = false;
    for _ in 0..rng.below(80) {
        let source = rng.size(star.pairs.len());
        match rng.below(20) {
            0 => {
                star.cut(source);
                star.connect(source);
                disturbed = true;
            }
            1 => {
                star.pairs[source].stop();
                let until = star.now + Duration::from_secs(rng.below(90));
                star.run_until(until);
                star.with(source, |pair| pair.go_on());
                disturbed = true;
            }
            2..=9 => {
                let size = [300, 2_000, 40_000][rng.size(3)];
                let objects = (0..1 + rng.below(12)).map(|_| object(rng.below(300), size));
                let parcel = parcel(&cert(ORIGIN), objects.collect());
                for source in 0..star.pairs.len() {
                    if rng.below(3) > 0 && !star.pairs[source].nodes[0].store.journal.contains(&parcel.id()) {
                        star.push(source, &parcel);
                    }
                }
            }
            _ => star.run_until(star.now + Duration::from_millis(rng.below(300))),
        }
    }
    for source in 0..star.pairs.len() {
        if star.pairs[source].nodes[1].session.is_none() {
            star.connect(source);
        }
    }
    star.run();
    star.assert_converged();
    let twice = star.sent_twice();
    // What travels with its manifest is sent unasked, and may be on its way from another already.
    assert!(disturbed || twice <= star.inlined, "{twice} bodies came twice");
}

#[test]
fn every_seed_converges() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seeds = number("MITHAQ_SEED").map_or(0..number("MITHAQ_SEEDS").unwrap_or(30), |seed: u64| seed..seed + 1);
    for seed in seeds {
        let result = std::panic::catch_unwind(|| run_seed(seed));
        assert!(result.is_ok(), "seed {seed}: MITHAQ_SEED={seed} replays it");
    }
}

/// A session that waits for a body from elsewhere says so often enough, and asks once it need not wait.
#[test]
fn who_waits_is_heard_of() {
    let mut lone = Lone::started(0);
    let parcel = parcel_of(&lone.peer, 1, 3, 400);
    lone.receive(Kind::Manifest(manifest(1, &parcel)));
    lone.take_all();
    lone.give(Input::BodiesElsewhere { index: 1 });
    assert!(lone.take_all().is_empty());
    let mut told = 0;
    for _ in 0..5 * LATER_INTERVAL.as_secs() {
        lone.now += Duration::from_secs(1);
        lone.give(Input::Tick);
        for output in lone.take_all() {
            let mithaq_sync::Output::Send { channel: Channel::Control, frame } = output else { panic!("{output:?}") };
            let Kind::WantBodies(want) = crate::fixtures::decode(&frame) else { panic!("not a want") };
            assert_eq!((want.index, &want.bitmap[..]), (1, &[0][..]));
            told += 1;
        }
    }
    assert_eq!(told, 5);
    let [first, _, third] = parcel.release.contents() else { panic!("not three") };
    lone.give(Input::BodiesHeld { index: 1, held: vec![Some(*first), None, Some(*third)] });
    let Kind::WantBodies(want) = lone.take_frame().1 else { panic!("not a want") };
    assert_eq!(&want.bitmap[..], [0b010]);
    lone.give(Input::Tick);
    assert!(lone.take_all().is_empty());
}

/// A sink that waits for all of a release from elsewhere acknowledges it without having asked.
#[test]
fn a_release_that_came_from_elsewhere_is_acknowledged() {
    let mut lone = Lone::started(0);
    let parcel = parcel_of(&lone.peer, 1, 3, 400);
    lone.receive(Kind::Manifest(manifest(1, &parcel)));
    lone.give(Input::BodiesElsewhere { index: 1 });
    let held = parcel.release.contents().iter().copied().map(Some).collect();
    lone.give(Input::BodiesHeld { index: 1, held });
    lone.take_all();
    lone.give(Input::Stored { entries: vec![(1, Status::Received)] });
    assert!(matches!(lone.take_frame(), (Channel::Control, Kind::Ack(_))));
    assert_eq!(lone.session.progress().objects_deduplicated, 3);
}

/// A source is patient with a sink that says that it waits, and with none that says nothing.
#[test]
fn who_says_that_it_waits_is_waited_for() {
    let mut lone = Lone::started(0);
    let parcel = parcel_of(&cert(1), 1, 3, 40_000);
    lone.give(Input::JournalGrew { head: 1 });
    lone.give(Input::JournalRead { ids: vec![parcel.id()] });
    let release = Some(parcel.release.signed().clone());
    lone.give(Input::ReleaseLoaded { index: 1, release, card: None, inline: None });
    lone.take_all();
    let want = |bits: u8| Kind::WantBodies(mithaq_sync::wire::WantBodies { index: 1, bitmap: vec![bits].into() });
    for _ in 0..10 {
        lone.now += STALL_TIMEOUT - Duration::from_secs(1);
        lone.give(Input::Tick);
        lone.receive(want(0));
        assert!(lone.take_all().is_empty());
    }
    lone.receive(want(0b101));
    assert!(matches!(&lone.take_all()[..], [mithaq_sync::Output::LoadBodies { contents, .. }] if contents.len() == 2));
    lone.receive(want(0));
    lone.assert_closed(mithaq_core::code::Code::MISBEHAVED);
}
