//! What of a commit is done on the caller's thread, before the one committer sees it: limits, looking up what the
//! store has, hashing keys, compression.

use std::{collections::HashSet, io};

use mithaq_core::{body::Body, id::ContentId, release::VerifiedRelease, time::Time};

use super::Shared;
use crate::{
    contract::{
        Arrival, Batch, PURGE_ITEMS_MAX, Purge, STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX, StateChange, StoreError,
    },
    index::BodyKeys,
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
    /// Bodies that no release names, which the store did not have.
    pub(crate) staged: Vec<Fresh>,
    /// They, if they were worth compressing.
    pub(crate) staged_packed: Vec<Packed>,
    /// Whether it must not wait for room.
    pub(crate) takes_back: bool,
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
    /// Bodies of the release that were staged, with their ordinals.
    pub(crate) staged: Vec<(u64, BodyKeys)>,
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
pub(super) fn prepare(shared: &Shared, batch: Batch, now: Time) -> Result<Prepared, StoreError> {
    let bytes = check_limits(&batch)?;
    check_purge(&batch)?;
    let (flushes, purges) = (shared.index.flushes(), shared.index.purges());
    let Batch { arrivals, state, purge, staged, takes_back } = batch;
    let mut seen = HashSet::new();
    let arrivals = arrivals.into_iter().map(|arrival| prepare_arrival(shared, arrival, &mut seen));
    let mut arrivals = arrivals.collect::<Result<Vec<_>, _>>()?;
    seen.extend(purge.contents.iter().chain(&purge.staged));
    let mut staged = prepare_staged(shared, staged, &mut seen)?;
    let failed = |source| StoreError::Io { path: "memory for compression".to_owned(), source };
    let fresh = arrivals.iter_mut().flat_map(|arrival| &mut arrival.fresh);
    let packed = pack(&shared.zip, GroupKind::Bodies, fresh.collect()).map_err(failed)?;
    let staged_packed = pack(&shared.zip, GroupKind::Staged, staged.iter_mut().collect()).map_err(failed)?;
    Ok(Prepared { arrivals, state, purge, packed, staged, staged_packed, takes_back, now, bytes, flushes, purges })
}

fn check_limits(batch: &Batch) -> Result<usize, StoreError> {
    let mut bytes = batch.staged.iter().map(|body| body.bytes().len()).sum();
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
    let Purge { releases, contents, staged, damaged } = &batch.purge;
    if batch.purge.items() > PURGE_ITEMS_MAX {
        return Err(misuse(format!("a purge of more than {PURGE_ITEMS_MAX} releases, contents and staged bodies")));
    }
    if batch.purge.is_empty() || batch.arrivals.is_empty() {
        return Ok(());
    }
    let contents: HashSet<_> = contents.iter().chain(staged).collect();
    for Arrival { release, .. } in &batch.arrivals {
        let is_dropped = releases.contains(&release.id()) || damaged.contains(&release.id());
        if is_dropped || release.contents().iter().any(|content| contents.contains(content)) {
            return Err(misuse(format!("a batch purges release {}, or what it names, and brings it", release.id())));
        }
    }
    Ok(())
}

fn prepare_arrival(
    shared: &Shared,
    arrival: Arrival,
    seen: &mut HashSet<ContentId>,
) -> Result<PreparedArrival, StoreError> {
    let Arrival { release, mut bodies } = arrival;
    bodies.sort_unstable_by_key(Body::id);
    let is_named = |body: &Body| release.contents().binary_search(&body.id()).is_ok();
    if let Some(body) = bodies.iter().find(|body| !is_named(body)) {
        return Err(misuse(format!("release {} came with body {} that it does not name", release.id(), body.id())));
    }
    if shared.index.holds_all_of(release.id())? {
        // It came before, and nothing of it was lost or dropped since.
        return Ok(PreparedArrival { release, fresh: Vec::new(), staged: Vec::new(), absent: Vec::new() });
    }
    let held = shared.index.find_any_bodies(release.contents())?;
    let are_staged = shared.index.are_staged(&held);
    let mut bodies = bodies.into_iter().peekable();
    let (mut fresh, mut staged, mut absent) = (Vec::new(), Vec::new(), Vec::new());
    for ((content, held), is_staged) in release.contents().iter().zip(held).zip(are_staged) {
        let mut body = None;
        while let Some(next) = bodies.next_if(|body| body.id() == *content) {
            body = Some(next);
        }
        match body {
            _ if is_staged => staged.extend(held.map(|ordinal| (ordinal, *content))),
            _ if held.is_some() => {}
            Some(body) if seen.insert(*content) => {
                fresh.push(Fresh { keys: BodyKeys::of(&body), bytes: body.bytes().to_vec() });
            }
            _ => absent.push(*content),
        }
    }
    let staged = read_staged(shared, &staged)?;
    Ok(PreparedArrival { release, fresh, staged, absent })
}

/// Reads what must be known of staged bodies, now that they are to be found.
fn read_staged(shared: &Shared, staged: &[(u64, ContentId)]) -> Result<Vec<(u64, BodyKeys)>, StoreError> {
    if staged.is_empty() {
        return Ok(Vec::new());
    }
    let (ordinals, contents): (Vec<_>, Vec<_>) = staged.iter().copied().unzip();
    let _places = shared.places();
    Ok(ordinals.into_iter().zip(shared.keys_of(&contents)?).collect())
}

/// What of these bodies is neither held nor `seen`, and named by no release: what one names comes with it.
fn prepare_staged(shared: &Shared, bodies: Vec<Body>, seen: &mut HashSet<ContentId>) -> Result<Vec<Fresh>, StoreError> {
    let _places = shared.places();
    let mut fresh = Vec::with_capacity(bodies.len());
    for body in bodies {
        let is_held = shared.index.find_any_bodies(&[body.id()])?[0].is_some();
        if !is_held && seen.insert(body.id()) && shared.rows_of(body.id())?.is_empty() {
            fresh.push(Fresh { keys: BodyKeys::of(&body), bytes: body.bytes().to_vec() });
        }
    }
    Ok(fresh)
}

/// Compresses fresh bodies, if there are enough of them.
fn pack(zip: &Zip, kind: GroupKind, fresh: Vec<&mut Fresh>) -> io::Result<Vec<Packed>> {
    if fresh.iter().map(|body| body.bytes.len()).sum::<usize>() < PACK_BYTES_MIN {
        return Ok(Vec::new());
    }
    let mut packed = Vec::new();
    let mut raw = RawGroup::default();
    for body in fresh {
        raw.push(&std::mem::take(&mut body.bytes));
        if raw.is_full() {
            packed.push(zip.pack(kind, &mut raw)?);
        }
    }
    if !raw.is_empty() {
        packed.push(zip.pack(kind, &mut raw)?);
    }
    Ok(packed)
}
