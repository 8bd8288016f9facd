//! The forms of text that the standard borrows from elsewhere.

use crate::id::StixIdRef;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The longest name of a property and the longest key of a dictionary, in characters (STIX 2.1 §2.3, §3.1).
const NAME_LENGTH_MAX: usize = 250;
/// The shortest name of a property, in characters (STIX 2.1 §3.1).
pub(super) const NAME_LENGTH_MIN: usize = 3;

/// The name of a property: lower case, digits and underscores (STIX 2.1 §3.1).
pub(super) fn is_property_name(name: &str) -> bool {
    let fits = (NAME_LENGTH_MIN..=NAME_LENGTH_MAX).contains(&name.len()) || name == "id";
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    fits && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.bytes().all(is_plain)
}

pub(super) fn is_dictionary_key(key: &str) -> bool {
    key.len() <= NAME_LENGTH_MAX && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// The name of an extension of the form that the standard's own have: lower-case words and `-ext`.
pub(super) fn is_predefined_extension_name(key: &str) -> bool {
    let Some(words) = key.strip_suffix("-ext") else { return false };
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    words.starts_with(|c: char| c.is_ascii_lowercase()) && words.split('-').all(is_word)
}

/// A UUID of the variant and one of the versions of RFC 4122 (STIX 2.1 §2.9).
pub(super) fn is_rfc_4122(id: &StixIdRef<'_>) -> bool {
    // The digit that holds the variant, of which the first two bits are 10.
    const VARIANT_FROM_END: usize = "xxx-xxxxxxxxxxxx".len() + 1;
    digit_from_end(id, VARIANT_FROM_END) >> 2 == 0b10 && (1..=5).contains(&uuid_version(id))
}

pub(super) fn uuid_version(id: &StixIdRef<'_>) -> u8 {
    const VERSION_FROM_END: usize = "xxx-xxxx-xxxxxxxxxxxx".len() + 1;
    digit_from_end(id, VERSION_FROM_END)
}

/// The value of a hexadecimal digit of the UUID; the whole UUID need not be decoded for it.
fn digit_from_end(id: &StixIdRef<'_>, from_end: usize) -> u8 {
    let text = id.as_str().as_bytes();
    let digit = text.len().checked_sub(from_end).and_then(|at| char::from(text[at]).to_digit(16));
    // INVARIANT: an identifier ends in a UUID, which has a digit at the two places that are asked for.
    digit.and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default()
}

/// The base64 of RFC 4648 §4, padded, of at least one byte.
pub(super) fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    !digits.is_empty() && padding <= 2 && text.len().is_multiple_of(4) && digits.bytes().all(is_digit)
}

/// What a digest by `algorithm` looks like, if `digest` does not; nothing is known of other algorithms.
pub(super) fn digest_mismatch(algorithm: &str, digest: &str) -> Option<&'static str> {
    let hex = |digits| digest.len() == digits && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (fits, expected) = match algorithm {
        "MD5" => (hex(32), "32 hexadecimal digits"),
        "SHA-1" => (hex(40), "40 hexadecimal digits"),
        "SHA-256" | "SHA3-256" => (hex(64), "64 hexadecimal digits"),
        "SHA-512" | "SHA3-512" => (hex(128), "128 hexadecimal digits"),
        "TLSH" => {
            let digits = digest.strip_prefix("T1").filter(|digits| digits.len() == 70).unwrap_or(digest);
            (digits.len() == 70 && digits.bytes().all(|byte| byte.is_ascii_alphanumeric()), "70 digits and letters")
        }
        "SSDEEP" => {
            let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/+:.".contains(&byte);
            let fits = (1..=128).contains(&digest.len()) && digest.bytes().all(is_plain);
            (fits, "at most 128 digits, letters, /, +, . and :")
        }
        _ => return None,
    };
    (!fits).then_some(expected)
}

/// A URI (RFC 3986 §3), with its scheme.
pub(super) fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let (authority, path) = match rest.strip_prefix("//") {
        Some(rest) => rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())),
        None => ("", rest),
    };
    is_scheme && is_authority(authority) && has_uri_characters(path, b"/?#[]") && path.matches('#').count() <= 1
        // Brackets stand around the addresses of hosts and nowhere else.
        && !path.contains(['[', ']'])
}

