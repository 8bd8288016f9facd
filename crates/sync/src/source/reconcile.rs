//! What a source does for a peer whose cursor does not fit and who has much of the journal all the same: it sends a
//! sketch of the journal, and the peer names what it lacks.
//!
//! The journal is cut in two where the sketch ends. What stands behind goes on as ever; what stands before is read in
//! whatever way the peer's answer asks for: the entries that it lacks, or, when a sketch is of no use, all of them.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use mithaq_core::id::ReleaseId;

use super::{Entry, Source, State};
use crate::{
    fault::Fault,
    io::{Channel, Output, Outputs},
    journal::Chain,
    limits::{
        CELLS_FRAME_MAX, CELLS_MAX, CELLS_WANT_MAX, OFFER_IDS_MAX, OFFERS_OPEN_MAX, RECONCILE_ENTRIES_MIN,
        SHORTS_FRAME_MAX,
    },
    sketch::{Cell, Digest, SketchKey, first_cells},
    wire::{self, Cells, Kind, Missing, Offer, Reconcile, WantCells},
};

/// What a release that differs costs by a sketch: 1.4 cells, and the short id of what is missing, about.
const SKETCH_BYTES_EACH: u64 = 17;

/// What an entry costs in an offer.
const OFFER_BYTES_EACH: u64 = 32;

/// How the sink is told what it lacks of the part of the journal that its cursor has not passed.
#[derive(Debug, Default)]
pub(super) struct Reconciling {
    /// About how many releases of the journal the peer has.
    held: u64,
    key: Option<SketchKey>,
    /// The last entry of the part that is looked through; 0 if there is none.
    floor: u64,
    /// How many entries of that part are open.
    open: usize,
    stage: Stage,
}

#[derive(Debug, Default)]
enum Stage {
    /// There is no such part.
    #[default]
    None,
    /// How long the journal will be is being found out.
    Settling,
    /// The sketch is being opened.
    Opening,
    /// The peer compares.
    Talking(Talk),
    /// The peer gets what it lacks.
    Fetching {
        /// Entries to be read.
        indexes: VecDeque<u64>,
        /// Entries that are being read.
        reading: Vec<u64>,
    },
    /// All entries are offered.
    Listing {
        /// The next to be read.
        next: u64,
        /// How many are being read.
        reading: usize,
    },
}

/// What was said of a sketch.
#[derive(Debug, Default)]
struct Talk {
    /// How many cells the peer was sent.
    cells: usize,
    /// How many are being read.
    reading: usize,
    /// Whether the peer has answered.
    is_answered: bool,
    /// How many short ids the peer has named.
    named: usize,
    /// Whether these are all.
    is_all_named: bool,
    /// How many frames of short ids are being looked up.
    finding: usize,
    /// The entries that were found.
    found: Vec<u64>,
    /// Whether the sketch lacks one that the peer has named.
    is_odd: bool,
}

impl Reconciling {
    pub(super) fn set_peer(&mut self, held: u64, key: SketchKey) {
        self.held = held;
        self.key = Some(key);
    }

    /// The last entry of the part that is looked through, after which all is read in order.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// How many entries of the part are open.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Takes note that an entry is done with.
    pub(super) fn settle(&mut self, index: u64) {
        self.open -= usize::from(index <= self.floor);
    }

    /// Whether it is not known where the journal is cut. What is fresh would come after that, so it is not held up.
    pub(super) fn is_settling(&self) -> bool {
        matches!(&self.stage, Stage::Settling)
    }

    /// Whether nothing goes on but what is prompt: it is not known where the journal is cut, or the peer may not know it
    /// yet.
    pub(super) fn holds_back(&self) -> bool {
        match &self.stage {
            Stage::Settling | Stage::Opening => true,
            Stage::Talking(talk) => !talk.is_answered,
            _ => false,
        }
    }

    /// Whether the next step is the peer's.
    pub(super) fn awaits_peer(&self) -> bool {
        matches!(&self.stage, Stage::Talking(talk) if talk.reading == 0 && !talk.is_all_named)
    }

    /// How many entries of the part the peer may lack, beside those that were read.
    pub(super) fn unread(&self) -> u64 {
        match &self.stage {
            Stage::None | Stage::Settling | Stage::Opening => 0,
            Stage::Talking(_) => self.floor,
            Stage::Fetching { indexes, reading } => (indexes.len() + reading.len()) as u64,
            Stage::Listing { next, .. } => self.floor.saturating_add(1).saturating_sub(*next),
        }
    }

    /// Whether a sketch of so many entries is likely to cost less than half of what offers of them would.
    fn is_cheaper(&self, entries: u64) -> bool {
        let by_sketch = entries.abs_diff(self.held).saturating_mul(SKETCH_BYTES_EACH);
        entries > RECONCILE_ENTRIES_MIN && by_sketch < entries.saturating_mul(OFFER_BYTES_EACH) / 2
    }
}

