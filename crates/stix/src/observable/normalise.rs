//! One normal form for each kind.

use super::{Observable, ObservableKind as Kind, defang::refang};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::Url;

/// The longest domain name, in bytes (RFC 1035 §2.3.4), and label.
const DOMAIN_LENGTH_MAX: usize = 253;
const LABEL_LENGTH_MAX: usize = 63;
/// The longest value of any kind, in bytes.
const VALUE_LENGTH_MAX: usize = 8192;

pub(super) fn observable(kind: Kind, text: &str) -> Option<Observable> {
    if text.is_empty() || text.len() > VALUE_LENGTH_MAX {
        return None;
    }
    let of_kind = |value: String| Observable { kind, value };
    match kind {
        Kind::Ipv4 | Kind::Ipv6 | Kind::Ipv4Cidr | Kind::Ipv6Cidr => address(&refang(text)),
        Kind::Domain => address(&refang(text)).or_else(|| domain(&refang(text)).map(of_kind)),
        Kind::Url => url(&refang(text)).map(of_kind),
        Kind::Email => email(&refang(text)).map(of_kind),
        Kind::Mac => mac(text).map(of_kind),
        Kind::Asn => asn(text).map(of_kind),
        Kind::RegistryKey => Some(of_kind(registry_key(text))),
        _ => match hash_length(kind) {
            Some(length) => hex(text, length).map(of_kind),
            None => Some(of_kind(text.to_owned())),
        },
    }
}

/// The length of a hash in hexadecimal digits, for the kinds that are one.
pub(super) fn hash_length(kind: Kind) -> Option<usize> {
    match kind {
        Kind::Md5 | Kind::CertificateMd5 => Some(32),
        Kind::Sha1 | Kind::CertificateSha1 => Some(40),
        Kind::Sha256 | Kind::Sha3_256 | Kind::CertificateSha256 => Some(64),
        Kind::Sha512 | Kind::Sha3_512 => Some(128),
        _ => None,
    }
}

/// An address or a network, of either family.
pub(super) fn address(text: &str) -> Option<Observable> {
    let Some((address, length)) = text.split_once('/') else {
        let address: IpAddr = text.parse().ok()?;
        return Some(Observable { kind: kind_of(address), value: address.to_string() });
    };
    let is_length = length.bytes().all(|byte| byte.is_ascii_digit());
    let length: u32 = if is_length {
        length.parse().ok()?
    } else {
        return None;
    };
    let (network, bits) = match address.parse().ok()? {
        IpAddr::V4(address) => {
            let host = u32::MAX.checked_shr(length).unwrap_or(0);
            (IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & !host)), 32)
        }
        IpAddr::V6(address) => {
            let host = u128::MAX.checked_shr(length).unwrap_or(0);
            (IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !host)), 128)
        }
    };
    match length {
        _ if length > bits => None,
        _ if length == bits => Some(Observable { kind: kind_of(network), value: network.to_string() }),
        _ => {
            let kind = if network.is_ipv4() { Kind::Ipv4Cidr } else { Kind::Ipv6Cidr };
            Some(Observable { kind, value: format!("{network}/{length}") })
        }
    }
}

fn kind_of(address: IpAddr) -> Kind {
    if address.is_ipv4() { Kind::Ipv4 } else { Kind::Ipv6 }
}

/// A domain name; underscores and hyphens anywhere are taken, since hostile names have them.
pub(super) fn domain(text: &str) -> Option<String> {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let is_simple = text.bytes().all(is_plain) && !text.to_ascii_lowercase().contains("xn--");
    let name = if is_simple { text.to_ascii_lowercase() } else { idna::domain_to_ascii(text).ok()? };
    let label_fits = |label: &str| (1..=LABEL_LENGTH_MAX).contains(&label.len());
    let fits = name.len() <= DOMAIN_LENGTH_MAX && name.bytes().all(is_plain) && name.split('.').all(label_fits);
    (fits && !ends_in_number(text) && !ends_in_number(&name)).then_some(name)
}

/// A name whose last label is a number, in any script, is a mistyped address and no name.
fn ends_in_number(name: &str) -> bool {
    name.rsplit('.').next().is_some_and(|label| !label.is_empty() && label.chars().all(char::is_numeric))
}

/// A URL that is defanged no more, which it may be again once it is parsed: parsing takes out control characters and
/// segments of the path, and what stood on either side comes together.
fn url(text: &str) -> Option<String> {
    const ROUNDS_MAX: usize = 4;
    let mut url = parsed_url(text)?;
    for _ in 0..ROUNDS_MAX {
        match refang(&url) {
            same if same == url => return Some(url),
            refanged => url = parsed_url(&refanged)?,
        }
    }
    None
}

fn parsed_url(text: &str) -> Option<String> {
    if has_scheme(text) || !has_host_first(text) {
        return Url::parse(text).ok().map(String::from);
    }
    // Feeds have URLs without a scheme; they stay so, and only their host is normalised.
    let parsed = Url::parse(&format!("http://{text}")).ok()?;
    let text = String::from(parsed).strip_prefix("http://")?.to_owned();
    has_host_first(&text).then_some(text)
}

/// A path may hold `://` too, and that says nothing.
fn has_scheme(text: &str) -> bool {
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.split_once("://").is_some_and(|(scheme, _)| scheme.bytes().all(is_scheme))
}

/// Tells `host/path` and `host:80/path` from `scheme:rest`.
fn has_host_first(text: &str) -> bool {
    let host = text.split(['/', '\\', '?', '#', ':', '@']).next().unwrap_or_default();
    host.trim_matches('.').contains('.')
}

fn email(text: &str) -> Option<String> {
    let (local, host) = text.rsplit_once('@')?;
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',');
    if local.is_empty() || local.contains(is_odd) {
        return None;
    }
    Some(format!("{}@{}", local.to_lowercase(), domain(host)?))
}

fn hex(text: &str, length: usize) -> Option<String> {
    let fits = text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    fits.then(|| text.to_ascii_lowercase())
}

fn mac(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(|c| !matches!(c, ':' | '-' | '.')).collect();
    let separators = text.len() - digits.len();
    if !matches!(separators, 2 | 5) {
        return None;
    }
    let digits = hex(&digits, 12)?;
    let pairs: Vec<&str> = (0..6).map(|i| &digits[2 * i..2 * i + 2]).collect();
    Some(pairs.join(":"))
}

fn asn(text: &str) -> Option<String> {
    let has_prefix = text.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("as"));
    let digits = if has_prefix { text[2..].trim_start_matches(['n', 'N']).trim_start() } else { text };
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { digits.parse::<u32>().ok().map(|number| number.to_string()) } else { None }
}

fn registry_key(text: &str) -> String {
    const HIVES: [(&str, &str); 5] = [
        ("hklm", "hkey_local_machine"),
        ("hkcu", "hkey_current_user"),
        ("hkcr", "hkey_classes_root"),
        ("hku", "hkey_users"),
        ("hkcc", "hkey_current_config"),
    ];
    let lower = text.to_lowercase();
    let (hive, rest) = lower.split_once('\\').unwrap_or((&lower, ""));
    match HIVES.iter().find(|(short, _)| *short == hive) {
        Some((_, full)) if rest.is_empty() => (*full).to_owned(),
        Some((_, full)) => format!("{full}\\{rest}"),
        None => lower,
    }
}
