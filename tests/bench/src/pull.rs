//! Reads by a SIEM: the whole feed, and what is new.

use std::time::Instant;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{certs::Cert, count, machine, objects, round};

/// How many new objects an incremental pull finds.
const NEW: usize = 10;

/// How many objects a page of TAXII is asked for.
const PAGE: usize = 5_000;

/// Measures pulls.
pub(crate) async fn measure(input: &[Bytes], bundle: usize) -> anyhow::Result<Value> {
    let dir = tempfile::tempdir()?;
    let mut cert = Cert::make(dir.path(), "pk")?;
    cert.start().await?;
    for objects in input.chunks(bundle) {
        cert.push(objects::bundle(objects)).await?;
    }
    let cpu = machine::cpu_seconds(cert.pid()?)?;
    let started = Instant::now();
    let (lines, cursor) = stream(&cert, "/v1/stream").await?;
    let stream_seconds = started.elapsed().as_secs_f64();
    let cpu = machine::cpu_seconds(cert.pid()?)? - cpu;
    let started = Instant::now();
    let taxii_objects = taxii(&cert).await?;
    let taxii_seconds = started.elapsed().as_secs_f64();
    let fresh: Vec<Bytes> = (0..NEW).map(objects::fresh).collect();
    cert.push(objects::bundle(&fresh)).await?;
    let started = Instant::now();
    let (new, _) = stream(&cert, &format!("/v1/stream?cursor={cursor}")).await?;
    let incremental = started.elapsed().as_secs_f64();
    anyhow::ensure!(new == NEW, "{new} objects were new, not {NEW}");
    Ok(json!({
        "objects": lines,
        "stream_objects_per_s": (count(lines) / stream_seconds).round(),
        "server_cpu_s_per_1000": round(cpu / count(lines) * 1000.0),
        "taxii_objects": taxii_objects,
        "taxii_objects_per_s": (count(taxii_objects) / taxii_seconds).round(),
        "incremental_ms": round(incremental * 1e3),
        "rss_mb": round(machine::peak_rss_mb(cert.pid()?)?),
    }))
}

/// Reads a stream to its end: how many lines, and the last cursor.
async fn stream(cert: &Cert, path: &str) -> anyhow::Result<(usize, String)> {
    #[derive(Deserialize)]
    struct Line {
        cursor: String,
    }
    let mut lines = cert.siem.lines(path).await?;
    let (mut number, mut last) = (0, Bytes::new());
    while let Some(line) = lines.next().await? {
        number += 1;
        last = line;
    }
    let cursor = serde_json::from_slice::<Line>(&last).map(|line| line.cursor).unwrap_or_default();
    Ok((number, cursor))
}

/// Reads the collection page by page: how many objects.
async fn taxii(cert: &Cert) -> anyhow::Result<usize> {
    #[derive(Deserialize)]
    struct Page<'a> {
        #[serde(default)]
        more: bool,
        #[serde(default)]
        next: Option<String>,
        #[serde(default, borrow)]
        objects: Vec<&'a serde_json::value::RawValue>,
    }
    let discovery: Value = cert.siem.get("/taxii2/").await?;
    let root = discovery["api_roots"][0].as_str().unwrap_or_default().trim_end_matches('/').to_owned();
    // The root may be a whole URL; the socket wants its path.
    let root = root.find("/taxii2").map_or(root.clone(), |at| root[at..].to_owned());
    let collections: Value = cert.siem.get(&format!("{root}/collections/")).await?;
    let collection = collections["collections"][0]["id"].as_str().unwrap_or_default().to_owned();
    let (mut total, mut next) = (0, String::new());
    loop {
        let path = format!("{root}/collections/{collection}/objects/?limit={PAGE}{next}");
        let mut lines = cert.siem.lines(&path).await?;
        let mut text = Vec::new();
        while let Some(line) = lines.next().await? {
            text.extend_from_slice(&line);
        }
        let page: Page<'_> = serde_json::from_slice(&text)?;
        total += page.objects.len();
        match page.next.filter(|_| page.more) {
            Some(token) => next = format!("&next={token}"),
            None => return Ok(total),
        }
    }
}
