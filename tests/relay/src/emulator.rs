//! What becomes of each datagram on one way: a pure function of seed, sizes and times.

use std::time::Duration;

use crate::{Loss, Random, Way};

/// What IPv4 and UDP put before each datagram.
const HEADER_BYTES: u64 = 28;

/// What becomes of a datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is lost on the way.
    Lost,
    /// It finds the queue full.
    Dropped,
    /// It arrives.
    Arrives {
        /// When.
        at: Duration,
        /// When it arrives once more, if it does.
        again: Option<Duration>,
    },
}

/// One way of a link. Times are since any start, and never go back.
#[derive(Debug, Clone)]
pub struct Emulator {
    way: Way,
    random: Random,
    /// When the way has sent all that waits.
    free_at: Duration,
    /// When the last datagram arrives.
    last_at: Duration,
    in_burst: bool,
}

impl Emulator {
    /// An idle way.
    #[must_use]
    pub fn new(way: Way, seed: u64) -> Self {
        Self { way, random: Random::new(seed), free_at: Duration::ZERO, last_at: Duration::ZERO, in_burst: false }
    }

    /// Changes what the way is like from here on; what waits goes on as it was.
    pub fn change(&mut self, way: Way) {
        self.way = way;
    }

    /// Takes a datagram of `bytes` in at `now`.
    pub fn admit(&mut self, now: Duration, bytes: usize) -> Fate {
        // All are drawn for every datagram, so that the n-th fares the same whatever became of those before it.
        let is_lost = self.is_lost();
        let jitter = [self.random.share(), self.random.share()].map(|share| self.way.jitter.mul_f64(share));
        let is_doubled = self.random.happens(self.way.duplicate);
        let Some(sent_at) = self.send(now, bytes) else { return Fate::Dropped };
        if is_lost {
            return Fate::Lost;
        }
        let at = self.arrival(sent_at + self.way.delay + jitter[0]);
        let again = is_doubled.then(|| self.arrival(sent_at + self.way.delay + jitter[1]));
        Fate::Arrives { at, again }
    }

    /// When the datagram has left, behind those that wait; `None` if it would wait too long.
    fn send(&mut self, now: Duration, bytes: usize) -> Option<Duration> {
        let Some(rate) = self.way.rate else { return Some(now) };
        let starts = self.free_at.max(now);
        if starts - now > self.way.queue {
            return None;
        }
        let bits = 8 * (bytes as u64 + HEADER_BYTES);
        self.free_at = starts + Duration::from_nanos(bits * 1_000_000_000 / rate.max(1));
        Some(self.free_at)
    }

    fn arrival(&mut self, at: Duration) -> Duration {
        let at = if self.way.reorder { at } else { at.max(self.last_at) };
        self.last_at = at;
        at
    }

    fn is_lost(&mut self) -> bool {
        let draw = self.random.share();
        match self.way.loss {
            Loss::None => false,
            Loss::Random(share) => draw < share,
            Loss::Bursts { share, length } => {
                let length = length.max(1.0);
                let turns = if self.in_burst { 1.0 / length } else { share / ((1.0 - share) * length) };
                self.in_burst ^= draw < turns;
                self.in_burst
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MILLISECOND: Duration = Duration::from_millis(1);

    fn fates(way: Way, seed: u64, datagrams: u32, gap: Duration) -> Vec<Fate> {
        let mut emulator = Emulator::new(way, seed);
        (0..datagrams).map(|number| emulator.admit(gap * number, 972)).collect()
    }

    fn lost(fates: &[Fate]) -> usize {
        fates.iter().filter(|fate| **fate == Fate::Lost).count()
    }

    #[test]
    fn a_seed_repeats() {
        let way = Way { loss: Loss::Random(0.1), jitter: 5 * MILLISECOND, duplicate: 0.1, ..Way::default() };
        assert_eq!(fates(way, 3, 500, MILLISECOND), fates(way, 3, 500, MILLISECOND));
        assert_ne!(fates(way, 3, 500, MILLISECOND), fates(way, 4, 500, MILLISECOND));
    }

    #[test]
    fn loss_has_its_share_in_either_form() {
        for loss in [Loss::Random(0.05), Loss::Bursts { share: 0.05, length: 8.0 }] {
            let lost = lost(&fates(Way { loss, ..Way::default() }, 1, 100_000, MILLISECOND));
            assert!((4_200..5_800).contains(&lost), "{loss:?}: {lost}");
        }
    }

    #[test]
    fn bursts_come_in_runs() {
        let way = Way { loss: Loss::Bursts { share: 0.05, length: 8.0 }, ..Way::default() };
        let fates = fates(way, 1, 100_000, MILLISECOND);
        let runs = fates.windows(2).filter(|pair| pair[0] != Fate::Lost && pair[1] == Fate::Lost).count();
        assert!((6..10).contains(&(lost(&fates) / runs)), "{runs} runs");
    }

    #[test]
    fn a_rate_spaces_datagrams_and_a_full_queue_drops_them() {
        // 1,000 bytes with their headers take a millisecond.
        let way = Way { rate: Some(8_000_000), queue: 3 * MILLISECOND, delay: 10 * MILLISECOND, ..Way::default() };
        let fates = fates(way, 1, 6, Duration::ZERO);
        let arrives = |milliseconds| Fate::Arrives { at: milliseconds * MILLISECOND, again: None };
        assert_eq!(fates, [arrives(11), arrives(12), arrives(13), arrives(14), Fate::Dropped, Fate::Dropped]);
    }

    #[test]
    fn jitter_overtakes_only_where_it_may() {
        let way = Way { jitter: 20 * MILLISECOND, ..Way::default() };
        let overtakes = |reorder| {
            let at = |fate: &Fate| match fate {
                Fate::Arrives { at, .. } => *at,
                other => panic!("{other:?}"),
            };
            fates(Way { reorder, ..way }, 1, 100, MILLISECOND).windows(2).any(|pair| at(&pair[0]) > at(&pair[1]))
        };
        assert!(overtakes(true) && !overtakes(false));
    }
}
