//! The store on packs and sled.

mod answer;
mod aside;
mod committer;
mod compact;
mod find;
mod mend;
mod noted;
mod options;
mod packer;
mod prepare;
mod purge;
mod queue;
mod read;
mod recover;
mod salvage;
mod survey;
#[cfg(test)]
mod tests;
mod upheld;
mod verify;

mod plan;

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::AtomicBool,
        mpsc::{SyncSender, sync_channel},
    },
    thread::{self, JoinHandle},
};

use mithaq_core::{
    id::{ContentId, ContentPrefix, ReleaseId},
    release::SignedRelease,
    stix::observable::Observable,
    time::Time,
};

use self::{
    answer::{Answer, Waits},
    committer::{Committer, Flusher, Job},
    packer::Packer,
    prepare::Spent,
    queue::Queue,
    read::{GroupCache, RecentReleases},
};
pub use self::{options::Options, prepare::COMMIT_BYTES_MAX};
use crate::{
    contract::{
        Adopted, Batch, Care, Census, Committed, Compacted, Cut, Holding, LogRow, Repaired, Report, Stats, Store,
        StoreError, StoreId, Version,
    },
    index::{Index, OpenedIndex},
    pack::{
        adopt,
        disk::{Disk, SystemDisk, if_read_only, sync_dir},
        group::Zip,
        marks::{self, Marks},
        segments::{SCHEMA, Segments, io_error},
    },
    query::{FoundPage, Place, Query},
};

/// What the committer, the merger and readers share.
struct Shared {
    dir: PathBuf,
    packs: PathBuf,
    options: Options,
    segments: Segments,
    marks: Marks,
    index: Index,
    zip: Zip,
    cache: GroupCache,
    recent: RecentReleases,
    /// What opening found wrong, first of all with the headers of segments.
    problems: Vec<String>,
    /// How many of these are about headers, which lie before all damage that a repair sets aside.
    header_problems: usize,
    /// Whether a repair has taken care of that.
    is_mended: AtomicBool,
    /// Held by whoever looks after all of the files: one at a time.
    care: Mutex<()>,
    /// Held by whoever commits, or moves what commits have written.
    writing: Mutex<()>,
    /// Held for reading from the look at the index until the packs were read, and for writing while what the index says
    /// of the packs and the packs change together.
    places: RwLock<()>,
    /// Held for as long as the store is open.
    _lock: File,
}

/// A store in a folder: packs hold what it was given, sled finds it.
pub struct SledStore {
    shared: Arc<Shared>,
    /// Closed with the store, which ends the committer.
    jobs: Arc<Queue<Job>>,
    packer: Packer,
    threads: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for SledStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SledStore").field("dir", &self.shared.dir).finish_non_exhaustive()
    }
}

impl SledStore {
    /// Opens the store in `dir`; creates it if there is none.
    ///
    /// A tail that a crash tore is cut off, an index that is behind is brought up to date, and one that cannot be
    /// used is rebuilt. Damage is logged and told by [`Self::problems`]; it does not keep a store from opening.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has it open, [`StoreError::Schema`] if it was written by another
    /// version, [`StoreError::Io`] and [`StoreError::Index`] if the operating system fails.
    pub fn open(dir: &Path, options: Options) -> Result<Self, StoreError> {
        Self::open_on(dir, options, Arc::new(SystemDisk))
    }

