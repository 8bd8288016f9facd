//! Which third origins the sink has pruned here, and what of theirs is offered in place of being sent unasked: after a
//! rest, so that more of it goes in one frame, and that the peer may say meanwhile that it has it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mithaq_core::{
    card::VerifiedCard,
    id::{CertId, ReleaseId},
    release::SignedRelease,
};

use super::{Source, State};
use crate::{
    brief::{Brief, BriefKey},
    fault::Fault,
    freight::takes_back,
    io::{Channel, Outputs},
    limits::{LAZY_SPAN, OFFER_IDS_MAX, ORIGINS_MAX},
    twins::Twins,
    wire::{Kind, LazyOffer, Tree},
};

/// Where the sink is no branch of ours.
#[derive(Debug, Default)]
pub(super) struct Branches {
    /// For how long an entry rests.
    rest: Duration,
    pruned: BTreeSet<CertId>,
    /// Entries that are to be offered lazily.
    resting: Resting,
    /// Entries that were offered lazily and of which the sink has not said whether it wants them.
    offered: BTreeSet<u64>,
    /// How many entries the sink is about to be told of as twins of its own.
    twins: usize,
}

/// Entries that rest: since when, and of which releases.
#[derive(Debug, Default)]
struct Resting {
    entries: BTreeMap<(Duration, u64), ReleaseId>,
    places: BTreeMap<ReleaseId, (Duration, u64)>,
}

impl Resting {
    fn push(&mut self, since: Duration, index: u64, release: ReleaseId) {
        self.entries.insert((since, index), release);
        self.places.insert(release, (since, index));
    }

    /// Since when the first rests.
    fn first(&self) -> Option<Duration> {
        self.entries.first_key_value().map(|((since, _), _)| *since)
    }

    /// Takes the first if it is what is wanted.
    fn pop_if(&mut self, is_wanted: impl FnOnce(Duration) -> bool) -> Option<u64> {
        self.first().filter(|since| is_wanted(*since))?;
        let ((_, index), release) = self.entries.pop_first()?;
        self.places.remove(&release);
        Some(index)
    }

    /// Takes the entry of a release.
    fn take(&mut self, release: ReleaseId) -> Option<u64> {
        let place = self.places.remove(&release)?;
        self.entries.remove(&place).map(|_| place.1)
    }
}

impl Branches {
    pub(super) fn new(rest: Duration) -> Self {
        Self { rest, ..Self::default() }
    }

    /// How many entries wait for what is no business of the others.
    pub(super) fn waiting(&self) -> usize {
        self.resting.entries.len() + self.offered.len() + self.twins
    }

    /// Takes all that has rested, or all but rested, once the first has.
    fn take_rested(&mut self, now: Duration) -> Vec<u64> {
        let age = |since: Duration| now.saturating_sub(since);
        if self.resting.first().is_none_or(|since| age(since) < self.rest) {
            return Vec::new();
        }
        let enough = self.rest.saturating_sub(LAZY_SPAN);
        std::iter::from_fn(|| self.resting.pop_if(|since| age(since) >= enough)).collect()
    }

    /// Whether an entry was offered lazily and waits for the sink.
    pub(super) fn has_offered(&self, index: u64) -> bool {
        self.offered.contains(&index)
    }

    /// The sink has answered for an entry; the stream on which it goes if that is wanted.
    pub(super) fn answered(&mut self, index: u64) -> Channel {
        if self.offered.remove(&index) { Channel::Live } else { Channel::Backfill }
    }
}

impl Source {
    /// How many third origins the sink has pruned here.
    pub(crate) fn pruned(&self) -> usize {
        self.branches.pruned.len()
    }

    /// Takes note of how the sink takes what is fresh of an origin. Of more origins than there may be the rest go on unasked.
    pub(crate) fn tree(&mut self, tree: &Tree) -> Result<(), Fault> {
        let origin = tree.origin[..].try_into().map_err(|_| Fault::Misbehaved("an origin of the wrong length"))?;
        let (origin, pruned) = (CertId::from_bytes(origin), &mut self.branches.pruned);
        if tree.eager {
            pruned.remove(&origin);
        } else if pruned.len() < ORIGINS_MAX {
            pruned.insert(origin);
        }
        Ok(())
    }

    /// Whether a release is offered although it could go unasked: the sink gets it sooner from another. What takes back goes
    /// at once, from whomever it comes.
    pub(super) fn is_lazy(&self, index: u64, release: &SignedRelease, origin: Option<&VerifiedCard>) -> bool {
        let is_unasked = self.entries.get(&index).is_some_and(|entry| !entry.asked);
        let is_pruned = origin.is_some_and(|card| self.branches.pruned.contains(&card.cert_id()));
        is_unasked && is_pruned && !takes_back(release)
    }

