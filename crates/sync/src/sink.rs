//! The receiving half: what the peer offers, what of it we lack, and the checks that stand before the store.

mod late;
mod origin;
mod reconcile;
mod staging;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mithaq_core::{
    body::Body,
    card::VerifiedCard,
    id::{CertId, ContentId, ReleaseId},
    keys::Signature,
    receipt::Status,
    release::{RELEASE_OBJECTS_MAX, SignedRelease, VerifiedRelease},
    time::Time,
};

use self::{late::Lazy, reconcile::Gap};
use crate::{
    elsewhere::Elsewhere,
    fault::Fault,
    group,
    io::{Channel, Manner, Output, Outputs},
    journal::Cursor,
    limits::{
        AHEAD_MAX, GROUP_BYTES_MAX, INDEX_MAX, INLINE_BYTES_MAX, LINK_BYTES_PER_SECOND_MIN, OFFER_IDS_MAX,
        RELEASE_BYTES_MAX, RELEASES_OPEN_MAX, STALL_TIMEOUT, WINDOW_BYTES,
    },
    receipts::Receipts,
    run::{Content, Piece, Unpacker},
    session::Setup,
    sketch::SketchKey,
    wire::{self, Ack, Bodies, Gone, Kind, Manifest, Offer, Want, WantBodies},
};

/// An entry of the peer's journal behind our cursor.
#[derive(Debug)]
struct Entry {
    id: ReleaseId,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Offered; we are finding out whether we hold it.
    Checking,
    /// Offered and wanted.
    Wanted,
    /// Its manifest came and verified.
    Open(Box<Open>),
    /// Held, handed to the store, or withdrawn by the peer.
    Done,
}

/// A release whose bodies are not all here.
#[derive(Debug)]
struct Open {
    release: VerifiedRelease,
    /// The card of its origin, if that is not the peer.
    card: Option<Arc<VerifiedCard>>,
    manner: Manner,
    /// Positions of the bodies that we asked for, the last first; `None` until we know what we hold.
    wanted: Option<Vec<usize>>,
    bodies: Vec<Body>,
    /// How many of `bodies` were handed over for staging.
    staged: usize,
    bytes: usize,
}

impl State {
    /// Whether the next step is the peer's.
    fn awaits_peer(&self) -> bool {
        match self {
            Self::Wanted => true,
            Self::Open(open) => open.wanted.is_some(),
            Self::Checking | Self::Done => false,
        }
    }
}

/// The receiving half of a session.
#[derive(Debug)]
pub(crate) struct Sink {
    us: CertId,
    peer: Arc<VerifiedCard>,
    /// Whether the peer may pass on releases of other CERTs.
    third_party: bool,
    /// The cards of those CERTs, as the peer has shown them in this session.
    origins: BTreeMap<CertId, Arc<VerifiedCard>>,
    /// The last entry of which all before it are done.
    cursor: Cursor,
    /// Whether our hello says that we have releases of the peer.
    has_any: bool,
    /// What short ids of the peer's releases are made with, from its hello on.
    key: Option<SketchKey>,
    /// What our cursor has not passed while we take what comes behind.
    gap: Option<Gap>,
    started: bool,
    entries: BTreeMap<u64, Entry>,
    /// How many of `entries` are open.
    open: usize,
    /// How many of `entries` await the peer.
    awaited: usize,
    /// Canonical bytes of bodies in `entries` and in the hands of the store.
    window_used: usize,
    /// Releases in the hands of the store and the bytes of their bodies, by entry.
    storing: BTreeMap<u64, (ReleaseId, usize)>,
    /// Open releases whose bodies are on their way from elsewhere.
    elsewhere: Elsewhere,
    /// Offers of what comes sooner from another.
    lazy: Lazy,
    /// Whether what was handed over for staging is not yet durable.
    is_staging: bool,
    /// What the peer's backlog is packed with.
    run: Unpacker,
    objects_received: u64,
    objects_deduplicated: u64,
    /// When the peer last delivered, or had nothing to deliver.
    waiting_since: Duration,
}