    /// Opens the store on a disk that may be made to fail, for tests.
    ///
    /// # Errors
    /// As [`Self::open`].
    #[doc(hidden)]
    pub fn open_on(dir: &Path, options: Options, disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        let options = options.within_limits();
        let packs = dir.join("packs");
        create_dir(dir)?;
        let lock = lock(dir)?;
        create_dir(&packs)?;
        marks::remove_unfinished(dir);
        let (marks, has_all_marks) = Marks::open(dir, Arc::clone(&disk));
        let opened = Segments::open(&packs, disk, options.segment_bytes, random_id)?;
        let (segments, mut problems) = (opened.segments, opened.problems);
        let header_problems = problems.len();
        let zip = Zip::new(options.compression_level);
        let (index, found) = Self::open_index(dir, &options, &segments, &marks, &zip)?;
        problems.extend(found);
        for problem in &problems {
            tracing::warn!(problem, "the store was opened in spite of a problem");
        }
        let (cache, recent) = (GroupCache::new(options.group_cache_bytes), RecentReleases::default());
        let dir = dir.to_owned();
        let (care, writing, places) = Default::default();
        let shared = Shared {
            dir,
            packs,
            options,
            segments,
            marks,
            index,
            zip,
            cache,
            recent,
            problems,
            header_problems,
            is_mended: AtomicBool::new(false),
            care,
            writing,
            places,
            _lock: lock,
        };
        shared.complete_marks(has_all_marks);
        shared.claim_none_set_aside()?;
        Self::start(Arc::new(shared))
    }

    /// Opens the index and brings it up to date; gives what was found wrong.
    fn open_index(
        dir: &Path,
        options: &Options,
        segments: &Segments,
        marks: &Marks,
        zip: &Zip,
    ) -> Result<(Index, Vec<String>), StoreError> {
        let mut opened = OpenedIndex::open(dir, options.engine(), segments)?;
        if opened.index.lacks_notes() {
            marks.set_lacking();
        }
        let mut recovered = recover::recover(segments, &opened.index, marks, zip, options);
        if let Err(error @ StoreError::Index { .. }) = recovered {
            // It opened, and then the disk did not take what it lacked.
            drop(opened.index);
            opened = OpenedIndex::in_memory(options.engine(), segments, error)?;
            recovered = recover::recover(segments, &opened.index, marks, zip, options);
        }
        let mut problems = recovered?;
        problems.extend(opened.rebuilt_because.map(|why| format!("the index was rebuilt from the packs: {why}")));
        Ok((opened.index, problems))
    }

    fn start(shared: Arc<Shared>) -> Result<Self, StoreError> {
        let jobs = Arc::new(Queue::new(shared.options.queue_commits));
        let (wake, woken) = sync_channel(1);
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(work).map_err(io_error(&shared.dir))
        };
        let (flusher, waiting) = sync_channel(1);
        let committer = Committer { shared: Arc::clone(&shared), flusher };
        let flusher = Flusher { shared: Arc::clone(&shared), merger: SyncSender::clone(&wake) };
        let merging = Arc::clone(&shared);
        let queue = Arc::clone(&jobs);
        let serve = move || {
            let _abandoned = Abandon(Arc::clone(&queue));
            committer.run(&queue);
        };
        let (packer, offers) = Packer::new();
        let packing = Arc::clone(&shared);
        let give_way = shared.options.give_way;
        let pack = move || {
            give_way();
            offers.serve(&packing.zip);
        };
        let merge = move || {
            give_way();
            woken.iter().for_each(|()| merging.merge());
        };
        let threads = vec![
            spawn("store-pack", Box::new(pack))?,
            spawn("store-commit", Box::new(serve))?,
            spawn("store-flush", Box::new(move || flusher.run(&waiting)))?,
            spawn("store-merge", Box::new(merge))?,
        ];
        // An earlier process may have left something to merge. The merger lives as long as the committer.
        let _merger_lives = wake.try_send(());
        Ok(Self { shared, jobs, packer, threads })
    }

    /// What was wrong when the store was opened, a sentence each; empty if nothing was.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.shared.problems
    }

    /// Whether the file system has more room than [`Options::free_bytes_min`]; without it commits fail as
    /// [`StoreError::Full`].
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.shared.segments.has_room(self.shared.options.free_bytes_min)
    }
}

impl Drop for SledStore {
    /// Waits until what is queued is committed and the index is written.
    fn drop(&mut self) {
        self.jobs.close();
        self.packer.end();
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so; what was acknowledged is in the packs.
            drop(thread.join());
        }
    }
}

