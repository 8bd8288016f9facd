//! One end of a connection: a session, and a model of the daemon that performs what it asks for. What sessions can ask
//! for and be told is spoken of in this file alone.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use mithaq_core::{
    id::{AgreementId, ContentId, ReleaseId},
    release::VerifiedRelease,
};
use mithaq_sync::{Cursor, GROUP_BYTES, INLINE_BYTES_MAX, Input, Output, Prompt, Session, Setup};

use crate::{
    cast::at,
    checks::Watch,
    disk::{Edition, Journal},
    node::Node,
    pool::{Deed, POOL},
    storer::{Item, Received, Storer},
    world::{Event, World},
};

/// The kind of document by which a side ends an agreement.
const TERMINATION: u32 = 4;

/// Names one end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EndKey {
    pub(crate) connection: u64,
    pub(crate) node: usize,
}

/// One end of a connection.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) peer: usize,
    pub(crate) session: Session,
    pub(crate) agreement: AgreementId,
    /// Which of our journals goes to the peer.
    pub(crate) edition: Edition,
    /// The cursor of our hello.
    pub(crate) cursor: Option<Cursor>,
    pub(crate) opened: Duration,
    /// Whether all that may go stood in the journal when the session began.
    pub(crate) journal_complete: bool,
    pub(crate) established: bool,
    /// Whether the peer's hello came, which ends older connections with it.
    pub(crate) claimed: bool,
    /// Frames of the other streams, which are read only once the session is established.
    pub(crate) early: Vec<Bytes>,
    /// Questions to the store without an answer yet.
    pub(crate) asked: usize,
    /// When the session is to be told the time next.
    pub(crate) wakes: Option<Duration>,
    pub(crate) watch: Watch,
}

impl World {
    /// Begins a session at one end of a new connection.
    pub(crate) fn open(&mut self, key: EndKey, peer: usize) {
        let node = &self.nodes[key.node];
        let cursor = node.cursor(peer);
        let cursor = node.vice.map_or(cursor, |vice| vice.cursor(cursor, &mut self.rng));
        let setup = setup(node, peer, cursor);
        let agreement = setup.agreement;
        let end = End {
            peer,
            session: Session::new(setup, at(self.now)),
            agreement,
            edition: node.edition(peer),
            cursor,
            opened: self.now,
            journal_complete: node.is_extended(peer),
            established: false,
            claimed: false,
            early: Vec::new(),
            asked: 0,
            wakes: None,
            watch: Watch::default(),
        };
        self.ends.insert(key, end);
        self.nodes[key.node].storers.insert(key.connection, Storer::new(key.connection, peer, agreement));
        self.settle(key);
    }

    /// Gives an input to a session, if there still is one.
    pub(crate) fn give(&mut self, key: EndKey, input: Input) {
        if let Some(end) = self.ends.get_mut(&key) {
            end.session.handle(input, at(self.now));
            self.settle(key);
        }
    }

    fn settle(&mut self, key: EndKey) {
        while let Some(output) = self.ends.get_mut(&key).and_then(|end| end.session.poll_output()) {
            self.claim(key);
            self.perform(key, output);
        }
        self.set_alarm(key);
        self.check_bounds(key);
    }

    fn perform(&mut self, key: EndKey, output: Output) {
        match output {
            Output::Send { channel, frame } => self.send(key, channel, &frame),
            Output::Established => self.establish(key),
            Output::Greeted(_) => self.tell_of_the_end(key),
            Output::Document { kind, body } => self.take_document(key, kind, &body),
            Output::Receipt(_) => self.counts.receipts += 1,
            Output::Store { index, release, bodies, cursor, manner, .. } => {
                self.nodes[key.node].grove.handed_over(key.connection, release.id(), manner);
                let bodies = bodies.iter().map(|body| body.id()).collect();
                self.store(key, index, &release, bodies, cursor);
            }
            // Nothing is kept of releases that did not come whole.
            Output::Stage(_) => {}
            // No node fetches one body from two peers at once here: nobody asks who fetches what.
            Output::BodiesCame { .. } | Output::BodiesGone { .. } => {}
            Output::SaveCursor(cursor) => self.hand_over(key, Item::Cursor(cursor)),
            Output::Close(fault) => self.fail(key, &fault),
            question => self.ask(key, question),
        }
    }

