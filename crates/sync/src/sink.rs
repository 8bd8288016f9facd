//! The receiving half: what the peer offers, what of it we lack, and the checks that stand before the store.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use mithaq_core::{
    body::Body,
    card::VerifiedCard,
    id::{ContentId, ReleaseId},
    keys::Signature,
    release::{RELEASE_OBJECTS_MAX, SignedRelease, VerifiedRelease},
    time::Time,
};

use crate::{
    fault::Fault,
    group,
    io::{Channel, Output, Outputs},
    journal::Cursor,
    limits::{
        GROUP_BYTES_MAX, INLINE_BYTES_MAX, LINK_BYTES_PER_SECOND_MIN, OFFER_IDS_MAX, OFFERS_OPEN_MAX,
        RELEASE_BYTES_MAX, RELEASES_OPEN_MAX, STALL_TIMEOUT, WINDOW_BYTES,
    },
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
    /// Positions of the bodies that we asked for, the last first; `None` until we know what we hold.
    wanted: Option<Vec<usize>>,
    bodies: Vec<Body>,
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
    peer: Arc<VerifiedCard>,
    /// The last entry of which all before it are done.
    cursor: Cursor,
    started: bool,
    entries: BTreeMap<u64, Entry>,
    /// How many of `entries` are open.
    open: usize,
    /// How many of `entries` await the peer.
    awaited: usize,
    /// Canonical bytes of bodies in `entries` and in the hands of the store.
    window_used: usize,
    /// Bytes in the hands of the store, by entry.
    storing: BTreeMap<u64, usize>,
    objects_received: u64,
    objects_deduplicated: u64,
    /// When the peer last delivered, or had nothing to deliver.
    waiting_since: Duration,
}

impl Sink {
    pub(crate) fn new(peer: Arc<VerifiedCard>, now: Duration) -> Self {
        Self {
            peer,
            cursor: Cursor::start([0; 16]),
            started: false,
            entries: BTreeMap::new(),
            open: 0,
            awaited: 0,
            window_used: 0,
            storing: BTreeMap::new(),
            objects_received: 0,
            objects_deduplicated: 0,
            waiting_since: now,
        }
    }

    pub(crate) fn set_cursor(&mut self, cursor: Cursor) {
        self.cursor = cursor;
    }

    /// Entries that we have.
    pub(crate) fn received(&self) -> u64 {
        self.cursor.index
    }

    /// Bodies that came, and objects whose bodies we did not need.
    pub(crate) fn objects(&self) -> (u64, u64) {
        (self.objects_received, self.objects_deduplicated)
    }

    /// Entries that are not done, releases that are open or being stored, and canonical bytes of their bodies.
    pub(crate) fn in_flight(&self) -> (usize, usize, usize) {
        (self.entries.len(), self.releases_held(), self.window_used)
    }

    fn releases_held(&self) -> usize {
        self.open + self.storing.len()
    }

