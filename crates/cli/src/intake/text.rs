//! Plain text: lists of values, and running text that holds some, in any script.

use std::borrow::Cow;

use mithaq_core::time::Time;

use super::{
    Draft, Intake, Says, What,
    draft::some,
    quoted,
    refang::refang,
    value::{self, DefangedDomains, Found, NoValue, is_bidi, is_blank, narrow},
};

/// How much of a line is looked at as one: longer than any value.
const PIECE_BYTES_MAX: usize = 4 * 1024;
/// What lists begin their comments with.
const COMMENTS: [&str; 3] = ["#", "//", ";"];
/// What stands before the points of a list.
const BULLETS: [char; 7] = ['-', '*', '•', '‣', '·', '–', '—'];
/// Sentences and quotations end so.
const AROUND: &[char] = &[
    '.', ',', ';', ':', '!', '?', '"', '\'', '`', '<', '>', '«', '»', '“', '”', '‘', '’', '(', ')', '[', ']', '{', '}',
    '*', '|', '=', '،', '؛', '؟', '。', '，', '；', '：', '、', '（', '）', '「', '」', '《', '》', '…', '۔',
];

/// The same without brackets, which a defanged word may begin or end with.
const AROUND_PLAIN: &[char] = &['.', ',', ';', '"', '\'', '<', '>', '“', '”', '،', '。', '，'];
/// Marks of scripts that are written without blanks; no value holds them.
const BREAKS: &[char] = &[
    '，', '。', '、', '；', '：', '（', '）', '「', '」', '『', '』', '《', '》', '“', '”', '！', '？', '،', '؛', '؟',
    '۔',
];

/// The text of a file: UTF-8 or, by its byte order mark, UTF-16. The second value is how many bytes were neither.
pub(crate) fn decode(bytes: &[u8]) -> (Cow<'_, str>, usize) {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units = rest.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
        let text: String = char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
        let broken = text.matches(char::REPLACEMENT_CHARACTER).count() + rest.len() % 2;
        (Cow::Owned(text), broken)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        _ => {
            let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
            let text = String::from_utf8_lossy(bytes);
            let broken = match &text {
                Cow::Borrowed(_) => 0,
                Cow::Owned(text) => text.matches(char::REPLACEMENT_CHARACTER).count(),
            };
            (text, broken)
        }
    }
}

/// Takes what a text holds.
pub(crate) fn text(bytes: &[u8], into: &mut Intake) {
    let (text, broken) = decode(bytes);
    if broken > 0 {
        into.losses.field("characters that are no UTF-8", &broken.to_string());
    }
    lines(&text, "line", None, into);
}

/// Takes what the lines of a text hold; `what` names them.
pub(super) fn lines(text: &str, what: &str, at: Option<Time>, into: &mut Intake) {
    for (number, line) in text.lines().enumerate() {
        if into.is_full() {
            return;
        }
        for piece in pieces(line) {
            Line { place: format!("{what} {}", number + 1), at, changed: false, into }.take(piece);
        }
    }
}

/// A line in pieces that end at blanks, so that a text without line ends is read as fast as any other.
fn pieces(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = line;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let room = (0..=PIECE_BYTES_MAX.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(0);
        let is_whole = room == rest.len();
        let end = if is_whole { room } else { rest[..room].rfind(is_blank).filter(|at| *at > 0).unwrap_or(room) };
        let (piece, behind) = rest.split_at(end);
        rest = behind;
        Some(piece)
    })
}

struct Line<'a> {
    place: String,
    at: Option<Time>,
    /// Whether there was anything to refang.
    changed: bool,
    into: &'a mut Intake,
}

