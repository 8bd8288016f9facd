//! What came from outside never reaches a terminal as it is: control characters could move the cursor, change the
//! title or run what the user did not type, and bidirectional controls could make one identifier look like another.
//!
//! Zero-width joiners stay: Urdu and Persian prose needs them.

use std::{
    borrow::Cow,
    fmt::{self, Write},
};

/// A text as it may be shown: every control and bidirectional control character is written as `\u{…}`.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| must_escape(*c)) {
            f.write_str(&rest[..at])?;
            write!(f, "{}", c.escape_unicode())?;
            rest = &rest[at + c.len_utf8()..];
        }
        f.write_str(rest)
    }
}

/// Whether a terminal could obey the character: C0, DEL, C1 and the bidirectional controls of UAX #9.
#[must_use]
pub fn must_escape(c: char) -> bool {
    let is_bidi = matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || is_bidi
}

/// JSON text as a terminal may show it: still the same JSON, with what must be escaped written as `\uXXXX`.
///
/// Characters below U+0020 are left alone: a JSON text has them only as blanks between its parts.
#[must_use]
pub fn escape_json(text: &str) -> Cow<'_, str> {
    let must = |c: char| c >= ' ' && must_escape(c);
    if !text.contains(must) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if must(c) {
            // INVARIANT: writing to a string does not fail; all that must be escaped lies in the basic plane.
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// How many columns a terminal gives to a text: two for the wide characters of East Asia, none for marks.
#[must_use]
pub fn columns(text: &str) -> usize {
    text.chars().map(char_columns).sum()
}

fn char_columns(c: char) -> usize {
    match u32::from(c) {
        0x200b..=0x200d | 0x0300..=0x036f | 0x0610..=0x061a | 0x064b..=0x065f | 0x0670 | 0x06d6..=0x06ed => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xfe30..=0xfe6f => 2,
        0xff00..=0xff60 | 0xffe0..=0xffe6 | 0x1f300..=0x1faff | 0x2_0000..=0x3_fffd => 2,
        _ => 1,
    }
}

/// The text cut to `max` columns, with an ellipsis if something is missing.
#[must_use]
pub fn cut(text: &str, max: usize) -> Cow<'_, str> {
    if columns(text) <= max {
        return Cow::Borrowed(text);
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += char_columns(*c);
        used <= max
    };
    Cow::Owned(text.chars().take_while(fits).chain(['…']).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_dangerous(c: char) -> bool {
        let number = u32::from(c);
        let ranges = [(0, 0x1f), (0x7f, 0x9f), (0x61c, 0x61c), (0x200e, 0x200f), (0x202a, 0x202e), (0x2066, 0x2069)];
        ranges.iter().any(|(from, to)| (*from..=*to).contains(&number))
    }

    #[test]
    fn every_code_point_is_shown_or_escaped() {
        for c in '\0'..=char::MAX {
            let text = format!("a{c}b");
            let shown = Escaped(&text).to_string();
            assert!(!shown.contains(is_dangerous), "U+{:04X}", u32::from(c));
            if !is_dangerous(c) {
                assert_eq!(shown, text, "U+{:04X} is changed without need", u32::from(c));
            }
        }
    }

    #[test]
    fn every_code_point_survives_as_json() {
        for c in '\0'..=char::MAX {
            let json = serde_json::to_string(&c.to_string()).unwrap();
            let escaped = escape_json(&json);
            assert!(!escaped.contains(is_dangerous), "U+{:04X}", u32::from(c));
            assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), c.to_string());
        }
    }

    #[test]
    fn known_attacks_are_visible() {
        assert_eq!(Escaped("a\u{1b}[2Jb").to_string(), "a\\u{1b}[2Jb");
        assert_eq!(Escaped("evil\u{202e}gpj.exe").to_string(), "evil\\u{202e}gpj.exe");
        assert_eq!(Escaped("می\u{200c}خواهم").to_string(), "می\u{200c}خواهم");
    }

    #[test]
    fn columns_count_what_a_terminal_shows() {
        assert_eq!(columns("CNCERT"), 6);
        assert_eq!(columns("国家"), 4);
        assert_eq!(columns("مِيثاق"), 5);
        assert_eq!(cut("国家互联网", 5), "国家…");
        assert_eq!(cut("short", 5), "short");
    }

    proptest! {
        #[test]
        fn text_is_never_obeyed_and_json_means_the_same(text in any::<String>()) {
            prop_assert!(!Escaped(&text).to_string().contains(is_dangerous));
            let json = serde_json::to_string(&serde_json::json!({ &text: [&text] })).unwrap();
            let escaped = escape_json(&json);
            prop_assert!(!escaped.contains(is_dangerous));
            let read: serde_json::Value = serde_json::from_str(&escaped).unwrap();
            prop_assert_eq!(read, serde_json::json!({ &text: [&text] }));
        }

        #[test]
        fn a_cut_text_fits(text in any::<String>(), max in 1_usize..40) {
            prop_assert!(columns(&cut(&text, max)) <= max);
        }
    }
}
