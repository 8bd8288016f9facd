//! One suite that holds every implementation of [`Store`] to the contract, and the made-up releases it works with.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A suite of tests says what failed by panicking.

mod prefixes;
pub mod search;

use std::thread;

use mithaq_core::{
    body::Body,
    id::{CertId, ContentId, ReleaseId},
    keys::SecretKey,
    label::{Category, Label},
    release::{ReleaseDraft, VerifiedRelease},
    stix::{Object, Observable, ObservableKind, Tlp},
    time::Time,
};

use crate::contract::{
    Arrival, Batch, Expect, Holding, PURGE_ITEMS_MAX, Purge, STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX, StateChange,
    Stats, Store, StoreError,
};

/// Runs the suite; `open` gives a new, empty store each time.
pub fn run<S: Store>(open: impl Fn() -> S) {
    an_empty_store_has_nothing(&open());
    a_release_is_found_as_it_came(&open());
    what_is_there_is_not_stored_again(&open());
    a_batch_may_rest_on_its_earlier_arrivals(&open());
    a_release_without_its_bodies_is_refused(&open());
    a_conflict_stores_nothing_of_its_batch(&open());
    state_is_compared_and_set(&open());
    state_is_listed_in_pages(&open());
    large_state_survives_and_too_large_is_refused(&open());
    object_times_increase_whatever_the_clock_does(&open());
    versions_come_in_order(&open());
    observables_lead_to_all_that_carry_them(&open());
    the_log_is_read_in_pages(&open());
    commits_from_many_threads_make_one_dense_log(&open());
    a_purged_release_is_gone_with_what_only_it_names(&open());
    a_purged_content_is_gone_and_may_come_again(&open());
    a_purge_of_what_its_batch_brings_is_refused(&open());
    what_was_purged_stays_gone_when_its_space_is_given_back(&open());
    a_staged_body_is_held_and_nothing_shows_it(&open());
    a_release_takes_what_was_staged_for_it(&open());
    what_is_held_or_named_or_purged_is_not_staged(&open());
    what_is_staged_can_be_dropped_until_a_release_takes_it(&open());
    prefixes::run(&open);
    search::run(&open);
}

/// A point in time.
#[must_use]
pub fn time(micros: i64) -> Time {
    Time::from_micros(1_700_000_000_000_000 + micros)
}

/// Indicator number `id` in its version `version`; every tenth carries the same observable.
#[must_use]
pub fn indicator(id: u32, version: u32) -> Body {
    let text = format!(
        r#"{{"created":"2026-01-01T00:00:00.000Z","id":"indicator--{id:08x}-17d4-4cbf-938f-98ee46b3cd3f","modified":"2026-01-01T00:{:02}:{:02}.000Z","name":"host {id} of family {}","pattern":"[domain-name:value = 'host{}.example']","pattern_type":"stix","spec_version":"2.1","type":"indicator","valid_from":"2026-01-01T00:00:00Z"}}"#,
        version / 60 % 60,
        version % 60,
        version / 3600,
        id % 10,
    );
    Body::of(&Object::parse(text.as_bytes()).expect("an indicator")).expect("a body")
}

/// The observable of [`indicator`] `id`.
#[must_use]
pub fn observable(id: u32) -> Observable {
    Observable::new(ObservableKind::Domain, &format!("host{}.example", id % 10)).expect("a domain name")
}

/// A release of these contents; `salt` tells releases of the same contents apart.
#[must_use]
pub fn release_of(contents: Vec<ContentId>, salt: i64) -> VerifiedRelease {
    let key = SecretKey::from_seed(&[7; 32]).expect("a key");
    let label = Label::new(Tlp::Green, Category::Threat);
    VerifiedRelease::sign(CertId::from_bytes([1; 32]), &key, ReleaseDraft::publish(label, contents, time(salt)))
        .expect("a release")
}

/// A release of these bodies, arriving with all of them.
#[must_use]
pub fn arrival(bodies: Vec<Body>, salt: i64) -> Arrival {
    Arrival { release: release_of(bodies.iter().map(Body::id).collect(), salt), bodies }
}

/// A batch of one arrival.
#[must_use]
pub fn push(bodies: Vec<Body>, salt: i64) -> Batch {
    Batch { arrivals: vec![arrival(bodies, salt)], ..Batch::default() }
}

