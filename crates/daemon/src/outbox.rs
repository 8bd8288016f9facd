//! The outbox: the one place on the way out to peers where the release rule is asked.
//!
//! For each peer it walks the log, asks the rule of every release, and writes those that may go into the journal
//! towards that peer, durably, before anything is sent. The journal's numbers count only what the peer may have.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use mithaq_core::{
    agreement::VerifiedAgreement,
    code::Code,
    consent::ConsentState,
    id::{CertId, ReleaseId},
    ledger::Entry,
    policy::{self, Decision, Question, Subject},
    release::{Kind, Manifest, SignedRelease},
};
use mithaq_store::{Batch, Expect, StateChange, StoreError};
use mithaq_sync::{Chain, Cursor, INLINE_BYTES_MAX, Prompt};
use tokio::{sync::watch, time::Instant};

use crate::{
    clock, consents,
    edition::Edition,
    held,
    journals::{self, ACKNOWLEDGED, ENTRIES, POSITION},
    ledger::Ledger,
    node::{Node, PeerEntry},
    origins, passed, standing, start,
    steps::{self, Step},
    threads,
};

/// How many rows of the log are read at a time.
const ROWS: usize = 256;

/// How many objects a release has at most that may travel with its bodies: they are read to find out how large they
/// are.
pub(crate) const PROMPT_OBJECTS_MAX: usize = 128;

/// For how long rows of bulk are gathered before they are written into the journal.
const GATHER: Duration = Duration::from_millis(20);

/// How often it is looked whether the agreement has come into force.
const REVIEW: Duration = Duration::from_secs(1);

/// What a row of the journal tells of how urgent its release is, so that a session can pick out what need not wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hint {
    /// It is large itself, or a part of a bulk.
    Large = 0,
    Small = 1,
    Urgent = 2,
}

impl Hint {
    /// A row without a hint has waited long already.
    fn of_row(value: &[u8]) -> Self {
        match value.get(ENTRY_BYTES) {
            Some(1) => Self::Small,
            Some(2) => Self::Urgent,
            _ => Self::Large,
        }
    }
}

/// A release that may go to the peer.
#[derive(Debug)]
struct Disclosed {
    release: ReleaseId,
    origin: CertId,
    hint: Hint,
}

/// How many bytes of a row are release and chain.
const ENTRY_BYTES: usize = 64;

/// Where the outbox of one peer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    /// The last row of the log of which the rule was asked.
    pub(crate) scanned: u64,
    /// The last entry of the journal.
    pub(crate) head: u64,
    /// The chain up to it.
    pub(crate) chain: Chain,
}

impl Position {
    const START: Self = Self { scanned: 0, head: 0, chain: Chain::START };

    fn to_bytes(self) -> Vec<u8> {
        [&self.scanned.to_be_bytes()[..], &self.head.to_be_bytes(), self.chain.as_bytes()].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (scanned, rest) = bytes.split_first_chunk::<8>()?;
        let (head, chain) = rest.split_first_chunk::<8>()?;
        let chain = Chain::from_bytes(chain.try_into().ok()?);
        Some(Self { scanned: u64::from_be_bytes(*scanned), head: u64::from_be_bytes(*head), chain })
    }
}

/// The journal towards one peer under one agreement, one local policy, and what third origins permit.
#[derive(Clone)]
pub(crate) struct Outbox {
    node: Arc<Node>,
    entry: Arc<PeerEntry>,
    agreement: VerifiedAgreement,
    /// Names the journal: another edition starts another one.
    key: [u8; 64],
}

impl Outbox {
    /// The outbox of an active peer.
    pub(crate) fn new(node: Arc<Node>, entry: Arc<PeerEntry>) -> Option<Self> {
        let agreement = entry.peer.agreement.clone()?;
        let edition = entry.edition.get_or_init(|| Edition::of(&node, entry.cert(), &agreement));
        let mut key = [0; 64];
        key[..32].copy_from_slice(entry.cert().as_bytes());
        key[32..].copy_from_slice(&edition.name);
        Some(Self { node, entry, agreement, key })
    }

