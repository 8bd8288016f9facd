//! `mithaq key sign-card`: on the machine where the root key lies.

use std::path::{Path, PathBuf};

use mithaq_api::home::{HomeError, create_file, read_card, read_key};
use mithaq_core::{
    card::{CardDraft, VerifiedCard},
    dsse::ENVELOPE_BYTES_MAX,
};
use serde_json::json;

use crate::{
    commands::card,
    console::{Console, GOOD},
    exit::Exit,
    failure::Failure,
};

/// Read a draft and sign it with the root key. Needs no home and no network.
///
/// Keep the last card that was signed beside the root key and name it with --last: two cards with one serial are proof
/// of fraud to every peer.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq key sign-card next.draft --root root.key --out next-card.json
  mithaq key sign-card next.draft --root root.key --last card.json --out next-card.json
  mithaq key sign-card next.draft --root root.key --out next-card.json --yes    for scripts that have read it")]
pub(crate) struct Args {
    /// The draft that `mithaq key draft` made
    #[arg(value_name = "DRAFT")]
    draft: PathBuf,
    /// The root key's file
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// The last card that was signed, which this one must follow
    #[arg(long, value_name = "CARD")]
    last: Option<PathBuf>,
    /// The card's file
    #[arg(long, value_name = "CARD")]
    out: PathBuf,
    /// Sign without asking
    #[arg(long, short)]
    yes: bool,
}

/// Signs a draft.
pub(super) fn run(args: &Args, console: &mut Console) -> Result<Exit, Failure> {
    let draft = read_draft(&args.draft)?;
    let root = read_key(&args.root)?;
    if root.public() != draft.card().root {
        return Err(Failure::OtherRoot { path: args.root.clone() });
    }
    if !args.yes {
        card::print(draft.card(), console)?;
        let answer = console.require("your consent", "--yes", "Sign this card? Type yes:")?;
        if !answer.eq_ignore_ascii_case("yes") {
            console.note("nothing was signed")?;
            return Ok(Exit::Failure);
        }
    }
    let card = draft.sign(&root)?;
    if let Some(last) = &args.last {
        refuse_used_serial(&card, last)?;
    }
    create_file(&args.out, &card.envelope().to_json(), 0o644)?;
    announce(args, &card, console)?;
    Ok(Exit::Ok)
}

fn read_draft(path: &Path) -> Result<CardDraft, Failure> {
    use std::io::Read;
    let failed = |source| Failure::File { action: "read", path: path.to_owned(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    let mut text = Vec::new();
    file.take(ENVELOPE_BYTES_MAX as u64 + 1).read_to_end(&mut text).map_err(failed)?;
    CardDraft::from_json(&text).map_err(|source| Failure::Draft { path: path.to_owned(), source })
}

fn refuse_used_serial(card: &VerifiedCard, last: &Path) -> Result<(), Failure> {
    let last_card = read_card(last)?;
    let follows = card.succeeds(&last_card).map(drop);
    follows.map_err(|source| HomeError::Succession { path: last.to_owned(), source }.into())
}

fn announce(args: &Args, card: &VerifiedCard, console: &mut Console) -> Result<(), Failure> {
    let (serial, out) = (card.card().serial, args.out.display());
    if console.is_json() {
        return console.json(&json!({ "cert": card.cert_id(), "serial": serial, "card": args.out }));
    }
    console.styled(GOOD, format_args!("Signed the card with serial {serial}: {out}"))?;
    console.line("Keep a copy here for --last, and on the daemon's machine:")?;
    console.line(format_args!("  mithaq key install {out}"))
}
