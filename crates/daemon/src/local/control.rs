//! The control socket: what operators and analysts ask of their own daemon.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use mithaq_api::{
    home::PeerState,
    http::{
        Flow, LinkFigures, NEXT_HEADER, PUSH_BYTES_MAX, PeerStatus, Problem, PushLine, PushQuery, PushedObject,
        Reloaded, SearchQuery, Status, StreamQuery, Traffic, Why, WhyQuery,
    },
    sighting::SightingsQuery,
};
use mithaq_core::code::Code;
use mithaq_sync::{Purpose, Tally};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::{
    answer::{self, Ask, Failed, blocking},
    care, exports, ledger, lookup, metrics, pacts, published, search, sightings, stream,
};
use crate::{
    feed::Visibility,
    node::{Node, PeerEntry},
    push, threads,
};

/// How many bytes of lines make a chunk of a push's answer.
const CHUNK_BYTES: usize = 64 * 1024;

/// How many small pushes are carried out at once, each of which holds its whole input; the others wait.
const PUSHES_AT_ONCE: usize = 400;

/// How many small pushes a large one stands for: four large ones fit.
const LARGE_PUSH: u32 = 100;

/// The most bytes of a small push, which a client may send before it has the right to have it carried out.
const SMALL_BYTES: usize = 1024 * 1024;

/// How long the input of a push may stop coming.
const SILENCE_MAX: Duration = Duration::from_secs(60);

#[derive(Clone)]
pub(super) struct Control {
    pub(super) node: Arc<Node>,
    pub(super) endpoint: quinn::Endpoint,
    pushes: Arc<Semaphore>,
}

/// The routes of the control socket.
pub(super) fn router(node: Arc<Node>, endpoint: quinn::Endpoint) -> Router {
    Router::new()
        .route("/v1/push", post(push_objects))
        .route("/v1/status", get(status))
        .route("/metrics", get(metrics::metrics))
        .route("/readyz", get(ready))
        .route("/v1/show/{id}", get(show))
        .route("/v1/published", post(published::published))
        .route("/v1/search", get(find))
        .route("/v1/why", get(why))
        .route("/v1/stream", get(tail))
        .route("/v1/siem/readers", get(siem_readers))
        .route("/v1/reload", post(reload))
        .route("/v1/check", post(care::check))
        .route("/v1/sightings", post(report_sightings))
        .route("/v1/withdraw", post(pacts::withdraw))
        .route("/v1/revoke", post(pacts::revoke))
        .route("/v1/quarantine", get(pacts::quarantine))
        .route("/v1/quarantine/accept", post(pacts::accept))
        .route("/v1/quarantine/drop", post(pacts::discard))
        .route("/v1/consents", get(pacts::consents).post(pacts::consent))
        .route("/v1/preview", get(pacts::preview))
        .route("/v1/ledger", get(ledger::entries))
        .route("/v1/ledger/verify", post(ledger::verify))
        .route("/v1/ledger/proof", get(ledger::proof))
        .route("/v1/ledger/report", get(ledger::report))
        .route("/v1/export", get(exports::export).post(exports::export_since))
        .route("/v1/store", get(care::stats))
        .route("/v1/store/cut", get(care::cut))
        .route("/v1/store/serve", post(care::serve))
        .route("/v1/compact", post(care::compact))
        .fallback(unknown)
        .with_state(Control { node, endpoint, pushes: Arc::new(Semaphore::new(PUSHES_AT_ONCE)) })
}

async fn report_sightings(
    State(control): State<Control>,
    Ask(query): Ask<SightingsQuery>,
    body: Body,
) -> Result<Response, Failed> {
    sightings::report(control.node, Visibility::ALL, query, body).await
}

async fn unknown() -> Failed {
    Failed::not_found("there is no such path on the control socket")
}

/// Collects the lines of a push's answer into chunks.
struct Lines {
    text: Vec<u8>,
    /// Unbounded, so that a client that does not read holds up nobody: a push has 100,000 lines at the most.
    chunks: mpsc::UnboundedSender<Bytes>,
}

impl Lines {
    fn write(&mut self, line: &PushLine) {
        answer::write_line(line, &mut self.text);
        if self.text.len() >= CHUNK_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        // Whoever pushed may be gone; what was pushed is carried out all the same.
        let _ = self.chunks.send(std::mem::take(&mut self.text).into());
    }
}

impl push::Report for Lines {
    fn object(&mut self, object: &PushedObject) {
        self.write(&PushLine::Object(object.clone()));
    }
}

