//! A node: its store, what it has agreed with whom, its outboxes, and the one committer that all writes go through.

use std::collections::{BTreeMap, VecDeque};

use mithaq_core::id::{AgreementId, ReleaseId};
use mithaq_sync::{Claims, Cursor};

use crate::{
    cast::{Cert, Rng},
    disk::{Change, Disk, Edition, Journal, Passed},
    hostile::Vice,
    plan::{Policy, Terms},
    pool::{Deed, POOL, Sample},
    sketches::Sketches,
    storer::Storer,
    trees::Grove,
};

/// One side's view of an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pact {
    /// Grows with each new agreement of the two.
    pub(crate) version: u32,
    pub(crate) terms: Terms,
    pub(crate) ended: bool,
}

impl Pact {
    /// The id of the agreement between two nodes.
    pub(crate) fn id(&self, a: usize, b: usize) -> AgreementId {
        let (low, high) = (a.min(b), a.max(b));
        let mut bytes = [0xaa; 32];
        bytes[..2].copy_from_slice(&[u8::try_from(low).unwrap(), u8::try_from(high).unwrap()]);
        bytes[2..6].copy_from_slice(&self.version.to_be_bytes());
        AgreementId::from_bytes(bytes)
    }
}

/// A change on its way to the disk, and who waits for it.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) change: Change,
    pub(crate) done: Done,
}

/// Who is told once a change is durable.
#[derive(Debug, Clone)]
pub(crate) enum Done {
    /// The one who pushed.
    Analyst(ReleaseId),
    Outbox(usize, Edition),
    /// A storer, of entries that are durable from now on; whether it was the last part of its work.
    Storer {
        connection: u64,
        entries: Vec<(u64, ReleaseId)>,
        last: bool,
    },
    /// A storer, of parts of releases that are durable from now on.
    Staged {
        connection: u64,
        last: bool,
    },
}

/// Where the journal towards a peer stands.
#[derive(Debug, Clone, Copy)]
struct Outbox {
    edition: Edition,
    scanned: usize,
    writing: bool,
}

/// A node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) number: usize,
    pub(crate) disk: Disk,
    /// The last copy of the store.
    pub(crate) backup: Option<Disk>,
    pub(crate) vice: Option<Vice>,
    pub(crate) up: bool,
    /// How often it was started.
    pub(crate) boot: u32,
    pub(crate) pacts: BTreeMap<usize, Pact>,
    pub(crate) policy: Policy,
    policy_version: u32,
    outboxes: BTreeMap<usize, Outbox>,
    /// By which edition it was looked last what was passed over before.
    looked_back: BTreeMap<usize, Edition>,
    /// How many entries of its journal a peer had acknowledged when it lacked none.
    acknowledged: BTreeMap<(usize, Edition), u64>,
    /// By connection. They live on until all that a session verified is stored.
    pub(crate) storers: BTreeMap<u64, Storer>,
    /// Who brings what first.
    pub(crate) grove: Grove,
    /// Which of its sessions fetches what.
    pub(crate) claims: Claims,
    /// By peer: what outlives sessions, and no crash.
    pub(crate) sketches: BTreeMap<usize, Sketches>,
    waiting: VecDeque<Job>,
    committing: VecDeque<Job>,
}

impl Node {
    pub(crate) fn new(number: usize, vice: Option<Vice>) -> Self {
        Self {
            number,
            disk: Disk::new([u8::try_from(number).unwrap() + 1; 16]),
            backup: None,
            vice,
            up: true,
            boot: 1,
            pacts: BTreeMap::new(),
            policy: Policy { amber: true, onward: true },
            policy_version: 1,
            outboxes: BTreeMap::new(),
            looked_back: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            storers: BTreeMap::new(),
            grove: Grove::default(),
            claims: Claims::default(),
            sketches: BTreeMap::new(),
            waiting: VecDeque::new(),
            committing: VecDeque::new(),
        }
    }

    pub(crate) fn is_honest(&self) -> bool {
        self.vice.is_none()
    }

