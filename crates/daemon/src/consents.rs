//! Consents: what origins let us pass on, what we asked them, and what others ask of us.
//!
//! A relay asks by itself, once, when the rule finds that an origin is to be asked; the request goes out with the next
//! session, and the operator over there answers with `mithaq consent`. Each answer makes the journals anew, so that what
//! was passed by is asked of again.

use std::sync::{PoisonError, RwLock};

use mithaq_api::http::{ConsentRow, Problem};
use mithaq_core::{
    card::VerifiedCard,
    code::Code,
    consent::{
        Answer, Consent, ConsentRequest, ConsentScope, ConsentState, Passing, VerifiedConsent, VerifiedConsentRequest,
    },
    dsse::Envelope,
    id::{CertId, ReleaseId},
    label::Label,
    statement::{StatementError, Verified, peek},
    time::Time,
};
use mithaq_store::{Batch, StateChange, Store, StoreError};

use crate::{clock, node::Node, push::store_problem};

/// Before the key of an answer that we were given: origin, third CERT.
const ANSWERS: &[u8] = b"cn/";

/// Before the key of a request of ours: origin, third CERT.
const ASKED: &[u8] = b"cq/";

/// Before the key of a request to us: who asks, third CERT.
const REQUESTS: &[u8] = b"cr/";

/// Before the key of an answer of ours: who asked, third CERT.
const GIVEN: &[u8] = b"ca/";

/// The most requests of one peer that are kept.
const REQUESTS_MAX: usize = 256;

/// The most pairs of CERTs of which answers and requests are kept.
const PAIRS_MAX: usize = 4_096;

/// The answers that we were given, read once: the rule asks for each release.
#[derive(Debug, Default)]
pub(crate) struct Consents(RwLock<Vec<VerifiedConsent>>);

impl Consents {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Vec<VerifiedConsent>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an answer in place of an earlier one of the same origin on the same third CERT.
    fn set(&self, consent: VerifiedConsent) {
        let mut consents = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let of = |consent: &VerifiedConsent| (consent.statement().origin, consent.statement().third);
        consents.retain(|held| of(held) != of(&consent));
        consents.push(consent);
    }

    /// Names the answers that hold: another answer is another edition of each journal.
    pub(crate) fn edition(&self) -> Vec<u8> {
        let mut answers: Vec<_> = self.read().iter().map(|consent| consent.envelope().to_json()).collect();
        answers.sort_unstable();
        answers.concat()
    }
}

fn pair_key(prefix: &[u8], one: CertId, third: CertId) -> Vec<u8> {
    [prefix, one.as_bytes(), third.as_bytes()].concat()
}

fn envelopes(store: &dyn Store, prefix: &[u8]) -> Result<Vec<Envelope>, StoreError> {
    let rows = store.state_range(prefix, None, PAIRS_MAX)?;
    Ok(rows.iter().filter_map(|(_, value)| Envelope::from_json(value).ok()).collect())
}

/// Reads the answers that we were given; those whose signer we hold no card of any more count no more. Blocks.
pub(crate) fn load(node: &Node) -> Result<(), StoreError> {
    for envelope in envelopes(&*node.store, ANSWERS)? {
        let card = peek::<Consent>(&envelope).ok().and_then(|consent| node.card_of(consent.origin));
        if let Some(consent) = card.and_then(|card| Verified::verify(envelope, &card).ok()) {
            node.consents.set(consent);
        }
    }
    Ok(())
}

/// What an origin has said of passing a release on to a third CERT.
pub(crate) fn state(node: &Node, origin: CertId, third: CertId, release: ReleaseId, label: &Label) -> ConsentState {
    let passing = Passing { origin, us: node.us, third, release, label, now: clock::wall() };
    ConsentState::of(node.consents.read().iter(), &passing)
}

/// Notes that an origin is to be asked, unless it was; says whether there is something new to send. Blocks.
pub(crate) fn want(node: &Node, origin: CertId, third: CertId) -> Result<bool, Problem> {
    let key = pair_key(ASKED, origin, third);
    let failed = |error| store_problem(&error);
    if node.store.state(&key).map_err(failed)?.is_some() {
        return Ok(false);
    }
    let reason = format!("{} is to receive what you let be passed on", node.name_of(third));
    let request = ConsentRequest::new(node.us, origin, third, ConsentScope::All, clock::wall(), reason);
    let request = sign(node, request)?;
    put(node, key, request.envelope())?;
    tracing::info!(origin = node.name_of(origin), third = node.name_of(third), "the origin is asked for its consent");
    Ok(true)
}

fn sign<S: mithaq_core::statement::Statement>(node: &Node, statement: S) -> Result<Verified<S>, Problem> {
    Verified::sign(statement, &*node.signing_key(clock::wall())?).map_err(|error| refused(&error))
}

fn refused(error: &StatementError) -> Problem {
    Problem::new(Code::CONSENT_REFUSED, mithaq_api::home::with_sources(error))
}

fn put(node: &Node, key: Vec<u8>, envelope: &Envelope) -> Result<(), Problem> {
    let change = StateChange::set(key, envelope.to_json());
    let committed = node.commit(Batch { state: vec![change], ..Batch::default() });
    committed.map(drop).map_err(|error| store_problem(&error))
}

