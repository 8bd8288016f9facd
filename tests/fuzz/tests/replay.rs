//! The committed corpora, without a fuzzer: whatever was found once is never lost again.
#![allow(clippy::unwrap_used)]

use mithaq_fuzz::TARGETS;
use std::{
    collections::BTreeSet,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn every_corpus_passes() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut failed = Vec::new();
    for (name, target) in TARGETS {
        let files = files(&corpora.join(name));
        assert!(files.len() > 2, "{name} has no corpus");
        for file in files {
            let data = fs::read(&file).unwrap();
            if catch_unwind(AssertUnwindSafe(|| target(&data))).is_err() {
                failed.push(file);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn every_corpus_has_its_target() {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let names = |folder| -> BTreeSet<String> {
        files(&package.join(folder)).iter().map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect()
    };
    let targets: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("corpus"), targets);
    assert_eq!(names("fuzz_targets"), targets);
}

/// What repeats without end costs what it is long: a target in which something is squared takes minutes here.
#[test]
fn long_inputs_take_linear_time() {
    const LENGTH: usize = 1 << 20;
    const TIME_MAX: Duration = Duration::from_secs(20);
    for unit in
        ["[", "{\"a\":", "\\", "'", "(", "[a:b=1] AND ", "a:b=1 OR ", "[.]", "xn--", "a.", "\u{e9}", "\"\\ud800"]
    {
        let data = unit.repeat(LENGTH / unit.len());
        for (name, target) in TARGETS {
            let started = Instant::now();
            target(data.as_bytes());
            target(format!("[{data}").as_bytes());
            assert!(started.elapsed() < TIME_MAX, "{name} of {unit:?} repeated takes {:?}", started.elapsed());
        }
    }
}
