//! Empties the index's memory into sled.

use std::sync::Arc;

use super::{
    Index,
    dense::{Extent, Fixed, ROWS, Row, write_blocks},
    failed,
    gone::{GONE_BODIES, GONE_ROWS, STAGED_BODIES},
    manifest::MANIFEST,
    memory::PendingState,
    run::{Run, RunWriter},
    table::{Key, Table},
};
use crate::contract::StoreError;

/// The prefixes of extents in sled: those of bodies and those of releases.
pub(super) const BODIES: u8 = b'e';
pub(super) const RELEASES: u8 = b'f';

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

/// What is to be written, copied so that no reader waits for sled.
struct Waiting {
    tables: Vec<(Table, Vec<(Key, u64)>)>,
    rows: (u64, Vec<Row>),
    state: PendingState,
    bodies: (u64, Vec<Extent>),
    releases: (u64, Vec<Extent>),
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
        written.checkpoint == view.reached && view.memory.damaged().eq(written.damaged.iter().copied())
    }

    /// Writes everything that waits, and then, at once, the manifest that makes it count. Only one thread may apply
    /// and flush.
    pub(crate) fn flush(&self) -> Result<(), StoreError> {
        let waiting = self.waiting();
        let runs = self.write_runs(&waiting.tables)?;
        write_blocks(&self.engine.tree, ROWS, waiting.rows.0, &waiting.rows.1)?;
        write_blocks(&self.engine.tree, BODIES, waiting.bodies.0, &waiting.bodies.1)?;
        write_blocks(&self.engine.tree, RELEASES, waiting.releases.0, &waiting.releases.1)?;
        self.publish(&waiting.state, runs)
    }

    fn waiting(&self) -> Waiting {
        let (bodies, releases) = {
            let written = self.written();
            (written.bodies, written.releases)
        };
        let view = self.view();
        Waiting {
            tables: Table::ALL.iter().map(|table| (*table, view.memory.sorted(*table))).collect(),
            rows: view.rows.unwritten(),
            state: view.memory.state().clone(),
            bodies: unwritten(&view.bodies, bodies),
            releases: unwritten(&view.releases, releases),
        }
    }

    fn write_runs(&self, tables: &[(Table, Vec<(Key, u64)>)]) -> Result<Vec<Arc<Run>>, StoreError> {
        let mut runs = Vec::new();
        for (table, postings) in tables.iter().filter(|(_, postings)| !postings.is_empty()) {
            let id = self.next_run_id();
            let mut writer = RunWriter::new(&self.engine.tree, *table, 0, id, postings.len() as u64);
            for (key, value) in postings {
                writer.push(*key, *value)?;
            }
            runs.push(writer.finish()?);
        }
        Ok(runs)
    }

    fn publish(&self, state: &PendingState, runs: Vec<Arc<Run>>) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        self.write_state(state, &mut batch)?;
        let (gone, gone_rows, staged) = {
            let view = self.view();
            let gone = view.gone.write(GONE_BODIES, &mut batch);
            (gone, view.gone_rows.write(GONE_ROWS, &mut batch), view.staged.write(STAGED_BODIES, &mut batch))
        };
        let mut written = self.written();
        let mut next = written.clone();
        {
            let view = self.view();
            next.checkpoint = view.reached;
            next.counters = view.counters;
            next.bodies = view.bodies.len() as u64;
            next.releases = view.releases.len() as u64;
            next.damaged = view.memory.damaged().collect();
            next.dead.clone_from(&view.dead);
        }
        next.runs.extend(runs.iter().map(|run| run.meta));
        batch.insert(MANIFEST, next.encode());
        self.engine.tree.apply_batch(batch).map_err(|error| failed(&error))?;
        *written = next;
        let mut view = self.view_mut();
        view.runs.extend(runs);
        view.memory.clear();
        view.rows.trim();
        view.gone.set_written(&gone);
        view.gone_rows.set_written(&gone_rows);
        view.staged.set_written(&staged);
        view.counters.flushes += 1;
        Ok(())
    }
}