async fn push_objects(
    State(control): State<Control>,
    Ask(query): Ask<PushQuery>,
    body: Body,
) -> Result<Response, Failed> {
    let (text, permit) = collect(body, control.pushes).await?;
    let (chunks, mut receiver) = mpsc::unbounded_channel();
    let node = Arc::clone(&control.node);
    let is_alert = text.len() <= push::ALERT_TEXT_BYTES_MAX;
    let work = move || {
        let mut lines = Lines { text: Vec::new(), chunks };
        let last = match push::push(&node, &text, &query, &mut lines) {
            Ok(summary) => PushLine::Summary(summary),
            Err(problem) => PushLine::Problem(problem),
        };
        lines.write(&last);
        lines.flush();
        drop(permit);
    };
    if is_alert {
        // A panic ends the answer early, as it does on another thread.
        let _ = threads::at_once(work);
    } else {
        control.node.tasks.spawn_blocking_on(work, &control.node.bulk());
    }
    Ok(answer::stream(move |context| receiver.poll_recv(context)))
}

/// Takes the whole body, and no more than a push may have, with the right to carry it out. A small body needs that
/// right only once it is whole, so that clients that fall silent do not keep others from pushing.
async fn collect(body: Body, pushes: Arc<Semaphore>) -> Result<(Vec<u8>, OwnedSemaphorePermit), Failed> {
    let stopping = || Failed::from(Problem::new(Code::INTERNAL, "the daemon is stopping"));
    let mut permit = None;
    let mut text = Vec::new();
    let mut body = body.into_data_stream();
    loop {
        let chunk = tokio::time::timeout(SILENCE_MAX, futures_util::StreamExt::next(&mut body)).await;
        let chunk = chunk.map_err(|_| Failed::bad_request("the input stopped coming: nothing was stored"))?;
        if permit.is_none() && (chunk.is_none() || text.len() > SMALL_BYTES) {
            let weight = if text.len() > SMALL_BYTES { LARGE_PUSH } else { 1 };
            permit = Some(Arc::clone(&pushes).acquire_many_owned(weight).await.map_err(|_| stopping())?);
        }
        let Some(chunk) = chunk else { return Ok((text, permit.ok_or_else(stopping)?)) };
        let chunk = chunk.map_err(|error| Failed::bad_request(format!("the input broke off: {error}")))?;
        if text.len() + chunk.len() > PUSH_BYTES_MAX {
            let message = format!("the input has more than {PUSH_BYTES_MAX} bytes: nothing was stored; split it");
            return Err(Problem::new(Code::TOO_LARGE, message).into());
        }
        text.extend_from_slice(&chunk);
    }
}

async fn status(State(control): State<Control>) -> Result<Response, Failed> {
    let Control { node, endpoint, .. } = control;
    let status = blocking(move || describe(&node, &endpoint)).await?;
    Ok(answer::json(&status))
}

