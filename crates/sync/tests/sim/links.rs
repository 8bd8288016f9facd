//! Connections and what is on its way on them: streams in order, each with delays of its own; links that lose, are cut
//! and heal; ends that learn late that the other is gone.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::Bytes;
use mithaq_core::id::sha256_of;
use mithaq_sync::{
    Channel, Fault, Input,
    wire::{Kind, frame_length},
};

use crate::{
    cast::decode,
    driver::{End, EndKey},
    world::{Event, PACE, World},
};

/// How long a silent connection lives.
const IDLE: Duration = Duration::from_secs(30);

/// The longest pause before a link is dialled again.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// The first pause.
const PAUSE: Duration = Duration::from_millis(300);

/// A link between two nodes.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    /// Until when nothing passes.
    down_until: Duration,
    /// How long to wait before the next connection; grows with each that ends in a fault.
    pause: Duration,
    /// The connection that was made last.
    pub(crate) connection: Option<u64>,
}

impl Default for Link {
    fn default() -> Self {
        Self { down_until: Duration::ZERO, pause: PAUSE, connection: None }
    }
}

/// A connection over a link.
#[derive(Debug)]
pub(crate) struct Connection {
    edge: usize,
    /// Whether something befell it for which neither session is to blame.
    disturbed: bool,
    /// Whether nothing arrives any more.
    dead: bool,
    streams: BTreeMap<(usize, Channel), Stream>,
    /// Until when the link from a node is busy with it.
    busy: BTreeMap<usize, Duration>,
}

/// What is on its way to a node on one stream.
#[derive(Debug, Default)]
struct Stream {
    frames: VecDeque<Bytes>,
    /// When the last of them arrives.
    last: Duration,
}

impl World {
    /// Connects two nodes, if they can be connected and are not.
    pub(crate) fn dial(&mut self, edge: usize) {
        let ends = self.plan.edges[edge].ends;
        let can_be = self.now >= self.links[edge].down_until && ends.iter().all(|node| self.nodes[*node].up);
        if can_be && self.serving(edge).is_none() {
            self.connect(edge);
        }
        let long = self.pace.saturating_sub(PACE);
        let pause = self.links[edge].pause + self.rng.duration(PAUSE) + long;
        self.schedule(pause, Event::Dial(edge));
    }

    fn connect(&mut self, edge: usize) {
        let connection = self.connections.last_key_value().map_or(1, |(last, _)| last + 1);
        self.counts.connections += 1;
        let made = Connection { edge, disturbed: false, dead: false, streams: BTreeMap::new(), busy: BTreeMap::new() };
        self.connections.insert(connection, made);
        self.links[edge].connection = Some(connection);
        let [a, b] = self.plan.edges[edge].ends;
        self.open(EndKey { connection, node: a }, b);
        self.open(EndKey { connection, node: b }, a);
    }

    /// A frame leaves a node.
    pub(crate) fn send(&mut self, key: EndKey, channel: Channel, frame: &Bytes) {
        self.gauge.count(frame);
        self.trace = sha256_of(&[&self.trace, &[u8::try_from(key.node).unwrap()], frame]);
        let Some(vice) = self.nodes[key.node].vice else {
            self.check_frame(key, channel, frame);
            return self.carry(key, channel, frame.clone());
        };
        if let (true, Kind::Gone(gone)) = (vice.has_honest_journals(), decode(frame)) {
            self.note_gone(key, &gone);
        }
        for frame in vice.garble(frame.clone(), &mut self.rng) {
            self.carry(key, channel, frame);
        }
    }

    fn carry(&mut self, key: EndKey, channel: Channel, frame: Bytes) {
        let Some(peer) = self.ends.get(&key).map(|end| end.peer) else { return };
        let Some(connection) = self.connections.get_mut(&key.connection).filter(|connection| !connection.dead) else {
            return;
        };
        let line = &self.plan.edges[connection.edge].line;
        let takes = line.rate.map_or(0, |rate| frame.len() as u64 * 1_000_000 / rate);
        let busy = connection.busy.entry(key.node).or_default();
        *busy = self.now.max(*busy) + Duration::from_micros(takes);
        let mut arrives = *busy + line.delay + self.rng.duration(line.jitter);
        if self.rng.below(1_000) < line.loss {
            arrives += 3 * line.delay;
        }
        let stream = connection.streams.entry((peer, channel)).or_default();
        stream.last = arrives.max(stream.last);
        stream.frames.push_back(frame);
        let delay = stream.last - self.now;
        self.schedule(delay, Event::Arrive(EndKey { node: peer, ..key }, channel));
    }

    /// The next frame of a stream arrives, unless the link is down: then it comes once that is over.
    pub(crate) fn arrive(&mut self, key: EndKey, channel: Channel) {
        let Some(connection) = self.connections.get_mut(&key.connection).filter(|connection| !connection.dead) else {
            return;
        };
        let down_until = self.links[connection.edge].down_until;
        if down_until > self.now {
            let delay = down_until - self.now + self.plan.edges[connection.edge].line.delay;
            return self.schedule(delay, Event::Arrive(key, channel));
        }
        let frame = connection.streams.get_mut(&(key.node, channel)).and_then(|stream| stream.frames.pop_front());
        let (Some(frame), Some(end)) = (frame, self.ends.get_mut(&key)) else { return };
        let Ok(Some((skip, _))) = frame_length(&frame) else { return };
        let frame = frame.slice(skip..);
        if channel == Channel::Control || end.established {
            self.give(key, Input::Received(frame));
        } else {
            end.early.push(frame);
        }
    }

