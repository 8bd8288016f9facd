//! The index: everything that can be derived from the packs, for quick answers.
//!
//! New postings, rows and state stay in memory until there are enough of them to be written to sled at once, as
//! sorted runs of large rows, together with the place in the packs that they reach up to (the checkpoint). What was
//! only in memory when a process ended is read again from the packs. So no commit waits for sled, sled holds few
//! and large rows, and a sled that is behind, damaged or gone costs time and never data.

mod alike;
mod beginning;
mod delta;
mod dense;
mod engine;
mod filter;
mod finder;
mod flush;
mod gone;
pub(crate) mod keyed;
mod manifest;
mod memory;
mod merge;
mod ordered;
mod range;
mod relocate;
mod run;
mod state;
mod table;

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use mithaq_core::id::{ContentId, ReleaseId};

pub(crate) use self::{
    delta::{BodyKeys, Copies, Delta},
    dense::{Extent, Row},
    engine::{EngineOptions, OpenedIndex, condemn_index},
    flush::{FlushLimits, Waiting},
    keyed::{KeyedMap, KeyedSet},
    manifest::{Checkpoint, Counters, Dead},
    ordered::{Span, TableKey, keys, spans},
    range::Posting,
    relocate::Moved,
    table::Key,
};
use self::{
    dense::RowStore,
    engine::Engine,
    gone::Bits,
    manifest::Manifest,
    memory::Memory,
    run::Run,
    table::{Table, content_key, release_key},
};
use crate::{contract::StoreError, pack::group::GroupKind};

/// How many bytes a row has in sled, about.
///
/// sled keeps up to 16 rows in a page, so that small rows cost it more than they hold; and it writes pages of more than
/// a quarter of its segments, 128 KB, to a file each, which it never syncs.
const ROW_BYTES: usize = 4 * 1024;

/// What readers see, all of one moment.
struct View {
    memory: Memory,
    runs: Vec<Arc<Run>>,
    rows: RowStore,
    /// Where the groups of bodies and of releases lie, in ascending order of the first number in each.
    bodies: Vec<Extent>,
    releases: Vec<Extent>,
    /// Ordinals and rows that were purged.
    gone: Bits,
    gone_rows: Bits,
    /// Ordinals of bodies that no release names yet.
    staged: Bits,
    /// How many bytes of each segment are bodies and releases that are gone.
    dead: BTreeMap<u32, Dead>,
    counters: Counters,
    /// Where the packs end for this view.
    reached: Checkpoint,
}

/// How far an index was at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The newest frame that it had taken in: while this stays, the store has nothing new.
    frame: u64,
    /// How often its memory had been emptied: while this stays, what came new is in memory.
    flushes: u64,
    /// How much had been purged: while this stays, nothing was.
    pub(crate) purges: u64,
}

/// The index of a store.
pub(crate) struct Index {
    engine: Engine,
    view: RwLock<View>,
    /// What sled holds; the lock also orders those who change it.
    written: Mutex<Manifest>,
    /// Whether a flush has begun and not ended.
    flushing: Mutex<bool>,
    /// A flush has ended.
    flushed: Condvar,
}

/// Says that sled failed.
fn failed(error: &sled::Error) -> StoreError {
    StoreError::Index { what: error.to_string() }
}

/// Says that sled holds something else than was written.
fn unreadable(what: &str) -> StoreError {
    StoreError::Index { what: format!("{what} cannot be read: delete the folder `index` and open the store again") }
}

