//! `mithaq agreement`: what CERTs agree to share, drafted, signed, read, compared, renewed and ended.

mod compare;
mod diff;
mod flags;
mod new;
mod renew;
mod show;
mod sign;
mod template;
mod terminate;
mod terms;

use clap::Subcommand;
use mithaq_api::home::Home;

use crate::{console::Console, exit::Exit, failure::Failure};

/// Draft, sign, read, compare, renew and end agreements.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mithaq agreement new --peer cn --tlp-max amber --out pact.json    draft the same terms for both directions
  mithaq agreement sign pact.json                                   read them and sign
  mithaq agreement show pact.json                                   see who has signed
  mithaq agreement show cn                                          the one in force with cn
  mithaq agreement diff cn pact.json                                what a draft would change
  mithaq agreement terminate cn                                     end it, alone and at once")]
pub(crate) enum Command {
    New(Box<new::Args>),
    Sign(sign::Args),
    Show(show::Args),
    Diff(diff::Args),
    Renew(renew::Args),
    Terminate(terminate::Args),
}

/// Runs one of the agreement commands.
pub(crate) fn run(command: &Command, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::New(args) => new::run(args, home, console),
        Command::Sign(args) => sign::run(args, home, console),
        Command::Show(args) => show::run(args, home, console),
        Command::Diff(args) => diff::run(args, home, console),
        Command::Renew(args) => renew::run(args, home, console),
        Command::Terminate(args) => terminate::run(args, home, console),
    }
}
