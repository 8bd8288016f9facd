//! The child's care of its store, while its other threads write: compactions one after the other, and backups.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use anyhow::Context;
use mithaq_store::{Care, SledStore, StoreError};

use crate::{backup, mend, writer::say};

/// How long lies between two rounds of care.
const PAUSE: Duration = Duration::from_millis(15);

/// What is done for the store while it is written to.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct Upkeep {
    /// Compact it again and again
    #[arg(long)]
    pub(crate) compacts: bool,
    /// Repair it, though nothing is wrong with it
    #[arg(long)]
    pub(crate) repairs: bool,
    /// Take backups of it
    #[arg(long)]
    pub(crate) backs_up: bool,
}

/// Looks after the store until it is told to stop.
pub(crate) fn keep(store: &SledStore, dir: &Path, run: u32, upkeep: Upkeep, stop: &AtomicBool) {
    for number in 0.. {
        if stop.load(Relaxed) || !(upkeep.compacts || upkeep.repairs || upkeep.backs_up) {
            return;
        }
        if upkeep.compacts {
            compact(store);
        }
        if upkeep.repairs {
            repair(store);
        }
        if upkeep.backs_up
            && let Err(error) = back_up(store, dir, run, number)
        {
            say(&format!("wrong the backup failed: {error:#}"));
        }
        thread::sleep(PAUSE);
    }
}

fn compact(store: &SledStore) {
    match store.compact(0) {
        Ok(done) => {
            for left in done.left {
                say(&format!("wrong a compaction left a segment: {left}"));
            }
            (0..done.rewritten).for_each(|_| say("compacted"));
        }
        Err(StoreError::Full) => {}
        Err(error) => say(&format!("wrong the compaction failed: {error}")),
    }
}

/// What is whole must stay as it is, and nothing of it be called damaged.
fn repair(store: &SledStore) {
    match store.repair(mend::now()) {
        Ok(repaired) => {
            for problem in &repaired.report.problems {
                say(&format!("wrong a repair of a whole store found: {problem}"));
            }
            say("repaired");
        }
        Err(StoreError::Full) => {}
        Err(error) => say(&format!("wrong the repair failed: {error}")),
    }
}

/// Copies the store up to one moment, as `mithaq backup` does; the copy before goes once this one is whole.
fn back_up(store: &SledStore, dir: &Path, run: u32, number: u32) -> anyhow::Result<()> {
    say("cutting");
    let cut = store.cut()?;
    let unfinished = backup::folder(dir, "unfinished");
    let _there_may_be_none = fs::remove_dir_all(&unfinished);
    fs::create_dir_all(unfinished.join("packs"))?;
    for segment in &cut.segments {
        let file = File::open(dir.join("packs").join(&segment.file)).context("a segment of the cut")?;
        if file.metadata()?.ino() != segment.inode {
            // It was written anew since: the next cut names that one.
            return Ok(());
        }
        let mut copy = File::create(unfinished.join("packs").join(&segment.file))?;
        io::copy(&mut file.take(segment.bytes), &mut copy)?;
    }
    let name = format!("{run}-{number}");
    fs::rename(&unfinished, backup::folder(dir, &name))?;
    say(&format!("backed {name} {}", cut.head));
    for before in 0..number {
        let _there_may_be_none = fs::remove_dir_all(backup::folder(dir, &format!("{run}-{before}")));
    }
    Ok(())
}
