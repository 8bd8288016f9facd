//! Whatever is done in whatever order, the store answers as the model in memory does.

use proptest::prelude::*;

use super::*;

/// What may be done to a store.
#[derive(Debug, Clone)]
enum Step {
    Push { from: u32, len: u32, version: u32, salt: i64, bodies: bool },
    State { key: u8, expect: Option<u8>, value: Option<u8>, long: bool },
    Purge { row: usize, from: u32, len: u32, version: u32 },
    Stage { from: u32, len: u32, version: u32, drops: bool },
    Compact { percent: u8 },
    Reopen,
    Rebuild,
}

fn step() -> impl Strategy<Value = Step> {
    let push = (0..40_u32, 1..12_u32, 0..3_u32, 0..6_i64, prop::bool::weighted(0.9));
    let state = (0..6_u8, prop::option::of(0..3_u8), prop::option::of(0..3_u8), prop::bool::weighted(0.2));
    prop_oneof![
        8 => push.prop_map(|(from, len, version, salt, bodies)| Step::Push { from, len, version, salt, bodies }),
        4 => state.prop_map(|(key, expect, value, long)| Step::State { key, expect, value, long }),
        3 => (0..40_usize, 0..40_u32, 1..12_u32, 0..3_u32)
            .prop_map(|(row, from, len, version)| Step::Purge { row, from, len, version }),
        5 => (0..40_u32, 1..20_u32, 0..3_u32, prop::bool::weighted(0.3))
            .prop_map(|(from, len, version, drops)| Step::Stage { from, len, version, drops }),
        1 => (0..60_u8).prop_map(|percent| Step::Compact { percent }),
        1 => Just(Step::Reopen),
        1 => Just(Step::Rebuild),
    ]
}

fn batch_of(step: &Step, model: &MemoryStore) -> Option<Batch> {
    match *step {
        Step::Push { from, len, version, salt, bodies } => {
            let all: Vec<_> = (from..from + len).map(|id| indicator(id, version)).collect();
            let mut batch = push(all, salt);
            if !bodies {
                batch.arrivals[0].bodies.clear();
            }
            Some(batch)
        }
        Step::State { key, expect, value, long } => {
            let value_of = |value: u8| vec![value; if long { 40_000 } else { 3 }];
            let expect = expect.map_or(Expect::Anything, |value| Expect::Value(vec![value; 3]));
            let change = StateChange { key: vec![b'k', key], expect, value: value.map(value_of) };
            Some(Batch { state: vec![change], ..Batch::default() })
        }
        Step::Purge { row, from, len, version } => {
            let log = model.log(0, usize::MAX).unwrap();
            let release = log.iter().cycle().nth(row).filter(|_| row < 20).map(|row| row.release);
            let contents = if release.is_some() { from..from } else { from..from + len };
            let contents = contents.map(|id| indicator(id, version).id()).collect();
            Some(conformance::purge(release.into_iter().collect(), contents))
        }
        Step::Stage { from, len, version, drops } => {
            let bodies: Vec<_> = (from..from + len).map(|id| indicator(id, version)).collect();
            Some(if drops { conformance::drop_staged(&bodies) } else { conformance::stage(bodies) })
        }
        Step::Compact { .. } | Step::Reopen | Step::Rebuild => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_done_both_stores_answer_alike(steps in prop::collection::vec(step(), 1..60), is_tiny: bool) {
        let options = if is_tiny { tiny() } else { lazy() };
        let mut temporary = Temporary::new(options.clone());
        let model = MemoryStore::new(temporary.store().id());
        for (now, step) in (0..).zip(&steps) {
            match batch_of(step, &model) {
                Some(batch) => {
                    let found = temporary.store().commit(batch.clone(), time(now)).map_err(|error| error.to_string());
                    let expected = model.commit(batch, time(now)).map_err(|error| error.to_string());
                    prop_assert_eq!(found.is_ok(), expected.is_ok(), "{:?}", step);
                    if let (Ok(found), Ok(expected)) = (found, expected) {
                        prop_assert_eq!(found, expected);
                    }
                }
                None if matches!(step, Step::Compact { .. }) => {
                    let Step::Compact { percent } = step else { unreachable!() };
                    let compacted = temporary.store().compact(*percent).unwrap();
                    prop_assert_eq!(compacted.left, [""; 0]);
                }
                None => {
                    temporary.close();
                    if matches!(step, Step::Rebuild) {
                        fs::remove_dir_all(temporary.dir.path().join("index")).unwrap();
                    }
                    temporary.reopen(options.clone());
                }
            }
        }
        assert_same(temporary.store(), &model);
        assert!(temporary.store().verify().unwrap().problems.is_empty());
    }
}
