//! Zeek's intelligence framework: lines of fields with tabs between, as its ASCII reader takes them.
//!
//! `-` is no value, a line that begins with `#` is a comment, and `\xHH` is a byte: whatever could be taken for one of
//! these is written as bytes. A line that is taken out of the file removes nothing from Zeek's memory, so that a value that
//! is gone stays in the file for a while with `meta.remove` set, under the same source.

use std::fmt::Write;

use mithaq_core::stix::observable::{Observable, ObservableKind as Kind};

use super::{Context, ExportError, Key, Listed, Output, Reason, state::Gone};

/// The types of intelligence that values go in as.
pub(super) const TYPES: [&str; 7] = [
    "Intel::ADDR",
    "Intel::CERT_HASH",
    "Intel::DOMAIN",
    "Intel::EMAIL",
    "Intel::FILE_HASH",
    "Intel::SUBNET",
    "Intel::URL",
];

/// Where a value stands. URLs stand without a scheme and without a fragment, as Zeek puts them together from what it sees.
pub(super) fn place(value: &Observable) -> Result<Key, Reason> {
    let list = match value.kind {
        Kind::Ipv4 | Kind::Ipv6 => "Intel::ADDR",
        Kind::Ipv4Cidr | Kind::Ipv6Cidr => "Intel::SUBNET",
        Kind::Domain => "Intel::DOMAIN",
        Kind::Email => "Intel::EMAIL",
        Kind::Md5 | Kind::Sha1 | Kind::Sha256 => "Intel::FILE_HASH",
        Kind::CertificateSha1 => "Intel::CERT_HASH",
        Kind::Url => return url(&value.value).map(|text| Key { list: "Intel::URL", text }),
        _ => return Err(Reason::Kind),
    };
    Ok(Key { list, text: value.value.clone() })
}

/// Zeek sees no other URLs than those of HTTP.
fn url(text: &str) -> Result<String, Reason> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let begins_with_host =
        |text: &str| text.split(['/', '?', '#', ':', '@']).next().is_some_and(|host| host.contains('.'));
    let rest = rest.or_else(|| begins_with_host(text).then_some(text)).ok_or(Reason::Kind)?;
    Ok(rest.split('#').next().unwrap_or_default().to_owned())
}

/// Writes the file.
pub(super) fn write(
    listed: &Listed,
    gone: &[Gone],
    context: &Context,
    out: &mut dyn Output,
) -> Result<(), ExportError> {
    out.begin("mithaq.intel")?;
    out.text("#fields\tindicator\tindicator_type\tmeta.source\tmeta.desc\tmeta.url\tmeta.remove\n")?;
    let source = context.source();
    let mut line = String::new();
    for (key, word) in listed {
        write_fields(&mut line, key, &source, &context.names.describe(word), 'F');
        out.text(&line)?;
    }
    for Gone { key, .. } in gone {
        write_fields(&mut line, key, &source, "no longer shared", 'T');
        out.text(&line)?;
    }
    Ok(())
}

fn write_fields(line: &mut String, key: &Key, source: &str, description: &str, remove: char) {
    line.clear();
    let (text, source, description) = (field(&key.text), field(source), field(description));
    // INVARIANT: writing to a string does not fail.
    let _ = writeln!(line, "{text}\t{}\t{source}\t{description}\t-\t{remove}", key.list);
}

/// A field that the reader takes for this text and nothing else.
fn field(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let is_reserved = matches!(text, "-" | "(empty)" | "");
    for (at, c) in text.char_indices() {
        let is_odd = c.is_control() || c == '\\' || (at == 0 && (is_reserved || c == '#'));
        if !is_odd {
            out.push(c);
            continue;
        }
        for byte in c.encode_utf8(&mut [0; 4]).bytes() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}
