//! What a journal's cursor must not hide: entries that were answered with `Gone` though they may go some day.
//!
//! A peer's cursor passes what is gone. A journal that is made anew is like the one before as far as the cursor, if the
//! rule permits again what it had let go at first, and the peer would go on behind it. So it is noted durably, before the
//! peer is told, how low the first such entry is, and a cursor that has passed it does not count once the peer is served
//! anew: what the peer lacks is found by a sketch. That is so too if the journal is the same: it may have been another
//! meanwhile.
//!
//! No cursor tells which journal of a CERT it was set by, so the note stays until no cursor can hide anything: until the
//! peer has acknowledged, in a session that passed nothing by, all that the log had when it was last served otherwise.
//! To go by the noted index alone would not do, since what was gone above it is not noted.

use std::sync::{Arc, atomic::Ordering};

use mithaq_store::{Batch, Expect, StateChange, StoreError};

use crate::node::{Node, PeerEntry};

/// Before the key of what was passed over, followed by the peer.
pub(crate) const PASSED: &[u8] = b"g/";

/// What was passed over in the journals towards a peer. Indexes are of the first such entry, or [`NONE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Passed {
    /// Since the peer is served as it is: its cursor may pass that.
    here: u64,
    /// Before: its cursor may not.
    before: u64,
    /// The last row of the log when `before` was written: all that was passed over is of that row or an earlier one.
    row: u64,
}

/// Behind all entries.
const NONE: u64 = u64::MAX;

impl Passed {
    const NOTHING: Self = Self { here: NONE, before: NONE, row: 0 };

    fn to_bytes(self) -> Vec<u8> {
        [self.here, self.before, self.row].map(u64::to_be_bytes).concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let numbers: &[[u8; 8]; 3] = bytes.as_chunks().0.try_into().ok().filter(|_| bytes.len() == 24)?;
        let [here, before, row] = numbers.map(u64::from_be_bytes);
        Some(Self { here, before, row })
    }
}

/// Changes the row of a peer, if that changes anything, and returns it. Blocks.
fn change(
    node: &Node,
    entry: &PeerEntry,
    change: impl Fn(Passed) -> Result<Passed, StoreError>,
) -> Result<Passed, StoreError> {
    let key = [PASSED, entry.cert().as_bytes()].concat();
    loop {
        let stored = node.store.state(&key)?;
        let before = match &stored {
            None => Passed::NOTHING,
            Some(bytes) => Passed::from_bytes(bytes)
                .ok_or_else(|| StoreError::Corrupt { what: "what a peer's cursor must not hide".into() })?,
        };
        let after = change(before)?;
        if after == before {
            return Ok(after);
        }
        let value = (after.here.min(after.before) != NONE).then(|| after.to_bytes());
        let state = vec![StateChange { key: key.clone(), expect: stored.map_or(Expect::Absent, Expect::Value), value }];
        // A disk that is full must not keep a withdrawal back.
        match node.commit(Batch { state, takes_back: true, ..Batch::default() }) {
            Ok(_) => return Ok(after),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_served(node: &Node, entry: &Arc<PeerEntry>) -> bool {
    node.peer(entry.cert()).is_some_and(|served| Arc::ptr_eq(&served, entry)) && !entry.cancel.is_cancelled()
}

/// Notes that a cursor is about to pass an entry that did not go. Commits only if the entry is lower than what is noted,
/// or the peer is served otherwise by now. Blocks.
pub(crate) fn note(node: &Node, entry: &Arc<PeerEntry>, index: u64) -> Result<(), StoreError> {
    change(node, entry, |passed| Ok(Passed { here: passed.here.min(index), ..passed }))?;
    // Who takes our place after this look finds what we noted.
    if !is_served(node, entry) {
        change(node, entry, |passed| {
            Ok(Passed { before: passed.before.min(index), row: node.store.head(), ..passed })
        })?;
    }
    Ok(())
}

/// Says whether a cursor into the journal towards a peer hides nothing that may go by now. The first time since the peer
/// is served as it is, what was passed over until then counts as from before. Blocks.
pub(crate) fn may_resume(node: &Node, entry: &PeerEntry, index: u64) -> Result<bool, StoreError> {
    let is_first = !entry.looked_back.load(Ordering::Acquire);
    let passed = change(node, entry, |passed| {
        let before = passed.before.min(passed.here);
        let is_over = is_first && passed.here != NONE;
        Ok(if is_over { Passed { here: NONE, before, row: node.store.head() } } else { passed })
    })?;
    entry.looked_back.store(true, Ordering::Release);
    Ok(index < passed.before)
}

/// Forgets what was passed over before, since the peer has acknowledged all of its journal up to a row; `is_through` says
/// whether it has as far as one. Blocks.
pub(crate) fn forget(
    node: &Node,
    entry: &Arc<PeerEntry>,
    is_through: impl Fn(u64) -> Result<bool, StoreError>,
) -> Result<(), StoreError> {
    if !entry.looked_back.load(Ordering::Acquire) || !is_served(node, entry) {
        return Ok(());
    }
    change(node, entry, |passed| {
        let is_over = passed.before != NONE && is_through(passed.row)?;
        Ok(if is_over { Passed { before: NONE, row: 0, ..passed } } else { passed })
    })
    .map(drop)
}
