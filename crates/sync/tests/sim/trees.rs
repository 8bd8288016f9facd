//! Trees of third origins: what the daemon does about them, and what they save and cost in meshes of 30.
//!
//! What is measured: how many bytes of bodies, and of all, cross all links, beside those of one copy for each node but the
//! origin; and how long after its push a release is durable at each node, beside a world in which nobody is ever pruned, so
//! that it comes on the shortest way.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use mithaq_core::id::{ReleaseId, sha256};
use mithaq_sync::{
    Arrival, Branch, Brief, BriefKey, Input, LAZY_CLAIM_TTL, LAZY_WAIT, Late, Manner, Purpose, SessionId, Tally, Trees,
    wire::{Kind, Manifest, frame_length},
};

use crate::{
    cast::{Rng, decode},
    disk::Change,
    driver::{EndKey, is_held_openly},
    hostile::Vice,
    node::{Done, Job},
    plan::{Edge, Line, Plan, Terms},
    pool::{CROWDS, POOL},
    run,
    world::{Event, World},
};

/// What a node knows of trees, as long as it runs.
#[derive(Debug, Default)]
pub(crate) struct Grove {
    trees: Trees,
    /// How what a storer has came, by connection.
    manners: BTreeMap<(u64, ReleaseId), Manner>,
}

impl Grove {
    /// A session has handed a release over.
    pub(crate) fn handed_over(&mut self, connection: u64, id: ReleaseId, manner: Manner) {
        self.manners.insert((connection, id), manner);
    }

    /// All that a session has verified is stored, and it is over.
    pub(crate) fn close(&mut self, connection: u64) {
        self.trees.close(SessionId::of(connection));
        self.manners.retain(|(of, _), _| *of != connection);
    }
}

/// What is measured of a world.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    /// Whether nobody is ever pruned.
    floods: bool,
    tally: Tally,
    /// The bytes of a frame that has a release with its bodies, and of those bodies.
    sizes: BTreeMap<ReleaseId, (u64, u64)>,
    /// When a node has a release.
    arrivals: BTreeMap<(usize, ReleaseId), Duration>,
}

impl Gauge {
    /// A frame leaves a node.
    pub(crate) fn count(&mut self, frame: &Bytes) {
        let Ok(Some((skip, _))) = frame_length(frame) else { return };
        self.tally.count(&frame[skip..]);
        if frame.get(skip).is_some_and(|key| key >> 3 == 5)
            && let Kind::Manifest(manifest @ Manifest { size: 0, .. }) = decode(frame)
        {
            let id = ReleaseId::from_bytes(sha256(&manifest.manifest));
            let size = ((frame.len() - manifest.card.len()) as u64, manifest.bodies.len() as u64);
            self.sizes.entry(id).or_insert(size);
        }
    }
}

impl World {
    /// Tells a session when the time has come that it asked for.
    pub(crate) fn set_alarm(&mut self, key: EndKey) {
        let now = self.now;
        let Some(end) = self.ends.get_mut(&key) else { return };
        let wakes = end.session.wakes_at();
        if wakes != end.wakes {
            end.wakes = wakes;
            if let Some(at) = wakes {
                self.schedule(at.saturating_sub(now), Event::Give(key, Input::Wake));
            }
        }
    }

    /// What is done about a lazy offer.
    pub(crate) fn claim_release(&mut self, key: EndKey, index: u64, briefs: &BriefKey, brief: Brief) -> Option<Input> {
        let peer = self.ends.get(&key)?.peer;
        let node = &mut self.nodes[key.node];
        let late = if let Some(id) = node.disk.find_held(peer, briefs, brief) {
            Late::Held(id)
        } else if node.grove.trees.claim(SessionId::of(key.connection), brief.prefix(), self.now) {
            Late::Wanted
        } else {
            Late::Elsewhere
        };
        Some(Input::ReleaseClaimed { index, late })
    }

