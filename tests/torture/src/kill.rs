//! SIGKILL at random moments: while commits run, while the store opens or recovers, when a segment has just been
//! begun, while it is closed.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use crate::{
    backup,
    child::{Start, Writer},
    keeper::Upkeep,
    ledger::Ledger,
    probe::{Mode, probe},
    rng::Rng,
    tally::Tally,
    writer::Setup,
};

/// How many rounds one store lives through.
const ROUNDS_PER_STORE: u32 = 25;

/// When the writer is struck.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    /// Some microseconds after it began to open the store.
    Opening(u64),
    /// Some microseconds after it was started.
    Any(u64),
    /// After some acknowledgements.
    Acknowledged(u64),
    /// Some microseconds after a new segment has appeared.
    Rotation(u64),
    /// Some microseconds after a compaction has begun to write a segment anew.
    Compaction(u64),
    /// Some microseconds after it was told to close the store.
    Closing(u64),
}

impl Moment {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        match rng.below(12) {
            0 | 1 => Self::Opening(rng.below(6_000)),
            2 | 3 => Self::Any(rng.below(200_000)),
            4 | 5 => Self::Acknowledged(1 + rng.below(150)),
            6 | 7 => Self::Rotation(rng.pick(&[0, 0, 50, 200, 1_000])),
            8 | 9 => Self::Compaction(rng.pick(&[0, 0, 100, 300, 1_000, 3_000])),
            _ => Self::Closing(rng.below(20_000)),
        }
    }

    /// Whether it comes only while the store is compacted.
    pub(crate) fn needs_compaction(self) -> bool {
        matches!(self, Self::Compaction(_))
    }

    /// Waits until the moment has come.
    pub(crate) fn await_in(self, writer: &mut Writer, ledger: &mut Ledger, dir: &Path) {
        let pause = Duration::from_micros;
        match self {
            Self::Any(micros) => writer.run_for(ledger, pause(micros)),
            Self::Opening(micros) => {
                writer.wait_for(ledger, pause(5_000_000), |line| line == "opening");
                writer.run_for(ledger, pause(micros));
            }
            Self::Acknowledged(count) => {
                let mut left = count;
                writer.wait_for(ledger, pause(3_000_000), |line| {
                    left -= u64::from(line.starts_with("ack "));
                    left == 0
                });
            }
            Self::Rotation(micros) => {
                writer.wait_until_open(ledger);
                await_file(dir, false);
                thread::sleep(pause(micros));
            }
            Self::Compaction(micros) => {
                writer.wait_until_open(ledger);
                await_file(dir, true);
                thread::sleep(pause(micros));
            }
            Self::Closing(micros) => {
                writer.wait_until_open(ledger);
                writer.run_for(ledger, pause(micros * 4));
                writer.ask_to_close();
                writer.wait_for(ledger, pause(1_000_000), |line| line == "closing");
                writer.run_for(ledger, pause(micros));
            }
        }
    }
}

/// Waits until there is one file of packs more, for half a second at most: an unfinished one, or any.
fn await_file(dir: &Path, unfinished: bool) {
    let is_meant = |path: PathBuf| !unfinished || path.extension().is_some_and(|extension| extension == "new");
    let count = || {
        let entries = fs::read_dir(dir.join("packs")).into_iter().flatten().flatten();
        entries.filter(|entry| is_meant(entry.path())).count()
    };
    let (before, begun) = (count(), Instant::now());
    while count() <= before && begun.elapsed() < Duration::from_millis(500) {
        thread::yield_now();
    }
}

/// One store that is struck again and again.
struct Victim {
    dir: PathBuf,
    setup: Setup,
    ledger: Ledger,
}

/// Runs `rounds` rounds.
pub(crate) fn torture(base: &Path, seed: u64, rounds: u32) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut victim = None;
    for round in 0..rounds {
        let mut rng = Rng::of(seed, &[1, round.into()]);
        let is_last = round + 1 == rounds || (round + 1) % ROUNDS_PER_STORE == 0;
        let victim_now = victim.get_or_insert_with(|| Victim {
            dir: base.join(format!("kill-{round}")),
            setup: rng.pick(&Setup::ALL),
            ledger: Ledger::new(seed),
        });
        let found = strike(victim_now, round, &mut rng, is_last)?;
        let is_ok = found.is_ok();
        tally += found;
        tally.rounds += 1;
        if is_last || !is_ok {
            if is_ok {
                fs::remove_dir_all(&victim_now.dir)?;
                backup::remove_all(&victim_now.dir)?;
            }
            victim = None;
        }
    }
    Ok(tally)
}

fn strike(victim: &mut Victim, round: u32, rng: &mut Rng, is_last: bool) -> anyhow::Result<Tally> {
    let Victim { dir, setup, ledger } = victim;
    if rng.chance(15) {
        // Without an index, opening reads all packs.
        let _there_may_be_none = fs::remove_dir_all(dir.join("index"));
    }
    let moment = Moment::draw(rng);
    let compacts = moment.needs_compaction() || rng.chance(30);
    let upkeep = Upkeep { compacts, repairs: rng.chance(25), backs_up: rng.chance(40) };
    let start = Start { upkeep, ..Start::of(dir, *setup, ledger.seed, round) };
    let mut writer = Writer::start(start, ledger)?;
    moment.await_in(&mut writer, ledger, dir);
    let had_ended = writer.kill(ledger)?;
    let mut tally = backup::check(dir, *setup, ledger)?;
    if had_ended && !matches!(moment, Moment::Closing(_)) {
        tally.would_not_open(format!("round {round}: the writer ended by itself"));
    }
    // Sometimes the next writer finds what this one left, and not what a check has mended.
    if is_last || rng.chance(70) {
        tally += probe(dir, *setup, ledger, Mode::Whole)?;
    }
    for finding in &mut tally.findings {
        *finding = format!("kill, round {round}, {setup:?}, {moment:?}: {finding}");
    }
    Ok(tally)
}
