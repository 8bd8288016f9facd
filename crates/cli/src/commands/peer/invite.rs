//! `mithaq peer invite`: our card, to be sent to another CERT.

use std::path::PathBuf;

use mithaq_api::home::{Home, create_file};

use crate::{console::Console, exit::Exit, failure::Failure, people::fingerprint};

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
    let card = home.card()?;
    let text = card.envelope().to_json();
    match &args.out {
        None => console.json_line(text.trim_ascii_end())?,
        Some(path) => {
            create_file(path, &text, 0o644)?;
            console.note(format_args!("wrote the card of {} to {}", card.card().name, path.display()))?;
            console.note(format_args!("fingerprint {}", fingerprint(card.cert_id())))?;
        }
    }
    Ok(Exit::Ok)
}