    /// Notes who has brought what, just before it is durable.
    pub(crate) fn place(&mut self, node: usize, job: &Job) {
        let Change::Received { peer, releases, .. } = &job.change else { return };
        let Done::Storer { connection, .. } = job.done else { return };
        for (id, _) in releases {
            let is_new = !self.nodes[node].disk.releases.contains(id);
            if is_new {
                self.gauge.arrivals.insert((node, *id), self.now);
            }
            let manner = self.nodes[node].grove.manners.remove(&(connection, *id));
            let is_told = is_new || is_held_openly(&self.nodes[node], *peer, *id);
            let Some(manner) = manner.filter(|_| is_told && !self.gauge.floods) else { continue };
            let (session, from) = (SessionId::of(connection), POOL.sample(*id).origin);
            let origin = POOL.cert_id(from);
            let arrival = Arrival { origin, release: *id, is_direct: from == *peer, manner, is_new };
            if let Some(branch) = self.nodes[node].grove.trees.arrived(session, arrival) {
                self.counts.pruned += usize::from(branch == Branch::Pruned);
                self.counts.grafted += usize::from(branch == Branch::Grafted);
                let placed = Event::Give(EndKey { connection, node }, Input::Placed { origin, branch });
                self.schedule(Duration::ZERO, placed);
            }
        }
    }
}

/// How many nodes a measured mesh has.
const NODES: usize = 30;

/// How many releases of each origin go before it is measured.
const WARM_UP: usize = 3;

/// How many of each are measured.
const MEASURED: usize = 6;

/// How many are enough to tell how long the shortest way takes.
const FLOODED: usize = 2;

/// Between two pushes.
const PUSHES: Duration = Duration::from_millis(90);

/// Between two pushes where there are few.
const RARE_PUSHES: Duration = Duration::from_secs(2);

fn full_mesh() -> Vec<[usize; 2]> {
    (0..NODES).flat_map(|a| (a + 1..NODES).map(move |b| [a, b])).collect()
}

fn ring() -> Vec<[usize; 2]> {
    (0..NODES).map(|node| [node, (node + 1) % NODES]).map(|[a, b]| [a.min(b), a.max(b)]).collect()
}

fn star() -> Vec<[usize; 2]> {
    (0..NODES - 1).map(|node| [node, NODES - 1]).collect()
}

/// A ring on which each has two more links, to anyone.
fn four_each(seed: u64) -> Vec<[usize; 2]> {
    let mut rng = Rng(seed);
    let mut order: Vec<usize> = (0..NODES).collect();
    (1..NODES).for_each(|place| order.swap(place, rng.size(place + 1)));
    let second = (0..NODES).map(|place| [order[place], order[(place + 1) % NODES]]).map(|[a, b]| [a.min(b), a.max(b)]);
    let mut edges: Vec<[usize; 2]> = ring().into_iter().chain(second).collect();
    edges.sort_unstable();
    edges.dedup();
    edges
}

/// A quiet world of these links between nodes on a map, as far apart as it says.
fn mesh(ends: &[[usize; 2]], seed: u64) -> Plan {
    let mut rng = Rng(seed);
    let places: Vec<[f64; 2]> = (0..NODES).map(|_| [rng.below(60) as f64, rng.below(60) as f64]).collect();
    let line = |[a, b]: [usize; 2]| Line {
        delay: Duration::from_secs_f64((5.0 + (places[a][0] - places[b][0]).hypot(places[a][1] - places[b][1])) / 1e3),
        jitter: Duration::from_millis(2),
        rate: None,
        loss: 0,
    };
    let terms = Terms { amber: true, third_party: true };
    Plan {
        seed,
        nodes: NODES,
        edges: ends.iter().map(|ends| Edge { ends: *ends, terms, line: line(*ends) }).collect(),
        vices: BTreeMap::new(),
        commit: Duration::from_millis(4),
        answer: Duration::from_millis(2),
        rows: 256,
        short_reads: false,
        actions: Vec::new(),
    }
}

/// What came of some releases that were pushed.
#[derive(Debug)]
struct Figures {
    /// Bytes of bodies, and of all frames, beside those of one copy for each node.
    bodies: f64,
    all: f64,
    /// How long each release took to each node, ascending.
    delays: Vec<Duration>,
}

impl Figures {
    fn mean(&self) -> f64 {
        self.delays.iter().map(Duration::as_secs_f64).sum::<f64>() / self.delays.len() as f64
    }

    fn percentile(&self, hundredths: usize) -> f64 {
        self.delays[(self.delays.len() - 1) * hundredths / 100].as_secs_f64()
    }
}

impl World {
    /// A world in which no trees form.
    fn flooded(ends: &[[usize; 2]]) -> Self {
        let mut world = Self::new(mesh(ends, 7));
        world.gauge.floods = true;
        world.run_until(Duration::from_secs(3));
        world
    }

