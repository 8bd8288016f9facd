//! Observables out of objects: what an observable object is, and what an indicator's pattern looks for.

use super::{Observable, ObservableKind as Kind};
use crate::{
    json::{Map, Value},
    pattern::{Literal, ObjectPath, Operator, PathStep, Pattern, Test},
};
use std::collections::BTreeSet;

type Found = BTreeSet<Observable>;

pub(crate) fn of_object(object_type: &str, value: &Value<'_>) -> Vec<Observable> {
    let mut found = Found::new();
    match object_type {
        "indicator" => of_indicator(value, &mut found),
        "observed-data" => of_embedded(value, &mut found),
        _ => of_observable(object_type, value, &mut found),
    }
    found.into_iter().collect()
}

fn of_indicator(value: &Value<'_>, found: &mut Found) {
    let pattern_type = value.get("pattern_type").and_then(Value::as_str);
    let pattern = value.get("pattern").and_then(Value::as_str);
    // A pattern that does not parse is its producer's problem, shown elsewhere; the object is passed on all the same.
    if let (true, Some(pattern)) = (pattern_type.is_none_or(|kind| kind == "stix"), pattern)
        && let Ok(pattern) = Pattern::parse(&pattern)
    {
        of_tests(&pattern, found);
    }
}

pub(super) fn of_pattern(pattern: &Pattern<'_>) -> Vec<Observable> {
    let mut found = Found::new();
    of_tests(pattern, &mut found);
    found.into_iter().collect()
}

fn of_tests(pattern: &Pattern<'_>, found: &mut Found) {
    pattern.tests().for_each(|test| of_test(test, found));
}

/// The `objects` that observed data may carry inside itself (STIX 2.1 §4.14, deprecated).
fn of_embedded(value: &Value<'_>, found: &mut Found) {
    for member in value.get("objects").and_then(Value::as_object).into_iter().flatten() {
        if let Some(object_type) = member.value.get("type").and_then(Value::as_str) {
            of_observable(&object_type, &member.value, found);
        }
    }
}

fn of_observable(object_type: &str, value: &Value<'_>, found: &mut Found) {
    let Some(map) = value.as_object() else { return };
    for property in properties(object_type) {
        if let Some(value) = map.get(property) {
            let text = value.as_str().or_else(|| value.as_i64().map(|number| number.to_string().into()));
            found.extend(text.and_then(|text| of_property(object_type, property, &text)));
        }
    }
    of_hashes(object_type, map, found);
}

fn of_hashes(object_type: &str, map: &Map<'_>, found: &mut Found) {
    for member in map.get("hashes").and_then(Value::as_object).into_iter().flatten() {
        let kind = hash_kind(object_type, &member.key.as_str());
        found.extend(kind.zip(member.value.as_str()).and_then(|(kind, text)| Observable::new(kind, &text)));
    }
}

/// The properties of an observable type whose values are searched for.
fn properties(object_type: &str) -> &'static [&'static str] {
    match object_type {
        "ipv4-addr" | "ipv6-addr" | "domain-name" | "url" | "email-addr" | "mac-addr" => &["value"],
        "autonomous-system" => &["number"],
        "mutex" | "file" | "process" => &["name"],
        "directory" => &["path"],
        "windows-registry-key" => &["key"],
        "user-account" => &["account_login", "user_id"],
        "x509-certificate" => &["serial_number"],
        "artifact" => &["url"],
        _ => &[],
    }
}

/// The kind of the values under a property.
fn property_kind(object_type: &str, property: &str) -> Option<Kind> {
    Some(match (object_type, property) {
        ("ipv4-addr", "value") => Kind::Ipv4,
        ("ipv6-addr", "value") => Kind::Ipv6,
        ("domain-name", "value") => Kind::Domain,
        ("url", "value") | ("artifact", "url") => Kind::Url,
        ("email-addr", "value") => Kind::Email,
        ("mac-addr", "value") => Kind::Mac,
        ("autonomous-system", "number") => Kind::Asn,
        ("mutex", "name") => Kind::Mutex,
        ("file", "name") => Kind::FileName,
        ("process", "name") => Kind::ProcessName,
        ("directory", "path") => Kind::Directory,
        ("windows-registry-key", "key") => Kind::RegistryKey,
        ("user-account", "account_login" | "user_id") => Kind::UserAccount,
        ("x509-certificate", "serial_number") => Kind::CertificateSerial,
        _ => return None,
    })
}

fn of_property(object_type: &str, property: &str, text: &str) -> Option<Observable> {
    Observable::new(property_kind(object_type, property)?, text)
}

/// The kind of the hashes under a key; producers differ in case and hyphens.
fn hash_kind(object_type: &str, algorithm: &str) -> Option<Kind> {
    let plain: String = algorithm.chars().filter(|c| !matches!(c, '-' | '_')).collect();
    Some(match (object_type, plain.to_ascii_lowercase().as_str()) {
        ("x509-certificate", "md5") => Kind::CertificateMd5,
        ("x509-certificate", "sha1") => Kind::CertificateSha1,
        ("x509-certificate", "sha256") => Kind::CertificateSha256,
        ("file" | "artifact", "md5") => Kind::Md5,
        ("file" | "artifact", "sha1") => Kind::Sha1,
        ("file" | "artifact", "sha256") => Kind::Sha256,
        ("file" | "artifact", "sha512") => Kind::Sha512,
        ("file" | "artifact", "sha3256") => Kind::Sha3_256,
        ("file" | "artifact", "sha3512") => Kind::Sha3_512,
        ("file" | "artifact", "ssdeep") => Kind::Ssdeep,
        ("file" | "artifact", "tlsh") => Kind::Tlsh,
        _ => return None,
    })
}

/// Takes what a comparison looks for; what it excludes, or describes only by a wildcard, is not looked for.
pub(super) fn of_test(test: &Test<'_>, found: &mut Found) {
    let looks_for_values = matches!(test.operator, Operator::Equal | Operator::In | Operator::IsSubset);
    if test.negated || !looks_for_values {
        return;
    }
    for literal in test.operand.literals() {
        let text = match literal {
            Literal::String(text) => text,
            Literal::Integer(text) => *text,
            Literal::Hex(text) => *text,
            _ => continue,
        };
        found.extend(of_path(&test.path, text));
    }
}

fn of_path(path: &ObjectPath<'_>, text: &str) -> Option<Observable> {
    let keys: Vec<&str> = path
        .steps
        .iter()
        .filter_map(|step| if let PathStep::Key(key) = step { Some(key.as_ref()) } else { None })
        .collect();
    match keys[..] {
        ["hashes", algorithm] => Observable::new(hash_kind(path.object_type, algorithm)?, text),
        [property] => of_property(path.object_type, property, text),
        [.., reference, property] => of_reference(reference, property, text),
        [] => None,
    }
}

/// What a path reaches through a reference, such as `network-traffic:dst_ref.value`.
fn of_reference(reference: &str, property: &str, text: &str) -> Option<Observable> {
    let name = reference.strip_suffix("_refs").or_else(|| reference.strip_suffix("_ref"))?;
    match (name, property) {
        ("from" | "sender" | "to" | "cc" | "bcc" | "belongs_to", "value") => Observable::new(Kind::Email, text),
        ("src" | "dst" | "resolves_to", "value") => {
            Observable::new(Kind::Domain, text).or_else(|| Observable::new(Kind::Mac, text))
        }
        ("image" | "content" | "body_raw", "name") => Observable::new(Kind::FileName, text),
        ("parent_directory", "path") => Observable::new(Kind::Directory, text),
        _ => None,
    }
}
