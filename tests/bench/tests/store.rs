//! `mithaq-bench store` on a few objects: the figures are there, and the store gave back what it took.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use serde_json::Value;

const OBJECTS: u64 = 2_300;

#[test]
fn figures_are_complete() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_mithaq-bench"));
    let output = program.args(["store", "--json", "--objects", &OBJECTS.to_string()]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    let alone = &figures["alone"];
    assert_eq!(alone["objects"], OBJECTS);
    // One in ten of the objects that came with duplicates was new.
    assert_eq!(alone["opening"]["objects"], OBJECTS + OBJECTS / 10);
    for figure in ["ingest_per_s", "duplicates_same_releases_per_s", "duplicates_90_percent_per_s", "rss_mb"] {
        assert!(alone[figure].as_f64().unwrap() > 0.0, "{figure}");
    }
    for (work, push) in [("singles", 1), ("pushes_of_100", 100), ("pushes_of_1000", 1_000)] {
        let figures = &figures[work];
        assert_eq!((&figures["push"], &figures["objects"]), (&push.into(), &OBJECTS.into()), "{work}");
        for way in ["store_per_s", "append_per_s", "bare_sled_per_s", "to_bare_sled"] {
            assert!(figures["all"][way].as_f64().unwrap() > 0.0, "{work}: {way}");
        }
    }
    for (target, verdict) in figures["targets"].as_object().unwrap() {
        assert!(verdict["is"].is_number() && verdict["met"].is_boolean(), "{target}: {verdict}");
    }
}
