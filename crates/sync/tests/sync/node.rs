//! One side of a pair: a model of a store, and a driver that performs what its session asks for.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, VecDeque},
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use bytes::{Buf, Bytes};
use mithaq_core::{
    body::{BODY_BYTES_MAX, Body},
    card::VerifiedCard,
    id::{CertId, ContentId, ContentPrefix, ReleaseId},
    receipt::Status,
    release::{self, SignedRelease, VerifiedRelease},
};
use mithaq_sync::{
    Brief, BriefKey, Chain, Channel, Claims, Cursor, DICTIONARY, Fault, INLINE_BYTES_MAX, Input, Late, Output, Part,
    Pending, Prompt, STAGE_BYTES, Session, SessionId, Setup, Waiting, group_bytes, wire::Kind,
};

use crate::{
    fixtures::{Cert, Parcel, Rng, Runs, at, decode, setup},
    sketched::Sketched,
};

/// What survives a crash.
#[derive(Debug, Default)]
pub(crate) struct Store {
    pub(crate) id: u8,
    pub(crate) releases: BTreeMap<ReleaseId, SignedRelease>,
    pub(crate) bodies: BTreeMap<ContentId, Vec<u8>>,
    /// The journal towards the peer.
    pub(crate) journal: Vec<ReleaseId>,
    /// What the rule lets go no longer.
    pub(crate) withdrawn: BTreeSet<ReleaseId>,
    /// How far we have the peer's journal.
    pub(crate) cursor: Option<Cursor>,
    /// The cards of the CERTs whose releases we pass on.
    pub(crate) origins: BTreeMap<CertId, Arc<VerifiedCard>>,
    /// Whether we advertise and deliver no bodies.
    pub(crate) is_mute: bool,
    /// What we take for whatever is offered lazily and that we lack.
    pub(crate) mistaken: Option<ReleaseId>,
    /// What the link is known to carry in a second.
    pub(crate) link: Option<u64>,
    /// Contents that nobody released to us and that begin like some that are: somebody has made them so.
    pub(crate) twins: BTreeMap<ContentPrefix, ContentId>,
    /// The sketch of our journal, if it was ever asked for; a daemon keeps it in memory.
    pub(crate) sketched: Option<Sketched>,
}

impl Store {
    pub(crate) fn put(&mut self, parcel: &Parcel) {
        let signed = parcel.release.signed();
        self.releases.insert(parcel.id(), signed.clone());
        let contents = signed.contents.iter().copied();
        self.bodies.extend(contents.zip(parcel.bodies.iter().cloned()));
    }

    /// What we hold and may say so, which is what we disclose as well if anything of it is of others.
    fn find(&self, (index, brief): (u64, Brief), key: &BriefKey) -> (u64, Option<ReleaseId>) {
        let may_tell = |id: &&ReleaseId| self.origins.is_empty() || self.journal.contains(id);
        let found = self.releases.keys().filter(may_tell).find(|id| key.brief(**id) == brief);
        (index, found.copied().or(self.mistaken))
    }

    fn open_journal(&self, cursor: Option<Cursor>) -> u64 {
        let Some(cursor) = cursor else { return 0 };
        let Ok(index) = usize::try_from(cursor.index) else {
            return 0;
        };
        let chain =
            self.journal.get(..index).map(|entries| entries.iter().fold(Chain::START, |chain, id| chain.after(*id)));
        if chain == Some(cursor.chain) { cursor.index } else { 0 }
    }

    fn load_bodies(&self, release: ReleaseId, contents: &[ContentId]) -> Vec<Vec<u8>> {
        let mut bytes = 0;
        let wanted = contents.iter().filter(|_| !self.withdrawn.contains(&release));
        wanted
            .take_while(|id| {
                let goes_on = bytes < group_bytes(self.link);
                bytes += self.bodies[id].len();
                goes_on
            })
            .map(|id| self.bodies[id].clone())
            .collect()
    }

