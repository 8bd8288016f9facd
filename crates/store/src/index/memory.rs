//! What came since the last flush.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, hash_map::Entry},
    ops::Bound,
    sync::Arc,
};

use super::{
    alike::{Alike, Beginning},
    gone::Bits,
    keyed::{KeyedMap, Seeded},
    table::{Key, Table},
};

/// The postings of a table.
#[derive(Debug, Default)]
struct Postings {
    /// The first of each key, which nearly always is the only one.
    first: KeyedMap<Key, u64>,
    more: KeyedMap<Key, Vec<u64>>,
}

impl Postings {
    /// Room for as many as another table has.
    fn like(other: &Self) -> Self {
        Self {
            first: KeyedMap::with_capacity_and_hasher(other.first.len(), Seeded::default()),
            more: KeyedMap::default(),
        }
    }

    fn insert(&mut self, key: Key, value: u64) {
        match self.first.entry(key) {
            Entry::Vacant(vacant) => {
                vacant.insert(value);
            }
            Entry::Occupied(_) => self.more.entry(key).or_default().push(value),
        }
    }

    fn find(&self, key: &Key) -> impl Iterator<Item = u64> {
        let first = self.first.get(key);
        let more = first.and_then(|_| self.more.get(key));
        first.into_iter().chain(more.into_iter().flatten()).copied()
    }

    fn iter(&self) -> impl Iterator<Item = (Key, u64)> {
        let more = self.more.iter().flat_map(|(key, values)| values.iter().map(|value| (*key, *value)));
        self.first.iter().map(|(key, value)| (*key, *value)).chain(more)
    }
}

/// A state key and its value; `None` is a key that was removed.
pub(crate) type PendingState = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// The postings of each table.
#[derive(Debug, Default)]
struct Tables {
    contents: Alike,
    others: [Postings; Table::COUNT],
}

impl Tables {
    /// Room for as many as others have.
    fn like(other: &Self) -> Self {
        Self { contents: Alike::like(&other.contents), others: other.others.each_ref().map(Postings::like) }
    }

    fn insert(&mut self, table: Table, key: Key, value: u64) {
        match table {
            Table::Contents => self.contents.insert(key, value),
            other => self.others[usize::from(other.code())].insert(key, value),
        }
    }

    fn find(&self, table: Table, key: &Key) -> impl Iterator<Item = u64> {
        let contents = (table == Table::Contents).then(|| self.contents.find(*key));
        contents.into_iter().flatten().chain(self.others[usize::from(table.code())].find(key))
    }

    /// All postings of a table, in any order.
    fn all(&self, table: Table) -> impl Iterator<Item = (Key, u64)> {
        let contents = (table == Table::Contents).then(|| self.contents.iter());
        contents.into_iter().flatten().chain(self.others[usize::from(table.code())].iter())
    }
}

/// Postings and state that are being written to sled: they stay as they are, and readers still find them here.
#[derive(Debug, Default)]
pub(crate) struct Frozen {
    tables: Tables,
    pub(crate) state: PendingState,
}

impl Frozen {
    /// All postings of a table in ascending order.
    pub(crate) fn sorted(&self, table: Table) -> Vec<(Key, u64)> {
        let mut sorted: Vec<_> = self.tables.all(table).collect();
        sorted.sort_unstable();
        sorted
    }
}

/// Postings and state that sled does not have yet.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    tables: Tables,
    /// How many postings `tables` have.
    postings: usize,
    state: PendingState,
    state_bytes: usize,
    /// What came before those, while it is being written.
    frozen: Arc<Frozen>,
    /// Bodies found damaged, a bit each; a copy that comes again takes their place.
    damaged: Bits,
    /// Rows whose releases were found damaged since the store was opened.
    damaged_rows: Bits,
}

impl Memory {
    pub(crate) fn insert(&mut self, table: Table, key: Key, value: u64) {
        self.postings += 1;
        self.tables.insert(table, key, value);
    }

    /// The postings of a key: those that are being written, then those that came since.
    pub(crate) fn find(&self, table: Table, key: &Key) -> impl Iterator<Item = u64> {
        self.frozen.tables.find(table, key).chain(self.tables.find(table, key))
    }

