//! Relationships and sightings. Those without a marking take the strictest label of what they connect, and at least
//! TLP:AMBER; those with one, at least that.

use serde_json::{Value, json};

use super::{
    make::{id, marked, object},
    markings::{CLEAR, GREEN},
    observables::observed_id,
};

/// Source, what it does, target; each end as type and key.
type Link = ((&'static str, &'static str), &'static str, (&'static str, &'static str));

const CLEAR_LINKS: [Link; 15] = [
    (("indicator", "ipv4-statement"), "indicates", ("campaign", "winter-statement")),
    (("indicator", "domain-bank"), "indicates", ("campaign", "winter-statement")),
    (("indicator", "domain-arabic"), "indicates", ("campaign", "winter-statement")),
    (("indicator", "domain-urdu"), "indicates", ("campaign", "winter-statement")),
    (("indicator", "url-statement"), "indicates", ("attack-pattern", "web-portal")),
    (("indicator", "file-paper-moon"), "indicates", ("malware", "paper-moon")),
    (("indicator", "mail-sender"), "indicates", ("attack-pattern", "spearphishing")),
    (("indicator", "yara"), "indicates", ("malware", "reed-flute")),
    (("campaign", "winter-statement"), "uses", ("malware", "paper-moon")),
    (("campaign", "winter-statement"), "targets", ("identity", "banks")),
    (("campaign", "winter-statement"), "targets", ("location", "southern-asia")),
    (("campaign", "winter-statement"), "attributed-to", ("threat-actor", "copper-lantern")),
    (("course-of-action", "second-factor"), "mitigates", ("attack-pattern", "web-portal")),
    (("course-of-action", "signed-updates"), "mitigates", ("attack-pattern", "supply-chain")),
    (("malware", "paper-moon"), "exploits", ("vulnerability", "portal")),
];

const UNMARKED_LINKS: [Link; 9] = [
    (("indicator", "ipv4-c2"), "indicates", ("malware", "sandglass")),
    (("indicator", "file-sandglass"), "indicates", ("malware", "sandglass")),
    (("campaign", "quiet-turbine"), "uses", ("malware", "sandglass")),
    (("campaign", "quiet-turbine"), "attributed-to", ("intrusion-set", "dry-canal")),
    (("campaign", "quiet-turbine"), "targets", ("vulnerability", "gateway")),
    (("intrusion-set", "dry-canal"), "attributed-to", ("threat-actor", "salt-heron")),
    (("malware", "sandglass"), "beacons-to", ("infrastructure", "turbine-c2")),
    (("malware", "reed-flute"), "uses", ("tool", "ferryman")),
    (("indicator", "domain-red"), "indicates", ("threat-actor", "salt-heron")),
];

pub(crate) fn all() -> Vec<Value> {
    let clear = CLEAR_LINKS.iter().map(|link| marked(&[CLEAR], relationship(link)));
    let unmarked = UNMARKED_LINKS.iter().map(relationship);
    clear.chain(unmarked).chain(sightings()).collect()
}

fn relationship((source, verb, target): &Link) -> Value {
    let key = format!("{} {verb} {}", source.1, target.1);
    object(
        "relationship",
        &key,
        "03-10",
        json!({
            "relationship_type": verb,
            "source_ref": id(source.0, source.1),
            "target_ref": id(target.0, target.1),
        }),
    )
}

fn sightings() -> Vec<Value> {
    let sighting = |key: &str, of: (&str, &str), count: u32, where_: &str| {
        object(
            "sighting",
            key,
            "03-11",
            json!({
                "sighting_of_ref": id(of.0, of.1),
                "where_sighted_refs": [id("identity", where_)],
                "first_seen": "2025-03-01T00:00:00Z",
                "last_seen": "2025-03-10T18:45:00Z",
                "count": count,
            }),
        )
    };
    let mut bank = sighting("bank-domain", ("indicator", "domain-bank"), 412, "bank");
    bank["observed_data_refs"] = json!([observed_id("bank")]);
    vec![
        marked(&[GREEN], bank),
        marked(&[CLEAR], sighting("bank-address", ("indicator", "ipv4-statement"), 37, "banks")),
        marked(&[GREEN], sighting("tunnel", ("indicator", "ipv6-tunnel"), 3, "telecom")),
        sighting("turbine", ("indicator", "ipv4-c2"), 9, "grid"),
        sighting("sinkhole", ("indicator", "ipv4-sinkhole"), 1204, "bank"),
    ]
}
