//! The frames by which two sides tell each other what both have: a lazy offer, and the answer of who has it too.

use bytes::Bytes;
use prost::Message;

use crate::{
    brief::Brief,
    fault::Fault,
    limits::{BRIEF_BYTES, INDEX_MAX, OFFER_IDS_MAX},
};

/// Entries of the source's journal that go unasked to others: the sink gets them elsewhere, and may wait with its answer.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct LazyOffer {
    /// Their numbers, each as what it is more than the one before, the first more than 0.
    #[prost(sint64, repeated, tag = "1")]
    pub entries: Vec<i64>,
    /// What stands for their releases, 8 bytes each.
    #[prost(bytes = "bytes", tag = "2")]
    pub briefs: Bytes,
}

/// Entries of the receiver's lazy offers that the sender has, and as which entries its own journal has them.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Twins {
    /// The numbers of the offered entries, told as in [`LazyOffer`].
    #[prost(sint64, repeated, tag = "1")]
    pub offered: Vec<i64>,
    /// The numbers of the sender's own entries with the same releases, told alike: of the first of `offered`, as many as
    /// there are.
    #[prost(sint64, repeated, tag = "2")]
    pub own: Vec<i64>,
}

impl LazyOffer {
    /// Offers these entries.
    #[must_use]
    pub fn of(entries: &[(u64, Brief)]) -> Self {
        let briefs = entries.iter().flat_map(|(_, brief)| *brief.as_bytes()).collect();
        Self { entries: steps(entries.iter().map(|(index, _)| *index)), briefs }
    }

    /// The entries, and what stands for their releases.
    ///
    /// # Errors
    /// When there are none or too many, numbers that there are not, or more or fewer ids than numbers.
    pub fn read(&self) -> Result<Vec<(u64, Brief)>, Fault> {
        let indexes = numbers(&self.entries)?;
        let (briefs, rest) = self.briefs.as_chunks::<BRIEF_BYTES>();
        if indexes.is_empty() || briefs.len() != indexes.len() || !rest.is_empty() {
            return Err(Fault::Misbehaved("a lazy offer of nothing, or with more or fewer ids than numbers"));
        }
        Ok(indexes.into_iter().zip(briefs.iter().copied().map(Brief::from_bytes)).collect())
    }
}

impl Twins {
    /// Tells of entries of the receiver's journal, each with our own of the same release if there is one.
    #[must_use]
    pub fn of(entries: &[(u64, Option<u64>)]) -> Self {
        let paired = entries.iter().filter_map(|(offered, own)| Some((*offered, (*own)?)));
        let alone = entries.iter().filter(|(_, own)| own.is_none()).map(|(offered, _)| *offered);
        Self {
            offered: steps(paired.clone().map(|(offered, _)| offered).chain(alone)),
            own: steps(paired.map(|(_, own)| own)),
        }
    }

    /// The entries of the receiver's journal, each with the sender's own of the same release if there is one.
    ///
    /// # Errors
    /// When there are none or too many, numbers that there are not, or more of the sender's than of the receiver's.
    pub fn read(&self) -> Result<Vec<(u64, Option<u64>)>, Fault> {
        let (offered, own) = (numbers(&self.offered)?, numbers(&self.own)?);
        if offered.is_empty() || own.len() > offered.len() {
            return Err(Fault::Misbehaved("an answer about nothing, or with more entries than were offered"));
        }
        let own = own.into_iter().map(Some).chain(std::iter::repeat(None));
        Ok(offered.into_iter().zip(own).collect())
    }
}

/// Numbers of entries as they travel.
fn steps(numbers: impl Iterator<Item = u64>) -> Vec<i64> {
    let step =
        |before: &mut u64, number: u64| Some(number.wrapping_sub(std::mem::replace(before, number)).cast_signed());
    numbers.scan(0, step).collect()
}

/// Reads numbers of entries.
fn numbers(steps: &[i64]) -> Result<Vec<u64>, Fault> {
    if steps.len() > OFFER_IDS_MAX {
        return Err(Fault::Misbehaved("more entries than one frame may name"));
    }
    let next = |before: &mut u64, step: &i64| {
        *before = before.checked_add_signed(*step).filter(|number| (1..=INDEX_MAX).contains(number))?;
        Some(*before)
    };
    let numbers: Vec<u64> = steps.iter().scan(0, next).collect();
    let are_all = numbers.len() == steps.len();
    if are_all { Ok(numbers) } else { Err(Fault::Misbehaved("entries of numbers that there are not")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive_as_steps_and_are_strict() {
        let check = |text: &[u64]| assert_eq!(numbers(&steps(text.iter().copied())).unwrap(), text);
        check(&[]);
        check(&[1]);
        check(&[70_000, 70_001, 69_000, 1]);
        check(&[INDEX_MAX - 1, INDEX_MAX, 1, INDEX_MAX - 1]);
        for steps in [&[0][..], &[-1], &[5, -5], &[5, -6], &[i64::MIN], &[i64::MAX, 2], &[1; OFFER_IDS_MAX + 1]] {
            assert!(numbers(steps).is_err(), "{steps:?}");
        }
    }

    #[test]
    fn what_has_a_twin_stands_first() {
        let twins = Twins::of(&[(7, None), (3, Some(40)), (9, None), (4, Some(39))]);
        assert_eq!(twins.read().unwrap(), [(3, Some(40)), (4, Some(39)), (7, None), (9, None)]);
        assert!(Twins { offered: vec![1], own: vec![1, 1] }.read().is_err());
        assert!(Twins::default().read().is_err());
    }

    #[test]
    fn each_entry_of_a_lazy_offer_has_an_id() {
        let entries = [(3, Brief::from_bytes([1; 8])), (900, Brief::from_bytes([2; 8]))];
        let offer = LazyOffer::of(&entries);
        assert_eq!(offer.read().unwrap(), entries);
        for bytes in [0, 8, 15, 17, 24] {
            assert!(LazyOffer { briefs: vec![1; bytes].into(), ..offer.clone() }.read().is_err(), "{bytes}");
        }
        assert!(LazyOffer::default().read().is_err());
    }
}
