//! `mithaq key draft`: the next card, for a root key that lies on another machine.

use std::path::PathBuf;

use mithaq_api::home::{Home, create_file};
use mithaq_core::{card::CardDraft, time::Time};
use serde_json::json;

use super::plan::{self, Lives, Plan};
use crate::{
    clock,
    console::{Console, STRONG},
    exit::Exit,
    failure::Failure,
};

/// Draft the next card, to be signed on the machine where the root key lies.
///
/// The new keys are made here and never leave; the draft names them and holds no secret. Until the signed card is
/// installed, everything stays as it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq key draft --out next.draft                               new signing and TLS keys
  mithaq key draft --only tls --overlap 60 --out next.draft
  mithaq key draft --revoke 3f2a90c1 --since 2026-11-20T18:00:00Z --out next.draft")]
pub(crate) struct Args {
    #[command(flatten)]
    lives: Lives,
    /// Revoke this key, instead of making new ones beside the old
    #[arg(long, value_name = "KEY", requires = "since", conflicts_with_all = ["only", "overlap", "days"])]
    revoke: Option<String>,
    /// From when on nothing of the revoked key counts
    #[arg(long, value_name = "TIME", requires = "revoke")]
    since: Option<Time>,
    /// The draft's file
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Drafts the next card.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let _turn = home.card_turn()?;
    let (card, now) = (home.card()?, clock::now());
    let mut plan = Plan::new(&card, now);
    match (&args.revoke, args.since) {
        (Some(key), Some(since)) => plan.revoke(plan::find_key(&card, key)?, since, home, now)?,
        _ => plan.rotate(&card, home, &args.lives, now)?,
    }
    let draft = CardDraft::new(card.card().root, plan.details.clone())?;
    plan.write_keys(home)?;
    create_file(&args.out, &draft.to_json()?, 0o644)?;
    announce(args, &draft, console)?;
    Ok(Exit::Ok)
}

fn announce(args: &Args, draft: &CardDraft, console: &mut Console) -> Result<(), Failure> {
    let (serial, out) = (draft.card().serial, args.out.display());
    if console.is_json() {
        return console.json(&json!({ "draft": args.out, "serial": serial }));
    }
    console.styled(STRONG, format_args!("Drafted our card with serial {serial}: {out}"))?;
    console.line("Next, on the machine where the root key lies:")?;
    console.line(format_args!("  mithaq key sign-card {out} --root root.key --out next-card.json"))?;
    console.line("and here:")?;
    console.line("  mithaq key install next-card.json")
}
