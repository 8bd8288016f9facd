//! What of a commit is done on the caller's thread, before the one committer sees it: limits, looking up what the
//! store has, hashing keys, compression.

use std::{collections::HashSet, sync::Arc};

use mithaq_core::{body::Body, id::ContentId, release::VerifiedRelease, time::Time};

use super::{
    Shared,
    packer::{Load, Lot, Packer},
};
use crate::{
    contract::{
        Arrival, Batch, PURGE_ITEMS_MAX, Purge, STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX, StateChange, StoreError,
    },
    index::{BodyKeys, KeyedSet, Moment},
    pack::{
        group::{GroupKind, Packed},
        record::ReleaseRecord,
    },
};

/// The most bytes of bodies, releases and state in one commit.
pub const COMMIT_BYTES_MAX: usize = 64 * 1024 * 1024;

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
    /// How far the index was before anything was looked up.
    pub(crate) since: Moment,
}

/// A release on its way.
pub(crate) struct PreparedArrival {
    pub(crate) release: Arc<VerifiedRelease>,
    /// It, as the packs keep it.
    pub(crate) record: Vec<u8>,
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

/// What a commit was made of and the committer does not keep: to let go of it takes time, in which that can be at work.
pub(super) struct Spent {
    /// The bodies, which the committer does not need.
    pub(super) bodies: [Arc<Load>; 2],
    /// The releases, which it needs until it answers.
    pub(super) releases: Vec<Arc<VerifiedRelease>>,
}

fn misuse(what: impl Into<String>) -> StoreError {
    StoreError::Misuse { what: what.into() }
}

/// Prepares a commit.
pub(super) fn prepare(
    shared: &Shared,
    packer: &Packer,
    batch: Batch,
    now: Time,
) -> Result<(Prepared, Spent), StoreError> {
    let bytes = check_limits(&batch)?;
    check_purge(&batch)?;
    let since = shared.index.moment();
    let Batch { arrivals, state, purge, staged, takes_back } = batch;
    let mut seen = KeyedSet::default();
    let (mut prepared, mut lots) = (Vec::with_capacity(arrivals.len()), Vec::with_capacity(arrivals.len()));
    for arrival in arrivals {
        let (arrival, lot) = look_up(shared, arrival, &mut seen)?;
        prepared.push(arrival);
        lots.push(lot);
    }
    seen.extend(purge.contents.iter().chain(&purge.staged));
    let staged = Load::new(GroupKind::Staged, vec![look_up_staged(shared, staged, &mut seen)?]);
    let (bodies, staged) = (Arc::new(Load::new(GroupKind::Bodies, lots)), Arc::new(staged));
    let (packed, fresh) = pack(shared, packer, &bodies)?;
    let mut fresh = fresh.into_iter();
    for (arrival, count) in prepared.iter_mut().zip(bodies.counts()) {
        arrival.fresh = fresh.by_ref().take(count).collect();
    }
    let (staged_packed, staged_fresh) = pack(shared, packer, &staged)?;
    let releases = prepared.iter().map(|arrival| Arc::clone(&arrival.release)).collect();
    let prepared = Prepared {
        arrivals: prepared,
        state,
        purge,
        packed,
        staged: staged_fresh,
        staged_packed,
        takes_back,
        now,
        bytes,
        since,
    };
    Ok((prepared, Spent { bodies: [bodies, staged], releases }))
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

/// Tells what of an arrival the store does not have; the bodies themselves are still to be read for what is fresh.
fn look_up(
    shared: &Shared,
    arrival: Arrival,
    seen: &mut KeyedSet<ContentId>,
) -> Result<(PreparedArrival, Lot), StoreError> {
    let Arrival { release, bodies } = arrival;
    let places = places(&release, &bodies)?;
    let (mut fresh, mut staged, mut absent) = (Vec::new(), Vec::new(), Vec::new());
    // One that came before, and of which nothing was lost or dropped since, needs nothing.
    if !shared.index.holds_all_of(release.id())? {
        let held = shared.index.find_any_bodies(release.contents())?;
        let are_staged = shared.index.are_staged(&held);
        for (((content, held), is_staged), place) in release.contents().iter().zip(held).zip(are_staged).zip(places) {
            match place {
                _ if is_staged => staged.extend(held.map(|ordinal| (ordinal, *content))),
                _ if held.is_some() => {}
                Some(place) if seen.insert(*content) => fresh.push(place),
                _ => absent.push(*content),
            }
        }
    }
    let staged = read_staged(shared, &staged)?;
    let (record, release) = (ReleaseRecord::encode_release(release.signed()), Arc::new(release));
    Ok((PreparedArrival { release, record, fresh: Vec::new(), staged, absent }, Lot { bodies, fresh }))
}

/// Where in `bodies` the body of each content of a release is, if it came: each must be named.
fn places(release: &VerifiedRelease, bodies: &[Body]) -> Result<Vec<Option<usize>>, StoreError> {
    let mut came: Vec<_> = bodies.iter().map(Body::id).zip(0..).collect();
    came.sort_unstable();
    let mut came = came.into_iter().peekable();
    let mut places = Vec::with_capacity(release.contents().len());
    for content in release.contents() {
        let mut place = None;
        while let Some((_, next)) = came.next_if(|(id, _)| id == content) {
            place = Some(next);
        }
        places.push(place);
    }
    match came.next() {
        None => Ok(places),
        Some((id, _)) => Err(misuse(format!("release {} came with body {id} that it does not name", release.id()))),
    }
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

/// Tells which of these bodies are neither held nor `seen`, and named by no release: what one names comes with it.
fn look_up_staged(shared: &Shared, bodies: Vec<Body>, seen: &mut KeyedSet<ContentId>) -> Result<Lot, StoreError> {
    let _places = shared.places();
    let mut fresh = Vec::new();
    for (place, body) in bodies.iter().enumerate() {
        let is_held = shared.index.find_any_bodies(&[body.id()])?[0].is_some();
        if !is_held && seen.insert(body.id()) && shared.rows_of(body.id())?.is_empty() {
            fresh.push(place);
        }
    }
    Ok(Lot { bodies, fresh })
}

/// Compresses fresh bodies, if there are enough of them, and tells what the index needs to know of them.
fn pack(shared: &Shared, packer: &Packer, load: &Arc<Load>) -> Result<(Vec<Packed>, Vec<Fresh>), StoreError> {
    let is_packed = load.is_packed();
    let fresh = |body: &Body| {
        let bytes = if is_packed { Vec::new() } else { body.bytes().to_vec() };
        Fresh { keys: BodyKeys::of(body), bytes }
    };
    let (packed, fresh) = packer.pack(load, &shared.zip, || load.fresh().map(fresh).collect());
    let failed = |source| StoreError::Io { path: "memory for compression".to_owned(), source };
    Ok((packed.map_err(failed)?, fresh))
}
