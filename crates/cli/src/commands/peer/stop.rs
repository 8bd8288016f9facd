//! `mithaq peer suspend`, `block` and `resume`: stopping a peer and letting it go on, whatever was agreed with it.

use mithaq_api::home::{Home, PeerFile, PeerState};
use serde_json::json;

use super::{peer_name, show};
use crate::{
    console::{Console, GOOD, WARN},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// The most bytes of a reason.
const REASON_BYTES_MAX: usize = 512;

/// Stop all exchange with a peer for now; its card and agreement stay.
///
/// It takes effect at once. The peer's daemon is told that it is suspended here, and not why.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq peer suspend cn
  mithaq peer suspend cn --reason 'their signing key may be stolen'
  mithaq peer resume cn")]
pub(crate) struct SuspendArgs {
    /// Our name for the peer
    #[arg(value_parser = peer_name)]
    name: String,
    /// Why, for `mithaq peer show`
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,
}

/// Keep a peer's daemon from connecting at all; its card and agreement stay on file.
///
/// It takes effect at once. The peer is told nothing: to it, nobody answers whom it knows.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq peer block cn
  mithaq peer block cn --reason 'root key stolen, see the evidence of 20 November'
  mithaq peer resume cn")]
pub(crate) struct BlockArgs {
    /// Our name for the peer
    #[arg(value_parser = peer_name)]
    name: String,
    /// Why, for `mithaq peer show`
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,
}

/// Let a peer go on that was suspended or blocked, from where the pairing with it stood.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq peer resume cn")]
pub(crate) struct ResumeArgs {
    /// Our name for the peer
    #[arg(value_parser = peer_name)]
    name: String,
}

/// Suspends a peer. One that is blocked stays so: to be suspended would let it in.
pub(super) fn suspend(args: &SuspendArgs, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let change = |peer: &mut PeerFile| {
        if peer.state == PeerState::Blocked {
            return Err(Failure::PeerStopped { name: peer.name.clone(), state: peer.state });
        }
        stop(peer, PeerState::Suspended, args.reason.clone());
        Ok(())
    };
    let peer = home.change_peer(&args.name, change)?;
    announce(&peer, home, console)
}

/// Blocks a peer.
pub(super) fn block(args: &BlockArgs, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let change = |peer: &mut PeerFile| {
        stop(peer, PeerState::Blocked, args.reason.clone());
        Ok::<_, Failure>(())
    };
    let peer = home.change_peer(&args.name, change)?;
    announce(&peer, home, console)
}

/// Lets a peer go on.
pub(super) fn resume(args: &ResumeArgs, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let change = |peer: &mut PeerFile| {
        if peer.state.is_stopped() {
            peer.state = home.settled_state(peer)?;
            peer.reason = None;
        }
        Ok::<_, Failure>(())
    };
    let peer = home.change_peer(&args.name, change)?;
    announce(&peer, home, console)
}

fn stop(peer: &mut PeerFile, state: PeerState, reason: Option<String>) {
    peer.state = state;
    // Why it was stopped before is worth more than nothing.
    peer.reason = reason.or(peer.reason.take());
}

fn announce(peer: &PeerFile, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let is_reloaded = daemon::reload(home, console)?;
    let (name, state) = (&peer.name, show::state(peer.state));
    if console.is_json() {
        console.json(&json!({ "peer": name, "state": state, "reason": peer.reason, "reloaded": is_reloaded }))?;
        return Ok(Exit::Ok);
    }
    let style = if peer.state.is_stopped() { WARN } else { GOOD };
    console.styled(style, format_args!("{name} is {state}."))?;
    if peer.state == PeerState::Verified {
        console.line(format_args!("Next: `mithaq peer activate {name} --agreement FILE`"))?;
    }
    if !is_reloaded {
        console.line("No daemon has taken it up; the next start does.")?;
    }
    Ok(Exit::Ok)
}

fn reason(text: &str) -> Result<String, String> {
    if text.len() > REASON_BYTES_MAX || text.chars().any(char::is_control) {
        return Err(format!("expected one line of at most {REASON_BYTES_MAX} bytes"));
    }
    Ok(text.to_owned())
}
