//! What is pushed: objects of a file, or indicators made up here.

use std::path::Path;

use anyhow::{Context, ensure};
use bytes::Bytes;
use mithaq_core::stix::bundle::Reader;

/// The objects, each as JSON text.
pub(crate) fn load(input: Option<&Path>, limit: usize) -> anyhow::Result<Vec<Bytes>> {
    let objects = match input {
        Some(path) => read(path, limit)?,
        None => (0..limit).map(generate).collect(),
    };
    ensure!(!objects.is_empty(), "there are no objects to push");
    Ok(objects)
}

fn read(path: &Path, limit: usize) -> anyhow::Result<Vec<Bytes>> {
    let text = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut objects = Vec::new();
    for entry in Reader::new(&text).take(limit) {
        let entry = entry.with_context(|| format!("{} is not JSON", path.display()))?;
        if let Ok(object) = entry.object {
            objects.push(Bytes::copy_from_slice(object.source()));
        }
    }
    Ok(objects)
}

/// Object `number`: an indicator of about 700 bytes, one of a family that only its number tells apart.
pub(crate) fn generate(number: usize) -> Bytes {
    let id = mithaq_core::id::sha256(&number.to_be_bytes());
    let hex = mithaq_core::id::to_hex(&id);
    let uuid = format!("{}-{}-4{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]);
    let (host, time) =
        (&hex[32..44], format!("2026-03-{:02}T{:02}:{:02}:00.000Z", number % 28 + 1, id[0] % 24, id[1] % 60));
    let families = ["Emberhound", "QuietLatch", "GlassRook", "TarnSpider", "PaleCourier", "Ironmoth"];
    let family = families[usize::from(id[2]) % families.len()];
    Bytes::from(format!(
        r#"{{"type":"indicator","spec_version":"2.1","id":"indicator--{uuid}","created":"{time}","modified":"{time}","name":"C2 domain {host}.example","description":"Observed domain resolved by {family} in case {number}, {} partner reports.","indicator_types":["malicious-activity"],"pattern":"[domain-name:value = '{host}.example']","pattern_type":"stix","valid_from":"{time}","valid_until":"2027-03-01T00:00:00.000Z","labels":["botnet","c2"],"confidence":{},"kill_chain_phases":[{{"kill_chain_name":"lockheed-martin-cyber-kill-chain","phase_name":"command-and-control"}}],"object_marking_refs":["marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421"]}}"#,
        id[3] % 9 + 1,
        id[4] % 100,
    ))
}

/// A fresh object that no generated or loaded one is equal to.
pub(crate) fn fresh(number: usize) -> Bytes {
    generate(usize::MAX / 2 + number)
}

/// A bundle of objects.
pub(crate) fn bundle(objects: &[Bytes]) -> Bytes {
    let mut text = br#"{"type":"bundle","id":"bundle--6a1d9b1e-6f3c-4c6f-9c62-3e2b6c0f7a10","objects":["#.to_vec();
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(object);
    }
    text.extend_from_slice(b"]}");
    text.into()
}
