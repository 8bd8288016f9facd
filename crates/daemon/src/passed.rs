//! What a journal's cursor must not hide: entries that were answered with `Gone` though they may go some day.
//!
//! A peer's cursor passes what is gone. A journal that is made anew is like the one before as far as the cursor, if the
//! rule permits again what it had let go at first, and the peer would go on behind it. So it is noted durably, before the
//! peer is told, how low the first such entry is, and a cursor that has passed it does not count once the peer is served
//! anew: what the peer lacks is found by a sketch. That is so too if the journal is the same: it may have been another
//! meanwhile.
//!
//! No cursor tells which journal of a CERT it was set by, so the note stays until no cursor can hide anything. That the
//! peer has acknowledged all of a journal is not enough: that journal may have nothing of what was gone, and the peer's
//! cursor may still be the one of before. But a peer has one cursor only under its agreement. Once it has acknowledged all
//! of the journal towards it and then tells a cursor into this, all that the cursor covers has come or was noted since. To
//! go by the noted index alone would not do, since what was gone above it is not noted.

use std::sync::{Arc, atomic::Ordering};

use mithaq_store::{Batch, Expect, StateChange, StoreError};

use crate::node::{Node, PeerEntry};

/// Before the key of what was passed over, followed by the peer.
pub(crate) const PASSED: &[u8] = b"g/";

/// What was passed over in the journals towards a peer. Indexes are of the first such entry, or [`NONE`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Passed {
    /// Since the peer is served as it is: its cursor may pass that.
    since: u64,
    /// Before: its cursor may not.
    before: u64,
}

/// Behind all entries.
const NONE: u64 = u64::MAX;

impl Passed {
    const NOTHING: Self = Self { since: NONE, before: NONE };

    fn to_bytes(self) -> Vec<u8> {
        [self.since, self.before].map(u64::to_be_bytes).concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let numbers: &[[u8; 8]; 2] = bytes.as_chunks().0.try_into().ok().filter(|_| bytes.len() == 16)?;
        let [since, before] = numbers.map(u64::from_be_bytes);
        Some(Self { since, before })
    }
}

/// Changes the row of a peer, if that changes anything, and returns it. Blocks.
fn update(node: &Node, entry: &PeerEntry, change: impl Fn(Passed) -> Passed) -> Result<Passed, StoreError> {
    let key = [PASSED, entry.cert().as_bytes()].concat();
    loop {
        let stored = node.store.state(&key)?;
        let before = match &stored {
            None => Passed::NOTHING,
            Some(bytes) => Passed::from_bytes(bytes)
                .ok_or_else(|| StoreError::Corrupt { what: "what a peer's cursor must not hide".into() })?,
        };
        let after = change(before);
        if after == before {
            return Ok(after);
        }
        let value = (after.since.min(after.before) != NONE).then(|| after.to_bytes());
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
    update(node, entry, |passed| Passed { since: passed.since.min(index), ..passed })?;
    // Who takes our place after this look finds what we noted.
    if !is_served(node, entry) {
        update(node, entry, |passed| Passed { before: passed.before.min(index), ..passed })?;
    }
    Ok(())
}

/// Where the journal towards a peer goes on for a cursor that fits it: behind it, or at 0 if it has passed what was gone;
/// `index` is 0 if none fits. The first time since the peer is served as it is, what was passed over until then counts as from before. Blocks.
pub(crate) fn resume_at(node: &Node, entry: &Arc<PeerEntry>, index: u64) -> Result<u64, StoreError> {
    let is_first = !entry.looked_back.load(Ordering::Acquire);
    let is_known = (1..=entry.acknowledged_whole.load(Ordering::Acquire)).contains(&index);
    let passed = update(node, entry, |passed| match passed {
        Passed { since, before } if is_first => Passed { since: NONE, before: before.min(since) },
        // Only who serves the peer may: to who took our place, what we passed over ourselves is from before.
        Passed { since, .. } if is_known && is_served(node, entry) => Passed { since, before: NONE },
        passed => passed,
    })?;
    entry.looked_back.store(true, Ordering::Release);
    Ok(if index < passed.before { index } else { 0 })
}
