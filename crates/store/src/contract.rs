//! The contract that every store keeps; `conformance` holds each implementation to it.

pub use mithaq_core::id::StoreId;
use std::collections::BTreeSet;

use mithaq_core::{
    body::Body,
    id::{ContentId, ContentPrefix, ReleaseId},
    release::{SignedRelease, VerifiedRelease},
    stix::observable::Observable,
    time::Time,
};

use crate::query::{FoundPage, Place, Query};

/// The most bytes of a state key.
pub const STATE_KEY_BYTES_MAX: usize = 200;

/// The most bytes of a state value: 1 MiB.
pub const STATE_VALUE_BYTES_MAX: usize = 1024 * 1024;

/// A release that arrived, with those of its bodies that the caller found missing.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The release.
    pub release: VerifiedRelease,
    /// Bodies of the release; those that the store has are counted and dropped. Every content of the release must
    /// be here, in the store, or in an earlier arrival of the batch.
    pub bodies: Vec<Body>,
}

/// What a state key must hold for a batch to be committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expect {
    /// Whatever it holds.
    Anything,
    /// Nothing.
    Absent,
    /// Exactly this.
    Value(Vec<u8>),
}

/// A compare-and-set of one state key.
#[derive(Debug, Clone)]
pub struct StateChange {
    /// The key, at most [`STATE_KEY_BYTES_MAX`] bytes.
    pub key: Vec<u8>,
    /// What it must hold now.
    pub expect: Expect,
    /// What it is to hold; `None` removes it.
    pub value: Option<Vec<u8>>,
}

impl StateChange {
    /// Sets `key` to `value`, whatever it holds.
    #[must_use]
    pub fn set(key: Vec<u8>, value: Vec<u8>) -> Self {
        Self { key, expect: Expect::Anything, value: Some(value) }
    }
}

/// The most releases, contents and staged bodies that one [`Purge`] names.
pub const PURGE_ITEMS_MAX: usize = 10_000;

/// What the store is to hold no longer: retention is over, or it was withdrawn.
///
/// It applies to what was held before the batch, and what is not held is passed over. From the commit on none of it is
/// read or found any more; [`Care::compact`] gives its space back. What is purged may come again and is then new: who
/// must not take it again refuses it before the store sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purge {
    /// Releases. Their rows are left out of the log, where no other row takes their numbers, and the bodies that no
    /// other release names go with them.
    pub releases: Vec<ReleaseId>,
    /// Contents, whichever releases name them. Those releases stay, and go on naming them.
    pub contents: Vec<ContentId>,
    /// Bodies that were staged and still wait for a release; what a release has taken meanwhile stays.
    pub staged: Vec<ContentId>,
    /// Releases that were found damaged, which a repair takes out: they go as [`Self::releases`] do, but count as lost
    /// and not as purged, so that they are asked for again.
    pub damaged: Vec<ReleaseId>,
}

impl Purge {
    /// How much it names.
    #[must_use]
    pub fn items(&self) -> usize {
        self.releases.len() + self.contents.len() + self.staged.len() + self.damaged.len()
    }

    /// Whether it names nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items() == 0
    }
}

/// What is committed together: all of it or nothing.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Releases with their bodies.
    pub arrivals: Vec<Arrival>,
    /// Changes of state; if one's expectation fails, nothing of the batch is committed.
    pub state: Vec<StateChange>,
    /// What is dropped; nothing that the batch's arrivals are or name.
    pub purge: Purge,
    /// Bodies that came before the release that names them. They are kept as durably as all else and answered for by
    /// [`Store::has_bodies`] and [`Store::bodies`], and nothing else shows or counts them until a release that names
    /// them is committed, which then need not bring them. Nobody may rely on it: what is held, what a release names,
    /// and what the batch purges is passed over, and arrivals of the same batch do not find them.
    pub staged: Vec<Body>,
    /// Whether it is taken below the store's low-water floor too, as a purge is: it takes something back, or is one of
    /// the few bytes without which what does could not be told, and must not wait for room. Nothing but a disk that is
    /// full refuses it.
    pub takes_back: bool,
}

/// What became of one arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The release's place in the log.
    pub seq: u64,
    /// Whether the release was new; a duplicate has the place of its first arrival.
    pub new: bool,
    /// How many of its bodies were not yet in the store.
    pub bodies_new: u32,
}

