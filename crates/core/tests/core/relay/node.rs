//! What one CERT keeps: its log, what stands against serving it, and whom it has disclosed what.

use std::collections::{BTreeMap, BTreeSet};

use mithaq_core::{
    consent::VerifiedConsent,
    id::{CertId, ContentId, ReleaseId},
    policy::Ending,
    release::{Kind, VerifiedRelease},
    time::Time,
};

/// What one CERT keeps.
#[derive(Debug, Clone, Default)]
pub(super) struct Node {
    pub(super) log: Vec<ReleaseId>,
    /// Until when an origin has taken a content back.
    pub(super) withdrawn: BTreeMap<(CertId, ContentId), Time>,
    pub(super) void: BTreeSet<(ReleaseId, ContentId)>,
    pub(super) disclosed: BTreeSet<(usize, ReleaseId)>,
    pub(super) consents: Vec<VerifiedConsent>,
    pub(super) ended: BTreeMap<usize, Ending>,
}

impl Node {
    /// Takes a release into the log; what a withdrawal makes void, it does in either order.
    pub(super) fn take(&mut self, id: ReleaseId, releases: &BTreeMap<ReleaseId, Sent>) {
        let sent = &releases[&id];
        let manifest = sent.release.manifest();
        self.log.push(id);
        if manifest.kind == Kind::Withdraw {
            for content in &sent.contents {
                let until = self.withdrawn.entry((manifest.origin, *content)).or_insert(manifest.published_at);
                *until = (*until).max(manifest.published_at);
            }
        }
        for id in &self.log {
            let Sent { release, contents, .. } = &releases[id];
            let manifest = release.manifest();
            let until = |content: &&ContentId| self.withdrawn.get(&(manifest.origin, **content));
            let is_void = |content: &&ContentId| until(content).is_some_and(|until| manifest.published_at <= *until);
            if manifest.kind == Kind::Publish {
                self.void.extend(contents.iter().filter(is_void).map(|content| (*id, *content)));
            }
        }
    }

    pub(super) fn is_held(&self, id: ReleaseId) -> bool {
        self.void.iter().any(|(release, _)| *release == id)
    }
}

/// A release, and what it publishes or takes back.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) release: VerifiedRelease,
    pub(super) contents: Vec<ContentId>,
}
