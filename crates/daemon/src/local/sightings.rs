//! `POST /v1/sightings`: what a SIEM or an analyst saw.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    body::{Body, to_bytes},
    response::Response,
};
use mithaq_api::{
    http::Problem,
    sighting::{SIGHTING_BYTES_MAX, SightingLine, SightingReport, SightingsQuery},
};
use mithaq_core::code::Code;
use tokio::sync::Semaphore;

use super::{
    answer::{self, Failed, blocking},
    even::until_even,
};
use crate::{feed::Visibility, node::Node, sightings};

/// How long the body of a request may take to come.
const BODY_TIME_MAX: Duration = Duration::from_secs(60);

/// One request is carried out at a time, also if whoever sent it is gone: each may look at much.
static TURN: Semaphore = Semaphore::const_new(1);

/// Answers a request of a reader with these rights: a line for each report, then a summary.
pub(super) async fn report(
    node: Arc<Node>,
    visibility: Visibility,
    query: SightingsQuery,
    body: Body,
) -> Result<Response, Failed> {
    let text = tokio::time::timeout(BODY_TIME_MAX, to_bytes(body, SIGHTING_BYTES_MAX)).await;
    let text = text.ok().and_then(Result::ok).ok_or_else(|| {
        let text =
            format!("the request did not come whole, or has more than {SIGHTING_BYTES_MAX} bytes: nothing was done");
        Failed::from(Problem::new(Code::TOO_LARGE, text))
    })?;
    let turn = TURN.acquire().await;
    let begun = Instant::now();
    let lines = blocking(move || {
        let _turn = turn;
        let reports = read(&text)?;
        let mut lines = Vec::with_capacity(reports.len() + 1);
        let mut tell = |told| lines.push(SightingLine::Report(told));
        let summary = sightings::report(&node, visibility, &query, reports, &mut tell)?;
        lines.push(SightingLine::Summary(summary));
        Ok::<_, Failed>(lines)
    });
    let lines = lines.await??;
    // What is hidden from the reader and what nobody has are both unknown to it.
    until_even(begun).await;
    Ok(answer::lines(lines))
}

/// The reports of a request: JSON objects, one a line, or one array of them. A line that cannot be read keeps no other back.
fn read(text: &[u8]) -> Result<Vec<Result<SightingReport, Problem>>, Failed> {
    let start = text.iter().find(|byte| !byte.is_ascii_whitespace());
    if start == Some(&b'[') {
        let reports: Vec<serde_json::Value> = serde_json::from_slice(text)
            .map_err(|error| Failed::bad_request(format!("the array of reports cannot be read: {error}")))?;
        return Ok(reports.into_iter().map(|report| serde_json::from_value(report).map_err(unreadable)).collect());
    }
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    Ok(lines.map(|line| serde_json::from_slice(line).map_err(unreadable)).collect())
}

fn unreadable(error: serde_json::Error) -> Problem {
    Problem::new(Code::BAD_REQUEST, format!("the report cannot be read: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<Result<Option<String>, String>> {
        let read = read(text.as_bytes()).unwrap();
        read.into_iter().map(|report| report.map(|report| report.value).map_err(|problem| problem.message)).collect()
    }

    #[test]
    fn lines_and_arrays_are_read_and_a_bad_one_hides_no_other() {
        let ok = |value: &str| Ok(Some(value.to_owned()));
        assert_eq!(values("{\"value\":\"a\"}\r\n\n{\"value\":\"b\",\"count\":3}"), [ok("a"), ok("b")]);
        assert_eq!(values(" [{\"value\":\"a\"},{\"value\":\"b\"}]"), [ok("a"), ok("b")]);
        for text in ["{\"value\":\"a\"}\n{\"valeu\":1}\n{\"value\":\"b\"}", "[{\"value\":\"a\"},7,{\"value\":\"b\"}]"] {
            let values = values(text);
            assert_eq!((&values[0], &values[2]), (&ok("a"), &ok("b")));
            assert!(values[1].as_ref().unwrap_err().starts_with("the report cannot be read"), "{values:?}");
        }
        assert!(read(b"[{\"value\":\"a\"}").is_err());
        assert!(values("").is_empty());
    }
}
