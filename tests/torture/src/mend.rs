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

/// What a repair says at its end, and what it says if it has named damage.
const REPAIRED: &str = "repaired";
const NAMED: &str = "named";

/// How often a repair is killed before one comes to its end.
const KILLS: usize = 3;

/// The child's side: opens the store and repairs it.
pub(crate) fn repair(dir: &Path, setup: Setup) -> anyhow::Result<()> {
    let store = SledStore::open(dir, setup.options()).context("the store would not open")?;
    say("repairing");
    let named = !store.repair(now())?.report.problems.is_empty();
    say(if named { NAMED } else { REPAIRED });
    Ok(())
}

pub(crate) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// What became of repairs.
#[derive(Debug, Default)]
pub(crate) struct Struck {
    /// How many were killed under way. A daemon notes that it repairs, and asks for all that is not there if it was cut.
    pub(crate) killed: u64,
    /// Whether one has named damage: what it took out of the way altogether, no later one names.
    pub(crate) named: bool,
}

/// Starts repairs and kills them, then lets one come to its end.
pub(crate) fn strike(dir: &Path, setup: Setup, rng: &mut Rng) -> anyhow::Result<Struck> {
    let mut struck = Struck::default();
    for _ in 0..KILLS {
        let wait = Duration::from_micros(rng.pick(&[0, 300, 1_000, 3_000, 10_000, 30_000]));
        match run(dir, setup, Some(wait))? {
            Some(named) => struck.named |= named,
            None => struck.killed += 1,
        }
    }
    struck.named |= run(dir, setup, None)?.context("a repair did not come to its end")?;
    Ok(struck)
}

/// Runs a repair, and kills it so long after it has begun; says whether it has named damage, if it came to its end.
fn run(dir: &Path, setup: Setup, kill_after: Option<Duration>) -> anyhow::Result<Option<bool>> {
    let mut command = Command::new(env::current_exe().context("the path of this program")?);
    command.args(["repair", "--setup", setup.name(), "--dir"]).arg(dir);
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut lines = BufReader::new(process.stdout.take().context("the repair's output")?).lines().map_while(Result::ok);
    let has_begun = lines.next().is_some_and(|line| line == "repairing");
    if let Some(wait) = kill_after.filter(|_| has_begun) {
        thread::sleep(wait);
        process.kill()?;
    }
    let end = lines.next();
    process.wait()?;
    let named = end.filter(|line| line == REPAIRED || line == NAMED).map(|line| line == NAMED);
    has_begun.then_some(named).context("the store would not open for a repair")
}