    /// Pushes these releases of each of the first origins, one after another, and waits until all have them.
    fn push_all(&mut self, numbers: std::ops::Range<usize>, pause: Duration) -> Figures {
        let (before, mut pushed) = (self.gauge.tally, BTreeMap::new());
        for number in numbers {
            for origin in 0..CROWDS {
                let id = POOL.crowd(origin)[number];
                pushed.insert(id, (origin, self.now));
                self.push(origin, id);
                self.run_until(self.now + pause);
            }
        }
        self.run_until(self.now + Duration::from_secs(3));
        self.figures(&pushed, before)
    }

    fn figures(&self, pushed: &BTreeMap<ReleaseId, (usize, Duration)>, before: Tally) -> Figures {
        let bytes = |purpose| self.gauge.tally.bytes(purpose) - before.bytes(purpose);
        let copies = (self.nodes.iter().filter(|node| node.up).count() - 1) as u64;
        let (mut frames, mut bodies, mut delays) = (0, 0, Vec::new());
        for (id, (origin, at)) in pushed {
            let (frame, group) = self.gauge.sizes[id];
            frames += copies * frame;
            bodies += copies * group;
            for node in self.nodes.iter().filter(|node| node.number != *origin && node.up) {
                let arrived = self.gauge.arrivals.get(&(node.number, *id));
                delays.push(*arrived.unwrap_or_else(|| panic!("{id:?} never came to {}", node.number)) - *at);
            }
        }
        delays.sort_unstable();
        let all: u64 = Purpose::ALL.into_iter().map(bytes).sum();
        let least = frames + copies * pushed.len() as u64 * RECEIPT;
        let (all, bodies) = (all as f64 / least as f64, bytes(Purpose::Bodies) as f64 / bodies as f64);
        Figures { bodies, all, delays }
    }
}

/// What the bytes may be where no two releases go in one frame.
const RARE_MAX: f64 = 1.7;

/// Bytes of the frame with a receipt for one release.
const RECEIPT: u64 = 117;

/// A world of these links in which trees have formed.
fn grown(ends: &[[usize; 2]]) -> World {
    let mut world = World::new(mesh(ends, 7));
    world.run_until(Duration::from_secs(3));
    world.push_all(0..WARM_UP, PUSHES);
    world
}

/// Checks what a mesh costs beside one copy for each node, and how long that takes beside the shortest way.
fn check(name: &str, ends: &[[usize; 2]]) {
    let mut world = grown(ends);
    let tree = world.push_all(WARM_UP..WARM_UP + MEASURED, PUSHES);
    let rare = world.push_all(WARM_UP + MEASURED..WARM_UP + MEASURED + 1, RARE_PUSHES);
    let flood = World::flooded(ends).push_all(0..FLOODED, PUSHES);
    let beside = |of: fn(&Figures) -> f64| of(&tree) / of(&flood);
    let (mean, p50, p99) =
        (beside(Figures::mean), beside(|figures| figures.percentile(50)), beside(|figures| figures.percentile(99)));
    eprintln!(
        "{name}: bodies {:.2} (flooded {:.2}), all {:.2} (few {:.2}), delay mean {mean:.2} p50 {p50:.2} p99 {p99:.2}, \
         of {:.0} ms",
        tree.bodies,
        flood.bodies,
        tree.all,
        rare.all,
        1_000.0 * flood.mean()
    );
    assert!(tree.bodies == 1.0 && rare.bodies == 1.0, "{name}: {} {}", tree.bodies, rare.bodies);
    assert!(tree.all <= 1.4 && rare.all <= RARE_MAX, "{name}: {} {}", tree.all, rare.all);
    assert!(mean <= 1.1 && p50 <= 1.1 && p99 <= 1.1, "{name}: {mean} {p50} {p99}");
}

/// A world of these links that goes smoothly but for what is done to it.
fn grown_on(nodes: usize, ends: &[[usize; 2]], vices: &[(usize, Vice)], numbers: std::ops::Range<usize>) -> World {
    let plan = mesh(ends, 7);
    let mut world = World::new(Plan { nodes, vices: vices.iter().copied().collect(), ..plan });
    world.run_until(Duration::from_secs(3));
    for number in numbers {
        world.push(0, POOL.crowd(0)[number]);
        world.run_until(world.now + Duration::from_secs(1));
    }
    world
}

