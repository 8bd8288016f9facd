//! A bulk and alerts over bad links, with and without a configured rate: how much of the link carries bodies, and how
//! long an alert takes meanwhile.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use mithaq_api::{client::Lines, http::Status};
use mithaq_relay::{Link, Loss, Relay, Way};
use serde_json::{Value, json};

use crate::{
    certs::{Cert, free_address, pair},
    count, count_u64, machine, objects, round,
};

/// What an object weighs at least on the wire: a link is loaded with as many as it may carry.
const OBJECT_BYTES_MIN: u64 = 90;

/// Between two alerts.
const ALERT_EVERY: Duration = Duration::from_millis(200);

/// Between two looks at how far the bulk has come.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long alerts that are under way at the end are waited for.
const LAST_ALERTS: Duration = Duration::from_secs(10);

/// The links: what an operator would call them, bits a second, round trip in ms, loss.
const LINKS: [(&str, u64, u64, Loss); 5] = [
    ("10 Mbit/s, 100 ms", 10_000_000, 100, Loss::None),
    ("10 Mbit/s, 600 ms, 1 %", 10_000_000, 600, Loss::Random(0.01)),
    ("2 Mbit/s, 300 ms, 3 %", 2_000_000, 300, Loss::Random(0.03)),
    ("10 Mbit/s, 150 ms, 2 % in bursts", 10_000_000, 150, Loss::Bursts { share: 0.02, length: 8.0 }),
    ("256 kbit/s, 600 ms, 5 %", 256_000, 600, Loss::Random(0.05)),
];

/// Measures each link without a configured rate and with one.
pub(crate) async fn measure(input: &[Bytes], bundle: usize, time: Duration) -> anyhow::Result<Value> {
    let mut figures = Vec::new();
    for (name, rate, round_trip, loss) in LINKS {
        let way = Way { rate: Some(rate), delay: Duration::from_millis(round_trip / 2), loss, ..Way::default() };
        let enough = usize::try_from(rate * time.as_secs() / 8 / OBJECT_BYTES_MIN)?.min(input.len());
        for is_configured in [false, true] {
            let mut loaded = load(way, is_configured, &input[..enough], bundle, time).await?;
            loaded["link"] = name.into();
            figures.push(loaded);
        }
    }
    Ok(json!({ "links": figures }))
}

/// Two CERTs with a link between them, of which the first dials.
pub(crate) struct Linked {
    pub(crate) a: Cert,
    pub(crate) b: Cert,
    pub(crate) _relay: Relay,
}

impl Linked {
    /// Makes both and pairs them; `is_configured` tells both what the link's rate is.
    pub(crate) fn make(dir: &Path, way: Way, is_configured: bool) -> anyhow::Result<Self> {
        let address = free_address()?;
        let relay = Relay::start(address, Link::both(way, 1))?;
        let a = Cert::make_at(dir, "pk", free_address()?, None)?;
        let b = Cert::make_at(dir, "cn", address, Some(relay.address()))?;
        pair(&a, &b, dir)?;
        if let Some(rate) = way.rate.filter(|_| is_configured) {
            for (cert, peer) in [(&a, "cn"), (&b, "pk")] {
                cert.configure(&format!("[link.{peer}]\nrate = \"{}kbit/s\"", rate / 1_000))?;
            }
        }
        Ok(Self { a, b, _relay: relay })
    }
}

