//! The words by which people look for an object: of its names, and of what it says of itself.

use mithaq_stix::{Object, ObjectClass, json::Value};

/// The most words of one object: its names come first, and what a long description says at its end is not found.
pub const OBJECT_WORDS_MAX: usize = 48;

/// The most words of one question.
pub const QUERY_WORDS_MAX: usize = 16;

/// The most characters of a word; what a longer one has beyond them does not count.
const WORD_CHARS_MAX: usize = 48;

/// The most characters of one text that are looked at.
const TEXT_CHARS_MAX: usize = 4 * 1024;

/// The words of an object, each once, in no order that means anything.
///
/// There are none of indicators and observables, which are so many and are found by their values, nor of what only
/// joins other objects. A translation has the words of what it translates into.
pub(crate) fn of_object(object: &Object<'_>) -> Vec<String> {
    if object.object_type() == "language-content" {
        return of_translation(object);
    }
    let is_named = matches!(object.class(), ObjectClass::Domain | ObjectClass::Custom)
        && !matches!(object.object_type(), "indicator" | "observed-data");
    let mut words = Words { found: Vec::new(), words_max: OBJECT_WORDS_MAX, with_parts: true };
    if !is_named {
        return words.found;
    }
    let value = object.value();
    let texts = |name: &str| value.get(name).and_then(Value::as_str);
    let lists = |name: &str| value.get(name).and_then(Value::as_array).unwrap_or_default().iter();
    texts("name").into_iter().for_each(|text| words.add(&text));
    lists("aliases").filter_map(Value::as_str).for_each(|text| words.add(&text));
    let ids = lists("external_references").filter_map(|reference| reference.get("external_id")?.as_str());
    ids.for_each(|text| words.add(&text));
    ["abstract", "description", "content", "explanation"]
        .into_iter()
        .filter_map(texts)
        .for_each(|text| words.add(&text));
    words.found
}

/// The words of a `language-content` (STIX 2.1 §7.1): of the texts in all its languages, names first, and of lists of texts.
fn of_translation(object: &Object<'_>) -> Vec<String> {
    let mut words = Words { found: Vec::new(), words_max: OBJECT_WORDS_MAX, with_parts: true };
    let contents = object.value().get("contents").and_then(Value::as_object);
    let languages = contents.into_iter().flatten().filter_map(|language| language.value.as_object());
    let names = languages.clone().flat_map(|texts| ["name", "aliases"].into_iter().filter_map(|name| texts.get(name)));
    let all = languages.clone().flatten().map(|text| &text.value);
    for text in names.chain(all) {
        text.as_str().into_iter().for_each(|text| words.add(&text));
        let list = text.as_array().unwrap_or_default().iter().filter_map(Value::as_str);
        list.for_each(|text| words.add(&text));
    }
    words.found
}

/// The words that someone asks for, at most [`QUERY_WORDS_MAX`] of them. An object has a text's words if all of these are
/// among its own.
#[must_use]
pub fn of_query(text: &str) -> Vec<String> {
    let mut words = Words { found: Vec::new(), words_max: QUERY_WORDS_MAX, with_parts: false };
    words.add(text);
    words.found
}

/// Words as they are gathered.
struct Words {
    found: Vec<String>,
    words_max: usize,
    /// Whether `spear` and `phishing` are found as well as `spear-phishing`.
    with_parts: bool,
}

impl Words {
    fn add(&mut self, text: &str) {
        let end = text.char_indices().nth(TEXT_CHARS_MAX).map_or(text.len(), |(at, _)| at);
        let is_in_word = |c: char| c.is_alphanumeric() || is_joint(c) || is_mark(c);
        for piece in text[..end].split(|c: char| !is_in_word(c)) {
            let word = piece.trim_matches(|c: char| !c.is_alphanumeric());
            if word.chars().any(has_no_spaces) {
                self.add_pairs(word);
                continue;
            }
            self.push(word);
            if self.with_parts && word.contains(is_joint) {
                word.split(is_joint).for_each(|part| self.push(part));
            }
        }
    }

    /// Where no spaces part words, any two neighbours count as one.
    fn add_pairs(&mut self, text: &str) {
        for run in text.split(is_joint).filter(|run| !run.is_empty()) {
            let chars: Vec<char> = run.chars().collect();
            match chars.as_slice() {
                [_] => self.push(run),
                _ => chars.windows(2).for_each(|pair| self.push(&String::from_iter(pair))),
            }
        }
    }

