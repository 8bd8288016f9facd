//! `mithaq key`: keys that come and go, and the root key that names the CERT.

mod card;
mod draft;
mod install;
mod list;
mod plan;
mod revoke;
mod root;
mod rotate;
mod sign_card;

pub(super) use plan::{CLOCK_SKEW_SECONDS, new_key};

use clap::Subcommand;
use mithaq_api::home::Home;

use crate::{console::Console, exit::Exit, failure::Failure};

/// Rotate and revoke keys, and keep the root key on another machine.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mithaq key list                                            keys, their dates, which are used
  mithaq key rotate                                          new signing and TLS keys, nothing stops
  mithaq key revoke 3f2a90c1 --since 2026-11-20T18:00:00Z    a key was stolen
  mithaq key export-root --to /media/safe/root.key           take the root key off this machine

With the root key on another machine:
  mithaq key draft --out next.draft                          here: new keys, and a card to be signed
  mithaq key sign-card next.draft --root root.key --out next-card.json    there
  mithaq key install next-card.json                          here again")]
pub(crate) enum Command {
    List(list::Args),
    Rotate(rotate::Args),
    Revoke(revoke::Args),
    ExportRoot(root::Args),
    Draft(draft::Args),
    SignCard(sign_card::Args),
    Install(install::Args),
}

/// Runs one of the key commands.
pub(crate) fn run(command: &Command, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::List(args) => list::run(args, home, console),
        Command::Rotate(args) => rotate::run(args, home, console),
        Command::Revoke(args) => revoke::run(args, home, console),
        Command::ExportRoot(args) => root::run(args, home, console),
        Command::Draft(args) => draft::run(args, home, console),
        Command::SignCard(args) => sign_card::run(args, console),
        Command::Install(args) => install::run(args, home, console),
    }
}
