//! What must hold of every input, for each decoder of objects, of signed documents and of frames: one function
//! for each fuzz target.
//!
//! A function returns when all is well and panics when it is not, which is what a fuzzer looks for. The same functions
//! run on the committed corpora in the ordinary tests (`tests/replay.rs`), without a fuzzer.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a broken promise is a panic here")]

pub mod cast;
mod document;
mod frame;
mod json;
mod ledger;
mod object;
mod reader;
mod sketch;
mod text;

pub use document::{agreement, card, evidence, notice, release, statement};
pub use frame::{AGREEMENT as FRAME_AGREEMENT, BRIEFS as FRAME_BRIEFS, frame, session};
pub use json::json;
pub use ledger::{checkpoint, ledger_entry, proof, receipt};
pub use object::{object, sco_id};
pub use reader::{reader, upgrade};
pub use sketch::{cells as sketch_cells, sketch};
pub use text::{observable, pattern, timestamp};

/// What must hold of an input; a panic if it does not.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its folder under `corpus/` too.
pub const TARGETS: [(&str, Target); 20] = [
    ("agreement", agreement),
    ("card", card),
    ("checkpoint", checkpoint),
    ("evidence", evidence),
    ("frame", frame),
    ("json", json),
    ("ledger_entry", ledger_entry),
    ("notice", notice),
    ("object", object),
    ("observable", observable),
    ("pattern", pattern),
    ("proof", proof),
    ("reader", reader),
    ("receipt", receipt),
    ("release", release),
    ("sco_id", sco_id),
    ("sketch", sketch),
    ("statement", statement),
    ("timestamp", timestamp),
    ("upgrade", upgrade),
];
