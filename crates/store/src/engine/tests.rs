//! What the contract does not say: crashes, damage, failing disks, and that nothing of it is lost or served.

mod compaction;
mod copies;
mod damage;
mod prefixes;
mod repair;
mod search;
mod staging;

use std::{
    fs,
    ops::Range,
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use mithaq_core::body::Body;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    conformance::{self, indicator, indicators, observable, push, time},
    contract::{Expect, Holding, StateChange},
    memory::MemoryStore,
    pack::{scan::Scanner, segments::file_name},
};

/// Options under which everything that is rare happens often.
fn tiny() -> Options {
    Options {
        segment_bytes: 6 * 1024,
        index_postings_max: 24,
        index_state_bytes_max: 2048,
        group_cache_bytes: 16 * 1024,
        index_cache_bytes: 1024 * 1024,
        free_bytes_min: 0,
        ..Options::default()
    }
}

/// Options under which the index is written only when the store is closed.
fn lazy() -> Options {
    Options { free_bytes_min: 0, ..Options::default() }
}

fn open(dir: &TempDir, options: Options) -> SledStore {
    SledStore::open(dir.path(), options).unwrap()
}

/// A store in a folder of its own.
struct Temporary {
    store: Option<SledStore>,
    dir: TempDir,
}

impl Temporary {
    fn new(options: Options) -> Self {
        let dir = TempDir::new().unwrap();
        Self { store: Some(open(&dir, options)), dir }
    }

    fn store(&self) -> &SledStore {
        self.store.as_ref().unwrap()
    }

    fn close(&mut self) {
        self.store = None;
    }

    fn reopen(&mut self, options: Options) -> &SledStore {
        self.close();
        self.store.insert(open(&self.dir, options))
    }

    fn pack(&self, number: u32) -> PathBuf {
        self.dir.path().join("packs").join(file_name(number))
    }
}

/// Reopens a store, its index built anew or not: nothing is found wrong with it, and it answers as its model does.
fn assert_same_reopened(temporary: &mut Temporary, options: &Options, model: &MemoryStore, rebuilds: bool) {
    temporary.close();
    if rebuilds {
        fs::remove_dir_all(temporary.dir.path().join("index")).unwrap();
    }
    let store = temporary.reopen(options.clone());
    assert_eq!(store.problems(), [""; 0]);
    assert_same(store, model);
    assert_eq!(store.verify().unwrap().problems, [""; 0]);
}

/// Holds everything that two stores answer against each other.
fn assert_same(a: &impl Store, b: &impl Store) {
    assert_eq!(a.head(), b.head());
    let log = a.log(0, usize::MAX).unwrap();
    assert_eq!(log, b.log(0, usize::MAX).unwrap());
    for row in &log {
        let release = a.release(row.release).unwrap();
        assert_eq!(release, b.release(row.release).unwrap());
        let contents = release.unwrap().1.contents;
        let bodies = a.bodies(&contents).unwrap();
        assert_eq!(bodies, b.bodies(&contents).unwrap());
        for (content, body) in contents.into_iter().zip(bodies) {
            assert_eq!(a.rows_of(content).unwrap(), b.rows_of(content).unwrap());
            assert_eq!(a.holding(content).unwrap(), b.holding(content).unwrap());
            let Some(body) = body else { continue };
            let body = Body::verify(content, body).unwrap();
            let stix_id = &body.facts().stix_id;
            assert_eq!(a.versions(stix_id).unwrap(), b.versions(stix_id).unwrap());
        }
    }
    let all: Vec<_> = (0..60).flat_map(|id| [0, 1, 2].map(|version| indicator(id, version).id())).collect();
    assert_eq!(a.are_staged(&all).unwrap(), b.are_staged(&all).unwrap());
    assert_eq!(a.bodies(&all).unwrap(), b.bodies(&all).unwrap());
    let holdings = |store: &dyn Store| all.iter().map(|id| store.holding(*id).unwrap()).collect::<Vec<_>>();
    assert_eq!(holdings(a), holdings(b));
    for id in 0..10 {
        let sorted = |store: &dyn Store| {
            let mut found = store.observed(&observable(id), usize::MAX).unwrap();
            found.sort_unstable();
            found
        };
        assert_eq!(sorted(a), sorted(b));
    }
    assert_eq!(a.state_range(b"", None, 1000).unwrap(), b.state_range(b"", None, 1000).unwrap());
    let stats = |store: &dyn Store| Stats { disk_bytes: 0, ..store.stats() };
    assert_eq!(stats(a), stats(b));
}

