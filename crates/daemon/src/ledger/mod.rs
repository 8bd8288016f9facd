//! Our ledgers: one append-only Merkle tree for each peer of what we disclosed to it and of what it signed in return.
//!
//! An entry is committed together with the journal entry that it speaks of, before any byte leaves. Only the follower of
//! the log and the receipts of a session append to a ledger, one at a time.

mod audit;
mod checkpoints;
mod local;
mod place;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use mithaq_core::{
    id::{CertId, TreeHash},
    ledger::{Entry, Origin},
    merkle::{Frontier, nodes::Nodes},
};
use mithaq_store::{Batch, Expect, StateChange, StoreError};

pub(crate) use audit::audit;
pub(crate) use checkpoints::{COSIGNED, CheckpointRefusal};
pub(crate) use local::watch;

use crate::node::Node;

/// Before the key of a ledger's size and right edge: peer.
pub(crate) const FRONTIER: &[u8] = b"lf/";

/// Before the key of an entry: peer, number from 0.
const ENTRY: &[u8] = b"le/";

/// How many entries are read at a time.
const ROWS: usize = 256;

/// Who may append to which ledger.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    peers: Mutex<HashMap<CertId, Arc<Mutex<()>>>>,
    /// Held while the heads of all are signed.
    local: Mutex<()>,
    /// Whether the store is not the one whose heads were signed last.
    diverged: AtomicBool,
}

impl Turns {
    /// Whether the store was found to be rolled back or changed as the daemon started.
    pub(crate) fn are_diverged(&self) -> bool {
        self.diverged.load(Ordering::Relaxed)
    }

    fn of(&self, peer: CertId) -> Arc<Mutex<()>> {
        Arc::clone(self.peers.lock().unwrap_or_else(PoisonError::into_inner).entry(peer).or_default())
    }
}

/// The ledger of our disclosures to one peer.
#[derive(Clone, Copy)]
pub(crate) struct Ledger<'a> {
    node: &'a Node,
    peer: CertId,
}

/// An entry as it is kept: the leaf, and the hashes of the subtrees that it completes.
struct Kept {
    completed: Vec<[u8; 32]>,
    leaf: Vec<u8>,
}

impl Kept {
    fn to_bytes(&self) -> Vec<u8> {
        let count = u8::try_from(self.completed.len()).unwrap_or(u8::MAX);
        [&[count], self.completed.as_flattened(), &self.leaf].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first()?;
        let (hashes, leaf) = rest.split_at_checked(32 * usize::from(*count))?;
        Some(Self { completed: hashes.as_chunks::<32>().0.to_vec(), leaf: leaf.to_vec() })
    }
}

impl<'a> Ledger<'a> {
    pub(crate) fn new(node: &'a Node, peer: CertId) -> Self {
        Self { node, peer }
    }

    /// What names this ledger in its checkpoints: the two CERTs and our store.
    fn origin(&self) -> Origin {
        Origin::pair(self.node.us, self.peer, self.node.store.id())
    }

    fn frontier_key(&self) -> Vec<u8> {
        [FRONTIER, self.peer.as_bytes()].concat()
    }

    fn entry_key(&self, number: u64) -> Vec<u8> {
        [ENTRY, self.peer.as_bytes(), &number.to_be_bytes()].concat()
    }

    fn damaged(&self, what: &str) -> StoreError {
        StoreError::Corrupt { what: format!("{what} of the ledger towards {}", self.node.name_of(self.peer)) }
    }

    /// Its size and right edge. Blocks.
    pub(crate) fn frontier(&self) -> Result<Frontier, StoreError> {
        match self.node.store.state(&self.frontier_key())? {
            None => Ok(Frontier::new()),
            Some(bytes) => Frontier::from_bytes(&bytes).map_err(|_| self.damaged("the size")),
        }
    }

    /// Appends entries and commits them with `with`, all or nothing. Blocks.
    pub(crate) fn append(&self, entries: &[Entry], with: Vec<StateChange>) -> Result<(), StoreError> {
        self.append_in(entries, Batch { state: with, takes_back: true, ..Batch::default() })
    }

    /// As [`Self::append`], in a batch that holds more. Blocks.
    pub(crate) fn append_in(&self, entries: &[Entry], mut batch: Batch) -> Result<(), StoreError> {
        let turn = self.node.ledgers.of(self.peer);
        let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.node.store.state(&self.frontier_key())?;
        let mut frontier = self.frontier()?;
        let mut places = place::Places::new(*self);
        for entry in entries {
            let leaf = entry.to_bytes().map_err(|error| StoreError::Misuse { what: error.to_string() })?;
            let number = frontier.size();
            places.note(number, entry)?;
            let kept = Kept { completed: frontier.push(&leaf), leaf };
            batch.state.push(StateChange::set(self.entry_key(number), kept.to_bytes()));
        }
        batch.state.extend(places.into_changes());
        let expect = before.map_or(Expect::Absent, Expect::Value);
        batch.state.push(StateChange { key: self.frontier_key(), expect, value: Some(frontier.to_bytes()) });
        self.node.commit(batch).map(drop)
    }

    fn kept(&self, number: u64) -> Result<Kept, StoreError> {
        let value = self.node.store.state(&self.entry_key(number))?;
        value.and_then(|value| Kept::from_bytes(&value)).ok_or_else(|| self.damaged(&format!("entry {number}")))
    }

    /// The leaf of an entry. Blocks.
    pub(crate) fn leaf(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        Ok(self.kept(number)?.leaf)
    }

    /// At most `limit` entries from number `first` on, with their numbers. Blocks.
    pub(crate) fn entries(&self, first: u64, limit: usize) -> Result<Vec<(u64, Entry)>, StoreError> {
        let size = self.frontier()?.size();
        let last = first.saturating_add(limit as u64).min(size);
        let read = |number| {
            let entry = Entry::from_bytes(&self.leaf(number)?);
            Ok((number, entry.map_err(|_| self.damaged(&format!("entry {number}")))?))
        };
        (first..last).map(read).collect()
    }
}

impl Nodes for Ledger<'_> {
    type Error = StoreError;

    fn node(&self, level: u8, index: u64) -> Result<[u8; 32], StoreError> {
        let leaf = mithaq_core::merkle::nodes::completing_leaf(level, index);
        let hash = self.kept(leaf)?.completed.get(usize::from(level)).copied();
        hash.ok_or_else(|| self.damaged(&format!("entry {leaf}")))
    }
}

/// The peers that we have a ledger towards. Blocks.
pub(crate) fn peers(node: &Node) -> Result<Vec<CertId>, StoreError> {
    let mut peers = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = node.store.state_range(FRONTIER, after.as_deref(), ROWS)?;
        let Some((last, _)) = rows.last() else { return Ok(peers) };
        after = Some(last.clone());
        let ids = rows.iter().filter_map(|(key, _)| key[FRONTIER.len()..].try_into().ok());
        peers.extend(ids.map(CertId::from_bytes));
    }
}

/// The root of the first `size` entries of a ledger. Blocks.
pub(crate) fn root_at(ledger: &Ledger<'_>, size: u64) -> Result<Option<TreeHash>, StoreError> {
    mithaq_core::merkle::nodes::root_at(ledger, size)
}
