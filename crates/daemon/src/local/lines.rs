//! `NAME.lines.sock`: the stream for programs that connect and only read, such as Logstash.
//!
//! Such a program cannot say where it was, so the daemon remembers. What it has written may still have lain unread in the
//! system's buffer when the program died, so it goes on [`SLACK_BYTES`] before what it wrote last: a program may see lines
//! twice, with the same `cursor`, and misses none.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use mithaq_store::{Batch, StateChange, StoreError};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, Interest},
    net::{UnixListener, UnixStream},
};
use tokio_util::sync::CancellationToken;

use super::{access::Peer, outlet::Right, siem::Delivery};
use crate::{
    collections::Collection,
    feed::{CHUNK_ITEMS, Cursor, Feed, Item, Place, write_line},
    node::Node,
};

/// Before the key of where a collection's lines go on: its name.
const RESUME: &[u8] = b"ln/";

/// How much may lie unread in a socket: more than Linux lets a unix socket hold unless told otherwise (212,992 bytes).
const SLACK_BYTES: usize = 256 * 1024;

/// How often where to go on is written down, at most.
const KEEP: Duration = Duration::from_secs(1);

/// How long to wait before the next program is listened to, after a failure.
const FAILED_WAIT: Duration = Duration::from_secs(1);

/// Serves one program at a time until the socket ends; another one that connects meanwhile waits for its turn.
pub(super) async fn serve(node: Arc<Node>, listener: UnixListener, collection: String, end: CancellationToken) {
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted,
            () = end.cancelled() => return,
        };
        let served = match stream {
            Ok((stream, _)) => tokio::select! {
                served = write_to(&node, stream, &collection) => served,
                () = end.cancelled() => return,
            },
            Err(error) => {
                tracing::error!(%error, collection, "a socket for lines failed; trying again");
                tokio::time::sleep(FAILED_WAIT).await;
                continue;
            }
        };
        if let Err(error) = served {
            tracing::error!(%error, collection, "lines end early: the store failed");
            tokio::time::sleep(FAILED_WAIT).await;
        }
    }
}

/// Writes lines to one program until it hangs up.
async fn write_to(node: &Arc<Node>, mut stream: UnixStream, name: &str) -> Result<(), StoreError> {
    let peer = Peer::of(&stream);
    let collection = node.collections.named(name).filter(|collection| peer.may_read(collection));
    let Some(collection) = collection.filter(|_| !node.gate.is_closed()) else { return Ok(()) };
    let right = Right { collection: Arc::clone(&collection), lease: None };
    let delivery = Delivery::new(Arc::clone(node), right, peer.reader().into());
    let mut writer = Writer::open(Arc::clone(node), &collection).await?;
    let mut log = node.follow();
    loop {
        log.mark_unchanged();
        let lines;
        (writer, lines) = writer.read().await?;
        if lines.is_empty() {
            writer.feed.rest();
            writer = writer.keep().await?;
            tokio::select! {
                changed = log.changed() => if changed.is_err() { return Ok(()) },
                () = delivery.right().ended() => return Ok(()),
                () = hang_up(&mut stream) => return Ok(()),
            }
            continue;
        }
        let (count, last) = (lines.len(), lines.last().map(|line| line.added_micros));
        for line in lines {
            let written = tokio::select! {
                // Before anything is written: not one line more once the reader may read no more.
                biased;
                () = delivery.right().ended() => false,
                written = stream.write_all(&line.text) => written.is_ok(),
            };
            if !written {
                return writer.keep().await.map(drop);
            }
            writer.note(line);
        }
        delivery.note(count, last);
        if writer.kept_at.elapsed() >= KEEP {
            writer = writer.keep().await?;
        }
    }
}

/// Ends when the program has hung up; what it sends is not for us.
async fn hang_up(stream: &mut UnixStream) {
    let mut nothing = [0; 64];
    while stream.ready(Interest::READABLE).await.is_ok() {
        if !matches!(stream.read(&mut nothing).await, Ok(1..)) {
            return;
        }
    }
}

/// A line that is to be written.
struct Line {
    text: Vec<u8>,
    cursor: Cursor,
    added_micros: i64,
}

/// Where a collection's lines are, and from where they go on with the next program.
struct Writer {
    node: Arc<Node>,
    feed: Feed,
    key: Vec<u8>,
    place: Place,
    /// What was written last and may lie unread: the size of each line and the cursor behind it.
    unread: VecDeque<(usize, Cursor)>,
    unread_bytes: usize,
    /// Behind the last line that was read for certain, if that is not written down yet.
    resume: Option<Cursor>,
    kept_at: tokio::time::Instant,
}

impl Writer {
    async fn open(node: Arc<Node>, collection: &Collection) -> Result<Self, StoreError> {
        let feed = Feed::new(Arc::clone(&node), collection.visibility.clone());
        let key = [RESUME, collection.name.as_bytes()].concat();
        let open = move || {
            let kept = node.store.state(&key)?.and_then(|value| String::from_utf8(value).ok()?.parse::<Cursor>().ok());
            let place = match kept {
                Some(cursor) => cursor.place(&node)?.unwrap_or(Place::START),
                None => Place::START,
            };
            let (unread, kept_at) = (VecDeque::new(), tokio::time::Instant::now());
            Ok(Self { node, feed, key, place, unread, unread_bytes: 0, resume: None, kept_at })
        };
        blocking(open).await
    }

    /// Reads the next lines; none at the end of the feed.
    async fn read(mut self) -> Result<(Self, Vec<Line>), StoreError> {
        blocking(move || {
            let (items, next) = self.feed.read(self.place, CHUNK_ITEMS)?;
            self.place = next;
            let lines = items.iter().map(|item| Line::of(&self.node, item)).collect();
            Ok((self, lines))
        })
        .await
    }

    /// Notes that a line was written.
    fn note(&mut self, line: Line) {
        self.unread_bytes += line.text.len();
        self.unread.push_back((line.text.len(), line.cursor));
        while let Some((bytes, _)) = self.unread.front()
            && self.unread_bytes - bytes >= SLACK_BYTES
        {
            self.unread_bytes -= bytes;
            self.resume = self.unread.pop_front().map(|(_, cursor)| cursor);
        }
    }

    /// Writes down where to go on, if that has changed.
    async fn keep(mut self) -> Result<Self, StoreError> {
        self.kept_at = tokio::time::Instant::now();
        let Some(cursor) = self.resume.take() else { return Ok(self) };
        blocking(move || {
            let state = vec![StateChange::set(self.key.clone(), cursor.to_string().into_bytes())];
            self.node.commit(Batch { state, ..Batch::default() })?;
            Ok(self)
        })
        .await
    }
}

impl Line {
    fn of(node: &Node, item: &Item) -> Self {
        let mut text = Vec::new();
        write_line(node, item, &mut text);
        Self { text, cursor: Cursor::behind(node, item), added_micros: item.added_micros }
    }
}

/// Runs something that blocks, away from the tasks that must not.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(StoreError::Misuse { what: "a reader of lines failed: see the log".into() }))
}
