//! STIX 2.1 for those who relay it: objects, bundles, markings, patterns and observables over borrowed bytes.
//!
//! The crate reads what strangers send and answers questions of it: is this well-formed I-JSON, which id and version is
//! it, who made it, how is it marked, what does it speak of, what are its canonical bytes. It is strict about JSON
//! (RFC 7493) and about what identity, versioning and policy hang on, and transparent about everything else: unknown
//! objects, extensions and properties keep every byte of their meaning. For those who make objects it has models of all
//! types and everything that the standard has to say against an object.
//!
//! It is a pure leaf. It has no clock, socket, file, randomness or `async`, it never panics on data from outside, and it
//! knows nothing of the organisations that share the objects.
//!
//! ```
//! use mithaq_stix::{bundle::Reader, marking::Tlp};
//!
//! let text = br#"{"type":"bundle","id":"bundle--b7ab1e7c-8a4c-4c6f-9d84-d6b2a3dc1f02","objects":[
//!   {"type":"indicator","spec_version":"2.1","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
//!    "created":"2024-05-01T00:00:00.000Z","modified":"2024-05-01T00:00:00.000Z",
//!    "pattern":"[domain-name:value = 'evil[.]Example']","pattern_type":"stix","valid_from":"2024-05-01T00:00:00Z",
//!    "object_marking_refs":["marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb"]}]}"#;
//! for entry in Reader::new(text) {
//!     let object = entry?.object?;
//!     let levels: Vec<_> = object.object_marking_refs().filter_map(|id| Tlp::from_marking_id(id.as_str())).collect();
//!     assert_eq!(levels, [Tlp::Green]);
//!     assert_eq!(object.observables()[0].value, "evil.example");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// A test may fail where it stands.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

pub mod bundle;
pub mod id;
pub mod json;
pub mod marking;
pub mod model;
pub mod object;
pub mod observable;
pub mod pattern;
mod quote;
pub mod sco_id;
pub mod time;
pub mod upgrade;
pub mod validate;

pub use bundle::{Entry, Reader};
pub use id::{IdError, StixId, StixIdRef};
pub use marking::Tlp;
pub use object::{ERROR_CODES, Object, ObjectClass, ObjectError};
pub use observable::{Network, Observable, ObservableKind, Place};
pub use time::{Timestamp, TimestampRef};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
