//! STIX timestamps: RFC 3339 in UTC with any number of fraction digits (STIX 2.1 §2.16).

use std::{
    borrow::Cow,
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
};
use thiserror::Error;

/// A timestamp that owns its text.
pub type Timestamp = TimestampRef<'static>;

/// A timestamp, checked, that keeps the text it came as.
///
/// It compares, sorts and hashes as the instant that it names, however many digits its fraction has:
/// `…:00Z` equals `…:00.000Z`. A leap second counts as the second after it, as POSIX time has it.
#[derive(Clone)]
pub struct TimestampRef<'a> {
    text: Cow<'a, str>,
    unix_seconds: i64,
}

/// The text is no STIX timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it is not a date and time of the form YYYY-MM-DDTHH:MM:SS[.fraction]Z in UTC")]
pub struct TimeError(());

/// Where the fraction's digits begin.
const FRACTION: usize = "2020-01-01T00:00:00.".len();

impl TimestampRef<'static> {
    /// Reads a timestamp and keeps its own copy.
    ///
    /// # Errors
    /// When `text` is not of the form `YYYY-MM-DDTHH:MM:SS[.fraction]Z`, or names no day or time that exists.
    pub fn parse(text: &str) -> Result<Timestamp, TimeError> {
        TimestampRef::borrow(text).map(TimestampRef::into_owned)
    }
}

impl<'a> TimestampRef<'a> {
    /// Reads a timestamp that stays where it is.
    ///
    /// # Errors
    /// As [`Timestamp::parse`].
    pub fn borrow(text: &'a str) -> Result<TimestampRef<'a>, TimeError> {
        TimestampRef::from_cow(Cow::Borrowed(text))
    }

    pub(crate) fn from_cow(text: Cow<'a, str>) -> Result<TimestampRef<'a>, TimeError> {
        let unix_seconds = unix_seconds(text.as_bytes()).ok_or(TimeError(()))?;
        Ok(TimestampRef { text, unix_seconds })
    }

    /// The same timestamp with its own copy of the text.
    #[must_use]
    pub fn into_owned(self) -> Timestamp {
        TimestampRef { text: Cow::Owned(self.text.into_owned()), unix_seconds: self.unix_seconds }
    }

    /// The text as it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whole seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_seconds(&self) -> i64 {
        self.unix_seconds
    }

    /// Microseconds since 1970-01-01T00:00:00Z; finer digits are cut off.
    #[must_use]
    pub fn unix_micros(&self) -> i64 {
        // INVARIANT: the years 0 to 9999 are within ±2.6e17 microseconds.
        self.unix_seconds * 1_000_000 + self.fraction_digits(6)
    }

    /// Nanoseconds since 1970-01-01T00:00:00Z; finer digits are cut off.
    #[must_use]
    pub fn unix_nanos(&self) -> i128 {
        i128::from(self.unix_seconds) * 1_000_000_000 + i128::from(self.fraction_digits(9))
    }

    /// The fraction's digits without trailing zeros, so that the order of texts is the order of fractions.
    fn fraction(&self) -> &str {
        // INVARIANT: the text was checked to be ASCII that ends in `Z`.
        self.text.get(FRACTION..self.text.len() - 1).map_or("", |digits| digits.trim_end_matches('0'))
    }

    /// The first `count` digits of the fraction, as a number.
    fn fraction_digits(&self, count: usize) -> i64 {
        let digits = self.fraction().bytes().chain(std::iter::repeat(b'0'));
        digits.take(count).fold(0, |value, digit| value * 10 + i64::from(digit - b'0'))
    }
}

/// The instant of `text`, whose fraction is checked and left out.
fn unix_seconds(text: &[u8]) -> Option<i64> {
    let head: &[u8; FRACTION - 1] = text.first_chunk()?;
    let fraction_fits = match &text[head.len()..] {
        [b'Z'] => true,
        [b'.', digits @ .., b'Z'] => !digits.is_empty() && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T', h0, h1, b':', n0, n1, b':', s0, s1] = *head else {
        return None;
    };
    let (year, month, day) = (two(y0, y1)? * 100 + two(y2, y3)?, two(m0, m1)?, two(d0, d1)?);
    let (hour, minute, second) = (two(h0, h1)?, two(n0, n1)?, two(s0, s1)?);
    let exists = (1..=12).contains(&month) && (1..=days_of_month(year, month)).contains(&day);
    let in_day = hour < 24 && minute < 60 && (second < 60 || (minute, second) == (59, 60));
    let seconds = days_since_epoch(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    (fraction_fits && exists && in_day).then_some(seconds)
}

fn two(tens: u8, ones: u8) -> Option<i64> {
    let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
    digits.then(|| i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
}

fn days_of_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar: years begin in March, so that the leap day comes last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

impl Ord for TimestampRef<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.unix_seconds.cmp(&other.unix_seconds).then_with(|| self.fraction().cmp(other.fraction()))
    }
}

impl PartialOrd for TimestampRef<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for TimestampRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for TimestampRef<'_> {}

impl Hash for TimestampRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.unix_seconds.hash(state);
        self.fraction().hash(state);
    }
}

impl fmt::Display for TimestampRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for TimestampRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for TimestampRef<'static> {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Timestamp, TimeError> {
        Timestamp::parse(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[track_caller]
    fn check(text: &str, unix_nanos: i128) {
        let timestamp = Timestamp::parse(text).unwrap();
        assert_eq!(timestamp.unix_nanos(), unix_nanos, "{text}");
        assert_eq!(i128::from(timestamp.unix_micros()), unix_nanos.div_euclid(1_000), "{text}");
        assert_eq!(timestamp.as_str(), text);
    }

    #[test]
    fn names_an_instant() {
        check("1970-01-01T00:00:00Z", 0);
        check("2000-02-29T12:34:56.789Z", 951_827_696_789_000_000);
        check("2017-01-20T00:00:00.000000Z", 1_484_870_400_000_000_000);
        check("2262-04-11T23:47:16.8547758079999Z", 9_223_372_036_854_775_807);
        check("1969-12-31T23:59:59.5Z", -500_000_000);
        check("0000-01-01T00:00:00Z", -62_167_219_200_000_000_000);
        check("9999-12-31T23:59:59Z", 253_402_300_799_000_000_000);
        check("2016-12-31T23:59:60Z", 1_483_228_800_000_000_000);
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "2020-01-01",
            "2020-01-01T00:00:00",
            "2020-01-01T00:00:00.Z",
            "2020-01-01T00:00:00+00:00",
            "2020-01-01t00:00:00z",
            "2020-13-01T00:00:00Z",
            "2021-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2020-01-00T00:00:00Z",
            "2020-01-01T24:00:00Z",
            "2020-01-01T00:00:60Z",
            "2020-01-01T00:00:00.1 Z",
            "٢٠٢٠-01-01T00:00:00Z",
            " 2020-01-01T00:00:00Z",
        ] {
            assert!(Timestamp::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn compares_as_time_at_any_precision() {
        let at = |fraction: &str| Timestamp::parse(&format!("2020-01-01T00:00:00{fraction}Z")).unwrap();
        assert_eq!(at(""), at(".000"));
        assert_eq!(at(".5"), at(".500000000000000000000"));
        assert!(at(".0000000000000000000001") > at(""));
        assert!(at(".09") < at(".1"));
        assert!(at(".123456789012345678901") < at(".123456789012345678902"));
        assert!(at(".9") < Timestamp::parse("2020-01-01T00:00:01Z").unwrap());
    }
}
