//! What a sink makes of a sketch of the peer's journal: it finds out what it lacks of it, takes that, and holds what it
//! then has against the digest that the peer told.
//!
//! Until that is done there is a *gap*: our cursor stands at the start, while what comes behind the sketched part is
//! taken as ever and counted by a cursor of its own.

use std::collections::{BTreeMap, BTreeSet};

use mithaq_core::id::ReleaseId;

use super::{Entry, Sink, State};
use crate::{
    fault::Fault,
    io::{Channel, Output, Outputs},
    journal::{Chain, Cursor},
    limits::{CELLS_MAX, CELLS_WANT_MAX, COMPARISONS_MAX, INDEX_MAX, OFFERS_OPEN_MAX, SHORTS_FRAME_MAX},
    sketch::{CELL_BYTES, Cell, Compared, Digest, SketchKey},
    wire::{self, Cells, Kind, Missing, Reconcile, WantCells},
};

/// A part of the peer's journal that our cursor has not passed, while what comes behind it is taken already.
#[derive(Debug)]
pub(super) struct Gap {
    key: SketchKey,
    /// Its last entry.
    through: u64,
    /// The digest of all its releases.
    digest: Digest,
    /// How far we have what comes behind.
    ahead: Cursor,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// The sketch is being received and compared.
    Comparing {
        cells: Vec<Cell>,
        /// How many cells there will be when those that we asked for have come.
        asked: usize,
        /// How many we want before we compare.
        target: usize,
        /// How often we have compared.
        comparisons: usize,
    },
    /// What we lack is on its way.
    Fetching {
        /// The short ids of what did not come yet.
        missing: BTreeSet<u64>,
        /// The entries as which something of it came; no more than lacked.
        taken: BTreeSet<u64>,
        /// How many came and are not done.
        open: usize,
        /// The digest of what we have and what came.
        digest: Digest,
    },
    /// The peer offers all of it.
    Listing,
}

impl Gap {
    /// Before which entry and up to which the peer may name one that lies about `index`.
    fn window(&self, index: u64, cursor: &Cursor) -> (u64, u64) {
        match &self.stage {
            _ if index > self.through => (self.ahead.index, self.ahead.index.saturating_add(OFFERS_OPEN_MAX)),
            Stage::Comparing { .. } => (0, 0),
            Stage::Fetching { .. } => (0, self.through),
            Stage::Listing => (cursor.index, cursor.index.saturating_add(OFFERS_OPEN_MAX).min(self.through)),
        }
    }

    /// Whether the next step is the peer's.
    fn awaits_peer(&self) -> bool {
        match &self.stage {
            Stage::Comparing { cells, asked, .. } => *asked > cells.len(),
            Stage::Fetching { missing, .. } => !missing.is_empty(),
            Stage::Listing => false,
        }
    }

    /// More cells than these cost more than offers of all entries.
    fn cells_max(&self) -> usize {
        let offers = self.through.saturating_mul(32);
        usize::try_from(offers).unwrap_or(usize::MAX).div_euclid(CELL_BYTES).min(CELLS_MAX)
    }
}

impl Sink {
    /// Before which entry and up to which the peer may name one that lies about `index`.
    pub(super) fn window(&self, index: u64) -> (u64, u64) {
        let cursor = &self.cursor;
        let whole = (cursor.index, cursor.index.saturating_add(OFFERS_OPEN_MAX));
        self.gap.as_ref().map_or(whole, |gap| gap.window(index, cursor))
    }

    /// Whether an entry lies in a part that is sketched, or listed in its place.
    pub(super) fn is_in_gap(&self, index: u64) -> bool {
        self.gap.as_ref().is_some_and(|gap| index <= gap.through)
    }

    pub(super) fn awaits_gap(&self) -> bool {
        self.gap.as_ref().is_some_and(Gap::awaits_peer)
    }

