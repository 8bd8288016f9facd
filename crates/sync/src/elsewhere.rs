//! The releases of which a session asks for nothing yet, since the bodies are on their way from elsewhere.

use std::{collections::BTreeSet, time::Duration};

use crate::limits::LATER_INTERVAL;

/// Entries that wait, and when the peer last heard so.
#[derive(Debug, Default)]
pub(crate) struct Elsewhere {
    entries: BTreeSet<u64>,
    told: Duration,
}

impl Elsewhere {
    /// Notes that an entry waits.
    pub(crate) fn insert(&mut self, index: u64) {
        self.entries.insert(index);
    }

    /// Notes that an entry waits no more.
    pub(crate) fn remove(&mut self, index: u64) {
        self.entries.remove(&index);
    }

    /// An entry of which the peer is to be told that it waits, lest it takes us for dead.
    pub(crate) fn due(&mut self, now: Duration) -> Option<u64> {
        let first = self.entries.first().copied();
        if first.is_none() || now.saturating_sub(self.told) < LATER_INTERVAL {
            return None;
        }
        self.told = now;
        first
    }
}
