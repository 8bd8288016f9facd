//! STIX identifiers: `type--UUID` (STIX 2.1 §2.9).

use crate::quote::is_bidi_control;
use std::{borrow::Cow, fmt};
use thiserror::Error;

/// The shortest name of an object type, in characters (STIX 2.1 §3.1).
pub const TYPE_LENGTH_MIN: usize = 3;
/// The longest name of an object type, in characters (STIX 2.1 §3.1).
pub const TYPE_LENGTH_MAX: usize = 250;

const UUID_LENGTH: usize = 36;
/// Two hyphens and the UUID.
const TAIL_LENGTH: usize = 2 + UUID_LENGTH;

/// An identifier that owns its text.
pub type StixId = StixIdRef<'static>;

/// An identifier, checked: a type name, two hyphens and a UUID of any RFC 4122 variant and version.
///
/// The hexadecimal digits are lower case: RFC 4122 has upper case mean the same on input, and one object must not have
/// two names. Identifiers compare, hash and sort as their text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StixIdRef<'a> {
    text: Cow<'a, str>,
}

impl StixIdRef<'static> {
    /// Reads an identifier and keeps its own copy.
    ///
    /// # Errors
    /// When `text` is not `type--UUID`.
    pub fn parse(text: &str) -> Result<StixId, IdError> {
        StixIdRef::borrow(text).map(StixIdRef::into_owned)
    }
}

impl<'a> StixIdRef<'a> {
    /// Reads an identifier that stays where it is; only upper-case digits cost a copy.
    ///
    /// # Errors
    /// When `text` is not `type--UUID`.
    pub fn borrow(text: &'a str) -> Result<StixIdRef<'a>, IdError> {
        StixIdRef::from_cow(Cow::Borrowed(text))
    }

    pub(crate) fn from_cow(text: Cow<'a, str>) -> Result<StixIdRef<'a>, IdError> {
        let has_upper = check(&text).map_err(|error| explain(&text, error))?;
        Ok(StixIdRef { text: if has_upper { Cow::Owned(text.to_ascii_lowercase()) } else { text } })
    }

    /// The same identifier with its own copy of the text.
    #[must_use]
    pub fn into_owned(self) -> StixId {
        StixIdRef { text: Cow::Owned(self.text.into_owned()) }
    }

    /// The whole identifier.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the two hyphens.
    #[must_use]
    pub fn object_type(&self) -> &str {
        // INVARIANT: the text was split here when it was checked.
        &self.text[..self.text.len() - TAIL_LENGTH]
    }

    /// The UUID's bytes in network order.
    #[must_use]
    pub fn uuid_bytes(&self) -> [u8; 16] {
        let mut digits = self.text[self.text.len() - UUID_LENGTH..].bytes().filter_map(hex_value);
        std::array::from_fn(|_| digits.next().unwrap_or(0) << 4 | digits.next().unwrap_or(0))
    }

    /// The identifier's type and first digits, for logs.
    #[must_use]
    pub fn fmt_short(&self) -> &str {
        &self.text[..self.text.len() - UUID_LENGTH + 8]
    }
}

impl fmt::Display for StixIdRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for StixIdRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::borrow::Borrow<str> for StixIdRef<'_> {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl AsRef<str> for StixIdRef<'_> {
    fn as_ref(&self) -> &str {
        &self.text
    }
}

impl std::str::FromStr for StixIdRef<'static> {
    type Err = IdError;

    fn from_str(text: &str) -> Result<StixId, IdError> {
        StixId::parse(text)
    }
}

/// Why a text is no STIX identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum IdError {
    /// There are no two hyphens before the last 36 characters.
    #[error("it is not a type, two hyphens and a UUID")]
    Shape,
    /// The type is too short, too long or has characters other than a to z, 0 to 9 and hyphens.
    #[error("its type is not {TYPE_LENGTH_MIN} to {TYPE_LENGTH_MAX} characters of a-z, 0-9 and hyphen")]
    Type,
    /// What follows the two hyphens is not a UUID.
    #[error("what follows the two hyphens is not a UUID")]
    Uuid,
    /// A control or bidirectional formatting character, which could make it look like another.
    #[error("it holds the invisible character U+{:04X}", u32::from(*.0))]
    Invisible(char),
}

