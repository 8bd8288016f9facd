//! The child that is killed: it drives the real engine from several threads and says what was acknowledged only after
//! `commit` has returned.

use std::{
    io::{self, Read, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use mithaq_core::{body::Body, id::ContentId, time::Time};
use mithaq_store::{Disk, Options, SledStore, Store, StoreError, SystemDisk};

use crate::{
    faults::FailingDisk,
    keeper::{self, Upkeep},
    work::{Place, Work, progress, progress_key},
};

/// How long a thread waits before it tries again what the disk refused.
const RETRY_PAUSE: Duration = Duration::from_millis(1);

/// How often the reader looks for new rows.
const READ_PAUSE: Duration = Duration::from_millis(1);

/// How a store is set up, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Setup {
    /// Segments rotate and the index is written and merged every few commits.
    Tiny,
    /// Now and then.
    Small,
    /// The index is written only when the store is closed.
    Lazy,
    /// As tiny, with a low-water mark of 2 MiB.
    Watermark,
}

impl Setup {
    pub(crate) const ALL: [Self; 3] = [Self::Tiny, Self::Small, Self::Lazy];

    pub(crate) fn options(self) -> Options {
        let (segment_kb, postings) = match self {
            Self::Tiny | Self::Watermark => (24, 60),
            Self::Small => (64, 1_000),
            Self::Lazy => (192, 1_000_000),
        };
        Options {
            segment_bytes: segment_kb * 1024,
            index_postings_max: postings,
            index_state_bytes_max: if self == Self::Lazy { 4 << 20 } else { 8 << 10 },
            group_cache_bytes: 64 << 10,
            index_cache_bytes: 2 << 20,
            free_bytes_min: if self == Self::Watermark { 2 << 20 } else { 0 },
            ..Options::default()
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tiny => "tiny",
            Self::Small => "small",
            Self::Lazy => "lazy",
            Self::Watermark => "watermark",
        }
    }
}

/// What a writer writes.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Load {
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    run: u32,
    #[arg(long)]
    threads: u32,
    #[arg(long, default_value_t = u32::MAX)]
    batches: u32,
}

/// Prints a line with one write, which a pipe takes whole or not at all.
pub(crate) fn say(line: &str) {
    // The parent may be gone: then nobody wants to know.
    let _gone = io::stdout().lock().write_all(format!("{line}\n").as_bytes());
}

fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Opens the store, and writes until standard input ends or each thread has written `batches`.
pub(crate) fn write(dir: &Path, setup: Setup, load: Load, faults: bool, upkeep: Upkeep) -> anyhow::Result<()> {
    say("opening");
    let Load { seed, run, threads, batches } = load;
    let disk: Arc<dyn Disk> = if faults { Arc::new(FailingDisk::new(seed, run)) } else { Arc::new(SystemDisk) };
    let store = SledStore::open_on(dir, setup.options(), disk).context("the store would not open")?;
    say(&format!("open {}", store.id()));
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let writers: Vec<_> = (0..threads)
            .map(|thread| {
                let place = Place { run, thread, number: 0 };
                let (store, stop) = (&store, &stop);
                scope.spawn(move || write_as(store, seed, place, batches, stop))
            })
            .collect();
        let reader = scope.spawn(|| read(&store, &stop));
        let keeper = scope.spawn(|| keeper::keep(&store, dir, run, upkeep, &stop));
        if batches == u32::MAX {
            // Whatever comes, or that nothing comes any more, ends the run.
            let _ended = io::stdin().read(&mut [0]);
            stop.store(true, Relaxed);
        }
        for writer in writers {
            if let Err(error) = writer.join().unwrap_or_else(|_| Err(anyhow::anyhow!("a writer panicked"))) {
                say(&format!("wrong {error:#}"));
            }
        }
        stop.store(true, Relaxed);
        drop((reader.join(), keeper.join()));
    });
    say("closing");
    drop(store);
    say("closed");
    Ok(())
}

fn write_as(store: &SledStore, seed: u64, mut place: Place, batches: u32, stop: &AtomicBool) -> anyhow::Result<()> {
    while place.number < batches && !stop.load(Relaxed) {
        let work = Work::of(seed, place)?;
        let Place { thread, number, .. } = place;
        match store.commit(work.batch(|body| is_held(store, body)), now()) {
            Ok(committed) => {
                let places = work.arrivals.iter().zip(committed);
                let places: String =
                    places.map(|(arrival, at)| format!(" {}:{}", at.seq, arrival.release.id())).collect();
                say(&format!("ack {thread} {number}{places}"));
                place.number += 1;
            }
            // An outcome that was unknown has turned out to be good.
            Err(StoreError::Conflict { .. }) if is_done(store, place) => {
                say(&format!("ack {thread} {number}"));
                place.number += 1;
            }
            Err(error) => {
                say(&format!("refused {thread} {number} {}", name_of(&error)));
                thread::sleep(RETRY_PAUSE);
            }
        }
    }
    Ok(())
}

fn is_held(store: &SledStore, body: &Body) -> bool {
    store.has_bodies(&[body.id()]).is_ok_and(|held| held[0])
}

fn is_done(store: &SledStore, place: Place) -> bool {
    store.state(&progress_key(place)).is_ok_and(|found| found == Some(progress(place.number)))
}

fn name_of(error: &StoreError) -> &'static str {
    match error {
        StoreError::Full => "full",
        StoreError::Busy => "busy",
        StoreError::OutcomeUnknown(_) => "unknown",
        StoreError::Io { .. } => "io",
        StoreError::Index { .. } => "index",
        StoreError::Conflict { .. } => "conflict",
        StoreError::Misuse { .. } => "misuse",
        _ => "other",
    }
}

/// Follows the log as a SIEM does, and says what it saw: none of it may ever change.
fn read(store: &SledStore, stop: &AtomicBool) {
    let mut after = store.head().saturating_sub(50);
    while !stop.load(Relaxed) {
        let rows = store.log(after, 50).unwrap_or_default();
        for row in rows {
            if row.seq <= after {
                say(&format!("wrong row {} came after row {after}", row.seq));
            }
            after = row.seq;
            say(&format!("row {} {} {}", row.seq, row.release, row.added_at.as_micros()));
            if let Ok(Some((_, release))) = store.release(row.release) {
                look_at(store, &release.contents);
            }
        }
        thread::sleep(READ_PAUSE);
    }
}

fn look_at(store: &SledStore, contents: &[ContentId]) {
    let Ok(bodies) = store.bodies(contents) else { return };
    for (content, body) in contents.iter().zip(bodies) {
        match body {
            Some(body) if ContentId::of(&body) == *content => {}
            Some(_) => say(&format!("wrong {content} was served damaged")),
            None => say(&format!("wrong {content} of a committed release is not there")),
        }
    }
}