    /// What the hints of a journal's rows tell of those after `after`.
    fn read_tail(&self, after: u64, limit: usize) -> Input {
        let read = self.journal.iter().skip(usize::try_from(after).unwrap()).take(limit);
        let read: Vec<_> = (after + 1..).zip(read).collect();
        let prompt = |(index, id): &(u64, &ReleaseId)| {
            let release = &self.releases[*id];
            let urgent = release.stored_manifest().unwrap().kind == release::Kind::Withdraw;
            let bytes: usize = release.contents.iter().map(|id| self.bodies[id].len()).sum();
            (urgent || bytes <= INLINE_BYTES_MAX).then_some(Prompt { index: *index, id: **id, urgent })
        };
        let through = read.last().map_or(after, |(index, _)| *index);
        Input::TailRead { through, entries: read.iter().filter_map(prompt).collect() }
    }

    fn load_release(&self, index: u64, id: ReleaseId, inline: bool) -> Input {
        let release = self.releases.get(&id).cloned();
        let release = release.filter(|_| !self.withdrawn.contains(&id));
        let inline = release.as_ref().filter(|_| inline).and_then(|release| {
            let bodies: Vec<_> = release.contents.iter().map(|id| self.bodies[id].clone()).collect();
            let bytes: usize = bodies.iter().map(Vec::len).sum();
            (bytes <= INLINE_BYTES_MAX).then_some(bodies)
        });
        let origin = release.as_ref().map(|release| release.stored_manifest().unwrap().origin);
        let card = origin.and_then(|origin| self.origins.get(&origin).cloned());
        Input::ReleaseLoaded { index, release, card, inline }
    }
}

/// What is on its way into the store.
#[derive(Debug)]
pub(crate) enum Commit {
    Release(u64, Box<VerifiedRelease>, Vec<Body>, Cursor),
    Stage(Vec<Part>),
    Cursor(Cursor),
}

/// What a commit made durable.
#[derive(Debug, Default)]
pub(crate) struct Durable {
    pub(crate) entries: Vec<(u64, Status)>,
    pub(crate) is_staged: bool,
}

/// What one side sent in a session.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) bytes: BTreeMap<Channel, usize>,
    pub(crate) frames: Vec<(Channel, Kind)>,
    /// Those of the backlog, as they travel.
    pub(crate) packed: Vec<(Channel, Kind)>,
    pub(crate) manifests: BTreeMap<ReleaseId, usize>,
    pub(crate) bodies: BTreeMap<(u64, ContentId), usize>,
    pub(crate) gone: usize,
    /// What the backlog is packed with in this session.
    runs: Runs,
}

impl Sent {
    pub(crate) fn total(&self) -> usize {
        self.bytes.values().sum()
    }

    /// How often each body went, whatever release it went for.
    pub(crate) fn times(&self) -> BTreeMap<ContentId, usize> {
        let mut times = BTreeMap::new();
        for ((_, id), count) in &self.bodies {
            *times.entry(*id).or_default() += count;
        }
        times
    }

    fn note(&mut self, channel: Channel, frame: &[u8]) {
        *self.bytes.entry(channel).or_default() += frame.len();
        if channel == Channel::Backfill {
            self.packed.push((channel, decode(frame)));
        }
        let kind = self.runs.plain(decode(frame));
        let group = match &kind {
            Kind::Manifest(manifest) => {
                let id = mithaq_core::id::sha256(&manifest.manifest);
                *self.manifests.entry(ReleaseId::from_bytes(id)).or_default() += 1;
                Some((manifest.index, &manifest.bodies, &manifest.dictionary)).filter(|(_, group, _)| !group.is_empty())
            }
            Kind::Bodies(bodies) => Some((bodies.index, &bodies.group, &bodies.dictionary)),
            Kind::Gone(_) => {
                self.gone += 1;
                None
            }
            _ => None,
        };
        for body in group.into_iter().flat_map(|(index, group, dictionary)| unpack(index, group, dictionary)) {
            *self.bodies.entry(body).or_default() += 1;
        }
        self.frames.push((channel, kind));
    }
}

fn unpack(index: u64, group: &[u8], dictionary: &[u8]) -> Vec<(u64, ContentId)> {
    let dictionary = if dictionary.is_empty() { &[] } else { DICTIONARY };
    let mut decompressor = zstd::bulk::Decompressor::with_dictionary(dictionary).unwrap();
    let mut raw = Bytes::from(decompressor.decompress(group, 4 << 20).unwrap());
    let mut ids = Vec::new();
    while raw.has_remaining() {
        let length = usize::try_from(raw.get_u32()).unwrap();
        ids.push((index, ContentId::of(&raw.split_to(length))));
    }
    ids
}

