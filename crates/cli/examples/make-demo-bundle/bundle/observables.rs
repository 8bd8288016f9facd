//! Observables, with the ids that STIX 2.1 §2.9 prescribes, and what was observed of them.

use serde_json::{Value, json};

use super::{
    make::{hash, marked, object, observable_id, with},
    markings::{AMBER, CLEAR, GREEN},
};

pub(crate) fn all() -> Vec<Value> {
    let [bank_address, turbine_address, tunnel] =
        [("ipv4-addr", "192.0.2.44"), ("ipv4-addr", "203.0.113.77"), ("ipv6-addr", "2001:db8:5ec:1::53")]
            .map(|(object_type, value)| by_value(object_type, value));
    let system = observable("autonomous-system", json!({"number": 64500}), json!({"name": "示例网络"}));
    let bank_domain = by_value("domain-name", "login-namoona-bank.example");
    let sender = by_value("email-addr", "statements@namoona-bank.example");
    let page = by_value("url", "https://login-namoona-bank.example/statement/2025-01?id=7");
    let installer = file("paper-moon.exe", "گوشوارہ.pdf.exe");
    let invoice = file("invoice.exe", "发票2025年02月.exe");
    let message = observable(
        "email-message",
        json!({"from_ref": sender["id"], "subject": "آپ کا ماہانہ گوشوارہ"}),
        json!({"is_multipart": false, "date": "2025-01-20T03:12:00Z"}),
    );
    let traffic = observable(
        "network-traffic",
        json!({"dst_port": 8443, "dst_ref": turbine_address["id"], "protocols": ["ipv4", "tcp", "tls"], "src_port": 49_152}),
        json!({}),
    );
    let mutex = observable("mutex", json!({"name": r"Global\PaperMoon_7"}), json!({}));
    let key = observable(
        "windows-registry-key",
        json!({"key": r"HKEY_CURRENT_USER\Software\Microsoft\Windows\CurrentVersion\Run"}),
        json!({}),
    );
    let software = observable(
        "software",
        json!({"name": "Grid Portal", "vendor": "Example Controls", "version": "7.1"}),
        json!({}),
    );

    let bank = observed("bank", "01-22", 412, &[&bank_domain, &bank_address, &message, &sender, &installer]);
    let turbine = observed("turbine", "02-15", 9, &[&traffic, &turbine_address, &software]);
    let bank_domain = with(bank_domain, json!({"resolves_to_refs": [bank_address["id"]]}));
    let tunnel = with(tunnel, json!({"belongs_to_refs": [system["id"]]}));
    let clear = [bank_address, tunnel, system, bank_domain, sender, page, installer, message, mutex, key];
    let amber = [turbine_address, traffic, software];
    let mut all: Vec<Value> = clear.into_iter().map(|object| marked(&[CLEAR], object)).collect();
    all.push(marked(&[GREEN], invoice));
    all.extend(amber.into_iter().map(|object| marked(&[AMBER], object)));
    all.extend([marked(&[GREEN], bank), marked(&[AMBER], turbine)]);
    all
}

/// The id of an observation, which a sighting can name.
pub(crate) fn observed_id(key: &str) -> String {
    super::make::id("observed-data", key)
}

/// An observable that `identifying` properties identify.
fn observable(object_type: &str, identifying: Value, more: Value) -> Value {
    // Callers give names in order and no number but small integers, so this is the canonical form.
    let id = observable_id(object_type, &identifying.to_string());
    let object = json!({"type": object_type, "spec_version": "2.1", "id": id});
    with(with(object, identifying), more)
}

fn by_value(object_type: &str, value: &str) -> Value {
    observable(object_type, json!({"value": value}), json!({}))
}

fn file(key: &str, name: &str) -> Value {
    observable("file", json!({"hashes": {"SHA-256": hash(key)}, "name": name}), json!({"size": 73_216}))
}

fn observed(key: &str, day: &str, count: u32, objects: &[&Value]) -> Value {
    let refs: Vec<&Value> = objects.iter().map(|object| &object["id"]).collect();
    object(
        "observed-data",
        key,
        day,
        json!({
            "first_observed": format!("2025-{day}T00:00:00Z"),
            "last_observed": format!("2025-{day}T21:00:00Z"),
            "number_observed": count,
            "object_refs": refs,
        }),
    )
}
