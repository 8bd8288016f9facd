//! How much may be under way to a peer: by the configured rate of its link, or by what a stock controller finds out.
//!
//! Stock controllers take loss for congestion, and a lossy long link for a congested one: they leave most of it unused.
//! An operator who knows the link's rate says it, and then loss no longer counts ([`Guard`] says what does).

mod guard;
#[cfg(test)]
mod tests;

use std::{
    any::Any,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

pub(super) use guard::bytes_in;
use guard::{Guard, WHOLE};
use mithaq_api::config::Link;
use quinn::congestion::{BbrConfig, Controller, ControllerFactory};
use quinn_proto::RttEstimator;

/// What IP and UDP put before each packet: a link's rate counts them, a window does not. That of IPv6 and UDP.
const HEADER_BYTES: u64 = 48;

/// Of the rate this many sixteenths are used, so that acknowledgements and probes find room beside what is paced.
const RATE_SIXTEENTHS: u64 = 15;

/// The least window, in packets: with fewer, the other side's delayed acknowledgements would set the pace.
const WINDOW_PACKETS_MIN: u64 = 4;

/// The window until the first packet is acknowledged, in packets, where no round trip is configured (RFC 9002, 7.2).
const WINDOW_PACKETS_INITIAL: u64 = 10;

/// What is configured of the link to a peer, as its connections read it with each packet. It may change at any time.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// 0 for a link whose rate is not configured.
    bytes_per_second: AtomicU64,
    /// 0 for one whose round trip is not.
    round_trip_us: AtomicU64,
    /// What the link carries of it as far as its connection has found out, in bytes of packets a second; 0 before that.
    carries: AtomicU64,
}

impl Pace {
    /// The pace of a link.
    pub(crate) fn new(link: Option<&Link>) -> Self {
        let pace = Self::default();
        pace.set(link);
        pace
    }

    /// Changes it, for the connections that are there too.
    pub(crate) fn set(&self, link: Option<&Link>) {
        let round_trip = link.and_then(|link| link.round_trip).unwrap_or_default();
        let round_trip_us = u64::try_from(round_trip.as_micros()).unwrap_or(0);
        self.round_trip_us.store(round_trip_us, Ordering::Relaxed);
        let bytes_per_second = link.map_or(0, |link| link.rate.bits_per_second() / 8);
        self.bytes_per_second.store(bytes_per_second, Ordering::Relaxed);
    }

    /// The configured rate in bits a second.
    pub(crate) fn rate_bits(&self) -> Option<u64> {
        self.bytes_per_second().map(|bytes| bytes * 8)
    }

    /// The same in bytes.
    pub(super) fn bytes_per_second(&self) -> Option<u64> {
        Some(self.bytes_per_second.load(Ordering::Relaxed)).filter(|rate| *rate > 0)
    }

    /// What the link carries, in bytes of packets a second; `None` while its rate is not configured, or nothing has
    /// gone.
    pub(super) fn carries(&self) -> Option<u64> {
        self.bytes_per_second()?;
        Some(self.carries.load(Ordering::Relaxed)).filter(|rate| *rate > 0)
    }

    /// Notes what the link carries.
    pub(super) fn note_carries(&self, bytes_per_second: u64) {
        self.carries.store(bytes_per_second, Ordering::Relaxed);
    }

    /// The configured round trip.
    fn round_trip(&self) -> Option<Duration> {
        let round_trip = Duration::from_micros(self.round_trip_us.load(Ordering::Relaxed));
        Some(round_trip).filter(|round_trip| !round_trip.is_zero())
    }
}

/// Where a connection finds the pace of its peer; empty until the handshake has told who that is.
#[derive(Debug, Clone, Default)]
pub(super) struct PaceOfPeer(Arc<OnceLock<Arc<Pace>>>);

impl PaceOfPeer {
    /// The place of a connection whose peer is known.
    pub(super) fn known(pace: Arc<Pace>) -> Self {
        Self(Arc::new(OnceLock::from(pace)))
    }

    /// Says whose connection it is.
    pub(super) fn tell(&self, pace: Arc<Pace>) {
        let _ = self.0.set(pace);
    }

    /// The configured round trip, if the peer is known.
    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.get()?.round_trip()
    }

    fn get(&self) -> Option<&Pace> {
        self.0.get().map(AsRef::as_ref)
    }
}

impl ControllerFactory for PaceOfPeer {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        Box::new(Paced {
            pace: Self::clone(&self),
            guard: Guard::default(),
            mtu: current_mtu.into(),
            unpaced: Arc::new(BbrConfig::default()).build(now, current_mtu),
        })
    }
}

/// The controller of one path of a connection.
struct Paced {
    pace: PaceOfPeer,
    guard: Guard,
    mtu: u64,
    /// What decides while no rate is configured. It hears only of packets that the link held up: before its first bulk
    /// quinn's BBR would add every byte of days of single alerts to its window, and then send the bulk all at once.
    unpaced: Box<dyn Controller>,
}

impl Paced {
    fn rate(&self) -> Option<u64> {
        self.pace.get()?.bytes_per_second()
    }

    /// What of a link's rate packets may use, in bytes that QUIC counts.
    fn packet_rate(&self, link_rate: u64) -> u64 {
        link_rate / 16 * RATE_SIXTEENTHS * self.mtu / (self.mtu + HEADER_BYTES)
    }

    /// Tells whoever gives us bulk what the link carries.
    fn tell(&self) {
        if let (Some(pace), Some(rate)) = (self.pace.get(), self.rate()) {
            pace.note_carries(self.packet_rate(rate) / WHOLE * self.guard.share());
        }
    }

    /// The window at a rate of the link.
    fn paced_window(&self, link_rate: u64) -> u64 {
        let rate = self.packet_rate(link_rate);
        let configured = || self.pace.round_trip().map(|round_trip| bytes_in(rate, round_trip));
        let window = self.guard.window(rate).or_else(configured);
        window.unwrap_or(WINDOW_PACKETS_INITIAL * self.mtu).max(WINDOW_PACKETS_MIN * self.mtu)
    }
}

impl Controller for Paced {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.unpaced.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.guard.on_ack(now, sent, bytes, self.mtu);
        self.tell();
        if !app_limited {
            self.unpaced.on_ack(now, sent, bytes, app_limited, rtt);
        }
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_acked: Option<u64>) {
        if !app_limited {
            self.unpaced.on_end_acks(now, in_flight, app_limited, largest_acked);
        }
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        match (lost_bytes, is_persistent) {
            (0, _) => self.guard.on_mark(),
            // The link was cut, which says nothing of its rate.
            (_, true) => {}
            (_, false) => self.guard.on_loss(lost_bytes, self.mtu),
        }
        self.unpaced.on_congestion_event(now, sent, is_persistent, lost_bytes);
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.mtu = new_mtu.into();
        self.unpaced.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        self.rate().map_or_else(|| self.unpaced.window(), |rate| self.paced_window(rate))
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(Self {
            pace: self.pace.clone(),
            guard: self.guard.clone(),
            mtu: self.mtu,
            unpaced: self.unpaced.clone_box(),
        })
    }

    fn initial_window(&self) -> u64 {
        self.rate().map_or_else(|| self.unpaced.initial_window(), |rate| self.paced_window(rate))
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
