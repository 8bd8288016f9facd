//! Undoing what people do to values so that nobody clicks on them.
//!
//! `hxxps[:]//evil[.]example` becomes `https://evil.example`. What looks like a regular expression, and whatever holds a
//! backslash, is left as it is: `evil[.]example` may be the pattern and not the name. What comes out holds nothing
//! more to undo.

use std::borrow::Cow;

use mithaq_core::stix::observable;

/// What only a regular expression has.
const REGEX_SIGNS: [&str; 14] =
    ["\\", ".*", ".+", "[^", "(?", "[a-z", "[A-Z", "[0-9", "[.]?", "[.]*", "[.]+", "]{", "){", "|^"];

/// A line that is changed by refanging.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    /// The line as it was.
    pub(crate) before: String,
    /// The line as it is.
    pub(crate) after: String,
}

/// Refangs a line; `None` if there is nothing to undo.
pub(crate) fn refang_line(line: &str) -> Option<Change> {
    match refang(line) {
        Cow::Owned(after) if after != line => Some(Change { before: line.to_owned(), after }),
        _ => None,
    }
}

/// Refangs a text, word by word.
pub(super) fn refang(text: &str) -> Cow<'_, str> {
    if !may_change(text) {
        return Cow::Borrowed(text);
    }
    let plain = plain_dots(text);
    let mut out = String::with_capacity(plain.len());
    let mut was_regex = false;
    for word in plain.split_inclusive(char::is_whitespace) {
        let is_regex = is_regex(word.trim_end());
        if is_regex {
            out.push_str(word);
        } else {
            refang_word(word, !was_regex, &mut out);
        }
        was_regex = is_regex;
    }
    Cow::Owned(out)
}

fn may_change(text: &str) -> bool {
    text.contains(|c: char| matches!(c, '[' | '(' | '{' | 'x' | 'X' | '*') || is_odd(c))
}

/// Whether a character stands for a dot, or for nothing at all.
fn is_odd(c: char) -> bool {
    is_wide_dot(c) || is_invisible(c)
}

fn is_wide_dot(c: char) -> bool {
    matches!(c, '\u{ff0e}' | '\u{3002}' | '\u{ff61}')
}

/// Characters without width that no value holds. The joiners are none of them: names in Persian and Urdu have them.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{200b}' | '\u{2060}' | '\u{feff}')
}

/// Dots of other widths between ASCII letters become plain dots, and what has no width between them goes away. Behind a
/// value whose dots are others, the full stop of Chinese and Japanese ends a sentence and joins nothing.
fn plain_dots(text: &str) -> Cow<'_, str> {
    if !text.contains(is_odd) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut has_dot = false;
    while let Some(start) = rest.find(is_odd) {
        let (plain, odd) = rest.split_at(start);
        let end = odd.find(|c| !is_odd(c)).unwrap_or(odd.len());
        let (run, behind) = odd.split_at(end);
        out.push_str(plain);
        let value = plain.rsplit(|c| !is_value_char(c)).next().unwrap_or_default();
        has_dot = (has_dot && value.len() == plain.len()) || observable::refang(value).contains('.');
        let ends_sentence = has_dot && run.contains(['\u{3002}', '\u{ff61}']);
        if out.ends_with(is_value_char) && behind.starts_with(is_value_char) && !ends_sentence {
            out.extend(run.chars().filter(|c| is_wide_dot(*c)).map(|_| '.'));
        } else {
            out.push_str(run);
            has_dot = false;
        }
        rest = behind;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn is_value_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/' | '[' | ']' | '(' | ')' | '@')
}

/// Tells a regular expression from a value.
pub(super) fn is_regex(word: &str) -> bool {
    let bare = word.trim_matches(['\'', '"', '`', ',', ';']);
    let has_ends = bare.starts_with('^') || (bare.ends_with('$') && bare.len() > 1);
    let is_slashed = bare.len() > 2 && bare.starts_with('/') && bare.ends_with('/');
    has_ends || is_slashed || REGEX_SIGNS.iter().any(|sign| bare.contains(sign))
}

