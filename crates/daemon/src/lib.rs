//! The daemon: it drives the pure parts. It owns the sockets, the clock, the randomness and the tasks, and decides
//! nothing that `core` or `sync` can decide.
//!
//! ```text
//! push  -> split, sign -> store ---> outbox (release rule, journal) -> session -> peer
//! peer  -> session (verify) -> store -> log
//! store -> feed (release rule of the reader) -> control socket, SIEM socket
//! ```

// A test may fail where it stands.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod alerts;
mod audience;
mod bulk;
mod clock;
mod collections;
mod consents;
mod corroboration;
mod edition;
mod expiry;
mod export;
mod feed;
mod fetching;
mod held;
mod identity;
mod journals;
mod ledger;
mod local;
mod logging;
mod node;
mod offline;
mod origins;
mod outbox;
mod passed;
mod peer;
mod publishing;
mod push;
mod repair;
mod restored;
mod retention;
mod revive;
mod room;
mod sightings;
mod staging;
mod standing;
mod start;
mod steps;
mod threads;
mod warnings;

pub use offline::ask_store;
pub use revive::revive;
pub use start::{Overrides, run};