/// A session's place at a table of claims that it shares with others of its CERT.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) claims: Rc<RefCell<Claims>>,
    session: SessionId,
    pub(crate) waiting: Waiting,
}

impl Seat {
    pub(crate) fn new(claims: &Rc<RefCell<Claims>>) -> Self {
        let session = claims.borrow_mut().open();
        Self { claims: Rc::clone(claims), session, waiting: Waiting::default() }
    }

    /// Which bodies to ask for, or that it is to wait. What we hold is told to whom it may be known: to who passes on
    /// the very release that we hold, and to who was kept waiting for it.
    fn check(&mut self, mut pending: Pending, store: &Store, now: Duration) -> Input {
        let index = pending.index;
        let is_known = !store.origins.is_empty() && store.releases.contains_key(&pending.release);
        let is_told = |place: usize| is_known || pending.came_elsewhere(place);
        let prefixes = pending.prefixes.iter().enumerate();
        let told: Vec<_> =
            prefixes.map(|(place, prefix)| store.content_with(*prefix).filter(|_| is_told(place))).collect();
        let are_told: Vec<_> = told.iter().map(Option::is_some).collect();
        if !self.claims.borrow_mut().claim(self.session, &mut pending, &are_told, now) {
            self.waiting.insert(pending);
            return Input::BodiesElsewhere { index };
        }
        Input::BodiesHeld { index, held: told }
    }
}

/// One side of a pair.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) cert: Cert,
    pub(crate) store: Store,
    pub(crate) session: Option<Session>,
    pub(crate) established: bool,
    /// Frames of the live and backfill streams that came before the session was established.
    pub(crate) early: Vec<Bytes>,
    pub(crate) commits: VecDeque<Commit>,
    pub(crate) committing: bool,
    pub(crate) closed: Option<Fault>,
    pub(crate) sent: Sent,
    /// How often each release was handed to the store, over all sessions.
    pub(crate) stored: BTreeMap<ReleaseId, usize>,
    /// Canonical bytes of bodies that were handed to the store and are not durable.
    pub(crate) storing_bytes: usize,
    /// Where it tells other sessions of its CERT what it fetches.
    pub(crate) seat: Option<Seat>,
    /// While there is no room: releases whose bodies are not asked for, with how many they name.
    pub(crate) held_back: Option<Vec<(u64, usize)>>,
    now: Duration,
    /// What its next session knows beside what `connect` tells it.
    pub(crate) adjust: fn(&mut Setup),
    /// Bodies that were handed over for staging, over all sessions.
    pub(crate) staged: usize,
}

/// What a node wants of the pair after it took an input.
#[derive(Debug)]
pub(crate) enum Effect {
    Send(Channel, Bytes),
    Answer(Input),
    Deliver(Bytes),
    Close,
}

impl Node {
    pub(crate) fn new(number: u8, cert: Cert) -> Self {
        Self {
            cert,
            store: Store { id: number, ..Store::default() },
            session: None,
            established: false,
            early: Vec::new(),
            commits: VecDeque::new(),
            committing: false,
            closed: None,
            sent: Sent::default(),
            stored: BTreeMap::new(),
            storing_bytes: 0,
            seat: None,
            held_back: None,
            now: Duration::ZERO,
            adjust: |_| {},
            staged: 0,
        }
    }

    pub(crate) fn connect(&mut self, peer: &Cert, now: Duration) {
        let (us, key) = (self.cert.card.cert_id(), Arc::clone(&self.cert.signing));
        let card_serial = self.cert.card.card().serial;
        let third_party = !self.store.origins.is_empty();
        let held = self.store.held().len() as u64;
        let mut setup =
            Setup { us, key, card_serial, held, third_party, ..setup(self.store.id, peer, self.store.cursor) };
        (self.adjust)(&mut setup);
        self.session = Some(Session::new(setup, at(now)));
        self.sent = Sent::default();
    }

