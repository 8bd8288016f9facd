//! The journal of a pair: what one CERT discloses to another under one agreement, in order.
//!
//! Each entry is a release id. The chain over the ids up to an entry lets a source tell whether a sink's cursor is
//! into this very journal, and not into one that a restored backup or a wiped store has forked.

use mithaq_core::id::{ReleaseId, sha256_of};

/// A hash over all entries of a journal up to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain([u8; 32]);

impl Chain {
    /// The chain of no entries.
    pub const START: Self = Self([0; 32]);

    /// Takes 32 bytes that were stored or received.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The chain after one more entry: SHA-256 of this chain and the release's id.
    #[must_use]
    pub fn after(&self, entry: ReleaseId) -> Self {
        Self(sha256_of(&[&self.0, entry.as_bytes()]))
    }
}

/// How far a sink has the journal of a source, durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The source's store, 16 bytes: another store is another journal.
    pub store: [u8; 16],
    /// The number of the last entry that is durable together with all before it.
    pub index: u64,
    /// The chain up to that entry.
    pub chain: Chain,
}

impl Cursor {
    /// The cursor before the first entry of a store's journal.
    #[must_use]
    pub const fn start(store: [u8; 16]) -> Self {
        Self { store, index: 0, chain: Chain::START }
    }

    /// The cursor's 56 bytes: store, index in big-endian order, chain.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        [&self.store[..], &self.index.to_be_bytes(), self.chain.as_bytes()].concat()
    }

    /// Reads what [`Cursor::to_bytes`] wrote.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (store, rest) = bytes.split_first_chunk::<16>()?;
        let (index, chain) = rest.split_first_chunk::<8>()?;
        let chain = Chain(chain.try_into().ok()?);
        Some(Self { store: *store, index: u64::from_be_bytes(*index), chain })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_bytes() {
        let chain = Chain::START.after(ReleaseId::from_bytes([7; 32]));
        let cursor = Cursor { store: [1; 16], index: 42, chain };
        assert_eq!(Cursor::from_bytes(&cursor.to_bytes()), Some(cursor));
        assert_eq!(Cursor::from_bytes(&cursor.to_bytes()[1..]), None);
    }

    #[test]
    fn the_chain_depends_on_every_entry_and_their_order() {
        let id = |byte| ReleaseId::from_bytes([byte; 32]);
        let chain = |ids: &[u8]| ids.iter().fold(Chain::START, |chain, byte| chain.after(id(*byte)));
        assert_eq!(chain(&[1, 2, 3]), chain(&[1, 2, 3]));
        assert_ne!(chain(&[1, 2, 3]), chain(&[2, 1, 3]));
        assert_ne!(chain(&[1, 2, 3]), chain(&[1, 2]));
    }
}
