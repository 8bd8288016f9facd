//! The store: what a CERT holds, durable once acknowledged, each body once.
//!
//! This is the only crate that names the engine. It stores what was verified elsewhere, [`VerifiedRelease`]s and
//! [`Body`]s; it never judges a release, and never knows a peer but as bytes in a state key. [`SledStore`] keeps it
//! in a folder, [`MemoryStore`] in memory, for tests. `docs/STORE.md` gives every byte.
//!
//! [`VerifiedRelease`]: mithaq_core::release::VerifiedRelease
//! [`Body`]: mithaq_core::body::Body

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))] // A test says what failed by panicking.

#[cfg(any(test, feature = "conformance"))]
#[doc(hidden)]
pub mod conformance;
mod contract;
mod engine;
mod index;
mod memory;
mod pack;
mod query;

pub use contract::*;
pub use engine::{COMMIT_BYTES_MAX, Options, SledStore, adopt};
pub use memory::MemoryStore;
#[doc(hidden)] // For tests that make the disk fail.
pub use pack::disk::{Disk, SystemDisk};
pub use query::{FIND_LIMIT_MAX, FIND_QUERIES_MAX, Found, FoundPage, Place, Query};
