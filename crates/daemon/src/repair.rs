//! What is damaged in the store comes again: from the peers that told us that they hold it.
//!
//! The store takes the damage out of the way and says which releases would mend it. That we hold them was noted for each
//! peer that they came from (`held.rs`); these notes go, so that what a peer offers of them is new to us. A mark for each
//! of these peers has the next sessions begin without a cursor, until one has set a new cursor: so the peer finds out
//! anew what we lack, by a sketch where it can. A store that is put back from a backup has such marks too (`revive.rs`).
//!
//! Peers do not send our own releases back, so what we released ourselves is named, to be pushed again.

use std::collections::{BTreeMap, BTreeSet};

use mithaq_core::{
    id::{CertId, ReleaseId},
    time::Time,
};
use mithaq_store::{Batch, Lacking, Repaired, StateChange, Store, StoreError};

use crate::held;

/// Before the key of a mark: peer, time of the repair or the restore.
const AGAIN: &[u8] = b"ra/";

/// The key of a mark that a repair has begun and not come to its end.
const BEGUN: &[u8] = b"rb/";

/// How many marks of a peer are read at a time; more of them wait for the session after.
const MARKS: usize = 64;

/// How many rows of state are changed at a time.
const CHANGES: usize = 1_024;

/// What a repair found and did.
#[derive(Debug, Default)]
pub(crate) struct Repair {
    pub(crate) repaired: Repaired,
    /// How many releases are asked for again of each peer.
    pub(crate) asked: BTreeMap<CertId, u64>,
    /// Releases that nobody has told us of but we ourselves, or that came from a peer that is none any more.
    pub(crate) unasked: Vec<ReleaseId>,
}

fn marks_of(peer: CertId) -> Vec<u8> {
    [AGAIN, peer.as_bytes()].concat()
}

/// A mark by which the next session with a peer begins without a cursor.
pub(crate) fn mark(peer: CertId, now: Time) -> StateChange {
    StateChange::set([&marks_of(peer)[..], &now.as_micros().to_be_bytes()].concat(), Vec::new())
}

/// The keys of the marks by which the next session with a peer begins without a cursor. Once such a session has set one,
/// these go, and no others. Blocks.
pub(crate) fn marks(store: &dyn Store, peer: CertId) -> Result<Vec<Vec<u8>>, StoreError> {
    let rows = store.state_range(&marks_of(peer), None, MARKS)?;
    Ok(rows.into_iter().map(|(key, _)| key).collect())
}

/// Whether a repair has begun and not come to its end. Blocks.
pub(crate) fn is_unfinished(store: &dyn Store) -> Result<bool, StoreError> {
    Ok(store.state(BEGUN)?.is_some())
}

/// Checks the store, takes what is damaged out of the way, and notes what is to be asked of which peer. `us` are we, whose
/// releases nobody sends back. Blocks.
pub(crate) fn repair(store: &dyn Store, us: CertId, now: Time) -> Result<Repair, StoreError> {
    let Some(care) = store.care() else {
        return Err(StoreError::Misuse { what: "a store without files needs no repair".into() });
    };
    let was_cut = is_unfinished(store)?;
    note_begun(store, true, now)?;
    let repaired = care.repair(now)?;
    let mut lacking = repaired.report.lacking.clone();
    if was_cut {
        // What a repair before took out of the way is not named any more: whatever is not here, and was not purged, is asked
        // for again.
        lacking.rows = lacking.rows.max(1);
    }
    let repair = ask_for(store, us, &lacking, repaired, now)?;
    note_begun(store, false, now)?;
    Ok(repair)
}

fn note_begun(store: &dyn Store, has_begun: bool, now: Time) -> Result<(), StoreError> {
    let set = StateChange::set(BEGUN.to_vec(), Vec::new());
    let change = StateChange { value: has_begun.then(Vec::new), ..set };
    commit(store, vec![change], now)
}

/// Notes of which peers what is lacking is to be asked.
fn ask_for(
    store: &dyn Store,
    us: CertId,
    lacking: &Lacking,
    repaired: Repaired,
    now: Time,
) -> Result<Repair, StoreError> {
    if lacking.releases.is_empty() && lacking.rows == 0 {
        return Ok(Repair { repaired, ..Repair::default() });
    }
    let peers = held::peers(store)?.into_iter().filter(|peer| *peer != us);
    let (mut asked, mut missing) = (BTreeMap::new(), lacking.releases.clone());
    for peer in peers {
        let again = wanted(store, peer, us, lacking)?;
        missing.retain(|release| !again.contains(release));
        if !again.is_empty() {
            ask_again(store, peer, &again, now)?;
            asked.insert(peer, again.len() as u64);
        }
    }
    Ok(Repair { unasked: missing.into_iter().collect(), asked, repaired })
}

/// Of what is lacking, the releases that came from a peer.
fn wanted(store: &dyn Store, peer: CertId, us: CertId, lacking: &Lacking) -> Result<BTreeSet<ReleaseId>, StoreError> {
    let mut wanted = BTreeSet::new();
    let mut failed = None;
    held::each_in(store, peer, |release| match is_wanted(store, release, us, lacking) {
        Ok(true) => {
            wanted.insert(release);
        }
        Ok(false) => {}
        Err(error) => failed = Some(error),
    })?;
    failed.map_or(Ok(wanted), Err)
}

