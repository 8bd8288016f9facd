//! What a crash tears off and what damage takes: it is named, nothing of it is served, and the rest goes on.

use std::ops::Range;

use super::*;

/// Commits `last` behind something else, cuts the pack at every `step`th byte of its frame, and checks that only it is
/// gone and that the next commit takes its place.
fn assert_torn_tail_is_cut(last: &Batch, step: usize) {
    let mut temporary = Temporary::new(lazy());
    let model = MemoryStore::new(temporary.store().id());
    temporary.store().commit(push(indicators(0, 3), 0), time(0)).unwrap();
    model.commit(push(indicators(0, 3), 0), time(0)).unwrap();
    let whole = fs::metadata(temporary.pack(0)).unwrap().len();
    temporary.store().commit(last.clone(), time(1)).unwrap();
    temporary.close();
    let bytes = fs::read(temporary.pack(0)).unwrap();
    for len in (usize::try_from(whole).unwrap()..bytes.len()).step_by(step) {
        let dir = copy_packs(temporary.dir.path());
        fs::write(dir.path().join("packs").join(file_name(0)), &bytes[..len]).unwrap();
        let store = open(&dir, lazy());
        assert_eq!(store.problems(), [""; 0]);
        assert_same(&store, &model);
        assert_eq!(store.commit(push(indicators(3, 5), 2), time(2)).unwrap()[0].seq, 2);
        drop(store);
        let store = open(&dir, lazy());
        assert_eq!((store.head(), store.problems()), (2, &[][..]), "{len} bytes");
    }
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off_and_nothing_else() {
    let change = StateChange::set(b"key".to_vec(), b"value".to_vec());
    assert_torn_tail_is_cut(&Batch { state: vec![change], ..Batch::default() }, 1);
    assert_torn_tail_is_cut(&push(indicators(3, 5), 1), 13);
}

/// Opens packs with a flipped bit; whatever is answered must be true, and what is not must be named.
fn assert_damage_is_survived(dir: &TempDir, options: Options, model: &MemoryStore, what: &str) {
    let store = open(dir, options);
    let mut missing = 0;
    for row in model.log(0, usize::MAX).unwrap() {
        let (_, expected) = model.release(row.release).unwrap().unwrap();
        match store.release(row.release) {
            Ok(Some((_, found))) => assert_eq!(found, expected, "{what}"),
            Ok(None) | Err(StoreError::Corrupt { .. }) => missing += 1,
            Err(error) => panic!("{what}: {error:?}"),
        }
        for content in expected.contents {
            match store.bodies(&[content]) {
                Ok(found) if found[0].is_some() => assert_eq!(found, model.bodies(&[content]).unwrap(), "{what}"),
                Ok(_) | Err(StoreError::Corrupt { .. }) => missing += 1,
                Err(error) => panic!("{what}: {error:?}"),
            }
        }
    }
    let report = store.verify().unwrap();
    let is_torn = dir.path().join("packs/torn-tail.bin").exists();
    assert!(missing == 0 || is_torn || !report.problems.is_empty(), "{what}: nothing is named");
    // What is damaged can come again.
    for row in model.log(0, usize::MAX).unwrap() {
        let (_, release) = model.release(row.release).unwrap().unwrap();
        let bodies = model.bodies(&release.contents).unwrap().into_iter().zip(&release.contents);
        let bodies = bodies.map(|(body, id)| Body::verify(*id, body.unwrap()).unwrap()).collect();
        let salt = row.added_at.as_micros() - time(0).as_micros() + 5000;
        store.commit(push(bodies, salt), time(salt)).unwrap();
        assert!(store.bodies(&release.contents).unwrap() == model.bodies(&release.contents).unwrap(), "{what}");
    }
}

#[test]
fn a_flipped_bit_is_never_served_and_always_named() {
    for (options, keeps_index) in [(lazy(), false), (tiny(), false), (lazy(), true), (tiny(), true)] {
        let (mut temporary, model) = filled(options.clone());
        temporary.close();
        let packs = copy_packs(temporary.dir.path());
        let mut names: Vec<_> =
            fs::read_dir(packs.path().join("packs")).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort_unstable();
        for (turn, name) in (0..).zip(names.iter().cycle().take(24)) {
            let dir = copy_packs(temporary.dir.path());
            if keeps_index {
                fs::create_dir(dir.path().join("index")).unwrap();
                for entry in fs::read_dir(temporary.dir.path().join("index")).unwrap() {
                    let entry = entry.unwrap();
                    if entry.path().is_file() {
                        fs::copy(entry.path(), dir.path().join("index").join(entry.file_name())).unwrap();
                    }
                }
            }
            let path = dir.path().join("packs").join(name);
            let mut bytes = fs::read(&path).unwrap();
            let bit = turn * 7919 % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, bytes).unwrap();
            let what = format!("bit {bit} of {name:?}, index kept: {keeps_index}");
            assert_damage_is_survived(&dir, options.clone(), &model, &what);
        }
    }
}

