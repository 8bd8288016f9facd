//! `GET /v1/snapshot`: what a collection shows now, each object once and in its newest version, and the cursor with which
//! the stream goes on from there.

use std::sync::Arc;

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mithaq_core::stix::object::Object;
use mithaq_store::StoreError;
use serde_json::json;

use super::{answer, outlet::Outlet, siem::Delivery};
use crate::{
    feed::{CHUNK_ITEMS, Cursor, Feed, Item, Place, What, is_revoked, write_line},
    node::Node,
};

/// Answers with what the collection shows up to the newest item, which also names the answer: the same again is not sent
/// to whoever has it.
pub(super) fn answer(node: Arc<Node>, delivery: Delivery, newest: Option<Cursor>, headers: &HeaderMap) -> Response {
    let newest = newest.unwrap_or_else(|| Cursor::start(&node));
    let etag = format!("\"{}-{newest}\"", delivery.collection().visibility.tag());
    // INVARIANT: digits, letters and hyphens make a header.
    let value = HeaderValue::from_str(&etag).unwrap_or_else(|_| HeaderValue::from_static("\"\""));
    let known = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let mut known = known.flat_map(|value| value.split(',')).map(|tag| tag.trim().trim_start_matches("W/"));
    if known.any(|tag| tag == etag || tag == "*") {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, value)]).into_response();
    }
    let (outlet, mut response) = Outlet::open(Some(delivery.right().clone()));
    let feed = Feed::new(Arc::clone(&node), delivery.collection().visibility.clone());
    let snapshot = Snapshot { feed, node: Arc::clone(&node), place: Place::START, newest, objects: 0 };
    node.tasks.spawn(run(snapshot, delivery, outlet));
    response.headers_mut().insert(header::ETAG, value);
    response
}

/// A snapshot that is being read.
struct Snapshot {
    feed: Feed,
    node: Arc<Node>,
    place: Place,
    /// The cursor behind the last item that belongs to it.
    newest: Cursor,
    objects: usize,
}

async fn run(mut snapshot: Snapshot, delivery: Delivery, outlet: Outlet) {
    let node = Arc::clone(&snapshot.node);
    loop {
        let read = tokio::task::spawn_blocking(move || {
            let read = snapshot.read();
            (snapshot, read)
        });
        let Ok((back, read)) = read.await else { return };
        snapshot = back;
        let (text, is_over) = match read {
            Ok(read) => read,
            Err(error) => {
                // Without the last line, the reader knows that it is not whole.
                tracing::error!(%error, "a snapshot ends early: the store failed");
                return;
            }
        };
        let sent = tokio::select! {
            sent = outlet.send(text.into()) => sent,
            () = node.shutdown.cancelled() => false,
        };
        if !sent {
            return;
        }
        if is_over {
            return delivery.note(snapshot.objects, None);
        }
    }
}

impl Snapshot {
    /// The lines of the next items, and whether they are the last. Blocks.
    fn read(&mut self) -> Result<(Vec<u8>, bool), StoreError> {
        let (mut text, end) = (Vec::new(), self.newest.place(&self.node)?);
        // A store that was given out a cursor of has not lost it meanwhile.
        let end = end.unwrap_or(Place::START);
        while text.is_empty() {
            let (items, next) = self.feed.read(self.place, CHUNK_ITEMS)?;
            let is_over = items.is_empty() || next > end;
            for item in items {
                if item.behind() <= end && self.is_current(&item)? {
                    write_line(&self.node, &item, &mut text);
                    self.objects += 1;
                }
            }
            self.place = next;
            if is_over {
                answer::write_line(&json!({ "cursor": self.newest.to_string(), "op": "end" }), &mut text);
                return Ok((text, true));
            }
        }
        Ok((text, false))
    }

    /// Whether the item's object counts now: not revoked, not over, and in its newest version.
    fn is_current(&mut self, item: &Item) -> Result<bool, StoreError> {
        let What::Put(body) = &item.what else { return Ok(false) };
        if is_revoked(body) || self.feed.is_over(item)? {
            return Ok(false);
        }
        let stix_id = Object::parse(body).map(|object| object.id().as_str().to_owned()).unwrap_or_default();
        Ok(!self.feed.is_outdated(&stix_id, item.content)?)
    }
}
