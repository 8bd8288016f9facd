//! What keeps a configured rate from harming: the signs that the link carries less than was said.
//!
//! A rate is paced by the window: rate times the link's own round trip, so that what is under way just fills the link
//! and no queue builds up in front of it. Loss alone changes nothing, since on a bad link it says nothing of the load.
//! The share of the rate that is used falls while all packets of a round trip come late, which is what a standing queue
//! does and jitter does not, or while more is lost than a usable link loses; it grows again in a few round trips.

use std::time::{Duration, Instant};

/// The whole of the rate.
pub(super) const WHOLE: u64 = 1024;

/// The least share of the rate, however bad the link looks: a thirty-second.
const SHARE_MIN: u64 = WHOLE / 32;

/// How much of the share comes back with each good round trip: an eighth of it, and at least this.
const GROWTH_MIN: u64 = WHOLE / 64;

/// For how long the least delay that was seen counts as the link's own, at least; twice that at the most.
const BASE_AGE: Duration = Duration::from_secs(30);

/// How much later than the link's own round trip packets may come before that counts as a queue, beside an eighth of
/// it.
const DELAY_SLACK: Duration = Duration::from_millis(10);

/// How many packets a round needs to say anything of delay: fewer may all be late by chance.
const ROUND_PACKETS_MIN: u32 = 8;

/// Over how many packets loss is counted.
const LOSS_PACKETS: u64 = 64;

/// The share of bytes whose loss a link is taken to have by nature: one in this many. More is taken for overload.
const LOSS_USUAL: u64 = 5;

/// How long an acknowledgement may be held back by the other side; QUIC's default is more, but quinn acknowledges each
/// second packet at once.
const ACK_DELAY: Duration = Duration::from_millis(5);

/// What was seen of a link, and the share of its rate that follows from it.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    share: u64,
    base: Option<Base>,
    round: Round,
    acked_bytes: u64,
    lost_bytes: u64,
}

/// The least round trip of this and of the last period.
#[derive(Debug, Clone, Copy)]
struct Base {
    since: Instant,
    least: Duration,
    before: Duration,
}

/// What was seen since the packets of the last round were acknowledged.
#[derive(Debug, Clone, Copy)]
struct Round {
    since: Option<Instant>,
    packets: u32,
    least: Duration,
    is_marked: bool,
}

impl Round {
    fn starting(since: Option<Instant>) -> Self {
        Self { since, packets: 0, least: Duration::MAX, is_marked: false }
    }
}

impl Default for Guard {
    fn default() -> Self {
        Self { share: WHOLE, base: None, round: Round::starting(None), acked_bytes: 0, lost_bytes: 0 }
    }
}

impl Guard {
    /// Takes note of a packet that was sent at `sent` and is acknowledged now.
    pub(super) fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, mtu: u64) {
        let round_trip = now.saturating_duration_since(sent);
        self.observe_base(now, round_trip);
        self.acked_bytes += bytes;
        self.judge_loss(mtu);
        self.round.packets += 1;
        self.round.least = self.round.least.min(round_trip);
        let since = *self.round.since.get_or_insert(now);
        if sent >= since && self.round.packets >= ROUND_PACKETS_MIN {
            self.judge_delay();
            self.round = Round::starting(Some(now));
        }
    }

    /// Takes note of packets that were lost.
    pub(super) fn on_loss(&mut self, bytes: u64, mtu: u64) {
        self.lost_bytes += bytes;
        self.judge_loss(mtu);
    }

    /// Takes note that a router has marked a packet instead of dropping it: there is a queue.
    pub(super) fn on_mark(&mut self) {
        self.round.is_marked = true;
    }

    /// How much of the rate is used, of [`WHOLE`].
    pub(super) fn share(&self) -> u64 {
        self.share
    }

    /// How many bytes of packets may be under way at this rate; `None` while nothing is known of the round trip.
    pub(super) fn window(&self, bytes_per_second: u64) -> Option<u64> {
        let round_trip = self.base?.round_trip() + ACK_DELAY;
        Some(bytes_in(bytes_per_second, round_trip) * self.share / WHOLE)
    }

    fn observe_base(&mut self, now: Instant, round_trip: Duration) {
        let fresh = Base { since: now, least: round_trip, before: round_trip };
        let base = self.base.get_or_insert(fresh);
        if now.saturating_duration_since(base.since) > BASE_AGE {
            *base = Base { before: base.least, ..fresh };
        }
        base.least = base.least.min(round_trip);
    }

    /// Lowers the share so that the queue shrinks to what is allowed, or raises it.
    fn judge_delay(&mut self) {
        let Some(base) = self.base.map(|base| base.round_trip()) else { return };
        let allowed = base + base / 8 + DELAY_SLACK;
        if self.round.least > allowed {
            // One late round may be a stall of the line and no queue, so it costs no more than three quarters.
            let fitting = scaled(self.share, allowed, self.round.least).max(self.share / 4);
            self.share = fitting.max(SHARE_MIN);
        } else if self.round.is_marked {
            self.share = (self.share - self.share / 8).max(SHARE_MIN);
        } else {
            self.share = (self.share + GROWTH_MIN.max(self.share / 8)).min(WHOLE);
        }
    }

    /// Lowers the share to what gets through, if more is lost than a link loses by nature.
    fn judge_loss(&mut self, mtu: u64) {
        let bytes = self.acked_bytes + self.lost_bytes;
        if bytes < LOSS_PACKETS * mtu {
            return;
        }
        if self.lost_bytes > bytes / LOSS_USUAL {
            self.share = (self.share * self.acked_bytes / bytes).max(SHARE_MIN);
        }
        (self.acked_bytes, self.lost_bytes) = (0, 0);
    }
}

