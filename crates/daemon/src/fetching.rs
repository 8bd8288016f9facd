//! Which session fetches which body, and which brings the releases of an origin first: the tables of all sessions, and who
//! is woken when the first changes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mithaq_sync::{Arrival, Branch, Claims, Pending, Prefix, SessionId, Trees, Waiting};
use tokio::sync::watch;

use crate::clock;

/// How often it is looked whether a claim has expired.
const REVIEW: Duration = Duration::from_secs(1);

/// The tables of all sessions.
#[derive(Debug, Default)]
pub(crate) struct Fetching {
    claims: Mutex<Claims>,
    trees: Mutex<Trees>,
    freed: watch::Sender<u64>,
}

impl Fetching {
    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trees(&self) -> MutexGuard<'_, Trees> {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the claims, and wakes those who wait if any was freed.
    fn change(&self, change: impl FnOnce(&mut Claims)) {
        let freed = {
            let mut claims = self.claims();
            change(&mut claims);
            claims.releases()
        };
        self.freed.send_if_modified(|known| std::mem::replace(known, freed) != freed);
    }
}

/// A session's place in the table; what it claimed is freed when it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    fetching: Arc<Fetching>,
    session: SessionId,
}

impl Seat {
    /// Takes up a session.
    pub(crate) fn new(fetching: &Arc<Fetching>) -> Self {
        let session = fetching.claims().open();
        Self { fetching: Arc::clone(fetching), session }
    }

    /// How often claims were freed: what was looked up before is stale once this has changed.
    pub(crate) fn freed(&self) -> u64 {
        self.fetching.claims().releases()
    }

    /// Claims what a release lacks; says whether its bodies may be asked for.
    pub(crate) fn claim(&self, pending: &mut Pending, held: &[bool]) -> bool {
        self.fetching.claims().claim(self.session, pending, held, now())
    }

    /// Frees of a claim what turned out to be held.
    pub(crate) fn narrow(&self, pending: &Pending, held: &[bool]) {
        self.fetching.change(|claims| claims.narrow(self.session, pending, held, now()));
    }

    /// Notes that bodies of an entry came.
    pub(crate) fn came(&self, index: u64, bodies: usize) {
        self.fetching.claims().came(self.session, index, bodies, now());
    }

    /// Frees the claim of an entry that does not come.
    pub(crate) fn give_up(&self, index: u64) {
        self.fetching.change(|claims| claims.give_up(self.session, index));
    }

    /// Frees the claims of entries whose bodies are all durable.
    pub(crate) fn settle(&self, indexes: impl IntoIterator<Item = u64>) {
        let now = now();
        let settle =
            |claims: &mut Claims| indexes.into_iter().for_each(|index| claims.settle(self.session, index, now));
        self.fetching.change(settle);
    }

    /// Notes a release that the session has brought; says what becomes of its place in the origin's tree.
    pub(crate) fn arrived(&self, arrival: Arrival) -> Option<Branch> {
        self.fetching.trees().arrived(self.session, arrival)
    }

    /// Claims a release that was offered lazily and has not come; says whether it may be asked for.
    pub(crate) fn claim_release(&self, release: Prefix) -> bool {
        self.fetching.trees().claim(self.session, release, now())
    }

    /// Those of the session that need not wait any longer.
    pub(crate) fn take_ready(&self, waiting: &mut Waiting) -> Vec<Pending> {
        waiting.take_ready(self.session, &self.fetching.claims(), now())
    }

    /// What changes whenever claims were freed.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.fetching.freed.subscribe()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.fetching.trees().close(self.session);
        self.fetching.change(|claims| claims.close(self.session));
    }
}

/// Returns when claims were freed, or may have expired.
pub(crate) async fn freed_or_expired(freed: &mut watch::Receiver<u64>) {
    let _ = tokio::time::timeout(REVIEW, freed.changed()).await;
}

fn now() -> Duration {
    clock::now().monotonic
}