    /// What names this run of the node.
    pub(crate) fn instance(&self) -> [u8; 16] {
        let mut instance = [0; 16];
        instance[0] = u8::try_from(self.number).unwrap();
        instance[1..5].copy_from_slice(&self.boot.to_be_bytes());
        instance
    }

    pub(crate) fn agreement(&self, peer: usize) -> AgreementId {
        self.pacts[&peer].id(self.number, peer)
    }

    /// What names the journal towards a peer now.
    pub(crate) fn edition(&self, peer: usize) -> Edition {
        let agreement = self.pacts[&peer].version;
        let all: u32 = self.pacts.values().map(|pact| pact.version).sum();
        Edition { agreement, policy: self.policy_version, origins: all - agreement }
    }

    pub(crate) fn journal(&self, peer: usize, edition: Edition) -> Option<&Journal> {
        self.disk.journal(peer, edition)
    }

    pub(crate) fn restrict(&mut self, policy: Policy) {
        self.policy = policy;
        self.policy_version += 1;
    }

    /// The release rule: whether a release may go to a peer now.
    pub(crate) fn may_go(&self, to: usize, id: ReleaseId) -> bool {
        let Sample { origin, deed, .. } = POOL.sample(id);
        if to == *origin {
            return false;
        }
        match deed {
            _ if self.vice == Some(Vice::Gossip) => true,
            Deed::Withdraw(taken) => self.disk.disclosed.contains(&(to, *taken)),
            Deed::Publish { onward, recipients } => {
                let Pact { terms, ended, .. } = self.pacts[&to];
                let is_own = *origin == self.number;
                let passes_on = *onward && terms.third_party && self.policy.onward && !self.is_over_with(*origin);
                let is_addressed = recipients.is_empty() || (is_own && recipients.contains(&to));
                let is_low = *onward || !recipients.is_empty() || (terms.amber && self.policy.amber);
                let is_in_time = !self.disk.expired.contains(&id);
                !ended && is_in_time && is_addressed && is_low && (is_own || passes_on) && !self.disk.void.contains(&id)
            }
        }
    }

    fn is_over_with(&self, origin: usize) -> bool {
        self.pacts.get(&origin).is_some_and(|pact| pact.ended)
    }

    /// Asks the rule of the rows of the log that the journal towards a peer has not seen, until some may go; these are
    /// written, and what follows them waits for that.
    pub(crate) fn extend(&mut self, peer: usize, rows: usize) {
        let edition = self.edition(peer);
        let fresh = || Outbox {
            edition,
            scanned: self.disk.journal(peer, edition).map_or(0, |journal| journal.scanned),
            writing: false,
        };
        let outbox = self.outboxes.get(&peer).copied().filter(|outbox| outbox.edition == edition);
        let mut outbox = outbox.unwrap_or_else(fresh);
        while !outbox.writing && outbox.scanned < self.disk.log.len() {
            let end = self.disk.log.len().min(outbox.scanned + rows);
            let read = self.disk.log[outbox.scanned..end].iter().copied();
            let ids: Vec<ReleaseId> = read.filter(|id| self.may_go(peer, *id)).collect();
            outbox.scanned = end;
            if !ids.is_empty() {
                outbox.writing = true;
                let change = Change::Disclosed { peer, edition, scanned: end, ids };
                self.waiting.push_back(Job { change, done: Done::Outbox(peer, edition) });
            }
        }
        self.outboxes.insert(peer, outbox);
    }

    /// The journal towards a peer was written; says whether it is still the one that counts.
    pub(crate) fn extended(&mut self, peer: usize, edition: Edition) -> bool {
        let outbox = self.outboxes.get_mut(&peer).filter(|outbox| outbox.edition == edition);
        outbox.map(|outbox| outbox.writing = false).is_some()
    }

