//! Every object of STIX 2.1 as a type of its own, for those who make objects or read all of one.
//!
//! A model holds what the standard defines in typed fields and everything else in `custom`, so that what is read and
//! written again is the same canonical JSON. Fields keep the text that they were read from: a timestamp its digits, a
//! digest its case. A model is stricter than [`crate::Object`], which relays what real producers write: it is made only
//! of objects whose properties have the standard's forms, and [`crate::validate`] tells what stands in the way.
//!
//! The same declarations say what validation checks: see [`Structure`] and [`structure_of`].
//!
//! ```
//! use mithaq_stix::{json, model::Model};
//!
//! let text = br#"{"type":"domain-name","id":"domain-name--ecb120bf-2694-4902-a737-62b74539a41b","value":"evil.example","x_rank":7}"#;
//! let Model::DomainName(domain) = Model::from_value(&json::parse(text)?)? else { panic!("another type") };
//! assert_eq!((domain.value.as_str(), &domain.custom["x_rank"]), ("evil.example", &7.into()));
//! assert_eq!(
//!     String::from_utf8(Model::DomainName(domain).canonical()?)?,
//!     r#"{"id":"domain-name--ecb120bf-2694-4902-a737-62b74539a41b","type":"domain-name","value":"evil.example","x_rank":7}"#
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[macro_use]
mod declare;
mod common;
mod de;
mod domain;
mod extension;
mod field;
mod observable;
mod relation;
mod shape;
pub mod vocabulary;

pub use common::*;
pub use domain::*;
pub use extension::*;
pub use observable::*;
pub use relation::*;
pub use shape::{Property, Shape, Shaped, Structure};
/// The types of fields.
pub mod fields {
    pub use super::field::*;
}

use crate::json::{self, Value};
use serde::{Deserialize, Serialize};
use thiserror::Error;

macro_rules! models {
    ($($variant:ident $name:ident),* $(,)?) => {
        /// An object of any type.
        #[derive(Debug, Clone, PartialEq)]
        #[non_exhaustive]
        #[allow(missing_docs, reason = "each variant is documented at its type")]
        pub enum Model {
            $($variant(Box<$name>),)*
            /// An object of a type that the standard does not define.
            Custom(Box<CustomObject>),
            /// An observable of a type that the standard does not define.
            CustomObservable(Box<CustomObservable>),
        }

        impl Model {
            fn of_type(object_type: &str, source: de::Source<'_, '_>) -> Result<Model, serde::de::value::Error> {
                match object_type {
                    $(<$name as Typed>::TYPE => $name::deserialize(source).map(|model| Model::$variant(Box::new(model))),)*
                    _ if source.is_versioned() => {
                        CustomObject::deserialize(source).map(|model| Model::Custom(Box::new(model)))
                    }
                    _ => CustomObservable::deserialize(source)
                        .map(|model| Model::CustomObservable(Box::new(model))),
                }
            }
        }

        impl Serialize for Model {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self {
                    $(Model::$variant(model) => model.serialize(serializer),)*
                    Model::Custom(model) => model.serialize(serializer),
                    Model::CustomObservable(model) => model.serialize(serializer),
                }
            }
        }

        /// What the standard wants of objects of this type; nothing, if it does not define the type.
        #[must_use]
        pub fn structure_of(object_type: &str) -> Option<&'static Structure> {
            match object_type {
                $(<$name as Typed>::TYPE => Some($name::STRUCTURE),)*
                _ => None,
            }
        }

        /// The types that the standard defines.
        pub const TYPES: &[&str] = &[$(<$name as Typed>::TYPE),*];
    };
}

models! {
    AttackPattern AttackPattern,
    Campaign Campaign,
    CourseOfAction CourseOfAction,
    Grouping Grouping,
    Identity IdentityObject,
    Incident Incident,
    Indicator Indicator,
    Infrastructure Infrastructure,
    IntrusionSet IntrusionSet,
    Location Location,
    Malware Malware,
    MalwareAnalysis MalwareAnalysis,
    Note Note,
    ObservedData ObservedDataObject,
    Opinion Opinion,
    Report Report,
    ThreatActor ThreatActor,
    Tool Tool,
    Vulnerability Vulnerability,
    Relationship Relationship,
    Sighting Sighting,
    Artifact ArtifactObject,
    AutonomousSystem AutonomousSystem,
    Directory Directory,
    DomainName DomainName,
    EmailAddr EmailAddr,
    EmailMessage EmailMessage,
    File File,
    Ipv4Addr Ipv4Addr,
    Ipv6Addr Ipv6Addr,
    MacAddr MacAddr,
    Mutex Mutex,
    NetworkTraffic NetworkTraffic,
    Process Process,
    Software Software,
    Url Url,
    UserAccount UserAccount,
    WindowsRegistryKey WindowsRegistryKey,
    X509Certificate X509Certificate,
    LanguageContent LanguageContent,
    MarkingDefinition MarkingDefinitionObject,
    ExtensionDefinition ExtensionDefinition,
    Bundle Bundle,
}

impl Model {
    /// Makes the model of an object.
    ///
    /// # Errors
    /// When `value` is no object, or a property of it has not the form that the standard gives it.
    pub fn from_value(value: &Value<'_>) -> Result<Model, ModelError> {
        let object_type = value.get("type").and_then(Value::as_str).unwrap_or_default();
        Model::of_type(&object_type, de::Source(value)).map_err(|error| ModelError { message: error.to_string() })
    }

    /// The object in canonical form (RFC 8785).
    ///
    /// # Errors
    /// When a value that was put into the model is none of I-JSON's, such as an integer beyond ±(2^53 − 1).
    pub fn canonical(&self) -> Result<Vec<u8>, ModelError> {
        let fail = |error: &dyn std::error::Error| ModelError { message: error.to_string() };
        let text = serde_json::to_vec(self).map_err(|error| fail(&error))?;
        let value = json::parse(&text).map_err(|error| fail(&error))?;
        Ok(json::canonical(&value))
    }
}

/// A model cannot be made of an object, or an object of a model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the object has not the form of its type: {message}")]
pub struct ModelError {
    message: String,
}

#[cfg(test)]
mod tests;
