//! Purge and compaction: crashes at every step, an index that is behind, damage, an older layout.

use std::sync::Mutex;

use super::*;

/// Releases of a store that [`filled`] made, every second one.
fn every_second(model: &MemoryStore) -> Vec<ReleaseId> {
    model.log(0, usize::MAX).unwrap().iter().step_by(2).map(|row| row.release).collect()
}

/// Purges the same of a store and of its model.
fn purge_both(store: &SledStore, model: &MemoryStore) {
    let contents = vec![indicator(30, 0).id(), indicator(31, 0).id()];
    let batch = conformance::purge(every_second(model), contents);
    assert_eq!(store.commit(batch.clone(), time(50)).unwrap(), model.commit(batch, time(50)).unwrap());
}

pub(super) fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_all(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn packs_bytes(dir: &Path) -> u64 {
    fs::read_dir(dir.join("packs")).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn what_was_purged_stays_gone_over_restarts_and_rebuilds() {
    for options in [lazy(), tiny()] {
        let (mut temporary, model) = filled(options.clone());
        purge_both(temporary.store(), &model);
        assert_same(temporary.store(), &model);
        for compacts in [false, true] {
            if compacts {
                let before = packs_bytes(temporary.dir.path());
                let compacted = temporary.store().compact(1).unwrap();
                let after = packs_bytes(temporary.dir.path());
                assert!(compacted.rewritten > 0 && after < before, "{compacted:?}, {before} to {after}");
                assert_eq!((compacted.bytes_before, compacted.bytes_after), (before, after));
                assert_same(temporary.store(), &model);
            }
            for rebuilds in [false, true, false] {
                assert_same_reopened(&mut temporary, &options, &model, rebuilds);
            }
        }
        let batch = push(indicators(0, 100), 77);
        let taken = temporary.store().commit(batch.clone(), time(60)).unwrap();
        assert_eq!(taken, model.commit(batch, time(60)).unwrap());
        assert_same(temporary.reopen(options), &model);
    }
}

/// A disk that copies the store before and after each step of a compaction.
#[derive(Default)]
pub(super) struct Snapshots {
    pub(super) dir: Mutex<Option<PathBuf>>,
    pub(super) taken: Mutex<Vec<TempDir>>,
}

impl Snapshots {
    fn take(&self) {
        if let Some(dir) = self.dir.lock().unwrap().as_ref() {
            let copy = TempDir::new().unwrap();
            copy_all(dir, copy.path());
            self.taken.lock().unwrap().push(copy);
        }
    }
}

impl Disk for Snapshots {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        SystemDisk.write_at(file, &bytes[..bytes.len() / 2], offset)?;
        self.take();
        SystemDisk.write_at(file, bytes, offset)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        self.take();
        SystemDisk.sync_data(file)
    }

    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        SystemDisk.truncate(file, len)
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.take();
        SystemDisk.replace(from, to)?;
        self.take();
        Ok(())
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        SystemDisk.free_bytes(path)
    }
}

