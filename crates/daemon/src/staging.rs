//! Bodies of releases that did not come whole: staged, so that a cut costs what was on its way and no more.
//!
//! A row of state for each lot says which peer gave which bodies for which release. That peer, and nobody else, is told
//! that they are held; what a lot holds of may be gone, and then they come again. A peer must not fill the disk with
//! what it never completes: a lot that is old, or of which there is no room left, is dropped, and who has too much
//! dropped has nothing more staged for a day.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    iter::Peekable,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
    vec,
};

use mithaq_core::{
    body::Body,
    id::{CertId, ContentId, ReleaseId},
    release::VerifiedRelease,
    time::Time,
};
use mithaq_store::{Batch, PURGE_ITEMS_MAX, Purge, StateChange, Store, StoreError};
use mithaq_sync::{Part, WINDOW_BYTES};

use crate::{clock, node::Node};

/// Before the key of a lot: peer, release, its first content.
const LOT: &[u8] = b"sb/";

/// Before the key of what was dropped of a peer's lately: peer.
const DROPPED: &[u8] = b"sd/";

/// The most canonical bytes that are staged of one peer: what it may have on the way.
const STAGED_BYTES_MAX: u64 = WINDOW_BYTES as u64;

/// The most lots that are staged of one peer: whoever makes room reads them all.
const LOTS_MAX: usize = 1_024;

/// What a lot counts at the least, however small its bodies are: its row has to be written, read and dropped.
const LOT_BYTES_MIN: u64 = 4 * 1024;

/// How many bytes of the lots of one peer may be dropped in a day before nothing more of it is staged that day. Their space
/// is given back only when the store is compacted.
const DROPPED_BYTES_MAX: u64 = 4 * STAGED_BYTES_MAX;

/// How long bodies wait for the rest of their release: over a weekend.
const KEPT: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// How many lots are read at a time: each holds the ids of at most a release.
const LOTS: usize = 64;

const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

/// Bodies that one peer gave for one release at one time.
struct Lot {
    key: Vec<u8>,
    at: Time,
    /// What they count: their canonical bytes, but no less than [`LOT_BYTES_MIN`].
    bytes: u64,
    contents: Vec<ContentId>,
}

impl Lot {
    fn new(peer: CertId, part: &Part) -> Option<Self> {
        let contents: Vec<_> = part.bodies.iter().map(Body::id).collect();
        let key = [&key_of(peer, part.release)[..], contents.first()?.as_bytes()].concat();
        let bytes = part.bodies.iter().map(|body| body.bytes().len() as u64).sum::<u64>();
        Some(Self { key, at: clock::wall(), bytes: bytes.max(LOT_BYTES_MIN), contents })
    }

    fn to_change(&self) -> StateChange {
        let mut value = Vec::with_capacity(16 + 32 * self.contents.len());
        value.extend_from_slice(&self.at.as_micros().to_be_bytes());
        value.extend_from_slice(&self.bytes.to_be_bytes());
        self.contents.iter().for_each(|content| value.extend_from_slice(content.as_bytes()));
        StateChange::set(self.key.clone(), value)
    }

    /// Reads a lot. One that cannot be read is old: it goes with the next that are dropped.
    fn read(key: Vec<u8>, value: &[u8]) -> Self {
        let parse = || {
            let (at, rest) = value.split_first_chunk::<8>()?;
            let (bytes, ids) = rest.split_first_chunk::<8>()?;
            let contents = ids.as_chunks::<32>().0.iter().map(|id| ContentId::from_bytes(*id));
            let contents = contents.take(PURGE_ITEMS_MAX).collect();
            Some((Time::from_micros(i64::from_be_bytes(*at)), u64::from_be_bytes(*bytes), contents))
        };
        let (at, bytes, contents) = parse().unwrap_or((Time::from_micros(0), 0, Vec::new()));
        Self { key, at, bytes: bytes.max(LOT_BYTES_MIN), contents }
    }

    /// The id of 32 bytes that stands in its key so many bytes behind the prefix.
    fn id_at(&self, offset: usize) -> Option<[u8; 32]> {
        let from = LOT.len() + offset;
        self.key.get(from..from + 32)?.try_into().ok()
    }

