//! The driver of one session: it performs what the state machine asks for, and tells it what came of it.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use mithaq_api::http::{LinkFigures, Problem};
use mithaq_core::{
    agreement::{ThirdParty, VerifiedAgreement},
    code::Code,
    id::CertId,
};
use mithaq_store::StoreError;
use mithaq_sync::{CELLS_MAX, Channel, Fault, Input, Output, Session, Setup, Tally, wire::frame_length};
use quinn::Connection;
use tokio::sync::mpsc;
use tracing::Instrument;

use super::{
    cursor::CursorRow,
    documents::{self, Courier, Work},
    endpoint::CONNECTION_WINDOW,
    frames, known,
    links::{self, Claim},
    loader::{self, Loader, Request, Requests},
    storer::{self, Received, Storer},
    streams::{self, Arrived, Streams},
    tls,
};
use crate::{
    clock,
    fetching::Seat,
    node::{Node, PeerEntry},
    outbox::Outbox,
    steps::{self, Step},
};

/// The least that a connection is given to send before it is acknowledged.
const SEND_WINDOW_MIN: u64 = 64 * 1024;

/// Bytes that may wait on the control stream: twice what all that a sketch can show to lack takes when it is named at
/// once.
const CONTROL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of a short id.
const SHORT_BYTES: usize = size_of::<u64>();

// With less, a sink that lacks very much would end each session when it names that.
const _: () = assert!(CONTROL_BYTES_MAX >= 2 * CELLS_MAX * SHORT_BYTES);

/// Answers of the store that wait to be handled.
const ANSWERS: usize = 64;

/// How long a journal that is being made anew is waited for before it is reconciled as far as it is.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(120);

/// How often timeouts are checked.
const TICK: Duration = Duration::from_millis(500);

/// How many ticks lie between two looks at whether there are documents to be sent.
const COURIER_TICKS: u32 = 4;

/// Why a session ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum End {
    #[error("we hold no agreement with this CERT that has begun")]
    NoAgreement,
    #[error("{0}")]
    NoKey(String),
    #[error("the daemon is stopping or its peers were changed")]
    GoingAway,
    #[error("another connection serves this peer")]
    Replaced,
    #[error("{}", .0.message())]
    Fault(Fault),
    #[error("the peer closed the session: {0}: {1}")]
    ClosedByPeer(Code, String),
    #[error("the connection was lost: {0}")]
    Lost(quinn::ConnectionError),
    #[error("the peer opened no stream in time")]
    NoStream,
    #[error("{1}")]
    Document(Code, String),
    #[error("the store failed: {0}")]
    Store(#[from] StoreError),
}

impl End {
    /// The connection was lost, or closed by the peer.
    pub(super) fn lost(error: quinn::ConnectionError) -> Self {
        match frames::closed_by_peer(&error) {
            Some((code, text)) => Self::ClosedByPeer(code, text),
            None => Self::Lost(error),
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::NoAgreement => Code::AGREEMENT_MISMATCH,
            Self::NoKey(_) => Code::NO_USABLE_KEY,
            Self::GoingAway => Code::GOING_AWAY,
            Self::Replaced => Code::REPLACED,
            Self::Fault(fault) => fault.code(),
            Self::ClosedByPeer(code, _) => *code,
            Self::Lost(_) => Code::UNREACHABLE,
            Self::NoStream => Code::MISBEHAVED,
            Self::Document(code, _) => *code,
            Self::Store(_) => Code::STORE,
        }
    }

    /// What the peer is told: nothing of our own troubles but that there are some.
    fn tell(&self) -> String {
        match self {
            Self::Store(_) | Self::NoKey(_) => "the daemon cannot sign, store or read just now".into(),
            other => other.to_string(),
        }
    }

    /// Whether an operator should hear of it.
    fn is_trouble(&self) -> bool {
        !matches!(self, Self::GoingAway | Self::Replaced | Self::Lost(_))
            && !matches!(self, Self::ClosedByPeer(code, _) if [Code::GOING_AWAY, Code::REPLACED].contains(code))
    }
}

