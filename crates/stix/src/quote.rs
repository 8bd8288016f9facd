//! Text from outside, made safe and short enough to stand in a message.

/// The most characters of outside text that a message repeats.
const QUOTED_CHARS_MAX: usize = 80;

/// Tells the Unicode controls that reorder the text around them (UAX #9), which can make one id look like another.
pub(crate) fn is_bidi_control(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Shortens `text` and shows its control and bidi characters as escapes.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == QUOTED_CHARS_MAX {
            quoted.push('…');
            break;
        }
        if c.is_control() || is_bidi_control(c) {
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
        assert_eq!(quote("می‌خواهم"), "می‌خواهم", "a ZWNJ belongs to prose");
        assert_eq!(quote(&"x".repeat(500)).chars().count(), QUOTED_CHARS_MAX + 1);
    }
}
