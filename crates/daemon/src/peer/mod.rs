//! Peers: transport, who may connect, and the tasks that pump sessions.

mod dial;
mod driver;
mod endpoint;
mod frames;
mod links;
mod loader;
mod storer;
mod tls;

pub(crate) use endpoint::{accept, bind, start_peer};
pub(crate) use links::{LinkStatus, Links};
