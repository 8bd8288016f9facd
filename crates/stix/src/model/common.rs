//! What objects of all types are made of (STIX 2.1 §2, §3, §7).

use super::{
    field::{AnyObject, Custom, Hashes, Integer, MarkingDefinition, Ref, Word},
    shape::{Property, Shape, Shaped, Structure},
    vocabulary::{ExtensionType, SpecVersion},
};
use crate::{quote::quote, time::Timestamp};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{fmt, marker::PhantomData};

/// A model of objects of one type.
pub trait Typed {
    /// The type's name in JSON.
    const TYPE: &'static str;
}

/// The `type` of the objects that `T` models: it has no other value.
pub struct Tag<T>(PhantomData<fn() -> T>);

impl<T> Tag<T> {
    /// The one value.
    #[must_use]
    pub fn new() -> Self {
        Tag(PhantomData)
    }
}

impl<T> Default for Tag<T> {
    fn default() -> Self {
        Tag::new()
    }
}

impl<T> Clone for Tag<T> {
    fn clone(&self) -> Self {
        Tag::new()
    }
}

impl<T> PartialEq for Tag<T> {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl<T: Typed> fmt::Debug for Tag<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::TYPE)
    }
}

impl<T: Typed> Serialize for Tag<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(T::TYPE)
    }
}

impl<'de, T: Typed> Deserialize<'de> for Tag<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let found = String::deserialize(deserializer)?;
        if found == T::TYPE {
            Ok(Tag::new())
        } else {
            Err(D::Error::custom(format!("\"{}\" is not \"{}\"", quote(&found), T::TYPE)))
        }
    }
}

impl<T: Typed> Shaped for Tag<T> {
    const SHAPE: &'static Shape = &Shape::TypeName(T::TYPE);
}

structure! {
    /// A pointer to something outside of STIX.
    "2.5" ExternalReference "external-reference" {
        source_name: String,
        description: Option<String>,
        url: Option<String>,
        hashes: Option<Hashes>,
        external_id: Option<String>,
    }
}

structure! {
    /// A step in an attack.
    "2.11" KillChainPhase "kill-chain-phase" {
        kill_chain_name: String,
        phase_name: String,
    }
}

structure! {
    /// How parts of an object are to be handled, or in which language they are.
    "7.2.3" GranularMarking "granular-marking" {
        lang: Option<String>,
        marking_ref: Option<Ref<MarkingDefinition>>,
        selectors: Vec<String>,
    }
}

structure! {
    /// An extension that the standard does not define: what it adds is in `custom`.
    "7.3" Extension "extension" {
        extension_type: Option<Word<ExtensionType>>,
    }
}

extensions! {
    /// The extensions of an object for whose type the standard predefines none.
    "3.10" Extensions {}
}

versioned_structure! {
    /// An object with versions, of a type that the standard does not define.
    "11.2" CustomObject "custom object" [String] {}
}

observable_structure! {
    /// An observable of a type that the standard does not define: it has neither `created` nor `modified`.
    "11.2" CustomObservable "custom observable" [String] [Extensions] {}
}

structure! {
    /// A container of objects, which means nothing of itself.
    "8" Bundle "bundle" {
        object_type as "type": Tag<Bundle>,
        id: Ref<AnyObject>,
        objects: Option<Vec<serde_json::Value>>,
    }
}
object_type!(Bundle "bundle");