    /// What names the journal.
    pub(crate) fn name(&self) -> [u8; 64] {
        self.key
    }

    /// Whether the journal is still the one for what third origins permit.
    fn is_current(&self) -> bool {
        let edition = self.entry.edition.get();
        edition.is_some_and(|edition| edition.is_current(&self.node, self.entry.cert(), &self.agreement))
    }

    fn position_key(&self) -> Vec<u8> {
        [POSITION, &self.key[..]].concat()
    }

    fn acknowledged_key(&self) -> Vec<u8> {
        [ACKNOWLEDGED, &self.key[..]].concat()
    }

    fn entry_key(&self, index: u64) -> Vec<u8> {
        [ENTRIES, &self.key[..], &index.to_be_bytes()].concat()
    }

    /// Where the outbox stands. Blocks.
    pub(crate) fn position(&self) -> Result<Position, StoreError> {
        let bytes = self.node.store.state(&self.position_key())?;
        match bytes {
            None => Ok(Position::START),
            Some(bytes) => Position::from_bytes(&bytes)
                .ok_or_else(|| StoreError::Corrupt { what: "the position of an outbox".into() }),
        }
    }

    /// Where a journal goes on that nobody has followed yet. Blocks.
    fn begin(&self) -> Result<Position, StoreError> {
        let position = self.position()?;
        if position == Position::START {
            journals::clear(&self.node, &self.key)?;
        }
        Ok(position)
    }

    /// Removes some rows of journals that this one has taken the place of; says whether there may be more. Blocks.
    fn remove_older(&self) -> bool {
        // Nobody takes our place meanwhile, whose journal would be one of those.
        let _turn = self.node.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let is_served = |entry: Arc<PeerEntry>| Arc::ptr_eq(&entry, &self.entry) && !entry.cancel.is_cancelled();
        if !self.node.peer(self.entry.cert()).is_some_and(is_served) {
            return false;
        }
        // A disk that takes nothing now takes it some other time.
        journals::remove_old(&self.node, &self.key).unwrap_or_else(|error| {
            tracing::warn!(peer = self.entry.peer.name, %error, "an old journal towards the peer cannot be removed");
            false
        })
    }

    /// Whether so little of the log is behind a position that an alert may be what comes next.
    fn is_near(&self, position: Option<Position>) -> bool {
        position.is_some_and(|position| self.node.store.head().saturating_sub(position.scanned) <= ROWS as u64)
    }

    /// Asks the rule of every row of the log after `from`, and writes what may go into the journal, durably. Blocks.
    pub(crate) fn extend(&self, from: Position) -> Result<Position, StoreError> {
        let mut position = from;
        // Before it begins, an agreement lets nothing go, and what is passed by now would not be asked of again later.
        // Once it is over, what it let go can still be taken back.
        while self.agreement.agreement().valid_from <= clock::wall() && !self.entry.cancel.is_cancelled() {
            let rows = self.node.store.log(position.scanned, ROWS)?;
            let Some(last) = rows.last() else {
                return Ok(position);
            };
            let (before, is_last) = (position, rows.len() < ROWS);
            let mut released = Vec::new();
            for row in &rows {
                if let Some(disclosed) = self.disclosed(row.release)? {
                    released.push(disclosed);
                }
            }
            // What the rule has said by what no longer holds must not count as asked: this edition may come back.
            if !self.is_current() {
                return Ok(before);
            }
            position.scanned = last.seq;
            if !released.is_empty() {
                position = self.write(before, position.scanned, &released)?;
            }
            if is_last {
                // What has come meanwhile must not keep the session from hearing of this.
                break;
            }
        }
        Ok(position)
    }

