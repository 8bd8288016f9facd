//! Random worlds as plain data: who there is, how the links are, what was agreed, and what happens when.

use std::{collections::BTreeMap, time::Duration};

use crate::{cast::Rng, hostile::Vice, pool::NODES_MAX};

/// The most seconds in which things happen; what follows is the peace in which all must come to rest.
const SECONDS_MAX: u64 = 40;

/// In one of so many worlds journals are long.
const CROWDED: u64 = 10;

/// How long after a large release it may be taken back.
pub(crate) const REGRET_MAX: Duration = Duration::from_secs(6);

/// A world before it runs.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) nodes: usize,
    pub(crate) edges: Vec<Edge>,
    pub(crate) vices: BTreeMap<usize, Vice>,
    /// What a commit takes at most.
    pub(crate) commit: Duration,
    /// What an answer of the store takes at most.
    pub(crate) answer: Duration,
    /// How many rows of its log an outbox asks the rule of at a time.
    pub(crate) rows: usize,
    /// Whether journals are read in pieces of any size.
    pub(crate) short_reads: bool,
    pub(crate) actions: Vec<(Duration, Action)>,
}

/// Two nodes with an agreement and a link.
#[derive(Debug, Clone)]
pub(crate) struct Edge {
    pub(crate) ends: [usize; 2],
    pub(crate) terms: Terms,
    pub(crate) line: Line,
}

/// What two nodes have agreed, the same in both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    /// Whether what is for peers alone may go.
    pub(crate) amber: bool,
    /// Whether either may pass on what is a third node's.
    pub(crate) third_party: bool,
}

/// What a node's own operator lets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) amber: bool,
    pub(crate) onward: bool,
}

/// How a link behaves.
#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) delay: Duration,
    /// At most so much more, for each frame.
    pub(crate) jitter: Duration,
    /// What it carries in each direction, in bytes a second.
    pub(crate) rate: Option<u64>,
    /// Of a thousand frames so many are lost and come a round trip later.
    pub(crate) loss: u64,
}

/// What happens. `usize`s are nodes, but for edges.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Publish(usize),
    /// Many small releases at once.
    Crowd(usize),
    Withdraw(usize),
    /// A large release is taken back while it is still on its way.
    Regret(usize),
    /// The process dies: what is not durable is lost.
    Crash {
        node: usize,
        down: Duration,
    },
    /// The store is copied, to be put back later.
    Backup(usize),
    /// The process dies, and a copy of its store is put back, as it was or as a store of its own.
    Restore {
        node: usize,
        fresh_id: bool,
        down: Duration,
    },
    /// Nothing passes a link.
    Cut {
        edge: usize,
        lasts: Duration,
    },
    /// Nothing passes any link of a node.
    Isolate {
        node: usize,
        lasts: Duration,
    },
    /// Both ends take up a new agreement, the second one later.
    Renew {
        edge: usize,
        terms: Terms,
        later: Duration,
    },
    /// One end gives notice.
    Terminate {
        edge: usize,
        by: usize,
    },
    Restrict {
        node: usize,
        policy: Policy,
    },
}

impl Plan {
    /// The world of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let is_crowded = rng.below(CROWDED) == 0;
        let nodes = if is_crowded { 2 + rng.size(3) } else { how_many(&mut rng) };
        let edges: Vec<Edge> = topology(nodes, &mut rng).into_iter().map(|ends| edge(ends, &mut rng)).collect();
        let vices = if nodes > 2 && rng.below(5) == 0 { vices(nodes, &mut rng) } else { BTreeMap::new() };
        let mut actions = actions(nodes, edges.len(), &mut rng);
        if is_crowded {
            actions.extend(crowd(nodes, edges.len(), &mut rng));
        }
        let slowest_answer = rng.pick(&[5, 40, 300, 3_000]);
        let answer = millis(&mut rng, slowest_answer);
        Self {
            seed,
            nodes,
            edges,
            vices,
            commit: millis(&mut rng, 300),
            answer,
            rows: rng.pick(&[1, 3, 256]),
            short_reads: rng.below(2) == 0,
            actions,
        }
    }
}

impl Action {
    /// The node whose store is put back, if this does that.
    fn restored(&self) -> Option<usize> {
        match self {
            Self::Restore { node, .. } => Some(*node),
            _ => None,
        }
    }
}

fn millis(rng: &mut Rng, bound: u64) -> Duration {
    Duration::from_millis(rng.below(bound))
}

fn seconds(rng: &mut Rng, bound: u64) -> Duration {
    millis(rng, 1_000 * bound)
}

fn how_many(rng: &mut Rng) -> usize {
    match rng.below(20) {
        0..=10 => 2 + rng.size(3),
        11..=17 => 5 + rng.size(4),
        18 => 9 + rng.size(6),
        _ => 15 + rng.size(NODES_MAX - 14),
    }
}

