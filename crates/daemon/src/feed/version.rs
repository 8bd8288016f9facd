//! Which of several versions of one STIX id counts: asked here for streams, snapshots, TAXII, exports and people alike.
//! That depends on whose word each is, and when it was published.

use std::cmp::Reverse;

use mithaq_core::{
    id::{CertId, ContentId},
    release::{Kind, Manifest},
    time::Time,
};
use mithaq_store::{StoreError, Version};

use super::{Feed, RowKind};

/// What counts of two versions of one id: the later version; of two with one time the one that its owner published last;
/// then the smaller content id, so that every CERT that holds both serves the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    version_nanos: Option<i128>,
    published_at: Time,
    content: Reverse<ContentId>,
}

impl Rank {
    /// The rank of a content, by its version and the time at which what shows it was last published.
    pub(crate) fn new(version_nanos: Option<i128>, published_at: Time, content: ContentId) -> Self {
        Self { version_nanos, published_at, content: Reverse(content) }
    }

    /// The content that has it.
    pub(crate) fn content(&self) -> ContentId {
        self.content.0
    }
}

/// Whose word the objects of a release are: the signer's, or that of the CERT whose object an operator accepted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Provenance {
    /// Who published them.
    pub(crate) origin: CertId,
    /// When.
    pub(crate) published_at: Time,
}

impl Provenance {
    /// What the signer of a release says itself.
    pub(super) fn of(manifest: &Manifest) -> Self {
        Self { origin: manifest.origin, published_at: manifest.published_at }
    }
}

/// Those versions that have one time each, in the order of times; the store gives them so.
pub(crate) fn by_time(versions: &[Version]) -> impl DoubleEndedIterator<Item = &[Version]> {
    versions.chunk_by(|a, b| a.version_nanos == b.version_nanos)
}

impl Feed {
    /// Whose word the objects of a release are.
    pub(super) fn provenance_of(&self, manifest: &Manifest, contents: &[ContentId]) -> Result<Provenance, StoreError> {
        if let (Kind::Accept, Some(content)) = (manifest.kind, contents.first()) {
            for seq in self.node.store.rows_of(*content)? {
                if let Some((_, _, manifest)) = self.node.release_at(seq)? {
                    return Ok(Provenance::of(&manifest));
                }
            }
        }
        Ok(Provenance::of(manifest))
    }

    /// The content that the reader is served of versions with one time; `None` if it may see none of them.
    pub(crate) fn served_of(&mut self, versions: &[Version]) -> Result<Option<ContentId>, StoreError> {
        let mut served = None;
        for version in versions {
            served = served.max(self.rank_of(version)?);
        }
        Ok(served.map(|rank: Rank| rank.content()))
    }

    /// The content that counts of a STIX id: of what the reader may see. Blocks.
    pub(crate) fn current_of(&mut self, stix_id: &str) -> Result<Option<ContentId>, StoreError> {
        let versions = self.node.store.versions(stix_id)?;
        for versions in by_time(&versions).rev() {
            if let Some(served) = self.served_of(versions)? {
                return Ok(Some(served));
            }
        }
        Ok(None)
    }

    /// Whether another version counts in place of this content, which the reader is shown. Blocks.
    pub(crate) fn is_outdated(&mut self, stix_id: &str, content: ContentId) -> Result<bool, StoreError> {
        if self.node.store.has_one_version(stix_id)? {
            return Ok(false);
        }
        Ok(self.current_of(stix_id)?.is_some_and(|current| current != content))
    }

    fn rank_of(&mut self, version: &Version) -> Result<Option<Rank>, StoreError> {
        if !self.shows(version.content)? {
            return Ok(None);
        }
        let published_at = self.last_published(version.content)?;
        Ok(published_at.map(|at| Rank::new(version.version_nanos, at, version.content)))
    }

    /// When a release that shows the reader this content was last published.
    fn last_published(&mut self, content: ContentId) -> Result<Option<Time>, StoreError> {
        let mut last = None;
        for row in self.node.store.rows_of(content)? {
            if self.is_shown_at(row, content)?
                && let RowKind::Brings { published_at, .. } = self.row_kind(row)?
            {
                last = last.max(Some(published_at));
            }
        }
        Ok(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_counts_then_the_publication_then_the_content() {
        let rank = |version: Option<i128>, at: i64, content: u8| {
            Rank::new(version, Time::from_micros(at), ContentId::from_bytes([content; 32]))
        };
        let ascending =
            [rank(None, 9, 1), rank(Some(1), 8, 1), rank(Some(2), 3, 9), rank(Some(2), 3, 2), rank(Some(2), 4, 7)];
        assert!(ascending.is_sorted_by(|a, b| a < b), "{ascending:?}");
    }
}