    /// Forgets all that is not durable.
    pub(crate) fn cut(&mut self) {
        self.session = None;
        self.closed = None;
        if let Some(seat) = &mut self.seat {
            seat.claims.borrow_mut().close(seat.session);
            *seat = Seat::new(&Rc::clone(&seat.claims));
        }
        self.established = false;
        self.early.clear();
        self.commits.clear();
        self.committing = false;
        self.storing_bytes = 0;
    }

    /// The connection is lost, and what was verified is stored.
    pub(crate) fn hang_up(&mut self) {
        if let Some(session) = &mut self.session {
            session.abandon();
        }
        let effects = self.perform(&mut None);
        assert!(effects.is_empty(), "{effects:?}");
        self.commit();
    }

    /// Gives an input to the session.
    pub(crate) fn take(&mut self, input: Input, now: Duration) {
        self.now = now;
        if let Some(session) = &mut self.session {
            session.handle(input, at(now));
        }
    }

    /// Performs what the session asks for.
    pub(crate) fn perform(&mut self, rng: &mut Option<Rng>) -> Vec<Effect> {
        let mut effects = Vec::new();
        while let Some(output) = self.session.as_mut().and_then(Session::poll_output) {
            assert!(self.closed.is_none(), "an output after the close: {output:?}");
            self.perform_one(output, rng, &mut effects);
        }
        effects
    }

    /// Answers for what need not wait any longer.
    pub(crate) fn wake(&mut self, now: Duration) -> Vec<Input> {
        let Some(seat) = &mut self.seat else { return Vec::new() };
        let ready = seat.waiting.take_ready(seat.session, &seat.claims.borrow(), now);
        ready.into_iter().map(|pending| seat.check(pending, &self.store, now)).collect()
    }

    fn perform_one(&mut self, output: Output, rng: &mut Option<Rng>, effects: &mut Vec<Effect>) {
        let store = &mut self.store;
        let answer = match output {
            Output::Send { channel, frame } => {
                self.sent.note(channel, &frame);
                return effects.push(Effect::Send(channel, frame));
            }
            Output::Established => {
                self.established = true;
                let early = self.early.drain(..).map(Effect::Deliver);
                return effects.extend(early);
            }
            Output::Greeted(_) | Output::Receipt(_) => return,
            Output::Document { .. } => return effects.push(Effect::Answer(Input::DocumentTaken)),
            Output::Store { index, release, bodies, cursor, .. } => {
                return self.store_release(Commit::Release(index, release, bodies, cursor));
            }
            Output::Stage(parts) => return self.stage(parts),
            Output::SaveCursor(cursor) => return self.commits.push_back(Commit::Cursor(cursor)),
            Output::Close(fault) => {
                self.closed = Some(fault);
                return effects.push(Effect::Close);
            }
            Output::OpenJournal { cursor } => {
                Input::JournalOpened { after: store.open_journal(cursor), head: store.journal.len() as u64 }
            }
            Output::ReadJournal { after, limit } => {
                let limit = rng.as_mut().map_or(limit, |rng| rng.size(limit) + 1);
                let after = usize::try_from(after).unwrap();
                let ids = store.journal[after..].iter().copied().take(limit).collect();
                Input::JournalRead { ids }
            }
            Output::ReadTail { after, limit } => {
                let limit = rng.as_mut().map_or(limit, |rng| rng.size(limit) + 1);
                store.read_tail(after, limit)
            }
            Output::LoadRelease { index, id, inline } => store.load_release(index, id, inline),
            Output::LoadBodies { .. } if store.is_mute => return,
            Output::LoadBodies { index, release, contents } => {
                Input::BodiesLoaded { index, bodies: store.load_bodies(release, &contents) }
            }
            // Of releases of others the peer learns nothing.
            Output::CheckReleases { first, ids } if !store.origins.is_empty() => {
                Input::ReleasesKnown { first, known: vec![false; ids.len()] }
            }
            Output::CheckReleases { first, ids } => {
                Input::ReleasesKnown { first, known: ids.iter().map(|id| store.releases.contains_key(id)).collect() }
            }
            Output::FindReleases { key, offered } => {
                Input::ReleasesFound { found: offered.into_iter().map(|offered| store.find(offered, &key)).collect() }
            }
            Output::ClaimRelease { index, key, brief } => {
                let late = store.find((index, brief), &key).1.map_or(Late::Wanted, Late::Held);
                Input::ReleaseClaimed { index, late }
            }
            Output::SettleJournal => Input::JournalSettled { head: store.journal.len() as u64 },
            Output::OpenSketch { through, key, cells } => store.open_sketch(through, key, cells),
            Output::ReadCells { from, count } => store.read_cells(from, count),
            Output::FindMarks { shorts } => store.find_marks(&shorts),
            Output::ReadEntries { indexes } => store.read_entries(&indexes),
            Output::CompareSketch { key, cells } => store.compare_sketch(key, &cells),
            Output::CheckBodies { index, release, prefixes } => match &mut self.seat {
                Some(seat) => seat.check(Pending::new(index, release, prefixes), store, self.now),
                None if self.held_back.is_some() => {
                    self.held_back.get_or_insert_default().push((index, prefixes.len()));
                    Input::BodiesElsewhere { index }
                }
                None => {
                    let held = prefixes.iter().map(|prefix| store.content_with(*prefix)).collect();
                    Input::BodiesHeld { index, held }
                }
            },
            Output::BodiesCame { index, bodies } => {
                if let Some(seat) = &self.seat {
                    seat.claims.borrow_mut().came(seat.session, index, bodies, self.now);
                }
                return;
            }
            Output::BodiesGone { index } => {
                if let Some(seat) = &self.seat {
                    seat.claims.borrow_mut().give_up(seat.session, index);
                }
                return;
            }
        };
        effects.push(Effect::Answer(answer));
    }

