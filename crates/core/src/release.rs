//! Releases: the signed unit of exchange, a manifest and the objects that it names, all with one label.
//!
//! A release is shared whole or not at all, so nothing that is withheld leaves a trace in what is sent. There is
//! no serial in a manifest: a number that grows would tell each peer how much it is not shown.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    canonical::{self, CanonicalError},
    card::VerifiedCard,
    id::{CertId, ContentId, KeyId, ReleaseId, TreeHash, sha256},
    keys::{SecretKey, Signature, Suite},
    label::{Label, LabelError},
    merkle,
    time::Time,
};

/// The type under which manifests are signed.
pub const RELEASE_TYPE: &str = "application/vnd.mithaq.release+json;version=1";

/// The schema that manifests name.
pub const RELEASE_SCHEMA: &str = "mithaq-release/1";

/// The most objects in one release.
pub const RELEASE_OBJECTS_MAX: usize = 1_000;

/// The most bytes of a manifest.
pub const MANIFEST_BYTES_MAX: usize = 16 * 1024;

/// How far in the future a release may be dated, for clocks that differ.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5 * 60);

/// What a release does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Kind {
    /// It publishes the objects that it names.
    Publish,
    /// It publishes how often something was seen, and nothing else of it: for CERTs whose agreement lets sightings go
    /// as counts alone (see [`sighting`](crate::sighting)).
    Tally,
    /// It takes back what the origin published: its one object is a [`Notice`](crate::notice::Notice) that names the
    /// contents.
    Withdraw,
    /// It tells our own readers to look again at contents whose standing has changed here; its one object is a
    /// [`Notice`](crate::notice::Notice). It never leaves the store that it was made for.
    Review,
    /// It shows our own readers contents of others that were in quarantine until an operator accepted them. It never
    /// leaves the store that it was made for.
    Accept,
    /// It shows the readers of one collection contents of others that enough CERTs have seen by now; its one recipient
    /// stands for the collection's rule. It never leaves the store that it was made for.
    Corroborate,
    /// It tells our own readers that the time until which its contents are valid is over. It never leaves the store
    /// that it was made for.
    Expire,
}

impl Kind {
    /// Whether its one object is a notice.
    #[must_use]
    pub fn has_notice(self) -> bool {
        matches!(self, Self::Withdraw | Self::Review)
    }

    /// Whether it publishes the objects that it names.
    #[must_use]
    pub fn publishes(self) -> bool {
        matches!(self, Self::Publish | Self::Tally)
    }

    /// Whether it only speaks again, to our own readers, of contents that other releases brought.
    #[must_use]
    pub fn is_echo(self) -> bool {
        matches!(self, Self::Corroborate | Self::Expire)
    }

    /// Whether it is of its own store alone.
    #[must_use]
    pub fn is_local(self) -> bool {
        matches!(self, Self::Review | Self::Accept | Self::Corroborate | Self::Expire)
    }
}

/// The most CERTs that a release may name as its recipients.
pub const RECIPIENTS_MAX: usize = 64;

/// What is signed of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    schema: String,
    /// How the signature is made.
    pub suite: Suite,
    /// The CERT that releases.
    pub origin: CertId,
    /// The key that signed.
    pub key: KeyId,
    /// What the release does.
    pub kind: Kind,
    /// When it was signed, by the origin's clock.
    pub published_at: Time,
    /// The one label of all its objects.
    pub label: Label,
    /// The only CERTs that it is for; empty if the agreements alone decide. TLP:RED goes to nobody who is not named.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub recipients: BTreeSet<CertId>,
    /// How many objects it names.
    pub objects: u32,
    /// The RFC 6962 tree hash over the content ids in ascending order.
    pub tree: TreeHash,
}

/// What a new release says, but for what its signer and its contents imply.
#[derive(Debug, Clone)]
pub struct ReleaseDraft {
    /// See [`Manifest::kind`].
    pub kind: Kind,
    /// See [`Manifest::label`].
    pub label: Label,
    /// See [`Manifest::recipients`].
    pub recipients: BTreeSet<CertId>,
    /// The content ids of its objects, in any order.
    pub contents: Vec<ContentId>,
    /// See [`Manifest::published_at`].
    pub published_at: Time,
}

