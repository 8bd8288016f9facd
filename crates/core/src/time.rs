//! Points in time as Mithaq's own documents write them: UTC with microseconds, always six digits.

use std::{fmt, str::FromStr, time::Duration};

use mithaq_stix::time::TimestampRef;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since the Unix epoch, UTC; written `2026-11-21T19:50:56.000000Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// Why a text is not a [`Time`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a UTC time such as 2026-11-21T19:50:56.000000Z, found {found:?}")]
pub struct TimeError {
    /// What stood there, cut to 80 characters.
    pub found: String,
}

/// The last time that can be written: the end of the year 9999.
const MICROS_MAX: i64 = 253_402_300_799_999_999;

impl Time {
    /// Takes microseconds since the Unix epoch; what lies outside the years 1970 to 9999 becomes their border.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        if micros < 0 {
            Self(0)
        } else if micros > MICROS_MAX {
            Self(MICROS_MAX)
        } else {
            Self(micros)
        }
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// This time plus `duration`, at most the end of the year 9999.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let micros = i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.0.saturating_add(micros))
    }

    /// The first moment of its day.
    #[must_use]
    pub const fn day(self) -> Self {
        const DAY: i64 = 24 * 60 * 60 * 1_000_000;
        Self(self.0 - self.0.rem_euclid(DAY))
    }

    /// The time from `earlier` to this one; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

/// Year, month and day of a day that is counted from 1970-01-01.
///
/// Years begin on the first of March here, so that a leap day is a year's last; months of the year then follow a
/// pattern of 153 days in five.
fn civil(days: i64) -> (i64, i64, i64) {
    const DAYS_TO_1970: i64 = 719_468;
    const DAYS_IN_400_YEARS: i64 = 146_097;
    let days = days + DAYS_TO_1970;
    let (era, day_of_era) = (days / DAYS_IN_400_YEARS, days % DAYS_IN_400_YEARS);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let january_is_next = month >= 10;
    (400 * era + year_of_era + i64::from(january_is_next), if january_is_next { month - 9 } else { month + 3 }, day)
}

impl FromStr for Time {
    type Err = TimeError;

    /// Takes RFC 3339 in UTC with any number of fraction digits; digits below microseconds are cut.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        match TimestampRef::borrow(text).map(|time| time.unix_micros()) {
            Ok(micros @ 0..=MICROS_MAX) => Ok(Self(micros)),
            _ => Err(TimeError { found: text.chars().take(80).collect() }),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_six_digits_and_read_with_any() {
        let time: Time = "2026-11-21T19:50:56Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-21T19:50:56.000000Z");
        let time: Time = "2026-11-21T19:50:56.1234567Z".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-21T19:50:56.123456Z");
        assert_eq!(Time::from_micros(0).to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Time::from_micros(i64::MAX).to_string(), "9999-12-31T23:59:59.999999Z");
    }

    #[test]
    fn offsets_and_nonsense_are_refused() {
        for text in [
            "",
            "2026-11-21",
            "2026-11-21T19:50:56+00:00",
            "2026-13-21T19:50:56Z",
            "1960-01-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "9999-12-31T23:59:60Z",
        ] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_of_four_centuries_and_the_last_of_all_are_written_as_they_are_read() {
        const DAY: i64 = 86_400_000_000;
        for day in (0..=146_097).chain([MICROS_MAX / DAY]) {
            for time in [Time::from_micros(day * DAY), Time::from_micros(day * DAY + DAY - 1)] {
                assert_eq!(time.to_string().parse(), Ok(time));
            }
        }
    }
}
