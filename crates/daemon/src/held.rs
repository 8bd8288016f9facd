//! What a peer may be told that we hold of what it releases to us.
//!
//! A row stands for each release that came from the peer, that is the peer's own, or that we ourselves disclosed to it: so
//! much it knows or may know. The row is committed with the release, and stays when the release is purged or withdrawn:
//! it is settled, and need not come again.

use mithaq_core::{
    id::{CertId, ReleaseId},
    release::Manifest,
};
use mithaq_store::{Expect, StateChange, Store, StoreError};
use mithaq_sync::{BRIEF_ROWS_MAX, Brief, BriefKey};

use crate::node::Node;

/// Before the key of a release that we hold: peer, release.
const HELD: &[u8] = b"f/";

/// How many rows are read at a time.
const ROWS: usize = 1_024;

/// Rows that a commit adds, each with the peer that it is for.
#[derive(Debug, Default)]
pub(crate) struct Rows(Vec<(CertId, ReleaseId)>);

impl Rows {
    /// Adds the row of a release for one peer.
    pub(crate) fn add(&mut self, peer: CertId, release: ReleaseId) {
        self.0.push((peer, release));
    }

    /// Adds the rows of a release that came from a peer: for that peer, and for its origin if that is another.
    pub(crate) fn add_received(&mut self, node: &Node, from: CertId, release: ReleaseId, manifest: &Manifest) {
        self.add(from, release);
        if manifest.origin != from && node.peer(manifest.origin).is_some() {
            self.add(manifest.origin, release);
        }
    }

    /// What is to be committed.
    pub(crate) fn to_changes(&self) -> impl Iterator<Item = StateChange> {
        self.0.iter().map(|(peer, release)| StateChange::set(key(*peer, *release), Vec::new()))
    }

    /// Takes them into the sketches, once they are durable.
    pub(crate) fn note(self, node: &Node) {
        for (peer, release) in self.0 {
            if let Some(entry) = node.peer(peer) {
                entry.sketches.note_held(release);
            }
        }
    }
}

fn key(peer: CertId, release: ReleaseId) -> Vec<u8> {
    [HELD, peer.as_bytes(), release.as_bytes()].concat()
}

/// Whether we may say to a peer that we hold a release. Blocks.
pub(crate) fn is_held(node: &Node, peer: CertId, release: ReleaseId) -> Result<bool, StoreError> {
    Ok(node.store.state(&key(peer, release))?.is_some())
}

/// What a brief stands for of the releases that we may say to a peer that we hold. Blocks.
///
/// The rows are in the order of the ids, so those that begin as the brief does are next to each other.
pub(crate) fn find(node: &Node, peer: CertId, brief: Brief, key: &BriefKey) -> Result<Option<ReleaseId>, StoreError> {
    find_in(&*node.store, peer, brief, key)
}

fn find_in(store: &dyn Store, peer: CertId, brief: Brief, key: &BriefKey) -> Result<Option<ReleaseId>, StoreError> {
    let of_peer = [HELD, peer.as_bytes()].concat();
    let alike = [&of_peer[..], brief.prefix().as_bytes()].concat();
    for (row, _) in store.state_range(&alike, None, BRIEF_ROWS_MAX)? {
        let release = id_of(&row, &of_peer)?;
        if key.brief(release) == brief {
            return Ok(Some(release));
        }
    }
    Ok(None)
}

/// What has a release of a peer come again, when the peer offers it.
pub(crate) fn forget(peer: CertId, release: ReleaseId) -> StateChange {
    StateChange { key: key(peer, release), expect: Expect::Anything, value: None }
}

/// The peers of whose releases we hold any, those that are peers no more included. Blocks.
pub(crate) fn peers(store: &dyn Store) -> Result<Vec<CertId>, StoreError> {
    let mut peers = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    while let Some((key, _)) = store.state_range(HELD, after.as_deref(), 1)?.pop() {
        let peer = key.get(HELD.len()..HELD.len() + 32).and_then(|peer| peer.try_into().ok());
        let peer = CertId::from_bytes(peer.ok_or_else(unreadable)?);
        after = Some([HELD, peer.as_bytes(), &[u8::MAX; 32]].concat());
        peers.push(peer);
    }
    Ok(peers)
}

/// The release of a row whose key begins with what names the peer.
fn id_of(key: &[u8], of_peer: &[u8]) -> Result<ReleaseId, StoreError> {
    let id = key.strip_prefix(of_peer).and_then(|id| id.try_into().ok());
    id.map(ReleaseId::from_bytes).ok_or_else(unreadable)
}

fn unreadable() -> StoreError {
    StoreError::Corrupt { what: "a row of what is held".into() }
}

/// Goes through all that we may say to a peer that we hold; returns how many they are. Blocks.
pub(crate) fn each(node: &Node, peer: CertId, take: impl FnMut(ReleaseId)) -> Result<u64, StoreError> {
    each_in(&*node.store, peer, take)
}

/// As [`each`], in a store that no daemon has open. Blocks.
pub(crate) fn each_in(store: &dyn Store, peer: CertId, mut take: impl FnMut(ReleaseId)) -> Result<u64, StoreError> {
    let prefix = [HELD, peer.as_bytes()].concat();
    let mut after: Option<Vec<u8>> = None;
    let mut count = 0;
    loop {
        let rows = store.state_range(&prefix, after.as_deref(), ROWS)?;
        let Some((last, _)) = rows.last() else { return Ok(count) };
        after = Some(last.clone());
        for (key, _) in rows {
            take(id_of(&key, &prefix)?);
            count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use mithaq_core::time::Time;
    use mithaq_store::{Batch, MemoryStore, StoreId};

    use super::*;

    const PEER: CertId = CertId::from_bytes([5; 32]);

    /// A release whose id begins with `first` and ends with `last`.
    fn release(first: u8, last: u8) -> ReleaseId {
        let mut id = [first; 32];
        id[31] = last;
        ReleaseId::from_bytes(id)
    }

    #[test]
    fn a_brief_finds_its_release_among_those_that_begin_alike() {
        let (store, secret) = (MemoryStore::new(StoreId::from_bytes([1; 16])), BriefKey::new([9; 32]));
        let ours = [release(6, 0), release(7, 0), release(7, 1), release(7, 2), release(8, 0)].map(|id| (PEER, id));
        let of_another = (CertId::from_bytes([4; 32]), release(7, 3));
        let rows = ours.iter().chain([&of_another]);
        let state = rows.map(|(peer, id)| StateChange::set(key(*peer, *id), Vec::new())).collect();
        store.commit(Batch { state, ..Batch::default() }, Time::from_micros(0)).unwrap();
        let found = |id| find_in(&store, PEER, secret.brief(id), &secret).unwrap();
        for (_, id) in ours {
            assert_eq!(found(id), Some(id));
        }
        assert_eq!(found(release(7, 3)), None, "that may be told to another alone");
        assert_eq!(find_in(&store, PEER, BriefKey::new([8; 32]).brief(release(7, 1)), &secret).unwrap(), None);
    }
}