    pub(crate) fn reconcile(&mut self, frame: &Reconcile, outputs: &mut Outputs) -> Result<(), Fault> {
        let malformed = || Fault::Misbehaved("a malformed sketch");
        // What is fresh may have come ahead of the sketch, but nothing that is in it.
        let is_untouched = self.entries.first_key_value().is_none_or(|(first, _)| *first > frame.through);
        let is_untouched = is_untouched && self.lazy.first().is_none_or(|first| first > frame.through);
        let is_at_start = self.cursor.index == 0 && is_untouched && self.gap.is_none();
        let key = self.key.filter(|_| self.has_any && is_at_start && (1..=INDEX_MAX).contains(&frame.through));
        let key = key.ok_or(Fault::Misbehaved("a sketch that was not asked for"))?;
        let chain = Chain::from_bytes(frame.chain[..].try_into().map_err(|_| malformed())?);
        let digest = Digest::from_bytes(&frame.digest).ok_or_else(malformed)?;
        let cells = wire::cells(&frame.cells)?;
        let ahead = Cursor { store: self.cursor.store, index: frame.through, chain };
        outputs.push(Output::CompareSketch { key, cells: cells.clone() });
        let count = cells.len();
        let stage = Stage::Comparing { cells, asked: count, target: count, comparisons: 0 };
        self.gap = Some(Gap { key, through: frame.through, digest, ahead, stage });
        Ok(())
    }

    pub(crate) fn cells(&mut self, frame: &Cells, outputs: &mut Outputs) -> Result<(), Fault> {
        let not_asked = || Fault::Misbehaved("cells that were not asked for");
        let new = wire::cells(&frame.cells)?;
        let Some(Gap { key, stage: Stage::Comparing { cells, asked, target, .. }, .. }) = &mut self.gap else {
            return Err(not_asked());
        };
        if frame.from != cells.len() as u64 || cells.len() + new.len() > *asked {
            return Err(not_asked());
        }
        cells.extend(new);
        if cells.len() == *target {
            outputs.push(Output::CompareSketch { key: *key, cells: cells.clone() });
        } else if cells.len() == *asked {
            *asked = ask_for_more(cells.len(), *target, outputs);
        }
        Ok(())
    }

    pub(crate) fn sketch_compared(&mut self, compared: Compared, outputs: &mut Outputs) {
        let Some(gap) = &mut self.gap else { return };
        let (cells_max, entries) = (gap.cells_max(), gap.digest.count);
        let Stage::Comparing { cells, asked, target, comparisons } = &mut gap.stage else { return };
        if *asked > cells.len() {
            return;
        }
        match compared {
            Compared::Undecided { cells: enough } => {
                *comparisons += 1;
                if cells.len() >= cells_max || *comparisons >= COMPARISONS_MAX {
                    return self.give_up(outputs);
                }
                *target = enough.max(cells.len() + 1).min(cells_max);
                *asked = ask_for_more(cells.len(), *target, outputs);
            }
            Compared::Differs { missing, common } if common.count.wrapping_add(missing.len() as u64) == entries => {
                self.fetch(missing.into_iter().collect(), common, outputs);
            }
            Compared::Differs { .. } => self.give_up(outputs),
        }
    }

    /// Names what we lack, if anything.
    fn fetch(&mut self, missing: BTreeSet<u64>, common: Digest, outputs: &mut Outputs) {
        let Some(gap) = &mut self.gap else { return };
        if missing.is_empty() && gap.digest != common {
            // Named and given up in one breath, the peer would be told twice what it may do about it.
            return self.give_up(outputs);
        }
        let shorts: Vec<u64> = missing.iter().copied().collect();
        gap.stage = Stage::Fetching { missing, taken: BTreeSet::new(), open: 0, digest: common };
        let mut rest = &shorts[..];
        loop {
            let (part, behind) = rest.split_at(rest.len().min(SHORTS_FRAME_MAX));
            let last = behind.is_empty();
            let shorts = wire::join_shorts(part);
            outputs.send(Channel::Control, Kind::Missing(Missing { shorts, last, give_up: false }));
            if last {
                break;
            }
            rest = behind;
        }
        if self.close_gap() {
            self.advance();
            outputs.push(Output::SaveCursor(self.cursor));
        }
    }

    /// Has the peer offer all entries: that is always right, and what we have is not sent again.
    fn give_up(&mut self, outputs: &mut Outputs) {
        if let Some(gap) = &mut self.gap {
            gap.stage = Stage::Listing;
            outputs.send(Channel::Control, Kind::Missing(Missing { give_up: true, ..Missing::default() }));
        }
    }

