//! What of a commit is done on the caller's thread, before the one committer sees it: limits, looking up what the
//! store has, hashing keys, compression.

use std::{collections::HashSet, io};

use mithaq_core::{body::Body, id::ContentId, release::VerifiedRelease, time::Time};

use crate::{
    contract::{
        Arrival, Batch, PURGE_ITEMS_MAX, Purge, STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX, StateChange, StoreError,
    },
    index::{BodyKeys, Index},
    pack::group::{GroupKind, Packed, RawGroup, Zip},
};

/// The most bytes of bodies, releases and state in one commit.
pub const COMMIT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// From this many bytes of new bodies on, the caller compresses them. Fewer are left to the committer, which puts
/// what several commits bring into groups that compress better.
const PACK_BYTES_MIN: usize = 32 * 1024;

/// A commit as the committer takes it.
pub(crate) struct Prepared {
    pub(crate) arrivals: Vec<PreparedArrival>,
    pub(crate) state: Vec<StateChange>,
    pub(crate) purge: Purge,
    /// All fresh bodies of all arrivals, in order, if they were worth compressing.
    pub(crate) packed: Vec<Packed>,
    pub(crate) now: Time,
    /// What it adds to a frame, about.
    pub(crate) bytes: usize,
    /// The index's count of flushes before anything was looked up.
    pub(crate) flushes: u64,
    /// The index's count of purges before anything was looked up.
    pub(crate) purges: u64,
}

/// A release on its way.
pub(crate) struct PreparedArrival {
    pub(crate) release: VerifiedRelease,
    /// Bodies that the store did not have, in content order.
    pub(crate) fresh: Vec<Fresh>,
    /// Contents that the store did not have and that did not come with the release either.
    pub(crate) absent: Vec<ContentId>,
}

/// A body that the store did not have.
pub(crate) struct Fresh {
    pub(crate) keys: BodyKeys,
    /// Its bytes; empty if it was compressed.
    pub(crate) bytes: Vec<u8>,
}

fn misuse(what: impl Into<String>) -> StoreError {
    StoreError::Misuse { what: what.into() }
}

/// Prepares a commit.
pub(crate) fn prepare(index: &Index, zip: &Zip, batch: Batch, now: Time) -> Result<Prepared, StoreError> {
    let bytes = check_limits(&batch)?;
    check_purge(&batch)?;
    let (flushes, purges) = (index.flushes(), index.purges());
    let mut seen = HashSet::new();
    let arrivals = batch.arrivals.into_iter().map(|arrival| prepare_arrival(index, arrival, &mut seen));
    let mut arrivals = arrivals.collect::<Result<Vec<_>, _>>()?;
    let packed = pack(zip, &mut arrivals)
        .map_err(|source| StoreError::Io { path: "memory for compression".to_owned(), source })?;
    Ok(Prepared { arrivals, state: batch.state, purge: batch.purge, packed, now, bytes, flushes, purges })
}

fn check_limits(batch: &Batch) -> Result<usize, StoreError> {
    let mut bytes = 0;
    for change in &batch.state {
        let value_bytes = change.value.as_ref().map_or(0, Vec::len);
        if change.key.len() > STATE_KEY_BYTES_MAX || value_bytes > STATE_VALUE_BYTES_MAX {
            return Err(misuse("a state key or value is too large"));
        }
        bytes += change.key.len() + value_bytes;
    }
    for arrival in &batch.arrivals {
        let signed = arrival.release.signed();
        bytes += signed.manifest.len() + 32 * signed.contents.len();
        bytes += arrival.bodies.iter().map(|body| body.bytes().len()).sum::<usize>();
    }
    if bytes > COMMIT_BYTES_MAX {
        return Err(misuse(format!("a commit of {bytes} bytes; at most {COMMIT_BYTES_MAX} are taken")));
    }
    Ok(bytes)
}

/// A purge has a limit, and drops nothing that its own batch brings.
fn check_purge(batch: &Batch) -> Result<(), StoreError> {
    let Purge { releases, contents } = &batch.purge;
    if releases.len() + contents.len() > PURGE_ITEMS_MAX {
        return Err(misuse(format!("a purge of more than {PURGE_ITEMS_MAX} releases and contents")));
    }
    if batch.purge.is_empty() || batch.arrivals.is_empty() {
        return Ok(());
    }
    let contents: HashSet<_> = contents.iter().collect();
    for Arrival { release, .. } in &batch.arrivals {
        if releases.contains(&release.id()) || release.contents().iter().any(|content| contents.contains(content)) {
            return Err(misuse(format!("a batch purges release {}, or what it names, and brings it", release.id())));
        }
    }
    Ok(())
}

fn prepare_arrival(
    index: &Index,
    arrival: Arrival,
    seen: &mut HashSet<ContentId>,
) -> Result<PreparedArrival, StoreError> {
    let Arrival { release, mut bodies } = arrival;
    bodies.sort_unstable_by_key(Body::id);
    let is_named = |body: &Body| release.contents().binary_search(&body.id()).is_ok();
    if let Some(body) = bodies.iter().find(|body| !is_named(body)) {
        return Err(misuse(format!("release {} came with body {} that it does not name", release.id(), body.id())));
    }
    let held = index.find_bodies(release.contents())?;
    let mut bodies = bodies.into_iter().peekable();
    let (mut fresh, mut absent) = (Vec::new(), Vec::new());
    for (content, held) in release.contents().iter().zip(held) {
        let mut body = None;
        while let Some(next) = bodies.next_if(|body| body.id() == *content) {
            body = Some(next);
        }
        match body {
            _ if held.is_some() => {}
            Some(body) if seen.insert(*content) => {
                fresh.push(Fresh { keys: BodyKeys::of(&body), bytes: body.bytes().to_vec() });
            }
            _ => absent.push(*content),
        }
    }
    Ok(PreparedArrival { release, fresh, absent })
}

/// Compresses the fresh bodies, if there are enough of them.
fn pack(zip: &Zip, arrivals: &mut [PreparedArrival]) -> io::Result<Vec<Packed>> {
    let fresh = || arrivals.iter().flat_map(|arrival| &arrival.fresh);
    if fresh().map(|body| body.bytes.len()).sum::<usize>() < PACK_BYTES_MIN {
        return Ok(Vec::new());
    }
    let mut packed = Vec::new();
    let mut raw = RawGroup::default();
    for body in arrivals.iter_mut().flat_map(|arrival| &mut arrival.fresh) {
        raw.push(&std::mem::take(&mut body.bytes));
        if raw.is_full() {
            packed.push(zip.pack(GroupKind::Bodies, &mut raw)?);
        }
    }
    if !raw.is_empty() {
        packed.push(zip.pack(GroupKind::Bodies, &mut raw)?);
    }
    Ok(packed)
}
