//! JSON strings that stay in their source form until somebody asks for their text.

use super::{JsonError, JsonErrorKind};
use std::{borrow::Cow, cmp::Ordering, fmt};

/// A JSON string: a slice of the input, unescaped when it is read.
#[derive(Clone, Copy)]
pub struct Str<'a> {
    raw: &'a str,
    form: Form,
}

/// How `raw` relates to the text that the string stands for; a whole word, as in [`super::Value`].
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
enum Form {
    /// Between its quotes there are no escapes: `raw` is the text, and its own canonical form.
    Plain,
    /// With escapes, each the one that RFC 8785 would write.
    CanonicalEscapes,
    /// With escapes of which some are not canonical.
    Escapes,
    /// Text of our own, which needs escapes when it is written.
    Text,
}

impl<'a> Str<'a> {
    /// A string whose `raw` form between the quotes was found to be well-formed JSON; `offset` is its place.
    #[inline(always)]
    pub(super) fn from_json(raw: &'a str, escaped: bool, offset: usize) -> Result<Str<'a>, JsonError> {
        let form = match escaped {
            false => Form::Plain,
            true if has_canonical_escapes(raw, offset)? => Form::CanonicalEscapes,
            true => Form::Escapes,
        };
        Ok(Str { raw, form })
    }

    /// The text, its escapes undone; borrowed unless there are any.
    #[must_use]
    pub fn as_str(&self) -> Cow<'a, str> {
        match self.form {
            Form::Plain | Form::Text => Cow::Borrowed(self.raw),
            Form::CanonicalEscapes | Form::Escapes => Cow::Owned(unescape(self.raw)),
        }
    }

    /// The text, if the string holds it without escapes.
    pub(crate) fn as_plain(&self) -> Option<&'a str> {
        matches!(self.form, Form::Plain | Form::Text).then_some(self.raw)
    }

    /// Tells whether the source form is the one that RFC 8785 writes.
    pub(super) fn is_canonical(&self) -> bool {
        matches!(self.form, Form::Plain | Form::CanonicalEscapes)
    }

    /// Where the string begins in the `input` that it was read from.
    pub(super) fn offset_in(&self, input: &[u8]) -> usize {
        (self.raw.as_ptr() as usize).saturating_sub(input.as_ptr() as usize)
    }

    /// Appends the canonical form, quotes included.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.push(b'"');
        match self.form {
            Form::Plain | Form::CanonicalEscapes => out.extend_from_slice(self.raw.as_bytes()),
            Form::Text => escape(self.raw, out),
            Form::Escapes => escape(&unescape(self.raw), out),
        }
        out.push(b'"');
    }

    /// The order of RFC 8785 §3.2.3: by UTF-16 code units.
    pub(super) fn order(&self, other: &Str<'_>) -> Ordering {
        match (self.as_plain(), other.as_plain()) {
            (Some(a), Some(b)) => utf16_order(a, b),
            _ => utf16_order(&self.as_str(), &other.as_str()),
        }
    }

    pub(super) fn order_to(&self, text: &str) -> Ordering {
        match self.as_plain() {
            Some(plain) if plain == text => Ordering::Equal,
            Some(plain) => utf16_order(plain, text),
            None => utf16_order(&self.as_str(), text),
        }
    }

    /// See [`prefix`].
    pub(super) fn prefix(&self) -> u64 {
        match self.as_plain() {
            Some(plain) => prefix(plain),
            None => prefix(&self.as_str()),
        }
    }
}

impl<'a> From<&'a str> for Str<'a> {
    fn from(text: &'a str) -> Str<'a> {
        let needs_escape = text.bytes().any(|byte| matches!(byte, b'"' | b'\\' | 0..0x20));
        Str { raw: text, form: if needs_escape { Form::Text } else { Form::Plain } }
    }
}

impl PartialEq for Str<'_> {
    fn eq(&self, other: &Str<'_>) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Str<'_> {}

impl PartialEq<str> for Str<'_> {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Str<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.as_str(), f)
    }
}

/// Compares by UTF-16 code units without leaving UTF-8.
fn utf16_order(a: &str, b: &str) -> Ordering {
    let differing = a.bytes().zip(b.bytes()).find(|(x, y)| x != y);
    differing.map_or_else(|| a.len().cmp(&b.len()), |(x, y)| rank(x).cmp(&rank(y)))
}

/// The rank of a byte of UTF-8 in the order of UTF-16.
///
/// The orders of both agree except that the surrogates of characters from U+10000 (first bytes F0 to F4) sort below
/// U+E000 to U+FFFF (first bytes EE and EF).
fn rank(byte: u8) -> u8 {
    if matches!(byte, 0xee | 0xef) { byte | 0x10 } else { byte }
}

