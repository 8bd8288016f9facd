//! Text from outside: which of it our own documents take, and how it stands in a message.

/// The most characters of outside text that a message repeats.
const QUOTED_CHARS_MAX: usize = 160;

/// Tells what could act on a terminal, break a line or reorder the text around it (UAX #9).
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Tells whether `text` is short enough and free of control and bidirectional formatting characters.
#[must_use]
pub fn is_plain(text: &str, bytes_max: usize) -> bool {
    text.len() <= bytes_max && !text.chars().any(is_unsafe)
}

/// Shortens `text` and shows its unsafe characters as escapes.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == QUOTED_CHARS_MAX {
            quoted.push('…');
            break;
        }
        if is_unsafe(c) {
            quoted.extend(c.escape_unicode());
        } else {
            quoted.push(c);
        }
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_shown_and_not_obeyed() {
        assert_eq!(quote("a\u{1b}[2Jb"), "a\\u{1b}[2Jb");
        assert_eq!(quote("evil\u{202e}gpj.exe"), "evil\\u{202e}gpj.exe");
        assert_eq!(quote("one\u{2028}two"), "one\\u{2028}two");
        assert_eq!(quote("قومی سرٹ می\u{200c}خواهم"), "قومی سرٹ می\u{200c}خواهم");
        assert_eq!(quote(&"x".repeat(500)).chars().count(), QUOTED_CHARS_MAX + 1);
    }

    #[test]
    fn plain_text_is_any_language_and_no_control() {
        for text in ["", "قومی سرٹ پاکستان", "国家互联网应急中心", "می\u{200c}خواهم"] {
            assert!(is_plain(text, 64), "{text}");
        }
        for text in ["a\nb", "\u{7f}", "\u{85}", "\u{61c}", "\u{200f}", "\u{2029}", "\u{202e}", "\u{2066}"] {
            assert!(!is_plain(text, 64), "{text:?}");
        }
        assert!(is_plain("سرٹ", 6) && !is_plain("سرٹ", 5));
    }
}
