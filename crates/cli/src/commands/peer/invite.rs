//! `mithaq peer invite`: our card, to be sent to another CERT.

use std::path::PathBuf;

use mithaq_api::home::Home;

use crate::{commands::card, console::Console, exit::Exit, failure::Failure};

/// Print our card, to send to the other CERT.
///
/// The card holds no secret. It may travel by mail: what counts is the code that both sides compare by telephone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq peer invite --out our-card.json
  mithaq peer invite | mail -s 'our card' soc@cert.example")]
pub(crate) struct Args {
    /// Write it to a new file instead
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Prints our card.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    card::export(args.out.as_deref(), home, console)
}
