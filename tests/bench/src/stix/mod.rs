//! Reading, checking and hashing objects, on one core and without a daemon, beside the way by stock crates.
//!
//! Time is that of this thread on a processor, so that what else the machine does is not counted as ours; it still takes
//! its share of caches and memory. The works take turns, and what is compared is compared within a turn.

mod inputs;
mod works;

use std::{
    hint::black_box,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Serialize;
use serde_json::json;

use crate::{count, round};
use inputs::Input;
use works::{WORKS, Work, YARDSTICK};

/// How often each work is done: an odd number, so that there is a middle one.
const ROUNDS: usize = 7;

/// What was measured.
#[derive(Serialize)]
pub(crate) struct Figures {
    rounds: usize,
    /// The history of ATT&CK, if it was not there.
    absent: Option<PathBuf>,
    inputs: Vec<InputFigures>,
}

#[derive(Serialize)]
struct InputFigures {
    input: String,
    objects: usize,
    mb: f64,
    /// Objects whose canonical form has another hash by the stock crates, such as one with a number they round.
    other_hashes: usize,
    works: Vec<WorkFigures>,
}

/// The middle of all rounds.
#[derive(Serialize)]
struct WorkFigures {
    work: &'static str,
    does: &'static str,
    /// Objects that came to the end of the work: the others it refuses.
    taken: usize,
    objects_per_s: f64,
    mb_per_s: f64,
    us_per_object: f64,
    objects_per_s_best: f64,
    /// The slowest round's time more than the fastest one's, as a share of the middle one's.
    spread: f64,
    ratio_to_canonicalizer: f64,
}

/// Measures every work on the history of ATT&CK and on the given or generated objects.
pub(crate) fn measure(input: Option<&Path>, limit: usize, bundle: usize) -> anyhow::Result<Figures> {
    let mut figures = Figures { rounds: ROUNDS, absent: None, inputs: Vec::new() };
    match Input::history(limit, bundle)? {
        Ok(history) => figures.inputs.push(measure_input(&history)),
        Err(path) => figures.absent = Some(path),
    }
    figures.inputs.push(measure_input(&Input::objects(input, limit, bundle)?));
    Ok(figures)
}

fn measure_input(input: &Input) -> InputFigures {
    let mut taken = [0; WORKS.len()];
    let mut seconds: [Vec<f64>; WORKS.len()] = Default::default();
    for _ in 0..ROUNDS {
        for (at, work) in WORKS.iter().enumerate() {
            let started = thread_time();
            taken[at] = black_box(input.bundles_for(work)).iter().map(|text| (work.run)(text)).sum();
            seconds[at].push((thread_time() - started).as_secs_f64());
        }
    }
    let yardstick = WORKS.iter().position(|work| work.name == YARDSTICK).map_or(&[][..], |at| &seconds[at]);
    let figures = |(at, work): (usize, &Work)| work_figures(work, input, taken[at], &seconds[at], yardstick);
    InputFigures {
        input: input.name.clone(),
        objects: input.objects,
        mb: round(count(input.bytes_for(&WORKS[0])) / 1e6),
        other_hashes: input.other_hashes(),
        works: WORKS.iter().enumerate().map(figures).collect(),
    }
}

fn work_figures(work: &Work, input: &Input, taken: usize, seconds: &[f64], yardstick: &[f64]) -> WorkFigures {
    let mut sorted = seconds.to_vec();
    let middle = median(&mut sorted);
    let (best, worst) = (sorted[0], sorted[sorted.len() - 1]);
    let mut ratios: Vec<f64> = yardstick.iter().zip(seconds).map(|(theirs, ours)| theirs / ours).collect();
    let objects = count(input.objects);
    WorkFigures {
        work: work.name,
        does: work.does,
        taken,
        objects_per_s: (objects / middle).round(),
        mb_per_s: round(count(input.bytes_for(work)) / 1e6 / middle),
        us_per_object: round(middle / objects * 1e6),
        objects_per_s_best: (objects / best).round(),
        spread: round((worst - best) / middle),
        ratio_to_canonicalizer: round(median(&mut ratios)),
    }
}

/// Sorts the values and gives the middle one.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// How long this thread has run on a processor.
fn thread_time() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    // INVARIANT: such a clock starts at zero and never runs backwards.
    Duration::try_from(now).unwrap_or_default()
}

impl Figures {
    /// What to say of an input that was not there.
    pub(crate) fn absent(&self) -> Option<String> {
        let path = self.absent.as_ref()?.display();
        Some(format!("NOT MEASURED: {path} is not there: MITHAQ_CORPORA names the folder of the corpora"))
    }

    /// The figures as one JSON object.
    pub(crate) fn json(&self) -> String {
        json!(self).to_string()
    }

    /// The figures as a table for each input.
    pub(crate) fn table(&self) -> String {
        let tables: String = self.inputs.iter().map(InputFigures::table).collect();
        tables
            + "objects/s, MB/s and µs are the middle of the rounds on one core; x is the speed against canonicalizer."
    }
}

impl InputFigures {
    fn table(&self) -> String {
        let Self { input, objects, mb, other_hashes, .. } = self;
        let mut text =
            format!("{input}: {objects} objects, {mb} MB, {other_hashes} with another hash by stock crates\n");
        text +=
            &format!("{:<18} {:>10} {:>8} {:>8} {:>6} {:>7}  does\n", "work", "objects/s", "MB/s", "µs", "x", "spread");
        for work in &self.works {
            let WorkFigures {
                work: name, objects_per_s, mb_per_s, us_per_object, ratio_to_canonicalizer: ratio, ..
            } = work;
            let spread = format!("{:.0} %", work.spread * 100.0);
            text += &format!(
                "{name:<18} {objects_per_s:>10.0} {mb_per_s:>8.1} {us_per_object:>8.2} {ratio:>6.2} {spread:>7}  {}",
                work.does
            );
            if work.taken < *objects {
                text += &format!("; refuses {}", objects - work.taken);
            }
            text.push('\n');
        }
        text + "\n"
    }
}