impl Index {
    fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn view_mut(&self) -> RwLockWriteGuard<'_, View> {
        self.view.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self) -> MutexGuard<'_, Manifest> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counters.
    pub(crate) fn counters(&self) -> Counters {
        self.view().counters
    }

    /// How far the index is.
    pub(crate) fn moment(&self) -> Moment {
        let view = self.view();
        let Counters { flushes, purges, .. } = view.counters;
        Moment { frame: view.reached.frame, flushes, purges }
    }

    /// Whether a release is in the log with all of its bodies, told by its row alone; a no is no answer.
    pub(crate) fn holds_all_of(&self, release: ReleaseId) -> Result<bool, StoreError> {
        let Some(seq) = self.find_sound_release(release)? else { return Ok(false) };
        let view = self.view();
        let rows = view.rows.range(&self.engine.tree, seq.saturating_sub(1), 1)?;
        let is_whole = |row: &Row| {
            let mut ordinals = row.first..row.first + u64::from(row.stored);
            row.stored == row.objects
                && view.has_groups_of(ordinals.clone())
                && ordinals.all(|ordinal| view.is_sound(ordinal))
        };
        Ok(rows.first().is_some_and(|(found, row)| *found == seq && is_whole(row)))
    }

    /// The log row of a release: the newest, if it came again because the one before was damaged.
    pub(crate) fn find_release(&self, release: ReleaseId) -> Result<Option<u64>, StoreError> {
        Ok(self.rows_of_release(release)?.into_iter().max())
    }

    /// The log row of a release that was not found damaged.
    pub(crate) fn find_sound_release(&self, release: ReleaseId) -> Result<Option<u64>, StoreError> {
        let rows = self.rows_of_release(release)?;
        let view = self.view();
        Ok(rows.into_iter().filter(|row| !view.memory.is_damaged_row(*row)).max())
    }

    /// All log rows of a release.
    pub(crate) fn rows_of_release(&self, release: ReleaseId) -> Result<Vec<u64>, StoreError> {
        let view = self.view();
        let mut rows = view.finder(&self.engine.tree, Table::Releases).find(&release_key(&release))?.to_vec();
        rows.retain(|row| !view.gone_rows.contains(*row));
        Ok(rows)
    }

    /// The ordinals of all copies of a content, the damaged ones included.
    pub(crate) fn copies(&self, content: &ContentId) -> Result<Copies, StoreError> {
        let view = self.view();
        let mut ordinals = view.finder(&self.engine.tree, Table::Contents).find(&content_key(content))?.to_vec();
        ordinals.retain(|ordinal| !view.gone.contains(*ordinal));
        let shown = ordinals.iter().filter(|ordinal| !view.staged.contains(**ordinal)).count() as u64;
        Ok(Copies { ordinals, shown })
    }

    /// Whether any body is staged.
    pub(crate) fn has_staged(&self) -> bool {
        !self.view().staged.is_empty()
    }

    /// How many bodies are staged.
    pub(crate) fn staged(&self) -> u64 {
        self.view().staged.len()
    }

    /// Whether no release names a body yet.
    pub(crate) fn is_staged(&self, ordinal: u64) -> bool {
        self.view().staged.contains(ordinal)
    }

    /// Which of these bodies no release names yet.
    pub(crate) fn are_staged(&self, ordinals: &[Option<u64>]) -> Vec<bool> {
        let view = self.view();
        ordinals.iter().map(|ordinal| ordinal.is_some_and(|ordinal| view.staged.contains(ordinal))).collect()
    }

    /// Whether a content was held once and was then purged.
    pub(crate) fn is_purged(&self, content: &ContentId) -> Result<bool, StoreError> {
        let view = self.view();
        if view.gone.is_empty() {
            return Ok(false);
        }
        let mut finder = view.finder(&self.engine.tree, Table::Contents);
        let copies = finder.find(&content_key(content))?;
        // A staged body that was dropped leaves no tombstone of its own, whose ordinal is in no group of bodies.
        let is_tombstone = |ordinal: &u64| dense::find_extent(&view.bodies, *ordinal).is_none();
        Ok(copies.iter().all(|ordinal| view.gone.contains(*ordinal)) && copies.iter().any(is_tombstone))
    }

    /// Whether anything was ever purged.
    pub(crate) fn has_gone(&self) -> bool {
        self.purges() > 0
    }

    /// How many bytes of a segment are bodies, and how many releases, that are gone.
    pub(crate) fn dead(&self, segment: u32) -> Dead {
        self.view().dead.get(&segment).copied().unwrap_or_default()
    }

    /// How much was ever purged: while this stays, nothing was.
    pub(crate) fn purges(&self) -> u64 {
        self.view().counters.purges
    }

    /// Which of the bodies from an ordinal on are gone; `None` if nothing is gone at all.
    pub(crate) fn gone_from(&self, first: u64, count: usize) -> Option<Vec<bool>> {
        let view = self.view();
        let is_gone = |ordinal| view.gone.contains(ordinal);
        (!view.gone.is_empty()).then(|| (first..first + count as u64).map(is_gone).collect())
    }

    /// Whether a body is gone.
    pub(crate) fn is_gone(&self, ordinal: u64) -> bool {
        self.view().gone.contains(ordinal)
    }

    /// Whether a row is gone.
    pub(crate) fn is_gone_row(&self, row: u64) -> bool {
        self.view().gone_rows.contains(row)
    }

    /// At most `limit` rows after row `after`, each with its number.
    pub(crate) fn rows(&self, after: u64, limit: usize) -> Result<Vec<(u64, Row)>, StoreError> {
        let view = self.view();
        let mut rows = view.rows.range(&self.engine.tree, after, limit)?;
        for (seq, row) in &mut rows {
            if view.gone_rows.contains(*seq) {
                *row = row.purged();
            }
        }
        Ok(rows)
    }

    /// For each body the group that holds it, and its place in it.
    pub(crate) fn body_extents(&self, ordinals: impl Iterator<Item = u64>) -> Vec<Option<(Extent, usize)>> {
        let view = self.view();
        ordinals.map(|ordinal| dense::find_extent(&view.bodies, ordinal)).collect()
    }

    /// The group that holds a release, and the release's place in it.
    pub(crate) fn release_extent(&self, row: u64) -> Option<(Extent, usize)> {
        dense::find_extent(&self.view().releases, row)
    }

    /// The groups of bodies and of releases that lie in a segment. A group of which any body is still staged is one of
    /// staged bodies.
    pub(crate) fn extents_of(&self, segment: u32) -> Vec<(GroupKind, Extent)> {
        let view = self.view();
        let is_staged = |extent: &Extent| {
            (extent.first..extent.first + u64::from(extent.count)).any(|ordinal| view.staged.contains(ordinal))
        };
        let kind = |extent: &Extent| if is_staged(extent) { GroupKind::Staged } else { GroupKind::Bodies };
        let bodies = view.bodies.iter().map(|extent| (kind(extent), *extent));
        let releases = view.releases.iter().map(|extent| (GroupKind::Releases, *extent));
        bodies.chain(releases).filter(|(_, extent)| extent.segment == segment).collect()
    }

    /// Takes a body out of what the store claims to hold.
    pub(crate) fn set_damaged(&self, ordinal: u64) {
        self.view_mut().memory.set_damaged(ordinal);
    }

    /// Lets the release of a row come again.
    pub(crate) fn set_damaged_row(&self, row: u64) {
        self.view_mut().memory.set_damaged_row(row);
    }

    /// Whether a body was found damaged since the store was opened.
    pub(crate) fn is_damaged(&self, ordinal: u64) -> bool {
        self.view().memory.is_damaged(ordinal)
    }

    /// Whether any body was found damaged.
    pub(crate) fn has_damaged(&self) -> bool {
        self.view().memory.damaged().next().is_some()
    }

    /// Whether a content has damaged copies that the counters count.
    pub(crate) fn has_damaged_copy(&self, content: &ContentId) -> Result<bool, StoreError> {
        Ok(self.has_damaged() && self.copies(content)?.shown > 0)
    }

    /// Where the packs end for the index.
    pub(crate) fn reached(&self) -> Checkpoint {
        self.view().reached
    }

    /// Takes in a frame that is durable.
    pub(crate) fn apply(&self, delta: Delta, reached: Checkpoint) {
        let mut view = self.view_mut();
        let view = &mut *view;
        view.reached = reached;
        for (table, key, value) in delta.postings {
            view.memory.insert(table, key, value);
        }
        for (key, value) in delta.state {
            view.memory.set_state(key, value);
        }
        let counters = &mut view.counters;
        for row in delta.rows {
            counters.next_added_at = counters.next_added_at.max(row.next_added_at());
            counters.releases += u64::from(!row.is_hole());
            counters.references += if row.is_hole() { 0 } else { u64::from(row.objects) };
            view.rows.push(row);
        }
        counters.head = view.rows.len();
        counters.next_ordinal = counters.next_ordinal.max(delta.next_ordinal);
        counters.objects += delta.objects;
        counters.body_bytes += delta.body_bytes;
        view.bodies.extend(delta.bodies);
        view.releases.extend(delta.releases);
        for ordinal in delta.staged {
            view.staged.insert(ordinal);
        }
        for ordinal in delta.adopted.iter().chain(&delta.gone) {
            view.staged.remove(*ordinal);
        }
        view.lose(&delta.lost, &delta.gone, &delta.gone_rows);
    }
}

