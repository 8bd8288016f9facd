//! A repair: what is damaged is named, copied and out of the way, and once it has come again nothing is wrong.

use std::{collections::BTreeSet, ops::Range};

use super::compaction::copy_all;
use super::*;
use crate::{
    contract::{Care, Purge},
    pack::scan::Scanner,
};

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

/// What a store had, with purges and what was staged among it, and what of it must never come back.
struct Had {
    model: MemoryStore,
    gone: Vec<ReleaseId>,
    dropped: Vec<mithaq_core::id::ContentId>,
}

/// A store with some of everything, of which something was purged now and then.
fn purged_now_and_then(options: Options) -> (Temporary, Had) {
    let (temporary, model) = filled(options);
    let mut had = Had { model, gone: Vec::new(), dropped: Vec::new() };
    for round in 0..3_u32 {
        let row = usize::try_from(round * 3).unwrap();
        let release = had.model.log(0, usize::MAX).unwrap()[row].release;
        let content = indicator(50 + round, 0).id();
        let purge = conformance::purge(vec![release], vec![content]);
        let staged = conformance::stage(indicators(200 + round, 202 + round));
        let more = push(indicators(300 + round * 5, 305 + round * 5), 100 + i64::from(round));
        for batch in [purge, staged, more] {
            let now = time(50 + i64::from(round));
            assert_eq!(temporary.store().commit(batch.clone(), now).unwrap(), had.model.commit(batch, now).unwrap());
        }
        had.gone.push(release);
        had.dropped.push(content);
    }
    (temporary, had)
}

impl Had {
    /// Nothing that was purged is there.
    fn assert_gone(&self, store: &SledStore, what: &str) {
        for release in &self.gone {
            assert!(store.release(*release).unwrap().is_none(), "{what}: a release that was purged is back");
        }
        for content in &self.dropped {
            assert_eq!(store.bodies(&[*content]).unwrap(), [None], "{what}: what was purged is back");
        }
    }

