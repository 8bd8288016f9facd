//! Which releases came as a part of a bulk, here or by a peer's backlog. They may each be small: an alert that is made
//! meanwhile must not stand in one line with them on its way to peers.

use std::{
    collections::{HashSet, VecDeque},
    sync::{Mutex, PoisonError},
};

use mithaq_core::id::ReleaseId;

/// How many releases are known at the most. Journals are written soon after the log; what is forgotten goes by its
/// size.
const RELEASES_MAX: usize = 32 * 1024;

/// The last releases that came as a part of a bulk, since the daemon started.
#[derive(Debug, Default)]
pub(crate) struct Bulk(Mutex<Releases>);

#[derive(Debug, Default)]
struct Releases {
    ids: HashSet<ReleaseId>,
    /// The same, the oldest first.
    order: VecDeque<ReleaseId>,
}

impl Bulk {
    /// Notes releases, before they are committed: whoever follows the log may come to them at once.
    pub(crate) fn note(&self, releases: impl IntoIterator<Item = ReleaseId>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for id in releases {
            if known.ids.insert(id) {
                known.order.push_back(id);
            }
            if known.order.len() > RELEASES_MAX
                && let Some(oldest) = known.order.pop_front()
            {
                known.ids.remove(&oldest);
            }
        }
    }

    /// Whether a release came as a part of a bulk.
    pub(crate) fn has(&self, release: ReleaseId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).ids.contains(&release)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(number: usize) -> ReleaseId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
        ReleaseId::from_bytes(bytes)
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let bulk = Bulk::default();
        bulk.note((0..RELEASES_MAX).map(release));
        bulk.note([release(1), release(0)]);
        assert!(bulk.has(release(0)), "what was known is not counted twice");
        bulk.note([release(RELEASES_MAX)]);
        assert!(!bulk.has(release(0)));
        assert!(bulk.has(release(1)) && bulk.has(release(RELEASES_MAX)));
        assert!(!bulk.has(release(RELEASES_MAX + 1)));
    }
}
