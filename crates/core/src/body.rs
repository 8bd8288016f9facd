//! Bodies: the canonical bytes of objects, checked against their content ids, with the facts that labels and
//! indexes are made of.

use std::collections::BTreeSet;

use mithaq_stix::{
    id::{StixId, StixIdRef},
    marking::Tlp,
    object::{Object, ObjectError},
    observable::Observable,
};

use crate::{
    id::{ContentId, ContentPrefix},
    label::{Category, Confidence, LABEL_SET_MAX, Label, Marking, SECTOR_BYTES_MAX},
    personal::{is_personal, is_personal_type},
    words,
};

/// The largest canonical body: 1 MiB.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// What the rest of Mithaq needs to know of an object without reading it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The object's STIX id, `type--UUID`.
    pub stix_id: String,
    /// Its version: `modified`, else `created`, in nanoseconds since the Unix epoch; `None` if it has neither.
    pub version_nanos: Option<i128>,
    /// Whether it says that it is revoked.
    pub revoked: bool,
    /// The identity that it says created it.
    pub created_by_ref: Option<String>,
    /// The strictest TLP level among its object and granular markings.
    pub tlp: Option<Tlp>,
    /// Its markings other than TLP, object and granular.
    pub markings: BTreeSet<String>,
    /// The sectors it names.
    pub sectors: BTreeSet<String>,
    /// The confidence it states.
    pub confidence: Confidence,
    /// Whether it holds personal data itself.
    pub personal: bool,
    /// The ids that define what it speaks of, and every other reference but those to identities, markings and extension
    /// definitions; ascending, each once.
    pub subject_refs: Vec<String>,
    /// The normalised values to find it by.
    pub observables: Vec<Observable>,
    /// The words to find it by, each once; none of indicators and observables.
    pub words: Vec<String>,
    /// The object of whose text it is a translation.
    pub translates: Option<String>,
}

impl Facts {
    /// Reads the facts of an object.
    #[must_use]
    pub fn of(object: &Object<'_>) -> Self {
        let mut tlp = None;
        let mut markings = BTreeSet::new();
        for id in object.marking_refs() {
            match Tlp::from_marking_id(id.as_str()) {
                Some(level) => tlp = tlp.max(Some(level)),
                None => drop(markings.insert(id.as_str().to_owned())),
            }
        }
        let version = object.modified().or_else(|| object.created());
        let observables = object.observables();
        Self {
            stix_id: object.id().as_str().to_owned(),
            version_nanos: version.map(|time| time.unix_nanos()),
            revoked: object.revoked(),
            created_by_ref: object.created_by_ref().map(|id| id.to_string()),
            tlp,
            markings,
            sectors: object.sectors().into_iter().map(|sector| sector.to_string()).collect(),
            confidence: Confidence::of(object.confidence()),
            personal: is_personal(object, &observables),
            subject_refs: subject_refs(object),
            observables,
            words: words::of_object(object),
            translates: translated(object),
        }
    }

    /// The object's STIX type.
    #[must_use]
    pub fn object_type(&self) -> &str {
        self.stix_id.split_once("--").map_or("", |(object_type, _)| object_type)
    }

    /// The label of the object by itself, with `default` as the level of unmarked data and no marking but TLP known.
    ///
    /// What it refers to counts here only by type, which its id tells; levels and markings of what it refers to
    /// are joined by [`split`](crate::split).
    #[must_use]
    pub fn own_label(&self, default: Tlp) -> Label {
        self.marked_label(default, &mut |_| Marking::Unknown)
    }

    /// As [`Facts::own_label`], where `known` tells what a marking other than TLP means.
    #[must_use]
    pub fn marked_label(&self, default: Tlp, known: &mut dyn FnMut(&str) -> Marking) -> Label {
        let mut label = Label {
            tlp: self.tlp.unwrap_or(default),
            categories: self.categories(),
            sectors: within_reach(&self.sectors),
            confidence: self.confidence,
            personal: self.personal || self.subject_types().any(is_personal_type),
            ..Label::nothing()
        };
        for id in &self.markings {
            label.mark(id, &known(id));
        }
        label.markings = within_reach(&label.markings);
        label
    }

    fn subject_types(&self) -> impl Iterator<Item = &str> {
        self.subject_refs.iter().filter_map(|id| Some(id.split_once("--")?.0))
    }

    fn categories(&self) -> BTreeSet<Category> {
        let mut categories: BTreeSet<_> = self.subject_types().filter_map(Category::of_type).collect();
        categories.extend(Category::of_type(self.object_type()));
        if categories.is_empty() {
            // A relationship between relationships says nothing of its subject: fail closed.
            categories.insert(Category::Custom);
        }
        categories
    }

    /// Whether a release's label is as strict as what the object says of itself, so far as anyone can tell who has
    /// nothing but the two.
    ///
    /// What its markings mean may stand in definitions that are not at hand, so one that the label does not name must
    /// show in one of the fields that stand for markings. What is personal is a judgement, and versions may differ.
    #[must_use]
    pub fn is_covered_by(&self, label: &Label) -> bool {
        let mut own = self.own_label(label.tlp);
        own.personal = false;
        if label.statements || label.pap.is_some() || label.iep.is_some() {
            own.markings.clear();
        }
        label.covers(&own)
    }
}