    /// Lets an entry rest that was loaded to go unasked.
    pub(super) fn rest(&mut self, index: u64, now: Duration) {
        let Some(release) = self.entries.get(&index).map(|entry| entry.id) else { return };
        self.stay(index, State::Resting);
        self.branches.resting.push(now, index, release);
    }

    /// Whether a release that was loaded to go unasked need not go: the peer has offered it to us, and is about to be told
    /// that we have it. What takes back goes all the same.
    pub(super) fn is_twin(&self, index: u64, release: &SignedRelease, twins: &mut Twins) -> bool {
        let unasked = self.entries.get(&index).filter(|entry| !entry.asked && !takes_back(release));
        unasked.is_some_and(|entry| twins.pair(entry.id, index))
    }

    /// Keeps an entry that was loaded until the peer was told that it is a twin of its own.
    pub(super) fn pair(&mut self, index: u64) {
        self.stay(index, State::Twin);
        self.branches.twins += 1;
    }

    /// Puts an entry aside that was loaded.
    fn stay(&mut self, index: u64, state: State) {
        let Some(entry) = self.entries.get_mut(&index) else { return };
        entry.state = state;
        self.open -= 1;
        // It takes no place any more among what goes ahead: a withdrawal behind it must not wait for its answer.
        self.tail.settle(index);
    }

    /// Takes an entry of this release that rests, since the peer has offered it to us.
    pub(crate) fn take_resting(&mut self, release: ReleaseId) -> Option<u64> {
        let index = self.branches.resting.take(release)?;
        self.entries.get_mut(&index)?.state = State::Twin;
        self.branches.twins += 1;
        Some(index)
    }

    /// The peer was told of these entries as twins of its own, and has them by its own word.
    pub(crate) fn told_twins(&mut self, indexes: &[u64], outputs: &mut Outputs) {
        self.branches.twins -= indexes.len();
        indexes.iter().for_each(|index| self.settle(*index));
        if !indexes.is_empty() {
            self.pump(outputs);
        }
    }

    /// When what rests is to be offered.
    pub(crate) fn rests_until(&self) -> Option<Duration> {
        self.branches.resting.first().map(|since| since + self.branches.rest)
    }

    /// Offers lazily what has rested.
    pub(crate) fn offer_rested(&mut self, key: &BriefKey, now: Duration, outputs: &mut Outputs) {
        for rested in self.branches.take_rested(now).chunks(OFFER_IDS_MAX) {
            let offered: Vec<_> = rested.iter().filter_map(|index| self.offer_lazily(*index, key)).collect();
            outputs.send(Channel::Control, Kind::LazyOffer(LazyOffer::of(&offered)));
        }
    }

    fn offer_lazily(&mut self, index: u64, key: &BriefKey) -> Option<(u64, Brief)> {
        let entry = self.entries.get_mut(&index)?;
        entry.state = State::Offered;
        self.offers.insert(index, 1);
        self.branches.offered.insert(index);
        Some((index, key.brief(entry.id)))
    }

    /// The sink holds what it was offered lazily as this entry; gives the release.
    pub(crate) fn held(&mut self, index: u64, now: Duration) -> Result<ReleaseId, Fault> {
        let entry = self.entries.get(&index).filter(|_| self.branches.offered.remove(&index));
        let release = entry.ok_or(Fault::Misbehaved("an answer to what was not offered lazily"))?.id;
        self.offers.remove(&index);
        self.settle(index);
        self.waiting_since = now;
        Ok(release)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::LAZY_REST;

    const MOMENT: Duration = Duration::from_millis(1);

    #[test]
    fn what_has_all_but_rested_goes_along() {
        let mut branches = Branches::new(LAZY_REST);
        let young = LAZY_SPAN + MOMENT;
        for (since, index) in [(Duration::ZERO, 7), (LAZY_SPAN, 9), (young, 8)] {
            branches.resting.push(since, index, ReleaseId::from_bytes([u8::try_from(index).unwrap(); 32]));
        }
        assert!(branches.take_rested(LAZY_REST - MOMENT).is_empty());
        assert_eq!(branches.take_rested(LAZY_REST), [7, 9]);
        assert_eq!(branches.take_rested(young + LAZY_REST), [8]);
        assert!(branches.take_rested(Duration::from_secs(9)).is_empty());
    }

    #[test]
    fn what_a_peer_has_offered_too_rests_no_longer() {
        let mut resting = Resting::default();
        let release = |number: u8| ReleaseId::from_bytes([number; 32]);
        (1..=3).for_each(|number| resting.push(MOMENT, number.into(), release(number)));
        assert_eq!(
            (resting.take(release(2)), resting.take(release(2)), resting.take(release(9))),
            (Some(2), None, None)
        );
        assert_eq!(resting.pop_if(|since| since > MOMENT), None);
        assert_eq!(
            (resting.pop_if(|_| true), resting.pop_if(|_| true), resting.pop_if(|_| true)),
            (Some(1), Some(3), None)
        );
        assert!(resting.places.is_empty());
    }
}
