//! Whether the index has the state that the packs tell. A damaged index may have lost a row without a word, and what it
//! does not have a compaction takes for superseded.

use mithaq_core::id::sha256_of;

use super::Shared;
use crate::{
    contract::StoreError,
    index::keyed::{KeyedMap, KeyedSet},
    pack::{
        group::{Group, GroupKind},
        record::decode_state,
        scan::{Scanned, Scanner},
        segments::{Position, io_error},
    },
};

/// How many rows of state are compared at a time.
const ROWS_AT_ONCE: usize = 1_024;

/// The beginning of a hash of a key or a value.
type Hash = [u8; 16];

fn hash(bytes: &[u8]) -> Hash {
    let mut hash = Hash::default();
    hash.copy_from_slice(&sha256_of(&[bytes])[..16]);
    hash
}

/// What the packs tell of state; nothing can be told if any of it is damaged.
#[derive(Debug)]
pub(super) struct Told(Option<KeyedMap<Hash, Hash>>);

/// What the index says otherwise.
#[derive(Debug, Default)]
pub(super) struct Otherwise {
    /// Keys of which it has another value, or one where there is none.
    pub(super) keys: Vec<Vec<u8>>,
    /// How many rows it lacks.
    pub(super) missing: usize,
}

impl Told {
    pub(super) fn nothing() -> Self {
        Self(Some(KeyedMap::default()))
    }

    pub(super) fn damaged(&mut self) {
        self.0 = None;
    }

    /// Takes in a group of changes, the oldest first.
    pub(super) fn take(&mut self, group: &Group) {
        for record in group.records() {
            let (Some(values), Some((key, value))) = (&mut self.0, decode_state(record)) else {
                return self.damaged();
            };
            match value {
                Some(value) => values.insert(hash(&key), hash(&value)),
                None => values.remove(&hash(&key)),
            };
        }
    }

    /// Compares with the index what was told as far as `reached`. What changed since does not count.
    pub(super) fn beside(self, shared: &Shared, reached: Position) -> Result<Otherwise, StoreError> {
        let Some(mut values) = self.0 else { return Ok(Otherwise::default()) };
        let (mut keys, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let rows = shared.index.state_range(&[], after.as_deref(), ROWS_AT_ONCE)?;
            let Some((last, _)) = rows.last() else { break };
            after = Some(last.clone());
            let is_otherwise = |(key, value): &(Vec<u8>, Vec<u8>)| values.remove(&hash(key)) != Some(hash(value));
            keys.extend(rows.into_iter().filter(is_otherwise).map(|(key, _)| key));
        }
        if keys.is_empty() && values.is_empty() {
            return Ok(Otherwise::default());
        }
        let Some(changed) = changed_since(shared, reached)? else { return Ok(Otherwise::default()) };
        keys.retain(|key| !changed.contains(&hash(key)));
        values.retain(|key, _| !changed.contains(key));
        Ok(Otherwise { keys, missing: values.len() })
    }
}

/// The keys that changed since the index had reached a place; `None` if that cannot be told.
fn changed_since(shared: &Shared, reached: Position) -> Result<Option<KeyedSet<Hash>>, StoreError> {
    let (mut changed, now) = (KeyedSet::default(), shared.index.reached().next);
    let mut scanner = Scanner::new(&shared.segments, reached);
    while let Some(scanned) = scanner.next().map_err(io_error(&shared.packs))? {
        let frame = match scanned {
            Scanned::Frame(frame) if frame.at < now => frame,
            Scanned::Damage { at, .. } if at < now => return Ok(None),
            _ => break,
        };
        for (entry, offset) in frame.entries.iter().filter(|(entry, _)| entry.kind == GroupKind::State) {
            let Some(group) = shared.read_group(entry, frame.group_at(*offset))? else { return Ok(None) };
            changed.extend(group.records().filter_map(decode_state).map(|(key, _)| hash(&key)));
        }
    }
    Ok(Some(changed))
}
