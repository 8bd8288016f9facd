//! What the store is compared with: a file that is appended to, and sled with a row for each object.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use mithaq_core::id::ContentId;
use mithaq_store::{Disk, SystemDisk};

/// Appends the objects of a push and syncs.
pub(super) struct Append(File);

impl Append {
    pub(super) fn create(dir: &Path) -> anyhow::Result<Self> {
        Ok(Self(File::create_new(dir.join("append"))?))
    }

    /// Stores these objects durably; the time that it took.
    pub(super) fn push(&mut self, objects: &[Vec<u8>]) -> anyhow::Result<Duration> {
        let started = Instant::now();
        self.0.write_all(&objects.concat())?;
        self.0.sync_data()?;
        Ok(started.elapsed())
    }
}

/// sled with a row for each object: content id to canonical bytes.
pub(super) struct BareSled {
    db: sled::Db,
    /// sled's own `flush` is not durable on Linux: it asks for `sync_file_range`, which leaves the file's length behind.
    file: File,
}

impl BareSled {
    pub(super) fn create(dir: &Path) -> anyhow::Result<Self> {
        let dir = dir.join("bare-sled");
        let config = sled::Config::new().path(&dir).mode(sled::Mode::HighThroughput);
        let db = config.cache_capacity(64 << 20).flush_every_ms(Some(500)).open()?;
        Ok(Self { db, file: File::open(dir.join("db"))? })
    }

    /// Stores these objects durably; the time that it took, hashing left out.
    pub(super) fn push(&self, objects: &[Vec<u8>]) -> anyhow::Result<Duration> {
        let ids: Vec<_> = objects.iter().map(|bytes| ContentId::of(bytes)).collect();
        let started = Instant::now();
        let mut batch = sled::Batch::default();
        for (id, bytes) in ids.iter().zip(objects) {
            batch.insert(&id.as_bytes()[..], bytes.as_slice());
        }
        self.db.apply_batch(batch)?;
        self.db.flush()?;
        self.file.sync_data()?;
        Ok(started.elapsed())
    }
}

/// The real disk, with a count of syncs and of the time spent in them.
#[derive(Default)]
pub(super) struct CountedDisk {
    syncs: AtomicU64,
    nanos: AtomicU64,
}

impl CountedDisk {
    /// How many syncs there were, and how long they took in all.
    pub(super) fn syncs(&self) -> (u64, Duration) {
        (self.syncs.load(Ordering::Relaxed), Duration::from_nanos(self.nanos.load(Ordering::Relaxed)))
    }
}

impl Disk for CountedDisk {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        SystemDisk.write_at(file, bytes, offset)
    }

    fn sync_data(&self, file: &File) -> std::io::Result<()> {
        let started = Instant::now();
        let result = SystemDisk.sync_data(file);
        let nanos = u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.syncs.fetch_add(1, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        result
    }

    fn truncate(&self, file: &File, len: u64) -> std::io::Result<()> {
        SystemDisk.truncate(file, len)
    }

    fn free_bytes(&self, path: &Path) -> std::io::Result<u64> {
        SystemDisk.free_bytes(path)
    }
}

/// Bytes of all files in a folder and below.
pub(super) fn folder_bytes(dir: &Path) -> anyhow::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
