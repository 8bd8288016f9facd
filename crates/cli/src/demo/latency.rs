//! How long it takes from the start of a push at PK until the line stands in QA's stream: signed, durable on both
//! sides, across the network.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures_util::{StreamExt, stream};
use hyper::body::Frame;
use mithaq_api::{
    client::{Client, Lines, with_query},
    http::{PushLine, StreamLine, StreamQuery},
};
use serde::Serialize;
use serde_json::Value;

use super::{certs::Certs, own, screen::Screen};

/// How many pushes are measured.
pub(super) const PUSHES: usize = 200;

/// How long one may take.
const PUSH_SECONDS_MAX: u64 = 10;

/// The median and the slow end, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Latency {
    /// Half of the pushes were as fast as this.
    pub(super) p50: f64,
    /// Of a hundred, ninety-nine.
    pub(super) p99: f64,
}

/// Measures single pushes at PK, one after the other, with QA's stream open after `cursor`.
pub(super) async fn measure(certs: &Certs, cursor: Option<String>, screen: &Screen) -> anyhow::Result<Latency> {
    let query = StreamQuery { cursor, follow: true, ..StreamQuery::default() };
    let mut lines = certs.qa.siem.lines(&with_query("/v1/stream", &query)?).await?;
    let bar = screen.counting("single pushes from PK to QA's SIEM", PUSHES);
    let mut times = Vec::with_capacity(PUSHES);
    for number in 0..PUSHES {
        let limit = Duration::from_secs(PUSH_SECONDS_MAX);
        let time = tokio::time::timeout(limit, one(&certs.pk.control, &mut lines, number)).await;
        times.push(time.with_context(|| format!("push {number} did not reach QA's stream in {limit:?}"))??);
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(Latency { p50: percentile(&mut times, 50), p99: percentile(&mut times, 99) })
}

async fn one(control: &Client, lines: &mut Lines, number: usize) -> anyhow::Result<Duration> {
    let object = own::probe(&format!("latency-{number}"));
    let start = Instant::now();
    let (pushed, seen) = tokio::join!(push(control, &object), arrival(lines, &object["id"]));
    pushed?;
    Ok(seen?.duration_since(start))
}

async fn push(control: &Client, object: &Value) -> anyhow::Result<()> {
    let chunk = Frame::data(object.to_string().into_bytes().into());
    let mut answer = control.post_chunks("/v1/push", stream::iter([Ok(chunk)]).boxed()).await?;
    while let Some(line) = answer.next().await? {
        match serde_json::from_slice(&line).context("a line of the answer was not understood")? {
            PushLine::Summary(summary) => {
                ensure!(summary.stored == 1, "a push of one new object stored {}", summary.stored);
                return Ok(());
            }
            PushLine::Problem(problem) => return Err(problem.into()),
            PushLine::Object(_) => {}
        }
    }
    bail!("the answer to a push ended without a summary")
}

/// Waits for the line of an object.
async fn arrival(lines: &mut Lines, id: &Value) -> anyhow::Result<Instant> {
    while let Some(line) = lines.next().await? {
        let at = Instant::now();
        let line: StreamLine = serde_json::from_slice(&line).context("a line of the stream was not understood")?;
        let object: Value = serde_json::from_str(line.object.as_ref().map_or("null", |object| object.get()))?;
        if object["id"] == *id {
            return Ok(at);
        }
    }
    bail!("QA's daemon ended a stream that was to be followed")
}

/// The time within which `percent` of all are done, by the nearest rank, in milliseconds to the microsecond.
fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let rank = (times.len() * percent).div_ceil(100).max(1);
    let micros = times.get(rank - 1).map_or(0, Duration::as_micros);
    u32::try_from(micros).map_or(f64::INFINITY, |micros| f64::from(micros) / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let check = |micros: &[u64], percent, expect: f64| {
            let mut times: Vec<Duration> = micros.iter().map(|micros| Duration::from_micros(*micros)).collect();
            assert!((percentile(&mut times, percent) - expect).abs() < 1e-9, "{micros:?} {percent}");
        };
        check(&[3000, 1000, 2000], 50, 2.0);
        check(&[4000, 3000, 1000, 2000], 50, 2.0);
        check(&[1500], 99, 1.5);
        check(&[], 50, 0.0);
        let hundred: Vec<u64> = (1..=100).rev().map(|n| n * 1000).collect();
        check(&hundred, 99, 99.0);
        check(&hundred, 50, 50.0);
    }
}
