//! Postings that wait for a flush and are found by the beginning of their key too.

use std::collections::hash_map::Entry;

use super::{
    keyed::{KeyedMap, Seeded},
    table::Key,
};

/// How many bytes of a key are its beginning.
pub(super) const BEGINNING_BYTES: usize = 8;

/// How a key begins.
pub(super) type Beginning = [u8; BEGINNING_BYTES];

/// The beginning of a key.
pub(super) fn beginning(key: &Key) -> &Beginning {
    // INVARIANT: a key is longer.
    key.first_chunk().unwrap_or(&[0; BEGINNING_BYTES])
}

/// Postings by the beginnings of their keys.
#[derive(Debug, Default)]
pub(super) struct Alike {
    /// The first of each beginning, which nearly always is the only one.
    first: KeyedMap<Beginning, (Key, u64)>,
    more: KeyedMap<Beginning, Vec<(Key, u64)>>,
}

impl Alike {
    /// Room for as many as another has.
    pub(super) fn like(other: &Self) -> Self {
        Self {
            first: KeyedMap::with_capacity_and_hasher(other.first.len(), Seeded::default()),
            more: KeyedMap::default(),
        }
    }

    pub(super) fn insert(&mut self, key: Key, value: u64) {
        match self.first.entry(*beginning(&key)) {
            Entry::Vacant(vacant) => {
                vacant.insert((key, value));
            }
            Entry::Occupied(_) => self.more.entry(*beginning(&key)).or_default().push((key, value)),
        }
    }

    /// The postings of a key.
    pub(super) fn find(&self, key: Key) -> impl Iterator<Item = u64> {
        self.beginning_with(*beginning(&key)).filter(move |(known, _)| *known == key).map(|(_, value)| value)
    }

    /// The postings of the keys that begin so.
    pub(super) fn beginning_with(&self, beginning: Beginning) -> impl Iterator<Item = (Key, u64)> {
        let first = self.first.get(&beginning);
        let more = first.and_then(|_| self.more.get(&beginning));
        first.into_iter().chain(more.into_iter().flatten()).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Key, u64)> {
        self.first.values().chain(self.more.values().flatten()).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_begin_alike_are_told_apart_and_found_together() {
        let mut alike = Alike::default();
        let key = |first: u8, last: u8| {
            let mut key = [first; 16];
            key[15] = last;
            key
        };
        for (value, (first, last)) in (0..).zip([(1, 1), (1, 2), (2, 1), (1, 2), (1, 3)]) {
            alike.insert(key(first, last), value);
        }
        let find = |first, last| alike.find(key(first, last)).collect::<Vec<_>>();
        assert_eq!(find(1, 1), [0]);
        assert_eq!(find(1, 2), [1, 3]);
        assert_eq!(find(1, 3), [4]);
        assert_eq!((find(2, 1), find(2, 2), find(3, 1)), (vec![2], vec![], vec![]));
        assert_eq!((alike.beginning_with([1; 8]).count(), alike.beginning_with([3; 8]).count()), (4, 0));
        assert_eq!(alike.iter().count(), 5);
    }
}