impl Line<'_> {
    fn take(&mut self, line: &str) {
        let whole = line.trim_matches(|c| is_blank(c) || is_bidi(c) || c == '\u{feff}');
        if whole.is_empty() {
            return;
        }
        if COMMENTS.iter().any(|mark| whole.starts_with(mark)) {
            return self.comment(whole);
        }
        let value = whole.trim_start_matches(BULLETS).trim_start_matches(is_blank);
        if !value.contains(is_blank) && !is_sentence(value) {
            return self.listed(value);
        }
        let plain = refang(line);
        self.changed = plain != line;
        let words = plain.split(|c: char| is_blank(c) || is_bidi_edge(c) || BREAKS.contains(&c));
        for word in words.flat_map(scripts) {
            self.word(word, line);
        }
    }

    /// A line that is one word is a list's, and what it is not must be told.
    fn listed(&mut self, text: &str) {
        let trimmed = text.trim_end_matches([',', ';']);
        match value::value(trimmed, None) {
            Ok(found) => self.push(text, found),
            // A heading, or the rest of a sentence.
            Err(NoValue::Unknown) if !looks_meant(trimmed) => {}
            Err(NoValue::Unknown) if trimmed.contains([',', '|']) => self.word(trimmed.into(), text),
            Err(error) => self.into.losses.refuse(&self.place, text, error.to_string()),
        }
    }

    fn comment(&mut self, text: &str) {
        let holds = |word: &str| value::guess(word.trim_matches(AROUND), DefangedDomains::OfKnownEndings).is_some();
        if text.split(is_blank).any(holds) {
            self.into.losses.skip(&self.place, text, "is a comment: take the mark away if its value is to be sent");
        }
    }

    fn word(&mut self, Word { text, touches }: Word<'_>, line: &str) {
        if text.chars().any(is_bidi) {
            if looks_meant(text) {
                self.refuse_bidi(text);
            }
            return;
        }
        let narrowed: String = text.chars().map(narrow).collect();
        let word = narrowed.trim_matches(|c| AROUND.contains(&c) && c != '[');
        let word = if word.starts_with('[') && !word.contains("]:") { word.trim_start_matches('[') } else { word };
        if word.len() < 4 {
            return;
        }
        self.cve(word);
        // Whoever defanged a name meant it.
        let defanged = || match self.changed && !line.contains(word) {
            true => value::guess(word, DefangedDomains::Any),
            false => None,
        };
        match value::guess(word, DefangedDomains::OfKnownEndings).or_else(defanged) {
            Some(mut found) => {
                if touches {
                    found.notes.push("stands against letters of another script: look whether it is whole".to_owned());
                }
                self.push(as_it_stood(line, text), found);
            }
            None => self.no_word(word),
        }
    }

    fn no_word(&mut self, word: &str) {
        if let Err(error @ NoValue::Digits(_)) = value::value(word, None) {
            self.into.losses.refuse(&self.place, word, error.to_string());
        } else if value::guess(word, DefangedDomains::Any).is_some() {
            let reason = "may be a file or a sentence: write it alone on a line, or defanged, if it is a domain";
            self.into.losses.skip(&self.place, word, reason);
        }
    }

    fn refuse_bidi(&mut self, text: &str) {
        if let Err(error) = value::cleaned(text) {
            self.into.losses.refuse(&self.place, text, error.to_string());
        }
    }

    fn cve(&mut self, word: &str) {
        let number = word.get(..4).filter(|start| start.eq_ignore_ascii_case("CVE-")).and(word.get(4..));
        if number.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
            self.into.losses.field("vulnerabilities (push them as STIX)", word);
        }
    }

    fn push(&mut self, text: &str, found: Found) {
        let says = Says { valid_from: self.at, ..Says::default() };
        self.into.take(indicator(&self.place, text, found, says));
    }
}

/// The draft of an indicator that looks for one value.
pub(super) fn indicator(place: &str, text: &str, found: Found, mut says: Says) -> Draft {
    let Found { observable, spelled, notes } = found;
    let pattern = format!("[{}]", value::comparison(observable.kind, &spelled));
    says.name = says.name.or_else(|| some(&observable.value));
    let key = format!("indicator\n{}\n{}", observable.kind, observable.value);
    let what = What::Indicator { pattern, observables: vec![observable] };
    Draft { place: place.to_owned(), found: quoted(text), what, key, says, notes }
}

/// The draft of a value that is for detection, or of one that is only told of.
pub(super) fn draft(place: &str, text: &str, found: Found, detect: bool, says: Says) -> Draft {
    if detect || super::object::sco(&found.observable).is_none() {
        return indicator(place, text, found, says);
    }
    let Found { observable, notes, .. } = found;
    let key = format!("observable\n{}\n{}", observable.kind, observable.value);
    Draft { place: place.to_owned(), found: quoted(text), what: What::Observable(observable), key, says, notes }
}

/// Whether somebody may have meant a value: it has a dot or a digit where values have them.
fn looks_meant(text: &str) -> bool {
    let inner = text.trim_matches(AROUND);
    inner.contains(|c: char| c.is_numeric() || matches!(c, '\\' | '@' | '^' | '$'))
        && inner.contains(['.', ':', '@', '\\', '。'])
        || inner.contains("[.]")
        || (inner.contains('.') && inner.chars().any(is_bidi))
}

/// Whether a text without blanks is a sentence all the same: scripts touch in it, and it is no name of both.
fn is_sentence(text: &str) -> bool {
    let is_cut = scripts(text).len() > 1 || text.contains(BREAKS);
    is_cut && value::guess(&refang(text), DefangedDomains::OfKnownEndings).is_none()
}

/// The word of a line as it stood there before it was refanged.
fn as_it_stood<'t>(line: &'t str, text: &'t str) -> &'t str {
    let is_it = |word: &&str| refang(word).contains(text);
    let stood = || line.split(is_blank).find(is_it).map(|word| word.trim_matches(AROUND_PLAIN));
    if line.contains(text) { text } else { stood().unwrap_or(text) }
}

/// Marks of direction that stand between words, as mail programs put them around Latin words.
fn is_bidi_edge(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2066}'..='\u{2069}')
}

/// A word, and whether letters of another script touched it.
#[derive(Clone, Copy)]
struct Word<'a> {
    text: &'a str,
    touches: bool,
}

/// Cuts a word where ASCII touches a script that is written without blanks or against them.
fn scripts(word: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let (mut start, mut last, mut touched) = (0, None, false);
    for (at, c) in word.char_indices() {
        let class = class(c);
        if let (Some(before), Some(now)) = (last, class)
            && before != now
        {
            words.push(Word { text: &word[start..at], touches: true });
            (start, touched) = (at, true);
        }
        // Between the two a dot keeps a name together, as in a name of two scripts.
        last = class;
    }
    words.push(Word { text: &word[start..], touches: touched });
    words
}