    /// Writes what may go into the journal and into the ledger, in one commit.
    fn write(&self, before: Position, scanned: u64, released: &[Disclosed]) -> Result<Position, StoreError> {
        // The stored position may lag behind `before` by rows that the rule withheld, but never in its head.
        let key = self.position_key();
        let stored = self.node.store.state(&key)?;
        let stored_head = stored.as_deref().and_then(Position::from_bytes).map_or(0, |position| position.head);
        if stored_head != before.head {
            return Err(StoreError::Conflict { key });
        }
        let ledger = Ledger::new(&self.node, self.entry.cert());
        let (mut position, now) = (Position { scanned, ..before }, clock::wall());
        let (mut changes, mut disclosures) = (Vec::new(), Vec::new());
        let mut held = held::Rows::default();
        for Disclosed { release, origin, hint } in released {
            position.head += 1;
            position.chain = position.chain.after(*release);
            let value = [release.as_bytes(), &position.chain.as_bytes()[..], &[*hint as u8]].concat();
            changes.push(StateChange::set(self.entry_key(position.head), value));
            // A journal that is made anew discloses nothing anew.
            if !ledger.place(*release)?.is_some_and(|place| place.is_under(self.agreement.id())) {
                disclosures.push(Entry::disclosure(*release, self.agreement.id(), now));
            }
            // The peer may release it to us too, and knows then that we have it.
            if *origin != self.node.us && !held::is_held(&self.node, self.entry.cert(), *release)? {
                held.add(self.entry.cert(), *release);
            }
        }
        changes.extend(held.to_changes());
        let expect = stored.map_or(Expect::Absent, Expect::Value);
        changes.push(StateChange { key, expect, value: Some(position.to_bytes()) });
        // A withdrawal must reach the peer however full our disk is, and may come behind any number of other rows: what
        // all of them take is bounded by the log.
        ledger.append_in(&disclosures, Batch { state: changes, takes_back: true, ..Batch::default() })?;
        held.note(&self.node);
        released.iter().for_each(|disclosed| steps::passed(Step::Disclosed, disclosed.release, 0));
        Ok(position)
    }

    /// What the journal says of a release of our store, if the rule lets it go to the peer now. A damaged release goes
    /// nowhere, and holds up nothing behind it. Blocks.
    fn disclosed(&self, id: ReleaseId) -> Result<Option<Disclosed>, StoreError> {
        let disclosed = self.load_with_origin(id).and_then(|loaded| {
            let Some((release, origin)) = loaded else { return Ok(None) };
            Ok(Some(Disclosed { release: id, origin, hint: self.hint_of(id, &release)? }))
        });
        match disclosed {
            Err(StoreError::Corrupt { what }) => {
                tracing::error!(what, "a damaged release is not shared: run `mithaq store check`");
                Ok(None)
            }
            disclosed => disclosed,
        }
    }

    fn hint_of(&self, id: ReleaseId, release: &SignedRelease) -> Result<Hint, StoreError> {
        if release.stored_manifest().is_ok_and(|manifest| manifest.kind == Kind::Withdraw) {
            return Ok(Hint::Urgent);
        }
        if self.node.in_bulk.has(id) || release.contents.len() > PROMPT_OBJECTS_MAX {
            return Ok(Hint::Large);
        }
        let bodies = self.node.store.bodies(&release.contents)?;
        let bytes: usize = bodies.iter().flatten().map(Vec::len).sum();
        Ok(if bytes <= INLINE_BYTES_MAX { Hint::Small } else { Hint::Large })
    }

    /// A release of our store, if the rule lets it go to the peer now. Blocks.
    pub(crate) fn load(&self, id: ReleaseId) -> Result<Option<SignedRelease>, StoreError> {
        Ok(self.load_with_origin(id)?.map(|(release, _)| release))
    }

    fn load_with_origin(&self, id: ReleaseId) -> Result<Option<(SignedRelease, CertId)>, StoreError> {
        let Some((_, release)) = self.node.store.release(id)? else {
            return Ok(None);
        };
        let manifest = release
            .stored_manifest()
            .map_err(|_| StoreError::Corrupt { what: format!("release {}", id.fmt_short()) })?;
        let decision = ask(&self.node, id, &release, &manifest, &self.entry)?;
        self.ask_origin(&manifest, &decision);
        Ok(decision.released.then_some((release, manifest.origin)))
    }

