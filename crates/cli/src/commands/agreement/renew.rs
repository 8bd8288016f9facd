//! `mithaq agreement renew`: a successor of the agreement in force, with the same terms.

use std::path::PathBuf;

use mithaq_api::home::{Home, HomeError, create_file};
use mithaq_core::agreement::{DAYS_MAX, SignedAgreement};

use super::{
    show::of_peer,
    template::after_days,
    terms::{self, next_steps},
};
use crate::{clock, commands::peer::peer_name, console::Console, exit::Exit, failure::Failure, people::People};

/// Draft a successor of the agreement with a peer: the same terms for another while.
///
/// It takes the place of the old one once all have signed who must, the code was compared and the peer was activated. In
/// a group, the threshold of members is enough.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq agreement renew cn --out renewed.json
  mithaq agreement renew cn --days 730 --out renewed.json")]
pub(crate) struct Args {
    /// Our name for the peer
    #[arg(value_parser = peer_name)]
    peer: String,
    /// How many days it holds, from now on
    #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u32).range(1..=i64::from(DAYS_MAX)))]
    days: u32,
    /// The new file for the draft
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Drafts a successor.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let current = of_peer(&args.peer, home)?;
    let mut agreement = current.agreement().clone();
    agreement.valid_from = clock::start_of_minute(clock::now());
    agreement.valid_until = after_days(agreement.valid_from, args.days);
    agreement.supersedes = Some(current.id());
    let path = home.peer_path(&args.peer);
    let draft = SignedAgreement::draft(agreement).map_err(|source| HomeError::Agreement { path, source })?;
    create_file(&args.out, &draft.envelope().to_json(), 0o644)?;
    terms::print(&draft, &People::of(home), clock::now(), console)?;
    next_steps(&args.out, console)?;
    Ok(Exit::Ok)
}
