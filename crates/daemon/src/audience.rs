//! Whom what is said of other CERTs' objects is for: whoever may not have an object must not learn of it from what points
//! at it.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use mithaq_core::{
    body::Body,
    id::{CertId, ContentId, ReleaseId},
    sighting::SIGHTING_TYPE,
    stix::{Object, id::StixId},
};
use mithaq_store::{StoreError, Version};

use crate::{
    feed::{Feed, Visibility},
    node::Node,
    outbox,
    standing::Gone,
};

/// How many versions of an id are looked at, the newest first.
const VERSIONS_MAX: usize = 64;

/// Whom the releases of an object are for, one for each of these: those CERTs alone, or, where there are none, whomever the
/// agreements let have it.
pub(crate) type Audiences = Arc<[BTreeSet<CertId>]>;

/// Each named recipient gets releases of its own, so that none learns of the others.
pub(crate) fn apart(recipients: BTreeSet<CertId>) -> Audiences {
    match recipients.is_empty() {
        true => [BTreeSet::new()].into(),
        false => recipients.into_iter().map(|recipient| [recipient].into()).collect(),
    }
}

/// An object that is spoken of, as far as a reader is shown it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Subject {
    /// Who published it.
    pub(crate) origins: BTreeSet<CertId>,
    /// Whom its sightings are for alone; empty if the agreements decide.
    pub(crate) audience: BTreeSet<CertId>,
}

/// What a reader is shown of a content, and who may hear that it was seen. A sighting of what others published, or of what
/// we published for some alone, is for its origins and for those peers to whom the rule lets the object itself go. Blocks.
pub(crate) fn subject(node: &Node, feed: &mut Feed, content: ContentId) -> Result<Option<Subject>, StoreError> {
    let mut subject = Subject::default();
    let (mut is_open, mut shown) = (true, Vec::new());
    for row in node.store.rows_of(content)? {
        if feed.is_shown_at(row, content)?
            && let Some(named) = node.sound_release_at(row)?
            && named.2.kind.publishes()
        {
            is_open &= named.2.origin == node.us && named.2.recipients.is_empty();
            subject.origins.insert(named.2.origin);
            shown.push(named);
        }
    }
    if shown.is_empty() {
        return Ok(None);
    }
    if !is_open {
        subject.audience.clone_from(&subject.origins);
        for peer in node.peers().iter() {
            for (row, release, manifest) in &shown {
                if outbox::ask(node, row.release, release, manifest, peer)?.released {
                    subject.audience.insert(peer.cert());
                    break;
                }
            }
        }
        subject.audience = or_us_alone(node, subject.audience);
    }
    Ok(Some(subject))
}

/// An audience without ourselves; if nobody is left, our own CERT as the one recipient, which lets nothing go to others.
fn or_us_alone(node: &Node, mut audience: BTreeSet<CertId>) -> BTreeSet<CertId> {
    audience.remove(&node.us);
    if audience.is_empty() {
        audience.insert(node.us);
    }
    audience
}

/// Narrows whom objects of a push are for.
pub(crate) struct Narrowing<'a> {
    node: &'a Node,
    feed: Feed,
    /// Whom sightings of an id are for, as far as it was looked up.
    known: HashMap<String, BTreeSet<CertId>>,
    /// What is held, read once it is asked for.
    gone: Option<Gone>,
}

impl<'a> Narrowing<'a> {
    pub(crate) fn new(node: &'a Arc<Node>) -> Self {
        Self { node, feed: Feed::new(Arc::clone(node), Visibility::ALL), known: HashMap::new(), gone: None }
    }

    /// Whom an object is for that is pushed for these: a sighting is for nobody who may not have what was seen. Blocks.
    pub(crate) fn narrow(&mut self, body: &Body, given: &Audiences) -> Result<Audiences, StoreError> {
        let Some(sighted) = sighted(body) else { return Ok(Arc::clone(given)) };
        let audience = match self.known.get(&sighted) {
            Some(audience) => audience.clone(),
            None => {
                let audience = self.audience_of(&sighted)?;
                self.known.insert(sighted, audience.clone());
                audience
            }
        };
        if audience.is_empty() {
            return Ok(Arc::clone(given));
        }
        let named: BTreeSet<CertId> = given.iter().flatten().copied().collect();
        let audience = match named.is_empty() {
            true => audience,
            false => or_us_alone(self.node, audience.intersection(&named).copied().collect()),
        };
        Ok(apart(audience))
    }

    /// Whom sightings of an id are for alone: whoever may have any version of it knows of it. Empty if the agreements
    /// decide, or if we never had anything of it.
    fn audience_of(&mut self, stix_id: &str) -> Result<BTreeSet<CertId>, StoreError> {
        let versions = self.node.store.versions(stix_id)?;
        let (mut is_shown, mut audience) = (false, BTreeSet::new());
        for version in versions.iter().rev().take(VERSIONS_MAX) {
            if let Some(subject) = subject(self.node, &mut self.feed, version.content)? {
                is_shown = true;
                audience.extend(subject.audience);
            }
        }
        if !is_shown {
            return self.audience_of_unshown(stix_id, &versions);
        }
        Ok(if audience.is_empty() { audience } else { or_us_alone(self.node, audience) })
    }

    /// Whom sightings of an id are for of which nothing is shown: what was taken back, is in quarantine or was kept long
    /// enough is spoken of to those alone who published it. Empty if we never had anything of it.
    fn audience_of_unshown(&mut self, stix_id: &str, versions: &[Version]) -> Result<BTreeSet<CertId>, StoreError> {
        let mut origins = BTreeSet::new();
        for version in versions.iter().rev().take(VERSIONS_MAX) {
            for row in self.node.store.rows_of(version.content)? {
                let named = self.node.sound_release_at(row)?.filter(|(.., manifest)| manifest.kind.publishes());
                origins.extend(named.map(|(.., manifest)| manifest.origin));
            }
        }
        let held = self.releases_that_hold(stix_id)?;
        if versions.is_empty() && held.is_empty() {
            return Ok(origins);
        }
        for release in held {
            origins.extend(publisher(self.node, release)?);
        }
        Ok(or_us_alone(self.node, origins))
    }

    /// The releases in which an object of an id is held, whose body may be gone. All holds are read once for a push: an
    /// index of them by id would cost each arrival.
    fn releases_that_hold(&mut self, stix_id: &str) -> Result<Vec<ReleaseId>, StoreError> {
        let gone = match self.gone.take() {
            Some(gone) => gone,
            None => Gone::load(&*self.node.store)?,
        };
        Ok(self.gone.insert(gone).releases_of(stix_id).collect())
    }
}

/// Who published by a release; nobody if it is gone or damaged, or speaks to our own readers alone.
fn publisher(node: &Node, release: ReleaseId) -> Result<Option<CertId>, StoreError> {
    let release = match node.store.release(release) {
        Err(StoreError::Corrupt { .. }) => None,
        read => read?,
    };
    let manifest = release.and_then(|(_, release)| release.stored_manifest().ok());
    Ok(manifest.filter(|manifest| manifest.kind.publishes()).map(|manifest| manifest.origin))
}

/// What a sighting is of.
fn sighted(body: &Body) -> Option<String> {
    if body.facts().object_type() != SIGHTING_TYPE {
        return None;
    }
    let object = Object::parse(body.bytes()).ok()?;
    let id = object.value().get("sighting_of_ref")?.as_str()?;
    StixId::parse(&id).ok().map(|id| id.as_str().to_owned())
}
