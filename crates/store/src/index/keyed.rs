//! Maps by keys of one size, of what others choose: quicker than the standard library's, and seeded all the same, so
//! that nobody can pile keys up in one place.

use std::collections::{HashMap, HashSet};

pub(crate) use foldhash::fast::RandomState as Seeded;

/// A map by a key of fixed size.
pub(crate) type KeyedMap<K, V> = HashMap<K, V, Seeded>;

/// A set of keys of fixed size.
pub(crate) type KeyedSet<K> = HashSet<K, Seeded>;
