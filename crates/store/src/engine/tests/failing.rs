//! Disks that are full or fail, and how many syncs they see.

use std::os::unix::fs::MetadataExt;

use super::*;
use crate::pack::scan::Scanner;

/// A disk that fails on demand.
#[derive(Default)]
pub(super) struct TestDisk {
    pub(super) is_full: AtomicBool,
    pub(super) writes_fail_halfway: AtomicBool,
    pub(super) syncs_fail: AtomicBool,
    pub(super) truncates_fail: AtomicBool,
    /// The inode of a file that takes nothing.
    pub(super) refused: AtomicU64,
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
        if file.metadata()?.ino() == self.refused.load(SeqCst) {
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

/// The process may end before the disk takes notes again: those of what the index has passed are made from the packs.
#[test]
fn notes_that_the_disk_refused_are_made_at_the_next_opening() {
    let disk = Arc::new(TestDisk::default());
    let dir = TempDir::new().unwrap();
    let notes = dir.path().join("purged.bin");
    let store = SledStore::open_on(dir.path(), tiny(), Arc::clone(&disk) as Arc<dyn Disk>).unwrap();
    let purge = |store: &SledStore, first| {
        let contents = indicators(first, first + 2).iter().map(Body::id).collect();
        store.commit(conformance::purge(Vec::new(), contents), time(0)).unwrap();
    };
    store.commit(push(indicators(0, 40), 0), time(0)).unwrap();
    purge(&store, 0);
    disk.refused.store(fs::metadata(&notes).unwrap().ino(), SeqCst);
    purge(&store, 2);
    store.commit(push(indicators(40, 80), 1), time(1)).unwrap();
    drop(store);
    assert_eq!(fs::metadata(&notes).unwrap().len(), 2 * 64);
    for _ in 0..2 {
        let store = open(&dir, tiny());
        assert_eq!((store.verify().unwrap().problems, store.shared.index.purges()), (Vec::new(), 4));
        assert_eq!(fs::metadata(&notes).unwrap().len(), 4 * 64);
        purge(&store, 0);
    }
}
