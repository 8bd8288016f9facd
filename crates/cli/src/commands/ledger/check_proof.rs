//! `mithaq ledger check-proof`: what a proof file proves, without a daemon, a home or a network.

use std::path::PathBuf;

use mithaq_api::home::read_card;
use mithaq_core::ledger::{Disclosure, Entry};
use serde_json::json;

use super::{
    proof::{self, PROOF_BYTES_MAX, Proven},
    status_name,
};
use crate::{
    clock,
    console::{Console, GOOD, WARN},
    exit::Exit,
    failure::Failure,
    input,
};

/// Check a proof that a CERT's ledger has an entry, with that CERT's card.
///
/// With the card of the peer that was disclosed to, its cosignature and its receipt are checked too. Needs no daemon and
/// no CERT of one's own. Ends with status 5 if the proof does not hold.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq ledger check-proof proof.json --card pk-card.json
  mithaq ledger check-proof proof.json --card pk-card.json --peer-card cn-card.json --json")]
pub(crate) struct Args {
    /// The proof's file; - is standard input
    file: PathBuf,
    /// The card of the CERT that discloses
    #[arg(long, value_name = "CARD_FILE")]
    card: PathBuf,
    /// The card of the CERT that was disclosed to
    #[arg(long, value_name = "CARD_FILE")]
    peer_card: Option<PathBuf>,
}

/// Checks a proof.
pub(super) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let file = input::name(&args.file);
    let signer = read_card(&args.card)?;
    let peer = args.peer_card.as_deref().map(read_card).transpose()?;
    let text = input::read_whole(&args.file, PROOF_BYTES_MAX)?;
    let proven = proof::check(&proof::read(&text, &file)?, &signer, peer.as_ref(), &file, clock::now())?;
    if console.is_json() {
        print_json(&proven, console)?
    } else {
        print(&proven, &signer.card().name, console)?
    }
    Ok(Exit::Ok)
}

fn print(proven: &Proven, name: &str, console: &mut Console) -> Result<(), Failure> {
    let head = proven.checkpoint.checkpoint();
    let to = head.origin.to().map_or_else(|| "itself".to_owned(), |to| to.to_string());
    console.styled(GOOD, format_args!("proven: entry {} of {} in the ledger of {name}", proven.index, head.size))?;
    console.line(format_args!("  by    {}", head.origin.from))?;
    console.line(format_args!("  to    {to}"))?;
    match &proven.entry {
        Entry::Disclosure(Disclosure { release, agreement, rule, at }) => {
            console.line(format_args!("  disclosed release {release}"))?;
            console.line(format_args!("  under agreement {agreement}, by rule {rule}, {}", clock::for_people(*at)))?;
        }
        Entry::Receipt(signed) => {
            console.line(format_args!("  receipt of {}", clock::for_people(signed.receipt().at())))?;
            for entry in signed.receipt().entries() {
                console.line(format_args!("    {:8}  {}", status_name(entry.status), entry.release))?;
            }
        }
        _ => console.line("  an entry of a kind that this program does not know")?,
    }
    console.line(format_args!("  head signed {}", clock::for_people(head.at)))?;
    match proven.checkpoint.cosigned_at() {
        Some(at) => console.styled(GOOD, format_args!("  cosigned by the peer {}", clock::for_people(at))),
        None => console.styled(WARN, "  no cosignature of the peer was checked"),
    }
}

fn print_json(proven: &Proven, console: &mut Console) -> Result<(), Failure> {
    let head = proven.checkpoint.checkpoint();
    let bytes = proven.entry.to_bytes().unwrap_or_default();
    let entry: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    console.json(&json!({
        "ok": true,
        "from": head.origin.from,
        "to": head.origin.to(),
        "store": head.origin.store,
        "index": proven.index,
        "entry": entry,
        "size": head.size,
        "root": head.root,
        "at": head.at,
        "cosigned_at": proven.checkpoint.cosigned_at(),
    }))
}
