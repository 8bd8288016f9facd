//! What bodies are asked for, waited for, and come: on request each comes once, unless whoever was asked first was
//! given up; nothing waits for nothing; and what came is not lost by a cut.
//!
//! All of this is told from frames and from what sessions put out, and not by the table that the nodes themselves go
//! by.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use mithaq_core::id::{ContentId, ReleaseId};
use mithaq_sync::{CLAIM_TTL, Pending, WAIT_MAX, wire::WantBodies};

use crate::{checks::is_set, disk::Lot, driver::EndKey, fetching::meant, pool::POOL, world::World};

/// For how long something may wait although nothing holds it up, beside what an answer of the store takes.
const IDLE_MAX: Duration = Duration::from_secs(3);

/// How long after it came a body may be lost by a crash, beside a few commits: what comes is staged at each tick.
const STAGING_MAX: Duration = Duration::from_secs(2);

/// An entry of the journal towards a session.
type EntryKey = (EndKey, u64);

/// What all nodes ask for.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    asks: BTreeMap<EntryKey, Ask>,
    /// What was asked for and is not durable.
    open: BTreeMap<EntryKey, Request>,
    /// Which of that asks for a content, by node.
    askers: BTreeMap<(usize, ContentId), BTreeSet<EntryKey>>,
    /// When bodies last came in a session.
    heard: BTreeMap<EndKey, Duration>,
    /// What came to a node on request from a peer for a release, in which session and when.
    arrived: BTreeMap<(usize, usize, ReleaseId, ContentId), (EndKey, Duration)>,
    /// How many bodies came to a node from a peer on request.
    brought: BTreeMap<(usize, usize), usize>,
}

/// A release whose manifest came.
#[derive(Debug)]
struct Ask {
    release: ReleaseId,
    contents: Vec<ContentId>,
    /// What of it the node held and might say so when it began to look.
    tellable: BTreeSet<ContentId>,
    /// When it first had to wait.
    first_wait: Option<Duration>,
    is_waiting: bool,
    /// What was on its way from elsewhere while it waited.
    elsewhere: BTreeSet<ContentId>,
    /// Since when nothing holds it up.
    free_since: Option<Duration>,
}

/// Bodies that were asked for.
#[derive(Debug)]
struct Request {
    peer: usize,
    release: ReleaseId,
    contents: Vec<ContentId>,
    /// How many of them came.
    came: usize,
    staged: BTreeSet<ContentId>,
    asked: Duration,
    /// Whether another was asked since.
    given_up: bool,
}

impl Requests {
    pub(crate) fn waits_no_more(&mut self, key: EndKey, index: u64) {
        if let Some(ask) = self.asks.get_mut(&(key, index)) {
            ask.is_waiting = false;
        }
    }

    pub(crate) fn waits(&mut self, key: EndKey, pending: &Pending, now: Duration) {
        let entry = (key, pending.index);
        let is_elsewhere = |content: &ContentId| self.others(entry, *content).next().is_some();
        let elsewhere: Vec<ContentId> = meant(pending).into_iter().filter(is_elsewhere).collect();
        if let Some(ask) = self.asks.get_mut(&entry) {
            ask.first_wait.get_or_insert(now);
            ask.is_waiting = true;
            ask.elsewhere.extend(elsewhere);
        }
    }

    /// The other entries as which a node has asked for a content that is not durable.
    fn others(&self, entry: EntryKey, content: ContentId) -> impl Iterator<Item = EntryKey> {
        let askers = self.askers.get(&(entry.0.node, content));
        askers.into_iter().flatten().copied().filter(move |other| *other != entry)
    }

    /// Whether the one who was asked keeps others waiting: it delivers, and nobody has given it up.
    fn moves(&self, entry: EntryKey, now: Duration) -> bool {
        self.open.get(&entry).is_some_and(|request| {
            let heard = self.heard.get(&entry.0).copied().unwrap_or_default();
            !request.given_up && now.saturating_sub(request.asked.max(heard)) <= CLAIM_TTL
        })
    }

    /// Bodies of an entry came, and more are to come.
    pub(crate) fn came(&mut self, key: EndKey, index: u64, bodies: usize, now: Duration) {
        if self.open.contains_key(&(key, index)) {
            self.heard.insert(key, now);
        }
        self.arrive(key, index, bodies, now);
    }

    fn arrive(&mut self, key: EndKey, index: u64, bodies: usize, now: Duration) {
        if let Some(request) = self.open.get_mut(&(key, index)) {
            for content in request.contents.iter().skip(request.came).take(bodies) {
                self.arrived.insert((key.node, request.peer, request.release, *content), (key, now));
            }
            request.came += bodies;
            *self.brought.entry((key.node, request.peer)).or_default() += bodies;
        }
    }

