//! Decides what a group of commits adds: which batches hold, which bodies are new, which number each row gets.
//!
//! A batch is first checked as a whole against the index and against the batches before it, and only then taken in,
//! so that one that fails leaves no trace in the group.

use std::{collections::HashMap, io};

use mithaq_core::{
    id::{ContentId, ReleaseId},
    time::Time,
};

use super::{
    Shared,
    prepare::{Fresh, Prepared, PreparedArrival},
    purge::{Purged, PurgedRows},
};
use crate::{
    contract::{Committed, Expect, StateChange, StoreError},
    index::{BodyKeys, Delta, Index, KeyedMap, KeyedSet, Moment, Row},
    pack::{
        group::{GroupKind, Packed, RawGroup, Zip},
        record::{ReleaseRecord, Tombstone, encode_state},
    },
};

/// What batches of the group have brought that the index does not know yet.
#[derive(Default)]
struct Overlay {
    /// Contents with the ordinals of their bodies.
    contents: KeyedMap<ContentId, u64>,
    /// Those of these bodies that no release names.
    staged: KeyedMap<u64, BodyKeys>,
    state: HashMap<Vec<u8>, Option<Vec<u8>>>,
}

/// A group of commits in the making.
pub(crate) struct Plan<'a> {
    shared: &'a Shared,
    index: &'a Index,
    zip: &'a Zip,
    /// What the group has brought so far.
    brought: Overlay,
    releases: KeyedMap<ReleaseId, u64>,
    /// Whether no batch was taken in yet.
    is_empty: bool,
    next_seq: u64,
    next_ordinal: u64,
    next_added_at: Time,
    delta: Delta,
    groups: Vec<(u64, Packed)>,
    bodies: Collector,
    staged: Collector,
    rows: Collector,
    state: Collector,
    purges: Collector,
    /// Tombstones with their ordinals.
    tombstones: Vec<(u64, Tombstone)>,
}

/// What a plan comes to: the groups of its frame, none if there is nothing to write, and what they add.
pub(crate) struct Planned {
    pub(crate) groups: Vec<(u64, Packed)>,
    pub(crate) delta: Delta,
    pub(crate) tombstones: Vec<(u64, Tombstone)>,
}

/// Puts records into groups of one kind.
struct Collector {
    kind: GroupKind,
    /// The number of the first record in `raw`.
    first: u64,
    raw: RawGroup,
}

impl Collector {
    fn new(kind: GroupKind) -> Self {
        Self { kind, first: 0, raw: RawGroup::default() }
    }

    fn push(&mut self, number: u64, record: &[u8], zip: &Zip, out: &mut Vec<(u64, Packed)>) -> io::Result<()> {
        self.push_parts(number, &[record], zip, out)
    }

    fn push_parts(&mut self, number: u64, parts: &[&[u8]], zip: &Zip, out: &mut Vec<(u64, Packed)>) -> io::Result<()> {
        if self.raw.is_empty() {
            self.first = number;
        }
        self.raw.push_parts(parts);
        if self.raw.is_full() { self.close(zip, out) } else { Ok(()) }
    }

    fn close(&mut self, zip: &Zip, out: &mut Vec<(u64, Packed)>) -> io::Result<()> {
        if !self.raw.is_empty() {
            out.push((self.first, zip.pack(self.kind, &mut self.raw)?));
        }
        Ok(())
    }
}

/// What was known of a batch's bodies before it came into the plan.
#[derive(Clone, Copy)]
struct Known {
    /// When they were looked up.
    since: Moment,
    /// Whether nothing came since: those that were nowhere still are.
    is_current: bool,
}

/// How it stood with a body that a release brought.
enum Taken {
    New,
    /// It is here and no release names it.
    Staged(u64),
    Held,
}

/// Why a batch is not in the plan.
pub(crate) enum PlanError {
    /// The batch fails, the others go on.
    Batch(StoreError),
    /// The group fails.
    Group(io::Error),
}

impl From<StoreError> for PlanError {
    fn from(error: StoreError) -> Self {
        Self::Batch(error)
    }
}

impl From<io::Error> for PlanError {
    fn from(error: io::Error) -> Self {
        Self::Group(error)
    }
}