/// Appends a word, with the blanks behind it, refanged.
fn refang_word(word: &str, may_join: bool, out: &mut String) {
    let start = out.len();
    out.push_str(&observable::refang(word));
    if may_join {
        join(start, out);
    }
}

/// Joins `evil [.] example`, where the mark was a word of its own.
fn join(start: usize, out: &mut String) {
    let (before, word) = out.split_at(start);
    let stood_alone = matches!(word.trim_end(), "." | "@");
    let follows = before.strip_suffix(' ').is_some_and(|before| before.ends_with(|c: char| c.is_ascii_alphanumeric()));
    if stood_alone && follows && word.len() == 2 && word.ends_with(' ') {
        let mark = word.as_bytes()[0];
        out.truncate(start - 1);
        out.push(char::from(mark));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mithaq_core::stix::{Observable, ObservableKind as Kind};
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expect: &str) {
        assert_eq!(refang(text), expect, "{text}");
        assert_eq!(refang(expect), expect, "{expect}");
    }

    #[test]
    fn defanged_values_are_put_right() {
        check("hxxps[:]//Evil[.]example/a?b=(c)", "https://Evil.example/a?b=(c)");
        check("hXXp://evil{.}example", "http://evil.example");
        check("192[.]0(.)2[dot]1", "192.0.2.1");
        check("someone[at]evil(DOT)example", "someone@evil.example");
        check("see h**p[://]evil.example, fxp://evil.example", "see http://evil.example, ftp://evil.example");
        check("<hxxp://evil[.]example>", "<http://evil.example>");
        check("evil [.] example and admin [at] evil [dot] example.", "evil.example and admin@evil.example.");
        check("evil．example 恶意\u{3002}域名", "evil.example 恶意\u{3002}域名");
        check("ev\u{200b}il.exa\u{ad}mple", "evil.example");
        check("192\u{3002}0\u{ff61}2．1", "192.0.2.1");
        check("evil[.]example\u{3002}mail: a", "evil.example\u{3002}mail: a");
        check("user[at]evil\u{3002}example", "user@evil.example");
        check("evil[dot]example\u{3002}mail", "evil.example\u{3002}mail");
        check("see evil.example\u{3002}www．bad\u{3002}example", "see evil.example\u{3002}www.bad.example");
        check("[(.)]x[[.]]", ".x[.]".replace("[.]", ".").as_str());
    }

    #[test]
    fn hostile_repetitions_cost_no_more_than_their_length() {
        for part in ["hxxp:", "\u{200b}", "[.", "(.)", "[.] ", "h", "\u{3002}x"] {
            let text = part.repeat(200_000);
            let once = refang(&text).into_owned();
            assert!(once.len() <= text.len(), "{part}");
        }
    }

    #[test]
    fn what_is_no_value_is_left_alone() {
        for text in [
            r"^evil[.]example$",
            r"(?i)evil[.]example",
            r"evil\.example[.]com",
            r"C:\Temp\a[.]exe",
            r"HKLM\Software\hxxp",
            "[a-z]+[.]example",
            "evil[.]?example",
            "/evil[.]example/",
            "a list[0] and f(x) {y}",
            "the hxxper proxy",
            "می\u{200c}خواهم",
            "",
        ] {
            check(text, text);
        }
    }

    proptest! {
        #[test]
        fn refanging_twice_is_refanging_once(
            text in prop_oneof![any::<String>(), "[hxtps:/\\[\\](){}.@atdo \u{200b}\u{3002}\\\\^$*?+|]{0,60}"]
        ) {
            let once = refang(&text).into_owned();
            prop_assert_eq!(refang(&once).into_owned(), once.clone());
            prop_assert_eq!(once.matches('\\').count(), text.matches('\\').count());
        }

        #[test]
        fn a_word_that_is_refanged_here_is_the_same_value_there(word in "[hxtpfs*:/\\[\\](){}.@atdo]{1,40}") {
            let plain = refang(&word);
            for kind in [Kind::Domain, Kind::Ipv4, Kind::Url, Kind::Email] {
                let (there, here) = (Observable::new(kind, &word), Observable::new(kind, &plain));
                prop_assert!(is_regex(&word) || there == here, "{:?}: {:?} {:?}", word, there, here);
            }
        }
    }
}