    /// All of an entry came, and is with the store; the table hears of it once it is durable.
    pub(crate) fn came_whole(&mut self, key: EndKey, index: u64, now: Duration) {
        let rest = self.open.get(&(key, index)).map(|request| request.contents.len() - request.came);
        self.arrive(key, index, rest.unwrap_or_default(), now);
    }

    /// How many bodies came to a node from a peer on request.
    pub(crate) fn brought(&self, node: usize, peer: usize) -> usize {
        self.brought.get(&(node, peer)).copied().unwrap_or_default()
    }

    pub(crate) fn settled(&mut self, key: EndKey, index: u64, now: Duration) {
        if self.open.contains_key(&(key, index)) {
            self.heard.insert(key, now);
        }
        self.done(key, index);
    }

    /// An entry does not come. The protocol has a sink drop what it has of it, so that may come again should the entry: all
    /// but what was staged, which outlives this as it does a cut.
    pub(crate) fn gone(&mut self, key: EndKey, index: u64) {
        if let Some(Request { peer, release, contents, came, staged, .. }) = self.open.get(&(key, index)) {
            for content in contents.iter().take(*came).filter(|content| !staged.contains(content)) {
                self.arrived.remove(&(key.node, *peer, *release, *content));
            }
        }
        self.done(key, index);
    }

    /// An entry is durable, or does not come.
    pub(crate) fn done(&mut self, key: EndKey, index: u64) {
        self.asks.remove(&(key, index));
        let contents = self.open.remove(&(key, index)).map(|request| request.contents).unwrap_or_default();
        for content in contents {
            if let Some(askers) = self.askers.get_mut(&(key.node, content)) {
                askers.remove(&(key, index));
            }
        }
    }

    fn forget(&mut self, is_meant: impl Fn(&EndKey) -> bool) {
        let entries: BTreeSet<EntryKey> = self.asks.keys().chain(self.open.keys()).copied().collect();
        entries.into_iter().filter(|(key, _)| is_meant(key)).for_each(|(key, index)| self.done(key, index));
        self.heard.retain(|key, _| !is_meant(key));
    }

    /// A session is over, and all that came of it durable.
    pub(crate) fn close(&mut self, key: EndKey) {
        self.forget(|other| *other == key);
    }

    /// A node has lost all that was not durable: what came a moment ago.
    pub(crate) fn crash(&mut self, node: usize, commit: Duration, now: Duration) {
        self.forget(|key| key.node == node);
        let is_durable = |came: Duration| now.saturating_sub(came) > STAGING_MAX + 5 * commit;
        self.arrived.retain(|(to, ..), (_, came)| *to != node || is_durable(*came));
    }

    /// A store was put back.
    pub(crate) fn restored(&mut self, node: usize) {
        self.arrived.retain(|(to, ..), _| *to != node);
    }

    /// Whether nobody asks or waits for anything.
    pub(crate) fn are_done(&self) -> bool {
        self.asks.is_empty() && self.open.is_empty() && self.askers.values().all(BTreeSet::is_empty)
    }
}

impl World {
    /// A node looks up which bodies of a release to ask for.
    pub(crate) fn note_ask(&mut self, key: EndKey, pending: &Pending) {
        let end = self.ends.get(&key).filter(|_| self.nodes[key.node].is_honest());
        let Some(peer) = end.map(|end| end.peer) else { return };
        let contents = meant(pending);
        let tellable = contents.iter().copied().filter(|content| self.may_tell(key.node, peer, *content)).collect();
        let ask = Ask {
            release: pending.release,
            contents,
            tellable,
            first_wait: None,
            is_waiting: false,
            elsewhere: BTreeSet::new(),
            free_since: None,
        };
        self.requests.asks.insert((key, pending.index), ask);
    }

