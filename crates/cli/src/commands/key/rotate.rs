//! `mithaq key rotate`: new keys beside the old ones.

use mithaq_api::home::Home;

use super::{
    card::{self, RootFile},
    plan::{Lives, Plan},
};
use crate::{console::Console, exit::Exit, failure::Failure};

/// Make new signing and TLS keys and a card that names old and new ones; nothing stops and nobody meets again.
///
/// The daemon goes on with the old keys for half of the overlap, while peers take in the new card, then changes over by
/// itself. A peer that was away for all that time needs the card by mail: `mithaq card export`, and there `mithaq peer
/// update`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq key rotate
  mithaq key rotate --only tls --overlap 60
  mithaq key rotate --root /media/safe/root.key --days 730")]
pub(crate) struct Args {
    #[command(flatten)]
    lives: Lives,
    #[command(flatten)]
    root: RootFile,
}

/// Makes new keys.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    card::issue(&args.root, home, console, |card, now| {
        let mut plan = Plan::new(card, now);
        plan.rotate(card, home, &args.lives, now)?;
        Ok(plan)
    })?;
    Ok(Exit::Ok)
}
