//! What a session verified, on its way to the disk: in order, many releases at a time, each with the cursor that stands
//! behind it.

use std::collections::VecDeque;

use mithaq_core::id::{AgreementId, ContentId, ReleaseId};
use mithaq_sync::{Cursor, SessionId};

use crate::{
    disk::{Change, Lot},
    node::{Done, Job},
    pool::{Deed, POOL},
};

/// The most items that are taken at a time.
const ITEMS: usize = 256;

/// Something to be made durable.
#[derive(Debug)]
pub(crate) enum Item {
    Release(Received),
    /// Bodies of releases that did not come whole.
    Parts(Vec<Lot>),
    Cursor(Cursor),
}

/// A release that came, with the bodies that came with it.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) index: u64,
    pub(crate) id: ReleaseId,
    pub(crate) bodies: Vec<ContentId>,
    pub(crate) cursor: Cursor,
}

/// The storer of one session.
#[derive(Debug)]
pub(crate) struct Storer {
    connection: u64,
    peer: usize,
    agreement: AgreementId,
    /// Where other sessions see what this one fetches, until all of it is durable.
    pub(crate) seat: SessionId,
    items: VecDeque<Item>,
    /// A cursor that moved without a release; it waits for the next one or the end.
    cursor: Option<Cursor>,
    working: bool,
    /// Whether the session is over.
    ended: bool,
}

impl Storer {
    pub(crate) fn new(connection: u64, peer: usize, agreement: AgreementId, seat: SessionId) -> Self {
        Self { connection, peer, agreement, seat, items: VecDeque::new(), cursor: None, working: false, ended: false }
    }

    pub(crate) fn push(&mut self, item: Item) {
        self.items.push_back(item);
    }

    /// Nothing more will come.
    pub(crate) fn end(&mut self) {
        self.ended = true;
    }

    /// Part of the work is durable; says whether the storer may go on.
    pub(crate) fn stored(&mut self, last: bool) {
        self.working &= !last;
    }

    /// Whether all that came is stored.
    pub(crate) fn is_over(&self) -> bool {
        self.ended && !self.working && self.items.is_empty() && self.cursor.is_none()
    }

    /// The next commits, if there is work and none is under way.
    pub(crate) fn work(&mut self) -> Vec<Job> {
        if self.working {
            return Vec::new();
        }
        let (mut received, mut parts, mut has_parts) = (Vec::new(), Vec::new(), false);
        let mut cursor = self.cursor.take();
        for item in self.items.drain(..self.items.len().min(ITEMS)) {
            match item {
                Item::Release(release) => {
                    cursor = Some(release.cursor);
                    // Whole, it needs its parts no longer.
                    parts.retain(|(id, _): &Lot| *id != release.id);
                    received.push(release);
                }
                Item::Parts(lots) => {
                    has_parts = true;
                    parts.extend(lots);
                }
                Item::Cursor(moved) => cursor = Some(moved),
            }
        }
        let moves = !received.is_empty() || self.ended;
        self.cursor = cursor.filter(|_| !moves);
        let mut jobs = self.jobs(received, cursor.filter(|_| moves));
        if has_parts {
            jobs.insert(0, self.stage(parts, jobs.is_empty()));
        }
        self.working = !jobs.is_empty();
        jobs
    }

    fn stage(&self, parts: Vec<Lot>, last: bool) -> Job {
        let change = Change::Staged { peer: self.peer, parts };
        Job { change, done: Done::Staged { connection: self.connection, last } }
    }

    fn jobs(&self, received: Vec<Received>, cursor: Option<Cursor>) -> Vec<Job> {
        let mut parts = in_parts(received);
        if parts.is_empty() && cursor.is_some() {
            parts.push(Vec::new());
        }
        let count = parts.len();
        let numbered = (1..).zip(parts);
        numbered.map(|(number, part)| self.job(part, number == count, cursor)).collect()
    }

    /// The last part carries the cursor behind all of them.
    fn job(&self, part: Vec<Received>, last: bool, cursor: Option<Cursor>) -> Job {
        let cursor = if last { cursor } else { part.last().map(|received| received.cursor) };
        let entries = part.iter().map(|received| (received.index, received.id)).collect();
        let releases = part.into_iter().map(|received| (received.id, received.bodies)).collect();
        Job {
            change: Change::Received { peer: self.peer, agreement: self.agreement, releases, cursor },
            done: Done::Storer { connection: self.connection, entries, last },
        }
    }
}

/// What is judged together is of one origin, and a withdrawal is judged alone.
fn in_parts(received: Vec<Received>) -> Vec<Vec<Received>> {
    let mut parts: Vec<Vec<Received>> = Vec::new();
    for release in received {
        let is_next_of = |part: &Vec<Received>| {
            let (first, next) = (POOL.sample(part[0].id), POOL.sample(release.id));
            let is_publish = |deed: &Deed| matches!(deed, Deed::Publish { .. });
            first.origin == next.origin && is_publish(&first.deed) && is_publish(&next.deed)
        };
        match parts.last_mut() {
            Some(part) if is_next_of(part) => part.push(release),
            _ => parts.push(vec![release]),
        }
    }
    parts
}
