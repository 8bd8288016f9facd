//! `mithaq-bench stix` on a few objects: the figures are there, and say so when an input is not.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

use serde_json::Value;

fn bench(args: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_mithaq-bench"));
    program.args(["stix", "--objects", "60", "--bundle", "25"]).args(args);
    program.env("MITHAQ_CORPORA", "no-such-folder").output().unwrap()
}

#[test]
fn figures_are_complete() {
    let output = bench(&["--json"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stderr).contains("NOT MEASURED: no-such-folder"));
    let figures: Value = serde_json::from_slice(&output.stdout).unwrap();
    let inputs = figures["inputs"].as_array().unwrap();
    assert_eq!((inputs.len(), &inputs[0]["objects"], &inputs[0]["other_hashes"]), (1, &60.into(), &0.into()));
    let works = inputs[0]["works"].as_array().unwrap();
    assert_eq!(works.len(), 7);
    for work in works {
        let name = work["work"].as_str().unwrap();
        assert_eq!(work["taken"], 60, "{name}");
        for figure in ["objects_per_s", "mb_per_s", "us_per_object", "ratio_to_canonicalizer"] {
            assert!(work[figure].as_f64().unwrap() > 0.0, "{name}: {figure}");
        }
    }
}

#[test]
fn people_get_a_table() {
    let output = bench(&[]);
    let table = String::from_utf8(output.stdout).unwrap();
    for word in ["generated indicators: 60 objects", "canonicalizer", "mithaq-validate", "mithaq-model"] {
        assert!(table.contains(word), "{word} in\n{table}");
    }
}
