//! One session with one peer: the hello, and the two halves that follow it.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use mithaq_core::{
    card::VerifiedCard,
    id::{AgreementId, CertId, ReleaseId},
    keys::SecretKey,
};

use crate::{
    brief::BriefKey,
    dictionary,
    fault::Fault,
    io::{Channel, Greeting, Input, Now, Output, Outputs, Seen},
    journal::Cursor,
    limits::{
        AHEAD_MAX, DOCUMENT_BYTES_MAX, DOCUMENTS_OPEN_MAX, FRAME_BYTES_MAX, HELLO_TIMEOUT, LAZY_REST, LAZY_REST_LONG,
        PROTOCOL, RELEASES_OPEN_MAX, WINDOW_BYTES,
    },
    receipts::Receipts,
    sink::Sink,
    sketch::SketchKey,
    source::{Loaded, Source},
    twins::Twins,
    wire::{self, Document, Frame, Hello, Kind},
};

/// What a session must know of its own side.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Our own CERT.
    pub us: CertId,
    /// The key that signs our receipts; our card names it.
    pub key: Arc<SecretKey>,
    /// The agreement under which it runs.
    pub agreement: AgreementId,
    /// Our store.
    pub store: [u8; 16],
    /// Our daemon since it started.
    pub instance: [u8; 16],
    /// The serial of our card.
    pub card_serial: u64,
    /// The peer's card.
    pub peer: Arc<VerifiedCard>,
    /// How far we have the peer's journal under this agreement.
    pub cursor: Option<Cursor>,
    /// About how many of the peer's releases we may say to it that we have.
    pub held: u64,
    /// How many entries our ledger towards the peer has.
    pub ledger_size: u64,
    /// The last checkpoint of the peer's ledger towards us that we have accepted.
    pub seen: Option<Seen>,
    /// Whether the peer may pass on releases of other CERTs.
    pub third_party: bool,
    /// What stands for releases in lazy offers is made with it; the peer has the same, and nobody else.
    pub briefs: BriefKey,
}

impl Setup {
    /// For how long what we offer lazily rests.
    fn rest(&self) -> Duration {
        if self.us < self.peer.cert_id() { LAZY_REST } else { LAZY_REST_LONG }
    }

    /// For how long what the peer offers lazily rests.
    pub(crate) fn rest_of_peer(&self) -> Duration {
        if self.us < self.peer.cert_id() { LAZY_REST_LONG } else { LAZY_REST }
    }
}

/// How far a session has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Entries of our journal that the peer has.
    pub sent: u64,
    /// Entries of our journal that it lacks.
    pub lag: u64,
    /// Entries of the peer's journal that we have.
    pub received: u64,
    /// Of these, up to where all are durable.
    pub durable: u64,
    /// How many third CERTs' fresh releases the peer gets sooner from others, so that we only offer them.
    pub pruned: usize,
    /// Bodies that we sent in this session.
    pub objects_sent: u64,
    /// Bodies that came in this session.
    pub objects_received: u64,
    /// Objects released to us in this session whose bodies we did not need.
    pub objects_deduplicated: u64,
}

/// What is on its way between the two sides of a session, for metrics and for tests of the limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InFlight {
    /// Entries of our journal that the peer was told of, or soon will be, and is not done with.
    pub entries_out: usize,
    /// Those of them whose release was loaded or sent.
    pub releases_out: usize,
    /// Canonical bytes of bodies that were sent and are not acknowledged.
    pub bytes_out: usize,
    /// Entries of the peer's journal that we were told of and that stand behind our cursor.
    pub entries_in: usize,
    /// Releases of the peer that we hold and that are not durable.
    pub releases_in: usize,
    /// Canonical bytes of their bodies.
    pub bytes_in: usize,
}

/// The state machine of one session.
#[derive(Debug)]
pub struct Session {
    setup: Setup,
    outputs: Outputs,
    source: Source,
    sink: Sink,
    receipts: Receipts,
    /// What the peer offered lazily and we hold.
    twins: Twins,
    peer: Option<PeerHello>,
    /// Documents of the peer that were not dealt with.
    documents: usize,
    established: bool,
    closed: bool,
    started: Duration,
}

/// What the peer's hello told.
#[derive(Debug, Clone, Copy)]
struct PeerHello {
    instance: [u8; 16],
    card_serial: u64,
}