fn is_wanted(store: &dyn Store, release: ReleaseId, us: CertId, lacking: &Lacking) -> Result<bool, StoreError> {
    let is_named = lacking.releases.contains(&release);
    // Where rows are lost, what they held can be told by this alone: it is not here, and nobody has purged it.
    if !is_named && (lacking.rows == 0 || lacking.purged.contains(&release)) {
        return Ok(false);
    }
    match store.release(release) {
        Ok(Some((_, held))) => Ok(is_named && held.stored_manifest().is_ok_and(|manifest| manifest.origin != us)),
        // Who signed it is not known any more. That we disclosed it to the peer ourselves costs the peer nothing: it offers
        // us none of our own.
        Ok(None) | Err(StoreError::Corrupt { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Forgets that we hold releases of a peer, and has it find out anew what we lack.
fn ask_again(store: &dyn Store, peer: CertId, releases: &BTreeSet<ReleaseId>, now: Time) -> Result<(), StoreError> {
    // The mark first: what comes of a crash between the two is at the worst a needless sketch.
    commit(store, vec![mark(peer, now)], now)?;
    let changes: Vec<_> = releases.iter().map(|release| held::forget(peer, *release)).collect();
    for changes in changes.chunks(CHANGES) {
        commit(store, changes.to_vec(), now)?;
    }
    Ok(())
}

/// Writes some small rows, which a full disk must not keep from being written: a repair is what helps there.
fn commit(store: &dyn Store, state: Vec<StateChange>, now: Time) -> Result<(), StoreError> {
    store.commit(Batch { state, takes_back: true, ..Batch::default() }, now).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mithaq_core::{
        body::Body,
        keys::SecretKey,
        label::{Category, Label},
        release::{ReleaseDraft, VerifiedRelease},
        stix::{Object, Tlp},
    };
    use mithaq_store::{Arrival, Options, Purge, SledStore};

    use super::*;

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);
    const US: CertId = CertId::from_bytes([1; 32]);
    const PEER: CertId = CertId::from_bytes([2; 32]);

    /// A release of the peer with one object, and the note that we hold it.
    fn received(number: u32) -> Batch {
        let text = format!(
            r#"{{"type":"indicator","spec_version":"2.1","id":"indicator--{number:08x}-0000-4000-8000-000000000000",
            "created":"2026-01-01T00:00:00.000Z","modified":"2026-01-01T00:00:00.000Z","pattern":"[x:y = '{number}']",
            "pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z"}}"#
        );
        let body = Body::of(&Object::parse(text.as_bytes()).unwrap()).unwrap();
        let label = Label::new(Tlp::Green, Category::Threat);
        let key = SecretKey::from_seed(&[7; 32]).unwrap();
        let release = VerifiedRelease::sign(PEER, &key, ReleaseDraft::publish(label, vec![body.id()], NOW)).unwrap();
        let state = vec![StateChange::set(held_key(release.id()), Vec::new())];
        Batch { arrivals: vec![Arrival { release, bodies: vec![body] }], state, ..Batch::default() }
    }

    fn held_key(release: ReleaseId) -> Vec<u8> {
        held::forget(PEER, release).key
    }

    /// A process that dies between taking a release out and asking for it leaves nothing that names it but the mark.
    #[test]
    fn a_repair_that_was_cut_short_asks_for_what_was_damaged_and_for_nothing_that_was_purged() {
        let dir = tempfile::tempdir().unwrap();
        let open = || SledStore::open(dir.path(), Options { free_bytes_min: 0, ..Options::default() }).unwrap();
        let store = open();
        let batches = [0, 1, 2].map(received);
        let ids = batches.each_ref().map(|batch| batch.arrivals[0].release.id());
        for batch in batches {
            store.commit(batch, NOW).unwrap();
        }
        let purge = Purge { releases: vec![ids[0]], ..Purge::default() };
        store.commit(Batch { purge, ..Batch::default() }, NOW).unwrap();
        drop(store);
        let pack = dir.path().join("packs/pack-00000000.seg");
        let mut bytes = fs::read(&pack).unwrap();
        let frames: Vec<_> = bytes.windows(8).enumerate().filter(|(_, magic)| *magic == b"MITHAQF1").collect();
        let (from, to) = (frames[1].0, frames[2].0);
        bytes[from..to].fill(0xa5);
        fs::write(&pack, bytes).unwrap();

        let store = open();
        note_begun(&store, true, NOW).unwrap();
        assert_eq!(store.care().unwrap().repair(NOW).unwrap().dropped, [ids[1]]);
        drop(store);
        let store = open();
        assert!(is_unfinished(&store).unwrap());
        let repair = repair(&store, US, NOW).unwrap();
        assert_eq!(repair.asked, BTreeMap::from([(PEER, 1)]));
        assert_eq!((marks(&store, PEER).unwrap().len(), is_unfinished(&store).unwrap()), (1, false));
        let are_held = ids.map(|id| store.state(&held_key(id)).unwrap().is_some());
        assert_eq!(are_held, [true, false, true]);
    }
}
