//! What is held of a release when it arrives: spoofed owners, contested ids, what was withdrawn before it came.

use std::collections::HashMap;

use mithaq_core::{
    body::{Body, Facts},
    id::{CertId, ContentId, ReleaseId, sha256},
    receipt::Status,
    release::{Kind, Manifest, VerifiedRelease},
    time::Time,
};
use mithaq_store::{StateChange, StoreError};

use super::{Cause, Hold, kept_of, retract::notice_of};
use crate::{clock, node::Node, origins};

/// How far ahead of its release's date the version of an object may lie. A version of a far time would outlive every
/// correction.
const VERSION_AHEAD_MAX_NANOS: i128 = 24 * 60 * 60 * 1_000_000_000;

/// What is to be done with a release that arrives.
pub(crate) struct Judgement {
    /// The holds, to be committed with it.
    pub(crate) changes: Vec<StateChange>,
    /// What its receipt says.
    pub(crate) status: Status,
}

/// What two arrivals must not be judged with at the same time: one content, or one STIX id.
///
/// # Errors
/// When a notice that is held cannot be read.
pub(crate) fn claims<'a>(
    node: &Node,
    releases: impl Iterator<Item = (&'a VerifiedRelease, &'a [Body])>,
) -> Result<Vec<ContentId>, StoreError> {
    let mut claims = Vec::new();
    for (release, bodies) in releases {
        claims.extend(release.contents());
        if let (Kind::Withdraw, Some(content)) = (release.manifest().kind, release.contents().first()) {
            claims.extend(notice_of(node, *content, bodies)?.into_iter().flat_map(|notice| notice.contents));
        }
        claims.extend(bodies.iter().map(|body| ContentId::from_bytes(sha256(body.facts().stix_id.as_bytes()))));
    }
    Ok(claims)
}

/// Decides what of a release is held. Its bodies are given as far as they came with it. Blocks.
pub(crate) fn judge(node: &Node, release: &VerifiedRelease, bodies: &[Body]) -> Result<Judgement, StoreError> {
    let manifest = release.manifest();
    let revoked = revoked_key(node, manifest)?;
    let mut judge = Judge { node, manifest, revoked, owners: Owners::new(node, manifest.origin), now: clock::wall() };
    let came: HashMap<ContentId, &Body> = bodies.iter().map(|body| (body.id(), body)).collect();
    let lacking: Vec<ContentId> = release.contents().iter().filter(|id| !came.contains_key(*id)).copied().collect();
    let held = facts_of_all(node, &lacking)?;
    let (mut changes, mut quarantined) = (Vec::new(), Vec::new());
    for content in release.contents() {
        let facts = came.get(content).map(|body| body.facts()).or_else(|| held.get(content));
        if let Some(hold) = judge.hold(*content, facts)? {
            node.standing.note_held(release.id());
            changes.push(hold.to_change(release.id(), *content));
            quarantined.extend(hold.cause.is_quarantine().then_some(hold));
        }
    }
    judge.report(release.id(), &quarantined);
    let status = if changes.is_empty() { Status::Received } else { Status::Held };
    Ok(Judgement { changes, status })
}

/// The facts of an object that we hold.
pub(crate) fn facts_of(node: &Node, content: ContentId) -> Result<Option<Facts>, StoreError> {
    Ok(facts_of_all(node, &[content])?.remove(&content))
}

/// The facts of those objects that we hold.
fn facts_of_all(node: &Node, contents: &[ContentId]) -> Result<HashMap<ContentId, Facts>, StoreError> {
    let bodies = contents.iter().zip(node.store.bodies(contents)?);
    let facts = bodies.filter_map(|(content, bytes)| {
        let body = Body::verify(*content, bytes?).ok()?;
        Some((*content, body.facts().clone()))
    });
    Ok(facts.collect())
}

/// That the key which signed a release was revoked for that time, in words.
pub(crate) fn revoked_key(node: &Node, manifest: &Manifest) -> Result<Option<String>, StoreError> {
    let since = origins::revoked_since(node, manifest)?;
    Ok(since.map(|since| format!("key {} is revoked since {since}", manifest.key.fmt_short())))
}

struct Judge<'a> {
    node: &'a Node,
    manifest: &'a Manifest,
    /// That the key that signed counts no more, if that is so.
    revoked: Option<String>,
    owners: Owners<'a>,
    now: Time,
}

