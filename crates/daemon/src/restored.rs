//! After a restore: readers wait until peers have told what the store lacks.
//!
//! What a backup holds may have been withdrawn since. The next sessions begin without a cursor (`revive.rs`), so that peers
//! find out what we lack, withdrawals among it; until then SIEMs are not served. A journal has no end, so each session asks
//! its peer where it ends now, and the peer counts as heard once all up to there is durable here.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use mithaq_api::http::{LostEntries, Problem, RevivedLedger};
use mithaq_core::{
    code::Code,
    id::{CertId, StoreId},
    time::Time,
};
use mithaq_store::{Batch, StateChange, Store, StoreError};
use mithaq_sync::Seen;
use serde::{Deserialize, Serialize};

use crate::{
    clock,
    local::Failed,
    node::{Node, PeerEntry},
};

/// The key of what is known of the restore.
const RESTORED: &[u8] = b"rs/";

/// Before the keys of our cursors into the journals of peers: peer, agreement.
const CURSOR: &[u8] = b"c/";

/// How many rows of state are read at a time.
const ROWS: usize = 1_024;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(500);

/// What a reader that is not served yet is told to wait, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("10");

/// What is known of the restore, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restored {
    backup_at: Time,
    /// The id of the store that was lost.
    was: Option<StoreId>,
    /// How many entries each ledger had in the backup.
    ledgers: BTreeMap<CertId, u64>,
    /// How many entries peers have accepted of each that it lacks.
    lost: BTreeMap<CertId, u64>,
    /// Whether SIEMs are served.
    serves: bool,
}

impl Restored {
    pub(crate) fn new(backup_at: Time, was: Option<StoreId>, ledgers: &[RevivedLedger]) -> Self {
        let ledgers = ledgers.iter().map(|ledger| (ledger.cert, ledger.entries)).collect();
        Self { backup_at, was, ledgers, lost: BTreeMap::new(), serves: false }
    }

    pub(crate) fn to_change(&self) -> StateChange {
        // INVARIANT: ids and numbers under keys that are strings always serialise.
        StateChange::set(RESTORED.to_vec(), serde_json::to_vec(self).unwrap_or_default())
    }

    /// How many entries of the ledger as it was before a peer has accepted that the backup lacks.
    fn lacks(&self, peer: CertId, seen: Seen) -> Option<u64> {
        let _was = self.was.filter(|was| was.as_bytes()[..4] == seen.store)?;
        let held = self.ledgers.get(&peer).copied().unwrap_or(0);
        seen.size.checked_sub(held).filter(|lost| *lost > 0)
    }
}

/// Whether readers may be served, and what is still waited for.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    restored: Mutex<Option<Restored>>,
    /// Whether readers have to wait.
    is_closed: AtomicBool,
    /// The CERTs whose journals the backup has a cursor into: what it holds of them they may have withdrawn.
    givers: BTreeSet<CertId>,
    waits: Mutex<Waits>,
}

/// What readers wait for.
#[derive(Debug, Clone, Default)]
struct Waits {
    /// The names of the peers that were not heard.
    peers: Vec<String>,
    /// Of those, which cannot be heard, and why.
    unheard: Vec<Problem>,
    /// Withdrawals of our own that could not be read.
    unread: Vec<Problem>,
}

impl Waits {
    fn is_over(&self) -> bool {
        self.peers.is_empty() && self.unread.is_empty()
    }
}

impl Gate {
    /// Reads whether the store was restored. Blocks.
    pub(crate) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let Some(value) = store.state(RESTORED)? else { return Ok(Self::default()) };
        let damaged = |_| StoreError::Corrupt { what: "the note of a restore".into() };
        let restored: Restored = serde_json::from_slice(&value).map_err(damaged)?;
        let is_closed = AtomicBool::new(!restored.serves);
        let givers = if restored.serves { BTreeSet::new() } else { givers(store)? };
        Ok(Self { restored: Mutex::new(Some(restored)), is_closed, givers, ..Self::default() })
    }

    /// Whether readers have to wait.
    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Ends once readers need not wait.
    pub(crate) async fn opened(&self) {
        while self.is_closed() {
            tokio::time::sleep(LOOK).await;
        }
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has readers wait until an operator has dealt with withdrawals of ours that cannot be read.
    pub(crate) fn wait_for_operator(&self, unread: Vec<Problem>) {
        self.waits().unread = unread;
    }

    /// Changes what is known of the restore, durably, if there was one and the change is one. Blocks.
    fn change(&self, node: &Node, change: impl FnOnce(&mut Restored) -> bool) -> Result<bool, StoreError> {
        let mut restored = self.restored.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut changed) = restored.clone() else { return Ok(false) };
        if !change(&mut changed) {
            return Ok(false);
        }
        node.commit(Batch { state: vec![changed.to_change()], ..Batch::default() })?;
        *restored = Some(changed);
        Ok(true)
    }

    /// Notes what a peer says that it has accepted of a ledger of ours. Blocks.
    pub(crate) fn note_seen(&self, node: &Node, peer: CertId, seen: Seen) -> Result<(), StoreError> {
        let mut entries = 0;
        let is_news = self.change(node, |restored| {
            let Some(lost) = restored.lacks(peer, seen) else { return false };
            entries = lost;
            restored.lost.insert(peer, lost) != Some(lost)
        })?;
        if is_news {
            let peer = node.name_of(peer);
            tracing::warn!(
                peer,
                entries,
                "the peer has accepted entries of our ledger that the backup lacks: what they disclosed is lost here"
            );
        }
        Ok(())
    }

    /// What is told of it; `None` if the store never was restored.
    pub(crate) fn describe(&self, node: &Node) -> Option<mithaq_api::http::Restored> {
        let restored = self.restored.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let lost = restored.lost.iter();
        let lost = lost.map(|(peer, entries)| LostEntries { peer: node.name_of(*peer), entries: *entries });
        let waits = if self.is_closed() { self.waits().clone() } else { Waits::default() };
        Some(mithaq_api::http::Restored {
            backup_at: restored.backup_at,
            serves: !self.is_closed(),
            waits_for: waits.peers,
            blocked_by: [waits.unread, waits.unheard].concat(),
            lost: lost.collect(),
        })
    }

    /// Serves readers from now on, also after a restart. Blocks.
    pub(crate) fn open(&self, node: &Node) -> Result<(), StoreError> {
        self.change(node, |restored| !std::mem::replace(&mut restored.serves, true))?;
        *self.waits() = Waits::default();
        self.is_closed.store(false, Ordering::Release);
        Ok(())
    }
}

