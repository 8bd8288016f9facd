//! The QUIC endpoint: one UDP socket for all peers, in both directions.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use mithaq_api::home::PeerState;
use mithaq_core::code::Code;
use quinn::{
    Endpoint, EndpointConfig, IdleTimeout, Incoming, MtuDiscoveryConfig, TransportConfig, VarInt, default_runtime,
};
use quinn_proto::HashedConnectionIdGenerator;

use super::{congestion::PaceOfPeer, dial, driver, tls};
use crate::{
    clock,
    identity::Identity,
    node::{Node, PeerEntry},
    outbox::{self, Outbox},
};

/// The most handshakes under way at once.
pub(crate) const INCOMING_MAX: usize = 64;

/// How long a handshake may take.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection may be silent.
const IDLE_TIMEOUT_MS: u32 = 120_000;

/// How often a silent connection is kept alive.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// What a stream may have in flight: 16 MiB carry 200 Mbit/s over 600 ms.
const STREAM_WINDOW: u32 = 16 * 1024 * 1024;

/// What a connection may have in flight, all streams together.
pub(super) const CONNECTION_WINDOW: u32 = 20 * 1024 * 1024;

/// How much larger packets must become to be worth another probe of the path. With it the first probe is as large as
/// packets may get, and nearly always the last. A search by smaller steps asks for 11 KB of a connection's first 17, to win
/// a hundredth of each packet on the few paths that end in between.
const MTU_CHANGE_MIN: u16 = 130;

/// Why the endpoint cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    #[error("cannot listen on UDP {address}: {source}")]
    Socket { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
}

/// The transport's settings, the same for both directions, for a connection that goes by this pace.
pub(super) fn transport(pace: &PaceOfPeer) -> Arc<TransportConfig> {
    let mut config = TransportConfig::default();
    let mut mtu = MtuDiscoveryConfig::default();
    mtu.minimum_change(MTU_CHANGE_MIN);
    if let Some(round_trip) = pace.round_trip() {
        config.initial_rtt(round_trip);
    }
    config
        .max_concurrent_bidi_streams(1_u8.into())
        .max_concurrent_uni_streams(3_u8.into())
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .send_window(u64::from(CONNECTION_WINDOW))
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(Some(mtu))
        .congestion_controller_factory(Arc::new(pace.clone()))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_idle_timeout(Some(IdleTimeout::from(VarInt::from_u32(IDLE_TIMEOUT_MS))));
    Arc::new(config)
}

/// The endpoint's settings. Connection ids and the tokens of stateless resets (RFC 9000, 10.3) come from the TLS key, so
/// that after a crash this daemon knows the packets of connections that it has lost, and can tell a peer that waits for
/// them. Else the peer would wait until [`IDLE_TIMEOUT_MS`] is over, if it is the side that dials.
fn endpoint_config(identity: &Identity) -> EndpointConfig {
    let secret = identity.tls_key(clock::wall()).ok().and_then(|key| key.to_pkcs8_der().ok());
    let Some(secret) = secret else { return EndpointConfig::default() };
    let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
    let reset = hmac::sign(&secret, b"mithaq/1 stateless reset");
    let ids = hmac::sign(&secret, b"mithaq/1 connection ids");
    let ids = ids.as_ref().first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, reset.as_ref())));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(ids)));
    config
}

/// Opens the endpoint.
pub(crate) fn bind(node: &Arc<Node>, address: SocketAddr) -> Result<Endpoint, BindError> {
    let socket_error = |source| BindError::Socket { address, source };
    let socket = std::net::UdpSocket::bind(address).map_err(socket_error)?;
    let runtime = default_runtime().ok_or_else(|| socket_error(std::io::Error::other("no async runtime")))?;
    let server = tls::server(node, transport(&PaceOfPeer::default()))?;
    Endpoint::new(endpoint_config(&node.identity()), Some(server), socket, runtime).map_err(socket_error)
}

/// Takes connections until the daemon stops.
pub(crate) async fn accept(node: Arc<Node>, endpoint: Endpoint) {
    let server = match tls::server(&node, transport(&PaceOfPeer::default())) {
        Ok(server) => server,
        Err(error) => return node.fail(&mithaq_api::home::with_sources(&error)),
    };
    loop {
        let incoming = tokio::select! {
            incoming = endpoint.accept() => incoming,
            () = node.shutdown.cancelled() => return,
        };
        let Some(incoming) = incoming else { return };
        // An address that has not proved that it can be reached must prove it before a handshake costs us anything.
        if !incoming.remote_address_validated() && incoming.may_retry() {
            let _ = incoming.retry();
            continue;
        }
        let (node, mut server, pace) = (Arc::clone(&node), server.clone(), PaceOfPeer::default());
        server.transport_config(transport(&pace));
        node.tasks.clone().spawn(async move { handshake(&node, incoming, server, pace).await });
    }
}

/// Takes a connection, whose pace is known once the handshake has told whose it is.
async fn handshake(node: &Arc<Node>, incoming: Incoming, server: quinn::ServerConfig, pace: PaceOfPeer) {
    let remote = incoming.remote_address();
    let connecting = match incoming.accept_with(Arc::new(server)) {
        Ok(connecting) => connecting,
        Err(error) => {
            return tracing::debug!(%remote, %error, "a connection failed before its handshake");
        }
    };
    let connection = match tokio::time::timeout(HANDSHAKE_TIMEOUT, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            return tracing::warn!(%remote, %error, "a handshake failed: the other side is no peer of ours, or speaks otherwise");
        }
        Err(_) => return tracing::debug!(%remote, "a handshake took too long"),
    };
    let entry = tls::peer_key(&connection).and_then(|key| node.peer_with_tls_key(key, crate::clock::wall()));
    let Some(entry) = entry else {
        // The peer was removed while it shook hands.
        return connection.close(Code::WRONG_PEER.number().into(), b"unknown key");
    };
    if entry.peer.state == PeerState::Suspended {
        return connection.close(Code::PEER_SUSPENDED.number().into(), b"you are suspended here: call our operators");
    }
    pace.tell(Arc::clone(&entry.pace));
    let initiator = entry.cert();
    driver::run(node, &entry, connection, initiator).await;
}

/// Starts the tasks of a peer, unless we have stopped it.
pub(crate) fn start_peer(node: &Arc<Node>, endpoint: &Endpoint, entry: Arc<PeerEntry>) {
    if entry.peer.state.is_stopped() {
        return;
    }
    let Some(outbox) = Outbox::new(Arc::clone(node), Arc::clone(&entry)) else {
        return;
    };
    node.tasks.spawn(outbox::follow(outbox));
    if !entry.peer.endpoints.is_empty() {
        node.tasks.spawn(dial::keep_connected(Arc::clone(node), endpoint.clone(), entry));
    }
}