    /// Notes the time while the peer owes nothing.
    pub(crate) fn watch(&mut self, now: Duration) {
        if self.awaited == 0 {
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
        let last = self.cursor.index.saturating_add(OFFERS_OPEN_MAX);
        if index > self.cursor.index && index <= last {
            Ok(())
        } else {
            Err(Fault::Misbehaved("a journal entry outside the window"))
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
        self.check_index(offer.first)?;
        self.check_index(offer.first.saturating_add(ids.len() as u64 - 1))?;
        for (index, id) in (offer.first..).zip(&ids) {
            if self.put(index, *id, State::Checking).is_some() {
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
        self.advance_and_save(outputs);
    }

    pub(crate) fn manifest(&mut self, frame: &Manifest, now: Time, outputs: &mut Outputs) -> Result<(), Fault> {
        self.check_index(frame.index)?;
        let signature =
            frame.signature[..].try_into().map_err(|_| Fault::Misbehaved("a signature of the wrong length"))?;
        let contents = wire::ids(&frame.contents, RELEASE_OBJECTS_MAX, ContentId::from_bytes)?;
        let signature = Signature::from_bytes(signature);
        let signed = SignedRelease { manifest: frame.manifest.to_vec(), signature, contents };
        match self.entries.get(&frame.index) {
            None => {}
            Some(Entry { id, state: State::Wanted }) if *id == signed.id() => {}
            Some(_) => return Err(Fault::Misbehaved("a release that was not asked for")),
        }
        if self.releases_held() >= RELEASES_OPEN_MAX {
            return Err(Fault::Misbehaved("more releases than we take at once"));
        }
        let release = signed.verify(&self.peer, now).map_err(Fault::Release)?;
        let contents = release.contents().to_vec();
        let (id, objects) = (release.id(), contents.len());
        let open = Open { release, wanted: None, bodies: Vec::new(), bytes: 0 };
        self.put(frame.index, id, State::Open(Box::new(open)));
        if frame.bodies.is_empty() {
            let index = frame.index;
            outputs.push(Output::CheckBodies { index, contents });
            return Ok(());
        }
        self.set_wanted(frame.index, (0..objects).rev().collect());
        self.take_group(frame.index, &frame.bodies, INLINE_BYTES_MAX)?;
        self.finish_if_complete(frame.index, outputs);
        if self.open_entry(frame.index).is_some() {
            return Err(Fault::Misbehaved("a release with some of its bodies missing"));
        }
        Ok(())
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

    pub(crate) fn bodies_held(&mut self, index: u64, held: &[bool], outputs: &mut Outputs) {
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
        self.take_group(frame.index, &frame.group, RELEASE_BYTES_MAX)?;
        self.finish_if_complete(frame.index, outputs);
        Ok(())
    }

    /// Checks each body of a group against the content id that is next.
    fn take_group(&mut self, index: u64, group: &Bytes, bytes_max: usize) -> Result<(), Fault> {
        let window_left = WINDOW_BYTES.saturating_sub(self.window_used);
        let not_asked = || Fault::Misbehaved("bodies that were not asked for");
        let open = self.open_entry(index).ok_or_else(not_asked)?;
        let wanted = open.wanted.as_mut().ok_or_else(not_asked)?;
        let bodies = group::unpack(group)?;
        let bytes: usize = bodies.iter().map(Vec::len).sum();
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
        Ok(())
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
        self.storing.insert(index, open.bytes);
        self.advance();
        outputs.push(Output::Store {
            index,
            release: Box::new(open.release),
            bodies: open.bodies,
            cursor: self.cursor,
        });
    }

    pub(crate) fn gone(&mut self, frame: &Gone, outputs: &mut Outputs) -> Result<(), Fault> {
        self.check_index(frame.index)?;
        let id = frame.id[..].try_into().map_err(|_| Fault::Misbehaved("an id of the wrong length"))?;
        let id = ReleaseId::from_bytes(id);
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
        if let Some(Entry { state: State::Open(open), .. }) = self.put(frame.index, id, State::Done) {
            self.window_used -= open.bytes;
        }
        let indexes = vec![frame.index];
        outputs.send(Channel::Control, Kind::Ack(Ack { indexes }));
        self.advance_and_save(outputs);
        Ok(())
    }

    pub(crate) fn stored(&mut self, mut indexes: Vec<u64>, outputs: &mut Outputs) {
        indexes.retain(|index| match self.storing.remove(index) {
            Some(bytes) => {
                self.window_used -= bytes;
                true
            }
            None => false,
        });
        if !indexes.is_empty() {
            outputs.send(Channel::Control, Kind::Ack(Ack { indexes }));
        }
    }

    /// Moves the cursor over all entries that are done without a gap.
    fn advance(&mut self) -> bool {
        let before = self.cursor.index;
        while let Some(entry) = self.entries.first_entry() {
            let done = matches!(entry.get().state, State::Done) && *entry.key() == self.cursor.index + 1;
            if !done {
                break;
            }
            self.cursor.chain = self.cursor.chain.after(entry.get().id);
            self.cursor.index += 1;
            entry.remove();
        }
        self.cursor.index > before
    }

    fn advance_and_save(&mut self, outputs: &mut Outputs) {
        if self.advance() {
            outputs.push(Output::SaveCursor(self.cursor));
        }
    }
}

/// The label that all of a release share must be at least as strict as what each object says of itself.
fn check_label(release: &VerifiedRelease, body: &Body) -> Result<(), Fault> {
    let label = &release.manifest().label;
    let own = body.facts().own_label(label.tlp);
    if label.covers(&own) { Ok(()) } else { Err(Fault::Label) }
}
