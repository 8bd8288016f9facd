//! A world in motion: one thread, virtual time, and a queue of what happens next. A seed replays all of it.

use std::{collections::BTreeMap, time::Duration};

use mithaq_core::{id::ReleaseId, receipt::Status};
use mithaq_sync::{Channel, Input, Output, Pending};

use crate::{
    cast::Rng,
    checks::Records,
    disk::{Change, Edition, Journal},
    driver::{End, EndKey},
    fetching::Look,
    links::{Connection, Link},
    node::{Done, Job, Node, Pact},
    plan::{Action, Plan, Policy, REGRET_MAX, Terms},
    pool::{Deed, LARGEST, POOL},
    requests::Requests,
    trees::Gauge,
};

/// More than this happens in no world that comes to an end.
const EVENTS_MAX: u64 = 3_000_000;

/// How often time passes for sessions.
pub(crate) const PACE: Duration = Duration::from_secs(1);

/// How often it is looked whether a journal is complete.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What happens next.
#[derive(Debug)]
pub(crate) enum Event {
    Act(Action),
    Dial(usize),
    Arrive(EndKey, Channel),
    /// One end learns that the connection is over.
    Lost(EndKey),
    Question(EndKey, Box<Output>),
    Answer(EndKey, Input),
    /// A session claims the bodies of a release that it lacks.
    Claim(EndKey, Box<Pending>, Option<Look>),
    /// The sessions of a node that wait for what others fetch look again.
    Review(usize),
    Give(EndKey, Input),
    /// A commit of a node is durable, if the node still runs as it did.
    Committed {
        node: usize,
        boot: u32,
    },
    Start(usize),
    /// A node takes up a new agreement.
    Install {
        node: usize,
        peer: usize,
        pact: Pact,
    },
    Second,
}

/// What has happened, so that a test can tell that something has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) connections: usize,
    pub(crate) published: usize,
    pub(crate) withdrawn: usize,
    pub(crate) stored: usize,
    /// Of those, the ones that came from a node other than the origin.
    pub(crate) relayed: usize,
    pub(crate) receipts: usize,
    pub(crate) offers: usize,
    pub(crate) manifests: usize,
    pub(crate) inline: usize,
    pub(crate) gone: usize,
    /// Of those, the ones whose manifest had been sent.
    pub(crate) gone_midway: usize,
    /// Journals that went on behind a cursor, and such that began anew for one.
    pub(crate) resumed: usize,
    pub(crate) restarted: usize,
    /// Bodies that were asked for, and of those the ones that another peer did not bring in time.
    pub(crate) bodies_wanted: usize,
    pub(crate) bodies_wanted_twice: usize,
    /// How often a release waited for what was on its way from elsewhere.
    pub(crate) waits: usize,
    /// Bodies of releases that did not come whole, and those that need not come again for it.
    pub(crate) staged: usize,
    pub(crate) spared: usize,
    /// Sketches, those that showed no difference, those that were given up, and the releases that others showed to lack.
    pub(crate) sketched: usize,
    pub(crate) agreed: usize,
    pub(crate) unreadable: usize,
    pub(crate) named: usize,
    pub(crate) crashes: usize,
    pub(crate) restores: usize,
    pub(crate) cuts: usize,
    pub(crate) renewals: usize,
    pub(crate) endings: usize,
    pub(crate) restrictions: usize,
    /// Sessions that ended by the fault of a hostile node.
    pub(crate) faults: usize,
    /// Branches of trees that were pruned, and such that were grafted.
    pub(crate) pruned: usize,
    pub(crate) grafted: usize,
    /// Entries that were offered lazily, and such that were told to be the same as one of those.
    pub(crate) lazily: usize,
    pub(crate) twins: usize,
}

impl Counts {
    fn all(&mut self) -> [&mut usize; 33] {
        [
            &mut self.connections,
            &mut self.published,
            &mut self.withdrawn,
            &mut self.stored,
            &mut self.relayed,
            &mut self.receipts,
            &mut self.offers,
            &mut self.manifests,
            &mut self.inline,
            &mut self.gone,
            &mut self.gone_midway,
            &mut self.resumed,
            &mut self.restarted,
            &mut self.bodies_wanted,
            &mut self.bodies_wanted_twice,
            &mut self.waits,
            &mut self.staged,
            &mut self.spared,
            &mut self.sketched,
            &mut self.agreed,
            &mut self.unreadable,
            &mut self.named,
            &mut self.crashes,
            &mut self.restores,
            &mut self.cuts,
            &mut self.renewals,
            &mut self.endings,
            &mut self.restrictions,
            &mut self.faults,
            &mut self.pruned,
            &mut self.grafted,
            &mut self.lazily,
            &mut self.twins,
        ]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let mut other = *other;
        self.all().into_iter().zip(other.all()).for_each(|(count, more)| *count += *more);
    }

