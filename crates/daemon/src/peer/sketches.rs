//! The sketches that we keep for one peer, from one session to the next: of our journal towards it, and of what it
//! releases to us and we hold. Each is made when it is first asked for, which takes a pass over all of it, and is kept up
//! to date from then on. Another run of the peer's daemon or another journal makes another sketch.

use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

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
    /// What is held from now on and came while `held` was locked.
    noted: Mutex<Vec<ReleaseId>>,
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
        let Held { key, sketch } = held.insert(kept);
        for release in lock(&self.noted).drain(..) {
            sketch.insert(key.mark(release), ());
        }
        Ok(compare(cells, sketch))
    }

    /// How many releases of the peer we may say that we hold, if that is known without counting.
    pub(super) fn count_held(&self) -> Option<u64> {
        lock(&self.held).as_ref().map(|held| held.sketch.len() as u64)
    }

    /// Takes in a release that is held from now on. Whoever has committed it does not wait for a sketch that is being made,
    /// which takes a pass over all there is.
    pub(crate) fn note_held(&self, release: ReleaseId) {
        let mut held = match self.held.try_lock() {
            Ok(held) => held,
            Err(TryLockError::Poisoned(held)) => held.into_inner(),
            Err(TryLockError::WouldBlock) => return lock(&self.noted).push(release),
        };
        if let Some(Held { key, sketch }) = held.as_mut() {
            sketch.insert(key.mark(release), ());
        }
    }
}

#[cfg(test)]
mod tests {
    use mithaq_core::id::AgreementId;

    use super::*;

    #[test]
    fn nobody_waits_for_a_sketch_that_is_being_made() {
        let sketches = Sketches::default();
        let releases = [1, 2].map(|number| ReleaseId::from_bytes([number; 32]));
        let mut making = lock(&sketches.held);
        sketches.note_held(releases[0]);
        assert_eq!(*lock(&sketches.noted), releases[..1]);
        let key = SketchKey::new(AgreementId::from_bytes([1; 32]), [2; 16], [3; 16]);
        *making = Some(Held { key, sketch: Sketch::new() });
        drop(making);
        sketches.note_held(releases[1]);
        assert_eq!((sketches.count_held(), lock(&sketches.noted).len()), (Some(1), 1));
    }
}