    /// What is not asked for is held, and the peer may know that. What is asked for is not on its way already.
    pub(crate) fn check_want_bodies(&mut self, key: EndKey, want: &WantBodies) {
        let (entry, peer) = ((key, want.index), self.ends[&key].peer);
        let ask = &self.requests.asks[&entry];
        let (release, contents) = (ask.release, ask.contents.clone());
        let places = contents.into_iter().enumerate();
        let (wanted, held): (Vec<_>, Vec<_>) = places.partition(|(place, _)| is_set(&want.bitmap, *place));
        if wanted.is_empty() {
            assert!(ask.is_waiting, "{} tells {peer} that it waits, and does not", key.node);
            return;
        }
        for (_, content) in held {
            assert!(self.is_told(entry, release, content), "{} tells {peer} that it holds a body", key.node);
            self.counts.spared += usize::from(self.nodes[key.node].disk.was_given(peer, release, content));
        }
        let wanted: Vec<ContentId> = wanted.into_iter().map(|(_, content)| content).collect();
        for content in &wanted {
            let is_told = self.requests.asks[&entry].tellable.contains(content);
            let may_tell = is_told && self.may_tell(key.node, peer, *content);
            assert!(!may_tell, "{} asks {peer} for a body that it holds and may say so", key.node);
            let came = self.requests.arrived.get(&(key.node, peer, release, *content));
            assert!(came.is_none(), "{} asks {peer} again for what came: {came:?} now {:?}", key.node, self.now);
            self.check_asked_once(entry, *content);
        }
        self.counts.bodies_wanted += wanted.len();
        for content in &wanted {
            self.requests.askers.entry((key.node, *content)).or_default().insert(entry);
        }
        let request = Request {
            peer,
            release,
            contents: wanted,
            came: 0,
            staged: BTreeSet::new(),
            asked: self.now,
            given_up: false,
        };
        let before = self.requests.open.insert(entry, request);
        assert!(before.is_none(), "bodies of one entry are asked for twice");
    }

    /// Whether a peer knows, or may, that we hold a body of a release.
    fn is_told(&self, entry: EntryKey, release: ReleaseId, content: ContentId) -> bool {
        let (node, peer) = (entry.0.node, self.ends[&entry.0].peer);
        let disk = &self.nodes[node].disk;
        let is_passed_on = disk.releases.contains(&release) && POOL.sample(release).origin != peer;
        let is_known = is_passed_on
            || self.requests.asks[&entry].elsewhere.contains(&content)
            || self.requests.arrived.contains_key(&(node, peer, release, content))
            || disk.was_given(peer, release, content);
        self.may_tell(node, peer, content) || (is_known && disk.has(content))
    }

    /// What is on its way from elsewhere is asked for only if that was given up: nothing came of it for long, or it was
    /// waited for as long as anything is.
    fn check_asked_once(&mut self, entry: EntryKey, content: ContentId) {
        let first_wait = self.requests.asks[&entry].first_wait;
        let is_patient = first_wait.is_none_or(|since| self.now.saturating_sub(since) <= WAIT_MAX);
        let others: Vec<EntryKey> = self.requests.others(entry, content).collect();
        for other in others {
            let (key, moves) = (entry.0, self.requests.moves(other, self.now));
            assert!(!moves || !is_patient, "{} asks for what is on its way: {key:?} {other:?} {content:?}", key.node);
            self.counts.bodies_wanted_twice += 1;
            if let Some(request) = self.requests.open.get_mut(&other) {
                request.given_up = true;
            }
        }
    }

    /// Nothing waits that nothing holds up. What its own peer owes is not looked at: sessions do not outlive that.
    pub(crate) fn check_waits(&mut self) {
        let idle_max = IDLE_MAX + self.plan.answer;
        let waiting: Vec<EntryKey> =
            self.requests.asks.iter().filter(|(_, ask)| ask.is_waiting).map(|(entry, _)| *entry).collect();
        for entry in waiting {
            let (requests, now) = (&self.requests, self.now);
            let ask = &requests.asks[&entry];
            let owes = requests.open.range((entry.0, 0)..=(entry.0, u64::MAX)).next().is_some();
            let is_patient = ask.first_wait.is_none_or(|since| now.saturating_sub(since) <= WAIT_MAX);
            let is_coming =
                |content: &ContentId| requests.others(entry, *content).any(|other| requests.moves(other, now));
            let is_held_up = owes || (is_patient && ask.contents.iter().any(is_coming));
            let is_here = self.ends.contains_key(&entry.0);
            if let Some(ask) = self.requests.asks.get_mut(&entry) {
                ask.free_since = if is_held_up || !is_here { None } else { ask.free_since.or(Some(now)) };
                let idle = ask.free_since.map_or(Duration::ZERO, |since| now.saturating_sub(since));
                assert!(idle <= idle_max, "{entry:?} waits for nothing: {ask:?}");
            }
        }
    }

    /// What is staged came for that release in this session, and is handed over once.
    pub(crate) fn check_staged(&mut self, key: EndKey, (release, bodies): &Lot) {
        let mut entries = self.requests.open.range_mut((key, 0)..=(key, u64::MAX));
        let request = entries.find(|(_, request)| request.release == *release).map(|(_, request)| request);
        let request = request.unwrap_or_else(|| panic!("{release:?} is staged and was not asked for"));
        let came: BTreeSet<_> = request.contents.iter().take(request.came).collect();
        for content in bodies {
            assert!(came.contains(content), "{} stages what did not come", key.node);
            assert!(request.staged.insert(*content), "{} stages a body twice", key.node);
        }
        self.counts.staged += bodies.len();
    }
}
