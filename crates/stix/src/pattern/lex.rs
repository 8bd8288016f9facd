//! The tokens of a STIX pattern.

use super::{PatternError, PatternErrorKind};
use crate::quote::is_bidi_control;
use std::borrow::Cow;

/// A token and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind<'a>,
    pub(super) offset: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind<'a> {
    /// A keyword, in capitals: the grammar reserves these words everywhere.
    Keyword(Keyword),
    /// A name; only object types may hold hyphens.
    Name(&'a str),
    String(Cow<'a, str>),
    Integer(&'a str),
    Float(&'a str),
    Bool(bool),
    Hex(&'a str),
    Binary(&'a str),
    Timestamp(&'a str),
    /// One of `[ ] ( ) : . , *`.
    Mark(u8),
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keyword {
    And,
    Or,
    Not,
    FollowedBy,
    Like,
    Matches,
    IsSuperset,
    IsSubset,
    Exists,
    Last,
    In,
    Start,
    Stop,
    Seconds,
    Within,
    Repeats,
    Times,
}

fn word(text: &str) -> Kind<'_> {
    use Keyword::*;
    Kind::Keyword(match text {
        "true" => return Kind::Bool(true),
        "false" => return Kind::Bool(false),
        "AND" => And,
        "OR" => Or,
        "NOT" => Not,
        "FOLLOWEDBY" => FollowedBy,
        "LIKE" => Like,
        "MATCHES" => Matches,
        "ISSUPERSET" => IsSuperset,
        "ISSUBSET" => IsSubset,
        "EXISTS" => Exists,
        "LAST" => Last,
        "IN" => In,
        "START" => Start,
        "STOP" => Stop,
        "SECONDS" => Seconds,
        "WITHIN" => Within,
        "REPEATS" => Repeats,
        "TIMES" => Times,
        _ => return Kind::Name(text),
    })
}

/// Tells whether the grammar keeps `text` for itself, so that no name can be written so without quotes.
pub(super) fn is_reserved(text: &str) -> bool {
    !matches!(word(text), Kind::Name(_))
}

/// Cuts a pattern into tokens, in one pass that never goes back.
pub(super) struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

type Lexed<'a> = Result<Kind<'a>, PatternErrorKind>;

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        Lexer { text, at: 0 }
    }

    pub(super) fn next_token(&mut self) -> Result<Token<'a>, PatternError> {
        self.space();
        let offset = self.at;
        match self.token() {
            Ok(kind) => Ok(Token { kind, offset }),
            Err(kind) => Err(PatternError { kind, offset }),
        }
    }

    fn byte(&self, ahead: usize) -> Option<u8> {
        self.text.as_bytes().get(self.at + ahead).copied()
    }

    fn rest(&self) -> &'a str {
        // INVARIANT: the place only moves by whole characters.
        &self.text[self.at..]
    }

    /// Passes over whitespace, as the grammar has it, and comments.
    fn space(&mut self) {
        loop {
            let rest = self.rest();
            let after = match rest.as_bytes() {
                [b'/', b'/', ..] => memchr::memchr2(b'\n', b'\r', rest.as_bytes()).unwrap_or(rest.len()),
                // A comment that never ends is left to be an unexpected character.
                [b'/', b'*', ..] => rest[2..].find("*/").map_or(0, |end| end + 4),
                _ => rest.len() - rest.trim_start_matches(is_space).len(),
            };
            if after == 0 {
                return;
            }
            self.at += after;
        }
    }

    fn token(&mut self) -> Lexed<'a> {
        let Some(byte) = self.byte(0) else {
            return Ok(Kind::End);
        };
        match (byte, self.byte(1)) {
            (b'\'', _) => self.string(),
            (b'h', Some(b'\'')) => self.quoted(is_hex).map(Kind::Hex),
            (b'b', Some(b'\'')) => self.quoted(is_base64).map(Kind::Binary),
            (b't', Some(b'\'')) => self.quoted(is_timestamp).map(Kind::Timestamp),
            (b'a'..=b'z' | b'A'..=b'Z' | b'_', _) => Ok(self.name()),
            (b'0'..=b'9' | b'+' | b'-', _) => self.number(),
            (b'.', Some(b'0'..=b'9')) => self.number(),
            (b'[' | b']' | b'(' | b')' | b':' | b'.' | b',' | b'*', _) => Ok(self.take(1, Kind::Mark(byte))),
            (b'=', Some(b'=')) => Ok(self.take(2, Kind::Equal)),
            (b'=', _) => Ok(self.take(1, Kind::Equal)),
            (b'!', Some(b'=')) | (b'<', Some(b'>')) => Ok(self.take(2, Kind::NotEqual)),
            (b'<', Some(b'=')) => Ok(self.take(2, Kind::LessOrEqual)),
            (b'<', _) => Ok(self.take(1, Kind::Less)),
            (b'>', Some(b'=')) => Ok(self.take(2, Kind::GreaterOrEqual)),
            (b'>', _) => Ok(self.take(1, Kind::Greater)),
            _ => Err(PatternErrorKind::UnexpectedCharacter),
        }
    }

    fn take(&mut self, length: usize, kind: Kind<'a>) -> Kind<'a> {
        self.at += length;
        kind
    }

    fn name(&mut self) -> Kind<'a> {
        let rest = self.rest();
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let length = rest.bytes().take_while(|byte| is_part(byte)).count();
        self.take(length, word(&rest[..length]))
    }

    /// `[+-]?(0|[1-9][0-9]*)` or `[+-]?[0-9]*.[0-9]+`.
    fn number(&mut self) -> Lexed<'a> {
        let rest = self.rest();
        let sign = usize::from(rest.starts_with(['+', '-']));
        let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
        let whole = digits(sign);
        let point = sign + whole;
        let fraction = if rest[point..].starts_with('.') { digits(point + 1) } else { 0 };
        if fraction > 0 {
            let length = point + 1 + fraction;
            return Ok(self.take(length, Kind::Float(&rest[..length])));
        }
        let has_leading_zero = whole > 1 && rest[sign..].starts_with('0');
        if whole == 0 || has_leading_zero {
            return Err(PatternErrorKind::InvalidLiteral);
        }
        Ok(self.take(point, Kind::Integer(&rest[..point])))
    }

    /// A string literal; its only escapes are `\'` and `\\`.
    fn string(&mut self) -> Lexed<'a> {
        let body = &self.rest()[1..];
        let mut text = Cow::Borrowed("");
        let mut start = 0;
        loop {
            let found = memchr::memchr2(b'\'', b'\\', &body.as_bytes()[start..]);
            let end = start + found.ok_or(PatternErrorKind::UnclosedString)?;
            append(&mut text, &body[start..end]);
            match &body.as_bytes()[end..] {
                [b'\'', ..] => {
                    self.at += end + 2;
                    return Ok(Kind::String(text));
                }
                [_, b'\'', ..] => append(&mut text, "'"),
                [_, b'\\', ..] => append(&mut text, "\\"),
                _ => return Err(PatternErrorKind::InvalidEscape),
            }
            start = end + 2;
        }
    }

    /// A literal of a letter and quotes, whose content must fit.
    fn quoted(&mut self, fits: fn(&str) -> bool) -> Result<&'a str, PatternErrorKind> {
        let body = &self.rest()[2..];
        let end = memchr::memchr(b'\'', body.as_bytes()).ok_or(PatternErrorKind::UnclosedString)?;
        if !fits(&body[..end]) {
            return Err(PatternErrorKind::InvalidLiteral);
        }
        self.at += end + 3;
        Ok(&body[..end])
    }
}

fn append<'a>(text: &mut Cow<'a, str>, more: &'a str) {
    if text.is_empty() {
        *text = Cow::Borrowed(more);
    } else if !more.is_empty() {
        text.to_mut().push_str(more);
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{a0}' | '\u{1680}')
        || matches!(c, '\u{2000}'..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}' | '\u{205f}' | '\u{3000}')
}

fn is_hex(text: &str) -> bool {
    text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_base64(text: &str) -> bool {
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    !text.is_empty() && text.len().is_multiple_of(4) && digits.bytes().all(is_digit)
}

fn is_timestamp(text: &str) -> bool {
    crate::time::TimestampRef::borrow(text).is_ok()
}

/// Finds a character that must not be anywhere in a pattern.
pub(super) fn find_bidi_control(text: &str) -> Option<usize> {
    // All of them begin with one of two bytes, which most patterns do not hold.
    memchr::memchr2(0xd8, 0xe2, text.as_bytes())?;
    text.char_indices().find(|(_, c)| is_bidi_control(*c)).map(|(at, _)| at)
}
