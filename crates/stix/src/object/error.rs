//! Why an object is refused, each reason with a stable number that can be looked up.

use crate::{
    id::{IdError, TYPE_LENGTH_MAX, TYPE_LENGTH_MIN},
    json::{JsonError, JsonErrorKind},
    time::TimeError,
};
use thiserror::Error;

/// Why an object is refused, and where in it: `pointer` is a JSON pointer (RFC 6901).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// The text is not I-JSON.
    #[error("the object is not acceptable JSON: ask its producer to write it anew")]
    Json(#[from] JsonError),
    /// A JSON value that is no object stands where a STIX object should.
    #[error("{found} stands where a STIX object should: send a bundle or objects")]
    NotAnObject {
        /// What was found instead, with its article.
        found: &'static str,
    },
    /// A bundle stands where an object should.
    #[error("a bundle stands inside a bundle: send its objects, or the inner bundle on its own")]
    NestedBundle,
    /// A bundle's `objects` is not an array.
    #[error("/objects of a bundle is {found}: it must be an array of objects")]
    BundleObjects {
        /// What was found instead, with its article.
        found: &'static str,
    },
    /// The object, or the bundle around it, is STIX 2.0.
    #[error("this is STIX 2.0, by its {evidence}: convert it to STIX 2.1 and send it again")]
    Stix20 {
        /// What tells.
        evidence: &'static str,
    },
    /// The object claims a version of STIX that is neither 2.0 nor 2.1.
    #[error("/spec_version is \"{found}\": only STIX 2.1 is taken")]
    SpecVersion {
        /// The version it claims.
        found: String,
    },
    /// A property that identity, versioning or policy needs is not there.
    #[error("{pointer} is missing: ask the object's producer to add it")]
    Missing {
        /// Where it should be.
        pointer: String,
    },
    /// A property has a value of the wrong kind.
    #[error("{pointer} is {found}: it must be {expected}")]
    WrongKind {
        /// Where.
        pointer: String,
        /// What is there, with its article.
        found: &'static str,
        /// What should be, with its article.
        expected: &'static str,
    },
    /// The `type` cannot name an object type.
    #[error(
        "/type is \"{found}\": it must be {TYPE_LENGTH_MIN} to {TYPE_LENGTH_MAX} characters of a-z, 0-9 and hyphen"
    )]
    Type {
        /// What is there.
        found: String,
    },
    /// The `id` is no identifier.
    #[error("/id \"{found}\" is not a STIX identifier such as indicator--UUID")]
    Id {
        /// What is there.
        found: String,
        /// What is wrong with it.
        source: IdError,
    },
    /// The `id` belongs to another type than the object's.
    #[error("/id \"{found}\" does not begin with the object's type \"{object_type}\": correct the one or the other")]
    IdOfOtherType {
        /// The identifier.
        found: String,
        /// The object's type.
        object_type: String,
    },
    /// A timestamp is malformed.
    #[error("{pointer} \"{found}\" is not a STIX timestamp such as 2024-05-01T00:00:00.000Z")]
    Timestamp {
        /// Where.
        pointer: String,
        /// What is there.
        found: String,
        /// What is wrong with it.
        source: TimeError,
    },
    /// A reference that policy depends on is no identifier.
    #[error("{pointer} \"{found}\" is not a STIX identifier, so that no policy can be applied: correct it")]
    Reference {
        /// Where.
        pointer: String,
        /// What is there.
        found: String,
        /// What is wrong with it.
        source: IdError,
    },
    /// A marking reference names something else than a marking.
    #[error(
        "{pointer} \"{found}\" is not the id of a marking-definition, so that no policy can be applied: correct it"
    )]
    NotAMarking {
        /// Where.
        pointer: String,
        /// What is there.
        found: String,
    },
}

impl ObjectError {
    /// The error's stable number, an entry of [`ERROR_CODES`].
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            ObjectError::Json(error) => json_code(error.kind),
            ObjectError::NotAnObject { .. } => 1010,
            ObjectError::NestedBundle => 1011,
            ObjectError::BundleObjects { .. } => 1012,
            ObjectError::Stix20 { .. } => 1013,
            ObjectError::SpecVersion { .. } => 1014,
            ObjectError::Missing { .. } => 1020,
            ObjectError::WrongKind { .. } => 1021,
            ObjectError::Type { .. } => 1022,
            ObjectError::Id { .. } => 1023,
            ObjectError::IdOfOtherType { .. } => 1024,
            ObjectError::Timestamp { .. } => 1025,
            ObjectError::Reference { .. } => 1027,
            ObjectError::NotAMarking { .. } => 1028,
        }
    }
}

