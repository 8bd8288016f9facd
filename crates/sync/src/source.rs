//! The sending half: our journal towards the peer, offered in order, and what the peer wants of it.

mod bodies;
mod branches;
mod offers;
mod reconcile;
mod sending;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use mithaq_core::{
    card::VerifiedCard,
    id::{CertId, ReleaseId},
    release::SignedRelease,
};

use self::{bodies::Sent, branches::Branches, reconcile::Reconciling};
use crate::{
    dictionary,
    fault::Fault,
    freight::Weight,
    io::{Channel, Now, Output, Outputs},
    limits::{
        AHEAD_MAX, EAGER_OPEN_MAX, FRAME_BYTES_MAX, LINK_BYTES_PER_SECOND_MIN, OFFER_IDS_MAX, OFFERS_OPEN_MAX,
        RELEASES_OPEN_MAX, STALL_TIMEOUT, WINDOW_BYTES, WINDOW_BYTES_MIN,
    },
    receipts::Receipts,
    run::Packer,
    sketch::SketchKey,
    tail::{Prompt, Tail},
    wire::{Ack, Hello, Kind, Start},
};

/// An entry of our journal that was read in this session and that the peer has not done with.
#[derive(Debug)]
struct Entry {
    id: ReleaseId,
    /// Whether the peer has said that it wants it.
    asked: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The peer has yet to say whether it wants it.
    Offered,
    /// It waits to be offered lazily.
    Resting,
    /// The peer has it, and is to be told that it is the same as an entry of its own.
    Twin,
    /// It is to be loaded.
    Queued,
    /// It is being loaded.
    Loading,
    /// Its manifest was sent.
    Sent(Sent),
    /// The peer was told that it may not go, and has yet to confirm.
    Gone(Weight),
}

/// What was loaded for an entry.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The release, if the rule still lets it go.
    pub(crate) release: Option<SignedRelease>,
    /// The card of its origin, if that is not ourselves.
    pub(crate) card: Option<Arc<VerifiedCard>>,
    /// All of its bodies, if they are small.
    pub(crate) inline: Option<Vec<Vec<u8>>>,
}

/// The sending half of a session.
#[derive(Debug)]
pub(crate) struct Source {
    opened: bool,
    /// Whether it is known up to where the journal is no news. One that is made anew grows by what the peer has long
    /// had.
    knows_news: bool,
    /// The last entry of the journal.
    head: u64,
    /// The next entry to read.
    next: u64,
    /// What is done about entries before that if the peer's cursor does not fit.
    reconciling: Reconciling,
    /// How many entries we asked for, while they are being read.
    reading: Option<usize>,
    /// Whether the peer has nearly everything: what comes now goes out unasked.
    caught_up: bool,
    /// What is fresh and goes out unasked although the peer lacks much.
    tail: Tail,
    /// What is fresh and is offered all the same.
    branches: Branches,
    entries: BTreeMap<u64, Entry>,
    /// Offers without an answer: the number of the first entry, and how many.
    offers: BTreeMap<u64, usize>,
    /// Entries to load, the most urgent first.
    queue: BTreeSet<(Channel, u64)>,
    loading: usize,
    /// Entries that are loading, sent or gone.
    open: usize,
    /// Entries of which bodies are wanted and none was sent, the most urgent first.
    hungry: BTreeSet<(Channel, u64)>,
    /// The entry of which some bodies were sent. It is finished before another begins: parts of many releases could
    /// fill the window for ever, while none of them is complete and acknowledged.
    begun: Option<u64>,
    loading_bodies: bool,
    unconfirmed: Weight,
    window_bytes: usize,
    releases_open_max: usize,
    /// Whether the peer has our dictionary.
    dictionary: bool,
    /// What the bodies and manifests of a backlog are packed with.
    run: Packer,
    objects_sent: u64,
    /// The serials of the cards that went on each stream: there is no order between streams.
    shown: BTreeMap<(Channel, CertId), u64>,
    /// When the peer last answered, or had nothing to answer.
    waiting_since: Duration,
}

impl Source {
    /// What is offered lazily rests so long.
    pub(crate) fn new(now: Duration, rest: Duration) -> Self {
        Self {
            opened: false,
            knows_news: false,
            head: 0,
            next: 1,
            reconciling: Reconciling::default(),
            reading: None,
            caught_up: false,
            tail: Tail::default(),
            branches: Branches::new(rest),
            entries: BTreeMap::new(),
            offers: BTreeMap::new(),
            queue: BTreeSet::new(),
            loading: 0,
            open: 0,
            hungry: BTreeSet::new(),
            begun: None,
            loading_bodies: false,
            unconfirmed: Weight::default(),
            window_bytes: WINDOW_BYTES,
            releases_open_max: RELEASES_OPEN_MAX,
            dictionary: false,
            run: Packer::default(),
            objects_sent: 0,
            shown: BTreeMap::new(),
            waiting_since: now,
        }
    }

