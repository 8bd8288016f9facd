//! What it costs two CERTs to find out how their sets of releases differ, in one process and on one core: by sketch, beside
//! a full listing, offers behind a cursor, and the negentropy crate.
//!
//! Half of a difference is missing on one side and half on the other, scattered over the whole sets: the hardest case for
//! both ways. Bytes are those of frames without their QUIC packets.

use std::time::Instant;

use anyhow::ensure;
use mithaq_core::id::{AgreementId, ReleaseId, sha256_of};
use mithaq_sync::{
    CELLS_WANT_MAX,
    sketch::{CELL_BYTES, Cell, Difference, Sketch, SketchKey, decode, first_cells},
};
use negentropy::{Id, Negentropy, NegentropyStorageVector};
use serde_json::{Value, json};

use crate::{count, round};

/// How many releases each side holds.
const SIZES: [u32; 3] = [10_000, 100_000, 1_000_000];

/// In how many they differ.
const DIFFERENCES: [u32; 6] = [0, 1, 10, 100, 1_000, 100_000];

/// What goes round the cells and short ids of one frame, about.
const FRAME_BYTES: usize = 8;

/// How often a reconnect is timed; the fastest counts, since the machine is shared.
const REPEATS: usize = 5;

fn id(number: u32) -> ReleaseId {
    ReleaseId::from_bytes(sha256_of(&[b"bench", &number.to_be_bytes()]))
}

/// The numbers of the releases that each side holds: of every stretch that differs one side lacks the first half.
fn sides(size: u32, differences: u32) -> [Vec<u32>; 2] {
    let stride = size / differences.max(1);
    let differs = |number: &u32| differences > 0 && number.is_multiple_of(stride) && number / stride < differences;
    let lacks = |side: u32| (0..size).filter(move |number| !differs(number) || number / stride % 2 == side).collect();
    [lacks(0), lacks(1)]
}

fn sketch(key: &SketchKey, numbers: &[u32]) -> Sketch<u32> {
    let mut sketch = Sketch::new();
    for number in numbers {
        sketch.insert(key.mark(id(*number)), *number);
    }
    sketch
}

/// What one way of finding the difference took.
struct Cost {
    bytes: usize,
    round_trips: usize,
    cpu_ms: f64,
}

impl Cost {
    fn json(&self) -> Value {
        json!({"bytes": self.bytes, "round_trips": self.round_trips, "cpu_ms": round(self.cpu_ms)})
    }
}

/// Both sides' work of a reconnect, as sessions do it: cells until they decode, then the short ids of what is missing.
fn by_sketch(source: &mut Sketch<u32>, sink: &mut Sketch<u32>) -> anyhow::Result<(Cost, usize, Difference)> {
    let started = Instant::now();
    let (mut cells, mut round_trips) = (first_cells(source.len() as u64, sink.len() as u64), 1);
    let difference = loop {
        let sent = Cell::write_all(source.cells(0..cells));
        let theirs = Cell::read_all(&sent).unwrap_or_default();
        match decode(&theirs, sink.cells(0..cells)) {
            Ok(difference) => break difference,
            Err(undecided) => {
                ensure!(undecided.cells > cells, "{cells} cells are not enough, and there are no more");
                cells = undecided.cells.min(cells + CELLS_WANT_MAX);
                round_trips += 1;
            }
        }
    };
    let found = difference.missing.iter().filter(|short| source.get(**short).is_some()).count();
    let cpu_ms = started.elapsed().as_secs_f64() * 1000.0;
    ensure!(found == difference.missing.len(), "a short id that the source does not know");
    let bytes = cells * CELL_BYTES + found * 8 + 2 * round_trips * FRAME_BYTES;
    Ok((Cost { bytes, round_trips, cpu_ms }, cells, difference))
}

