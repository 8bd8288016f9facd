//! Room on the store's disk: nothing more is taken from pushes and peers before it runs out, and it goes on by itself.
//!
//! The store itself refuses commits below a floor of its own, which lies deeper. What lies between is for what is new and
//! small. Withdrawals, and the ledger, receipts and cursors without which none would be told, are taken below it too, of
//! each peer so many that none can use up what is left.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use mithaq_api::http::Problem;
use mithaq_core::{code::Code, id::CertId};
use mithaq_store::Store;
use tokio::sync::watch;

use crate::node::Node;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(500);

/// How much more than the least must be free again, as a part of it, before more is taken: else one release would be
/// taken at a time.
const EASE: u64 = 8;

/// The store's own floor, for what must not wait: this part of the configured least.
const FLOOR: u64 = 2;

/// How many bytes of withdrawals each peer may have stored below the floor until there is more room, at the most: some
/// thousands of one object. One that names what nobody has costs as much as one that gives space back.
const TAKEN_BACK_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How much room there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    /// The store takes nothing but what gives space back, what takes something back, and what sessions note to tell of it.
    Floor,
    /// What must not wait is taken.
    Low,
    /// All is taken.
    Fine,
}

/// Whether there is room.
#[derive(Debug)]
pub(crate) struct Room {
    free_bytes_min: u64,
    level: watch::Sender<Level>,
    /// How many bytes of withdrawals came of each peer since there was last more room than the floor. Only peers have an
    /// entry.
    taken_back: Mutex<HashMap<CertId, u64>>,
}

impl Room {
    /// With less than `free_bytes_min` free there is none.
    pub(crate) fn new(store: &dyn Store, free_bytes_min: u64) -> Self {
        let room = Self { free_bytes_min, level: watch::Sender::new(Level::Fine), taken_back: Mutex::default() };
        room.look(store);
        room
    }

    /// Below how many free bytes the store is to refuse whatever it is.
    pub(crate) fn floor(free_bytes_min: u64) -> u64 {
        free_bytes_min / FLOOR
    }

    /// Whether there is none for what can wait.
    pub(crate) fn is_low(&self) -> bool {
        *self.level.borrow() < Level::Fine
    }

    /// Refuses what adds to the store, if there is no room for it. Blocks.
    pub(crate) fn check(&self, store: &dyn Store) -> Result<(), Problem> {
        self.look(store);
        if !self.is_low() {
            return Ok(());
        }
        let mib = self.free_bytes_min >> 20;
        let text =
            format!("less than {mib} MiB are free on the store's disk: nothing was stored; free some and try again");
        Err(Problem::new(Code::DISK_FULL, text))
    }

    /// Waits until the store takes more than what gives space back.
    pub(crate) async fn wait_above_floor(&self) {
        // INVARIANT: the sender lives as long as `self`.
        let _ = self.level.subscribe().wait_for(|level| *level > Level::Floor).await;
    }

    /// Waits until so many bytes of withdrawals of one of so many peers are taken: at once, unless it would have more stored
    /// below the floor than its share.
    pub(crate) async fn wait_to_take_back(&self, from: CertId, bytes: u64, peers: usize) {
        let before = self.taken_back().get(&from).copied().unwrap_or(0);
        if before.saturating_add(bytes) > self.taken_back_share(peers) {
            self.wait_above_floor().await;
        }
    }

    /// How many bytes of withdrawals one of so many peers may have stored below the floor. All together use up half of what
    /// is left there, whatever they send.
    fn taken_back_share(&self, peers: usize) -> u64 {
        let peers = u64::try_from(peers).unwrap_or(u64::MAX).max(1);
        TAKEN_BACK_BYTES_MAX.min(Self::floor(self.free_bytes_min) / 2 / peers)
    }

    /// Notes that so many bytes of withdrawals of a peer are stored.
    pub(crate) fn note_taken_back(&self, from: CertId, bytes: u64) {
        let mut taken_back = self.taken_back();
        let before = taken_back.entry(from).or_default();
        *before = before.saturating_add(bytes);
    }

