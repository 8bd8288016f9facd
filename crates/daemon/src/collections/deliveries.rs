//! Who read which collection, up to where and when: a row for each reader of each collection, not one for each object.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mithaq_api::http::SiemReader;
use mithaq_core::time::Time;
use mithaq_store::{Batch, StateChange, Store, StoreError};

use crate::{clock, node::Node};

/// Before the key of a reader's row: collection, `/`, reader.
const DELIVERY: &[u8] = b"dv/";

/// The most readers that are remembered; of more, those go that were not there for the longest time.
const READERS_MAX: usize = 1_024;

/// How often what has changed is written down. A daemon that dies loses so much of it at most.
const KEEP: Duration = Duration::from_secs(10);

/// How many rows of state are read at a time.
const ROWS: usize = 256;

type Key = (String, String);

/// What readers were given.
#[derive(Debug, Default)]
pub(crate) struct Deliveries(Mutex<Readers>);

#[derive(Debug, Default)]
struct Readers {
    rows: BTreeMap<Key, SiemReader>,
    changed: BTreeSet<Key>,
}

impl Deliveries {
    /// Reads what was kept. Blocks.
    pub(crate) fn load(&self, store: &dyn Store) -> Result<(), StoreError> {
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut after = None;
        loop {
            let rows = store.state_range(DELIVERY, after.as_deref(), ROWS)?;
            for (_, value) in &rows {
                // A row that cannot be read is begun anew.
                if let Ok(row) = serde_json::from_slice::<SiemReader>(value) {
                    readers.rows.insert((row.collection.clone(), row.reader.clone()), row);
                }
            }
            match rows.into_iter().last() {
                Some((key, _)) => after = Some(key),
                None => return Ok(()),
            }
        }
    }

    /// Notes that a reader was given objects of a collection, up to one that was added then.
    pub(crate) fn note(&self, collection: &str, reader: &str, objects: usize, up_to_micros: Option<i64>) {
        let now = clock::wall();
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (collection.to_owned(), reader.to_owned());
        let row = readers.rows.entry(key.clone()).or_insert_with(|| SiemReader {
            collection: collection.to_owned(),
            reader: reader.to_owned(),
            first_at: now,
            last_at: now,
            answers: 0,
            objects: 0,
            up_to: None,
        });
        row.last_at = now;
        row.answers += 1;
        row.objects += objects as u64;
        row.up_to = row.up_to.max(up_to_micros.map(Time::from_micros));
        readers.changed.insert(key);
        readers.make_room();
    }

    /// All rows, by collection and reader.
    pub(crate) fn list(&self) -> Vec<SiemReader> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).rows.values().cloned().collect()
    }

    /// The changes of state since the last call.
    fn take_changes(&self) -> Vec<StateChange> {
        let mut readers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = std::mem::take(&mut readers.changed);
        let change = |key: Key| match readers.rows.get(&key) {
            // INVARIANT: texts, times and numbers serialise.
            Some(row) => StateChange::set(state_key(&key), serde_json::to_vec(row).unwrap_or_default()),
            None => StateChange { value: None, ..StateChange::set(state_key(&key), Vec::new()) },
        };
        changed.into_iter().map(change).collect()
    }
}

impl Readers {
    fn make_room(&mut self) {
        while self.rows.len() > READERS_MAX {
            let oldest = self.rows.iter().min_by_key(|(_, row)| row.last_at).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { return };
            self.rows.remove(&oldest);
            self.changed.insert(oldest);
        }
    }
}

fn state_key((collection, reader): &Key) -> Vec<u8> {
    [DELIVERY, collection.as_bytes(), b"/", reader.as_bytes()].concat()
}

/// Writes down what readers were given, until the daemon stops.
pub(crate) async fn keep(node: Arc<Node>) {
    loop {
        let stopped = tokio::select! {
            () = tokio::time::sleep(KEEP) => false,
            () = node.shutdown.cancelled() => true,
        };
        let worker = Arc::clone(&node);
        let kept = tokio::task::spawn_blocking(move || {
            let state = worker.collections.deliveries.take_changes();
            match state.is_empty() {
                true => Ok(()),
                false => worker.commit(Batch { state, ..Batch::default() }).map(drop),
            }
        });
        match kept.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "what SIEMs were given could not be written down"),
            Err(_) => return node.fail("keeping what SIEMs were given"),
        }
        if stopped {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use mithaq_store::{MemoryStore, StoreId};

    use super::*;

    #[test]
    fn rows_add_up_and_outlive_the_daemon() {
        let store = MemoryStore::new(StoreId::from_bytes([1; 16]));
        let deliveries = Deliveries::default();
        deliveries.note("default", "uid:7", 3, Some(9));
        deliveries.note("default", "uid:7", 1, Some(5));
        deliveries.note("banks", "token:splunk", 0, None);
        let state = deliveries.take_changes();
        assert_eq!((state.len(), deliveries.take_changes().len()), (2, 0));
        store.commit(Batch { state, ..Batch::default() }, Time::from_micros(1)).unwrap();
        let again = Deliveries::default();
        again.load(&store).unwrap();
        assert_eq!(again.list(), deliveries.list());
        let row = again.list().pop().unwrap();
        assert_eq!((row.reader.as_str(), row.answers, row.objects), ("uid:7", 2, 4));
        assert_eq!(row.up_to, Some(Time::from_micros(9)));
    }

    #[test]
    fn no_more_readers_are_remembered_than_there_is_room_for() {
        let deliveries = Deliveries::default();
        for uid in 0..=READERS_MAX {
            deliveries.note("default", &format!("uid:{uid}"), 1, None);
        }
        assert_eq!(deliveries.list().len(), READERS_MAX);
        assert!(deliveries.take_changes().iter().any(|change| change.value.is_none()));
    }
}