impl Shared {
    /// Keeps what the index says of the packs true until the guard is dropped. Never taken twice by one thread.
    fn places(&self) -> RwLockReadGuard<'_, ()> {
        self.places.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Merges until nothing is left to merge.
    fn merge(&self) {
        loop {
            match self.index.merge_once() {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(%error, "the index cannot be merged");
                    return;
                }
            }
        }
    }
}

/// Creates a folder, durable under its name.
fn create_dir(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(dir).map_err(io_error(dir))?;
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_dir(parent.unwrap_or(Path::new("."))).map_err(io_error(dir))
}

/// Takes the store for this process; the operating system lets go of it when the process ends, however it ends.
fn lock(dir: &Path) -> Result<File, StoreError> {
    let path = dir.join("lock");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    // On a file system that can only be read, what is there must be readable.
    let file = file.or_else(|error| if_read_only(error, &path)).map_err(io_error(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: dir.display().to_string() }),
        Err(TryLockError::Error(source)) => Err(io_error(&path)(source)),
    }
}

fn random_id() -> io::Result<StoreId> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(StoreId::from_bytes(bytes))
}

/// How many contents are looked up by their prefixes at once: commits wait while the index is looked at, and each content may
/// be in another group of the packs.
const PREFIXES_AT_ONCE: usize = 64;

/// Has nobody wait for a committer that is gone.
struct Abandon(Arc<Queue<Job>>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// The committer is gone: it panicked.
fn stopped() -> io::Error {
    io::Error::other("the store's committer has stopped")
}

impl Store for SledStore {
    fn id(&self) -> StoreId {
        self.shared.segments.id()
    }

    fn commit(&self, batch: Batch, now: Time) -> Result<Vec<Committed>, StoreError> {
        let (batch, Spent { bodies, releases }) = prepare::prepare(&self.shared, &self.packer, batch, now)?;
        let (waits, answered) = Waits::new();
        let gone = |source| StoreError::Io { path: self.shared.dir.display().to_string(), source };
        self.jobs.push(Job { batch, waits }).map_err(|_| gone(stopped()))?;
        drop(bodies);
        let answered = answered.recv().map_or_else(|_| Err(StoreError::OutcomeUnknown(stopped())), Answer::pass_on);
        drop(releases);
        answered
    }

    fn has_bodies(&self, ids: &[ContentId]) -> Result<Vec<bool>, StoreError> {
        Ok(self.shared.index.find_any_bodies(ids)?.iter().map(Option::is_some).collect())
    }

    fn contents_with(&self, prefixes: &[ContentPrefix]) -> Result<Vec<Option<ContentId>>, StoreError> {
        let mut contents = Vec::with_capacity(prefixes.len());
        for prefixes in prefixes.chunks(PREFIXES_AT_ONCE) {
            let _places = self.shared.places();
            contents.append(&mut self.shared.contents_with(prefixes)?);
        }
        Ok(contents)
    }

    fn are_staged(&self, ids: &[ContentId]) -> Result<Vec<bool>, StoreError> {
        if !self.shared.index.has_staged() {
            return Ok(vec![false; ids.len()]);
        }
        Ok(self.shared.index.are_staged(&self.shared.index.find_bodies(ids)?))
    }

    fn holding(&self, content: ContentId) -> Result<Holding, StoreError> {
        let _places = self.shared.places();
        self.shared.holding(content)
    }

    fn bodies(&self, ids: &[ContentId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let _places = self.shared.places();
        self.shared.bodies(ids)
    }

    fn release(&self, id: ReleaseId) -> Result<Option<(u64, SignedRelease)>, StoreError> {
        let _places = self.shared.places();
        self.shared.release(id)
    }

    fn log(&self, after: u64, limit: usize) -> Result<Vec<LogRow>, StoreError> {
        let (mut after, mut sound) = (after, Vec::new());
        while sound.len() < limit {
            let rows = self.shared.index.rows(after, limit - sound.len())?;
            let Some((last, _)) = rows.last() else { break };
            after = *last;
            sound.extend(rows.iter().filter(|(_, row)| !row.is_hole()).map(|(seq, row)| row.public(*seq)));
        }
        Ok(sound)
    }

    fn head(&self) -> u64 {
        self.shared.index.counters().head
    }

    fn rows_of(&self, content: ContentId) -> Result<Vec<u64>, StoreError> {
        let _places = self.shared.places();
        self.shared.rows_of(content)
    }

    fn versions(&self, stix_id: &str) -> Result<Vec<Version>, StoreError> {
        let _places = self.shared.places();
        self.shared.versions(stix_id)
    }

    fn has_one_version(&self, stix_id: &str) -> Result<bool, StoreError> {
        self.shared.has_one_version(stix_id)
    }

    fn observed(&self, observable: &Observable, limit: usize) -> Result<Vec<ContentId>, StoreError> {
        let _places = self.shared.places();
        self.shared.observed(observable, limit)
    }

    fn find(&self, any: &[Query], after: Option<&Place>, limit: usize) -> Result<FoundPage, StoreError> {
        let _places = self.shared.places();
        self.shared.find(any, after, limit)
    }

    fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.shared.index.state(key)
    }

    fn state_range(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.shared.index.state_range(prefix, after, limit)
    }

    fn stats(&self) -> Stats {
        let counters = self.shared.index.counters();
        Stats {
            objects: counters.objects,
            releases: counters.releases,
            references: counters.references,
            body_bytes: counters.body_bytes,
            staged: self.shared.index.staged(),
            disk_bytes: self.shared.segments.bytes() + files_bytes(&self.shared.dir.join("index")),
        }
    }

    fn free_bytes(&self) -> Option<u64> {
        self.shared.segments.free_bytes().ok()
    }

    fn verify(&self) -> Result<Report, StoreError> {
        // No segment moves while the turn lasts.
        let _turn = self.shared.care.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.shared.verify()?.report)
    }

    fn care(&self) -> Option<&dyn Care> {
        Some(self)
    }
}

