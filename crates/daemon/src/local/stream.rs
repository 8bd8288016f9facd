//! `GET /v1/stream`: the feed as lines of JSON, resumable, waiting at the end if asked to.

use std::{sync::Arc, time::Duration};

use axum::{body::Bytes, response::Response};
use mithaq_api::http::{Problem, STREAM_WAIT_SECONDS_MAX, StreamQuery};
use mithaq_core::code::Code;
use tokio::sync::mpsc;

use super::answer::{self, Failed};
use crate::{
    feed::{self, Cursor, CursorError, Feed, Place, Visibility},
    node::Node,
    steps::{self, Step},
};

/// How many chunks wait for a slow reader; the feed is read no further until it takes one.
const CHUNKS: usize = 2;

/// The cursor of what comes from now on.
const END: &str = "end";

/// How many items make a chunk.
const CHUNK_ITEMS: usize = 1_000;

/// Answers a stream request for a reader with these rights.
pub(super) async fn stream(node: Arc<Node>, query: StreamQuery, visibility: Visibility) -> Result<Response, Failed> {
    let place = match query.cursor.as_deref() {
        None => Place::START,
        Some(END) => Place { row: node.store.head() + 1, position: 0 },
        Some(text) => text.parse::<Cursor>().and_then(|cursor| cursor.place(&node)).map_err(cursor_problem)?,
    };
    if query.limit == Some(0) {
        return Err(Failed::bad_request("limit is 1 or more"));
    }
    let wait = query.wait.unwrap_or(0);
    if wait > STREAM_WAIT_SECONDS_MAX {
        return Err(Failed::bad_request(format!("wait is at most {STREAM_WAIT_SECONDS_MAX} seconds")));
    }
    let (chunks, mut receiver) = mpsc::channel(CHUNKS);
    let reader = Reader {
        feed: Feed::new(Arc::clone(&node), visibility),
        node: Arc::clone(&node),
        place,
        left: query.limit.unwrap_or(usize::MAX),
        wait: Duration::from_secs(wait),
        follow: query.follow,
        chunks,
    };
    node.tasks.spawn(reader.run());
    Ok(answer::stream(move |context| receiver.poll_recv(context)))
}

fn cursor_problem(error: CursorError) -> Failed {
    let code = match error {
        CursorError::Malformed => Code::BAD_REQUEST,
        CursorError::Foreign => Code::FOREIGN_CURSOR,
    };
    Problem::new(code, error.to_string()).into()
}

/// One reader of the stream.
struct Reader {
    feed: Feed,
    node: Arc<Node>,
    place: Place,
    left: usize,
    wait: Duration,
    follow: bool,
    chunks: mpsc::Sender<Bytes>,
}

impl Reader {
    async fn run(mut self) {
        let mut log = self.node.follow();
        let shutdown = self.node.shutdown.clone();
        let closed = self.chunks.clone();
        let mut sent_any = false;
        loop {
            log.mark_unchanged();
            let Some((mut reader, more)) = self.pass_on().await else {
                return;
            };
            sent_any |= more;
            if reader.left == 0 {
                return;
            }
            if !more {
                let patience = match (reader.follow, sent_any) {
                    (true, _) => None,
                    (false, true) => return,
                    (false, false) => Some(reader.wait),
                };
                tokio::select! {
                    changed = log.changed() => if changed.is_err() { return },
                    () = pause(patience) => return,
                    () = shutdown.cancelled() => return,
                    () = closed.closed() => return,
                }
                // What came is told in one more pass; then the answer ends, unless it is followed.
                reader.wait = Duration::ZERO;
            }
            self = reader;
        }
    }

    /// Sends the next chunk; says whether there was one. `None` if the reader is gone or the store fails.
    async fn pass_on(mut self) -> Option<(Self, bool)> {
        let read = tokio::task::spawn_blocking(move || {
            let limit = self.left.min(CHUNK_ITEMS);
            let read = self.feed.read(self.place, limit);
            let mut text = Vec::new();
            let read = read.map(|(items, next)| {
                feed::write_lines(&self.node, &items, &mut text);
                self.place = next;
                self.left -= items.len();
                // All of them are of one release.
                items.first().map(|item| (item.release.row.release, items.len()))
            });
            (self, read, text)
        });
        let (reader, read, text) = read.await.ok()?;
        let shown = read.as_ref().ok().copied().flatten();
        if let Err(error) = read {
            // The answer has begun, so all that can be done is to end it early; the cursor lets the reader go on.
            tracing::error!(%error, "a stream ends early: the store failed");
            return None;
        }
        let more = !text.is_empty();
        if more {
            reader.chunks.send(text.into()).await.ok()?;
            shown.iter().for_each(|(release, objects)| steps::passed(Step::Shown, *release, *objects));
        }
        Some((reader, more))
    }
}

/// Sleeps for so long, or for ever.
async fn pause(patience: Option<Duration>) {
    match patience {
        Some(patience) => tokio::time::sleep(patience).await,
        None => std::future::pending().await,
    }
}
