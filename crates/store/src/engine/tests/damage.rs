//! Damage of one bit where it hurts most: the newest frame, a release, the only header that holds the store's id. And a
//! disk that takes no index.

use super::*;

fn flip(path: &Path, bit: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[bit / 8] ^= 1 << (bit % 8);
    fs::write(path, bytes).unwrap();
}

fn pack_bytes(temporary: &Temporary) -> usize {
    usize::try_from(fs::metadata(temporary.pack(0)).unwrap().len()).unwrap()
}

/// The rows that a reader sees, each with its release.
fn seen(store: &SledStore) -> Vec<(u64, ReleaseId)> {
    store.log(0, usize::MAX).unwrap().iter().map(|row| (row.seq, row.release)).collect()
}

/// A process that was killed leaves an index that is behind: what its newest frame held was read, and a reader who goes
/// on behind it must not miss what comes in its place.
#[test]
fn the_rows_of_a_damaged_newest_frame_are_never_given_again() {
    let mut temporary = Temporary::new(lazy());
    temporary.store().commit(push(indicators(0, 3), 0), time(0)).unwrap();
    let begin = pack_bytes(&temporary);
    let mut newest = push(indicators(3, 4), 1);
    newest.arrivals.extend(push(indicators(4, 5), 2).arrivals);
    temporary.store().commit(newest, time(1)).unwrap();
    let before = seen(temporary.store());
    temporary.close();
    let end = pack_bytes(&temporary);
    let header = (begin * 8..(begin + 100) * 8).step_by(3);
    for bit in header.chain((begin * 8..end * 8).step_by(97)) {
        let dir = copy_packs(temporary.dir.path());
        flip(&dir.path().join("packs").join(file_name(0)), bit);
        let store = open(&dir, lazy());
        assert!(!store.problems().is_empty(), "bit {bit}");
        let taken = store.commit(push(indicators(20, 21), 3), time(2)).unwrap()[0];
        assert!(taken.new && taken.seq > 3, "bit {bit}: {taken:?}");
        let after = seen(&store);
        assert!(after.iter().all(|row| row.0 == taken.seq || before.contains(row)), "bit {bit}: {after:?}");
        drop(store);
        assert_eq!(seen(&open(&dir, lazy())), after, "bit {bit}, opened again");
        fs::remove_dir_all(dir.path().join("index")).unwrap();
        assert_eq!(seen(&open(&dir, lazy())), after, "bit {bit}, rebuilt");
    }
}

#[test]
fn rows_left_out_for_damage_are_left_out_once() {
    let mut temporary = Temporary::new(lazy());
    temporary.store().commit(push(indicators(0, 30), 0), time(0)).unwrap();
    temporary.close();
    flip(&temporary.pack(0), 65 * 8);
    fs::remove_dir_all(temporary.dir.path().join("index")).unwrap();
    let head = temporary.reopen(lazy()).head();
    assert!(head > 1);
    for rebuilds in [false, true, false] {
        temporary.close();
        if rebuilds {
            fs::remove_dir_all(temporary.dir.path().join("index")).unwrap();
        }
        assert_eq!(temporary.reopen(lazy()).head(), head);
    }
    let key = StateChange::set(b"key".to_vec(), b"value".to_vec());
    temporary.store().commit(Batch { state: vec![key], ..Batch::default() }, time(1)).unwrap();
    temporary.close();
    fs::remove_dir_all(temporary.dir.path().join("index")).unwrap();
    assert_eq!(temporary.reopen(lazy()).head(), head, "a frame without rows follows");
}

