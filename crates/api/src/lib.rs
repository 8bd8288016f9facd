//! What the programs on one machine share: the layout of a CERT's home, its configuration, the types of the local
//! HTTP API, and a client for the daemon's control socket.
//!
//! Nothing here speaks to another machine, and nothing here decides what may be released.

// A test may fail where it stands.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod client;
pub mod config;
pub mod export;
pub mod home;
pub mod http;
pub mod landing;
pub mod sighting;
pub mod tokens;
pub mod warning_lists;
