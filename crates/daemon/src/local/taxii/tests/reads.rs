//! How much is read of the store: by whoever counts, and for what is not there.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
};

use mithaq_core::{
    id::{ContentId, ContentPrefix, ReleaseId},
    release::SignedRelease,
    stix::observable::Observable,
};
use mithaq_store::{Committed, FoundPage, Holding, LogRow, Place, Query, Report, Stats, StoreError, Version};

use super::{
    collections::{TABLES, ipv4},
    *,
};

/// A store that counts how often it is read.
struct Counting {
    inner: MemoryStore,
    reads: AtomicUsize,
}

impl Counting {
    fn new() -> Arc<Self> {
        Arc::new(Self { inner: MemoryStore::new(StoreId::from_bytes([1; 16])), reads: AtomicUsize::new(0) })
    }

    fn reading(&self) -> &MemoryStore {
        self.reads.fetch_add(1, Ordering::Relaxed);
        &self.inner
    }

    fn take_reads(&self) -> usize {
        self.reads.swap(0, Ordering::Relaxed)
    }
}

impl Store for Counting {
    fn id(&self) -> StoreId {
        self.inner.id()
    }

    fn commit(&self, batch: Batch, now: Time) -> Result<Vec<Committed>, StoreError> {
        self.inner.commit(batch, now)
    }

    fn has_bodies(&self, ids: &[ContentId]) -> Result<Vec<bool>, StoreError> {
        self.reading().has_bodies(ids)
    }

    fn contents_with(&self, prefixes: &[ContentPrefix]) -> Result<Vec<Option<ContentId>>, StoreError> {
        self.reading().contents_with(prefixes)
    }

    fn are_staged(&self, ids: &[ContentId]) -> Result<Vec<bool>, StoreError> {
        self.reading().are_staged(ids)
    }

    fn holding(&self, content: ContentId) -> Result<Holding, StoreError> {
        self.reading().holding(content)
    }

    fn bodies(&self, ids: &[ContentId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.reading().bodies(ids)
    }

    fn release(&self, id: ReleaseId) -> Result<Option<(u64, SignedRelease)>, StoreError> {
        self.reading().release(id)
    }

    fn log(&self, after: u64, limit: usize) -> Result<Vec<LogRow>, StoreError> {
        self.reading().log(after, limit)
    }

    fn head(&self) -> u64 {
        self.inner.head()
    }

    fn rows_of(&self, content: ContentId) -> Result<Vec<u64>, StoreError> {
        self.reading().rows_of(content)
    }

    fn versions(&self, stix_id: &str) -> Result<Vec<Version>, StoreError> {
        self.reading().versions(stix_id)
    }

    fn observed(&self, observable: &Observable, limit: usize) -> Result<Vec<ContentId>, StoreError> {
        self.reading().observed(observable, limit)
    }

    fn find(&self, any: &[Query], after: Option<&Place>, limit: usize) -> Result<FoundPage, StoreError> {
        self.reading().find(any, after, limit)
    }

    fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.reading().state(key)
    }

    fn state_range(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        self.reading().state_range(prefix, after, limit)
    }

    fn stats(&self) -> Stats {
        self.inner.stats()
    }

    fn verify(&self) -> Result<Report, StoreError> {
        self.inner.verify()
    }
}

/// An indicator with this number that looks for so many addresses.
fn with_values(number: usize, values: usize) -> String {
    let addresses: Vec<_> = (0..values).map(|value| format!("'10.0.{}.{}'", value / 256, value % 256)).collect();
    let pattern = format!("[ipv4-addr:value IN ({})]", addresses.join(","));
    indicator(number, "2020-01-01T00:00:00.000Z").replace("[domain-name:value = 'a.example']", &pattern)
}

#[tokio::test]
async fn many_values_in_many_objects_cost_the_count_little() {
    let store = Counting::new();
    let cert = Cert::over(Arc::clone(&store) as Arc<dyn Store>, None, TABLES);
    let hostile: Vec<_> = (0..40).map(|number| with_values(number, 2_000)).collect();
    for objects in hostile.chunks(8) {
        cert.release_of(9, Tlp::Green, objects);
    }
    store.take_reads();
    cert.count();
    let reads = store.take_reads();
    // 256 values of the first object, the 40 that carry them, and a few reads for each of those.
    assert!(reads < 256 * 40 * 6, "{reads} reads for 40 objects of 2,000 values");
    // What is counted at all still counts.
    cert.release(Tlp::Green, &[ipv4(900, "10.0.0.1")]);
    cert.count();
    assert_eq!(cert.objects_of("seen").await.len(), 41);
}

#[tokio::test]
async fn what_is_hidden_costs_a_page_by_id_no_more_than_a_few_reads() {
    let mut reads = BTreeMap::new();
    for (what, hidden) in [("nothing", 0), ("one", 1), ("many versions", 50)] {
        let store = Counting::new();
        let cert = Cert::over(Arc::clone(&store) as Arc<dyn Store>, None, "");
        cert.release(Tlp::Green, &indicators(0..3));
        let version = |day: usize| indicator(7, &format!("2020-01-{:02}T00:{:02}:00.000Z", day % 28 + 1, day));
        if hidden > 0 {
            cert.release(Tlp::Red, &(0..hidden).map(version).collect::<Vec<_>>());
        }
        let collection = cert.collection().await;
        for path in ["objects/ID/", "objects/ID/versions/", "objects/?match[id]=ID", "manifest/?match[id]=ID"] {
            store.take_reads();
            let answer = cert.get(&format!("{collection}{}", path.replace("ID", &id(7)))).await;
            reads.insert((path, what), (store.take_reads(), answer.status, answer.text));
        }
    }
    for path in ["objects/ID/", "objects/ID/versions/", "objects/?match[id]=ID", "manifest/?match[id]=ID"] {
        let [nothing, one, many] = ["nothing", "one", "many versions"].map(|what| &reads[&(path, what)]);
        assert_eq!((nothing.1, &nothing.2), (one.1, &one.2), "{path}");
        assert_eq!((nothing.1, &nothing.2), (many.1, &many.2), "{path}");
        assert!(one.0 <= nothing.0 + 8, "{path}: {} reads, {} for nothing", one.0, nothing.0);
    }
}