/// A row of the log: one release, in the order of commits. Rows are dense: 1, 2, 3, ...
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// The row's number, from 1.
    pub seq: u64,
    /// The release.
    pub release: ReleaseId,
    /// When its first object was added; object `i` (in content order) was added `i` microseconds later. Over the
    /// whole log these times increase strictly.
    pub added_at: Time,
    /// How many objects it names.
    pub objects: u32,
    /// Whether every one of its bodies was new to the store and no earlier row names any of them.
    pub all_new: bool,
}

/// One version of a STIX id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// `modified` (else `created`) in nanoseconds since the Unix epoch; `None` if the object has neither.
    pub version_nanos: Option<i128>,
    /// The content.
    pub content: ContentId,
}

/// How it stands with a content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Holding {
    /// Its body is here.
    Held,
    /// Its body is here, and no release that names it.
    Staged,
    /// A release names it, and its body is damaged or lost: it may come again.
    Damaged,
    /// Its body was dropped on purpose.
    Purged,
    /// The store knows nothing of it.
    Unknown,
}

/// Live and dead bytes of one kind of record, as they lie on disk; the dead ones are estimated from their groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// What can be read.
    pub live: u64,
    /// What was purged or superseded and can be given back.
    pub dead: u64,
}

/// What lies on the disk, in detail.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// The layout that new segments are written in.
    pub schema: u32,
    /// Segments.
    pub packs: u64,
    /// Bytes of all segments.
    pub pack_bytes: u64,
    /// Bytes of the index's files.
    pub index_bytes: u64,
    /// Bodies.
    pub bodies: Share,
    /// Releases.
    pub releases: Share,
    /// State: cursors, journals.
    pub state: Share,
    /// Headers, directories, and the marks of what was purged.
    pub overhead_bytes: u64,
    /// Bytes of bodies, releases and state before compression, the dead included.
    pub raw_bytes: u64,
    /// When the first object of the oldest release was added.
    pub oldest: Option<Time>,
    /// When the first object of the newest release was added.
    pub newest: Option<Time>,
}

/// One segment of a [`Cut`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentCut {
    /// The name of its file in the folder of packs.
    pub file: String,
    /// Its number.
    pub number: u32,
    /// How often it was written anew. Within one edition bytes are only added.
    pub edition: u32,
    /// The inode of its file: another file under the name is of another edition.
    pub inode: u64,
    /// How many of its bytes, from the first, belong to the cut: whole frames, all of them durable.
    pub bytes: u64,
}

/// The packs as they are at one moment: what was committed until then, and nothing of what comes after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The layout that new segments are written in.
    pub schema: u32,
    /// A row of the log that is in the cut, as all rows before it are.
    pub head: u64,
    /// The segments, in order.
    pub segments: Vec<SegmentCut>,
}

/// What became of a copy of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Adopted {
    /// The id that it had; `None` if every segment's header is damaged.
    pub was: Option<StoreId>,
    /// The id that it has.
    pub now: StoreId,
}

/// What a compaction did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Segments that were looked at.
    pub packs: u64,
    /// Segments that were written anew.
    pub rewritten: u64,
    /// Bytes of all segments before.
    pub bytes_before: u64,
    /// Bytes of all segments after.
    pub bytes_after: u64,
    /// Segments that were left as they are, and why, a sentence each.
    pub left: Vec<String>,
}

/// Counters of a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bodies held: distinct contents.
    pub objects: u64,
    /// Releases held.
    pub releases: u64,
    /// Contents that releases name, counted once for each release: `references - objects` bodies were deduplicated.
    pub references: u64,
    /// Canonical bytes of all bodies.
    pub body_bytes: u64,
    /// Bodies that are staged: no release names them yet, and they are not among `objects`.
    pub staged: u64,
    /// Bytes on disk, packs and index.
    pub disk_bytes: u64,
}

/// What a check of the whole store found.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Bodies read and hashed.
    pub objects: u64,
    /// What is wrong, a sentence each; empty if all is well.
    pub problems: Vec<String>,
    /// Damage that [`Care::repair`] has set aside before, a sentence each.
    pub set_aside: Vec<String>,
    /// What has to come again.
    pub lacking: Lacking,
}

/// The most releases that one [`Lacking`] names; more of them wait for the next check.
pub const LACKING_MAX: usize = 1_000_000;