impl Judge<'_> {
    fn hold(&mut self, content: ContentId, facts: Option<&Facts>) -> Result<Option<Hold>, StoreError> {
        let (stix_id, kinds) = kept_of(facts);
        let found = match self.withdrawn(content)? {
            Some(note) => Some((Cause::Withdrawn, note)),
            None => match (&self.revoked, facts) {
                (Some(note), _) => Some((Cause::KeyRevoked, note.clone())),
                (None, Some(facts)) => self.object(content, facts)?,
                (None, None) => None,
            },
        };
        Ok(found.map(|(cause, note)| Hold { cause, at: self.now, by: None, stix_id, note, kinds }))
    }

    fn withdrawn(&self, content: ContentId) -> Result<Option<String>, StoreError> {
        let withdrawal = self.node.standing.withdrawal(&*self.node.store, self.manifest.origin, content)?;
        let withdrawal = withdrawal.filter(|(until, _)| self.manifest.published_at <= *until);
        Ok(withdrawal.map(|(until, by)| format!("withdrawn on {until} by release {}", by.fmt_short())))
    }

    fn object(&mut self, content: ContentId, facts: &Facts) -> Result<Option<(Cause, String)>, StoreError> {
        let maker = self.maker(facts);
        if let Some((owner, identity)) = maker.filter(|(owner, _)| *owner != self.manifest.origin) {
            let owner = self.node.name_of(owner);
            return Ok(Some((Cause::Spoofed, format!("created_by_ref {identity} belongs to {owner}"))));
        }
        if self.is_of_the_future(facts) {
            return Ok(Some((Cause::Future, "its version lies more than a day ahead of its release".into())));
        }
        if maker.is_some() {
            // What a card claims is its CERT's, whoever was the first to sign the id.
            return Ok(None);
        }
        let owner = self.owners.other_than(content, facts)?;
        Ok(owner.map(|owner| (Cause::Contested, format!("{} was the first to sign this id", self.node.name_of(owner)))))
    }

    /// The CERT whose card claims the identity that the object says made it.
    fn maker<'b>(&self, facts: &'b Facts) -> Option<(CertId, &'b str)> {
        let identity = facts.created_by_ref.as_deref().or_else(|| {
            let is_identity = facts.object_type() == "identity";
            is_identity.then_some(facts.stix_id.as_str())
        })?;
        Some((self.node.owner_of_identity(identity)?, identity))
    }

    fn is_of_the_future(&self, facts: &Facts) -> bool {
        let published = i128::from(self.manifest.published_at.as_micros()) * 1_000;
        facts.version_nanos.is_some_and(|version| version > published + VERSION_AHEAD_MAX_NANOS)
    }

    /// One line for a release, however much of it is in quarantine.
    fn report(&self, release: ReleaseId, quarantined: &[Hold]) {
        if let Some(hold) = quarantined.first() {
            let (origin, release) = (self.node.name_of(self.manifest.origin), release.fmt_short());
            let (code, reason, objects) = (hold.cause.code(), &hold.note, quarantined.len());
            tracing::warn!(%code, origin, release, objects, reason, "objects are in quarantine: see `mithaq quarantine list`");
        }
    }
}

/// Whose the ids are that a CERT signs.
pub(crate) struct Owners<'a> {
    node: &'a Node,
    signer: CertId,
    /// The first to sign each id that was asked for: a release may have thousands of versions of one.
    owners: HashMap<String, Option<CertId>>,
    /// The origin of each row that was looked at.
    origins: HashMap<u64, Option<(CertId, ReleaseId)>>,
}

impl<'a> Owners<'a> {
    pub(crate) fn new(node: &'a Node, signer: CertId) -> Self {
        Self { node, signer, owners: HashMap::new(), origins: HashMap::new() }
    }

    /// The other CERT that was the first to sign an object of this id, unless it signed these very bytes too.
    pub(crate) fn other_than(&mut self, content: ContentId, facts: &Facts) -> Result<Option<CertId>, StoreError> {
        if facts.version_nanos.is_none() || facts.object_type() == "marking-definition" {
            return Ok(None);
        }
        let owner = match self.owners.get(&facts.stix_id) {
            Some(owner) => *owner,
            None => {
                let owner = self.first_to_sign(&facts.stix_id)?;
                self.owners.insert(facts.stix_id.clone(), owner);
                owner
            }
        };
        let Some(owner) = owner.filter(|owner| *owner != self.signer) else { return Ok(None) };
        for row in self.node.store.rows_of(content)? {
            if self.origin(row)?.is_some_and(|(origin, _)| origin == owner) {
                return Ok(None);
            }
        }
        Ok(Some(owner))
    }

    /// The CERT that was the first to sign an object of this id that is not in quarantine.
    fn first_to_sign(&mut self, stix_id: &str) -> Result<Option<CertId>, StoreError> {
        let mut rows = Vec::new();
        for version in self.node.store.versions(stix_id)? {
            rows.extend(self.node.store.rows_of(version.content)?.into_iter().map(|row| (row, version.content)));
        }
        rows.sort_unstable();
        for (row, version) in rows {
            let Some((origin, release)) = self.origin(row)? else { continue };
            let hold = self.node.standing.hold(&*self.node.store, release, version)?;
            if !hold.is_some_and(|hold| hold.cause.is_quarantine()) {
                return Ok(Some(origin));
            }
        }
        Ok(None)
    }

    /// Who published what a row names; nobody by a row that only speaks to our own readers.
    fn origin(&mut self, row: u64) -> Result<Option<(CertId, ReleaseId)>, StoreError> {
        if let Some(origin) = self.origins.get(&row) {
            return Ok(*origin);
        }
        let release = self.node.sound_release_at(row)?.filter(|(.., manifest)| manifest.kind.publishes());
        let origin = release.map(|(row, _, manifest)| (manifest.origin, row.release));
        self.origins.insert(row, origin);
        Ok(origin)
    }
}
