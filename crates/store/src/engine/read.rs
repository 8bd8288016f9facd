//! Reads: each body is checked against its content id, each release against its id, whatever the disk returned.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use mithaq_core::{
    body::Body,
    id::{ContentId, ContentPrefix, ReleaseId},
    merkle,
    release::SignedRelease,
    stix::observable::Observable,
};

use super::Shared;
use crate::{
    contract::{Holding, StoreError, Version},
    index::{BodyKeys, Extent},
    pack::{
        group::Group,
        record::ReleaseRecord,
        segments::{Position, file_name, io_error},
    },
};

/// Decompressed groups that were read last.
pub(super) struct GroupCache {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    groups: HashMap<(u32, u32), (Arc<Group>, u64)>,
    bytes: usize,
    /// Counts uses; the group with the lowest count goes first.
    clock: u64,
}

impl GroupCache {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    fn find(&self, extent: &Extent) -> Option<Arc<Group>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.clock += 1;
        let clock = kept.clock;
        let (group, used) = kept.groups.get_mut(&(extent.segment, extent.offset))?;
        *used = clock;
        Some(Arc::clone(group))
    }

    fn keep(&self, extent: &Extent, group: &Arc<Group>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let used = (Arc::clone(group), kept.clock);
        kept.bytes += group.bytes();
        if let Some((old, _)) = kept.groups.insert((extent.segment, extent.offset), used) {
            kept.bytes -= old.bytes();
        }
        // Few groups fit, so a search for the oldest is cheaper than an order that every use updates.
        while kept.bytes > self.bytes_max {
            let oldest = kept.groups.iter().min_by_key(|(_, (_, used))| *used).map(|(place, _)| *place);
            let Some((old, _)) = oldest.and_then(|place| kept.groups.remove(&place)) else { break };
            kept.bytes -= old.bytes();
        }
    }
}

impl GroupCache {
    /// Forgets all groups.
    pub(super) fn forget_all(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }

    /// Forgets the groups of a segment.
    pub(super) fn forget(&self, segment: u32) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &mut *kept;
        kept.groups.retain(|(of, _), (group, _)| {
            let stays = *of != segment;
            kept.bytes -= if stays { 0 } else { group.bytes() };
            stays
        });
    }
}

/// How many releases are remembered: at most 32 KB each.
const RECENT_RELEASES: usize = 64;

/// The releases that were read last, the newest last.
#[derive(Default)]
pub(super) struct RecentReleases(Mutex<VecDeque<(u64, Arc<SignedRelease>)>>);

impl RecentReleases {
    fn find(&self, seq: u64) -> Option<Arc<SignedRelease>> {
        let recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        recent.iter().rev().find(|(known, _)| *known == seq).map(|(_, release)| Arc::clone(release))
    }

    fn keep(&self, seq: u64, release: &Arc<SignedRelease>) {
        let mut recent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if recent.len() >= RECENT_RELEASES {
            recent.pop_front();
        }
        recent.push_back((seq, Arc::clone(release)));
    }

    pub(super) fn forget_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// A body that is wanted, and where it lies.
struct Wanted {
    /// Its place in the question.
    index: usize,
    ordinal: u64,
    extent: Extent,
    position: usize,
}

impl Shared {
    /// The group at a place; `None` if it is damaged.
    fn group(&self, extent: &Extent) -> Result<Option<Arc<Group>>, StoreError> {
        if let Some(group) = self.cache.find(extent) {
            return Ok(Some(group));
        }
        let read = self.segments.read(extent.at(), extent.packed_bytes as usize);
        let Some(packed) = read.map_err(io_error(&self.packs))? else { return Ok(None) };
        let group = self.zip.unpack(&packed, extent.count, extent.raw_bytes, extent.crc).map(Arc::new);
        if let Some(group) = &group {
            self.cache.keep(extent, group);
        }
        Ok(group)
    }