    /// Asks the origin of what would go if it consented.
    fn ask_origin(&self, manifest: &Manifest, decision: &Decision) {
        let mut failed = decision.reasons.iter().filter(|reason| !reason.ok).peekable();
        let only_consent_lacks = failed.peek().is_some() && failed.all(|reason| reason.code == Code::CONSENT);
        if only_consent_lacks && let Err(problem) = consents::want(&self.node, manifest.origin, self.entry.cert()) {
            tracing::error!(code = problem.code, reason = problem.message, "a consent cannot be asked for");
        }
    }

    /// At most `limit` entries after entry `after`. Blocks.
    pub(crate) fn read(&self, after: u64, limit: usize) -> Result<Vec<ReleaseId>, StoreError> {
        Ok(self.read_with_chain(after, limit)?.into_iter().map(|(release, _)| release).collect())
    }

    /// The same, each with the chain up to it. Blocks.
    pub(crate) fn read_with_chain(&self, after: u64, limit: usize) -> Result<Vec<(ReleaseId, Chain)>, StoreError> {
        let prefix = [ENTRIES, &self.key[..]].concat();
        let rows = self.node.store.state_range(&prefix, Some(&self.entry_key(after)), limit)?;
        rows.iter().map(|(_, value)| entry_of(value)).collect()
    }

    /// The releases of these entries. Blocks.
    pub(crate) fn read_each(&self, indexes: &[u64]) -> Result<Vec<ReleaseId>, StoreError> {
        let read = |index: &u64| {
            let value = self.node.store.state(&self.entry_key(*index))?;
            let value = value.ok_or_else(|| StoreError::Corrupt { what: format!("journal entry {index}") })?;
            Ok(entry_of(&value)?.0)
        };
        indexes.iter().map(read).collect()
    }

    /// Whether the rule was asked of all rows of the log up to `head`. Blocks.
    pub(crate) fn is_scanned(&self, head: u64) -> Result<bool, StoreError> {
        let scanned = self.entry.scanned.load(Ordering::Acquire);
        // What is left out between was purged.
        let next = self.node.store.log(scanned, 1)?.first().map(|row| row.seq);
        Ok(scanned >= head || next.is_none_or(|next| next > head))
    }

    /// Of at most `limit` entries after entry `after` those that need not wait for older ones, and the last that was
    /// looked at. Blocks.
    pub(crate) fn read_tail(&self, after: u64, limit: usize) -> Result<(u64, Vec<Prompt>), StoreError> {
        let prefix = [ENTRIES, &self.key[..]].concat();
        let rows = self.node.store.state_range(&prefix, Some(&self.entry_key(after)), limit)?;
        let mut prompt = Vec::new();
        for (index, (_, value)) in (after + 1..).zip(&rows) {
            let (id, hint) = (entry_of(value)?.0, Hint::of_row(value));
            if hint != Hint::Large {
                prompt.push(Prompt { index, id, urgent: hint == Hint::Urgent });
            }
        }
        Ok((after + rows.len() as u64, prompt))
    }

    /// Whether an entry need not wait for older ones. Blocks.
    pub(crate) fn goes_ahead(&self, index: u64) -> Result<bool, StoreError> {
        let value = self.node.store.state(&self.entry_key(index))?;
        Ok(value.is_some_and(|value| Hint::of_row(&value) != Hint::Large))
    }

    /// Where the journal goes on for a peer with this cursor: at the cursor if it is into this very journal and has passed
    /// nothing that is noted as gone, else at the start. Blocks.
    pub(crate) fn resume_at(&self, cursor: Option<Cursor>) -> Result<u64, StoreError> {
        passed::resume_at(&self.node, &self.entry, self.index_of(cursor)?)
    }

