//! Notices: the one object of a release that speaks of contents instead of publishing them.
//!
//! A notice is an object like any other, with a content id and canonical bytes, so it is signed, stored, fetched and
//! deduplicated as objects are. What it does is told by the kind of its release, never by the object: published as
//! ordinary data it does nothing.

use std::collections::BTreeSet;

use mithaq_stix::object::{Object, ObjectError};
use serde::{Deserialize, Serialize};

use crate::{
    body::{Body, BodyError},
    canonical::{self, CanonicalError},
    id::{ContentId, sha256_of, to_uuid},
    text::is_plain,
    time::Time,
};

/// The STIX type of notices, a custom one.
pub const NOTICE_TYPE: &str = "x-mithaq-notice";

/// The most contents that one notice names.
pub const NOTICE_CONTENTS_MAX: usize = 10_000;

/// The most bytes of a notice's reason.
pub const NOTICE_REASON_BYTES_MAX: usize = 1_000;

/// What a notice says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The contents that it speaks of.
    pub contents: BTreeSet<ContentId>,
    /// Why, for people; may be empty.
    pub reason: String,
}

/// A notice as it is written.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    contents: BTreeSet<ContentId>,
    created: Time,
    id: String,
    modified: Time,
    reason: String,
    spec_version: String,
    r#type: String,
}

/// Why an object is not a notice.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoticeError {
    /// It cannot be read as one.
    #[error("the notice cannot be read")]
    Document(#[source] CanonicalError),
    /// It is another object.
    #[error("the object has type {found:?}; a notice has {NOTICE_TYPE:?}")]
    Type {
        /// What it has.
        found: String,
    },
    /// It names nothing, or too much.
    #[error("the notice names {named} contents; 1 to {NOTICE_CONTENTS_MAX} are taken")]
    Count {
        /// How many it names.
        named: usize,
    },
    /// Its reason breaks its limits.
    #[error("the notice's reason is longer than {NOTICE_REASON_BYTES_MAX} bytes or has control or bidi characters")]
    Reason,
    /// It is no object.
    #[error("the notice is not a STIX object")]
    Object(#[from] ObjectError),
    /// It makes no body.
    #[error("the notice cannot be stored")]
    Body(#[from] BodyError),
}

impl Notice {
    /// Writes the notice as an object, made at `now`. The object's id is derived from what it says, so that one notice
    /// written twice is one object.
    ///
    /// # Errors
    /// When it names nothing or too much, or its reason breaks its limits.
    pub fn to_body(&self, now: Time) -> Result<Body, NoticeError> {
        self.check()?;
        let document = Document {
            contents: self.contents.clone(),
            created: now,
            id: self.object_id(now),
            modified: now,
            reason: self.reason.clone(),
            spec_version: "2.1".to_owned(),
            r#type: NOTICE_TYPE.to_owned(),
        };
        let bytes = canonical::to_vec(&document).map_err(NoticeError::Document)?;
        Ok(Body::of(&Object::parse(&bytes)?)?)
    }

    /// Reads a notice from the canonical bytes of an object.
    ///
    /// # Errors
    /// When the object is no notice or breaks its limits.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NoticeError> {
        let document: Document = canonical::from_slice(bytes).map_err(NoticeError::Document)?;
        if document.r#type != NOTICE_TYPE {
            return Err(NoticeError::Type { found: document.r#type.chars().take(80).collect() });
        }
        let notice = Self { contents: document.contents, reason: document.reason };
        notice.check()?;
        Ok(notice)
    }

    fn check(&self) -> Result<(), NoticeError> {
        if !(1..=NOTICE_CONTENTS_MAX).contains(&self.contents.len()) {
            return Err(NoticeError::Count { named: self.contents.len() });
        }
        if is_plain(&self.reason, NOTICE_REASON_BYTES_MAX) { Ok(()) } else { Err(NoticeError::Reason) }
    }

    fn object_id(&self, now: Time) -> String {
        let mut parts: Vec<&[u8]> = self.contents.iter().map(|content| &content.as_bytes()[..]).collect();
        let (now, reason) = (now.to_string(), self.reason.as_bytes());
        parts.extend([now.as_bytes(), reason]);
        format!("{NOTICE_TYPE}--{}", to_uuid(&sha256_of(&parts)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(reason: &str) -> Notice {
        let contents = [ContentId::from_bytes([1; 32]), ContentId::from_bytes([2; 32])].into();
        Notice { contents, reason: reason.to_owned() }
    }

    #[test]
    fn a_notice_is_read_as_it_was_written() {
        let written = notice("false positive: eigene Adresse").to_body(Time::from_micros(1)).unwrap();
        assert_eq!(Notice::from_bytes(written.bytes()).unwrap(), notice("false positive: eigene Adresse"));
        assert_eq!(written.facts().object_type(), NOTICE_TYPE);
        let again = Body::verify(written.id(), written.bytes().to_vec()).unwrap();
        assert_eq!(again, written);
    }

    #[test]
    fn nonsense_is_refused() {
        let none = Notice { contents: BTreeSet::new(), reason: String::new() };
        assert!(matches!(none.to_body(Time::from_micros(1)), Err(NoticeError::Count { named: 0 })));
        assert!(matches!(notice("a\u{1b}[2J").to_body(Time::from_micros(1)), Err(NoticeError::Reason)));
        let text = String::from_utf8(notice("").to_body(Time::from_micros(1)).unwrap().bytes().to_vec()).unwrap();
        assert!(Notice::from_bytes(text.replace("x-mithaq-notice\"", "x-mithaq-nothing\"").as_bytes()).is_err());
        assert!(Notice::from_bytes(text.replace("\"reason\"", "\"why\"").as_bytes()).is_err());
    }
}
