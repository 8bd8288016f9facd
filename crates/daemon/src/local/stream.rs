//! `GET /v1/stream`: the feed as lines of JSON or as server-sent events, resumable, waiting at the end if asked to.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderValue, header},
    response::Response,
};
use mithaq_api::http::{Problem, STREAM_WAIT_SECONDS_MAX, StreamQuery};
use mithaq_core::code::Code;

use super::{
    answer::{Failed, blocking},
    outlet::Outlet,
    siem::Delivery,
};
use crate::{
    feed::{self, CHUNK_ITEMS, Cursor, CursorError, Feed, Item, Place, Visibility, What},
    node::Node,
    steps::{self, Step},
    threads,
};

/// The cursor of what comes from now on.
const END: &str = "end";

/// How often a client of server-sent events is sent something, so that it and what lies between know that we are here.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The media type of server-sent events.
const EVENT_STREAM: &str = "text/event-stream";

/// How items are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A line of JSON each.
    Lines,
    /// A server-sent event each, with the cursor as its id.
    Events,
}

impl Form {
    /// The form that a client asks for.
    pub(super) fn asked_for(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut names = accepted.flat_map(|value| value.split(',')).filter_map(|range| range.split(';').next());
        if names.any(|name| name.trim().eq_ignore_ascii_case(EVENT_STREAM)) { Self::Events } else { Self::Lines }
    }

    fn write(self, node: &Node, items: &[Item], out: &mut Vec<u8>) {
        match self {
            Self::Lines => feed::write_lines(node, items, out),
            Self::Events => items.iter().for_each(|item| write_event(node, item, out)),
        }
    }
}

fn write_event(node: &Node, item: &Item, out: &mut Vec<u8>) {
    let (cursor, operation) = (Cursor::behind(node, item), feed::operation(&item.what));
    out.extend_from_slice(format!("id: {cursor}\nevent: {operation}\ndata: ").as_bytes());
    // A line of JSON has no line break but its last, so it is one line of data.
    feed::write_line(node, item, out);
    out.push(b'\n');
}

/// Answers a stream request for a reader with these rights.
pub(super) async fn stream(node: Arc<Node>, query: StreamQuery, visibility: Visibility) -> Result<Response, Failed> {
    Ok(answer(Reader::new(&node, query, visibility).await?, None))
}

