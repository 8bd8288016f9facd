//! The pure heart of Mithaq: identities, canonical documents, keys, cards, agreements, releases, the release
//! rule, labels, the ledger with its receipts, and the Merkle maths of releases and ledgers.
//!
//! This crate never opens a socket or a file, never reads a clock and never draws randomness: time, seeds and
//! bytes come in by argument, so that every decision it takes can be replayed from its inputs. Data from outside
//! enters in an unverified form ([`Envelope`](dsse::Envelope), [`SignedAgreement`](agreement::SignedAgreement),
//! [`SignedRelease`](release::SignedRelease), [`SignedCheckpoint`](ledger::SignedCheckpoint),
//! [`SignedReceipt`](receipt::SignedReceipt)) and reaches policy or a store only once `verify` has turned it into its
//! verified form.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod agreement;
pub mod body;
pub mod canonical;
pub mod card;
pub mod code;
pub mod consent;
pub mod dsse;
pub mod evidence;
pub mod id;
pub mod keys;
pub mod label;
pub mod ledger;
pub mod merkle;
pub mod notice;
pub mod pairing;
mod personal;
pub mod policy;
pub mod receipt;
pub mod release;
pub mod sighting;
pub mod split;
pub mod statement;
pub mod text;
pub mod time;
pub mod words;

pub use mithaq_stix as stix;
