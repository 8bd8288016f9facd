//! Releases that stand in both journals of a pair, as entries of their own: a *twin* each of the other.
//!
//! Where both sides would offer each other the same, one of them does, and the other answers with the number of its own
//! entry. That is an answer, an offer that needs no id, and its answer in one. Answers are kept for a moment: more of them
//! go into one frame, and the number of our own entry may be known by then.

use std::time::Duration;

use mithaq_core::id::ReleaseId;

use crate::{
    io::{Channel, Outputs},
    limits::{TWINS_MAX, TWINS_WAIT},
    wire::{self, Kind},
};

/// What the peer has offered lazily and we hold, until it is told so.
#[derive(Debug, Default)]
pub(crate) struct Twins {
    held: Vec<Twin>,
    /// When the first of them was found.
    since: Duration,
}

#[derive(Debug)]
struct Twin {
    release: ReleaseId,
    /// The peer's entry.
    offered: u64,
    /// Ours, if there is one of which the peer was not told.
    own: Option<u64>,
}

impl Twins {
    /// Notes that we hold what the peer has offered as this entry.
    pub(crate) fn add(&mut self, release: ReleaseId, offered: u64, own: Option<u64>, now: Duration) {
        if self.held.is_empty() {
            self.since = now;
        }
        self.held.push(Twin { release, offered, own });
    }

    /// Takes an entry of our own; says whether it is the twin of one that the peer has offered and was not answered.
    pub(crate) fn pair(&mut self, release: ReleaseId, own: u64) -> bool {
        let twin = self.held.iter_mut().find(|twin| twin.release == release && twin.own.is_none());
        twin.map(|twin| twin.own = Some(own)).is_some()
    }

    /// When the peer is to be told.
    pub(crate) fn due(&self) -> Option<Duration> {
        (!self.held.is_empty()).then(|| self.since + TWINS_WAIT)
    }

    /// Tells the peer if it is time; gives the entries of our own of which it need not be told otherwise.
    pub(crate) fn tell(&mut self, now: Duration, outputs: &mut Outputs) -> Vec<u64> {
        if self.held.len() < TWINS_MAX && self.due().is_none_or(|due| now < due) {
            return Vec::new();
        }
        let held = std::mem::take(&mut self.held);
        for held in held.chunks(TWINS_MAX) {
            let entries: Vec<_> = held.iter().map(|twin| (twin.offered, twin.own)).collect();
            outputs.send(Channel::Control, Kind::Twins(wire::Twins::of(&entries)));
        }
        held.into_iter().filter_map(|twin| twin.own).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        io::Output,
        wire::{Frame, frame_length},
    };

    const NOW: Duration = Duration::from_secs(7);

    fn release(number: u64) -> ReleaseId {
        ReleaseId::from_bytes(mithaq_core::id::sha256(&number.to_be_bytes()))
    }

    /// What is told at a moment.
    fn told(twins: &mut Twins, now: Duration) -> (Vec<(u64, Option<u64>)>, Vec<u64>) {
        let mut outputs = Outputs::default();
        let own = twins.tell(now, &mut outputs);
        let mut entries = Vec::new();
        while let Some(output) = outputs.pop() {
            let Output::Send { frame, .. } = output else { continue };
            let (skip, _) = frame_length(&frame).unwrap().unwrap();
            let kind = Frame::read(frame.slice(skip..)).unwrap();
            if let Kind::Twins(frame) = kind {
                entries.extend(frame.read().unwrap());
            }
        }
        (entries, own)
    }

    #[test]
    fn what_is_found_within_a_moment_is_told_at_once_and_only_once() {
        let mut twins = Twins::default();
        assert_eq!(twins.due(), None);
        twins.add(release(1), 11, Some(21), NOW);
        twins.add(release(2), 12, None, NOW + TWINS_WAIT / 2);
        twins.add(release(3), 13, None, NOW + TWINS_WAIT / 2);
        assert!(twins.pair(release(3), 23) && !twins.pair(release(3), 24) && !twins.pair(release(4), 25));
        assert_eq!(told(&mut twins, NOW + TWINS_WAIT - Duration::from_millis(1)), (vec![], vec![]));
        let entries = vec![(11, Some(21)), (13, Some(23)), (12, None)];
        assert_eq!(told(&mut twins, NOW + TWINS_WAIT), (entries, vec![21, 23]));
        assert_eq!(told(&mut twins, NOW + 2 * TWINS_WAIT), (vec![], vec![]));
        assert!(!twins.pair(release(2), 22), "that was answered");
    }

    #[test]
    fn many_do_not_wait() {
        let mut twins = Twins::default();
        for number in 1..=TWINS_MAX as u64 {
            assert_eq!(told(&mut twins, NOW).0, []);
            twins.add(release(number), number, None, NOW);
        }
        assert_eq!(told(&mut twins, NOW).0.len(), TWINS_MAX);
    }
}