/// Serves a peer over an authenticated connection that `initiator` dialled, until it ends. Says whether a session was
/// established.
///
/// A session has a task of its own: if it dies of what a peer has sent, whoever dials goes on dialling.
pub(super) async fn run(node: &Arc<Node>, entry: &Arc<PeerEntry>, connection: Connection, initiator: CertId) -> bool {
    let span = tracing::info_span!("session", peer = entry.peer.name, remote = %connection.remote_address());
    let (of_node, of_entry) = (Arc::clone(node), Arc::clone(entry));
    let session = async move { serve(&of_node, &of_entry, connection, initiator).await };
    node.tasks.spawn(session.instrument(span)).await.unwrap_or_else(|error| {
        tracing::error!(peer = entry.peer.name, %error, "a session died: please report this");
        if !node.links.is_served(entry.cert()) {
            let problem = Problem::new(Code::MISBEHAVED, "the session died of what the peer has sent, or of a defect");
            entry.update(|status| status.end_dead_session(problem));
        }
        false
    })
}

async fn serve(node: &Arc<Node>, entry: &Arc<PeerEntry>, connection: Connection, initiator: CertId) -> bool {
    let mut pump = match Pump::open(node, entry, &connection, initiator).await {
        Ok(pump) => pump,
        Err(end) => {
            finish(entry, &connection, &end, None, !node.links.is_served(entry.cert()));
            return false;
        }
    };
    let end = pump.run().await;
    let established = pump.established;
    pump.refresh();
    let session = pump.claim.as_ref().map(Claim::number);
    let counts = match &pump.claim {
        Some(claim) => node.links.release(claim),
        None => !node.links.is_served(entry.cert()),
    };
    let progress = pump.session.progress();
    let outbox = pump.outbox.clone();
    pump.close().await;
    finish(entry, &connection, &end, session, counts);
    if established {
        let saved = tokio::task::spawn_blocking(move || outbox.set_acknowledged(progress.sent, progress.lag)).await;
        if !matches!(saved, Ok(Ok(()))) {
            tracing::debug!("how far the peer has come could not be noted");
        }
    }
    established
}

/// Closes the connection and tells status and log.
fn finish(entry: &PeerEntry, connection: &Connection, end: &End, session: Option<u64>, counts: bool) {
    connection.close(end.code().number().into(), end.tell().as_bytes());
    let problem = Problem::new(end.code(), end.to_string());
    if end.is_trouble() {
        tracing::warn!(code = problem.code, reason = problem.message, "the session ended");
    } else {
        tracing::info!(code = problem.code, reason = problem.message, "the session ended");
    }
    if counts {
        entry.update(|status| status.end_session(session, problem));
    }
}

/// How many questions that an alert needs answered are answered before it is looked whether something else is due.
const PROMPT_ANSWERS: usize = 8;

/// A session and all that it is pumped through.
struct Pump {
    node: Arc<Node>,
    entry: Arc<PeerEntry>,
    connection: Connection,
    initiator: CertId,
    outbox: Outbox,
    session: Session,
    claim: Option<Claim>,
    established: bool,
    streams: Streams,
    /// What the connection may be given to send before it is acknowledged.
    send_window: u64,
    frames: Arrived,
    answers: mpsc::Receiver<Result<Input, End>>,
    requests: Requests,
    storer: Storer,
    documents: mpsc::UnboundedSender<Work>,
    /// Where other sessions see what this one fetches.
    seat: Arc<Seat>,
    /// Where the peer's journal ended when we asked, which is only after a restore.
    their_end: Arc<OnceLock<u64>>,
    ticks: u32,
    /// Bytes of frames to and from the peer.
    sent: Tally,
    received: Tally,
    storing: tokio::task::JoinHandle<()>,
    delivering: tokio::task::JoinHandle<()>,
}

