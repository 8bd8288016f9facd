//! Cursors: where a reader goes on. They tell times alone, as lines do, and no number of a row, by which a reader could
//! count what it is not shown.

use std::{fmt, str::FromStr};

use mithaq_core::id::to_hex;
use mithaq_store::{LogRow, Store, StoreError};

use super::{Feed, Item, Place};
use crate::node::Node;

/// The last part of a cursor between an object and the word that it was over when it came.
const PUT: &str = "put";

/// A cursor as readers hold it: behind which object of which row of which store. Written `STORE-TIME-COUNT`, and with
/// `-put` behind that if of the next object it has been told already that it is put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    store: String,
    /// When the row was added, in microseconds since the Unix epoch.
    row_micros: i64,
    /// How many positions of the row lie before it.
    position: usize,
    /// Whether the next object is put already, and only its end is to be told.
    was_put: bool,
}

/// Why a cursor cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CursorError {
    #[error("the cursor is malformed: take the \"cursor\" of the last line as it stands there")]
    Malformed,
    #[error("the cursor is of another store, or of a later state of this one: start again without one")]
    Foreign,
}

/// The part of a store's id that cursors carry.
fn store_tag(node: &Node) -> String {
    to_hex(&node.store.id().as_bytes()[..8])
}

impl Cursor {
    /// The cursor behind an item.
    pub(crate) fn behind(node: &Node, item: &Item) -> Self {
        let row_micros = item.release.row.added_at.as_micros();
        let Place { position, was_put, .. } = item.behind();
        Self { store: store_tag(node), row_micros, position, was_put }
    }

    /// The cursor before everything.
    pub(crate) fn start(node: &Node) -> Self {
        Self { store: store_tag(node), row_micros: 0, position: 0, was_put: false }
    }

    /// The place of a cursor that a reader sent, if it is of our store. Blocks.
    ///
    /// Every cursor that was given out names a row. Any other time is taken only if the reader is shown something behind it:
    /// how far the log has come must not be found out by guessing.
    pub(crate) fn place_for(&self, feed: &mut Feed) -> Result<Result<Place, CursorError>, StoreError> {
        let place = match self.place(&feed.node)? {
            Ok(place) if !self.names_a_row(&*feed.node.store)? => place,
            place => return Ok(place),
        };
        let (shown, _) = feed.read(place, 1)?;
        Ok(if shown.is_empty() { Err(CursorError::Foreign) } else { Ok(place) })
    }

    fn names_a_row(&self, store: &dyn Store) -> Result<bool, StoreError> {
        let is_it = |row: LogRow| row.added_at.as_micros() == self.row_micros;
        Ok(self.row_micros == 0 || row_at(store, self.row_micros)?.is_some_and(is_it))
    }

    /// The place of a cursor of ours, if it is of our store. Blocks.
    pub(crate) fn place(&self, node: &Node) -> Result<Result<Place, CursorError>, StoreError> {
        if self.store != store_tag(node) {
            return Ok(Err(CursorError::Foreign));
        }
        let found = row_at(&*node.store, self.row_micros)?;
        // A time that our log has not reached is of a store that was restored from an older backup.
        let reached = match &found {
            Some(row) => row.seq < node.store.head() || row.added_at.as_micros() == self.row_micros,
            None => node.store.head() > 0 || self.row_micros == 0,
        };
        if !reached {
            return Ok(Err(CursorError::Foreign));
        }
        Ok(Ok(match found {
            None => Place::START,
            Some(row) if row.added_at.as_micros() == self.row_micros => {
                Place { was_put: self.was_put, ..Place::at(row.seq, self.position) }
            }
            // The row itself was lost.
            Some(row) => Place::behind(&row),
        }))
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.store, self.row_micros, self.position)?;
        if self.was_put { write!(f, "-{PUT}") } else { Ok(()) }
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let mut parts = text.split('-');
        let (Some(store), Some(time), Some(position)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(CursorError::Malformed);
        };
        let was_put = match (parts.next(), parts.next()) {
            (None, _) => false,
            (Some(PUT), None) => true,
            _ => return Err(CursorError::Malformed),
        };
        let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_tag = store.len() == 16 && store.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if !is_tag || !is_digits(time) || !is_digits(position) {
            return Err(CursorError::Malformed);
        }
        let row_micros = time.parse().map_err(|_| CursorError::Malformed)?;
        let position = position.parse().map_err(|_| CursorError::Malformed)?;
        Ok(Self { store: store.to_owned(), row_micros, position, was_put })
    }
}

/// The place of the first object that was added after this time, in microseconds since the Unix epoch. Blocks.
pub(crate) fn place_after(store: &dyn Store, after: i64) -> Result<Place, StoreError> {
    let Some(row) = row_at(store, after)? else { return Ok(Place::START) };
    let behind = after.saturating_sub(row.added_at.as_micros()).saturating_add(1);
    let position = usize::try_from(behind).unwrap_or(usize::MAX);
    match position < usize::try_from(row.objects).unwrap_or(usize::MAX) {
        true => Ok(Place::at(row.seq, position)),
        false => Ok(Place::behind(&row)),
    }
}

/// The last row that was added at this time or before: a binary search, since times increase strictly along the log.
fn row_at(store: &dyn Store, micros: i64) -> Result<Option<LogRow>, StoreError> {
    // The first row that is there, at or behind a number: one that was lost is left out.
    let row_from = |seq: u64| -> Result<Option<LogRow>, StoreError> {
        let row = store.log(seq.saturating_sub(1), 1)?.into_iter().next();
        Ok(row.filter(|row| row.added_at.as_micros() <= micros))
    };
    // Row `low` is at or before the time (row 0 stands for the start), and row `high + 1` after it.
    let (mut low, mut high) = (0, store.head());
    let mut last = None;
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        match row_from(middle)? {
            Some(row) => {
                low = row.seq.max(middle);
                last = Some(row);
            }
            None => high = middle - 1,
        }
    }
    Ok(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text_and_nonsense_is_refused() {
        for was_put in [false, true] {
            let cursor = Cursor { store: "0123456789abcdef".into(), row_micros: 7, position: 3, was_put };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in [
            "",
            "7-3",
            "0123456789abcdef-+7-3",
            "0123456789abcdef-7-3-1",
            "0123456789abcdef-7-3-put-",
            "0123456789abcdef-99999999999999999999-1",
            "x-7-3",
            "0123456789ABCDEF-7-3",
            "0123456789abcdef-7-٣",
        ] {
            assert_eq!(text.parse::<Cursor>(), Err(CursorError::Malformed), "{text}");
        }
    }
}