    /// Takes an entry that was not offered: one of the gap must be among what we lack, and not have come as another, or one
    /// release would be acknowledged when the other is durable.
    pub(super) fn take_missing(&mut self, index: u64, id: ReleaseId) -> Result<(), Fault> {
        let Some(gap) = self.gap.as_mut().filter(|gap| index <= gap.through) else {
            return Ok(());
        };
        let mark = gap.key.mark(id);
        if let Stage::Fetching { missing, taken, open, digest } = &mut gap.stage
            && missing.remove(&mark.short)
        {
            if !taken.insert(index) {
                return Err(Fault::Misbehaved("two releases as one journal entry"));
            }
            *open += 1;
            digest.add(mark);
            return Ok(());
        }
        let is_listed = matches!(gap.stage, Stage::Listing);
        if is_listed { Ok(()) } else { Err(Fault::Misbehaved("a release that was not missing")) }
    }

    /// Takes note of an offer: one in the gap says that the peer has not made anything of what we named.
    pub(super) fn note_offer(&mut self, first: u64) -> Result<(), Fault> {
        let Some(gap) = self.gap.as_mut().filter(|gap| first <= gap.through) else {
            return Ok(());
        };
        match &gap.stage {
            Stage::Listing => {}
            Stage::Fetching { taken, .. } if taken.is_empty() => gap.stage = Stage::Listing,
            _ => return Err(Fault::Misbehaved("an offer of what was sketched")),
        }
        Ok(())
    }

    /// Takes out of the gap an entry that is with the store or gone.
    pub(super) fn settle_missing(&mut self, index: u64) {
        let Some(gap) = self.gap.as_mut().filter(|gap| index <= gap.through) else {
            return;
        };
        if let Stage::Fetching { open, .. } = &mut gap.stage {
            *open -= 1;
            self.entries.remove(&index);
            self.close_gap();
        }
    }

    /// Moves the cursor over the gap once all that lacked is with the store, if what we have is what the peer told.
    fn close_gap(&mut self) -> bool {
        let Some(Gap { stage: Stage::Fetching { missing, open: 0, digest, .. }, .. }) = &self.gap else {
            return false;
        };
        if !missing.is_empty() || self.gap.as_ref().is_some_and(|gap| gap.digest != *digest) {
            return false;
        }
        self.cursor = self.gap.take().map_or(self.cursor, |gap| gap.ahead);
        true
    }

    /// Has the peer offer all entries if what came does not make what it told, once that is durable and known.
    pub(super) fn check_gap(&mut self, outputs: &mut Outputs) {
        let Some(Gap { through, stage: Stage::Fetching { missing, open: 0, .. }, .. }) = &self.gap else {
            return;
        };
        let is_storing = self.storing.first_key_value().is_some_and(|(index, _)| index <= through);
        if missing.is_empty() && !is_storing {
            self.give_up(outputs);
        }
    }

    /// Moves the cursors over all entries that are done without a gap; says whether our own has moved.
    pub(super) fn advance(&mut self) -> bool {
        let before = self.cursor.index;
        if let Some(gap) = &mut self.gap {
            pass(&mut self.entries, &mut gap.ahead, u64::MAX);
            pass(&mut self.entries, &mut self.cursor, gap.through);
            if self.cursor.index == gap.through {
                self.cursor = gap.ahead;
                self.gap = None;
            }
        } else {
            pass(&mut self.entries, &mut self.cursor, u64::MAX);
        }
        self.cursor.index > before
    }
}

/// Asks for the cells after the first `has`, as many as may be asked for at a time: how many there will be then.
fn ask_for_more(has: usize, target: usize, outputs: &mut Outputs) -> usize {
    let count = (target - has).min(CELLS_WANT_MAX);
    let want = WantCells { from: has as u64, count: u32::try_from(count).unwrap_or(u32::MAX) };
    outputs.send(Channel::Control, Kind::WantCells(want));
    has + count
}

/// Moves a cursor over the entries behind it that are done, to `last` at the most.
fn pass(entries: &mut BTreeMap<u64, Entry>, cursor: &mut Cursor, last: u64) {
    while cursor.index < last
        && let Some(Entry { id, state: State::Done }) = entries.get(&(cursor.index + 1))
    {
        cursor.chain = cursor.chain.after(*id);
        cursor.index += 1;
        entries.remove(&cursor.index);
    }
}
