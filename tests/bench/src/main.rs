//! `mithaq-bench`: what real daemons on loopback do in a second, beside what this machine can do at all.
//!
//! Each work but `stix`, `pact`, `reconcile` and `store` starts its own daemons in a temporary folder, and measures in the same run those limits
//! of the machine that bound it (fdatasync, append, loopback round trip), since figures of two runs on a shared machine
//! cannot be compared.

mod certs;
mod ingest;
mod latency;
mod link;
mod machine;
mod objects;
mod pact;
mod pull;
mod reconcile;
mod replicate;
mod steps;
mod stix;
mod store;

use std::{path::PathBuf, process::ExitCode, time::Duration};

use bytes::Bytes;
use clap::{Parser, ValueEnum};
use serde_json::Value;

/// Measures Mithaq on this machine.
#[derive(Debug, Parser)]
#[command(name = "mithaq-bench")]
struct Args {
    /// What to measure
    work: Work,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Objects to push, one a line or in bundles; generated if not given
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// How many objects to use at the most
    #[arg(long, default_value_t = 100_000)]
    objects: usize,
    /// How many objects to push at once
    #[arg(long, default_value_t = 1_000)]
    bundle: usize,
    /// For how many seconds to load each link
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// With `latency`: tell each step's share too, which costs the daemons a line of the log for each
    #[arg(long)]
    steps: bool,
    /// With `latency`: over a link of this rate and round trip, as in `10000kbit/s,100ms`, that both sides are told
    #[arg(long, value_name = "RATE,RTT")]
    link: Option<latency::Path>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Work {
    /// Pushes: in bundles, one by one from 8 clients, and again as duplicates
    Ingest,
    /// Reads by a SIEM: the stream and TAXII, all of it and what is new
    Pull,
    /// A second CERT from nothing, and again after 0, 10 and 1,000 new objects
    Sync,
    /// From a push at one CERT to the line in the other's stream
    Latency,
    /// A bulk and alerts over bad links, with and without a configured rate
    Link,
    /// Without a daemon, on one core: objects read, checked, made canonical and hashed, beside the way by stock crates
    Stix,
    /// Without a daemon, on one core: decisions of the release rule, releases, receipts and ledger entries
    Pact,
    /// Without a daemon, on one core: how two sets of releases differ, by sketch, beside lists and negentropy
    Reconcile,
    /// Without a daemon: what the store takes, gives back and costs, beside a plain file and sled alone
    Store,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    match args.work {
        Work::Ingest => with_daemons(args, ingest::measure),
        Work::Pull => with_daemons(args, pull::measure),
        Work::Sync => with_daemons(args, replicate::measure),
        Work::Latency => {
            with_daemons(args, async |input, bundle| latency::measure(input, bundle, args.steps, args.link).await)
        }
        Work::Link => with_daemons(args, async |objects, bundle| {
            link::measure(objects, bundle, Duration::from_secs(args.seconds)).await
        }),
        Work::Stix => {
            let figures = stix::measure(args.input.as_deref(), args.objects, args.bundle)?;
            if let Some(absent) = figures.absent() {
                report(&absent);
            }
            show(&if args.json { figures.json() } else { figures.table() });
            Ok(())
        }
        Work::Pact => {
            show_figures(args, &pact::measure()?);
            Ok(())
        }
        Work::Reconcile => {
            let figures = reconcile::measure()?;
            if args.json {
                show(&figures.to_string());
            } else {
                figures["rows"].as_array().into_iter().flatten().for_each(|row| show(&row.to_string()));
            }
            Ok(())
        }
        Work::Store => {
            show_figures(args, &store::measure(args.input.as_deref(), args.objects)?);
            Ok(())
        }
    }
}

fn with_daemons(
    args: &Args,
    measure: impl AsyncFnOnce(&[Bytes], usize) -> anyhow::Result<Value>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let objects = objects::load(args.input.as_deref(), args.objects)?;
    let figures = runtime.block_on(measure(&objects, args.bundle))?;
    show_figures(args, &figures);
    Ok(())
}

fn show_figures(args: &Args, figures: &Value) {
    if args.json {
        show(&figures.to_string());
    } else {
        for (name, value) in figures.as_object().into_iter().flatten() {
            show(&format!("{name:<24} {value}"));
        }
    }
}

#[allow(clippy::print_stdout)] // The figures are what this program is for.
fn show(line: &str) {
    println!("{line}");
}

#[allow(clippy::print_stderr)] // Errors go to a person.
fn report(line: &str) {
    eprintln!("{line}");
}

/// Rounds to three digits behind the point, so that figures are read and not decoded.
fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// A count as a number to divide by.
#[allow(clippy::cast_precision_loss)] // Counts here are far below 2^52.
fn count(number: usize) -> f64 {
    number as f64
}

/// A large count as a number to divide by.
#[allow(clippy::cast_precision_loss)] // Counts here are far below 2^52.
fn count_u64(number: u64) -> f64 {
    number as f64
}
