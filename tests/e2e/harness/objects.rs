//! STIX objects to push: made ones, and real ones where they are at hand.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::skipped;

const TLP_CLEAR: &str = "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487";

/// The domain that the indicator `number` of a `series` is about.
pub(crate) fn domain(series: u32, number: u32) -> String {
    format!("h{number}.s{series}.example")
}

/// A TLP:CLEAR indicator, another one for each series and number.
pub(crate) fn indicator(series: u32, number: u32) -> Value {
    json!({
        "type": "indicator",
        "spec_version": "2.1",
        "id": format!("indicator--{series:08x}-0000-4000-8000-{number:012x}"),
        "created": "2025-03-20T04:30:00.000Z",
        "modified": "2025-03-20T04:30:00.000Z",
        "name": format!("نمونہ {number}"),
        "pattern": format!("[domain-name:value = '{}']", domain(series, number)),
        "pattern_type": "stix",
        "valid_from": "2025-03-20T00:00:00Z",
        "object_marking_refs": [TLP_CLEAR],
    })
}

/// The indicators of these numbers.
pub(crate) fn indicators(series: u32, numbers: std::ops::Range<u32>) -> Vec<Value> {
    numbers.map(|number| indicator(series, number)).collect()
}

/// An object's STIX id.
pub(crate) fn id_of(object: &Value) -> String {
    object["id"].as_str().unwrap().to_owned()
}

/// An indicator without a marking: it has the level that it is pushed with.
pub(crate) fn unmarked(series: u32, number: u32) -> Value {
    let mut object = indicator(series, number);
    object.as_object_mut().unwrap().remove("object_marking_refs");
    object
}

/// A bundle of objects.
pub(crate) fn bundle(objects: &[Value]) -> String {
    json!({"type": "bundle", "id": "bundle--5d0092c5-5f74-4287-9642-33f4c354e56d", "objects": objects}).to_string()
}

/// The folder of the project.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Real bundles, one after the other in one input; the project's own where the corpora are not at hand.
pub(crate) fn corpus(files: &[&str]) -> Vec<u8> {
    let root = root();
    let corpora = env::var_os("MITHAQ_CORPORA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let read: Result<Vec<Vec<u8>>, _> = files.iter().map(|file| fs::read(corpora.join(file))).collect();
    read.map(|bundles| bundles.join(&b"\n"[..])).unwrap_or_else(|error| {
        skipped("real bundles", &format!("{}: {error}; the project's own is used instead", corpora.display()));
        fs::read(root.join("crates/cli/src/demo/bundle.json")).unwrap()
    })
}
