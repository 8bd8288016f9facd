//! What the standard wants of a property's value, told by the type of the field that holds it.

use super::vocabulary::Vocabulary;

/// The form of a value.
#[derive(Debug)]
#[non_exhaustive]
pub enum Shape {
    /// Any JSON value.
    Any,
    /// `true` or `false`.
    Boolean,
    /// A whole number within bounds, both included.
    Integer {
        /// The least.
        min: i64,
        /// The greatest.
        max: i64,
    },
    /// A number within bounds, both included.
    Number {
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
    },
    /// Text.
    String,
    /// A timestamp (STIX 2.1 §2.16).
    Timestamp,
    /// The `type` of an object: this text and no other.
    TypeName(&'static str),
    /// A word of a vocabulary, or its enumeration.
    Word(&'static Vocabulary),
    /// The identifier of an object of one of these types, or of any type if there are none (STIX 2.1 §2.9).
    Reference(&'static [&'static str]),
    /// Bytes in hexadecimal (STIX 2.1 §2.8).
    Hex,
    /// Bytes in base64 (STIX 2.1 §2.1).
    Binary,
    /// Digests, each under the name of its algorithm (STIX 2.1 §2.7).
    Hashes,
    /// Values of this form under names that the producer chose (STIX 2.1 §2.3).
    Dictionary(&'static Shape),
    /// One or more values of this form (STIX 2.1 §2.12).
    List(&'static Shape),
    /// An object of a known structure.
    Object(&'static Structure),
    /// Extensions, some of them of a known structure (STIX 2.1 §3.10, §7.3).
    Extensions(&'static Structure),
}

/// The properties that the standard gives an object, or a part of one.
#[derive(Debug)]
pub struct Structure {
    /// The object type, or the name of the part.
    pub name: &'static str,
    /// The section of STIX 2.1 that defines it.
    pub section: &'static str,
    /// Its properties.
    pub properties: &'static [Property],
}

/// A property of a [`Structure`].
#[derive(Debug)]
pub struct Property {
    /// Its name in JSON.
    pub name: &'static str,
    /// The form of its value.
    pub shape: &'static Shape,
    /// It must be there.
    pub is_required: bool,
}

impl Structure {
    /// The property called `name`.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'static Property> {
        self.properties.iter().find(|property| property.name == name)
    }
}

/// A type of field, and what it wants of a value.
pub trait Shaped {
    /// The form of the value.
    const SHAPE: &'static Shape;
    /// The property must be there.
    const IS_REQUIRED: bool = true;

    /// The property is not there.
    fn is_absent(&self) -> bool {
        false
    }
}

impl<T: Shaped> Shaped for Option<T> {
    const SHAPE: &'static Shape = T::SHAPE;
    const IS_REQUIRED: bool = false;

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Shaped> Shaped for Vec<T> {
    const SHAPE: &'static Shape = &Shape::List(T::SHAPE);
}

impl Shaped for bool {
    const SHAPE: &'static Shape = &Shape::Boolean;
}

impl Shaped for String {
    const SHAPE: &'static Shape = &Shape::String;
}

impl Shaped for serde_json::Value {
    const SHAPE: &'static Shape = &Shape::Any;
}