    /// The postings of the contents whose keys begin so.
    pub(super) fn contents_beginning(&self, beginning: Beginning) -> impl Iterator<Item = (Key, u64)> {
        [&self.frozen.tables, &self.tables]
            .into_iter()
            .flat_map(move |tables| tables.contents.beginning_with(beginning))
    }

    /// The first `limit` postings of a table from `from` to the key `last`, in order. For more than one key all
    /// postings of the table are looked at, of which no more wait than may wait for a flush.
    pub(crate) fn range(&self, table: Table, from: (Key, u64), last: Key, limit: usize) -> Vec<(Key, u64)> {
        let is_within = |posting: &(Key, u64)| *posting >= from && posting.0 <= last;
        let mut found: Vec<_> = if from.0 == last {
            self.find(table, &last).map(|value| (last, value)).filter(is_within).collect()
        } else {
            self.frozen.tables.all(table).chain(self.tables.all(table)).filter(is_within).collect()
        };
        if found.len() > limit {
            found.select_nth_unstable(limit);
            found.truncate(limit);
        }
        found.sort_unstable();
        found
    }

    pub(crate) fn set_state(&mut self, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.state_bytes += key.len() + value.as_ref().map_or(0, Vec::len);
        self.state.insert(key, value);
    }

    /// What waits of a key of state.
    pub(crate) fn state(&self, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        self.state.get(key).or_else(|| self.frozen.state.get(key))
    }

    /// What waits of the keys of state from `from` on, ascending.
    pub(crate) fn state_from(&self, from: &[u8]) -> impl Iterator<Item = (&Vec<u8>, &Option<Vec<u8>>)> {
        let range = (Bound::Included(from), Bound::Unbounded);
        let mut newer = self.state.range::<[u8], _>(range).peekable();
        let mut older = self.frozen.state.range::<[u8], _>(range).peekable();
        std::iter::from_fn(move || match (newer.peek(), older.peek()) {
            (Some((new, _)), Some((old, _))) => match new.cmp(old) {
                Ordering::Less => newer.next(),
                Ordering::Greater => older.next(),
                Ordering::Equal => {
                    older.next();
                    newer.next()
                }
            },
            (Some(_), None) => newer.next(),
            (None, _) => older.next(),
        })
    }

    /// How many postings wait.
    pub(crate) fn postings(&self) -> usize {
        self.postings
    }

    /// How many bytes of state wait, at most.
    pub(crate) fn state_bytes(&self) -> usize {
        self.state_bytes
    }

    /// Sets apart what is to be written.
    pub(crate) fn freeze(&mut self) -> Arc<Frozen> {
        let (next, state) = (Tables::like(&self.tables), std::mem::take(&mut self.state));
        let tables = std::mem::replace(&mut self.tables, next);
        (self.postings, self.state_bytes) = (0, 0);
        self.frozen = Arc::new(Frozen { tables, state });
        Arc::clone(&self.frozen)
    }

    /// Forgets what was set apart, now that sled has it; gives it, since dropping it takes time.
    pub(crate) fn forget_frozen(&mut self) -> Arc<Frozen> {
        std::mem::take(&mut self.frozen)
    }

    /// Takes back what was set apart and could not be written.
    pub(crate) fn thaw(&mut self) {
        let frozen = self.forget_frozen();
        let (tables, state) = (std::mem::take(&mut self.tables), std::mem::take(&mut self.state));
        (self.postings, self.state_bytes) = (0, 0);
        for (key, value) in frozen.state.iter().chain(&state) {
            self.set_state(key.clone(), value.clone());
        }
        for table in Table::ALL {
            for tables in [&frozen.tables, &tables] {
                tables.all(table).for_each(|(key, value)| self.insert(table, key, value));
            }
        }
    }

    /// Remembers a body as damaged.
    pub(crate) fn set_damaged(&mut self, ordinal: u64) {
        self.damaged.insert(ordinal);
    }

    /// Remembers the release of a row as damaged.
    pub(crate) fn set_damaged_row(&mut self, row: u64) {
        self.damaged_rows.insert(row);
    }

    pub(crate) fn is_damaged_row(&self, row: u64) -> bool {
        self.damaged_rows.contains(row)
    }

    /// Bodies that were found damaged, ascending.
    pub(crate) fn damaged(&self) -> impl Iterator<Item = u64> {
        self.damaged.iter()
    }

    pub(crate) fn is_damaged(&self, ordinal: u64) -> bool {
        self.damaged.contains(ordinal)
    }
}