impl Sink {
    pub(crate) fn new(setup: &Setup, now: Duration) -> Self {
        Self {
            us: setup.us,
            peer: Arc::clone(&setup.peer),
            third_party: setup.third_party,
            origins: BTreeMap::new(),
            cursor: Cursor::start([0; 16]),
            has_any: setup.held > 0,
            key: None,
            gap: None,
            started: false,
            entries: BTreeMap::new(),
            open: 0,
            awaited: 0,
            window_used: 0,
            storing: BTreeMap::new(),
            elsewhere: Elsewhere::default(),
            lazy: Lazy::new(setup),
            is_staging: false,
            run: Unpacker::default(),
            objects_received: 0,
            objects_deduplicated: 0,
            waiting_since: now,
        }
    }

    pub(crate) fn greet(&mut self, cursor: Cursor, key: SketchKey) {
        self.cursor = cursor;
        self.key = Some(key);
    }

    /// Entries that we have.
    pub(crate) fn received(&self) -> u64 {
        self.cursor.index
    }

    /// Entries that we have, with none before them in the hands of the store.
    pub(crate) fn durable(&self) -> u64 {
        let first = self.storing.first_key_value().map_or(u64::MAX, |(index, _)| *index);
        self.cursor.index.min(first.saturating_sub(1))
    }

    /// Bodies that came, and objects whose bodies we did not need.
    pub(crate) fn objects(&self) -> (u64, u64) {
        (self.objects_received, self.objects_deduplicated)
    }

    /// Entries that are not done, releases that are open or being stored, and canonical bytes of their bodies.
    pub(crate) fn in_flight(&self) -> (usize, usize, usize) {
        (self.entries.len() + self.lazy.len(), self.releases_held(), self.window_used)
    }

    fn releases_held(&self) -> usize {
        self.open + self.storing.len()
    }

    /// Notes the time while the peer owes nothing.
    pub(crate) fn watch(&mut self, now: Duration) {
        if self.awaited == 0 && !self.awaits_gap() && !self.lazy.awaits_peer() {
            self.waiting_since = now;
        }
    }

    /// Notes that the peer has delivered something.
    pub(crate) fn delivered(&mut self, now: Duration) {
        self.waiting_since = now;
    }

    /// Whether the peer has delivered nothing of what we wait for, for longer than the slowest link explains.
    pub(crate) fn is_stalled(&self, now: Duration) -> bool {
        let on_the_way = GROUP_BYTES_MAX as u64 / LINK_BYTES_PER_SECOND_MIN;
        let patience = STALL_TIMEOUT + Duration::from_secs(on_the_way);
        now.saturating_sub(self.waiting_since) > patience
    }

    pub(crate) fn start(&mut self, after: u64) -> Result<(), Fault> {
        if std::mem::replace(&mut self.started, true) {
            return Err(Fault::Misbehaved("a second start"));
        }
        if after == 0 {
            self.cursor = Cursor::start(self.cursor.store);
        }
        if after == self.cursor.index {
            Ok(())
        } else {
            Err(Fault::Misbehaved("a start at an entry that we do not have"))
        }
    }

    fn check_index(&self, index: u64) -> Result<(), Fault> {
        let (before, last) = self.window(index);
        if index > before && index <= last.min(INDEX_MAX) {
            Ok(())
        } else {
            Err(Fault::Misbehaved("a journal entry outside the window"))
        }
    }

    /// Checks the number of an entry that comes unasked: a few may lie beyond the window, but none in what is sketched.
    fn check_place(&self, index: u64) -> Result<(), Fault> {
        let (_, last) = self.window(index);
        if index <= last || index > INDEX_MAX || self.is_in_gap(index) {
            return self.check_index(index);
        }
        let beyond = last.saturating_add(1);
        let ahead = (self.entries.range(beyond..).count() + self.lazy.count_from(beyond)) as u64;
        if ahead < AHEAD_MAX || self.entries.contains_key(&index) || self.lazy.contains(index) {
            Ok(())
        } else {
            Err(Fault::Misbehaved("more entries beyond the window than we take"))
        }
    }

    /// Puts an entry into a state; what it was before comes back.
    fn put(&mut self, index: u64, id: ReleaseId, state: State) -> Option<Entry> {
        self.open += usize::from(matches!(state, State::Open(_)));
        self.awaited += usize::from(state.awaits_peer());
        let before = self.entries.insert(index, Entry { id, state });
        if let Some(Entry { state, .. }) = &before {
            self.open -= usize::from(matches!(state, State::Open(_)));
            self.awaited -= usize::from(state.awaits_peer());
        }
        before
    }

