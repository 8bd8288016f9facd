//! The sketches that we keep for one peer, from one session to the next: of our journal towards it, and of what it
//! releases to us and we hold. Each is made when it is first asked for, which takes a pass over all of it, and is kept up
//! to date from then on. Another run of the peer's daemon or another journal makes another sketch.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mithaq_core::id::{CertId, ReleaseId};
use mithaq_store::StoreError;
use mithaq_sync::{
    Chain, Input,
    sketch::{Cell, Compared, Sketch, SketchKey, compare},
};

use crate::{held, node::Node, outbox::Outbox};

/// How many entries of the journal are read at a time.
const ENTRIES: usize = 1_024;

/// The sketches for one peer.
#[derive(Default)]
pub(crate) struct Sketches {
    journal: Mutex<Option<Journal>>,
    held: Mutex<Option<Held>>,
}

/// The sketch of our journal: the number of its entry for each release.
struct Journal {
    key: SketchKey,
    /// Which journal it is.
    name: [u8; 64],
    through: u64,
    chain: Chain,
    sketch: Sketch<u64>,
    /// Whether two releases share a short id, so that the sketch lacks one.
    is_ambiguous: bool,
}

impl Journal {
    fn new(key: SketchKey, name: [u8; 64]) -> Self {
        Self { key, name, through: 0, chain: Chain::START, sketch: Sketch::new(), is_ambiguous: false }
    }

    /// Takes in the entries that were written since, up to entry `through`.
    fn follow(&mut self, outbox: &Outbox, through: u64) -> Result<(), StoreError> {
        loop {
            let limit = usize::try_from(through.saturating_sub(self.through)).unwrap_or(ENTRIES).min(ENTRIES);
            let entries = outbox.read_with_chain(self.through, limit)?;
            let Some((_, chain)) = entries.last() else { return Ok(()) };
            self.chain = *chain;
            for (release, _) in entries {
                self.through += 1;
                let mark = self.key.mark(release);
                // A release that was damaged and came again stands in the journal twice, which is no harm.
                if !self.sketch.insert(mark, self.through) {
                    self.is_ambiguous |= self.sketch.mark(mark.short) != Some(mark);
                }
            }
        }
    }
}

struct Held {
    key: SketchKey,
    sketch: Sketch<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sketches {
    /// Opens the sketch of our journal up to entry `through`. Blocks.
    pub(super) fn open(
        &self,
        outbox: &Outbox,
        through: u64,
        key: SketchKey,
        cells: usize,
    ) -> Result<Input, StoreError> {
        let mut journal = lock(&self.journal);
        let kept = journal.take().filter(|kept| kept.key == key && kept.name == outbox.name());
        let mut kept = kept.unwrap_or_else(|| Journal::new(key, outbox.name()));
        kept.follow(outbox, through)?;
        let cells = if kept.is_ambiguous { Vec::new() } else { kept.sketch.cells(0..cells).to_vec() };
        let Journal { through, chain, .. } = kept;
        let digest = kept.sketch.digest();
        *journal = Some(kept);
        Ok(Input::SketchOpened { through, chain, digest, cells })
    }

    /// More cells of the sketch that was opened last.
    pub(super) fn cells(&self, from: usize, count: usize) -> Vec<Cell> {
        let mut journal = lock(&self.journal);
        journal.as_mut().map(|kept| kept.sketch.cells(from..from.saturating_add(count)).to_vec()).unwrap_or_default()
    }

    /// The entries with these short ids, of the sketch that was opened last.
    pub(super) fn find(&self, shorts: &[u64]) -> Vec<Option<u64>> {
        let journal = lock(&self.journal);
        shorts.iter().map(|short| journal.as_ref()?.sketch.get(*short).copied()).collect()
    }

    /// Compares the peer's sketch with what we may say that we hold. Blocks.
    pub(super) fn compare(
        &self,
        node: &Node,
        peer: CertId,
        key: SketchKey,
        cells: &[Cell],
    ) -> Result<Compared, StoreError> {
        let mut held = lock(&self.held);
        let kept = match held.take().filter(|kept| kept.key == key) {
            Some(kept) => kept,
            None => {
                let mut sketch = Sketch::new();
                held::each(node, peer, |release| {
                    sketch.insert(key.mark(release), ());
                })?;
                Held { key, sketch }
            }
        };
        Ok(compare(cells, &mut held.insert(kept).sketch))
    }

    /// How many releases of the peer we may say that we hold, if that is known without counting.
    pub(super) fn count_held(&self) -> Option<u64> {
        lock(&self.held).as_ref().map(|held| held.sketch.len() as u64)
    }

    /// Takes in a release that is held from now on.
    pub(crate) fn note_held(&self, release: ReleaseId) {
        if let Some(Held { key, sketch }) = lock(&self.held).as_mut() {
            sketch.insert(key.mark(release), ());
        }
    }
}
