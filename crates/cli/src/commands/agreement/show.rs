//! `mithaq agreement show`: the terms, and what the signatures are worth.

use std::path::{Path, PathBuf};

use mithaq_api::home::{Home, HomeError, check_peer_name, read_agreement};
use mithaq_core::agreement::SignedAgreement;

use super::terms::{self, Signature};
use crate::{clock, console::Console, exit::Exit, failure::Failure, people::People};

/// Show an agreement's terms, who has signed, and whether the signatures fit.
///
/// Ends with status 5 if a signature does not fit.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq agreement show pact.json
  mithaq agreement show cn          the one with a peer
  mithaq agreement show cn --json")]
pub(crate) struct Args {
    /// An agreement's file, or our name for a peer
    #[arg(value_name = "FILE|PEER")]
    what: PathBuf,
}

/// Shows an agreement.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let agreement = find(&args.what, home)?;
    let people = People::of(home);
    terms::print(&agreement, &people, clock::now(), console)?;
    let mut parties = agreement.agreement().certs();
    let is_changed = parties.any(|party| Signature::of(party, &agreement, &people) == Signature::DoesNotFit);
    Ok(if is_changed { Exit::Identity } else { Exit::Ok })
}

/// A file goes before a peer of that name.
pub(super) fn find(what: &Path, home: &Home) -> Result<SignedAgreement, Failure> {
    let name = what.to_str().filter(|name| !what.is_file() && check_peer_name(name).is_ok());
    match name {
        Some(name) => of_peer(name, home),
        None => Ok(read_agreement(what)?),
    }
}

/// The agreement that the file of a peer holds.
pub(super) fn of_peer(name: &str, home: &Home) -> Result<SignedAgreement, Failure> {
    home.require()?;
    let envelope = home.peer_file(name)?.agreement.ok_or_else(|| Failure::NoAgreement { name: name.to_owned() })?;
    let path = home.peer_path(name);
    Ok(SignedAgreement::open(&envelope).map_err(|source| HomeError::Agreement { path, source })?)
}
