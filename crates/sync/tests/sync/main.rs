//! The session under test: two of them in one thread with virtual time, alone against hostile frames, and against
//! the vectors of the protocol's document.

// A failed expectation is how a test fails, and its helpers stand outside of `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alerts;
#[path = "../cast/mod.rs"]
mod cast;
mod cuts;
mod documents;
mod exchange;
mod fixtures;
mod hostile_cells;
mod hostile_release;
mod hostile_sink;
mod hostile_source;
mod journals;
mod lone;
mod manifests;
mod node;
mod pair;
mod prefixes;
mod random;
mod reconcile;
mod recorded;
mod refusals;
mod runs;
mod shared;
mod sketched;
mod sketches;
mod slow;
mod staging;
mod star;
mod trees;
mod twins;
mod vectors;
