//! Staged bodies over restarts, rebuilds, compactions and races; damage among them.

use super::*;
use crate::conformance::{arrival, drop_staged, stage};
use crate::contract::Arrival;

/// Commits the same to a store and to its model.
fn commit_both(store: &SledStore, model: &MemoryStore, batch: Batch, now: i64) {
    assert_eq!(store.commit(batch.clone(), time(now)).unwrap(), model.commit(batch, time(now)).unwrap());
}

/// A release that counts on what was staged for it.
fn bodiless(bodies: Vec<Body>, salt: i64) -> Batch {
    let arrival = Arrival { bodies: Vec::new(), ..arrival(bodies, salt) };
    Batch { arrivals: vec![arrival], ..Batch::default() }
}

#[test]
fn staged_bodies_are_known_after_restarts_rebuilds_and_compactions() {
    for options in [lazy(), tiny()] {
        let (mut temporary, model) = filled(options.clone());
        let steps = [
            // Enough to be compressed by the caller, and a few that are not.
            stage((0..100).map(|id| indicator(id % 50, 2 + id / 50)).collect()),
            stage(indicators(98, 104)),
            push((0..20).map(|id| indicator(id, 2)).collect(), 70),
            bodiless((10..30).map(|id| indicator(id, 2)).collect(), 71),
            drop_staged(&(25..40).map(|id| indicator(id, 2)).collect::<Vec<_>>()),
            stage((38..44).map(|id| indicator(id, 2)).collect()),
            purge_of(70),
            bodiless((40..50).map(|id| indicator(id, 2)).collect(), 72),
        ];
        for (now, step) in (20..).zip(steps) {
            commit_both(temporary.store(), &model, step, now);
            for rebuilds in [false, true] {
                assert_same_reopened(&mut temporary, &options, &model, rebuilds);
            }
        }
        for rebuilds in [false, true, false] {
            assert_eq!(temporary.store().compact(1).unwrap().left, [""; 0]);
            temporary.close();
            if rebuilds {
                fs::remove_dir_all(temporary.dir.path().join("index")).unwrap();
            }
            assert_same(temporary.reopen(options.clone()), &model);
            assert_eq!(temporary.store().verify().unwrap().problems, [""; 0]);
        }
    }
}

/// Purges the release of indicators 0 to 19, version 2.
fn purge_of(salt: i64) -> Batch {
    let batch = push((0..20).map(|id| indicator(id, 2)).collect(), salt);
    conformance::purge(vec![batch.arrivals[0].release.id()], Vec::new())
}

#[test]
fn a_release_does_not_write_again_what_was_staged() {
    let temporary = Temporary::new(lazy());
    let store = temporary.store();
    let packs = || fs::metadata(temporary.pack(0)).unwrap().len();
    let bodies: Vec<_> = (0..500).map(|id| indicator(id, 1)).collect();
    let before = packs();
    store.commit(stage(bodies.clone()), time(0)).unwrap();
    let staged = packs() - before;
    store.commit(push(bodies.clone(), 0), time(1)).unwrap();
    // The release itself: the ids of its contents cannot be compressed.
    let taken = packs() - before - staged;
    assert!(taken < 500 * 32 + 1500, "{staged} bytes were staged, and then {taken} written");
}

/// Releases, staging of what they name and drops of it, all at once: whatever the order, nothing is lost or shown twice.
#[test]
fn releases_race_with_what_is_staged_for_them() {
    const ROUNDS: u32 = 30;
    for options in [lazy(), tiny()] {
        let mut temporary = Temporary::new(options.clone());
        let store = temporary.store();
        for round in 0..ROUNDS {
            let bodies = indicators(round * 20, round * 20 + 20);
            thread::scope(|scope| {
                scope.spawn(|| store.commit(stage(bodies[..15].to_vec()), time(0)).unwrap());
                scope.spawn(|| store.commit(stage(bodies[5..].to_vec()), time(0)).unwrap());
                scope.spawn(|| store.commit(drop_staged(&bodies[..10]), time(0)).unwrap());
                for salt in [0, 1] {
                    let (salt, bodies) = (i64::from(round * 2 + salt), bodies.clone());
                    scope.spawn(move || {
                        // A drop came in between: the caller tries again.
                        while let Err(error) = store.commit(push(bodies.clone(), salt), time(0)) {
                            assert!(matches!(error, StoreError::Busy), "{error:?}");
                        }
                    });
                }
            });
        }
        for rebuilds in [false, true] {
            let stats = temporary.store().stats();
            assert_eq!(
                (stats.objects, stats.releases, stats.staged),
                (u64::from(ROUNDS) * 20, u64::from(ROUNDS) * 2, 0)
            );
            assert_eq!(temporary.store().verify().unwrap().problems, [""; 0]);
            let contents: Vec<_> = indicators(0, ROUNDS * 20).iter().map(Body::id).collect();
            assert!(temporary.store().bodies(&contents).unwrap().iter().all(Option::is_some));
            for content in contents {
                assert_eq!(temporary.store().rows_of(content).unwrap().len(), 2);
            }
            temporary.close();
            if rebuilds {
                fs::remove_dir_all(temporary.dir.path().join("index")).unwrap();
            }
            temporary.reopen(options.clone());
        }
    }
}

#[test]
fn a_staged_body_that_is_damaged_is_named_and_comes_again() {
    let mut temporary = Temporary::new(lazy());
    let bodies = indicators(0, 5);
    temporary.store().commit(stage(bodies.clone()), time(0)).unwrap();
    temporary.close();
    let mut bytes = fs::read(temporary.pack(0)).unwrap();
    // The frame holds one group, and ends with it.
    let end = bytes.len() - 20;
    bytes[end] ^= 1;
    fs::write(temporary.pack(0), bytes).unwrap();
    let store = temporary.reopen(lazy());
    let damaged = store.bodies(&[bodies[0].id()]);
    assert!(matches!(damaged, Err(StoreError::Corrupt { .. })), "{damaged:?}");
    assert_eq!(store.holding(bodies[0].id()).unwrap(), Holding::Unknown);
    let problems = store.verify().unwrap().problems;
    assert!(problems.iter().any(|problem| problem.contains("a group of Staged is damaged")), "{problems:?}");
    // The others of the group are found damaged when the release is to take them.
    let bodies_new = loop {
        match store.commit(push(bodies.clone(), 0), time(1)) {
            Ok(committed) => break committed[0].bodies_new,
            Err(error) => assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}"),
        }
    };
    assert_eq!((bodies_new, store.stats().objects), (5, 5));
    let contents: Vec<_> = bodies.iter().map(Body::id).collect();
    assert!(store.bodies(&contents).unwrap().iter().all(Option::is_some));
}