impl ReleaseDraft {
    /// A release that publishes `contents` to whomever the agreements let have them.
    #[must_use]
    pub fn publish(label: Label, contents: Vec<ContentId>, published_at: Time) -> Self {
        Self { kind: Kind::Publish, label, recipients: BTreeSet::new(), contents, published_at }
    }
}

/// A release as it travels and rests: nothing in it has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRelease {
    /// The manifest's canonical bytes.
    pub manifest: Vec<u8>,
    /// The signature over [`RELEASE_TYPE`] and the manifest.
    pub signature: Signature,
    /// The content ids of the objects, strictly ascending.
    pub contents: Vec<ContentId>,
}

/// A release that travels without its content ids: nothing in it has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedManifest {
    /// The manifest's canonical bytes.
    pub manifest: Vec<u8>,
    /// The signature over [`RELEASE_TYPE`] and the manifest.
    pub signature: Signature,
}

/// A release whose signature and limits were checked, and of which nobody knows yet whether its contents are those that
/// were signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedManifest {
    id: ReleaseId,
    manifest: Manifest,
    signed: SignedManifest,
}

/// A release whose signature, tree hash, counts and limits were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRelease {
    id: ReleaseId,
    manifest: Manifest,
    signed: SignedRelease,
}

/// Why a release is refused. Each of these is the sender's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The manifest is too large.
    #[error("the manifest has {bytes} bytes; at most {MANIFEST_BYTES_MAX} are taken")]
    ManifestTooLarge {
        /// Its size.
        bytes: usize,
    },
    /// The manifest cannot be read.
    #[error("the manifest cannot be read")]
    Manifest(#[source] CanonicalError),
    /// The manifest is of another schema.
    #[error("the manifest has schema {found:?}; this program knows {RELEASE_SCHEMA}")]
    Schema {
        /// What it names.
        found: String,
    },
    /// The label breaks its limits.
    #[error("the label cannot be used")]
    Label(#[source] LabelError),
    /// The release is another CERT's than the one whose card is at hand.
    #[error("the release is of CERT {found}, not of {expected}")]
    Origin {
        /// Whose card is at hand.
        expected: CertId,
        /// Whom the manifest names.
        found: CertId,
    },
    /// The card does not name the key, or not for that suite and time.
    #[error("key {key} is not a signing key of the origin's card at {at}")]
    Key {
        /// The key.
        key: KeyId,
        /// When it signed, by its own word.
        at: Time,
    },
    /// The key was revoked before the time that the release states. Whoever holds the key may have been anyone.
    #[error("key {key} was revoked by the origin from {since} on, and the release is dated {at}")]
    Revoked {
        /// The key.
        key: KeyId,
        /// From when on nothing of it counts.
        since: Time,
        /// When it signed, by its own word.
        at: Time,
    },
    /// The signature does not fit.
    #[error("the signature does not fit the manifest")]
    Signature,
    /// It is dated in the future.
    #[error("the release is dated {published_at}, more than five minutes ahead of {now}")]
    Future {
        /// Its date.
        published_at: Time,
        /// This machine's clock.
        now: Time,
    },
    /// There are no objects, or too many, or not as many as the manifest says.
    #[error("the release lists {listed} objects and its manifest says {stated}; 1 to {RELEASE_OBJECTS_MAX} are taken")]
    Count {
        /// How many ids came.
        listed: usize,
        /// How many the manifest states.
        stated: u32,
    },
    /// The content ids are not strictly ascending.
    #[error("the content ids of the release are not in strictly ascending order")]
    Order,
    /// It names more recipients than a release may.
    #[error("the release names {named} recipients; at most {RECIPIENTS_MAX} are taken")]
    Recipients {
        /// How many it names.
        named: usize,
    },
    /// A release that takes something back, or speaks of a store alone, carries anything but one notice.
    #[error("a release of kind {kind:?} has exactly one object, the notice; this one has {objects}")]
    NoticeCount {
        /// Its kind.
        kind: Kind,
        /// How many it has.
        objects: u32,
    },
    /// The content ids are others than those signed.
    #[error("the content ids do not hash to the tree hash of the manifest")]
    Tree,
}

impl SignedRelease {
    /// The release's id: the SHA-256 of the manifest.
    #[must_use]
    pub fn id(&self) -> ReleaseId {
        ReleaseId::from_bytes(sha256(&self.manifest))
    }

    /// Reads the manifest without checking the signature; for releases that our own store has kept since they
    /// were verified.
    ///
    /// # Errors
    /// When the bytes are not a manifest.
    pub fn stored_manifest(&self) -> Result<Manifest, CanonicalError> {
        canonical::from_slice(&self.manifest)
    }

    /// Checks everything that can be checked without the bodies, against the origin's card.
    ///
    /// The key must have been valid at the time that the release states. That time is the signer's word: who stole
    /// a key whose time is over can date a release back into it. So a card goes on naming old keys for the sake of
    /// what they signed, and revokes a stolen one as of the last time that it was surely in good hands.
    ///
    /// # Errors
    /// The first thing that is wrong. A release of a revoked key is told from one of an unknown key, and its
    /// signature is not looked at.
    pub fn verify(self, origin: &VerifiedCard, now: Time) -> Result<VerifiedRelease, ReleaseError> {
        let Self { manifest, signature, contents } = self;
        SignedManifest { manifest, signature }.verify(origin, now)?.with_contents(contents)
    }
}

impl SignedManifest {
    /// The release's id: the SHA-256 of the manifest.
    #[must_use]
    pub fn id(&self) -> ReleaseId {
        ReleaseId::from_bytes(sha256(&self.manifest))
    }

    /// Reads the manifest without checking anything, to find out whose card it is to be checked with.
    ///
    /// # Errors
    /// When the bytes are not a manifest.
    pub fn read(&self) -> Result<Manifest, CanonicalError> {
        canonical::from_slice(&self.manifest)
    }

    /// Checks everything that can be checked without the content ids, as [`SignedRelease::verify`] does.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(self, origin: &VerifiedCard, now: Time) -> Result<VerifiedManifest, ReleaseError> {
        if self.manifest.len() > MANIFEST_BYTES_MAX {
            return Err(ReleaseError::ManifestTooLarge { bytes: self.manifest.len() });
        }
        let manifest = self.read().map_err(ReleaseError::Manifest)?;
        manifest.check(origin, now)?;
        let key = origin.signing_key(manifest.key, manifest.suite, manifest.published_at);
        let key = key.ok_or_else(|| manifest.no_key(origin))?;
        let _valid = key.verify(RELEASE_TYPE, &self.manifest, &self.signature).map_err(|_| ReleaseError::Signature)?;
        Ok(VerifiedManifest { id: self.id(), manifest, signed: self })
    }
}

