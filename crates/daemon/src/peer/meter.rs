//! How bulk is given to a connection whose link has a configured rate: as fast as the link carries it, and no faster.
//!
//! QUIC sends the most urgent stream first of what it was given, but its pacer sends ten packets at a time, and then
//! none until it may send ten again: over 10 Mbit/s that is 12 ms, for which an alert waits behind bulk that fills the
//! link. Bulk that comes no faster than the link carries it never lets the pacer run dry.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::congestion::{Pace, bytes_in};

/// What goes on the link in this time is given at once.
const SLICE: Duration = Duration::from_millis(2);

/// The fewest bytes that are given at once: not much less than a packet holds.
const SLICE_BYTES_MIN: usize = 1_200;

/// The most: what a connection without a configured rate is given.
const SLICE_BYTES_MAX: usize = 16 * 1024;

/// How late bulk may be and still catch up: timers are a few milliseconds late.
const LATE_MAX: Duration = Duration::from_millis(4);

/// Of what the link carries bulk has so many of 32 parts: the heads of packets and what is not bulk have the rest.
const SHARE_OF_32: u64 = 31;

/// Meters one stream of bulk.
#[derive(Debug)]
pub(super) struct Meter {
    pace: Arc<Pace>,
    /// When all that was given has gone.
    gone: Option<Instant>,
}

impl Meter {
    /// A meter for a link.
    pub(super) fn new(pace: Arc<Pace>) -> Self {
        Self { pace, gone: None }
    }

    /// A meter for what is no bulk, which never has it wait.
    pub(super) fn none() -> Self {
        Self::new(Arc::default())
    }

    /// How many bytes may be given at once.
    pub(super) fn slice_bytes(&self) -> usize {
        let in_time = self.rate().map(|rate| usize::try_from(bytes_in(rate, SLICE)).unwrap_or(usize::MAX));
        in_time.map_or(SLICE_BYTES_MAX, |bytes| bytes.clamp(SLICE_BYTES_MIN, SLICE_BYTES_MAX))
    }

    /// Waits until so many bytes may be given.
    pub(super) async fn turn(&mut self, bytes: usize) {
        let Some(rate) = self.rate() else { return };
        let now = Instant::now();
        let turn = self.take(bytes, rate, now);
        if turn > now {
            tokio::time::sleep_until(turn).await;
        }
    }

    /// Bytes of bulk a second; `None` where there is nothing to meter.
    fn rate(&self) -> Option<u64> {
        let rate = self.pace.carries()? / 32 * SHARE_OF_32;
        // Over a fast link ten packets take no time.
        Some(rate).filter(|rate| *rate > 0 && bytes_in(*rate, SLICE) < SLICE_BYTES_MAX as u64)
    }

    /// When bytes may be given: once those before them have gone.
    fn take(&mut self, bytes: usize, rate: u64, now: Instant) -> Instant {
        let earliest = now.checked_sub(LATE_MAX).unwrap_or(now);
        let turn = self.gone.map_or(now, |gone| gone.max(earliest));
        self.gone = Some(turn + Duration::from_micros(bytes as u64 * 1_000_000 / rate));
        turn
    }
}

#[cfg(test)]
mod tests {
    use mithaq_api::config::Link;

    use super::*;

    fn meter(link: &str) -> Meter {
        let pace = Pace::new(Some(&toml_link(link)));
        pace.note_carries(1_000_000);
        Meter::new(Arc::new(pace))
    }

    fn toml_link(rate: &str) -> Link {
        Link { rate: rate.parse().unwrap(), round_trip: None }
    }

    #[test]
    fn bulk_goes_at_the_links_rate_and_catches_up_a_little() {
        let (mut meter, start) = (meter("8Mbit/s"), Instant::now());
        let ms = |at: Instant| (at - start).as_millis();
        assert_eq!(ms(meter.take(2_000, 1_000_000, start)), 0);
        assert_eq!(ms(meter.take(2_000, 1_000_000, start)), 2);
        assert_eq!(ms(meter.take(2_000, 1_000_000, start)), 4);
        let late = start + Duration::from_millis(9);
        let turns: Vec<_> = (0..4).map(|_| ms(meter.take(2_000, 1_000_000, late))).collect();
        assert_eq!(turns, [6, 8, 10, 12]);
        let idle = start + Duration::from_secs(1);
        let turns: Vec<_> = (0..4).map(|_| ms(meter.take(2_000, 1_000_000, idle))).collect();
        assert_eq!(turns, [996, 998, 1_000, 1_002], "what was not sent for long is not made up for");
    }

    #[test]
    fn slices_follow_the_link() {
        let slice = |carries: u64| {
            let meter = meter("1Gbit/s");
            meter.pace.note_carries(carries);
            (meter.slice_bytes(), meter.rate().is_some())
        };
        assert_eq!(slice(32_000), (1_200, true));
        assert_eq!(slice(1_000_000), (1_937, true));
        assert_eq!(slice(100_000_000), (SLICE_BYTES_MAX, false));
        assert_eq!(Meter::new(Arc::default()).slice_bytes(), SLICE_BYTES_MAX);
    }
}
