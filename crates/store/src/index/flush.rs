//! Empties the index's memory into sled.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
};

use super::{
    Index,
    dense::{Extent, Fixed, ROWS, Row, write_blocks},
    failed,
    gone::{self, GONE_BODIES, GONE_ROWS, STAGED_BODIES},
    manifest::{Checkpoint, Counters, Dead, MANIFEST},
    memory::Frozen,
    run::{Run, RunWriter},
    table::Table,
};
use crate::contract::StoreError;

/// The prefixes of extents in sled: those of bodies and those of releases.
pub(super) const BODIES: u8 = b'e';
pub(super) const RELEASES: u8 = b'f';

/// How many damaged bodies are written down: the row that they are in must not become one that sled keeps in a file of
/// its own. What a repair sets aside is known from its copies, and any other damage is found again.
const DAMAGED_WRITTEN_MAX: usize = 16_384;

/// How much may wait in memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlushLimits {
    /// Postings: an object has about three.
    pub(crate) postings_max: usize,
    /// Bytes of state.
    pub(crate) state_bytes_max: usize,
}

impl FlushLimits {
    /// Limits that many times as high.
    pub(crate) fn times(self, factor: usize) -> Self {
        Self {
            postings_max: self.postings_max.saturating_mul(factor),
            state_bytes_max: self.state_bytes_max.saturating_mul(factor),
        }
    }
}

/// What is to be written, as it was at one moment, so that neither readers nor commits wait for sled.
pub(crate) struct Waiting {
    frozen: Arc<Frozen>,
    rows: (u64, Vec<Row>),
    bodies: (u64, Vec<Extent>),
    releases: (u64, Vec<Extent>),
    /// Blocks of what is gone or staged.
    gone: Vec<gone::Block>,
    gone_rows: Vec<gone::Block>,
    staged: Vec<gone::Block>,
    damaged: Vec<u64>,
    lacks_notes: bool,
    dead: BTreeMap<u32, Dead>,
    counters: Counters,
    reached: Checkpoint,
}

/// The number behind the last of a list that begins with another number than 0.
fn end_of<T>((first, items): &(u64, Vec<T>)) -> u64 {
    first + items.len() as u64
}

/// Tells whoever waits for a flush that it has ended, however it did.
struct Flushing<'a>(&'a Index);

impl Drop for Flushing<'_> {
    fn drop(&mut self) {
        *self.0.flushing.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.flushed.notify_all();
    }
}

/// Extents from the one that opens the block in which item `written` lies.
fn unwritten(extents: &[Extent], written: u64) -> (u64, Vec<Extent>) {
    let first = written - written % Extent::PER_BLOCK as u64;
    let items = usize::try_from(first).ok().and_then(|first| extents.get(first..));
    (first, items.unwrap_or_default().to_vec())
}

impl Index {
    /// Whether more waits than may.
    pub(crate) fn is_full(&self, limits: &FlushLimits) -> bool {
        let view = self.view();
        view.memory.postings() >= limits.postings_max || view.memory.state_bytes() >= limits.state_bytes_max
    }

    /// Whether sled lacks nothing.
    pub(crate) fn is_flushed(&self) -> bool {
        let written = self.written();
        let view = self.view();
        written.checkpoint == view.reached
            && view.memory.damaged().take(DAMAGED_WRITTEN_MAX).eq(written.damaged.iter().copied())
    }

    /// Whether a flush has begun and not ended.
    pub(crate) fn is_flushing(&self) -> bool {
        *self.flushing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until no flush is under way. Blocks.
    pub(crate) fn wait_for_flush(&self) {
        let flushing = self.flushing.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.flushed.wait_while(flushing, |flushing| *flushing));
    }

    /// Whether notes of what was purged lacked beside the packs when sled was written to.
    pub(crate) fn lacks_notes(&self) -> bool {
        self.written().lacks_notes
    }

    /// Writes everything that waits, and then, at once, the manifest that makes it count, and that says whether notes
    /// of what was purged lack.
    pub(crate) fn flush(&self, lacks_notes: bool) -> Result<(), StoreError> {
        let waiting = self.begin_flush(lacks_notes);
        self.end_flush(&waiting)
    }

