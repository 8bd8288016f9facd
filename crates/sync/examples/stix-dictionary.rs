//! Makes the dictionary for groups, and measures what it saves.
//!
//! ```text
//! cargo run -p mithaq-sync --example stix-dictionary -- train crates/cli/src/demo/bundle.json > FILE
//! cargo run -p mithaq-sync --example stix-dictionary -- measure BUNDLE...
//! ```

// A tool for developers: it fails where it stands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

use std::{env, fs, io::Write};

use mithaq_core::stix::bundle::Reader;
use mithaq_sync::DICTIONARY;
use zstd::bulk::Compressor;

/// How large the dictionary is at the most.
const BYTES_MAX: usize = 16 * 1024;

const LEVEL: i32 = 3;

/// The most bodies that are packed for one line of the table.
const BODIES_MAX: usize = 2_000;

fn main() {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.split_first() {
        Some((work, files)) if work == "train" => train(files),
        Some((work, files)) if work == "measure" => files.iter().for_each(|file| measure(file)),
        _ => panic!("train BUNDLE... or measure BUNDLE..."),
    }
}

/// The bodies of a bundle, each as it stands in a group: after its length.
fn members(file: &str) -> Vec<Vec<u8>> {
    let text = fs::read(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    let objects = Reader::new(&text).filter_map(|entry| entry.unwrap().object.ok());
    let member = |body: &[u8]| [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat();
    objects.map(|object| member(&object.canonical())).collect()
}

fn train(files: &[String]) {
    let samples: Vec<Vec<u8>> = files.iter().flat_map(|file| members(file)).collect();
    let dictionary = zstd::dict::from_samples(&samples, BYTES_MAX).unwrap();
    std::io::stdout().write_all(&dictionary).unwrap();
}

/// Prints bytes an object, as they are and in groups, without the dictionary and with it.
fn measure(file: &str) {
    let mut members = members(file);
    // Neighbours in a bundle are alike; any other order is as likely on the wire.
    members.sort_by_key(|member| mithaq_core::id::sha256(member));
    members.truncate(BODIES_MAX);
    println!("{file}\n{:>8} {:>8} {:>8} {:>8} {:>6}", "group", "raw", "without", "with", "saved");
    for size in [1, 3, 10, 30, 100, 300, 1000].into_iter().take_while(|size| *size <= members.len()) {
        let packed = |dictionary: &[u8]| {
            let mut compressor = Compressor::with_dictionary(LEVEL, dictionary).unwrap();
            compressor.include_dictid(false).unwrap();
            let groups = members.chunks_exact(size).map(<[Vec<u8>]>::concat);
            groups.map(|group| compressor.compress(&group).unwrap().len()).sum::<usize>()
        };
        let objects = members.len() / size * size;
        let raw: usize = members[..objects].iter().map(|member| member.len() - 4).sum();
        let (without, with) = (packed(&[]), packed(DICTIONARY));
        let each = |bytes: usize| bytes as f64 / objects as f64;
        let saved = 100.0 - 100.0 * with as f64 / without as f64;
        println!("{size:>8} {:>8.0} {:>8.1} {:>8.1} {saved:>5.1}%", each(raw), each(without), each(with));
    }
}