    fn taken_back(&self) -> MutexGuard<'_, HashMap<CertId, u64>> {
        self.taken_back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks how much is free; says whether something can wait that could not, or the other way round.
    fn look(&self, store: &dyn Store) -> bool {
        // A file system that does not say how full it is must not stop the exchange.
        let Some(free) = store.free_bytes() else { return false };
        let was_low = self.is_low();
        self.level.send_if_modified(|level| {
            let now = self.level_at(free, *level);
            std::mem::replace(level, now) != now
        });
        if *self.level.borrow() > Level::Floor {
            self.taken_back().clear();
        }
        was_low != self.is_low()
    }

    fn level_at(&self, free: u64, was: Level) -> Level {
        let reaches = |least: u64, level| free >= least.saturating_add(if was < level { least / EASE } else { 0 });
        if reaches(self.free_bytes_min, Level::Fine) {
            Level::Fine
        } else if reaches(Self::floor(self.free_bytes_min), Level::Low) {
            Level::Low
        } else {
            Level::Floor
        }
    }
}

/// Looks again and again whether there is room.
pub(crate) async fn watch(node: Arc<Node>) {
    loop {
        let looker = Arc::clone(&node);
        let looked = tokio::task::spawn_blocking(move || looker.room.look(&*looker.store)).await;
        match (looked, node.room.is_low()) {
            (Ok(true), true) => tracing::warn!(
                free_mib_min = node.room.free_bytes_min >> 20,
                "the store's disk is nearly full: pushes are refused and peers wait; withdrawals are applied"
            ),
            (Ok(true), false) => tracing::info!("there is room on the store's disk again: pushes and peers go on"),
            (Ok(false), _) => {}
            (Err(_), _) => return node.fail("looking for room on the store's disk"),
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = node.shutdown.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use mithaq_store::{MemoryStore, StoreId};

    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn what_is_taken_follows_what_is_free_and_does_not_flutter() {
        let room = Room::new(&MemoryStore::new(StoreId::from_bytes([1; 16])), 64 * MIB);
        let mut level = Level::Fine;
        let mut check = |free_mib: u64, expect| {
            level = room.level_at(free_mib * MIB, level);
            assert_eq!(level, expect, "{free_mib} MiB");
        };
        check(64, Level::Fine);
        check(63, Level::Low);
        check(71, Level::Low);
        check(72, Level::Fine);
        check(32, Level::Low);
        check(31, Level::Floor);
        check(35, Level::Floor);
        check(36, Level::Low);
        check(1000, Level::Fine);
        check(0, Level::Floor);
    }

    /// What one peer has used up is another's no less, and comes back with room, not with a new session.
    #[tokio::test]
    async fn a_peer_has_so_much_taken_back_below_the_floor_and_then_waits() {
        let store = MemoryStore::new(StoreId::from_bytes([1; 16]));
        let room = Room::new(&store, 64 * MIB);
        let [peer, other] = [1, 2].map(|number| CertId::from_bytes([number; 32]));
        let is_taken = |from| {
            let is_ready = room.wait_to_take_back(from, MIB, 2).now_or_never().is_some();
            room.note_taken_back(from, MIB);
            is_ready
        };
        room.level.send_replace(Level::Floor);
        let taken: Vec<_> = (0..6).map(|_| is_taken(peer)).collect();
        assert_eq!(taken, [true, true, true, true, false, false]);
        assert!(is_taken(other));
        room.level.send_replace(Level::Low);
        assert!(is_taken(peer), "there is room");
        room.level.send_replace(Level::Floor);
        assert!(!is_taken(peer));
        room.taken_back().clear();
        assert!(is_taken(peer));
    }

    #[test]
    fn all_peers_together_leave_half_of_what_is_below_the_floor() {
        let room = Room::new(&MemoryStore::new(StoreId::from_bytes([1; 16])), 64 * MIB);
        let shares = [0, 1, 4, 8, 32].map(|peers| room.taken_back_share(peers));
        assert_eq!(shares, [4 * MIB, 4 * MIB, 4 * MIB, 2 * MIB, MIB / 2]);
    }

    #[test]
    fn nothing_is_refused_where_no_least_is_configured_or_nothing_can_be_told() {
        let store = MemoryStore::new(StoreId::from_bytes([1; 16]));
        let room = Room::new(&store, 0);
        assert!(room.wait_to_take_back(CertId::from_bytes([1; 32]), MIB, 1).now_or_never().is_some());
        assert_eq!(room.level_at(0, Level::Fine), Level::Fine);
        room.check(&store).unwrap();
    }
}