    /// Whether the rule was asked of all of the log for a peer, and all that may go is in the journal.
    pub(crate) fn is_extended(&self, peer: usize) -> bool {
        let edition = self.edition(peer);
        self.outboxes.get(&peer).map_or(self.disk.log.is_empty(), |outbox| {
            outbox.edition == edition && outbox.scanned == self.disk.log.len() && !outbox.writing
        })
    }

    /// Whether the rule was asked of the first rows of the log for a peer, and what may go is in the journal.
    pub(crate) fn is_scanned(&self, peer: usize, edition: Edition, rows: usize) -> bool {
        let outbox = self.outboxes.get(&peer).filter(|outbox| outbox.edition == edition);
        rows == 0 || outbox.is_some_and(|outbox| outbox.scanned >= rows && !outbox.writing)
    }

    /// An entry is about to be answered with `Gone`.
    pub(crate) fn pass(&mut self, peer: usize, edition: Edition, index: u64) {
        let is_served = edition == self.edition(peer);
        let passed = self.disk.passed.entry(peer).or_default();
        passed.since = passed.since.min(index);
        if !is_served {
            passed.before = passed.before.min(index);
        }
    }

    /// Where the journal towards a peer goes on for this cursor.
    pub(crate) fn resume_at(&mut self, peer: usize, edition: Edition, cursor: Option<Cursor>) -> u64 {
        let index = self.disk.journal(peer, edition).map_or(0, |journal| journal.resume_at(cursor));
        let acknowledged = self.acknowledged.get(&(peer, edition)).copied().unwrap_or(0);
        let (is_first, is_served) =
            (self.looked_back.insert(peer, edition) != Some(edition), edition == self.edition(peer));
        let passed = self.disk.passed.entry(peer).or_default();
        if is_first {
            self.acknowledged.remove(&(peer, edition));
            *passed = Passed { since: u64::MAX, before: passed.before.min(passed.since) };
        } else if is_served && (1..=acknowledged).contains(&index) {
            passed.before = u64::MAX;
        }
        if index < passed.before { index } else { 0 }
    }

    /// A session is over in which the peer has acknowledged all of a journal that was known, so many entries.
    pub(crate) fn acknowledged(&mut self, peer: usize, edition: Edition, entries: u64) {
        let acknowledged = self.acknowledged.entry((peer, edition)).or_default();
        *acknowledged = entries.max(*acknowledged);
    }

    pub(crate) fn enqueue(&mut self, job: Job) {
        self.waiting.push_back(job);
    }

    /// Takes all that waits into one commit, if none is under way; says whether one begins.
    pub(crate) fn begin_commit(&mut self) -> bool {
        if !self.committing.is_empty() || self.waiting.is_empty() {
            return false;
        }
        self.committing = std::mem::take(&mut self.waiting);
        true
    }

    /// What is durable now.
    pub(crate) fn end_commit(&mut self) -> VecDeque<Job> {
        std::mem::take(&mut self.committing)
    }

    /// Whether anything is on its way to the disk.
    pub(crate) fn is_writing(&self) -> bool {
        !self.waiting.is_empty() || !self.committing.is_empty()
    }

    /// The process dies. Of the commit that was under way any part may be durable, without anyone having been told.
    pub(crate) fn die(&mut self, rng: &mut Rng) {
        let durable = rng.size(self.committing.len() + 1);
        for job in std::mem::take(&mut self.committing).into_iter().take(durable) {
            self.apply(job.change);
        }
        self.waiting.clear();
        self.outboxes.clear();
        self.looked_back.clear();
        self.acknowledged.clear();
        self.storers.clear();
        self.grove = Grove::default();
        self.claims = Claims::default();
        self.sketches.clear();
        self.up = false;
    }

    /// A node as this one knows it.
    pub(crate) fn cert_of(&self, node: usize) -> &'static Cert {
        POOL.cert(node, self.disk.renewed.contains(&node))
    }

    /// How far we have the journal of a peer under the agreement that holds.
    pub(crate) fn cursor(&self, peer: usize) -> Option<Cursor> {
        self.disk.cursor(peer, self.agreement(peer))
    }
}
