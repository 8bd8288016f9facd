//! `mithaq agreement terminate`: the end of an agreement, alone and at once.

use mithaq_api::home::{Home, HomeError};
use mithaq_core::agreement::termination::{Termination, VerifiedTermination};
use serde_json::json;

use super::{show::of_peer, sign::signing_key};
use crate::{
    clock,
    commands::peer::peer_name,
    console::{Console, GOOD},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// End the agreement with a peer, alone and at once for what goes out.
///
/// Nothing is published to the peer any more from this moment; withdrawals of what it was given still go. The peer is
/// told in the next session. There is no way back but a new agreement.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq agreement terminate cn                                  asks before it signs
  mithaq agreement terminate cn --reason 'the law has changed' --yes")]
pub(crate) struct Args {
    /// Our name for the peer
    #[arg(value_parser = peer_name)]
    peer: String,
    /// Why, for the people there
    #[arg(long, value_name = "TEXT", default_value = "")]
    reason: String,
    /// End it without asking
    #[arg(long, short)]
    yes: bool,
}

/// Ends an agreement.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let ours = home.card()?;
    let agreement = of_peer(&args.peer, home)?.id();
    if let Some(ending) = home.peer(&args.peer)?.ended {
        return Err(Failure::Terminated { name: args.peer.clone(), at: ending.at });
    }
    let question = format!("End the agreement with {} for good? Type yes:", args.peer);
    if !args.yes && !console.require("your consent", "--yes", &question)?.eq_ignore_ascii_case("yes") {
        console.note("nothing was ended")?;
        return Ok(Exit::Failure);
    }
    let key = signing_key(&ours, home)?;
    let termination = Termination::new(agreement, ours.cert_id(), clock::now(), args.reason.as_str());
    let path = home.peer_path(&args.peer);
    let signed = VerifiedTermination::sign(termination, &key);
    let signed = signed.map_err(|source| HomeError::Termination { path, source })?;
    home.change_peer(&args.peer, |peer| {
        peer.termination = Some(signed.envelope().clone());
        Ok::<_, Failure>(())
    })?;
    let is_reloaded = daemon::reload(home, console)?;
    announce(args, signed.statement(), is_reloaded, console)?;
    Ok(Exit::Ok)
}

fn announce(args: &Args, termination: &Termination, is_reloaded: bool, console: &mut Console) -> Result<(), Failure> {
    let Termination { agreement, at, .. } = termination;
    let peer = &args.peer;
    if console.is_json() {
        return console.json(&json!({ "peer": peer, "agreement": agreement, "ended": at, "reloaded": is_reloaded }));
    }
    let id = agreement.fmt_short();
    console.styled(GOOD, format_args!("Agreement {id} with {peer} is over since {}.", clock::for_people(*at)))?;
    if !is_reloaded {
        console.line("No daemon runs here now; it holds from the next start on.")?;
    }
    Ok(())
}
