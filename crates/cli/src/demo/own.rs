//! The objects that the demo makes itself: those of CNCERT, and the probes that show what a push sets going.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use mithaq_core::{
    id::{sha256, to_hex},
    stix::marking::Tlp,
};
use serde_json::{Value, json};

use super::{
    certs::{CN, PK, Who},
    input::SAMPLE,
};

/// What CNCERT publishes: who it is, an indicator, and, beside the sample, an observable that PK published too, to show
/// that one body is held once whoever released it.
pub(super) fn of_cncert(beside_sample: bool) -> Vec<Value> {
    let identity = object(
        "identity",
        CN.identity,
        &CN,
        json!({
            "name": "国家互联网应急中心",
            "lang": "zh",
            "identity_class": "organization",
            "sectors": ["government"],
        }),
    );
    let found = indicator("cncert", &CN, "钓鱼邮件发件域名", "zh", "mail-notice.example");
    let shared = beside_sample.then(of_both).flatten();
    [identity, found].into_iter().chain(shared).collect()
}

/// The first address of the sample, byte for byte the same object.
fn of_both() -> Option<Value> {
    let sample: Value = serde_json::from_slice(SAMPLE).ok()?;
    sample["objects"].as_array()?.iter().find(|object| object["type"] == "ipv4-addr").cloned()
}

/// An indicator of PK's that every agreement of the demo releases, another one for each key.
pub(super) fn probe(key: &str) -> Value {
    indicator(key, &PK, "Probe of the demo", "en", &format!("{key}.probe.example"))
}

/// Writes objects as a bundle into a file of `dir`.
pub(super) fn write(dir: &Path, name: &str, objects: &[Value]) -> anyhow::Result<PathBuf> {
    let path = dir.join(name);
    let bundle = json!({"type": "bundle", "id": id("bundle", name), "objects": objects});
    fs::write(&path, bundle.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

fn indicator(key: &str, who: &Who, name: &str, lang: &str, domain: &str) -> Value {
    object(
        "indicator",
        &id("indicator", key),
        who,
        json!({
            "name": name,
            "lang": lang,
            "indicator_types": ["malicious-activity"],
            "pattern": format!("[domain-name:value = '{domain}']"),
            "pattern_type": "stix",
            "valid_from": "2025-03-20T00:00:00Z",
        }),
    )
}

fn object(object_type: &str, id: &str, who: &Who, more: Value) -> Value {
    let mut object = json!({
        "type": object_type,
        "spec_version": "2.1",
        "id": id,
        "created_by_ref": who.identity,
        "created": "2025-03-20T04:30:00.000Z",
        "modified": "2025-03-20T04:30:00.000Z",
        "object_marking_refs": [Tlp::Clear.marking_id()],
    });
    if let (Value::Object(object), Value::Object(more)) = (&mut object, more) {
        object.extend(more);
    }
    object
}

/// A fixed id, in the form of a version 4 UUID.
fn id(object_type: &str, key: &str) -> String {
    let hex = to_hex(&sha256(format!("mithaq demo: {object_type} {key}").as_bytes()));
    format!("{object_type}--{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

#[cfg(test)]
mod tests {
    use super::*;
    use mithaq_core::stix::object::Object;

    #[test]
    fn what_the_demo_makes_is_stix() {
        for object in of_cncert(true).iter().chain([&probe("1"), &probe("2")]) {
            Object::parse(object.to_string().as_bytes()).unwrap();
        }
        assert_ne!(probe("1")["id"], probe("2")["id"]);
        assert_eq!((of_cncert(true).len(), of_cncert(false).len()), (3, 2));
    }
}
