//! Peers: transport, who may connect, and the tasks that pump sessions.

mod branches;
mod cards;
mod congestion;
mod cursor;
mod dial;
mod documents;
mod driver;
mod endpoint;
mod frames;
mod known;
mod links;
mod loader;
mod meter;
mod order;
mod sketches;
mod storer;
mod streams;
#[cfg(test)]
pub(crate) mod tests;
mod tls;

pub(crate) use congestion::Pace;
pub(crate) use endpoint::{accept, bind, start_peer};
pub(crate) use links::{LinkStatus, Links};
pub(crate) use sketches::Sketches;