/// Indicators `from .. to`, version 0.
#[must_use]
pub fn indicators(from: u32, to: u32) -> Vec<Body> {
    (from..to).map(|id| indicator(id, 0)).collect()
}

fn state(key: &[u8], expect: Expect, value: Option<&[u8]>) -> Batch {
    let change = StateChange { key: key.to_vec(), expect, value: value.map(<[u8]>::to_vec) };
    Batch { state: vec![change], ..Batch::default() }
}

fn is_misuse<T: std::fmt::Debug>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Misuse { .. }))
}

fn an_empty_store_has_nothing(store: &impl Store) {
    let content = indicator(1, 0).id();
    assert_eq!(store.head(), 0);
    assert_eq!(store.log(0, 10).unwrap(), []);
    assert_eq!(store.has_bodies(&[content]).unwrap(), [false]);
    assert_eq!(store.bodies(&[content]).unwrap(), [None]);
    assert_eq!(store.release(ReleaseId::from_bytes([0; 32])).unwrap(), None);
    assert_eq!(store.rows_of(content).unwrap(), [0; 0]);
    assert_eq!(store.versions(&indicator(1, 0).facts().stix_id).unwrap(), []);
    assert_eq!(store.observed(&observable(1), 10).unwrap(), []);
    assert_eq!(store.state(b"key").unwrap(), None);
    assert_eq!(store.state_range(b"", None, 10).unwrap(), []);
    assert_eq!(store.stats().objects, 0);
    assert!(store.verify().unwrap().problems.is_empty());
    assert_eq!(store.holding(content).unwrap(), Holding::Unknown);
    assert_eq!(store.commit(Batch::default(), time(0)).unwrap(), []);
}

fn a_release_is_found_as_it_came(store: &impl Store) {
    let bodies = indicators(0, 25);
    let arrival = arrival(bodies.clone(), 0);
    let release = arrival.release.clone();
    let committed = store.commit(Batch { arrivals: vec![arrival], ..Batch::default() }, time(0)).unwrap();
    assert_eq!((committed[0].seq, committed[0].new, committed[0].bodies_new), (1, true, 25));

    assert_eq!(store.head(), 1);
    assert_eq!(store.release(release.id()).unwrap(), Some((1, release.signed().clone())));
    let row = &store.log(0, 10).unwrap()[0];
    assert_eq!((row.seq, row.release, row.added_at), (1, release.id(), time(0)));
    assert_eq!((row.objects, row.all_new), (25, true));
    for body in &bodies {
        assert_eq!(store.has_bodies(&[body.id()]).unwrap(), [true]);
        assert_eq!(store.rows_of(body.id()).unwrap(), [1]);
    }
    // In any order, with repetitions and strangers among them.
    let stranger = indicator(99, 0).id();
    let found = store.bodies(&[bodies[3].id(), stranger, bodies[0].id(), bodies[3].id()]).unwrap();
    let bytes = |body: &Body| Some(body.bytes().to_vec());
    assert_eq!(found, [bytes(&bodies[3]), None, bytes(&bodies[0]), bytes(&bodies[3])]);
    let stats = store.stats();
    assert_eq!((stats.objects, stats.releases, stats.references), (25, 1, 25));
    assert_eq!(stats.body_bytes, bodies.iter().map(|body| body.bytes().len() as u64).sum::<u64>());
    let report = store.verify().unwrap();
    assert_eq!((report.objects, report.problems.len()), (25, 0), "{:?}", report.problems);
}

fn what_is_there_is_not_stored_again(store: &impl Store) {
    let first = store.commit(push(indicators(0, 10), 0), time(0)).unwrap();
    let again = store.commit(push(indicators(0, 10), 0), time(1)).unwrap();
    assert_eq!((again[0].seq, again[0].new, again[0].bodies_new), (first[0].seq, false, 0));

    let other = store.commit(push(indicators(5, 15), 1), time(2)).unwrap();
    assert_eq!((other[0].seq, other[0].new, other[0].bodies_new), (2, true, 5));
    let bodiless = Arrival { bodies: Vec::new(), ..arrival(indicators(0, 10), 2) };
    let third = store.commit(Batch { arrivals: vec![bodiless], ..Batch::default() }, time(3)).unwrap();
    assert_eq!((third[0].seq, third[0].new, third[0].bodies_new), (3, true, 0));

    let all_new: Vec<_> = store.log(0, 10).unwrap().iter().map(|row| row.all_new).collect();
    assert_eq!(all_new, [true, false, false]);
    assert_eq!(store.rows_of(indicator(0, 0).id()).unwrap(), [1, 3]);
    assert_eq!(store.rows_of(indicator(7, 0).id()).unwrap(), [1, 2, 3]);
    assert_eq!(store.rows_of(indicator(12, 0).id()).unwrap(), [2]);
    let stats = store.stats();
    assert_eq!((stats.objects, stats.releases, stats.references), (15, 3, 30));
}