    /// Sets apart what waits, to be written by [`Self::end_flush`]. Only the thread that applies may begin, and no
    /// flush may be under way; from then on it may apply further, but nothing may be moved until the flush has ended.
    pub(crate) fn begin_flush(&self, lacks_notes: bool) -> Waiting {
        *self.flushing.lock().unwrap_or_else(PoisonError::into_inner) = true;
        let (bodies, releases) = {
            let written = self.written();
            (written.bodies, written.releases)
        };
        let mut view = self.view_mut();
        Waiting {
            frozen: view.memory.freeze(),
            rows: view.rows.unwritten(),
            bodies: unwritten(&view.bodies, bodies),
            releases: unwritten(&view.releases, releases),
            gone: view.gone.take_unwritten(),
            gone_rows: view.gone_rows.take_unwritten(),
            staged: view.staged.take_unwritten(),
            damaged: view.memory.damaged().take(DAMAGED_WRITTEN_MAX).collect(),
            lacks_notes,
            dead: view.dead.clone(),
            counters: view.counters,
            reached: view.reached,
        }
    }

    /// Writes what was set apart, and then, at once, the manifest that makes it count. What fails to be written waits
    /// again.
    pub(crate) fn end_flush(&self, waiting: &Waiting) -> Result<(), StoreError> {
        let _flushing = Flushing(self);
        let written = self.write(waiting);
        if written.is_err() {
            let mut view = self.view_mut();
            view.memory.thaw();
            view.gone.put_back(&waiting.gone);
            view.gone_rows.put_back(&waiting.gone_rows);
            view.staged.put_back(&waiting.staged);
        }
        written
    }

    fn write(&self, waiting: &Waiting) -> Result<(), StoreError> {
        let runs = self.write_runs(&waiting.frozen)?;
        write_blocks(&self.engine.tree, ROWS, waiting.rows.0, &waiting.rows.1)?;
        write_blocks(&self.engine.tree, BODIES, waiting.bodies.0, &waiting.bodies.1)?;
        write_blocks(&self.engine.tree, RELEASES, waiting.releases.0, &waiting.releases.1)?;
        self.publish(waiting, runs)
    }

    fn write_runs(&self, frozen: &Frozen) -> Result<Vec<Arc<Run>>, StoreError> {
        let mut runs = Vec::new();
        for table in Table::ALL {
            let postings = frozen.sorted(table);
            if postings.is_empty() {
                continue;
            }
            let id = self.next_run_id();
            let mut writer = RunWriter::new(&self.engine.tree, table, 0, id, postings.len() as u64);
            for (key, value) in postings {
                writer.push(key, value)?;
            }
            runs.push(writer.finish()?);
        }
        Ok(runs)
    }

    fn publish(&self, waiting: &Waiting, runs: Vec<Arc<Run>>) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        self.write_state(&waiting.frozen.state, &mut batch)?;
        gone::write(GONE_BODIES, &waiting.gone, &mut batch);
        gone::write(GONE_ROWS, &waiting.gone_rows, &mut batch);
        gone::write(STAGED_BODIES, &waiting.staged, &mut batch);
        let mut written = self.written();
        let mut next = written.clone();
        next.checkpoint = waiting.reached;
        next.counters = waiting.counters;
        next.bodies = end_of(&waiting.bodies);
        next.releases = end_of(&waiting.releases);
        next.damaged.clone_from(&waiting.damaged);
        next.lacks_notes = waiting.lacks_notes;
        next.dead.clone_from(&waiting.dead);
        next.runs.extend(runs.iter().map(|run| run.meta));
        batch.insert(MANIFEST, next.encode());
        self.engine.tree.apply_batch(batch).map_err(|error| failed(&error))?;
        *written = next;
        let mut view = self.view_mut();
        view.runs.extend(runs);
        view.rows.trim(end_of(&waiting.rows));
        view.counters.flushes += 1;
        let forgotten = view.memory.forget_frozen();
        drop(view);
        drop(forgotten);
        Ok(())
    }
}
