//! Whether alerts are about. While they are, bulk is done in smaller pieces, and none is begun while an alert passes:
//! it waits for one piece where it must wait at all, and finds the processor free. A bulk alone goes at full speed.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use mithaq_core::id::CertId;
use mithaq_store::Batch;
use tokio::sync::watch;

use crate::{clock, outbox::PROMPT_OBJECTS_MAX};

/// Releases of so many bytes together are an alert, by their size; more are most often a part of a bulk.
pub(crate) const ALERT_BYTES_MAX: usize = 16 * 1024;

/// For how long after an alert another is expected.
const RECENT: Duration = Duration::from_secs(2);

/// How many bytes of bodies bulk takes together when no alert is about.
const PIECE_BYTES: usize = 256 * 1024;

/// How many while one is.
const SMALL_PIECE_BYTES: usize = 64 * 1024;

/// For how long bulk stands back behind an alert of our own: about as long as it takes to reach the peer's readers.
const PASSING: Duration = Duration::from_millis(15);

/// For how long behind one of a peer's: about as long as it takes to be stored and to reach ours.
const ARRIVING: Duration = Duration::from_millis(4);

/// How long a piece of bulk stands back at the most, however many alerts come.
const STANDS_BACK_MAX: Duration = Duration::from_millis(75);

/// For how many alerts of one peer bulk stands back however fast they come.
const BURST_OF_PEER: u32 = 16;

/// How often it does so for one peer in the long run: a quarter of its time is all that a peer can take from it so.
const PAUSE_OF_PEER: Duration = ARRIVING.saturating_mul(4);

/// When something passes here that nobody may wait for: a small push or a withdrawal of our own, and what a peer sends
/// as an alert. Whether it is small is no sign there: a bulk has many small releases.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    /// When the last one will have passed: microseconds of the daemon's clock, and one; 0 if none did.
    passing_until: AtomicU64,
    /// When each peer may have bulk stand back for a whole burst again. Only peers have an entry.
    spent_until: Mutex<HashMap<CertId, Duration>>,
    /// The row of the log that the last one has, or one of the rows behind it.
    row: watch::Sender<u64>,
}

/// Whether a commit brings releases that nobody should wait for.
pub(crate) fn is_alert(batch: &Batch) -> bool {
    let bodies = batch.arrivals.iter().flat_map(|arrival| &arrival.bodies);
    let objects = batch.arrivals.iter().map(|arrival| arrival.release.contents().len()).sum::<usize>();
    (1..=PROMPT_OBJECTS_MAX).contains(&objects)
        && bodies.map(|body| body.bytes().len()).sum::<usize>() <= ALERT_BYTES_MAX
}

impl Alerts {
    /// Notes that an alert of our own passes.
    pub(crate) fn note(&self) {
        self.note_at(clock::now().monotonic);
    }

    /// Notes that a peer's alert passes, unless too many of this peer did of late.
    pub(crate) fn note_from(&self, peer: CertId) {
        self.note_from_at(peer, clock::now().monotonic);
    }

    /// Notes that the log has an alert, at this row at the latest.
    pub(crate) fn came(&self, row: u64) {
        self.row.send_if_modified(|known| {
            let is_later = row > *known;
            *known = row.max(*known);
            is_later
        });
    }