/// What is to be sent to a peer when a session begins: our requests to it and our answers to its own. Blocks.
pub(crate) fn to_send(node: &Node, peer: CertId) -> Result<(Vec<Envelope>, Vec<Envelope>), StoreError> {
    let of_peer = |prefix: &[u8]| envelopes(&*node.store, &[prefix, peer.as_bytes()].concat());
    Ok((of_peer(ASKED)?, of_peer(GIVEN)?))
}

/// Takes a peer's request for our consent. Blocks.
pub(crate) fn take_request(node: &Node, card: &VerifiedCard, envelope: Envelope) -> Result<(), Problem> {
    let request: VerifiedConsentRequest = Verified::verify(envelope, card).map_err(|error| refused(&error))?;
    let statement = request.statement();
    if statement.to != node.us {
        return Err(Problem::new(Code::CONSENT_REFUSED, "the request is to another CERT"));
    }
    let key = pair_key(REQUESTS, statement.from, statement.third);
    let is_known = node.store.state(&key).map_err(|error| store_problem(&error))?.is_some();
    let of_peer = [REQUESTS, statement.from.as_bytes()].concat();
    let count = node.store.state_range(&of_peer, None, REQUESTS_MAX).map_err(|error| store_problem(&error))?.len();
    if is_known || count >= REQUESTS_MAX {
        return Ok(());
    }
    let (from, third) = (node.name_of(statement.from), node.name_of(statement.third));
    tracing::warn!(from, third, "a CERT asks for consent to pass on what we released: see `mithaq consent list`");
    put(node, key, request.envelope())
}

/// Takes an origin's answer; says whether it is news. Blocks.
pub(crate) fn take_answer(node: &Node, card: &VerifiedCard, envelope: Envelope) -> Result<bool, Problem> {
    let consent: VerifiedConsent = Verified::verify(envelope, card).map_err(|error| refused(&error))?;
    let statement = consent.statement();
    if statement.to != node.us {
        return Err(Problem::new(Code::CONSENT_REFUSED, "the answer is to another CERT"));
    }
    let of = |held: &&VerifiedConsent| {
        (held.statement().origin, held.statement().third) == (statement.origin, statement.third)
    };
    let asked = node.store.state(&pair_key(ASKED, statement.origin, statement.third));
    if asked.map_err(|error| store_problem(&error))?.is_none() {
        // Nobody here asked.
        return Ok(false);
    }
    // An older answer that comes again must not take the place of a newer one.
    if node.consents.read().iter().find(of).is_some_and(|held| held.statement().at >= statement.at) {
        return Ok(false);
    }
    put(node, pair_key(ANSWERS, statement.origin, statement.third), consent.envelope())?;
    node.consents.set(consent);
    Ok(true)
}

/// Every request to us and of ours, with its answer. Blocks.
pub(crate) fn list(node: &Node) -> Result<Vec<ConsentRow>, StoreError> {
    let mut rows = Vec::new();
    for request in
        envelopes(&*node.store, REQUESTS)?.iter().filter_map(|envelope| peek::<ConsentRequest>(envelope).ok())
    {
        let answer = node.store.state(&pair_key(GIVEN, request.from, request.third))?;
        let answer = answer.and_then(|value| peek::<Consent>(&Envelope::from_json(&value).ok()?).ok());
        rows.push(row(node, &request, answer.as_ref()));
    }
    for request in envelopes(&*node.store, ASKED)?.iter().filter_map(|envelope| peek::<ConsentRequest>(envelope).ok()) {
        let consents = node.consents.read();
        let mut answers = consents.iter().map(Verified::statement);
        let answer = answers.find(|answer| (answer.origin, answer.third) == (request.to, request.third));
        rows.push(row(node, &request, answer));
    }
    Ok(rows)
}

fn row(node: &Node, request: &ConsentRequest, answer: Option<&Consent>) -> ConsentRow {
    ConsentRow {
        origin: node.name_of(request.to),
        via: node.name_of(request.from),
        to: node.name_of(request.third),
        to_cert: request.third,
        asked_at: request.at,
        reason: request.reason.clone(),
        answer: answer.map(|consent| if consent.answer == Answer::Grant { "granted" } else { "denied" }.to_owned()),
        until: answer.map(|consent| consent.until),
    }
}

/// Answers the request of a peer to pass on to a third CERT. Blocks.
///
/// # Errors
/// When there is no such request, or the store fails.
pub(crate) fn answer(node: &Node, from: CertId, third: CertId, answer: Answer, until: Time) -> Result<(), Problem> {
    let value = node.store.state(&pair_key(REQUESTS, from, third)).map_err(|error| store_problem(&error))?;
    let envelope = value.and_then(|value| Envelope::from_json(&value).ok());
    let request = envelope.and_then(|envelope| peek::<ConsentRequest>(&envelope).ok());
    let request = request.ok_or_else(|| {
        let text = format!("{} has not asked to pass anything on to {}", node.name_of(from), node.name_of(third));
        Problem::new(Code::NOT_FOUND, text)
    })?;
    let consent = Consent::answer(&request, answer, request.what.clone(), clock::wall(), until);
    let consent = sign(node, consent)?;
    put(node, pair_key(GIVEN, from, third), consent.envelope())
}
