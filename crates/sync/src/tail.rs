//! The tail of our journal: what is fresh and need not wait goes out at once, although older entries wait to be read.
//!
//! The journal is read in order and no further than the sink's window, so that a backlog would hold up an alert that
//! stands behind it. The tail is read beside it, from what was not there when the session began; whoever reads it
//! leaves out what is large or a part of a bulk. What went ahead is passed over when the journal's reader comes to it.

use std::collections::BTreeSet;

use mithaq_core::id::ReleaseId;

use crate::limits::{EAGER_OPEN_MAX, OFFER_IDS_MAX};

/// An entry of the journal's tail that need not wait for older ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prompt {
    /// The entry's number.
    pub index: u64,
    /// Its release.
    pub id: ReleaseId,
    /// Whether it takes something back.
    pub urgent: bool,
}

/// How far the tail was read, and what of it went ahead.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// The next entry to look at.
    next: u64,
    reading: bool,
    /// Entries that went ahead and that the journal's reader has not come to.
    ahead: BTreeSet<u64>,
    /// Those, and those that it has come to, that the peer has not settled.
    open: BTreeSet<u64>,
    /// How many entries the peer takes beyond its window.
    ahead_max: usize,
}

impl Tail {
    /// Takes the limit that the peer told.
    pub(crate) fn set_limit(&mut self, ahead_max: usize) {
        self.ahead_max = ahead_max;
    }

    /// The journal's reader, or the journal's end as the session begins, stands before entry `next`.
    pub(crate) fn advance(&mut self, next: u64) {
        self.next = self.next.max(next);
    }

    /// The next entry to look at.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// How many more entries may go ahead.
    pub(crate) fn room(&self) -> usize {
        let unsettled = EAGER_OPEN_MAX.saturating_sub(self.open.len());
        unsettled.min(self.ahead_max.saturating_sub(self.ahead.len()))
    }

    /// The entry after which to read, if there is anything to read up to `head`: the newest [`OFFER_IDS_MAX`], if it is
    /// more; the journal's reader comes to the others in time.
    pub(crate) fn begin(&mut self, head: u64) -> Option<u64> {
        if self.reading || self.next == 0 || self.next > head || self.room() == 0 {
            return None;
        }
        self.reading = true;
        Some(head.saturating_sub(OFFER_IDS_MAX as u64).max(self.next - 1))
    }

    /// The entries up to `through` were looked at. Gives those that go ahead, of which the journal's reader, before entry
    /// `next`, knows none: of more than may go, first what takes something back, then the newest.
    pub(crate) fn take(&mut self, through: u64, mut entries: Vec<Prompt>, next: u64) -> Vec<Prompt> {
        if !std::mem::take(&mut self.reading) {
            return Vec::new();
        }
        let mut taken = Vec::new();
        entries.sort_unstable_by_key(|entry| (entry.urgent, entry.index));
        for entry in entries.into_iter().rev() {
            if entry.index >= self.next.max(next) && self.room() > 0 {
                self.ahead.insert(entry.index);
                self.open.insert(entry.index);
                taken.push(entry);
            }
        }
        self.advance(through.saturating_add(1));
        taken
    }

    /// Whether an entry that the journal's reader has come to went ahead.
    pub(crate) fn pass(&mut self, index: u64) -> bool {
        self.ahead.remove(&index)
    }

    /// The peer is done with an entry.
    pub(crate) fn settle(&mut self, index: u64) {
        self.open.remove(&index);
    }

    /// Whether an entry up to `through` went ahead that the journal's reader has not come to.
    pub(crate) fn has_passed(&self, through: u64) -> bool {
        self.ahead.first().is_some_and(|first| *first <= through)
    }

    /// How many entries went ahead that the journal's reader has not come to.
    pub(crate) fn ahead(&self) -> u64 {
        self.ahead.len() as u64
    }
}