    /// The index of a cursor, if it is into this very journal, else 0. Blocks.
    fn index_of(&self, cursor: Option<Cursor>) -> Result<u64, StoreError> {
        let Some(cursor) = cursor.filter(|cursor| cursor.index > 0) else {
            return Ok(0);
        };
        let Some(value) = self.node.store.state(&self.entry_key(cursor.index))? else {
            return Ok(0);
        };
        Ok(if entry_of(&value)?.1 == cursor.chain { cursor.index } else { 0 })
    }

    /// How many entries the peer had acknowledged when the last session ended. Blocks.
    pub(crate) fn acknowledged(&self) -> Result<u64, StoreError> {
        let value = self.node.store.state(&self.acknowledged_key())?;
        Ok(value.and_then(|value| value.try_into().ok()).map_or(0, u64::from_be_bytes))
    }

    /// Remembers how many entries the peer has acknowledged, of a journal of which `lag` more were known. Blocks.
    pub(crate) fn set_acknowledged(&self, index: u64, lag: u64) -> Result<(), StoreError> {
        // Entries are acknowledged in any order: only if none lacks are they the first ones.
        if lag == 0 {
            self.entry.acknowledged_whole.fetch_max(index, Ordering::AcqRel);
        }
        let change = StateChange::set(self.acknowledged_key(), index.to_be_bytes().to_vec());
        self.node.commit(Batch { state: vec![change], takes_back: true, ..Batch::default() }).map(drop)
    }

    /// Notes that an entry is about to be answered with `Gone`. Blocks.
    pub(crate) fn pass(&self, index: u64) -> Result<(), StoreError> {
        passed::note(&self.node, &self.entry, index)
    }
}

/// The release and the chain of a journal entry.
fn entry_of(value: &[u8]) -> Result<(ReleaseId, Chain), StoreError> {
    let halves = value.split_first_chunk::<32>();
    let entry =
        halves.and_then(|(id, rest)| Some((ReleaseId::from_bytes(*id), Chain::from_bytes(*rest.first_chunk::<32>()?))));
    entry.ok_or_else(|| StoreError::Corrupt { what: "a journal entry".into() })
}

/// Asks the release rule whether a release of our store may go to a CERT now. Blocks.
pub(crate) fn ask(
    node: &Node,
    id: ReleaseId,
    release: &SignedRelease,
    manifest: &Manifest,
    peer: &PeerEntry,
) -> Result<Decision, StoreError> {
    let mut subject = Subject::of(manifest);
    match manifest.kind {
        Kind::Publish | Kind::Tally => {
            subject.held =
                node.standing.is_blocked(&*node.store, id)? || origins::revoked_since(node, manifest)?.is_some();
        }
        Kind::Withdraw => subject.disclosed = was_given(node, release, manifest, peer.cert())?,
        _ => {}
    }
    let consent = consents::state(node, manifest.origin, peer.cert(), id, &manifest.label);
    Ok(decide(node, subject, consent, peer))
}

