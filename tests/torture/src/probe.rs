//! The check of a store against the ledger: run as a child too, so that a store that hangs or aborts is a finding and
//! not the end of the run.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    io::Read,
    panic::{self, AssertUnwindSafe, catch_unwind},
    path::Path,
    process::{Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context;
use mithaq_core::{body::Body, id::ContentId, time::Time};
use mithaq_store::{Arrival, Batch, LogRow, Options, SledStore, Store, StoreError};
use serde::{Deserialize, Serialize};

use crate::{
    ledger::{Ledger, SeenRow},
    tally::Tally,
    work::{Place, Work, progress, progress_key},
    writer::Setup,
};

/// How long a check may take before the store counts as one that hangs.
const PROBE_WAIT: Duration = Duration::from_secs(120);

/// How many rows and keys are asked for at once.
const PAGE: usize = 300;

/// Of how many releases, evenly spread, a body is looked up in each way there is: such a search reads many bodies.
const LOOKED_UP: usize = 20;

/// Decompressed groups that the check keeps in memory.
const CACHE_BYTES: usize = 32 << 20;

/// How strict a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Everything must be there.
    Whole,
    /// Something was damaged: what is not there must be named, and must be taken again.
    Damaged,
    /// The same, and a repair has taken it out of the way: then it may be named as set aside.
    Repaired,
    /// The same, and that repair has named it, or was cut: then it need not be named again.
    Named,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Damaged => "damaged",
            Self::Repaired => "repaired",
            Self::Named => "named",
        }
    }
}

/// What a check found.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) tally: Tally,
    /// With what was open settled, and the rows that were seen.
    pub(crate) ledger: Ledger,
    /// Whether the store was opened at all.
    pub(crate) opened: bool,
}

/// Checks the store in a process of its own and brings the ledger up to date.
pub(crate) fn probe(dir: &Path, setup: Setup, ledger: &mut Ledger, mode: Mode) -> anyhow::Result<Tally> {
    let outcome = probe_apart(dir, setup, ledger, mode)?;
    *ledger = outcome.ledger;
    Ok(outcome.tally)
}

fn probe_apart(dir: &Path, setup: Setup, ledger: &Ledger, mode: Mode) -> anyhow::Result<Outcome> {
    let file = tempfile::NamedTempFile::new()?;
    fs::write(file.path(), serde_json::to_vec(ledger)?)?;
    let mut process = Command::new(env::current_exe()?)
        .args(["probe", "--setup", setup.name(), "--mode", mode.name()])
        .arg("--dir")
        .arg(dir)
        .arg("--ledger")
        .arg(file.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut output = process.stdout.take().context("the check's output")?;
    let reader = thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).map(|_| text)
    });
    let begun = Instant::now();
    while process.try_wait()?.is_none() {
        if begun.elapsed() > PROBE_WAIT {
            process.kill()?;
        }
        thread::sleep(Duration::from_millis(1));
    }
    let text = reader.join().unwrap_or_else(|_| Ok(String::new()))?;
    if let Ok(outcome) = serde_json::from_str(&text) {
        return Ok(outcome);
    }
    let mut tally = Tally::default();
    tally.would_not_open(format!("the check ended with {:?} after {:?}", process.wait()?, begun.elapsed()));
    Ok(Outcome { tally, ledger: ledger.clone(), opened: false })
}

/// Panics seen by any thread of this process.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

fn panics() -> Vec<String> {
    std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner))
}

