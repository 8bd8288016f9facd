//! What a link is like.

use std::time::Duration;

/// A link: two ways and a seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Link {
    /// From the client to the server.
    pub up: Way,
    /// From the server to the client.
    pub down: Way,
    /// What fixes the fate of each datagram.
    pub seed: u64,
}

impl Link {
    /// A link that is the same in both directions.
    #[must_use]
    pub fn both(way: Way, seed: u64) -> Self {
        Self { up: way, down: way, seed }
    }
}

/// One direction of a link.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Way {
    /// Bits a second, the headers of IP and UDP included; `None` for as fast as the machine.
    pub rate: Option<u64>,
    /// How long a datagram may wait for those before it; one that would wait longer is dropped.
    pub queue: Duration,
    /// How long a datagram travels.
    pub delay: Duration,
    /// How much longer it travels at the most, evenly spread.
    pub jitter: Duration,
    /// Whether jitter lets a datagram overtake another.
    pub reorder: bool,
    /// What gets lost.
    pub loss: Loss,
    /// The probability that a datagram arrives twice.
    pub duplicate: f64,
}

impl Default for Way {
    /// A way on which nothing happens.
    fn default() -> Self {
        Self {
            rate: None,
            queue: Duration::from_millis(250),
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            reorder: false,
            loss: Loss::None,
            duplicate: 0.0,
        }
    }
}

/// What gets lost, beside what finds the queue full.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Loss {
    /// Nothing.
    None,
    /// Each datagram with this probability, by itself.
    Random(f64),
    /// This share of all datagrams, in runs of `length` on average.
    Bursts {
        /// The share of all datagrams.
        share: f64,
        /// How long a run is on average, at least 1.
        length: f64,
    },
}
