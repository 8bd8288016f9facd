//! Journals that nobody reads any more: those of editions that another one has taken the place of.
//!
//! What a journal holds follows from the log, so one that is removed is made again if its edition comes back. Its position
//! goes first: what is left behind it when the daemon stops half way counts for nothing, and is cleared before a journal
//! of that name begins again.

use mithaq_store::{Batch, Expect, StateChange, Store, StoreError};

use crate::node::Node;

/// Before the key of a journal's position, of its entries, and of what the peer has acknowledged of it; each is followed by
/// peer and edition.
pub(crate) const POSITION: &[u8] = b"s/";
pub(crate) const ENTRIES: &[u8] = b"j/";
pub(crate) const ACKNOWLEDGED: &[u8] = b"a/";

/// How many rows one commit removes.
const ROWS: usize = 1_024;

/// How many bytes of a journal's name are its peer.
const PEER_BYTES: usize = 32;

/// Removes some rows of the journals towards a peer that are not of the edition that `name` ends with; says whether there
/// were any. Blocks.
pub(crate) fn remove_old(node: &Node, name: &[u8; 64]) -> Result<bool, StoreError> {
    for kind in [POSITION, ACKNOWLEDGED, ENTRIES] {
        let keys = old_keys(&*node.store, kind, name)?;
        if !keys.is_empty() {
            remove(node, keys)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Removes what is left of a journal that has no position: it is about to begin. Blocks.
pub(crate) fn clear(node: &Node, name: &[u8; 64]) -> Result<(), StoreError> {
    let prefix = [ENTRIES, name].concat();
    loop {
        let rows = node.store.state_range(&prefix, None, ROWS)?;
        if rows.is_empty() {
            return Ok(());
        }
        remove(node, rows.into_iter().map(|(key, _)| key).collect())?;
    }
}

/// The first keys of one kind that are of another edition.
fn old_keys(store: &dyn Store, kind: &[u8], name: &[u8; 64]) -> Result<Vec<Vec<u8>>, StoreError> {
    let (of_peer, current) = ([kind, &name[..PEER_BYTES]].concat(), [kind, name].concat());
    // Behind all numbers of the edition that stays.
    let behind = [&current[..], &[u8::MAX; 9]].concat();
    for after in [None, Some(&behind[..])] {
        let rows = store.state_range(&of_peer, after, ROWS)?;
        let keys = rows.into_iter().map(|(key, _)| key);
        let old: Vec<_> = keys.take_while(|key| !key.starts_with(&current)).collect();
        if !old.is_empty() {
            return Ok(old);
        }
    }
    Ok(Vec::new())
}

fn remove(node: &Node, keys: Vec<Vec<u8>>) -> Result<(), StoreError> {
    let change = |key| StateChange { key, expect: Expect::Anything, value: None };
    node.commit(Batch { state: keys.into_iter().map(change).collect(), ..Batch::default() }).map(drop)
}

#[cfg(test)]
mod tests {
    use mithaq_core::time::Time;
    use mithaq_store::{MemoryStore, StoreId};

    use super::*;

    fn key(kind: &[u8], peer: u8, edition: u8, number: Option<u64>) -> Vec<u8> {
        let number = number.map(u64::to_be_bytes);
        [kind, &[peer; 32], &[edition; 32], number.as_ref().map_or(&[][..], |number| number)].concat()
    }

    #[test]
    fn rows_of_other_editions_are_found_on_both_sides_and_no_others() {
        let store = MemoryStore::new(StoreId::from_bytes([1; 16]));
        let mut keys = Vec::new();
        for (peer, edition) in [(1, 1), (1, 5), (1, 9), (2, 1), (0, 9)] {
            keys.push(key(POSITION, peer, edition, None));
            keys.extend([1, 2, u64::MAX].map(|number| key(ENTRIES, peer, edition, Some(number))));
        }
        let state = keys.iter().map(|key| StateChange::set(key.clone(), vec![1])).collect();
        store.commit(Batch { state, ..Batch::default() }, Time::from_micros(0)).unwrap();
        let mut name = [1; 64];
        name[32..].fill(5);
        let mut removed = Vec::new();
        for kind in [POSITION, ENTRIES] {
            loop {
                let old = old_keys(&store, kind, &name).unwrap();
                if old.is_empty() {
                    break;
                }
                let gone = |key: &Vec<u8>| StateChange { key: key.clone(), expect: Expect::Anything, value: None };
                let state = old.iter().map(gone).collect();
                store.commit(Batch { state, ..Batch::default() }, Time::from_micros(0)).unwrap();
                removed.extend(old);
            }
        }
        let of = |edition| keys.iter().filter(move |key| key[2] == 1 && key[40] == edition).cloned();
        assert_eq!(removed.len(), 8);
        assert!(of(1).chain(of(9)).all(|key| removed.contains(&key)));
        assert_eq!(store.state_range(b"", None, 99).unwrap().len(), keys.len() - 8);
    }
}
