//! What the parent knows that a store must hold: every acknowledgement and every row that a reader has seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::backup::{Backup, Begun};

/// What one thread of one run has done.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// How many batches were acknowledged, or were found committed after a crash: those below this number.
    pub(crate) done: u32,
    /// Whether the next one may have been on its way when the writer ended.
    pub(crate) is_open: bool,
}

/// A row of the log as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SeenRow {
    pub(crate) release: String,
    /// Known only where a reader saw the row, not from an acknowledgement.
    pub(crate) added_at: Option<i64>,
}

/// Everything that is known of one store.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Ledger {
    pub(crate) seed: u64,
    pub(crate) store_id: Option<String>,
    pub(crate) rows: BTreeMap<u64, SeenRow>,
    /// By run, then by thread.
    pub(crate) runs: BTreeMap<u32, BTreeMap<u32, Progress>>,
    /// How many commits were acknowledged.
    pub(crate) acked: u64,
    /// How many commits the store refused.
    pub(crate) refused: u64,
    /// How many segments were written anew.
    pub(crate) compacted: u64,
    /// How many repairs came to their end.
    #[serde(default)]
    pub(crate) repaired: u64,
    /// What was known when the backup that is under way began.
    pub(crate) begun: Begun,
    /// The last backup that was taken.
    pub(crate) backup: Option<Backup>,
    /// What contradicts what was known before, a sentence each.
    pub(crate) contradictions: Vec<String>,
    /// What a writer itself found to be wrong while it ran.
    pub(crate) complaints: Vec<String>,
}

impl Ledger {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// A run begins: from now on each of its threads may have a batch on its way.
    pub(crate) fn begin(&mut self, run: u32, threads: u32) {
        let progress = Progress { done: 0, is_open: true };
        self.runs.insert(run, (0..threads).map(|thread| (thread, progress.clone())).collect());
    }

    /// Takes in a line that a writer printed.
    pub(crate) fn absorb(&mut self, run: u32, line: &str) {
        let mut words = line.split(' ');
        match words.next() {
            Some("ack") => self.acknowledged(run, words),
            Some("refused") => self.refused += 1,
            Some("row") => self.seen(words),
            Some("open") => self.opened(words.next().unwrap_or_default()),
            Some("compacted") => self.compacted += 1,
            Some("repaired") => self.repaired += 1,
            Some("cutting") => self.begun = self.now(),
            Some("backed") => self.backup = Backup::said(words, std::mem::take(&mut self.begun)),
            Some("wrong") => self.complaints.push(line.to_owned()),
            _ => {}
        }
    }

    /// What is known to be in the store at this moment.
    fn now(&self) -> Begun {
        let row = self.rows.last_key_value().map_or(0, |(row, _)| *row);
        let threads = self.runs.iter().flat_map(|(run, threads)| threads.iter().map(move |thread| (run, thread)));
        let done = threads.map(|(run, (thread, progress))| (*run, *thread, progress.done)).collect();
        Begun { row, done }
    }

    fn acknowledged<'a>(&mut self, run: u32, mut words: impl Iterator<Item = &'a str>) {
        let mut number = || words.next()?.parse::<u32>().ok();
        let (Some(thread), Some(number)) = (number(), number()) else { return };
        self.acked += 1;
        let progress = self.runs.entry(run).or_default().entry(thread).or_default();
        if progress.done != number {
            let what = format!("thread {thread} of run {run} had batch {number} taken after {}", progress.done);
            self.contradictions.push(what);
        }
        progress.done = number + 1;
        for place in words {
            let Some((seq, release)) = place.split_once(':') else { continue };
            self.see(seq, SeenRow { release: release.to_owned(), added_at: None });
        }
    }

    fn seen<'a>(&mut self, mut words: impl Iterator<Item = &'a str>) {
        let (Some(seq), Some(release), Some(added_at)) = (words.next(), words.next(), words.next()) else { return };
        self.see(seq, SeenRow { release: release.to_owned(), added_at: added_at.parse().ok() });
    }

    fn see(&mut self, seq: &str, row: SeenRow) {
        let Ok(seq) = seq.parse() else { return };
        self.note_row(seq, row);
    }

    /// Notes a row; it must be what it was before.
    pub(crate) fn note_row(&mut self, seq: u64, row: SeenRow) {
        let known = self.rows.entry(seq).or_insert_with(|| row.clone());
        let is_same_time = known.added_at.is_none() || row.added_at.is_none() || known.added_at == row.added_at;
        if known.release != row.release || !is_same_time {
            self.contradictions.push(format!("row {seq} was {known:?} and is {row:?}"));
        }
        known.added_at = known.added_at.or(row.added_at);
    }

    fn opened(&mut self, id: &str) {
        let known = self.store_id.get_or_insert_with(|| id.to_owned());
        if known != id {
            self.contradictions.push(format!("the store was {known} and is {id}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acknowledgements_and_rows_that_contradict_each_other_are_told() {
        let mut ledger = Ledger::new(1);
        ledger.begin(3, 1);
        for line in ["open aa", "ack 0 0 1:r1", "row 1 r1 50", "ack 0 1", "row 1 r1 50", "opening"] {
            ledger.absorb(3, line);
        }
        assert_eq!((ledger.acked, ledger.runs[&3][&0].done, ledger.contradictions.len()), (2, 2, 0));
        for line in ["row 1 r2 50", "row 1 r1 51", "ack 0 7", "open bb"] {
            ledger.absorb(3, line);
        }
        assert_eq!(ledger.contradictions.len(), 4, "{:?}", ledger.contradictions);
    }
}
