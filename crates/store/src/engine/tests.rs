//! What the contract does not say: crashes, damage, failing disks, and that nothing of it is lost or served.

mod answers;
mod compaction;
mod copies;
mod damage;
mod failing;
mod losses;
mod model;
mod prefixes;
mod racing;
mod repair;
mod search;
mod staging;
mod threads;

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use mithaq_core::body::Body;
use tempfile::TempDir;

use self::{failing::TestDisk, losses::with_lost_rows};
use super::*;
use crate::{
    conformance::{self, indicator, indicators, observable, push, time},
    contract::{Expect, Holding, StateChange},
    memory::MemoryStore,
    pack::segments::file_name,
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
