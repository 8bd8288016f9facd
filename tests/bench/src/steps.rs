//! What of a push's way takes how long, out of the lines that both daemons write when they tell the steps of releases.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context;
use mithaq_core::time::Time;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{machine, round};

/// The steps at the CERT that pushes, then those at its peer.
const STEPS: [(usize, &str); 7] =
    [(0, "signed"), (0, "stored"), (0, "disclosed"), (0, "loaded"), (1, "verified"), (1, "settled"), (1, "shown")];

/// A push that was timed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timed {
    /// When it began, in microseconds of the wall clock.
    pub(crate) pushed: i64,
    /// How long it was until its line was read.
    pub(crate) took: Duration,
}

impl Timed {
    pub(crate) fn seconds(&self) -> f64 {
        self.took.as_secs_f64()
    }

    fn read(&self) -> i64 {
        self.pushed.saturating_add(i64::try_from(self.took.as_micros()).unwrap_or(i64::MAX))
    }
}

#[derive(Deserialize)]
struct Line {
    timestamp: Time,
    step: String,
    release: String,
    objects: usize,
}

/// The legs of these pushes' way, in milliseconds; they were made one after the other, and each was of one object.
pub(crate) fn legs(logs: [&str; 2], runs: &[(&str, &[Timed])]) -> anyhow::Result<Value> {
    let lines: [Vec<Line>; 2] =
        logs.map(|log| log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect());
    let singles: Vec<&Line> = lines[0].iter().filter(|line| line.step == "signed" && line.objects == 1).collect();
    let mut seen: BTreeMap<(usize, &str, &str), i64> = BTreeMap::new();
    for (side, line) in lines.iter().enumerate().flat_map(|(side, lines)| lines.iter().map(move |line| (side, line))) {
        seen.entry((side, &line.step, &line.release)).or_insert(line.timestamp.as_micros());
    }
    let mut runs_legs = Map::new();
    for (name, pushes) in runs {
        let mut legs: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for push in *pushes {
            // A bulk may have releases of one object too: the push's is the one that was shown last when its line was
            // read.
            let shown = |line: &&&Line| seen.get(&(1, "shown", line.release.as_str())).copied();
            let is_within = |line: &&&Line| line.timestamp.as_micros() >= push.pushed;
            let is_read = |line: &&&Line| shown(line).is_some_and(|at| at <= push.read());
            let single = singles.iter().filter(is_within).filter(is_read).max_by_key(shown);
            let release = &single.context("a push is not in the log")?.release;
            let mut before = push.pushed;
            for (side, step) in STEPS {
                let Some(at) = seen.get(&(side, step, release)) else { continue };
                legs.entry(step).or_default().push(seconds(before, *at));
                before = *at;
            }
            legs.entry("read").or_default().push(seconds(before, push.read()));
        }
        runs_legs.insert((*name).to_owned(), table(legs));
    }
    Ok(Value::Object(runs_legs))
}

#[allow(clippy::cast_precision_loss)] // A push takes far less than 2^52 microseconds.
fn seconds(from: i64, to: i64) -> f64 {
    (to - from) as f64 / 1e6
}

/// The middle, the 99th percentile and the mean of each leg.
fn table(legs: BTreeMap<&str, Vec<f64>>) -> Value {
    let row = |(step, mut seconds): (&str, Vec<f64>)| {
        seconds.sort_by(f64::total_cmp);
        let mean = seconds.iter().sum::<f64>() / crate::count(seconds.len());
        let figures = [machine::percentile(&seconds, 50), machine::percentile(&seconds, 99), mean];
        (step.to_owned(), json!(figures.map(|seconds| round(seconds * 1e3))))
    };
    legs.into_iter().map(row).collect::<Map<_, _>>().into()
}
