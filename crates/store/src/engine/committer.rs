//! The one thread that writes: it takes the commits that wait, writes them as one frame, and answers all of them
//! after the one sync.

use std::{
    collections::VecDeque,
    io,
    sync::{
        Arc, PoisonError,
        mpsc::{Receiver, SyncSender},
    },
};

use super::{
    Shared,
    answer::{Due, Waits, give_out},
    plan::{Plan, PlanError, Planned},
    prepare::Prepared,
    queue::{Queue, Weighed},
};
use crate::{
    contract::{Committed, Purge, StoreError},
    index::{Checkpoint, Extent, Waiting},
    pack::{
        frame::Frame,
        group::GroupKind,
        marks::Note,
        segments::{AppendError, Position},
    },
};

/// A commit in the queue.
pub(crate) struct Job {
    pub(crate) batch: Prepared,
    pub(crate) waits: Waits,
}

impl Weighed for Job {
    fn bytes(&self) -> usize {
        self.batch.bytes
    }
}

/// Large commits are taken in as one group up to so many bytes: a small one waits for such a group at the most.
const LARGE_GROUP_BYTES: usize = 256 * 1024;

/// How many times more than its limit may wait in the index's memory while it is being written.
const FULL_WHILE_FLUSHING: usize = 2;

/// How many times more than its limit may wait in the index's memory while sled cannot be written to.
const OVERFULL: usize = 8;

/// The committer's state.
pub(crate) struct Committer {
    pub(crate) shared: Arc<Shared>,
    /// Takes what is to be written of the index.
    pub(crate) flusher: SyncSender<Waiting>,
}

/// Why nothing of a group was committed.
enum GroupError {
    NotStored(io::Error),
    Unknown(io::Error),
    TooLarge,
}

impl Committer {
    /// Serves the queue until the store is closed.
    pub(crate) fn run(&self, jobs: &Queue<Job>) {
        let group_bytes_max = self.shared.options.group_bytes_max;
        loop {
            let group = jobs.take(group_bytes_max, group_bytes_max.min(LARGE_GROUP_BYTES));
            if group.is_empty() {
                break;
            }
            for group in apart(group) {
                let _writing = self.shared.writing.lock().unwrap_or_else(PoisonError::into_inner);
                if self.is_overfull() {
                    self.refuse(group);
                } else {
                    self.commit(group);
                }
                self.tend();
            }
        }
        self.shared.index.wait_for_flush();
        if !self.shared.index.is_flushed() {
            self.flush();
        }
    }

    fn commit(&self, group: Vec<Job>) {
        let mut plan = Plan::new(&self.shared);
        let mut planned = Vec::with_capacity(group.len());
        let mut refused = VecDeque::new();
        let mut failure = None;
        let takes_back = group.iter().all(|job| job.batch.takes_back || !job.batch.purge.is_empty());
        for mut job in group {
            let (purge, bytes) = (std::mem::take(&mut job.batch.purge), job.batch.bytes);
            match self.add(&mut plan, job.batch, &purge) {
                _ if failure.is_some() => planned.push((bytes, job.waits, Vec::new())),
                Ok(committed) => planned.push((bytes, job.waits, committed)),
                Err(PlanError::Batch(error)) => refused.push_back(Due { waits: job.waits, outcome: Err(error) }),
                Err(PlanError::Group(error)) => {
                    failure = Some(GroupError::NotStored(error));
                    planned.push((bytes, job.waits, Vec::new()));
                }
            }
        }
        give_out(refused);
        let written = match failure {
            Some(error) => Err(error),
            None => plan.finish().map_err(GroupError::NotStored).and_then(|plan| self.write(plan, takes_back)),
        };
        // Whoever is woken first wakes the others: let that be an alert, not a piece of a bulk.
        planned.sort_by_key(|(bytes, ..)| *bytes);
        let due = planned.into_iter().map(|(_, waits, committed)| {
            let outcome = written.as_ref().map(|()| committed).map_err(|error| self.explain(error));
            Due { waits, outcome }
        });
        give_out(due.collect());
    }

    fn add(&self, plan: &mut Plan<'_>, batch: Prepared, purge: &Purge) -> Result<Vec<Committed>, PlanError> {
        if purge.is_empty() {
            return plan.add(batch);
        }
        let kept = batch.arrivals.iter().flat_map(|arrival| arrival.release.contents()).copied().collect();
        let purged = self.shared.find_purged(purge, &kept)?;
        let committed = plan.add(batch)?;
        plan.purge(&purged)?;
        Ok(committed)
    }

