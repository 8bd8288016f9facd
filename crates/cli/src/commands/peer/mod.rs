//! `mithaq peer`: pairing with another CERT, step by step.

mod activate;
mod add;
mod invite;
mod show;
mod verify;

use clap::Subcommand;
use mithaq_api::home::{Home, check_peer_name};

use crate::{console::Console, exit::Exit, failure::Failure};

/// Pair with other CERTs: exchange cards, compare the code by telephone, activate.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mithaq peer invite --out our-card.json                our card, to send to them
  mithaq peer add cn their-card.json                    take in theirs
  mithaq peer verify cn --agreement pact.json           compare the code by telephone
  mithaq peer activate cn --agreement pact.json         let data move
  mithaq peer list")]
pub(crate) enum Command {
    Invite(invite::Args),
    Add(add::Args),
    List(show::ListArgs),
    Show(show::ShowArgs),
    Verify(verify::Args),
    Activate(activate::Args),
}

/// Runs one of the peer commands.
pub(crate) fn run(command: &Command, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::Invite(args) => invite::run(args, home, console),
        Command::Add(args) => add::run(args, home, console),
        Command::List(args) => show::list(args, home, console),
        Command::Show(args) => show::show(args, home, console),
        Command::Verify(args) => verify::run(args, home, console),
        Command::Activate(args) => activate::run(args, home, console),
    }
}

/// A peer's name as an argument.
pub(crate) fn peer_name(text: &str) -> Result<String, String> {
    check_peer_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}
