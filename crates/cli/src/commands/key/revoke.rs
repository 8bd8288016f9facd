//! `mithaq key revoke`: a key was stolen, or may have been.

use mithaq_api::home::Home;
use mithaq_core::time::Time;

use super::{
    card::{self, RootFile},
    plan::{self, Plan},
};
use crate::{console::Console, exit::Exit, failure::Failure};

/// Revoke a key: what it signed at that time or later counts nowhere any more.
///
/// Name the last time at which the key was surely in your hands alone. Peers quarantine what it signed from then on and
/// tell their SIEMs to drop it; push again what was yours. If the key is in use, a new one takes its place at once.
/// Peers that do not know a new TLS key let nobody in: send them the card by mail (`mithaq card export`, and there
/// `mithaq peer update`).
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq key list                                         which keys there are
  mithaq key revoke 3f2a90c1 --since 2026-11-20T18:00:00Z
  mithaq key revoke 3f2a90c1 --since 2026-11-20T18:00:00Z --root /media/safe/root.key")]
pub(crate) struct Args {
    /// The key's id, or its first digits, eight or more
    key: String,
    /// From when on nothing of it counts
    #[arg(long, value_name = "TIME")]
    since: Time,
    #[command(flatten)]
    root: RootFile,
}

/// Revokes a key.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    card::issue(&args.root, home, console, |card, now| {
        let mut plan = Plan::new(card, now);
        plan.revoke(plan::find_key(card, &args.key)?, args.since, home, now)?;
        Ok(plan)
    })?;
    Ok(Exit::Ok)
}
