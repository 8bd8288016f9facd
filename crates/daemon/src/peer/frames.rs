//! Frames on QUIC streams: a varint length, then the frame.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::{Buf, Bytes, BytesMut};
use mithaq_core::code::Code;
use mithaq_sync::{Fault, wire::frame_length};
use quinn::{RecvStream, SendStream};
use tokio::sync::{Notify, mpsc};

use super::meter::Meter;

/// How many bytes are read at a time.
const READ_BYTES: usize = 64 * 1024;

/// Why a stream of frames ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum StreamError {
    #[error("the stream ended")]
    Ended,
    #[error(transparent)]
    Read(#[from] quinn::ReadError),
    #[error(transparent)]
    Write(#[from] quinn::WriteError),
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Passes the frames of a stream on until it ends or the session does.
pub(super) async fn read(mut stream: RecvStream, frames: mpsc::Sender<Bytes>) -> StreamError {
    let mut buffer = BytesMut::new();
    loop {
        match take_frame(&mut buffer) {
            Err(fault) => return fault.into(),
            Ok(Some(frame)) => {
                if frames.send(frame).await.is_err() {
                    return StreamError::Ended;
                }
                continue;
            }
            Ok(None) => {}
        }
        match stream.read_chunk(READ_BYTES, true).await {
            Ok(Some(chunk)) => buffer.extend_from_slice(&chunk.bytes),
            Ok(None) => return StreamError::Ended,
            Err(error) => return error.into(),
        }
    }
}

fn take_frame(buffer: &mut BytesMut) -> Result<Option<Bytes>, Fault> {
    match frame_length(buffer)? {
        Some((skip, length)) if buffer.len() >= skip + length => {
            buffer.advance(skip);
            Ok(Some(buffer.split_to(length).freeze()))
        }
        _ => Ok(None),
    }
}

/// How many bytes wait to be written to a stream.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    bytes: AtomicUsize,
    shrunk: Notify,
}

impl Backlog {
    /// How many bytes wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Waits until at most so many bytes do.
    pub(super) async fn at_most(&self, bytes: usize) {
        loop {
            let mut shrunk = pin!(self.shrunk.notified());
            shrunk.as_mut().enable();
            if self.bytes() <= bytes {
                return;
            }
            shrunk.await;
        }
    }

    fn shrink(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.shrunk.notify_waiters();
    }
}

/// Frames that wait to be written to a stream.
#[derive(Debug)]
pub(super) struct Queue {
    frames: mpsc::UnboundedSender<Bytes>,
    backlog: Arc<Backlog>,
}

/// The other end of a [`Queue`].
#[derive(Debug)]
pub(super) struct Waiting {
    frames: mpsc::UnboundedReceiver<Bytes>,
    backlog: Arc<Backlog>,
}

/// A queue of frames.
pub(super) fn queue() -> (Queue, Waiting) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let backlog = Arc::new(Backlog::default());
    (Queue { frames: sender, backlog: Arc::clone(&backlog) }, Waiting { frames: receiver, backlog })
}

impl Queue {
    /// Adds a frame; if the stream has ended, the pump is about to hear why.
    pub(super) fn send(&self, frame: Bytes) {
        self.backlog.bytes.fetch_add(frame.len(), Ordering::Relaxed);
        let _ = self.frames.send(frame);
    }

    /// How much of it waits.
    pub(super) fn backlog(&self) -> &Arc<Backlog> {
        &self.backlog
    }
}

/// Writes frames to a stream until the session ends, each slice of them once nothing waits of what is `before` it.
///
/// QUIC sends the more urgent stream first of what it was given. But what it takes at all is bounded for the connection
/// as a whole, and a large frame must not take all of that, again and again, from an alert that waits to be given.
pub(super) async fn write(
    mut stream: SendStream,
    mut waiting: Waiting,
    before: Vec<Arc<Backlog>>,
    mut meter: Meter,
) -> StreamError {
    while let Some(mut frame) = waiting.frames.recv().await {
        while !frame.is_empty() {
            for backlog in &before {
                backlog.at_most(0).await;
            }
            let slice = frame.split_to(frame.len().min(meter.slice_bytes()));
            let length = slice.len();
            meter.turn(length).await;
            if let Err(error) = stream.write_chunk(slice).await {
                return error.into();
            }
            waiting.backlog.shrink(length);
        }
    }
    let _ = stream.finish();
    StreamError::Ended
}

/// The code and text with which the other side closed a connection, if it did.
pub(super) fn closed_by_peer(error: &quinn::ConnectionError) -> Option<(Code, String)> {
    let quinn::ConnectionError::ApplicationClosed(close) = error else {
        return None;
    };
    let number = u16::try_from(close.error_code.into_inner()).unwrap_or(0);
    let text: String = String::from_utf8_lossy(&close.reason).chars().filter(|c| !c.is_control()).take(300).collect();
    Some((Code::new(number), text))
}
