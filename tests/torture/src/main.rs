//! `mithaq-torture`: holds the store to its word by force.
//!
//! A writer, this program run again as a child, drives the real engine from several threads and says what was
//! acknowledged. The parent kills it, cuts its power, fills its disk, flips bits of its files and fails its syncs, and
//! then compares every byte with what was acknowledged. The seed draws what is written and when the writer is struck;
//! what the operating system does in between it does not repeat.

mod backup;
mod child;
mod faults;
mod fill;
mod flip;
mod fsync;
mod keeper;
mod kill;
mod ledger;
mod mend;
mod powercut;
mod probe;
mod rng;
mod tally;
mod volume;
mod work;
mod writer;

use std::{
    collections::BTreeMap,
    fs,
    path::PathBuf,
    process::ExitCode,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use clap::{Parser, Subcommand, ValueEnum};
use serde_json::json;

use crate::tally::Tally;

/// Tortures the store.
#[derive(Debug, Parser)]
#[command(name = "mithaq-torture", args_conflicts_with_subcommands = true)]
struct Args {
    /// How many rounds: of the one part, or of `kill`, and of the others in proportion [default: as many as each part says]
    #[arg(long)]
    rounds: Option<u32>,
    /// Run this part alone
    #[arg(long)]
    only: Option<Part>,
    /// Draw the same writes and moments again
    #[arg(long)]
    seed: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(subcommand)]
    child: Option<ChildCommand>,
}

/// What this program is when it is its own child.
#[derive(Debug, Subcommand)]
#[command(hide = true)]
enum ChildCommand {
    #[command(hide = true)]
    Write {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        setup: writer::Setup,
        #[command(flatten)]
        load: writer::Load,
        #[arg(long)]
        faults: bool,
        #[command(flatten)]
        upkeep: keeper::Upkeep,
    },
    #[command(hide = true)]
    Repair {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        setup: writer::Setup,
    },
    #[command(hide = true)]
    Probe {
        #[arg(long)]
        dir: PathBuf,
        #[arg(long)]
        setup: writer::Setup,
        #[arg(long)]
        ledger: PathBuf,
        #[arg(long)]
        mode: probe::Mode,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// SIGKILL while it writes, opens, begins a segment, closes: 500 rounds
    Kill,
    /// Power cuts at the same moments: 200 rounds; needs a loop device
    Powercut,
    /// A disk that fills up and is given room again: 20 rounds
    Full,
    /// A flipped bit in each kind of file: 400 rounds
    Flip,
    /// A sync that fails: 40 rounds
    Fsync,
}

impl Part {
    const ALL: [Self; 5] = [Self::Kill, Self::Powercut, Self::Full, Self::Flip, Self::Fsync];

    fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Powercut => "powercut",
            Self::Full => "full",
            Self::Flip => "flip",
            Self::Fsync => "fsync",
        }
    }

    /// How many rounds it has by default.
    fn rounds(self) -> u32 {
        match self {
            Self::Kill => 500,
            Self::Powercut => 200,
            Self::Full => 20,
            Self::Flip => 400,
            Self::Fsync => 40,
        }
    }
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<bool> {
    match args.child {
        None => torture(&args),
        Some(ChildCommand::Write { dir, setup, load, faults, upkeep }) => {
            writer::write(&dir, setup, load, faults, upkeep).map(|()| true)
        }
        Some(ChildCommand::Repair { dir, setup }) => mend::repair(&dir, setup).map(|()| true),
        Some(ChildCommand::Probe { dir, setup, ledger, mode }) => {
            let ledger = serde_json::from_slice(&fs::read(ledger)?)?;
            let outcome = probe::check(&dir, setup, ledger, mode)?;
            show(&serde_json::to_string(&outcome)?);
            Ok(true)
        }
    }
}

/// Runs the parts and tells what they came to; says whether all held.
fn torture(args: &Args) -> anyhow::Result<bool> {
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seed = args.seed.unwrap_or_else(|| u64::from(clock().subsec_nanos()) << 20 ^ clock().as_secs());
    let base = volume::base()?;
    let mut skipped = Vec::new();
    let mut parts = BTreeMap::new();
    let mut total = Tally::default();
    for part in Part::ALL.into_iter().filter(|part| args.only.is_none_or(|only| only == *part)) {
        let begun = Instant::now();
        let tally = run_part(part, args, seed, base.path(), &mut skipped)?;
        complain(&format!("{}: {} rounds in {:.1} s", part.name(), tally.rounds, begun.elapsed().as_secs_f64()));
        parts.insert(part.name(), serde_json::to_value(&tally)?);
        total += tally;
    }
    let ok = total.is_ok();
    if !ok {
        complain(&format!("what failed is kept in {}", base.keep().display()));
    }
    let report = json!({
        "ok": ok, "seed": seed, "rounds": total.rounds, "skipped": skipped, "acked": total.acked, "lost": total.lost,
        "torn": total.torn, "served_damaged": total.served_damaged, "would_not_open": total.would_not_open,
        "changed": total.changed, "panics": total.panics, "named": total.named,
        "compacted": total.compacted, "backups": total.backups, "repairs": total.repairs, "parts": parts,
    });
    if args.json {
        show(&report.to_string());
    } else {
        show(&serde_json::to_string_pretty(&report)?);
    }
    Ok(ok)
}

fn run_part(
    part: Part,
    args: &Args,
    seed: u64,
    base: &std::path::Path,
    skipped: &mut Vec<String>,
) -> anyhow::Result<Tally> {
    let rounds = match (args.rounds, args.only) {
        (None, _) => part.rounds(),
        (Some(rounds), Some(_)) => rounds,
        (Some(rounds), None) => (rounds * part.rounds()).div_ceil(Part::Kill.rounds()),
    };
    match part {
        Part::Kill => kill::torture(base, seed, rounds),
        Part::Powercut => match volume::why_not(base) {
            None => powercut::torture(base, seed, rounds),
            Some(why) => {
                skipped.push(format!("powercut: {why}"));
                Ok(Tally::default())
            }
        },
        Part::Full => fill::torture(base, seed, rounds, skipped),
        Part::Flip => flip::torture(base, seed, rounds),
        Part::Fsync => fsync::torture(base, seed, rounds, skipped),
    }
}

#[allow(clippy::print_stdout)] // The report is what this program is for.
fn show(line: &str) {
    println!("{line}");
}

#[allow(clippy::print_stderr)] // Progress and errors go to a person.
fn complain(line: &str) {
    eprintln!("{line}");
}
