//! Wazuh's lists: `key:value` lines with keys that are unique, quoted where they have a colon.
//!
//! A key has no way to write a quote or a control character, and a network is a prefix of whole octets.

use std::fmt::Write;

use mithaq_core::stix::observable::{Observable, ObservableKind as Kind};

use super::{Context, ExportError, Key, Listed, Output, Reason, value::Word};

/// The lists that values go in, a file each.
const LISTS: [&str; 5] = ["domains", "hashes", "ips", "macs", "urls"];

/// The longest key: beyond it a line is more than the manager reads at once.
const KEY_BYTES_MAX: usize = 2048;

/// Where a value stands.
pub(super) fn place(value: &Observable) -> Result<Key, Reason> {
    let list = match value.kind {
        Kind::Ipv4 | Kind::Ipv6 | Kind::Ipv4Cidr => "ips",
        Kind::Domain => "domains",
        Kind::Url => "urls",
        Kind::Mac => "macs",
        Kind::Md5 | Kind::Sha1 | Kind::Sha256 => "hashes",
        _ => return Err(Reason::Kind),
    };
    let text = if value.kind == Kind::Ipv4Cidr { octets(&value.value)? } else { value.value.clone() };
    if text.len() > KEY_BYTES_MAX || text.contains(|c: char| c == '"' || c.is_control()) {
        return Err(Reason::Form);
    }
    Ok(Key { list, text })
}

/// A network as the beginning of its addresses, such as `198.51.100.`.
fn octets(network: &str) -> Result<String, Reason> {
    let (address, bits) = network.split_once('/').ok_or(Reason::Form)?;
    let count = match bits {
        "8" => 1,
        "16" => 2,
        "24" => 3,
        _ => return Err(Reason::Form),
    };
    let octets: Vec<&str> = address.split('.').take(count).collect();
    Ok(octets.join(".") + ".")
}

/// Writes a file for each list, empty ones too: the configuration names them.
pub(super) fn write(listed: &Listed, context: &Context, out: &mut dyn Output) -> Result<(), ExportError> {
    let source = context.source();
    let mut line = String::new();
    for list in LISTS {
        out.begin(&format!("{source}-{list}"))?;
        for (key, word) in listed.iter().filter(|(key, _)| key.list == list) {
            line.clear();
            let (quote, value) = (if key.text.contains(':') { "\"" } else { "" }, value(word));
            // INVARIANT: writing to a string does not fail.
            let _ = writeln!(line, "{quote}{}{quote}:{value}", key.text);
            out.text(&line)?;
        }
    }
    Ok(())
}

/// What a rule can look at by `check_value`.
fn value(word: &Word) -> String {
    let confidence = word.confidence.map(|confidence| format!(" confidence={confidence}")).unwrap_or_default();
    format!("tlp={} certs={}{confidence}", word.tlp, word.certs.len())
}
