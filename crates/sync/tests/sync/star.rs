//! One CERT with several sources: a pair for each, one store and one table of claims for all of them, one time.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    mem,
    rc::Rc,
    time::Duration,
};

use mithaq_core::id::{ContentId, ReleaseId};
use mithaq_sync::{Claims, wire::Kind};

use crate::{
    fixtures::{Parcel, cert},
    node::{Node, Seat, Store},
    pair::{Pair, World},
};

/// The number of the CERT whose releases are passed on.
pub(crate) const ORIGIN: u8 = 3;

/// The CERT in the middle is the second side of every pair.
#[derive(Debug)]
pub(crate) struct Star {
    pub(crate) pairs: Vec<Pair>,
    pub(crate) now: Duration,
    /// What is held in the middle, whoever it came from.
    held: Store,
    /// Bodies that each source has sent, in all sessions.
    sent: BTreeMap<ContentId, usize>,
    /// How many of them each source has sent.
    pub(crate) shares: Vec<usize>,
    /// How many of them went with their manifests, unasked.
    pub(crate) inlined: usize,
}

impl Star {
    /// One source in each world. They pass on what [`ORIGIN`] released, or release themselves.
    pub(crate) fn new(worlds: Vec<World>, are_relays: bool) -> Self {
        let claims = Rc::new(RefCell::new(Claims::default()));
        let origin = are_relays.then(|| cert(ORIGIN).card);
        let origins: BTreeMap<_, _> = origin.into_iter().map(|card| (card.cert_id(), card)).collect();
        let shares = vec![0; worlds.len()];
        let pair = |(number, world): (u8, World)| {
            let mut source = Node::new(number, cert(number));
            let mut sink = Node::new(2, cert(2));
            (source.store.origins, sink.store.origins) = (origins.clone(), origins.clone());
            sink.seat = Some(Seat::new(&claims));
            Pair::of(world, [source, sink])
        };
        let pairs = (10..).zip(worlds).map(pair).collect();
        Self { pairs, now: Duration::ZERO, held: Store::default(), sent: BTreeMap::new(), shares, inlined: 0 }
    }

    /// Acts on one pair, which sees the store in the middle meanwhile.
    pub(crate) fn with<T>(&mut self, source: usize, act: impl FnOnce(&mut Pair) -> T) -> T {
        self.swap(source);
        let pair = &mut self.pairs[source];
        pair.tick_until(self.now);
        let result = act(pair);
        let is_closed = pair.nodes.iter().any(|node| node.closed.is_some());
        self.swap(source);
        if is_closed {
            self.cut(source);
        }
        result
    }

    fn swap(&mut self, source: usize) {
        let store = &mut self.pairs[source].nodes[1].store;
        mem::swap(&mut store.releases, &mut self.held.releases);
        mem::swap(&mut store.bodies, &mut self.held.bodies);
    }

    pub(crate) fn push(&mut self, source: usize, parcel: &Parcel) {
        self.with(source, |pair| pair.push(0, parcel));
    }

    pub(crate) fn push_to_all(&mut self, parcel: &Parcel) {
        (0..self.pairs.len()).for_each(|source| self.push(source, parcel));
    }

    pub(crate) fn connect(&mut self, source: usize) {
        self.with(source, Pair::connect);
    }

    pub(crate) fn connect_all(&mut self) {
        (0..self.pairs.len()).for_each(|source| self.connect(source));
    }

    /// Ends the session with a source.
    pub(crate) fn cut(&mut self, source: usize) {
        self.note_sent(source);
        self.pairs[source].cut();
    }

    pub(crate) fn holds(&self, release: ReleaseId) -> bool {
        self.held.releases.contains_key(&release)
    }

    /// Runs until nothing happens for five minutes, in which whoever is silent is left; says when the last event was.
    pub(crate) fn run(&mut self) -> Duration {
        let mut last = self.now;
        while self.now < last + Duration::from_secs(300) {
            if self.advance() {
                last = self.now;
            }
        }
        last
    }

    pub(crate) fn run_until(&mut self, time: Duration) {
        while self.now < time {
            self.advance();
        }
    }

    /// Goes on to the next event or the next second; says whether there was an event.
    pub(crate) fn advance(&mut self) -> bool {
        let next = self.pairs.iter().enumerate().filter_map(|(source, pair)| Some((pair.next_time()?, source))).min();
        let second = Duration::from_secs(self.now.as_secs() + 1);
        let event = next.filter(|(time, _)| *time < second);
        self.now = event.map_or(second, |(time, _)| time).max(self.now);
        if let Some((_, source)) = event {
            self.with(source, Pair::step);
        }
        (0..self.pairs.len()).for_each(|source| self.with(source, Pair::wake));
        event.is_some()
    }

    fn note_sent(&mut self, source: usize) {
        let frames = mem::take(&mut self.pairs[source].nodes[0].sent.frames);
        let inline = frames.iter().filter_map(|(_, kind)| match kind {
            Kind::Manifest(manifest) if !manifest.bodies.is_empty() => Some(manifest.index),
            _ => None,
        });
        let inline: BTreeSet<_> = inline.collect();
        let bodies = &self.pairs[source].nodes[0].sent.bodies;
        self.inlined +=
            bodies.iter().filter(|((index, _), _)| inline.contains(index)).map(|(_, times)| times).sum::<usize>();
        for (id, times) in mem::take(&mut self.pairs[source].nodes[0].sent.bodies) {
            *self.sent.entry(id.1).or_default() += times;
            self.shares[source] += times;
        }
    }

    /// How many bodies were sent in vain, since they were sent already.
    pub(crate) fn sent_twice(&mut self) -> usize {
        (0..self.pairs.len()).for_each(|source| self.note_sent(source));
        self.sent.values().map(|times| times - 1).sum()
    }

    /// Checks that the middle holds all that the sources offer which are connected, and that no claim is left.
    pub(crate) fn assert_converged(&self) {
        for pair in self.pairs.iter().filter(|pair| pair.nodes[0].session.is_some()) {
            let journal = &pair.nodes[0].store.journal;
            assert!(journal.iter().all(|id| self.holds(*id)), "a release is lost");
            assert_eq!(pair.nodes[1].store.cursor.map_or(0, |cursor| cursor.index), journal.len() as u64);
            let seat = pair.nodes[1].seat.as_ref().unwrap();
            assert!(seat.waiting.is_empty());
        }
    }
}
