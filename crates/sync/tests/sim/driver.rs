//! One end of a connection: a session, and a model of the daemon that performs what it asks for. What sessions can ask
//! for and be told is spoken of in this file alone.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use mithaq_core::{
    body::Body,
    id::{AgreementId, ContentId, ReleaseId, sha256},
    release::VerifiedRelease,
    time::Time,
};
use mithaq_sync::{
    BriefKey, Cursor, GROUP_BYTES, Greeting, INLINE_BYTES_MAX, Input, Now, Output, Part, Pending, Prompt, Session,
    SessionId, Setup, Waiting,
};

use crate::{
    cast::{at, wall},
    checks::Watch,
    disk::{Edition, Journal, Lot},
    node::Node,
    pool::{Deed, POOL},
    storer::{Item, Received, Storer},
    world::{Event, World},
};

/// The kind of document that is the sender's card.
const CARD: u32 = 1;

/// The kind of document by which a side ends an agreement.
const TERMINATION: u32 = 4;

/// How long a journal that is being made anew is waited for before it is reconciled as far as it is.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(120);

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
    /// Whether what comes is held against the card that names the peer's second key.
    knows_renewed: bool,
    /// Which of our journals goes to the peer.
    pub(crate) edition: Edition,
    /// The cursor of our hello.
    pub(crate) cursor: Option<Cursor>,
    pub(crate) opened: Duration,
    /// Its place among those who fetch.
    pub(crate) seat: SessionId,
    /// Releases whose bodies are on their way from elsewhere.
    pub(crate) waiting: Waiting,
    /// Of how many rows of the log the rule must have been asked before our journal's length is told, and until when
    /// that is waited for.
    settling: (usize, Duration),
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
        let node = &mut self.nodes[key.node];
        let (cursor, seat) = (node.cursor(peer), node.claims.open());
        let (mut held, vice) = (node.about_held(peer, cursor), node.vice);
        if node.is_honest() {
            node.assert_sketches_are_right(peer);
        }
        let cursor = vice.map_or(cursor, |vice| vice.cursor(cursor, &mut self.rng));
        held = vice.map_or(held, |vice| vice.held(held, &mut self.rng));
        let node = &self.nodes[key.node];
        let setup = setup(node, peer, cursor, held, briefs_of(key));
        let agreement = setup.agreement;
        let end = End {
            peer,
            session: Session::new(setup, clock(self.now)),
            agreement,
            knows_renewed: node.disk.renewed.contains(&peer),
            edition: node.edition(peer),
            cursor,
            opened: self.now,
            seat,
            waiting: Waiting::default(),
            settling: (0, Duration::ZERO),
            established: false,
            claimed: false,
            early: Vec::new(),
            asked: 0,
            wakes: None,
            watch: Watch::default(),
        };
        self.ends.insert(key, end);
        self.nodes[key.node].storers.insert(key.connection, Storer::new(key.connection, peer, agreement, seat));
        self.settle(key);
    }

    /// Gives an input to a session, if there still is one.
    pub(crate) fn give(&mut self, key: EndKey, input: Input) {
        if let Some(end) = self.ends.get_mut(&key) {
            end.session.handle(input, clock(self.now));
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
            Output::Greeted(greeting) => self.greet(key, &greeting),
            Output::Document { kind, body } => self.take_document(key, kind, &body),
            Output::Receipt(_) => self.counts.receipts += 1,
            Output::Store { index, release, bodies, card, cursor, manner, .. } => {
                if card.is_some_and(|card| card.card().serial > 1) {
                    let origin = POOL.sample(release.id()).origin;
                    self.nodes[key.node].disk.renewed.insert(origin);
                }
                self.nodes[key.node].grove.handed_over(key.connection, release.id(), manner);
                let bodies = bodies.iter().map(|body| body.id()).collect();
                self.store(key, index, &release, bodies, cursor);
            }
            Output::Stage(parts) => self.stage(key, parts),
            Output::CheckBodies { index, release, prefixes } => {
                self.check_bodies(key, Pending::new(index, release, prefixes));
            }
            Output::BodiesCame { index, bodies } => self.bodies_came(key, index, bodies),
            Output::BodiesGone { index } => self.bodies_gone(key, index),
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
        let is_of_journal = matches!(
            question,
            Output::OpenJournal { .. }
                | Output::ReadJournal { .. }
                | Output::ReadTail { .. }
                | Output::OpenSketch { .. }
                | Output::CompareSketch { .. }
        );
        if matches!(question, Output::SettleJournal) {
            end.settling = (self.nodes[key.node].disk.log.len(), self.now + SETTLE_TIMEOUT);
        }
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
        if let Output::ClaimRelease { index, key: briefs, brief } = question {
            return self.claim_release(key, *index, briefs, *brief);
        }
        let end = self.ends.get(&key)?;
        let limit = if self.plan.short_reads { 1 + self.rng.size(200) } else { usize::MAX };
        let node = &mut self.nodes[key.node];
        let answer = node.ask_sketches(end.peer, end.edition, question, self.now);
        if node.is_honest() && matches!(question, Output::OpenSketch { .. } | Output::CompareSketch { .. }) {
            node.assert_sketches_are_right(end.peer);
        }
        Some(answer.unwrap_or_else(|| look_up(node, end, question, limit)))
    }

    /// Whether a question has no answer yet: the rule was not asked of all that the log had.
    pub(crate) fn must_wait(&self, key: EndKey, question: &Output) -> bool {
        let (Output::SettleJournal, Some(end)) = (question, self.ends.get(&key)) else { return false };
        let (rows, until) = end.settling;
        self.now < until && !self.nodes[key.node].is_scanned(end.peer, end.edition, rows)
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

    /// Tells the peer what it has missed.
    fn greet(&mut self, key: EndKey, greeting: &Greeting) {
        self.tell_of_the_end(key);
        let card = &self.nodes[key.node].cert_of(key.node).card;
        if greeting.held_card_serial < card.card().serial {
            let body = Bytes::from(card.envelope().to_json());
            self.give(key, Input::SendDocument { kind: CARD, body });
        }
    }

    fn take_document(&mut self, key: EndKey, kind: u32, body: &Bytes) {
        let Some(end) = self.ends.get(&key) else { return };
        let (peer, knew, node) = (end.peer, end.knows_renewed, &mut self.nodes[key.node]);
        if kind == TERMINATION && body[..] == node.agreement(peer).as_bytes()[..] {
            node.pacts.entry(peer).and_modify(|pact| pact.ended = true);
        }
        if kind == CARD {
            node.disk.renewed.insert(peer);
        }
        let takes = self.rng.duration(self.plan.answer);
        self.schedule(takes, Event::Give(key, Input::DocumentTaken));
        if kind == CARD && !knew {
            // What comes is held against it from the next session on, also if a relay has shown it meanwhile.
            self.close(key);
        }
    }

    fn store(&mut self, key: EndKey, index: u64, release: &VerifiedRelease, bodies: Vec<ContentId>, cursor: Cursor) {
        let id = release.id();
        self.check_store(key, index, release);
        match self.nodes[key.node].vice.and_then(|vice| vice.brag(index)) {
            Some(brag) => self.give(key, brag),
            None => self.hand_over(key, Item::Release(Received { index, id, bodies, cursor })),
        }
    }

    /// Keeps bodies of releases that did not come whole.
    fn stage(&mut self, key: EndKey, parts: Vec<Part>) {
        let ids = |part: Part| (part.release, part.bodies.iter().map(Body::id).collect());
        let lots: Vec<Lot> = parts.into_iter().map(ids).collect();
        // In a crash there is nobody to hand it to.
        if self.nodes[key.node].is_honest() && self.nodes[key.node].storers.contains_key(&key.connection) {
            lots.iter().for_each(|lot| self.check_staged(key, lot));
        }
        self.hand_over(key, Item::Parts(lots));
    }

    /// A session is over: what came of releases that are not whole is staged.
    pub(crate) fn abandon(&mut self, key: EndKey, session: &mut Session) {
        session.abandon();
        while let Some(output) = session.poll_output() {
            if let Output::Stage(parts) = output {
                self.stage(key, parts);
            }
        }
    }

    fn hand_over(&mut self, key: EndKey, item: Item) {
        if let Some(storer) = self.nodes[key.node].storers.get_mut(&key.connection) {
            storer.push(item);
        }
        self.drive_storer(key.node, key.connection);
    }
}

/// The time of a world: its wall clock goes with it.
fn clock(monotonic: Duration) -> Now {
    let since = i64::try_from(monotonic.as_micros()).unwrap();
    Now { wall: Time::from_micros(wall().as_micros() + since), ..at(monotonic) }
}

/// What stands for releases in the lazy offers of a connection.
pub(crate) fn briefs_of(key: EndKey) -> BriefKey {
    BriefKey::new(sha256(&key.connection.to_be_bytes()))
}

fn setup(node: &Node, peer: usize, cursor: Option<Cursor>, held: u64, briefs: BriefKey) -> Setup {
    let (ours, theirs) = (node.cert_of(node.number), node.cert_of(peer));
    Setup {
        us: ours.card.cert_id(),
        key: Arc::clone(&ours.signing),
        agreement: node.agreement(peer),
        store: node.disk.store,
        instance: node.instance(),
        card_serial: ours.card.card().serial,
        peer: Arc::clone(&theirs.card),
        cursor,
        held,
        ledger_size: 0,
        seen: None,
        third_party: node.pacts[&peer].terms.third_party,
        briefs,
    }
}

/// What the store of a node says to a question of a session. Journals are read at most `limit` entries at a time.
fn look_up(node: &mut Node, end: &End, question: &Output, limit: usize) -> Input {
    match question {
        Output::OpenJournal { cursor } => {
            let head = node.journal(end.peer, end.edition).map_or(0, Journal::head);
            return Input::JournalOpened { after: node.resume_at(end.peer, end.edition, *cursor), head };
        }
        Output::LoadRelease { index, id, .. } | Output::LoadBodies { index, release: id, .. }
            if !node.may_go(end.peer, *id) =>
        {
            node.pass(end.peer, end.edition, *index);
        }
        _ => {}
    }
    let journal = node.journal(end.peer, end.edition);
    match question {
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
        Output::FindReleases { key, offered } => {
            let find = |(index, brief): &(u64, _)| (*index, node.disk.find_held(end.peer, key, *brief));
            Input::ReleasesFound { found: offered.iter().map(find).collect() }
        }
        Output::SettleJournal => Input::JournalSettled { head: journal.map_or(0, Journal::head) },
        Output::ReadEntries { indexes } => {
            let id =
                |index: &u64| journal?.entries.get(usize::try_from(*index).ok()?.checked_sub(1)?).map(|(id, _)| *id);
            Input::EntriesRead { ids: indexes.iter().take(limit).map_while(id).collect() }
        }
        other => panic!("nobody performs {other:?}"),
    }
}

/// Whether a node has a release and may say so to a peer: it is the peer's own, or was disclosed to it.
pub(crate) fn is_held_openly(node: &Node, peer: usize, id: ReleaseId) -> bool {
    node.disk.held.contains(&(peer, id))
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
    let card = (sample.origin != node.number).then(|| Arc::clone(&node.cert_of(sample.origin).card));
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
