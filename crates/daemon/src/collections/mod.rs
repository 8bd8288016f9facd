//! Collections: what of all that we hold is shown to which SIEMs. One is always there; the others are configured.

mod deliveries;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use mithaq_api::config::{self, COLLECTION_DEFAULT, Config};
use mithaq_core::{
    agreement::Scope,
    id::{CertId, sha256_of, to_hex},
    label::Category,
    policy::CollectionRule,
};
use mithaq_store::{StoreError, StoreId};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    feed::{Cursor, Feed, Place, Visibility},
    node::Node,
};
pub(crate) use deliveries::{Deliveries, keep as keep_deliveries};

/// How many streams and snapshots are served to SIEMs at once, over all collections.
pub(crate) const STREAMS_AT_ONCE_MAX: usize = 256;

/// How many items are looked at together for the newest.
const NEWEST_ITEMS: usize = 1_000;

/// The word for our own CERT in the origins of a collection.
const OWN: &str = "own";

/// One collection.
#[derive(Debug)]
pub(crate) struct Collection {
    /// Its name, under which it is configured.
    pub(crate) name: String,
    /// What readers are told that it is.
    pub(crate) title: String,
    /// Its id in TAXII: a UUID that lasts as long as the store.
    pub(crate) id: String,
    /// What it shows.
    pub(crate) visibility: Visibility,
    uids: BTreeSet<u32>,
    gids: BTreeSet<u32>,
    /// Ends what is being read from it: it shows something else now, or to others.
    pub(crate) changed: CancellationToken,
    newest: Mutex<Newest>,
}

/// How far the search for the newest item has come, and what it found.
#[derive(Debug)]
struct Newest {
    place: Place,
    cursor: Option<Cursor>,
}

impl Default for Newest {
    fn default() -> Self {
        Self { place: Place::START, cursor: None }
    }
}

impl Collection {
    fn new(store: StoreId, name: &str, title: String, visibility: Visibility) -> Self {
        Self {
            name: name.to_owned(),
            title,
            id: taxii_id(store, name),
            visibility,
            uids: BTreeSet::new(),
            gids: BTreeSet::new(),
            changed: CancellationToken::new(),
            newest: Mutex::default(),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self.title == other.title
            && self.visibility == other.visibility
            && self.uids == other.uids
            && self.gids == other.gids
    }

    /// Whether its socket is for some users and groups alone.
    pub(crate) fn is_restricted(&self) -> bool {
        !self.uids.is_empty() || !self.gids.is_empty()
    }

    /// Whether a process may read at its socket, by its user and effective group. Our own user always may.
    pub(crate) fn admits(&self, uid: u32, gid: u32, own: u32) -> bool {
        !self.is_restricted() || uid == own || self.uids.contains(&uid) || self.gids.contains(&gid)
    }

    /// The cursor behind the newest item that it shows; `None` if it shows nothing. Blocks.
    pub(crate) fn newest(&self, node: &Arc<Node>) -> Result<Option<Cursor>, StoreError> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let mut feed = Feed::new(Arc::clone(node), self.visibility.clone());
        loop {
            let (items, next) = feed.read(newest.place, NEWEST_ITEMS)?;
            newest.place = next;
            let Some(last) = items.last() else { return Ok(newest.cursor.clone()) };
            newest.cursor = Some(Cursor::behind(node, last));
        }
    }
}