    /// Follows the rows of alerts.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.row.subscribe()
    }

    /// How many bytes of bodies bulk takes together: into one commit, and into one group on its way to a peer.
    pub(crate) fn piece_bytes(&self) -> usize {
        if self.are_about(clock::now().monotonic) { SMALL_PIECE_BYTES } else { PIECE_BYTES }
    }

    /// Does a piece of bulk, once no alert is just passing. Blocks.
    pub(crate) fn piece<T>(&self, work: impl FnOnce() -> T) -> T {
        let asked = clock::now().monotonic;
        while let Some(wait) = self.stands_back(asked, clock::now().monotonic) {
            thread::sleep(wait);
        }
        work()
    }

    /// How long a piece still waits that has waited since `asked`.
    fn stands_back(&self, asked: Duration, now: Duration) -> Option<Duration> {
        let until = self.passing_until()?.min(asked + STANDS_BACK_MAX);
        until.checked_sub(now).filter(|wait| !wait.is_zero())
    }

    fn passing_until(&self) -> Option<Duration> {
        self.passing_until.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_micros)
    }

    fn note_at(&self, now: Duration) {
        self.passes_until(now + PASSING);
    }

    fn passes_until(&self, until: Duration) {
        let micros = u64::try_from(until.as_micros()).unwrap_or(u64::MAX - 1);
        self.passing_until.fetch_max(micros + 1, Ordering::Relaxed);
    }

    fn note_from_at(&self, peer: CertId, now: Duration) {
        let mut spent_until = self.spent_until.lock().unwrap_or_else(PoisonError::into_inner);
        let until = spent_until.entry(peer).or_default();
        let next = now.max(*until) + PAUSE_OF_PEER;
        if next <= now + PAUSE_OF_PEER * BURST_OF_PEER {
            *until = next;
            self.passes_until(now + ARRIVING);
        }
    }

    fn are_about(&self, now: Duration) -> bool {
        self.passing_until().is_some_and(|until| now < until + RECENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_are_about_for_a_while() {
        let (alerts, second) = (Alerts::default(), Duration::from_secs(1));
        assert!(!alerts.are_about(Duration::ZERO), "none has passed");
        alerts.note_at(10 * second);
        assert!(alerts.are_about(10 * second));
        assert!(alerts.are_about(11 * second));
        assert!(!alerts.are_about(13 * second));
        alerts.note_at(14 * second);
        assert!(alerts.are_about(14 * second));
    }

    #[test]
    fn bulk_stands_back_while_an_alert_passes_but_not_for_ever() {
        let (alerts, ms) = (Alerts::default(), Duration::from_millis);
        assert_eq!(alerts.stands_back(ms(7), ms(7)), None, "none has passed");
        alerts.note_at(ms(1_000));
        assert_eq!(alerts.stands_back(ms(1_000), ms(1_000)), Some(PASSING));
        assert_eq!(alerts.stands_back(ms(1_000), ms(1_010)), Some(ms(5)));
        assert_eq!(alerts.stands_back(ms(1_000), ms(1_015)), None);
        alerts.note_at(ms(1_070));
        assert_eq!(alerts.stands_back(ms(1_000), ms(1_070)), Some(ms(5)), "its time is up before the alert has passed");
        assert_eq!(alerts.stands_back(ms(1_000), ms(1_075)), None);
    }

    #[test]
    fn a_peer_has_bulk_stand_back_for_a_burst_and_then_now_and_then() {
        let (alerts, second) = (Alerts::default(), Duration::from_secs(1));
        let [flood, other] = [1, 2].map(|byte| CertId::from_bytes([byte; 32]));
        let is_noted = |peer, now| {
            alerts.passing_until.store(0, Ordering::Relaxed);
            alerts.note_from_at(peer, now);
            alerts.passing_until() == Some(now + ARRIVING)
        };
        let noted = |peer, now| (0..100).filter(|_| is_noted(peer, now)).count();
        assert_eq!(noted(flood, second), 16);
        assert_eq!(noted(other, second), 16, "what one peer sends is not counted against another");
        assert_eq!(noted(flood, second + PAUSE_OF_PEER - Duration::from_millis(1)), 0);
        assert_eq!(noted(flood, second + PAUSE_OF_PEER), 1);
        assert_eq!(noted(flood, 10 * second), 16, "what it did not use is a burst at the most");
    }

    #[test]
    fn a_flood_of_one_peer_takes_a_quarter_of_its_time_from_bulk_and_ours_all_that_it_may() {
        let of_ten_seconds = |note: &dyn Fn(&Alerts, Duration)| {
            let alerts = Alerts::default();
            let each_ms = (0..10_000).map(Duration::from_millis);
            let waits = each_ms.filter(|now| {
                note(&alerts, *now);
                alerts.stands_back(*now, *now).is_some()
            });
            waits.count()
        };
        let of_peer = of_ten_seconds(&|alerts, now| alerts.note_from_at(CertId::from_bytes([1; 32]), now));
        assert!((2_400..2_600).contains(&of_peer), "{of_peer} ms");
        assert_eq!(of_ten_seconds(&|alerts, now| alerts.note_at(now)), 10_000);
    }

    #[test]
    fn pieces_are_smaller_while_alerts_are_about() {
        let alerts = Alerts::default();
        assert_eq!(alerts.piece_bytes(), PIECE_BYTES);
        alerts.note();
        assert_eq!(alerts.piece_bytes(), SMALL_PIECE_BYTES);
    }
}
