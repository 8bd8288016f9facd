//! Texts inside objects: patterns, timestamps, observables.

use mithaq_stix::{
    Observable, ObservableKind, Timestamp, TimestampRef,
    pattern::{PATTERN_BYTES_MAX, Pattern},
};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    str,
};

/// Patterns: what is printed is the same pattern and is printed the same again.
pub fn pattern(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    match Pattern::parse(text) {
        Ok(pattern) => {
            assert!(pattern.tests().count() <= pattern.paths().count());
            let _ = pattern.malformed_digest();
            let printed = pattern.to_string();
            if printed.len() <= PATTERN_BYTES_MAX {
                let again = Pattern::parse(&printed).unwrap();
                assert_eq!(again, pattern, "printed as {printed}");
                assert_eq!(again.to_string(), printed);
            }
        }
        Err(error) => assert!(error.offset <= text.len() && !error.to_string().is_empty()),
    }
}

/// Timestamps, one a line: each keeps its text, names the day and time that the text says, and they sort as instants.
pub fn timestamp(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let times: Vec<Timestamp> = text.lines().filter_map(one_timestamp).collect();
    for pair in times.windows(2) {
        let [a, b] = pair else { continue };
        let by_nanos = a.unix_nanos().cmp(&b.unix_nanos());
        assert!(by_nanos.is_eq() || a.cmp(b) == by_nanos, "{a} and {b}");
        assert_eq!(a == b, a.cmp(b).is_eq());
        assert!(a != b || hash(a) == hash(b), "{a} and {b} are equal and hash to different numbers");
    }
}

fn one_timestamp(text: &str) -> Option<Timestamp> {
    let time = Timestamp::parse(text).ok()?;
    assert_eq!((time.as_str(), &*time.to_string()), (text, text));
    assert_eq!(TimestampRef::borrow(text).as_ref(), Ok(&time));
    assert_eq!(i128::from(time.unix_micros()), time.unix_nanos().div_euclid(1_000));
    assert_eq!(i128::from(time.unix_seconds()), time.unix_nanos().div_euclid(1_000_000_000));
    let is_leap_second = text.get(17..19) == Some("60");
    if !is_leap_second {
        assert_eq!(date_and_time(time.unix_seconds()), text[..19]);
    }
    Some(time)
}

fn hash(time: &Timestamp) -> u64 {
    let mut hasher = DefaultHasher::new();
    time.hash(&mut hasher);
    hasher.finish()
}

/// Counts whole years and months from 1970, the long way, so as to share no arithmetic with what is tested.
fn date_and_time(seconds: i64) -> String {
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let year_days = |year| 365 + i64::from(is_leap(year));
    let (mut days, mut year) = (seconds.div_euclid(86_400), 1970);
    while days < 0 {
        year -= 1;
        days += year_days(year);
    }
    while days >= year_days(year) {
        days -= year_days(year);
        year += 1;
    }
    let months = [31, 28 + i64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in months {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}", days + 1)
}

/// Observables: a value in normal form is its own normal form, as what it is and as what an analyst types.
pub fn observable(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let of_kinds = ObservableKind::ALL.iter().filter_map(|kind| Observable::new(*kind, text));
    for found in of_kinds.chain(Observable::from_query(text)) {
        assert_eq!(Observable::new(found.kind, &found.value).as_ref(), Some(&found), "of {text:?}");
    }
}
