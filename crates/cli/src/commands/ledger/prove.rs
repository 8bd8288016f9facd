//! `mithaq ledger prove`: a file by which anyone can check that a release was disclosed to a peer.

use std::path::{Path, PathBuf};

use mithaq_api::{
    client::with_query,
    home::{Home, create_file},
    http::{LedgerProof, LedgerProofQuery},
};
use mithaq_core::id::ReleaseId;

use super::proof;
use crate::{
    clock,
    commands::peer::peer_name,
    console::{Console, GOOD},
    daemon,
    exit::Exit,
    failure::Failure,
};

/// Prove to others that the ledger has the disclosure of a release.
///
/// The proof holds the entry, its path through the tree and the signed head. Whoever gets it needs only our card:
/// `mithaq ledger check-proof` checks it. Nothing of other entries, and nothing of the release's objects, is in it.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq ledger prove 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --peer cn --out proof.json
  mithaq ledger prove 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08 --peer cn | jq .")]
pub(crate) struct Args {
    /// The release's id
    release: ReleaseId,
    /// Our name for the peer
    #[arg(long, value_name = "NAME", value_parser = peer_name)]
    peer: String,
    /// The new file for the proof [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Makes a proof.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let query = LedgerProofQuery { peer: args.peer.clone(), release: args.release };
    let path = with_query("/v1/ledger/proof", &query)?;
    let client = daemon::client(home)?;
    let found: LedgerProof = daemon::block_on(async { Ok(client.get(&path).await?) })?;
    // What others are to check is checked first: a damaged store must not make us send rubbish under our name.
    proof::check(&found, &home.card()?, None, "the daemon's answer", clock::now())?;
    match &args.out {
        None => console.json(&found)?,
        Some(file) => write(&found, file, console)?,
    }
    Ok(Exit::Ok)
}

fn write(found: &LedgerProof, file: &Path, console: &mut Console) -> Result<(), Failure> {
    let mut text = serde_json::to_vec(found).map_err(std::io::Error::from)?;
    text.push(b'\n');
    create_file(file, &text, 0o644)?;
    if console.is_json() {
        return console.json(found);
    }
    let (index, size, file) = (found.index, found.size, file.display());
    console.styled(GOOD, format_args!("{file}: entry {index} of {size} in the ledger with {}", found.peer))?;
    console.line(format_args!("  mithaq ledger check-proof {file} --card our-card.json"))
}