fn a_batch_may_rest_on_its_earlier_arrivals(store: &impl Store) {
    let repeat = arrival(indicators(0, 10), 0);
    let bodiless = Arrival { bodies: Vec::new(), ..arrival(indicators(0, 5), 1) };
    let arrivals = vec![arrival(indicators(0, 10), 0), bodiless.clone(), repeat, arrival(indicators(8, 12), 2)];
    let committed = store.commit(Batch { arrivals, ..Batch::default() }, time(0)).unwrap();
    let found: Vec<_> = committed.iter().map(|one| (one.seq, one.new, one.bodies_new)).collect();
    assert_eq!(found, [(1, true, 10), (2, true, 0), (1, false, 0), (3, true, 2)]);
    assert_eq!(store.rows_of(indicator(8, 0).id()).unwrap(), [1, 3]);
}

fn a_release_without_its_bodies_is_refused(store: &impl Store) {
    let mut lacking = arrival(indicators(0, 10), 0);
    lacking.bodies.pop();
    let batch = Batch { arrivals: vec![arrival(indicators(20, 30), 1), lacking], ..Batch::default() };
    assert!(is_misuse(&store.commit(batch, time(0))));
    let mut surplus = arrival(indicators(0, 10), 0);
    surplus.bodies.push(indicator(11, 0));
    assert!(is_misuse(&store.commit(Batch { arrivals: vec![surplus], ..Batch::default() }, time(0))));
    assert_eq!(store.head(), 0);
    assert_eq!(store.has_bodies(&[indicator(0, 0).id(), indicator(20, 0).id()]).unwrap(), [false, false]);
}

fn a_conflict_stores_nothing_of_its_batch(store: &impl Store) {
    let mut batch = push(indicators(0, 10), 0);
    batch.state.push(StateChange::set(b"other".to_vec(), b"set".to_vec()));
    batch.state.push(StateChange { key: b"k".to_vec(), expect: Expect::Value(b"x".to_vec()), value: None });
    match store.commit(batch, time(0)) {
        Err(StoreError::Conflict { key }) => assert_eq!(key, b"k"),
        other => panic!("{other:?}"),
    }
    assert_eq!((store.head(), store.state(b"other").unwrap()), (0, None));
    assert_eq!(store.has_bodies(&[indicator(0, 0).id()]).unwrap(), [false]);
}

fn state_is_compared_and_set(store: &impl Store) {
    let is_conflict = |batch| matches!(store.commit(batch, time(0)), Err(StoreError::Conflict { .. }));
    store.commit(state(b"k", Expect::Absent, Some(b"1")), time(0)).unwrap();
    assert!(is_conflict(state(b"k", Expect::Absent, Some(b"2"))));
    assert!(is_conflict(state(b"k", Expect::Value(b"2".to_vec()), Some(b"3"))));
    assert_eq!(store.state(b"k").unwrap().as_deref(), Some(&b"1"[..]));
    store.commit(state(b"k", Expect::Value(b"1".to_vec()), Some(b"")), time(0)).unwrap();
    assert_eq!(store.state(b"k").unwrap().as_deref(), Some(&b""[..]));
    store.commit(state(b"k", Expect::Value(Vec::new()), None), time(0)).unwrap();
    assert_eq!(store.state(b"k").unwrap(), None);

    // Later changes of a batch see the earlier ones.
    let mut batch = state(b"k", Expect::Absent, Some(b"a"));
    batch.state.extend(state(b"k", Expect::Value(b"a".to_vec()), Some(b"b")).state);
    store.commit(batch, time(0)).unwrap();
    assert_eq!(store.state(b"k").unwrap().as_deref(), Some(&b"b"[..]));
}

