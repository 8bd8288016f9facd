//! `mithaq peer list` and `mithaq peer show`: what stands between us and others, as the home holds it.

use mithaq_api::home::{Home, HomeError, PeerFile, PeerState};
use mithaq_core::{
    agreement::SignedAgreement,
    card::{Card, VerifiedCard},
};
use serde_json::{Value, json};

use super::peer_name;
use crate::{
    clock,
    console::{Console, STRONG},
    exit::Exit,
    failure::Failure,
    people::fingerprint,
    table::Table,
};

/// List the peers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq peer list
  mithaq peer list --json | jq -r .name")]
pub(crate) struct ListArgs {}

/// Show what is known of a peer: its card, its state and the agreement with it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq peer show cn
  mithaq peer show cn --json")]
pub(crate) struct ShowArgs {
    /// Our name for the peer
    #[arg(value_parser = peer_name)]
    name: String,
}

/// A peer whose card was checked; its agreement is shown as it stands in the file.
struct Entry {
    file: PeerFile,
    card: VerifiedCard,
    agreement: Option<SignedAgreement>,
}

impl Entry {
    fn read(name: &str, home: &Home) -> Result<Self, Failure> {
        let file = home.peer_file(name)?;
        let path = home.peer_path(name);
        let card = VerifiedCard::verify(file.card.clone());
        let card = card.map_err(|source| HomeError::Card { path: path.clone(), source })?;
        let agreement = file.agreement.as_ref().map(SignedAgreement::open).transpose();
        let agreement = agreement.map_err(|source| HomeError::Agreement { path, source })?;
        Ok(Self { file, card, agreement })
    }

    fn card(&self) -> &Card {
        self.card.card()
    }

    fn endpoints(&self) -> &[String] {
        if self.file.endpoints.is_empty() { &self.card().endpoints } else { &self.file.endpoints }
    }

    /// What stands between us; the end of the agreement goes before the state of the file.
    fn state(&self) -> &'static str {
        match self.file.state {
            PeerState::Active if self.file.termination.is_some() => "ended",
            other => state(other),
        }
    }

    fn to_json(&self) -> Value {
        let card = self.card();
        json!({
            "name": self.file.name,
            "state": self.file.state,
            "reason": self.file.reason,
            "cert": self.card.cert_id(),
            "cert_name": card.name,
            "country": card.country,
            "contacts": card.contacts,
            "endpoints": self.endpoints(),
            "identities": card.identities,
            "serial": card.serial,
            "verified": self.file.verified,
            "agreement": self.agreement.as_ref().map(SignedAgreement::id),
            "ended": self.file.termination.is_some(),
            "valid_until": self.agreement.as_ref().map(|agreement| agreement.agreement().valid_until),
        })
    }
}

/// Lists the peers.
pub(super) fn list(_: &ListArgs, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    home.require()?;
    let entries = home.peer_names()?.iter().map(|name| Entry::read(name, home)).collect::<Result<Vec<_>, _>>()?;
    if console.is_json() {
        entries.iter().try_for_each(|entry| console.json(&entry.to_json()))?;
    } else if entries.is_empty() {
        console.line("No peers yet: `mithaq peer add NAME CARD_FILE` takes one in.")?;
    } else {
        table(&entries).print(console)?;
    }
    Ok(Exit::Ok)
}

fn table(entries: &[Entry]) -> Table {
    let mut table = Table::new(["peer", "state", "fingerprint", "country", "name"]);
    for entry in entries {
        let card = entry.card();
        let id = entry.card.cert_id().fmt_short();
        table.row([entry.file.name.clone(), entry.state().into(), id, card.country.clone(), card.name.clone()]);
    }
    table
}

/// Shows a peer.
pub(super) fn show(args: &ShowArgs, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    home.require()?;
    let entry = Entry::read(&args.name, home)?;
    if console.is_json() {
        console.json(&entry.to_json())?;
    } else {
        print(&entry, console)?;
    }
    Ok(Exit::Ok)
}

fn print(entry: &Entry, console: &mut Console) -> Result<(), Failure> {
    let card = entry.card();
    console.styled(STRONG, format_args!("{}: {} ({})", entry.file.name, card.name, card.country))?;
    console.line(format_args!("  state        {}", entry.state()))?;
    if let Some(reason) = &entry.file.reason {
        console.line(format_args!("  reason       {reason}"))?;
    }
    console.line(format_args!("  fingerprint  {}", fingerprint(entry.card.cert_id())))?;
    for contact in &card.contacts {
        console.line(format_args!("  contact      {contact}"))?;
    }
    for endpoint in entry.endpoints() {
        console.line(format_args!("  endpoint     {endpoint}"))?;
    }
    for identity in &card.identities {
        console.line(format_args!("  identity     {identity}"))?;
    }
    console.line(format_args!("  card         serial {}, {}", card.serial, clock::for_people(card.issued_at)))?;
    print_agreement(entry, console)
}

fn print_agreement(entry: &Entry, console: &mut Console) -> Result<(), Failure> {
    if let Some(agreement) = &entry.agreement {
        let until = clock::for_people(agreement.agreement().valid_until);
        return console.line(format_args!("  agreement    {} until {until}", agreement.id().fmt_short()));
    }
    match entry.file.verified {
        Some(id) => console.line(format_args!("  agreement    {} verified, not active", id.fmt_short())),
        None => console.line("  agreement    none"),
    }
}

/// The name of a state, as `--json` has it too.
pub(super) fn state(state: PeerState) -> &'static str {
    match state {
        PeerState::Added => "added",
        PeerState::Verified => "verified",
        PeerState::Active => "active",
        PeerState::Suspended => "suspended",
        PeerState::Blocked => "blocked",
        _ => "unknown",
    }
}
