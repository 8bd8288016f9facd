//! `mithaq ledger`: what was disclosed to whom, whether the record is whole, and proofs of it for others.

mod check_proof;
mod csv;
mod proof;
mod prove;
mod report;
mod show;
mod verify;

use clap::Subcommand;
use mithaq_api::home::Home;
use mithaq_core::receipt::Status;

use crate::{console::Console, exit::Exit, failure::Failure};

/// See, check and prove what was disclosed to which peer.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mithaq ledger show --peer cn
  mithaq ledger verify
  mithaq ledger report --peer cn --month 2026-05 --csv")]
pub(crate) enum Command {
    Show(show::Args),
    Verify(verify::Args),
    Prove(prove::Args),
    CheckProof(check_proof::Args),
    Report(report::Args),
}

/// Runs one of the ledger commands.
pub(crate) fn run(command: &Command, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::Show(args) => show::run(args, home, console),
        Command::Verify(args) => verify::run(args, home, console),
        Command::Prove(args) => prove::run(args, home, console),
        Command::CheckProof(args) => check_proof::run(args, console),
        Command::Report(args) => report::run(args, home, console),
    }
}

/// A status as people and spreadsheets read it.
pub(crate) fn status_name(status: Status) -> &'static str {
    match status {
        Status::Received => "received",
        Status::Applied => "applied",
        Status::Held => "held",
        _ => "unknown",
    }
}