impl World {
    /// Pushes a release of the first node; how long it takes to these nodes.
    fn takes(&mut self, number: usize, nodes: std::ops::Range<usize>) -> Duration {
        let (id, began) = (POOL.crowd(0)[number], self.now);
        self.push(0, id);
        while nodes.clone().any(|node| !self.nodes[node].disk.holds(id)) {
            assert!(self.now - began < Duration::from_secs(60), "release {number} does not come");
            self.run_until(self.now + Duration::from_millis(10));
        }
        self.now - began
    }
}

impl World {
    /// Pushes several, each once these nodes have the one before.
    fn takes_each(&mut self, numbers: std::ops::Range<usize>, nodes: std::ops::Range<usize>) {
        for number in numbers {
            self.takes(number, nodes.clone());
        }
    }
}

/// The link is silent for a time in which nobody takes it for dead. Every hop that must turn round waits once.
#[test]
fn a_branch_that_dies_is_replaced_by_what_was_offered() {
    let ring: Vec<[usize; 2]> = (0..8).map(|node| [node, (node + 1) % 8]).map(|[a, b]| [a.min(b), a.max(b)]).collect();
    let mut world = grown_on(8, &ring, &[], 0..3);
    let before = world.takes(3, 1..8);
    let edge = ring.iter().position(|ends| *ends == [0, 1]).unwrap();
    world.cut(edge, Duration::from_secs(25));
    let (first, second) = (world.takes(4, 1..8), world.takes(5, 1..8));
    assert!(first < 7 * (LAZY_WAIT + Duration::from_millis(400)), "{first:?}");
    assert!(second < 3 * before && second < 2 * LAZY_WAIT, "{second:?} once it has healed, {before:?} before");
    assert!(world.counts.grafted > 0);
}

/// A node that is away for a while comes to a backlog, and then takes its place in the trees.
#[test]
fn one_who_was_away_takes_its_place_again() {
    let ends: Vec<[usize; 2]> = (1..6).flat_map(|b| (0..b).map(move |a| [a, b])).collect();
    let mut world = grown_on(6, &ends, &[], 0..3);
    world.crash(5, Duration::from_secs(30));
    world.takes_each(3..20, 1..5);
    world.run_until(world.now + Duration::from_secs(90));
    assert!((0..20).all(|number| world.nodes[5].disk.holds(POOL.crowd(0)[number])), "it has not caught up");
    world.takes_each(20..23, 1..6);
    world.run_until(world.now + Duration::from_secs(2));
    let manifests = world.counts.manifests;
    world.takes_each(23..33, 1..6);
    world.run_until(world.now + Duration::from_secs(2));
    let copies = world.counts.manifests - manifests;
    assert!((50..=55).contains(&copies), "{copies} copies of ten releases for five nodes");
}

/// Of three relays one brings what is fresh; its link dies, and one of the others never delivers what it offers.
#[test]
fn a_pruned_peer_that_lies_costs_a_moment() {
    let ends = [[0, 1], [0, 2], [0, 3], [1, 4], [2, 4], [3, 4]];
    for (liar, dies) in [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)] {
        let mut world = grown_on(5, &ends, &[(liar, Vice::Hoarder)], 0..4);
        world.cut(2 + dies, Duration::from_secs(25));
        for number in 4..8 {
            let takes = world.takes(number, 4..5);
            assert!(takes < LAZY_CLAIM_TTL + 4 * LAZY_WAIT, "{takes:?} beside the liar {liar} without {dies}");
        }
    }
}

#[test]
fn a_full_mesh_carries_each_body_once_to_each_node() {
    check("full mesh", &full_mesh());
}

#[test]
fn a_ring_carries_each_body_once_to_each_node() {
    check("ring", &ring());
}

#[test]
fn a_star_carries_each_body_once_to_each_node() {
    check("star", &star());
}

#[test]
fn a_random_mesh_carries_each_body_once_to_each_node() {
    check("four links each", &four_each(11));
}

/// What went ahead of a backlog and was offered lazily is not offered once more when the backlog comes to its place.
#[test]
fn what_was_offered_lazily_is_not_offered_in_its_turn() {
    run(Plan::of(1_618));
}
