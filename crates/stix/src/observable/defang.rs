//! Undoing what people do to a value so that nobody clicks on it: `hxxps[:]//evil[.]example` is `https://evil.example`.
//!
//! There is one list of what defanging puts in, for values that are compared and for texts that are read: what either
//! of them undoes, the other takes for the same value.

use std::borrow::Cow;

/// What defanging puts in, and what it stood for. Nothing here touches a backslash: some producers do write them.
const MARKS: [(&str, &str); 18] = [
    ("[.]", "."),
    ("(.)", "."),
    ("{.}", "."),
    ("[dot]", "."),
    ("(dot)", "."),
    ("{dot}", "."),
    ("[:]", ":"),
    ("(:)", ":"),
    ("[://]", "://"),
    ("(://)", "://"),
    ("[:/]", ":/"),
    ("[/]", "/"),
    ("[@]", "@"),
    ("(@)", "@"),
    ("{@}", "@"),
    ("[at]", "@"),
    ("(at)", "@"),
    ("{at}", "@"),
];

/// Schemes as they are written so that nothing makes a link of them.
const SCHEMES: [(&str, &str); 8] = [
    ("hxxps", "https"),
    ("hxxp", "http"),
    ("h**ps", "https"),
    ("h**p", "http"),
    ("hxtps", "https"),
    ("hxtp", "http"),
    ("fxps", "ftps"),
    ("fxp", "ftp"),
];

/// Undoes defanging in a value; what comes out holds nothing more to undo.
///
/// Whether the value may be a regular expression, in which `[.]` means something else, is for the caller to know.
#[must_use]
pub fn refang(value: &str) -> Cow<'_, str> {
    let has_marks = memchr::memchr3(b'[', b'(', b'{', value.as_bytes()).is_some();
    if !has_marks && schemes(value).next().is_none() {
        return Cow::Borrowed(value);
    }
    let mut out = String::with_capacity(value.len());
    // Every mark ends in a bracket that closes and stands for none: what is put together again at the end of a piece is
    // seen again with the next one, and no mark is left behind the last.
    for piece in value.split_inclusive([']', ')', '}']) {
        push_schemed(piece, &mut out);
        if let Some((mark, plain)) = MARKS.iter().find(|(mark, _)| ends_with(&out, mark)) {
            out.truncate(out.len() - mark.len());
            out.push_str(plain);
        }
    }
    Cow::Owned(out)
}

/// Appends a piece of a value, its schemes put right.
fn push_schemed(piece: &str, out: &mut String) {
    let mut done = 0;
    for (at, defanged, scheme) in schemes(piece) {
        out.push_str(&piece[done..at]);
        out.push_str(scheme);
        done = at + defanged.len();
    }
    out.push_str(&piece[done..]);
}

/// The defanged schemes that begin as words in a piece, where they do, and what they stood for.
fn schemes(piece: &str) -> impl Iterator<Item = (usize, &'static str, &'static str)> {
    let starts = piece.bytes().enumerate().filter(|(_, byte)| matches!(byte, b'h' | b'H' | b'f' | b'F'));
    starts.filter_map(|(at, _)| scheme_at(piece, at).map(|(defanged, scheme)| (at, defanged, scheme)))
}

fn scheme_at(piece: &str, at: usize) -> Option<(&'static str, &'static str)> {
    if piece[..at].ends_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    let begins = |defanged: &str| {
        let rest = piece.get(at + defanged.len()..);
        let is_it = || piece[at..at + defanged.len()].eq_ignore_ascii_case(defanged);
        rest.is_some_and(|rest| rest.starts_with([':', '[', '('])) && is_it()
    };
    SCHEMES.iter().find(|(defanged, _)| begins(defanged)).copied()
}

/// Tells whether `text` ends with `mark`, which is ASCII, in whatever case.
fn ends_with(text: &str, mark: &str) -> bool {
    let end = text.len().checked_sub(mark.len()).and_then(|at| text.get(at..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(mark))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Observable, ObservableKind};
    use proptest::{prelude::*, sample::select};

    #[test]
    fn every_mark_and_scheme_is_undone_wherever_it_stands_and_for_good() {
        for (mark, plain) in MARKS {
            for text in [format!("a{mark}b"), format!("a{}b", mark.to_uppercase()), format!("{mark}{mark}")] {
                let undone = refang(&text).into_owned();
                assert!(undone == format!("a{plain}b") || undone == plain.repeat(2), "{text} is {undone}");
                assert_eq!(refang(&undone), undone);
            }
        }
        for (defanged, scheme) in SCHEMES {
            for end in ["://b", "[://]b", "(:)//b", "[:]//b"] {
                assert_eq!(refang(&format!("{defanged}{end}")), format!("{scheme}://b"));
                assert_eq!(refang(&format!("<{}{end}", defanged.to_uppercase())), format!("<{scheme}://b"));
            }
        }
        assert_eq!(refang("fax://hxxper, ahxxp://b"), "fax://hxxper, ahxxp://b");
    }

    /// A value with some of its dots, colons, at signs and its scheme defanged, the way a choice of numbers says.
    fn defanged(plain: &str, choices: &[usize]) -> String {
        let pick = |number: usize| choices[number % choices.len()];
        let (scheme, rest) = plain.split_once("://").unwrap_or(("", plain));
        let mut out = String::new();
        if !scheme.is_empty() {
            let schemes: Vec<_> = SCHEMES.iter().filter(|(_, plain)| *plain == scheme).collect();
            let colons: Vec<_> = MARKS.iter().filter(|(_, plain)| *plain == "://").collect();
            out += schemes[pick(0) % schemes.len()].0;
            out += colons[pick(1) % colons.len()].0;
        }
        for (number, c) in rest.chars().enumerate() {
            let plain = c.to_string();
            let marks: Vec<_> = MARKS.iter().filter(|(_, stood)| *stood == plain).collect();
            match marks.get(pick(number + 2) % (marks.len() + 1)) {
                Some((mark, _)) => out += mark,
                None => out.push(c),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn a_value_has_one_normal_form_however_it_was_defanged(
            (kind, plain) in select(vec![
                (ObservableKind::Ipv4, "192.0.2.1"),
                (ObservableKind::Domain, "mail.evil.example"),
                (ObservableKind::Url, "https://evil.example:8443/a.b/c?d=e@f"),
                (ObservableKind::Url, "ftp://192.0.2.1/x"),
                (ObservableKind::Email, "some.one@mail.evil.example"),
            ]),
            choices in prop::collection::vec(0_usize..16, 1..40),
        ) {
            let text = defanged(plain, &choices);
            prop_assert_eq!(Observable::new(kind, &text), Observable::new(kind, plain), "{}", text);
            let meant = |text| Observable::from_query(text).into_iter().next();
            prop_assert_eq!(meant(&text), meant(plain), "{}", text);
        }

        #[test]
        fn refanging_twice_is_refanging_once(text in "[hxtpfs*:/\\[\\](){}.@atdo a]{0,60}") {
            let once = refang(&text).into_owned();
            prop_assert_eq!(refang(&once).into_owned(), once);
        }
    }
}