/// Whether a CERT was given anything of what a withdrawal takes back.
fn was_given(node: &Node, release: &SignedRelease, manifest: &Manifest, peer: CertId) -> Result<bool, StoreError> {
    let ledger = Ledger::new(node, peer);
    let notice = match release.contents.first() {
        Some(content) => standing::notice_of(node, *content, &[])?,
        None => None,
    };
    for content in notice.iter().flat_map(|notice| &notice.contents) {
        for seq in node.store.rows_of(*content)? {
            let Some((row, _, named)) = node.sound_release_at(seq)? else { continue };
            let is_void = named.origin == manifest.origin && named.published_at <= manifest.published_at;
            if is_void && named.kind.publishes() && ledger.place(row.release)?.is_some() {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Asks the release rule whether something may go to a CERT now. Blocks.
pub(crate) fn decide(node: &Node, subject: Subject<'_>, consent: ConsentState, peer: &PeerEntry) -> Decision {
    let third = if subject.origin == node.us { None } else { node.peer(subject.origin) };
    let with_origin = third.as_ref().filter(|entry| entry.peer.ended.is_none());
    policy::release(&Question {
        subject,
        us: node.us,
        peer: peer.cert(),
        agreement: peer.peer.agreement.as_ref(),
        ended: peer.peer.ended,
        with_origin: with_origin.and_then(|entry| entry.peer.agreement.as_ref()),
        consent,
        local: &node.local_policy(),
        now: clock::wall(),
    })
}

/// Has a peer served by another journal, since an agreement with a third origin began or was replaced.
async fn begin_anew(node: Arc<Node>, entry: Arc<PeerEntry>) {
    tracing::info!(
        peer = entry.peer.name,
        "what third CERTs let go on to the peer has changed: its journal is made anew"
    );
    let worker = Arc::clone(&node);
    if tokio::task::spawn_blocking(move || start::restart_peer(&worker, &entry)).await.is_err() {
        node.fail("beginning a journal anew");
    }
}

/// Keeps the journal towards a peer up to date with the log until the peer is changed or the daemon stops.
pub(crate) async fn follow(outbox: Outbox) {
    let node = Arc::clone(&outbox.node);
    let entry = Arc::clone(&outbox.entry);
    let (mut log, mut alerts) = (node.follow(), node.alerts.follow());
    let (mut position, mut has_older) = (None, true);
    loop {
        if !outbox.is_current() {
            return begin_anew(node, entry).await;
        }
        log.mark_unchanged();
        let worker = outbox.clone();
        let extend = move || {
            let from = position.map_or_else(|| worker.begin(), Ok)?;
            let extended = worker.extend(from)?;
            // Only now is there one in their place.
            Ok::<_, StoreError>((extended, has_older && worker.remove_older()))
        };
        let extended = match !has_older && outbox.is_near(position) {
            true => threads::at_once(extend),
            false => node.spawn_bulk(extend).await.ok(),
        };
        match extended {
            Some(Ok((extended, may_have_older))) => {
                (position, has_older) = (Some(extended), may_have_older);
                entry.scanned.store(extended.scanned, Ordering::Release);
                entry.journal_head.send_replace(extended.head);
            }
            Some(Err(error)) => {
                tracing::error!(peer = entry.peer.name, %error, "the journal towards the peer cannot be written; trying again");
                position = None;
                tokio::select! {
                    () = tokio::time::sleep(REVIEW) => continue,
                    () = entry.cancel.cancelled() => return,
                }
            }
            None => return node.fail("writing the journal towards a peer"),
        }
        if has_older && !entry.cancel.is_cancelled() {
            continue;
        }
        let gathered = Instant::now() + GATHER;
        tokio::select! {
            changed = log.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(REVIEW) => {}
            () = entry.cancel.cancelled() => return,
        }
        let scanned = position.map_or(u64::MAX, |position| position.scanned);
        tokio::select! {
            () = gather(&mut alerts, scanned, gathered) => {}
            () = entry.cancel.cancelled() => return,
        }
    }
}

/// Waits for more rows, unless an alert is among those behind `scanned`: each write into the journal is a commit that
/// alerts wait for, and those of a bulk come one after the other.
async fn gather(alerts: &mut watch::Receiver<u64>, scanned: u64, until: Instant) {
    if until > Instant::now() {
        // If nobody tells of alerts any more, the daemon has stopped.
        let _ = tokio::time::timeout_at(until, alerts.wait_for(|row| *row > scanned)).await;
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// The clock of the test stands still as far as the wait is concerned: it would take a day.
    #[tokio::test]
    async fn an_alert_has_bulk_gathered_no_longer() {
        let (row, mut alerts) = watch::channel(7);
        let day = Instant::now() + Duration::from_secs(86_400);
        assert!(gather(&mut alerts, 7, day).now_or_never().is_none(), "the alert of row 7 was written before");
        assert!(gather(&mut alerts, 7, Instant::now()).now_or_never().is_some());
        row.send_replace(9);
        assert!(gather(&mut alerts, 7, day).now_or_never().is_some());
        assert!(gather(&mut alerts, 9, day).now_or_never().is_none());
    }
}
