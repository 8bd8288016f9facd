//! Searches by filters alone: the log is in the order of time, and a release that is not let through is not read.

use mithaq_core::{id::ContentId, time::Time};
use mithaq_store::{Place, StoreError};

use super::{Page, sieve::Sieve};
use crate::node::Node;

/// How many rows of the log one page looks at.
const ROWS: usize = 128;

/// How many contents it looks at.
const CONTENTS: usize = 1_024;

/// A place in the log: behind this many contents of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spot {
    row: u64,
    contents: u32,
}

impl Spot {
    fn to_place(self) -> Place {
        Place::from_bytes([&self.row.to_be_bytes()[..], &self.contents.to_be_bytes()].concat())
    }

    fn read(place: &Place) -> Result<Self, StoreError> {
        let spot = || {
            let (row, contents) = place.as_bytes().split_first_chunk()?;
            Some(Self { row: u64::from_be_bytes(*row), contents: u32::from_be_bytes(contents.try_into().ok()?) })
        };
        spot().ok_or_else(|| StoreError::Misuse { what: "a place of no search".to_owned() })
    }
}

/// A page of at most `count` contents of releases that are let through, the oldest first; a content that several of them
/// name is found at the first.
pub(super) fn page(node: &Node, sieve: &Sieve, after: Option<&Place>, count: usize) -> Result<Page, StoreError> {
    let mut spot = match after {
        Some(place) => Spot::read(place)?,
        None => Spot { row: first_row_since(node, sieve.since)?, contents: 0 },
    };
    let (mut found, mut looked_at) = (Vec::new(), 0);
    let rows = node.store.log(spot.row.saturating_sub(1), ROWS)?;
    let is_last = rows.len() < ROWS;
    for row in rows {
        if sieve.until.is_some_and(|until| row.added_at >= until) {
            return Ok(Page { found, next: None });
        }
        if row.seq != spot.row {
            spot = Spot { row: row.seq, contents: 0 };
        }
        let Some((row, release, manifest)) = node.sound_release_at(row.seq)? else { continue };
        if sieve.lets_release(&row, &manifest) {
            for content in release.contents.iter().skip(spot.contents as usize) {
                if found.len() == count || looked_at == CONTENTS {
                    return Ok(Page { found, next: Some(spot.to_place()) });
                }
                spot.contents += 1;
                looked_at += 1;
                if is_first(node, sieve, *content, row.seq)? {
                    found.push((*content, spot.to_place()));
                }
            }
        }
        spot = Spot { row: row.seq + 1, contents: 0 };
    }
    Ok(Page { found, next: (!is_last).then(|| spot.to_place()) })
}

fn is_first(node: &Node, sieve: &Sieve, content: ContentId, seq: u64) -> Result<bool, StoreError> {
    Ok(sieve.first_row(node, content)? == Some(seq))
}

/// The first row that was added at a time or later: times increase over the log.
fn first_row_since(node: &Node, since: Option<Time>) -> Result<u64, StoreError> {
    let Some(since) = since else { return Ok(1) };
    let (mut low, mut high) = (1, node.store.head() + 1);
    while low < high {
        let middle = low.midpoint(high);
        // Rows may be left out; the first behind the middle tells the same.
        match node.store.log(middle - 1, 1)?.first() {
            Some(row) if row.added_at < since => low = row.seq + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}
