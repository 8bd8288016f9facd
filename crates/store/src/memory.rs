//! The contract in its simplest form: what every other store is compared with, and what other crates test on.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use mithaq_core::{
    body::{Body, Facts},
    id::{ContentId, ContentPrefix, ReleaseId},
    release::{SignedRelease, VerifiedRelease},
    stix::observable::Observable,
    time::Time,
};

use crate::{
    contract::{
        Arrival, Batch, Committed, Expect, Holding, LogRow, PURGE_ITEMS_MAX, Purge, Report, STATE_KEY_BYTES_MAX,
        STATE_VALUE_BYTES_MAX, StateChange, Stats, Store, StoreError, StoreId, Version,
    },
    query::{FIND_LIMIT_MAX, FIND_QUERIES_MAX, Found, FoundPage, Place, Query, terms},
};

/// A store in memory: durable for as long as it lives.
#[derive(Debug)]
pub struct MemoryStore {
    id: StoreId,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    bodies: BTreeMap<ContentId, Body>,
    /// Bodies that no release names yet.
    staged: BTreeMap<ContentId, Body>,
    releases: BTreeMap<ReleaseId, (u64, SignedRelease)>,
    log: Vec<LogRow>,
    purged_rows: BTreeSet<u64>,
    purged: BTreeSet<ContentId>,
    rows: BTreeMap<ContentId, Vec<u64>>,
    versions: BTreeMap<String, BTreeSet<(Option<i128>, ContentId)>>,
    observed: BTreeMap<Observable, Vec<ContentId>>,
    state: BTreeMap<Vec<u8>, Vec<u8>>,
}

fn misuse(what: &str) -> StoreError {
    StoreError::Misuse { what: what.to_owned() }
}