/// A UUID that the store's id and the name give, so that it lasts as long as what it names.
///
/// TAXII wants version 4, which is what its bits say.
fn taxii_id(store: StoreId, name: &str) -> String {
    let digest = sha256_of(&[b"mithaq TAXII collection ", name.as_bytes(), store.as_bytes()]);
    let mut uuid: [u8; 16] = std::array::from_fn(|index| digest[index]);
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    let hex = to_hex(&uuid);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// All collections, by name.
#[derive(Debug)]
pub(crate) struct Collections {
    by_name: RwLock<BTreeMap<String, Arc<Collection>>>,
    /// Changes whenever they do.
    edition: watch::Sender<u64>,
    /// What is left of [`STREAMS_AT_ONCE_MAX`].
    pub(crate) streams: Arc<Semaphore>,
    /// The sockets that are served, by collection: each ends with its token.
    pub(crate) served: Mutex<BTreeMap<String, CancellationToken>>,
    pub(crate) deliveries: Deliveries,
}

impl Default for Collections {
    fn default() -> Self {
        Self {
            by_name: RwLock::default(),
            edition: watch::Sender::new(0),
            streams: Arc::new(Semaphore::new(STREAMS_AT_ONCE_MAX)),
            served: Mutex::default(),
            deliveries: Deliveries::default(),
        }
    }
}

impl Collections {
    /// The collection with this name.
    pub(crate) fn named(&self, name: &str) -> Option<Arc<Collection>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All of them, in the order of names.
    pub(crate) fn all(&self) -> Vec<Arc<Collection>> {
        self.by_name.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Changes whenever the collections do.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.edition.subscribe()
    }

    /// Goes by another configuration from here on. What did not change is served on without a break; what is being read
    /// from the others ends.
    pub(crate) fn replace(&self, node: &Node, config: &Config) {
        let fresh = configured(node, config);
        let mut current = self.by_name.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::take(&mut *current);
        for (name, collection) in fresh {
            let kept = old.get(&name).filter(|old| old.is_same(&collection));
            current.insert(name, kept.map_or_else(|| Arc::new(collection), Arc::clone));
        }
        for (name, collection) in &old {
            if !current.get(name).is_some_and(|kept| Arc::ptr_eq(kept, collection)) {
                collection.changed.cancel();
            }
        }
        drop(current);
        self.edition.send_modify(|edition| *edition += 1);
    }
}

fn configured(node: &Node, config: &Config) -> BTreeMap<String, Collection> {
    let store = node.store.id();
    let rule = CollectionRule { tlp_max: config.siem.tlp_max, ..CollectionRule::default() };
    let default = Collection::new(store, COLLECTION_DEFAULT, "Indicators".into(), Visibility::new(rule, None, 1));
    let tables = config.collection.iter().map(|(name, table)| {
        let (name, title) = (name.as_str(), table.title.clone());
        let visibility = Visibility::new(rule_of(node, table), table.types.clone(), table.corroboration_min);
        let collection = Collection::new(store, name, title.unwrap_or_else(|| name.to_owned()), visibility);
        Collection { uids: table.uids.clone(), gids: table.gids.clone(), ..collection }
    });
    std::iter::once(default).chain(tables).map(|collection| (collection.name.clone(), collection)).collect()
}

fn rule_of(node: &Node, table: &config::Collection) -> CollectionRule {
    let origins = table.origins.as_ref();
    CollectionRule {
        origins: origins.map(|origins| origins.iter().filter_map(|origin| origin_named(node, origin)).collect()),
        tlp_max: table.tlp_max,
        categories: table.categories.clone().unwrap_or_else(|| Category::ALL.into()),
        sectors: table.sectors.clone().map_or(Scope::Any, Scope::Only),
        pap_max: table.pap_max,
        confidence_min: table.confidence_min,
    }
}

/// An origin that is nobody is a slip of the pen, or a peer that is yet to be added.
pub(crate) fn warn_of_strangers(node: &Node, config: &Config) {
    for (name, table) in &config.collection {
        for origin in table.origins.iter().flatten().filter(|origin| origin_named(node, origin).is_none()) {
            let collection = name.as_str();
            tracing::warn!(collection, origin, "a collection names an origin that is no peer: nothing of it is shown");
        }
    }
}

fn origin_named(node: &Node, origin: &str) -> Option<CertId> {
    if origin == OWN {
        return Some(node.us);
    }
    node.peer_named(origin).map(|entry| entry.cert()).or_else(|| origin.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_uuid_of_version_4_that_lasts() {
        let store = StoreId::from_bytes([1; 16]);
        let id = taxii_id(store, "banks");
        assert_eq!((id.len(), &id[14..15]), (36, "4"), "{id}");
        assert_eq!(id, taxii_id(store, "banks"));
        assert_ne!(id, taxii_id(store, "default"));
        assert_ne!(id, taxii_id(StoreId::from_bytes([2; 16]), "banks"));
    }

    #[test]
    fn a_socket_is_for_whom_the_table_names() {
        let mut collection = Collection::new(StoreId::from_bytes([1; 16]), "banks", String::new(), Visibility::ALL);
        assert!(collection.admits(7, 7, 1));
        collection.uids = [7].into();
        collection.gids = [9].into();
        assert!(collection.admits(7, 7, 1) && collection.admits(8, 9, 1) && collection.admits(1, 1, 1));
        assert!(!collection.admits(8, 7, 1) && !collection.admits(0, 0, 1));
    }
}