    pub(crate) fn offer(&mut self, offer: &Offer, outputs: &mut Outputs) -> Result<(), Fault> {
        let ids = wire::ids(&offer.ids, OFFER_IDS_MAX, ReleaseId::from_bytes)?;
        self.note_offer(offer.first)?;
        self.check_index(offer.first)?;
        let last = offer.first.checked_add(ids.len() as u64 - 1);
        self.check_index(last.ok_or(Fault::Misbehaved("an offer of numbers that there are not"))?)?;
        for (index, id) in (offer.first..).zip(&ids) {
            if self.lazy.contains(index) || self.put(index, *id, State::Checking).is_some() {
                return Err(Fault::Misbehaved("a journal entry offered twice"));
            }
        }
        outputs.push(Output::CheckReleases { first: offer.first, ids });
        Ok(())
    }

    pub(crate) fn releases_known(&mut self, first: u64, known: &[bool], outputs: &mut Outputs) {
        let mut wanted = vec![false; known.len()];
        for ((index, known), wanted) in (first..).zip(known).zip(&mut wanted) {
            let Some(Entry { id, state: State::Checking }) = self.entries.get(&index) else {
                continue;
            };
            let state = if *known { State::Done } else { State::Wanted };
            self.put(index, *id, state);
            *wanted = !*known;
        }
        let count = u32::try_from(known.len()).unwrap_or(u32::MAX);
        outputs.send(Channel::Control, Kind::Want(Want { first, bitmap: wire::bitmap(&wanted), count }));
        let before = self.cursor.index;
        self.advance();
        self.save_cursor_after(before, outputs);
    }

    pub(crate) fn manifest(&mut self, frame: &Manifest, now: Time, outputs: &mut Outputs) -> Result<(), Fault> {
        self.check_place(frame.index)?;
        let signature =
            frame.signature[..].try_into().map_err(|_| Fault::Misbehaved("a signature of the wrong length"))?;
        let contents = wire::ids(&frame.contents, RELEASE_OBJECTS_MAX, ContentId::from_bytes)?;
        let signature = Signature::from_bytes(signature);
        let signed = SignedRelease { manifest: self.unpack_manifest(frame)?, signature, contents };
        let is_offered = self.entries.contains_key(&frame.index) || self.is_in_gap(frame.index);
        let is_late = self.take_late(frame.index, signed.id())?;
        match self.entries.get(&frame.index) {
            None => self.take_missing(frame.index, signed.id())?,
            Some(Entry { id, state: State::Wanted }) if *id == signed.id() => {}
            Some(_) => return Err(Fault::Misbehaved("a release that was not asked for")),
        }
        if self.releases_held() >= RELEASES_OPEN_MAX {
            return Err(Fault::Misbehaved("more releases than we take at once"));
        }
        let card = self.origin_card(&signed, &frame.card)?;
        let release = signed.verify(card.as_deref().unwrap_or(&self.peer), now).map_err(Fault::Release)?;
        self.check_address(&release)?;
        let contents = release.contents().to_vec();
        let (id, objects) = (release.id(), contents.len());
        let manner = match is_late {
            true => Manner::AskedLate,
            false if is_offered => Manner::Asked,
            false => Manner::Unasked,
        };
        let open = Open { release, card, manner, wanted: None, bodies: Vec::new(), staged: 0, bytes: 0 };
        self.put(frame.index, id, State::Open(Box::new(open)));
        if frame.bodies.is_empty() {
            let index = frame.index;
            outputs.push(Output::CheckBodies { index, release: id, contents });
            return Ok(());
        }
        self.set_wanted(frame.index, (0..objects).rev().collect());
        let bodies = group::unpack(&frame.bodies, &frame.dictionary)?;
        self.take_bodies(frame.index, bodies, INLINE_BYTES_MAX)?;
        self.finish_if_complete(frame.index, outputs);
        if self.open_entry(frame.index).is_some() {
            return Err(Fault::Misbehaved("a release with some of its bodies missing"));
        }
        Ok(())
    }

