//! `mithaq restore`: a store, and what else of a home is lost, out of a backup.
//!
//! The store that comes back is older than what peers have accepted of its ledger. It gets an id of its own: peers begin
//! a new ledger with it, and nothing is forked.

mod put;

use std::path::PathBuf;

use mithaq_api::{
    home::Home,
    http::{Restored, ReviveStore, Revived},
};
use mithaq_core::{id::CertId, time::Time};
use serde::Serialize;

use super::status::bytes;
use crate::{
    clock,
    console::{BAD, Console, FAINT, GOOD, STRONG, WARN},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// Restore a store, and what else the home lacks, from a backup.
///
/// Every file of the backup is checked before anything is written. A store that is there is never written over, nor is
/// any other file of the home. The daemon must not run. The restored store has a new id: SIEMs start again without a
/// cursor, and peers begin a new ledger with it and send what it lacks. Until every active peer has done so SIEMs are not
/// served; --serve ends the wait. What was pushed after the backup has to be pushed again.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq restore /srv/backup/mithaq
  mithaq --home /var/lib/mithaq restore /srv/safe/mithaq --json | jq .ledgers
  mithaq restore --serve")]
pub(crate) struct Args {
    /// The folder of the backup
    #[arg(required_unless_present = "serve", conflicts_with = "serve")]
    dir: Option<PathBuf>,
    /// Restore nothing: have the running daemon serve SIEMs, whichever peers it is still waiting for
    #[arg(long)]
    serve: bool,
}

/// What a restore did, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    cert: CertId,
    name: String,
    backup_at: Time,
    #[serde(flatten)]
    store: Revived,
    bytes: u64,
    ledgers_signed: Vec<LedgerLoss>,
    written: Vec<String>,
    kept: Vec<String>,
    lacks_keys: bool,
}

/// What the local ledger beside the store knows and the backup does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct LedgerLoss {
    peer: String,
    cert: CertId,
    /// How many entries were signed before the store was lost.
    signed: u64,
    /// How many of them the backup has.
    held: u64,
    /// How many are lost.
    lost: u64,
}

/// Restores, or ends the wait after a restore.
pub(crate) fn run(args: &Args, home: &Home, revive: ReviveStore, console: &mut Console) -> Result<Exit, Failure> {
    let Some(dir) = &args.dir else { return serve(home, console) };
    let (manifest, problems) = super::backup::check(dir)?;
    if !problems.is_empty() {
        problems.iter().try_for_each(|problem| console.note(problem))?;
        let error = super::backup::BackupError::DamagedFiles { dir: dir.clone(), count: problems.len() };
        return Err(error.into());
    }
    let report = put::put(home, dir, manifest, revive)?;
    if console.is_json() {
        console.json(&report)?;
    } else {
        print(&report, console)?;
    }
    Ok(if report.store.problems.is_empty() { Exit::Ok } else { Exit::Degraded })
}

fn serve(home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let restored: Restored = daemon::block_on(async { Ok(client.post("/v1/store/serve").await?) })?;
    if console.is_json() {
        console.json(&restored)?;
    } else {
        let at = clock::for_people(restored.backup_at);
        console
            .styled(GOOD, format_args!("SIEMs are served from the store that was restored from the backup of {at}"))?;
    }
    Ok(Exit::Ok)
}

fn print(report: &Report, console: &mut Console) -> Result<(), Failure> {
    let Report { store, .. } = report;
    let at = clock::for_people(report.backup_at);
    store.problems.iter().try_for_each(|problem| console.styled(BAD, problem))?;
    console
        .styled(GOOD, format_args!("restored {} ({}) from its backup of {at}", report.name, report.cert.fmt_short()))?;
    let Revived { head, releases, objects, .. } = store;
    let size = bytes(report.bytes);
    console.line(format_args!(
        "  {objects} objects in {releases} releases up to row {head}, {size}; all read and hashed"
    ))?;
    let was = store.was.map_or_else(|| "unknown".to_owned(), |was| was.to_string());
    console.line(format_args!("  the store is {} now, and was {was}", store.store))?;
    if !report.written.is_empty() {
        console.line(format_args!("  written: {}", report.written.join(", ")))?;
    }
    if !report.kept.is_empty() {
        console.styled(
            WARN,
            format_args!("  kept as they are here, other than in the backup: {}", report.kept.join(", ")),
        )?;
    }
    if report.lacks_keys {
        let text =
            "  NO KEYS: the backup has none and the home neither. Put back HOME/keys before you start the daemon.";
        console.styled(BAD, text)?;
    }
    console.line("")?;
    print_losses(report, &at, console)
}

fn print_losses(report: &Report, at: &str, console: &mut Console) -> Result<(), Failure> {
    console.styled(STRONG, "What is lost, and what to do")?;
    for LedgerLoss { peer, signed, held, lost, .. } in &report.ledgers_signed {
        let text =
            format!("  {peer}: {lost} of {signed} entries of the ledger are not in the backup, which has {held}");
        console.styled(if *lost > 0 { WARN } else { FAINT }, text)?;
    }
    let lines = [
        format!("  Push, revoke, accept and drop again what you did after {at}: nobody else can send it to you."),
        "  Withdraw again what you withdrew since, unless HOME/ledger/withdrawals.ndjson outlived the store: the daemon".into(),
        "  learns from it. To withdraw what was pushed since, push it first.".into(),
        "  What peers released, and what they withdrew, comes from them. SIEMs wait until it did: `mithaq status` says for".into(),
        "  whom; `mithaq restore --serve` ends the wait. SIEMs start again without a cursor.".into(),
        "  Peers that you suspended or blocked, agreements that you ended, and cards that you made since: see that they are".into(),
        "  as they should be before you start (`mithaq peer list`, `mithaq card show`).".into(),
    ];
    lines.iter().try_for_each(|line: &String| console.line(line))
}
