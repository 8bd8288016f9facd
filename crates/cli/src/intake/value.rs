//! One value: what it is, how it is written in a pattern, and what makes it a bad one to send.

use std::borrow::Cow;

use mithaq_api::warning_lists::known_suffix;
#[cfg(test)]
use mithaq_core::stix::pattern::Pattern;
use mithaq_core::stix::{Observable, ObservableKind as Kind};

use super::refang::{is_invisible, is_regex, refang};

/// What the endings of file names are that are top-level domains too.
const FILE_ENDINGS: [&str; 16] =
    ["app", "cc", "java", "md", "mov", "pl", "pm", "ps", "py", "rs", "sh", "so", "st", "vi", "ws", "zip"];

/// Whether to take `evil.example` for a domain though nobody has heard of the ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DefangedDomains {
    /// In running text, where `setup.py` and `word.Next` stand too.
    OfKnownEndings,
    /// In lists and where the author defanged it.
    Any,
}

/// A value that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) observable: Observable,
    /// The value in the spelling that its pattern has.
    pub(super) spelled: String,
    pub(super) notes: Vec<String>,
}

/// Why a text is no value that could be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoValue {
    #[error("is nothing that Mithaq knows: an address, a network, a domain, a URL, a mail address or a hash")]
    Unknown,
    #[error("is no {0}")]
    NotOfKind(Kind),
    #[error("has the bidirectional control {0}, which hides what it is: write the value anew without it")]
    Bidi(String),
    #[error("has digits of another script, which no address has: if {0} is meant, write that")]
    Digits(String),
    #[error("is a regular expression, which STIX indicators cannot carry")]
    Regex,
}

/// Reads a text that is one value, of the kind that is said of it or of any.
pub(super) fn value(text: &str, kind: Option<Kind>) -> Result<Found, NoValue> {
    let text = cleaned(text)?;
    if let Some(ascii) = foreign_address(&text) {
        return Err(NoValue::Digits(ascii));
    }
    if is_regex(&text) && text.contains(['^', '$', '*', '+']) && kind.is_none_or(|kind| kind == Kind::Domain) {
        return Err(NoValue::Regex);
    }
    match kind {
        Some(kind) => of_kind(kind, &text).ok_or(NoValue::NotOfKind(kind)),
        None => guess(&text, DefangedDomains::Any).ok_or(NoValue::Unknown),
    }
}

fn of_kind(kind: Kind, text: &str) -> Option<Found> {
    let plain = refang(text);
    let (address, port) = split_port(&plain);
    let is_address = matches!(kind, Kind::Ipv4 | Kind::Ipv6 | Kind::Ipv4Cidr | Kind::Ipv6Cidr);
    let takes_defanged = is_address || matches!(kind, Kind::Domain | Kind::Url | Kind::Email);
    let spelled: &str = match (is_address, takes_defanged) {
        (true, _) => address,
        (false, true) => &plain,
        (false, false) => text,
    };
    let mut found = found(Observable::new(kind, spelled)?, spelled);
    if is_address && port.is_some() {
        found.notes.push("the port is left out".to_owned());
    }
    Some(found)
}

/// Reads what a text can only be.
pub(super) fn guess(text: &str, domains: DefangedDomains) -> Option<Found> {
    let plain = refang(text);
    let (address, port) = split_port(&plain);
    if let Some(observable) = Observable::new(Kind::Ipv4, address) {
        let mut found = found(observable, address);
        found.notes.extend(port.map(|_| "the port is left out".to_owned()));
        return Some(found);
    }
    if plain.contains("://") {
        return Observable::new(Kind::Url, &plain).map(|observable| found(observable, &plain));
    }
    let hash = [(32, Kind::Md5), (40, Kind::Sha1), (64, Kind::Sha256), (128, Kind::Sha512)];
    let hash = hash.iter().find(|(length, _)| plain.len() == *length);
    if let Some(observable) = hash.and_then(|(_, kind)| Observable::new(*kind, &plain)) {
        return Some(found(observable, &plain));
    }
    if plain.contains('@') {
        return Observable::new(Kind::Email, &plain).map(|observable| found(observable, &plain));
    }
    let lower = text.to_ascii_lowercase();
    if lower.starts_with("hk") && lower.contains('\\') {
        return Observable::new(Kind::RegistryKey, text).map(|observable| found(observable, text));
    }
    let is_path = plain.split_once('/').is_some_and(|(host, _)| domain(host, domains).is_some());
    if is_path {
        return Observable::new(Kind::Url, &plain).map(|observable| found(observable, &plain));
    }
    domain(&plain, domains)
}

