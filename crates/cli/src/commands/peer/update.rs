//! `mithaq peer update`: a peer's newer card, which came by another way than a session.

use std::path::PathBuf;

use mithaq_api::home::{CardRefusal, CardTaken, Home, PeerState, read_card};
use mithaq_core::card::Succession;
use serde_json::json;

use super::{peer_name, show};
use crate::{
    clock,
    console::{Console, GOOD, WARN},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// Take a newer card of a peer; the same root key signed it, so nobody has to pair again.
///
/// Cards also come by themselves in sessions. By hand they are needed if a peer's keys have changed so that no session
/// comes about.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq peer update cn their-new-card.json")]
pub(crate) struct Args {
    /// Our name for the peer
    #[arg(value_parser = peer_name)]
    name: String,
    /// The card that the other side made with `mithaq card export`
    #[arg(value_name = "CARD")]
    card: PathBuf,
}

/// Takes a card.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    home.require()?;
    let card = read_card(&args.card)?;
    match home.take_card(&args.name, &card, clock::now()) {
        Ok(taken) => {
            let is_reloaded = daemon::reload(home, console)?;
            announce(&args.name, &taken, is_reloaded, console)?;
            Ok(Exit::Ok)
        }
        Err(refusal) => {
            if matches!(refusal, CardRefusal::Equivocation { .. }) {
                daemon::reload(home, console)?;
            }
            Err(refusal.into())
        }
    }
}

fn announce(name: &str, taken: &CardTaken, is_reloaded: bool, console: &mut Console) -> Result<(), Failure> {
    let (serial, is_new) = (taken.serial, taken.succession == Succession::Newer);
    if console.is_json() {
        let state = show::state(taken.state);
        let value = json!({ "peer": name, "serial": serial, "new": is_new, "state": state, "reloaded": is_reloaded });
        return console.json(&value);
    }
    let what = if is_new { "is taken" } else { "is held already" };
    console.styled(GOOD, format_args!("The card of {name} with serial {serial} {what}."))?;
    if is_new && taken.state == PeerState::Verified {
        let text =
            "It does not name the key that signed the agreement, or there is none: let them sign it, then activate it.";
        console.styled(WARN, text)?;
    }
    Ok(())
}
