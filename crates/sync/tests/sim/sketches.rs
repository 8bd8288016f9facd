//! What a node may tell a peer that it holds, and the sketches that it keeps for each peer from one session to the next.

use std::time::Duration;

use mithaq_core::id::ReleaseId;
use mithaq_sync::{
    Chain, Cursor, Input, Output,
    sketch::{Cell, Compared, Digest, Sketch, SketchKey, compare},
};

use crate::{
    disk::{Change, Disk, Edition, Journal},
    hostile::Vice,
    node::Node,
    pool::POOL,
};

/// How often a sketch is made anew for one peer.
const ANEW_EVERY: Duration = Duration::from_secs(60);

/// The sketches for one peer. A new edition of the journal, another agreement or another run of either node makes others.
#[derive(Debug, Default)]
pub(crate) struct Sketches {
    journal: Option<OfJournal>,
    journal_made: Option<Duration>,
    held: Option<OfHeld>,
    held_made: Option<Duration>,
    /// About how many are held, once they were counted.
    counted: Option<u64>,
}

/// The sketch of our journal: the number of its entry for each release.
#[derive(Debug)]
struct OfJournal {
    key: SketchKey,
    edition: Edition,
    through: u64,
    chain: Chain,
    sketch: Sketch<u64>,
}

/// The sketch of what we may say that we hold.
#[derive(Debug)]
struct OfHeld {
    key: SketchKey,
    sketch: Sketch<()>,
}

impl OfJournal {
    fn new(key: SketchKey, edition: Edition) -> Self {
        Self { key, edition, through: 0, chain: Chain::START, sketch: Sketch::new() }
    }

    /// Takes in the entries that were written since, up to entry `through`.
    fn follow(&mut self, journal: &Journal, through: u64) {
        let since = usize::try_from(self.through).unwrap();
        let count = usize::try_from(through.saturating_sub(self.through)).unwrap();
        for (id, chain) in journal.entries.iter().skip(since).take(count) {
            self.through += 1;
            self.chain = *chain;
            self.sketch.insert(self.key.mark(*id), self.through);
        }
    }

    fn tell(&mut self, cells: usize) -> Input {
        let cells = self.sketch.cells(0..cells).to_vec();
        Input::SketchOpened { through: self.through, chain: self.chain, digest: self.sketch.digest(), cells }
    }

    /// What one tells who leaves the newest entry out: of its digest all but the sum is in keeping with that.
    fn tell_less(&self, journal: &Journal, cells: usize) -> Input {
        let (mut sketch, Digest { count, sum }) = (self.sketch.clone(), self.sketch.digest());
        if let Some(id) = journal.ids().nth(usize::try_from(self.through).unwrap().saturating_sub(1)) {
            sketch.remove(self.key.mark(id).short);
        }
        let cells = sketch.cells(0..cells).to_vec();
        let digest = Digest { count: count.saturating_sub(1), sum };
        Input::SketchOpened { through: self.through, chain: self.chain, digest, cells }
    }
}

/// Whether a sketch may be made anew now; then it counts as made.
fn is_due(made: &mut Option<Duration>, now: Duration) -> bool {
    let is_due = made.is_none_or(|made| now.saturating_sub(made) >= ANEW_EVERY);
    if is_due {
        *made = Some(now);
    }
    is_due
}

/// The digest of these releases under a key.
pub(crate) fn digest_of(key: SketchKey, ids: impl Iterator<Item = ReleaseId>) -> Digest {
    let mut digest = Digest::default();
    ids.for_each(|id| digest.add(key.mark(id)));
    digest
}

impl Sketches {
    fn open(
        &mut self,
        edition: Edition,
        journal: &Journal,
        (through, key, cells): (u64, SketchKey, usize),
        vice: Option<Vice>,
        now: Duration,
    ) -> Input {
        let is_kept = self.journal.as_ref().is_some_and(|kept| kept.key == key && kept.edition == edition);
        if !is_kept && !is_due(&mut self.journal_made, now) {
            return Input::SketchOpened { through, chain: Chain::START, digest: Digest::default(), cells: Vec::new() };
        }
        let kept = self.journal.take().filter(|_| is_kept);
        let kept = self.journal.insert(kept.unwrap_or_else(|| OfJournal::new(key, edition)));
        kept.follow(journal, through);
        if vice == Some(Vice::Omitter) { kept.tell_less(journal, cells) } else { kept.tell(cells) }
    }

    fn cells(&mut self, from: usize, count: usize) -> Vec<Cell> {
        let kept = self.journal.as_mut();
        kept.map(|kept| kept.sketch.cells(from..from + count).to_vec()).unwrap_or_default()
    }

    fn find(&self, shorts: &[u64]) -> Vec<Option<u64>> {
        shorts.iter().map(|short| self.journal.as_ref()?.sketch.get(*short).copied()).collect()
    }