/// 1 for ASCII letters and digits, 2 for scripts that touch them in running text.
fn class(c: char) -> Option<u8> {
    match u32::from(c) {
        _ if c.is_ascii_alphanumeric() => Some(1),
        0x0600..=0x06ff | 0x0750..=0x077f | 0x08a0..=0x08ff | 0xfb50..=0xfdff | 0xfe70..=0xfefc => Some(2),
        0x3040..=0x30ff | 0x3400..=0x9fff | 0xac00..=0xd7a3 | 0xf900..=0xfaff => Some(2),
        _ => None,
    }
}

impl<'a> From<&'a str> for Word<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, touches: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a text is taken for: the values, and the reasons why others are left out.
    fn read(input: &str) -> (Vec<String>, Vec<String>) {
        let mut intake = Intake::default();
        text(input.as_bytes(), &mut intake);
        let value = |draft: &Draft| match &draft.what {
            What::Indicator { observables, .. } => observables[0].value.clone(),
            other => format!("{other:?}"),
        };
        let left = |left: &super::super::LeftOut| format!("{} {} {}", left.place, left.found, left.reason);
        (intake.drafts().iter().map(value).collect(), intake.losses.left_out().iter().map(left).collect())
    }

    #[track_caller]
    fn check(input: &str, expect: &[&str]) {
        assert_eq!(read(input).0, expect, "{input}");
    }

    #[test]
    fn lists_are_taken_line_by_line() {
        check(
            "evil.example\r\n\u{feff}\n- hxxp://evil[.]example/x\n* 192.0.2.1\u{a0}\n",
            &["evil.example", "http://evil.example/x", "192.0.2.1"],
        );
        check("\u{3000}evil.example\u{2003}\n  198.51.100.0/24,", &["evil.example", "198.51.100.0/24"]);
        let (_, left) = read("# see https://abuse.ch/list\nevil.example\nEVIL.example\n999.1.2.3\n");
        assert_eq!(left.len(), 3, "{left:?}");
        assert!(left[0].contains("is a comment") && left[1].contains("stands at line 2 too"), "{left:?}");
        assert!(left[2].starts_with("line 4 999.1.2.3 is nothing that Mithaq knows"), "{left:?}");
    }

    #[test]
    fn running_text_in_any_language_gives_up_its_values() {
        check("The host evil[.]example (192[.]0[.]2[.]1) was seen, see setup.py.", &["evil.example", "192.0.2.1"]);
        check("攻击者访问evil.com下载，地址为192.0.2.7。请封锁", &["evil.com", "192.0.2.7"]);
        check("قام المهاجم بالاتصال بـ \u{200e}evil[.]com\u{200e} من 192.0.2.9،", &["evil.com", "192.0.2.9"]);
        check("حملہ آور نے hxxps://evil[.]com/a استعمال کیا۔", &["https://evil.com/a"]);
        check("mail a\u{2003}someone[at]evil[.]example\u{a0}now", &["someone@evil.example"]);
        check("hash d41d8cd98f00b204e9800998ecf8427e, CVE-2024-1234", &["d41d8cd98f00b204e9800998ecf8427e"]);
        check("Nothing to see here. Nothing.At all", &[]);
    }

    #[test]
    fn what_stood_there_is_told_as_it_stood() {
        let mut intake = Intake::default();
        text("see hxxps[:]//evil[.]com/a, or bad.com now".as_bytes(), &mut intake);
        let found: Vec<_> = intake.drafts().iter().map(|draft| draft.found.as_str()).collect();
        assert_eq!(found, ["hxxps[:]//evil[.]com/a", "bad.com"]);
    }

    #[test]
    fn what_hides_itself_is_refused_and_told() {
        let (values, left) = read("from ١٩٢.٠.٢.١ today\nsee ev\u{202e}il.com now\n^evil[.]example$\n");
        assert!(values.is_empty(), "{values:?}");
        assert!(left[0].contains("if 192.0.2.1 is meant"), "{left:?}");
        assert!(left[1].contains("bidirectional control U+202E"), "{left:?}");
        assert!(left[2].contains("regular expression"), "{left:?}");
    }

    #[test]
    fn a_text_without_line_ends_is_read_in_pieces() {
        let input = format!("{} evil.com", "evil[.]example and words, ".repeat(4_000));
        assert_eq!(read(&input).0, ["evil.example", "evil.com"]);
        let line = "مx ".repeat(20_000);
        assert_eq!(pieces(&line).collect::<String>(), line);
        assert!(pieces(&line).all(|piece| piece.len() <= PIECE_BYTES_MAX));
    }

    #[test]
    fn text_is_read_in_the_encodings_that_spreadsheets_write() {
        let wide: Vec<u8> = "\u{feff}evil.example".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(decode(&wide), (Cow::from("evil.example"), 0));
        assert_eq!(decode(b"\xef\xbb\xbfx\xff").1, 1);
    }
}
