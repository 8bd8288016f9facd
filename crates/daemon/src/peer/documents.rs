//! What travels beside the releases of a session: cards, checkpoints and cosignatures, receipts, the ends of agreements,
//! consents. One task handles them in order on a thread that may block.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use mithaq_api::{
    home::{CardRefusal, HomeError, PeerFile, PeerState, create_private_dir, replace_file},
    http::Problem,
};
use mithaq_core::{
    agreement::{
        attestation::{Attestation, VerifiedAttestation},
        termination::{Termination, VerifiedTermination},
    },
    code::Code,
    dsse::Envelope,
    evidence::{Evidence, Noticed, VerifiedEvidence},
    id::{CertId, sha256},
    ledger::Entry,
    receipt::VerifiedReceipt,
    statement::Verified,
};
use mithaq_sync::{Greeting, Input, Seen};
use tokio::sync::mpsc;

use super::{cards, driver::End};
use crate::{
    clock, consents,
    ledger::{CheckpointRefusal, Ledger},
    node::{Node, PeerEntry},
    outbox::Outbox,
    retention, standing, start,
};

/// The kinds of documents. Unknown ones are passed over.
const CARD: u32 = 1;
const CHECKPOINT: u32 = 2;
const COSIGNATURE: u32 = 3;
const TERMINATION: u32 = 4;
const CONSENT_REQUEST: u32 = 5;
const CONSENT: u32 = 6;
const ATTESTATION: u32 = 7;
const END_QUESTION: u32 = 8;
const END: u32 = 9;

/// How many statements are sent at a time.
const STATEMENTS: usize = 16;

/// How many receipts become one commit.
const WORK: usize = 256;

/// How long receipts are collected before they are written: nothing waits for them.
const COLLECT: Duration = Duration::from_millis(100);

/// Something to be dealt with.
#[derive(Debug)]
pub(super) enum Work {
    Greeted(Greeting),
    Document {
        kind: u32,
        body: Bytes,
    },
    Receipt(Box<VerifiedReceipt>),
    /// Time to see whether our card is a newer one, a consent is to be asked for, or the ledger has grown.
    Tick,
}

/// Deals with the documents of one session.
pub(super) struct Courier {
    node: Arc<Node>,
    entry: Arc<PeerEntry>,
    peer: CertId,
    /// The last checkpoint of our ledger that the peer has accepted.
    accepted: Option<Seen>,
    /// The serial of the last card of ours that the peer has, or was sent.
    told_serial: u64,
    /// The size of the checkpoint that the peer has not answered.
    asked: Option<u64>,
    /// The hashes of the statements that were sent in this session.
    sent: BTreeSet<[u8; 32]>,
    outbox: Outbox,
    /// How long the log was when the peer asked where our journal ends, while the rule was not asked of all of it.
    end_asked_at: Option<u64>,
    /// Where the peer says that its journal ended when we asked.
    their_end: Arc<OnceLock<u64>>,
}

/// Deals with documents until the session ends.
pub(super) async fn run(
    mut courier: Courier,
    mut work: mpsc::UnboundedReceiver<Work>,
    answers: mpsc::Sender<Result<Input, End>>,
) {
    let node = Arc::clone(&courier.node);
    let mut batch = Vec::new();
    while work.recv_many(&mut batch, WORK).await > 0 {
        if batch.iter().all(|item| matches!(item, Work::Receipt(_))) {
            tokio::time::sleep(COLLECT).await;
            while batch.len() < WORK
                && let Ok(item) = work.try_recv()
            {
                batch.push(item);
            }
        }
        let taken = std::mem::take(&mut batch);
        let done = tokio::task::spawn_blocking(move || {
            let outcome = courier.deal_with(taken);
            (courier, outcome)
        });
        let Ok((returned, outcome)) = done.await else { return node.fail("dealing with a session's documents") };
        courier = returned;
        match outcome {
            Ok(inputs) => {
                for input in inputs {
                    // The session may be gone; its receipts are written all the same.
                    let _ = answers.send(Ok(input)).await;
                }
            }
            Err(end) => {
                let _ = answers.send(Err(end)).await;
                return;
            }
        }
    }
}

impl Courier {
    pub(super) fn new(node: Arc<Node>, entry: Arc<PeerEntry>, outbox: Outbox, their_end: Arc<OnceLock<u64>>) -> Self {
        let peer = entry.cert();
        Self {
            node,
            entry,
            peer,
            accepted: None,
            told_serial: u64::MAX,
            asked: None,
            sent: BTreeSet::new(),
            outbox,
            end_asked_at: None,
            their_end,
        }
    }