    /// A question to the store, which takes its time; answers may overtake each other. What is told of a journal may be
    /// of when it was asked; the rule, and what is held, are looked at when the answer is given.
    fn ask(&mut self, key: EndKey, question: Output) {
        let Some(end) = self.ends.get_mut(&key) else { return };
        end.asked += 1;
        let is_of_journal =
            matches!(question, Output::OpenJournal { .. } | Output::ReadJournal { .. } | Output::ReadTail { .. });
        let takes = self.rng.duration(self.plan.answer);
        let early = if is_of_journal && self.rng.below(2) == 0 { self.find_out(key, &question) } else { None };
        let event = match early {
            Some(input) => Event::Answer(key, input),
            None => Event::Question(key, Box::new(question)),
        };
        self.schedule(takes, event);
    }

    /// What the store of a session's node says to a question now.
    pub(crate) fn find_out(&mut self, key: EndKey, question: &Output) -> Option<Input> {
        if let Output::ClaimRelease { index, id } = question {
            return self.claim_release(key, *index, *id);
        }
        let end = self.ends.get(&key)?;
        let limit = if self.plan.short_reads { 1 + self.rng.size(200) } else { usize::MAX };
        Some(look_up(&self.nodes[key.node], end, question, limit))
    }

    /// Gives a session the answer to a question.
    pub(crate) fn answer(&mut self, key: EndKey, input: Input) {
        if let Some(end) = self.ends.get_mut(&key) {
            end.asked -= 1;
            self.report(key, input);
        }
    }

    /// Tells a session what came of what it asked for; a hostile node's hears something else, or nothing.
    pub(crate) fn report(&mut self, key: EndKey, input: Input) {
        let input = match self.nodes[key.node].vice {
            Some(vice) => vice.distort(input, &mut self.rng),
            None => Some(input),
        };
        if let Some(input) = input {
            self.give(key, input);
        }
    }

    fn establish(&mut self, key: EndKey) {
        let Some(end) = self.ends.get_mut(&key) else { return };
        end.established = true;
        for frame in std::mem::take(&mut end.early) {
            self.give(key, Input::Received(frame));
        }
    }

    /// In every session under an agreement that is over the peer is told so.
    pub(crate) fn tell_of_the_end(&mut self, key: EndKey) {
        let Some(end) = self.ends.get(&key) else { return };
        if self.nodes[key.node].pacts[&end.peer].ended {
            let body = Bytes::copy_from_slice(end.agreement.as_bytes());
            self.give(key, Input::SendDocument { kind: TERMINATION, body });
        }
    }

    fn take_document(&mut self, key: EndKey, kind: u32, body: &Bytes) {
        let Some(end) = self.ends.get(&key) else { return };
        let (peer, node) = (end.peer, &mut self.nodes[key.node]);
        if kind == TERMINATION && body[..] == node.agreement(peer).as_bytes()[..] {
            node.pacts.entry(peer).and_modify(|pact| pact.ended = true);
        }
        let takes = self.rng.duration(self.plan.answer);
        self.schedule(takes, Event::Give(key, Input::DocumentTaken));
    }

    fn store(&mut self, key: EndKey, index: u64, release: &VerifiedRelease, bodies: Vec<ContentId>, cursor: Cursor) {
        let id = release.id();
        self.check_store(key, index, release);
        match self.nodes[key.node].vice.and_then(|vice| vice.brag(index)) {
            Some(brag) => self.give(key, brag),
            None => self.hand_over(key, Item::Release(Received { index, id, bodies, cursor })),
        }
    }

    fn hand_over(&mut self, key: EndKey, item: Item) {
        if let Some(storer) = self.nodes[key.node].storers.get_mut(&key.connection) {
            storer.push(item);
        }
        self.drive_storer(key.node, key.connection);
    }
}

fn setup(node: &Node, peer: usize, cursor: Option<Cursor>) -> Setup {
    let (ours, theirs) = (&POOL.certs[node.number], &POOL.certs[peer]);
    let mut instance = [0; 16];
    instance[0] = u8::try_from(node.number).unwrap();
    instance[1..5].copy_from_slice(&node.boot.to_be_bytes());
    Setup {
        us: ours.card.cert_id(),
        key: Arc::clone(&ours.signing),
        agreement: node.agreement(peer),
        store: node.disk.store,
        instance,
        card_serial: 1,
        peer: Arc::clone(&theirs.card),
        cursor,
        // No node tells what it holds, so that journals are offered and never sketched.
        held: 0,
        ledger_size: 0,
        seen: None,
        third_party: node.pacts[&peer].terms.third_party,
    }
}