/// Whatever an object refers to under any name is a part of what it tells: the id of an address is a hash of the
/// address, and a custom property must not hide a reference. Who made an object and how it is marked are no subjects.
fn subject_refs(object: &Object<'_>) -> Vec<String> {
    let about =
        |id: &StixIdRef<'_>| !matches!(id.object_type(), "identity" | "marking-definition" | "extension-definition");
    let ids: BTreeSet<String> =
        object.refs().into_iter().filter(about).chain(object.subject_refs()).map(|id| id.to_string()).collect();
    ids.into_iter().collect()
}

/// What a `language-content` is a translation of (STIX 2.1 §7.1).
fn translated(object: &Object<'_>) -> Option<String> {
    let id = object.value().get("object_ref").filter(|_| object.object_type() == "language-content")?.as_str()?;
    StixId::parse(&id).ok().map(|id| id.as_str().to_owned())
}

/// Cuts a hostile set to the least that still breaks a label's limits: labels are copied along references.
fn within_reach(texts: &BTreeSet<String>) -> BTreeSet<String> {
    texts
        .iter()
        .take(LABEL_SET_MAX + 1)
        .map(|text| match text.len() {
            0..=SECTOR_BYTES_MAX => text.clone(),
            _ => text.chars().take(SECTOR_BYTES_MAX + 1).collect(),
        })
        .collect()
}

/// The canonical bytes of an object, known to be strict, canonical and named by `id`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    id: ContentId,
    bytes: Vec<u8>,
    facts: Facts,
}

/// Why bytes are not the body that they should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The object is too large.
    #[error("the object has {bytes} canonical bytes; at most {BODY_BYTES_MAX} are taken")]
    TooLarge {
        /// Its canonical size.
        bytes: usize,
    },
    /// The bytes are other than the content id says.
    #[error("the bytes hash to {found}, not to {expected}")]
    Hash {
        /// The id that was asked for.
        expected: ContentId,
        /// The id of what came.
        found: ContentId,
    },
    /// The bytes hash to an id that does not begin as it should.
    #[error("the bytes hash to {found}, which does not begin with {expected}")]
    Prefix {
        /// How the id of what was asked for begins.
        expected: ContentPrefix,
        /// The id of what came.
        found: ContentId,
    },
    /// The bytes are not in canonical form.
    #[error("the object is not in canonical form (RFC 8785)")]
    NotCanonical,
    /// The bytes are not a STIX object.
    #[error("the bytes are not a STIX 2.1 object")]
    Object(#[source] ObjectError),
}

/// The content id of bytes that may be a body's.
fn hash(bytes: &[u8]) -> Result<ContentId, BodyError> {
    if bytes.len() <= BODY_BYTES_MAX {
        Ok(ContentId::of(bytes))
    } else {
        Err(BodyError::TooLarge { bytes: bytes.len() })
    }
}

impl Body {
    /// Makes the body of an object that was just read.
    ///
    /// # Errors
    /// When it is larger than [`BODY_BYTES_MAX`].
    pub fn of(object: &Object<'_>) -> Result<Self, BodyError> {
        let bytes = object.canonical().into_owned();
        if bytes.len() > BODY_BYTES_MAX {
            return Err(BodyError::TooLarge { bytes: bytes.len() });
        }
        Ok(Self { id: ContentId::of(&bytes), bytes, facts: Facts::of(object) })
    }

    /// Checks bytes from a peer or a disk against the content id that they should have.
    ///
    /// # Errors
    /// When they are too large, hash to another id, or are not the canonical form of a STIX object.
    pub fn verify(expected: ContentId, bytes: Vec<u8>) -> Result<Self, BodyError> {
        let found = hash(&bytes)?;
        if found == expected { Self::parse(found, bytes) } else { Err(BodyError::Hash { expected, found }) }
    }

    /// Checks bytes from a peer against the prefix that their content id should have. Whether they are what was meant
    /// is told by all ids of the release together.
    ///
    /// # Errors
    /// When they are too large, hash to another prefix, or are not the canonical form of a STIX object.
    pub fn verify_prefix(expected: ContentPrefix, bytes: Vec<u8>) -> Result<Self, BodyError> {
        let found = hash(&bytes)?;
        if found.prefix() == expected { Self::parse(found, bytes) } else { Err(BodyError::Prefix { expected, found }) }
    }

    fn parse(id: ContentId, bytes: Vec<u8>) -> Result<Self, BodyError> {
        let object = Object::parse(&bytes).map_err(BodyError::Object)?;
        if *object.canonical() != bytes[..] {
            return Err(BodyError::NotCanonical);
        }
        let facts = Facts::of(&object);
        Ok(Self { id, bytes, facts })
    }

    /// The content id.
    #[must_use]
    pub fn id(&self) -> ContentId {
        self.id
    }

    /// The canonical bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The facts.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}