/// A store with some of everything, and a model of it.
fn filled(options: Options) -> (Temporary, MemoryStore) {
    let temporary = Temporary::new(options);
    let model = MemoryStore::new(temporary.store().id());
    for round in 0..12 {
        let salt = i64::from(round);
        let mut batch = push(indicators(round * 7, round * 7 + 20), salt);
        batch.state.push(StateChange::set(format!("key/{}", round % 5).into(), vec![1; round as usize * 100]));
        let taken = temporary.store().commit(batch.clone(), time(salt)).unwrap();
        assert_eq!(taken, model.commit(batch, time(salt)).unwrap());
    }
    (temporary, model)
}

#[test]
fn both_stores_keep_the_contract() {
    conformance::run(|| MemoryStore::new(StoreId::from_bytes([1; 16])));
    for options in [lazy(), tiny()] {
        let mut dirs = Vec::new();
        let dirs = std::cell::RefCell::new(&mut dirs);
        conformance::run(|| {
            let dir = TempDir::new().unwrap();
            let store = open(&dir, options.clone());
            dirs.borrow_mut().push(dir);
            store
        });
    }
}

#[test]
fn a_reopened_store_answers_as_before() {
    for options in [lazy(), tiny()] {
        let (mut temporary, model) = filled(options.clone());
        let id = temporary.store().id();
        for _ in 0..3 {
            let store = temporary.reopen(options.clone());
            assert_eq!((store.id(), store.problems().len()), (id, 0), "{:?}", store.problems());
            assert_same(store, &model);
            assert!(store.verify().unwrap().problems.is_empty());
        }
    }
}

#[test]
fn an_index_that_is_gone_or_garbage_is_rebuilt() {
    type Spoil = fn(&Path);
    let spoils: [Spoil; 5] = [
        |index| fs::remove_dir_all(index).unwrap(),
        |index| fs::write(index.join("db"), b"garbage").unwrap(),
        |index| {
            let mut bytes = fs::read(index.join("db")).unwrap();
            bytes.iter_mut().step_by(97).for_each(|byte| *byte ^= 0x55);
            fs::write(index.join("db"), bytes).unwrap();
        },
        |index| fs::write(index.join("snap.0000000000000000.generating"), b"x").unwrap(),
        |index| fs::write(index.parent().unwrap().join("opening"), [2]).unwrap(),
    ];
    for options in [lazy(), tiny()] {
        for spoil in spoils {
            let (mut temporary, model) = filled(options.clone());
            temporary.close();
            spoil(&temporary.dir.path().join("index"));
            let store = temporary.reopen(options.clone());
            assert_same(store, &model);
            let report = store.verify().unwrap();
            assert!(report.problems.iter().all(|what| what.contains("rebuilt")), "{:?}", report.problems);
            assert!(temporary.reopen(options.clone()).problems().is_empty());
        }
    }
}

#[test]
fn sled_writes_no_page_to_a_file_of_its_own() {
    let mut temporary = Temporary::new(tiny());
    for round in 0..40 {
        let mut batch = push(indicators(round * 30, round * 30 + 30), round.into());
        let value = vec![7; if round % 10 == 0 { 1024 * 1024 } else { 3000 }];
        batch.state.push(StateChange::set(format!("key/{round}").into(), value));
        temporary.store().commit(batch, time(0)).unwrap();
    }
    temporary.close();
    let blobs = fs::read_dir(temporary.dir.path().join("index/blobs")).unwrap();
    assert_eq!(blobs.count(), 0, "sled never syncs such files");
}

#[test]
fn the_index_of_another_store_is_not_used() {
    let (mut a, model) = filled(tiny());
    let (mut b, _) = filled(lazy());
    a.close();
    b.close();
    fs::remove_dir_all(a.dir.path().join("index")).unwrap();
    fs::rename(b.dir.path().join("index"), a.dir.path().join("index")).unwrap();
    assert_same(a.reopen(tiny()), &model);
}

#[test]
fn a_second_process_is_kept_out() {
    let temporary = Temporary::new(lazy());
    let second = SledStore::open(temporary.dir.path(), lazy());
    assert!(matches!(second, Err(StoreError::Locked { .. })), "{second:?}");
}

