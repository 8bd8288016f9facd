//! Pushes that race to bring the same bodies, of so many bytes that each caller compresses them before the committer
//! knows whose come first.

use super::*;

const THREADS: u32 = 4;
const PUSHES: u32 = 3;
const OBJECTS: u32 = 300;

/// What a thread pushes: half of it another thread brings at the same time, and a part came before.
fn batch(thread: u32, number: u32) -> Batch {
    let first = number * OBJECTS / 2 + thread % 2 * OBJECTS / 2 + thread;
    let batch = push(indicators(first, first + OBJECTS), i64::from(thread * PUSHES + number));
    assert!(batch.arrivals[0].bodies.iter().map(|body| body.bytes().len()).sum::<usize>() > 64 * 1024);
    batch
}

#[test]
fn whoever_brings_a_body_first_it_is_kept_once_and_served() {
    for options in [lazy(), Options { index_postings_max: 1_000, ..lazy() }] {
        let mut temporary = Temporary::new(options.clone());
        let store = temporary.store();
        let mut taken: Vec<_> = thread::scope(|scope| {
            let push = move |thread| {
                move || (0..PUSHES).map(|number| store.commit(batch(thread, number), time(0)).unwrap()[0]).collect()
            };
            let threads: Vec<_> = (0..THREADS).map(|thread| (thread, scope.spawn(push(thread)))).collect();
            let join = |(thread, pushing): (u32, thread::ScopedJoinHandle<'_, Vec<_>>)| {
                pushing.join().unwrap().into_iter().zip(0..).map(move |(committed, number)| (committed, thread, number))
            };
            threads.into_iter().flat_map(join).collect()
        });
        taken.sort_unstable_by_key(|(committed, ..)| committed.seq);
        // The model is told the same in the order in which the store has taken it.
        let model = MemoryStore::new(store.id());
        for (committed, thread, number) in taken {
            assert_eq!(model.commit(batch(thread, number), time(0)).unwrap(), [committed]);
        }
        assert_same(store, &model);
        assert_eq!(store.verify().unwrap().problems, [""; 0]);
        assert_same_reopened(&mut temporary, &options, &model, false);
        assert_same_reopened(&mut temporary, &options, &model, true);
    }
}
