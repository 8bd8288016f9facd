//! Opens sled with care: it can refuse to open, panic or hold something else than was written, and then it is moved
//! aside and the index starts empty, to be filled from the packs.

use std::{
    fs::{self, File, TryLockError},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, RwLock},
    thread,
    time::{Duration, Instant},
};

use super::{
    Index, View,
    dense::{RowStore, read_items},
    failed,
    flush::{BODIES, RELEASES},
    gone::{Bits, GONE_BODIES, GONE_ROWS, STAGED_BODIES},
    manifest::{Checkpoint, Dead, Decoded, MANIFEST, Manifest},
    memory::Memory,
    relocate,
    run::Run,
};
use crate::{
    contract::StoreError,
    pack::{
        disk::sync_dir,
        scan::frame_at,
        segments::{SCHEMA, Segments, io_error},
    },
};

/// How many times in a row opening may be cut off before the index is taken to be the cause.
const CUT_OFF_MAX: u8 = 2;

/// Stands in place of a count for an index that a check has found to contradict the packs.
const CONDEMNED: u8 = u8::MAX;

/// With fewer bytes than this left, it is the disk that keeps an index from opening.
const ROOM_MIN: u64 = 16 * 1024 * 1024;

/// How sled is set up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EngineOptions {
    pub(crate) cache_bytes: u64,
}

impl EngineOptions {
    fn config(self) -> sled::Config {
        let config = sled::Config::new().mode(sled::Mode::HighThroughput);
        config.cache_capacity(self.cache_bytes).flush_every_ms(Some(500))
    }
}

/// Has the index of a store built anew from the packs when the store is opened again.
pub(crate) fn condemn_index(dir: &Path) -> Result<(), StoreError> {
    let path = Paths::of(dir).opening;
    let noted = fs::write(&path, [CONDEMNED]).and_then(|()| File::open(&path)?.sync_all()).and_then(|()| sync_dir(dir));
    noted.map_err(io_error(&path))
}

/// An index, and whether it had to start empty though there was one.
pub(crate) struct OpenedIndex {
    pub(crate) index: Index,
    pub(crate) rebuilt_because: Option<String>,
}

/// The paths of an index.
struct Paths {
    index: PathBuf,
    opening: PathBuf,
}

impl Paths {
    fn of(dir: &Path) -> Self {
        Self { index: dir.join("index"), opening: dir.join("opening") }
    }

    /// Moves the index out of the way, in place of one that was moved before.
    fn set_aside(&self) -> io::Result<()> {
        let aside = self.index.with_extension("bad");
        if aside.exists() {
            fs::remove_dir_all(&aside)?;
        }
        fs::rename(&self.index, &aside)
    }

    /// Counts an attempt to open; says how many before it did not come to an end.
    fn begin(&self) -> u8 {
        let before = fs::read(&self.opening).ok().and_then(|bytes| bytes.first().copied()).unwrap_or(0);
        if before == CONDEMNED {
            // A crash while it is written again could lose it.
            return before;
        }
        if let Err(error) = fs::write(&self.opening, [before.saturating_add(1)]) {
            tracing::warn!(%error, "the attempt to open the index could not be noted");
        }
        before
    }