    /// Nothing passes a link for a while. Connections outlive it if it does not last.
    pub(crate) fn cut(&mut self, edge: usize, lasts: Duration) {
        self.counts.cuts += 1;
        let link = &mut self.links[edge];
        link.down_until = link.down_until.max(self.now + lasts);
        let mut lost = Vec::new();
        for (number, connection) in self.connections.iter_mut().filter(|(_, connection)| connection.edge == edge) {
            connection.disturbed = true;
            if lasts > IDLE {
                connection.dead = true;
                lost.extend(self.plan.edges[edge].ends.map(|node| EndKey { connection: *number, node }));
            }
        }
        for key in lost.into_iter().filter(|key| self.ends.contains_key(key)).collect::<Vec<_>>() {
            let delay = IDLE + self.rng.duration(PAUSE);
            self.schedule(delay, Event::Lost(key));
        }
    }

    /// Once the peer has said hello, older connections with it are over at this end.
    pub(crate) fn claim(&mut self, key: EndKey) {
        let Some(end) = self.ends.get_mut(&key).filter(|end| !end.claimed) else { return };
        if end.session.peer_instance().is_none() {
            return;
        }
        end.claimed = true;
        let peer = end.peer;
        let is_older = |(other, end): &(&EndKey, &End)| {
            other.node == key.node && end.peer == peer && other.connection < key.connection
        };
        let older: Vec<EndKey> = self.ends.iter().filter(is_older).map(|(other, _)| *other).collect();
        older.into_iter().for_each(|old| self.close(old));
    }

    /// A session found a fault. Among honest nodes none does, but for what the world did to them.
    pub(crate) fn fail(&mut self, key: EndKey, fault: &Fault) {
        let Some(end) = self.ends.get(&key) else { return };
        let peer = end.peer;
        let is_disturbed = self.connections[&key.connection].disturbed;
        let is_excused = match fault {
            Fault::Agreement { .. } => self.nodes[peer].agreement(key.node) != end.agreement || is_disturbed,
            Fault::Stalled(_) => is_disturbed,
            _ => false,
        };
        let is_honest = self.nodes[peer].is_honest() && self.nodes[key.node].is_honest();
        assert!(is_excused || !is_honest, "{} blames {peer}: {}", key.node, fault.message());
        self.counts.faults += usize::from(!is_honest);
        let link = &mut self.links[self.connections[&key.connection].edge];
        link.pause = PAUSE_MAX.min(2 * link.pause);
        self.close(key);
    }

    /// One end is over: what it verified is still stored, and the other end hears of it.
    pub(crate) fn close(&mut self, key: EndKey) {
        let Some(peer) = self.lose(key) else { return };
        let connection = &self.connections[&key.connection];
        let is_silent = connection.dead || self.links[connection.edge].down_until > self.now;
        let delay = if is_silent { IDLE } else { self.plan.edges[connection.edge].line.delay };
        self.schedule(delay, Event::Lost(EndKey { node: peer, ..key }));
    }

    /// One end is over, and the other hears nothing of it. Says who the other is.
    pub(crate) fn lose(&mut self, key: EndKey) -> Option<usize> {
        let mut end = self.ends.remove(&key)?;
        let progress = end.session.progress();
        if progress.lag == 0 {
            self.nodes[key.node].acknowledged(end.peer, end.edition, progress.sent);
        }
        self.abandon(key, &mut end.session);
        if let Some(connection) = self.connections.get_mut(&key.connection) {
            connection.disturbed = true;
        }
        if let Some(storer) = self.nodes[key.node].storers.get_mut(&key.connection) {
            storer.end();
        }
        self.drive_storer(key.node, key.connection);
        Some(end.peer)
    }

    /// All ends of a node are over at once, and nobody hears of it in time. What it was sending is lost with it, or is not.
    pub(crate) fn lose_all(&mut self, node: usize) {
        let keys: Vec<EndKey> = self.ends.keys().filter(|key| key.node == node).copied().collect();
        for key in keys {
            if let Some(peer) = self.lose(key) {
                if let Some(connection) = self.connections.get_mut(&key.connection) {
                    connection.dead |= self.rng.below(2) == 0;
                }
                self.schedule(IDLE, Event::Lost(EndKey { node: peer, ..key }));
            }
        }
    }

    /// Ends all sessions of a node, as a change of what was agreed does: each begins anew with another journal.
    pub(crate) fn hang_up(&mut self, node: usize) {
        let keys: Vec<EndKey> = self.ends.keys().filter(|key| key.node == node).copied().collect();
        keys.into_iter().for_each(|key| self.close(key));
    }

    /// The two ends of the connection that serves a link, if both are there and hear each other.
    pub(crate) fn serving(&self, edge: usize) -> Option<[EndKey; 2]> {
        let connection = self.links[edge].connection.filter(|number| !self.connections[number].dead)?;
        let ends = self.plan.edges[edge].ends.map(|node| EndKey { connection, node });
        Some(ends).filter(|ends| ends.iter().all(|end| self.ends.contains_key(end)))
    }

    /// The other end of a connection, if it is still there.
    pub(crate) fn other_end(&self, key: EndKey) -> Option<&End> {
        let peer = self.ends.get(&key)?.peer;
        self.ends.get(&EndKey { node: peer, ..key })
    }
}