    fn stage(&mut self, parts: Vec<Part>) {
        let bodies = || parts.iter().flat_map(|part| &part.bodies);
        let bytes = bodies().map(|body| body.bytes().len()).sum::<usize>();
        // All that is left comes at the end, when the session holds it no more.
        let is_over = self.session.as_ref().is_none_or(|session| session.in_flight().entries_in == 0);
        assert!(is_over || bytes < STAGE_BYTES + BODY_BYTES_MAX, "{bytes} bytes are held twice");
        assert!(is_over || !self.commits.iter().any(|commit| matches!(commit, Commit::Stage(_))));
        self.staged += bodies().count();
        self.commits.push_back(Commit::Stage(parts));
    }

    fn store_release(&mut self, commit: Commit) {
        if let Commit::Release(_, release, bodies, _) = &commit {
            *self.stored.entry(release.id()).or_default() += 1;
            self.storing_bytes += bodies.iter().map(|body| body.bytes().len()).sum::<usize>();
        }
        self.commits.push_back(commit);
    }

    /// Makes all that waits durable.
    pub(crate) fn commit(&mut self) -> Durable {
        let mut durable = Durable::default();
        for commit in self.commits.drain(..) {
            match commit {
                Commit::Cursor(cursor) => self.store.cursor = Some(cursor),
                Commit::Stage(parts) => {
                    durable.is_staged = true;
                    let bodies = parts.into_iter().flat_map(|part| part.bodies);
                    self.store.bodies.extend(bodies.map(|body| (body.id(), body.bytes().to_vec())));
                }
                Commit::Release(index, release, bodies, cursor) => {
                    for body in bodies {
                        self.storing_bytes -= body.bytes().len();
                        self.store.bodies.insert(body.id(), body.bytes().to_vec());
                    }
                    let held = |id| self.store.bodies.contains_key(id);
                    assert!(release.contents().iter().all(held), "a body was lost");
                    let signed = release.signed().clone();
                    self.store.releases.insert(release.id(), signed);
                    self.store.cursor = Some(cursor);
                    let takes_back = release.manifest().kind == release::Kind::Withdraw;
                    durable.entries.push((index, if takes_back { Status::Applied } else { Status::Received }));
                }
            }
        }
        if let Some(seat) = &self.seat {
            let mut claims = seat.claims.borrow_mut();
            durable.entries.iter().for_each(|(index, _)| claims.settle(seat.session, *index, self.now));
        }
        durable
    }
}
