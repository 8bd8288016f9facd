//! `mithaq peer remove`: a peer is forgotten.

use mithaq_api::home::Home;
use serde_json::json;

use super::peer_name;
use crate::{
    console::{Console, GOOD},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// Forget a peer: its card, the agreement with it, and that the code was compared.
///
/// It takes effect at once. What both sides hold stays. To stop a peer for a while, suspend it; to keep it out, block
/// it: a peer that is removed can be added again by anyone who holds its card.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq peer remove cn          asks before it removes
  mithaq peer remove cn --yes    for scripts")]
pub(crate) struct Args {
    /// Our name for the peer
    #[arg(value_parser = peer_name)]
    name: String,
    /// Remove without asking
    #[arg(long, short)]
    yes: bool,
}

/// Removes a peer.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    home.require()?;
    let name = &args.name;
    // A file that cannot be read any more can be removed all the same, and one that is not there is named.
    if !home.peer_names()?.contains(name) {
        home.peer_file(name)?;
    }
    if !args.yes {
        let prompt = format!("Forget {name}, its card and the agreement with it? Type its name:");
        if console.require("your consent", "--yes", &prompt)? != *name {
            console.note("nothing was removed")?;
            return Ok(Exit::Failure);
        }
    }
    home.remove_peer(name)?;
    let is_reloaded = daemon::reload(home, console)?;
    if console.is_json() {
        console.json(&json!({ "peer": name, "state": "removed", "reloaded": is_reloaded }))?;
    } else {
        console.styled(GOOD, format_args!("{name} is removed."))?;
    }
    Ok(Exit::Ok)
}