/// Answers with what a reader reads.
pub(super) fn answer(reader: Reader, delivery: Option<Delivery>) -> Response {
    let (outlet, mut response) = Outlet::open(delivery.as_ref().map(|delivery| delivery.right().clone()));
    let (node, form) = (Arc::clone(&reader.node), reader.form);
    node.tasks.spawn(run(reader, delivery, outlet));
    if form == Form::Events {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(EVENT_STREAM));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

/// Where a query begins. Blocks.
fn place_of(node: &Node, feed: &mut Feed, cursor: Option<&str>) -> Result<Place, Failed> {
    let cursor: Cursor = match cursor {
        None => return Ok(Place::START),
        Some(END) => return Ok(Place::at(node.store.head() + 1, 0)),
        Some(text) => text.parse().map_err(cursor_problem)?,
    };
    cursor.place_for(feed)?.map_err(cursor_problem)
}

fn cursor_problem(error: CursorError) -> Failed {
    let code = match error {
        CursorError::Malformed => Code::BAD_REQUEST,
        CursorError::Foreign => Code::FOREIGN_CURSOR,
    };
    Problem::new(code, error.to_string()).into()
}

/// One reader of the stream.
pub(super) struct Reader {
    feed: Feed,
    node: Arc<Node>,
    place: Place,
    left: usize,
    wait: Duration,
    follow: bool,
    form: Form,
}

/// What was read of the stream.
struct Chunk {
    text: Vec<u8>,
    objects: usize,
    last_micros: Option<i64>,
}

impl Reader {
    /// A reader as a query asks for it.
    ///
    /// # Errors
    /// When the query is malformed, or its cursor cannot be used.
    pub(super) async fn new(node: &Arc<Node>, query: StreamQuery, visibility: Visibility) -> Result<Self, Failed> {
        if query.limit == Some(0) {
            return Err(Failed::bad_request("limit is 1 or more"));
        }
        let wait = query.wait.unwrap_or(0);
        if wait > STREAM_WAIT_SECONDS_MAX {
            return Err(Failed::bad_request(format!("wait is at most {STREAM_WAIT_SECONDS_MAX} seconds")));
        }
        let worker = Arc::clone(node);
        let mut feed = Feed::new(Arc::clone(node), visibility);
        let found = blocking(move || {
            let place = place_of(&worker, &mut feed, query.cursor.as_deref())?;
            Ok::<_, Failed>((feed, place))
        });
        let (feed, place) = found.await??;
        let left = query.limit.unwrap_or(usize::MAX);
        let (wait, follow) = (Duration::from_secs(wait), query.follow);
        Ok(Self { feed, node: Arc::clone(node), place, left, wait, follow, form: Form::Lines })
    }

    /// The same, in another form.
    pub(super) fn in_form(self, form: Form) -> Self {
        Self { form, ..self }
    }

    /// How long to wait at the end for something new; `None` to wait for ever.
    fn patience(&self, sent_any: bool) -> Option<Duration> {
        match (self.follow, sent_any) {
            (true, _) => None,
            (false, true) => Some(Duration::ZERO),
            (false, false) => Some(self.wait),
        }
    }

    /// Reads the next chunk, which is empty at the end of the feed.
    fn read(&mut self) -> Option<Chunk> {
        let chunk = threads::at_once(|| {
            let read = self.feed.read(self.place, self.left.min(CHUNK_ITEMS));
            read.map(|(mut items, mut next)| {
                if items.len() > self.left {
                    items.truncate(self.left);
                    next = items.last().map_or(next, Item::behind);
                }
                let mut text = Vec::with_capacity(size_of_lines(&items));
                self.form.write(&self.node, &items, &mut text);
                self.place = next;
                self.left -= items.len();
                // All of them are of one row.
                if let Some(item) = items.last() {
                    steps::passed(Step::Shown, item.release.row.release, items.len());
                }
                Chunk { text, objects: items.len(), last_micros: items.last().map(|item| item.added_micros) }
            })
        });
        match chunk? {
            Ok(chunk) => Some(chunk),
            Err(error) => {
                // The answer has begun, so all that can be done is to end it early; the cursor lets the reader go on.
                tracing::error!(%error, "a stream ends early: the store failed");
                None
            }
        }
    }
}

/// About how much the lines of items take.
fn size_of_lines(items: &[Item]) -> usize {
    /// What stands in a line beside the object.
    const HEAD_BYTES: usize = 512;
    let bytes = |item: &Item| if let What::Put(body) = &item.what { body.len() } else { 0 };
    items.iter().map(|item| HEAD_BYTES + bytes(item)).sum()
}

/// Sends what a reader reads, until its client hangs up, it has all that it asked for, or its rights change.
async fn run(mut reader: Reader, delivery: Option<Delivery>, outlet: Outlet) {
    let node = Arc::clone(&reader.node);
    let mut log = node.follow();
    let mut sent_any = false;
    loop {
        log.mark_unchanged();
        let Some(chunk) = reader.read() else { return };
        if chunk.objects > 0 {
            if !outlet.send(chunk.text.into()).await {
                return;
            }
            sent_any = true;
            delivery.iter().for_each(|delivery| delivery.note(chunk.objects, chunk.last_micros));
            if reader.left == 0 {
                return;
            }
            continue;
        }
        reader.feed.rest();
        let patience = reader.patience(sent_any);
        if patience == Some(Duration::ZERO) {
            return;
        }
        tokio::select! {
            changed = log.changed() => if changed.is_err() { return },
            () = pause(patience) => return,
            () = heartbeats(reader.form, &outlet) => return,
            () = node.shutdown.cancelled() => return,
            () = outlet.closed() => return,
        }
        // What came is told in one more pass; then the answer ends, unless it is followed.
        reader.wait = Duration::ZERO;
    }
}

/// Sleeps for so long, or for ever.
async fn pause(patience: Option<Duration>) {
    match patience {
        Some(patience) => tokio::time::sleep(patience).await,
        None => std::future::pending().await,
    }
}

/// Sends a comment now and then to clients that have to know that we are here; ends when the client is gone.
async fn heartbeats(form: Form, outlet: &Outlet) {
    if form == Form::Lines {
        return std::future::pending().await;
    }
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        if !outlet.send(Bytes::from_static(b": still here\n\n")).await {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_for_those_who_ask_for_them() {
        let check = |accept: &'static str, expect| {
            let headers = [(header::ACCEPT, HeaderValue::from_static(accept))].into_iter().collect();
            assert_eq!(Form::asked_for(&headers), expect, "{accept}");
        };
        check("text/event-stream", Form::Events);
        check("application/json, Text/Event-Stream;q=0.9", Form::Events);
        check("*/*", Form::Lines);
        check("application/x-ndjson", Form::Lines);
        assert_eq!(Form::asked_for(&HeaderMap::new()), Form::Lines);
    }
}
