//! The store, without a daemon: what it takes, gives back and costs, beside a plain file and sled with a row for each object.
//!
//! First a store lives alone in this process, which tells what memory it takes; then others take turns with the yardsticks.

mod alone;
mod beside;
mod input;
mod yardstick;

use std::path::Path;

use serde_json::{Value, json};

use input::Spool;

/// The most objects that are stored in pushes of a hundred beside the yardsticks.
const HUNDREDS_MAX: usize = 100_000;

/// Measures the store; releases are signed while no clock runs.
pub(crate) fn measure(input: Option<&Path>, limit: usize) -> anyhow::Result<Value> {
    let dir = tempfile::tempdir()?;
    let spool = Spool::fill(dir.path(), input, limit)?;
    let alone = alone::measure(dir.path(), &spool)?;
    let singles = in_folder(dir.path(), |dir| beside::singles(dir, &spool))?;
    let hundreds = in_folder(dir.path(), |dir| beside::pushes(dir, &spool, spool.len().min(HUNDREDS_MAX), 100))?;
    let thousands = in_folder(dir.path(), |dir| beside::pushes(dir, &spool, spool.len(), 1_000))?;
    let targets = targets(&alone, &singles, &thousands);
    Ok(json!({
        "alone": alone,
        "singles": singles,
        "pushes_of_100": hundreds,
        "pushes_of_1000": thousands,
        "targets": targets,
    }))
}

/// Does it in a folder that is gone afterwards, so that no more than one run needs the disk.
fn in_folder(dir: &Path, measure: impl FnOnce(&Path) -> anyhow::Result<Value>) -> anyhow::Result<Value> {
    measure(tempfile::tempdir_in(dir)?.path())
}

/// What the store is to reach, and what it did; times and memory are meant for a million objects.
fn targets(alone: &Value, singles: &Value, thousands: &Value) -> Value {
    let at_least = |figure: &Value, target: f64| judge(figure, "at_least", target, |figure| figure >= target);
    let at_most = |figure: &Value, target: f64| judge(figure, "at_most", target, |figure| figure <= target);
    json!({
        "thousands_to_bare_sled": at_least(&thousands["all"]["to_bare_sled"], 4.0),
        "thousands_to_bare_sled_last_tenth": at_least(&thousands["last_tenth"]["to_bare_sled"], 4.0),
        "disk_bytes_per_object": at_most(&alone["disk"]["bytes_per_object"], 200.0),
        "duplicates_per_s": at_least(&alone["duplicates_same_releases_per_s"], 300_000.0),
        "duplicates_other_releases_per_s": at_least(&alone["duplicates_other_releases_per_s"], 300_000.0),
        "singles_share_of_fdatasync_rate": at_least(&singles["share_of_fdatasync_rate"], 0.6),
        "open_s": at_most(&alone["opening"]["open_s"], 1.0),
        "rebuild_s": at_most(&alone["opening"]["rebuild_s"], 30.0),
        "rss_mb": at_most(&alone["rss_mb"], 300.0),
    })
}

fn judge(figure: &Value, bound: &str, target: f64, is_met: impl Fn(f64) -> bool) -> Value {
    json!({"is": figure, bound: target, "met": figure.as_f64().is_some_and(is_met)})
}