    fn compare(&mut self, disk: &Disk, peer: usize, key: SketchKey, cells: &[Cell], now: Duration) -> Compared {
        let is_kept = self.held.as_ref().is_some_and(|kept| kept.key == key);
        if !is_kept {
            if !is_due(&mut self.held_made, now) {
                return Compared::Differs { missing: Vec::new(), common: Digest::default() };
            }
            let mut sketch = Sketch::new();
            for id in disk.held_for(peer) {
                sketch.insert(key.mark(id), ());
            }
            self.held = Some(OfHeld { key, sketch });
        }
        compare(cells, &mut self.held.as_mut().unwrap().sketch)
    }

    /// What our hello tells: counted only if neither a sketch nor a cursor says it.
    fn about_held(&mut self, disk: &Disk, peer: usize, cursor: Option<Cursor>) -> u64 {
        let of_sketch = self.held.as_ref().map(|held| held.sketch.len() as u64);
        let passed = cursor.map(|cursor| cursor.index).filter(|index| *index > 0);
        of_sketch.or(passed).unwrap_or_else(|| *self.counted.get_or_insert_with(|| disk.held_for(peer).count() as u64))
    }

    fn note_held(&mut self, id: ReleaseId) {
        self.counted = self.counted.map(|count| count + 1);
        if let Some(OfHeld { key, sketch }) = &mut self.held {
            sketch.insert(key.mark(id), ());
        }
    }
}

impl Node {
    /// Makes a change durable, together with what peers may be told of it: a release may be told to the one that it came
    /// from, to its origin, and to the one to whom we disclose it. Says what of that is new.
    pub(crate) fn apply(&mut self, change: Change) -> Vec<(usize, ReleaseId)> {
        let mut rows: Vec<(usize, ReleaseId)> = match &change {
            Change::Received { peer, releases, .. } => {
                releases.iter().flat_map(|(id, _)| self.told(*peer, *id)).collect()
            }
            Change::Disclosed { peer, ids, .. } => {
                let of_others = ids.iter().filter(|id| POOL.sample(**id).origin != self.number);
                of_others.map(|id| (*peer, *id)).collect()
            }
            Change::Published(_) | Change::Staged { .. } => Vec::new(),
        };
        self.disk.apply(change);
        rows.retain(|row| self.disk.held.insert(*row));
        rows
    }

    fn told(&self, from: usize, id: ReleaseId) -> impl Iterator<Item = (usize, ReleaseId)> + use<> {
        let origin = POOL.sample(id).origin;
        let is_peer = origin != from && self.pacts.contains_key(&origin);
        [Some(from), Some(origin).filter(|_| is_peer)].into_iter().flatten().map(move |peer| (peer, id))
    }

    /// Takes rows that are durable into the sketches.
    pub(crate) fn note_held(&mut self, rows: Vec<(usize, ReleaseId)>) {
        for (peer, id) in rows {
            if let Some(sketches) = self.sketches.get_mut(&peer) {
                sketches.note_held(id);
            }
        }
    }

    /// About how many of a peer's releases we may say that we hold.
    pub(crate) fn about_held(&mut self, peer: usize, cursor: Option<Cursor>) -> u64 {
        self.sketches.entry(peer).or_default().about_held(&self.disk, peer, cursor)
    }

    /// Answers what a session asks of sketches; `None` if it asks something else.
    pub(crate) fn ask_sketches(
        &mut self,
        peer: usize,
        edition: Edition,
        asked: &Output,
        now: Duration,
    ) -> Option<Input> {
        let sketches = self.sketches.entry(peer).or_default();
        Some(match asked {
            Output::OpenSketch { through, key, cells } => {
                let empty = Journal::default();
                let journal = self.disk.journal(peer, edition).unwrap_or(&empty);
                sketches.open(edition, journal, (*through, *key, *cells), self.vice, now)
            }
            Output::ReadCells { from, count } => Input::CellsRead { cells: sketches.cells(*from, *count) },
            Output::FindMarks { shorts } => Input::MarksFound { indexes: sketches.find(shorts) },
            Output::CompareSketch { key, cells } => {
                Input::SketchCompared(sketches.compare(&self.disk, peer, *key, cells, now))
            }
            _ => return None,
        })
    }

    /// Checks that a sketch which was kept from commit to commit is that of what the store holds now.
    pub(crate) fn assert_sketches_are_right(&self, peer: usize) {
        let Some(sketches) = self.sketches.get(&peer) else { return };
        if let Some(OfHeld { key, sketch }) = &sketches.held {
            let fresh = digest_of(*key, self.disk.held_for(peer));
            assert_eq!(
                sketch.digest(),
                fresh,
                "{} has a sketch of something else than it holds of {peer}",
                self.number
            );
        }
        if let Some(OfJournal { key, edition, through, chain, sketch }) = &sketches.journal {
            let journal = self.disk.journal(peer, *edition);
            let ids = journal.into_iter().flat_map(Journal::ids).take(usize::try_from(*through).unwrap());
            assert_eq!(sketch.digest(), digest_of(*key, ids), "{} has a sketch of another journal", self.number);
            let right = journal.map_or(Some(Chain::START), |journal| journal.chain(*through));
            assert_eq!(right, Some(*chain), "{} has a sketch with a chain of its own", self.number);
        }
    }
}