    /// Brings again what a daemon asks for after a repair that was cut short: all that is not here and was not purged.
    fn bring_missing(&self, store: &SledStore, repaired: &crate::contract::Repaired, what: &str) {
        let lacking = &repaired.report.lacking;
        for row in self.model.log(0, usize::MAX).unwrap() {
            let is_here = store.release(row.release).is_ok_and(|found| found.is_some());
            if is_here && !lacking.releases.contains(&row.release) {
                continue;
            }
            assert!(!lacking.purged.contains(&row.release), "{what}: it would not be asked for");
            let (_, release) = self.model.release(row.release).unwrap().unwrap();
            let salt = release.stored_manifest().unwrap().published_at.as_micros() - time(0).as_micros();
            // Who gives it again gives all of it: what was purged of it alone is refused elsewhere, if it must be.
            let batch = push(release.contents.iter().map(|id| body_of(*id)).collect(), salt);
            assert_eq!(batch.arrivals[0].release.id(), row.release);
            store.commit(batch, time(90)).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        for gone in &self.gone {
            assert!(lacking.purged.contains(gone), "{what}: what was purged would be asked for");
        }
    }

    /// Everything whole, as it was; nothing to complain of.
    fn assert_whole(&self, store: &SledStore, what: &str) {
        for release in &self.gone {
            assert!(store.release(*release).unwrap().is_none(), "{what}: a release that was purged is back");
        }
        assert_eq!(store.verify().unwrap().problems, [""; 0], "{what}");
        for row in self.model.log(0, usize::MAX).unwrap() {
            let (_, expected) = self.model.release(row.release).unwrap().unwrap();
            let (_, found) = store.release(row.release).unwrap().unwrap_or_else(|| panic!("{what}: a release is gone"));
            assert_eq!(found, expected, "{what}");
            let (held, had) = (store.bodies(&found.contents).unwrap(), self.model.bodies(&found.contents).unwrap());
            assert!(held.iter().zip(&had).all(|(held, had)| had.is_none() || held == had), "{what}");
        }
        let state = |store: &dyn Store| store.state_range(b"", None, 99).unwrap();
        assert_eq!(state(store), state(&self.model), "{what}");
    }
}

/// An indicator by its content id, of those that these tests make.
fn body_of(content: mithaq_core::id::ContentId) -> Body {
    (0..320).map(|id| indicator(id, 0)).find(|body| body.id() == content).unwrap()
}

/// Repairs a copy of a store and gives the copies that were made before and after each write, at most `limit` of them.
fn crashes_of_a_repair(dir: &Path, options: &Options, limit: usize) -> Vec<TempDir> {
    let disk = Arc::new(super::compaction::Snapshots::default());
    let store = SledStore::open_on(dir, options.clone(), Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
    *disk.dir.lock().unwrap() = Some(dir.to_owned());
    store.repair(time(80)).unwrap();
    *disk.dir.lock().unwrap() = None;
    drop(store);
    let taken = std::mem::take(&mut *disk.taken.lock().unwrap());
    assert!(taken.len() > 3, "{}", taken.len());
    let step = taken.len().div_ceil(limit);
    taken.into_iter().step_by(step).collect()
}

/// Where a byte is hit: by turns in a header or directory of a frame, and anywhere.
fn byte_to_hit(pack: &Path, turn: usize) -> usize {
    let bytes = fs::read(pack).unwrap();
    let frames: Vec<_> = bytes.windows(8).enumerate().filter(|(_, window)| *window == b"MITHAQF1").collect();
    match turn % 2 {
        0 if !frames.is_empty() => frames[turn * 5 % frames.len()].0 + 9,
        _ => 64 + turn * 7919 % (bytes.len() - 64),
    }
}

#[test]
fn a_crash_at_any_step_of_a_repair_loses_nothing_and_the_next_one_asks_for_all_that_lacks() {
    for (options, turns) in [(lazy(), 3), (tiny(), 4)] {
        let (mut sound, had) = purged_now_and_then(options.clone());
        sound.close();
        let packs = fs::read_dir(sound.dir.path().join("packs")).unwrap().count();
        for turn in 0..turns {
            let damaged = TempDir::new().unwrap();
            copy_all(sound.dir.path(), damaged.path());
            let pack = damaged.path().join("packs").join(file_name(u32::try_from(turn * 3 % packs).unwrap()));
            let byte = byte_to_hit(&pack, turn);
            flip(&pack, byte);
            let what = format!("byte {byte} of {}", pack.file_name().unwrap().display());
            for (step, crashed) in crashes_of_a_repair(damaged.path(), &options, 6).into_iter().enumerate() {
                let mut again = crashes_of_a_repair(crashed.path(), &options, 2);
                again.push(crashed);
                for (second, dir) in again.into_iter().enumerate() {
                    let what = format!("{what}, crash {step}, and {second} of the next repair");
                    let store = open(&dir, options.clone());
                    had.assert_gone(&store, &what);
                    let repaired = store.repair(time(81)).unwrap();
                    had.bring_missing(&store, &repaired, &what);
                    had.assert_whole(&store, &what);
                    drop(store);
                    fs::remove_dir_all(dir.path().join("index")).unwrap();
                    let store = open(&dir, options.clone());
                    had.assert_whole(&store, &format!("{what}, rebuilt"));
                    assert!(!dir.path().join("damaged/unfinished").exists());
                }
            }
        }
    }
}

/// The daemon that asks for them may be another process than the one that has found them damaged.
#[test]
fn all_of_many_damaged_bodies_are_asked_for_and_taken_again() {
    const RELEASES: u32 = 67;
    let mut temporary = Temporary::new(lazy());
    let pushed = |round: u32| push(indicators(round * 1_000, round * 1_000 + 1_000), round.into());
    for round in 0..RELEASES {
        temporary.store().commit(pushed(round), time(0)).unwrap();
    }
    let extents = temporary.store().shared.index.extents_of(0);
    temporary.close();
    let mut bytes = fs::read(temporary.pack(0)).unwrap();
    for (_, extent) in extents.iter().filter(|(kind, _)| kind.holds_bodies()) {
        bytes[usize::try_from(extent.at().offset).unwrap() + 40] ^= 1;
    }
    fs::write(temporary.pack(0), bytes).unwrap();
    let repaired = temporary.reopen(lazy()).repair(time(1)).unwrap();
    let lacking = &repaired.report.lacking;
    assert_eq!((lacking.bodies, lacking.releases.len()), (67_000, 67));
    let store = temporary.reopen(lazy());
    for round in 0..RELEASES {
        let batch = pushed(round);
        let ids: Vec<_> = batch.arrivals[0].bodies.iter().map(Body::id).collect();
        assert_eq!(store.has_bodies(&ids).unwrap(), [false; 1_000], "{round}");
        assert_eq!(store.commit(batch, time(2)).unwrap()[0].bodies_new, 1_000);
    }
    assert_eq!(store.verify().unwrap().problems, [""; 0]);
    assert_eq!(store.stats().objects, 67_000);
}

/// The frames of a closed store's first pack, each with its place and whether it holds tombstones.
fn frames_of(store: &SledStore) -> Vec<(Range<usize>, bool)> {
    let mut scanner = Scanner::new(&store.shared.segments, store.shared.segments.start());
    let mut frames = Vec::new();
    while let Some(crate::pack::scan::Scanned::Frame(frame)) = scanner.next().unwrap() {
        let purges = frame.entries.iter().any(|(entry, _)| entry.kind == crate::pack::group::GroupKind::Purges);
        let (from, to) = (usize::try_from(frame.at.offset).unwrap(), usize::try_from(frame.end().offset).unwrap());
        frames.push((from..to, purges));
    }
    frames
}

/// Header, directory or group of a frame with tombstones is hit, or all of it is overwritten, or the pack ends before
/// it.
#[test]
fn what_was_purged_stays_gone_though_damage_takes_what_says_so() {
    type Spoil = fn(&mut Vec<u8>, Range<usize>);
    let spoils: [Spoil; 5] = [
        |bytes, frame| bytes[frame.start + 9] ^= 1,
        |bytes, frame| bytes[frame.start + 33] ^= 1,
        |bytes, frame| bytes[frame.end - 3] ^= 1,
        |bytes, frame| bytes[frame].fill(0xa5),
        |bytes, frame| bytes.truncate(frame.start),
    ];
    let (mut sound, had) = purged_now_and_then(lazy());
    let frames = frames_of(sound.store());
    sound.close();
    for (number, (frame, _)) in frames.iter().enumerate().filter(|(_, (_, purges))| *purges) {
        for (turn, spoil) in spoils.iter().enumerate() {
            let what = format!("frame {number}, spoilt in way {turn}");
            let dir = TempDir::new().unwrap();
            copy_all(sound.dir.path(), dir.path());
            let pack = dir.path().join("packs").join(file_name(0));
            let mut bytes = fs::read(&pack).unwrap();
            spoil(&mut bytes, frame.clone());
            fs::write(&pack, bytes).unwrap();
            for _ in 0..2 {
                fs::remove_dir_all(dir.path().join("index")).unwrap();
                let store = open(&dir, lazy());
                had.assert_gone(&store, &what);
                // What comes now must not take the place of what is lost.
                store.commit(push(indicators(900, 901), 900), time(70)).unwrap();
            }
            let store = open(&dir, lazy());
            let repaired = store.repair(time(80)).unwrap();
            had.assert_gone(&store, &what);
            drop(store);
            fs::remove_dir_all(dir.path().join("index")).unwrap();
            let store = open(&dir, lazy());
            had.assert_gone(&store, &what);
            had.bring_missing(&store, &repaired, &what);
            let problems = store.verify().unwrap().problems;
            // Where the end was cut off, nothing lies that could be set aside, and what is lacking goes on being named.
            assert!(problems.iter().all(|problem| turn == 4 && problem.contains("are lost")), "{what}: {problems:?}");
        }
    }
}

#[test]
fn notes_of_what_was_purged_that_are_damaged_or_gone_are_made_again() {
    let (mut temporary, had) = purged_now_and_then(lazy());
    temporary.close();
    let notes = temporary.dir.path().join("purged.bin");
    let before = fs::read(&notes).unwrap();
    fs::remove_file(&notes).unwrap();
    assert_eq!(temporary.reopen(lazy()).verify().unwrap().problems, [""; 0]);
    assert_eq!(fs::read(&notes).unwrap(), before);
    temporary.close();
    flip(&notes, 70);
    let store = temporary.reopen(lazy());
    let report = store.verify().unwrap();
    assert!(report.problems.iter().any(|problem| problem.contains("purged.bin")), "{report:?}");
    store.repair(time(1)).unwrap();
    assert_eq!(store.verify().unwrap().problems, [""; 0]);
    assert_eq!(fs::read(&notes).unwrap(), before);
    had.assert_gone(store, "after all that");
    had.assert_whole(store, "after all that");
}

/// Whatever there was of notes, and wherever a rebuild is cut off, opening once more makes them whole.
#[test]
fn notes_are_whole_after_a_crash_at_any_step_of_a_rebuild() {
    let (mut temporary, had) = purged_now_and_then(tiny());
    temporary.close();
    let notes = |dir: &TempDir| dir.path().join("purged.bin");
    let whole = fs::read(notes(&temporary.dir)).unwrap();
    for bytes in [None, Some(0), Some(64), Some(whole.len() - 64)] {
        let dir = TempDir::new().unwrap();
        copy_all(temporary.dir.path(), dir.path());
        fs::remove_dir_all(dir.path().join("index")).unwrap();
        match bytes {
            Some(bytes) => fs::write(notes(&dir), &whole[..bytes]).unwrap(),
            None => fs::remove_file(notes(&dir)).unwrap(),
        }
        let disk = Arc::new(compaction::Snapshots::default());
        *disk.dir.lock().unwrap() = Some(dir.path().to_owned());
        drop(SledStore::open_on(dir.path(), tiny(), Arc::clone(&disk) as Arc<dyn Disk>).unwrap());
        let crashes = std::mem::take(&mut *disk.taken.lock().unwrap());
        assert!(crashes.len() > 1, "{bytes:?}: {} crashes", crashes.len());
        for (turn, crash) in crashes.iter().chain([&dir]).enumerate() {
            let what = format!("{bytes:?}, crash {turn}");
            let store = open(crash, tiny());
            assert_eq!(store.verify().unwrap().problems, [""; 0], "{what}");
            had.assert_gone(&store, &what);
            assert!(fs::read(notes(crash)).unwrap() == whole, "{what}");
        }
    }
}

/// A note of a frame that never was must not keep what is purged from being noted.
#[test]
fn a_forged_note_does_not_stand_in_the_way_of_others() {
    use crate::pack::{disk::SystemDisk, marks, record::Tombstone};
    let (mut temporary, had) = purged_now_and_then(lazy());
    temporary.close();
    let (forged, _) = marks::Marks::open(temporary.dir.path(), Arc::new(SystemDisk));
    let tombstone = Tombstone::Content(indicator(319, 0).id(), 1);
    forged.append(&[marks::Note { frame: (1 << 48) - 1, ordinal: 7, tombstone }]);
    let store = temporary.reopen(lazy());
    let purged = had.model.log(0, 9).unwrap()[0].release;
    store.commit(conformance::purge(vec![purged], Vec::new()), time(99)).unwrap();
    assert_eq!(store.verify().unwrap().problems, store.problems());
    assert!(store.shared.marks.last() < 1 << 25, "{}", store.shared.marks.last());
    assert_eq!(temporary.reopen(lazy()).verify().unwrap().problems, [""; 0]);
}

/// It was dropped by a repair, came again, and is lost once more, with all that the index knew of it.
#[test]
fn a_release_that_an_earlier_repair_took_out_is_asked_for_when_it_is_lost_again() {
    let mut temporary = Temporary::new(lazy());
    let batches: Vec<_> = (0..3).map(|round| push(indicators(round * 10, round * 10 + 10), round.into())).collect();
    for batch in &batches {
        temporary.store().commit(batch.clone(), time(0)).unwrap();
    }
    let lost = batches[1].arrivals[0].release.id();
    let extents = temporary.store().shared.index.extents_of(0);
    let group = extents.iter().find(|(kind, extent)| !kind.holds_bodies() && extent.first == 2).unwrap().1;
    temporary.close();
    flip(&temporary.pack(0), usize::try_from(group.at().offset).unwrap() + 20);
    let store = temporary.reopen(lazy());
    assert_eq!(store.repair(time(1)).unwrap().dropped, [lost]);
    assert!(store.commit(batches[1].clone(), time(2)).unwrap()[0].new);
    let (newest, _) = frames_of(store).pop().unwrap();
    store.commit(push(indicators(40, 41), 9), time(3)).unwrap();
    temporary.close();
    let mut bytes = fs::read(temporary.pack(0)).unwrap();
    bytes[newest].fill(0xa5);
    fs::write(temporary.pack(0), bytes).unwrap();
    fs::remove_dir_all(temporary.dir.path().join("index")).unwrap();
    let lacking = temporary.reopen(lazy()).repair(time(4)).unwrap().report.lacking;
    assert_eq!((lacking.rows, lacking.purged), (1, BTreeSet::new()));
}

#[test]
fn a_row_on_which_the_index_is_wrong_comes_again_and_the_index_is_built_anew() {
    let mut temporary = Temporary::new(lazy());
    let batches: Vec<_> = (0..3).map(|round| push(indicators(round * 10, round * 10 + 10), round.into())).collect();
    for batch in &batches {
        temporary.store().commit(batch.clone(), time(0)).unwrap();
    }
    let store = temporary.store();
    // The index takes the second release for the first.
    let extents = store.shared.index.extents_of(0);
    let second = extents.iter().find(|(kind, extent)| !kind.holds_bodies() && extent.first == 2).unwrap().1;
    let mut scanner = Scanner::new(&store.shared.segments, store.shared.segments.start());
    let mut moved = crate::index::Moved::new(0, 0);
    while let Some(crate::pack::scan::Scanned::Frame(mut frame)) = scanner.next().unwrap() {
        let at = frame.at;
        frame.entries.retain(|(_, offset)| at.offset + offset == second.at().offset);
        frame.entries.iter_mut().for_each(|(entry, _)| entry.first = 1);
        if !frame.entries.is_empty() {
            moved.add(&frame);
        }
    }
    store.shared.index.relocate(&moved, crate::index::Dead::default()).unwrap();
    let first = batches[0].arrivals[0].release.id();
    let repaired = store.repair(time(1)).unwrap();
    assert!(repaired.report.problems.iter().any(|problem| problem.contains("another release")), "{repaired:?}");
    assert_eq!((repaired.report.lacking.releases, repaired.dropped), (BTreeSet::from([first]), Vec::new()));
    let again = store.commit(batches[0].clone(), time(2)).unwrap()[0];
    assert!(again.new, "{again:?}");
    let store = temporary.reopen(lazy());
    assert!(store.problems()[0].contains("contradicts the packs"), "{:?}", store.problems());
    let rows: Vec<_> = store.log(0, 9).unwrap().iter().map(|row| row.release).collect();
    assert_eq!(rows.iter().filter(|row| **row == first).count(), 2);
    assert!(temporary.reopen(lazy()).verify().unwrap().problems.is_empty());
}
