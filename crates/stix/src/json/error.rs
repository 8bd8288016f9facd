//! What can be wrong with a JSON text, and where.

use super::DEPTH_MAX;
use thiserror::Error;

/// A JSON text that was refused: why, and at which byte.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{kind} at byte {offset}")]
pub struct JsonError {
    /// What is wrong.
    pub kind: JsonErrorKind,
    /// Where, in bytes from the start of the input.
    pub offset: usize,
}

impl JsonError {
    pub(crate) fn new(kind: JsonErrorKind, offset: usize) -> JsonError {
        JsonError { kind, offset }
    }

    /// The error's place as line and column, both from 1, in the `input` that was read; columns count characters.
    #[must_use]
    pub fn line_column(&self, input: &[u8]) -> (usize, usize) {
        let before = &input[..self.offset.min(input.len())];
        let line = memchr::memchr_iter(b'\n', before).count() + 1;
        let start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
        let is_continuation = |byte: &&u8| **byte & 0xc0 == 0x80;
        let column = before.len() - start - before[start..].iter().filter(is_continuation).count() + 1;
        (line, column)
    }
}

/// The ways in which a text can fail to be I-JSON (RFC 8259, RFC 7493).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
#[repr(u64)] // A whole word, as in `Value`: it shares its place with the values that are read.
pub enum JsonErrorKind {
    /// The text ends inside a value.
    #[error("the text ends inside a JSON value")]
    UnexpectedEnd,
    /// A byte that cannot stand here.
    #[error("unexpected character {:?}", char::from(*.0))]
    UnexpectedByte(u8),
    /// A backslash that starts no JSON escape.
    #[error("unknown escape in a string")]
    InvalidEscape,
    /// A raw control character inside a string.
    #[error("raw control character in a string: write it as \\u00XX")]
    ControlCharacter,
    /// A number that JSON does not know, such as `01` or `1.`.
    #[error("malformed number")]
    InvalidNumber,
    /// Something follows the value.
    #[error("text after the end of the JSON value")]
    TrailingData,
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    InvalidUtf8,
    /// An escape names one half of a surrogate pair.
    #[error("a string holds a lone surrogate")]
    LoneSurrogate,
    /// A name appears twice in one object, after its escapes are undone.
    #[error("the same name appears twice in one object")]
    DuplicateKey,
    /// An integer beyond ±(2^53 − 1), which readers round differently.
    #[error("an integer is beyond ±9007199254740991, where JSON readers begin to round")]
    IntegerRange,
    /// A number beyond what an IEEE double holds.
    #[error("a number is too large for an IEEE double")]
    NumberOverflow,
    /// Arrays and objects nest deeper than [`DEPTH_MAX`].
    #[error("more than {DEPTH_MAX} nested arrays and objects")]
    Depth,
    /// A value is longer than the reader's limit in bytes.
    #[error("the value is longer than {0} bytes")]
    TooLong(usize),
    /// A value holds more values than the reader's limit.
    #[error("the value holds more than {0} values")]
    TooManyValues(usize),
}

impl JsonErrorKind {
    /// Tells a broken text, after which nothing can be trusted, from well-formed JSON that is not acceptable I-JSON,
    /// which can be skipped.
    #[must_use]
    pub fn is_syntax(self) -> bool {
        use JsonErrorKind::*;
        match self {
            UnexpectedEnd | UnexpectedByte(_) | InvalidEscape | ControlCharacter | InvalidNumber | TrailingData => true,
            InvalidUtf8 | LoneSurrogate | DuplicateKey | IntegerRange | NumberOverflow => false,
            Depth | TooLong(_) | TooManyValues(_) => false,
        }
    }
}
