//! JSON numbers that keep their source form.

use super::{INTEGER_MAX, JsonErrorKind};

/// A JSON number that an IEEE double holds.
#[derive(Clone, Copy, Debug)]
pub struct Number<'a>(Repr<'a>);

#[derive(Clone, Copy, Debug)]
enum Repr<'a> {
    /// Digits with neither fraction nor exponent, not `-0`: its own canonical form.
    Integer(&'a str),
    /// Any other token, read.
    Float(f64),
}

impl<'a> Number<'a> {
    /// Reads a token that was found to be a well-formed JSON number, and tells whether it is in canonical form.
    pub(super) fn from_json(token: &'a str, is_integer: bool) -> Result<(Number<'a>, bool), JsonErrorKind> {
        /// A token of this length cannot be beyond ±(2^53 − 1).
        const SAFE_LENGTH: usize = 15;
        if is_integer && token != "-0" {
            let in_range =
                token.len() <= SAFE_LENGTH || token.parse().is_ok_and(|value: i64| value.abs() <= INTEGER_MAX);
            return if in_range { Ok((Number(Repr::Integer(token)), true)) } else { Err(JsonErrorKind::IntegerRange) };
        }
        let value: f64 = token.parse().map_err(|_| JsonErrorKind::InvalidNumber)?;
        if !value.is_finite() {
            return Err(JsonErrorKind::NumberOverflow);
        }
        // RFC 8785 would write these as integers that its own readers then refuse.
        if (9_007_199_254_740_992.0..1e21).contains(&value.abs()) {
            return Err(JsonErrorKind::IntegerRange);
        }
        let canonical = ryu_js::Buffer::new().format_finite(value) == token;
        Ok((Number(Repr::Float(value)), canonical))
    }

    /// The number as an IEEE double.
    #[must_use]
    pub fn as_f64(&self) -> f64 {
        match self.0 {
            // INVARIANT: a token of digits always parses.
            Repr::Integer(token) => token.parse().unwrap_or(f64::NAN),
            Repr::Float(value) => value,
        }
    }

    /// The number, if it is whole and within ±[`INTEGER_MAX`]: `50`, `50.0` and `5e1` are one value.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, reason = "whole and within ±2^53 by the test before")]
    pub fn as_i64(&self) -> Option<i64> {
        match self.0 {
            Repr::Integer(token) => token.parse().ok(),
            Repr::Float(value) => {
                (value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0).then_some(value as i64)
            }
        }
    }

    /// Appends the form that ECMAScript gives the number (RFC 8785 §3.2.2.3).
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        match self.0 {
            Repr::Integer(token) => out.extend_from_slice(token.as_bytes()),
            Repr::Float(value) => out.extend_from_slice(ryu_js::Buffer::new().format_finite(value).as_bytes()),
        }
    }
}

impl From<u32> for Number<'_> {
    fn from(value: u32) -> Self {
        Number(Repr::Float(f64::from(value)))
    }
}

impl PartialEq for Number<'_> {
    fn eq(&self, other: &Number<'_>) -> bool {
        self.as_f64() == other.as_f64()
    }
}
