//! The real binary, driven from outside: several CERTs on this machine, their analysts and their SIEMs.
//!
//! Each scenario makes its own CERTs in a folder of its own, so that all of them run side by side. Nothing here waits
//! for a time to pass: it waits for the thing, with a deadline. What a machine cannot do (mount a small disk, make a
//! Python environment) is skipped with a line on standard error that says so.

// A test may fail where it stands.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod after_restore;
mod agreements;
mod alerts;
mod architecture;
mod asking;
mod backup;
mod bad_input;
mod care;
mod doctor;
mod exchange;
mod exports;
mod full_disk;
mod group;
mod harness;
mod intake;
mod keys;
mod large_input;
mod ledger;
mod links;
mod output;
mod pact;
mod quarantine;
mod reconcile;
mod relay;
mod repair;
mod restarts;
mod resume;
mod retention;
mod search;
mod siem;
mod sightings;
mod sockets;
mod sources;
mod starting;
mod strangers;
mod tampering;
mod taxii;
mod trees;
mod validation;
mod withdrawal;
