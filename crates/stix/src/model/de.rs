//! A JSON value as a source for serde, so that what was read strictly is never read a second time.

use crate::json::{Map, Value};
use serde::{
    de::{self, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor, value::Error},
    forward_to_deserialize_any,
};
use std::{borrow::Cow, slice};

/// The adapter is a newtype, because the value itself is no promise of serde's.
#[derive(Clone, Copy)]
pub(super) struct Source<'v, 'a>(pub(super) &'v Value<'a>);

impl Source<'_, '_> {
    /// Tells objects with versions from observables, where the type does not.
    pub(super) fn is_versioned(self) -> bool {
        self.0.get("created").is_some() || self.0.get("modified").is_some()
    }
}

impl<'de> Deserializer<'de> for Source<'_, 'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(value) => visitor.visit_bool(*value),
            Value::Number(number) => match number.as_i64() {
                Some(value) => visitor.visit_i64(value),
                None => visitor.visit_f64(number.as_f64()),
            },
            Value::String(text) => visit_text(text.as_str(), visitor),
            Value::Array(values) => visitor.visit_seq(Elements(values.iter())),
            Value::Object(map) => visitor.visit_map(Members { rest: map.iter(), value: None }),
        }
    }

    /// A property that is there has a value: `null` is none of STIX's (STIX 2.1 §2).
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

fn visit_text<'de, V: Visitor<'de>>(text: Cow<'de, str>, visitor: V) -> Result<V::Value, Error> {
    match text {
        Cow::Borrowed(text) => visitor.visit_borrowed_str(text),
        Cow::Owned(text) => visitor.visit_string(text),
    }
}

struct Elements<'v, 'a>(slice::Iter<'v, Value<'a>>);

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Error;

    fn next_element_seed<T: de::DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        self.0.next().map(|value| seed.deserialize(Source(value))).transpose()
    }
}

struct Members<'v, 'a> {
    rest: <&'v Map<'a> as IntoIterator>::IntoIter,
    value: Option<&'v Value<'a>>,
}

impl<'de> MapAccess<'de> for Members<'_, 'de> {
    type Error = Error;

    fn next_key_seed<K: de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some(member) = self.rest.next() else { return Ok(None) };
        self.value = Some(&member.value);
        seed.deserialize(member.key.as_str().into_deserializer()).map(Some)
    }

    fn next_value_seed<V: de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        let value = self.value.take().ok_or_else(|| de::Error::custom("a value is asked for before its key"))?;
        seed.deserialize(Source(value))
    }
}
