//! What must hold of every input, for each decoder of `mithaq-stix`: one function for each fuzz target.
//!
//! A function returns when all is well and panics when it is not, which is what a fuzzer looks for. The same functions
//! run on the committed corpora in the ordinary tests (`tests/replay.rs`), without a fuzzer.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a broken promise is a panic here")]

mod json;
mod object;
mod reader;
mod text;

pub use json::json;
pub use object::{object, sco_id};
pub use reader::{reader, upgrade};
pub use text::{observable, pattern, timestamp};

/// What must hold of an input; a panic if it does not.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its folder under `corpus/` too.
pub const TARGETS: [(&str, Target); 8] = [
    ("json", json),
    ("object", object),
    ("observable", observable),
    ("pattern", pattern),
    ("reader", reader),
    ("sco_id", sco_id),
    ("timestamp", timestamp),
    ("upgrade", upgrade),
];
