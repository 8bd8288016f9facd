//! From a push at one CERT to the line in the other's stream.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use mithaq_api::client::Lines;
use serde_json::{Value, json};

use crate::{
    certs::{Cert, pair},
    count, machine, objects, round,
};

/// How many pushes are timed.
const PUSHES: usize = 1_000;

/// Measures latency.
pub(crate) async fn measure(input: &[Bytes], bundle: usize) -> anyhow::Result<Value> {
    let dir = tempfile::tempdir()?;
    let fdatasync = machine::fdatasync_seconds(dir.path())?;
    let round_trip = machine::round_trip_seconds()?;
    let (mut a, mut b) = (Cert::make(dir.path(), "pk")?, Cert::make(dir.path(), "cn")?);
    pair(&a, &b, dir.path())?;
    a.start().await?;
    b.start().await?;
    a.wait("it is connected", |status| status.peers.iter().all(|peer| peer.state == "connected")).await?;
    let mut lines = b.siem.lines("/v1/stream?follow=true").await?;
    let quiet = timed_pushes(&a, &mut lines, 0, PUSHES).await?;
    let (a, bulk) = (Arc::new(a), input.chunks(bundle).map(objects::bundle).collect::<Vec<_>>());
    let pusher = Arc::clone(&a);
    let bulk = tokio::spawn(async move {
        for bundle in bulk {
            pusher.push(bundle).await?;
        }
        anyhow::Ok(())
    });
    let busy = timed_until(&a, &mut lines, PUSHES, || bulk.is_finished()).await?;
    bulk.await??;
    Ok(json!({
        "p50_ms": round(machine::percentile(&quiet, 50) * 1e3),
        "p99_ms": round(machine::percentile(&quiet, 99) * 1e3),
        "pushes": quiet.len(),
        "bulk_p50_ms": round(machine::percentile(&busy, 50) * 1e3),
        "bulk_p99_ms": round(machine::percentile(&busy, 99) * 1e3),
        "bulk_pushes": busy.len(),
        "bulk_objects": input.len(),
        "fdatasync_ms": round(fdatasync * 1e3),
        "rtt_ms": round(round_trip * 1e3),
        "p50_over_two_fdatasyncs_and_rtt":
            round(machine::percentile(&quiet, 50) / (2.0 * fdatasync + round_trip)),
        "mean_ms": round(quiet.iter().sum::<f64>() / count(quiet.len()) * 1e3),
    }))
}

/// Times pushes one after the other; sorted seconds.
async fn timed_pushes(a: &Cert, lines: &mut Lines, first: usize, pushes: usize) -> anyhow::Result<Vec<f64>> {
    let mut left = pushes;
    timed_until(a, lines, first, move || {
        left = left.saturating_sub(1);
        left == 0
    })
    .await
}

/// Times pushes until it is enough, at most as many as are timed on a quiet link; sorted seconds.
async fn timed_until(
    a: &Cert,
    lines: &mut Lines,
    first: usize,
    mut enough: impl FnMut() -> bool,
) -> anyhow::Result<Vec<f64>> {
    let mut seconds = Vec::new();
    for number in first..first + PUSHES {
        let object = objects::fresh(number);
        let mark = object.iter().copied().skip_while(|byte| *byte != b'-').skip(2).take(36).collect::<Vec<_>>();
        let started = Instant::now();
        let (pushed, seen) = tokio::join!(a.push(object), line_with(lines, &mark));
        pushed?;
        seconds.push(seen?.duration_since(started).as_secs_f64());
        if enough() {
            break;
        }
    }
    seconds.sort_by(f64::total_cmp);
    Ok(seconds)
}

/// Reads lines until one holds the mark, an object's UUID; when it came.
async fn line_with(lines: &mut Lines, mark: &[u8]) -> anyhow::Result<Instant> {
    while let Some(line) = lines.next().await? {
        if line.windows(mark.len()).any(|window| window == mark) {
            return Ok(Instant::now());
        }
    }
    anyhow::bail!("the stream ended")
}