fn negentropy_of(numbers: &[u32]) -> anyhow::Result<NegentropyStorageVector> {
    let mut storage = NegentropyStorageVector::with_capacity(numbers.len());
    for number in numbers {
        storage.insert(u64::from(*number), Id::from_byte_array(*id(*number).as_bytes()))?;
    }
    storage.seal()?;
    Ok(storage)
}

fn by_negentropy(source: &[u32], sink: &[u32], differences: usize) -> anyhow::Result<Cost> {
    let (source, sink) = (negentropy_of(source)?, negentropy_of(sink)?);
    let started = Instant::now();
    let mut asking = Negentropy::borrowed(&sink, 0)?;
    let mut answering = Negentropy::borrowed(&source, 0)?;
    let (mut have, mut need) = (Vec::new(), Vec::new());
    let mut query = asking.initiate()?;
    let (mut bytes, mut round_trips) = (0, 0);
    loop {
        let answer = answering.reconcile(&query)?;
        bytes += query.len() + answer.len();
        round_trips += 1;
        match asking.reconcile_with_ids(&answer, &mut have, &mut need)? {
            Some(next) => query = next,
            None => break,
        }
    }
    let cpu_ms = started.elapsed().as_secs_f64() * 1000.0;
    ensure!(have.len() + need.len() == differences, "negentropy found another difference");
    Ok(Cost { bytes, round_trips, cpu_ms })
}

/// The cost of a list of all ids, and of offers of what a cursor does not cover, each answered by a bitmap.
fn by_list(offered: usize) -> Value {
    let bytes = offered * 32 + offered.div_ceil(8) + offered.div_ceil(1_024) * 2 * FRAME_BYTES;
    json!({"bytes": bytes, "round_trips": 1})
}

fn resident_mb() -> anyhow::Result<f64> {
    const PAGE_BYTES: f64 = 4096.0;
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages: usize = statm.split_whitespace().nth(1).unwrap_or("0").parse()?;
    Ok(count(pages) * PAGE_BYTES / 1e6)
}

fn row(key: &SketchKey, size: u32, differences: u32) -> anyhow::Result<Value> {
    let [source, sink] = sides(size, differences);
    let (before, started) = (resident_mb()?, Instant::now());
    let mut ours = sketch(key, &source);
    let build_ms = started.elapsed().as_secs_f64() * 1000.0;
    let sketch_mb = (resident_mb()? - before).max(0.0);
    let mut theirs = sketch(key, &sink);
    // The first reconnect may have to make cells that were never asked for; from then on they are kept.
    let (first, cells, difference) = by_sketch(&mut ours, &mut theirs)?;
    let found = difference.missing.len() + difference.extra.len();
    ensure!(found == usize::try_from(differences)?, "the sketch found {found} differences");
    let mut best = f64::INFINITY;
    for _ in 0..REPEATS {
        best = best.min(by_sketch(&mut ours, &mut theirs)?.0.cpu_ms);
    }
    let per_difference = (differences > 0).then(|| round(count(cells * CELL_BYTES) / f64::from(differences)));
    Ok(json!({
        "n": size,
        "d": differences,
        "bytes": first.bytes,
        "round_trips": first.round_trips,
        "cpu_ms": round(best),
        "first_cpu_ms": round(first.cpu_ms),
        "sketch_bytes_per_difference": per_difference,
        "build_ms": round(build_ms),
        "sketch_mb": round(sketch_mb),
        "listing": by_list(source.len()),
        "offers_after_cursor": by_list(difference.missing.len()),
        "negentropy": by_negentropy(&source, &sink, found)?.json(),
    }))
}

/// Measures every size with every difference.
pub(crate) fn measure() -> anyhow::Result<Value> {
    let key = SketchKey::new(AgreementId::from_bytes([1; 32]), [2; 16], [3; 16]);
    let mut rows = Vec::new();
    for size in SIZES {
        for differences in DIFFERENCES.into_iter().filter(|differences| *differences <= size) {
            rows.push(row(&key, size, differences)?);
        }
    }
    Ok(json!({ "rows": rows }))
}