    fn end(&self) -> io::Result<()> {
        match fs::remove_file(&self.opening) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// A snapshot that was not finished keeps sled from opening for ever.
    fn remove_unfinished_snapshots(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.index)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "generating") {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

impl OpenedIndex {
    /// Opens the index of a store, or an empty one if there is none that fits the packs.
    pub(crate) fn open(dir: &Path, options: EngineOptions, segments: &Segments) -> Result<Self, StoreError> {
        let paths = Paths::of(dir);
        let existed = paths.index.exists();
        let before = paths.begin();
        // Whether the index that a check has condemned still lies there when this is done.
        let mut stays_condemned = existed && before == CONDEMNED;
        let opened = match before {
            0..CUT_OFF_MAX => Index::open(&paths, options, segments),
            // It was moved aside, and then a crash came.
            CONDEMNED if !existed => Index::open(&paths, options, segments),
            CONDEMNED => Err(StoreError::Index { what: "a check found that it contradicts the packs".to_owned() }),
            _ => Err(StoreError::Index { what: "opening it was cut off again and again".to_owned() }),
        };
        let opened = match opened {
            Ok(index) => Self { index, rebuilt_because: None },
            // The packs are the truth: an index of another layout is derived from them anew, and that is all there is to do.
            Err(StoreError::Schema { .. }) => {
                tracing::info!("the index is of another layout and is built anew from the packs");
                let again = fs::remove_dir_all(&paths.index).map_err(io_error(&paths.index));
                match again.and_then(|()| Index::open(&paths, options, segments)) {
                    Ok(index) => Self { index, rebuilt_because: None },
                    Err(error) => Self::in_memory(options, segments, error)?,
                }
            }
            // sled does not open without room to write; a new index would not either.
            Err(error) if !segments.has_room(ROOM_MIN) => Self::in_memory(options, segments, error)?,
            Err(error) if existed => {
                tracing::warn!(%error, "the index cannot be used and is rebuilt from the packs");
                let again = paths.set_aside().map_err(io_error(&paths.index));
                stays_condemned &= again.is_err();
                match again.and_then(|()| Index::open(&paths, options, segments)) {
                    Ok(index) => Self { index, rebuilt_because: Some(error.to_string()) },
                    Err(error) => Self::in_memory(options, segments, error)?,
                }
            }
            Err(error) => Self::in_memory(options, segments, error)?,
        };
        if !stays_condemned && let Err(error) = paths.end() {
            tracing::warn!(%error, "the attempt to open the index could not be struck off");
        }
        Ok(opened)
    }

    /// An empty index in memory, for a disk that takes none: what the packs hold must be readable all the same. The next
    /// opening tries the disk again. Gives `error` back where there is no such memory either.
    pub(crate) fn in_memory(
        options: EngineOptions,
        segments: &Segments,
        error: StoreError,
    ) -> Result<Self, StoreError> {
        let config = options.config().temporary(true);
        let opened = catch_unwind(AssertUnwindSafe(|| {
            Index::load(Engine { tree: config.open()?, _released: Released(PathBuf::new()) }, segments)
        }));
        match opened {
            Ok(Ok(Ok(index))) => {
                tracing::warn!(%error, "the disk takes no index: it is kept in memory");
                let why = format!(
                    "the disk takes none, so that it is kept in memory until the store is opened again: {error}"
                );
                Ok(Self { index, rebuilt_because: Some(why) })
            }
            _ if !segments.has_room(ROOM_MIN) => Err(StoreError::Full),
            _ => Err(error),
        }
    }
}

/// Waits, when it is dropped, until sled has let go of its files: its threads outlive its handles a little, and
/// whoever opens the store next would find it locked.
struct Released(PathBuf);

/// An open sled. The order of the fields is that in which they are dropped.
pub(super) struct Engine {
    pub(super) tree: sled::Db,
    _released: Released,
}

/// How long that may take: sled writes what it has not written yet.
const RELEASE_WAIT: Duration = Duration::from_secs(30);

impl Drop for Released {
    fn drop(&mut self) {
        let begun = Instant::now();
        while begun.elapsed() < RELEASE_WAIT {
            match File::open(&self.0).map(|file| file.try_lock()) {
                Ok(Err(TryLockError::WouldBlock)) => thread::sleep(Duration::from_millis(1)),
                _ => return,
            }
        }
        tracing::warn!("the index is still locked");
    }
}

impl Index {
    fn open(paths: &Paths, options: EngineOptions, segments: &Segments) -> Result<Self, StoreError> {
        if paths.index.exists() {
            paths.remove_unfinished_snapshots().map_err(io_error(&paths.index))?;
        }
        let config = options.config().path(&paths.index);
        // Whatever a panic leaves behind is dropped with the handle that never came to be.
        let released = Released(paths.index.join("db"));
        let opened = catch_unwind(AssertUnwindSafe(|| {
            Self::load(Engine { tree: config.open()?, _released: released }, segments)
        }));
        match opened {
            Ok(Ok(Ok(index))) => {
                if let Some(parent) = paths.index.parent() {
                    sync_dir(parent).map_err(io_error(parent))?;
                }
                Ok(index)
            }
            Ok(Ok(Err(error))) => Err(error),
            Ok(Err(error)) => Err(failed(&error)),
            Err(_) => Err(StoreError::Index { what: "it panicked while it was opened".to_owned() }),
        }
    }

    fn load(engine: Engine, segments: &Segments) -> Result<Result<Self, StoreError>, sled::Error> {
        let manifest = match engine.tree.get(MANIFEST)? {
            None if engine.tree.is_empty() => Some(begin(&engine.tree, segments)?),
            None => None,
            Some(bytes) => match Manifest::decode(&bytes) {
                Decoded::Manifest(manifest) => Some(*manifest),
                Decoded::OtherSchema => return Ok(Err(StoreError::Schema { found: 0, known: SCHEMA })),
                Decoded::Damaged => None,
            },
        };
        let Some(mut manifest) = manifest.filter(|manifest| manifest.id == segments.id()) else {
            return Ok(Err(StoreError::Index { what: "it does not belong to these packs".to_owned() }));
        };
        let moves = match relocate::moves_since(&manifest, segments) {
            Ok(moves) => moves,
            Err(error) => return Ok(Err(error)),
        };
        relocate::move_manifest(&mut manifest, &moves);
        if !fits(&manifest, segments) {
            return Ok(Err(StoreError::Index { what: "it does not belong to these packs".to_owned() }));
        }
        let index = Self::with_manifest(engine, manifest);
        Ok(index.inspect(|index| {
            for moved in &moves {
                if let Err(error) = index.relocate(moved, Dead::default()) {
                    tracing::warn!(%error, "where a segment's groups lie could not be noted");
                }
            }
        }))
    }

    fn with_manifest(engine: Engine, manifest: Manifest) -> Result<Self, StoreError> {
        let tree = &engine.tree;
        remove_orphans(tree, &manifest)?;
        let mut memory = Memory::default();
        manifest.damaged.iter().for_each(|ordinal| memory.set_damaged(*ordinal));
        let runs = manifest.runs.iter().map(|meta| Run::open(tree, *meta)).collect::<Result<_, _>>()?;
        let view = View {
            memory,
            runs,
            rows: RowStore::open(tree, manifest.counters.head)?,
            bodies: read_items(tree, BODIES, 0, manifest.bodies)?,
            releases: read_items(tree, RELEASES, 0, manifest.releases)?,
            counters: manifest.counters,
            gone: Bits::open(tree, GONE_BODIES)?,
            gone_rows: Bits::open(tree, GONE_ROWS)?,
            staged: Bits::open(tree, STAGED_BODIES)?,
            dead: manifest.dead.clone(),
            reached: manifest.checkpoint,
        };
        Ok(Self {
            engine,
            view: RwLock::new(view),
            written: Mutex::new(manifest),
            flushing: Mutex::new(false),
            flushed: Condvar::new(),
        })
    }
}

/// Notes in a new index which packs it is of, ahead of everything else: if its first flush were cut, rows without a manifest
/// would look like the index of another store.
fn begin(tree: &sled::Db, segments: &Segments) -> Result<Manifest, sled::Error> {
    let manifest = Manifest::empty(segments.id(), segments.start());
    tree.insert(MANIFEST, manifest.encode())?;
    Ok(manifest)
}

/// Whether an index was made of these packs.
fn fits(manifest: &Manifest, segments: &Segments) -> bool {
    let Checkpoint { next, frame, frame_at: at, frame_crc } = manifest.checkpoint;
    if manifest.id != segments.id() {
        return false;
    }
    if !matches!(segments.read(next, 0), Ok(Some(_))) {
        return false;
    }
    if frame == 0 {
        return next >= segments.start();
    }
    match frame_at(segments, at) {
        // Damage may lie between the frame and the place that was reached, and frames of higher numbers may be lost in it.
        Ok(Some(found)) => found.header.number <= frame && found.header.crc == frame_crc && found.end() <= next,
        _ => false,
    }
}

/// Removes runs that were being written when the process ended.
fn remove_orphans(tree: &sled::Db, manifest: &Manifest) -> Result<(), StoreError> {
    for id in Run::ids(tree)? {
        if !manifest.runs.iter().any(|run| run.id == id) {
            Run::remove(tree, id)?;
        }
    }
    Ok(())
}
