//! `mithaq peer activate`: from here on data moves.

use std::path::PathBuf;

use mithaq_api::home::{Home, HomeError, PeerFile, read_agreement};
use mithaq_core::{
    agreement::{SignedAgreement, VerifiedAgreement, termination::Termination},
    card::VerifiedCard,
    statement::peek,
    time::Time,
};
use serde_json::json;

use super::peer_name;
use crate::{
    clock,
    console::{Console, GOOD},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// Put an agreement in force, once both sides have signed it and the code was compared.
///
/// A daemon that runs takes it up at once. What the agreement releases then goes to the peer, also what was pushed
/// before.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq peer activate cn --agreement pact.json")]
pub(crate) struct Args {
    /// Our name for the peer
    #[arg(value_parser = peer_name)]
    name: String,
    /// The agreement, signed by both sides
    #[arg(long, value_name = "FILE")]
    agreement: PathBuf,
}

/// Puts an agreement in force.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let peer = home.peer_file(&args.name)?;
    let (agreement, signed) = verified_agreement(args, &peer, home)?;
    let now = clock::now();
    home.change_peer(&args.name, |peer| {
        refuse_unsettled(peer, &agreement, now)?;
        *peer = peer.clone().with_agreement(&signed);
        Ok::<_, Failure>(())
    })?;
    let is_reloaded = daemon::reload(home, console)?;
    announce(args, &agreement, now, is_reloaded, console)?;
    Ok(Exit::Ok)
}

/// The agreement of the file, with both signatures checked.
fn verified_agreement(
    args: &Args,
    peer: &PeerFile,
    home: &Home,
) -> Result<(VerifiedAgreement, SignedAgreement), Failure> {
    let ours = home.card()?;
    let path = home.peer_path(&args.name);
    let theirs = VerifiedCard::verify(peer.card.clone()).map_err(|source| HomeError::Card { path, source })?;
    let signed = read_agreement(&args.agreement)?;
    let agreement = home.verify_agreement(signed.clone(), peer, &ours, &theirs);
    let agreement = agreement.map_err(|source| HomeError::Agreement { path: args.agreement.clone(), source })?;
    Ok((agreement, signed))
}

fn refuse_unsettled(peer: &PeerFile, agreement: &VerifiedAgreement, now: Time) -> Result<(), Failure> {
    super::refuse_stopped(peer)?;
    if peer.verified != Some(agreement.id()) {
        return Err(Failure::NotVerified { name: peer.name.clone(), agreement: agreement.id() });
    }
    // An ending is for good: a later version may follow it, the same one never does.
    if let Some(termination) = peer.termination.as_ref().and_then(|envelope| peek::<Termination>(envelope).ok())
        && termination.agreement == agreement.id()
    {
        return Err(Failure::Terminated { name: peer.name.clone(), at: termination.at });
    }
    let until = agreement.agreement().valid_until;
    if until < now { Err(Failure::Expired { until }) } else { Ok(()) }
}

fn announce(
    args: &Args,
    agreement: &VerifiedAgreement,
    now: Time,
    is_reloaded: bool,
    console: &mut Console,
) -> Result<(), Failure> {
    let name = &args.name;
    if console.is_json() {
        let id = agreement.id();
        return console.json(&json!({ "peer": name, "state": "active", "agreement": id, "reloaded": is_reloaded }));
    }
    let terms = agreement.agreement();
    let (from, until) = (clock::for_people(terms.valid_from), clock::for_people(terms.valid_until));
    console.styled(GOOD, format_args!("{name} is active until {until}."))?;
    if now < terms.valid_from {
        console.line(format_args!("Data moves from {from} on."))?;
    }
    if !is_reloaded {
        console.line("No daemon runs here now; `mithaq run` starts it.")?;
    }
    Ok(())
}
