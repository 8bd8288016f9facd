//! I-JSON (RFC 7493) in, canonical JSON (RFC 8785, JCS) out, over borrowed bytes.
//!
//! The reader refuses what two readers could understand differently: a name that appears twice, half a surrogate pair,
//! integers that round, numbers that overflow, nesting without end. What it accepts has one meaning and one canonical
//! form. While it reads it notices whether the text already *is* that form, which is the usual case between peers, so
//! that the bytes can be passed on as they stand.

mod canonical;
mod error;
mod lex;
mod number;
mod parse;
mod scan;
mod skip;
mod text;

pub use canonical::{canonical, write_canonical};
pub use error::{JsonError, JsonErrorKind};
pub use number::Number;
pub(crate) use parse::{Limits, Parser, Step};
pub(crate) use scan::{Mark, Scanner};
pub(crate) use skip::value_end;
use std::{cmp::Ordering, fmt};
pub use text::Str;

/// The most arrays and objects that may be open at once.
pub const DEPTH_MAX: usize = 64;

/// The largest integer that every JSON reader holds exactly, 2^53 − 1 (RFC 7493 §2.2).
pub const INTEGER_MAX: i64 = (1 << 53) - 1;

/// Reads one JSON value, strictly.
///
/// ```
/// let value = mithaq_stix::json::parse(br#"{"name": "Ru\u006bh", "n": 1}"#)?;
/// assert_eq!(value.get("name").and_then(|name| name.as_str()).as_deref(), Some("Rukh"));
/// # Ok::<(), mithaq_stix::json::JsonError>(())
/// ```
///
/// # Errors
/// When `input` is not exactly one I-JSON value within [`DEPTH_MAX`], with whitespace around it or without.
pub fn parse(input: &[u8]) -> Result<Value<'_>, JsonError> {
    let mut parser = Parser::new(input);
    parser.document()
}

/// Tells whether `input` is I-JSON in its RFC 8785 form, byte for byte.
#[must_use]
pub fn is_canonical(input: &[u8]) -> bool {
    let mut parser = Parser::new(input);
    parser.document().is_ok() && parser.is_canonical()
}

/// A JSON value that borrows from the text that it was read from.
///
/// The tag takes a whole word: with a smaller one the compiler moves values in pieces that straddle words, which costs
/// the reader a third of its speed.
#[derive(Clone, PartialEq)]
#[repr(u64)]
#[allow(missing_docs, reason = "the variants are JSON's own")]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number<'a>),
    String(Str<'a>),
    Array(Vec<Value<'a>>),
    Object(Map<'a>),
}

impl<'a> Value<'a> {
    /// An object of these members; of a name given twice the last stands.
    pub fn object(members: impl IntoIterator<Item = (&'a str, Value<'a>)>) -> Value<'a> {
        let mut map = Map::default();
        for (key, value) in members {
            let member = Member::new(Str::from(key), value);
            match map.find(key) {
                Ok(at) => map.members[at] = member,
                Err(at) => map.members.insert(at, member),
            }
        }
        Value::Object(map)
    }

    /// The member called `key`, if this is an object that has one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.as_object()?.get(key)
    }

    /// The object, if this is one.
    #[must_use]
    pub fn as_object(&self) -> Option<&Map<'a>> {
        if let Value::Object(map) = self { Some(map) } else { None }
    }

    /// The array's elements, if this is one.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Value<'a>]> {
        if let Value::Array(values) = self { Some(values) } else { None }
    }

    /// The string's text, if this is one.
    #[must_use]
    pub fn as_str(&self) -> Option<std::borrow::Cow<'a, str>> {
        if let Value::String(text) = self { Some(text.as_str()) } else { None }
    }

    /// The boolean, if this is one.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(value) = self { Some(*value) } else { None }
    }

    /// The number, if this is one that is whole and within ±[`INTEGER_MAX`], however it was written.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        if let Value::Number(number) = self { number.as_i64() } else { None }
    }

    /// What JSON calls a value of this kind, with its article.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "an array",
            Value::Object(_) => "an object",
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&canonical(self)))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Value<'a> {
        Value::String(Str::from(text))
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Bool(value)
    }
}

impl From<u32> for Value<'_> {
    fn from(value: u32) -> Self {
        Value::Number(Number::from(value))
    }
}

impl<'a> From<Vec<Value<'a>>> for Value<'a> {
    fn from(values: Vec<Value<'a>>) -> Value<'a> {
        Value::Array(values)
    }
}

/// A JSON object: its members in canonical order, each name once.
#[derive(Clone, Default, PartialEq)]
pub struct Map<'a> {
    members: Vec<Member<'a>>,
}

/// A name and its value.
#[derive(Clone, PartialEq)]
pub struct Member<'a> {
    /// The name.
    pub key: Str<'a>,
    /// What stands under it.
    pub value: Value<'a>,
    /// The name's first bytes, which settle most comparisons of names.
    prefix: u64,
}

impl<'a> Member<'a> {
    fn new(key: Str<'a>, value: Value<'a>) -> Member<'a> {
        Member { key, value, prefix: key.prefix() }
    }

    /// The order of members in canonical form.
    fn order(&self, other: &Member<'_>) -> Ordering {
        self.prefix.cmp(&other.prefix).then_with(|| self.key.order(&other.key))
    }
}

impl<'a> Map<'a> {
    /// The value under `key`.
    #[must_use]
    #[inline] // So that the prefix of a name that stands in the code is computed when that is compiled.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        self.get_by(text::prefix(key), key)
    }

    /// Most names that are asked for are absent, or the first of those with their prefix: that takes no comparison of
    /// texts, or one.
    fn get_by(&self, prefix: u64, key: &str) -> Option<&Value<'a>> {
        let start = self.members.partition_point(|member| member.prefix < prefix);
        let first = self.members.get(start).filter(|member| member.prefix == prefix)?;
        if first.key.as_plain() == Some(key) {
            return Some(&first.value);
        }
        self.find(key).ok().map(|at| &self.members[at].value)
    }

    /// The place of the member called `key`, or the place where it would be.
    fn find(&self, key: &str) -> Result<usize, usize> {
        let prefix = text::prefix(key);
        self.members.binary_search_by(|member| member.prefix.cmp(&prefix).then_with(|| member.key.order_to(key)))
    }

    /// The members, ordered by the UTF-16 code units of their names.
    pub fn iter(&self) -> std::slice::Iter<'_, Member<'a>> {
        self.members.iter()
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Tells whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl<'m, 'a> IntoIterator for &'m Map<'a> {
    type Item = &'m Member<'a>;
    type IntoIter = std::slice::Iter<'m, Member<'a>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests;