/// Whether all is served and taken, for whoever watches over the daemon without reading figures.
async fn ready(State(control): State<Control>) -> Result<Response, Failed> {
    let Control { node, endpoint, .. } = control;
    let reasons = blocking(move || describe(&node, &endpoint)).await?.unready();
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let text = if reasons.is_empty() { "ready".to_owned() } else { reasons.join("\n") };
    Ok((status, [(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text + "\n").into_response())
}

/// The daemon's state. Blocks.
pub(super) fn describe(node: &Arc<Node>, endpoint: &quinn::Endpoint) -> Status {
    let stats = node.store.stats();
    let listen = endpoint.local_addr().map(|address| address.to_string()).unwrap_or_default();
    Status {
        cert: node.us,
        name: node.identity().card.card().name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        objects: stats.objects,
        releases: stats.releases,
        references: stats.references,
        store_bytes: stats.disk_bytes,
        body_bytes: stats.body_bytes,
        uptime_seconds: node.started.elapsed().as_secs(),
        listen,
        peers: node.peers().iter().map(|entry| peer_status(node, entry)).collect(),
        read_only: node.room.is_low(),
        free_bytes: node.store.free_bytes(),
        restored: node.gate.describe(node),
        exports: node.exports.statuses(),
    }
}

fn peer_status(node: &Arc<Node>, entry: &Arc<PeerEntry>) -> PeerStatus {
    let link = entry.status.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let state = match (entry.peer.state, link.connected, &link.problem) {
        (PeerState::Added, ..) => "added",
        (PeerState::Verified, ..) => "verified",
        (PeerState::Suspended, ..) => "suspended",
        (PeerState::Blocked, ..) => "blocked",
        (_, true, _) => "connected",
        (_, false, Some(problem)) if is_refusal(problem) => "refused",
        _ => "connecting",
    };
    let (sent, lag) = sent_and_lag(node, entry, &link);
    let traffic = link.traffic();
    PeerStatus {
        name: entry.peer.name.clone(),
        cert: entry.cert(),
        state: state.into(),
        problem: link.problem,
        lag,
        sent,
        received: link.progress.received,
        objects_sent: traffic.objects_sent,
        objects_received: traffic.objects_received,
        objects_deduplicated: traffic.objects_deduplicated,
        pruned: Some(link.progress.pruned).filter(|pruned| link.connected && *pruned > 0),
        bytes_sent: traffic.bytes_sent,
        bytes_received: traffic.bytes_received,
        traffic: traffic_by_purpose(&traffic.frames_sent, &traffic.frames_received),
        link: LinkFigures { rate_bits: entry.pace.rate_bits(), ..link.figures },
        agreement: entry.peer.agreement.as_ref().map(|agreement| agreement.id()),
        valid_until: entry.peer.agreement.as_ref().map(|agreement| agreement.agreement().valid_until),
        ended: entry.peer.ended.map(|ending| ending.at),
    }
}

fn traffic_by_purpose(sent: &Tally, received: &Tally) -> Traffic {
    let flow = |purpose| Flow { sent: sent.bytes(purpose), received: received.bytes(purpose) };
    Traffic {
        control: flow(Purpose::Control),
        manifests: flow(Purpose::Manifests),
        bodies: flow(Purpose::Bodies),
        receipts: flow(Purpose::Receipts),
        documents: flow(Purpose::Documents),
    }
}

/// How far the peer is, and how many releases it lacks, those of which the rule was not asked yet included: by the
/// session if there is one, else by what was noted when the last one ended.
fn sent_and_lag(node: &Arc<Node>, entry: &Arc<PeerEntry>, link: &crate::peer::LinkStatus) -> (u64, u64) {
    let unasked = node.store.head().saturating_sub(entry.scanned.load(Ordering::Acquire));
    let head = *entry.journal_head.borrow();
    let sent = if link.connected {
        link.progress.sent
    } else {
        let outbox = crate::outbox::Outbox::new(Arc::clone(node), Arc::clone(entry));
        outbox.and_then(|outbox| outbox.acknowledged().ok()).unwrap_or(0)
    };
    (sent, head.saturating_sub(sent) + unasked)
}

fn is_refusal(problem: &Problem) -> bool {
    let code = problem.code.parse().unwrap_or(Code::INTERNAL);
    [Code::AGREEMENT_MISMATCH, Code::WRONG_PEER, Code::INCOMPATIBLE, Code::MISBEHAVED, Code::BAD_RELEASE]
        .contains(&code)
        || code == Code::PEER_SUSPENDED
}

async fn show(State(control): State<Control>, Path(id): Path<String>) -> Result<Response, Failed> {
    let held = blocking(move || lookup::show(&control.node, &id)).await??;
    Ok(answer::lines(held))
}

async fn find(State(control): State<Control>, Ask(query): Ask<SearchQuery>) -> Result<Response, Failed> {
    let found = blocking(move || search::search(&control.node, &query)).await??;
    let mut response = answer::lines(found.held);
    if let Some(next) = found.next.and_then(|next| next.parse().ok()) {
        response.headers_mut().insert(NEXT_HEADER, next);
    }
    Ok(response)
}

async fn why(State(control): State<Control>, Ask(query): Ask<WhyQuery>) -> Result<Response, Failed> {
    let why: Why = blocking(move || lookup::why(&control.node, &query)).await??;
    Ok(answer::json(&why))
}

async fn tail(State(control): State<Control>, Ask(query): Ask<StreamQuery>) -> Result<Response, Failed> {
    stream::stream(control.node, query, Visibility::ALL).await
}

async fn siem_readers(State(control): State<Control>) -> Response {
    answer::lines(control.node.collections.deliveries.list())
}

async fn reload(State(control): State<Control>) -> Result<Response, Failed> {
    let reloaded = tokio::task::block_in_place(|| crate::start::reload(&control.node, &control.endpoint));
    match reloaded {
        Ok(peers) => Ok(answer::json(&Reloaded { peers })),
        Err(error) => Err(Problem::new(error.code(), error.to_string()).into()),
    }
}