    /// The manifest's bytes: as they are, or a piece of the run.
    fn unpack_manifest(&mut self, frame: &Manifest) -> Result<Vec<u8>, Fault> {
        if frame.size == 0 {
            return Ok(frame.manifest.to_vec());
        }
        if !frame.bodies.is_empty() {
            return Err(Fault::Misbehaved("a piece of a run with bodies beside it"));
        }
        let piece = Piece { bytes: frame.manifest.clone(), size: frame.size, dictionary: frame.dictionary.clone() };
        self.run.unpack(&piece, Content::Manifest)
    }

    /// The peer has sent all of its backlog.
    pub(crate) fn rest(&mut self) -> Result<(), Fault> {
        self.run.rest()
    }

    fn open_entry(&mut self, index: u64) -> Option<&mut Open> {
        match self.entries.get_mut(&index) {
            Some(Entry { state: State::Open(open), .. }) => Some(open),
            _ => None,
        }
    }

    /// Notes which bodies we ask for, the last first.
    fn set_wanted(&mut self, index: u64, wanted: Vec<usize>) {
        if let Some(open) = self.open_entry(index)
            && open.wanted.replace(wanted).is_none()
        {
            self.awaited += 1;
        }
    }

    /// Lets a release wait whose bodies are on their way from elsewhere.
    pub(crate) fn bodies_elsewhere(&mut self, index: u64) {
        if self.open_entry(index).is_some_and(|open| open.wanted.is_none()) {
            self.elsewhere.insert(index);
        }
    }

    /// Tells the peer now and then, by a want of no bodies, that we wait and are alive.
    pub(crate) fn remind(&mut self, now: Duration, outputs: &mut Outputs) {
        if let Some(index) = self.elsewhere.due(now)
            && let Some(open) = self.open_entry(index)
        {
            let bitmap = wire::bitmap(&vec![false; open.release.contents().len()]);
            outputs.send(Channel::Control, Kind::WantBodies(WantBodies { index, bitmap }));
        }
    }

    pub(crate) fn bodies_held(&mut self, index: u64, held: &[bool], outputs: &mut Outputs) {
        self.elsewhere.remove(index);
        let Some(open) = self.open_entry(index) else {
            return;
        };
        if open.wanted.is_some() {
            return;
        }
        let objects = open.release.contents().len();
        let is_held = |position: usize| held.get(position).copied().unwrap_or(false);
        let bitmap: Vec<bool> = (0..objects).map(|position| !is_held(position)).collect();
        let wanted: Vec<usize> = (0..objects).rev().filter(|place| bitmap[*place]).collect();
        self.objects_deduplicated += (objects - wanted.len()) as u64;
        if !wanted.is_empty() {
            let bitmap = wire::bitmap(&bitmap);
            outputs.send(Channel::Control, Kind::WantBodies(WantBodies { index, bitmap }));
        }
        self.set_wanted(index, wanted);
        self.finish_if_complete(index, outputs);
    }

    pub(crate) fn bodies(&mut self, frame: &Bodies, outputs: &mut Outputs) -> Result<(), Fault> {
        if self.open_entry(frame.index).is_none_or(|open| open.wanted.is_none()) {
            return Err(not_asked());
        }
        let bodies = if frame.size == 0 {
            group::unpack(&frame.group, &frame.dictionary)?
        } else {
            let piece = Piece { bytes: frame.group.clone(), size: frame.size, dictionary: frame.dictionary.clone() };
            group::split(&self.run.unpack(&piece, Content::Group)?)?
        };
        let bodies = self.take_bodies(frame.index, bodies, RELEASE_BYTES_MAX)?;
        self.finish_if_complete(frame.index, outputs);
        if self.open_entry(frame.index).is_some() {
            outputs.push(Output::BodiesCame { index: frame.index, bodies });
        }
        Ok(())
    }

