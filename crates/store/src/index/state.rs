//! State in sled: a row for each key; values too large for a row go on in pieces.

use super::{Index, ROW_BYTES, failed, memory::PendingState, unreadable};
use crate::{
    contract::StoreError,
    pack::codec::{Input, put_varint},
};

/// The prefix of state rows in sled: the key follows.
const STATE: u8 = b's';

/// The prefix of pieces: the key's length, the key and the piece's number follow.
const PIECE: u8 = b't';

fn row_key(key: &[u8]) -> Vec<u8> {
    [&[STATE], key].concat()
}

fn piece_key(key: &[u8], piece: u16) -> Vec<u8> {
    // INVARIANT: a key has at most `STATE_KEY_BYTES_MAX` bytes, which is less than 256.
    let len = u8::try_from(key.len()).unwrap_or(u8::MAX);
    [&[PIECE, len], key, &piece.to_be_bytes()].concat()
}

/// How many pieces a row's value names.
fn pieces_of(row: &[u8]) -> Option<u16> {
    match row.split_first()? {
        (0, _) => Some(0),
        (1, count) => Input(count).varint()?.try_into().ok(),
        _ => None,
    }
}

impl Index {
    /// The value of a state key.
    pub(crate) fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        // The view is held to the end: a flush may rewrite only what waits in memory.
        let view = self.view();
        if let Some(value) = view.memory.state(key) {
            return Ok(value.clone());
        }
        let row = self.engine.tree.get(row_key(key)).map_err(|error| failed(&error))?;
        row.map(|row| self.value(key, &row)).transpose()
    }

    fn value(&self, key: &[u8], row: &[u8]) -> Result<Vec<u8>, StoreError> {
        let damaged = || unreadable("a row of state");
        let pieces = pieces_of(row).ok_or_else(damaged)?;
        if pieces == 0 {
            return Ok(row[1..].to_vec());
        }
        let mut value = Vec::new();
        for piece in 0..pieces {
            let piece = self.engine.tree.get(piece_key(key, piece)).map_err(|error| failed(&error))?;
            value.extend_from_slice(&piece.ok_or_else(damaged)?);
        }
        Ok(value)
    }

    #[allow(clippy::type_complexity)] // As in the contract.
    /// At most `limit` keys with a prefix, after `after`, with their values.
    pub(crate) fn state_range(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let view = self.view();
        let from = after.map_or_else(|| prefix.to_vec(), |after| prefix.max(after).to_vec());
        let is_wanted = |key: &[u8]| key.starts_with(prefix) && after.is_none_or(|after| key > after);
        let mut pending = view.memory.state_from(&from).take_while(|(key, _)| key.starts_with(prefix)).peekable();
        let mut found = Vec::new();
        for row in self.engine.tree.range(row_key(&from)..vec![STATE + 1]) {
            let (row_key, row) = row.map_err(|error| failed(&error))?;
            let key = &row_key[1..];
            if !key.starts_with(prefix) || found.len() >= limit {
                break;
            }
            while let Some((newer, value)) = pending.next_if(|(newer, _)| newer.as_slice() < key) {
                found.extend(value.clone().filter(|_| is_wanted(newer)).map(|value| (newer.clone(), value)));
            }
            let newer = pending.next_if(|(newer, _)| newer.as_slice() == key);
            if is_wanted(key) {
                let value = match newer {
                    Some((_, value)) => value.clone(),
                    None => Some(self.value(key, &row)?),
                };
                found.extend(value.map(|value| (key.to_vec(), value)));
            }
        }
        let rest = pending.filter(|(key, _)| is_wanted(key));
        found.extend(rest.filter_map(|(key, value)| Some((key.clone(), value.clone()?))).take(limit));
        found.truncate(limit);
        Ok(found)
    }

    /// Adds pending state to a batch.
    pub(super) fn write_state(&self, pending: &PendingState, batch: &mut sled::Batch) -> Result<(), StoreError> {
        for (key, value) in pending {
            let old = self.engine.tree.get(row_key(key)).map_err(|error| failed(&error))?;
            let old_pieces = old.and_then(|row| pieces_of(&row)).unwrap_or(0);
            let new_pieces = write_value(key, value.as_deref(), batch);
            for piece in new_pieces..old_pieces {
                batch.remove(piece_key(key, piece));
            }
        }
        Ok(())
    }
}

/// Adds one value to a batch; says how many pieces it has.
fn write_value(key: &[u8], value: Option<&[u8]>, batch: &mut sled::Batch) -> u16 {
    let Some(value) = value else {
        batch.remove(row_key(key));
        return 0;
    };
    if value.len() <= ROW_BYTES {
        batch.insert(row_key(key), [&[0], value].concat());
        return 0;
    }
    let mut count = 0;
    for piece in value.chunks(ROW_BYTES) {
        batch.insert(piece_key(key, count), piece);
        count += 1;
    }
    let mut row = vec![1];
    put_varint(&mut row, u64::from(count));
    batch.insert(row_key(key), row);
    count
}
