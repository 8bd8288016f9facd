//! What readers are sent as it comes. Rights that were good when a stream began may go while it is open: they are looked
//! at for each delivery, and now and then while there is none.

use std::{future, sync::Arc, task::Poll, time::Duration};

use axum::{body::Bytes, response::Response};
use tokio::sync::mpsc;

use super::{answer, token::Lease};
use crate::collections::Collection;

/// How many bytes are handed over together. The HTTP server keeps up to 16 such pieces for a reader that takes nothing,
/// whatever their size.
const PIECE_BYTES: usize = 8 * 1024;

/// How many pieces wait for a slow reader; nothing is read for it until it takes one.
const PIECES: usize = 4;

/// How often it is looked whether a token that reads on is still there.
const LOOK: Duration = Duration::from_millis(500);

/// The right to read a collection.
#[derive(Debug, Clone)]
pub(super) struct Right {
    pub(super) collection: Arc<Collection>,
    /// The token by which it is read, if it is by one.
    pub(super) lease: Option<Lease>,
}

impl Right {
    /// Whether it holds: the collection shows the same to the same readers, and the token still opens it.
    pub(super) fn holds(&self) -> bool {
        let opens = |lease: &Lease| lease.opens(&self.collection.name);
        !self.collection.changed.is_cancelled() && self.lease.as_ref().is_none_or(opens)
    }

    /// Ends once it holds no more.
    pub(super) async fn ended(&self) {
        let lease_ended = async {
            match &self.lease {
                None => future::pending().await,
                Some(_) => {
                    while self.holds() {
                        tokio::time::sleep(LOOK).await;
                    }
                }
            }
        };
        tokio::select! {
            () = self.collection.changed.cancelled() => {}
            () = lease_ended => {}
        }
    }
}

/// How many bytes of a chunk make the next piece. It ends with a line where it can: there are clients that take what comes
/// together for whole lines.
fn piece_end(chunk: &[u8]) -> usize {
    match chunk.get(..PIECE_BYTES) {
        Some(piece) => memchr::memrchr(b'\n', piece).map_or(PIECE_BYTES, |end| end + 1),
        None => chunk.len(),
    }
}

/// Where chunks for one reader go.
pub(super) struct Outlet {
    chunks: mpsc::Sender<Bytes>,
    /// None for people at the control socket, who may see everything.
    right: Option<Right>,
}

impl Outlet {
    /// An outlet, and the answer whose body is what is sent by it.
    pub(super) fn open(right: Option<Right>) -> (Self, Response) {
        let (chunks, mut receiver) = mpsc::channel(PIECES);
        let asked = right.clone();
        let response = answer::stream(move |context| {
            // What was read before the right went, and not taken yet, is not delivered either.
            if asked.as_ref().is_some_and(|right| !right.holds()) {
                return Poll::Ready(None);
            }
            receiver.poll_recv(context)
        });
        (Self { chunks, right }, response)
    }

    /// Sends a chunk; says no if the reader is gone or may read no more.
    pub(super) async fn send(&self, mut chunk: Bytes) -> bool {
        if self.right.as_ref().is_some_and(|right| !right.holds()) {
            return false;
        }
        let all = async {
            while !chunk.is_empty() {
                let piece = chunk.split_to(piece_end(&chunk));
                if self.chunks.send(piece).await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::select! {
            biased;
            () = self.ended() => false,
            sent = all => sent,
        }
    }

    /// Ends once the reader is gone or may read no more.
    pub(super) async fn closed(&self) {
        tokio::select! {
            () = self.chunks.closed() => {}
            () = self.ended() => {}
        }
    }

    async fn ended(&self) {
        match &self.right {
            Some(right) => right.ended().await,
            None => future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_end_with_a_line_unless_it_is_longer() {
        let check = |lines: &[usize], expect: &[usize]| {
            let mut chunk: Vec<u8> =
                lines.iter().flat_map(|bytes| [vec![b'x'; bytes - 1], vec![b'\n']].concat()).collect();
            let mut pieces = Vec::new();
            while !chunk.is_empty() {
                let end = piece_end(&chunk);
                pieces.push(end);
                chunk.drain(..end);
            }
            assert_eq!(pieces, expect, "{lines:?}");
        };
        check(&[10, 20], &[30]);
        check(&[5_000, 3_000, 1_000, 7_500], &[8_000, 1_000, 7_500]);
        check(&[20_000, 10], &[PIECE_BYTES, PIECE_BYTES, 20_010 - 2 * PIECE_BYTES]);
        check(&[PIECE_BYTES, 1], &[PIECE_BYTES, 1]);
    }
}