    /// Checks each body against the content id that is next. Says how many there were.
    fn take_bodies(&mut self, index: u64, bodies: Vec<Vec<u8>>, bytes_max: usize) -> Result<usize, Fault> {
        let window_left = WINDOW_BYTES.saturating_sub(self.window_used);
        let open = self.open_entry(index).ok_or_else(not_asked)?;
        let wanted = open.wanted.as_mut().ok_or_else(not_asked)?;
        let (count, bytes): (_, usize) = (bodies.len(), bodies.iter().map(Vec::len).sum());
        if open.bytes + bytes > bytes_max || bytes > window_left {
            return Err(Fault::Misbehaved("more bytes than we take at once"));
        }
        for bytes in bodies {
            let position = wanted.pop().ok_or_else(not_asked)?;
            let content = open.release.contents()[position];
            let body = Body::verify(content, bytes).map_err(Fault::Body)?;
            check_label(&open.release, &body)?;
            open.bodies.push(body);
        }
        open.bytes += bytes;
        self.window_used += bytes;
        Ok(count)
    }

    /// Hands a release over to the store once all of its bodies are here.
    fn finish_if_complete(&mut self, index: u64, outputs: &mut Outputs) {
        let is_complete = |open: &Open| open.wanted.as_ref().is_some_and(Vec::is_empty);
        let Some(id) = self.open_entry(index).filter(|open| is_complete(open)).map(|open| open.release.id()) else {
            return;
        };
        let Some(Entry { state: State::Open(open), .. }) = self.put(index, id, State::Done) else {
            return;
        };
        self.objects_received += open.bodies.len() as u64;
        self.storing.insert(index, (id, open.bytes));
        self.settle_missing(index);
        self.advance();
        outputs.push(Output::Store {
            index,
            release: Box::new(open.release),
            bodies: open.bodies,
            card: open.card,
            cursor: self.cursor,
            manner: open.manner,
        });
    }

    pub(crate) fn gone(&mut self, frame: &Gone, outputs: &mut Outputs) -> Result<(), Fault> {
        self.check_place(frame.index)?;
        let id = frame.id[..].try_into().map_err(|_| Fault::Misbehaved("an id of the wrong length"))?;
        let id = ReleaseId::from_bytes(id);
        self.take_late(frame.index, id)?;
        let refusal = match self.entries.get(&frame.index) {
            Some(entry) if entry.id != id => Some("another release than was offered"),
            Some(Entry { state: State::Done, .. }) => Some("a release that came is gone"),
            // What we ask the store stays bounded only while the entry that we ask about cannot make room for another.
            Some(entry) if !entry.state.awaits_peer() => Some("a release is gone before we answered"),
            _ => None,
        };
        if let Some(what) = refusal {
            return Err(Fault::Misbehaved(what));
        }
        if !self.entries.contains_key(&frame.index) {
            self.take_missing(frame.index, id)?;
        }
        if let Some(Entry { state: State::Open(open), .. }) = self.put(frame.index, id, State::Done) {
            self.window_used -= open.bytes;
            outputs.push(Output::BodiesGone { index: frame.index });
        }
        outputs.send(Channel::Control, Kind::Ack(Ack { indexes: vec![frame.index], ..Ack::default() }));
        let before = self.cursor.index;
        self.settle_missing(frame.index);
        self.advance();
        self.save_cursor_after(before, outputs);
        self.check_gap(outputs);
        Ok(())
    }

    /// Acknowledges what is durable, with a receipt.
    pub(crate) fn stored(
        &mut self,
        entries: &[(u64, Status)],
        receipts: &Receipts,
        now: Time,
        outputs: &mut Outputs,
    ) -> Result<(), Fault> {
        let mut settled = Vec::with_capacity(entries.len());
        for (index, status) in entries {
            if let Some((release, bytes)) = self.storing.remove(index) {
                self.window_used -= bytes;
                settled.push((*index, release, *status));
            }
        }
        if !settled.is_empty() {
            outputs.send(Channel::Control, Kind::Ack(receipts.sign(&settled, now)?));
        }
        self.check_gap(outputs);
        Ok(())
    }

    fn save_cursor_after(&self, before: u64, outputs: &mut Outputs) {
        if self.cursor.index > before {
            outputs.push(Output::SaveCursor(self.cursor));
        }
    }
}

fn not_asked() -> Fault {
    Fault::Misbehaved("bodies that were not asked for")
}

/// The label that all of a release share must be at least as strict as what each object says of itself.
fn check_label(release: &VerifiedRelease, body: &Body) -> Result<(), Fault> {
    if body.facts().is_covered_by(&release.manifest().label) { Ok(()) } else { Err(Fault::Label) }
}