fn domain(text: &str, domains: DefangedDomains) -> Option<Found> {
    let host = split_port(text).0;
    if !host.trim_end_matches('.').contains('.') || host.starts_with(['.', '-']) {
        return None;
    }
    let observable = Observable::new(Kind::Domain, host).filter(|observable| observable.kind == Kind::Domain)?;
    let is_taken = domains == DefangedDomains::Any || (has_known_ending(&observable.value) && !is_sentence_end(host));
    is_taken.then(|| found(observable, host))
}

/// `word.Next`: where a blank was forgotten between two sentences.
fn is_sentence_end(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    last.starts_with(|c: char| c.is_ascii_uppercase()) && last.contains(|c: char| c.is_ascii_lowercase())
}

/// Whether the last label is a top-level domain that people register under, and no ending of files.
fn has_known_ending(name: &str) -> bool {
    let ending = name.rsplit('.').next().unwrap_or_default();
    !FILE_ENDINGS.contains(&ending) && known_suffix(name).is_some()
}

fn found(observable: Observable, spelled: &str) -> Found {
    let keeps_case = matches!(observable.kind, Kind::RegistryKey);
    let spelled = if keeps_case { spelled.to_owned() } else { observable.value.clone() };
    Found { observable, spelled, notes: Vec::new() }
}

/// `192.0.2.1:8080` and `evil.example:443` without the port.
fn split_port(text: &str) -> (&str, Option<u16>) {
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        let port = rest.strip_prefix(':').and_then(|port| port.parse().ok());
        return (address, port);
    }
    match text.rsplit_once(':') {
        Some((address, port)) if !address.contains(':') => match port.parse() {
            Ok(port) => (address, Some(port)),
            Err(_) => (text, None),
        },
        _ => (text, None),
    }
}

/// A text without what stands around values, in ASCII where it was written in full width.
///
/// # Errors
/// When a control inside changes how it is shown.
pub(super) fn cleaned(text: &str) -> Result<Cow<'_, str>, NoValue> {
    let around = |c: char| {
        is_blank(c)
            || is_bidi(c)
            || is_invisible(c)
            || matches!(c, '"' | '\'' | '`' | '<' | '>' | '«' | '»' | '“' | '”')
    };
    let text = text.trim_matches(around);
    if let Some(control) = text.chars().find(|c| is_bidi(*c)) {
        return Err(NoValue::Bidi(format!("U+{:04X}", u32::from(control))));
    }
    if text.is_ascii() {
        return Ok(Cow::Borrowed(text));
    }
    Ok(Cow::Owned(text.chars().filter(|c| !is_invisible(*c)).map(narrow).collect()))
}