    /// Takes the limits that the peer told; it must take at least one release of the largest size.
    pub(crate) fn greet(&mut self, hello: &Hello, key: SketchKey) -> Result<(), Fault> {
        let window = usize::try_from(hello.window_bytes).unwrap_or(usize::MAX);
        let releases = usize::try_from(hello.releases_open_max).unwrap_or(usize::MAX);
        let frame = usize::try_from(hello.frame_bytes_max).unwrap_or(usize::MAX);
        if window < WINDOW_BYTES_MIN || releases == 0 || frame < FRAME_BYTES_MAX {
            return Err(Fault::Misbehaved("a hello with limits too small for one release"));
        }
        self.window_bytes = window.min(WINDOW_BYTES);
        self.releases_open_max = releases.min(RELEASES_OPEN_MAX);
        self.dictionary = dictionary::is_listed(&hello.dictionaries)?;
        self.reconciling.set_peer(hello.held, key);
        self.tail.set_limit(usize::try_from(hello.ahead_max.min(AHEAD_MAX)).unwrap_or(usize::MAX));
        Ok(())
    }

    /// Starts at the entry after `after`.
    pub(crate) fn open(&mut self, after: u64, head: u64, outputs: &mut Outputs) {
        if std::mem::replace(&mut self.opened, true) {
            return;
        }
        // The journal may have grown while it was being opened.
        self.head = self.head.max(head).max(after);
        self.next = after.saturating_add(1);
        self.tail.advance(self.head.saturating_add(1));
        outputs.send(Channel::Control, Kind::Start(Start { after }));
        if after == 0 {
            self.begin_reconciling();
        }
        self.knows_news = !self.may_have_any(after);
        if !self.knows_news {
            outputs.push(Output::SettleJournal);
        }
        self.pump(outputs);
    }

    pub(crate) fn grow(&mut self, head: u64, outputs: &mut Outputs) {
        self.head = self.head.max(head);
        self.pump(outputs);
    }

    /// Entries that the peer has.
    pub(crate) fn acknowledged(&self) -> u64 {
        self.head.saturating_sub(self.lag())
    }

    /// Entries that the peer lacks.
    pub(crate) fn lag(&self) -> u64 {
        let unread = self.head.saturating_add(1).saturating_sub(self.next);
        let in_order = unread.saturating_sub(self.tail.ahead());
        in_order.saturating_add(self.entries.len() as u64).saturating_add(self.reconciling.unread())
    }

    pub(crate) fn objects_sent(&self) -> u64 {
        self.objects_sent
    }

    /// Entries, releases and canonical bytes that the peer has not confirmed.
    pub(crate) fn in_flight(&self) -> (usize, usize, usize) {
        (self.entries.len(), self.open, self.unconfirmed.window)
    }

    /// Notes the time while the peer owes nothing.
    pub(crate) fn watch(&mut self, now: Duration) {
        let owes = !self.offers.is_empty() || self.open > self.loading || self.reconciling.awaits_peer();
        if !owes || self.loading_bodies {
            self.waiting_since = now;
        }
    }

    /// Whether the peer has left what it got unanswered for longer than the slowest link explains.
    pub(crate) fn is_stalled(&self, now: Duration) -> bool {
        let on_the_way = self.unconfirmed.wire as u64 / LINK_BYTES_PER_SECOND_MIN;
        let patience = STALL_TIMEOUT + Duration::from_secs(on_the_way);
        now.saturating_sub(self.waiting_since) > patience
    }

    /// Is done with an entry.
    fn settle(&mut self, index: u64) {
        if self.entries.remove(&index).is_some() {
            self.reconciling.settle(index);
        }
    }

    /// How many of the entries that are read in order are open, but for those that the peer takes its time for.
    fn open_in_order(&self) -> usize {
        self.entries.len() - self.reconciling.open() - self.branches.waiting()
    }

    /// Asks for whatever can be gone on with.
    pub(crate) fn pump(&mut self, outputs: &mut Outputs) {
        if !self.opened || self.reconciling.is_settling() {
            return;
        }
        if self.reconciling.holds_back() {
            self.pump_tail(outputs);
            return self.pump_releases(outputs);
        }
        // A few entries on the way are no backlog: under a steady load there are always some.
        self.caught_up |= self.knows_news && self.next > self.head && self.open_in_order() <= EAGER_OPEN_MAX / 2;
        self.pump_tail(outputs);
        self.pump_journal(outputs);
        self.pump_reconciling(outputs);
        self.pump_releases(outputs);
        self.pump_bodies(outputs);
        self.end_run(outputs);
    }

    /// How many entries the sink's window has room for.
    fn room(&self) -> u64 {
        // The sink counts from its cursor, which stands before the oldest entry that is not done with.
        let behind = self.reconciling.floor().saturating_add(1);
        let oldest = self.entries.range(behind..).next().map_or(self.next, |(index, _)| self.next.min(*index));
        oldest.saturating_add(OFFERS_OPEN_MAX).saturating_sub(self.next)
    }

