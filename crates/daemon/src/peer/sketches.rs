//! The sketches that we keep for one peer, from one session to the next: of our journal towards it, and of what it
//! releases to us and we hold. Each is made when it is first asked for, which takes a pass over all of it, and is kept up
//! to date from then on. Another run of the peer's daemon or another journal makes another sketch.
//!
//! A peer must not be able to have one pass after the other made, nor to have threads wait for them. A session that finds
//! that another session of the peer is at it, or that a sketch was made anew a moment ago, goes without: then all is
//! offered, which is always right.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
    time::{Duration, Instant},
};

use mithaq_core::id::{CertId, ReleaseId};
use mithaq_store::StoreError;
use mithaq_sync::{
    Chain, Input,
    sketch::{Cell, Compared, Digest, Sketch, SketchKey, compare},
};

use crate::{held, node::Node, outbox::Outbox};

/// How many entries of the journal are read at a time.
const ENTRIES: usize = 1_024;

/// How often a sketch is made anew for one peer: it chooses its instance, and each takes a pass over all there is.
const ANEW_EVERY: Duration = Duration::from_secs(60);

/// The sketches for one peer.
#[derive(Default)]
pub(crate) struct Sketches {
    journal: Mutex<Option<Journal>>,
    journal_pace: Pace,
    held: Mutex<Option<Held>>,
    held_pace: Pace,
    /// Locked by whoever compares: `held` itself is locked for a moment by others too.
    comparing: Mutex<()>,
    /// What is held from now on and came while `held` was locked.
    noted: Mutex<Vec<ReleaseId>>,
    /// About how many are held, once they were counted.
    counted: Mutex<Option<u64>>,
}

/// When a sketch was last made anew.
#[derive(Default)]
struct Pace(Mutex<Option<Instant>>);

impl Pace {
    /// Whether one may be made anew now; then it counts as made.
    fn allows(&self) -> bool {
        let mut last = lock(&self.0);
        let is_due = last.is_none_or(|last| last.elapsed() >= ANEW_EVERY);
        if is_due {
            *last = Some(Instant::now());
        }
        is_due
    }
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

/// Locks unless it is locked: whoever makes a sketch may take long.
fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// A sketch without cells: the source offers all.
fn no_sketch(through: u64) -> Input {
    Input::SketchOpened { through, chain: Chain::START, digest: Digest::default(), cells: Vec::new() }
}

/// What does not make the set that the peer has told: the sink has all offered.
fn no_comparison() -> Compared {
    Compared::Differs { missing: Vec::new(), common: Digest::default() }
}

impl Sketches {
    /// Opens the sketch of our journal up to entry `through`; without cells if there is none to be had now. Blocks.
    pub(super) fn open(
        &self,
        outbox: &Outbox,
        through: u64,
        key: SketchKey,
        cells: usize,
    ) -> Result<Input, StoreError> {
        let Some(mut journal) = try_lock(&self.journal) else { return Ok(no_sketch(through)) };
        let is_kept = journal.as_ref().is_some_and(|kept| kept.key == key && kept.name == outbox.name());
        if !is_kept && !self.journal_pace.allows() {
            return Ok(no_sketch(through));
        }
        let kept = journal.take().filter(|_| is_kept);
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

    /// Compares the peer's sketch with what we may say that we hold; fails if there is none to compare with now. Blocks.
    pub(super) fn compare(
        &self,
        node: &Node,
        peer: CertId,
        key: SketchKey,
        cells: &[Cell],
    ) -> Result<Compared, StoreError> {
        let Some(_turn) = try_lock(&self.comparing) else { return Ok(no_comparison()) };
        let mut held = lock(&self.held);
        let is_kept = held.as_ref().is_some_and(|kept| kept.key == key);
        if !is_kept && !self.held_pace.allows() {
            return Ok(no_comparison());
        }
        let kept = match held.take().filter(|_| is_kept) {
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
        try_lock(&self.held)?.as_ref().map(|held| held.sketch.len() as u64)
    }

    /// About how many releases of the peer we may say that we hold: they are counted once, and none is known of while
    /// another session counts. Blocks.
    pub(super) fn about_held(&self, node: &Node, peer: CertId) -> Result<u64, StoreError> {
        let Some(mut counted) = try_lock(&self.counted) else { return Ok(0) };
        let count = match *counted {
            Some(count) => count,
            None => held::each(node, peer, |_| ())?,
        };
        *counted = Some(count);
        Ok(count)
    }

    /// Takes in a release that is held from now on. Whoever has committed it does not wait for a sketch that is being made,
    /// which takes a pass over all there is.
    pub(crate) fn note_held(&self, release: ReleaseId) {
        if let Some(count) = try_lock(&self.counted).as_deref_mut().and_then(Option::as_mut) {
            *count = count.saturating_add(1);
        }
        let Some(mut held) = try_lock(&self.held) else { return lock(&self.noted).push(release) };
        if let Some(Held { key, sketch }) = held.as_mut() {
            sketch.insert(key.mark(release), ());
        }
    }

    /// Lets sketches be made anew again, as if the time for it had passed.
    #[cfg(test)]
    pub(super) fn let_time_pass(&self) {
        for pace in [&self.journal_pace, &self.held_pace] {
            *lock(&pace.0) = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use mithaq_core::id::AgreementId;

    use super::*;
    use crate::peer::tests::pair;

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

    #[tokio::test]
    async fn who_finds_a_sketch_being_made_goes_without() {
        let (a, b) = pair();
        let entry = a.node.peer(b.node.us).unwrap();
        let outbox = Outbox::new(a.node.clone(), entry.clone()).unwrap();
        let key = SketchKey::new(AgreementId::from_bytes([1; 32]), [2; 16], [3; 16]);
        let sketches = Sketches::default();
        let journal = lock(&sketches.journal);
        let Input::SketchOpened { through: 7, cells, .. } = sketches.open(&outbox, 7, key, 4).unwrap() else {
            panic!("another answer");
        };
        assert_eq!(cells, []);
        drop(journal);
        let comparing = lock(&sketches.comparing);
        let compared = sketches.compare(&a.node, b.node.us, key, &[Cell::default(); 2]).unwrap();
        assert_eq!(compared, no_comparison());
        drop(comparing);
        let making = lock(&sketches.held);
        assert_eq!(sketches.count_held(), None);
        drop(making);
        let counting = lock(&sketches.counted);
        assert_eq!(sketches.about_held(&a.node, b.node.us).unwrap(), 0);
        drop(counting);
        // Who was turned away has used up nothing.
        let compared = sketches.compare(&a.node, b.node.us, key, &[Cell::default(); 2]).unwrap();
        assert_eq!((compared, sketches.count_held()), (no_comparison(), Some(0)));
        sketches.open(&outbox, 0, key, 4).unwrap();
        assert!(lock(&sketches.journal).is_some());
    }
}