impl Source {
    /// Finds out whether a sketch is of use to a peer whose cursor does not fit.
    pub(super) fn begin_reconciling(&mut self) {
        if self.reconciling.held > 0 && self.reconciling.key.is_some() {
            self.reconciling.stage = Stage::Settling;
        }
    }

    /// Whether the peer may have some of our releases, and with them some of those that a journal made anew comes to.
    pub(super) fn may_have_any(&self, after: u64) -> bool {
        after > 0 || self.reconciling.held > 0
    }

    pub(crate) fn journal_settled(&mut self, head: u64, outputs: &mut Outputs) {
        if std::mem::replace(&mut self.knows_news, true) {
            return;
        }
        self.head = self.head.max(head);
        // A journal that was made anew is not fresh: the peer may have much of it.
        self.tail.advance(self.head.saturating_add(1));
        if !matches!(self.reconciling.stage, Stage::Settling) {
            return self.pump(outputs);
        }
        let key = self.reconciling.key.filter(|_| self.reconciling.is_cheaper(self.head));
        self.reconciling.stage = Stage::None;
        if let Some(key) = key {
            self.reconciling.stage = Stage::Opening;
            let (through, cells) = (self.head, first_cells(self.head, self.reconciling.held));
            outputs.push(Output::OpenSketch { through, key, cells });
        }
        self.pump(outputs);
    }

    pub(crate) fn sketch_opened(
        &mut self,
        through: u64,
        chain: Chain,
        digest: Digest,
        mut cells: Vec<Cell>,
        outputs: &mut Outputs,
    ) {
        if !matches!(self.reconciling.stage, Stage::Opening) {
            return;
        }
        cells.truncate(CELLS_FRAME_MAX);
        self.reconciling.stage = Stage::None;
        // What went ahead must not be in the sketch too; then all is offered.
        if !cells.is_empty() && through > 0 && !self.tail.has_passed(through) {
            self.reconciling.floor = through;
            self.reconciling.stage = Stage::Talking(Talk { cells: cells.len(), ..Talk::default() });
            self.head = self.head.max(through);
            self.next = through.saturating_add(1);
            // The peer is told of all up to there: what comes behind is fresh.
            self.caught_up = true;
            let frame = Reconcile {
                through,
                chain: Bytes::copy_from_slice(chain.as_bytes()),
                digest: Bytes::copy_from_slice(&digest.to_bytes()),
                cells: Cell::write_all(&cells).into(),
            };
            outputs.send(Channel::Control, Kind::Reconcile(frame));
        }
        self.pump(outputs);
    }

    pub(crate) fn want_cells(&mut self, want: &WantCells, outputs: &mut Outputs) -> Result<(), Fault> {
        let Stage::Talking(talk) = &mut self.reconciling.stage else {
            return Err(Fault::Misbehaved("a want of cells of no sketch"));
        };
        let count = usize::try_from(want.count).unwrap_or(usize::MAX);
        let is_next = talk.reading == 0 && talk.named == 0 && !talk.is_all_named && want.from == talk.cells as u64;
        if !is_next || count == 0 || count > CELLS_WANT_MAX || talk.cells.saturating_add(count) > CELLS_MAX {
            return Err(Fault::Misbehaved("a want of other cells than the next"));
        }
        talk.is_answered = true;
        talk.reading = count;
        outputs.push(Output::ReadCells { from: talk.cells, count });
        self.pump(outputs);
        Ok(())
    }

    pub(crate) fn cells_read(&mut self, cells: &[Cell], outputs: &mut Outputs) {
        let Stage::Talking(talk) = &mut self.reconciling.stage else {
            return;
        };
        for cells in cells[..cells.len().min(talk.reading)].chunks(CELLS_FRAME_MAX) {
            let from = talk.cells as u64;
            outputs.send(Channel::Control, Kind::Cells(Cells { from, cells: Cell::write_all(cells).into() }));
            talk.cells += cells.len();
        }
        talk.reading = 0;
    }

    /// Takes what the peer says that it lacks.
    pub(crate) fn missing(&mut self, missing: &Missing, now: Duration, outputs: &mut Outputs) -> Result<(), Fault> {
        self.waiting_since = now;
        if missing.give_up {
            return self.list(outputs);
        }
        let shorts = wire::shorts(&missing.shorts, SHORTS_FRAME_MAX)?;
        let Stage::Talking(talk) = &mut self.reconciling.stage else {
            return Err(Fault::Misbehaved("short ids of no sketch"));
        };
        if talk.reading > 0 || talk.is_all_named || (!missing.last && shorts.len() < SHORTS_FRAME_MAX) {
            return Err(Fault::Misbehaved("short ids out of turn"));
        }
        talk.is_answered = true;
        talk.is_all_named = missing.last;
        talk.named += shorts.len();
        if talk.named > talk.cells {
            return Err(Fault::Misbehaved("more short ids than the sketch can tell"));
        }
        talk.finding += 1;
        outputs.push(Output::FindMarks { shorts });
        self.pump(outputs);
        Ok(())
    }

