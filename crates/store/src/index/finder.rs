//! Looks bodies and rows up, in what waits in memory and in the runs.

use std::{cmp::Reverse, sync::Arc};

use mithaq_core::{id::ContentId, stix::observable::Observable};

use super::{
    Index, Moment, View,
    memory::Memory,
    ordered::observable_key,
    run::{self, Run},
    table::{Key, Table, content_key, reference_key, version_key},
};
use crate::contract::StoreError;

impl Index {
    /// The ordinals of the newest sound body of each content.
    pub(crate) fn find_bodies(&self, contents: &[ContentId]) -> Result<Vec<Option<u64>>, StoreError> {
        let view = self.view();
        let mut finder = view.finder(&self.engine.tree, Table::Contents);
        let newest = |content| Ok(view.newest_sound(finder.find(&content_key(content))?.iter().copied()));
        contents.iter().map(newest).collect()
    }

    /// The ordinals of sound bodies of each content, of any copy: quicker than [`Self::find_bodies`], which has to look
    /// at all runs to know the newest.
    pub(crate) fn find_any_bodies(&self, contents: &[ContentId]) -> Result<Vec<Option<u64>>, StoreError> {
        let view = self.view();
        let recent =
            |content| view.memory.find(Table::Contents, &content_key(content)).find(|found| view.is_sound(*found));
        let mut found: Vec<_> = contents.iter().map(recent).collect();
        let mut runs: Vec<_> = view.runs_of(Table::Contents).collect();
        // Most of what is held is held by the largest.
        runs.sort_by_key(|run| Reverse(run.meta.postings));
        let mut ordinals = Vec::new();
        // Run by run, since contents that come in ascending order go through each in its order.
        for mut run in runs.into_iter().map(|run| run.reader(&self.engine.tree)) {
            for (content, found) in contents.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
                ordinals.clear();
                run.find(&content_key(content), &mut ordinals)?;
                *found = ordinals.iter().copied().find(|ordinal| view.is_sound(*ordinal));
            }
        }
        Ok(found)
    }

    /// The newest sound body of a content that was nowhere at that moment.
    pub(crate) fn find_body_since(&self, since: Moment, content: &ContentId) -> Result<Option<u64>, StoreError> {
        let view = self.view();
        let recent = view.newest_sound(view.memory.find(Table::Contents, &content_key(content)));
        let has_flushed = view.counters.flushes != since.flushes;
        drop(view);
        match recent {
            // A flush in between has moved what came lately.
            None if has_flushed => Ok(self.find_bodies(&[*content])?[0]),
            found => Ok(found),
        }
    }

    /// The ordinals of bodies that may be versions of a STIX id: the caller compares.
    pub(crate) fn version_candidates(&self, stix_id: &str) -> Result<Vec<u64>, StoreError> {
        self.candidates(Table::Versions, &version_key(stix_id))
    }

    /// The ordinals of bodies that may carry an observable: the caller compares.
    pub(crate) fn observable_candidates(&self, observable: &Observable) -> Result<Vec<u64>, StoreError> {
        let (table, key) = observable_key(observable);
        self.candidates(table, &key)
    }

    fn candidates(&self, table: Table, key: &Key) -> Result<Vec<u64>, StoreError> {
        let view = self.view();
        let mut found = view.finder(&self.engine.tree, table).find(key)?.to_vec();
        found.retain(|ordinal| view.is_sound(*ordinal));
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The rows whose releases may name a content, ascending: the caller compares.
    pub(crate) fn row_candidates(&self, content: &ContentId) -> Result<Vec<u64>, StoreError> {
        let view = self.view();
        let mut rows = view.finder(&self.engine.tree, Table::References).find(&reference_key(content))?.to_vec();
        let ordinals = view.finder(&self.engine.tree, Table::Contents).find(&content_key(content))?.to_vec();
        for ordinal in ordinals {
            rows.extend(view.rows.row_of_body(&self.engine.tree, ordinal)?);
        }
        rows.retain(|row| !view.gone_rows.contains(*row));
        rows.sort_unstable();
        rows.dedup();
        Ok(rows)
    }
}

impl View {
    pub(super) fn runs_of(&self, table: Table) -> impl Iterator<Item = &Arc<Run>> {
        self.runs.iter().filter(move |run| run.table() == table)
    }

    pub(super) fn finder<'a>(&'a self, tree: &'a sled::Db, table: Table) -> Finder<'a> {
        let runs = self.runs_of(table).map(|run| run.reader(tree)).collect();
        Finder { memory: &self.memory, table, runs, found: Vec::new() }
    }

    fn newest_sound(&self, ordinals: impl Iterator<Item = u64>) -> Option<u64> {
        ordinals.filter(|ordinal| self.is_sound(*ordinal)).max()
    }
}

/// Looks keys of one table up; quick when they come in ascending order.
pub(super) struct Finder<'a> {
    memory: &'a Memory,
    table: Table,
    runs: Vec<run::Reader<'a>>,
    found: Vec<u64>,
}

impl Finder<'_> {
    /// All values of a key.
    pub(super) fn find(&mut self, key: &Key) -> Result<&[u64], StoreError> {
        self.found.clear();
        for run in &mut self.runs {
            run.find(key, &mut self.found)?;
        }
        self.found.extend(self.memory.find(self.table, key));
        Ok(&self.found)
    }
}