impl Pump {
    async fn open(
        node: &Arc<Node>,
        entry: &Arc<PeerEntry>,
        connection: &Connection,
        initiator: CertId,
    ) -> Result<Self, End> {
        let outbox = Outbox::new(Arc::clone(node), Arc::clone(entry)).ok_or(End::NoAgreement)?;
        if node.ledgers.are_diverged() {
            let text = "our store is not the one whose ledger we signed: it was rolled back or changed";
            return Err(End::Document(Code::OWN_ROLLBACK, text.into()));
        }
        let agreement = entry.peer.agreement.as_ref().filter(|agreement| has_begun(agreement));
        let agreement = agreement.ok_or(End::NoAgreement)?;
        let mut cursor = CursorRow::of(entry, agreement.id());
        let identity = node.identity();
        let signing_key = identity.signing_key(clock::wall()).map_err(|error| End::NoKey(error.to_string()))?;
        let known = known::read(node, entry, cursor.key.clone()).await?;
        cursor.marks = known.marks;
        let setup = Setup {
            us: node.us,
            key: Arc::clone(signing_key),
            agreement: agreement.id(),
            store: *node.store.id().as_bytes(),
            instance: node.instance,
            card_serial: node.identity().card.card().serial,
            peer: Arc::new(entry.peer.card.clone()),
            cursor: known.cursor,
            held: known.held,
            ledger_size: known.ledger_size,
            seen: known.seen,
            third_party: agreement.agreement().third_party == ThirdParty::Accept,
            briefs: tls::brief_key(connection).map_err(End::Fault)?,
        };
        let (streams, frames) = Streams::open(connection, initiator == node.us, &entry.pace).await?;
        let (answers_in, answers) = mpsc::channel(ANSWERS);
        let seat = Arc::new(Seat::new(&node.fetching));
        let loader = Loader::new(Arc::clone(node), outbox.clone(), Arc::clone(entry), Arc::clone(&seat));
        let backfill = Arc::clone(streams.queue(Channel::Backfill).backlog());
        let requests = loader::start(loader, backfill, &answers_in);
        let (storer, storing) = storer::start(node, entry.cert(), cursor, &seat, &answers_in);
        let (documents, documents_out) = mpsc::unbounded_channel();
        let their_end = Arc::new(OnceLock::new());
        let courier = Courier::new(Arc::clone(node), Arc::clone(entry), outbox.clone(), Arc::clone(&their_end));
        let delivering = node.tasks.spawn(documents::run(courier, documents_out, answers_in));
        Ok(Self {
            node: Arc::clone(node),
            entry: Arc::clone(entry),
            connection: connection.clone(),
            initiator,
            outbox,
            session: Session::new(setup, clock::now()),
            claim: None,
            established: false,
            streams,
            send_window: 0,
            frames,
            answers,
            requests,
            storer,
            documents,
            seat,
            their_end,
            ticks: 0,
            sent: Tally::default(),
            received: Tally::default(),
            storing,
            delivering,
        })
    }