/// The child's side: opens, checks, closes.
pub(crate) fn check(dir: &Path, setup: Setup, ledger: Ledger, mode: Mode) -> anyhow::Result<Outcome> {
    panic::set_hook(Box::new(|info| {
        let thread = thread::current().name().unwrap_or("?").to_owned();
        PANICS.lock().unwrap_or_else(PoisonError::into_inner).push(format!("thread {thread}: {info}"));
    }));
    let mut check = Check { tally: Tally::default(), ledger, mode, named: Vec::new(), dir: dir.to_owned() };
    let options = Options { group_cache_bytes: CACHE_BYTES, ..setup.options() };
    let opened = catch_unwind(AssertUnwindSafe(|| SledStore::open(dir, options)));
    // The store itself catches what its engine does while it opens.
    drop(panics());
    let store = match opened {
        Ok(Ok(store)) => store,
        Ok(Err(error)) => {
            check.tally.would_not_open(format!("{error:?}"));
            return Ok(check.outcome(false));
        }
        Err(_) => {
            check.tally.would_not_open("opening panicked");
            return Ok(check.outcome(false));
        }
    };
    let checked = catch_unwind(AssertUnwindSafe(|| check.all(&store)));
    let closed = catch_unwind(AssertUnwindSafe(|| drop(store)));
    for what in panics() {
        check.tally.panicked(what);
    }
    if let (Ok(checked), Ok(())) = (checked, closed) {
        checked?;
    }
    Ok(check.outcome(true))
}

struct Check {
    tally: Tally,
    ledger: Ledger,
    mode: Mode,
    /// What the store says is wrong with it.
    named: Vec<String>,
    dir: std::path::PathBuf,
}