    fn push(&mut self, word: &str) {
        let word: String = word.chars().flat_map(char::to_lowercase).take(WORD_CHARS_MAX).collect();
        if !word.is_empty() && self.found.len() < self.words_max && !self.found.contains(&word) {
            self.found.push(word);
        }
    }
}

/// What joins the parts of one word: `CVE-2024-3094`, `T1059.001`.
fn is_joint(c: char) -> bool {
    matches!(c, '-' | '_' | '.' | '\u{2010}' | '\u{2011}')
}

/// Vowel signs and tones that are no letters of their own: a word goes on across them.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{591}'..='\u{5c7}' | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}'
        | '\u{93a}'..='\u{94f}' | '\u{9bc}'..='\u{9cd}' | '\u{200c}' | '\u{200d}')
}

/// Han, kana, Thai, Lao, Burmese and Khmer, which put no spaces between words, and Hangul, where they part more than words.
fn has_no_spaces(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}' | '\u{3040}'..='\u{30ff}'
        | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(object_type: &str, members: &str) -> Vec<String> {
        let text = format!(
            r#"{{"type":"{object_type}","spec_version":"2.1","id":"{object_type}--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
            "created":"2026-01-01T00:00:00Z","modified":"2026-01-01T00:00:00Z",{members}}}"#
        );
        of_object(&Object::parse(text.as_bytes()).unwrap())
    }

    #[track_caller]
    fn finds(members: &str, query: &str, expect: bool) {
        let words = object("malware", members);
        let asked = of_query(query);
        assert_eq!(
            !asked.is_empty() && asked.iter().all(|word| words.contains(word)),
            expect,
            "{asked:?} in {words:?}"
        );
    }

    #[test]
    fn words_are_found_whole_and_in_part_and_in_any_case() {
        let members = r#""name":"LockBit 3.0","aliases":["ABCD-Crypt"],"description":"Uses spear-phishing. Ends.",
            "external_references":[{"source_name":"cve","external_id":"CVE-2024-3094"}]"#;
        for query in ["lockbit", "LOCKBIT 3.0", "abcd-crypt", "crypt", "phishing uses", "ends", "cve-2024-3094"] {
            finds(members, query, true);
        }
        for query in ["lock", "lockbit 4.0", "cve-2024-3095", "", "...", "spear-lockbit"] {
            finds(members, query, false);
        }
    }

    #[test]
    fn words_are_found_in_scripts_without_spaces() {
        let members = r#""name":"钓鱼邮件 CHAOS勒索","aliases":["بدافزار جدید"],"description":"フィッシング""#;
        for query in ["钓鱼", "钓鱼邮件", "邮件", "勒索", "بدافزار", "フィッシング", "جدید 钓鱼"]
        {
            finds(members, query, true);
        }
        finds(members, "邮钓", false);
    }

    #[test]
    fn a_translation_has_the_words_of_all_its_texts_names_first() {
        let long: String = (0..100).map(|number| format!("w{number} ")).collect();
        let members = format!(
            r#""object_ref":"malware--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","contents":{{
            "ar":{{"description":"{long}","name":"برمجية خبيثة"}},"ur":{{"aliases":["تاوان","赎金软件"],"name":7}},"en":"x"}}"#
        );
        let words = object("language-content", &members);
        for word in ["برمجية", "خبيثة", "تاوان", "赎金", "软件", "w0"] {
            assert!(words.contains(&word.to_owned()), "{word} in {words:?}");
        }
        assert_eq!(words.len(), OBJECT_WORDS_MAX);
    }

    #[test]
    fn what_is_found_by_its_value_has_no_words_and_hostile_texts_have_few() {
        let pattern = r#""pattern":"[ipv4-addr:value = '192.0.2.1']","pattern_type":"stix","valid_from":"2026-01-01T00:00:00Z","name":"x""#;
        assert_eq!(object("indicator", pattern), [""; 0]);
        let many: String = (0..10_000).map(|number| format!("w{number} ")).collect();
        assert_eq!(object("malware", &format!(r#""name":"{many}""#)).len(), OBJECT_WORDS_MAX);
        let long = "é".repeat(100_000);
        assert_eq!(object("malware", &format!(r#""name":"{long}""#))[0].chars().count(), WORD_CHARS_MAX);
        assert_eq!(of_query(&many).len(), QUERY_WORDS_MAX);
    }
}