impl VerifiedManifest {
    /// The release's id.
    #[must_use]
    pub fn id(&self) -> ReleaseId {
        self.id
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Checks that so many contents are as many as were signed.
    ///
    /// # Errors
    /// [`ReleaseError::Count`] if they are not, or are none or too many for a release.
    pub fn check_count(&self, listed: usize) -> Result<(), ReleaseError> {
        self.manifest.check_count(listed)
    }

    /// The release with these contents, if they are those that were signed.
    ///
    /// # Errors
    /// [`ReleaseError::Count`], [`ReleaseError::Order`] or [`ReleaseError::Tree`] if they are not.
    pub fn with_contents(&self, contents: Vec<ContentId>) -> Result<VerifiedRelease, ReleaseError> {
        self.manifest.check_contents(&contents)?;
        let SignedManifest { manifest, signature } = self.signed.clone();
        let signed = SignedRelease { manifest, signature, contents };
        Ok(VerifiedRelease { id: self.id, manifest: self.manifest.clone(), signed })
    }
}

impl Manifest {
    fn check_count(&self, listed: usize) -> Result<(), ReleaseError> {
        if (1..=RELEASE_OBJECTS_MAX).contains(&listed) && u32::try_from(listed) == Ok(self.objects) {
            Ok(())
        } else {
            Err(ReleaseError::Count { listed, stated: self.objects })
        }
    }

