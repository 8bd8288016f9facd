//! Which releases brought objects that are held, by STIX id: their bodies may be gone, and with them what the store could
//! tell of the id.

use std::hash::{BuildHasher, RandomState};

use mithaq_core::id::ReleaseId;
use mithaq_store::{Store, StoreError};

use super::{HOLD, for_each_row, read_hold};

/// All holds at one moment, in a few dozen bytes each, to be dropped after use.
#[derive(Debug)]
pub(crate) struct Gone {
    /// For whoever chooses ids must not choose what they hash to. Two ids of one hash count as one.
    hasher: RandomState,
    /// The hash of a STIX id and the release that brought it, ascending.
    held: Vec<(u64, ReleaseId)>,
}

impl Gone {
    /// Reads all holds. Blocks.
    pub(crate) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let (hasher, mut held) = (RandomState::new(), Vec::new());
        for_each_row(store, HOLD, |release, value| {
            let stix_id = read_hold(value)?.stix_id;
            held.extend((!stix_id.is_empty()).then(|| (hasher.hash_one(stix_id), ReleaseId::from_bytes(release))));
            Ok(())
        })?;
        held.sort_unstable();
        held.dedup();
        Ok(Self { hasher, held })
    }

    /// The releases in which an object of this id is held.
    pub(crate) fn releases_of(&self, stix_id: &str) -> impl Iterator<Item = ReleaseId> {
        let hash = self.hasher.hash_one(stix_id);
        let start = self.held.partition_point(|(known, _)| *known < hash);
        self.held.iter().skip(start).take_while(move |(known, _)| *known == hash).map(|(_, release)| *release)
    }
}

#[cfg(test)]
mod tests {
    use mithaq_core::{id::ContentId, time::Time};
    use mithaq_store::{Batch, MemoryStore, StoreId};

    use super::{
        super::{Cause, Hold},
        *,
    };

    #[test]
    fn held_objects_are_found_by_their_id_and_others_are_not() {
        let store = MemoryStore::new(StoreId::from_bytes([1; 16]));
        let release = |number| ReleaseId::from_bytes([number; 32]);
        let hold = |stix_id: &str| Hold {
            cause: Cause::Withdrawn,
            at: Time::from_micros(0),
            by: None,
            stix_id: stix_id.to_owned(),
            note: String::new(),
            kinds: Vec::new(),
        };
        let held = [(1, 1, "a"), (1, 2, "a"), (2, 3, "a"), (2, 4, "b"), (3, 5, "")];
        let to_change =
            |(by, content, id): (u8, u8, &str)| hold(id).to_change(release(by), ContentId::from_bytes([content; 32]));
        let batch = Batch { state: held.map(to_change).into(), ..Batch::default() };
        store.commit(batch, Time::from_micros(0)).unwrap();
        let gone = Gone::load(&store).unwrap();
        let releases_of = |id| gone.releases_of(id).collect::<Vec<_>>();
        assert_eq!(releases_of("a"), [release(1), release(2)]);
        assert_eq!(releases_of("b"), [release(2)]);
        assert_eq!(releases_of("c"), []);
        assert_eq!(releases_of(""), [], "of what is held no more is known");
    }
}