/// Loads a link with a bulk that waits at the first CERT, and sends alerts meanwhile.
async fn load(way: Way, is_configured: bool, input: &[Bytes], bundle: usize, time: Duration) -> anyhow::Result<Value> {
    let dir = tempfile::tempdir()?;
    let Linked { mut a, mut b, _relay } = Linked::make(dir.path(), way, is_configured)?;
    a.start().await?;
    for objects in input.chunks(bundle) {
        a.push(objects::bundle(objects)).await?;
    }
    b.start().await?;
    let lines = b.siem.lines("/v1/stream?follow=true").await?;
    b.wait("a session runs", |status| status.peers.first().is_some_and(|peer| peer.state == "connected")).await?;
    let started = Instant::now();
    let sent = Arc::new(Mutex::new(HashMap::new()));
    let taking = tokio::spawn(take_alerts(lines, Arc::clone(&sent)));
    let (a, pushed) = (Arc::new(a), Arc::clone(&sent));
    let pusher = Arc::clone(&a);
    let pushing = tokio::spawn(async move { push_alerts(&pusher, &pushed, started + time).await });
    let carried = carried(&b, input.len(), started, time).await?;
    pushing.await??;
    tokio::time::sleep(LAST_ALERTS).await;
    taking.abort();
    let mut alerts: Vec<f64> = taken(&sent).into_iter().flatten().collect();
    alerts.sort_by(f64::total_cmp);
    let percentile = |percent| (!alerts.is_empty()).then(|| round(machine::percentile(&alerts, percent) * 1e3));
    let goodput = count_u64(carried.bytes) * 8.0 / carried.seconds;
    Ok(json!({
        "is_configured": is_configured,
        "goodput_kbit_s": round(goodput / 1e3),
        "share": round(goodput / count_u64(way.rate.unwrap_or(u64::MAX))),
        "seconds": round(carried.seconds),
        "first_body_ms": round(carried.first_body * 1e3),
        "alert_p50_ms": percentile(50),
        "alert_p99_ms": percentile(99),
        "alerts": alerts.len(),
        "alerts_that_did_not_come": taken(&sent).len() - alerts.len(),
        "round_trip_ms": round(2e3 * way.delay.as_secs_f64()),
        "alert_p50_over_one_way": percentile(50).map(|p50| round(p50 / 1e3 / way.delay.as_secs_f64())),
        "mean_ms": round(alerts.iter().sum::<f64>() / count(alerts.len().max(1)) * 1e3),
    }))
}

/// Alerts under way by their UUID: when each was pushed, and how many seconds it took if it has come.
type Alerts = Mutex<HashMap<String, (Instant, Option<f64>)>>;

fn taken(alerts: &Alerts) -> Vec<Option<f64>> {
    let alerts = alerts.lock().unwrap_or_else(PoisonError::into_inner);
    alerts.values().map(|(_, seconds)| *seconds).collect()
}

/// What a link has carried of a bulk.
struct Carried {
    /// Seconds from the session's beginning to the first body: offers, wants and manifests have gone to and fro.
    first_body: f64,
    /// Bytes of manifests and bodies since.
    bytes: u64,
    /// Seconds since.
    seconds: f64,
}

/// Waits for the first body, and from then on until all are there or the time is up.
async fn carried(b: &Cert, objects: usize, started: Instant, time: Duration) -> anyhow::Result<Carried> {
    let status = b.wait("a body has come", |status| carried_bytes(status).0 > 0).await?;
    let (first_body, (_, before)) = (Instant::now(), carried_bytes(&status));
    loop {
        let status = b.status().await?;
        if status.objects >= objects as u64 || started.elapsed() >= time {
            return Ok(Carried {
                first_body: first_body.duration_since(started).as_secs_f64(),
                bytes: carried_bytes(&status).1 - before,
                seconds: first_body.elapsed().as_secs_f64(),
            });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Bytes of bodies that have come, and of bodies and manifests.
fn carried_bytes(status: &Status) -> (u64, u64) {
    status.peers.first().map_or((0, 0), |peer| {
        let bodies = peer.traffic.bodies.received;
        (bodies, bodies + peer.traffic.manifests.received)
    })
}

async fn push_alerts(a: &Cert, alerts: &Alerts, until: Instant) -> anyhow::Result<()> {
    let mut number = 0;
    while Instant::now() < until {
        let object = objects::fresh(number);
        let alert = (Instant::now(), None);
        alerts.lock().unwrap_or_else(PoisonError::into_inner).insert(uuid(&object), alert);
        a.push(object).await?;
        number += 1;
        tokio::time::sleep(ALERT_EVERY).await;
    }
    Ok(())
}

/// The UUID of an indicator in a text.
fn uuid(text: &[u8]) -> String {
    const BEFORE: &[u8] = b"\"indicator--";
    let at = text.windows(BEFORE.len()).position(|window| window == BEFORE).map_or(0, |at| at + BEFORE.len());
    String::from_utf8_lossy(text.get(at..at + 36).unwrap_or_default()).into_owned()
}

async fn take_alerts(mut lines: Lines, alerts: Arc<Alerts>) -> anyhow::Result<()> {
    while let Some(line) = lines.next().await? {
        let now = Instant::now();
        if let Some((pushed, seconds)) = alerts.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&uuid(&line)) {
            seconds.get_or_insert(now.duration_since(*pushed).as_secs_f64());
        }
    }
    Ok(())
}
