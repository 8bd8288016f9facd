//! Two sessions in one thread and virtual time: channels are queues with delays of their own, commits take time,
//! answers come in any order, and a cut loses what was in flight and what was not durable. A seed replays all of it.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use mithaq_core::id::sha256_of;
use mithaq_sync::{
    AHEAD_MAX, Channel, EAGER_OPEN_MAX, Input, OFFERS_OPEN_MAX, Progress, RELEASES_OPEN_MAX, Session, WINDOW_BYTES,
    wire::{Frame, Kind, frame_length},
};

use crate::{
    fixtures::{Parcel, Rng, cert, decode},
    node::{Effect, Node},
};

/// How the world around two sessions behaves.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) seed: u64,
    /// From one side to the other.
    pub(crate) delay: Duration,
    /// At most so much more, for each frame.
    pub(crate) jitter: Duration,
    /// What the link carries in each direction, in bytes a second.
    pub(crate) rate: Option<u64>,
    /// What a read of the store takes at most.
    pub(crate) answer: Duration,
    /// What a commit takes.
    pub(crate) commit: Duration,
    /// Whether journals are read in pieces of any size.
    pub(crate) short_reads: bool,
}

impl Default for World {
    fn default() -> Self {
        Self {
            seed: 0,
            delay: Duration::from_millis(10),
            jitter: Duration::ZERO,
            rate: None,
            answer: Duration::ZERO,
            commit: Duration::from_millis(1),
            short_reads: false,
        }
    }
}

#[derive(Debug)]
enum Event {
    Frame(Channel, Bytes),
    Answer(Input),
    Committed,
    /// The link from a node has sent a frame.
    Sent,
}

/// A frame that waits for a link, and how much of it was not sent.
#[derive(Debug)]
struct Waiting {
    frame: Bytes,
    left: usize,
}

/// How many bytes of a frame a link sends before it looks for what is more urgent.
const PACKET: usize = 1_200;

/// Two nodes and what is on its way.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) nodes: [Node; 2],
    pub(crate) now: Duration,
    /// How many events have happened.
    pub(crate) events: usize,
    world: World,
    rng: Rng,
    queue: BTreeMap<(Duration, u64), (usize, Event)>,
    sequence: u64,
    /// When the last frame of a channel arrives, by sender.
    arrivals: BTreeMap<(usize, Channel), Duration>,
    /// What waits for the link from a sender, where it has a rate, the most urgent first.
    waiting: [BTreeMap<(Channel, u64), Waiting>; 2],
    /// Whether the link from a sender is busy.
    busy: [bool; 2],
    /// A hash over every frame that was sent, in order.
    pub(crate) trace: [u8; 32],
    /// When each side is to be told the time next.
    alarms: [Option<Duration>; 2],
    /// What would have happened at the first side while it is stopped.
    stopped: Option<Vec<Event>>,
    /// The frames themselves, if they are to be kept: when, by whom, where, what.
    pub(crate) frames: Option<Vec<(Duration, usize, Channel, Bytes)>>,
    /// What somebody on node 0 changes in the frames that it sends or takes.
    pub(crate) tamper: Option<fn(&mut Kind)>,
}

impl Pair {
    pub(crate) fn new(world: World) -> Self {
        Self::of(world, [Node::new(1, cert(1)), Node::new(2, cert(2))])
    }

    pub(crate) fn of(world: World, nodes: [Node; 2]) -> Self {
        Self {
            nodes,
            now: Duration::ZERO,
            events: 0,
            rng: Rng(world.seed),
            world,
            queue: BTreeMap::new(),
            sequence: 0,
            arrivals: BTreeMap::new(),
            waiting: Default::default(),
            busy: [false; 2],
            trace: [0; 32],
            alarms: [None; 2],
            stopped: None,
            frames: None,
            tamper: None,
        }
    }

    /// Lets the first side stand still: what comes to it waits.
    pub(crate) fn stop(&mut self) {
        self.stopped.get_or_insert_default();
    }

    /// Lets the first side go on.
    pub(crate) fn go_on(&mut self) {
        for event in self.stopped.take().into_iter().flatten() {
            self.schedule(0, Duration::ZERO, event);
        }
    }

    /// When the next event happens.
    pub(crate) fn next_time(&self) -> Option<Duration> {
        self.queue.keys().next().map(|(time, _)| *time)
    }

    /// Lets the second side go on with what it waited for.
    pub(crate) fn wake(&mut self) {
        for input in self.nodes[1].wake(self.now) {
            self.give(1, input);
        }
    }

    /// Starts a session.
    pub(crate) fn connect(&mut self) {
        let [a, b] = &mut self.nodes;
        a.connect(&b.cert, self.now);
        b.connect(&a.cert, self.now);
        self.settle(0);
        self.settle(1);
    }