/// Which nodes are linked: chains, rings, stars, full meshes, and random graphs in which each reaches each.
fn topology(nodes: usize, rng: &mut Rng) -> Vec<[usize; 2]> {
    let chain = (1..nodes).map(|node| [node - 1, node]);
    match rng.below(if nodes <= 6 { 5 } else { 4 }) {
        0 => chain.collect(),
        1 if nodes > 2 => chain.chain([[0, nodes - 1]]).collect(),
        2 => (1..nodes).map(|node| [0, node]).collect(),
        4 => (0..nodes).flat_map(|a| (a + 1..nodes).map(move |b| [a, b])).collect(),
        _ => random_graph(nodes, rng),
    }
}

fn random_graph(nodes: usize, rng: &mut Rng) -> Vec<[usize; 2]> {
    let mut edges: Vec<_> = (1..nodes).map(|node| [rng.size(node), node]).collect();
    for _ in 0..nodes / 2 {
        let (a, b) = (rng.size(nodes), rng.size(nodes));
        if a != b {
            edges.push([a.min(b), a.max(b)]);
        }
    }
    edges.sort_unstable();
    edges.dedup();
    edges
}

fn edge(ends: [usize; 2], rng: &mut Rng) -> Edge {
    let (delay, jitter) = (rng.pick(&[5, 60, 350]), rng.pick(&[1, 20, 200]));
    let line = Line {
        delay: millis(rng, delay),
        jitter: millis(rng, jitter),
        rate: [None, Some(20_000 + rng.below(1_000_000))][rng.size(2)],
        loss: rng.pick(&[0, 0, 10, 100]),
    };
    Edge { ends, terms: terms(rng), line }
}

fn terms(rng: &mut Rng) -> Terms {
    Terms { amber: rng.below(4) > 0, third_party: rng.below(4) > 0 }
}

fn vices(nodes: usize, rng: &mut Rng) -> BTreeMap<usize, Vice> {
    (0..=rng.size(nodes.div_ceil(4))).map(|_| (rng.size(nodes), rng.pick(&Vice::ALL))).collect()
}

/// What happens comes in bursts, so that it meets.
fn actions(nodes: usize, edges: usize, rng: &mut Rng) -> Vec<(Duration, Action)> {
    let bursts: Vec<Duration> = (0..1 + rng.below(5)).map(|_| seconds(rng, SECONDS_MAX)).collect();
    let count = 4 + rng.below(12) + nodes as u64 / 2;
    let mut actions: Vec<_> =
        (0..count).map(|_| (rng.pick(&bursts) + millis(rng, 1_500), action(nodes, edges, rng))).collect();
    actions.extend((0..2).map(|_| (millis(rng, 500), Action::Publish(rng.size(nodes)))));
    if rng.below(4) == 0 {
        // One who comes late, to a backlog at each of its peers.
        actions.push((Duration::ZERO, Action::Crash { node: rng.size(nodes), down: seconds(rng, SECONDS_MAX) }));
    }
    let restored: Vec<_> = actions.iter().filter_map(|(at, action)| Some((*at, action.restored()?))).collect();
    actions.extend(restored.into_iter().map(|(at, node)| (at.mul_f64(0.5), Action::Backup(node))));
    actions
}

/// Journals that are worth a sketch, and what makes cursors into them useless.
fn crowd(nodes: usize, edges: usize, rng: &mut Rng) -> Vec<(Duration, Action)> {
    let mut actions = vec![(millis(rng, 3_000), Action::Crowd(rng.size(2)))];
    for _ in 0..1 + rng.below(4) {
        let (node, edge) = (rng.size(nodes), rng.size(edges));
        let at = Duration::from_secs(8) + seconds(rng, SECONDS_MAX - 8);
        let action = match rng.below(4) {
            0 => Action::Renew { edge, terms: terms(rng), later: seconds(rng, 5) },
            1 => Action::Restrict { node, policy: Policy { amber: true, onward: true } },
            2 => Action::Restore { node, fresh_id: true, down: seconds(rng, 9) },
            _ => Action::Publish(node),
        };
        if matches!(action, Action::Restore { .. }) {
            actions.push((at - seconds(rng, 8), Action::Backup(node)));
        }
        actions.push((at, action));
    }
    actions
}

fn action(nodes: usize, edges: usize, rng: &mut Rng) -> Action {
    let (node, edge) = (rng.size(nodes), rng.size(edges));
    match rng.below(40) {
        0..=17 => Action::Publish(node),
        18 if nodes <= 3 && rng.below(2) == 0 => Action::Crowd(rng.size(2)),
        18..=21 => Action::Withdraw(node),
        22..=24 => Action::Crash { node, down: seconds(rng, 6) },
        25 => Action::Crash { node, down: seconds(rng, 50) },
        26 => Action::Regret(node),
        27..=28 => Action::Restore { node, fresh_id: rng.below(2) == 0, down: seconds(rng, 20) },
        29..=30 => Action::Cut { edge, lasts: seconds(rng, 8) },
        31 => Action::Cut { edge, lasts: seconds(rng, 90) },
        32 => Action::Isolate { node, lasts: seconds(rng, 60) },
        33..=34 => Action::Renew { edge, terms: terms(rng), later: seconds(rng, 5) },
        35..=36 => Action::Terminate { edge, by: rng.size(2) },
        _ => Action::Restrict { node, policy: Policy { amber: rng.below(2) == 0, onward: rng.below(3) > 0 } },
    }
}