    fn check_contents(&self, contents: &[ContentId]) -> Result<(), ReleaseError> {
        self.check_count(contents.len())?;
        if !contents.is_sorted_by(|a, b| a < b) {
            return Err(ReleaseError::Order);
        }
        if tree_hash(contents) != self.tree {
            return Err(ReleaseError::Tree);
        }
        Ok(())
    }

    fn check_shape(&self) -> Result<(), ReleaseError> {
        self.label.check().map_err(ReleaseError::Label)?;
        if self.recipients.len() > RECIPIENTS_MAX {
            return Err(ReleaseError::Recipients { named: self.recipients.len() });
        }
        if self.kind.has_notice() && self.objects != 1 {
            return Err(ReleaseError::NoticeCount { kind: self.kind, objects: self.objects });
        }
        Ok(())
    }

    fn check(&self, origin: &VerifiedCard, now: Time) -> Result<(), ReleaseError> {
        if self.schema != RELEASE_SCHEMA {
            return Err(ReleaseError::Schema { found: self.schema.chars().take(80).collect() });
        }
        self.check_shape()?;
        if self.origin != origin.cert_id() {
            return Err(ReleaseError::Origin { expected: origin.cert_id(), found: self.origin });
        }
        if self.published_at > now.plus(CLOCK_SKEW_MAX) {
            return Err(ReleaseError::Future { published_at: self.published_at, now });
        }
        Ok(())
    }
}

impl Manifest {
    /// Why the origin's card has no key for this release.
    fn no_key(&self, origin: &VerifiedCard) -> ReleaseError {
        let (key, at) = (self.key, self.published_at);
        match origin.card().revoked_since(key) {
            Some(since) if since <= at => ReleaseError::Revoked { key, since, at },
            _ => ReleaseError::Key { key, at },
        }
    }
}

fn tree_hash(contents: &[ContentId]) -> TreeHash {
    merkle::root(&contents.iter().map(ContentId::as_bytes).collect::<Vec<_>>())
}

impl VerifiedRelease {
    /// Signs a release of our own.
    ///
    /// # Errors
    /// When there are no contents or too many, or the label or the recipients break their limits.
    pub fn sign(origin: CertId, key: &SecretKey, draft: ReleaseDraft) -> Result<Self, ReleaseError> {
        let ReleaseDraft { kind, label, recipients, mut contents, published_at } = draft;
        contents.sort_unstable();
        contents.dedup();
        let manifest = Manifest {
            schema: RELEASE_SCHEMA.to_owned(),
            suite: Suite::Ed25519,
            origin,
            key: key.public().id(),
            kind,
            published_at,
            label,
            recipients,
            objects: u32::try_from(contents.len()).unwrap_or(u32::MAX),
            tree: tree_hash(&contents),
        };
        manifest.check_shape()?;
        // INVARIANT: a label and recipients that passed their check fit into a manifest of MANIFEST_BYTES_MAX.
        let bytes = canonical::to_vec(&manifest).map_err(ReleaseError::Manifest)?;
        let signature = key.sign(RELEASE_TYPE, &bytes);
        let signed = SignedRelease { manifest: bytes, signature, contents };
        manifest.check_contents(&signed.contents)?;
        Ok(Self { id: signed.id(), manifest, signed })
    }

    /// The release's id.
    #[must_use]
    pub fn id(&self) -> ReleaseId {
        self.id
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The release as it travels.
    #[must_use]
    pub fn signed(&self) -> &SignedRelease {
        &self.signed
    }

    /// The content ids, strictly ascending.
    #[must_use]
    pub fn contents(&self) -> &[ContentId] {
        &self.signed.contents
    }
}