    /// A body was found damaged: from now on the store says that it does not have it, so that it can come again.
    fn damaged(&self, what: &str, ordinal: u64, at: Position) -> StoreError {
        self.index.set_damaged(ordinal);
        let what = format!("{what} in {} at {}", file_name(at.segment), at.offset);
        tracing::warn!(what, "damage was found");
        StoreError::Corrupt { what }
    }

    pub(super) fn bodies(&self, ids: &[ContentId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut bodies = self.run_of_bodies(ids)?;
        let begun: Vec<_> = bodies.iter().map(Option::is_some).collect();
        for wanted in self.locate(ids, &begun)? {
            let id = ids[wanted.index];
            let group = self.group(&wanted.extent)?;
            let body = group.as_ref().and_then(|group| group.record(wanted.position));
            let Some(body) = body.filter(|body| ContentId::of(body) == id) else {
                return Err(self.damaged(&format!("body {id}"), wanted.ordinal, wanted.extent.at()));
            };
            bodies[wanted.index] = Some(body.to_vec());
        }
        Ok(bodies)
    }

    /// What the index needs to know of bodies that are held.
    pub(super) fn keys_of(&self, ids: &[ContentId]) -> Result<Vec<BodyKeys>, StoreError> {
        let read = |(id, bytes): (&ContentId, Option<Vec<u8>>)| {
            // It was dropped since it was found.
            let body = Body::verify(*id, bytes.ok_or(StoreError::Busy)?);
            Ok(BodyKeys::of(&body.map_err(|_| StoreError::Corrupt { what: format!("body {id}") })?))
        };
        ids.iter().zip(self.bodies(ids)?).map(read).collect()
    }

    /// As [`Self::keys_of`], for the committer, which holds no places.
    pub(super) fn read_keys(&self, content: ContentId) -> Result<Option<BodyKeys>, StoreError> {
        let _places = self.places();
        Ok(self.keys_of(&[content])?.pop())
    }

    pub(super) fn holding(&self, content: ContentId) -> Result<Holding, StoreError> {
        if let Some(ordinal) = self.index.find_bodies(&[content])?[0] {
            return Ok(if self.index.is_staged(ordinal) { Holding::Staged } else { Holding::Held });
        }
        if self.index.is_purged(&content)? {
            return Ok(Holding::Purged);
        }
        // A release came with all of its bodies, or they were here: one that is not was lost.
        let is_named = !self.rows_of(content)?.is_empty();
        Ok(if is_named { Holding::Damaged } else { Holding::Unknown })
    }

    /// The bodies that lie one behind the other from the first on: as long as the next body hashes to the next id,
    /// the index need not be asked. Those of a release mostly lie so.
    fn run_of_bodies(&self, ids: &[ContentId]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let mut bodies = vec![None; ids.len()];
        let Some(Some(first)) = ids.first().map(|id| self.index.find_bodies(&[*id])).transpose()?.map(|found| found[0])
        else {
            return Ok(bodies);
        };
        let mut next = 0;
        while next < ids.len() {
            let ordinal = first + next as u64;
            let extent = self.index.body_extents([ordinal].into_iter()).pop().flatten();
            let Some((extent, position)) = extent else { break };
            let Some(group) = self.group(&extent)? else { break };
            let before = next;
            let gone = self.index.gone_from(ordinal, ids.len() - next);
            for ((id, body), record) in ids.iter().zip(&mut bodies).skip(next).zip(group.records_from(position)) {
                let is_gone = gone.as_ref().is_some_and(|gone| gone[next - before]);
                if is_gone || ContentId::of(record) != *id {
                    return Ok(bodies);
                }
                *body = Some(record.to_vec());
                next += 1;
            }
            if next == before {
                break;
            }
        }
        Ok(bodies)
    }

    /// Where the bodies that are not `begun` lie, in the order of the packs, so that each group is read once.
    fn locate(&self, ids: &[ContentId], begun: &[bool]) -> Result<Vec<Wanted>, StoreError> {
        let asked: Vec<_> = (0..ids.len()).filter(|index| !begun[*index]).collect();
        let ordinals = self.index.find_bodies(&asked.iter().map(|index| ids[*index]).collect::<Vec<_>>())?;
        let found: Vec<_> =
            asked.into_iter().zip(ordinals).filter_map(|(index, ordinal)| Some((index, ordinal?))).collect();
        let extents = self.index.body_extents(found.iter().map(|(_, ordinal)| *ordinal));
        let mut wanted = Vec::with_capacity(found.len());
        for ((index, ordinal), extent) in found.into_iter().zip(extents) {
            let Some((extent, position)) = extent else {
                return Err(self.damaged(&format!("body {}", ids[index]), ordinal, Position::NOWHERE));
            };
            wanted.push(Wanted { index, ordinal, extent, position });
        }
        wanted.sort_unstable_by_key(|wanted| (wanted.extent.segment, wanted.extent.offset, wanted.position));
        Ok(wanted)
    }

    /// The contents whose ids begin so, as their bodies tell: the index knows no whole ids.
    pub(super) fn contents_with(&self, prefixes: &[ContentPrefix]) -> Result<Vec<Option<ContentId>>, StoreError> {
        let mut contents = vec![None; prefixes.len()];
        let ordinals = self.index.find_beginning(prefixes)?;
        let mut found: Vec<_> = (0..).zip(ordinals).filter_map(|(index, ordinal)| Some((ordinal?, index))).collect();
        // Bodies of one group are read together.
        found.sort_unstable();
        for (ordinal, index) in found {
            contents[index] = self.content_of(ordinal)?.filter(|content| content.prefix() == prefixes[index]);
        }
        Ok(contents)
    }

    /// The content id of the body with an ordinal; `None` if it is damaged.
    fn content_of(&self, ordinal: u64) -> Result<Option<ContentId>, StoreError> {
        let Some((extent, position)) = self.index.body_extents([ordinal].into_iter()).pop().flatten() else {
            return Ok(None);
        };
        let group = self.group(&extent)?;
        Ok(group.as_ref().and_then(|group| group.record(position)).map(ContentId::of))
    }

    /// The body with an ordinal that a short key has led to; `None` if the store no longer claims to have it.
    pub(super) fn candidate(&self, ordinal: u64) -> Result<Option<Body>, StoreError> {
        let Some((extent, position)) = self.index.body_extents([ordinal].into_iter()).pop().flatten() else {
            return Err(self.damaged(&format!("body number {ordinal}"), ordinal, Position::NOWHERE));
        };
        let group = self.group(&extent)?;
        let bytes = group.as_ref().and_then(|group| group.record(position));
        let body = bytes.and_then(|bytes| Body::verify(ContentId::of(bytes), bytes.to_vec()).ok());
        let Some(body) = body else {
            return Err(self.damaged(&format!("body number {ordinal}"), ordinal, extent.at()));
        };
        // The ordinal does not tell which content id was expected, but the index knows what it led to.
        match self.index.find_bodies(&[body.id()])?[0] {
            Some(found) if found == ordinal => Ok(Some(body)),
            Some(_) => Ok(None),
            None => Err(self.damaged(&format!("body number {ordinal}"), ordinal, extent.at())),
        }
    }

    pub(super) fn versions(&self, stix_id: &str) -> Result<Vec<Version>, StoreError> {
        let mut versions = Vec::new();
        for ordinal in self.index.version_candidates(stix_id)? {
            let body = self.candidate(ordinal)?.filter(|body| body.facts().stix_id == stix_id);
            versions.extend(body.map(|body| Version { version_nanos: body.facts().version_nanos, content: body.id() }));
        }
        versions.sort_unstable_by_key(|version| (version.version_nanos, version.content));
        Ok(versions)
    }

    /// Whether one body alone may be a version of this id: then it is the one that the caller knows. A body of another
    /// id with the same key makes two of them, and the answer no.
    pub(super) fn has_one_version(&self, stix_id: &str) -> Result<bool, StoreError> {
        Ok(self.index.version_candidates(stix_id)?.len() == 1)
    }

    pub(super) fn observed(&self, observable: &Observable, limit: usize) -> Result<Vec<ContentId>, StoreError> {
        let mut contents = Vec::new();
        for ordinal in self.index.observable_candidates(observable)? {
            if contents.len() == limit {
                break;
            }
            let body = self.candidate(ordinal)?.filter(|body| body.facts().observables.contains(observable));
            contents.extend(body.map(|body| body.id()));
        }
        Ok(contents)
    }

    pub(super) fn rows_of(&self, content: ContentId) -> Result<Vec<u64>, StoreError> {
        let mut rows = Vec::new();
        for seq in self.index.row_candidates(&content)? {
            if self.names(seq, &content)? {
                rows.push(seq);
            }
        }
        Ok(rows)
    }

    pub(super) fn release(&self, id: ReleaseId) -> Result<Option<(u64, SignedRelease)>, StoreError> {
        let Some(seq) = self.index.find_release(id)? else { return Ok(None) };
        match self.recent_release(seq)? {
            Some(release) if release.id() == id => Ok(Some((seq, (*release).clone()))),
            _ => {
                self.index.set_damaged_row(seq);
                Err(StoreError::Corrupt { what: format!("release {id}, row {seq} of the log") })
            }
        }
    }

    /// Whether the release of a row names a content. Its group has passed its checksum, which is enough to find it by:
    /// whoever is given the release has it checked against its manifest.
    fn names(&self, seq: u64, content: &ContentId) -> Result<bool, StoreError> {
        if let Some(release) = self.recent.find(seq) {
            return Ok(release.contents.binary_search(content).is_ok());
        }
        let Some((extent, position)) = self.index.release_extent(seq) else { return Ok(false) };
        let group = self.group(&extent)?;
        let record = group.as_ref().and_then(|group| ReleaseRecord::decode(group.record(position)?));
        Ok(record.is_some_and(|record| record.signed.contents.binary_search(content).is_ok()))
    }

    /// The release of a row, checked when it was read, which may be a moment ago: whoever asks about the objects of a
    /// release asks about one after the other, and the check hashes all of its ids.
    fn recent_release(&self, seq: u64) -> Result<Option<Arc<SignedRelease>>, StoreError> {
        if let Some(release) = self.recent.find(seq) {
            return Ok(Some(release));
        }
        let Some(release) = self.release_at(seq)?.map(Arc::new) else { return Ok(None) };
        self.recent.keep(seq, &release);
        Ok(Some(release))
    }

    /// The release of a row, read and checked against its own manifest; `None` if the row was lost.
    pub(super) fn release_at(&self, seq: u64) -> Result<Option<SignedRelease>, StoreError> {
        let Some((extent, position)) = self.index.release_extent(seq) else { return Ok(None) };
        let group = self.group(&extent)?;
        let record = group.as_ref().and_then(|group| ReleaseRecord::decode(group.record(position)?));
        match record.map(|record| record.signed).filter(is_sound) {
            Some(release) => Ok(Some(release)),
            None => {
                self.index.set_damaged_row(seq);
                let what = format!("row {seq} of the log in {} at {}", file_name(extent.segment), extent.offset);
                Err(StoreError::Corrupt { what })
            }
        }
    }
}

/// Whether the contents are those that the manifest names.
fn is_sound(release: &SignedRelease) -> bool {
    let leaves: Vec<_> = release.contents.iter().map(ContentId::as_bytes).collect();
    release.stored_manifest().is_ok_and(|manifest| manifest.tree == merkle::root(&leaves))
}