impl Session {
    /// Starts a session; its first output is our hello.
    #[must_use]
    pub fn new(setup: Setup, now: Now) -> Self {
        let mut outputs = Outputs::default();
        let hello = Hello {
            protocol: PROTOCOL,
            agreement: Bytes::copy_from_slice(setup.agreement.as_bytes()),
            store: Bytes::copy_from_slice(&setup.store),
            instance: Bytes::copy_from_slice(&setup.instance),
            card_serial: setup.card_serial,
            cursor: setup.cursor.map(|cursor| cursor.to_bytes().into()).unwrap_or_default(),
            frame_bytes_max: FRAME_BYTES_MAX as u64,
            window_bytes: WINDOW_BYTES as u64,
            releases_open_max: RELEASES_OPEN_MAX as u64,
            held_card_serial: setup.peer.card().serial,
            ledger_size: setup.ledger_size,
            seen: setup.seen.map(|seen| seen.to_bytes().into()).unwrap_or_default(),
            held: setup.held,
            dictionaries: Bytes::from_static(dictionary::name()),
            ahead_max: AHEAD_MAX,
        };
        outputs.send(Channel::Control, Kind::Hello(hello));
        Self {
            sink: Sink::new(&setup, now.monotonic),
            receipts: Receipts::of(&setup),
            source: Source::new(now.monotonic, setup.rest()),
            setup,
            outputs,
            twins: Twins::default(),
            peer: None,
            documents: 0,
            established: false,
            closed: false,
            started: now.monotonic,
        }
    }

    /// Takes what happened. After a [`Output::Close`] nothing has any effect.
    pub fn handle(&mut self, input: Input, now: Now) {
        if self.closed {
            return;
        }
        if let Err(fault) = self.try_handle(input, now) {
            self.closed = true;
            self.outputs.retain_stores();
            self.outputs.push(Output::Close(fault));
        }
        self.source.watch(now.monotonic);
        self.sink.watch(now.monotonic);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop()
    }

    /// Ends the session, whose connection is gone: what came of releases that are not complete comes out for staging,
    /// and nothing after it has any effect.
    pub fn abandon(&mut self) {
        self.closed = true;
        self.outputs.retain_stores();
        self.sink.abandon(&mut self.outputs);
    }