    /// Ends the session: what is in flight or not durable is lost.
    pub(crate) fn cut(&mut self) {
        self.queue.clear();
        self.stopped = self.stopped.take().map(|_| Vec::new());
        self.arrivals.clear();
        self.waiting = Default::default();
        self.busy = [false; 2];
        self.alarms = [None; 2];
        self.nodes.iter_mut().for_each(Node::cut);
    }

    /// The connection is lost: what is in flight is gone, and each side stores what it has.
    pub(crate) fn hang_up(&mut self) {
        self.nodes.iter_mut().for_each(Node::hang_up);
        self.cut();
    }

    /// One side releases something to the other.
    pub(crate) fn push(&mut self, node: usize, parcel: &Parcel) {
        let store = &mut self.nodes[node].store;
        store.put(parcel);
        store.journal.push(parcel.id());
        let head = store.journal.len() as u64;
        self.give(node, Input::JournalGrew { head });
    }

    /// Gives an input to one side's session.
    pub(crate) fn give(&mut self, node: usize, input: Input) {
        self.nodes[node].take(input, self.now);
        self.settle(node);
    }

    pub(crate) fn progress(&self, node: usize) -> Progress {
        self.nodes[node].session.as_ref().unwrap().progress()
    }

    /// Runs until nothing is on its way.
    pub(crate) fn run(&mut self) {
        while self.step() {}
    }

    /// Runs until `time`.
    pub(crate) fn run_until(&mut self, time: Duration) {
        while self.queue.keys().next().is_some_and(|(at, _)| *at <= time) {
            self.step();
        }
        self.tick_until(time);
    }

    /// Lets the next event happen.
    pub(crate) fn step(&mut self) -> bool {
        let Some(((time, _), (node, event))) = self.queue.pop_first() else {
            return false;
        };
        self.tick_until(time);
        self.events += 1;
        assert!(self.events < 2_000_000, "it goes on for ever");
        // A link goes on with what it was given.
        let is_link = matches!(event, Event::Sent);
        if let Some(waiting) = self.stopped.as_mut().filter(|_| node == 0 && !is_link) {
            waiting.push(event);
            return true;
        }
        match event {
            Event::Frame(channel, frame) => self.receive(node, channel, frame),
            Event::Answer(input) => self.give(node, input),
            Event::Committed => {
                self.nodes[node].committing = false;
                let durable = self.nodes[node].commit();
                if durable.is_staged {
                    self.give(node, Input::Staged);
                }
                let entries = durable.entries;
                self.give(node, Input::Stored { entries });
            }
            Event::Sent => {
                self.busy[node] = false;
                self.send_next(node);
            }
        }
        true
    }

    /// Both sides are told of each second that passes.
    pub(crate) fn tick_until(&mut self, time: Duration) {
        let second = Duration::from_secs(1);
        while self.now.as_secs() < time.as_secs() {
            self.now = Duration::from_secs(self.now.as_secs()) + second;
            if self.stopped.is_none() {
                self.give(0, Input::Tick);
            }
            self.give(1, Input::Tick);
        }
        self.now = time.max(self.now);
    }

    fn receive(&mut self, node: usize, channel: Channel, frame: Bytes) {
        let (skip, _) = frame_length(&frame).unwrap().unwrap();
        let frame = frame.slice(skip..);
        if channel == Channel::Control || self.nodes[node].established {
            self.give(node, Input::Received(frame));
        } else {
            self.nodes[node].early.push(frame);
        }
    }

    /// Performs what a session asks for, and what follows from it at once.
    fn settle(&mut self, node: usize) {
        let mut reads = self.world.short_reads.then(|| Rng(self.rng.next()));
        loop {
            let effects = self.nodes[node].perform(&mut reads);
            self.check_bounds(node);
            if effects.is_empty() {
                break;
            }
            for effect in effects {
                self.affect(node, effect);
            }
        }
        let side = &mut self.nodes[node];
        if !side.committing && !side.commits.is_empty() {
            side.committing = true;
            self.schedule(node, self.world.commit, Event::Committed);
        }
        self.set_alarm(node);
    }

    /// Tells a session the time when it has asked for it.
    fn set_alarm(&mut self, node: usize) {
        let wakes = self.nodes[node].session.as_ref().and_then(Session::wakes_at);
        if wakes != std::mem::replace(&mut self.alarms[node], wakes)
            && let Some(at) = wakes
        {
            self.schedule(node, at.saturating_sub(self.now), Event::Answer(Input::Wake));
        }
    }

    fn affect(&mut self, node: usize, effect: Effect) {
        match effect {
            Effect::Send(channel, frame) => self.send(node, channel, frame),
            Effect::Answer(input) if self.world.answer.is_zero() => {
                self.nodes[node].take(input, self.now);
            }
            Effect::Answer(input) => {
                let delay = self.rng.duration(self.world.answer);
                self.schedule(node, delay, Event::Answer(input));
            }
            Effect::Deliver(frame) => self.nodes[node].take(Input::Received(frame), self.now),
            // What was sent before still arrives.
            Effect::Close => {}
        }
    }

