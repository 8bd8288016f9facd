//! Whether alerts are about. While they are, bulk is done in smaller pieces, and none is begun while an alert passes:
//! it waits for one piece where it must wait at all, and finds the processor free. A bulk alone goes at full speed.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::Duration,
};

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

/// For how long bulk stands back behind an alert: about as long as it takes to reach the peer's readers.
const PASSING: Duration = Duration::from_millis(15);

/// How long a piece of bulk stands back at the most, however many alerts come.
const STANDS_BACK_MAX: Duration = Duration::from_millis(75);

/// When something last passed here that nobody may wait for: a small push of our own, or a withdrawal of anybody's. A
/// small release of a peer is no sign: a bulk has many of those.
#[derive(Debug, Default)]
pub(crate) struct Alerts {
    /// Microseconds of the daemon's clock, and one; 0 if none did.
    last: AtomicU64,
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
    /// Notes that an alert passes.
    pub(crate) fn note(&self) {
        self.note_at(clock::now().monotonic);
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
        let passed = self.last()? + PASSING;
        let until = passed.min(asked + STANDS_BACK_MAX);
        until.checked_sub(now).filter(|wait| !wait.is_zero())
    }

    fn last(&self) -> Option<Duration> {
        self.last.load(Ordering::Relaxed).checked_sub(1).map(Duration::from_micros)
    }

    fn note_at(&self, now: Duration) {
        let micros = u64::try_from(now.as_micros()).unwrap_or(u64::MAX - 1);
        self.last.store(micros + 1, Ordering::Relaxed);
    }

    fn are_about(&self, now: Duration) -> bool {
        self.last().is_some_and(|last| now.saturating_sub(last) < RECENT)
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
    fn pieces_are_smaller_while_alerts_are_about() {
        let alerts = Alerts::default();
        assert_eq!(alerts.piece_bytes(), PIECE_BYTES);
        alerts.note();
        assert_eq!(alerts.piece_bytes(), SMALL_PIECE_BYTES);
    }
}
