//! What the link to a peer is like and what it carries.

use serde::{Deserialize, Serialize};

/// Bytes of a session's frames to and from a peer since the daemon started, by what they are for; QUIC adds its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Finding out what the other side lacks: hello, reconciliation, offers, wants.
    pub control: Flow,
    /// Manifests with their signatures and content ids, and the cards of their origins.
    pub manifests: Flow,
    /// Bodies, compressed.
    pub bodies: Flow,
    /// Acknowledgements and receipts.
    pub receipts: Flow,
    /// Cards, checkpoints, terminations, consents.
    pub documents: Flow,
}

impl Traffic {
    /// All of it, each with the name that it has in JSON.
    #[must_use]
    pub fn by_purpose(&self) -> [(&'static str, Flow); 5] {
        [
            ("control", self.control),
            ("manifests", self.manifests),
            ("bodies", self.bodies),
            ("receipts", self.receipts),
            ("documents", self.documents),
        ]
    }
}

/// Bytes in both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// To the peer.
    pub sent: u64,
    /// From the peer.
    pub received: u64,
}

/// The link of the present session, or of the last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkFigures {
    /// The configured rate at which we send, in bits a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_bits: Option<u64>,
    /// How long a datagram takes there and back, in microseconds, smoothed.
    pub round_trip_us: u64,
    /// How many bytes may be under way to the peer at once, as things are.
    pub window_bytes: u64,
    /// Packets sent by this session.
    pub packets_sent: u64,
    /// Those of them that were lost.
    pub packets_lost: u64,
}