/// Copies the packs alone into a new folder.
fn copy_packs(from: &Path) -> TempDir {
    let to = TempDir::new().unwrap();
    fs::create_dir(to.path().join("packs")).unwrap();
    for entry in fs::read_dir(from.join("packs")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.path().join("packs").join(entry.file_name())).unwrap();
    }
    to
}

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
fn with_lost_rows(rows: u32, lost: Range<usize>) -> Temporary {
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

#[test]
fn concurrent_commits_share_syncs() {
    let disk = Arc::new(TestDisk::default());
    let dir = TempDir::new().unwrap();
    let store = SledStore::open_on(dir.path(), lazy(), Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
    thread::scope(|scope| {
        for thread in 0..8_u32 {
            let store = &store;
            scope.spawn(move || {
                for commit in 0..50 {
                    let id = thread * 50 + commit;
                    store.commit(push(vec![indicator(id, 0)], id.into()), time(0)).unwrap();
                }
            });
        }
    });
    let frames = store.shared.index.reached().frame;
    let mut scanner = Scanner::new(&store.shared.segments, store.shared.segments.start());
    let mut found = 0;
    while scanner.next().unwrap().is_some() {
        found += 1;
    }
    assert_eq!((store.head(), found), (400, frames));
    assert!(frames < 300, "{frames} frames for 400 commits");
}

/// A disk that fails on demand.
#[derive(Default)]
struct TestDisk {
    is_full: AtomicBool,
    writes_fail_halfway: AtomicBool,
    syncs_fail: AtomicBool,
    truncates_fail: AtomicBool,
}

impl TestDisk {
    fn check(flag: &AtomicBool, error: io::ErrorKind) -> io::Result<()> {
        if flag.load(SeqCst) { Err(error.into()) } else { Ok(()) }
    }
}

impl Disk for TestDisk {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.writes_fail_halfway.load(SeqCst) {
            SystemDisk.write_at(file, &bytes[..bytes.len() / 2], offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        SystemDisk.write_at(file, bytes, offset)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        Self::check(&self.syncs_fail, io::ErrorKind::Other)?;
        SystemDisk.sync_data(file)
    }

    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        Self::check(&self.truncates_fail, io::ErrorKind::Other)?;
        SystemDisk.truncate(file, len)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        if self.is_full.load(SeqCst) { Ok(0) } else { SystemDisk.free_bytes(path) }
    }
}

/// Commits while `fail` is set on the disk, gives the answer, and checks that the store goes on as if nothing of the
/// failed commit had been.
fn commit_on_failing_disk(fail: impl Fn(&TestDisk, bool)) -> Result<Vec<Committed>, StoreError> {
    let disk = Arc::new(TestDisk::default());
    let dir = TempDir::new().unwrap();
    let store = SledStore::open_on(dir.path(), lazy(), Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
    let model = MemoryStore::new(store.id());
    let both = |batch: Batch, now| {
        assert_eq!(store.commit(batch.clone(), time(now)).unwrap(), model.commit(batch, time(now)).unwrap());
    };
    both(push(indicators(0, 10), 0), 0);
    fail(&disk, true);
    let answer = store.commit(push(indicators(10, 20), 1), time(1));
    assert_same(&store, &model);
    fail(&disk, false);
    both(push(indicators(20, 30), 2), 2);
    both(push(indicators(10, 20), 1), 3);
    assert_same(&store, &model);
    drop(store);
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let store = open(&dir, lazy());
    assert_eq!(store.problems(), [""; 0]);
    assert_same(&store, &model);
    answer
}

#[test]
fn a_full_disk_stores_nothing_and_goes_on_later() {
    let answer = commit_on_failing_disk(|disk, fails| disk.is_full.store(fails, SeqCst));
    assert!(matches!(answer, Err(StoreError::Full)), "{answer:?}");
    let answer = commit_on_failing_disk(|disk, fails| disk.writes_fail_halfway.store(fails, SeqCst));
    assert!(matches!(answer, Err(StoreError::Full)), "{answer:?}");
    let answer = commit_on_failing_disk(|disk, fails| {
        disk.writes_fail_halfway.store(fails, SeqCst);
        disk.truncates_fail.store(fails, SeqCst);
    });
    assert!(matches!(answer, Err(StoreError::Full)), "{answer:?}");
}

#[test]
fn after_a_failed_sync_the_outcome_is_unknown_and_the_segment_is_not_used_again() {
    let answer = commit_on_failing_disk(|disk, fails| disk.syncs_fail.store(fails, SeqCst));
    assert!(matches!(answer, Err(StoreError::OutcomeUnknown(_))), "{answer:?}");
    let answer = commit_on_failing_disk(|disk, fails| {
        disk.syncs_fail.store(fails, SeqCst);
        disk.truncates_fail.store(fails, SeqCst);
    });
    assert!(matches!(answer, Err(StoreError::OutcomeUnknown(_))), "{answer:?}");
}

#[test]
fn a_store_of_another_schema_is_refused() {
    let mut temporary = Temporary::new(lazy());
    temporary.close();
    let mut bytes = fs::read(temporary.pack(0)).unwrap();
    bytes[12] = 9;
    let crc = crc32fast::hash(&bytes[12..]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
    fs::write(temporary.pack(0), bytes).unwrap();
    let opened = SledStore::open(temporary.dir.path(), lazy());
    assert!(matches!(opened, Err(StoreError::Schema { found: 9, known: 4 })), "{opened:?}");
}

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
