//! What our hello tells of what we have of a peer.

use std::sync::Arc;

use mithaq_store::StoreError;
use mithaq_sync::{Cursor, Seen};

use super::driver::End;
use crate::{
    ledger::Ledger,
    node::{Node, PeerEntry},
    repair,
};

/// What our hello tells of what we have of a peer.
pub(super) struct Known {
    pub(super) cursor: Option<Cursor>,
    /// About how many of its releases we may say that we hold.
    pub(super) held: u64,
    pub(super) ledger_size: u64,
    pub(super) seen: Option<Seen>,
    /// Marks by which the cursor is not told: the peer is to find out anew what we lack.
    pub(super) marks: Vec<Vec<u8>>,
}

/// Reads it from the store.
pub(super) async fn read(node: &Arc<Node>, entry: &Arc<PeerEntry>, cursor_key: Vec<u8>) -> Result<Known, End> {
    let (node, entry) = (Arc::clone(node), Arc::clone(entry));
    let read = tokio::task::spawn_blocking(move || {
        let marks = repair::marks(&*node.store, entry.cert())?;
        let cursor = node.store.state(&cursor_key)?.and_then(|bytes| Cursor::from_bytes(&bytes));
        let cursor = cursor.filter(|_| marks.is_empty());
        let ledger = Ledger::new(&node, entry.cert());
        let held = about_held(&node, &entry, cursor)?;
        let (ledger_size, seen) = (ledger.frontier()?.size(), ledger.seen()?);
        Ok::<_, StoreError>(Known { cursor, held, ledger_size, seen, marks })
    });
    Ok(read.await.map_err(|_| End::GoingAway)??)
}

/// About how many of a peer's releases we may say that we hold. They are counted only if neither a sketch nor a cursor
/// tells, and once: the number decides no more than how the peer finds out what we lack, if our cursor does not fit.
fn about_held(node: &Node, entry: &PeerEntry, cursor: Option<Cursor>) -> Result<u64, StoreError> {
    let passed = cursor.map(|cursor| cursor.index).filter(|index| *index > 0);
    match entry.sketches.count_held().or(passed) {
        Some(count) => Ok(count),
        None => entry.sketches.about_held(node, entry.cert()),
    }
}
