//! The one place where the commands read the clock.

use std::time::{SystemTime, UNIX_EPOCH};

use mithaq_core::time::Time;

/// Microseconds in a second.
const MICROS: i64 = 1_000_000;

/// The time.
pub(crate) fn now() -> Time {
    let micros = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros());
    Time::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// The beginning of the minute of `time`: what people put into documents.
pub(crate) fn start_of_minute(time: Time) -> Time {
    Time::from_micros(time.as_micros() - time.as_micros() % (60 * MICROS))
}

/// `time` less a number of seconds.
pub(crate) fn seconds_before(time: Time, seconds: i64) -> Time {
    Time::from_micros(time.as_micros() - seconds * MICROS)
}

/// `2026-11-21 19:50:56Z`: a time for people, to the second.
pub(crate) fn for_people(time: Time) -> String {
    let text = time.to_string();
    let seconds = text.get(..19).unwrap_or(&text);
    format!("{}Z", seconds.replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_for_people_end_with_the_second() {
        let time: Time = "2026-11-21T19:50:56.123456Z".parse().unwrap();
        assert_eq!(for_people(time), "2026-11-21 19:50:56Z");
        assert_eq!(for_people(start_of_minute(time)), "2026-11-21 19:50:00Z");
        assert_eq!(for_people(seconds_before(time, 57)), "2026-11-21 19:49:59Z");
    }
}
