//! Lazy offers: releases that the peer would not send unasked, since we have said that they come sooner from another. We
//! ask for them only if they do not.

use std::{collections::BTreeMap, time::Duration};

use mithaq_core::id::{CertId, ReleaseId};

use super::{Sink, State};
use crate::{
    brief::{Brief, BriefKey},
    fault::Fault,
    io::{Channel, Output, Outputs},
    limits::{LAZY_ANSWER_MAX, LAZY_WAIT, LAZY_WAIT_MAX},
    session::Setup,
    trees::{Branch, Late},
    wire::{self, Kind, LazyOffer, Tree, Want},
};

/// Lazy offers that were not answered, and what was asked for of them. None of it is among the entries, which are known by
/// whole ids.
#[derive(Debug)]
pub(super) struct Lazy {
    key: BriefKey,
    /// How long what the peer offers has rested with it.
    rested: Duration,
    /// How long what was offered may take to come from elsewhere, since the peer could have sent it.
    patience: Duration,
    waiting: BTreeMap<u64, Wait>,
    /// Entries that were asked for late and have not come.
    wanted: BTreeMap<u64, Brief>,
}

/// A lazy offer without an answer.
#[derive(Debug)]
struct Wait {
    brief: Brief,
    /// When it was looked up the first time; `None` until then.
    since: Option<Duration>,
    /// When it is looked up again; `None` while that is being done.
    due: Option<Duration>,
}

impl Lazy {
    pub(super) fn new(setup: &Setup) -> Self {
        Self {
            key: setup.briefs,
            rested: setup.rest_of_peer(),
            patience: LAZY_WAIT,
            waiting: BTreeMap::new(),
            wanted: BTreeMap::new(),
        }
    }

    /// How many entries were offered and did not come.
    pub(super) fn len(&self) -> usize {
        self.waiting.len() + self.wanted.len()
    }

    /// Whether an entry is one of them.
    pub(super) fn contains(&self, index: u64) -> bool {
        self.waiting.contains_key(&index) || self.wanted.contains_key(&index)
    }

    /// The first of them.
    pub(super) fn first(&self) -> Option<u64> {
        let (waiting, wanted) = (self.waiting.first_key_value(), self.wanted.first_key_value());
        waiting.map(|(index, _)| *index).into_iter().chain(wanted.map(|(index, _)| *index)).min()
    }

    /// How many of them lie at `first` or behind.
    pub(super) fn count_from(&self, first: u64) -> usize {
        self.waiting.range(first..).count() + self.wanted.range(first..).count()
    }

    /// Whether the peer owes what was asked for.
    pub(super) fn awaits_peer(&self) -> bool {
        !self.wanted.is_empty()
    }
}

impl Sink {
    pub(crate) fn lazy_offer(&mut self, offer: &LazyOffer, outputs: &mut Outputs) -> Result<(), Fault> {
        let offered = offer.read()?;
        for (index, brief) in &offered {
            self.check_fresh(*index)?;
            self.lazy.waiting.insert(*index, Wait { brief: *brief, since: None, due: None });
        }
        outputs.push(Output::FindReleases { key: self.lazy.key, offered });
        Ok(())
    }

    /// Checks the number of an entry that is named for the first time, and is none of what is sketched.
    fn check_fresh(&self, index: u64) -> Result<(), Fault> {
        self.check_place(index)?;
        if self.entries.contains_key(&index) || self.lazy.contains(index) {
            return Err(Fault::Misbehaved("a journal entry offered twice"));
        }
        if self.is_in_gap(index) { Err(Fault::Misbehaved("a lazy offer of what was sketched")) } else { Ok(()) }
    }

    /// Takes what was found of a lazy offer; gives those entries that we hold. The others may still come from elsewhere.
    pub(crate) fn releases_found(
        &mut self,
        found: Vec<(u64, Option<ReleaseId>)>,
        now: Duration,
        outputs: &mut Outputs,
    ) -> Vec<(u64, ReleaseId)> {
        let mut held = Vec::new();
        for (index, release) in found {
            if let Some(release) = release {
                held.extend(self.take_held(index, release));
            } else if let Some(wait) = self.lazy.waiting.get_mut(&index) {
                wait.since = Some(now);
                wait.due = Some(now + self.lazy.patience.saturating_sub(self.lazy.rested));
            }
        }
        self.pass_held(outputs);
        held
    }

    /// Is done with an entry that was offered lazily and that we hold.
    fn take_held(&mut self, index: u64, release: ReleaseId) -> Option<(u64, ReleaseId)> {
        self.lazy.waiting.remove(&index)?;
        self.put(index, release, State::Done);
        Some((index, release))
    }

    /// Moves the cursor over what we hold.
    pub(crate) fn pass_held(&mut self, outputs: &mut Outputs) {
        let before = self.cursor.index;
        self.advance();
        self.save_cursor_after(before, outputs);
    }

    /// Takes an entry that the peer has told of as the same as one of ours, which it was offered.
    pub(crate) fn take_twin(&mut self, index: u64, release: ReleaseId) -> Result<(), Fault> {
        self.check_fresh(index)?;
        self.put(index, release, State::Done);
        Ok(())
    }

    /// When the next lazy offer is due.
    pub(crate) fn wakes_at(&self) -> Option<Duration> {
        self.lazy.waiting.values().filter_map(|wait| wait.due).min()
    }

    /// Looks again for what was offered lazily some time ago.
    pub(crate) fn review(&mut self, now: Duration, outputs: &mut Outputs) {
        for (index, wait) in &mut self.lazy.waiting {
            if wait.due.is_some_and(|due| due <= now) {
                wait.due = None;
                outputs.push(Output::ClaimRelease { index: *index, key: self.lazy.key, brief: wait.brief });
            }
        }
    }

    /// Asks for what was offered lazily, or waits on for another peer that was asked; gives the entry if we hold it.
    pub(crate) fn release_claimed(
        &mut self,
        index: u64,
        late: Late,
        now: Duration,
        outputs: &mut Outputs,
    ) -> Option<(u64, ReleaseId)> {
        let wait = self.lazy.waiting.get_mut(&index).filter(|wait| wait.due.is_none())?;
        let is_over = wait.since.is_none_or(|since| now.saturating_sub(since) >= LAZY_ANSWER_MAX);
        match late {
            Late::Held(release) => {
                let held = self.take_held(index, release);
                self.pass_held(outputs);
                return held;
            }
            Late::Elsewhere if !is_over => wait.due = Some(now + LAZY_WAIT),
            Late::Elsewhere | Late::Wanted => {
                let brief = wait.brief;
                self.lazy.waiting.remove(&index);
                self.lazy.wanted.insert(index, brief);
                let bitmap = wire::bitmap(&[true]);
                outputs.send(Channel::Control, Kind::Want(Want { first: index, bitmap, count: 1 }));
            }
        }
        None
    }

    /// Takes an entry that came, or is gone; says whether it was offered lazily, and asked for.
    pub(super) fn take_late(&mut self, index: u64, release: ReleaseId) -> Result<bool, Fault> {
        if self.lazy.waiting.contains_key(&index) {
            return Err(Fault::Misbehaved("a release that was offered lazily and not asked for"));
        }
        match self.lazy.wanted.remove(&index) {
            None => Ok(false),
            Some(brief) if self.lazy.key.brief(release) == brief => Ok(true),
            Some(_) => Err(Fault::Misbehaved("another release than was offered")),
        }
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
