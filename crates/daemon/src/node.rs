//! What all tasks of the daemon share.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Instant,
};

use mithaq_api::{
    config::{self, Config},
    home::{Home, HomeError, Peer, PeerState, with_sources},
    http::Problem,
};
use mithaq_core::{
    agreement::SightingTerm,
    card::VerifiedCard,
    code::Code,
    id::{CertId, ContentId},
    keys::{PublicKey, SecretKey},
    policy::LocalPolicy,
    release::{Manifest, ReleaseDraft, SignedRelease, VerifiedRelease},
    time::Time,
};
use mithaq_store::{Batch, Committed, LogRow, Store, StoreError};
use tokio::{runtime::Handle, sync::watch, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    alerts::{self, Alerts},
    bulk::Bulk,
    clock,
    collections::Collections,
    consents::Consents,
    edition::Edition,
    expiry::{self, Expiry},
    export,
    fetching::Fetching,
    identity::Identity,
    ledger,
    peer::{Links, Pace, Sketches},
    publishing::Publishing,
    restored::Gate,
    room::Room,
    staging::Resumed,
    standing::Standing,
    warnings::Warnings,
};

/// What all tasks of the daemon share.
pub(crate) struct Node {
    pub(crate) home: Home,
    pub(crate) config: Config,
    pub(crate) us: CertId,
    pub(crate) store: Arc<dyn Store>,
    /// The endpoint for all peers, once it is open.
    pub(crate) endpoint: OnceLock<quinn::Endpoint>,
    /// This run of the daemon, 16 random bytes: tells a peer that we were restarted.
    pub(crate) instance: [u8; 16],
    pub(crate) links: Links,
    /// Which session fetches which body.
    pub(crate) fetching: Arc<Fetching>,
    pub(crate) tasks: TaskTracker,
    /// The threads of bulk; tests do without.
    pub(crate) bulk: Option<Handle>,
    /// Whether alerts are about.
    pub(crate) alerts: Alerts,
    /// Which releases came as a part of a bulk.
    pub(crate) in_bulk: Bulk,
    pub(crate) shutdown: CancellationToken,
    pub(crate) started: Instant,
    /// What our own pushes are looked up in.
    pub(crate) warnings: Warnings,
    /// What is being published, from the look at what we have released until the new releases are stored.
    pub(crate) publishing: Publishing,
    /// Whether a peer's release was ever stored, as far as it had to be looked up.
    received: AtomicBool,
    /// What of our releases is not served.
    pub(crate) standing: Standing,
    /// Whether readers wait after a restore.
    pub(crate) gate: Gate,
    /// Whether the store's disk has room for more.
    pub(crate) room: Room,
    /// What SIEMs are shown.
    pub(crate) collections: Collections,
    /// When something expires.
    pub(crate) expiry: Expiry,
    /// What origins let us pass on.
    pub(crate) consents: Consents,
    /// Who appends to which ledger.
    pub(crate) ledgers: ledger::Turns,
    /// How the exports of the configuration fare.
    pub(crate) exports: export::Board,
    /// Held while the peer files are read and taken up.
    pub(crate) reloading: Mutex<()>,
    identity: watch::Sender<Arc<Identity>>,
    /// What is configured of the links to peers, by name.
    paces: RwLock<BTreeMap<String, config::Link>>,
    peers: RwLock<BTreeMap<CertId, Arc<PeerEntry>>>,
    head: watch::Sender<u64>,
}

/// A peer and the tasks that serve it.
pub(crate) struct PeerEntry {
    pub(crate) peer: Peer,
    /// Ends the tasks of this peer: it was changed or removed.
    pub(crate) cancel: CancellationToken,
    /// What names our journal towards it, from the first time that this is asked: all who serve the peer go by one.
    pub(crate) edition: OnceLock<Edition>,
    /// The number of the last entry of our journal towards it.
    pub(crate) journal_head: watch::Sender<u64>,
    /// The last row of the log of which the rule was asked for it.
    pub(crate) scanned: AtomicU64,
    /// Whether it was looked what was passed over before it was served as it is (`passed.rs`).
    pub(crate) looked_back: AtomicBool,
    /// How many entries the journal had when the peer lacked none of them, since it is served as it is (`passed.rs`).
    pub(crate) acknowledged_whole: AtomicU64,
    pub(crate) status: Mutex<crate::peer::LinkStatus>,
    /// Of our journal towards it, and of what it releases to us.
    pub(crate) sketches: Sketches,
    /// What it goes on with of what it gave in part.
    pub(crate) resumed: Resumed,
    /// How fast its link is by configuration.
    pub(crate) pace: Arc<Pace>,
}

