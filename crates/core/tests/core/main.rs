//! What must hold of the core, through its public API: one binary, one module for each area.
#![allow(clippy::unwrap_used, clippy::panic)] // A test says what failed by panicking.

mod agreement;
mod body;
mod canonical;
mod card;
mod cast;
mod evidence;
mod group;
mod keys;
mod ledger;
mod ledger_vectors;
mod pairing;
mod policy;
mod receipt;
mod relay;
mod release;
mod schema;
mod split;
mod statement;
mod vectors;
