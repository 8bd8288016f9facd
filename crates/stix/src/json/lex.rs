//! Where JSON's tokens end. The reader and the skipper share it, so that they can never disagree.

use super::{JsonError, JsonErrorKind};

/// The first byte at or after `at` that is not JSON whitespace.
pub(super) fn whitespace_end(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\n' | b'\r' | b'\t')) {
        at += 1;
    }
    at
}

/// The error of finding the byte at `at` where it cannot stand.
pub(super) fn unexpected(bytes: &[u8], at: usize) -> JsonError {
    let kind = bytes.get(at).map_or(JsonErrorKind::UnexpectedEnd, |byte| JsonErrorKind::UnexpectedByte(*byte));
    JsonError::new(kind, at)
}

/// The place of the quote that closes the string whose opening quote is at `open`, and whether it holds escapes.
pub(super) fn string_end(bytes: &[u8], open: usize) -> Result<(usize, bool), JsonError> {
    let mut at = open + 1;
    let mut escaped = false;
    loop {
        at = next_special(bytes, at);
        match bytes.get(at) {
            Some(b'"') => return Ok((at, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = escape_end(bytes, at)?;
            }
            Some(_) => return Err(JsonError::new(JsonErrorKind::ControlCharacter, at)),
            None => return Err(unexpected(bytes, at)),
        }
    }
}

/// The end of the escape whose backslash is at `at`.
fn escape_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    match bytes.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(at + 2),
        Some(b'u') => {
            for digit in at + 2..at + 6 {
                match bytes.get(digit) {
                    Some(byte) if byte.is_ascii_hexdigit() => {}
                    Some(_) => return Err(JsonError::new(JsonErrorKind::InvalidEscape, at)),
                    None => return Err(unexpected(bytes, digit)),
                }
            }
            Ok(at + 6)
        }
        Some(_) => Err(JsonError::new(JsonErrorKind::InvalidEscape, at)),
        None => Err(unexpected(bytes, at + 1)),
    }
}

/// The first quote, backslash or control byte at or after `at`, or the end of `bytes`.
///
/// Eight bytes at a time: a byte of `x - ONES` borrows its high bit only where that byte of `x` was zero, or above
/// such a byte, so the lowest set bit is always a true hit.
pub(super) fn next_special(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = ONES << 7;
    let zeros = |x: u64| x.wrapping_sub(ONES) & !x;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let word = u64::from_le_bytes(*chunk);
        let quote = zeros(word ^ (ONES * b'"' as u64));
        let backslash = zeros(word ^ (ONES * b'\\' as u64));
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let hits = (quote | backslash | control) & HIGHS;
        if hits != 0 {
            return at + hits.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while bytes.get(at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)) {
        at += 1;
    }
    at
}

/// The end of the number that starts at `at`, and whether it has neither fraction nor exponent.
pub(super) fn number_end(bytes: &[u8], at: usize) -> Result<(usize, bool), JsonError> {
    let sign = usize::from(bytes.get(at) == Some(&b'-'));
    let mut end = match bytes.get(at + sign) {
        Some(b'0') => at + sign + 1,
        Some(b'1'..=b'9') => digits_end(bytes, at + sign),
        Some(_) => return Err(JsonError::new(JsonErrorKind::InvalidNumber, at)),
        None => return Err(unexpected(bytes, at + sign)),
    };
    let integer_end = end;
    if bytes.get(end) == Some(&b'.') {
        end = some_digits_end(bytes, end + 1)?;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        end = some_digits_end(bytes, end + 1 + sign)?;
    }
    if bytes.get(end).is_some_and(u8::is_ascii_digit) {
        return Err(JsonError::new(JsonErrorKind::InvalidNumber, at));
    }
    Ok((end, end == integer_end))
}

fn digits_end(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

fn some_digits_end(bytes: &[u8], at: usize) -> Result<usize, JsonError> {
    let end = digits_end(bytes, at);
    match bytes.get(end) {
        _ if end > at => Ok(end),
        Some(_) => Err(JsonError::new(JsonErrorKind::InvalidNumber, at)),
        None => Err(unexpected(bytes, end)),
    }
}

/// The end of `word` (`true`, `false` or `null`), which must stand at `at`.
pub(super) fn literal_end(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, JsonError> {
    match word.iter().enumerate().find(|(i, byte)| bytes.get(at + i) != Some(*byte)) {
        Some((i, _)) => Err(unexpected(bytes, at + i)),
        None => Ok(at + word.len()),
    }
}
