//! `mithaq peer add`: another CERT's card, kept under a name of ours.

use std::path::PathBuf;

use mithaq_api::home::{Home, PeerFile, PeerState, read_card};
use mithaq_core::card::VerifiedCard;
use serde_json::json;

use super::peer_name;
use crate::{
    console::{Console, STRONG},
    exit::Exit,
    failure::Failure,
    people::{People, fingerprint},
};

/// Take in the card of another CERT under a name of ours.
///
/// Nothing is shared yet: whether the card is the right one is settled by `mithaq peer verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq peer add cn their-card.json
  mithaq peer add qa qa-card.json --endpoint 192.0.2.7:8770")]
pub(crate) struct Args {
    /// Our name for it: 1 to 32 of a-z, 0-9 and -
    #[arg(value_parser = peer_name)]
    name: String,
    /// The file that the other side made with `mithaq peer invite`
    #[arg(value_name = "CARD_FILE")]
    card: PathBuf,
    /// Where to reach it, in place of the endpoints of its card; may be repeated
    #[arg(long = "endpoint", value_name = "HOST:PORT", value_parser = endpoint)]
    endpoints: Vec<String>,
}

/// Takes in a card.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    home.require()?;
    let card = read_card(&args.card)?;
    refuse_known(&args.name, &card, home)?;
    home.refuse_claimed(&args.name, &card)?;
    let peer = PeerFile {
        name: args.name.clone(),
        card: card.envelope().clone(),
        endpoints: args.endpoints.clone(),
        verified: None,
        agreement: None,
        superseded: Vec::new(),
        termination: None,
        state: PeerState::Added,
        reason: None,
    };
    home.write_peer(&peer)?;
    announce(&peer, &card, console)?;
    Ok(Exit::Ok)
}

fn refuse_known(name: &str, card: &VerifiedCard, home: &Home) -> Result<(), Failure> {
    let people = People::of(home);
    if people.is_us(card.cert_id()) {
        return Err(Failure::OwnCard);
    }
    if home.peer_path(name).exists() {
        return Err(Failure::PeerExists { name: name.to_owned() });
    }
    match people.peer_name(card.cert_id()) {
        Some(known) => Err(Failure::CertKnown { name: known.to_owned() }),
        None => Ok(()),
    }
}

fn announce(peer: &PeerFile, card: &VerifiedCard, console: &mut Console) -> Result<(), Failure> {
    let details = card.card();
    if console.is_json() {
        let (name, country) = (&details.name, &details.country);
        return console.json(&json!({ "peer": peer.name, "cert": card.cert_id(), "name": name, "country": country }));
    }
    console.styled(STRONG, format_args!("{}: {} ({})", peer.name, details.name, details.country))?;
    console.line(format_args!("  fingerprint {}", fingerprint(card.cert_id())))?;
    console.line("")?;
    console.line("Next: draft an agreement, let both sides sign it, and compare the code by telephone:")?;
    let name = &peer.name;
    console.line(format_args!("  mithaq agreement new --peer {name} --tlp-max amber --out pact.json"))?;
    console.line(format_args!("  mithaq peer verify {name} --agreement pact.json"))
}

fn endpoint(text: &str) -> Result<String, String> {
    let parts = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
    match parts.and_then(|(_, port)| port.parse::<u16>().ok()) {
        Some(port) if port > 0 => Ok(text.to_owned()),
        _ => Err("expected HOST:PORT such as cert.example:8770".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_have_a_host_and_a_port() {
        for text in ["cert.example:8770", "192.0.2.1:1", "[2001:db8::1]:8770"] {
            assert_eq!(endpoint(text).as_deref(), Ok(text));
        }
        for text in ["cert.example", ":8770", "cert.example:0", "cert.example:65536", "cert.example:"] {
            assert!(endpoint(text).is_err(), "{text}");
        }
    }
}