impl<'a> Plan<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        let counters = shared.index.counters();
        Self {
            shared,
            index: &shared.index,
            zip: &shared.zip,
            brought: Overlay::default(),
            releases: KeyedMap::default(),
            is_empty: true,
            next_seq: counters.head + 1,
            next_ordinal: counters.next_ordinal,
            next_added_at: counters.next_added_at,
            delta: Delta::default(),
            groups: Vec::new(),
            bodies: Collector::new(GroupKind::Bodies),
            staged: Collector::new(GroupKind::Staged),
            rows: Collector::new(GroupKind::Releases),
            state: Collector::new(GroupKind::State),
            purges: Collector::new(GroupKind::Purges),
            tombstones: Vec::new(),
        }
    }

    /// Takes a batch in, or refuses it.
    pub(crate) fn add(&mut self, batch: Prepared) -> Result<Vec<Committed>, PlanError> {
        let now = self.index.moment();
        // What was nowhere when the batch was prepared is nowhere now.
        let is_current = self.is_empty && now == batch.since && !self.index.has_damaged();
        self.check_state(&batch.state)?;
        let places = self.check_arrivals(&batch, now)?;
        self.is_empty = false;
        if !batch.packed.is_empty() {
            // What came loose has lower numbers and must come first.
            self.bodies.close(self.zip, &mut self.groups)?;
            let mut first = self.next_ordinal;
            for group in batch.packed {
                let count = u64::from(group.count);
                self.groups.push((first, group));
                first += count;
            }
        }
        let mut committed = Vec::with_capacity(batch.arrivals.len());
        let known = Known { since: batch.since, is_current };
        for (arrival, place) in batch.arrivals.into_iter().zip(places) {
            committed.push(self.take_arrival(arrival, place, batch.now, known)?);
        }
        if !batch.staged.is_empty() {
            // A release may name since what was purged since, and is to bring it.
            let is_late = now.purges != batch.since.purges;
            self.stage(batch.staged, batch.staged_packed, batch.since, is_late)?;
        }
        for change in batch.state {
            let record = encode_state(&change.key, change.value.as_deref());
            self.state.push(0, &record, self.zip, &mut self.groups)?;
            self.delta.add_state((change.key.clone(), change.value.clone()));
            self.brought.state.insert(change.key, change.value);
        }
        Ok(committed)
    }

    /// Takes out what is purged. The plan holds the batch that asks for it and no other.
    pub(crate) fn purge(&mut self, found: &Purged) -> io::Result<()> {
        for PurgedRows { id, rows, is_damaged } in &found.releases {
            self.put_tombstone(&if *is_damaged { Tombstone::Damaged(*id) } else { Tombstone::Release(*id) })?;
            rows.iter().for_each(|(seq, row)| self.delta.purge_row(*seq, row));
        }
        for (content, copies, bytes) in &found.contents {
            let ordinal = self.put_tombstone(&Tombstone::Content(*content, *bytes))?;
            self.delta.purge_content(ordinal, content, copies, *bytes);
        }
        for ordinals in &found.staged {
            let count = u32::try_from(ordinals.end - ordinals.start).unwrap_or(u32::MAX);
            self.put_tombstone(&Tombstone::Staged(ordinals.start, count))?;
            self.delta.drop_staged(ordinals.clone());
        }
        Ok(())
    }

    fn put_tombstone(&mut self, tombstone: &Tombstone) -> io::Result<u64> {
        let ordinal = self.next_ordinal;
        self.purges.push(ordinal, &tombstone.encode(), self.zip, &mut self.groups)?;
        self.tombstones.push((ordinal, *tombstone));
        self.next_ordinal += 1;
        self.delta.reserve_ordinals(self.next_ordinal);
        Ok(ordinal)
    }

    /// Closes the plan.
    pub(crate) fn finish(mut self) -> io::Result<Planned> {
        self.rows.close(self.zip, &mut self.groups)?;
        self.state.close(self.zip, &mut self.groups)?;
        self.bodies.close(self.zip, &mut self.groups)?;
        self.purges.close(self.zip, &mut self.groups)?;
        Ok(Planned { groups: self.groups, delta: self.delta, tombstones: self.tombstones })
    }

    fn check_state(&self, changes: &[StateChange]) -> Result<(), StoreError> {
        let mut local: HashMap<&[u8], Option<&[u8]>> = HashMap::new();
        for change in changes {
            if change.expect != Expect::Anything {
                let found = match (local.get(change.key.as_slice()), self.brought.state.get(&change.key)) {
                    (Some(value), _) => value.map(<[u8]>::to_vec),
                    (None, Some(value)) => value.clone(),
                    (None, None) => self.index.state(&change.key)?,
                };
                let expected = match &change.expect {
                    Expect::Value(value) => Some(value),
                    _ => None,
                };
                if found.as_ref() != expected {
                    return Err(StoreError::Conflict { key: change.key.clone() });
                }
            }
            local.insert(&change.key, change.value.as_deref());
        }
        Ok(())
    }

    /// Checks that every content of every release is or will be there; gives the rows of releases that are known.
    fn check_arrivals(&self, batch: &Prepared, now: Moment) -> Result<Vec<Option<u64>>, StoreError> {
        let has_purged = now.purges != batch.since.purges;
        let mut local: KeyedSet<ContentId> = KeyedSet::default();
        let mut places = Vec::with_capacity(batch.arrivals.len());
        // Mostly each brings all that it names.
        let names_others = has_purged || batch.arrivals.iter().any(|arrival| !arrival.absent.is_empty());
        for arrival in &batch.arrivals {
            if names_others {
                local.extend(arrival.fresh.iter().map(|body| body.keys.content));
            }
            for content in &arrival.absent {
                if !local.contains(content) && self.find_recent(content, batch.since)?.is_none() {
                    let what = format!("release {} names {content}, which is nowhere", arrival.release.id());
                    return Err(StoreError::Misuse { what });
                }
            }
            if has_purged {
                self.check_held(arrival, &local)?;
            }
            places.push(self.index.find_sound_release(arrival.release.id())?);
        }
        Ok(places)
    }

    /// Something was purged since the batch was prepared: what it rests on may be gone, and bodies that it brought were
    /// left out since they were held.
    fn check_held(&self, arrival: &PreparedArrival, local: &KeyedSet<ContentId>) -> Result<(), StoreError> {
        let contents = arrival.release.contents();
        let are_known = |ordinal| arrival.staged.iter().any(|(known, _)| *known == ordinal);
        for (content, held) in contents.iter().zip(self.index.find_bodies(contents)?) {
            let is_here = match held {
                Some(ordinal) if !self.index.is_staged(ordinal) || are_known(ordinal) => true,
                Some(_) => local.contains(content) || arrival.absent.contains(content),
                None => local.contains(content) || self.brought.contents.contains_key(content),
            };
            if !is_here {
                return Err(StoreError::Busy);
            }
        }
        Ok(())
    }

    /// The body of a content that was nowhere at that moment.
    fn find_recent(&self, content: &ContentId, since: Moment) -> Result<Option<u64>, StoreError> {
        match self.brought.contents.get(content) {
            Some(ordinal) => Ok(Some(*ordinal)),
            None => self.index.find_body_since(since, content),
        }
    }

    fn take_arrival(
        &mut self,
        arrival: PreparedArrival,
        place: Option<u64>,
        now: Time,
        known: Known,
    ) -> io::Result<Committed> {
        let PreparedArrival { release, record, fresh, staged, absent } = arrival;
        let first = self.next_ordinal;
        let mut new = Vec::with_capacity(fresh.len());
        let mut adopted = Vec::new();
        self.delta.reserve(fresh.len());
        self.brought.contents.reserve(fresh.len());
        for body in fresh {
            match self.take_body(&body, known)? {
                Taken::New => new.push(body.keys.content),
                Taken::Staged(ordinal) => adopted.push((ordinal, body.keys)),
                Taken::Held => {}
            }
        }
        if let Some(seq) = place.or_else(|| self.releases.get(&release.id()).copied()) {
            // It took what was staged for it when it came, and nothing that it names was staged since.
            return Ok(Committed { seq, new: false, bodies_new: count(new.len()) });
        }
        adopted.extend(staged);
        for content in absent {
            adopted.extend(self.find_staged(content, known.since)?);
        }
        let adopted: Vec<_> = adopted.into_iter().filter_map(|(ordinal, keys)| self.adopt(ordinal, &keys)).collect();
        let bodies_new = count(new.len() + adopted.len());
        let unnamed = self.count_unnamed(&new)? + self.count_unnamed(&adopted)?;
        let seq = self.next_seq;
        let added_at = now.max(self.next_added_at);
        let stored = u32::try_from(self.next_ordinal - first).unwrap_or(u32::MAX);
        let objects = count(release.contents().len());
        let row =
            Row { release: *release.id().as_bytes(), added_at, first, stored, objects, all_new: unnamed == objects };
        let mut brought = new.iter().peekable();
        let others = release.contents().iter().filter(|content| brought.next_if_eq(content).is_none());
        self.delta.add_row(seq, row, others);
        let place = ReleaseRecord::encode_place(added_at, first, stored, unnamed);
        self.rows.push_parts(seq, &[&place, &record], self.zip, &mut self.groups)?;
        self.releases.insert(release.id(), seq);
        self.next_seq += 1;
        self.next_added_at = row.next_added_at();
        Ok(Committed { seq, new: true, bodies_new })
    }

    /// Shows a body that was staged, unless a release has taken it already; gives its content.
    fn adopt(&mut self, ordinal: u64, keys: &BodyKeys) -> Option<ContentId> {
        let is_staged = self.is_staged(ordinal);
        self.brought.staged.remove(&ordinal);
        is_staged.then(|| self.delta.adopt(ordinal, keys))?;
        Some(keys.content)
    }

    /// A body that was staged since the batch was prepared, so that the batch does not know it.
    fn find_staged(&self, content: ContentId, since: Moment) -> io::Result<Option<(u64, BodyKeys)>> {
        // The batch is half taken in: an index that fails now fails the group.
        let found = self.find_recent(&content, since).map_err(io::Error::other)?;
        let Some(ordinal) = found.filter(|ordinal| self.is_staged(*ordinal)) else { return Ok(None) };
        let keys = match self.brought.staged.get(&ordinal) {
            Some(keys) => Some(keys.clone()),
            None => self.shared.read_keys(content).map_err(io::Error::other)?,
        };
        Ok(keys.map(|keys| (ordinal, keys)))
    }

    /// Whether no release names a body, as far as the group has come.
    fn is_staged(&self, ordinal: u64) -> bool {
        let is_staged = self.brought.staged.contains_key(&ordinal) || self.index.is_staged(ordinal);
        is_staged && !self.delta.has_adopted(ordinal)
    }

    /// Takes in bodies that no release names, those of them that are still nowhere; none if they are too late.
    fn stage(&mut self, bodies: Vec<Fresh>, packed: Vec<Packed>, since: Moment, is_late: bool) -> io::Result<()> {
        // They have a group of their own, and numbers follow each other in a group.
        self.bodies.close(self.zip, &mut self.groups)?;
        let mut first = self.next_ordinal;
        for group in packed {
            let count = u64::from(group.count);
            self.groups.push((first, group));
            first += count;
        }
        for Fresh { keys, bytes } in bodies {
            let (ordinal, content, is_packed) = (self.next_ordinal, keys.content, bytes.is_empty());
            let is_new = !is_late && self.find_recent(&content, since).map_err(io::Error::other)?.is_none();
            if is_new {
                self.delta.stage(ordinal, &content);
                self.brought.contents.insert(content, ordinal);
                self.brought.staged.insert(ordinal, keys);
            } else if is_packed {
                self.delta.discard(ordinal);
            }
            if is_new && !is_packed {
                self.staged.push(ordinal, &bytes, self.zip, &mut self.groups)?;
            }
            self.next_ordinal += u64::from(is_packed || is_new);
        }
        self.staged.close(self.zip, &mut self.groups)
    }

    /// How many of these contents, which are new, no row names that readers see.
    fn count_unnamed(&self, new: &[ContentId]) -> io::Result<u32> {
        if !self.index.has_gone() {
            return Ok(count(new.len()));
        }
        let mut unnamed = 0;
        for content in new {
            // The batch is half taken in: an index that fails now fails the group.
            unnamed += u32::from(self.index.row_candidates(content).map_err(io::Error::other)?.is_empty());
        }
        Ok(unnamed)
    }

    /// Takes a body in, unless it is here.
    fn take_body(&mut self, body: &Fresh, known: Known) -> io::Result<Taken> {
        // The batch is half taken in: an index that fails now fails the group.
        let find = || self.find_recent(&body.keys.content, known.since).map_err(io::Error::other);
        let found = if known.is_current { None } else { find()? };
        let (is_new, is_packed) = (found.is_none(), body.bytes.is_empty());
        if is_new {
            if !known.is_current && self.index.has_damaged_copy(&body.keys.content).map_err(io::Error::other)? {
                self.delta.replaces_damaged(&body.keys);
            }
            self.delta.add_body(self.next_ordinal, &body.keys);
            self.brought.contents.insert(body.keys.content, self.next_ordinal);
        }
        if !is_packed && is_new {
            self.bodies.push(self.next_ordinal, &body.bytes, self.zip, &mut self.groups)?;
        }
        // A body that was compressed before another commit brought it stays in its group and keeps its number.
        if is_packed && !is_new {
            self.delta.discard(self.next_ordinal);
        }
        self.next_ordinal += u64::from(is_packed || is_new);
        Ok(match found {
            None => Taken::New,
            Some(ordinal) if self.is_staged(ordinal) => Taken::Staged(ordinal),
            Some(_) => Taken::Held,
        })
    }
}

/// The number of objects in a release, which is at most a thousand.
fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