/// The stable number of a JSON error, an entry of [`ERROR_CODES`].
fn json_code(kind: JsonErrorKind) -> u16 {
    match kind {
        _ if kind.is_syntax() => 1001,
        JsonErrorKind::InvalidUtf8 => 1002,
        JsonErrorKind::DuplicateKey => 1003,
        JsonErrorKind::LoneSurrogate => 1004,
        JsonErrorKind::Depth => 1006,
        JsonErrorKind::TooLong(_) | JsonErrorKind::TooManyValues(_) => 1007,
        _ => 1005,
    }
}

/// Every number that [`ObjectError::code`] returns: the number, a title, an explanation.
pub const ERROR_CODES: &[(u16, &str, &str)] = &[
    (
        1001,
        "The text is not JSON",
        "The text breaks off or breaks JSON's grammar (RFC 8259) at the place named. What came before it was read; \
         nothing after it can be trusted. Look for a file that was cut short or joined wrongly, and send it again whole.",
    ),
    (
        1002,
        "A string is not UTF-8",
        "STIX is UTF-8 (STIX 2.1 §2). The object was probably written by a tool that uses another encoding. \
         Have its producer write it again as UTF-8.",
    ),
    (
        1003,
        "A name appears twice in one JSON object",
        "Readers differ in which of the two they take, so that one could read TLP:RED where another reads TLP:CLEAR. \
         I-JSON (RFC 7493 §2.3) forbids it. Have the object's producer write each name once.",
    ),
    (
        1004,
        "A string holds half a surrogate pair",
        "An escape such as \\ud800 stands without its other half. That is no character, and readers differ in what \
         they make of it (RFC 7493 §2.1). The text was probably cut in the middle of an emoji.",
    ),
    (
        1005,
        "A number does not survive an IEEE double",
        "Integers beyond ±9007199254740991 are rounded by many readers and numbers beyond 1.8e308 become infinite, so \
         that two CERTs would hold two objects. STIX 2.1 §2.10 sets the same range. Send such a number as a string.",
    ),
    (
        1006,
        "Arrays and objects nest too deeply",
        "No STIX object needs more than 64 levels; deeper ones are made to exhaust the memory of whoever reads them.",
    ),
    (
        1007,
        "The object is too large",
        "One object may take 16 MiB of text and hold 262,144 values. Share large artifacts by reference (`url` and \
         `hashes`) instead of by `payload_bin`, and split large reports.",
    ),
    (
        1010,
        "Not a JSON object",
        "The input must be a STIX bundle, STIX objects one after the other, or several bundles. A list of objects \
         belongs into the `objects` of a bundle.",
    ),
    (
        1011,
        "A bundle inside a bundle",
        "A bundle is a container and no STIX object (STIX 2.1 §8). Put the inner bundle's objects into the outer one.",
    ),
    (1012, "A bundle's `objects` is not a list", "STIX 2.1 §8.1: `objects` is a list of STIX objects, or left out."),
    (
        1013,
        "STIX 2.0",
        "The object is STIX 2.0, which means other things by the same names. Convert it to STIX 2.1 and send it again.",
    ),
    (
        1014,
        "An unknown version of STIX",
        "`spec_version` is neither \"2.1\" nor \"2.0\". This version of the program takes STIX 2.1.",
    ),
    (
        1020,
        "A property is missing",
        "Identity, versions and policy depend on the property named: every object has `type` and `id`; domain and \
         relationship objects have `created` and `modified`; a marking definition has `created`; a granular marking \
         has `selectors` and either `marking_ref` or `lang`.",
    ),
    (
        1021,
        "A property is of the wrong kind",
        "Identity, versions and policy depend on the property named, and its value cannot be understood. Timestamps, \
         identifiers and types are strings, `revoked` is true or false, marking references are a list of strings.",
    ),
    (1022, "Not a type name", "STIX 2.1 §3.1: `type` has 3 to 250 characters out of a-z, 0-9 and hyphen."),
    (
        1023,
        "Not a STIX identifier",
        "STIX 2.1 §2.9: an `id` is the object's type, two hyphens and a UUID, such as \
         indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f.",
    ),
    (
        1024,
        "The identifier is of another type",
        "STIX 2.1 §2.9: the part of `id` before the two hyphens equals `type`. Otherwise two objects of different \
         types could be taken for versions of each other.",
    ),
    (
        1025,
        "Not a STIX timestamp",
        "STIX 2.1 §2.16: a timestamp has the form YYYY-MM-DDTHH:MM:SS[.fraction]Z, in UTC, with a capital T and Z.",
    ),
    (
        1027,
        "Not a reference",
        "`created_by_ref`, `object_marking_refs` and `marking_ref` decide who owns an object and who may see it. One \
         that is not an identifier cannot be understood, and the object is refused rather than guessed about.",
    ),
    (
        1028,
        "A marking reference that names no marking",
        "`object_marking_refs` and `marking_ref` hold ids that begin with marking-definition-- (STIX 2.1 §7.2). \
         Anything else cannot be understood, and the object is refused rather than guessed about.",
    ),
];
