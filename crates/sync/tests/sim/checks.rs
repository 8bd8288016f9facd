//! What must hold in every world: on every frame that an honest node sends, on every commit, and once there is peace.
//!
//! Nothing here asks what the nodes ask: what may cross a link is told from what was agreed and what happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use mithaq_core::{
    id::{ContentId, ReleaseId, sha256},
    release::VerifiedRelease,
};
use mithaq_sync::{
    Channel, Cursor, InFlight, OFFERS_OPEN_MAX, RELEASES_OPEN_MAX, WINDOW_BYTES,
    sketch::SketchKey,
    wire::{Ack, Gone, Kind, LazyOffer, Manifest, Missing, Offer, Reconcile, Twins, Want},
};

use crate::{
    cast::{Runs, decode},
    disk::{Change, Disk, Journal},
    driver::{EndKey, briefs_of},
    hostile::Vice,
    node::{Done, Job},
    pool::{Deed, POOL, Sample},
    sketches::digest_of,
    world::World,
};

/// What one session has said.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Entries of which the manifest went.
    manifests: BTreeSet<u64>,
    /// Entries of which we told the peer that they may not go.
    gone: BTreeSet<u64>,
    /// Releases that the session had stored.
    stored: BTreeMap<u64, ReleaseId>,
    acknowledged: BTreeSet<u64>,
    /// The key of the sketch that was sent, and the last entry that it has.
    sketch: Option<(SketchKey, usize)>,
    /// Short ids that were named as lacking.
    named: BTreeSet<u64>,
    /// What our backlog is packed with.
    runs: Runs,
}

/// What has happened in a world, beyond what its nodes remember.
#[derive(Debug)]
pub(crate) struct Records {
    /// What each node has told an analyst or a peer that it has.
    kept: Vec<BTreeSet<ReleaseId>>,
    /// What a node told a peer may not go.
    gone: BTreeSet<(usize, usize, ReleaseId)>,
    /// What came from a node to another, whole.
    came: BTreeSet<(usize, usize, ReleaseId)>,
    /// When a peer acknowledged a release of a node's journal.
    settled: BTreeMap<(usize, usize, ReleaseId), Duration>,
}

impl Records {
    pub(crate) fn new(nodes: usize) -> Self {
        let kept = vec![BTreeSet::new(); nodes];
        Self { kept, gone: BTreeSet::new(), came: BTreeSet::new(), settled: BTreeMap::new() }
    }

    /// A node has told someone that it has a release.
    pub(crate) fn keeps(&mut self, node: usize, id: ReleaseId) {
        self.kept[node].insert(id);
    }

    /// A store was put back: what came or went since is lost, and nobody is to blame.
    pub(crate) fn restored(&mut self, node: usize, disk: &Disk) {
        self.kept[node].retain(|id| disk.releases.contains(id));
        // A source that has forgotten a release takes it for news when it comes again. A sink that has it from another, and
        // has forgotten that this source gave it too, may not say that it holds it.
        let remembers = |(from, to, id): &(usize, usize, ReleaseId)| {
            (*from != node || disk.releases.contains(id)) && (*to != node || disk.held.contains(&(*from, *id)))
        };
        self.settled.retain(|key, _| remembers(key));
    }
}

fn require(holds: bool, rule: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(rule) }
}