fn state_is_listed_in_pages(store: &impl Store) {
    for key in [&b"a/1"[..], b"a/2", b"a/3", b"b/1", b"a"] {
        store.commit(state(key, Expect::Anything, Some(key)), time(0)).unwrap();
    }
    let keys = |prefix: &[u8], after: Option<&[u8]>, limit| {
        let rows = store.state_range(prefix, after, limit).unwrap();
        assert!(rows.iter().all(|(key, value)| key == value));
        rows.into_iter().map(|(key, _)| String::from_utf8(key).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(keys(b"", None, 9), ["a", "a/1", "a/2", "a/3", "b/1"]);
    assert_eq!(keys(b"a/", None, 2), ["a/1", "a/2"]);
    assert_eq!(keys(b"a/", Some(b"a/2"), 2), ["a/3"]);
    assert_eq!(keys(b"a/", Some(b"a/3"), 2), [""; 0]);
    assert_eq!(keys(b"a/", Some(b"a"), 9), ["a/1", "a/2", "a/3"]);
    assert_eq!(keys(b"a/", Some(b"b"), 9), [""; 0]);
    store.commit(state(b"a/2", Expect::Anything, None), time(0)).unwrap();
    assert_eq!(keys(b"a/", None, 9), ["a/1", "a/3"]);
    assert_eq!(keys(b"a/", None, 0), [""; 0]);
}

fn large_state_survives_and_too_large_is_refused(store: &impl Store) {
    let large: Vec<_> = (0..STATE_VALUE_BYTES_MAX).map(|at| u8::try_from(at % 251).unwrap()).collect();
    let key = vec![255; STATE_KEY_BYTES_MAX];
    for value in [&large[..], &large[..100_000], b"small", &large[..50_000]] {
        store.commit(state(&key, Expect::Anything, Some(value)), time(0)).unwrap();
        assert!(store.state(&key).unwrap().as_deref() == Some(value));
        assert!(store.state_range(&key, None, 2).unwrap() == [(key.clone(), value.to_vec())]);
    }
    let too_large = vec![0; STATE_VALUE_BYTES_MAX + 1];
    assert!(is_misuse(&store.commit(state(b"k", Expect::Anything, Some(&too_large)), time(0))));
    let too_long = vec![0; STATE_KEY_BYTES_MAX + 1];
    assert!(is_misuse(&store.commit(state(&too_long, Expect::Anything, None), time(0))));
}

fn object_times_increase_whatever_the_clock_does(store: &impl Store) {
    for (salt, now) in [(0, 1_000_000), (1, 1_000_000), (2, 0), (3, 1_000_005), (4, 9_000_000)] {
        let from = u32::try_from(salt).unwrap() * 10;
        store.commit(push(indicators(from, from + 10), salt), time(now)).unwrap();
    }
    let added: Vec<_> = store.log(0, 10).unwrap().iter().map(|row| row.added_at).collect();
    let expected = [1_000_000, 1_000_010, 1_000_020, 1_000_030, 9_000_000].map(time);
    assert_eq!(added, expected);
}

fn versions_come_in_order(store: &impl Store) {
    let mut bodies: Vec<_> = [5, 1, 3].map(|version| indicator(1, version)).into();
    // The same version with other content: the id decides.
    bodies.extend([indicator(1, 3 + 3600), indicator(1, 3 + 7200)]);
    for (salt, body) in (0..).zip(&bodies) {
        store.commit(push(vec![body.clone()], salt), time(salt)).unwrap();
    }
    store.commit(push(vec![indicator(2, 4)], 99), time(0)).unwrap();
    bodies.sort_unstable_by_key(|body| (body.facts().version_nanos, body.id()));
    assert!(store.has_one_version(&indicator(2, 4).facts().stix_id).unwrap());
    assert!(!store.has_one_version(&bodies[0].facts().stix_id).unwrap());
    let found = store.versions(&bodies[0].facts().stix_id).unwrap();
    let found: Vec<_> = found.iter().map(|version| (version.version_nanos, version.content)).collect();
    let expected: Vec<_> = bodies.iter().map(|body| (body.facts().version_nanos, body.id())).collect();
    assert_eq!(found, expected);
}

fn observables_lead_to_all_that_carry_them(store: &impl Store) {
    store.commit(push(indicators(0, 40), 0), time(0)).unwrap();
    store.commit(push(indicators(30, 50), 1), time(1)).unwrap();
    let mut found = store.observed(&observable(3), 100).unwrap();
    found.sort_unstable();
    let mut expected: Vec<_> = [3, 13, 23, 33, 43].map(|id| indicator(id, 0).id()).into();
    expected.sort_unstable();
    assert_eq!(found, expected);
    assert_eq!(store.observed(&observable(3), 2).unwrap().len(), 2);
}

fn the_log_is_read_in_pages(store: &impl Store) {
    for salt in 0..300 {
        store.commit(push(vec![indicator(1, 0)], salt), time(salt)).unwrap();
    }
    let mut after = 0;
    let mut seen = Vec::new();
    loop {
        let rows = store.log(after, 70).unwrap();
        let Some(last) = rows.last() else { break };
        after = last.seq;
        seen.extend(rows.iter().map(|row| row.seq));
    }
    assert_eq!(seen, (1..=300).collect::<Vec<_>>());
    assert_eq!(store.log(300, 10).unwrap(), []);
    assert_eq!(store.log(u64::MAX, usize::MAX).unwrap(), []);
    assert_eq!(store.log(299, usize::MAX).unwrap().len(), 1);
}

/// A batch that purges.
#[must_use]
pub fn purge(releases: Vec<ReleaseId>, contents: Vec<ContentId>) -> Batch {
    Batch { purge: Purge { releases, contents, ..Purge::default() }, ..Batch::default() }
}

fn a_purged_release_is_gone_with_what_only_it_names(store: &impl Store) {
    let old = push(indicators(0, 20), 0);
    let id = old.arrivals[0].release.id();
    store.commit(old.clone(), time(0)).unwrap();
    store.commit(push(indicators(15, 25), 1), time(1)).unwrap();
    let bytes = store.stats().body_bytes;
    let unknown = ReleaseId::from_bytes([9; 32]);
    assert_eq!(store.commit(purge(vec![id, unknown, id], Vec::new()), time(2)).unwrap(), []);

    assert_eq!(store.release(id).unwrap(), None);
    let rows: Vec<_> = store.log(0, 10).unwrap().iter().map(|row| row.seq).collect();
    assert_eq!((rows, store.head()), (vec![2], 2));
    let contents: Vec<_> = indicators(0, 25).iter().map(Body::id).collect();
    let held = store.has_bodies(&contents).unwrap();
    assert!(held.iter().enumerate().all(|(id, held)| *held == (id >= 15)), "{held:?}");
    let bodies = store.bodies(&contents).unwrap();
    assert!(bodies.iter().zip(held).all(|(body, held)| body.is_some() == held));
    assert_eq!((store.rows_of(contents[0]).unwrap(), store.rows_of(contents[15]).unwrap()), (vec![], vec![2]));
    assert_eq!(store.versions(&indicator(3, 0).facts().stix_id).unwrap(), []);
    assert!(!store.has_one_version(&indicator(3, 0).facts().stix_id).unwrap());
    assert_eq!(store.observed(&observable(3), 10).unwrap(), [indicator(23, 0).id()]);
    let stats = store.stats();
    assert_eq!((stats.objects, stats.releases, stats.references), (10, 1, 10));
    let gone: usize = indicators(0, 15).iter().map(|body| body.bytes().len()).sum();
    assert_eq!(stats.body_bytes, bytes - gone as u64);
    assert!(store.verify().unwrap().problems.is_empty());

    // It may come again, behind all others.
    let again = store.commit(old, time(3)).unwrap();
    assert_eq!((again[0].seq, again[0].new, again[0].bodies_new), (3, true, 15));
    assert_eq!(store.rows_of(contents[0]).unwrap(), [3]);
    assert_eq!(store.rows_of(contents[15]).unwrap(), [2, 3]);
}

fn a_purged_content_is_gone_and_may_come_again(store: &impl Store) {
    let all = push(indicators(0, 10), 0);
    store.commit(all.clone(), time(0)).unwrap();
    let content = indicator(4, 0).id();
    for _ in 0..2 {
        store.commit(purge(Vec::new(), vec![content]), time(1)).unwrap();
        assert_eq!(store.bodies(&[content]).unwrap(), [None]);
        assert_eq!(store.holding(content).unwrap(), Holding::Purged);
        // Its release stays, and says so.
        assert_eq!((store.rows_of(content).unwrap(), store.stats().objects), (vec![1], 9));
        assert_eq!(store.versions(&indicator(4, 0).facts().stix_id).unwrap(), []);
        assert!(store.verify().unwrap().problems.is_empty());
    }
    let bodiless = Arrival { bodies: Vec::new(), ..arrival(vec![indicator(4, 0)], 1) };
    assert!(is_misuse(&store.commit(Batch { arrivals: vec![bodiless], ..Batch::default() }, time(2))));
    let again = store.commit(push(vec![indicator(4, 0)], 1), time(2)).unwrap();
    assert_eq!((again[0].seq, again[0].new, again[0].bodies_new), (2, true, 1));
    assert_eq!(store.holding(content).unwrap(), Holding::Held);
    assert!(!store.log(1, 1).unwrap()[0].all_new, "an earlier row names it");
    assert_eq!(store.rows_of(content).unwrap(), [1, 2]);
    assert!(!store.commit(all, time(3)).unwrap()[0].new);
}

fn a_purge_of_what_its_batch_brings_is_refused(store: &impl Store) {
    let fresh = push(indicators(0, 5), 0);
    let (release, content) = (fresh.arrivals[0].release.id(), indicator(2, 0).id());
    for purge in [purge(vec![release], Vec::new()).purge, purge(Vec::new(), vec![content]).purge] {
        assert!(is_misuse(&store.commit(Batch { purge, ..fresh.clone() }, time(0))));
    }
    assert!(is_misuse(&store.commit(purge(Vec::new(), vec![content; PURGE_ITEMS_MAX + 1]), time(0))));
    assert_eq!(store.head(), 0);
    // What the batch goes on naming is not lost with the release before.
    store.commit(fresh, time(0)).unwrap();
    let mut batch = push(indicators(0, 8), 1);
    batch.purge.releases.push(release);
    batch.state.push(StateChange::set(b"k".to_vec(), b"v".to_vec()));
    store.commit(batch, time(1)).unwrap();
    assert_eq!((store.stats().objects, store.stats().releases), (8, 1));
    assert_eq!(store.state(b"k").unwrap().as_deref(), Some(&b"v"[..]));
    assert_eq!(store.bodies(&[content]).unwrap().iter().flatten().count(), 1);
}

fn what_was_purged_stays_gone_when_its_space_is_given_back(store: &impl Store) {
    let releases: Vec<_> = (0..10)
        .map(|round| {
            let batch = push(indicators(round * 30, round * 30 + 30), round.into());
            let id = batch.arrivals[0].release.id();
            store.commit(batch, time(0)).unwrap();
            id
        })
        .collect();
    store.commit(purge(releases[..8].to_vec(), Vec::new()), time(0)).unwrap();
    let before = store.stats();
    let added: Vec<_> = store.log(0, 100).unwrap().iter().map(|row| row.added_at).collect();
    if let Some(care) = store.care() {
        let compacted = care.compact(10).unwrap();
        assert!(compacted.rewritten > 0 && compacted.left.is_empty(), "{compacted:?}");
        assert!(compacted.bytes_after * 2 < compacted.bytes_before, "{compacted:?}");
        assert_eq!(care.compact(10).unwrap().rewritten, 0, "nothing is left to give back");
        let census = care.census().unwrap();
        assert_eq!((census.bodies.dead, census.releases.dead), (0, 0), "{census:?}");
        assert_eq!((census.oldest, census.newest), (added.first().copied(), added.last().copied()));
    }
    assert_eq!(Stats { disk_bytes: 0, ..store.stats() }, Stats { disk_bytes: 0, ..before });
    let rows: Vec<_> = store.log(0, 100).unwrap().iter().map(|row| row.seq).collect();
    assert_eq!((rows, store.head()), (vec![9, 10], 10));
    let contents: Vec<_> = indicators(0, 300).iter().map(Body::id).collect();
    let held = store.bodies(&contents).unwrap().iter().map(Option::is_some).collect::<Vec<_>>();
    assert!(held.iter().enumerate().all(|(id, held)| *held == (id >= 240)));
    assert!(store.verify().unwrap().problems.is_empty());
    assert_eq!(store.commit(push(indicators(0, 30), 0), time(0)).unwrap()[0].seq, 11);
}

/// A batch that stages bodies.
#[must_use]
pub fn stage(bodies: Vec<Body>) -> Batch {
    Batch { staged: bodies, ..Batch::default() }
}

/// A batch that drops staged bodies.
#[must_use]
pub fn drop_staged(bodies: &[Body]) -> Batch {
    let staged = bodies.iter().map(Body::id).collect();
    Batch { purge: Purge { staged, ..Purge::default() }, ..Batch::default() }
}

fn holdings(store: &impl Store, bodies: &[Body]) -> Vec<Holding> {
    bodies.iter().map(|body| store.holding(body.id()).unwrap()).collect()
}

fn a_staged_body_is_held_and_nothing_shows_it(store: &impl Store) {
    let bodies = indicators(0, 20);
    let ids: Vec<_> = bodies.iter().map(Body::id).collect();
    assert_eq!(store.commit(stage(bodies.clone()), time(0)).unwrap(), []);
    for _ in 0..2 {
        assert_eq!(store.has_bodies(&ids).unwrap(), [true; 20]);
        assert_eq!(store.are_staged(&ids).unwrap(), [true; 20]);
        assert_eq!(holdings(store, &bodies), [Holding::Staged; 20]);
        let read = store.bodies(&ids).unwrap();
        assert!(read.iter().zip(&bodies).all(|(read, body)| read.as_deref() == Some(body.bytes())));
        assert_eq!((store.head(), store.log(0, 10).unwrap()), (0, vec![]));
        assert_eq!(store.rows_of(ids[3]).unwrap(), [0; 0]);
        assert_eq!(store.versions(&bodies[3].facts().stix_id).unwrap(), []);
        assert!(!store.has_one_version(&bodies[3].facts().stix_id).unwrap());
        assert_eq!(store.observed(&observable(3), 10).unwrap(), []);
        let stats = store.stats();
        assert_eq!((stats.objects, stats.body_bytes, stats.references, stats.staged), (0, 0, 0, 20));
        let report = store.verify().unwrap();
        assert_eq!((report.objects, report.problems.len()), (20, 0), "{:?}", report.problems);
        // They are written once.
        store.commit(stage(bodies.clone()), time(1)).unwrap();
    }
}

fn a_release_takes_what_was_staged_for_it(store: &impl Store) {
    let bodies = indicators(0, 10);
    store.commit(stage(bodies[..6].to_vec()), time(0)).unwrap();
    // Some came again with the release, some are known to be here.
    let whole = arrival(bodies.clone(), 0);
    let rest = Arrival { bodies: bodies[3..].to_vec(), ..whole };
    let committed = store.commit(Batch { arrivals: vec![rest], ..Batch::default() }, time(1)).unwrap();
    assert_eq!((committed[0].seq, committed[0].new, committed[0].bodies_new), (1, true, 10));
    assert_eq!(holdings(store, &bodies), [Holding::Held; 10]);
    let row = &store.log(0, 10).unwrap()[0];
    assert!(row.all_new, "no other release names them");
    for body in &bodies {
        assert_eq!(store.rows_of(body.id()).unwrap(), [1]);
        assert_eq!(store.versions(&body.facts().stix_id).unwrap().len(), 1);
    }
    assert_eq!(store.observed(&observable(3), 10).unwrap(), [bodies[3].id()]);
    let stats = store.stats();
    assert_eq!((stats.objects, stats.references, stats.staged), (10, 10, 0));
    assert_eq!(stats.body_bytes, bodies.iter().map(|body| body.bytes().len() as u64).sum::<u64>());
    let report = store.verify().unwrap();
    assert_eq!((report.objects, report.problems.len()), (10, 0), "{:?}", report.problems);

    // What one release took is not new to the next, and goes with the last that names it.
    let other = arrival(indicators(5, 15), 1);
    let committed = store.commit(Batch { arrivals: vec![other], ..Batch::default() }, time(2)).unwrap();
    assert_eq!(committed[0].bodies_new, 5);
    let first = store.log(0, 1).unwrap()[0].release;
    store.commit(purge(vec![first], Vec::new()), time(3)).unwrap();
    assert_eq!(holdings(store, &bodies[4..6]), [Holding::Purged, Holding::Held]);
    assert_eq!(store.stats().objects, 10);
}

fn what_is_held_or_named_or_purged_is_not_staged(store: &impl Store) {
    store.commit(push(indicators(0, 10), 0), time(0)).unwrap();
    let content = indicator(4, 0).id();
    let mut batch = purge(Vec::new(), vec![content, indicator(20, 0).id()]);
    batch.staged = vec![indicator(4, 0), indicator(5, 0), indicator(20, 0), indicator(21, 0)];
    store.commit(batch, time(1)).unwrap();
    let asked = [4, 5, 20, 21].map(|id| indicator(id, 0));
    let found = [Holding::Purged, Holding::Held, Holding::Unknown, Holding::Staged];
    assert_eq!(holdings(store, &asked), found);
    // The release that names it would show it.
    store.commit(stage(vec![indicator(4, 0)]), time(2)).unwrap();
    assert_eq!((store.holding(content).unwrap(), store.bodies(&[content]).unwrap()), (Holding::Purged, vec![None]));
    assert_eq!((store.stats().objects, store.stats().staged), (9, 1));
    // Nor does a release find what its own batch stages.
    let bodiless = Arrival { bodies: Vec::new(), ..arrival(indicators(30, 32), 3) };
    let batch = Batch { arrivals: vec![bodiless.clone()], ..stage(indicators(30, 32)) };
    assert!(is_misuse(&store.commit(batch, time(3))));
    store.commit(stage(indicators(30, 32)), time(3)).unwrap();
    let batch = Batch { arrivals: vec![bodiless], ..stage(indicators(30, 32)) };
    assert_eq!(store.commit(batch, time(4)).unwrap()[0].bodies_new, 2);
    assert_eq!((store.stats().objects, store.stats().staged), (11, 1));
}

fn what_is_staged_can_be_dropped_until_a_release_takes_it(store: &impl Store) {
    let bodies = indicators(0, 40);
    store.commit(stage(bodies.clone()), time(0)).unwrap();
    store.commit(push(bodies[..10].to_vec(), 0), time(1)).unwrap();
    let mut batch = drop_staged(&bodies[..30]);
    batch.arrivals.push(arrival(bodies[35..].to_vec(), 1));
    store.commit(batch, time(2)).unwrap();
    let expected = |place: usize| match place {
        10..30 => Holding::Unknown,
        30..35 => Holding::Staged,
        _ => Holding::Held,
    };
    let is_as_expected = || holdings(store, &bodies).into_iter().enumerate().all(|(at, found)| found == expected(at));
    assert!(is_as_expected());
    if let Some(care) = store.care() {
        assert_eq!(care.compact(1).unwrap().rewritten, 1);
        assert!(care.census().unwrap().bodies.dead == 0 && is_as_expected());
    }
    assert_eq!((store.stats().objects, store.stats().staged), (15, 5));
    assert!(store.verify().unwrap().problems.is_empty());
    let refused = Batch { arrivals: vec![arrival(bodies[30..32].to_vec(), 2)], ..drop_staged(&bodies[31..32]) };
    assert!(is_misuse(&store.commit(refused, time(3))));
    let again = store.commit(push(bodies[20..35].to_vec(), 3), time(3)).unwrap();
    assert_eq!(again[0].bodies_new, 15);
    // A content that is purged by its id goes although it is only staged, and is known to have been here.
    store.commit(stage(indicators(50, 52)), time(4)).unwrap();
    store.commit(purge(Vec::new(), vec![indicator(50, 0).id()]), time(5)).unwrap();
    assert_eq!(holdings(store, &indicators(50, 52)), [Holding::Purged, Holding::Staged]);
    assert_eq!((store.stats().objects, store.stats().staged), (30, 1));
}

fn commits_from_many_threads_make_one_dense_log(store: &impl Store) {
    const THREADS: u32 = 8;
    const COMMITS: u32 = 40;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for commit in 0..COMMITS {
                    // Neighbours overlap, so threads race to bring the same body.
                    let id = thread * COMMITS / 2 + commit;
                    let batch = push(vec![indicator(id, 0)], i64::from(thread * COMMITS + commit));
                    let release = batch.arrivals[0].release.id();
                    let committed = store.commit(batch, time(0)).unwrap();
                    assert!(committed[0].new);
                    // What was acknowledged can be read at once.
                    assert_eq!(store.release(release).unwrap().map(|(seq, _)| seq), Some(committed[0].seq));
                    assert!(store.head() >= committed[0].seq);
                }
            });
        }
    });
    let rows = store.log(0, usize::MAX).unwrap();
    assert_eq!(rows.len() as u64, u64::from(THREADS * COMMITS));
    assert!(rows.iter().zip(1..).all(|(row, seq)| row.seq == seq));
    assert!(rows.is_sorted_by(|a, b| a.added_at < b.added_at));
    assert_eq!(rows.iter().filter(|row| row.all_new).count() as u64, store.stats().objects);
    assert!(store.verify().unwrap().problems.is_empty());
}