#[test]
fn a_damaged_body_comes_again_and_is_served() {
    let mut temporary = Temporary::new(lazy());
    let bodies = indicators(0, 10);
    temporary.store().commit(push(bodies.clone(), 0), time(0)).unwrap();
    let end = fs::metadata(temporary.pack(0)).unwrap().len();
    temporary.store().commit(push(indicators(10, 20), 1), time(1)).unwrap();
    temporary.close();
    let mut bytes = fs::read(temporary.pack(0)).unwrap();
    bytes[usize::try_from(end).unwrap() - 9] ^= 1;
    fs::write(temporary.pack(0), bytes).unwrap();

    let store = temporary.reopen(lazy());
    let ids: Vec<_> = bodies.iter().map(Body::id).collect();
    for id in &ids {
        match store.bodies(&[*id]) {
            Err(StoreError::Corrupt { what }) => assert!(what.contains(&id.to_string()), "{what}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(store.has_bodies(&ids).unwrap(), [false; 10]);
    assert_eq!(store.holding(ids[3]).unwrap(), Holding::Damaged);
    let again = store.commit(push(bodies.clone(), 0), time(2)).unwrap();
    assert_eq!((again[0].seq, again[0].new, again[0].bodies_new), (1, false, 10));
    for _ in 0..2 {
        let store = temporary.reopen(lazy());
        assert!(store.bodies(&ids).unwrap().iter().all(Option::is_some));
        assert_eq!(store.rows_of(ids[0]).unwrap(), [1]);
        assert_eq!(store.versions(&bodies[0].facts().stix_id).unwrap().len(), 1);
        temporary.close();
        let _rebuilt = fs::remove_dir_all(temporary.dir.path().join("index"));
    }
}

/// A closed store without an index, of a frame for each row, of which those from row `lost.start` up to `lost.end` are
/// overwritten.
pub(super) fn with_lost_rows(rows: u32, lost: Range<usize>) -> Temporary {
    let mut temporary = Temporary::new(lazy());
    let pack_bytes = |temporary: &Temporary| usize::try_from(fs::metadata(temporary.pack(0)).unwrap().len()).unwrap();
    let mut ends = vec![pack_bytes(&temporary)];
    for salt in 0..rows {
        temporary.store().commit(push(indicators(salt * 10, salt * 10 + 10), salt.into()), time(0)).unwrap();
        ends.push(pack_bytes(&temporary));
    }
    temporary.close();
    fs::remove_dir_all(temporary.dir.path().join("index")).unwrap();
    let mut bytes = fs::read(temporary.pack(0)).unwrap();
    bytes[ends[lost.start - 1]..ends[lost.end - 1]].fill(0);
    fs::write(temporary.pack(0), bytes).unwrap();
    temporary
}

/// Whoever reads the log page by page takes an empty page for its end.
#[test]
fn lost_rows_do_not_end_the_log() {
    let mut temporary = with_lost_rows(100, 2..99);
    for _ in 0..2 {
        let store = temporary.reopen(lazy());
        assert_eq!(store.head(), 100);
        let check = |after, limit, expect: &[u64]| {
            let rows: Vec<_> = store.log(after, limit).unwrap().iter().map(|row| row.seq).collect();
            assert_eq!(rows, expect, "{limit} rows after {after}");
        };
        check(0, 1, &[1]);
        for limit in [2, 3, 97, 98, usize::MAX] {
            check(0, limit, &[1, 99, 100][..limit.min(3)]);
            check(1, limit, &[99, 100]);
        }
        check(1, 1, &[99]);
        check(50, 1, &[99]);
        check(100, 1, &[]);
        check(1, 0, &[]);
        // The second time the lost rows are read from the index that was written.
        temporary.close();
    }
}

#[test]
fn a_lost_frame_costs_its_rows_and_no_others() {
    let mut temporary = with_lost_rows(3, 2..3);
    let store = temporary.reopen(lazy());
    let rows: Vec<_> = store.log(0, 10).unwrap().iter().map(|row| row.seq).collect();
    assert_eq!((rows, store.head()), (vec![1, 3], 3));
    assert!(store.problems().iter().any(|what| what.contains("row 2")), "{:?}", store.problems());
    assert!(store.bodies(&[indicator(25, 0).id()]).unwrap()[0].is_some());
    let again = store.commit(push(indicators(10, 20), 1), time(0)).unwrap();
    assert_eq!((again[0].seq, again[0].bodies_new), (4, 10));
}
