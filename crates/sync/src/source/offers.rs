//! What is offered, and what the peer wants of it.

use std::time::Duration;

use mithaq_core::id::ReleaseId;

use super::{Entry, Source, State};
use crate::{
    fault::Fault,
    io::{Channel, Outputs},
    wire::{self, Kind, Offer, Want},
};

impl Source {
    /// Offers the entries from `first` up to the next to read, but for those that went ahead.
    pub(super) fn offer(&mut self, first: u64, outputs: &mut Outputs) {
        let mut offers: Vec<(u64, Vec<&ReleaseId>)> = Vec::new();
        let is_due = |(index, entry): &(&u64, &Entry)| {
            matches!(entry.state, State::Offered) && !self.branches.has_offered(**index)
        };
        for (index, entry) in self.entries.range(first..self.next).filter(is_due) {
            match offers.last_mut().filter(|(first, ids)| first + ids.len() as u64 == *index) {
                Some((_, ids)) => ids.push(&entry.id),
                None => offers.push((*index, vec![&entry.id])),
            }
        }
        for (first, ids) in offers {
            self.offers.insert(first, ids.len());
            let ids = wire::join_ids(ids.into_iter().map(ReleaseId::as_bytes));
            outputs.send(Channel::Control, Kind::Offer(Offer { first, ids }));
        }
    }

    pub(crate) fn want(&mut self, want: &Want, now: Duration, outputs: &mut Outputs) -> Result<(), Fault> {
        let offered = self.offers.remove(&want.first);
        let count = offered
            .filter(|count| u32::try_from(*count) == Ok(want.count))
            .ok_or(Fault::Misbehaved("a want that answers no offer"))?;
        let bits = wire::bits(&want.bitmap, count)?;
        for (index, wanted) in (want.first..).zip(bits) {
            let channel = self.branches.answered(index);
            if !wanted {
                self.settle(index);
                self.tail.settle(index);
            } else if let Some(entry) = self.entries.get_mut(&index) {
                entry.asked = true;
                entry.state = State::Queued;
                self.queue.insert((channel, index));
            }
        }
        self.waiting_since = now;
        self.pump(outputs);
        Ok(())
    }
}