/// Blanks of every width.
pub(super) fn is_blank(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// The bidirectional controls of UAX #9.
pub(super) fn is_bidi(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The ASCII character that one of full width stands for.
pub(super) fn narrow(c: char) -> char {
    match u32::from(c) {
        code @ 0xff01..=0xff5e => char::from_u32(code - 0xfee0).unwrap_or(c),
        _ => c,
    }
}

/// An address in digits of another script, in ASCII.
fn foreign_address(text: &str) -> Option<String> {
    if text.is_ascii() {
        return None;
    }
    let ascii: String = refang(text).chars().map(plain_digit).collect();
    let (address, _) = split_port(&ascii);
    (ascii != text && Observable::new(Kind::Ipv4, address).is_some()).then_some(ascii)
}

/// The digit that one of Arabic, Persian, Devanagari or Bengali stands for.
fn plain_digit(c: char) -> char {
    const ZEROS: [u32; 4] = [0x660, 0x6f0, 0x966, 0x9e6];
    let digit = ZEROS.iter().find_map(|zero| u32::from(c).checked_sub(*zero).filter(|digit| *digit < 10));
    match digit.and_then(|digit| char::from_digit(digit, 10)) {
        Some(digit) => digit,
        // The Arabic decimal separator.
        None if c == '\u{66b}' => '.',
        None => c,
    }
}

/// The comparison that looks for an observable, without brackets.
pub(super) fn comparison(kind: Kind, spelled: &str) -> String {
    let path = match kind {
        Kind::Ipv4 | Kind::Ipv4Cidr => "ipv4-addr:value",
        Kind::Ipv6 | Kind::Ipv6Cidr => "ipv6-addr:value",
        Kind::Domain => "domain-name:value",
        Kind::Url => "url:value",
        Kind::Email => "email-addr:value",
        Kind::Md5 => "file:hashes.MD5",
        Kind::Sha1 => "file:hashes.'SHA-1'",
        Kind::Sha256 => "file:hashes.'SHA-256'",
        Kind::Sha512 => "file:hashes.'SHA-512'",
        Kind::Sha3_256 => "file:hashes.'SHA3-256'",
        Kind::Sha3_512 => "file:hashes.'SHA3-512'",
        Kind::Ssdeep => "file:hashes.SSDEEP",
        Kind::Tlsh => "file:hashes.TLSH",
        Kind::CertificateMd5 => "x509-certificate:hashes.MD5",
        Kind::CertificateSha1 => "x509-certificate:hashes.'SHA-1'",
        Kind::CertificateSha256 => "x509-certificate:hashes.'SHA-256'",
        Kind::CertificateSerial => "x509-certificate:serial_number",
        Kind::Mac => "mac-addr:value",
        Kind::Asn => return format!("autonomous-system:number = {spelled}"),
        Kind::Mutex => "mutex:name",
        Kind::Directory => "directory:path",
        Kind::RegistryKey => "windows-registry-key:key",
        Kind::UserAccount => "user-account:account_login",
        Kind::ProcessName => "process:name",
        _ => "file:name",
    };
    format!("{path} = {}", literal(spelled))
}

/// A text as a pattern's literal (STIX 2.1 §9.3).
pub(super) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

/// Whether a pattern is one, and looks for something.
#[cfg(test)]
pub(super) fn is_pattern(text: &str) -> bool {
    Pattern::parse(text).is_ok_and(|pattern| !Observable::of_pattern(&pattern).is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, expect: Result<(Kind, &str), &str>) {
        let read = value(text, None).map(|found| (found.observable.kind, found.observable.value));
        match expect {
            Ok((kind, value)) => assert_eq!(read, Ok((kind, value.to_owned())), "{text}"),
            Err(part) => {
                let message = read.unwrap_err().to_string();
                assert!(message.contains(part), "{text}: {message}");
            }
        }
    }

    #[test]
    fn values_are_what_they_look_like() {
        check("hxxp://Evil[.]example", Ok((Kind::Url, "http://evil.example/")));
        check("evil.example/login.php", Ok((Kind::Url, "evil.example/login.php")));
        check("192[.]0[.]2[.]1:8080", Ok((Kind::Ipv4, "192.0.2.1")));
        check("[2001:db8::1]:443", Ok((Kind::Ipv6, "2001:db8::1")));
        check("192.0.2.7/24", Ok((Kind::Ipv4Cidr, "192.0.2.0/24")));
        check("\u{200f}مثال.إختبار\u{200f}", Ok((Kind::Domain, "xn--mgbh0fb.xn--kgbechtv")));
        check("ｅｖｉｌ．ｅｘａｍｐｌｅ", Ok((Kind::Domain, "evil.example")));
        check("Someone(at)Evil[.]example", Ok((Kind::Email, "someone@evil.example")));
        check("D41D8CD98F00B204E9800998ECF8427E", Ok((Kind::Md5, "d41d8cd98f00b204e9800998ecf8427e")));
        check(r"HKLM\Software\Evil", Ok((Kind::RegistryKey, r"hkey_local_machine\software\evil")));
    }

    #[test]
    fn what_cannot_be_sent_says_why() {
        check("١٩٢.٠.٢.١", Err("if 192.0.2.1 is meant"));
        check("۱۹۲[.]۰[.]۲[.]۱", Err("if 192.0.2.1 is meant"));
        check("evil\u{202e}moc.example", Err("bidirectional control U+202E"));
        check("^evil[.]example$", Err("regular expression"));
        check("hello", Err("nothing that Mithaq knows"));
        check("999.0.2.1", Err("nothing that Mithaq knows"));
        let wrong = value("not a hash", Some(Kind::Md5)).unwrap_err();
        assert_eq!(wrong.to_string(), "is no file-md5");
    }

    #[test]
    fn running_text_holds_few_domains() {
        for text in ["setup.py", "word.Next", "e.g", "1.2", "archive.zip", "v1.2.3"] {
            assert_eq!(guess(text, DefangedDomains::OfKnownEndings), None, "{text}");
        }
        for text in ["evil.com", "login.evil.co.uk", "例子.中国"] {
            assert!(guess(text, DefangedDomains::OfKnownEndings).is_some(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_value_holds_its_pattern_looks_for_it(text in any::<String>(), number in 0..Kind::ALL.len()) {
            let kind = Kind::ALL[number];
            if let Ok(found) = value(&text, Some(kind)) {
                let pattern = format!("[{}]", comparison(found.observable.kind, &found.spelled));
                let parsed = Pattern::parse(&pattern);
                prop_assert!(parsed.is_ok(), "{}", pattern);
                prop_assert_eq!(Observable::of_pattern(&parsed.unwrap()), vec![found.observable], "{}", pattern);
            }
        }
    }
}
