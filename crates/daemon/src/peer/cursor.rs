//! Where our cursor into a peer's journal is kept.

use mithaq_core::id::AgreementId;
use mithaq_store::StateChange;
use mithaq_sync::Cursor;

use crate::node::PeerEntry;

/// The row of our cursor into a peer's journal under one agreement.
#[derive(Debug, Clone)]
pub(super) struct CursorRow {
    pub(super) key: Vec<u8>,
    /// Marks by which the session began without a cursor: they go when it sets one.
    pub(super) marks: Vec<Vec<u8>>,
}

impl CursorRow {
    pub(super) fn of(entry: &PeerEntry, agreement: AgreementId) -> Self {
        let key = [b"c/", &entry.cert().as_bytes()[..], agreement.as_bytes()].concat();
        Self { key, marks: Vec::new() }
    }

    /// What is committed to set the cursor.
    pub(super) fn set(&self, cursor: &Cursor) -> impl Iterator<Item = StateChange> {
        let gone =
            |key: &Vec<u8>| StateChange { key: key.clone(), expect: mithaq_store::Expect::Anything, value: None };
        let cursor = StateChange::set(self.key.clone(), cursor.to_bytes());
        std::iter::once(cursor).chain(self.marks.iter().map(gone))
    }
}
