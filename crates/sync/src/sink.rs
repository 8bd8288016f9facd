//! The receiving half: what the peer offers, what of it we lack, and the checks that stand before the store.

mod bodies;
mod late;
mod origin;
mod reconcile;
mod staging;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mithaq_core::{
    card::VerifiedCard,
    id::{CertId, ContentId, ReleaseId},
    keys::Signature,
    receipt::Status,
    release::SignedManifest,
    time::Time,
};

use self::{bodies::Open, late::Lazy, reconcile::Gap};
use crate::{
    elsewhere::Elsewhere,
    fault::Fault,
    group,
    io::{Channel, Manner, Output, Outputs},
    journal::Cursor,
    limits::{
        AHEAD_MAX, GROUP_BYTES_MAX, INDEX_MAX, INLINE_BYTES_MAX, LINK_BYTES_PER_SECOND_MIN, OFFER_IDS_MAX,
        RELEASES_OPEN_MAX, STALL_TIMEOUT,
    },
    receipts::Receipts,
    run::{Content, Piece, Unpacker},
    session::Setup,
    sketch::SketchKey,
    wire::{self, Ack, Gone, Kind, Manifest, Offer, Want},
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
        let signed =
            SignedManifest { manifest: self.unpack_manifest(frame)?, signature: Signature::from_bytes(signature) };
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
        let manifest = signed.verify(card.as_deref().unwrap_or(&self.peer), now).map_err(Fault::Release)?;
        self.check_address(manifest.manifest())?;
        let manner = match is_late {
            true => Manner::AskedLate,
            false if is_offered => Manner::Asked,
            false => Manner::Unasked,
        };
        let inline =
            if frame.bodies.is_empty() { None } else { Some(group::unpack(&frame.bodies, &frame.dictionary)?) };
        let prefixes = match &inline {
            None => wire::prefixes(&frame.contents)?,
            Some(_) if !frame.contents.is_empty() => return Err(Fault::Misbehaved("contents beside their bodies")),
            Some(bodies) => bodies.iter().map(|body| ContentId::of(body).prefix()).collect(),
        };
        manifest.check_count(prefixes.len()).map_err(Fault::Release)?;
        let (index, release) = (frame.index, manifest.id());
        let open = Open::new(manifest, card, manner, inline.is_some(), prefixes.clone());
        self.put(index, release, State::Open(Box::new(open)));
        match inline {
            Some(bodies) => self.take_inline(index, bodies, INLINE_BYTES_MAX, outputs)?,
            None => outputs.push(Output::CheckBodies { index, release, prefixes }),
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