/// What the store of a node says to a question of a session. Journals are read at most `limit` entries at a time.
fn look_up(node: &Node, end: &End, question: &Output, limit: usize) -> Input {
    let journal = node.journal(end.peer, end.edition);
    match question {
        Output::OpenJournal { cursor } => Input::JournalOpened {
            after: journal.map_or(0, |journal| journal.resume_at(*cursor)),
            head: journal.map_or(0, Journal::head),
        },
        Output::ReadJournal { after, limit: most } => {
            let after = usize::try_from(*after).unwrap();
            let ids = journal.into_iter().flat_map(Journal::ids).skip(after).take(limit.min(*most)).collect();
            Input::JournalRead { ids }
        }
        Output::ReadTail { after, limit: most } => read_tail(journal, *after, limit.min(*most)),
        Output::LoadRelease { index, id, inline } => load_release(node, end.peer, *index, *id, *inline),
        Output::LoadBodies { index, release, contents } => {
            let bodies = if node.may_go(end.peer, *release) { load_group(contents) } else { Vec::new() };
            Input::BodiesLoaded { index: *index, bodies }
        }
        Output::CheckReleases { first, ids } => {
            let is_known = |id: &ReleaseId| is_held_openly(node, end.peer, *id);
            Input::ReleasesKnown { first: *first, known: ids.iter().map(is_known).collect() }
        }
        Output::CheckBodies { index, contents, .. } => {
            let held = contents.iter().map(|content| holds_openly(node, end.peer, *content)).collect();
            Input::BodiesHeld { index: *index, held }
        }
        other => panic!("nobody performs {other:?}"),
    }
}

/// Whether a node has a release and may say so to a peer: it is the peer's own, or was disclosed to it.
pub(crate) fn is_held_openly(node: &Node, peer: usize, id: ReleaseId) -> bool {
    let may_know = || POOL.sample(id).origin == peer || node.disk.disclosed.contains(&(peer, id));
    node.disk.releases.contains(&id) && may_know()
}

/// What of a journal need not wait for older entries.
fn read_tail(journal: Option<&Journal>, after: u64, limit: usize) -> Input {
    let skipped = usize::try_from(after).unwrap();
    let ids: Vec<ReleaseId> = journal.into_iter().flat_map(Journal::ids).skip(skipped).take(limit).collect();
    let prompt = |(index, id): (u64, &ReleaseId)| {
        let sample = POOL.sample(*id);
        let urgent = matches!(sample.deed, Deed::Withdraw(_));
        let bytes: usize = sample.parcel.bodies.iter().map(Vec::len).sum();
        (urgent || bytes <= INLINE_BYTES_MAX).then_some(Prompt { index, id: *id, urgent })
    };
    Input::TailRead { through: after + ids.len() as u64, entries: (after + 1..).zip(&ids).filter_map(prompt).collect() }
}

/// A release with its bodies if they are small, if the rule lets it go now.
fn load_release(node: &Node, peer: usize, index: u64, id: ReleaseId, inline: bool) -> Input {
    if !node.may_go(peer, id) {
        return Input::ReleaseLoaded { index, release: None, card: None, inline: None };
    }
    let sample = POOL.sample(id);
    let card = (sample.origin != node.number).then(|| Arc::clone(&POOL.certs[sample.origin].card));
    let bytes: usize = sample.parcel.bodies.iter().map(Vec::len).sum();
    let bodies = (inline && bytes <= INLINE_BYTES_MAX).then(|| sample.parcel.bodies.clone());
    Input::ReleaseLoaded { index, release: Some(sample.parcel.release.signed().clone()), card, inline: bodies }
}

/// The first of these bodies, as many as make a group.
fn load_group(contents: &[ContentId]) -> Vec<Vec<u8>> {
    let mut bytes = 0;
    let fits = |body: &&[u8]| {
        let is_first = bytes == 0;
        bytes += body.len();
        is_first || bytes <= GROUP_BYTES
    };
    contents.iter().map(|content| POOL.body(*content)).take_while(fits).map(<[u8]>::to_vec).collect()
}

/// Whether a node holds a body and may say so to a peer: it is the peer's own, or the peer may have it.
fn holds_openly(node: &Node, peer: usize, content: ContentId) -> bool {
    let may_know = |id: &ReleaseId| POOL.sample(*id).origin == peer || node.may_go(peer, *id);
    node.disk.bodies.contains(&content) && node.disk.named_by(content).iter().any(may_know)
}
