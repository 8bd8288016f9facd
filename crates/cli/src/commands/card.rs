//! `mithaq card`: our self-description, and anyone's that lies in a file.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use mithaq_api::home::{Home, create_file, read_card};
use mithaq_core::card::{Card, DatedKey};

use crate::{
    clock,
    console::{Console, STRONG, WARN},
    exit::Exit,
    failure::Failure,
    people::fingerprint,
};

/// Show and export cards: what a CERT says of itself, signed by its root key.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  mithaq card show
  mithaq card show their-card.json
  mithaq card export --out our-card.json")]
pub(crate) enum Command {
    Show(ShowArgs),
    Export(ExportArgs),
}

/// Show our card, or the one in a file; its signature is checked.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq card show
  mithaq card show their-card.json --json | jq .serial")]
pub(crate) struct ShowArgs {
    /// A card's file, in place of our own card
    #[arg(value_name = "CARD")]
    file: Option<PathBuf>,
}

/// Print our card as it travels, to send to peers.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq card export --out our-card.json
  mithaq card export | mail -s 'our new card' soc@cert.example")]
pub(crate) struct ExportArgs {
    /// Write it to a new file instead
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs one of the card commands.
pub(crate) fn run(command: &Command, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    match command {
        Command::Show(args) => show(args, home, console),
        Command::Export(args) => export(args.out.as_deref(), home, console),
    }
}

fn show(args: &ShowArgs, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let card = match &args.file {
        Some(file) => read_card(file)?,
        None => home.card()?,
    };
    if console.is_json() {
        console.json(card.card())?;
    } else {
        print(card.card(), console)?;
    }
    Ok(Exit::Ok)
}

/// Prints our card, or writes it to a new file.
pub(crate) fn export(out: Option<&Path>, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let card = home.card()?;
    let text = card.envelope().to_json();
    match out {
        None => console.json_line(text.trim_ascii_end())?,
        Some(path) => {
            create_file(path, &text, 0o644)?;
            console.note(format_args!("wrote the card of {} to {}", card.card().name, path.display()))?;
            console.note(format_args!("fingerprint {}", fingerprint(card.cert_id())))?;
        }
    }
    Ok(Exit::Ok)
}

/// Shows what a card says.
pub(crate) fn print(card: &Card, console: &mut Console) -> Result<(), Failure> {
    console.styled(STRONG, format_args!("{} ({})", card.name, card.country))?;
    console.line(format_args!("  fingerprint  {}", fingerprint(card.root.cert_id())))?;
    console.line(format_args!("  serial       {}, {}", card.serial, clock::for_people(card.issued_at)))?;
    for contact in &card.contacts {
        console.line(format_args!("  contact      {contact}"))?;
    }
    for endpoint in &card.endpoints {
        console.line(format_args!("  endpoint     {endpoint}"))?;
    }
    for identity in &card.identities {
        console.line(format_args!("  identity     {identity}"))?;
    }
    print_keys("signing key", &card.signing_keys, console)?;
    print_keys("TLS key    ", &card.tls_keys, console)?;
    for revoked in &card.revoked_keys {
        let (key, since) = (revoked.key, clock::for_people(revoked.since));
        console.styled(WARN, format_args!("  revoked      {key} since {since}"))?;
    }
    Ok(())
}

fn print_keys(title: &str, keys: &[DatedKey], console: &mut Console) -> Result<(), Failure> {
    keys.iter().try_for_each(|key| {
        let (from, until) = (clock::for_people(key.not_before), clock::for_people(key.not_after));
        console.line(format_args!("  {title}  {} from {from} until {until}", key.public.id()))
    })
}
