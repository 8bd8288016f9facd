//! `mithaq peer activate`: from here on data moves.

use std::path::PathBuf;

use mithaq_api::{
    client::ClientError,
    home::{Home, HomeError, PeerFile, PeerState, read_agreement},
    http::Reloaded,
};
use mithaq_core::{agreement::VerifiedAgreement, card::VerifiedCard, dsse::Envelope, time::Time};
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
    let (agreement, envelope) = verified_agreement(args, &peer, home)?;
    let now = clock::now();
    refuse_unsettled(&peer, &agreement, now)?;
    home.write_peer(&PeerFile { agreement: Some(envelope), state: PeerState::Active, ..peer })?;
    let is_reloaded = reload(home, console)?;
    announce(args, &agreement, now, is_reloaded, console)?;
    Ok(Exit::Ok)
}

/// The agreement of the file, with both signatures checked.
fn verified_agreement(args: &Args, peer: &PeerFile, home: &Home) -> Result<(VerifiedAgreement, Envelope), Failure> {
    let ours = home.card()?;
    let path = home.peer_path(&args.name);
    let theirs = VerifiedCard::verify(peer.card.clone()).map_err(|source| HomeError::Card { path, source })?;
    let signed = read_agreement(&args.agreement)?;
    let envelope = signed.envelope();
    let agreement = signed.verify(&ours, &theirs);
    let agreement = agreement.map_err(|source| HomeError::Agreement { path: args.agreement.clone(), source })?;
    Ok((agreement, envelope))
}

fn refuse_unsettled(peer: &PeerFile, agreement: &VerifiedAgreement, now: Time) -> Result<(), Failure> {
    if peer.verified != Some(agreement.id()) {
        return Err(Failure::NotVerified { name: peer.name.clone(), agreement: agreement.id() });
    }
    let until = agreement.agreement().valid_until;
    if until < now { Err(Failure::Expired { until }) } else { Ok(()) }
}

/// Tells a daemon that runs; without one, the next start finds the peer.
pub(super) fn reload(home: &Home, console: &mut Console) -> Result<bool, Failure> {
    let answer = daemon::client(home)
        .and_then(|client| daemon::block_on(async { Ok(client.post::<Reloaded>("/v1/reload").await?) }));
    match answer {
        Ok(_) => Ok(true),
        Err(Failure::Client(ClientError::Unreachable { .. })) => Ok(false),
        Err(failure) => {
            console.note(format_args!("the daemon did not take it up: {}: {}", failure.code(), failure.message()))?;
            Ok(false)
        }
    }
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