impl View {
    fn is_sound(&self, ordinal: u64) -> bool {
        !self.memory.is_damaged(ordinal) && !self.gone.contains(ordinal)
    }

    /// Whether each of these bodies lies in a group that was sound when the index was built.
    fn has_groups_of(&self, mut ordinals: Range<u64>) -> bool {
        while !ordinals.is_empty() {
            let Some((extent, _)) = dense::find_extent(&self.bodies, ordinals.start) else { return false };
            ordinals.start = extent.first + u64::from(extent.count);
        }
        true
    }

    /// Takes out what is gone; its groups give up their share.
    fn lose(&mut self, lost: &delta::Lost, gone: &[u64], gone_rows: &[u64]) {
        let counters = &mut self.counters;
        counters.objects = counters.objects.saturating_sub(lost.objects);
        counters.body_bytes = counters.body_bytes.saturating_sub(lost.body_bytes);
        counters.releases = counters.releases.saturating_sub(lost.releases);
        counters.references = counters.references.saturating_sub(lost.references);
        counters.purges += lost.tombstones;
        let bodies = gone.iter().filter(|ordinal| self.gone.insert(**ordinal));
        for (extent, _) in bodies.filter_map(|ordinal| dense::find_extent(&self.bodies, *ordinal)) {
            self.dead.entry(extent.segment).or_default().bodies += extent.share();
        }
        let rows = gone_rows.iter().filter(|row| self.gone_rows.insert(**row));
        for (extent, _) in rows.filter_map(|row| dense::find_extent(&self.releases, *row)) {
            self.dead.entry(extent.segment).or_default().releases += extent.share();
        }
    }
}