/// The CERTs whose journals we have cursors into. Blocks.
pub(crate) fn givers(store: &dyn Store) -> Result<BTreeSet<CertId>, StoreError> {
    let (mut givers, mut after) = (BTreeSet::new(), None::<Vec<u8>>);
    loop {
        let rows = store.state_range(CURSOR, after.as_deref(), ROWS)?;
        let Some((last, _)) = rows.last() else { return Ok(givers) };
        after = Some(last.clone());
        let certs = rows.iter().filter_map(|(key, _)| key.get(CURSOR.len()..)?.first_chunk::<32>());
        givers.extend(certs.copied().map(CertId::from_bytes));
    }
}

/// Refuses readers as long as they have to wait.
pub(crate) async fn check(State(node): State<Arc<Node>>, request: Request, next: Next) -> Response {
    if !node.gate.is_closed() {
        return next.run(request).await;
    }
    let text = "the store was restored from a backup and waits for peers to tell what was withdrawn since; try again";
    let mut response = Failed::from(Problem::new(Code::CATCHING_UP, text)).into_response();
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    response
}

/// Waits until every active peer was heard, then serves readers.
pub(crate) async fn watch(node: Arc<Node>) {
    let mut heard = BTreeSet::new();
    while node.gate.is_closed() {
        if listen(&node, &mut heard) {
            let worker = Arc::clone(&node);
            let opened = tokio::task::spawn_blocking(move || worker.gate.open(&worker)).await;
            match opened {
                Ok(Ok(())) => tracing::info!("every active peer was heard since the restore: SIEMs are served"),
                Ok(Err(error)) => tracing::error!(%error, "SIEMs are not served yet; trying again"),
                Err(_) => return node.fail("serving readers after a restore"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = node.shutdown.cancelled() => return,
        }
    }
}

/// Notes which active peers were heard, and tells once of each that cannot be. Says whether nothing is waited for.
fn listen(node: &Node, heard: &mut BTreeSet<CertId>) -> bool {
    let (mut peers, mut unheard) = (Vec::new(), Vec::new());
    for entry in node.peers().into_iter().filter(|entry| is_awaited(&node.gate, entry)) {
        if entry.status.lock().unwrap_or_else(PoisonError::into_inner).heard {
            heard.insert(entry.cert());
        }
        if !heard.contains(&entry.cert()) {
            peers.push(entry.peer.name.clone());
            unheard.extend(stopped(&entry));
        }
    }
    let mut waits = node.gate.waits();
    for problem in unheard.iter().filter(|problem| !waits.unheard.contains(problem)) {
        tracing::warn!(code = problem.code, reason = problem.message, "SIEMs wait for a peer that cannot be heard");
    }
    (waits.peers, waits.unheard) = (peers, unheard);
    waits.is_over()
}

/// Whether sessions with a peer come about, or would if it were not stopped, and it has given us something.
fn is_awaited(gate: &Gate, entry: &PeerEntry) -> bool {
    if entry.peer.state.is_stopped() {
        return gate.givers.contains(&entry.cert());
    }
    entry.peer.agreement.as_ref().is_some_and(|agreement| agreement.agreement().valid_from <= clock::wall())
}

/// Why no session with a peer comes about.
fn stopped(entry: &PeerEntry) -> Option<Problem> {
    let name = &entry.peer.name;
    let text = format!(
        "{name} is suspended or blocked, so that it cannot tell what it has withdrawn: `mithaq peer resume {name}` lets it in, \
         `mithaq restore --serve` serves SIEMs without it"
    );
    entry.peer.state.is_stopped().then(|| Problem::new(Code::UNHEARD, text))
}
