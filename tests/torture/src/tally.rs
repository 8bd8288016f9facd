//! What is counted.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// How many findings are told in full.
const FINDINGS_MAX: usize = 20;

/// What a part, or a check, came to. From `lost` on all must stay 0.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) rounds: u64,
    /// Commits that were acknowledged.
    pub(crate) acked: u64,
    /// Commits that the store refused, which shows that a full or failing disk was met.
    pub(crate) refused: u64,
    /// Segments that were written anew while the writer wrote.
    #[serde(default)]
    pub(crate) compacted: u64,
    /// Backups that were restored and compared.
    #[serde(default)]
    pub(crate) backups: u64,
    /// Repairs that came to their end while the writer wrote, and repairs that were killed.
    #[serde(default)]
    pub(crate) repairs: u64,
    /// Records that a flipped bit has cost, each of them named by the store.
    pub(crate) named: u64,
    /// Acknowledged records that are neither there nor named.
    pub(crate) lost: u64,
    /// Batches of which only a part is there, or what nobody wrote.
    pub(crate) torn: u64,
    /// Bytes that are not those that were committed.
    pub(crate) served_damaged: u64,
    /// Rows of the log, or the store's id, that are not what they were.
    pub(crate) changed: u64,
    pub(crate) would_not_open: u64,
    pub(crate) panics: u64,
    /// The first findings, a sentence each.
    pub(crate) findings: Vec<String>,
}

impl Tally {
    pub(crate) fn is_ok(&self) -> bool {
        [self.lost, self.torn, self.served_damaged, self.changed, self.would_not_open, self.panics] == [0; 6]
    }

    pub(crate) fn find(&mut self, what: impl Into<String>) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(what.into());
        }
    }

    pub(crate) fn lost(&mut self, what: impl Into<String>) {
        self.lost += 1;
        self.find(what);
    }

    pub(crate) fn torn(&mut self, what: impl Into<String>) {
        self.torn += 1;
        self.find(what);
    }

    pub(crate) fn served_damaged(&mut self, what: impl Into<String>) {
        self.served_damaged += 1;
        self.find(what);
    }

    pub(crate) fn changed(&mut self, what: impl Into<String>) {
        self.changed += 1;
        self.find(what);
    }

    pub(crate) fn would_not_open(&mut self, what: impl Into<String>) {
        self.would_not_open += 1;
        self.find(what);
    }

    pub(crate) fn panicked(&mut self, what: impl Into<String>) {
        self.panics += 1;
        self.find(what);
    }
}

impl AddAssign<Self> for Tally {
    fn add_assign(&mut self, other: Self) {
        self.rounds += other.rounds;
        self.acked += other.acked;
        self.refused += other.refused;
        self.compacted += other.compacted;
        self.backups += other.backups;
        self.repairs += other.repairs;
        self.named += other.named;
        self.lost += other.lost;
        self.torn += other.torn;
        self.served_damaged += other.served_damaged;
        self.changed += other.changed;
        self.would_not_open += other.would_not_open;
        self.panics += other.panics;
        for finding in other.findings {
            self.find(finding);
        }
    }
}