    fn ledger(&self) -> Ledger<'_> {
        Ledger::new(&self.node, self.peer)
    }

    fn deal_with(&mut self, work: Vec<Work>) -> Result<Vec<Input>, End> {
        let (receipts, others): (Vec<_>, Vec<_>) = work.into_iter().partition(|item| matches!(item, Work::Receipt(_)));
        // First: a document that ends the session must not cost us what the peer has signed.
        self.write_receipts(receipts)?;
        let mut inputs = Vec::new();
        for item in others {
            match item {
                Work::Receipt(_) => {}
                Work::Greeted(greeting) => self.greet(&greeting, &mut inputs)?,
                Work::Tick => {
                    self.tell_card(&mut inputs);
                    self.send_statements(&mut inputs)?;
                    self.sign_checkpoint(&mut inputs)?;
                    self.tell_end(&mut inputs)?;
                }
                Work::Document { kind, body } => {
                    self.take(kind, &body, &mut inputs)?;
                    inputs.push(Input::DocumentTaken);
                }
            }
        }
        Ok(inputs)
    }

    fn write_receipts(&self, receipts: Vec<Work>) -> Result<(), End> {
        let entries: Vec<Entry> = receipts
            .into_iter()
            .filter_map(|item| match item {
                Work::Receipt(receipt) => Some(Entry::receipt(*receipt)),
                _ => None,
            })
            .collect();
        if !entries.is_empty() {
            self.ledger().append(&entries, Vec::new())?;
        }
        Ok(())
    }

    /// Tells the peer what it lacks, once it has said what it holds.
    fn greet(&mut self, greeting: &Greeting, inputs: &mut Vec<Input>) -> Result<(), End> {
        self.told_serial = greeting.held_card_serial;
        self.tell_card(inputs);
        if let Some(seen) = greeting.seen {
            self.ledger().check_seen(seen)?;
            self.accepted = Some(seen);
        }
        self.check_their_ledger(greeting)?;
        if let Some(termination) = &self.entry.peer.termination {
            inputs.push(document(TERMINATION, termination.to_json()));
        }
        if self.node.gate.is_closed() {
            inputs.push(document(END_QUESTION, Vec::new()));
        }
        self.send_statements(inputs)?;
        self.sign_checkpoint(inputs)
    }

    /// Sends our card if the peer has an older one.
    fn tell_card(&mut self, inputs: &mut Vec<Input>) {
        let identity = self.node.identity();
        let serial = identity.card.card().serial;
        if serial > self.told_serial {
            self.told_serial = serial;
            inputs.push(document(CARD, identity.card.envelope().to_json()));
        }
    }

    /// A ledger only grows as long as its store is one.
    fn check_their_ledger(&self, greeting: &Greeting) -> Result<(), End> {
        let Some(held) = self.ledger().theirs()? else { return Ok(()) };
        let held = held.checkpoint();
        let is_shorter = *held.origin.store.as_bytes() == greeting.store && greeting.ledger_size < held.size;
        if is_shorter {
            let text = format!(
                "the peer's ledger has {} entries, and it signed {}: its store was rolled back",
                greeting.ledger_size, held.size
            );
            return Err(End::Document(Code::LEDGER_ROLLBACK, text));
        }
        Ok(())
    }

    /// Sends statements that this session has not carried, a few at a time: a relay finds while it lasts what to ask for,
    /// and the peer takes few at once.
    fn send_statements(&mut self, inputs: &mut Vec<Input>) -> Result<(), End> {
        let mut statements = Vec::new();
        if let Some(agreement) = &self.entry.peer.agreement {
            let attestation = retention::attested(&self.node, self.peer, agreement.id())?;
            statements.extend(attestation.map(|envelope| (ATTESTATION, envelope)));
        }
        let (requests, answers) = consents::to_send(&self.node, self.peer)?;
        statements.extend(requests.into_iter().map(|envelope| (CONSENT_REQUEST, envelope)));
        statements.extend(answers.into_iter().map(|envelope| (CONSENT, envelope)));
        let bodies = statements.into_iter().map(|(kind, envelope)| (kind, envelope.to_json()));
        let fresh: Vec<_> = bodies.filter(|(_, body)| !self.sent.contains(&sha256(body))).take(STATEMENTS).collect();
        for (kind, body) in fresh {
            self.sent.insert(sha256(&body));
            inputs.push(document(kind, body));
        }
        Ok(())
    }

    fn sign_checkpoint(&mut self, inputs: &mut Vec<Input>) -> Result<(), End> {
        if self.asked.is_some() {
            return Ok(());
        }
        if let Some((size, body)) = self.ledger().sign_checkpoint(self.accepted)? {
            self.asked = Some(size);
            inputs.push(document(CHECKPOINT, body));
        }
        Ok(())
    }

    fn take(&mut self, kind: u32, body: &[u8], inputs: &mut Vec<Input>) -> Result<(), End> {
        match kind {
            CARD => self.take_card(body),
            CHECKPOINT => {
                let cosignature = self.take_checkpoint(body)?;
                inputs.push(document(COSIGNATURE, cosignature));
                Ok(())
            }
            COSIGNATURE => self.take_cosignature(body),
            TERMINATION => self.take_termination(body),
            ATTESTATION => self.take_attestation(body),
            CONSENT_REQUEST => {
                let envelope = envelope(body)?;
                tell(consents::take_request(&self.node, &self.entry.peer.card, envelope))
            }
            CONSENT => {
                let news = consents::take_answer(&self.node, &self.entry.peer.card, envelope(body)?);
                if matches!(news, Ok(true)) {
                    start::restart_peers(&self.node);
                }
                tell(news.map(drop))
            }
            END_QUESTION => {
                self.end_asked_at.get_or_insert(self.node.store.head());
                self.tell_end(inputs)
            }
            END => self.take_end(body),
            _ => {
                tracing::debug!(kind, "a document of an unknown kind is passed over");
                Ok(())
            }
        }
    }

    /// Tells where our journal ended when the peer asked, once the rule was asked of all that the log had then.
    fn tell_end(&mut self, inputs: &mut Vec<Input>) -> Result<(), End> {
        if let Some(head) = self.end_asked_at
            && self.outbox.is_scanned(head)?
        {
            self.end_asked_at = None;
            inputs.push(document(END, self.outbox.position()?.head.to_be_bytes().to_vec()));
        }
        Ok(())
    }

    fn take_end(&self, body: &[u8]) -> Result<(), End> {
        let malformed = |_| End::Document(Code::MISBEHAVED, "the end of a journal that is no number".into());
        let end = u64::from_be_bytes(body.try_into().map_err(malformed)?);
        // What comes later counts no more: we asked once.
        let _first = self.their_end.set(end);
        Ok(())
    }

    fn take_checkpoint(&self, body: &[u8]) -> Result<Vec<u8>, End> {
        let refusal = match self.ledger().take_checkpoint(&self.entry.peer.card, body) {
            Ok(cosignature) => return Ok(cosignature),
            Err(refusal) => refusal,
        };
        if let CheckpointRefusal::Divergence { held: Some(held), new, .. } = &refusal {
            let noticed = Noticed { by: self.node.us, at: clock::wall() };
            if self.keep(Evidence::of_checkpoints(&self.entry.peer.card, held, new, noticed)) {
                self.block(&refusal.to_string());
            }
        }
        Err(refusal.into())
    }

    /// Keeps proof of what a peer has signed, so that it can be shown to others; says whether there is some.
    fn keep(&self, evidence: Option<VerifiedEvidence>) -> bool {
        let Some(evidence) = evidence else { return false };
        let (Ok(name), Ok(text)) = (evidence.name(), evidence.to_json()) else { return false };
        match self.node.home.write_evidence(&name, &text) {
            Ok(path) => tracing::error!(path = %path.display(), "evidence was kept: see `mithaq evidence list`"),
            Err(error) => tracing::error!(%error, "evidence could not be kept"),
        }
        true
    }

    /// Blocks the peer until somebody has spoken with its operators: it has signed what contradicts itself.
    fn block(&self, reason: &str) {
        let blocked = self.change_peer(|file| {
            file.state = PeerState::Blocked;
            file.reason = Some(reason.to_owned());
        });
        match blocked {
            Ok(()) => tracing::error!(reason, "the peer is blocked: `mithaq peer resume` lets it in again"),
            Err(error) => tracing::error!(%error, "the peer could not be blocked"),
        }
    }

    /// Changes the peer's file and takes this one peer up as it is now, whatever is wrong with the files of others.
    fn change_peer(&self, change: impl FnOnce(&mut PeerFile)) -> Result<(), HomeError> {
        let name = &self.entry.peer.name;
        self.node.home.change_peer(name, |file| {
            change(file);
            Ok::<_, HomeError>(())
        })?;
        let Some(endpoint) = self.node.endpoint.get() else { return Ok(()) };
        cards::take_up(&self.node, endpoint, name)
    }

    fn take_cosignature(&mut self, body: &[u8]) -> Result<(), End> {
        self.ledger().take_cosignature(&self.entry.peer.card, body)?;
        if let Some(ours) = self.ledger().ours()? {
            let checkpoint = ours.checkpoint();
            let store = checkpoint.origin.store;
            self.accepted = Some(Seen::of(checkpoint.size, store.as_bytes(), checkpoint.root.as_bytes()));
        }
        self.asked = None;
        Ok(())
    }

    fn take_card(&self, body: &[u8]) -> Result<(), End> {
        let Some(endpoint) = self.node.endpoint.get() else { return Ok(()) };
        match cards::take_card(&self.node, endpoint, self.peer, envelope(body)?) {
            Ok(_) => {}
            Err(refusal @ CardRefusal::Home(_)) => {
                tracing::error!(%refusal, "the peer's card could not be taken");
                return Ok(());
            }
            Err(refusal) => return Err(End::Document(refusal.code(), refusal.to_string())),
        }
        if let Some(card) = self.node.card_of(self.peer) {
            standing::quarantine_revoked(&self.node, self.peer, card.card());
        }
        Ok(())
    }

    /// The peer attests that it has purged what we released to it: kept as a file, for people.
    fn take_attestation(&self, body: &[u8]) -> Result<(), End> {
        let verified: VerifiedAttestation = Verified::verify(envelope(body)?, &self.entry.peer.card)
            .map_err(|error| End::Document(Code::ATTESTATION, mithaq_api::home::with_sources(&error)))?;
        let Attestation { agreement, releases, objects, .. } = verified.statement();
        if self.entry.peer.agreement.as_ref().is_none_or(|ours| ours.id() != *agreement) {
            return Ok(());
        }
        let (dir, name) = (self.node.home.dir().join("attestations"), &self.entry.peer.name);
        let path = dir.join(format!("{name}-{}.json", agreement.fmt_short()));
        let kept = create_private_dir(&dir).and_then(|()| replace_file(&path, &verified.envelope().to_json()));
        match kept {
            Ok(()) => {
                tracing::warn!(path = %path.display(), releases, objects, "the peer attests that it purged what we released")
            }
            Err(error) => tracing::error!(%error, "an attestation could not be kept"),
        }
        Ok(())
    }

    /// The peer has ended our agreement: from now on nothing goes but what takes back.
    fn take_termination(&self, body: &[u8]) -> Result<(), End> {
        let envelope = envelope(body)?;
        let verified: VerifiedTermination = Verified::verify(envelope.clone(), &self.entry.peer.card)
            .map_err(|error| End::Document(Code::TERMINATION, mithaq_api::home::with_sources(&error)))?;
        let Termination { agreement, at, reason, .. } = verified.statement();
        let is_ours = self.entry.peer.agreement.as_ref().is_some_and(|ours| ours.id() == *agreement);
        if !is_ours || self.entry.peer.ended.is_some() {
            return Ok(());
        }
        tracing::warn!(%at, reason, "the peer has ended the agreement: nothing goes any more but what takes back");
        self.change_peer(|file| file.termination = Some(envelope))
            .map_err(|error| End::Document(Code::TERMINATION, format!("it could not be noted: {error}")))?;
        Ok(())
    }
}

fn document(kind: u32, body: Vec<u8>) -> Input {
    Input::SendDocument { kind, body: body.into() }
}

fn envelope(body: &[u8]) -> Result<Envelope, End> {
    let malformed = |error| End::Document(Code::MISBEHAVED, mithaq_api::home::with_sources(&error));
    Envelope::from_json(body).map_err(malformed)
}

/// What a document's refusal means for the session: our own troubles do not end it.
fn tell(taken: Result<(), Problem>) -> Result<(), End> {
    match taken {
        Err(problem) if problem.code == Code::CONSENT_REFUSED.to_string() => {
            Err(End::Document(Code::CONSENT_REFUSED, problem.message))
        }
        Err(problem) => {
            tracing::error!(code = problem.code, reason = problem.message, "a document could not be taken");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

impl From<CheckpointRefusal> for End {
    fn from(refusal: CheckpointRefusal) -> Self {
        match refusal {
            CheckpointRefusal::Store(error) => Self::Store(error),
            CheckpointRefusal::Key(error) => Self::NoKey(error.to_string()),
            other => Self::Document(other.code(), other.to_string()),
        }
    }
}
