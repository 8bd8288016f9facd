//! Dialling a peer, again and again with growing, jittered pauses, while no connection serves it.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use mithaq_api::http::Problem;
use mithaq_core::code::Code;
use quinn::Endpoint;

use super::{
    congestion::PaceOfPeer,
    driver,
    endpoint::{HANDSHAKE_TIMEOUT, transport},
    tls,
};
use crate::node::{Node, PeerEntry};

/// The first pause after a failure.
const PAUSE_MIN: Duration = Duration::from_millis(200);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// How often a dialler looks whether the peer is still served by another connection.
const SERVED_CHECK: Duration = Duration::from_millis(250);

fn pauses() -> ExponentialBackoff {
    let builder = ExponentialBuilder::default().with_min_delay(PAUSE_MIN).with_max_delay(PAUSE_MAX);
    builder.with_jitter().without_max_times().build()
}

/// Keeps a peer connected until it is changed or the daemon stops.
pub(super) async fn keep_connected(node: Arc<Node>, endpoint: Endpoint, entry: Arc<PeerEntry>) {
    let mut backoff = pauses();
    loop {
        let connecting = connect(&node, &endpoint, &entry, &mut backoff);
        let Some(connection) = entry.cancel.run_until_cancelled(connecting).await else { return };
        // A session sees for itself that its peer was changed.
        if driver::run(&node, &entry, connection, node.us).await {
            backoff = pauses();
        }
        let pause = tokio::time::sleep(backoff.next().unwrap_or(PAUSE_MAX));
        if entry.cancel.run_until_cancelled(pause).await.is_none() {
            return;
        }
    }
}

/// Waits until no connection serves the peer, and dials until one can.
async fn connect(
    node: &Node,
    endpoint: &Endpoint,
    entry: &PeerEntry,
    backoff: &mut ExponentialBackoff,
) -> quinn::Connection {
    loop {
        while node.links.is_served(entry.cert()) {
            tokio::time::sleep(SERVED_CHECK).await;
            *backoff = pauses();
        }
        if let Some(connection) = attempt(node, endpoint, entry).await {
            return connection;
        }
        tokio::time::sleep(backoff.next().unwrap_or(PAUSE_MAX)).await;
    }
}

/// Dials each of the peer's endpoints once, until one answers.
async fn attempt(node: &Node, endpoint: &Endpoint, entry: &PeerEntry) -> Option<quinn::Connection> {
    for address in &entry.peer.endpoints {
        match dial(node, endpoint, entry, address).await {
            // The peer's own dial may have come through meanwhile; a second session would only send everything twice.
            Ok(connection) if node.links.is_served(entry.cert()) => {
                connection.close(Code::REPLACED.number().into(), b"another connection serves this peer");
                return None;
            }
            Ok(connection) => return Some(connection),
            Err(problem) => {
                tracing::debug!(peer = entry.peer.name, address, %problem, "dialling failed");
                entry.update(|status| {
                    if !status.connected {
                        status.problem = Some(problem);
                    }
                });
            }
        }
    }
    None
}

async fn dial(
    node: &Node,
    endpoint: &Endpoint,
    entry: &PeerEntry,
    address: &str,
) -> Result<quinn::Connection, Problem> {
    let unreachable = |what: String| Problem::new(Code::UNREACHABLE, format!("{address}: {what}"));
    let transport = transport(&PaceOfPeer::known(Arc::clone(&entry.pace)));
    let (config, stranger) = tls::client(&node.identity(), &entry.peer.card, transport)
        .map_err(|error| Problem::new(Code::KEY, mithaq_api::home::with_sources(&error)))?;
    let local = endpoint.local_addr().map_err(|error| unreachable(error.to_string()))?;
    let remote = resolve(address, local).await.map_err(unreachable)?;
    let connecting = endpoint.connect_with(config, remote, "mithaq").map_err(|error| unreachable(error.to_string()))?;
    match tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => Err(match stranger.get() {
            Some(key) => {
                let text = format!(
                    "whoever answers at {address} shows key {}, which is not in the peer's card",
                    key.id().fmt_short()
                );
                tracing::warn!(
                    peer = entry.peer.name,
                    address,
                    key = key.id().fmt_short(),
                    "another CERT, or nobody we know, answers at the peer's address"
                );
                Problem::new(Code::WRONG_PEER, text)
            }
            None => unreachable(error.to_string()),
        }),
        Err(_) => Err(unreachable("no answer".into())),
    }
}

/// Resolves `host:port` to an address that our socket can reach.
async fn resolve(address: &str, local: SocketAddr) -> Result<SocketAddr, String> {
    let found: Vec<_> = tokio::net::lookup_host(address).await.map_err(|error| error.to_string())?.collect();
    let fits = |address: &&SocketAddr| local.is_ipv6() || address.is_ipv4();
    let chosen = found.iter().find(fits).copied().ok_or("no address of the family that we listen on")?;
    Ok(match chosen {
        SocketAddr::V4(v4) if local.is_ipv6() => SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())),
        other => other,
    })
}
