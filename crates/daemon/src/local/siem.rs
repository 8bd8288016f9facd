//! The SIEM socket: the stream and TAXII 2.1, with what the collection may see, and the way back for what was seen.

use std::{path::Path, sync::Arc};

use axum::{
    Router,
    body::Body,
    extract::State,
    middleware,
    response::Response,
    routing::{get, post},
};
use mithaq_api::{http::StreamQuery, sighting::SightingsQuery};

use super::{
    answer::{Ask, Failed},
    sightings, stream,
};
use crate::{feed::Visibility, node::Node, restored};

/// The routes of a SIEM socket.
///
/// Some clients ask for the socket's own path (`http+unix:///path`), so that path is an alias of the collection's
/// objects.
pub(super) fn router(node: Arc<Node>, socket: Option<&Path>) -> Router {
    let stream = Router::new()
        .route("/v1/stream", get(read_stream))
        .route("/v1/sightings", post(report))
        .with_state(Arc::clone(&node));
    let gate = middleware::from_fn_with_state(Arc::clone(&node), restored::check);
    super::taxii::router(node, socket).merge(stream).layer(gate)
}

/// What the default collection shows.
pub(super) fn visibility(node: &Node) -> Visibility {
    Visibility { tlp_max: node.config.siem.tlp_max }
}

async fn read_stream(State(node): State<Arc<Node>>, Ask(query): Ask<StreamQuery>) -> Result<Response, Failed> {
    let visibility = visibility(&node);
    stream::stream(node, query, visibility).await
}

/// What the SIEM saw of what it is shown.
async fn report(
    State(node): State<Arc<Node>>,
    Ask(query): Ask<SightingsQuery>,
    body: Body,
) -> Result<Response, Failed> {
    let visibility = visibility(&node);
    sightings::report(node, visibility, query, body).await
}
