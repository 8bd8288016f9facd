//! End-to-end tests: `tests/e2e` beside this file drives the real `mithaq` binary, as operators, analysts and SIEMs do.
//!
//! This crate is a place for those tests and holds nothing itself. They never call the daemon's own code, and they
//! speak HTTP with a few lines of their own, so that a fault in the project's client cannot hide one in its server.
