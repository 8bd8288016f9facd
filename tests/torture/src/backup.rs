//! The last backup that a writer had taken when it was struck: it must hold all that was acknowledged before it was cut,
//! and nothing that was never written.

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use mithaq_store::{SledStore, Store, adopt};
use serde::{Deserialize, Serialize};

use crate::{
    ledger::Ledger,
    tally::Tally,
    work::{Place, progress_key},
    writer::Setup,
};

/// How many rows are read at a time.
const PAGE: usize = 300;

/// What was known when a backup began.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Begun {
    /// The newest row.
    pub(crate) row: u64,
    /// Run, thread, and how many batches of it were acknowledged.
    pub(crate) done: Vec<(u32, u32, u32)>,
}

/// A backup that was taken.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Backup {
    name: String,
    /// A row that is in it, as all rows before it are.
    head: u64,
    begun: Begun,
}

impl Backup {
    /// Reads what a writer said of it.
    pub(crate) fn said<'a>(mut words: impl Iterator<Item = &'a str>, begun: Begun) -> Option<Self> {
        Some(Self { name: words.next()?.to_owned(), head: words.next()?.parse().ok()?, begun })
    }
}

/// Where the backups of a store lie.
pub(crate) fn folder(store: &Path, name: &str) -> PathBuf {
    store.with_extension(format!("backup-{name}"))
}

/// Restores the last backup and compares it with what is known; nothing if there is none.
pub(crate) fn check(store: &Path, setup: Setup, ledger: &mut Ledger) -> anyhow::Result<Tally> {
    let Some(backup) = ledger.backup.take() else { return Ok(Tally::default()) };
    let dir = folder(store, &backup.name);
    let mut tally = Tally { backups: 1, ..Tally::default() };
    let compared = catch_unwind(AssertUnwindSafe(|| compare(&dir, setup, ledger, &backup, &mut tally)));
    match compared {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tally.would_not_open(format!("the backup of {}: {error:#}", backup.name)),
        Err(_) => tally.panicked(format!("the backup of {}", backup.name)),
    }
    if tally.is_ok() {
        remove_all(store)?;
    }
    Ok(tally)
}

/// Removes all backups of a store, the unfinished ones too.
pub(crate) fn remove_all(store: &Path) -> anyhow::Result<()> {
    let (Some(parent), Some(name)) = (store.parent(), store.file_name().and_then(|name| name.to_str())) else {
        return Ok(());
    };
    for entry in fs::read_dir(parent)?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&format!("{name}.backup-")) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

fn compare(dir: &Path, setup: Setup, ledger: &Ledger, backup: &Backup, tally: &mut Tally) -> anyhow::Result<()> {
    let adopted = adopt(dir)?;
    if adopted.was.map(|id| id.to_string()) != ledger.store_id {
        tally.changed(format!("the backup is of store {:?}", adopted.was));
    }
    let store = SledStore::open(dir, setup.options())?;
    for problem in store.verify()?.problems {
        tally.lost(format!("the backup is damaged: {problem}"));
    }
    rows(&store, ledger, backup, tally)?;
    for (run, thread, done) in &backup.begun.done {
        let key = progress_key(Place { run: *run, thread: *thread, number: 0 });
        let found = store.state(&key)?.and_then(|value| value.try_into().ok()).map(u32::from_be_bytes);
        if done.checked_sub(1).is_some_and(|last| found.is_none_or(|found| found < last)) {
            tally.lost(format!("thread {thread} of run {run} had {done} batches, the backup has it at {found:?}"));
        }
    }
    Ok(())
}

fn rows(store: &SledStore, ledger: &Ledger, backup: &Backup, tally: &mut Tally) -> anyhow::Result<()> {
    if backup.head < backup.begun.row {
        tally.lost(format!("row {} was there, and the backup ends with row {}", backup.begun.row, backup.head));
    }
    let mut found = BTreeMap::new();
    let mut after = 0;
    loop {
        let page = store.log(after, PAGE)?;
        let Some(last) = page.last() else { break };
        after = last.seq;
        found.extend(page.into_iter().map(|row| (row.seq, row.release.to_string())));
    }
    for (seq, row) in ledger.rows.range(..=backup.head) {
        match found.get(seq) {
            Some(release) if *release == row.release => {}
            Some(release) => tally.changed(format!("row {seq} is {release} in the backup, and was {row:?}")),
            None => tally.lost(format!("row {seq} is not in the backup that ends with row {}", backup.head)),
        }
    }
    Ok(())
}