    /// When an [`Input::Wake`] is needed next.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Duration> {
        let times = [self.sink.wakes_at(), self.source.rests_until(), self.twins.due()];
        times.into_iter().flatten().min().filter(|_| !self.closed)
    }

    /// The peer's daemon since it started; `None` before its hello.
    #[must_use]
    pub fn peer_instance(&self) -> Option<[u8; 16]> {
        self.peer.map(|peer| peer.instance)
    }

    /// The serial of the card that the peer has now; `None` before its hello.
    #[must_use]
    pub fn peer_card_serial(&self) -> Option<u64> {
        self.peer.map(|peer| peer.card_serial)
    }

    /// What is on its way; all of it is bounded by the protocol's limits.
    #[must_use]
    pub fn in_flight(&self) -> InFlight {
        let (entries_out, releases_out, bytes_out) = self.source.in_flight();
        let (entries_in, releases_in, bytes_in) = self.sink.in_flight();
        InFlight { entries_out, releases_out, bytes_out, entries_in, releases_in, bytes_in }
    }

    /// How far the session has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let (objects_received, objects_deduplicated) = self.sink.objects();
        Progress {
            sent: self.source.acknowledged(),
            lag: self.source.lag(),
            received: self.sink.received(),
            durable: self.sink.durable(),
            pruned: self.source.pruned(),
            objects_sent: self.source.objects_sent(),
            objects_received,
            objects_deduplicated,
        }
    }

    fn try_handle(&mut self, input: Input, now: Now) -> Result<(), Fault> {
        let Self { outputs, source, sink, receipts, twins, .. } = self;
        match input {
            Input::Received(bytes) => return self.receive(bytes, now),
            Input::Wake => self.wake(now.monotonic),
            Input::Tick => return self.tick(now),
            Input::JournalOpened { after, head } => source.open(after, head, outputs),
            Input::JournalGrew { head } => source.grow(head, outputs),
            Input::JournalRead { ids } => source.journal_read(ids, outputs),
            Input::JournalSettled { head } => source.journal_settled(head, outputs),
            Input::SketchOpened { through, chain, digest, cells } => {
                source.sketch_opened(through, chain, digest, cells, outputs);
            }
            Input::CellsRead { cells } => source.cells_read(&cells, outputs),
            Input::MarksFound { indexes } => source.marks_found(&indexes, outputs)?,
            Input::EntriesRead { ids } => source.entries_read(&ids, outputs),
            Input::SketchCompared(compared) => sink.sketch_compared(compared, outputs),
            Input::TailRead { through, entries } => source.tail_read(through, entries, outputs),
            Input::ReleaseLoaded { index, release, card, inline } => {
                source.release_loaded(index, Loaded { release, card, inline }, twins, now.monotonic, outputs)?
            }
            Input::BodiesLoaded { index, bodies } => source.bodies_loaded(index, &bodies, outputs)?,
            Input::ReleasesKnown { first, known } => sink.releases_known(first, &known, outputs),
            Input::ReleasesFound { found } => {
                let held = sink.releases_found(found, now.monotonic, outputs);
                self.hold(held, now.monotonic);
            }
            Input::ReleaseClaimed { index, late } => {
                let held = sink.release_claimed(index, late, now.monotonic, outputs);
                self.hold(held, now.monotonic);
            }
            Input::Placed { origin, branch } => sink.placed(origin, branch, outputs),
            Input::BodiesHeld { index, held } => sink.bodies_held(index, held, outputs)?,
            Input::BodiesElsewhere { index } => sink.bodies_elsewhere(index),
            Input::Staged => sink.staged(),
            Input::Stored { entries } => sink.stored(&entries, receipts, now.wall, outputs)?,
            Input::SendDocument { kind, body } => {
                outputs.send(Channel::Control, Kind::Document(Document { kind, body }));
            }
            Input::DocumentTaken => self.documents = self.documents.saturating_sub(1),
        }
        Ok(())
    }

    fn receive(&mut self, bytes: Bytes, now: Now) -> Result<(), Fault> {
        let kind = Frame::read(bytes)?;
        if let Kind::Hello(hello) = kind {
            return self.hello(&hello);
        }
        if self.peer.is_none() {
            return Err(Fault::Misbehaved("a frame before the hello"));
        }
        let Self { outputs, source, sink, receipts, .. } = self;
        match kind {
            Kind::Hello(_) => {}
            Kind::Document(document) => return self.document(document),
            Kind::Start(start) => {
                sink.start(start.after)?;
                if !std::mem::replace(&mut self.established, true) {
                    outputs.push(Output::Established);
                }
            }
            // What answers our journal may come before the peer has opened its own.
            Kind::Want(want) => source.want(&want, now.monotonic, outputs)?,
            Kind::WantBodies(want) => source.want_bodies(&want, now.monotonic, outputs)?,
            Kind::Ack(ack) => source.ack(&ack, receipts, now, outputs)?,
            Kind::Tree(tree) => source.tree(&tree)?,
            Kind::WantCells(want) => source.want_cells(&want, outputs)?,
            Kind::Missing(missing) => source.missing(&missing, now.monotonic, outputs)?,
            Kind::Twins(twins) => return self.take_twins(&twins, now.monotonic),
            _ if !self.established => return Err(Fault::Misbehaved("a frame before the start")),
            Kind::Offer(offer) => sink.offer(&offer, outputs)?,
            Kind::LazyOffer(offer) => sink.lazy_offer(&offer, outputs)?,
            Kind::Reconcile(sketch) => sink.reconcile(&sketch, outputs)?,
            Kind::Cells(cells) => {
                sink.cells(&cells, outputs)?;
                sink.delivered(now.monotonic);
            }
            Kind::Manifest(manifest) => {
                sink.manifest(&manifest, now.wall, outputs)?;
                sink.delivered(now.monotonic);
            }
            Kind::Gone(gone) => {
                sink.gone(&gone, outputs)?;
                sink.delivered(now.monotonic);
            }
            Kind::Bodies(bodies) => {
                sink.bodies(&bodies, outputs)?;
                sink.delivered(now.monotonic);
            }
            Kind::Rest(_) => sink.rest()?,
        }
        Ok(())
    }

    /// Notes entries that the peer has offered lazily and that we hold, with those of our own that are the same.
    fn hold(&mut self, held: impl IntoIterator<Item = (u64, ReleaseId)>, now: Duration) {
        for (offered, release) in held {
            let own = self.source.take_resting(release);
            self.twins.add(release, offered, own, now);
        }
        self.tell_twins(now);
    }

    /// Tells the peer which of its lazy offers we hold, if it is time.
    fn tell_twins(&mut self, now: Duration) {
        let told = self.twins.tell(now, &mut self.outputs);
        self.source.told_twins(&told, &mut self.outputs);
    }

    /// Takes what the peer has of our lazy offers, and what it would offer itself of that.
    fn take_twins(&mut self, twins: &wire::Twins, now: Duration) -> Result<(), Fault> {
        for (offered, own) in twins.read()? {
            let release = self.source.held(offered, now)?;
            match own {
                Some(_) if !self.established => return Err(Fault::Misbehaved("an entry before the start")),
                Some(own) => self.sink.take_twin(own, release)?,
                None => {}
            }
        }
        self.sink.pass_held(&mut self.outputs);
        self.source.pump(&mut self.outputs);
        Ok(())
    }

    /// Hands a document over; how many wait is bounded, since each costs us more than it cost the peer.
    fn document(&mut self, document: Document) -> Result<(), Fault> {
        if document.body.len() > DOCUMENT_BYTES_MAX || self.documents >= DOCUMENTS_OPEN_MAX {
            return Err(Fault::Misbehaved("more documents than we take at once"));
        }
        self.documents += 1;
        self.outputs.push(Output::Document { kind: document.kind, body: document.body });
        Ok(())
    }

    fn hello(&mut self, hello: &Hello) -> Result<(), Fault> {
        if self.peer.is_some() {
            return Err(Fault::Misbehaved("a second hello"));
        }
        if hello.protocol != PROTOCOL {
            return Err(Fault::Version { ours: PROTOCOL, theirs: hello.protocol });
        }
        let malformed = || Fault::Misbehaved("a malformed hello");
        let agreement: [u8; 32] = hello.agreement[..].try_into().map_err(|_| malformed())?;
        let agreement = AgreementId::from_bytes(agreement);
        if agreement != self.setup.agreement {
            return Err(Fault::Agreement { ours: self.setup.agreement.fmt_short(), theirs: agreement.fmt_short() });
        }
        let store = hello.store[..].try_into().map_err(|_| malformed())?;
        let instance = hello.instance[..].try_into().map_err(|_| malformed())?;
        let cursor = match &hello.cursor[..] {
            [] => None,
            bytes => Some(Cursor::from_bytes(bytes).ok_or_else(malformed)?),
        };
        let seen = match &hello.seen[..] {
            [] => None,
            bytes => Some(Seen::from_bytes(bytes).ok_or_else(malformed)?),
        };
        self.receipts.set_peer_store(store);
        self.peer = Some(PeerHello { instance, card_serial: hello.card_serial });
        self.outputs.push(Output::Greeted(Greeting {
            store,
            card_serial: hello.card_serial,
            held_card_serial: hello.held_card_serial,
            ledger_size: hello.ledger_size,
            seen,
        }));
        let ours = self.setup.cursor.filter(|cursor| cursor.store == store);
        let (us, agreement) = (self.setup.instance, self.setup.agreement);
        self.sink.greet(ours.unwrap_or(Cursor::start(store)), SketchKey::new(agreement, instance, us));
        self.source.greet(hello, SketchKey::new(agreement, us, instance))?;
        self.outputs.push(Output::OpenJournal { cursor: cursor.filter(|cursor| cursor.store == self.setup.store) });
        Ok(())
    }

    fn tick(&mut self, now: Now) -> Result<(), Fault> {
        if !self.established && now.monotonic.saturating_sub(self.started) > HELLO_TIMEOUT {
            return Err(Fault::Stalled("our hello"));
        }
        if self.sink.is_stalled(now.monotonic) {
            return Err(Fault::Stalled("a want"));
        }
        if self.source.is_stalled(now.monotonic) {
            return Err(Fault::Stalled("an offer or a release"));
        }
        self.source.pump(&mut self.outputs);
        self.sink.remind(now.monotonic, &mut self.outputs);
        self.sink.stage(&mut self.outputs);
        self.wake(now.monotonic);
        Ok(())
    }

    /// Does what is due at a time of its own.
    fn wake(&mut self, now: Duration) {
        self.source.offer_rested(&self.setup.briefs, now, &mut self.outputs);
        self.sink.review(now, &mut self.outputs);
        self.tell_twins(now);
    }
}
