//! Points in time as lists and events write them, and how long something is to be good.

use std::time::Duration;

use mithaq_core::time::Time;

/// Seconds in a day.
const DAY: u64 = 86_400;
/// Numbers below this are no time stamps: the year 1973.
const UNIX_MIN: i64 = 100_000_000;
/// Numbers from here on are milliseconds: the year 5138 in seconds.
const UNIX_MILLIS_MIN: i64 = 100_000_000_000;

/// Reads a date or a time: RFC 3339 with any offset, the same with a blank or without seconds or zone (then UTC), a
/// date alone, or seconds or milliseconds since 1970.
pub(crate) fn read(text: &str) -> Option<Time> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return unix(number);
    }
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' ']).unwrap_or(rest).trim();
    let (clock, offset_minutes) = zone(rest)?;
    let clock = match clock.len() {
        0 => "00:00:00".to_owned(),
        5 => format!("{clock}:00"),
        _ => clock.to_owned(),
    };
    let time: Time = format!("{}T{clock}Z", date.replace('/', "-")).parse().ok()?;
    Some(Time::from_micros(time.as_micros() - offset_minutes * 60_000_000))
}

fn unix(number: i64) -> Option<Time> {
    match number {
        ..UNIX_MIN => None,
        UNIX_MIN..UNIX_MILLIS_MIN => Some(Time::from_micros(number * 1_000_000)),
        _ => Some(Time::from_micros(number.checked_mul(1_000)?)),
    }
}

/// A time of day without its zone, and the zone's offset in minutes.
fn zone(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, 0)) };
    let (clock, offset) = text.split_at(at);
    let digits: String = offset[1..].chars().filter(|c| *c != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let minutes: i64 = digits[..2].parse::<i64>().ok()? * 60 + digits[2..].parse::<i64>().ok()?;
    Some((clock, if offset.starts_with('-') { -minutes } else { minutes }))
}

/// Reads how long something is to be good: a number with `h`, `d` or `w`.
pub(crate) fn span(text: &str) -> Result<Duration, String> {
    let problem = || "write a number with h, d or w, such as 30d".to_owned();
    let text = text.trim();
    let unit = text.chars().next_back().ok_or_else(problem)?;
    let seconds = match unit {
        'h' => 3_600,
        'd' => DAY,
        'w' => 7 * DAY,
        _ => return Err(problem()),
    };
    let number: u32 = text[..text.len() - 1].trim().parse().map_err(|_| problem())?;
    if number == 0 { Err(problem()) } else { Ok(Duration::from_secs(u64::from(number) * seconds)) }
}

/// `span` after `now`, moved on to the end of that day: who pushes a list twice a day says the same twice.
pub(crate) fn end_after(now: Time, span: Duration) -> Time {
    const DAY_MICROS: i64 = 86_400_000_000;
    let end = now.plus(span).as_micros();
    Time::from_micros(end - end % DAY_MICROS + DAY_MICROS)
}

/// A time as STIX objects have it: to the millisecond.
pub(crate) fn stix(time: Time) -> String {
    let text = time.to_string();
    format!("{}Z", text.get(..23).unwrap_or(&text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(read(text).map(stix).as_deref(), Some(expect), "{text}");
    }

    #[test]
    fn dates_are_read_in_every_common_form() {
        check("2026-11-21", "2026-11-21T00:00:00.000Z");
        check("2026/11/21 08:30", "2026-11-21T08:30:00.000Z");
        check("2026-11-21T08:30:00.123456+05:00", "2026-11-21T03:30:00.123Z");
        check("2026-11-21T08:30:00-0130", "2026-11-21T10:00:00.000Z");
        check("1763712000", "2025-11-21T08:00:00.000Z");
        check("1763712000123", "2025-11-21T08:00:00.123Z");
        for text in
            ["", "yesterday", "7", "2026-13-01", "21.11.2026", "2026-11-21T08:30:00+5", "\u{660}".repeat(10).as_str()]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn spans_end_with_a_day() {
        let now: Time = "2026-11-21T19:50:56Z".parse().unwrap();
        assert_eq!(stix(end_after(now, span("30d").unwrap())), "2026-12-22T00:00:00.000Z");
        assert_eq!(span("2w").unwrap(), span("14 d").unwrap());
        for text in ["", "30", "0d", "d", "30m", "-1d", "é"] {
            assert!(span(text).is_err(), "{text}");
        }
    }
}
