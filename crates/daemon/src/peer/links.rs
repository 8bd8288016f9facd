//! Which connection serves which peer, and what `status` shows of it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use mithaq_api::http::{LinkFigures, Problem};
use mithaq_core::id::CertId;
use mithaq_sync::{Progress, Tally};
use tokio_util::sync::CancellationToken;

/// What `status` shows of a peer.
#[derive(Debug, Clone, Default)]
pub(crate) struct LinkStatus {
    /// Whether a session is established.
    pub(crate) connected: bool,
    /// The number of the claim under which the present session, or the last, was established.
    session: u64,
    /// Why none is.
    pub(crate) problem: Option<Problem>,
    /// How far the present session, or the last, has come.
    pub(crate) progress: Progress,
    /// Whether the present session, or the last, has brought all that the peer's journal had when we asked where it ends.
    pub(crate) heard: bool,
    /// Counters of all sessions that have ended since the daemon started.
    pub(crate) ended: Traffic,
    /// Bytes of the present session.
    pub(crate) bytes: Bytes,
    /// What the link of the present session, or of the last, is like.
    pub(crate) figures: LinkFigures,
}

/// Bytes of a session to and from a peer.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Bytes {
    /// On the wire, all of QUIC.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Of frames, by what they are for.
    pub(crate) frames_sent: Tally,
    pub(crate) frames_received: Tally,
}

/// What went to and fro.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) objects_sent: u64,
    pub(crate) objects_received: u64,
    pub(crate) objects_deduplicated: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) frames_sent: Tally,
    pub(crate) frames_received: Tally,
}

impl LinkStatus {
    /// All that went to and fro since the daemon started.
    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            objects_sent: self.ended.objects_sent + self.progress.objects_sent,
            objects_received: self.ended.objects_received + self.progress.objects_received,
            objects_deduplicated: self.ended.objects_deduplicated + self.progress.objects_deduplicated,
            bytes_sent: self.ended.bytes_sent + self.bytes.sent,
            bytes_received: self.ended.bytes_received + self.bytes.received,
            frames_sent: self.ended.frames_sent + self.bytes.frames_sent,
            frames_received: self.ended.frames_received + self.bytes.frames_received,
        }
    }

    /// Begins a session. One that it takes over from is still to end, and must not end this one.
    pub(crate) fn begin_session(&mut self, number: u64) {
        self.keep_counters();
        self.session = number;
        self.connected = true;
        self.heard = false;
        self.problem = None;
    }

    /// Refreshes the counters of a session, unless another has taken over.
    pub(crate) fn refresh(&mut self, number: u64, progress: Progress, bytes: Bytes, figures: LinkFigures, heard: bool) {
        if self.session == number {
            self.heard |= heard;
            self.progress = progress;
            self.bytes = bytes;
            self.figures = figures;
        }
    }

    /// Ends a session, or an attempt at one that had no claim yet; nothing happens if another has taken over.
    pub(crate) fn end_session(&mut self, number: Option<u64>, problem: Problem) {
        if self.connected && number != Some(self.session) {
            return;
        }
        self.keep_counters();
        self.connected = false;
        self.problem = Some(problem);
    }

    /// Ends the session whose task has died, whichever that was.
    pub(crate) fn end_dead_session(&mut self, problem: Problem) {
        self.end_session(Some(self.session), problem);
    }

    /// Lets the counters of the present session join those of the sessions that have ended.
    fn keep_counters(&mut self) {
        self.ended = self.traffic();
        self.progress = Progress { objects_sent: 0, objects_received: 0, objects_deduplicated: 0, ..self.progress };
        self.bytes = Bytes::default();
    }
}

/// The connection that serves a peer.
#[derive(Debug)]
struct Link {
    number: u64,
    initiator: CertId,
    instance: [u8; 16],
    replaced: CancellationToken,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    links: HashMap<CertId, Link>,
}

/// All connections that serve a peer: at most one each.
#[derive(Debug, Default)]
pub(crate) struct Links(Arc<Mutex<Table>>);

/// The right to serve a peer; given back by [`Links::release`], or when it is dropped by a session that died.
#[derive(Debug)]
pub(crate) struct Claim {
    table: Arc<Mutex<Table>>,
    peer: CertId,
    number: u64,
    /// Fires when a newer connection takes over.
    pub(crate) replaced: CancellationToken,
}

impl Claim {
    /// Tells this claim from every other.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Takes the peer out of the table, unless another connection has taken over.
    fn give_back(&self) -> bool {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let current = table.links.get(&self.peer).is_some_and(|link| link.number == self.number);
        if current {
            table.links.remove(&self.peer);
        }
        current
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.give_back();
    }
}

