//! Which cells an item is in: a sequence of numbers drawn from its short id alone.
//!
//! An item is in cell `i` with the probability `1 / (1 + i / 2)`: in cell 0 always, and in ever fewer as the sketch goes
//! on. That density is what lets a prefix of any length serve as a sketch of its own (Yang, Gilad and Alizadeh,
//! SIGCOMM 2024). Only integers are used, so that every implementation draws the same numbers.

/// How many bits of a draw count.
const DRAW_BITS: u32 = 24;

/// The cells of one item, in ascending order.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    state: u64,
    cell: u64,
}

impl Mapping {
    /// Begins at cell 0, in which every item is.
    pub(super) fn new(short: u64) -> Self {
        Self { state: short, cell: 0 }
    }

    /// The cells before `end`, as positions.
    pub(super) fn cells(short: u64, end: usize) -> impl Iterator<Item = usize> {
        Self::new(short).map_while(move |cell| usize::try_from(cell).ok().filter(|cell| *cell < end))
    }

    /// Whether an item is in a cell.
    pub(super) fn is_in(short: u64, cell: usize) -> bool {
        Self::cells(short, cell.saturating_add(1)).any(|other| other == cell)
    }

    /// The number of the cell that follows.
    ///
    /// From cell `i` on, the next `g` cells are all passed over with the probability
    /// `(i+1)(i+2) / ((i+g+1)(i+g+2))`, so with a draw `u` between 0 and 1 the next cell is the first `n` with
    /// `(n+1)(n+2)` above `(i+1)(i+2) / u`. That is `2n+3` above the root of `4 (i+1)(i+2) / u + 1`, whose 1 is left out.
    fn next_cell(&mut self) -> u64 {
        let draw = (mix(&mut self.state) >> (64 - DRAW_BITS)) + 1;
        let scaled = ((4 * (self.cell + 1)).saturating_mul(self.cell + 2)).saturating_mul(1 << DRAW_BITS);
        let root = (scaled.div_ceil(draw)).isqrt();
        // The first n with 2n+3 above the root; never the cell itself.
        (root.saturating_sub(1) / 2).max(self.cell + 1)
    }
}

impl Iterator for Mapping {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        let cell = self.cell;
        self.cell = self.next_cell();
        Some(cell)
    }
}

/// One step of SplitMix64.
pub(super) fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_ascend_from_0() {
        let cells: Vec<_> = Mapping::new(7).take(40).collect();
        assert_eq!(cells[0], 0);
        assert!(cells.is_sorted_by(|a, b| a < b), "{cells:?}");
    }

    #[test]
    fn a_cell_has_its_share_of_the_items() {
        const ITEMS: u32 = 20_000;
        let mut shorts = 1;
        let mut counts = vec![0_u32; 1_000];
        for _ in 0..ITEMS {
            Mapping::cells(mix(&mut shorts), counts.len()).for_each(|cell| counts[cell] += 1);
        }
        assert_eq!(counts[0], ITEMS);
        let share = |cells: std::ops::Range<usize>| {
            let expected: f64 = cells.clone().map(|cell| f64::from(ITEMS) * 2.0 / (2.0 + cell as f64)).sum();
            f64::from(counts[cells].iter().sum::<u32>()) / expected
        };
        for cells in [1..2, 2..4, 4..10, 10..50, 50..200, 200..1_000] {
            let share = share(cells.clone());
            assert!((0.95..1.05).contains(&share), "cells {cells:?} have {share} of what they should");
        }
    }

    #[test]
    fn what_is_in_a_cell_is_told() {
        let cells: Vec<_> = Mapping::cells(99, 500).collect();
        assert!((0..500).all(|cell| Mapping::is_in(99, cell) == cells.contains(&cell)));
    }
}
