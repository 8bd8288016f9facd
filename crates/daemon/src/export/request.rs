//! An export as lines of the control socket.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use mithaq_api::export::{ExportLine, ExportQuery};
use tokio::{runtime::Handle, sync::mpsc};

use super::{ExportError, Output, Prepared};
use crate::{clock, node::Node};

/// How many bytes of text make a line.
const TEXT_BYTES: usize = 64 * 1024;

/// How many lines wait for a slow reader.
const LINES: usize = 4;

/// How long a reader may take for a line before it counts as gone: an export holds memory while it is read.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// Begins an export; what it answers with comes by the receiver. Only one export is made at a time.
pub(crate) async fn export(
    node: &Arc<Node>,
    query: ExportQuery,
    before: Option<Vec<u8>>,
) -> Result<mpsc::Receiver<Bytes>, ExportError> {
    let turn = node.exports.turn().await?;
    let worker = Arc::clone(node);
    let prepared =
        tokio::task::spawn_blocking(move || super::prepare(&worker, &query, before.as_deref(), clock::wall()));
    let prepared = prepared.await.map_err(|_| ExportError::Stopping)??;
    let (lines, receiver) = mpsc::channel(LINES);
    let node = Arc::clone(node);
    node.tasks.clone().spawn_blocking(move || {
        let mut answer = Answer { lines, text: String::new() };
        if let Err(error) = write(&node, &prepared, &mut answer) {
            // Whoever reads must not take for whole what is not; who is gone does not read it.
            let _ = answer.line(&ExportLine::Problem(error.problem()));
        }
        drop(turn);
    });
    Ok(receiver)
}

fn write(node: &Arc<Node>, prepared: &Prepared, answer: &mut Answer) -> Result<(), ExportError> {
    prepared.write(node, answer)?;
    answer.flush()?;
    answer.line(&ExportLine::Summary(prepared.summary.clone()))
}

/// The answer under way.
struct Answer {
    lines: mpsc::Sender<Bytes>,
    text: String,
}

impl Answer {
    fn line(&self, line: &ExportLine) -> Result<(), ExportError> {
        // INVARIANT: the API's types have string keys alone, so they serialise.
        let mut text = serde_json::to_vec(line).unwrap_or_default();
        text.push(b'\n');
        let sent = Handle::current().block_on(self.lines.send_timeout(text.into(), SILENCE_MAX));
        sent.map_err(|_| ExportError::NobodyListens)
    }

    fn flush(&mut self) -> Result<(), ExportError> {
        match std::mem::take(&mut self.text) {
            nothing if nothing.is_empty() => Ok(()),
            text => self.line(&ExportLine::Text(text)),
        }
    }
}

impl Output for Answer {
    fn begin(&mut self, name: &str) -> Result<(), ExportError> {
        self.flush()?;
        self.line(&ExportLine::File(name.to_owned()))
    }

    fn begin_state(&mut self) -> Result<(), ExportError> {
        self.flush()?;
        self.line(&ExportLine::State)
    }

    fn text(&mut self, text: &str) -> Result<(), ExportError> {
        self.text.push_str(text);
        if self.text.len() >= TEXT_BYTES { self.flush() } else { Ok(()) }
    }
}