/// A purge has a limit, and drops nothing that its own batch brings.
fn check_purge(batch: &Batch) -> Result<(), StoreError> {
    let Purge { releases, contents, staged, damaged } = &batch.purge;
    if batch.purge.items() > PURGE_ITEMS_MAX {
        return Err(misuse("a purge names too much"));
    }
    let brings = |release: &VerifiedRelease| {
        let is_purged = |content| contents.contains(content) || staged.contains(content);
        releases.contains(&release.id()) || damaged.contains(&release.id()) || release.contents().iter().any(is_purged)
    };
    if batch.arrivals.iter().any(|arrival| brings(&arrival.release)) {
        return Err(misuse("a batch purges what it brings"));
    }
    Ok(())
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new(id: StoreId) -> Self {
        Self { id, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    /// Checks the whole batch before anything of it is taken in.
    fn check(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut state: BTreeMap<&[u8], Option<&Vec<u8>>> = BTreeMap::new();
        for StateChange { key, expect, value } in &batch.state {
            let value_bytes = value.as_ref().map_or(0, Vec::len);
            if key.len() > STATE_KEY_BYTES_MAX || value_bytes > STATE_VALUE_BYTES_MAX {
                return Err(misuse("a state key or value is too large"));
            }
            let holds = state.get(key.as_slice()).copied().unwrap_or_else(|| self.state.get(key));
            let is_met = match expect {
                Expect::Anything => true,
                Expect::Absent => holds.is_none(),
                Expect::Value(value) => holds == Some(value),
            };
            if !is_met {
                return Err(StoreError::Conflict { key: key.clone() });
            }
            state.insert(key, value.as_ref());
        }
        check_purge(batch)?;
        let mut brought = BTreeSet::new();
        for Arrival { release, bodies } in &batch.arrivals {
            brought.extend(bodies.iter().map(Body::id));
            if bodies.iter().any(|body| release.contents().binary_search(&body.id()).is_err()) {
                return Err(misuse("a release came with a body that it does not name"));
            }
            let is_here = |content| brought.contains(content) || self.holds(content);
            if !release.contents().iter().all(is_here) {
                return Err(misuse("a release names a content that is nowhere"));
            }
        }
        Ok(())
    }

    fn take(&mut self, batch: Batch, now: Time) -> Vec<Committed> {
        for StateChange { key, value, .. } in batch.state {
            match value {
                Some(value) => drop(self.state.insert(key, value)),
                None => drop(self.state.remove(&key)),
            }
        }
        let kept = batch.arrivals.iter().flat_map(|arrival| arrival.release.contents()).copied().collect();
        self.purge(&batch.purge, &kept);
        let committed = batch.arrivals.into_iter().map(|arrival| self.take_arrival(arrival, now)).collect();
        let Purge { contents, staged, .. } = &batch.purge;
        for body in batch.staged {
            let id = body.id();
            if !self.holds(&id) && !self.is_named(&id) && !contents.contains(&id) && !staged.contains(&id) {
                self.staged.insert(id, body);
            }
        }
        committed
    }

    fn holds(&self, content: &ContentId) -> bool {
        self.bodies.contains_key(content) || self.staged.contains_key(content)
    }

    fn content_with(&self, prefix: ContentPrefix) -> Option<ContentId> {
        let mut first = [0; 32];
        first[..ContentPrefix::BYTES].copy_from_slice(prefix.as_bytes());
        let first = ContentId::from_bytes(first);
        let is_alike = |content: &ContentId| content.prefix() == prefix;
        let alike = |bodies: &BTreeMap<ContentId, Body>| {
            bodies.range(first..).map(|(content, _)| *content).take_while(is_alike).collect::<Vec<_>>()
        };
        match [alike(&self.bodies), alike(&self.staged)].concat()[..] {
            [content] => Some(content),
            _ => None,
        }
    }

    fn is_named(&self, content: &ContentId) -> bool {
        self.rows.get(content).is_some_and(|rows| !rows.is_empty())
    }

    fn purge(&mut self, purge: &Purge, kept: &BTreeSet<ContentId>) {
        let mut contents: BTreeSet<_> = purge.contents.iter().copied().collect();
        self.staged.retain(|content, _| contents.contains(content) || !purge.staged.contains(content));
        for id in purge.releases.iter().chain(&purge.damaged) {
            let Some((seq, release)) = self.releases.remove(id) else { continue };
            self.purged_rows.insert(seq);
            for content in release.contents {
                let rows = self.rows.entry(content).or_default();
                rows.retain(|row| *row != seq);
                if rows.is_empty() && !kept.contains(&content) {
                    contents.insert(content);
                }
            }
        }
        for content in contents {
            if self.staged.remove(&content).is_some() {
                self.purged.insert(content);
            }
            let Some(body) = self.bodies.remove(&content) else { continue };
            self.purged.insert(content);
            self.versions.values_mut().for_each(|versions| versions.retain(|(_, version)| *version != content));
            for observable in &body.facts().observables {
                self.observed.entry(observable.clone()).or_default().retain(|held| *held != content);
            }
        }
    }

    fn take_arrival(&mut self, arrival: Arrival, now: Time) -> Committed {
        let Arrival { release, bodies } = arrival;
        let adopted: Vec<_> = release.contents().iter().filter_map(|content| self.staged.remove(content)).collect();
        let bodies_new = adopted.into_iter().chain(bodies).map(|body| u32::from(self.add_body(body))).sum();
        if let Some((seq, _)) = self.releases.get(&release.id()) {
            return Committed { seq: *seq, new: false, bodies_new };
        }
        let seq = self.log.len() as u64 + 1;
        let objects = release.manifest().objects;
        let free = self.log.last().map_or(Time::from_micros(0), |row| {
            Time::from_micros(row.added_at.as_micros().saturating_add(i64::from(row.objects)))
        });
        let all_new = bodies_new == objects && !release.contents().iter().any(|content| self.is_named(content));
        for content in release.contents() {
            self.rows.entry(*content).or_default().push(seq);
        }
        let release_id = release.id();
        self.log.push(LogRow { seq, release: release_id, added_at: now.max(free), objects, all_new });
        self.releases.insert(release_id, (seq, release.signed().clone()));
        Committed { seq, new: true, bodies_new }
    }

    fn add_body(&mut self, body: Body) -> bool {
        let id = body.id();
        if self.bodies.contains_key(&id) {
            return false;
        }
        let facts = body.facts();
        self.versions.entry(facts.stix_id.clone()).or_default().insert((facts.version_nanos, id));
        for observable in facts.observables.iter().collect::<BTreeSet<_>>() {
            self.observed.entry(observable.clone()).or_default().push(id);
        }
        self.bodies.insert(id, body);
        true
    }
}

impl Store for MemoryStore {
    fn id(&self) -> StoreId {
        self.id
    }

    fn commit(&self, batch: Batch, now: Time) -> Result<Vec<Committed>, StoreError> {
        let mut held = self.held();
        held.check(&batch)?;
        Ok(held.take(batch, now))
    }

    fn has_bodies(&self, ids: &[ContentId]) -> Result<Vec<bool>, StoreError> {
        let held = self.held();
        Ok(ids.iter().map(|id| held.holds(id)).collect())
    }

    fn contents_with(&self, prefixes: &[ContentPrefix]) -> Result<Vec<Option<ContentId>>, StoreError> {
        let held = self.held();
        Ok(prefixes.iter().map(|prefix| held.content_with(*prefix)).collect())
    }

    fn are_staged(&self, ids: &[ContentId]) -> Result<Vec<bool>, StoreError> {
        let held = self.held();
        Ok(ids.iter().map(|id| held.staged.contains_key(id)).collect())
    }

    fn holding(&self, content: ContentId) -> Result<Holding, StoreError> {
        let held = self.held();
        Ok(match held.purged.contains(&content) {
            _ if held.bodies.contains_key(&content) => Holding::Held,
            _ if held.staged.contains_key(&content) => Holding::Staged,
            true => Holding::Purged,
            false => Holding::Unknown,
        })
    }

    fn bodies(&self, ids: &[ContentId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let held = self.held();
        let body = |id| held.bodies.get(id).or_else(|| held.staged.get(id));
        Ok(ids.iter().map(|id| body(id).map(|body| body.bytes().to_vec())).collect())
    }

    fn release(&self, id: ReleaseId) -> Result<Option<(u64, SignedRelease)>, StoreError> {
        Ok(self.held().releases.get(&id).cloned())
    }

    fn log(&self, after: u64, limit: usize) -> Result<Vec<LogRow>, StoreError> {
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        let held = self.held();
        let rows = held.log.iter().skip(after).filter(|row| !held.purged_rows.contains(&row.seq));
        Ok(rows.take(limit).cloned().collect())
    }

    fn head(&self) -> u64 {
        self.held().log.len() as u64
    }

    fn rows_of(&self, content: ContentId) -> Result<Vec<u64>, StoreError> {
        Ok(self.held().rows.get(&content).cloned().unwrap_or_default())
    }

    fn versions(&self, stix_id: &str) -> Result<Vec<Version>, StoreError> {
        let held = self.held();
        let versions = held.versions.get(stix_id).into_iter().flatten();
        Ok(versions.map(|&(version_nanos, content)| Version { version_nanos, content }).collect())
    }

    fn observed(&self, observable: &Observable, limit: usize) -> Result<Vec<ContentId>, StoreError> {
        let held = self.held();
        Ok(held.observed.get(observable).into_iter().flatten().take(limit).copied().collect())
    }

    fn find(&self, any: &[Query], after: Option<&Place>, limit: usize) -> Result<FoundPage, StoreError> {
        if any.len() > FIND_QUERIES_MAX {
            return Err(misuse("a search asks too much at once"));
        }
        let held = self.held();
        let place = |content: &ContentId| Place::from_bytes(content.as_bytes().to_vec());
        let behind = |content: &&ContentId| after.is_none_or(|after| content.as_bytes()[..] > *after.as_bytes());
        let is_met = |facts: &Facts| terms(facts).any(|term| any.iter().any(|query| query.is_met(&term, facts)));
        let bodies = held.bodies.iter().filter(|(content, body)| behind(content) && is_met(body.facts()));
        let limit = limit.clamp(1, FIND_LIMIT_MAX);
        let found: Vec<_> =
            bodies.take(limit).map(|(content, _)| Found { content: *content, place: place(content) }).collect();
        let next = if found.len() == limit { found.last().map(|found| found.place.clone()) } else { None };
        Ok(FoundPage { found, next })
    }

    fn state(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.held().state.get(key).cloned())
    }

    fn state_range(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<u8>)>, StoreError> {
        let held = self.held();
        let rows = held.state.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        let rows = rows.filter(|(key, _)| after.is_none_or(|after| key.as_slice() > after));
        Ok(rows.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn stats(&self) -> Stats {
        let held = self.held();
        Stats {
            objects: held.bodies.len() as u64,
            releases: held.releases.len() as u64,
            references: held.releases.values().map(|(_, release)| release.contents.len() as u64).sum(),
            body_bytes: held.bodies.values().map(|body| body.bytes().len() as u64).sum(),
            staged: held.staged.len() as u64,
            disk_bytes: 0,
        }
    }

    fn verify(&self) -> Result<Report, StoreError> {
        let held = self.held();
        let wrong = held.bodies.iter().chain(&held.staged).filter(|(id, body)| ContentId::of(body.bytes()) != **id);
        let problems = wrong.map(|(id, _)| format!("body {id} is damaged")).collect();
        let objects = (held.bodies.len() + held.staged.len()) as u64;
        Ok(Report { objects, problems, ..Report::default() })
    }
}
