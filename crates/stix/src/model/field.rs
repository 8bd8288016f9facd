//! The types of fields: each keeps the text that it was read from, so that it is written back byte for byte.

use super::{
    shape::{Shape, Shaped},
    vocabulary::Vocabulary,
};
use crate::{
    id::{StixId, StixIdRef},
    json::INTEGER_MAX,
    quote::quote,
    time::Timestamp,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{collections::BTreeMap, fmt, marker::PhantomData};

/// The least integer that STIX knows (STIX 2.1 §2.10).
pub const INTEGER_MIN: i64 = -INTEGER_MAX;

/// Properties that the standard does not define, under their names.
pub type Custom = BTreeMap<String, serde_json::Value>;

/// Values under names that the producer chose.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dictionary<T>(pub BTreeMap<String, T>);

impl<T: Shaped> Shaped for Dictionary<T> {
    const SHAPE: &'static Shape = &Shape::Dictionary(T::SHAPE);
}

/// Digests, each under the name of its algorithm.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hashes(pub BTreeMap<String, String>);

impl Shaped for Hashes {
    const SHAPE: &'static Shape = &Shape::Hashes;
}

/// Bytes in hexadecimal, as they were written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hex(pub String);

impl Shaped for Hex {
    const SHAPE: &'static Shape = &Shape::Hex;
}

/// Bytes in base64, as they were written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Binary(pub String);

impl Shaped for Binary {
    const SHAPE: &'static Shape = &Shape::Binary;
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Integer<const MIN: i64 = INTEGER_MIN, const MAX: i64 = INTEGER_MAX>(i64);

/// A whole number that is not negative.
pub type Count = Integer<0>;

impl<const MIN: i64, const MAX: i64> Integer<MIN, MAX> {
    /// The number, if it is within the bounds.
    #[must_use]
    pub fn new(value: i64) -> Option<Self> {
        (MIN..=MAX).contains(&value).then_some(Integer(value))
    }

    /// The number.
    #[must_use]
    pub fn value(self) -> i64 {
        self.0
    }
}

impl<'de, const MIN: i64, const MAX: i64> Deserialize<'de> for Integer<MIN, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = i64::deserialize(deserializer)?;
        Integer::new(value).ok_or_else(|| D::Error::custom(format!("{value} is not within {MIN} to {MAX}")))
    }
}

impl<const MIN: i64, const MAX: i64> Shaped for Integer<MIN, MAX> {
    const SHAPE: &'static Shape = &Shape::Integer { min: MIN, max: MAX };
}

/// A number of at most `BOUND`, and at least its negative.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Number<const BOUND: i64 = { i64::MAX }>(f64);

impl<const BOUND: i64> Number<BOUND> {
    /// The number, if it is within the bounds.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        (value.abs() <= Self::MAX).then_some(Number(value))
    }

    /// The number.
    #[must_use]
    pub fn value(self) -> f64 {
        self.0
    }

    /// The bound; the widest stands for none.
    #[allow(clippy::cast_precision_loss, reason = "bounds are small, or all that a double holds")]
    const MAX: f64 = if BOUND == i64::MAX { f64::MAX } else { BOUND as f64 };
}

impl<'de, const BOUND: i64> Deserialize<'de> for Number<BOUND> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = f64::deserialize(deserializer)?;
        Number::new(value).ok_or_else(|| D::Error::custom(format!("{value} is not within ±{BOUND}")))
    }
}

impl<const BOUND: i64> Shaped for Number<BOUND> {
    const SHAPE: &'static Shape = &Shape::Number { min: -Self::MAX, max: Self::MAX };
}

impl Shaped for Timestamp {
    const SHAPE: &'static Shape = &Shape::Timestamp;
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Timestamp::parse(&text).map_err(|error| D::Error::custom(format!("\"{}\": {error}", quote(&text))))
    }
}

/// The types of objects that a reference may lead to.
pub trait Target {
    /// Their names; none means any type.
    const TYPES: &'static [&'static str];
}

/// An identifier that leads to an object of the types of `T`, in the case that its producer wrote it in.
pub struct Ref<T> {
    text: String,
    target: PhantomData<fn() -> T>,
}

impl<T: Target> Ref<T> {
    /// Reads an identifier.
    ///
    /// # Errors
    /// When `text` is no identifier, or that of an object of another type.
    pub fn parse(text: &str) -> Result<Self, RefError> {
        let id = StixIdRef::borrow(text).map_err(RefError::NotAnId)?;
        if !T::TYPES.is_empty() && !T::TYPES.contains(&id.object_type()) {
            return Err(RefError::OtherType { expected: T::TYPES });
        }
        Ok(Ref { text: text.to_owned(), target: PhantomData })
    }
}

