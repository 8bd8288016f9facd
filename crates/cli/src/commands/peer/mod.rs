//! `mithaq peer`: pairing with another CERT, step by step.

pub(super) mod activate;
mod add;
mod drill;
mod invite;
mod preview;
mod remove;
mod show;
mod stop;
mod update;
mod verify;

use clap::Subcommand;
use mithaq_api::home::{Home, PeerFile, check_peer_name};

use crate::{console::Console, exit::Exit, failure::Failure};

/// Pair with other CERTs, and suspend, block and remove them.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mithaq peer invite --out our-card.json                our card, to send to them
  mithaq peer add cn their-card.json                    take in theirs
  mithaq peer verify cn --agreement pact.json           compare the code by telephone
  mithaq peer activate cn --agreement pact.json         let data move
  mithaq peer list
  mithaq peer preview cn                                what would it get of all that we hold?
  mithaq peer drill cn                                  does all that it needs work?
  mithaq peer suspend cn --reason 'incident at theirs'  stop for now; resume lets it go on")]
pub(crate) enum Command {
    Invite(invite::Args),
    Add(add::Args),
    List(show::ListArgs),
    Show(show::ShowArgs),
    Verify(verify::Args),
    Activate(activate::Args),
    Suspend(stop::SuspendArgs),
    Block(stop::BlockArgs),
    Resume(stop::ResumeArgs),
    Update(update::Args),
    Drill(drill::Args),
    Preview(preview::Args),
    Remove(remove::Args),
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
        Command::Suspend(args) => stop::suspend(args, home, console),
        Command::Block(args) => stop::block(args, home, console),
        Command::Resume(args) => stop::resume(args, home, console),
        Command::Update(args) => update::run(args, home, console),
        Command::Drill(args) => drill::run(args, home, console),
        Command::Preview(args) => preview::run(args, home, console),
        Command::Remove(args) => remove::run(args, home, console),
    }
}

/// Refuses to pair with a peer that we have suspended or blocked: it would be let in by that.
fn refuse_stopped(peer: &PeerFile) -> Result<(), Failure> {
    if peer.state.is_stopped() {
        return Err(Failure::PeerStopped { name: peer.name.clone(), state: peer.state });
    }
    Ok(())
}

/// A peer's name as an argument.
pub(crate) fn peer_name(text: &str) -> Result<String, String> {
    check_peer_name(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}