fn is_authority(authority: &str) -> bool {
    let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
    let after_host = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if address.parse::<Ipv6Addr>().is_ok() || address.starts_with(['v', 'V']) => rest,
        Some(_) => return false,
        None => &host[host.find(':').unwrap_or(host.len())..],
    };
    let port = after_host.strip_prefix(':').unwrap_or(after_host);
    let name = &host[..host.len() - after_host.len()];
    has_uri_characters(user, b":")
        && (name.starts_with('[') || has_uri_characters(name, b""))
        && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// Unreserved characters, sub-delimiters, `:`, `@` and percent-encoded octets (RFC 3986 §3.3), and those of `more`.
fn has_uri_characters(text: &str, more: &[u8]) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let fits = match byte {
            b'%' => [bytes.next(), bytes.next()].iter().all(|digit| digit.is_some_and(|d| d.is_ascii_hexdigit())),
            _ => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte) || more.contains(&byte),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// The address of a mailbox (RFC 5322 §3.4.1): a local part, `@`, and a domain of at least two labels.
pub(super) fn is_email(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_atom = |atom: &str| {
        let is_atext = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii();
        !atom.is_empty() && atom.chars().all(is_atext)
    };
    let is_quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    (is_quoted || local.split('.').all(is_atom)) && domain.contains('.') && is_domain(domain)
}

/// A domain name of labels that IDNA 2008 allows (RFC 5890), with a dot at its end or without.
pub(super) fn is_domain(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    !text.is_empty() && idna::domain_to_ascii_strict(text).is_ok()
}

/// An IPv4 address, or a network of them in CIDR notation.
pub(super) fn is_ipv4(text: &str) -> bool {
    let (address, prefix) = split_prefix(text);
    address.parse::<Ipv4Addr>().is_ok() && prefix.is_none_or(|prefix| is_prefix_length(prefix, 32))
}

/// An IPv6 address with a zone or without, or a network of them in CIDR notation.
pub(super) fn is_ipv6(text: &str) -> bool {
    let (address, prefix) = split_prefix(text);
    let address = address.split_once('%').filter(|(_, zone)| !zone.is_empty()).map_or(address, |(address, _)| address);
    address.parse::<Ipv6Addr>().is_ok() && prefix.is_none_or(|prefix| is_prefix_length(prefix, 128))
}

fn split_prefix(text: &str) -> (&str, Option<&str>) {
    text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)))
}

fn is_prefix_length(text: &str, max: u8) -> bool {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    is_plain && text.parse::<u8>().is_ok_and(|length| length <= max)
}

/// Six pairs of lower-case hexadecimal digits with colons between them.
pub(super) fn is_mac(text: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let is_pair = |pair: &str| pair.len() == 2 && pair.bytes().all(is_digit);
    text.split(':').count() == 6 && text.split(':').all(is_pair)
}

/// A language tag (RFC 5646) whose parts are registered.
pub(super) fn is_language(text: &str) -> bool {
    language_tags::LanguageTag::parse(text).is_ok_and(|tag| tag.validate().is_ok())
}

/// A word as the standard writes them: no capitals, no blanks, no underscores (STIX 2.1 §2.14).
pub(super) fn is_lower_words(text: &str) -> bool {
    let has_letter = text.chars().any(char::is_lowercase);
    has_letter && !text.chars().any(|c| c.is_uppercase() || c == '_' || c == ' ')
}

/// A name in the formatted-string binding of CPE 2.3 (NISTIR 7695 §6.2): eleven attributes after the prefix.
pub(super) fn is_cpe(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("cpe:2.3:") else { return false };
    let attributes = split_unescaped(rest);
    let is_part = attributes.first().is_some_and(|part| matches!(*part, "a" | "o" | "h" | "*" | "-"));
    attributes.len() == 11 && is_part && attributes.iter().all(|attribute| is_cpe_attribute(attribute))
}

fn split_unescaped(text: &str) -> Vec<&str> {
    let mut is_escaped = false;
    let split = move |c: char| {
        let is_end = c == ':' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    };
    text.split(split).collect()
}

