//! What a purge finds to take out: looked up by the committer, while nothing else is committed.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ops::Range,
};

use mithaq_core::id::{ContentId, ReleaseId};

use super::Shared;
use crate::{
    contract::{Purge, StoreError},
    index::{Copies, Row},
};

/// What is held of what a purge names.
#[derive(Debug, Default)]
pub(super) struct Purged {
    pub(super) releases: Vec<PurgedRows>,
    /// Contents with their copies and their length.
    pub(super) contents: Vec<(ContentId, Copies, u64)>,
    /// The ordinals of staged bodies, those that follow each other together.
    pub(super) staged: Vec<Range<u64>>,
}

/// A release that goes.
#[derive(Debug)]
pub(super) struct PurgedRows {
    pub(super) id: ReleaseId,
    pub(super) rows: Vec<(u64, Row)>,
    /// Whether it goes because it is damaged.
    pub(super) is_damaged: bool,
}

impl Shared {
    /// Finds what a purge takes out, but for the contents in `kept`, which its own batch goes on naming.
    pub(super) fn find_purged(&self, purge: &Purge, kept: &HashSet<ContentId>) -> Result<Purged, StoreError> {
        let _places = self.places();
        let mut rows = BTreeMap::new();
        let damaged: BTreeSet<_> = purge.damaged.iter().collect();
        for id in purge.releases.iter().chain(&purge.damaged).collect::<BTreeSet<_>>() {
            for seq in self.index.rows_of_release(*id)? {
                rows.insert(seq, *id);
            }
        }
        let mut contents: BTreeSet<_> = purge.contents.iter().copied().collect();
        for seq in rows.keys() {
            contents.extend(self.named_by_none_but(*seq, &rows)?.into_iter().filter(|content| !kept.contains(content)));
        }
        let mut releases: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (seq, id) in rows {
            let row = self.index.rows(seq - 1, 1)?.pop();
            releases.entry(id).or_default().extend(row);
        }
        let contents = self.with_lengths(&contents.into_iter().collect::<Vec<_>>())?;
        let purged = |(id, rows)| PurgedRows { id, rows, is_damaged: damaged.contains(&id) };
        let releases = releases.into_iter().map(purged).collect();
        Ok(Purged { releases, contents, staged: self.find_staged(&purge.staged)? })
    }

    /// Where those of these contents lie that no release names.
    fn find_staged(&self, contents: &[ContentId]) -> Result<Vec<Range<u64>>, StoreError> {
        let mut ordinals = BTreeSet::new();
        for content in contents {
            ordinals.extend(self.index.copies(content)?.ordinals);
        }
        let mut runs: Vec<Range<u64>> = Vec::new();
        for ordinal in ordinals.into_iter().filter(|ordinal| self.index.is_staged(*ordinal)) {
            match runs.last_mut().filter(|run| run.end == ordinal) {
                Some(run) => run.end += 1,
                None => runs.push(ordinal..ordinal + 1),
            }
        }
        Ok(runs)
    }

    /// The contents of a row that no row but `rows` names.
    fn named_by_none_but(&self, seq: u64, rows: &BTreeMap<u64, ReleaseId>) -> Result<Vec<ContentId>, StoreError> {
        let release = match self.release_at(seq) {
            // What a damaged release named cannot be told: its bodies stay.
            Err(StoreError::Corrupt { .. }) => None,
            read => read?,
        };
        let mut alone = Vec::new();
        for content in release.into_iter().flat_map(|release| release.contents) {
            if self.rows_of(content)?.iter().all(|row| rows.contains_key(row)) {
                alone.push(content);
            }
        }
        Ok(alone)
    }

    fn with_lengths(&self, contents: &[ContentId]) -> Result<Vec<(ContentId, Copies, u64)>, StoreError> {
        let mut found = Vec::new();
        for content in contents {
            let copies = self.index.copies(content)?;
            if !copies.ordinals.is_empty() {
                found.push((*content, copies, self.length(*content)?));
            }
        }
        Ok(found)
    }

    /// The bytes of a body; 0 if it is damaged.
    fn length(&self, content: ContentId) -> Result<u64, StoreError> {
        match self.bodies(&[content]) {
            Err(StoreError::Corrupt { .. }) => Ok(0),
            read => Ok(read?.iter().flatten().map(|body| body.len() as u64).sum()),
        }
    }
}
