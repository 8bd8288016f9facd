//! Answers: JSON documents, lines and problems.

use std::{
    convert::Infallible,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    extract::{FromRequestParts, Query},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use mithaq_api::http::Problem;
use mithaq_core::code::Code;
use mithaq_store::StoreError;
use serde::{Serialize, de::DeserializeOwned};

/// The media type of lines of JSON.
const NDJSON: &str = "application/x-ndjson";

/// A problem as an HTTP answer.
#[derive(Debug)]
pub(crate) struct Failed(pub(crate) StatusCode, pub(crate) Problem);

impl Failed {
    /// A malformed request.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Problem::new(Code::BAD_REQUEST, message).into()
    }

    /// Nothing of that kind is held.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Problem::new(Code::NOT_FOUND, message).into()
    }
}

impl From<Problem> for Failed {
    fn from(problem: Problem) -> Self {
        let status = match problem.code.parse().unwrap_or(Code::INTERNAL) {
            Code::BAD_REQUEST | Code::SEARCH => StatusCode::BAD_REQUEST,
            Code::FOREIGN_CURSOR | Code::SEARCH_CURSOR => StatusCode::GONE,
            Code::NOT_FOUND | Code::NO_SUCH_PEER | Code::NO_COLLECTION => StatusCode::NOT_FOUND,
            Code::NOT_A_READER => StatusCode::FORBIDDEN,
            Code::NOT_ACCEPTABLE => StatusCode::NOT_ACCEPTABLE,
            Code::TOO_LARGE | Code::EXPORT_TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
            Code::READ_ONLY => StatusCode::METHOD_NOT_ALLOWED,
            Code::UNAUTHORISED => StatusCode::UNAUTHORIZED,
            Code::DISK_FULL => StatusCode::INSUFFICIENT_STORAGE,
            Code::CATCHING_UP | Code::TOO_MANY_READERS => StatusCode::SERVICE_UNAVAILABLE,
            Code::CORRUPT | Code::STORE | Code::OUTCOME_UNKNOWN | Code::INTERNAL => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self(status, problem)
    }
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed a local request");
        crate::push::store_problem(&error).into()
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        (self.0, json(&self.1)).into_response()
    }
}

/// The query of a request, read as `T`; a malformed one is answered with a problem.
pub(crate) struct Ask<T>(pub(crate) T);

impl<S: Sync, T: DeserializeOwned> FromRequestParts<S> for Ask<T> {
    type Rejection = Failed;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Failed> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Failed::bad_request(rejection.body_text())),
        }
    }
}

/// A JSON document.
pub(crate) fn json<T: Serialize>(value: &T) -> Response {
    // INVARIANT: the API's types have string keys alone, so they serialise.
    let mut text = serde_json::to_vec(value).unwrap_or_default();
    text.push(b'\n');
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Lines of JSON that are there already.
pub(crate) fn lines<T: Serialize>(values: impl IntoIterator<Item = T>) -> Response {
    let mut text = Vec::new();
    for value in values {
        write_line(&value, &mut text);
    }
    ([(header::CONTENT_TYPE, NDJSON)], text).into_response()
}

/// Appends a value as one line of JSON.
pub(crate) fn write_line<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    // INVARIANT: see `json`.
    let _ = serde_json::to_writer(&mut *out, value);
    out.push(b'\n');
}

/// Lines of JSON that come one by one, from a queue that is polled by `chunks`.
pub(crate) fn stream(mut chunks: impl FnMut(&mut Context<'_>) -> Poll<Option<Bytes>> + Send + 'static) -> Response {
    let chunks =
        futures_util::stream::poll_fn(move |context| chunks(context).map(|chunk| chunk.map(Ok::<_, Infallible>)));
    ([(header::CONTENT_TYPE, NDJSON)], Body::from_stream(chunks)).into_response()
}

/// Runs something that blocks, away from the tasks that must not.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failed> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| {
        Failed::from(Problem::new(Code::INTERNAL, "the request was not carried out: see the daemon's log"))
    })
}