impl<T> Ref<T> {
    /// The identifier, in the one form that compares.
    #[must_use]
    #[allow(clippy::expect_used, reason = "the text was read as an identifier before")]
    pub fn id(&self) -> StixId {
        // INVARIANT: `parse`, the only way in, read the same text.
        StixId::parse(&self.text).expect("an identifier that was parsed")
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// A text is no reference of the wanted kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefError {
    /// It is no identifier.
    #[error("it is not a STIX identifier")]
    NotAnId(#[source] crate::id::IdError),
    /// It leads to an object of another type.
    #[error("it must be the identifier of {}", expected.join(" or "))]
    OtherType {
        /// The types that it may lead to.
        expected: &'static [&'static str],
    },
}

// Written out, because a derive would ask the same of `T`, which is only a name.
impl<T> Clone for Ref<T> {
    fn clone(&self) -> Self {
        Ref { text: self.text.clone(), target: PhantomData }
    }
}

impl<T> PartialEq for Ref<T> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<T> fmt::Debug for Ref<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<T> Serialize for Ref<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, T: Target> Deserialize<'de> for Ref<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ref::parse(&text).map_err(|error| D::Error::custom(format!("\"{}\": {error}", quote(&text))))
    }
}

impl<T: Target> Shaped for Ref<T> {
    const SHAPE: &'static Shape = &Shape::Reference(T::TYPES);
}

/// The set of types of references, each of which is a type of its own.
macro_rules! targets {
    ($($(#[$meta:meta])* $name:ident [$($object_type:literal)*])*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name;

        impl Target for $name {
            const TYPES: &'static [&'static str] = &[$($object_type),*];
        }
    )*};
}

targets! {
    /// An object of any type.
    AnyObject []
    /// How data is to be handled.
    MarkingDefinition ["marking-definition"]
    /// What was observed.
    ObservedData ["observed-data"]
    /// Where something was seen.
    IdentityOrLocation ["identity" "location"]
    /// A program.
    Software ["software"]
    /// What malware can be found in.
    FileOrArtifact ["file" "artifact"]
    /// What an analysis was made of.
    Sample ["file" "artifact" "network-traffic"]
    /// Bytes that were kept.
    Artifact ["artifact"]
    /// A folder.
    Directory ["directory"]
    /// What a folder holds.
    FileOrDirectory ["file" "directory"]
    /// A file.
    File ["file"]
    /// What a domain name leads to.
    AddressOrDomain ["ipv4-addr" "ipv6-addr" "domain-name"]
    /// The address of a network card.
    MacAddress ["mac-addr"]
    /// A network that addresses belong to.
    AutonomousSystem ["autonomous-system"]
    /// A user's account.
    UserAccount ["user-account"]
    /// The address of a mailbox.
    EmailAddress ["email-addr"]
    /// An end of a connection.
    NetworkEnd ["ipv4-addr" "ipv6-addr" "mac-addr" "domain-name"]
    /// A connection.
    NetworkTraffic ["network-traffic"]
    /// A running program.
    Process ["process"]
}

/// A word of the vocabulary `V`, or any other where the vocabulary is open.
pub struct Word<V> {
    text: String,
    vocabulary: PhantomData<fn() -> V>,
}

/// A type that stands for a vocabulary.
pub trait Words {
    /// The vocabulary.
    const VOCABULARY: &'static Vocabulary;
}

impl<V: Words> Word<V> {
    /// The word, if the vocabulary has it or is open.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_allowed = V::VOCABULARY.is_open || V::VOCABULARY.contains(text);
        is_allowed.then(|| Word { text: text.to_owned(), vocabulary: PhantomData })
    }

    /// Tells whether the vocabulary has the word.
    #[must_use]
    pub fn is_known(&self) -> bool {
        V::VOCABULARY.contains(&self.text)
    }

    /// The word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl<V> Clone for Word<V> {
    fn clone(&self) -> Self {
        Word { text: self.text.clone(), vocabulary: PhantomData }
    }
}

impl<V> PartialEq for Word<V> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl<V> fmt::Debug for Word<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl<V> Serialize for Word<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, V: Words> Deserialize<'de> for Word<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Word::new(&text)
            .ok_or_else(|| D::Error::custom(format!("\"{}\" is no word of {}", quote(&text), V::VOCABULARY.name)))
    }
}

impl<V: Words> Shaped for Word<V> {
    const SHAPE: &'static Shape = &Shape::Word(V::VOCABULARY);
}
