//! The packs: append-only segment files that hold everything which cannot be derived.
//!
//! A segment is a header and then frames; a frame is one group of commits, made durable with one `fdatasync`; a
//! frame holds groups of records that are compressed, checked and cached together. `docs/STORE.md` gives every byte.

pub(crate) mod adopt;
pub(crate) mod codec;
pub(crate) mod disk;
pub(crate) mod frame;
pub(crate) mod group;
mod header;
pub(crate) mod marks;
pub(crate) mod record;
pub(crate) mod scan;
pub(crate) mod segments;
pub(crate) mod tear;
