//! Pushes: in bundles, again as duplicates, and one by one from eight clients.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use serde_json::{Value, json};

use crate::{certs::Cert, count, count_u64, machine, objects, round};

/// How many clients push single objects at once.
const CLIENTS: usize = 8;

/// How many single objects they push in all.
const SINGLES: usize = 8_000;

/// Measures ingest.
pub(crate) async fn measure(input: &[Bytes], bundle: usize) -> anyhow::Result<Value> {
    let dir = tempfile::tempdir()?;
    let fdatasync = machine::fdatasync_seconds(dir.path())?;
    let append = machine::append_mb_per_second(dir.path())?;
    let mut cert = Cert::make(dir.path(), "pk")?;
    cert.start().await?;
    let bundles: Vec<Bytes> = input.chunks(bundle).map(objects::bundle).collect();
    let (seconds, cpu, stored) = push_all(&cert, &bundles).await?;
    let status = cert.status().await?;
    let rss = machine::peak_rss_mb(cert.pid()?)?;
    let (duplicate_seconds, _, _) = push_all(&cert, &bundles).await?;
    let cert = Arc::new(cert);
    let singles = singles(&cert).await?;
    let total = count(input.len());
    Ok(json!({
        "objects": input.len(),
        "stored": stored,
        "bundle": bundle,
        "objects_per_s": (total / seconds).round(),
        "server_cpu_s_per_1000": round(cpu / total * 1000.0),
        "duplicates_per_s": (total / duplicate_seconds).round(),
        "singles_per_s": singles.round(),
        "disk_bytes_per_object": round(count_u64(status.store_bytes) / count_u64(status.objects.max(1))),
        "body_bytes_per_object": round(count_u64(status.body_bytes) / count_u64(status.objects.max(1))),
        "rss_mb": round(rss),
        "fdatasync_per_s": (1.0 / fdatasync).round(),
        "append_mb_per_s": append.round(),
    }))
}

/// Pushes bundles one after the other: seconds, CPU seconds of the daemon, objects stored.
async fn push_all(cert: &Cert, bundles: &[Bytes]) -> anyhow::Result<(f64, f64, usize)> {
    let cpu = machine::cpu_seconds(cert.pid()?)?;
    let started = Instant::now();
    let mut stored = 0;
    for bundle in bundles {
        stored += cert.push(bundle.clone()).await?.stored;
    }
    Ok((started.elapsed().as_secs_f64(), machine::cpu_seconds(cert.pid()?)? - cpu, stored))
}

/// Single objects a second, pushed by several clients at once.
async fn singles(cert: &Arc<Cert>) -> anyhow::Result<f64> {
    let started = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let cert = Arc::clone(cert);
        clients.spawn(async move {
            for number in (client..SINGLES).step_by(CLIENTS) {
                cert.push(objects::fresh(number)).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(client) = clients.join_next().await {
        client??;
    }
    Ok(count(SINGLES) / started.elapsed().as_secs_f64())
}
