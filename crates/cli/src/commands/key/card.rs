//! Making the next card, here or for another machine to sign.

use std::path::{Path, PathBuf};

use mithaq_api::home::{Home, KeyName, read_key};
use mithaq_core::{
    card::{CardDraft, VerifiedCard},
    keys::SecretKey,
    time::Time,
};
use serde_json::json;

use super::plan::Plan;
use crate::{
    clock,
    console::{Console, GOOD, WARN},
    daemon,
    failure::Failure,
};

/// Where the root key lies that signs the next card.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct RootFile {
    /// The root key's file, if it does not lie in the home
    #[arg(long, value_name = "FILE")]
    root: Option<PathBuf>,
}

/// A root key's file, or the one in the home.
fn root_key(file: Option<&Path>, card: &VerifiedCard, home: &Home) -> Result<SecretKey, Failure> {
    let path = file.map_or_else(|| home.key_path(KeyName::Root), Path::to_owned);
    if file.is_none() && !path.exists() {
        return Err(Failure::RootOffline { path });
    }
    let key = read_key(&path)?;
    if key.public() == card.card().root { Ok(key) } else { Err(Failure::OtherRoot { path }) }
}

/// Makes and signs our next card, puts it in place and tells the daemon. `plan` says what it says.
///
/// The order is what makes it safe to cut short: the new keys are on the disk before the card that names them is, and
/// the card changes in one step. Keys that no card names are left over at the worst.
pub(super) fn issue(
    root: &RootFile,
    home: &Home,
    console: &mut Console,
    plan: impl FnOnce(&VerifiedCard, Time) -> Result<Plan, Failure>,
) -> Result<(), Failure> {
    let turn = home.card_turn()?;
    let (card, now) = (home.card()?, clock::now());
    let root = root_key(root.root.as_deref(), &card, home)?;
    let plan = plan(&card, now)?;
    let draft = CardDraft::new(root.public(), plan.details.clone())?;
    plan.write_keys(home)?;
    let next = draft.sign(&root)?;
    home.replace_card(&next, now)?;
    drop(turn);
    announce(&next, home, console)
}

/// Says that a card is ours now, once the daemon was told.
pub(super) fn announce(card: &VerifiedCard, home: &Home, console: &mut Console) -> Result<(), Failure> {
    let is_reloaded = daemon::reload(home, console)?;
    let serial = card.card().serial;
    if console.is_json() {
        return console.json(&json!({ "cert": card.cert_id(), "serial": serial, "reloaded": is_reloaded }));
    }
    console.styled(GOOD, format_args!("Our card has serial {serial} now."))?;
    if is_reloaded {
        console.line("The daemon has taken it up. `mithaq key list` shows which keys are used from when on.")
    } else {
        console.styled(WARN, "No daemon has taken it up; the next start does.")
    }
}
