//! The peer protocol as a deterministic state machine.
//!
//! A [`Session`] takes [`Input`]s and a `now`, and queues [`Output`]s; it never sees a socket, a clock, a store or
//! `async`. The same inputs give the same outputs, byte for byte, so a session can be replayed and whole meshes
//! simulated in one thread. Whoever drives it performs the outputs and feeds back what came of them.
//!
//! Each side is a *source* of its own journal towards the other, and a *sink* of the other's:
//!
//! ```text
//! source                         sink
//!   Hello  <------------------->  Hello        agreement, store, cursor into the other's journal
//!   Start   ------------------->               where the journal goes on
//!   Reconcile ----------------->               if nowhere, and the sink has much of it: a sketch of its releases
//!           <-----------------  Missing        short ids of those that the sink lacks
//!   Offer   ------------------->               ids of releases
//!           <-------------------  Want         which of them are missing
//!   Manifest ------------------>               signed manifest, and how the content ids begin
//!           <-------------------  WantBodies   which bodies are missing
//!   Bodies  ------------------->               groups of bodies, compressed
//!           <-------------------  Ack          durable at the sink
//! ```
//!
//! What a backlog's manifests and bodies have in common is told once, in a run that ends with it.
//!
//! Sessions know nothing of each other; what one fetches and others need not is told in a table beside them,
//! [`Claims`], and from which peer the fresh releases of a third CERT come first in another, [`Trees`].
//!
//! A release that appears while the sink has everything goes out at once as a manifest, its bodies inline when they
//! are small. One that is small or takes something back does so even while the sink lacks much that is older. What the
//! sink gets sooner from another it is offered lazily, by eight bytes, and answers with the number of its own entry.

// A failed expectation is how a test fails.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod brief;
mod claims;
mod dictionary;
mod elsewhere;
mod fault;
mod freight;
mod group;
mod io;
mod journal;
mod limits;
mod purpose;
mod receipts;
mod run;
mod session;
mod sink;
pub mod sketch;
mod source;
mod tail;
mod trees;
mod twins;
pub mod wire;

pub use brief::{Brief, BriefKey, Prefix};
pub use claims::{Claims, Pending, SessionId, Waiting};
pub use dictionary::DICTIONARY;
pub use fault::Fault;
pub use group::group_bytes;
pub use io::{Channel, Greeting, Input, Manner, Now, Output, Part, Seen};
pub use journal::{Chain, Cursor};
pub use limits::*;
pub use purpose::{Purpose, Tally};
pub use session::{InFlight, Progress, Session, Setup};
pub use tail::Prompt;
pub use trees::{Arrival, Branch, Late, Trees};
