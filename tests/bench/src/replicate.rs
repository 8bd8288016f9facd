//! A second CERT from nothing, and again after a few new objects.

use std::time::Instant;

use bytes::Bytes;
use mithaq_api::http::Status;
use serde_json::{Value, json};

use crate::{
    certs::{Cert, pair},
    count_u64, machine, objects, round,
};

/// How many objects are new at each reconnection.
const DIFFERENCES: [usize; 3] = [0, 10, 1_000];

/// Measures replication.
pub(crate) async fn measure(input: &[Bytes], bundle: usize) -> anyhow::Result<Value> {
    let dir = tempfile::tempdir()?;
    let (mut a, mut b) = (Cert::make(dir.path(), "pk")?, Cert::make(dir.path(), "cn")?);
    pair(&a, &b, dir.path())?;
    a.start().await?;
    for objects in input.chunks(bundle) {
        a.push(objects::bundle(objects)).await?;
    }
    let cpu = machine::cpu_seconds(a.pid()?)?;
    let started = Instant::now();
    b.start().await?;
    let status = caught_up(&a).await?;
    let seconds = started.elapsed().as_secs_f64();
    let cpu = machine::cpu_seconds(a.pid()?)? - cpu + machine::cpu_seconds(b.pid()?)?;
    let held = b.status().await?;
    let mut figures = json!({
        "objects": held.objects,
        "replicate_s": round(seconds),
        "objects_per_s": (count_u64(held.objects) / seconds).round(),
        "wire_mb": round(count_u64(status.0) / 1e6),
        "cpu_s": round(cpu),
        "rss_mb_source": round(machine::peak_rss_mb(a.pid()?)?),
        "rss_mb_sink": round(machine::peak_rss_mb(b.pid()?)?),
        "fdatasync_per_s": (1.0 / machine::fdatasync_seconds(dir.path())?).round(),
    });
    let mut resync = Vec::new();
    let mut number = 0;
    for difference in DIFFERENCES {
        resync.push(reconnect(&mut a, &mut b, difference, &mut number).await?);
    }
    figures["resync"] = Value::Array(resync);
    Ok(figures)
}

/// Waits until the one peer has everything; its counters then.
async fn caught_up(cert: &Cert) -> anyhow::Result<(u64, u64)> {
    let is_so = |status: &Status| {
        status.peers.first().is_some_and(|peer| peer.state == "connected" && peer.lag == 0 && peer.sent > 0)
    };
    Ok(counters(&cert.wait("the peer has everything", is_so).await?))
}

/// Stops the second CERT, pushes at the first, starts the second again: milliseconds from its first answer until it
/// has everything, and bytes on the wire of that session, handshake included.
async fn reconnect(a: &mut Cert, b: &mut Cert, difference: usize, number: &mut usize) -> anyhow::Result<Value> {
    b.stop()?;
    a.wait("the peer is gone", |status| status.peers.first().is_some_and(|peer| peer.state != "connected")).await?;
    let (bytes, objects) = counters(&a.status().await?);
    let fresh: Vec<Bytes> = (*number..*number + difference).map(objects::fresh).collect();
    *number += difference;
    if !fresh.is_empty() {
        a.push(objects::bundle(&fresh)).await?;
    }
    b.start().await?;
    let started = Instant::now();
    let (bytes_after, objects_after) = caught_up(a).await?;
    let milliseconds = started.elapsed().as_secs_f64() * 1e3;
    anyhow::ensure!(objects_after - objects == difference as u64, "{} objects were sent", objects_after - objects);
    Ok(json!({ "d": difference, "resync_ms": round(milliseconds), "resync_bytes": bytes_after - bytes }))
}

/// Bytes on the wire to and from the one peer, and objects sent to it.
fn counters(status: &Status) -> (u64, u64) {
    let peer = status.peers.first().map(|peer| (peer.bytes_sent + peer.bytes_received, peer.objects_sent));
    peer.unwrap_or_default()
}
