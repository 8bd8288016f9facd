//! The vectors of sketches, which `tests/vectors/sketches.py` makes again in Python.

use std::{fmt::Write, ops::Range, path::Path};

use mithaq_core::id::{ReleaseId, sha256, to_hex};
use mithaq_sync::{
    CELLS_MAX,
    sketch::{Cell, Mark, Sketch, SketchKey, decode},
};

use crate::fixtures::AGREEMENT;

/// The instances of the source and of the sink.
const INSTANCES: [[u8; 16]; 2] = [[0xf1; 16], [0xf2; 16]];

/// How many cells are shown of each set.
const SHOWN: usize = 24;

fn key() -> SketchKey {
    SketchKey::new(AGREEMENT, INSTANCES[0], INSTANCES[1])
}

/// A release by its number, as in the vectors of trees.
fn release(number: u32) -> ReleaseId {
    ReleaseId::from_bytes(sha256(&number.to_be_bytes()))
}

fn sketch(numbers: Range<u32>) -> Sketch<()> {
    let mut sketch = Sketch::new();
    for number in numbers {
        assert!(sketch.insert(key().mark(release(number)), ()));
    }
    sketch
}

fn list(values: impl IntoIterator<Item = impl ToString>) -> String {
    let values: Vec<_> = values.into_iter().map(|value| value.to_string()).collect();
    format!("[{}]", values.join(", "))
}

fn shorts(mut values: Vec<u64>) -> String {
    values.sort_unstable();
    list(values.into_iter().map(|short| format!("\"{short:016x}\"")))
}

fn marks() -> String {
    let mark = |number: u32| {
        let Mark { short, digest } = key().mark(release(number));
        format!("{{\"release\": \"{}\", \"short\": \"{short:016x}\", \"digest\": \"{digest:016x}\"}}", release(number))
    };
    list((0..3).map(mark))
}

/// One item alone, with all cells that it is in; short ids of all zeros and all ones among them.
fn item(short: u64) -> String {
    let mut sketch = Sketch::new();
    sketch.insert(Mark { short, digest: 0 }, ());
    let cells = sketch.cells(0..CELLS_MAX);
    let places = (0..CELLS_MAX).filter(|place| cells[*place] != Cell::default());
    let cell = to_hex(&Cell::write_all(&cells[..1]));
    format!("{{\"short\": \"{short:016x}\", \"cells\": {}, \"cell\": \"{cell}\"}}", list(places))
}

/// The first number of a range, and the one behind its last.
fn ends(numbers: &Range<u32>) -> String {
    list([numbers.start, numbers.end])
}

fn set(numbers: Range<u32>) -> String {
    let mut sketch = sketch(numbers.clone());
    let digest = to_hex(&sketch.digest().to_bytes());
    let cells = list(sketch.cells(0..SHOWN).iter().map(|cell| format!("\"{}\"", to_hex(&Cell::write_all(&[*cell])))));
    format!("{{\"numbers\": {}, \"digest\": \"{digest}\", \"cells\": {cells}}}", ends(&numbers))
}

/// What a source and a sink differ in, and the fewest cells that tell it.
fn difference(source: Range<u32>, sink: Range<u32>) -> String {
    let (mut theirs, mut ours) = (sketch(source.clone()), sketch(sink.clone()));
    let mut told = |cells: usize| decode(theirs.cells(0..cells), ours.cells(0..cells)).ok();
    let fewest = (1..CELLS_MAX).find(|cells| told(*cells).is_some()).unwrap();
    let difference = told(fewest).unwrap();
    format!(
        "{{\"source\": {}, \"sink\": {}, \"fewest_cells\": {fewest}, \"missing\": {}, \"extra\": {}}}",
        ends(&source),
        ends(&sink),
        shorts(difference.missing),
        shorts(difference.extra)
    )
}

fn vectors() -> String {
    let differences = [(0..10, 0..10), (0..1, 0..0), (0..100, 3..104), (0..1_000, 40..1_020)];
    let lines = [
        ("agreement", format!("\"{AGREEMENT}\"")),
        ("source_instance", format!("\"{}\"", to_hex(&INSTANCES[0]))),
        ("sink_instance", format!("\"{}\"", to_hex(&INSTANCES[1]))),
        ("marks", marks()),
        ("items", list([0, u64::MAX, key().mark(release(0)).short, key().mark(release(1)).short].map(item))),
        ("sets", list([0..0, 0..1, 0..10, 0..300].map(set))),
        ("differences", list(differences.map(|(source, sink)| difference(source, sink)))),
    ];
    let mut text = String::new();
    for (place, (name, value)) in lines.iter().enumerate() {
        write!(text, "{} \"{name}\": {value}", if place == 0 { "{\n" } else { ",\n" }).unwrap();
    }
    text + "\n}\n"
}

#[test]
fn sketches_are_what_they_were() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/sketch.json");
    let found = vectors();
    if std::env::var_os("MITHAQ_VECTORS").is_some() {
        std::fs::write(&path, &found).unwrap();
    }
    assert_eq!(found, std::fs::read_to_string(&path).unwrap(), "sketch.json is not what it was");
}
