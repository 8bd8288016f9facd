//! What came since the last flush.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::table::{Key, Table};

/// The postings of a key: nearly always one.
#[derive(Debug)]
enum Postings {
    One(u64),
    Many(Vec<u64>),
}

impl Postings {
    fn as_slice(&self) -> &[u64] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }

    fn push(&mut self, value: u64) {
        match self {
            Self::One(first) => *self = Self::Many(vec![*first, value]),
            Self::Many(values) => values.push(value),
        }
    }
}

/// A state key and its value; `None` is a key that was removed.
pub(crate) type PendingState = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// How many damaged bodies are remembered.
const DAMAGED_MAX: usize = 65_536;

/// Postings and state that sled does not have yet.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    tables: [HashMap<Key, Postings>; 5],
    postings: usize,
    state: PendingState,
    state_bytes: usize,
    /// Bodies found damaged; a copy that comes again takes their place.
    damaged: BTreeSet<u64>,
    /// Rows whose releases were found damaged since the store was opened.
    damaged_rows: BTreeSet<u64>,
}

impl Memory {
    pub(crate) fn insert(&mut self, table: Table, key: Key, value: u64) {
        self.postings += 1;
        self.tables[usize::from(table.code())]
            .entry(key)
            .and_modify(|postings| postings.push(value))
            .or_insert(Postings::One(value));
    }

    pub(crate) fn find(&self, table: Table, key: &Key) -> &[u64] {
        self.tables[usize::from(table.code())].get(key).map_or(&[], Postings::as_slice)
    }

    /// All postings of a table in ascending order.
    pub(crate) fn sorted(&self, table: Table) -> Vec<(Key, u64)> {
        let table = &self.tables[usize::from(table.code())];
        let mut sorted = Vec::with_capacity(table.len());
        for (key, postings) in table {
            sorted.extend(postings.as_slice().iter().map(|value| (*key, *value)));
        }
        sorted.sort_unstable();
        sorted
    }

    pub(crate) fn set_state(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.state_bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        self.state.insert(key, value);
    }

    pub(crate) fn state(&self) -> &PendingState {
        &self.state
    }

    /// How many postings wait.
    pub(crate) fn postings(&self) -> usize {
        self.postings
    }

    /// How many bytes of state wait, at most.
    pub(crate) fn state_bytes(&self) -> usize {
        self.state_bytes
    }

    /// Forgets what was flushed.
    pub(crate) fn clear(&mut self) {
        self.tables = Default::default();
        self.postings = 0;
        self.state = PendingState::new();
        self.state_bytes = 0;
    }

    /// Remembers a body as damaged; one past [`DAMAGED_MAX`] is found damaged again by each read.
    pub(crate) fn set_damaged(&mut self, ordinal: u64) {
        if self.damaged.len() < DAMAGED_MAX {
            self.damaged.insert(ordinal);
        }
    }

    /// Remembers the release of a row as damaged, with the same limit.
    pub(crate) fn set_damaged_row(&mut self, row: u64) {
        if self.damaged_rows.len() < DAMAGED_MAX {
            self.damaged_rows.insert(row);
        }
    }

    pub(crate) fn is_damaged_row(&self, row: u64) -> bool {
        self.damaged_rows.contains(&row)
    }

    pub(crate) fn damaged(&self) -> impl Iterator<Item = u64> {
        self.damaged.iter().copied()
    }

    pub(crate) fn is_damaged(&self, ordinal: u64) -> bool {
        self.damaged.contains(&ordinal)
    }
}
