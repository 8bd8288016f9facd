//! In which order a session's releases become durable, and which cursor that allows.
//!
//! The session hands releases over in an order, each with the cursor that holds once it and all before it are durable. Small
//! ones overtake large ones on their way into the store; the cursor moves only over what lies behind without a gap.

use std::collections::VecDeque;

use mithaq_sync::Cursor;

/// What was handed over and is not durable together with all before it.
#[derive(Debug, Default)]
pub(super) struct Order {
    /// The number of the first of `waiting`.
    first: u64,
    waiting: VecDeque<Place>,
    /// The cursor up to `first`.
    reached: Option<Cursor>,
    /// Up to where a cursor was given out to be written.
    given: u64,
}

#[derive(Debug)]
struct Place {
    cursor: Cursor,
    durable: bool,
}

impl Order {
    /// Takes what was handed over next; its number.
    pub(super) fn begin(&mut self, cursor: Cursor) -> u64 {
        self.waiting.push_back(Place { cursor, durable: false });
        self.first + self.waiting.len() as u64 - 1
    }

    /// These are durable.
    pub(super) fn settle(&mut self, numbers: &[u64]) {
        for number in numbers {
            let place = number.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
            if let Some(place) = place.and_then(|at| self.waiting.get_mut(at)) {
                place.durable = true;
            }
        }
        while let Some(Place { cursor, .. }) = self.waiting.front().filter(|place| place.durable) {
            self.reached = Some(*cursor);
            self.waiting.pop_front();
            self.first += 1;
        }
    }

    /// The cursor that may be written in one commit with these, which ascend, unless one as far was given out before.
    pub(super) fn cursor_with(&mut self, numbers: &[u64]) -> Option<Cursor> {
        let (mut end, mut cursor) = (self.first, self.reached);
        for place in &self.waiting {
            if !place.durable && numbers.binary_search(&end).is_err() {
                break;
            }
            cursor = Some(place.cursor);
            end += 1;
        }
        let is_further = end > self.given;
        self.given = self.given.max(end);
        cursor.filter(|_| is_further)
    }
}

#[cfg(test)]
mod tests {
    use mithaq_sync::Chain;

    use super::*;

    fn cursor(index: u64) -> Cursor {
        Cursor { store: [1; 16], index, chain: Chain::START }
    }

    fn index(cursor: Option<Cursor>) -> Option<u64> {
        cursor.map(|cursor| cursor.index)
    }

    #[test]
    fn a_cursor_moves_over_what_is_durable_without_a_gap() {
        let mut order = Order::default();
        let numbers: Vec<_> = (1..=4).map(|index| order.begin(cursor(index))).collect();
        assert_eq!(numbers, [0, 1, 2, 3]);
        // The third overtakes the first.
        assert_eq!(index(order.cursor_with(&[2])), None);
        order.settle(&[2]);
        assert_eq!(index(order.cursor_with(&[0, 1])), Some(3));
        order.settle(&[0, 1]);
        assert_eq!(index(order.cursor_with(&[])), None, "it was given out");
        order.settle(&[3]);
        assert_eq!(index(order.cursor_with(&[])), Some(4));
    }

    #[test]
    fn two_commits_at_once_give_out_no_cursor_that_goes_back() {
        let mut order = Order::default();
        let numbers: Vec<_> = (1..=3).map(|index| order.begin(cursor(index))).collect();
        assert_eq!(numbers, [0, 1, 2]);
        assert_eq!(index(order.cursor_with(&[0, 1])), Some(2));
        assert_eq!(index(order.cursor_with(&[2])), None);
        order.settle(&[2]);
        assert_eq!(index(order.cursor_with(&[])), None);
        order.settle(&[0, 1]);
        assert_eq!(index(order.cursor_with(&[])), Some(3));
    }
}
