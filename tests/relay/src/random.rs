//! Random numbers by a seed: SplitMix64 (Steele, Lea, Flood, 2014), which is short and good enough to lose datagrams by.

/// A source of random numbers that a seed repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Random(u64);

impl Random {
    /// The source of this seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to and without 1.
    #[allow(clippy::cast_precision_loss)] // 53 bits are what a double holds.
    pub fn share(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Whether something of this probability happens. Draws in any case, so that changing one probability of a link
    /// leaves the draws for the others as they were.
    pub fn happens(&mut self, probability: f64) -> bool {
        self.share() < probability
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_shares_are_even() {
        let draw = |seed| std::iter::repeat_with(|| 0).take(4).scan(Random::new(seed), |random, _| Some(random.bits()));
        assert!(draw(1).eq(draw(1)) && !draw(1).eq(draw(2)));
        let mut random = Random::new(7);
        let hits = (0..100_000).filter(|_| random.happens(0.05)).count();
        assert!((4_700..5_300).contains(&hits), "{hits}");
    }
}