    pub(crate) fn marks_found(&mut self, indexes: &[Option<u64>], outputs: &mut Outputs) -> Result<(), Fault> {
        let Stage::Talking(talk) = &mut self.reconciling.stage else {
            return Ok(());
        };
        talk.found.extend(indexes.iter().flatten());
        talk.is_odd |= indexes.iter().any(Option::is_none);
        talk.finding = talk.finding.saturating_sub(1);
        if !talk.is_all_named || talk.finding > 0 {
            return Ok(());
        }
        let (mut found, is_odd) = (std::mem::take(&mut talk.found), talk.is_odd);
        if is_odd {
            // One in millions of honest comparisons errs, and a list does not.
            self.reconciling.stage = Stage::Listing { next: 1, reading: 0 };
        } else {
            let named = found.len();
            found.sort_unstable();
            found.dedup();
            if found.len() < named {
                return Err(Fault::Misbehaved("a short id that was named twice"));
            }
            self.reconciling.stage = Stage::Fetching { indexes: found.into(), reading: Vec::new() };
        }
        self.pump(outputs);
        Ok(())
    }

    /// Offers all entries of the part: the peer has not made anything of the sketch.
    fn list(&mut self, outputs: &mut Outputs) -> Result<(), Fault> {
        let may_give_up = match &self.reconciling.stage {
            Stage::Talking(talk) => talk.reading == 0 && talk.named == 0 && !talk.is_all_named,
            Stage::Fetching { indexes, reading } => {
                indexes.is_empty() && reading.is_empty() && self.reconciling.open == 0
            }
            _ => false,
        };
        if !may_give_up {
            return Err(Fault::Misbehaved("a sketch given up out of turn"));
        }
        self.reconciling.stage = Stage::Listing { next: 1, reading: 0 };
        self.pump(outputs);
        Ok(())
    }

    /// Reads on in the part that is looked through.
    pub(super) fn pump_reconciling(&mut self, outputs: &mut Outputs) {
        let oldest = self.entries.first_key_value().map(|(index, _)| *index);
        let open = self.reconciling.open as u64;
        let floor = self.reconciling.floor;
        let indexes: Vec<u64> = match &mut self.reconciling.stage {
            Stage::Fetching { indexes, reading } if reading.is_empty() => {
                let room = in_one_read(OFFERS_OPEN_MAX.saturating_sub(open));
                *reading = indexes.drain(..room.min(indexes.len())).collect();
                reading.clone()
            }
            Stage::Listing { next, reading: reading @ 0 } => {
                // The sink counts from the entry before the oldest that is not done with.
                let oldest = oldest.map_or(*next, |oldest| oldest.min(*next));
                let room = in_one_read(oldest.saturating_add(OFFERS_OPEN_MAX).saturating_sub(*next));
                let indexes: Vec<u64> = (*next..=floor).take(room).collect();
                *reading = indexes.len();
                indexes
            }
            _ => return,
        };
        if !indexes.is_empty() {
            outputs.push(Output::ReadEntries { indexes });
        }
    }

    pub(crate) fn entries_read(&mut self, ids: &[ReleaseId], outputs: &mut Outputs) {
        match &mut self.reconciling.stage {
            Stage::Fetching { indexes, reading } => {
                let mut read = std::mem::take(reading);
                // What was not read is asked for again at the next tick.
                let unread = read.split_off(ids.len().min(read.len()));
                unread.into_iter().rev().for_each(|index| indexes.push_front(index));
                self.reconciling.open += read.len();
                for (index, id) in read.into_iter().zip(ids) {
                    self.queue.insert((Channel::Backfill, index));
                    self.entries.insert(index, Entry { id: *id, asked: true, state: State::Queued });
                }
            }
            Stage::Listing { next, reading } => {
                let ids = &ids[..ids.len().min(std::mem::take(reading))];
                if ids.is_empty() {
                    return;
                }
                let first = *next;
                *next = first.saturating_add(ids.len() as u64);
                self.reconciling.open += ids.len();
                self.offers.insert(first, ids.len());
                let offered = |id: &ReleaseId| Entry { id: *id, asked: false, state: State::Offered };
                self.entries.extend((first..).zip(ids).map(|(index, id)| (index, offered(id))));
                let ids = wire::join_ids(ids.iter().map(ReleaseId::as_bytes));
                outputs.send(Channel::Control, Kind::Offer(Offer { first, ids }));
            }
            _ => return,
        }
        self.pump(outputs);
    }
}

/// How many entries are read at a time, if there is room for so many.
fn in_one_read(room: u64) -> usize {
    usize::try_from(room).unwrap_or(usize::MAX).min(OFFER_IDS_MAX)
}