/// Tells whether `name` can name an object type (STIX 2.1 §3.1).
#[must_use]
pub fn is_type_name(name: &str) -> bool {
    check_type(name).is_ok()
}

/// Checks an identifier, and tells whether its digits have to be made lower case.
fn check(text: &str) -> Result<bool, IdError> {
    let (object_type, uuid) = split(text)?;
    check_type(object_type)?;
    check_uuid(uuid)?;
    Ok(uuid.bytes().filter(u8::is_ascii_uppercase).count() > 0)
}

fn split(text: &str) -> Result<(&str, &str), IdError> {
    let parts = text.len().checked_sub(TAIL_LENGTH).and_then(|at| text.split_at_checked(at));
    let (object_type, tail) = parts.ok_or(IdError::Shape)?;
    Ok((object_type, tail.strip_prefix("--").ok_or(IdError::Shape)?))
}

/// Why `text` is refused: what cannot be seen is named before what can.
fn explain(text: &str, error: IdError) -> IdError {
    let invisible = text.chars().find(|c| c.is_control() || is_bidi_control(*c));
    invisible.map_or(error, IdError::Invisible)
}

fn check_type(name: &str) -> Result<(), IdError> {
    let length_fits = (TYPE_LENGTH_MIN..=TYPE_LENGTH_MAX).contains(&name.len());
    let is_name = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    if length_fits && name.bytes().all(is_name) { Ok(()) } else { Err(IdError::Type) }
}

/// Counting, unlike searching, is done to many bytes at once: this runs for each reference of each object.
fn check_uuid(uuid: &str) -> Result<(), IdError> {
    let bytes: &[u8; UUID_LENGTH] = uuid.as_bytes().try_into().map_err(|_| IdError::Uuid)?;
    let hyphens_fit = [8, 13, 18, 23].iter().all(|at| bytes[*at] == b'-');
    let digits = bytes.iter().filter(|byte| byte.is_ascii_hexdigit()).count();
    if hyphens_fit && digits == UUID_LENGTH - 4 { Ok(()) } else { Err(IdError::Uuid) }
}

fn hex_value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const UUID: &str = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f";

    #[track_caller]
    fn check(text: &str, expect: Result<&str, IdError>) {
        assert_eq!(StixId::parse(text).as_ref().map(StixIdRef::object_type), expect.as_ref().copied(), "{text}");
    }

    #[test]
    fn a_type_and_a_uuid() {
        check(&format!("indicator--{UUID}"), Ok("indicator"));
        check(&format!("x-acme--odd--{UUID}"), Ok("x-acme--odd"));
        check("tool--00000000-0000-0000-0000-000000000000", Ok("tool"));
        check(UUID, Err(IdError::Shape));
        check("", Err(IdError::Shape));
        check(&format!("indicator-{UUID}"), Err(IdError::Shape));
        check(&format!("ab--{UUID}"), Err(IdError::Type));
        check(&format!("{}--{UUID}", "a".repeat(251)), Err(IdError::Type));
        check(&format!("Indicator--{UUID}"), Err(IdError::Type));
        check("indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3g", Err(IdError::Uuid));
        check(&format!("tool\u{202e}--{UUID}"), Err(IdError::Invisible('\u{202e}')));
        check(&format!("tool--{UUID}\n"), Err(IdError::Invisible('\n')));
        check(&format!("مؤشر--{UUID}"), Err(IdError::Type));
    }

    #[test]
    fn upper_case_digits_are_the_same_identifier() {
        let upper = StixId::parse(&format!("tool--{}", UUID.to_uppercase())).unwrap();
        assert_eq!(upper, StixId::parse(&format!("tool--{UUID}")).unwrap());
        assert_eq!(upper.uuid_bytes()[..4], [0x8e, 0x2e, 0x2d, 0x2b]);
        assert_eq!(upper.uuid_bytes()[15], 0x3f);
        assert_eq!(upper.fmt_short(), "tool--8e2e2d2b");
    }
}