    fn pump_tail(&mut self, outputs: &mut Outputs) {
        self.tail.advance(self.next);
        if !self.knows_news || self.caught_up && self.room() > 0 && !self.reconciling.holds_back() {
            return;
        }
        if let Some(after) = self.tail.begin(self.head) {
            outputs.push(Output::ReadTail { after, limit: OFFER_IDS_MAX });
        }
    }

    pub(crate) fn tail_read(&mut self, through: u64, entries: Vec<Prompt>, outputs: &mut Outputs) {
        // The journal may have grown before we heard of it, and what goes ahead is no more than there is.
        self.head = self.head.max(through);
        for Prompt { index, id, urgent } in self.tail.take(through, entries, self.next) {
            let channel = if urgent { Channel::Urgent } else { Channel::Live };
            self.entries.insert(index, Entry { id, asked: false, state: State::Queued });
            self.queue.insert((channel, index));
        }
        self.pump(outputs);
    }

    fn pump_journal(&mut self, outputs: &mut Outputs) {
        let room = self.room();
        if self.reading.is_some() || self.next > self.head || room == 0 {
            return;
        }
        let mut limit = usize::try_from(room).unwrap_or(usize::MAX).min(OFFER_IDS_MAX);
        if !self.caught_up && self.tail.room() > 0 {
            // What is fresh is first looked through for what is prompt.
            limit = limit.min(usize::try_from(self.tail.next() - self.next).unwrap_or(usize::MAX));
        }
        if limit == 0 {
            return;
        }
        self.reading = Some(limit);
        let after = self.next - 1;
        outputs.push(Output::ReadJournal { after, limit });
    }

    fn pump_releases(&mut self, outputs: &mut Outputs) {
        while let Some((channel, index)) = self.queue.first().copied() {
            let reserved =
                if channel == Channel::Backfill { EAGER_OPEN_MAX.min(self.releases_open_max / 4) } else { 0 };
            let is_held_up = channel == Channel::Backfill && self.is_full_of_manifests();
            if is_held_up || self.open >= self.releases_open_max - reserved {
                return;
            }
            self.queue.pop_first();
            let Some(entry) = self.entries.get_mut(&index) else {
                continue;
            };
            entry.state = State::Loading;
            self.open += 1;
            self.loading += 1;
            outputs.push(Output::LoadRelease { index, id: entry.id, inline: channel != Channel::Backfill });
        }
    }

    pub(crate) fn journal_read(&mut self, mut ids: Vec<ReleaseId>, outputs: &mut Outputs) {
        ids.truncate(self.reading.take().unwrap_or(0));
        let (first, count) = (self.next, ids.len());
        if count == 0 {
            // There should have been entries; the next tick asks again.
            return;
        }
        let (was_caught_up, next) = (self.caught_up, first.saturating_add(count as u64));
        self.caught_up &= self.open_in_order() + count <= EAGER_OPEN_MAX;
        if was_caught_up && !self.caught_up && next > self.tail.next() && self.tail.room() > 0 {
            // Too much to go out unasked, but some of it may be prompt: the tail looks through it first.
            return self.pump(outputs);
        }
        for (index, id) in (first..).zip(ids) {
            if self.tail.pass(index) {
                continue;
            }
            let state = if self.caught_up {
                self.queue.insert((Channel::Live, index));
                State::Queued
            } else {
                State::Offered
            };
            self.entries.insert(index, Entry { id, asked: false, state });
        }
        self.next = next;
        self.head = self.head.max(self.next - 1);
        if !self.caught_up {
            self.offer(first, outputs);
        }
        self.pump(outputs);
    }

    /// Settles entries. Releases take a receipt; what is gone is acknowledged without one.
    pub(crate) fn ack(&mut self, ack: &Ack, receipts: &Receipts, now: Now, outputs: &mut Outputs) -> Result<(), Fault> {
        let is_receipt = !ack.signature.is_empty();
        let has_more = !ack.statuses.is_empty() || !ack.key.is_empty() || ack.at > 0;
        if has_more && !is_receipt {
            return Err(Fault::Misbehaved("an unsigned acknowledgement with more than indexes"));
        }
        let mut settled = Vec::with_capacity(ack.indexes.len());
        for index in &ack.indexes {
            let (id, weight) = match self.entries.get(index) {
                Some(Entry { id, state: State::Sent(sent), .. }) if is_receipt && sent.wanted.is_empty() => {
                    (*id, sent.weight)
                }
                Some(Entry { id, state: State::Gone(weight), .. }) if !is_receipt => (*id, *weight),
                _ => return Err(Fault::Misbehaved("an acknowledgement of what was not sent")),
            };
            settled.push((*index, id));
            self.settle(*index);
            self.open -= 1;
            self.tail.settle(*index);
            self.unconfirmed.subtract(weight);
            self.waiting_since = now.monotonic;
        }
        if is_receipt {
            outputs.push(Output::Receipt(Box::new(receipts.verify(ack, &settled, now.wall)?)));
        }
        self.pump(outputs);
        Ok(())
    }
}
