//! Copies of a cut: what was committed until then, whatever happens meanwhile, under an id of their own.

use std::io::Read;

use super::*;
use crate::contract::{Adopted, Cut};

/// Copies a cut into a folder of its own, as a backup does.
fn copy(cut: &Cut, from: &Path) -> TempDir {
    let dir = TempDir::new().unwrap();
    fs::create_dir(dir.path().join("packs")).unwrap();
    for segment in &cut.segments {
        let mut bytes = Vec::new();
        let file = File::open(from.join("packs").join(&segment.file)).unwrap();
        file.take(segment.bytes).read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes.len() as u64, segment.bytes);
        fs::write(dir.path().join("packs").join(&segment.file), bytes).unwrap();
    }
    dir
}

#[test]
fn a_copy_of_a_cut_is_the_store_of_then_under_another_id() {
    for options in [lazy(), tiny()] {
        let (temporary, model) = filled(options.clone());
        let cut = temporary.store().cut().unwrap();
        assert_eq!(cut.head, model.head());
        temporary.store().commit(push(indicators(500, 520), 99), time(99)).unwrap();
        let dir = copy(&cut, temporary.dir.path());
        let Adopted { was, now } = adopt(dir.path()).unwrap();
        assert_eq!(was, Some(temporary.store().id()));
        let store = open(&dir, options.clone());
        assert_eq!((store.id(), store.problems()), (now, &[][..]));
        assert_ne!(Some(now), was);
        assert_same(&store, &model);
        assert_eq!(store.verify().unwrap().problems, [""; 0]);
        // It goes on as a store of its own.
        store.commit(push(indicators(700, 720), 98), time(120)).unwrap();
        assert!(matches!(adopt(dir.path()), Err(StoreError::Locked { .. })));
    }
}

#[test]
fn every_cut_that_is_taken_while_others_commit_is_a_prefix_of_the_log() {
    let temporary = Temporary::new(tiny());
    let done = AtomicBool::new(false);
    let copies: Vec<(Cut, TempDir)> = std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..60 {
                let batch = push(indicators(round * 3, round * 3 + 3), i64::from(round));
                temporary.store().commit(batch, time(i64::from(round))).unwrap();
            }
            done.store(true, SeqCst);
        });
        let mut copies = Vec::new();
        while !done.load(SeqCst) {
            let cut = temporary.store().cut().unwrap();
            let dir = copy(&cut, temporary.dir.path());
            copies.push((cut, dir));
        }
        copies
    });
    let log = temporary.store().log(0, usize::MAX).unwrap();
    for (cut, dir) in copies.iter().rev().step_by(copies.len().div_ceil(8).max(1)) {
        let store = open(dir, tiny());
        assert_eq!(store.problems(), [""; 0]);
        assert!(store.head() >= cut.head);
        assert_eq!(store.log(0, usize::MAX).unwrap(), log[..usize::try_from(store.head()).unwrap()]);
    }
}

#[test]
fn a_segment_that_was_written_anew_is_told_by_its_edition_and_inode() {
    let (temporary, model) = filled(tiny());
    let before = temporary.store().cut().unwrap();
    let releases = model.log(0, usize::MAX).unwrap().iter().step_by(2).map(|row| row.release).collect();
    temporary.store().commit(conformance::purge(releases, Vec::new()), time(50)).unwrap();
    assert!(temporary.store().compact(1).unwrap().rewritten > 0);
    let after = temporary.store().cut().unwrap();
    let changed = before.segments.iter().zip(&after.segments).filter(|(a, b)| a.edition != b.edition);
    let changed: Vec<_> = changed.collect();
    assert!(!changed.is_empty());
    assert!(changed.iter().all(|(a, b)| a.inode != b.inode && a.bytes > b.bytes));
    let dir = copy(&after, temporary.dir.path());
    let store = open(&dir, tiny());
    assert_same(&store, temporary.store());
}