    fn peer(&self) -> Option<CertId> {
        self.id_at(0).map(CertId::from_bytes)
    }

    fn release(&self) -> Option<ReleaseId> {
        self.id_at(32).map(ReleaseId::from_bytes)
    }
}

/// Which releases a peer was told that we hold in part, and the turn in which it last was: it counts on that, so their lots
/// are the last to be dropped. Only releases of which there are lots.
#[derive(Debug, Default)]
pub(crate) struct Resumed(Mutex<HashMap<ReleaseId, u64>>);

impl Resumed {
    fn lock(&self) -> MutexGuard<'_, HashMap<ReleaseId, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, release: ReleaseId) {
        let mut turns = self.lock();
        let last = turns.values().copied().max().unwrap_or(0);
        turns.insert(release, last + 1);
    }

    fn forget(&self, release: ReleaseId) {
        self.lock().remove(&release);
    }

    /// Puts lots in the order in which they are to be dropped; `lots` are all that there are of the peer.
    fn sort(&self, lots: &mut [Lot]) {
        let mut turns = self.lock();
        let staged: HashSet<_> = lots.iter().filter_map(Lot::release).collect();
        turns.retain(|release, _| staged.contains(release));
        lots.sort_by_key(|lot| (lot.release().and_then(|release| turns.get(&release).copied()), lot.at));
    }
}

/// How many lots there are of each peer, and what they count. Blocks.
pub(crate) fn count(store: &dyn Store) -> Result<Vec<(CertId, u64, u64)>, StoreError> {
    let mut counted: BTreeMap<CertId, (u64, u64)> = BTreeMap::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = store.state_range(LOT, after.as_deref(), LOTS)?;
        let Some((last, _)) = rows.last() else { break };
        after = Some(last.clone());
        for lot in rows.into_iter().map(|(key, value)| Lot::read(key, &value)) {
            let Some(peer) = lot.peer() else { continue };
            let (lots, bytes) = counted.entry(peer).or_default();
            *lots += 1;
            *bytes += lot.bytes;
        }
    }
    Ok(counted.into_iter().map(|(peer, (lots, bytes))| (peer, lots, bytes)).collect())
}

fn key_of(peer: CertId, release: ReleaseId) -> Vec<u8> {
    [LOT, peer.as_bytes(), release.as_bytes()].concat()
}

fn remove(key: Vec<u8>) -> StateChange {
    StateChange { value: None, ..StateChange::set(key, Vec::new()) }
}

/// All lots whose keys begin so, in the order of their keys.
fn lots(node: &Node, prefix: &[u8]) -> Result<Vec<Lot>, StoreError> {
    let (mut lots, mut after): (Vec<Lot>, Option<Vec<u8>>) = (Vec::new(), None);
    loop {
        let rows = node.store.state_range(prefix, after.as_deref(), LOTS)?;
        let Some((last, _)) = rows.last() else { return Ok(lots) };
        after = Some(last.clone());
        lots.extend(rows.into_iter().map(|(key, value)| Lot::read(key, &value)));
    }
}

/// What to commit so that bodies which a peer gave are held over a cut; nothing if too much of it had to be dropped.
/// Makes room for them first. Blocks.
///
/// # Errors
/// When the store fails.
pub(crate) fn stage(node: &Node, peer: CertId, mut parts: Vec<Part>) -> Result<Batch, StoreError> {
    // A session has fewer releases open.
    parts.truncate(LOTS_MAX);
    let new: Vec<Lot> = parts.iter().filter_map(|part| Lot::new(peer, part)).collect();
    if new.is_empty() || !make_room(node, peer, &new)? {
        return Ok(Batch::default());
    }
    let staged = parts.into_iter().flat_map(|part| part.bodies).collect();
    Ok(Batch { staged, state: new.iter().map(Lot::to_change).collect(), ..Batch::default() })
}

