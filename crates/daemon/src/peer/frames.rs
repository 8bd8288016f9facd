//! Frames on QUIC streams: a varint length, then the frame; a unidirectional stream begins with its channel's number.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use bytes::{Buf, Bytes, BytesMut};
use mithaq_core::code::Code;
use mithaq_sync::{Channel, Fault, wire::frame_length};
use quinn::{RecvStream, SendStream};
use tokio::sync::mpsc;

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

/// The number by which a unidirectional stream names its channel.
pub(super) fn channel_number(channel: Channel) -> u8 {
    match channel {
        Channel::Control => 0,
        Channel::Live => 1,
        Channel::Backfill => 2,
    }
}

/// How urgent a channel is among the streams of a connection; the greater the sooner.
pub(super) fn priority(channel: Channel) -> i32 {
    -i32::from(channel_number(channel))
}

/// Reads the number of the channel that a unidirectional stream carries.
pub(super) async fn read_channel(stream: &mut RecvStream) -> Result<u8, StreamError> {
    let mut number = [0];
    match stream.read_exact(&mut number).await {
        Ok(()) => Ok(number[0]),
        Err(quinn::ReadExactError::FinishedEarly(_)) => Err(StreamError::Ended),
        Err(quinn::ReadExactError::ReadError(error)) => Err(error.into()),
    }
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

/// Frames that wait to be written to a stream.
#[derive(Debug)]
pub(super) struct Queue {
    frames: mpsc::UnboundedSender<Bytes>,
    bytes: Arc<AtomicUsize>,
}

/// The other end of a [`Queue`].
#[derive(Debug)]
pub(super) struct Waiting {
    frames: mpsc::UnboundedReceiver<Bytes>,
    bytes: Arc<AtomicUsize>,
}

/// A queue of frames.
pub(super) fn queue() -> (Queue, Waiting) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let bytes = Arc::new(AtomicUsize::new(0));
    (Queue { frames: sender, bytes: Arc::clone(&bytes) }, Waiting { frames: receiver, bytes })
}

impl Queue {
    /// Adds a frame; if the stream has ended, the pump is about to hear why.
    pub(super) fn send(&self, frame: Bytes) {
        self.bytes.fetch_add(frame.len(), Ordering::Relaxed);
        let _ = self.frames.send(frame);
    }

    /// How many bytes wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Writes frames to a stream until the session ends.
pub(super) async fn write(mut stream: SendStream, mut waiting: Waiting) -> StreamError {
    while let Some(frame) = waiting.frames.recv().await {
        let length = frame.len();
        if let Err(error) = stream.write_chunk(frame).await {
            return error.into();
        }
        waiting.bytes.fetch_sub(length, Ordering::Relaxed);
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
