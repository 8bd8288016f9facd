//! Postings of a range of keys, in order, a stretch at a time.

use std::{cmp::Reverse, collections::BinaryHeap};

use super::{Index, View, ordered::Span, run::Cursor, table::Key};
use crate::contract::StoreError;

/// A key and what it leads to.
pub(crate) type Posting = (Key, u64);

/// Some postings that follow each other.
#[derive(Debug, Default)]
pub(crate) struct Stretch {
    /// Those whose bodies can be read.
    pub(crate) sound: Vec<Posting>,
    /// The last that was looked at, if there may be more behind it.
    pub(crate) reached: Option<Posting>,
}

impl Index {
    /// At most `limit` postings of a span behind `after`.
    pub(crate) fn range(&self, span: &Span, after: Option<Posting>, limit: usize) -> Result<Stretch, StoreError> {
        let view = self.view();
        let mut postings = view.stretch(&self.engine.tree, span, after, limit)?;
        let reached = if postings.len() == limit { postings.last().copied() } else { None };
        postings.retain(|(_, ordinal)| view.is_sound(*ordinal));
        Ok(Stretch { sound: postings, reached })
    }
}

impl View {
    /// Merges what the runs and the memory have, each of them in order.
    fn stretch(
        &self,
        tree: &sled::Db,
        span: &Span,
        after: Option<Posting>,
        limit: usize,
    ) -> Result<Vec<Posting>, StoreError> {
        let behind = |(key, value): Posting| (key, value.saturating_add(1));
        let from = after.map(behind).max(Some((span.first, 0))).unwrap_or_default();
        let runs = self.runs.iter().filter(|run| run.table() == span.table && run.may_hold(&from.0, &span.last));
        let mut cursors = runs.map(|run| Cursor::seek(run, tree, from)).collect::<Result<Vec<_>, _>>()?;
        let mut waiting = self.memory.range(span.table, from, span.last, limit).into_iter();
        let in_memory = cursors.len();
        let mut next = BinaryHeap::new();
        for (place, cursor) in cursors.iter_mut().enumerate() {
            next.extend(cursor.next()?.map(|posting| Reverse((posting, place))));
        }
        next.extend(waiting.next().map(|posting| Reverse((posting, in_memory))));
        let mut found: Vec<Posting> = Vec::new();
        while let Some(Reverse((posting, place))) = next.pop() {
            if posting.0 > span.last || found.len() == limit {
                break;
            }
            // A flush that is under way shows what it writes twice.
            if found.last() != Some(&posting) {
                found.push(posting);
            }
            let follows = match cursors.get_mut(place) {
                Some(cursor) => cursor.next()?,
                None => waiting.next(),
            };
            next.extend(follows.map(|posting| Reverse((posting, place))));
        }
        Ok(found)
    }
}