/// `*`, `-`, or letters, digits, `-`, `.`, `_` and escaped punctuation, with wildcards at the ends.
fn is_cpe_attribute(attribute: &str) -> bool {
    if matches!(attribute, "*" | "-") {
        return true;
    }
    let core = attribute.trim_start_matches(['*', '?']).trim_end_matches(['*', '?']);
    let mut characters = core.chars();
    let mut fits = !core.is_empty();
    while let Some(c) = characters.next() {
        fits &= match c {
            '\\' => characters.next().is_some_and(|escaped| escaped.is_ascii_punctuation()),
            _ => c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'),
        };
    }
    fits
}

/// A media type (RFC 6838 §4.2) under one of the registered top-level types.
pub(super) fn is_media_type(text: &str) -> bool {
    const TOP_LEVEL: [&str; 10] =
        ["application", "audio", "font", "haptics", "image", "message", "model", "multipart", "text", "video"];
    let is_name = |c: char| c.is_ascii_alphanumeric() || "!#$&-^_.+".contains(c);
    text.split_once('/').is_some_and(|(top, sub)| {
        TOP_LEVEL.contains(&top) && !sub.is_empty() && sub.len() <= 127 && sub.chars().all(is_name)
    })
}

/// The name of a character set (RFC 2978 §2.3).
pub(super) fn is_charset(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "!#$%&'+-^_`{}~.:()/".contains(c);
    (2..=250).contains(&text.len()) && text.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fits: fn(&str) -> bool, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!(fits(text), "{text} is good");
        }
        for text in bad {
            assert!(!fits(text), "{text} is bad");
        }
    }

    #[test]
    fn uris() {
        check(
            is_uri,
            &["https://a.example/x?y#z", "mailto:a@b.example", "http://[2001:db8::1]:80/", "urn:x:y", "http://a/%20"],
            &["foo", "", "http://a b/", "http://a/%2", "http://[1.2.3.4]/", "ht tp://a", "http://a/{x}", "http://é/"],
        );
    }

    #[test]
    fn mailboxes_and_domains() {
        check(is_email, &["a.b+c@x.example", "ف@مثال.إختبار"], &["a", "a@", "@b.example", "a@b", "a b@c.example"]);
        check(
            is_domain,
            &["example.com", "EXAMPLE.com.", "مثال.إختبار", "xn--mgbh0fb.xn--kgbechtv"],
            &["", "a..b", "a_b.example", "*.example", "a b.example", "-a.example"],
        );
    }

    #[test]
    fn addresses() {
        check(
            is_ipv4,
            &["198.51.100.3", "198.51.100.0/24", "0.0.0.0/0"],
            &["1.2.3", "01.2.3.4", "1.2.3.4/33", "1.2.3.4/01"],
        );
        check(
            is_ipv6,
            &["2001:db8::1", "::/0", "fe80::1%eth0", "::ffff:192.0.2.1", "fe80::/64"],
            &["1.2.3.4", "::1/129", "::1/a", "fe80::1%", ":::"],
        );
        check(is_mac, &["d2:fb:49:24:37:18"], &["D2:fb:49:24:37:18", "d2-fb-49-24-37-18", "d2:fb:49:24:37"]);
    }

    #[test]
    fn registered_names() {
        check(is_language, &["ar", "en-GB", "zh-Hans-CN", "sr-Latn", "prs"], &["foo", "english", "", "en_US", "x"]);
        check(
            is_cpe,
            &["cpe:2.3:a:microsoft:word:2000:*:*:*:*:*:*:*", "cpe:2.3:o:a:b\\:c:1\\!:-:*:*:*:*:*:*"],
            &["invalid", "cpe:/a:b", "cpe:2.3:x:a:b:*:*:*:*:*:*:*:*", "cpe:2.3:a:b:c:*:*:*:*:*:*:*"],
        );
        check(is_media_type, &["application/zip", "image/svg+xml"], &["bla/blabla", "text", "text/", "text/a b"]);
    }

    #[test]
    fn digests_and_bytes() {
        assert_eq!(digest_mismatch("MD5", "d41d8cd98f00b204e9800998ecf8427e"), None);
        assert!(digest_mismatch("SHA-1", "d41d8cd98f00b204e9800998ecf8427e").is_some());
        assert_eq!(digest_mismatch("x_own", "anything"), None);
        check(is_base64, &["QUI=", "QUJD", "QQ=="], &["", "QUI", "Q===", "QU I=", "QUI=="]);
    }
}
