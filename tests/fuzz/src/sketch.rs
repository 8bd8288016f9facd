//! Cells of sketches, as a peer may send them.

use mithaq_core::id::ReleaseId;
use mithaq_sync::sketch::{CELL_BYTES, Cell, Difference, Mark, Sketch, SketchKey, decode};

/// The cells of two sides, one after the other: whatever they are, reading the difference comes to an end, and what it tells
/// is a difference that has these very cells.
pub fn sketch(data: &[u8]) {
    let cells = data.len() / CELL_BYTES / 2;
    let (theirs, rest) = data.split_at(cells * CELL_BYTES);
    let [theirs, ours] = [theirs, &rest[..cells * CELL_BYTES]].map(|bytes| Cell::read_all(bytes).unwrap());
    assert!(Cell::write_all(&theirs) == data[..cells * CELL_BYTES]);
    if let Ok(difference) = decode(&theirs, &ours) {
        let sides = [&difference.missing, &difference.extra].map(|shorts| sketch_of(shorts).cells(0..cells).to_vec());
        assert_eq!(decode(&sides[0], &sides[1]).map(sorted), Ok(sorted(difference)));
    }
}

fn sketch_of(shorts: &[u64]) -> Sketch<()> {
    let mut sketch = Sketch::new();
    assert!(shorts.iter().all(|short| sketch.insert(Mark { short: *short, digest: 0 }, ())), "an item twice");
    sketch
}

fn sorted(mut difference: Difference) -> Difference {
    difference.missing.sort_unstable();
    difference.extra.sort_unstable();
    difference
}

/// The cells of two sets that differ in some of their releases.
#[must_use]
pub fn cells(cells: usize, [theirs, ours]: [std::ops::Range<u8>; 2]) -> Vec<u8> {
    let key = SketchKey::new(crate::FRAME_AGREEMENT, [1; 16], [2; 16]);
    let of = |numbers: std::ops::Range<u8>| {
        let shorts: Vec<_> = numbers.map(|number| key.mark(ReleaseId::from_bytes([number; 32])).short).collect();
        Cell::write_all(sketch_of(&shorts).cells(0..cells))
    };
    [of(theirs), of(ours)].concat()
}
