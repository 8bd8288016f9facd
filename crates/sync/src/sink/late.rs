//! Lazy offers: releases that the peer would not send unasked, since we have said that they come sooner from another. We
//! ask for them only if they do not.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mithaq_core::id::CertId;

use super::{Entry, Sink, State};
use crate::{
    fault::Fault,
    io::{Channel, Manner, Output, Outputs},
    limits::{LAZY_ANSWER_MAX, LAZY_WAIT, LAZY_WAIT_MAX},
    trees::{Branch, Late},
    wire::{Kind, Offer, Tree},
};

/// Lazy offers that were not answered, and what was asked for of them.
#[derive(Debug)]
pub(super) struct Lazy {
    /// How long what was offered may take to come from elsewhere.
    patience: Duration,
    waiting: BTreeMap<u64, Wait>,
    /// Entries that were asked for late and have not come.
    wanted: BTreeSet<u64>,
}

/// A lazy offer without an answer.
#[derive(Debug, Default)]
struct Wait {
    /// When it was looked up the first time; `None` until then.
    since: Option<Duration>,
    /// When it is looked up again; `None` while that is being done.
    due: Option<Duration>,
}

impl Default for Lazy {
    fn default() -> Self {
        Self { patience: LAZY_WAIT, waiting: BTreeMap::new(), wanted: BTreeSet::new() }
    }
}

impl Lazy {
    /// How an entry comes that was not offered, or wanted.
    pub(super) fn manner_of(&mut self, index: u64, is_offered: bool) -> Manner {
        match self.wanted.remove(&index) {
            true => Manner::AskedLate,
            false if is_offered => Manner::Asked,
            false => Manner::Unasked,
        }
    }

    /// The peer has taken an entry back.
    pub(super) fn forget(&mut self, index: u64) {
        self.wanted.remove(&index);
    }
}

impl Sink {
    /// Takes note of a lazy offer, which is of one entry: one that is lacking must not hold up the answer for others.
    pub(super) fn note_lazy_offer(&mut self, offer: &Offer, entries: usize) -> Result<(), Fault> {
        if offer.lazy && entries > 1 {
            return Err(Fault::Misbehaved("a lazy offer of more than one entry"));
        }
        if offer.lazy {
            self.lazy.waiting.insert(offer.first, Wait::default());
        }
        Ok(())
    }

    /// Whether an offer that was looked up is answered later: it is lazy, and what it offers may still come from elsewhere.
    pub(super) fn is_put_off(&mut self, first: u64, known: &[bool], now: Duration) -> bool {
        let patience = self.lazy.patience;
        let Some(wait) = self.lazy.waiting.get_mut(&first) else { return false };
        if known.contains(&true) {
            self.lazy.waiting.remove(&first);
            return false;
        }
        wait.since = Some(now);
        wait.due = Some(now + patience);
        true
    }

    /// When the next lazy offer is due.
    pub(crate) fn wakes_at(&self) -> Option<Duration> {
        self.lazy.waiting.values().filter_map(|wait| wait.due).min()
    }

    /// Looks again for what was offered lazily some time ago.
    pub(crate) fn review(&mut self, now: Duration, outputs: &mut Outputs) {
        for (index, wait) in &mut self.lazy.waiting {
            if wait.due.is_some_and(|due| due <= now)
                && let Some(Entry { id, .. }) = self.entries.get(index)
            {
                wait.due = None;
                outputs.push(Output::ClaimRelease { index: *index, id: *id });
            }
        }
    }

    /// Answers a lazy offer, or waits on for another peer that was asked.
    pub(crate) fn release_claimed(&mut self, index: u64, late: Late, now: Duration, outputs: &mut Outputs) {
        let is_checking = matches!(self.entries.get(&index), Some(Entry { state: State::Checking, .. }));
        let Some(wait) = self.lazy.waiting.get_mut(&index).filter(|wait| is_checking && wait.due.is_none()) else {
            return;
        };
        let is_over = wait.since.is_none_or(|since| now.saturating_sub(since) >= LAZY_ANSWER_MAX);
        if late == Late::Elsewhere && !is_over {
            wait.due = Some(now + LAZY_WAIT);
            return;
        }
        self.lazy.waiting.remove(&index);
        if late != Late::Held {
            self.lazy.wanted.insert(index);
        }
        self.answer(index, &[late == Late::Held], outputs);
    }

    /// Tells the peer of its place in an origin's tree, or learns that it was asked too soon.
    pub(crate) fn placed(&mut self, origin: CertId, branch: Branch, outputs: &mut Outputs) {
        let eager = match branch {
            Branch::Pruned => false,
            Branch::Grafted => true,
            Branch::Hasty => {
                self.lazy.patience = (self.lazy.patience * 2).min(LAZY_WAIT_MAX);
                return;
            }
        };
        if eager {
            self.lazy.patience = LAZY_WAIT;
        }
        let origin = origin.as_bytes().to_vec().into();
        outputs.send(Channel::Control, Kind::Tree(Tree { origin, eager }));
    }
}