impl PeerEntry {
    fn new(peer: Peer, cancel: CancellationToken, pace: Pace) -> Self {
        let status = Mutex::new(crate::peer::LinkStatus::default());
        Self {
            peer,
            cancel,
            edition: OnceLock::new(),
            journal_head: watch::Sender::new(0),
            scanned: AtomicU64::new(0),
            looked_back: AtomicBool::new(false),
            acknowledged_whole: AtomicU64::new(0),
            status,
            sketches: Sketches::default(),
            resumed: Resumed::default(),
            pace: Arc::new(pace),
        }
    }

    /// Its id.
    pub(crate) fn cert(&self) -> CertId {
        self.peer.card.cert_id()
    }

    /// Changes what `status` shows of it.
    pub(crate) fn update(&self, change: impl FnOnce(&mut crate::peer::LinkStatus)) {
        change(&mut self.status.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn is_same(&self, peer: &Peer) -> bool {
        let agreement = |peer: &Peer| peer.agreement.as_ref().map(|agreement| agreement.id());
        self.peer.card == peer.card
            && self.peer.name == peer.name
            && self.peer.endpoints == peer.endpoints
            && self.peer.state == peer.state
            && self.peer.ended == peer.ended
            && agreement(&self.peer) == agreement(peer)
    }
}

impl Node {
    /// Puts the parts together; starts nothing.
    pub(crate) fn new(
        home: Home,
        config: Config,
        store: Arc<dyn Store>,
        standing: Standing,
        instance: [u8; 16],
    ) -> Result<Self, HomeError> {
        let identity = Identity::read(&home, clock::wall())?;
        let node = Self {
            us: identity.card.cert_id(),
            identity: watch::Sender::new(Arc::new(identity)),
            head: watch::Sender::new(store.head()),
            endpoint: OnceLock::new(),
            instance,
            links: Links::default(),
            fetching: Arc::default(),
            tasks: TaskTracker::new(),
            bulk: None,
            alerts: Alerts::default(),
            in_bulk: Bulk::default(),
            shutdown: CancellationToken::new(),
            started: Instant::now(),
            publishing: Publishing::default(),
            warnings: Warnings::default(),
            received: AtomicBool::new(false),
            standing,
            gate: Gate::default(),
            room: Room::new(&*store, config.store.free_mib_min.saturating_mul(1024 * 1024)),
            collections: Collections::default(),
            expiry: Expiry::default(),
            consents: Consents::default(),
            ledgers: ledger::Turns::default(),
            exports: export::Board::default(),
            reloading: Mutex::default(),
            store,
            paces: RwLock::new(config.link.clone()),
            peers: RwLock::default(),
            home,
            config,
        };
        node.collections.replace(&node, &node.config);
        Ok(node)
    }

    /// The threads on which bulk runs.
    pub(crate) fn bulk(&self) -> Handle {
        self.bulk.clone().unwrap_or_else(Handle::current)
    }

    /// Runs a piece of bulk, which blocks.
    pub(crate) fn spawn_piece<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let node = Arc::clone(self);
        self.spawn_bulk(move || node.alerts.piece(work))
    }

    /// Runs something that blocks and that no alert waits for.
    pub(crate) fn spawn_bulk<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        self.bulk().spawn_blocking(work)
    }

    /// Our card and keys as they are now.
    pub(crate) fn identity(&self) -> Arc<Identity> {
        Arc::clone(&self.identity.borrow())
    }

    /// Goes by another card and other keys of ours from here on.
    pub(crate) fn replace_identity(&self, identity: Identity) {
        self.identity.send_replace(Arc::new(identity));
    }

    /// What our own operator lets out.
    pub(crate) fn local_policy(&self) -> LocalPolicy {
        let policy = &self.config.policy;
        LocalPolicy { tlp_max: policy.tlp_max, categories: policy.categories.clone(), onward: policy.onward }
    }

    /// All peers, in the order of names.
    pub(crate) fn peers(&self) -> Vec<Arc<PeerEntry>> {
        let mut peers: Vec<_> = self.read_peers().values().cloned().collect();
        peers.sort_by(|a, b| a.peer.name.cmp(&b.peer.name));
        peers
    }

    /// How many peers there are.
    pub(crate) fn peer_count(&self) -> usize {
        self.read_peers().len()
    }

    /// The peer with this name.
    pub(crate) fn peer_named(&self, name: &str) -> Option<Arc<PeerEntry>> {
        self.read_peers().values().find(|entry| entry.peer.name == name).cloned()
    }

    /// The peer with this id.
    pub(crate) fn peer(&self, cert: CertId) -> Option<Arc<PeerEntry>> {
        self.read_peers().get(&cert).cloned()
    }