    /// How often that happened which happened least, but for what is rare and shown by hand.
    pub(crate) fn smallest(self) -> usize {
        let mut common = Self { spared: usize::MAX, unreadable: usize::MAX, ..self };
        common.all().into_iter().map(|count| *count).min().unwrap()
    }
}

/// A world in motion.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) nodes: Vec<Node>,
    pub(crate) links: Vec<Link>,
    pub(crate) connections: BTreeMap<u64, Connection>,
    pub(crate) ends: BTreeMap<EndKey, End>,
    pub(crate) now: Duration,
    pub(crate) rng: Rng,
    pub(crate) records: Records,
    pub(crate) requests: Requests,
    pub(crate) counts: Counts,
    pub(crate) gauge: Gauge,
    /// A hash over every frame that was sent, in order.
    pub(crate) trace: [u8; 32],
    queue: BTreeMap<(Duration, u64), Event>,
    sequence: u64,
    /// How many releases each node has published.
    published: Vec<usize>,
    /// How often time passes for sessions and links are dialled: seldom only while nothing happens for days.
    pub(crate) pace: Duration,
    /// Whether each event is told, for one who looks for the cause of a failure.
    told: bool,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let mut nodes: Vec<Node> =
            (0..plan.nodes).map(|number| Node::new(number, plan.vices.get(&number).copied())).collect();
        for edge in &plan.edges {
            let ([a, b], pact) = (edge.ends, Pact { version: 1, terms: edge.terms, ended: false });
            nodes[a].pacts.insert(b, pact);
            nodes[b].pacts.insert(a, pact);
        }
        let mut world = Self {
            nodes,
            links: vec![Link::default(); plan.edges.len()],
            connections: BTreeMap::new(),
            ends: BTreeMap::new(),
            now: Duration::ZERO,
            rng: Rng(plan.seed ^ 0x5117),
            records: Records::new(plan.nodes),
            requests: Requests::default(),
            counts: Counts::default(),
            gauge: Gauge::default(),
            trace: [0; 32],
            queue: BTreeMap::new(),
            sequence: 0,
            published: vec![0; plan.nodes],
            pace: PACE,
            told: std::env::var_os("MITHAQ_TOLD").is_some(),
            plan,
        };
        world.schedule_plan();
        world
    }

    fn schedule_plan(&mut self) {
        for (at, action) in self.plan.actions.clone() {
            self.schedule(at, Event::Act(action));
        }
        for edge in 0..self.plan.edges.len() {
            self.schedule(Duration::ZERO, Event::Dial(edge));
        }
        self.schedule(Duration::from_secs(1), Event::Second);
    }

    pub(crate) fn schedule(&mut self, delay: Duration, event: Event) {
        self.sequence += 1;
        self.queue.insert((self.now + delay, self.sequence), event);
    }

    /// Runs until `time`.
    pub(crate) fn run_until(&mut self, time: Duration) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= time) {
            let ((at, _), event) = entry.remove_entry();
            self.now = at;
            if self.told && !matches!(event, Event::Second | Event::Dial(_)) {
                eprintln!("{:>9.3} {event:?}", self.now.as_secs_f64());
            }
            self.happen(event);
        }
        self.now = time;
        assert!(self.sequence < EVENTS_MAX, "it goes on for ever");
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Act(action) => self.act(action),
            Event::Dial(edge) => self.dial(edge),
            Event::Arrive(key, channel) => self.arrive(key, channel),
            Event::Lost(key) => drop(self.lose(key)),
            Event::Question(key, question) if self.must_wait(key, &question) => {
                self.schedule(LOOK_AGAIN, Event::Question(key, question));
            }
            Event::Question(key, question) => {
                if let Some(input) = self.find_out(key, &question) {
                    self.answer(key, input);
                }
            }
            Event::Answer(key, input) => self.answer(key, input),
            Event::Claim(key, pending, look) => {
                self.ends.entry(key).and_modify(|end| end.asked -= 1);
                self.claim_bodies(key, *pending, look);
            }
            Event::Review(node) => self.review(node),
            Event::Give(key, input) => self.give(key, input),
            Event::Committed { node, boot } if self.nodes[node].boot == boot => self.committed(node),
            Event::Committed { .. } => {}
            Event::Start(node) => self.start(node),
            Event::Install { node, peer, pact } => self.install(node, peer, pact),
            Event::Second => {
                let keys: Vec<EndKey> = self.ends.keys().copied().collect();
                keys.into_iter().for_each(|key| self.give(key, Input::Tick));
                (0..self.nodes.len()).for_each(|node| self.review(node));
                if self.pace == PACE {
                    self.check_waits();
                }
                self.schedule(self.pace, Event::Second);
            }
        }
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Publish(node) => self.publish(node),
            Action::Crowd(node) => POOL.crowd(node).iter().for_each(|id| self.push(node, *id)),
            Action::Withdraw(node) => self.withdraw_any(node),
            Action::Regret(node) => {
                self.push(node, POOL.publication(node, LARGEST).unwrap());
                let later = self.rng.duration(REGRET_MAX);
                self.schedule(later, Event::Act(Action::Withdraw(node)));
            }
            Action::Crash { node, down } => self.crash(node, down),
            Action::Backup(node) => self.nodes[node].backup = Some(self.nodes[node].disk.clone()),
            Action::Restore { node, fresh_id, down } => self.restore(node, fresh_id, down),
            Action::Cut { edge, lasts } => self.cut(edge, lasts),
            Action::Isolate { node, lasts } => {
                let edges = self.plan.edges.iter().enumerate().filter(|(_, edge)| edge.ends.contains(&node));
                let edges: Vec<usize> = edges.map(|(number, _)| number).collect();
                edges.into_iter().for_each(|edge| self.cut(edge, lasts));
            }
            Action::Renew { edge, terms, later } => self.renew(edge, terms, later),
            Action::Terminate { edge, by } => self.terminate(edge, by),
            Action::Restrict { node, policy } => self.restrict(node, policy),
        }
    }

    fn publish(&mut self, node: usize) {
        if let Some(id) = POOL.publication(node, self.published[node]) {
            self.published[node] += 1;
            self.push(node, id);
        }
    }

    pub(crate) fn push(&mut self, node: usize, id: ReleaseId) {
        let origin = &mut self.nodes[node];
        if origin.up && !origin.disk.releases.contains(&id) {
            self.counts.published += 1;
            origin.enqueue(Job { change: Change::Published(id), done: Done::Analyst(id) });
            self.stir(node);
        }
    }

    /// Takes back one of the node's own releases, most often the last.
    fn withdraw_any(&mut self, node: usize) {
        let disk = &self.nodes[node].disk;
        let is_own = |id: &&_| {
            let sample = POOL.sample(**id);
            sample.origin == node && matches!(sample.deed, Deed::Publish { .. }) && !disk.void.contains(*id)
        };
        let own: Vec<_> = disk.log.iter().filter(is_own).filter_map(|id| POOL.withdrawal_of(*id)).collect();
        if !own.is_empty() {
            self.counts.withdrawn += 1;
            let place = if self.rng.below(3) == 0 { self.rng.size(own.len()) } else { own.len() - 1 };
            self.push(node, own[place]);
        }
    }

    pub(crate) fn crash(&mut self, node: usize, down: Duration) {
        if self.nodes[node].up {
            self.counts.crashes += 1;
            self.nodes[node].die(&mut self.rng);
            self.requests.crash(node, self.plan.commit, self.now);
            self.lose_all(node);
            self.schedule(down, Event::Start(node));
        }
    }

    fn restore(&mut self, node: usize, fresh_id: bool, down: Duration) {
        let Some(backup) = self.nodes[node].backup.clone().filter(|_| self.nodes[node].up) else { return };
        self.counts.restores += 1;
        self.crash(node, down);
        self.nodes[node].disk = backup;
        if fresh_id {
            let mut store = [0xfe; 16];
            store[..8].copy_from_slice(&self.rng.next().to_be_bytes());
            self.nodes[node].disk.become_another(store);
        }
        self.records.restored(node, &self.nodes[node].disk);
        self.requests.restored(node);
    }

    fn start(&mut self, node: usize) {
        self.nodes[node].up = true;
        self.nodes[node].boot += 1;
        self.stir(node);
    }

    pub(crate) fn renew(&mut self, edge: usize, terms: Terms, later: Duration) {
        let [a, b] = self.plan.edges[edge].ends;
        let pact = Pact { version: self.nodes[a].pacts[&b].version + 1, terms, ended: false };
        self.counts.renewals += 1;
        self.install(a, b, pact);
        self.schedule(later, Event::Install { node: b, peer: a, pact });
    }

    fn install(&mut self, node: usize, peer: usize, pact: Pact) {
        if self.nodes[node].pacts[&peer].version < pact.version {
            self.nodes[node].pacts.insert(peer, pact);
            // The peer is taken up anew.
            self.nodes[node].sketches.remove(&peer);
            self.hang_up(node);
            self.stir(node);
        }
    }

    fn terminate(&mut self, edge: usize, by: usize) {
        let ends = self.plan.edges[edge].ends;
        let (node, peer) = (ends[by], ends[1 - by]);
        self.counts.endings += 1;
        self.nodes[node].pacts.entry(peer).and_modify(|pact| pact.ended = true);
        let keys: Vec<EndKey> = self.ends.keys().filter(|key| key.node == node).copied().collect();
        let serving = keys.into_iter().filter(|key| self.ends[key].peer == peer && self.ends[key].claimed);
        for key in serving.collect::<Vec<_>>() {
            self.tell_of_the_end(key);
        }
    }

    pub(crate) fn restrict(&mut self, node: usize, policy: Policy) {
        self.counts.restrictions += 1;
        self.nodes[node].restrict(policy);
        self.hang_up(node);
        self.stir(node);
    }

    /// Has the outboxes of a node look at what is new, and the committer begin.
    fn stir(&mut self, node: usize) {
        let stirred = &mut self.nodes[node];
        if !stirred.up {
            return;
        }
        let peers: Vec<usize> = stirred.pacts.keys().copied().collect();
        peers.into_iter().for_each(|peer| stirred.extend(peer, self.plan.rows));
        if stirred.begin_commit() {
            let boot = stirred.boot;
            let takes = self.rng.duration(self.plan.commit);
            self.schedule(takes, Event::Committed { node, boot });
        }
    }

    /// Has the storer of a session go on with what waits for it.
    pub(crate) fn drive_storer(&mut self, node: usize, connection: u64) {
        let Some(storer) = self.nodes[node].storers.get_mut(&connection) else { return };
        let jobs = storer.work();
        if storer.is_over() {
            self.nodes[node].grove.close(connection);
            self.leave(EndKey { connection, node });
        }
        jobs.into_iter().for_each(|job| self.nodes[node].enqueue(job));
        self.stir(node);
    }

    fn committed(&mut self, node: usize) {
        let jobs = self.nodes[node].end_commit();
        let mut done = Vec::with_capacity(jobs.len());
        for job in jobs {
            self.place(node, &job);
            let rows = self.nodes[node].apply(job.change.clone());
            self.check_rows(node, &rows);
            self.nodes[node].note_held(rows);
            self.check_durable(node, &job);
            done.push(job.done);
        }
        done.into_iter().for_each(|done| self.tell(node, done));
        self.stir(node);
    }

    /// Tells who waits for it that something is durable.
    fn tell(&mut self, node: usize, done: Done) {
        match done {
            Done::Analyst(id) => self.records.keeps(node, id),
            Done::Outbox(peer, edition) => self.tell_sessions(node, peer, edition),
            Done::Storer { connection, entries, last } => {
                let disk = &self.nodes[node].disk;
                let entries: Vec<(u64, Status)> =
                    entries.into_iter().map(|(index, id)| (index, disk.status(id))).collect();
                if let Some(storer) = self.nodes[node].storers.get_mut(&connection) {
                    storer.stored(last);
                }
                let (key, indexes): (_, Vec<u64>) =
                    (EndKey { connection, node }, entries.iter().map(|(index, _)| *index).collect());
                self.bodies_settled(key, &indexes);
                self.report(key, Input::Stored { entries });
                self.drive_storer(node, connection);
            }
            Done::Staged { connection, last } => {
                if let Some(storer) = self.nodes[node].storers.get_mut(&connection) {
                    storer.stored(last);
                }
                self.report(EndKey { connection, node }, Input::Staged);
                self.drive_storer(node, connection);
            }
        }
    }

    fn tell_sessions(&mut self, node: usize, peer: usize, edition: Edition) {
        if !self.nodes[node].extended(peer, edition) {
            return;
        }
        let head = self.nodes[node].journal(peer, edition).map_or(0, Journal::head);
        let is_meant = |(key, end): &(&EndKey, &End)| key.node == node && end.peer == peer && end.edition == edition;
        let keys: Vec<EndKey> = self.ends.iter().filter(is_meant).map(|(key, _)| *key).collect();
        keys.into_iter().for_each(|key| self.give(key, Input::JournalGrew { head }));
    }
}