/// What follows from the batches that are known to be committed.
#[derive(Default)]
struct Expected {
    /// Each with its arrival; the row is known from the ledger, if at all.
    arrivals: BTreeMap<String, Arrival>,
    /// Bodies of releases that may never have come.
    staged: Vec<Body>,
    state: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Check {
    fn outcome(mut self, opened: bool) -> Outcome {
        for what in std::mem::take(&mut self.ledger.contradictions) {
            self.tally.changed(what);
        }
        for what in std::mem::take(&mut self.ledger.complaints) {
            self.tally.lost(what);
        }
        self.tally.acked = std::mem::take(&mut self.ledger.acked);
        self.tally.compacted = std::mem::take(&mut self.ledger.compacted);
        self.tally.repairs = std::mem::take(&mut self.ledger.repaired);
        self.tally.refused = std::mem::take(&mut self.ledger.refused);
        Outcome { tally: self.tally, ledger: self.ledger, opened }
    }

    fn all(&mut self, store: &SledStore) -> anyhow::Result<()> {
        self.ledger.absorb(0, &format!("open {}", store.id()));
        self.named = store.problems().to_vec();
        self.settle(store)?;
        let expected = self.expected()?;
        let missing = self.arrivals(store, &expected) + self.rows(store, &expected) + self.state(store, &expected);
        self.verify(store);
        if self.mode != Mode::Whole {
            let is_torn = self.dir.join("packs/torn-tail.bin").exists();
            let is_named = self.mode == Mode::Named || !self.named.is_empty() || is_torn;
            if missing > 0 && !is_named {
                self.tally.lost += missing;
                self.tally.find(format!("{missing} records are not there, and nothing is named"));
            } else {
                self.tally.named += missing;
            }
            self.come_again(store, &expected);
        }
        Ok(())
    }

    /// Finds out what became of the batches that were on their way.
    fn settle(&mut self, store: &SledStore) -> anyhow::Result<()> {
        let mut wrong = Vec::new();
        for (run, threads) in &mut self.ledger.runs {
            for (thread, known) in threads.iter_mut().filter(|(_, known)| known.is_open) {
                known.is_open = false;
                let place = Place { run: *run, thread: *thread, number: known.done };
                let found = store.state(&progress_key(place));
                match found {
                    Ok(Some(value)) if value == progress(known.done) => known.done += 1,
                    Ok(_) if self.mode != Mode::Whole => {}
                    Ok(value) if value == known.done.checked_sub(1).map(progress) => {}
                    found => wrong.push(format!("{place:?} was the next to come, and the store is at {found:?}")),
                }
            }
        }
        for what in wrong {
            self.tally.lost(what);
        }
        Ok(())
    }

    fn expected(&self) -> anyhow::Result<Expected> {
        let mut expected = Expected::default();
        for (run, threads) in &self.ledger.runs {
            for (thread, known) in threads {
                for number in 0..known.done {
                    let place = Place { run: *run, thread: *thread, number };
                    let work = Work::of(self.ledger.seed, place)?;
                    for arrival in work.arrivals {
                        expected.arrivals.insert(arrival.release.id().to_string(), arrival);
                    }
                    expected.staged.extend(work.staged);
                    for (key, value) in work.state {
                        match value {
                            Some(value) => expected.state.insert(key, value),
                            None => expected.state.remove(&key),
                        };
                    }
                    expected.state.insert(progress_key(place), progress(number));
                }
            }
        }
        Ok(expected)
    }

    /// Notes that something is not there, or cannot be read.
    fn missing(&mut self, what: impl FnOnce() -> String) -> u64 {
        if self.mode == Mode::Whole {
            self.tally.lost(what());
        }
        1
    }

    /// What a failed read means.
    fn failed(&mut self, what: &str, error: &StoreError) -> u64 {
        if matches!(error, StoreError::Corrupt { .. }) {
            self.named.push(error.to_string());
        }
        self.missing(|| format!("{what}: {error:?}"))
    }

    fn arrivals(&mut self, store: &SledStore, expected: &Expected) -> u64 {
        let mut missing = 0;
        let step = expected.arrivals.len().div_ceil(LOOKED_UP).max(1);
        for (position, (id, arrival)) in expected.arrivals.iter().enumerate() {
            missing += match store.release(arrival.release.id()) {
                Ok(Some((seq, found))) => {
                    if found != *arrival.release.signed() {
                        self.tally.served_damaged(format!("release {id}"));
                    }
                    self.ledger.note_row(seq, SeenRow { release: id.clone(), added_at: None });
                    0
                }
                Ok(None) => self.missing(|| format!("release {id} is not there")),
                Err(error) => self.failed(&format!("release {id}"), &error),
            };
            if !are_served(store, &arrival.bodies) {
                missing += arrival.bodies.iter().map(|body| self.body(store, body)).sum::<u64>();
            }
            if position % step == 0 {
                missing += self.lookups(store, &arrival.bodies[0]);
            }
        }
        for staged in expected.staged.chunks(PAGE) {
            if !are_served(store, staged) {
                missing += staged.iter().map(|body| self.body(store, body)).sum::<u64>();
            }
        }
        missing
    }

    fn body(&mut self, store: &SledStore, body: &Body) -> u64 {
        let id = body.id();
        match store.bodies(&[id]) {
            Ok(found) => match &found[0] {
                Some(bytes) if bytes == body.bytes() => 0,
                Some(_) => {
                    self.tally.served_damaged(format!("body {id}"));
                    1
                }
                None => self.missing(|| format!("body {id} is not there")),
            },
            Err(error) => self.failed(&format!("body {id}"), &error),
        }
    }

    /// The other ways to a body.
    fn lookups(&mut self, store: &SledStore, body: &Body) -> u64 {
        let (id, facts) = (body.id(), body.facts());
        let rows = store.rows_of(id).map(|rows| !rows.is_empty());
        let versions = store.versions(&facts.stix_id).map(|found| found.iter().any(|version| version.content == id));
        let observed =
            facts.observables.first().map(|one| store.observed(one, usize::MAX).map(|ids| ids.contains(&id)));
        let mut missing = 0;
        for (what, found) in [("rows", Some(rows)), ("versions", Some(versions)), ("observables", observed)] {
            missing += match found {
                Some(Ok(false)) => self.missing(|| format!("{what} do not lead to body {id}")),
                Some(Err(error)) => self.failed(&format!("{what} of body {id}"), &error),
                Some(Ok(true)) | None => 0,
            };
        }
        missing
    }

    fn log(&mut self, store: &SledStore) -> Vec<LogRow> {
        let (mut after, mut rows) = (0, Vec::<LogRow>::new());
        loop {
            match store.log(after, PAGE) {
                Ok(page) => {
                    let Some(last) = page.last() else { return rows };
                    after = last.seq;
                    rows.extend(page);
                }
                Err(error) => {
                    self.failed("the log", &error);
                    return rows;
                }
            }
        }
    }

    /// The log: dense, in order, as it was seen before, and of nothing that nobody wrote.
    fn rows(&mut self, store: &SledStore, expected: &Expected) -> u64 {
        let rows = self.log(store);
        let mut missing = 0;
        for pair in rows.windows(2) {
            let (before, after) = (&pair[0], &pair[1]);
            if after.seq <= before.seq
                || after.added_at.as_micros() < before.added_at.as_micros() + i64::from(before.objects)
            {
                self.tally.changed(format!("row {} follows row {} out of order", after.seq, before.seq));
            }
        }
        for row in &rows {
            let release = row.release.to_string();
            if self.mode == Mode::Whole && !expected.arrivals.contains_key(&release) {
                self.tally.torn(format!("row {} is of release {release}, whose batch was not committed", row.seq));
            }
            self.ledger.note_row(row.seq, SeenRow { release, added_at: Some(row.added_at.as_micros()) });
        }
        let found: BTreeSet<u64> = rows.iter().map(|row| row.seq).collect();
        let known: Vec<u64> = self.ledger.rows.keys().copied().collect();
        for seq in known.iter().filter(|seq| !found.contains(seq)) {
            missing += self.missing(|| format!("row {seq} of the log is not there"));
        }
        if self.mode == Mode::Whole && rows.last().map_or(0, |row| row.seq) != rows.len() as u64 {
            self.tally.lost("the log is not dense");
        }
        missing
    }

    fn state(&mut self, store: &SledStore, expected: &Expected) -> u64 {
        let mut found = BTreeMap::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            match store.state_range(b"", after.as_deref(), PAGE) {
                Ok(page) if page.is_empty() => break,
                Ok(page) => {
                    after = page.last().map(|(key, _)| key.clone());
                    found.extend(page);
                }
                Err(error) => return self.failed("the state", &error),
            }
        }
        let mut missing = 0;
        for (key, value) in &expected.state {
            if found.remove(key).as_ref() != Some(value) {
                missing += self.missing(|| format!("state {} is not what it was", String::from_utf8_lossy(key)));
            }
        }
        for key in found.keys() {
            if self.mode == Mode::Whole {
                self.tally.torn(format!("state {} is of no committed batch", String::from_utf8_lossy(key)));
            } else {
                missing += 1;
            }
        }
        missing
    }