impl World {
    /// Whether a release may cross from one node to another now.
    fn may_cross(&self, from: usize, to: usize, id: ReleaseId) -> Result<(), &'static str> {
        let (node, Sample { origin, deed, .. }) = (&self.nodes[from], POOL.sample(id));
        require(node.disk.releases.contains(&id), "nobody sends what it does not hold")?;
        require(*origin != to, "nothing goes back to its origin")?;
        let (onward, recipients) = match deed {
            Deed::Withdraw(taken) => {
                let is_given = node.disk.disclosed.contains(&(to, *taken));
                return require(is_given, "a withdrawal goes to those alone who were given what it takes back");
            }
            Deed::Publish { onward, recipients } => (*onward, recipients),
        };
        let is_taken_back = POOL.withdrawal_of(id).is_some_and(|taking| node.disk.releases.contains(&taking));
        let pact = &node.pacts[&to];
        require(!is_taken_back, "what is withdrawn goes nowhere")?;
        require(!node.disk.expired.contains(&id), "what is too old goes nowhere")?;
        require(!pact.ended, "after the end nothing is published")?;
        if *origin != from {
            let with_origin = node.pacts.get(origin);
            require(onward, "this is for peers of its origin")?;
            require(pact.terms.third_party, "the peer takes nothing of third nodes")?;
            require(node.policy.onward, "the relay's operator passes nothing on")?;
            return require(with_origin.is_none_or(|pact| !pact.ended), "the relay has fallen out with the origin");
        }
        if !recipients.is_empty() {
            return require(recipients.contains(&to), "this is for others");
        }
        require(onward || pact.terms.amber, "the agreement lets only go what anyone may have")?;
        require(onward || node.policy.amber, "the operator lets only go what anyone may have")
    }

    fn assert_may_cross(&self, key: EndKey, id: ReleaseId) {
        let to = self.ends[&key].peer;
        if let Err(rule) = self.may_cross(key.node, to, id) {
            panic!("{rule}: {id:?} from {} to {to}", key.node);
        }
        self.assert_disclosed(key, id);
    }

    pub(crate) fn assert_disclosed(&self, key: EndKey, id: ReleaseId) {
        let to = self.ends[&key].peer;
        let is_noted = self.nodes[key.node].disk.disclosed.contains(&(to, id));
        assert!(is_noted, "{id:?} goes from {} to {to} before the ledger has it", key.node);
    }

    pub(crate) fn journal_of(&self, key: EndKey) -> Option<&Journal> {
        let end = self.ends.get(&key)?;
        self.nodes[key.node].journal(end.peer, end.edition)
    }

    /// The release at an entry of our journal towards the peer.
    fn entry(&self, key: EndKey, index: u64) -> ReleaseId {
        let place = usize::try_from(index - 1).unwrap();
        let entry = self.journal_of(key).and_then(|journal| journal.entries.get(place));
        entry.unwrap_or_else(|| panic!("{} speaks of entry {index}, which is not durable", key.node)).0
    }

    /// The other end of a connection, if an honest node still stands there.
    pub(crate) fn honest_peer(&self, key: EndKey) -> Option<EndKey> {
        let node = self.ends.get(&key)?.peer;
        let peer = EndKey { node, ..key };
        Some(peer).filter(|peer| self.nodes[node].is_honest() && self.ends.contains_key(peer))
    }

    /// Checks a frame that an honest node sends.
    pub(crate) fn check_frame(&mut self, key: EndKey, channel: Channel, frame: &Bytes) {
        if !self.ends.contains_key(&key) {
            return;
        }
        let kind = self.watch(key).runs.plain(decode(frame));
        match kind {
            Kind::Start(start) => self.count_start(key, start.after),
            Kind::Offer(offer) => self.check_offer(key, &offer),
            Kind::LazyOffer(offer) => self.check_lazy_offer(key, &offer),
            Kind::Twins(twins) => self.check_twins(key, &twins),
            Kind::Manifest(manifest) => self.check_manifest(key, channel, &manifest),
            Kind::Bodies(bodies) => {
                assert!(self.ends[&key].watch.manifests.contains(&bodies.index), "bodies before their manifest");
                self.assert_may_cross(key, self.entry(key, bodies.index));
            }
            Kind::Gone(gone) => self.check_gone(key, &gone),
            Kind::Want(want) => self.check_want(key, &want),
            Kind::WantBodies(want) => self.check_want_bodies(key, &want),
            Kind::Ack(ack) => self.check_ack(key, &ack),
            Kind::Reconcile(sketch) => self.check_sketch(key, &sketch),
            Kind::Missing(missing) => self.check_missing(key, &missing),
            _ => {}
        }
    }

    fn count_start(&mut self, key: EndKey, after: u64) {
        let had = self.other_end(key).and_then(|end| end.cursor).is_some_and(|cursor| cursor.index > 0);
        self.counts.resumed += usize::from(after > 0);
        self.counts.restarted += usize::from(after == 0 && had);
    }

    fn check_offer(&mut self, key: EndKey, offer: &Offer) {
        self.counts.offers += 1;
        for (index, id) in (offer.first..).zip(offer.ids.chunks(32)) {
            let entry = self.entry(key, index);
            assert_eq!(entry.as_bytes()[..], *id, "an offer of something else");
            self.assert_disclosed(key, entry);
        }
    }

    fn check_lazy_offer(&mut self, key: EndKey, offer: &LazyOffer) {
        for (index, brief) in offer.read().unwrap() {
            let id = self.entry(key, index);
            assert_eq!(brief, briefs_of(key).brief(id), "a lazy offer of something else");
            self.assert_disclosed(key, id);
            self.counts.lazily += 1;
        }
    }

    /// What is told to be held is, and the peer may know that; what has a twin is the same, and need not go.
    fn check_twins(&mut self, key: EndKey, twins: &Twins) {
        for (offered, own) in twins.read().unwrap() {
            let id = self.honest_peer(key).map(|peer| self.entry(peer, offered));
            if let (Some(id), Some(peer)) = (id, self.honest_peer(key)) {
                self.check_told(key.node, peer.node, id);
            }
            let Some(own) = own.map(|own| self.entry(key, own)) else { continue };
            self.assert_disclosed(key, own);
            assert!(id.is_none_or(|id| id == own), "{own:?} is no twin of {id:?}");
            self.counts.twins += 1;
        }
    }

    fn check_manifest(&mut self, key: EndKey, channel: Channel, manifest: &Manifest) {
        let id = self.entry(key, manifest.index);
        assert_eq!(id.as_bytes(), &sha256(&manifest.manifest), "another release than the journal has");
        self.assert_may_cross(key, id);
        self.check_comes_once(key, id);
        self.counts.manifests += 1;
        self.counts.inline += usize::from(!manifest.bodies.is_empty());
        let watch = &mut self.watch(key);
        assert!(watch.manifests.insert(manifest.index), "a manifest twice in one session");
        assert!(channel != Channel::Control, "a manifest on the control stream");
    }

    /// What a peer has acknowledged to us before this session does not come again.
    fn check_comes_once(&mut self, key: EndKey, id: ReleaseId) {
        let (Some(peer), end) = (self.honest_peer(key), &self.ends[&key]) else { return };
        let settled = self.records.settled.get(&(key.node, peer.node, id));
        if settled.is_none_or(|settled| *settled >= end.opened) {
            return;
        }
        panic!("{id:?} comes again from {} to {}", key.node, peer.node);
    }

    fn check_gone(&mut self, key: EndKey, gone: &Gone) {
        let (index, entry) = (gone.index, self.entry(key, gone.index));
        assert_eq!(entry.as_bytes()[..], gone.id, "something else is gone than the journal has");
        let to = self.ends[&key].peer;
        let may = self.may_cross(key.node, to, entry);
        assert!(may.is_err(), "{entry:?} may go from {} to {to} and is said to be gone", key.node);
        assert!(self.watch(key).gone.insert(index), "an entry is gone twice in one session");
        self.note_gone(key, gone);
        self.counts.gone += 1;
        self.counts.gone_midway += usize::from(self.ends[&key].watch.manifests.contains(&index));
    }

    /// A cursor may pass what the peer was told may not go.
    pub(crate) fn note_gone(&mut self, key: EndKey, gone: &Gone) {
        if let (Ok(id), Some(end)) = (gone.id[..].try_into(), self.ends.get(&key)) {
            self.records.gone.insert((key.node, end.peer, ReleaseId::from_bytes(id)));
        }
    }

    /// What is not wanted is held, and the peer may know that.
    fn check_want(&mut self, key: EndKey, want: &Want) {
        let Some(peer) = self.honest_peer(key) else { return };
        for (place, index) in (want.first..want.first + u64::from(want.count)).enumerate() {
            let id = self.entry(peer, index);
            if !is_set(&want.bitmap, place) {
                self.check_told(key.node, peer.node, id);
            }
        }
    }

    /// What a node tells a peer that it holds it does hold, and the peer may know.
    fn check_told(&self, node: usize, peer: usize, id: ReleaseId) {
        let may_know = POOL.sample(id).origin == peer
            || self.nodes[node].disk.disclosed.contains(&(peer, id))
            || self.records.came.contains(&(peer, node, id));
        assert!(may_know, "{node} tells {peer} that it holds {id:?}");
        assert!(self.nodes[node].disk.holds(id), "{node} says that it holds {id:?}");
    }

    /// Whether a node holds a body and a peer may know.
    pub(crate) fn may_tell(&self, node: usize, peer: usize, content: ContentId) -> bool {
        let disk = &self.nodes[node].disk;
        let may_know = |id: &ReleaseId| POOL.sample(*id).origin == peer || self.may_cross(node, peer, *id).is_ok();
        disk.bodies.contains(&content) && disk.named_by(content).iter().any(may_know)
    }

    /// What is acknowledged is durable, once.
    fn check_ack(&mut self, key: EndKey, ack: &Ack) {
        let (peer, is_receipt) = (self.ends[&key].peer, !ack.signature.is_empty());
        // Whoever was put back meanwhile hears of it no more.
        let is_heard = self.other_end(key).is_some();
        for index in &ack.indexes {
            assert!(self.watch(key).acknowledged.insert(*index), "an entry is acknowledged twice");
            if is_receipt {
                let stored = self.ends[&key].watch.stored.get(index).copied();
                let id = stored.unwrap_or_else(|| panic!("{} acknowledges what never came", key.node));
                assert!(self.nodes[key.node].disk.holds(id), "{} acknowledges what is not durable", key.node);
                self.records.keeps(key.node, id);
                if is_heard {
                    self.records.settled.insert((peer, key.node, id), self.now);
                }
            }
        }
    }

    /// A sketch is that of the journal, of which all is in the ledger.
    fn check_sketch(&mut self, key: EndKey, sketch: &Reconcile) {
        let (end, through) = (&self.ends[&key], usize::try_from(sketch.through).unwrap());
        let instance = end.session.peer_instance().unwrap();
        let name = SketchKey::new(end.agreement, self.nodes[key.node].instance(), instance);
        let journal = self.journal_of(key).unwrap();
        let ids: Vec<ReleaseId> = journal.ids().take(through).collect();
        assert_eq!(ids.len(), through, "a sketch of entries that are not durable");
        let chain = journal.chain(sketch.through).unwrap();
        assert_eq!(chain.as_bytes()[..], sketch.chain, "a sketch with a chain of its own");
        assert_eq!(digest_of(name, ids.iter().copied()).to_bytes()[..], sketch.digest, "a sketch of something else");
        ids.into_iter().for_each(|id| self.assert_disclosed(key, id));
        self.watch(key).sketch = Some((name, through));
        self.counts.sketched += 1;
    }

    /// What is not named as lacking is held, and the peer may know that.
    fn check_missing(&mut self, key: EndKey, missing: &Missing) {
        if missing.give_up {
            // All is offered then, also what came or was gone by the sketch.
            self.watch(key).acknowledged.clear();
        }
        let Some(peer) = self.honest_peer(key) else { return };
        self.counts.unreadable += usize::from(missing.give_up);
        let shorts = missing.shorts.as_chunks::<8>().0.iter().map(|short| u64::from_be_bytes(*short));
        self.watch(key).named.extend(shorts);
        let Some((name, through)) = self.ends[&peer].watch.sketch.filter(|_| missing.last && !missing.give_up) else {
            return;
        };
        let named = std::mem::take(&mut self.watch(key).named);
        let ids: Vec<ReleaseId> = self.journal_of(peer).into_iter().flat_map(Journal::ids).take(through).collect();
        for id in ids.into_iter().filter(|id| !named.contains(&name.mark(*id).short)) {
            self.check_told(key.node, peer.node, id);
        }
        self.counts.agreed += usize::from(named.is_empty());
        self.counts.named += named.len();
    }

    pub(crate) fn watch(&mut self, key: EndKey) -> &mut Watch {
        &mut self.ends.get_mut(&key).unwrap().watch
    }

    /// Checks what a session hands to the store.
    pub(crate) fn check_store(&mut self, key: EndKey, index: u64, release: &VerifiedRelease) {
        let (peer, sample) = (self.ends[&key].peer, POOL.sample(release.id()));
        assert_eq!(release, &sample.parcel.release, "not what its origin signed");
        if let Deed::Publish { recipients, .. } = &sample.deed {
            let is_for_us = recipients.is_empty() || recipients.contains(&key.node);
            assert!(is_for_us, "{} takes what is for others", key.node);
        }
        let watch = self.watch(key);
        let before = watch.stored.insert(index, release.id());
        assert!(before.is_none(), "an entry is stored twice in one session");
        self.records.came.insert((peer, key.node, release.id()));
        self.requests.came_whole(key, index, self.now);
        self.counts.stored += 1;
        self.counts.relayed += usize::from(sample.origin != peer);
    }

    /// Checks a commit that was just made: releases are whole, and a cursor covers nothing that is not here.
    pub(crate) fn check_durable(&self, node: usize, job: &Job) {
        let Change::Received { peer, releases, cursor, .. } = &job.change else { return };
        let Done::Storer { connection, .. } = job.done else { return };
        if !self.nodes[node].is_honest() {
            return;
        }
        for (id, _) in releases {
            assert!(self.nodes[node].disk.holds(*id), "{node} stores a release without all of its bodies");
        }
        let source = EndKey { connection, node: *peer };
        let vice = self.nodes[*peer].vice;
        if let Some(cursor) = cursor.filter(|_| vice.is_none_or(Vice::has_honest_journals)) {
            self.check_cursor(node, source, &cursor);
        }
    }

    /// What a peer may be told from now on that we hold is its own, or it gave it to us, or was about to be given it.
    pub(crate) fn check_rows(&self, node: usize, rows: &[(usize, ReleaseId)]) {
        let disclosed = &self.nodes[node].disk.disclosed;
        for (peer, id) in rows {
            let came = self.records.came.contains(&(*peer, node, *id));
            let may_know = came || POOL.sample(*id).origin == *peer || disclosed.contains(&(*peer, *id));
            assert!(may_know, "{node} would tell {peer} that it holds {id:?}");
        }
    }

    /// A cursor is into the journal of the session that it came from, and all that it covers is durable or gone.
    fn check_cursor(&self, node: usize, sender: EndKey, cursor: &Cursor) {
        let Some(journal) = self.journal_of(sender) else { return };
        assert_eq!(cursor.store, self.nodes[sender.node].disk.store, "a cursor into another store");
        assert_eq!(journal.chain(cursor.index), Some(cursor.chain), "a cursor with a chain of its own");
        for id in journal.ids().take(usize::try_from(cursor.index).unwrap()) {
            let is_gone = self.records.gone.contains(&(sender.node, node, id));
            let is_covered = is_gone || self.nodes[node].disk.holds(id);
            assert!(is_covered, "the cursor of {node} passes {id:?} of {}", sender.node);
        }
    }

    /// What is on its way is bounded, also with hostile peers.
    pub(crate) fn check_bounds(&self, key: EndKey) {
        let Some(end) = self.ends.get(&key) else { return };
        let held = end.session.in_flight();
        let entries = usize::try_from(OFFERS_OPEN_MAX).unwrap();
        assert!(held.entries_out <= entries && held.entries_in <= entries, "{held:?}");
        assert!(held.releases_out <= RELEASES_OPEN_MAX && held.releases_in <= RELEASES_OPEN_MAX, "{held:?}");
        assert!(held.bytes_out <= WINDOW_BYTES && held.bytes_in <= WINDOW_BYTES, "{held:?}");
        assert!(end.asked <= entries + RELEASES_OPEN_MAX, "{} questions without an answer", end.asked);
    }

    /// Why the honest nodes are not done yet; `None` if each has all that it may have, and nothing is on its way.
    pub(crate) fn unrest(&self) -> Option<String> {
        let edges = 0..self.plan.edges.len();
        let is_honest = |edge: &usize| self.plan.edges[*edge].ends.iter().all(|node| self.nodes[*node].is_honest());
        edges.filter(is_honest).find_map(|edge| self.unrest_of(edge))
    }

    fn unrest_of(&self, edge: usize) -> Option<String> {
        let [a, b] = self.plan.edges[edge].ends;
        if !self.nodes[a].up || !self.nodes[b].up || self.nodes[a].pacts[&b] != self.nodes[b].pacts[&a] {
            return Some(format!("{a} and {b} do not run under the same agreement"));
        }
        let Some([one, two]) = self.serving(edge) else {
            return Some(format!("{a} and {b} have no session"));
        };
        self.unrest_towards(one, two).or_else(|| self.unrest_towards(two, one))
    }

    /// What keeps one direction of a session from being done.
    fn unrest_towards(&self, from: EndKey, to: EndKey) -> Option<String> {
        let (source, sink) = (&self.ends[&from], &self.ends[&to]);
        let node = &self.nodes[from.node];
        let head = self.journal_of(from).map_or(0, Journal::head);
        let (sent, received) = (source.session.progress(), sink.session.progress());
        let link = format!("from {} to {}", from.node, to.node);
        if source.edition != node.edition(to.node) || !node.is_extended(to.node) || node.is_writing() {
            return Some(format!("{link} the journal is not complete"));
        }
        if (sent.lag, sent.sent, received.received) != (0, head, head) || !source.established {
            return Some(format!("{link} of {head} entries: {sent:?} {received:?}"));
        }
        if source.session.in_flight() != InFlight::default() {
            return Some(format!("{link} something is on its way: {:?}", source.session.in_flight()));
        }
        let is_lacking =
            |id: &&ReleaseId| self.may_cross(from.node, to.node, **id).is_ok() && !self.nodes[to.node].disk.holds(**id);
        node.disk.log.iter().find(is_lacking).map(|id| format!("{link} {id:?} is missing"))
    }

    /// Checks that honest nodes still have what they told an analyst or a peer that they have.
    pub(crate) fn assert_nothing_lost(&self) {
        for node in self.nodes.iter().filter(|node| node.is_honest()) {
            let mut kept = self.records.kept[node.number].iter();
            let lost = kept.find(|id| !node.disk.holds(**id));
            assert!(lost.is_none(), "{} has lost {lost:?}", node.number);
            node.pacts.keys().for_each(|peer| node.assert_sketches_are_right(*peer));
        }
        for (source, sink, id) in self.records.settled.keys().filter(|(_, sink, _)| self.nodes[*sink].is_honest()) {
            let is_held = self.nodes[*sink].disk.held.contains(&(*source, *id));
            assert!(is_held, "{sink} has acknowledged {id:?} to {source} and does not know");
        }
        if self.plan.vices.is_empty() {
            assert!(self.requests.are_done(), "{:?}", self.requests);
            let claimed = self.nodes.iter().map(|node| node.claims.claimed()).sum::<usize>();
            assert_eq!(claimed, 0, "bodies are claimed that nobody fetches");
        }
    }
}

pub(crate) fn is_set(bitmap: &[u8], place: usize) -> bool {
    bitmap[place / 8] >> (place % 8) & 1 == 1
}