impl Care for SledStore {
    fn census(&self) -> Result<Census, StoreError> {
        let _turn = self.shared.care.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.census()
    }

    fn compact(&self, dead_percent_min: u8) -> Result<Compacted, StoreError> {
        let _turn = self.shared.care.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.compact(dead_percent_min)
    }

    fn repair(&self, now: Time) -> Result<Repaired, StoreError> {
        let _turn = self.shared.care.lock().unwrap_or_else(PoisonError::into_inner);
        mend::mend(self, now)
    }

    fn cut(&self) -> Result<Cut, StoreError> {
        // First: what comes meanwhile is in the segments, and not the other way round.
        let head = self.shared.index.counters().head;
        let segments = self.shared.segments.cut().map_err(io_error(&self.shared.packs))?;
        Ok(Cut { schema: SCHEMA, head, segments })
    }
}

/// Makes the copy of a store that lies in `dir` a store of its own, with a new id, by which peers and readers tell that
/// it is another one. Its index, if there is one, is built again when it is opened.
///
/// # Errors
/// [`StoreError::Locked`] if a process has it open, [`StoreError::Schema`] if it was written by another version,
/// [`StoreError::Io`] if the operating system fails; the copy cannot be used then.
pub fn adopt(dir: &Path) -> Result<Adopted, StoreError> {
    let _lock = lock(dir)?;
    let now = random_id().map_err(io_error(dir))?;
    let was = adopt::adopt(&dir.join("packs"), now)?;
    Ok(Adopted { was, now })
}

/// The bytes of the files in a folder and in those in it; files that vanish meanwhile do not count.
fn files_bytes(dir: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => files_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    bytes.sum()
}
