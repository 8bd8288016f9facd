//! The SIEM sockets: the stream, snapshots and TAXII 2.1, with what the reader's collections show, and the way back for
//! what was seen.

use std::{path::Path, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::{Extension, State},
    http::{HeaderMap, HeaderValue, header},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use mithaq_api::{
    http::{Problem, SnapshotQuery, StreamQuery},
    sighting::SightingsQuery,
};
use mithaq_core::code::Code;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    access::{Access, Rights},
    answer::{self, Ask, Failed, blocking},
    outlet::Right,
    sightings, snapshot,
    stream::{self, Form, Reader},
};
use crate::{
    collections::{Collection, STREAMS_AT_ONCE_MAX},
    node::Node,
    restored,
};

/// Where everything is that a collection shows now.
const SNAPSHOT: &str = "/v1/snapshot";

/// How many seconds a reader is told to wait that is one too many.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("30");

/// The header by which clients of server-sent events go on.
const LAST_EVENT_ID: &str = "last-event-id";

/// The routes of a SIEM socket, behind whoever gives readers their rights.
///
/// Some clients ask for the socket's own path (`http+unix:///path`), so that path is an alias of the collection's
/// objects.
pub(super) fn router(node: Arc<Node>, socket: Option<&Path>) -> Router {
    let streams = Router::new()
        .route("/v1/stream", get(read_stream))
        .route(SNAPSHOT, get(read_snapshot))
        .route("/v1/sightings", post(report))
        .with_state(Arc::clone(&node));
    let gate = middleware::from_fn_with_state(Arc::clone(&node), restored::check);
    super::taxii::router(node, socket).merge(streams).layer(gate)
}

/// Who is given what, for as long as it is being read.
pub(super) struct Delivery {
    node: Arc<Node>,
    right: Right,
    reader: Arc<str>,
    /// The place among all streams that are served at once.
    _place: Option<OwnedSemaphorePermit>,
}

impl Delivery {
    /// A reader that has no place among the streams.
    pub(super) fn new(node: Arc<Node>, right: Right, reader: Arc<str>) -> Self {
        Self { node, right, reader, _place: None }
    }

    /// A reader with a place among the streams, if one is left.
    fn begin(node: &Arc<Node>, access: Access, collection: Arc<Collection>) -> Option<Self> {
        let place = Arc::clone(&node.collections.streams).try_acquire_owned().ok()?;
        let right = Right { collection, lease: access.lease };
        let delivery = Self::new(Arc::clone(node), right, access.reader);
        Some(Self { _place: Some(place), ..delivery })
    }

    /// The collection that is read.
    pub(super) fn collection(&self) -> &Arc<Collection> {
        &self.right.collection
    }

    /// The right by which it is read.
    pub(super) fn right(&self) -> &Right {
        &self.right
    }

    /// Notes that the reader was given so many objects, the last of which was added then.
    pub(super) fn note(&self, objects: usize, last_micros: Option<i64>) {
        self.node.collections.deliveries.note(&self.right.collection.name, &self.reader, objects, last_micros);
    }
}

fn too_many() -> Response {
    let text = format!("{STREAMS_AT_ONCE_MAX} streams are being read, and no more are served at once: try again later");
    let refusal = Failed::from(Problem::new(Code::TOO_MANY_READERS, text));
    ([(header::RETRY_AFTER, RETRY_AFTER)], refusal).into_response()
}

async fn read_stream(
    State(node): State<Arc<Node>>,
    Extension(access): Rights,
    headers: HeaderMap,
    Ask(mut query): Ask<StreamQuery>,
) -> Result<Response, Response> {
    let collection = access.pick(query.collection.as_deref()).map_err(IntoResponse::into_response)?;
    let form = Form::asked_for(&headers);
    if form == Form::Events {
        // A client that lost its connection asks for the URL that it began with, and says in the header where it was.
        let last = headers.get(LAST_EVENT_ID).and_then(|value| value.to_str().ok()).filter(|id| !id.is_empty());
        query.cursor = last.map(str::to_owned).or(query.cursor);
        query.follow = true;
    }
    let visibility = collection.visibility.clone();
    let reader = Reader::new(&node, query, visibility).await.map_err(refuse)?;
    let delivery = Delivery::begin(&node, access, collection).ok_or_else(too_many)?;
    Ok(stream::answer(reader.in_form(form), Some(delivery)))
}

/// A refusal; a cursor that cannot be used comes with the way to begin anew.
fn refuse(failed: Failed) -> Response {
    if failed.1.code != Code::FOREIGN_CURSOR.to_string() {
        return failed.into_response();
    }
    let Failed(status, Problem { code, message }) = failed;
    let body = answer::json(&json!({ "code": code, "message": message, "snapshot": SNAPSHOT }));
    let link = HeaderValue::from_static("</v1/snapshot>; rel=\"latest-version\"");
    (status, [(header::LINK, link)], body).into_response()
}

async fn read_snapshot(
    State(node): State<Arc<Node>>,
    Extension(access): Rights,
    headers: HeaderMap,
    Ask(query): Ask<SnapshotQuery>,
) -> Result<Response, Response> {
    let collection = access.pick(query.collection.as_deref()).map_err(IntoResponse::into_response)?;
    let delivery = Delivery::begin(&node, access, Arc::clone(&collection)).ok_or_else(too_many)?;
    let worker = Arc::clone(&node);
    let newest = blocking(move || collection.newest(&worker)).await.map_err(IntoResponse::into_response)?;
    let newest = newest.map_err(|error| Failed::from(error).into_response())?;
    Ok(snapshot::answer(node, delivery, newest, &headers))
}

/// What the SIEM saw of what it is shown.
async fn report(
    State(node): State<Arc<Node>>,
    Extension(access): Rights,
    Ask(query): Ask<SightingsQuery>,
    body: Body,
) -> Result<Response, Failed> {
    let visibility = access.pick(query.collection.as_deref())?.visibility.clone();
    sightings::report(node, visibility, query, body).await
}
