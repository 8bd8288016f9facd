//! What of a node survives a crash: a model of the store, and the changes that a commit makes durable.

use std::collections::{BTreeMap, BTreeSet};

use mithaq_core::{
    id::{AgreementId, ContentId, ReleaseId},
    receipt::Status,
};
use mithaq_sync::{Brief, BriefKey, Chain, Cursor};

use crate::pool::{Deed, POOL};

/// Names a journal by all that may widen what goes into it: another edition starts another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edition {
    /// The version of the agreement with the peer.
    pub(crate) agreement: u32,
    /// The version of the node's own policy.
    pub(crate) policy: u32,
    /// Grows with each new agreement with anyone else, whose releases the node may pass on then.
    pub(crate) origins: u32,
}

/// What one node discloses to a peer, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal {
    /// How many rows of the log the rule was asked of.
    pub(crate) scanned: usize,
    pub(crate) entries: Vec<(ReleaseId, Chain)>,
}

impl Journal {
    /// The chain up to an entry, if there are so many.
    pub(crate) fn chain(&self, index: u64) -> Option<Chain> {
        match usize::try_from(index).ok()? {
            0 => Some(Chain::START),
            place => self.entries.get(place - 1).map(|(_, chain)| *chain),
        }
    }

    /// Where the journal goes on for a peer with this cursor.
    pub(crate) fn resume_at(&self, cursor: Option<Cursor>) -> u64 {
        cursor.filter(|cursor| self.chain(cursor.index) == Some(cursor.chain)).map_or(0, |cursor| cursor.index)
    }

    pub(crate) fn head(&self) -> u64 {
        self.entries.len() as u64
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ReleaseId> {
        self.entries.iter().map(|(id, _)| *id)
    }

    fn append(&mut self, id: ReleaseId) {
        let last = self.entries.last().map_or(Chain::START, |(_, chain)| *chain);
        self.entries.push((id, last.after(id)));
    }
}

/// What one commit makes durable, whole or not at all.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A release of our own.
    Published(ReleaseId),
    /// Entries of a journal of ours, which count as disclosed from then on.
    Disclosed { peer: usize, edition: Edition, scanned: usize, ids: Vec<ReleaseId> },
    /// Releases of a peer's journal, with the bodies that came, and how far we have it.
    Received { peer: usize, agreement: AgreementId, releases: Vec<Lot>, cursor: Option<Cursor> },
    /// Bodies of releases that did not come whole.
    Staged { peer: usize, parts: Vec<Lot> },
}

/// A release and those of its bodies that came.
pub(crate) type Lot = (ReleaseId, Vec<ContentId>);

/// The first entries that were gone in the journals towards a peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Passed {
    /// Since the peer is served as it is: its cursor may pass that.
    pub(crate) since: u64,
    /// Before: its cursor may not.
    pub(crate) before: u64,
}

impl Default for Passed {
    fn default() -> Self {
        Self { since: u64::MAX, before: u64::MAX }
    }
}

/// The store of a node.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    pub(crate) store: [u8; 16],
    /// Releases in the order in which they came.
    pub(crate) log: Vec<ReleaseId>,
    pub(crate) releases: BTreeSet<ReleaseId>,
    pub(crate) bodies: BTreeSet<ContentId>,
    /// The releases that name a content.
    named_by: BTreeMap<ContentId, Vec<ReleaseId>>,
    /// Releases that were taken back.
    pub(crate) void: BTreeSet<ReleaseId>,
    journals: BTreeMap<(usize, Edition), Journal>,
    /// The ledger: whom we were about to give what.
    pub(crate) disclosed: BTreeSet<(usize, ReleaseId)>,
    cursors: BTreeMap<(usize, AgreementId), Cursor>,
    /// What a peer may be told that we hold.
    pub(crate) held: BTreeSet<(usize, ReleaseId)>,
    /// The nodes, itself among them, of which it has the card that names another key.
    pub(crate) renewed: BTreeSet<usize>,
    /// What is too old to be given to anyone any more.
    pub(crate) expired: BTreeSet<ReleaseId>,
    /// By peer: what was answered with `Gone`, which no cursor must hide.
    pub(crate) passed: BTreeMap<usize, Passed>,
    /// Bodies that a peer gave for a release that did not come whole.
    lots: BTreeMap<(usize, ReleaseId), BTreeSet<ContentId>>,
}

impl Disk {
    pub(crate) fn new(store: [u8; 16]) -> Self {
        Self {
            store,
            log: Vec::new(),
            releases: BTreeSet::new(),
            bodies: BTreeSet::new(),
            named_by: BTreeMap::new(),
            void: BTreeSet::new(),
            journals: BTreeMap::new(),
            disclosed: BTreeSet::new(),
            cursors: BTreeMap::new(),
            held: BTreeSet::new(),
            renewed: BTreeSet::new(),
            expired: BTreeSet::new(),
            passed: BTreeMap::new(),
            lots: BTreeMap::new(),
        }
    }