/// What a check found that the store should hold and does not.
#[derive(Debug, Clone, Default)]
pub struct Lacking {
    /// Bodies that releases name and that are damaged or lost.
    pub bodies: u64,
    /// The releases that name such bodies, and those that are damaged themselves: who brings them again mends it.
    pub releases: BTreeSet<ReleaseId>,
    /// Rows of the log of which nothing tells the release any more.
    pub rows: u64,
    /// Releases that were purged, if rows are lost: what is neither held nor among these may be what was lost.
    pub purged: BTreeSet<ReleaseId>,
}

/// What a repair did.
#[derive(Debug, Clone, Default)]
pub struct Repaired {
    /// What it found.
    pub report: Report,
    /// The files to which damaged bytes were copied, relative to the store's folder.
    pub files: Vec<String>,
    /// Damaged releases that were taken out of the log; those of them that come again get new rows.
    pub dropped: Vec<ReleaseId>,
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The disk is full or below its low-water mark: nothing was stored, free space and try again.
    #[error("the disk that holds the store is full: nothing was stored; free some space and try again")]
    Full,
    /// The store is busy: nothing was stored, try again.
    #[error("the store is busy: nothing was stored; try again")]
    Busy,
    /// Whether it was stored is not known; storing again is safe, since puts are idempotent.
    #[error("whether it was stored is not known; to store it again is safe")]
    OutcomeUnknown(#[source] std::io::Error),
    /// A record is damaged.
    #[error("{what} is damaged: run `mithaq store check`")]
    Corrupt {
        /// Which record.
        what: String,
    },
    /// A state key did not hold what was expected: nothing was stored.
    #[error("state changed meanwhile")]
    Conflict {
        /// The key.
        key: Vec<u8>,
    },
    /// The caller broke the contract; a bug.
    #[error("the store was misused: {what}")]
    Misuse {
        /// How.
        what: String,
    },
    /// Another process has the store open.
    #[error("another process has the store at {path} open")]
    Locked {
        /// The store's folder.
        path: String,
    },
    /// The store was written by a program with another layout.
    #[error("the store has schema {found}; this program reads {known}")]
    Schema {
        /// What it has.
        found: u32,
        /// What is known.
        known: u32,
    },
    /// The operating system failed.
    #[error("the store at {path} cannot be used")]
    Io {
        /// The file or folder.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The index failed; it can always be rebuilt.
    #[error("the store's index failed: {what}")]
    Index {
        /// How.
        what: String,
    },
}

/// A store. All calls block; an async caller wraps them.
///
/// A commit that returned `Ok` is durable: it survives a power cut at once. Readers never see what is not durable.
pub trait Store: Send + Sync + 'static {
    /// The store's id.
    fn id(&self) -> StoreId;

    /// Commits a batch at time `now`: all of it or nothing, durable when it returns.
    ///
    /// # Errors
    /// Those of [`StoreError`]; only after [`StoreError::OutcomeUnknown`] may anything have been stored.
    fn commit(&self, batch: Batch, now: Time) -> Result<Vec<Committed>, StoreError>;

    /// Which of these contents the store holds, the staged ones among them.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn has_bodies(&self, ids: &[ContentId]) -> Result<Vec<bool>, StoreError>;

    /// The one content that the store holds, the staged ones among them, whose id begins with each of these; `None`
    /// where there is none, or are more.
    ///
    /// # Errors
    /// When the index or the packs cannot be read. A body that is found damaged on the way is not held.
    fn contents_with(&self, prefixes: &[ContentPrefix]) -> Result<Vec<Option<ContentId>>, StoreError>;

    /// Which of these contents are held and staged: no release names them yet.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn are_staged(&self, ids: &[ContentId]) -> Result<Vec<bool>, StoreError>;

    /// How it stands with a content, whose body is not read for it.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn holding(&self, content: ContentId) -> Result<Holding, StoreError>;

    /// The canonical bytes of contents, checked against their ids; `None` where the store has none.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] names a body that is damaged; no damaged byte is ever returned. From then on the store
    /// says that it does not have that body, so that it is fetched and committed again.
    fn bodies(&self, ids: &[ContentId]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// A release by its id, with its place in the log.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if it is damaged. From then on it is new to a commit that brings it again, which gives
    /// it a new row.
    fn release(&self, id: ReleaseId) -> Result<Option<(u64, SignedRelease)>, StoreError>;

    /// At most `limit` rows of the log after row `after`, in order.
    ///
    /// Having seen row n, no row at or below n appears later. A row that was lost to damage is left out and does not
    /// count: fewer than `limit` rows mean that the newest was reached, and the first need not be row `after` + 1.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn log(&self, after: u64, limit: usize) -> Result<Vec<LogRow>, StoreError>;

    /// The number of the newest row; 0 if there is none.
    fn head(&self) -> u64;

    /// The rows whose releases name this content, in ascending order.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn rows_of(&self, content: ContentId) -> Result<Vec<u64>, StoreError>;

    /// All versions of a STIX id, the oldest first; ties in ascending order of content id.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn versions(&self, stix_id: &str) -> Result<Vec<Version>, StoreError>;

    /// Whether no other version is held of a STIX id of which the caller knows one, told without reading it; a store
    /// that cannot tell says no.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn has_one_version(&self, stix_id: &str) -> Result<bool, StoreError> {
        Ok(self.versions(stix_id)?.len() == 1)
    }

    /// At most `limit` contents that carry this observable.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn observed(&self, observable: &Observable, limit: usize) -> Result<Vec<ContentId>, StoreError>;

    /// A page of at most `limit` contents that meet any of these queries, behind the place where another page ended.
    ///
    /// Each content is found once, in an order that is the store's own and stays as it is, whatever comes meanwhile: it
    /// may be found or not. A page looks at a bounded part of the index; it may find less than `limit`, or nothing, and
    /// say all the same that there is a next. `limit` counts as 1 at least and
    /// [`FIND_LIMIT_MAX`](crate::FIND_LIMIT_MAX) at most.
    ///
    /// # Errors
    /// When the index cannot be read or a body is damaged, as for [`Self::bodies`]; [`StoreError::Misuse`] for more
    /// than [`FIND_QUERIES_MAX`](crate::FIND_QUERIES_MAX) queries or a place that is none.
    fn find(&self, any: &[Query], after: Option<&Place>, limit: usize) -> Result<FoundPage, StoreError>;

    /// The value of a state key.
    ///
    /// # Errors
    /// When the index cannot be read.
    fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// At most `limit` state keys with this prefix after `after` (or from the first), with their values, in order.
    ///
    /// # Errors
    /// When the index cannot be read.
    #[allow(clippy::type_complexity)] // Pairs of key and value need no name of their own.
    fn state_range(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError>;

    /// Counters.
    fn stats(&self) -> Stats;

    /// How many bytes are free where the store lies; `None` if there is no such limit, or none that can be told.
    fn free_bytes(&self) -> Option<u64> {
        None
    }

    /// Reads and hashes everything and compares index and packs both ways.
    ///
    /// # Errors
    /// When the store cannot be read at all; damage is not an error but a row of the report.
    fn verify(&self) -> Result<Report, StoreError>;

    /// What can be done about the files of the store; `None` for a store that has none.
    fn care(&self) -> Option<&dyn Care> {
        None
    }
}

/// The care of a store that lies in files. Calls block, one of them at a time; commits and reads go on meanwhile.
pub trait Care: Send + Sync {
    /// What lies on the disk; reads the directories of all segments, and state.
    ///
    /// # Errors
    /// When the packs cannot be read.
    fn census(&self) -> Result<Census, StoreError>;

    /// Writes anew, without what is dead, each segment of which at least `dead_percent_min` percent are; its space is
    /// free on return. A crash at any point loses nothing.
    ///
    /// # Errors
    /// When the packs cannot be read or written; what was written anew until then stays so.
    fn compact(&self, dead_percent_min: u8) -> Result<Compacted, StoreError>;

    /// Reads everything as [`Store::verify`] does, and takes what is damaged out of the way, at time `now`: the damaged
    /// bytes stay where they lie, are copied to a folder beside the packs, and count as known from then on; damaged
    /// releases leave the log, so that they are new when they come again; state of which the packs have lost a part is
    /// written to them once more, as far as the index has it. What is lacking then is told.
    ///
    /// # Errors
    /// When the store cannot be read or written; what was set aside until then stays so, and a repair may be tried
    /// again.
    fn repair(&self, now: Time) -> Result<Repaired, StoreError>;

    /// The packs as they are now, for whoever copies them.
    ///
    /// # Errors
    /// When the operating system fails.
    fn cut(&self) -> Result<Cut, StoreError>;
}
