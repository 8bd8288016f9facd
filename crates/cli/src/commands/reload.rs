//! `mithaq reload`: the daemon reads our card, keys, the peers and collections again.

use mithaq_api::{home::Home, http::Reloaded};

use crate::{console::Console, daemon, exit::Exit, failure::Failure};

/// Let the daemon read our card, keys, the peers and collections again, without stopping.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq reload")]
pub(crate) struct Args {}

/// Tells the daemon to read them again.
pub(crate) fn run(_: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let client = daemon::client(home)?;
    let reloaded: Reloaded = daemon::block_on(async { Ok(client.post("/v1/reload").await?) })?;
    if console.is_json() {
        console.json(&reloaded)?;
    } else {
        console.line(format_args!("reloaded; {} peers are known", reloaded.peers))?;
    }
    Ok(Exit::Ok)
}
