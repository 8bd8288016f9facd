//! A few rounds of what `mithaq-torture` does for hours, by the program itself, and the figures that it prints.

// A test may fail where it stands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use serde_json::Value;

#[test]
fn a_few_kills_lose_nothing_and_are_told_in_figures() {
    let mut torture = Command::new(env!("CARGO_BIN_EXE_mithaq-torture"));
    let output = torture.args(["--only", "kill", "--rounds", "3", "--json"]).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((told["ok"].as_bool(), told["rounds"].as_u64()), (Some(true), Some(3)), "{told}");
    assert!(told["acked"].as_u64() > Some(0), "{told}");
    for none in ["lost", "torn", "served_damaged", "would_not_open"] {
        assert_eq!(told[none].as_u64(), Some(0), "{told}");
    }
}