impl Base {
    fn round_trip(&self) -> Duration {
        self.least.min(self.before)
    }
}

/// How many bytes go at a rate in a time.
pub(in crate::peer) fn bytes_in(bytes_per_second: u64, time: Duration) -> u64 {
    let bytes = u128::from(bytes_per_second) * time.as_micros() / 1_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX / WHOLE).min(u64::MAX / WHOLE)
}

/// `share` times `part` by `whole`.
fn scaled(share: u64, part: Duration, whole: Duration) -> u64 {
    let scaled = u128::from(share) * part.as_micros() / whole.as_micros().max(1);
    u64::try_from(scaled).unwrap_or(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MTU: u64 = 1_000;

    /// A megabyte a second.
    const RATE: u64 = 1_000_000;

    /// A link whose packets are acknowledged one by one, 10 ms apart.
    struct Link {
        guard: Guard,
        now: Instant,
    }

    impl Link {
        fn new() -> Self {
            Self { guard: Guard::default(), now: Instant::now() }
        }

        fn acks(&mut self, packets: u32, round_trip_ms: impl Fn(u32) -> u64) {
            for packet in 0..packets {
                self.now += Duration::from_millis(10);
                let sent = self.now - Duration::from_millis(round_trip_ms(packet));
                self.guard.on_ack(self.now, sent, MTU, MTU);
            }
        }

        fn window(&self) -> u64 {
            self.guard.window(RATE).unwrap()
        }
    }

    /// What the whole rate has under way over 100 ms.
    const WHOLE_WINDOW: u64 = 105_000;

    #[test]
    fn the_window_is_the_rate_over_the_least_round_trip() {
        let mut link = Link::new();
        assert_eq!(link.guard.window(RATE), None);
        link.acks(200, |packet| 100 + u64::from(packet % 5) * 30);
        assert_eq!(link.window(), WHOLE_WINDOW);
    }

    #[test]
    fn usual_loss_keeps_the_rate_and_more_does_not() {
        let check = |lost_in_20: u32, expect: std::ops::RangeInclusive<u64>| {
            let mut link = Link::new();
            for _ in 0..50 {
                link.acks(20 - lost_in_20, |_| 100);
                (0..lost_in_20).for_each(|_| link.guard.on_loss(MTU, MTU));
            }
            assert!(expect.contains(&link.window()), "{lost_in_20} of 20: {}", link.window());
        };
        check(1, WHOLE_WINDOW..=WHOLE_WINDOW);
        check(3, WHOLE_WINDOW..=WHOLE_WINDOW);
        check(10, 3_000..=70_000);
    }

    #[test]
    fn a_standing_queue_halves_the_rate_and_its_end_gives_it_back() {
        let mut link = Link::new();
        link.acks(100, |_| 100);
        link.acks(100, |_| 300);
        assert!(link.window() < WHOLE_WINDOW / 2, "{}", link.window());
        link.acks(1_000, |_| 100);
        assert_eq!(link.window(), WHOLE_WINDOW);
    }

    #[test]
    fn jitter_is_no_queue() {
        let mut link = Link::new();
        link.acks(2_000, |packet| 100 + u64::from(packet * 7 % 11) * 20);
        assert_eq!(link.window(), WHOLE_WINDOW);
    }

    #[test]
    fn a_longer_way_becomes_the_links_own_in_a_minute() {
        let mut link = Link::new();
        link.acks(100, |_| 100);
        link.acks(7_000, |_| 200);
        link.acks(500, |_| 200);
        assert_eq!(link.window(), 205_000);
    }

    #[test]
    fn marks_lower_the_rate_and_never_to_nothing() {
        let mut link = Link::new();
        for _ in 0..500 {
            link.guard.on_mark();
            link.acks(20, |_| 100);
        }
        assert!((WHOLE_WINDOW / 32 - 1..WHOLE_WINDOW / 2).contains(&link.window()), "{}", link.window());
    }
}
