//! Takes damage out of the way, so that what is lacking can come again.
//!
//! Damaged records stay where they lie: what is there may be all that is left of them. What a rebuilt index would lose
//! by the damage, though the index of now still has it, is written to the packs once more.

use std::{collections::HashSet, sync::atomic::Ordering};

use mithaq_core::{id::ReleaseId, time::Time};

use super::{
    Shared, SledStore,
    aside::{Aside, FOLDER},
    verify::{Found, LostKinds},
};
use crate::{
    contract::{Batch, Expect, PURGE_ITEMS_MAX, Purge, Repaired, StateChange, Store, StoreError},
    index::condemn_index,
    pack::{
        group::{Group, GroupKind},
        record::decode_state,
        scan::{Scanned, Scanner},
        segments::io_error,
    },
};

/// How many changes of state are written at a time, of at most 1 MiB each.
const CHANGES: usize = 32;

/// Checks the store and takes care of what is damaged.
pub(super) fn mend(store: &SledStore, now: Time) -> Result<Repaired, StoreError> {
    let shared = &*store.shared;
    let aside = Aside::of(&shared.dir);
    let failed = |error| io_error(&shared.dir.join(FOLDER))(error);
    let mut found = shared.verify()?;
    let was_cut = aside.is_unfinished();
    let is_damaged = !found.report.problems.is_empty() || !found.report.set_aside.is_empty();
    let begins = is_damaged || was_cut;
    if begins {
        aside.begin().map_err(failed)?;
    }
    if was_cut {
        // A repair before may have set aside what held them, and then have done no more.
        found.lost = LostKinds { state: true, purges: true };
    }
    let mut files = set_aside(shared, &found)?;
    let damage: Vec<_> = found.pieces.iter().chain(&found.known).copied().collect();
    if shared.salvage(&damage)? {
        found = checked_again(shared, found)?;
        files.extend(set_aside(shared, &found)?);
    }
    let dropped = drop_releases(store, &found.damaged, now)?;
    if found.lost.state {
        rewrite_state(store, now)?;
    }
    if found.lost.purges || found.notes_lack {
        shared.note_purged()?;
    }
    if found.lost.purges {
        // What is not in the packs any more cannot come back.
        shared.compact(0)?;
    }
    if found.contradicts {
        tracing::warn!("the index contradicts the packs: it is built anew when the store is opened the next time");
        condemn_index(&shared.dir)?;
    }
    if begins {
        aside.end().map_err(failed)?;
    }
    shared.is_mended.store(true, Ordering::Release);
    Ok(Repaired { report: found.report, files, dropped })
}

/// Checks once more, after what was whole in damaged frames was saved: what is left of the damage lies elsewhere now. What
/// was named stays named, and what may be lost may be.
fn checked_again(shared: &Shared, before: Found) -> Result<Found, StoreError> {
    let mut found = shared.verify()?;
    found.report.problems = before.report.problems;
    found.report.lacking.rows = before.report.lacking.rows.max(found.report.lacking.rows);
    found.report.lacking.purged.extend(before.report.lacking.purged);
    found.lost = before.lost;
    found.notes_lack |= before.notes_lack;
    found.contradicts |= before.contradicts;
    Ok(found)
}

/// Copies the damaged bytes and gives the names of the copies.
fn set_aside(shared: &Shared, found: &Found) -> Result<Vec<String>, StoreError> {
    let aside = Aside::of(&shared.dir);
    let mut files = Vec::new();
    for piece in &found.pieces {
        aside.put(*piece, &shared.segments).map_err(io_error(&shared.dir.join(FOLDER)))?;
        files.push(format!("{FOLDER}/{}", piece.name()));
    }
    Ok(files)
}

/// Takes damaged releases out of the log, unless they have come again already.
fn drop_releases(store: &SledStore, damaged: &[ReleaseId], now: Time) -> Result<Vec<ReleaseId>, StoreError> {
    let mut dropped = Vec::new();
    for id in damaged {
        if store.shared.index.find_sound_release(*id)?.is_none() {
            dropped.push(*id);
        }
    }
    for releases in dropped.chunks(PURGE_ITEMS_MAX) {
        let purge = Purge { damaged: releases.to_vec(), ..Purge::default() };
        store.commit(Batch { purge, ..Batch::default() }, now)?;
    }
    Ok(dropped)
}

/// Writes to the packs once more what the index has of state, and which of the keys in the packs it has no more.
fn rewrite_state(store: &SledStore, now: Time) -> Result<(), StoreError> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = store.state_range(b"", after.as_deref(), CHANGES)?;
        let Some((last, _)) = rows.last() else { break };
        after = Some(last.clone());
        let same = |(key, value): (Vec<u8>, Vec<u8>)| {
            let expect = Expect::Value(value.clone());
            StateChange { key, expect, value: Some(value) }
        };
        commit_each(store, rows.into_iter().map(same).collect(), now)?;
    }
    let removed = removed_keys(&store.shared)?.into_iter();
    let removals: Vec<_> = removed.map(|key| StateChange { key, expect: Expect::Absent, value: None }).collect();
    removals.chunks(CHANGES).try_for_each(|changes| commit_each(store, changes.to_vec(), now))
}

/// Commits changes that change nothing; one whose key was changed meanwhile was written by whoever changed it.
fn commit_each(store: &SledStore, changes: Vec<StateChange>, now: Time) -> Result<(), StoreError> {
    let commit = |state| store.commit(Batch { state, ..Batch::default() }, now).map(drop);
    match commit(changes.clone()) {
        Err(StoreError::Conflict { .. }) => changes.into_iter().try_for_each(|change| match commit(vec![change]) {
            Err(StoreError::Conflict { .. }) => Ok(()),
            committed => committed,
        }),
        committed => committed,
    }
}

/// The keys that the packs set somewhere and that the index has no more.
fn removed_keys(shared: &Shared) -> Result<HashSet<Vec<u8>>, StoreError> {
    let mut removed = HashSet::new();
    let mut scanner = Scanner::new(&shared.segments, shared.segments.start());
    let reached = shared.index.reached().next;
    while let Some(scanned) = scanner.next().map_err(io_error(&shared.packs))? {
        let Scanned::Frame(frame) = scanned else { continue };
        if frame.at >= reached {
            break;
        }
        for (entry, offset) in frame.entries.iter().filter(|(entry, _)| entry.kind == GroupKind::State) {
            let group = shared.read_group(entry, frame.group_at(*offset))?;
            for (key, _) in group.iter().flat_map(Group::records).filter_map(decode_state) {
                if shared.index.state(&key)?.is_none() {
                    removed.insert(key);
                }
            }
        }
    }
    Ok(removed)
}
