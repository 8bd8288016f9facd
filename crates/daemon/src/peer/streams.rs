//! The streams of a session: ours, on which frames wait by their channel, and the peer's, whose frames come in by the
//! class that they are handled in. A unidirectional stream begins with its channel's number.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use mithaq_sync::{Channel, Fault};
use quinn::{Connection, ConnectionError, RecvStream, SendStream};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    congestion::Pace,
    driver::End,
    endpoint::HANDSHAKE_TIMEOUT,
    frames::{self, Queue, StreamError},
    meter::Meter,
};

/// How many streams we send on.
const CHANNELS: usize = 4;

/// Frames of the control stream, and of the urgent and live ones together, that wait to be handled; a full queue holds
/// up the streams, and so the peer.
const FRAMES: usize = 64;

/// Frames of the backfill stream that wait to be handled: they are large, and come last.
const BACKFILL_FRAMES: usize = 2;

/// How long the reason for the end of a stream may take to arrive.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// Frames of the peer, in the order in which they are handled.
pub(super) struct Arrived {
    pub(super) control: mpsc::Receiver<Bytes>,
    pub(super) prompt: mpsc::Receiver<Bytes>,
    pub(super) backfill: mpsc::Receiver<Bytes>,
}

/// The streams of a session, each with a task of its own.
pub(super) struct Streams {
    /// The first to be dropped: nothing more goes out then.
    tasks: JoinSet<StreamError>,
    queues: [Queue; CHANNELS],
    /// Where the frames of the peer's unidirectional streams go.
    prompt: mpsc::Sender<Bytes>,
    backfill: mpsc::Sender<Bytes>,
}

impl Streams {
    /// Opens our streams, and reads the control stream alone.
    pub(super) async fn open(connection: &Connection, dialled: bool, pace: &Arc<Pace>) -> Result<(Self, Arrived), End> {
        let opening = open_all(connection, dialled);
        let opened = tokio::time::timeout(HANDSHAKE_TIMEOUT, opening).await.map_err(|_| End::NoStream)?;
        let (sends, control) = opened.map_err(End::lost)?;
        let mut tasks = JoinSet::new();
        let mut before = Vec::new();
        let queues = sends.map(|stream| {
            let (queue, waiting) = frames::queue();
            // The last of them carries bulk.
            let meter = if before.len() + 1 == CHANNELS { Meter::new(Arc::clone(pace)) } else { Meter::none() };
            tasks.spawn(frames::write(stream, waiting, before.clone(), meter));
            before.push(Arc::clone(queue.backlog()));
            queue
        });
        let (control_in, control_frames) = mpsc::channel(FRAMES);
        let (prompt_in, prompt_frames) = mpsc::channel(FRAMES);
        let (backfill_in, backfill_frames) = mpsc::channel(BACKFILL_FRAMES);
        tasks.spawn(frames::read(control, control_in));
        let arrived = Arrived { control: control_frames, prompt: prompt_frames, backfill: backfill_frames };
        Ok((Self { tasks, queues, prompt: prompt_in, backfill: backfill_in }, arrived))
    }

    /// Where frames of a channel wait to be sent.
    pub(super) fn queue(&self, channel: Channel) -> &Queue {
        &self.queues[usize::from(number(channel))]
    }

    /// Reads the other streams too, now that frames on them have a meaning.
    pub(super) fn read_all(&mut self, connection: Connection) {
        let (prompt, backfill) = (self.prompt.clone(), self.backfill.clone());
        self.tasks.spawn(async move {
            let mut readers = JoinSet::new();
            loop {
                tokio::select! {
                    stream = connection.accept_uni() => {
                        let Ok(stream) = stream else { return StreamError::Ended };
                        readers.spawn(read_uni(stream, prompt.clone(), backfill.clone()));
                    }
                    Some(ended) = readers.join_next() => return ended.unwrap_or(StreamError::Ended),
                }
            }
        });
    }

    /// Waits until one of the streams ends.
    pub(super) async fn ended(&mut self) -> StreamError {
        self.tasks.join_next().await.and_then(Result::ok).unwrap_or(StreamError::Ended)
    }
}

/// Why a stream ended: most often the connection is being closed, and says why a moment later.
pub(super) async fn why_ended(connection: &Connection, ended: StreamError) -> End {
    if let StreamError::Fault(fault) = ended {
        return End::Fault(fault);
    }
    match tokio::time::timeout(CLOSE_GRACE, connection.closed()).await {
        Ok(reason) => End::lost(reason),
        Err(_) => End::Fault(Fault::Misbehaved("a stream that ended")),
    }
}

/// The number by which a unidirectional stream names its channel.
fn number(channel: Channel) -> u8 {
    match channel {
        Channel::Control => 0,
        Channel::Urgent => 1,
        Channel::Live => 2,
        Channel::Backfill => 3,
    }
}

/// How urgent a channel is among the streams of a connection; the greater the sooner.
fn priority(channel: Channel) -> i32 {
    -i32::from(number(channel))
}

/// Opens our streams: the dialling side opens the control stream, the other takes it.
async fn open_all(
    connection: &Connection,
    dialled: bool,
) -> Result<([SendStream; CHANNELS], RecvStream), ConnectionError> {
    let (control, receive) = if dialled { connection.open_bi().await? } else { connection.accept_bi().await? };
    let urgent = open_uni(connection, Channel::Urgent).await?;
    let live = open_uni(connection, Channel::Live).await?;
    let backfill = open_uni(connection, Channel::Backfill).await?;
    let _ = control.set_priority(priority(Channel::Control));
    Ok(([control, urgent, live, backfill], receive))
}

async fn open_uni(connection: &Connection, channel: Channel) -> Result<SendStream, ConnectionError> {
    let mut stream = connection.open_uni().await?;
    let _ = stream.set_priority(priority(channel));
    match stream.write_all(&[number(channel)]).await {
        Err(quinn::WriteError::ConnectionLost(error)) => Err(error),
        _ => Ok(stream),
    }
}

/// Passes on the frames of a stream of the peer, by the channel that it names.
async fn read_uni(mut stream: RecvStream, prompt: mpsc::Sender<Bytes>, backfill: mpsc::Sender<Bytes>) -> StreamError {
    match read_number(&mut stream).await {
        Ok(1 | 2) => frames::read(stream, prompt).await,
        Ok(3) => frames::read(stream, backfill).await,
        Ok(_) => Fault::Misbehaved("a stream of an unknown channel").into(),
        Err(error) => error,
    }
}

async fn read_number(stream: &mut RecvStream) -> Result<u8, StreamError> {
    let mut number = [0];
    match stream.read_exact(&mut number).await {
        Ok(()) => Ok(number[0]),
        Err(quinn::ReadExactError::FinishedEarly(_)) => Err(StreamError::Ended),
        Err(quinn::ReadExactError::ReadError(error)) => Err(error.into()),
    }
}
