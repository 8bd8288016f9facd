//! A bad link for tests: a UDP relay that drops, delays, reorders, duplicates and limits what passes, changes the
//! client's address and cuts the way, each by a seed and an order of the test.
//!
//! A client sends to [`Relay::address`] in place of the server's own address. The relay gives each client a socket of
//! its own towards the server, as a NAT does. What happens to a datagram on its way is decided by [`Emulator`], which
//! has neither clock nor socket: the same seed and the same datagrams at the same times fare the same. Through real
//! sockets times differ a little from run to run, so a seed there fixes the fate of the n-th datagram and no more.
//!
//! The relay never reads what it passes on. It carries no ECN marks.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use mithaq_relay::{Link, Loss, Relay, Way};
//!
//! let way = Way { rate: Some(10_000_000), delay: Duration::from_millis(300), loss: Loss::Random(0.01), ..Way::default() };
//! let relay = Relay::start("127.0.0.1:9000".parse().unwrap(), Link::both(way, 1))?;
//! println!("dial {}", relay.address());
//! relay.cut();
//! relay.heal();
//! # std::io::Result::Ok(())
//! ```

// A failed expectation is how a test fails.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::panic))]

mod emulator;
mod link;
mod random;
mod relay;

pub use emulator::{Emulator, Fate};
pub use link::{Link, Loss, Way};
pub use random::Random;
pub use relay::{Counters, Relay};
