//! What an analyst may have meant.

use super::{Observable, ObservableKind as Kind, defang::refang, normalise};

/// The kinds of which a text can only be one, the most telling first.
const EXCLUSIVE: [Kind; 5] = [Kind::Ipv4, Kind::Mac, Kind::RegistryKey, Kind::Url, Kind::Email];

/// The kinds that have no form of their own, so that any short text can be one.
const FORMLESS: [Kind; 4] = [Kind::FileName, Kind::Mutex, Kind::UserAccount, Kind::ProcessName];

pub(super) fn guess(text: &str) -> Vec<Observable> {
    let is_wrapping = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '<' | '>' | '\u{feff}');
    let text = text.trim_matches(is_wrapping);
    if let Some(found) = EXCLUSIVE.iter().find_map(|kind| of_form(*kind, text)) {
        return vec![found];
    }
    if is_foreign_number(text) {
        return Vec::new();
    }
    let hashes: Vec<_> = Kind::ALL
        .iter()
        .filter(|kind| normalise::hash_length(**kind) == Some(text.len()))
        .filter_map(|kind| Observable::new(*kind, text))
        .collect();
    if !hashes.is_empty() {
        return hashes;
    }
    let domain = refang(text).contains('.').then_some(Kind::Domain);
    let has_as = text.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("as"));
    let asn = has_as.then_some(Kind::Asn);
    domain.into_iter().chain(asn).chain(FORMLESS).filter_map(|kind| Observable::new(kind, text)).collect()
}

/// The observable of `kind`, if `text` has the form that tells this kind from others.
fn of_form(kind: Kind, text: &str) -> Option<Observable> {
    let has_form = match kind {
        Kind::Url => refang(text).contains("://"),
        Kind::RegistryKey => text.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("hk")) && text.contains('\\'),
        _ => true,
    };
    if has_form { Observable::new(kind, text) } else { None }
}

/// Digits of other scripts in the form of an address: nobody's address, and not to be guessed about.
fn is_foreign_number(text: &str) -> bool {
    let is_digit = |c: char| c.is_numeric() || matches!(c, '.' | ':' | '/');
    text.chars().all(is_digit) && text.chars().any(|c| c.is_numeric() && !c.is_ascii())
}