    pub(crate) fn journal(&self, peer: usize, edition: Edition) -> Option<&Journal> {
        self.journals.get(&(peer, edition))
    }

    pub(crate) fn cursor(&self, peer: usize, agreement: AgreementId) -> Option<Cursor> {
        self.cursors.get(&(peer, agreement)).copied()
    }

    /// A copy gets an id of its own. A cursor of it may hide what went again since, so none is told.
    pub(crate) fn become_another(&mut self, store: [u8; 16]) {
        self.store = store;
        self.cursors.clear();
    }

    /// The releases here that name a content.
    pub(crate) fn named_by(&self, content: ContentId) -> &[ReleaseId] {
        self.named_by.get(&content).map_or(&[], Vec::as_slice)
    }

    /// Whether a release is here with all of its bodies.
    pub(crate) fn holds(&self, id: ReleaseId) -> bool {
        self.releases.contains(&id) && POOL.contents(id).iter().all(|content| self.bodies.contains(content))
    }

    pub(crate) fn apply(&mut self, change: Change) {
        match change {
            Change::Published(id) => self.take(id, POOL.contents(id)),
            Change::Disclosed { peer, edition, scanned, ids } => {
                let journal = self.journals.entry((peer, edition)).or_default();
                journal.scanned = scanned;
                ids.iter().for_each(|id| journal.append(*id));
                self.disclosed.extend(ids.into_iter().map(|id| (peer, id)));
            }
            Change::Received { peer, agreement, releases, cursor } => {
                releases.iter().for_each(|(id, bodies)| self.complete(peer, *id, bodies));
                if let Some(cursor) = cursor {
                    self.cursors.insert((peer, agreement), cursor);
                }
            }
            Change::Staged { peer, parts } => {
                parts.into_iter().for_each(|(id, bodies)| self.lots.entry((peer, id)).or_default().extend(bodies));
            }
        }
    }

    /// Takes a release with the bodies that came with it and those that were staged before, whoever gave them.
    fn complete(&mut self, peer: usize, id: ReleaseId, bodies: &[ContentId]) {
        let staged: Vec<ContentId> = POOL.contents(id).iter().copied().filter(|content| self.has(*content)).collect();
        self.bodies.extend(staged);
        self.take(id, bodies);
        self.lots.remove(&(peer, id));
    }

    /// Whether a body is here, be it only staged.
    pub(crate) fn has(&self, content: ContentId) -> bool {
        self.bodies.contains(&content) || self.lots.values().any(|lot| lot.contains(&content))
    }

    /// Whether a peer gave this body for a release that did not come whole.
    pub(crate) fn was_given(&self, peer: usize, id: ReleaseId, content: ContentId) -> bool {
        self.lots.get(&(peer, id)).is_some_and(|lot| lot.contains(&content))
    }

    /// What a peer may be told that we hold.
    pub(crate) fn held_for(&self, peer: usize) -> impl Iterator<Item = ReleaseId> {
        let of_peer = move |(to, _): &&(usize, ReleaseId)| *to == peer;
        self.held.iter().filter(of_peer).map(|(_, id)| *id)
    }

    /// What of that a brief stands for.
    pub(crate) fn find_held(&self, peer: usize, key: &BriefKey, brief: Brief) -> Option<ReleaseId> {
        let from = |fill: u8| {
            let mut id = [fill; 32];
            id[..4].copy_from_slice(brief.prefix().as_bytes());
            (peer, ReleaseId::from_bytes(id))
        };
        let mut alike = self.held.range(from(0)..=from(u8::MAX)).map(|(_, id)| *id);
        alike.find(|id| key.brief(*id) == brief)
    }

    fn take(&mut self, id: ReleaseId, bodies: &[ContentId]) {
        self.bodies.extend(bodies);
        if !self.releases.insert(id) {
            return;
        }
        self.log.push(id);
        for content in POOL.contents(id) {
            self.named_by.entry(*content).or_default().push(id);
        }
        if let Deed::Withdraw(taken) = POOL.sample(id).deed {
            self.void.insert(taken);
        }
    }

    /// What the receipt for a release says.
    pub(crate) fn status(&self, id: ReleaseId) -> Status {
        match POOL.sample(id).deed {
            Deed::Withdraw(_) => Status::Applied,
            Deed::Publish { .. } if self.void.contains(&id) => Status::Held,
            Deed::Publish { .. } => Status::Received,
        }
    }
}
