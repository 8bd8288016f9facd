//! Postings that wait for a flush and are found by the beginning of their key too.

use std::collections::HashMap;

use super::{memory::Postings, table::Key};

/// How many bytes of a key are its beginning.
pub(super) const BEGINNING_BYTES: usize = 8;

/// How a key begins.
pub(super) type Beginning = [u8; BEGINNING_BYTES];

/// The beginning of a key.
pub(super) fn beginning(key: &Key) -> &Beginning {
    // INVARIANT: a key is longer.
    key.first_chunk().unwrap_or(&[0; BEGINNING_BYTES])
}

/// Postings by key.
#[derive(Debug, Default)]
pub(super) struct Alike(HashMap<Beginning, Keys>);

/// The keys that begin alike: nearly always one.
#[derive(Debug)]
enum Keys {
    One((Key, Postings)),
    More(Vec<(Key, Postings)>),
}

impl Keys {
    fn as_slice(&self) -> &[(Key, Postings)] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(more) => more,
        }
    }

    fn as_mut_slice(&mut self) -> &mut [(Key, Postings)] {
        match self {
            Self::One(one) => std::slice::from_mut(one),
            Self::More(more) => more,
        }
    }

    fn push(&mut self, key: Key, value: u64) {
        if let Some((_, postings)) = self.as_mut_slice().iter_mut().find(|(known, _)| *known == key) {
            return postings.push(value);
        }
        let mut keys = match std::mem::replace(self, Self::More(Vec::new())) {
            Self::One(one) => vec![one],
            Self::More(more) => more,
        };
        keys.push((key, Postings::One(value)));
        *self = Self::More(keys);
    }
}

impl Alike {
    pub(super) fn insert(&mut self, key: Key, value: u64) {
        self.0
            .entry(*beginning(&key))
            .and_modify(|keys| keys.push(key, value))
            .or_insert_with(|| Keys::One((key, Postings::One(value))));
    }

    /// The postings of a key.
    pub(super) fn get(&self, key: &Key) -> Option<&Postings> {
        self.beginning_with(beginning(key)).find(|(known, _)| known == key).map(|(_, postings)| postings)
    }

    /// The keys that begin so, and their postings.
    pub(super) fn beginning_with(&self, beginning: &Beginning) -> impl Iterator<Item = &(Key, Postings)> {
        self.0.get(beginning).into_iter().flat_map(Keys::as_slice)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Key, &Postings)> {
        self.0.values().flat_map(Keys::as_slice).map(|(key, postings)| (key, postings))
    }

    /// How many beginnings there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
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
        let get = |first, last| alike.get(&key(first, last)).map(Postings::as_slice);
        assert_eq!(get(1, 1), Some(&[0][..]));
        assert_eq!(get(1, 2), Some(&[1, 3][..]));
        assert_eq!(get(1, 3), Some(&[4][..]));
        assert_eq!((get(2, 1), get(2, 2), get(3, 1)), (Some(&[2][..]), None, None));
        assert_eq!((alike.beginning_with(&[1; 8]).count(), alike.beginning_with(&[3; 8]).count()), (3, 0));
        assert_eq!((alike.len(), alike.iter().count()), (2, 4));
    }
}