    /// The peer whose card names this TLS key for that time; a peer that is blocked is nobody.
    pub(crate) fn peer_with_tls_key(&self, key: PublicKey, at: Time) -> Option<Arc<PeerEntry>> {
        let is_meant =
            |entry: &&Arc<PeerEntry>| entry.peer.state != PeerState::Blocked && entry.peer.card.has_tls_key(key, at);
        self.read_peers().values().find(is_meant).cloned()
    }

    /// The peer whose card claims this STIX identity.
    pub(crate) fn peer_with_identity(&self, identity: &str) -> Option<Arc<PeerEntry>> {
        self.read_peers().values().find(|entry| entry.peer.card.card().identities.contains(identity)).cloned()
    }

    /// The CERT whose card claims this STIX identity, our own first.
    pub(crate) fn owner_of_identity(&self, identity: &str) -> Option<CertId> {
        if self.identity().card.card().identities.contains(identity) {
            return Some(self.us);
        }
        self.peer_with_identity(identity).map(|entry| entry.cert())
    }

    /// Whether anything was ever received from a peer: whose is what need not be asked before.
    pub(crate) fn receives(&self) -> bool {
        // A cursor is stored with the first release of a peer.
        self.received.load(Ordering::Relaxed) || {
            let received = self.store.state_range(b"c/", None, 1).is_ok_and(|rows| !rows.is_empty());
            self.received.fetch_or(received, Ordering::Relaxed);
            received
        }
    }

    /// Whether any peer's agreement lets our sightings go as counts alone.
    pub(crate) fn shares_counts(&self) -> bool {
        let term = |entry: &Arc<PeerEntry>| {
            let agreement = entry.peer.agreement.as_ref().filter(|_| entry.peer.ended.is_none())?;
            Some(agreement.agreement().flow_from(self.us)?.sightings)
        };
        self.peers().iter().filter_map(term).any(|term| term == SightingTerm::Count)
    }

