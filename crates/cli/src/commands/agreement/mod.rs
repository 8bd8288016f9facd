//! `mithaq agreement`: what two CERTs agree to share, drafted, signed and read.

mod new;
mod show;
mod sign;
mod terms;

use clap::Subcommand;
use mithaq_api::home::Home;

use crate::{console::Console, exit::Exit, failure::Failure};

/// Draft, sign and read agreements.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mithaq agreement new --peer cn --tlp-max amber --out pact.json    draft the same terms for both directions
  mithaq agreement sign pact.json                                   read them and sign
  mithaq agreement show pact.json                                   see who has signed
  mithaq agreement show cn                                          the one in force with cn")]
pub(crate) enum Command {
    New(new::Args),
    Sign(sign::Args),
    Show(show::Args),
}

/// Runs one of the agreement commands.
pub(crate) fn run(command: &Command, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::New(args) => new::run(args, home, console),
        Command::Sign(args) => sign::run(args, home, console),
        Command::Show(args) => show::run(args, home, console),
    }
}
