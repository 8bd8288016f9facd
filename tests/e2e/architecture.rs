//! The arrows between the crates, and who may know what.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    process::Command,
};

use serde_json::Value;

use crate::harness::root;

/// Every dependency between crates that may be, `tests/` aside; a new one is a decision and not a convenience.
const ARROWS: [(&str, &[&str]); 8] = [
    ("mithaq-stix", &[]),
    ("mithaq-core", &["mithaq-stix"]),
    ("mithaq-sync", &["mithaq-core"]),
    ("mithaq-store", &["mithaq-core"]),
    ("mithaq-api", &["mithaq-core"]),
    ("mithaq-cli", &["mithaq-api", "mithaq-core"]),
    ("mithaq-daemon", &["mithaq-api", "mithaq-core", "mithaq-store", "mithaq-sync"]),
    ("mithaq", &["mithaq-cli", "mithaq-daemon"]),
];

/// The crates that never see a socket, a clock, a file or async.
const PURE: [&str; 3] = ["mithaq-stix", "mithaq-core", "mithaq-sync"];

/// What would give a pure crate one of those, by whatever way it came in.
const IMPURE: [&str; 11] = [
    "axum",
    "futures-executor",
    "hyper",
    "mio",
    "quinn",
    "quinn-proto",
    "rustix",
    "sled",
    "socket2",
    "tokio",
    "tokio-util",
];

/// Each package of the workspace: whether it lies under `crates/`, and what it depends on outside of its tests.
fn packages() -> BTreeMap<String, (bool, BTreeSet<String>)> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--format-version", "1", "--no-deps", "--locked"]);
    let output = cargo.current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let package = |package: &Value| {
        let is_needed = |dependency: &&Value| dependency["kind"] != "dev";
        let needed = package["dependencies"].as_array().unwrap().iter().filter(is_needed);
        let in_crates = text(&package["manifest_path"]).contains("/crates/");
        (text(&package["name"]), (in_crates, needed.map(|dependency| text(&dependency["name"])).collect()))
    };
    metadata["packages"].as_array().unwrap().iter().map(package).collect()
}

/// What each package of `Cargo.lock` depends on, names without versions.
fn locked() -> BTreeMap<String, BTreeSet<String>> {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut packages: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut name = String::new();
    for line in lock.lines() {
        if let Some(quoted) = line.strip_prefix("name = ") {
            name = quoted.trim_matches('"').to_owned();
            packages.entry(name.clone()).or_default();
        } else if let Some(quoted) = line.strip_prefix(" \"") {
            let dependency = quoted.split([' ', '"']).next().unwrap().to_owned();
            packages.entry(name.clone()).or_default().insert(dependency);
        }
    }
    packages
}

#[test]
fn the_arrows_hold_and_there_are_no_others() {
    let packages = packages();
    let names: BTreeSet<_> = packages.keys().cloned().collect();
    let found: BTreeMap<_, BTreeSet<_>> = packages
        .iter()
        .filter(|(_, (in_crates, _))| *in_crates)
        .map(|(name, (_, needed))| (name.as_str(), needed.intersection(&names).map(String::as_str).collect()))
        .collect();
    let expected = ARROWS.iter().map(|(from, to)| (*from, to.iter().copied().collect())).collect();
    assert_eq!(found, expected);
}

#[test]
fn only_the_store_knows_its_engine() {
    let packages = packages();
    let knows_sled = |name: &&String| packages[*name].1.contains("sled");
    // The bench compares the store with sled alone.
    assert_eq!(packages.keys().filter(knows_sled).collect::<Vec<_>>(), ["mithaq-bench", "mithaq-store"]);
}

#[test]
fn the_pure_crates_reach_nothing_impure() {
    let (packages, locked) = (packages(), locked());
    for pure in PURE {
        let mut reached: BTreeMap<String, String> = BTreeMap::new();
        let mut open: Vec<(String, String)> =
            packages[pure].1.iter().map(|name| (name.clone(), format!("{pure} → {name}"))).collect();
        while let Some((name, way)) = open.pop() {
            // What a crate of ours needs for its tests alone stands in the lock file too, and does not count.
            let next = packages.get(&name).map_or_else(|| &locked[&name], |(_, needed)| needed);
            open.extend(
                next.iter()
                    .filter(|next| !reached.contains_key(*next))
                    .map(|next| (next.clone(), format!("{way} → {next}"))),
            );
            reached.insert(name, way);
        }
        let impure: Vec<_> = IMPURE.iter().filter_map(|name| reached.get(*name)).collect();
        assert!(impure.is_empty(), "{impure:#?}");
    }
}
