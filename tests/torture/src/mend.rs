//! A repair that is killed, again and again: the next one goes on from what it left.

use std::{
    env,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use mithaq_core::time::Time;
use mithaq_store::{Care, SledStore};

use crate::{
    rng::Rng,
    writer::{Setup, say},
};

/// How often a repair is killed before one comes to its end.
const KILLS: usize = 3;

/// The child's side: opens the store and repairs it.
pub(crate) fn repair(dir: &Path, setup: Setup) -> anyhow::Result<()> {
    let store = SledStore::open(dir, setup.options()).context("the store would not open")?;
    say("repairing");
    store.repair(now())?;
    say("repaired");
    Ok(())
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// Starts repairs and kills them, then lets one come to its end; says how many were killed under way.
pub(crate) fn strike(dir: &Path, setup: Setup, rng: &mut Rng) -> anyhow::Result<u64> {
    let mut killed = 0;
    for _ in 0..KILLS {
        let wait = Duration::from_micros(rng.pick(&[0, 300, 1_000, 3_000, 10_000, 30_000]));
        killed += u64::from(!run(dir, setup, Some(wait))?);
    }
    run(dir, setup, None)?.then_some(killed).context("a repair did not come to its end")
}

/// Runs a repair, and kills it so long after it has begun; says whether it came to its end.
fn run(dir: &Path, setup: Setup, kill_after: Option<Duration>) -> anyhow::Result<bool> {
    let mut command = Command::new(env::current_exe().context("the path of this program")?);
    command.args(["repair", "--setup", setup.name(), "--dir"]).arg(dir);
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut lines = BufReader::new(process.stdout.take().context("the repair's output")?).lines().map_while(Result::ok);
    let has_begun = lines.next().is_some_and(|line| line == "repairing");
    if let Some(wait) = kill_after.filter(|_| has_begun) {
        thread::sleep(wait);
        process.kill()?;
    }
    let has_ended = lines.next().is_some_and(|line| line == "repaired");
    process.wait()?;
    has_begun.then_some(has_ended).context("the store would not open for a repair")
}