/// The first eight bytes of `text`, zeros behind a shorter one, as a number that is ordered as the texts are; equal
/// numbers say nothing.
#[inline]
pub(super) fn prefix(text: &str) -> u64 {
    const NON_ASCII: u64 = u64::from_ne_bytes([0x80; 8]);
    let bytes = text.as_bytes();
    let word = match (bytes.first_chunk::<8>(), bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (Some(chunk), ..) => u64::from_be_bytes(*chunk),
        // Where both overlap, they agree.
        (_, Some(head), Some(tail)) => {
            u64::from(u32::from_be_bytes(*head)) << 32 | u64::from(u32::from_be_bytes(*tail)) << (8 * (8 - bytes.len()))
        }
        _ => bytes.iter().zip([56, 48, 40]).fold(0, |word, (byte, shift)| word | u64::from(*byte) << shift),
    };
    if word & NON_ASCII == 0 { word } else { u64::from_be_bytes(word.to_be_bytes().map(rank)) }
}

/// One escape of a well-formed string: what it stands for, and its length in bytes.
fn read_escape(raw: &[u8]) -> (Escape, usize) {
    let unit = |at: usize| {
        let digits = raw.get(at + 2..at + 6).and_then(|digits| std::str::from_utf8(digits).ok());
        digits.and_then(|digits| u16::from_str_radix(digits, 16).ok())
    };
    let simple = |c: char| (Escape::Char(c), 2);
    match raw.get(1) {
        Some(b'b') => simple('\u{8}'),
        Some(b'f') => simple('\u{c}'),
        Some(b'n') => simple('\n'),
        Some(b'r') => simple('\r'),
        Some(b't') => simple('\t'),
        Some(b'u') => {
            let Some(first) = unit(0) else {
                return (Escape::LoneSurrogate, 6);
            };
            let second = if raw.get(6..8) == Some(b"\\u") { unit(6) } else { None };
            let mut units = char::decode_utf16([Some(first), second].into_iter().flatten());
            match units.next() {
                Some(Ok(c)) => (Escape::Char(c), if c > '\u{ffff}' { 12 } else { 6 }),
                _ => (Escape::LoneSurrogate, 6),
            }
        }
        other => simple(other.map_or('\\', |byte| char::from(*byte))),
    }
}

enum Escape {
    Char(char),
    LoneSurrogate,
}

/// Checks the escapes of a well-formed string for lone surrogates and tells whether they are RFC 8785's.
fn has_canonical_escapes(raw: &str, offset: usize) -> Result<bool, JsonError> {
    let bytes = raw.as_bytes();
    let mut canonical = true;
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += found;
        let (Escape::Char(c), length) = read_escape(&bytes[at..]) else {
            return Err(JsonError::new(JsonErrorKind::LoneSurrogate, offset + at));
        };
        let mut written = [0; 6];
        canonical = canonical && escape_of(c, &mut written).is_some_and(|form| bytes[at..].starts_with(form));
        at += length;
    }
    Ok(canonical)
}

fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        text.push_str(&rest[..at]);
        let (escape, length) = read_escape(&rest.as_bytes()[at..]);
        text.push(if let Escape::Char(c) = escape { c } else { char::REPLACEMENT_CHARACTER });
        // INVARIANT: the string was read as JSON, so that an escape is ASCII and whole.
        rest = &rest[at + length..];
    }
    text.push_str(rest);
    text
}

/// The escape that RFC 8785 §3.2.2.2 writes for `c`, if it writes one.
fn escape_of(c: char, form: &mut [u8; 6]) -> Option<&[u8]> {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let short = match c {
        '"' => b'"',
        '\\' => b'\\',
        '\u{8}' => b'b',
        '\t' => b't',
        '\n' => b'n',
        '\u{c}' => b'f',
        '\r' => b'r',
        '\0'..' ' => {
            let code = c as usize;
            *form = [b'\\', b'u', b'0', b'0', HEX[code >> 4], HEX[code & 15]];
            return Some(form);
        }
        _ => return None,
    };
    (form[0], form[1]) = (b'\\', short);
    Some(&form[..2])
}

fn escape(text: &str, out: &mut Vec<u8>) {
    let mut form = [0; 6];
    let mut start = 0;
    for (at, byte) in text.bytes().enumerate() {
        if let Some(escape) = escape_of(char::from(byte), &mut form) {
            out.extend_from_slice(&text.as_bytes()[start..at]);
            out.extend_from_slice(escape);
            start = at + 1;
        }
    }
    out.extend_from_slice(&text.as_bytes()[start..]);
}
