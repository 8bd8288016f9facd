//! A copy of a store takes the place of one that was lost: under an id of its own, so that no ledger is forked.
//!
//! What was committed stays: releases, holds, withdrawals, the ledger's entries, cursors into the journals of peers. What
//! only means something together with the old id goes: our journals, our checkpoints, and the consents, which their
//! origins tell again, since one may have been taken back.
//!
//! The cursors say which peers gave us something. None is told: a peer that has given since what it had answered with
//! `Gone` before (`passed.rs`) would go on behind it for a cursor from before that.

use mithaq_api::{
    home::with_sources,
    http::{Problem, Revival, Revived, RevivedLedger},
};
use mithaq_core::{code::Code, id::CertId, merkle::Frontier};
use mithaq_store::{Batch, Options, SledStore, StateChange, Store, StoreError, adopt};

use crate::{
    ledger,
    passed::PASSED,
    repair,
    restored::{Restored, givers},
};

/// Before the keys of state that goes: positions, journals and acknowledgements (`outbox.rs`), what cursors into them
/// must not hide (`passed.rs`), our checkpoints and their cosignatures (`ledger/checkpoints.rs`), answers of origins
/// (`consents.rs`).
const OLD: [&[u8]; 7] = [b"s/", b"j/", b"a/", PASSED, b"lc/", ledger::COSIGNED, b"cn/"];

/// How many rows of state are read, or removed, at a time.
const ROWS: usize = 1_024;

/// Gives a copy of a store an id of its own and takes out of it what belongs to the old one; reads all of it.
///
/// # Errors
/// When the copy cannot be opened or written; it cannot be used then. Damage is not an error but told.
pub fn revive(revival: &Revival) -> Result<Revived, Problem> {
    try_revive(revival).map_err(|error| {
        let code = if matches!(error, StoreError::Full) { Code::DISK_FULL } else { Code::STORE };
        Problem::new(code, with_sources(&error))
    })
}

fn try_revive(revival: &Revival) -> Result<Revived, StoreError> {
    let id = adopt(&revival.dir)?;
    let store = SledStore::open(&revival.dir, Options { free_bytes_min: 0, ..Options::default() })?;
    let ledgers = ledgers(&store)?;
    for prefix in OLD {
        remove(&store, prefix, revival)?;
    }
    let restored = Restored::new(revival.backup_at, id.was, &ledgers);
    let marks = givers(&store)?.into_iter().map(|peer| repair::mark(peer, revival.now));
    let state = marks.chain([restored.to_change()]).collect();
    store.commit(Batch { state, ..Batch::default() }, revival.now)?;
    let mut problems = store.problems().to_vec();
    problems.extend(store.verify()?.problems);
    let (stats, head) = (store.stats(), store.head());
    Ok(Revived {
        was: id.was,
        store: id.now,
        head,
        releases: stats.releases,
        objects: stats.objects,
        ledgers,
        problems,
    })
}

/// The ledgers of a store, and what peers cosigned of them.
fn ledgers(store: &SledStore) -> Result<Vec<RevivedLedger>, StoreError> {
    let mut ledgers = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = store.state_range(ledger::FRONTIER, after.as_deref(), ROWS)?;
        let Some((last, _)) = rows.last() else { return Ok(ledgers) };
        after = Some(last.clone());
        for (key, value) in rows {
            let cert: Option<[u8; 32]> = key.get(ledger::FRONTIER.len()..).and_then(|cert| cert.try_into().ok());
            let Some((cert, Ok(frontier))) = cert.map(|cert| (cert, Frontier::from_bytes(&value))) else { continue };
            let note = store.state(&[ledger::COSIGNED, &cert[..]].concat())?;
            let cosigned = note.and_then(|note| String::from_utf8(note).ok());
            ledgers.push(RevivedLedger { cert: CertId::from_bytes(cert), entries: frontier.size(), cosigned });
        }
    }
}

/// Removes all state whose keys begin so.
fn remove(store: &SledStore, prefix: &[u8], revival: &Revival) -> Result<(), StoreError> {
    loop {
        let rows = store.state_range(prefix, None, ROWS)?;
        if rows.is_empty() {
            return Ok(());
        }
        let gone = |(key, _)| StateChange { key, expect: mithaq_store::Expect::Anything, value: None };
        store.commit(Batch { state: rows.into_iter().map(gone).collect(), ..Batch::default() }, revival.now)?;
    }
}

#[cfg(test)]
mod tests {
    use mithaq_core::time::Time;

    use super::*;

    const NOW: Time = Time::from_micros(1_800_000_000_000_000);
    const GIVER: CertId = CertId::from_bytes([1; 32]);
    const OTHER: CertId = CertId::from_bytes([2; 32]);

    #[test]
    fn a_revived_store_has_its_cursors_and_tells_none() {
        let dir = tempfile::tempdir().unwrap();
        let open = || SledStore::open(dir.path(), Options { free_bytes_min: 0, ..Options::default() }).unwrap();
        let key = [b"c/", &GIVER.as_bytes()[..], &[3; 32]].concat();
        let state = vec![StateChange::set(key.clone(), vec![4])];
        open().commit(Batch { state, ..Batch::default() }, NOW).unwrap();
        revive(&Revival { dir: dir.path().into(), backup_at: NOW, now: NOW }).unwrap();
        let store = open();
        assert_eq!(store.state(&key).unwrap(), Some(vec![4]), "who gave something is not known any more");
        let marks = [GIVER, OTHER].map(|peer| repair::marks(&store, peer).unwrap().len());
        assert_eq!(marks, [1, 0]);
    }
}