    /// Pumps until the session ends.
    async fn run(&mut self) -> End {
        match self.pump().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn pump(&mut self) -> Result<std::convert::Infallible, End> {
        let mut tick = tokio::time::interval(TICK);
        let mut journal = self.entry.journal_head.subscribe();
        let replaced = tokio_util::sync::CancellationToken::new();
        self.perform()?;
        loop {
            let alarm = self.session.wakes_at();
            let until = alarm.unwrap_or_default().saturating_sub(clock::now().monotonic);
            let replaced = self.claim.as_ref().map_or(&replaced, |claim| &claim.replaced).clone();
            let input = tokio::select! {
                biased;
                () = self.entry.cancel.cancelled() => return Err(End::GoingAway),
                () = replaced.cancelled() => return Err(End::Replaced),
                error = self.connection.closed() => return Err(End::lost(error)),
                ended = self.streams.ended() => return Err(streams::why_ended(&self.connection, ended).await),
                // Before the answers, of which a bulk has many: what it tells is most often an alert.
                Ok(()) = journal.changed() => Input::JournalGrew { head: *journal.borrow_and_update() },
                Some(answer) = self.answers.recv() => answer?,
                Some(frame) = self.frames.control.recv() => self.arrived(frame),
                Some(frame) = self.frames.prompt.recv() => self.arrived(frame),
                () = tokio::time::sleep(until), if alarm.is_some() => Input::Wake,
                _ = tick.tick() => {
                    self.ticks = self.ticks.wrapping_add(1);
                    if self.established && self.ticks.is_multiple_of(COURIER_TICKS) {
                        self.deliver(Work::Tick);
                    }
                    Input::Tick
                }
                () = std::future::ready(()), if self.requests.has_prompt() => match self.requests.answer_prompt() {
                    Some(answer) => answer?,
                    None => continue,
                },
                Some(frame) = self.frames.backfill.recv() => self.arrived(frame),
            };
            if let Input::Stored { entries } = &input {
                self.seat.settle(entries.iter().map(|(index, _)| *index));
            }
            self.take(input)?;
            self.refresh();
        }
    }

    /// Has the machine take an input, and performs what follows at once.
    fn take(&mut self, input: Input) -> Result<(), End> {
        self.session.handle(input, clock::now());
        self.perform()?;
        for _ in 0..PROMPT_ANSWERS {
            let Some(answer) = self.requests.answer_prompt() else { break };
            self.session.handle(answer?, clock::now());
            self.perform()?;
        }
        Ok(())
    }

    fn arrived(&mut self, frame: Bytes) -> Input {
        self.received.count(&frame);
        Input::Received(frame)
    }

    fn deliver(&self, work: Work) {
        let _ = self.documents.send(work);
    }

    /// Performs all that the machine has asked for.
    fn perform(&mut self) -> Result<(), End> {
        if self.claim.is_none()
            && let Some(instance) = self.session.peer_instance()
        {
            let claim = self.node.links.claim(self.entry.cert(), self.initiator, instance);
            self.claim = Some(claim.ok_or(End::Replaced)?);
        }
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send { channel, frame } => self.send(channel, frame)?,
                Output::Established => self.establish(),
                Output::Store { index, release, bodies, card, cursor, manner, inline } => {
                    steps::passed(Step::Verified, release.id(), release.contents().len());
                    let release = *release;
                    let changes = Vec::new();
                    self.storer.store(Received { index, release, bodies, card, cursor, manner, inline, changes });
                }
                Output::Stage(parts) => self.storer.stage(parts),
                Output::Greeted(greeting) => self.deliver(Work::Greeted(greeting)),
                Output::Document { kind, body } => self.deliver(Work::Document { kind, body }),
                Output::Receipt(receipt) => self.deliver(Work::Receipt(receipt)),
                Output::SaveCursor(cursor) => self.storer.save(cursor),
                Output::Close(fault) => return Err(End::Fault(fault)),
                Output::OpenJournal { cursor } => self.requests.send(Request::OpenJournal { cursor }),
                Output::SettleJournal => self.settle_journal(),
                Output::OpenSketch { through, key, cells } => {
                    tracing::info!("the peer's cursor does not fit: what the peer lacks is found by a sketch");
                    self.requests.send(Request::OpenSketch { through, key, cells });
                }
                Output::ReadCells { from, count } => self.requests.send(Request::ReadCells { from, count }),
                Output::FindMarks { shorts } => self.requests.send(Request::FindMarks { shorts }),
                Output::ReadEntries { indexes } => self.requests.send(Request::ReadEntries { indexes }),
                Output::CompareSketch { key, cells } => self.requests.send(Request::CompareSketch { key, cells }),
                Output::ReadJournal { after, limit } => self.requests.send(Request::ReadJournal { after, limit }),
                Output::ReadTail { after, limit } => self.requests.send(Request::ReadTail { after, limit }),
                Output::LoadRelease { index, id, inline } => {
                    self.requests.send(Request::LoadRelease { index, id, inline })
                }
                Output::LoadBodies { index, release, contents } => {
                    let group_bytes = self.group_bytes();
                    self.requests.send(Request::LoadBodies { index, release, contents, group_bytes });
                }
                Output::CheckReleases { first, ids } => self.requests.send(Request::CheckReleases { first, ids }),
                Output::FindReleases { key, offered } => self.requests.send(Request::FindReleases { key, offered }),
                Output::ClaimRelease { index, key, brief } => {
                    self.requests.send(Request::ClaimRelease { index, key, brief });
                }
                Output::CheckBodies { index, release, prefixes } => {
                    self.requests.send(Request::CheckBodies { index, release, prefixes });
                }
                Output::BodiesCame { index, bodies } => self.seat.came(index, bodies),
                Output::BodiesGone { index } => self.seat.give_up(index),
            }
        }
        Ok(())
    }

    /// How much goes into the next group of bodies: little on a slow link, where a cut could waste much of a large one,
    /// and where an alert would wait for it.
    fn group_bytes(&self) -> usize {
        let for_link = mithaq_sync::group_bytes(self.entry.pace.bytes_per_second().or_else(|| self.bytes_per_second()));
        for_link.min(self.node.alerts.piece_bytes())
    }

    /// What the link carries at the most, by its congestion window and round trip.
    fn bytes_per_second(&self) -> Option<u64> {
        let path = self.connection.stats().path;
        let rate = u128::from(path.cwnd) * 1_000_000 / path.rtt.as_micros().max(1);
        u64::try_from(rate).ok().filter(|rate| *rate > 0)
    }

    /// Has the loader say how long our journal is once the rule was asked of all that the log has now.
    fn settle_journal(&self) {
        let (outbox, entry, head) = (self.outbox.clone(), Arc::clone(&self.entry), self.node.store.head());
        let settled = async move {
            tokio::select! {
                () = entry.cancel.cancelled() => {}
                _ = tokio::time::timeout(SETTLE_TIMEOUT, scanned(&outbox, &entry, head)) => {}
            }
        };
        self.requests.count_journal_after(settled, &self.node.tasks);
    }

    /// Queues a frame. What waits on the data streams is bounded by the window that the machine keeps; what waits on
    /// the control stream grows only with a peer that asks and never reads the answers.
    fn send(&mut self, channel: Channel, frame: Bytes) -> Result<(), End> {
        if let Ok(Some((length, _))) = frame_length(&frame) {
            self.sent.count(&frame[length..]);
        }
        let queue = self.streams.queue(channel);
        if channel == Channel::Control && queue.backlog().bytes() > CONTROL_BYTES_MAX {
            return Err(End::Fault(Fault::Stalled("the control stream")));
        }
        queue.send(frame);
        Ok(())
    }

    /// Takes the frames of the other streams too, now that they have a meaning.
    fn establish(&mut self) {
        self.established = true;
        // INVARIANT: a peer's claim is made once its hello was read, which is before the session is established.
        let number = self.claim.as_ref().map_or(0, Claim::number);
        self.entry.update(|status| status.begin_session(number));
        tracing::info!("the session is established");
        self.streams.read_all(self.connection.clone());
    }

    /// Refreshes what `status` shows, and how much the connection is given to send: twice what it may have in flight
    /// keeps it busy, and what it was given can neither be overtaken by our rule nor by more than QUIC itself orders.
    fn refresh(&mut self) {
        let window = self.connection.stats().path.cwnd.saturating_mul(2);
        let window = window.clamp(SEND_WINDOW_MIN, u64::from(CONNECTION_WINDOW));
        if window != self.send_window {
            self.connection.set_send_window(window);
            self.send_window = window;
        }
        if let Some(claim) = self.claim.as_ref().filter(|_| self.established) {
            let (stats, progress) = (self.connection.stats(), self.session.progress());
            let bytes = links::Bytes {
                sent: stats.udp_tx.bytes,
                received: stats.udp_rx.bytes,
                frames_sent: self.sent,
                frames_received: self.received,
            };
            let figures = LinkFigures {
                rate_bits: None,
                round_trip_us: u64::try_from(stats.path.rtt.as_micros()).unwrap_or(u64::MAX),
                window_bytes: stats.path.cwnd,
                packets_sent: stats.path.sent_packets,
                packets_lost: stats.path.lost_packets,
            };
            let is_heard = self.their_end.get().is_some_and(|end| progress.durable >= *end);
            self.entry.update(|status| status.refresh(claim.number(), progress, bytes, figures, is_heard));
        }
    }

    /// Waits until what was verified is stored.
    async fn close(mut self) {
        self.session.abandon();
        while let Some(output) = self.session.poll_output() {
            if let Output::Stage(parts) = output {
                self.storer.stage(parts);
            }
        }
        let Self { storer, requests, documents, streams, storing, delivering, answers, seat, .. } = self;
        drop((storer, requests, documents, streams, answers));
        let _ = storing.await;
        // What it fetched is held now, and what did not come others may fetch.
        drop(seat);
        let _ = delivering.await;
    }
}

/// Waits until the rule was asked of all rows of the log up to `head`.
async fn scanned(outbox: &Outbox, entry: &PeerEntry, head: u64) {
    let mut journal = entry.journal_head.subscribe();
    loop {
        let worker = outbox.clone();
        let scanned = tokio::task::spawn_blocking(move || worker.is_scanned(head));
        // Who cannot read the log is told so by the next request.
        if !matches!(scanned.await, Ok(Ok(false))) || journal.changed().await.is_err() {
            return;
        }
    }
}

/// Whether an agreement has begun. Once it is over a session still carries what takes back.
fn has_begun(agreement: &VerifiedAgreement) -> bool {
    agreement.agreement().valid_from <= clock::wall()
}