/// Drops lots of a peer until there is room for new ones; says whether there is. The oldest go first, but those of releases
/// that the peer goes on with go last: without them such a release would come and not be whole.
fn make_room(node: &Node, peer: CertId, new: &[Lot]) -> Result<bool, StoreError> {
    if dropped_today(node, peer)? > DROPPED_BYTES_MAX {
        return Ok(false);
    }
    let mut lots = lots(node, &[LOT, peer.as_bytes()].concat())?;
    match node.peer(peer) {
        Some(entry) => entry.resumed.sort(&mut lots),
        None => lots.sort_by_key(|lot| lot.at),
    }
    let room_bytes = STAGED_BYTES_MAX.saturating_sub(new.iter().map(|lot| lot.bytes).sum());
    let room_lots = LOTS_MAX.saturating_sub(new.len());
    let mut held = lots.iter().map(|lot| lot.bytes).fold(0, u64::saturating_add);
    let mut too_many = 0;
    while too_many < lots.len() && (held > room_bytes || lots.len() - too_many > room_lots) {
        held = held.saturating_sub(lots[too_many].bytes);
        too_many += 1;
    }
    lots.truncate(too_many);
    drop_lots(node, lots)?;
    Ok(dropped_today(node, peer)? <= DROPPED_BYTES_MAX)
}

/// Drops lots, and those of their bodies that neither a release nor another lot names.
fn drop_lots(node: &Node, old: Vec<Lot>) -> Result<(), StoreError> {
    if old.is_empty() {
        return Ok(());
    }
    let mut going: HashSet<ContentId> = old.iter().flat_map(|lot| &lot.contents).copied().collect();
    let keys: HashSet<&[u8]> = old.iter().map(|lot| &lot.key[..]).collect();
    // That another peer's part was dropped must not be seen in what we ask this one for.
    for other in lots(node, LOT)?.iter().filter(|lot| !keys.contains(&lot.key[..])) {
        other.contents.iter().for_each(|content| _ = going.remove(content));
    }
    let mut old = old.into_iter().peekable();
    while old.peek().is_some() {
        let (mut batch, dropped) = drop_next(&mut old, &mut going);
        for (peer, bytes) in dropped {
            batch.state.push(count_dropped(node, peer, bytes)?);
        }
        node.commit(batch)?;
    }
    Ok(())
}

/// What drops as many of the next lots, at least one, as go into one commit. Their bodies go with them as far as they are
/// among those that are `going`, each once. Says with it how many bytes of which peer these are.
fn drop_next(old: &mut Peekable<vec::IntoIter<Lot>>, going: &mut HashSet<ContentId>) -> (Batch, BTreeMap<CertId, u64>) {
    let (mut state, mut staged) = (Vec::new(), Vec::new());
    let mut dropped: BTreeMap<CertId, u64> = BTreeMap::new();
    while let Some(lot) =
        old.next_if(|lot| state.len() < PURGE_ITEMS_MAX && staged.len() + lot.contents.len() <= PURGE_ITEMS_MAX)
    {
        if let Some(peer) = lot.peer() {
            let bytes = dropped.entry(peer).or_default();
            *bytes = bytes.saturating_add(lot.bytes);
        }
        staged.extend(lot.contents.into_iter().filter(|content| going.remove(content)));
        state.push(remove(lot.key));
    }
    (Batch { state, purge: Purge { staged, ..Purge::default() }, ..Batch::default() }, dropped)
}

/// Counts bytes of a peer's as dropped today.
fn count_dropped(node: &Node, peer: CertId, bytes: u64) -> Result<StateChange, StoreError> {
    let today = clock::wall().as_micros() / DAY_MICROS;
    let bytes = dropped_today(node, peer)?.saturating_add(bytes);
    let value = [today.to_be_bytes(), bytes.to_be_bytes()].concat();
    Ok(StateChange::set([DROPPED, peer.as_bytes()].concat(), value))
}

/// How many bytes of a peer's were dropped today.
fn dropped_today(node: &Node, peer: CertId) -> Result<u64, StoreError> {
    let value = node.store.state(&[DROPPED, peer.as_bytes()].concat())?.unwrap_or_default();
    let Some((day, bytes)) = value.split_first_chunk::<8>() else { return Ok(0) };
    let is_today = i64::from_be_bytes(*day) == clock::wall().as_micros() / DAY_MICROS;
    Ok(bytes.try_into().map_or(0, u64::from_be_bytes) * u64::from(is_today))
}

