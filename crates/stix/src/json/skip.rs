//! Past a value without building it: for what was refused, and for looking ahead.

use super::{JsonError, lex};

/// The end of the JSON value that starts at `at`, after whitespace.
///
/// Checks the whole grammar and nothing beyond it. It does not recurse, so that nesting costs a bit a level, not a
/// stack frame.
///
/// # Errors
/// Where the text is not JSON.
pub(crate) fn value_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    let mut nesting = Nesting::default();
    let mut at = lex::whitespace_end(bytes, at);
    loop {
        at = match bytes.get(at) {
            Some(b'{') => open(bytes, at, b'}', &mut nesting)?,
            Some(b'[') => open(bytes, at, b']', &mut nesting)?,
            Some(b'"') => lex::string_end(bytes, at)?.0 + 1,
            Some(b't') => lex::literal_end(bytes, at, b"true")?,
            Some(b'f') => lex::literal_end(bytes, at, b"false")?,
            Some(b'n') => lex::literal_end(bytes, at, b"null")?,
            Some(b'-' | b'0'..=b'9') => lex::number_end(bytes, at)?.0,
            _ => return Err(lex::unexpected(bytes, at)),
        };
        // An opening bracket leaves us before a first element; anything else after a whole value.
        while !nesting.just_opened() {
            let Some(in_object) = nesting.top() else {
                return Ok(at);
            };
            at = lex::whitespace_end(bytes, at);
            match bytes.get(at) {
                Some(b',') => {
                    at = lex::whitespace_end(bytes, at + 1);
                    if in_object {
                        at = key_end(bytes, at)?;
                    }
                    break;
                }
                Some(b'}') if in_object => nesting.pop(),
                Some(b']') if !in_object => nesting.pop(),
                _ => return Err(lex::unexpected(bytes, at)),
            }
            at += 1;
        }
        nesting.opened = false;
    }
}

/// Enters the array or object at `at`, and leaves it at once when it is empty.
fn open(bytes: &[u8], at: usize, close: u8, nesting: &mut Nesting) -> Result<usize, JsonError> {
    let inside = lex::whitespace_end(bytes, at + 1);
    if bytes.get(inside) == Some(&close) {
        return Ok(inside + 1);
    }
    let in_object = close == b'}';
    nesting.push(in_object);
    if in_object { key_end(bytes, inside) } else { Ok(inside) }
}

/// The start of the value that belongs to the key at `at`.
fn key_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    if bytes.get(at) != Some(&b'"') {
        return Err(lex::unexpected(bytes, at));
    }
    let colon = lex::whitespace_end(bytes, lex::string_end(bytes, at)?.0 + 1);
    if bytes.get(colon) != Some(&b':') {
        return Err(lex::unexpected(bytes, colon));
    }
    Ok(lex::whitespace_end(bytes, colon + 1))
}

/// A stack of bits: which of the open brackets are objects.
#[derive(Clone, Default)]
pub(super) struct Nesting {
    words: Vec<u64>,
    depth: usize,
    opened: bool,
}

impl Nesting {
    pub(super) fn push(&mut self, in_object: bool) {
        let (word, bit) = (self.depth / 64, self.depth % 64);
        if word == self.words.len() {
            self.words.push(0);
        }
        self.words[word] = self.words[word] & !(1 << bit) | u64::from(in_object) << bit;
        self.depth += 1;
        self.opened = true;
    }

    pub(super) fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// Whether the innermost open bracket is an object's.
    pub(super) fn top(&self) -> Option<bool> {
        let top = self.depth.checked_sub(1)?;
        self.words.get(top / 64).map(|word| word >> (top % 64) & 1 == 1)
    }

    fn just_opened(&self) -> bool {
        self.opened
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::json::JsonErrorKind;

    #[track_caller]
    fn check(text: &str, end: usize) {
        assert_eq!(value_end(text.as_bytes(), 0), Ok(end), "{text}");
    }

    #[test]
    fn ends_where_the_value_ends() {
        check("{} x", 2);
        check(" [ ] ,", 4);
        check(r#"{"a":[1,{"b":"]}"},null],"c":-1.5e3}}"#, 36);
        check(r#""\"" "#, 4);
        check("[[],[[{}]],{}]", 14);
        check("12", 2);
    }

    #[test]
    fn deep_nesting_is_skipped() {
        let bomb = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
        check(&bomb, bomb.len());
    }

    #[test]
    fn broken_text_is_an_error() {
        for text in
            ["[1,]", "{\"a\" 1}", "{,}", "[1 2]", "[}", "{\"a\":1]", "01", "tru", "\"\u{1}\"", "{\"a\":1,}", "[", ""]
        {
            assert!(value_end(text.as_bytes(), 0).is_err_and(|error| error.kind.is_syntax()), "{text}");
        }
        assert_eq!(value_end(b"[1", 0).unwrap_err().kind, JsonErrorKind::UnexpectedEnd);
    }
}
