//! Merges runs, so that a search never has many to look at: some of one level become one of the next.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use super::{
    Index, failed,
    manifest::MANIFEST,
    run::{Cursor, Run, RunWriter},
    table::Table,
};
use crate::contract::StoreError;

/// How many runs of a level are merged into one of the next.
///
/// While a merge goes on its runs take their place twice, and sled does not give back what it once took; so runs are
/// merged late. Their number costs a search little, since it looks into no run whose filter says no.
const MERGED_RUNS: usize = 12;

impl Index {
    /// Merges once, if there is something to merge; says whether there was.
    pub(crate) fn merge_once(&self) -> Result<bool, StoreError> {
        let Some(old) = self.to_merge() else { return Ok(false) };
        let new = self.write_merged(&old)?;
        self.replace_runs(&old, new)?;
        for run in old {
            Run::remove(&self.engine.tree, run.meta.id)?;
        }
        Ok(true)
    }

    /// The runs of the lowest level that has enough of them.
    fn to_merge(&self) -> Option<Vec<Arc<Run>>> {
        let view = self.view();
        let mut groups: Vec<(u8, Table)> = view.runs.iter().map(|run| (run.meta.level, run.table())).collect();
        groups.sort_unstable();
        let (level, table) = groups.chunk_by(|a, b| a == b).find(|group| group.len() >= MERGED_RUNS)?[0];
        let runs = view.runs.iter().filter(|run| run.meta.level == level && run.table() == table);
        Some(runs.cloned().collect())
    }

    fn write_merged(&self, old: &[Arc<Run>]) -> Result<Arc<Run>, StoreError> {
        let meta = &old[0].meta;
        let id = self.next_run_id();
        let postings = old.iter().map(|run| run.meta.postings).sum();
        let mut writer = RunWriter::new(&self.engine.tree, meta.table, meta.level.saturating_add(1), id, postings);
        let mut cursors: Vec<_> = old.iter().map(|run| Cursor::new(run, &self.engine.tree)).collect();
        let mut next = BinaryHeap::new();
        for (position, cursor) in cursors.iter_mut().enumerate() {
            next.extend(cursor.next()?.map(|posting| Reverse((posting, position))));
        }
        while let Some(Reverse(((key, value), position))) = next.pop() {
            writer.push(key, value)?;
            next.extend(cursors[position].next()?.map(|posting| Reverse((posting, position))));
        }
        writer.finish()
    }

    /// Reserves a number for a new run.
    pub(super) fn next_run_id(&self) -> u32 {
        let mut written = self.written();
        written.next_run = written.next_run.wrapping_add(1);
        written.next_run
    }

    fn replace_runs(&self, old: &[Arc<Run>], new: Arc<Run>) -> Result<(), StoreError> {
        let mut written = self.written();
        let is_old = |id: u32| old.iter().any(|run| run.meta.id == id);
        let mut next = written.clone();
        next.runs.retain(|run| !is_old(run.id));
        next.runs.push(new.meta);
        self.engine.tree.insert(MANIFEST, next.encode()).map_err(|error| failed(&error))?;
        *written = next;
        let mut view = self.view_mut();
        view.runs.retain(|run| !is_old(run.meta.id));
        view.runs.push(new);
        Ok(())
    }
}