    fn verify(&mut self, store: &SledStore) {
        match store.verify() {
            Ok(report) => {
                let known =
                    if matches!(self.mode, Mode::Repaired | Mode::Named) { report.set_aside } else { Vec::new() };
                self.named.extend(report.problems.into_iter().chain(known));
            }
            Err(error) => self.named.push(error.to_string()),
        }
        let named: BTreeSet<String> = self.named.drain(..).filter(|what| !what.contains("was rebuilt")).collect();
        self.named = named.into_iter().collect();
        if self.mode == Mode::Whole {
            for what in std::mem::take(&mut self.named) {
                self.tally.lost(format!("the store finds damage: {what}"));
            }
        }
    }

    /// What was lost to damage comes again from a peer: all of it must be taken and served, and no row that a reader
    /// has seen may be another one now.
    fn come_again(&mut self, store: &SledStore, expected: &Expected) {
        for (id, arrival) in &expected.arrivals {
            let batch = Batch { arrivals: vec![arrival.clone()], ..Batch::default() };
            match store.commit(batch, Time::from_micros(0)) {
                Ok(places) => {
                    for place in places.iter().filter(|place| place.new) {
                        self.ledger.note_row(place.seq, SeenRow { release: id.clone(), added_at: None });
                    }
                }
                Err(error) => self.tally.lost(format!("release {id} is not taken again: {error:?}")),
            }
        }
        for (id, arrival) in &expected.arrivals {
            if !are_served(store, &arrival.bodies) {
                self.tally.lost(format!("release {id} came again, and its bodies are not served"));
            }
            if !matches!(store.release(arrival.release.id()), Ok(Some((_, found))) if found == *arrival.release.signed())
            {
                self.tally.lost(format!("release {id} came again, and is not served"));
            }
        }
    }
}

/// Whether all of these are served as they were committed.
fn are_served(store: &SledStore, bodies: &[Body]) -> bool {
    let ids: Vec<ContentId> = bodies.iter().map(Body::id).collect();
    let is_same = |(found, body): (&Option<Vec<u8>>, &Body)| found.as_deref() == Some(body.bytes());
    store.bodies(&ids).is_ok_and(|found| found.iter().zip(bodies).all(is_same))
}
