//! `mithaq key export-root`: the root key leaves the machine that is on the network.

use std::path::{Path, PathBuf};

use mithaq_api::home::{Home, KeyName};
use serde_json::json;

use crate::{
    console::{Console, GOOD},
    exit::Exit,
    failure::Failure,
};

/// Move the root key out of the home, to a medium that no network reaches.
///
/// The copy is read back before the home's own is removed. The daemon needs no root key. Keep a second copy: a CERT
/// that has lost its root key can make no new card, and pairs anew as another CERT once its keys run out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  mithaq key export-root --to /media/safe/root.key
  mithaq key rotate --root /media/safe/root.key       later, when it is needed")]
pub(crate) struct Args {
    /// The new file, outside the home; only its owner may read it
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// Moves the root key.
pub(super) fn run(args: &Args, home: &Home, console: &mut Console) -> Result<Exit, Failure> {
    let path = home.key_path(KeyName::Root);
    if !path.exists() {
        home.require()?;
        return Err(Failure::RootOffline { path });
    }
    refuse_home(&args.to, home)?;
    let _turn = home.card_turn()?;
    home.export_root(&args.to)?;
    if console.is_json() {
        console.json(&json!({ "root": args.to }))?;
    } else {
        console.styled(GOOD, format_args!("The root key lies at {} alone now.", args.to.display()))?;
        console.line("Take it off this machine, and keep a second copy elsewhere.")?;
        console.line("Whatever backups of this home were made before still hold it.")?;
    }
    Ok(Exit::Ok)
}

/// Refuses a place inside the home: from there the key would go wherever the home goes.
fn refuse_home(to: &Path, home: &Home) -> Result<(), Failure> {
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let resolve = |path: &Path| {
        path.canonicalize().map_err(|source| Failure::File { action: "find", path: path.to_owned(), source })
    };
    if resolve(folder)?.starts_with(resolve(home.dir())?) {
        let problem = format!("{} lies inside the home; name a place that no network reaches", to.display());
        return Err(Failure::Argument { what: "--to", problem });
    }
    Ok(())
}