#[test]
fn a_newest_frame_whose_sectors_were_not_all_written_is_cut_off() {
    let mut temporary = Temporary::new(lazy());
    temporary.store().commit(push(indicators(0, 3), 0), time(0)).unwrap();
    let begin = pack_bytes(&temporary);
    let noise = (0..40_000_u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let key = StateChange::set(b"key".to_vec(), noise);
    temporary.store().commit(Batch { state: vec![key], ..Batch::default() }, time(1)).unwrap();
    temporary.close();
    let bytes = fs::read(temporary.pack(0)).unwrap();
    for sector in begin / 512..bytes.len() / 512 {
        let mut bytes = bytes.clone();
        bytes[(sector * 512).max(begin)..(sector + 1) * 512].fill(0);
        let dir = copy_packs(temporary.dir.path());
        fs::write(dir.path().join("packs").join(file_name(0)), &bytes).unwrap();
        let store = open(&dir, lazy());
        assert_eq!((store.problems(), store.state(b"key").unwrap()), (&[][..], None), "sector {sector}");
        assert_eq!(store.commit(push(indicators(3, 5), 2), time(2)).unwrap()[0].seq, 2);
    }
}

#[test]
fn a_damaged_release_comes_again_and_is_served() {
    let mut temporary = Temporary::new(lazy());
    let batch = push(indicators(0, 10), 0);
    let release = batch.arrivals[0].release.clone();
    temporary.store().commit(batch.clone(), time(0)).unwrap();
    temporary.store().commit(push(indicators(10, 20), 1), time(1)).unwrap();
    temporary.close();
    // The group of releases lies first, right behind the directory.
    let bytes = fs::read(temporary.pack(0)).unwrap();
    let directory_bytes = usize::try_from(u32::from_le_bytes(bytes[76..80].try_into().unwrap())).unwrap();
    flip(&temporary.pack(0), (64 + 32 + directory_bytes + 20) * 8);

    let store = temporary.reopen(lazy());
    assert!(matches!(store.release(release.id()), Err(StoreError::Corrupt { .. })));
    let again = store.commit(batch.clone(), time(2)).unwrap()[0];
    assert_eq!((again.seq, again.new, again.bodies_new), (3, true, 0));
    for _ in 0..2 {
        let store = temporary.reopen(lazy());
        assert_eq!(store.release(release.id()).unwrap(), Some((3, release.signed().clone())));
        assert_eq!(store.bodies(release.contents()).unwrap().iter().flatten().count(), 10);
        assert!(store.rows_of(release.contents()[0]).unwrap().contains(&3));
        assert!(!store.commit(batch.clone(), time(3)).unwrap()[0].new);
        temporary.close();
        let _rebuilt = fs::remove_dir_all(temporary.dir.path().join("index"));
    }
}

#[test]
fn a_store_of_one_segment_keeps_its_id_whatever_bit_of_its_header_flips() {
    let mut temporary = Temporary::new(lazy());
    temporary.store().commit(push(indicators(0, 3), 0), time(0)).unwrap();
    let id = temporary.store().id();
    temporary.close();
    for bit in 0..64 * 8 {
        let dir = copy_packs(temporary.dir.path());
        flip(&dir.path().join("packs").join(file_name(0)), bit);
        let store = open(&dir, lazy());
        assert_eq!((store.id(), store.head()), (id, 1), "bit {bit}");
        assert!(store.problems().iter().any(|what| what.contains("header")), "bit {bit}");
        store.commit(push(indicators(3, 5), 1), time(1)).unwrap();
        drop(store);
        assert_eq!(open(&dir, lazy()).id(), id, "bit {bit}");
    }
}

#[test]
fn a_store_opens_on_a_disk_that_takes_no_index() {
    for was_lost in [true, false] {
        let (mut temporary, model) = filled(tiny());
        temporary.close();
        let index = temporary.dir.path().join("index");
        if was_lost {
            fs::remove_dir_all(&index).unwrap();
        }
        // In place of a folder that cannot be made, a file that is none.
        let aside = temporary.dir.path().join("aside");
        let _was_there = fs::rename(&index, &aside);
        fs::write(&index, b"").unwrap();
        let disk = Arc::new(TestDisk::default());
        disk.is_full.store(true, SeqCst);
        let on_full = Arc::clone(&disk) as Arc<dyn Disk>;
        let store = SledStore::open_on(temporary.dir.path(), tiny(), on_full).unwrap();
        assert!(store.problems().iter().any(|what| what.contains("in memory")), "{:?}", store.problems());
        assert_same(&store, &model);
        assert!(matches!(store.commit(push(indicators(500, 510), 99), time(99)), Err(StoreError::Full)));
        disk.is_full.store(false, SeqCst);
        let batch = push(indicators(500, 510), 99);
        assert_eq!(store.commit(batch.clone(), time(99)).unwrap(), model.commit(batch, time(99)).unwrap());
        drop(store);
        fs::remove_file(&index).unwrap();
        let _was_there = fs::rename(&aside, &index);
        let store = temporary.reopen(tiny());
        assert_eq!(store.problems(), [""; 0]);
        assert_same(store, &model);
    }
}

/// sled skips a damaged message where it takes a segment to be half written, and says nothing.
#[test]
fn state_that_the_index_has_lost_or_changed_is_told_and_comes_back_from_the_packs() {
    let (mut temporary, model) = filled(tiny());
    temporary.close();
    let sled = sled::open(temporary.dir.path().join("index")).unwrap();
    assert!(sled.remove(b"skey/1").unwrap().is_some());
    assert!(sled.insert(b"skey/2", &[0, 9]).unwrap().is_some());
    drop(sled);
    let store = temporary.reopen(tiny());
    assert_eq!(store.state(b"key/1").unwrap(), None);
    let wrong = ["state key/2: the packs hold something else", "the index lacks 1 rows of state"];
    assert_eq!(store.verify().unwrap().problems, wrong);
    let batch = Batch { state: vec![StateChange::set(b"key/2".to_vec(), vec![2])], ..Batch::default() };
    store.commit(batch.clone(), time(20)).unwrap();
    model.commit(batch, time(20)).unwrap();
    assert_eq!(store.verify().unwrap().problems, wrong[1..], "what was set anew is right");
    assert_eq!(store.repair(time(21)).unwrap().report.problems, wrong[1..]);
    let store = temporary.reopen(tiny());
    assert!(store.problems()[0].contains("contradicts the packs"), "{:?}", store.problems());
    assert_same(store, &model);
    assert_eq!(temporary.reopen(tiny()).verify().unwrap().problems, [""; 0]);
}

#[test]
fn a_condemned_index_is_not_used_again_though_it_could_not_be_moved_aside() {
    for is_full in [true, false] {
        let (mut temporary, model) = filled(tiny());
        temporary.close();
        crate::index::condemn_index(temporary.dir.path()).unwrap();
        let aside = temporary.dir.path().join("index.bad");
        let disk = Arc::new(TestDisk::default());
        disk.is_full.store(is_full, SeqCst);
        if !is_full {
            // What cannot be removed as a folder is in the way.
            fs::write(&aside, b"").unwrap();
        }
        for _ in 0..2 {
            let disk = Arc::clone(&disk) as Arc<dyn Disk>;
            let store = SledStore::open_on(temporary.dir.path(), tiny(), disk).unwrap();
            assert!(store.problems().iter().any(|what| what.contains("in memory")), "{:?}", store.problems());
            assert_same(&store, &model);
        }
        let _was_there = fs::remove_file(&aside);
        let store = temporary.reopen(tiny());
        assert!(store.problems()[0].contains("contradicts the packs"), "{:?}", store.problems());
        assert!(!store.problems()[0].contains("in memory") && aside.exists());
        assert_same(store, &model);
        assert_eq!(temporary.reopen(tiny()).problems(), [""; 0]);
        // A crash after it was moved aside.
        temporary.close();
        crate::index::condemn_index(temporary.dir.path()).unwrap();
        fs::remove_dir_all(temporary.dir.path().join("index")).unwrap();
        assert_eq!(temporary.reopen(tiny()).problems(), [""; 0]);
        assert!(temporary.dir.path().join("index").exists() && !temporary.dir.path().join("opening").exists());
    }
}