impl Links {
    /// Claims a peer for a connection that `initiator` dialled, to that run of the peer's daemon; `None` if the
    /// connection that serves it already is the one to keep.
    ///
    /// When both sides dial at once there are two connections; both sides keep the one that the CERT with the smaller
    /// id dialled. A connection to another run of the peer's daemon is dead, and a second dial by the same side means
    /// that it gave up the first: both are replaced.
    pub(crate) fn claim(&self, peer: CertId, initiator: CertId, instance: [u8; 16]) -> Option<Claim> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(link) = table.links.get(&peer) {
            let stays = link.instance == instance && link.initiator < initiator;
            if stays {
                return None;
            }
            link.replaced.cancel();
        }
        table.next += 1;
        let number = table.next;
        let replaced = CancellationToken::new();
        table.links.insert(peer, Link { number, initiator, instance, replaced: replaced.clone() });
        Some(Claim { table: Arc::clone(&self.0), peer, number, replaced })
    }

    /// Gives a claim back. Says whether it was still the one in force.
    pub(crate) fn release(&self, claim: &Claim) -> bool {
        claim.give_back()
    }

    /// Whether a connection serves the peer.
    pub(crate) fn is_served(&self, peer: CertId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).links.contains_key(&peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: CertId = CertId::from_bytes([9; 32]);
    const LOW: CertId = CertId::from_bytes([1; 32]);
    const HIGH: CertId = CertId::from_bytes([2; 32]);

    #[test]
    fn of_two_connections_the_one_that_the_smaller_id_dialled_stays() {
        let links = Links::default();
        let high = links.claim(PEER, HIGH, [0; 16]).unwrap();
        let low = links.claim(PEER, LOW, [0; 16]).unwrap();
        assert!(high.replaced.is_cancelled() && !low.replaced.is_cancelled());
        assert!(links.claim(PEER, HIGH, [0; 16]).is_none());
        assert!(!links.release(&high) && links.is_served(PEER));
        assert!(links.release(&low) && !links.is_served(PEER));
    }

    #[test]
    fn a_session_that_ends_late_does_not_end_the_one_that_took_over() {
        let problem = || Problem::new(mithaq_core::code::Code::REPLACED, "");
        let bytes = |sent| Bytes { sent, ..Bytes::default() };
        let figures = LinkFigures::default();
        let sent = |objects_sent| Progress { objects_sent, ..Progress::default() };
        let mut status = LinkStatus::default();
        status.begin_session(1);
        status.refresh(1, sent(3), bytes(30), figures, true);
        assert!(status.heard);
        status.begin_session(2);
        status.refresh(2, sent(4), bytes(40), figures, false);
        status.refresh(1, sent(9), bytes(90), figures, true);
        assert!(!status.heard, "what one session has brought says nothing of the next");
        status.end_session(Some(1), problem());
        status.end_session(None, problem());
        assert!(status.connected && status.problem.is_none());
        assert_eq!((status.traffic().objects_sent, status.traffic().bytes_sent), (7, 70));
        status.end_session(Some(2), problem());
        assert!(!status.connected && status.problem.is_some());
        assert_eq!((status.traffic().objects_sent, status.traffic().bytes_sent), (7, 70));
    }

    #[tokio::test]
    async fn a_session_whose_task_panics_gives_back_its_claim_and_no_other() {
        let links = Links::default();
        let dies_with = |claim: Claim| {
            tokio::spawn(async move {
                let _claim = claim;
                panic!("on purpose");
            })
        };
        assert!(dies_with(links.claim(PEER, LOW, [0; 16]).unwrap()).await.is_err());
        assert!(!links.is_served(PEER));
        let replaced = links.claim(PEER, LOW, [0; 16]).unwrap();
        let _newer = links.claim(PEER, LOW, [1; 16]).unwrap();
        assert!(dies_with(replaced).await.is_err());
        assert!(links.is_served(PEER));
    }

    #[test]
    fn a_restarted_peer_and_a_second_dial_take_over() {
        let links = Links::default();
        let first = links.claim(PEER, LOW, [0; 16]).unwrap();
        let restarted = links.claim(PEER, HIGH, [1; 16]).unwrap();
        assert!(first.replaced.is_cancelled());
        let again = links.claim(PEER, HIGH, [1; 16]).unwrap();
        assert!(restarted.replaced.is_cancelled() && !again.replaced.is_cancelled());
    }
}
