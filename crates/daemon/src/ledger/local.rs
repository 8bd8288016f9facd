//! The local ledger: the heads of all our ledgers under one signature, kept beside the store and not in it.
//!
//! Whoever puts an older copy of the store back, or changes it, leaves this file behind: the audit names it at once,
//! before any peer has to.

use std::{
    fs, io,
    path::PathBuf,
    sync::{PoisonError, atomic::Ordering},
};

use mithaq_api::home::{create_private_dir, replace_file, with_sources};
use mithaq_core::{
    code::Code,
    ledger::{CheckpointError, LocalLedger, PairHead, SignedCheckpoint},
};
use mithaq_store::StoreError;
use serde::{Deserialize, Serialize};

use super::{Ledger, peers, root_at};
use crate::{clock, node::Node};

/// The file, as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// The heads, as canonical JSON.
    heads: String,
    /// The signed note over them.
    note: String,
}

fn path(node: &Node) -> PathBuf {
    node.home.dir().join("ledger").join("local.json")
}

/// Compares the ledgers with what was signed of them, as the daemon starts: a store that was rolled back or changed must
/// begin no second history, so no peer is served from it. Blocks.
pub(crate) fn watch(node: &Node) -> Result<(), StoreError> {
    for problem in check(node)? {
        tracing::error!(code = %Code::OWN_ROLLBACK, problem, "no peer is served: `mithaq explain MQ-4019` says more");
        node.ledgers.diverged.store(true, Ordering::Relaxed);
    }
    Ok(())
}

/// Signs the heads as they are and replaces the file. Blocks.
pub(super) fn sign(node: &Node) -> Result<(), String> {
    let _turn = node.ledgers.local.lock().unwrap_or_else(PoisonError::into_inner);
    let text = |error: &dyn std::error::Error| with_sources(error);
    let mut local = LocalLedger::new(node.us, node.store.id());
    for peer in peers(node).map_err(|error| text(&error))? {
        let frontier = Ledger::new(node, peer).frontier().map_err(|error| text(&error))?;
        let head = PairHead { peer, store: node.store.id(), size: frontier.size(), root: frontier.root() };
        local.set(head).map_err(|error| text(&error))?;
    }
    let now = clock::wall();
    let identity = node.identity();
    let key = identity.signing_key(now).map_err(|error| text(&error))?;
    let note = local.checkpoint(now).map_err(|error| text(&error))?.sign(key).to_string();
    let heads = String::from_utf8(local.to_bytes().map_err(|error| text(&error))?).map_err(|error| text(&error))?;
    let file = serde_json::to_vec(&File { heads, note }).map_err(|error| text(&error))?;
    let path = path(node);
    if let Some(dir) = path.parent() {
        create_private_dir(dir).map_err(|error| text(&error))?;
    }
    replace_file(&path, &file).map_err(|error| text(&error))
}

/// Compares the ledgers with the file; says what is wrong. Blocks.
pub(super) fn check(node: &Node) -> Result<Vec<String>, StoreError> {
    let path = path(node);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !has_signed(node)? => return Ok(Vec::new()),
        Err(error) => return Ok(vec![format!("{}: {error}", path.display())]),
    };
    let local = match read(node, &text) {
        Ok(local) => local,
        Err(problem) => return Ok(vec![format!("{}: {problem}", path.display())]),
    };
    let mut problems = Vec::new();
    for head in local.heads().filter(|head| head.store == node.store.id()) {
        let ledger = Ledger::new(node, head.peer);
        let (size, peer) = (ledger.frontier()?.size(), node.name_of(head.peer));
        if size < head.size {
            let signed = head.size;
            problems.push(format!(
                "ledger towards {peer}: it has {size} entries and had {signed} when it was signed: the store was rolled back"
            ));
        } else if !matches!(root_at(&ledger, head.size), Ok(Some(root)) if root == head.root) {
            let signed = head.size;
            problems.push(format!(
                "ledger towards {peer}: its first {signed} entries are not those that were signed: the store was changed"
            ));
        }
    }
    Ok(problems)
}

/// Whether any ledger was signed, so that the file must be here.
fn has_signed(node: &Node) -> Result<bool, StoreError> {
    for peer in peers(node)? {
        if Ledger::new(node, peer).ours()?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn read(node: &Node, text: &[u8]) -> Result<LocalLedger, String> {
    let text_of = |error: &dyn std::error::Error| with_sources(error);
    let file: File = serde_json::from_slice(text).map_err(|error| text_of(&error))?;
    let signed = SignedCheckpoint::parse(file.note.as_bytes()).map_err(|error| text_of(&error))?;
    let store = signed.checkpoint().origin.store;
    let local = LocalLedger::from_bytes(node.us, store, file.heads.as_bytes()).map_err(|error| text_of(&error))?;
    match signed.verify(&node.identity().card, clock::wall()) {
        Ok(note) => local.check(&note).map_err(|error| text_of(&error))?,
        // The heads are compared all the same, and the next checkpoint signs them anew.
        Err(CheckpointError::Unsigned { .. }) => {
            tracing::warn!("the local ledger was signed with a key that was revoked since");
        }
        Err(error) => return Err(text_of(&error)),
    }
    Ok(local)
}
