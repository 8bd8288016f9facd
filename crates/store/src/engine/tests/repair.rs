//! A repair: what is damaged is named, copied and out of the way, and once it has come again nothing is wrong.

use std::collections::BTreeSet;

use super::compaction::copy_all;
use super::*;
use crate::contract::{Care, Purge};

fn flip(path: &Path, byte: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[byte] ^= 4;
    fs::write(path, bytes).unwrap();
}

fn rebuild(temporary: &mut Temporary, options: &Options) {
    temporary.close();
    fs::remove_dir_all(temporary.dir.path().join("index")).unwrap();
    temporary.reopen(options.clone());
}

/// Commits once more each release that is lacking, as a peer does that is asked for it; nothing else may be needed.
fn bring_again(store: &SledStore, model: &MemoryStore, repaired: &crate::contract::Repaired) {
    let lacking = &repaired.report.lacking;
    for row in model.log(0, usize::MAX).unwrap() {
        let is_lost = lacking.rows > 0 && store.release(row.release).unwrap().is_none();
        if !is_lost && !lacking.releases.contains(&row.release) {
            continue;
        }
        assert!(!lacking.purged.contains(&row.release));
        let (_, release) = model.release(row.release).unwrap().unwrap();
        let bodies = model.bodies(&release.contents).unwrap().into_iter().zip(&release.contents);
        let bodies: Vec<_> = bodies.map(|(body, id)| Body::verify(*id, body.unwrap()).unwrap()).collect();
        let salt = release.stored_manifest().unwrap().published_at.as_micros() - time(0).as_micros();
        let batch = push(bodies, salt);
        assert_eq!(batch.arrivals[0].release.id(), row.release);
        store.commit(batch, time(9)).unwrap();
    }
}

fn assert_mended(store: &SledStore, model: &MemoryStore, what: &str) {
    let report = store.verify().unwrap();
    assert_eq!(report.problems, [""; 0], "{what}");
    for row in model.log(0, usize::MAX).unwrap() {
        let (_, expected) = model.release(row.release).unwrap().unwrap();
        let (seq, found) = store.release(row.release).unwrap().unwrap();
        assert_eq!(found, expected, "{what}");
        assert_eq!(store.bodies(&found.contents).unwrap(), model.bodies(&found.contents).unwrap(), "{what}");
        assert!(store.rows_of(found.contents[0]).unwrap().contains(&seq), "{what}");
    }
    let counted = |store: &dyn Store| (store.stats().objects, store.stats().body_bytes, store.stats().releases);
    assert_eq!(counted(store), counted(model), "{what}");
    assert_eq!(store.state_range(b"", None, 99).unwrap(), model.state_range(b"", None, 99).unwrap(), "{what}");
}

#[test]
fn what_is_damaged_anywhere_is_set_aside_and_comes_again() {
    for options in [lazy(), tiny()] {
        let (mut sound, model) = filled(options.clone());
        sound.close();
        let packs = fs::read_dir(sound.dir.path().join("packs")).unwrap().count();
        for turn in 0..12 {
            let mut temporary = Temporary::new(options.clone());
            temporary.close();
            fs::remove_dir_all(temporary.dir.path()).unwrap();
            copy_all(sound.dir.path(), temporary.dir.path());
            let pack = temporary.pack(u32::try_from(turn % packs).unwrap());
            let bytes = usize::try_from(fs::metadata(&pack).unwrap().len()).unwrap();
            // Behind the segment's header, which is not set aside.
            let byte = 64 + turn * 7919 % (bytes - 64);
            flip(&pack, byte);
            let what = format!("byte {byte} of {}", pack.display());
            temporary.reopen(options.clone());
            let store = temporary.store();
            let before = fs::read(&pack).unwrap();
            let repaired = store.repair(time(8)).unwrap();
            assert!(!repaired.report.problems.is_empty() && !repaired.files.is_empty(), "{what}");
            let copy = fs::read(temporary.dir.path().join(&repaired.files[0])).unwrap();
            assert!(before.windows(copy.len()).any(|window| window == copy), "{what}: the copy is of something else");
            bring_again(store, &model, &repaired);
            assert_mended(store, &model, &what);
            assert_mended(temporary.reopen(options.clone()), &model, &what);
            rebuild(&mut temporary, &options);
            assert_mended(temporary.store(), &model, &what);
        }
    }
}

#[test]
fn rows_that_nothing_tells_any_more_are_counted_and_known_from_then_on() {
    let mut temporary = with_lost_rows(9, 2..6);
    let store = temporary.reopen(lazy());
    let repaired = store.repair(time(1)).unwrap();
    assert_eq!((repaired.report.lacking.rows, repaired.files.len()), (4, 1));
    assert_eq!(store.verify().unwrap().problems, [""; 0]);
    rebuild(&mut temporary, &lazy());
    assert_eq!(temporary.store().verify().unwrap().problems, [""; 0]);
    // Another byte of what was set aside is other damage.
    temporary.close();
    flip(&temporary.pack(0), 64 + 3_000);
    let report = temporary.reopen(lazy()).verify().unwrap();
    assert!(!report.problems.is_empty(), "{report:?}");
}

#[test]
fn a_release_that_was_purged_is_told_from_one_that_was_lost() {
    let mut temporary = Temporary::new(lazy());
    let batches: Vec<_> = (0..3).map(|round| push(indicators(round * 10, round * 10 + 10), round.into())).collect();
    let mut ends = Vec::new();
    for batch in &batches {
        temporary.store().commit(batch.clone(), time(0)).unwrap();
        ends.push(usize::try_from(fs::metadata(temporary.pack(0)).unwrap().len()).unwrap());
    }
    let purged = batches[2].arrivals[0].release.id();
    let purge = Purge { releases: vec![purged], ..Purge::default() };
    temporary.store().commit(Batch { purge, ..Batch::default() }, time(1)).unwrap();
    temporary.close();
    flip(&temporary.pack(0), ends[0] + 3);
    fs::remove_dir_all(temporary.dir.path().join("index")).unwrap();
    let repaired = temporary.reopen(lazy()).repair(time(2)).unwrap();
    assert_eq!((repaired.report.lacking.rows, repaired.report.lacking.purged), (1, BTreeSet::from([purged])));
}
