//! `mithaq demo`: three CERTs on this machine share a bundle as three CERTs in three countries would.
//!
//! It starts three real daemons as processes of this very program and pairs them with the commands that operators
//! type. Then it holds what the daemons do against what the release rule announced beforehand. What it expects comes
//! from a dry run and from the daemons' own answers, never from numbers that stand here, so that it works on any bundle.

mod certs;
mod expectation;
mod input;
mod latency;
mod own;
mod pairing;
mod place;
mod program;
mod push;
mod report;
mod restart;
mod screen;
mod siem;
mod stop;
mod story;
mod wait;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use self::{certs::Certs, input::Input, place::Place, program::Program, report::Report, screen::Screen, story::Story};
use crate::exit::Exit;

/// Watch three CERTs share a bundle on this machine.
///
/// Pakistan's NCERT has an agreement with China's CNCERT and one with Qatar's CERT; those two have none with each
/// other. A bundle is pushed in Pakistan: the demo shows who receives what, what is withheld from whom and why, what a
/// SIEM reads, and what a restart loses (nothing). It exits with 0 only if all of it is as it should be.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq demo                        with the bundle that ships with the program
  mithaq demo --data bundle.json     with your own
  mithaq demo --keep ./demo          leave the daemons running, to try things
  mithaq demo --stop ./demo          end them")]
pub(crate) struct Args {
    /// A bundle, an object or NDJSON of objects to share in place of the sample; - is standard input
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// Make the homes under DIR and leave the daemons running
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// End the daemons that an earlier --keep left running under DIR
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "keep"])]
    stop: Option<PathBuf>,
}

/// Runs the demo, or ends an earlier one.
///
/// With `json`, the last line of standard output is one object, and what people read goes to standard error.
///
/// # Errors
/// When the demo cannot be carried out. A check that does not hold is no error: it is shown and counted, and the exit
/// status says so.
pub(crate) fn run(args: Args, json: bool) -> anyhow::Result<ExitCode> {
    let mut screen = Screen::new(json);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        match &args.stop {
            Some(dir) => stop::stop(dir, &mut screen).await,
            None => demonstrate(&args, &mut screen).await,
        }
    });
    match result {
        Err(error) if json => {
            screen.failure(&format!("{error:#}"));
            screen.json(&serde_json::json!({ "ok": false, "problem": format!("{error:#}") }))?;
            Ok(Exit::Failure.into())
        }
        other => other,
    }
}

async fn demonstrate(args: &Args, screen: &mut Screen) -> anyhow::Result<ExitCode> {
    let program = Program::own()?;
    let place = Place::prepare(args.keep.as_deref())?;
    let input = match Input::prepare(args.data.as_deref(), place.dir()) {
        Ok(input) => input,
        Err(error) => {
            place.remove()?;
            return Err(error);
        }
    };
    let mut certs = Certs::at(place.dir())?;
    let mut story = Story { program: &program, screen, certs: &mut certs, input: &input };
    let told = tokio::select! {
        told = story.tell() => told.map(Some),
        interrupted = interruption() => interrupted.map(|()| None),
    };
    match told {
        Ok(Some(report)) => finish(report, place, certs, screen).await,
        Ok(None) => {
            drop(certs);
            place.remove()?;
            screen.failure("the demo was ended from outside; its daemons are stopped");
            screen.json(&serde_json::json!({ "ok": false, "problem": "ended from outside" }))?;
            Ok(Exit::Failure.into())
        }
        Err(error) => {
            // What still runs ends with `certs`; the logs stay for whoever looks into it.
            drop(certs);
            screen.blank();
            screen.say(&format!("the logs are {}", place.logs()));
            Err(error)
        }
    }
}

/// Ends the daemons, or leaves them running, and says how it went.
async fn finish(mut report: Report, place: Place, mut certs: Certs, screen: &mut Screen) -> anyhow::Result<ExitCode> {
    if place.is_kept() {
        certs.leave();
        screen.blank();
        place.suggest(screen)?;
    } else {
        certs.stop_all(screen).await?;
    }
    let failed = screen.failed();
    report.ok = failed == 0;
    screen.blank();
    if report.ok {
        screen.verdict(true, &format!("all {} checks held", screen.held()));
    } else {
        screen.verdict(false, &format!("{failed} checks did not hold; the logs are {}", place.logs()));
    }
    if report.ok {
        place.remove()?;
    }
    screen.json(&report)?;
    Ok(if report.ok { Exit::Ok } else { Exit::Failure }.into())
}

/// Waits for a signal by which somebody ends the demo.
async fn interruption() -> anyhow::Result<()> {
    let mut signals = Vec::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        signals.push(signal(kind).context("cannot wait for signals")?);
    }
    let waits = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
    futures_util::future::select_all(waits).await;
    Ok(())
}
