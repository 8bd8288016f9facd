//! Which third origins the sink has pruned here, and what of theirs is offered in place of being sent unasked.

use std::collections::BTreeSet;

use bytes::Bytes;
use mithaq_core::{card::VerifiedCard, id::CertId, release::SignedRelease};

use super::{Entry, Source, State};
use crate::{
    fault::Fault,
    freight::takes_back,
    io::{Channel, Outputs},
    limits::ORIGINS_MAX,
    wire::{Kind, Offer, Tree},
};

/// Where the sink is no branch of ours.
#[derive(Debug, Default)]
pub(super) struct Branches {
    pruned: BTreeSet<CertId>,
    /// Entries that were offered lazily and of which the sink has not said whether it wants them.
    offered: BTreeSet<u64>,
}

impl Branches {
    /// How many entries wait for the sink, which may take its time.
    pub(super) fn offered(&self) -> usize {
        self.offered.len()
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

    /// Offers an entry that was loaded to go unasked.
    pub(super) fn offer_lazily(&mut self, index: u64, outputs: &mut Outputs) {
        let Some(Entry { id, state, .. }) = self.entries.get_mut(&index) else { return };
        *state = State::Offered;
        self.open -= 1;
        self.offers.insert(index, 1);
        self.branches.offered.insert(index);
        // It takes no place any more among what goes ahead: a withdrawal behind it must not wait for its answer.
        self.tail.settle(index);
        let ids = Bytes::copy_from_slice(id.as_bytes());
        outputs.send(Channel::Control, Kind::Offer(Offer { first: index, ids, lazy: true }));
    }
}
