//! The deterministic identifiers of cyber-observable objects (STIX 2.1 §2.9, §3.4).
//!
//! Two producers who see the same address give it the same id: a UUIDv5 over those of its properties that the standard
//! names for its type, in canonical form.

use crate::{
    id::StixId,
    json::{Map, Member, Str, Value, write_canonical},
};
use std::fmt::Write;

/// The namespace that STIX 2.1 §2.9 sets aside for the ids of observables.
const NAMESPACE: [u8; 16] =
    [0x00, 0xab, 0xed, 0xb4, 0xaa, 0x42, 0x46, 0x6c, 0x9c, 0x01, 0xfe, 0xd2, 0x33, 0x15, 0xa9, 0xb7];

/// The hashes in the order in which one of them is taken for the id (STIX 2.1 §3.4).
const HASHES_BY_RANK: [&str; 4] = ["MD5", "SHA-1", "SHA-256", "SHA-512"];

/// The id that the standard recommends for an observable of type `object_type` with the properties of `map`.
///
/// References among the properties must be ids already. `None` when the type has no contributing properties (as
/// `process`), is not the standard's own, or when none of its contributing properties is there: then the standard asks
/// for a random id.
#[must_use]
pub fn sco_id(object_type: &str, map: &Map<'_>) -> Option<StixId> {
    let properties = contributing_properties(object_type).iter();
    let mut present: Vec<_> = properties.filter_map(|name| Some((*name, map.get(name)?))).collect();
    if present.is_empty() {
        return None;
    }
    present.sort_unstable_by_key(|(name, _)| *name);
    let mut name = vec![b'{'];
    for (i, (property, value)) in present.into_iter().enumerate() {
        name.extend_from_slice(if i > 0 { b"," } else { b"" });
        write_member(&Str::from(property), value, &mut name);
    }
    name.push(b'}');
    hashed_id(object_type, NAMESPACE, &name, UuidVersion::Name)
}

/// Appends a property in canonical form; of several hashes only the one that contributes.
fn write_member(name: &Str<'_>, value: &Value<'_>, out: &mut Vec<u8>) {
    write_canonical(&Value::String(*name), out);
    out.push(b':');
    match value.as_object().and_then(preferred_hash) {
        Some(hash) if *name == "hashes" => {
            out.push(b'{');
            write_canonical(&Value::String(hash.key), out);
            out.push(b':');
            write_canonical(&hash.value, out);
            out.push(b'}');
        }
        _ => write_canonical(value, out),
    }
}

/// The properties that the id of an observable of type `object_type` is made of; none for other types.
#[must_use]
pub fn contributing_properties(object_type: &str) -> &'static [&'static str] {
    match object_type {
        "artifact" => &["hashes", "payload_bin"],
        "autonomous-system" => &["number"],
        "directory" => &["path"],
        "domain-name" | "email-addr" | "ipv4-addr" | "ipv6-addr" | "mac-addr" | "url" => &["value"],
        "email-message" => &["from_ref", "subject", "body"],
        "file" => &["hashes", "name", "extensions", "parent_directory_ref"],
        "mutex" => &["name"],
        "network-traffic" => &["start", "end", "src_ref", "dst_ref", "src_port", "dst_port", "protocols", "extensions"],
        "software" => &["name", "cpe", "swid", "vendor", "version"],
        "user-account" => &["account_type", "user_id", "account_login"],
        "windows-registry-key" => &["key", "values"],
        "x509-certificate" => &["hashes", "serial_number"],
        _ => &[],
    }
}

/// How a UUID's other bits came about (RFC 9562 §4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UuidVersion {
    /// From a pseudo-random source, for which a hash serves here.
    Random = 0x40,
    /// From a name.
    Name = 0x50,
}

/// The id of type `object_type` whose UUID has the SHA-1 of `name` in `namespace` for its bits (RFC 9562 §5.5); `None`
/// when `object_type` cannot name a type.
pub(crate) fn hashed_id(object_type: &str, namespace: [u8; 16], name: &[u8], version: UuidVersion) -> Option<StixId> {
    let mut hash = sha1_smol::Sha1::from(namespace);
    hash.update(name);
    let digest = hash.digest().bytes();
    let mut text = format!("{object_type}--");
    for (i, byte) in digest.iter().take(16).enumerate() {
        let byte = match i {
            6 => byte & 0x0f | version as u8,
            8 => byte & 0x3f | 0x80,
            _ => *byte,
        };
        let hyphen = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
        // INVARIANT: writing to a string does not fail.
        let _ = write!(text, "{hyphen}{byte:02x}");
    }
    StixId::parse(&text).ok()
}

/// The one hash that contributes: the first by rank, else the first there is.
fn preferred_hash<'m, 'a>(hashes: &'m Map<'a>) -> Option<&'m Member<'a>> {
    let ranked = HASHES_BY_RANK.iter().find_map(|name| hashes.iter().find(|member| member.key == **name));
    ranked.or_else(|| hashes.iter().next())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    #[track_caller]
    fn check(text: &str, expect: Option<&str>) {
        let value = parse(text.as_bytes()).unwrap();
        let object_type = value.get("type").and_then(Value::as_str).unwrap();
        let id = sco_id(&object_type, value.as_object().unwrap());
        assert_eq!(id.as_ref().map(StixId::as_str), expect, "{text}");
    }

    #[test]
    fn one_observable_has_one_id() {
        let id = Some("ipv4-addr--9cf4a8ec-7640-5f40-a006-79942896168b");
        check(r#"{"type":"ipv4-addr","value":"198.51.100.2"}"#, id);
        check(r#"{"value":"198.51.100.2","x_seen":3,"type":"ipv4-addr","spec_version":"2.1"}"#, id);
    }

    #[test]
    fn what_has_nothing_to_contribute_has_no_id() {
        check(r#"{"type":"process","pid":7}"#, None);
        check(r#"{"type":"file","size":7}"#, None);
        check(r#"{"type":"x-custom","value":"7"}"#, None);
    }

    #[test]
    fn one_hash_contributes() {
        let id = |hashes: &str| {
            let text = format!(r#"{{"hashes":{hashes}}}"#);
            sco_id("file", parse(text.as_bytes()).unwrap().as_object().unwrap())
        };
        assert_eq!(id(r#"{"SHA-256":"b","MD5":"a"}"#), id(r#"{"MD5":"a"}"#));
        assert_eq!(id(r#"{"SHA-256":"b","AAA":"a"}"#), id(r#"{"SHA-256":"b"}"#));
        assert_eq!(id(r#"{"TLSH":"b","SSDEEP":"a"}"#), id(r#"{"SSDEEP":"a"}"#));
        assert_ne!(id(r#"{"MD5":"b"}"#), id(r#"{"MD5":"a"}"#));
    }
}
