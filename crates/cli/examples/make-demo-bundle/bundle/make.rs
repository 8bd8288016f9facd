//! How objects are made: fixed ids, fixed times, markings.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use mithaq_core::id::{sha256, to_hex};
use serde_json::{Value, json};

/// The identity under which the demo's first CERT publishes.
pub(crate) const PK_NCERT: &str = "identity--23054300-4dc0-4667-aee5-0689c0ce7b0b";

/// The namespace of observables' ids (STIX 2.1 §2.9).
const OBSERVABLES: [u8; 16] =
    [0x00, 0xab, 0xed, 0xb4, 0xaa, 0x42, 0x46, 0x6c, 0x9c, 0x01, 0xfe, 0xd2, 0x33, 0x15, 0xa9, 0xb7];

/// The id of the object of a type that is called `key` in this bundle, in the form of a version 4 UUID.
pub(crate) fn id(object_type: &str, key: &str) -> String {
    let digest = sha256(format!("mithaq sample bundle: {object_type} {key}").as_bytes());
    format!("{object_type}--{}", uuid(&digest, 4))
}

/// The id of an observable (STIX 2.1 §2.9): the version 5 UUID of the canonical form of what identifies it.
pub(crate) fn observable_id(object_type: &str, canonical: &str) -> String {
    let name = [&OBSERVABLES, canonical.as_bytes()].concat();
    format!("{object_type}--{}", uuid(digest(&SHA1_FOR_LEGACY_USE_ONLY, &name).as_ref(), 5))
}

fn uuid(digest: &[u8], version: u8) -> String {
    let mut bytes = digest[..16].to_vec();
    bytes[6] = bytes[6] & 0x0f | version << 4;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = to_hex(&bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// A made-up hash: that of a text that nobody has.
pub(crate) fn hash(key: &str) -> String {
    to_hex(&sha256(format!("mithaq sample file: {key}").as_bytes()))
}

/// An object of NCERT's, made on `day` (`MM-DD` of 2025), with `properties` in place of or beside the usual ones.
pub(crate) fn object(object_type: &str, key: &str, day: &str, properties: Value) -> Value {
    let time = format!("2025-{day}T04:30:00.000Z");
    let common = json!({
        "type": object_type,
        "spec_version": "2.1",
        "id": id(object_type, key),
        "created": time,
        "modified": time,
        "created_by_ref": PK_NCERT,
    });
    with(common, properties)
}

/// `object` with `properties` over its own.
pub(crate) fn with(mut object: Value, properties: Value) -> Value {
    if let (Value::Object(map), Value::Object(more)) = (&mut object, properties) {
        map.extend(more);
    }
    object
}

/// `object` under these markings.
pub(crate) fn marked(markings: &[&str], object: Value) -> Value {
    with(object, json!({"object_marking_refs": markings}))
}

/// `object` as concerning these sectors, in the way that STIX extends any object.
pub(crate) fn in_sectors(sectors: &[&str], object: Value) -> Value {
    let extension = json!({super::markings::sectors_extension(): {"extension_type": "toplevel-property-extension"}});
    with(object, json!({"sectors": sectors, "extensions": extension}))
}