/// Adds to the bodies that came with a release those that were staged before, so that it is judged as if all had come
/// now; gives the changes to be committed with it. Blocks.
///
/// # Errors
/// When the store fails.
pub(crate) fn complete(
    node: &Node,
    peer: CertId,
    release: &VerifiedRelease,
    bodies: &mut Vec<Body>,
) -> Result<Vec<StateChange>, StoreError> {
    let lots = node.store.state_range(&key_of(peer, release.id()), None, usize::MAX)?;
    let came: BTreeSet<_> = bodies.iter().map(Body::id).collect();
    let mut staged = release.contents().to_vec();
    staged.retain(|content| !came.contains(content));
    let mut are_staged = node.store.are_staged(&staged)?.into_iter();
    staged.retain(|_| are_staged.next().unwrap_or(false));
    for (content, bytes) in staged.iter().zip(node.store.bodies(&staged)?) {
        bodies.extend(bytes.and_then(|bytes| Body::verify(*content, bytes).ok()));
    }
    if let Some(entry) = node.peer(peer) {
        entry.resumed.forget(release.id());
    }
    Ok(lots.into_iter().map(|(key, _)| remove(key)).collect())
}

/// What a peer gave for a release that it has not completed, and is told that we hold. It is not looked up what it gave for
/// others: it may be giving a great many. Blocks.
///
/// # Errors
/// When the store fails.
pub(crate) fn given_by(node: &Node, peer: CertId, release: ReleaseId) -> Result<HashSet<ContentId>, StoreError> {
    let lots = lots(node, &key_of(peer, release))?;
    if let Some(entry) = node.peer(peer).filter(|_| !lots.is_empty()) {
        entry.resumed.note(release);
    }
    Ok(lots.into_iter().flat_map(|lot| lot.contents).collect())
}

/// Drops what waits for too long. Blocks.
///
/// # Errors
/// When the store fails.
pub(crate) fn sweep(node: &Node) -> Result<(), StoreError> {
    let kept = i64::try_from(KEPT.as_micros()).unwrap_or(i64::MAX);
    let until = Time::from_micros(clock::wall().as_micros().saturating_sub(kept));
    let mut lots = lots(node, LOT)?;
    lots.retain(|lot| lot.at < until);
    drop_lots(node, lots)
}

/// Drops all that a peer gave and did not complete. Blocks.
///
/// # Errors
/// When the store fails.
pub(crate) fn forget(node: &Node, peer: CertId) -> Result<(), StoreError> {
    drop_lots(node, lots(node, &[LOT, peer.as_bytes()].concat())?)
}

#[cfg(test)]
mod tests {
    use mithaq_core::id::sha256_of;

    use super::*;

    /// A lot with as many contents as a release may have.
    fn lot(peer: CertId, number: u32) -> Lot {
        let content = |position: u32| ContentId::from_bytes(sha256_of(&[&(1_000 * number + position).to_be_bytes()]));
        let key = key_of(peer, ReleaseId::from_bytes(sha256_of(&[&number.to_be_bytes()])));
        Lot { key, at: clock::wall(), bytes: LOT_BYTES_MIN, contents: (0..1_000).map(content).collect() }
    }

    #[test]
    fn as_many_lots_go_in_one_commit_as_a_purge_may_name() {
        let peer = CertId::from_bytes([1; 32]);
        let lots: Vec<_> = (0..25).map(|number| lot(peer, number)).collect();
        let mut going = lots.iter().flat_map(|lot| &lot.contents).copied().collect();
        let mut old = lots.into_iter().peekable();
        let mut sizes = Vec::new();
        while old.peek().is_some() {
            let (batch, dropped) = drop_next(&mut old, &mut going);
            sizes.push((batch.state.len(), batch.purge.staged.len(), dropped[&peer] / LOT_BYTES_MIN));
        }
        assert_eq!(sizes, [(10, 10_000, 10), (10, 10_000, 10), (5, 5_000, 5)]);
    }
}
