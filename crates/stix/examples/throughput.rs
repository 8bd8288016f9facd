//! Reads a file of STIX objects over and over and prints how fast: `throughput FILE`.
#![allow(clippy::print_stdout)]

use mithaq_stix::{Reader, json};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).ok_or("usage: throughput FILE")?;
    let text = std::fs::read(path)?;
    let canonical = canonical_lines(&text);
    println!("{:<44} {:>8} {:>12}", "work", "MB/s", "objects/s");
    measure("serde_json to Value", &text, |line| serde_json::from_slice::<serde_json::Value>(line).is_ok());
    measure("json::parse", &text, |line| json::parse(line).is_ok());
    measure("json::parse + canonical", &text, |line| {
        json::parse(line).is_ok_and(|value| !black_box(json::canonical(&value)).is_empty())
    });
    measure("the same, canonical input: is_canonical", &canonical, json::is_canonical);
    measure_reader("Reader: objects + canonical", &text, |_| true);
    measure_reader("Reader: the same, canonical input", &canonical, |_| true);
    measure_reader("Reader: objects + canonical + observables", &text, |object| {
        object.observables().len() < 1_000 && object.marking_refs().count() < 1_000
    });
    Ok(())
}

fn canonical_lines(text: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    for object in Reader::new(text).filter_map(|entry| entry.ok()?.object.ok()) {
        lines.extend_from_slice(&object.canonical());
        lines.push(b'\n');
    }
    lines
}

/// Measures what is done with each line.
fn measure(work: &str, text: &[u8], read: impl Fn(&[u8]) -> bool) {
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    best_of(work, text.len(), || lines.iter().filter(|line| read(line)).count());
}

/// Measures what is done with each object of the whole text.
fn measure_reader(work: &str, text: &[u8], and: impl Fn(&mithaq_stix::Object<'_>) -> bool) {
    best_of(work, text.len(), || {
        let objects = Reader::new(text).filter_map(|entry| entry.ok()?.object.ok());
        objects.filter(|object| !black_box(object.canonical()).is_empty() && and(object)).count()
    });
}

/// Prints the fastest of several rounds: what disturbs a round only ever slows it.
fn best_of(work: &str, bytes: usize, round: impl Fn() -> usize) {
    const ROUNDS: usize = 9;
    let timed = || {
        let start = Instant::now();
        let objects = black_box(round());
        (start.elapsed(), objects)
    };
    let (time, objects) = (0..ROUNDS).map(|_| timed()).min().unwrap_or((Duration::MAX, 0));
    let per_second = |amount: usize| amount as f64 / time.as_secs_f64();
    println!("{work:<44} {:>8.0} {:>12.0}", per_second(bytes) / 1e6, per_second(objects));
}