    /// Reads bodies; a damaged one is named in the log and left out. Blocks.
    pub(crate) fn sound_bodies(&self, contents: &[ContentId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        match self.store.bodies(contents) {
            Err(StoreError::Corrupt { .. }) if contents.len() > 1 => {
                let one_by_one = contents.chunks(1).map(|content| self.sound_bodies(content));
                Ok(one_by_one.collect::<Result<Vec<_>, _>>()?.concat())
            }
            Err(StoreError::Corrupt { what }) => {
                tracing::error!(what, "a damaged object is not shown: run `mithaq store check`");
                Ok(vec![None])
            }
            read => read,
        }
    }

    /// The newest card that we hold of a peer.
    pub(crate) fn card_of(&self, cert: CertId) -> Option<VerifiedCard> {
        self.peer(cert).map(|entry| entry.peer.card.clone())
    }

    /// The key that signs for us at `at`.
    ///
    /// # Errors
    /// When our card names no key that may sign then.
    pub(crate) fn signing_key(&self, at: Time) -> Result<Arc<SecretKey>, Problem> {
        let identity = self.identity();
        let key = identity.signing_key(at).map(Arc::clone);
        key.map_err(|error| Problem::new(Code::NO_USABLE_KEY, error.to_string()))
    }

    /// Signs a release of our own.
    ///
    /// # Errors
    /// When our card names no key that may sign now, or the draft breaks a limit.
    pub(crate) fn sign(&self, draft: ReleaseDraft) -> Result<VerifiedRelease, Problem> {
        let signed = VerifiedRelease::sign(self.us, &*self.signing_key(draft.published_at)?, draft);
        signed.map_err(|error| Problem::new(Code::INTERNAL, with_sources(&error)))
    }

    /// How people here call a CERT.
    pub(crate) fn name_of(&self, cert: CertId) -> String {
        if cert == self.us {
            return "us".into();
        }
        self.peer(cert).map_or_else(|| cert.fmt_short(), |entry| entry.peer.name.clone())
    }

    /// Replaces the peers by `peers`; returns those that are new or changed, whose tasks are to be started. The tasks
    /// of those that are gone or changed end.
    pub(crate) fn replace_peers(&self, peers: Vec<Peer>) -> Vec<Arc<PeerEntry>> {
        let mut fresh = Vec::new();
        let mut current = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        let mut old = std::mem::take(&mut *current);
        for peer in peers {
            let cert = peer.card.cert_id();
            if current.contains_key(&cert) {
                tracing::error!(peer = peer.name, "two peer files hold the card of one CERT: this one is not served");
                continue;
            }
            let entry = match old.remove(&cert) {
                Some(entry) if entry.is_same(&peer) => entry,
                changed => {
                    if let Some(entry) = changed {
                        entry.cancel.cancel();
                    }
                    let entry = Arc::new(self.entry(peer));
                    fresh.push(Arc::clone(&entry));
                    entry
                }
            };
            current.insert(cert, entry);
        }
        old.values().for_each(|entry| entry.cancel.cancel());
        fresh
    }

    /// Takes up one peer as its file has it now; returns it if it is new or changed, and its tasks are to be started.
    pub(crate) fn replace_peer(&self, peer: Peer) -> Option<Arc<PeerEntry>> {
        let mut current = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        let cert = peer.card.cert_id();
        if current.get(&cert).is_some_and(|entry| entry.is_same(&peer)) {
            return None;
        }
        let fresh = Arc::new(self.entry(peer));
        if let Some(old) = current.insert(cert, Arc::clone(&fresh)) {
            old.cancel.cancel();
        }
        Some(fresh)
    }

    /// Ends the tasks of all peers and returns the entries that are to be served in their place.
    pub(crate) fn renew_peers(&self) -> Vec<Arc<PeerEntry>> {
        let mut current = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        for entry in current.values_mut() {
            entry.cancel.cancel();
            *entry = Arc::new(self.entry(entry.peer.clone()));
        }
        current.values().cloned().collect()
    }

    /// Ends the tasks of one peer and returns the entry that is to be served in its place; none if it was replaced
    /// already.
    pub(crate) fn renew_peer(&self, old: &Arc<PeerEntry>) -> Option<Arc<PeerEntry>> {
        let mut current = self.peers.write().unwrap_or_else(PoisonError::into_inner);
        let entry = current.get_mut(&old.cert()).filter(|entry| Arc::ptr_eq(entry, old))?;
        entry.cancel.cancel();
        *entry = Arc::new(self.entry(entry.peer.clone()));
        Some(Arc::clone(entry))
    }

    /// Goes by other link settings from here on, in the sessions that run too.
    pub(crate) fn replace_links(&self, links: BTreeMap<String, config::Link>) {
        let mut paces = self.paces.write().unwrap_or_else(PoisonError::into_inner);
        *paces = links;
        for entry in self.read_peers().values() {
            entry.pace.set(paces.get(&entry.peer.name));
        }
    }

    /// The entry of a peer whose tasks are to be started.
    fn entry(&self, peer: Peer) -> PeerEntry {
        let paces = self.paces.read().unwrap_or_else(PoisonError::into_inner);
        let pace = Pace::new(paces.get(&peer.name));
        PeerEntry::new(peer, self.shutdown.child_token(), pace)
    }

    /// Commits a batch and tells everyone who follows the log. Blocks.
    pub(crate) fn commit(&self, mut batch: Batch) -> Result<Vec<Committed>, StoreError> {
        let now = clock::wall();
        let is_alert = alerts::is_alert(&batch);
        let (looks, first) = expiry::changes(&batch, now);
        batch.state.extend(looks);
        let committed = self.store.commit(batch, now)?;
        let head = self.store.head();
        if is_alert {
            self.alerts.came(head);
        }
        self.head.send_if_modified(|known| {
            let grown = head > *known;
            *known = head.max(*known);
            grown
        });
        first.iter().for_each(|micros| self.expiry.note(*micros));
        Ok(committed)
    }

    /// The release of a row of the log, with its manifest; `None` if there is no such row. Blocks.
    pub(crate) fn release_at(&self, seq: u64) -> Result<Option<(LogRow, SignedRelease, Manifest)>, StoreError> {
        let row = self.store.log(seq.saturating_sub(1), 1)?.into_iter().next().filter(|row| row.seq == seq);
        let Some(row) = row else { return Ok(None) };
        let damaged = || StoreError::Corrupt { what: format!("release {}", row.release.fmt_short()) };
        // One that is not there was purged since.
        let Some((_, release)) = self.store.release(row.release)? else { return Ok(None) };
        let manifest = release.stored_manifest().map_err(|_| damaged())?;
        Ok(Some((row, release, manifest)))
    }

    /// As [`Node::release_at`]; a damaged release is named in the log and counts as not there. Blocks.
    pub(crate) fn sound_release_at(&self, seq: u64) -> Result<Option<(LogRow, SignedRelease, Manifest)>, StoreError> {
        match self.release_at(seq) {
            Err(StoreError::Corrupt { what }) => {
                tracing::error!(what, "a damaged release is passed over: run `mithaq store check`");
                Ok(None)
            }
            read => read,
        }
    }

    /// Stops the daemon: a task has panicked, and nobody knows what it left undone.
    pub(crate) fn fail(&self, what: &str) {
        tracing::error!(what, "a task failed: the daemon stops");
        self.shutdown.cancel();
    }

    /// Follows the log: changes whenever it grows.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    fn read_peers(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<CertId, Arc<PeerEntry>>> {
        self.peers.read().unwrap_or_else(PoisonError::into_inner)
    }
}
