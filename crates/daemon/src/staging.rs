//! Bodies of releases that did not come whole: staged, so that a cut costs what was on its way and no more.
//!
//! A row of state for each lot says which peer gave which bodies for which release. That peer, and nobody else, is told
//! that they are held; what a lot holds of may be gone, and then they come again. A peer must not fill the disk with
//! what it never completes: a lot that is old, or of which there is no room left, is dropped, and who has too much
//! dropped has nothing more staged for a day.

use std::{
    collections::{BTreeSet, HashSet},
    time::Duration,
};

use mithaq_core::{
    body::Body,
    id::{CertId, ContentId, ReleaseId},
    release::VerifiedRelease,
    time::Time,
};
use mithaq_store::{Batch, PURGE_ITEMS_MAX, Purge, StateChange, StoreError};
use mithaq_sync::{Part, WINDOW_BYTES};

use crate::{clock, node::Node};

/// Before the key of a lot: peer, release, its first content.
const LOT: &[u8] = b"sb/";

/// Before the key of what was dropped of a peer's lately: peer.
const DROPPED: &[u8] = b"sd/";

/// The most canonical bytes that are staged of one peer: what it may have on the way.
const STAGED_BYTES_MAX: u64 = WINDOW_BYTES as u64;

/// How many canonical bytes of one peer may be dropped in a day before nothing more of it is staged that day. Their space
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
    /// Their canonical bytes.
    bytes: u64,
    contents: Vec<ContentId>,
}

impl Lot {
    fn new(peer: CertId, part: &Part) -> Option<Self> {
        let contents: Vec<_> = part.bodies.iter().map(Body::id).collect();
        let key = [&key_of(peer, part.release)[..], contents.first()?.as_bytes()].concat();
        let bytes = part.bodies.iter().map(|body| body.bytes().len() as u64).sum();
        Some(Self { key, at: clock::wall(), bytes, contents })
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
            let contents = ids.as_chunks::<32>().0.iter().map(|id| ContentId::from_bytes(*id)).collect();
            Some((Time::from_micros(i64::from_be_bytes(*at)), u64::from_be_bytes(*bytes), contents))
        };
        let (at, bytes, contents) = parse().unwrap_or((Time::from_micros(0), 0, Vec::new()));
        Self { key, at, bytes, contents }
    }

    fn peer(&self) -> Option<CertId> {
        let id = self.key.get(LOT.len()..LOT.len() + 32)?.try_into().ok()?;
        Some(CertId::from_bytes(id))
    }
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
pub(crate) fn stage(node: &Node, peer: CertId, parts: Vec<Part>) -> Result<Batch, StoreError> {
    let new: Vec<Lot> = parts.iter().filter_map(|part| Lot::new(peer, part)).collect();
    let bytes = new.iter().map(|lot| lot.bytes).sum::<u64>();
    if new.is_empty() || !make_room(node, peer, bytes)? {
        return Ok(Batch::default());
    }
    let staged = parts.into_iter().flat_map(|part| part.bodies).collect();
    Ok(Batch { staged, state: new.iter().map(Lot::to_change).collect(), ..Batch::default() })
}

/// Drops a peer's oldest lots until there is room; says whether there is.
fn make_room(node: &Node, peer: CertId, bytes: u64) -> Result<bool, StoreError> {
    let mut lots = lots(node, &[LOT, peer.as_bytes()].concat())?;
    lots.sort_by_key(|lot| lot.at);
    let mut held = lots.iter().map(|lot| lot.bytes).sum::<u64>();
    let mut too_many = Vec::new();
    for lot in lots {
        if held.saturating_add(bytes) <= STAGED_BYTES_MAX {
            break;
        }
        held = held.saturating_sub(lot.bytes);
        too_many.push(lot);
    }
    drop_lots(node, too_many)?;
    Ok(dropped_today(node, peer)? <= DROPPED_BYTES_MAX)
}

/// Drops lots, and those of their bodies that neither a release nor another lot names.
fn drop_lots(node: &Node, old: Vec<Lot>) -> Result<(), StoreError> {
    if old.is_empty() {
        return Ok(());
    }
    let keys: HashSet<&[u8]> = old.iter().map(|lot| &lot.key[..]).collect();
    let others = lots(node, LOT)?.into_iter().filter(|lot| !keys.contains(&lot.key[..]));
    // That another peer's part was dropped must not be seen in what we ask this one for.
    let kept: HashSet<ContentId> = others.flat_map(|lot| lot.contents).collect();
    for lot in old {
        let mut state = vec![remove(lot.key.clone())];
        if let Some(peer) = lot.peer() {
            let today = clock::wall().as_micros() / DAY_MICROS;
            let bytes = dropped_today(node, peer)?.saturating_add(lot.bytes);
            let value = [today.to_be_bytes(), bytes.to_be_bytes()].concat();
            state.push(StateChange::set([DROPPED, peer.as_bytes()].concat(), value));
        }
        let mut staged: Vec<_> = lot.contents.into_iter().filter(|content| !kept.contains(content)).collect();
        staged.truncate(PURGE_ITEMS_MAX);
        node.commit(Batch { state, purge: Purge { staged, ..Purge::default() }, ..Batch::default() })?;
    }
    Ok(())
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
    Ok(lots.into_iter().map(|(key, _)| remove(key)).collect())
}

/// What a peer gave for releases that it has not completed. Blocks.
///
/// # Errors
/// When the store fails.
pub(crate) fn given_by(node: &Node, peer: CertId) -> Result<HashSet<ContentId>, StoreError> {
    Ok(lots(node, &[LOT, peer.as_bytes()].concat())?.into_iter().flat_map(|lot| lot.contents).collect())
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
