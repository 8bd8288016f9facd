//! Which bodies a node asks a peer for: what it holds and may say so of, and the table of claims that all of its
//! sessions share.

use mithaq_core::id::{ContentId, ContentPrefix, ReleaseId};
use mithaq_sync::{Input, Pending};

use crate::{
    driver::{End, EndKey},
    node::Node,
    pool::POOL,
    world::{Event, World},
};

/// What was seen of the store before the claim.
#[derive(Debug)]
pub(crate) struct Look {
    /// What of the contents we hold and may say so.
    told: Vec<Option<ContentId>>,
    /// How often claims had been freed.
    freed: u64,
}

/// The contents that a peer means by how they begin: those of the release, unless somebody has changed that on its way.
pub(crate) fn meant(pending: &Pending) -> Vec<ContentId> {
    let meant = |(prefix, content): (&ContentPrefix, &ContentId)| {
        let mut unknown = [0; 32];
        unknown[..ContentPrefix::BYTES].copy_from_slice(prefix.as_bytes());
        if content.prefix() == *prefix { *content } else { ContentId::from_bytes(unknown) }
    };
    pending.prefixes.iter().zip(POOL.contents(pending.release)).map(meant).collect()
}

fn are_some(told: &[Option<ContentId>]) -> Vec<bool> {
    told.iter().map(Option::is_some).collect()
}

impl Node {
    /// Looks up what of a release we hold and may say so to a peer.
    fn look(&self, peer: usize, pending: &Pending) -> Look {
        let is_told = |(place, content): &(usize, ContentId)| {
            self.disk.has(*content)
                && (pending.came_elsewhere(*place) || self.may_tell(peer, pending.release, *content))
        };
        let told = |meant| Some(meant).filter(is_told).map(|(_, content)| content);
        let told = meant(pending).into_iter().enumerate().map(told).collect();
        Look { told, freed: self.claims.releases() }
    }

    /// Whether a peer may be told that we hold a body of a release: it is the peer's own, or the peer may have it, or
    /// it gave it in part, or passes on a release of another that we hold.
    fn may_tell(&self, peer: usize, release: ReleaseId, content: ContentId) -> bool {
        let may_know = |id: &ReleaseId| POOL.sample(*id).origin == peer || self.may_go(peer, *id);
        let is_passed_on = self.disk.releases.contains(&release) && POOL.sample(release).origin != peer;
        is_passed_on || self.disk.was_given(peer, release, content) || self.disk.named_by(content).iter().any(may_know)
    }
}

impl World {
    /// Has it found out which bodies to ask a peer for. Now and then others claim and store between the look at the
    /// store and our own claim.
    pub(crate) fn check_bodies(&mut self, key: EndKey, pending: Pending) {
        let Some(end) = self.ends.get_mut(&key) else { return };
        end.asked += 1;
        let takes = self.rng.duration(self.plan.answer);
        let look = (self.rng.below(2) == 0).then(|| self.nodes[key.node].look(end.peer, &pending));
        self.note_ask(key, &pending);
        self.schedule(takes, Event::Claim(key, Box::new(pending), look));
    }

    /// Claims what a release lacks.
    pub(crate) fn claim_bodies(&mut self, key: EndKey, mut pending: Pending, look: Option<Look>) {
        let Some(end) = self.ends.get_mut(&key) else { return };
        let (node, index) = (&mut self.nodes[key.node], pending.index);
        let Look { mut told, freed } = look.unwrap_or_else(|| node.look(end.peer, &pending));
        if node.claims.claim(end.seat, &mut pending, &are_some(&told), self.now) {
            if node.claims.releases() != freed {
                told = node.look(end.peer, &pending).told;
                node.claims.narrow(end.seat, &pending, &are_some(&told), self.now);
                self.wake(key.node);
            }
            self.requests.waits_no_more(key, index);
            return self.report(key, Input::BodiesHeld { index, held: told });
        }
        self.requests.waits(key, &pending, self.now);
        end.waiting.insert(pending);
        self.counts.waits += 1;
        self.report(key, Input::BodiesElsewhere { index });
    }

    /// Has those sessions of a node look again soon that wait for what others fetch.
    pub(crate) fn wake(&mut self, node: usize) {
        let takes = self.rng.duration(self.plan.answer);
        self.schedule(takes, Event::Review(node));
    }

    /// Answers those that need not wait any longer.
    pub(crate) fn review(&mut self, node: usize) {
        let waits = |(key, end): &(&EndKey, &End)| key.node == node && !end.waiting.is_empty();
        let keys: Vec<EndKey> = self.ends.iter().filter(waits).map(|(key, _)| *key).collect();
        for key in keys {
            while let Some(end) = self.ends.get_mut(&key) {
                let ready = end.waiting.take_ready(end.seat, &self.nodes[node].claims, self.now);
                if ready.is_empty() {
                    break;
                }
                ready.into_iter().for_each(|pending| self.claim_bodies(key, pending, None));
            }
        }
    }

    /// Bodies of an entry came, and more of them are to come.
    pub(crate) fn bodies_came(&mut self, key: EndKey, index: u64, bodies: usize) {
        let Some(end) = self.ends.get(&key) else { return };
        self.nodes[key.node].claims.came(end.seat, index, bodies, self.now);
        self.requests.came(key, index, bodies, self.now);
    }

    /// An entry does not come.
    pub(crate) fn bodies_gone(&mut self, key: EndKey, index: u64) {
        let Some(end) = self.ends.get(&key) else { return };
        self.nodes[key.node].claims.give_up(end.seat, index);
        self.requests.gone(key, index);
        self.wake(key.node);
    }

    /// Entries are durable, and a session still waits for them.
    pub(crate) fn bodies_settled(&mut self, key: EndKey, indexes: &[u64]) {
        for index in indexes {
            if let Some(end) = self.ends.get(&key) {
                self.nodes[key.node].claims.settle(end.seat, *index, self.now);
                self.requests.settled(key, *index, self.now);
            }
        }
        self.wake(key.node);
    }

    /// All that a session fetched is durable, and the session over.
    pub(crate) fn leave(&mut self, key: EndKey) {
        if let Some(storer) = self.nodes[key.node].storers.remove(&key.connection) {
            self.nodes[key.node].claims.close(storer.seat);
            self.requests.close(key);
            self.wake(key.node);
        }
    }
}
