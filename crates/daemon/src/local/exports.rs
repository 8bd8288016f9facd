//! `/v1/export` on the control socket.

use axum::{body::Body, extract::State, response::Response};
use futures_util::StreamExt;
use mithaq_api::{
    export::{EXPORT_STATE_BYTES_MAX, ExportQuery},
    http::Problem,
};
use mithaq_core::code::Code;

use super::{
    answer::{self, Ask, Failed},
    control::Control,
};
use crate::export;

/// Gives an export that knows of none before.
pub(super) async fn export(State(control): State<Control>, Ask(query): Ask<ExportQuery>) -> Result<Response, Failed> {
    answer(&control, query, None).await
}

/// Gives an export that is told the state of the one before.
pub(super) async fn export_since(
    State(control): State<Control>,
    Ask(query): Ask<ExportQuery>,
    body: Body,
) -> Result<Response, Failed> {
    let mut state = Vec::new();
    let mut body = body.into_data_stream();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Failed::bad_request(format!("the state broke off: {error}")))?;
        if state.len() + chunk.len() > EXPORT_STATE_BYTES_MAX {
            let message = format!("a state has at most {EXPORT_STATE_BYTES_MAX} bytes");
            return Err(Problem::new(Code::TOO_LARGE, message).into());
        }
        state.extend_from_slice(&chunk);
    }
    answer(&control, query, Some(state)).await
}

async fn answer(control: &Control, query: ExportQuery, before: Option<Vec<u8>>) -> Result<Response, Failed> {
    let begun = export::export(&control.node, query, before).await;
    let mut lines = begun.map_err(|error| error.problem())?;
    Ok(answer::stream(move |context| lines.poll_recv(context)))
}
