//! From a push at one CERT to the line in the other's stream.

use std::{
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use bytes::Bytes;
use mithaq_api::client::Lines;
use mithaq_relay::{Relay, Way};
use serde_json::{Value, json};

use crate::{
    certs::{Cert, pair},
    count,
    link::Linked,
    machine, objects, round,
    steps::{self, Timed},
};

/// How many pushes are timed.
const PUSHES: usize = 1_000;

/// How many over a link, where each takes long.
const LINK_PUSHES: usize = 200;

/// Between two looks at whether a link has carried the bulk.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A link between the two CERTs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Path {
    /// Bits a second.
    rate: u64,
    round_trip: Duration,
}

impl FromStr for Path {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let parts = text.split_once(',').and_then(|(rate, time)| {
            Some((rate.strip_suffix("kbit/s")?.parse::<u64>().ok()?, time.strip_suffix("ms")?.parse().ok()?))
        });
        let (kbits, ms) = parts.context("expected a rate and a round trip, as in 10000kbit/s,100ms")?;
        Ok(Self { rate: kbits * 1_000, round_trip: Duration::from_millis(ms) })
    }
}

/// Two CERTs that are paired: over loopback, or over a link whose rate both are told.
fn certs(dir: &std::path::Path, path: Option<Path>) -> anyhow::Result<(Cert, Cert, Option<Relay>)> {
    let Some(Path { rate, round_trip }) = path else {
        let (a, b) = (Cert::make(dir, "pk")?, Cert::make(dir, "cn")?);
        pair(&a, &b, dir)?;
        return Ok((a, b, None));
    };
    let way = Way { rate: Some(rate), delay: round_trip / 2, ..Way::default() };
    let Linked { a, b, _relay } = Linked::make(dir, way, true)?;
    Ok((a, b, Some(_relay)))
}

/// Measures latency.
pub(crate) async fn measure(
    input: &[Bytes],
    bundle: usize,
    tells_steps: bool,
    path: Option<Path>,
) -> anyhow::Result<Value> {
    let dir = tempfile::tempdir()?;
    let fdatasync = machine::fdatasync_seconds(dir.path())?;
    let round_trip = path.map_or_else(machine::round_trip_seconds, |path| Ok(path.round_trip.as_secs_f64()))?;
    let pushes = path.map_or(PUSHES, |_| LINK_PUSHES);
    let (mut a, mut b, _relay) = certs(dir.path(), path)?;
    if tells_steps {
        a.tell_steps();
        b.tell_steps();
    }
    a.start().await?;
    b.start().await?;
    a.wait("it is connected", |status| status.peers.iter().all(|peer| peer.state == "connected")).await?;
    let mut lines = b.siem.lines("/v1/stream?follow=true").await?;
    let quiet = timed_pushes(&a, &mut lines, 0, pushes).await?;
    let (a, b) = (Arc::new(a), Arc::new(b));
    let (pusher, taker, objects) = (Arc::clone(&a), Arc::clone(&b), input.len() as u64);
    let bulk = input.chunks(bundle).map(objects::bundle).collect::<Vec<_>>();
    let bulk = tokio::spawn(async move {
        for bundle in bulk {
            pusher.push(bundle).await?;
        }
        // A link carries it long after it was pushed.
        while path.is_some() && taker.status().await?.objects < objects {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        anyhow::Ok(())
    });
    let busy = timed_until(&a, &mut lines, pushes, || bulk.is_finished()).await?;
    bulk.await??;
    let legs = match tells_steps {
        true => steps::legs([&a.log()?, &b.log()?], &[("alone", &quiet), ("bulk", &busy)])?,
        false => Value::Null,
    };
    let (quiet, busy) = (sorted_seconds(&quiet), sorted_seconds(&busy));
    let mut figures = json!({
        "p50_over_alone": round(machine::percentile(&busy, 50) / machine::percentile(&quiet, 50)),
        "p99_over_alone": round(machine::percentile(&busy, 99) / machine::percentile(&quiet, 99)),
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
    });
    if tells_steps {
        figures["steps_p50_p99_mean_ms"] = legs;
    }
    Ok(figures)
}

fn sorted_seconds(pushes: &[Timed]) -> Vec<f64> {
    let mut seconds: Vec<_> = pushes.iter().map(Timed::seconds).collect();
    seconds.sort_by(f64::total_cmp);
    seconds
}

/// Times pushes one after the other.
async fn timed_pushes(a: &Cert, lines: &mut Lines, first: usize, pushes: usize) -> anyhow::Result<Vec<Timed>> {
    let mut left = pushes;
    timed_until(a, lines, first, move || {
        left = left.saturating_sub(1);
        left == 0
    })
    .await
}

/// Times pushes until it is enough, at most as many as are timed on a quiet link.
async fn timed_until(
    a: &Cert,
    lines: &mut Lines,
    first: usize,
    mut enough: impl FnMut() -> bool,
) -> anyhow::Result<Vec<Timed>> {
    let mut timed = Vec::new();
    for number in first..first + PUSHES {
        let object = objects::fresh(number);
        let mark = object.iter().copied().skip_while(|byte| *byte != b'-').skip(2).take(36).collect::<Vec<_>>();
        let (started, pushed_at) = (Instant::now(), wall());
        let (pushed, seen) = tokio::join!(a.push(object), line_with(lines, &mark));
        pushed?;
        timed.push(Timed { pushed: pushed_at, took: seen?.duration_since(started) });
        if enough() {
            break;
        }
    }
    Ok(timed)
}

/// The wall clock as the daemons' logs have it, in microseconds.
fn wall() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Reads lines until one holds the mark, an object's UUID; when it came.
async fn line_with(lines: &mut Lines, mark: &[u8]) -> anyhow::Result<Instant> {
    while let Some(line) = lines.next().await? {
        if memchr::memmem::find(&line, mark).is_some() {
            return Ok(Instant::now());
        }
    }
    anyhow::bail!("the stream ended")
}
