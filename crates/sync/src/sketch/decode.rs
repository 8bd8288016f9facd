//! Reading a difference out of cells.

use std::collections::HashSet;

use super::{Cell, Mapping, check_of};
use crate::limits::CELLS_MAX;

/// How two sets differ, by short ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// What the other side has and we lack.
    pub missing: Vec<u64>,
    /// What we have and the other side lacks.
    pub extra: Vec<u64>,
}

/// The cells do not tell the difference yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undecided {
    /// How many cells may be enough, those that there were included; [`CELLS_MAX`] at the most.
    pub cells: usize,
}

/// Reads from as many cells of both sides how their sets differ.
///
/// # Errors
/// [`Undecided`] when that takes more cells, or, if cells are not what they say, when none will do.
pub fn decode(theirs: &[Cell], ours: &[Cell]) -> Result<Difference, Undecided> {
    let cells: Vec<_> = theirs.iter().zip(ours).map(|(theirs, ours)| theirs.minus(ours)).collect();
    let enough = enough_for(&cells);
    let mut peeling = Peeling { unread: (0..cells.len()).collect(), cells, read: HashSet::new() };
    let mut difference = Difference::default();
    while let Some((short, count)) = peeling.next_item() {
        if count == 1 { &mut difference.missing } else { &mut difference.extra }.push(short);
    }
    if !peeling.cells.is_empty() && peeling.cells.iter().all(Cell::is_empty) {
        Ok(difference)
    } else {
        Err(Undecided { cells: enough })
    }
}

/// A difference that is taken apart: a cell of one item tells the item, which is then taken out of all its cells.
struct Peeling {
    cells: Vec<Cell>,
    /// Cells that may have become cells of one item.
    unread: Vec<usize>,
    /// What was taken out. Honest cells give each item once, and so the work has an end for others too.
    read: HashSet<u64>,
}

impl Peeling {
    /// Takes out one more item; its count is 1 or, as 255, -1.
    fn next_item(&mut self) -> Option<(u64, u8)> {
        while let Some(place) = self.unread.pop() {
            let Cell { sum, check, count } = self.cells[place];
            let is_single = (count == 1 || count == u8::MAX) && check == check_of(sum) && Mapping::is_in(sum, place);
            if is_single && self.read.insert(sum) {
                self.take_out(sum, count);
                return Some((sum, count));
            }
        }
        None
    }

    fn take_out(&mut self, short: u64, count: u8) {
        for place in Mapping::cells(short, self.cells.len()) {
            self.cells[place].add(short, count.wrapping_neg());
            if !self.cells[place].is_empty() {
                self.unread.push(place);
            }
        }
    }
}

/// How many cells are likely to be enough, told from how many of them are empty.
///
/// In a sketch of `d` items cell `i` is empty with about the probability `exp(-2 d / (i + 2))`. The later half of the
/// cells is looked at, whose density hardly changes.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)] // An estimate.
fn enough_for(cells: &[Cell]) -> usize {
    let later = &cells[cells.len() / 2..];
    let empty = later.iter().filter(|cell| cell.is_empty()).count();
    // None that is empty says no more than that the difference is larger; few that are empty say it roughly, and to ask
    // once more costs less than to ask for too many.
    let items = (later.len() as f64 / empty as f64).ln() * (cells.len() as f64 * 0.74 + 2.0) / 2.0;
    let enough = match empty {
        0 if cells.len() < 256 => cells.len() as f64 * 3.0,
        0 => cells.len() as f64 * 2.5,
        1..8 => 1.15 * items,
        _ => 1.36 * items + 1.2 * items.sqrt() + 4.0,
    };
    let a_little_more = cells.len() + cells.len() / 10 + 2;
    (enough as usize).max(a_little_more).clamp(32, CELLS_MAX)
}