    /// Makes a frame durable, then visible. What `takes_back` does not wait for room.
    fn write(&self, plan: Planned, takes_back: bool) -> Result<(), GroupError> {
        let Planned { groups, mut delta, tombstones } = plan;
        if groups.is_empty() {
            return Ok(());
        }
        let shared = &self.shared;
        let number = shared.index.reached().frame + 1;
        let frame = Frame::build(number, &groups).ok_or(GroupError::TooLarge)?;
        let bytes = frame.bytes.len() as u64;
        let free_bytes_min = if takes_back { 0 } else { shared.options.free_bytes_min };
        if !shared.segments.has_room(free_bytes_min.saturating_add(bytes)) {
            return Err(GroupError::NotStored(io::ErrorKind::StorageFull.into()));
        }
        let at = shared.segments.append(&frame.bytes).map_err(|error| match error {
            AppendError::NotStored(error) => GroupError::NotStored(error),
            AppendError::Unknown(error) => GroupError::Unknown(error),
        })?;
        let note = |(ordinal, tombstone)| Note { frame: number, ordinal, tombstone };
        shared.marks.append(&tombstones.into_iter().map(note).collect::<Vec<_>>());
        for (entry, offset) in &frame.entries {
            let extent = Extent::of(entry, Position { offset: at.offset + offset, ..at });
            // INVARIANT: `Options` keep segments under 4 GiB, so every group has an extent.
            let Some(extent) = extent else { continue };
            match entry.kind {
                GroupKind::Bodies | GroupKind::Staged => delta.add_body_extent(extent),
                GroupKind::Releases => delta.add_release_extent(extent),
                GroupKind::State | GroupKind::Purges => {}
            }
        }
        let next = Position { offset: at.offset + bytes, ..at };
        let reached = Checkpoint { next, frame: number, frame_at: at, frame_crc: frame.header.crc };
        shared.index.apply(delta, reached);
        Ok(())
    }

    fn explain(&self, error: &GroupError) -> StoreError {
        // `io::Error` cannot be cloned, and each of the group's callers needs one.
        let copy = |error: &io::Error| match error.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(error.kind(), error.to_string()),
        };
        match error {
            GroupError::NotStored(error) if is_full(error) => StoreError::Full,
            GroupError::NotStored(error) => {
                StoreError::Io { path: self.shared.packs.display().to_string(), source: copy(error) }
            }
            GroupError::Unknown(error) => StoreError::OutcomeUnknown(copy(error)),
            GroupError::TooLarge => StoreError::Busy,
        }
    }

    fn refuse(&self, group: Vec<Job>) {
        let due = group.into_iter().map(|job| {
            let what = "it cannot be written to, and no more fits in memory".to_owned();
            Due { waits: job.waits, outcome: Err(StoreError::Index { what }) }
        });
        give_out(due.collect());
    }

    fn is_overfull(&self) -> bool {
        let limits = self.shared.options.flush_limits();
        self.shared.index.is_full(&limits.times(OVERFULL))
    }

    /// Has the index's memory emptied when it is full, beside further commits, as long as these do not fill it again.
    fn tend(&self) {
        let (index, limits) = (&self.shared.index, self.shared.options.flush_limits());
        if !index.is_full(&limits) {
            return;
        }
        if index.is_flushing() {
            if !index.is_full(&limits.times(FULL_WHILE_FLUSHING)) {
                return;
            }
            index.wait_for_flush();
        }
        self.flush();
    }

    fn flush(&self) {
        let Shared { index, marks, .. } = &*self.shared;
        // Behind the checkpoint of the index no tombstone is noted again, unless it says that notes lack.
        marks.write();
        let waiting = index.begin_flush(marks.lacks());
        // None waits there: a flush begins when no other is under way. A flusher that has panicked leaves the packs
        // right.
        let _flusher_lives = self.flusher.send(waiting);
    }
}

/// Writes to the index what committers set apart, and has runs merged.
pub(crate) struct Flusher {
    pub(crate) shared: Arc<Shared>,
    /// Wakes the thread that merges runs.
    pub(crate) merger: SyncSender<()>,
}

impl Flusher {
    /// Serves the committer until it ends.
    pub(crate) fn run(&self, waiting: &Receiver<Waiting>) {
        for waiting in waiting {
            match self.shared.index.end_flush(&waiting) {
                Ok(()) => {
                    // One wake that waits is enough. A merger that has panicked leaves the index right, only slower.
                    let _merger_lives = self.merger.try_send(());
                }
                // Nothing is lost: what waits is in the packs. The next commit tries again.
                Err(error) => tracing::warn!(%error, "the index cannot be written"),
            }
        }
    }
}

/// Cuts a group where a commit purges: that one must know what the others before it have brought, and they what it
/// drops. And where one takes something back: it must not wait for room together with others.
fn apart(group: Vec<Job>) -> Vec<Vec<Job>> {
    let mut groups: Vec<Vec<Job>> = Vec::new();
    let mut is_open = false;
    for job in group {
        let (purges, takes_back) = (!job.batch.purge.is_empty(), job.batch.takes_back);
        let is_alike = |last: &&mut Vec<Job>| last.last().is_none_or(|job| job.batch.takes_back == takes_back);
        match groups.last_mut().filter(|_| is_open && !purges).filter(is_alike) {
            Some(last) => last.push(job),
            None => groups.push(vec![job]),
        }
        is_open = !purges;
    }
    groups
}

/// Whether an error says that the disk, or this process's share of it, is used up.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}