    fn send(&mut self, from: usize, channel: Channel, frame: Bytes) {
        self.trace = sha256_of(&[&self.trace, &[u8::try_from(from).unwrap()], &frame]);
        let frame = self.tampered(frame);
        if let Some(frames) = &mut self.frames {
            frames.push((self.now, from, channel, frame.clone()));
        }
        if self.world.rate.is_none() {
            return self.deliver(from, channel, frame);
        }
        self.sequence += 1;
        self.waiting[from].insert((channel, self.sequence), Waiting { left: frame.len(), frame });
        self.send_next(from);
    }

    /// Sends a packet of the most urgent frame that waits, if the link is free.
    fn send_next(&mut self, from: usize) {
        let Some(rate) = self.world.rate.filter(|_| !self.busy[from]) else { return };
        let Some(mut first) = self.waiting[from].first_entry() else { return };
        let packet = first.get().left.min(PACKET);
        first.get_mut().left -= packet;
        let takes = Duration::from_micros(packet as u64 * 1_000_000 / rate);
        if first.get().left == 0 {
            let ((channel, _), Waiting { frame, .. }) = first.remove_entry();
            self.deliver_after(takes, from, channel, frame);
        }
        self.busy[from] = true;
        self.schedule(from, takes, Event::Sent);
    }

    fn deliver(&mut self, from: usize, channel: Channel, frame: Bytes) {
        self.deliver_after(Duration::ZERO, from, channel, frame);
    }

    fn deliver_after(&mut self, takes: Duration, from: usize, channel: Channel, frame: Bytes) {
        let arrives = self.now + takes + self.world.delay + self.rng.duration(self.world.jitter);
        let last = self.arrivals.entry((from, channel)).or_default();
        *last = arrives.max(*last);
        let delay = *last - self.now;
        self.schedule(1 - from, delay, Event::Frame(channel, frame));
    }

    fn tampered(&self, frame: Bytes) -> Bytes {
        let Some(tamper) = self.tamper else { return frame };
        let mut kind = decode(&frame);
        tamper(&mut kind);
        Frame::encode_with_length(kind)
    }

    fn schedule(&mut self, node: usize, delay: Duration, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + delay, self.sequence), (node, event));
    }

    fn check_bounds(&self, node: usize) {
        let side = &self.nodes[node];
        assert!(side.storing_bytes <= WINDOW_BYTES);
        let Some(held) = side.session.as_ref().map(Session::in_flight) else {
            return;
        };
        // Once before where a sketch ended, and once behind.
        let entries = 2 * usize::try_from(OFFERS_OPEN_MAX).unwrap();
        assert!(held.entries_out <= entries + EAGER_OPEN_MAX, "{held:?}");
        assert!(held.entries_in <= entries + usize::try_from(AHEAD_MAX).unwrap(), "{held:?}");
        assert!(held.releases_out <= RELEASES_OPEN_MAX, "{held:?}");
        assert!(held.releases_in <= RELEASES_OPEN_MAX, "{held:?}");
        assert!(held.bytes_out <= WINDOW_BYTES && held.bytes_in <= WINDOW_BYTES, "{held:?}");
    }

    /// Checks that both sides have all that the other released, and that nothing is left on its way.
    pub(crate) fn assert_converged(&self) {
        for (node, peer) in [(0, 1), (1, 0)] {
            let (source, sink) = (&self.nodes[node], &self.nodes[peer]);
            assert!(source.closed.is_none(), "{:?}", source.closed);
            for id in &source.store.journal {
                let is_held = sink.store.releases.contains_key(id);
                let may_lack = source.store.withdrawn.contains(id);
                assert!(is_held || may_lack, "{id:?} is lost");
            }
            let cursor = sink.store.cursor.map_or(0, |cursor| cursor.index);
            assert_eq!(cursor, source.store.journal.len() as u64, "cursor");
            let progress = self.progress(node);
            assert_eq!(progress.lag, 0);
            assert_eq!(progress.sent, source.store.journal.len() as u64);
            let held = source.session.as_ref().unwrap().in_flight();
            assert_eq!(held, mithaq_sync::InFlight::default());
            assert!(source.sent.bodies.values().all(|times| *times == 1));
            assert!(source.sent.manifests.values().all(|times| *times == 1));
        }
    }

    /// Checks that each side holds what was released to it, and nothing else.
    pub(crate) fn assert_nothing_else(&self) {
        let [a, b] = &self.nodes;
        let all: std::collections::BTreeSet<_> = a.store.journal.iter().chain(&b.store.journal).collect();
        for node in &self.nodes {
            assert!(node.store.releases.keys().all(|id| all.contains(id)));
        }
    }
}