/// The index of each copy may be behind in any way: as it was flushed before, or never.
#[test]
fn a_crash_at_any_step_of_a_compaction_loses_nothing_and_leaves_no_garbage() {
    for options in [lazy(), tiny()] {
        let (mut temporary, model) = filled(options.clone());
        purge_both(temporary.store(), &model);
        temporary.close();
        let disk = Arc::new(Snapshots::default());
        let store =
            SledStore::open_on(temporary.dir.path(), options.clone(), Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
        *disk.dir.lock().unwrap() = Some(temporary.dir.path().to_owned());
        assert!(store.compact(1).unwrap().rewritten > 0);
        *disk.dir.lock().unwrap() = None;
        assert_same(&store, &model);
        let taken = std::mem::take(&mut *disk.taken.lock().unwrap());
        assert!(taken.len() >= 4, "{}", taken.len());
        for copy in taken {
            let store = open(&copy, options.clone());
            assert_same(&store, &model);
            assert_eq!(store.verify().unwrap().problems, [""; 0]);
            let names = fs::read_dir(copy.path().join("packs")).unwrap().map(|entry| entry.unwrap().file_name());
            assert!(names.into_iter().all(|name| name.to_str().unwrap().ends_with(".seg")));
            store.compact(1).unwrap();
            assert_same(&store, &model);
        }
    }
}

/// The index was written before the segments were moved, and not after.
#[test]
fn an_index_of_before_a_compaction_is_brought_up_to_date() {
    let (mut temporary, model) = filled(tiny());
    purge_both(temporary.store(), &model);
    temporary.close();
    let before = TempDir::new().unwrap();
    copy_all(&temporary.dir.path().join("index"), &before.path().join("index"));
    let compacted = temporary.reopen(tiny()).compact(1).unwrap();
    assert!(compacted.rewritten > 1, "{compacted:?}");
    temporary.close();
    let index = temporary.dir.path().join("index");
    fs::remove_dir_all(&index).unwrap();
    copy_all(&before.path().join("index"), &index);
    for _ in 0..2 {
        let store = temporary.reopen(tiny());
        assert_eq!(store.problems(), [""; 0], "it was not rebuilt");
        assert_same(store, &model);
        assert_eq!(store.verify().unwrap().problems, [""; 0]);
    }
}

#[test]
fn reads_and_commits_go_on_while_segments_move() {
    let temporary = Temporary::new(tiny());
    let store = temporary.store();
    for salt in 0..40 {
        store.commit(push(indicators(salt * 10, salt * 10 + 10), salt.into()), time(0)).unwrap();
    }
    let keep: Vec<_> = (0..400).filter(|id| id / 10 % 2 == 1).map(|id| indicator(id, 0).id()).collect();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(SeqCst) {
                    for contents in keep.chunks(7) {
                        assert!(store.bodies(contents).unwrap().iter().all(Option::is_some));
                    }
                }
            });
        }
        for salt in (0..40).step_by(2) {
            let id = push(indicators(salt * 10, salt * 10 + 10), salt.into()).arrivals[0].release.id();
            store.commit(conformance::purge(vec![id], Vec::new()), time(1)).unwrap();
            store.compact(0).unwrap();
            store.commit(push(indicators(salt + 1000, salt + 1003), salt.into()), time(1)).unwrap();
        }
        is_done.store(true, SeqCst);
    });
    assert_eq!(store.verify().unwrap().problems, [""; 0]);
}

