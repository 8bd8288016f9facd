//! `mithaq key install`: a card that was signed on another machine takes the place of ours.

use std::path::PathBuf;

use mithaq_api::home::{Home, read_card};
use mithaq_core::card::Succession;

use super::card;
use crate::{clock, console::Console, exit::Exit, failure::Failure};

/// Put a newer card of ours in place, signed by our root key on another machine.
///
/// It must follow our card, and name keys that lie here. A daemon that runs takes it up at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq key install next-card.json")]
pub(crate) struct Args {
    /// The card that `mithaq key sign-card` made
    #[arg(value_name = "CARD")]
    card: PathBuf,
}

/// Installs a card.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let turn = home.card_turn()?;
    let next = read_card(&args.card)?;
    if home.replace_card(&next, clock::now())? == Succession::Same {
        console.note("this is our card already")?;
    }
    drop(turn);
    card::announce(&next, home, console)?;
    Ok(Exit::Ok)
}