#[test]
fn superseded_state_gives_its_space_back() {
    let mut temporary = Temporary::new(lazy());
    for round in 0..200_u32 {
        let noise = (0..400_u32).map(|n| (n + round).wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
        let mut batch = Batch::default();
        batch.state.push(StateChange::set(b"cursor".to_vec(), noise));
        batch.state.push(StateChange { key: b"gone".to_vec(), expect: Expect::Anything, value: None });
        temporary.store().commit(batch, time(0)).unwrap();
    }
    let cursor = temporary.store().state(b"cursor").unwrap();
    let census = temporary.store().census().unwrap();
    assert!(census.state.dead > 10 * census.state.live, "{census:?}");
    let compacted = temporary.store().compact(10).unwrap();
    assert!(compacted.bytes_after * 2 < compacted.bytes_before, "{compacted:?}");
    for _ in 0..2 {
        assert_eq!(temporary.reopen(lazy()).state(b"cursor").unwrap(), cursor);
        temporary.close();
        fs::remove_dir_all(temporary.dir.path().join("index")).unwrap();
    }
}

/// What gives space back must not wait for space.
#[test]
fn a_purge_and_a_compaction_are_taken_below_the_low_water_mark() {
    let (mut temporary, model) = filled(lazy());
    let store = temporary.reopen(Options { free_bytes_min: u64::MAX / 2, ..lazy() });
    let refused = store.commit(push(indicators(500, 510), 99), time(50));
    assert!(matches!(refused, Err(StoreError::Full)), "{refused:?}");
    purge_both(store, &model);
    let compacted = store.compact(1).unwrap();
    assert!(compacted.bytes_after < compacted.bytes_before, "{compacted:?}");
    assert_same(store, &model);
}

/// What takes something back must not wait for room, be it that it purges nothing; whatever waits beside it does.
#[test]
fn what_takes_something_back_is_taken_below_the_low_water_mark_and_nothing_with_it() {
    let (mut temporary, model) = filled(lazy());
    let store = temporary.reopen(Options { free_bytes_min: u64::MAX / 2, ..lazy() });
    let withdrawal = Batch { takes_back: true, ..push(indicators(500, 501), 99) };
    assert_eq!(store.commit(withdrawal.clone(), time(50)).unwrap(), model.commit(withdrawal, time(50)).unwrap());
    thread::scope(|scope| {
        for salt in 0..24_u32 {
            scope.spawn(move || {
                let batch = push(indicators(600 + salt, 601 + salt), salt.into());
                let taken = store.commit(Batch { takes_back: salt % 3 == 0, ..batch }, time(60));
                assert_eq!(taken.is_ok(), salt % 3 == 0, "{salt}: {taken:?}");
                assert!(taken.is_ok() || matches!(taken, Err(StoreError::Full)));
            });
        }
    });
    assert_eq!(store.head(), model.head() + 8);
}

#[test]
fn a_damaged_segment_is_left_as_it_is_and_named() {
    let (mut temporary, model) = filled(lazy());
    purge_both(temporary.store(), &model);
    temporary.close();
    let path = temporary.pack(0);
    let mut bytes = fs::read(&path).unwrap();
    bytes[400] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let store = temporary.reopen(lazy());
    let compacted = store.compact(0).unwrap();
    assert_eq!((compacted.rewritten, compacted.left.len()), (0, 1), "{compacted:?}");
    assert!(compacted.left[0].contains("pack-00000000.seg is damaged"), "{compacted:?}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

/// A copy of the store of schema 1 that lies beside the sources, and a model of it.
fn of_schema_1() -> (TempDir, MemoryStore) {
    let dir = TempDir::new().unwrap();
    copy_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schema-1"), &dir.path().join("packs"));
    let model = MemoryStore::new(StoreId::from_bytes([0; 16]));
    for round in 0..4_u8 {
        let from = u32::from(round) * 7;
        let mut batch = push(indicators(from, from + 10), round.into());
        batch.state.push(StateChange::set(format!("key/{}", round % 3).into(), vec![round; 10]));
        model.commit(batch, time(round.into())).unwrap();
    }
    (dir, model)
}

#[test]
fn a_store_of_an_older_schema_goes_on_in_this_one() {
    let (dir, model) = of_schema_1();
    let schema_of = |number| fs::read(dir.path().join("packs").join(file_name(number))).unwrap()[12];
    let mut id = None;
    for round in 0..3 {
        let store = open(&dir, lazy());
        assert_eq!(store.problems(), [""; 0]);
        assert_eq!(*id.get_or_insert(store.id()), store.id());
        assert_same(&store, &model);
        assert_eq!(store.verify().unwrap().problems, [""; 0]);
        let batch = push(indicators(200 + round * 10, 210 + round * 10), 50 + i64::from(round));
        let taken = store.commit(batch.clone(), time(9)).unwrap();
        assert_eq!(taken, model.commit(batch, time(9)).unwrap());
    }
    assert_eq!([schema_of(0), schema_of(3), schema_of(4)], [1, 1, 4], "an old program refuses the new segment");
    let store = open(&dir, lazy());
    purge_both(&store, &model);
    assert!(store.compact(1).unwrap().rewritten > 0);
    assert_eq!(schema_of(0), 4);
    assert_same(&store, &model);
    drop(store);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    assert_same(&open(&dir, lazy()), &model);
}

/// A copy of the store of schema 2 that lies beside the sources, which was purged and compacted, and a model of it.
fn of_schema_2() -> (TempDir, MemoryStore) {
    let (_, model) = of_schema_1();
    let dir = TempDir::new().unwrap();
    copy_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schema-2"), &dir.path().join("packs"));
    let release = model.log(0, 9).unwrap()[1].release;
    let contents = vec![indicator(2, 0).id(), indicator(23, 0).id()];
    model.commit(conformance::purge(vec![release], contents), time(5)).unwrap();
    model.commit(push(indicators(40, 45), 6), time(6)).unwrap();
    (dir, model)
}

#[test]
fn what_an_older_program_purged_and_compacted_stays_so() {
    let (dir, model) = of_schema_2();
    let old = u32::try_from(fs::read_dir(dir.path().join("packs")).unwrap().count()).unwrap();
    let schemas = || (0..old).map(|number| fs::read(dir.path().join("packs").join(file_name(number))).unwrap()[12]);
    assert!(schemas().all(|schema| schema == 2));
    for rebuilds in [false, false, true] {
        if rebuilds {
            fs::remove_dir_all(dir.path().join("index")).unwrap();
        }
        let store = open(&dir, lazy());
        assert_eq!(store.problems(), [""; 0]);
        assert_same(&store, &model);
        assert_eq!(store.verify().unwrap().problems, [""; 0]);
        assert_eq!(store.holding(indicator(2, 0).id()).unwrap(), Holding::Purged);
    }
    // What schema 2 did not know goes into segments of this one.
    let staged = Batch { staged: indicators(90, 95), ..Batch::default() };
    open(&dir, lazy()).commit(staged.clone(), time(9)).unwrap();
    model.commit(staged, time(9)).unwrap();
    assert!(schemas().all(|schema| schema == 2));
    assert_eq!(fs::read(dir.path().join("packs").join(file_name(old))).unwrap()[12], 4);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    assert_same(&open(&dir, lazy()), &model);
}

/// A copy of the store that lies beside the sources and goes on in schema 3: bodies were staged, a release and a content
/// purged, what was staged dropped in part and taken in part. And a model of it.
fn of_schema_3() -> (TempDir, MemoryStore) {
    let (_, model) = of_schema_2();
    let dir = TempDir::new().unwrap();
    copy_all(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/schema-3"), &dir.path().join("packs"));
    model.commit(conformance::stage(indicators(90, 95)), time(9)).unwrap();
    model.commit(push(indicators(50, 55), 8), time(9)).unwrap();
    let last = model.log(0, 99).unwrap().pop().unwrap().release;
    model.commit(conformance::purge(vec![last], vec![indicator(41, 0).id()]), time(10)).unwrap();
    model.commit(conformance::drop_staged(&indicators(94, 95)), time(10)).unwrap();
    let mut taking = push(indicators(90, 92), 11);
    taking.arrivals[0].bodies.clear();
    model.commit(taking, time(11)).unwrap();
    (dir, model)
}

#[test]
fn what_was_staged_and_purged_before_damaged_releases_were_marked_stays_so() {
    let (dir, model) = of_schema_3();
    for rebuilds in [false, false, true] {
        if rebuilds {
            fs::remove_dir_all(dir.path().join("index")).unwrap();
            fs::remove_file(dir.path().join("purged.bin")).unwrap();
        }
        let store = open(&dir, lazy());
        assert_eq!(store.problems(), [""; 0]);
        assert_same(&store, &model);
        assert_eq!(store.verify().unwrap().problems, [""; 0]);
        assert_eq!(store.holding(indicator(41, 0).id()).unwrap(), Holding::Purged);
    }
    let schema_of = |number| fs::read(dir.path().join("packs").join(file_name(number))).unwrap()[12];
    assert_eq!([schema_of(5), schema_of(6)], [2, 3]);
    open(&dir, lazy()).commit(push(indicators(70, 72), 12), time(12)).unwrap();
    model.commit(push(indicators(70, 72), 12), time(12)).unwrap();
    assert_eq!([schema_of(6), schema_of(7)], [3, 4]);
    assert_same(&open(&dir, lazy()), &model);
}

#[test]
fn a_new_index_whose_first_flush_was_cut_is_gone_on_with() {
    let mut temporary = Temporary::new(tiny());
    temporary.close();
    let index = temporary.dir.path().join("index");
    {
        // What a flush writes first: a part of a run.
        let tree = sled::Config::new().path(&index).open().unwrap();
        tree.insert(b"b\0\0\0\x01\0\0\0\0", b"cut").unwrap();
    }
    wait_for_sled(&index);
    assert_eq!(temporary.reopen(tiny()).problems(), [""; 0]);
    assert!(!temporary.dir.path().join("index.bad").exists());
}

#[test]
fn an_index_of_another_schema_is_built_anew_without_a_word_of_damage() {
    let (mut temporary, model) = filled(tiny());
    temporary.close();
    let index = temporary.dir.path().join("index");
    {
        let tree = sled::Config::new().path(&index).open().unwrap();
        let mut manifest = vec![1, 7, 7, 7];
        manifest.extend_from_slice(&crc32fast::hash(&manifest).to_le_bytes());
        tree.insert(b"m", manifest).unwrap();
    }
    wait_for_sled(&index);
    let store = temporary.reopen(tiny());
    assert_eq!(store.problems(), [""; 0]);
    assert_same(store, &model);
    assert!(!temporary.dir.path().join("index.bad").exists());
}

/// sled lets go of its files a moment after its handle is dropped.
fn wait_for_sled(index: &Path) {
    let db = index.join("db");
    while File::open(&db).unwrap().try_lock().is_err() {
        thread::yield_now();
    }
}
