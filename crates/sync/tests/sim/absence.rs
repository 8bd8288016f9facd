//! One who is away for thirty days, and what it costs to be brought up to date.
//!
//! Nodes 0, 1 and 2 go on meanwhile as CERTs do: more than a thousand releases, some taken back, some of these unknown to
//! the one who is away; releases grow too old to be given; node 0 takes another key, under which it signs from then on; node
//! 1 crashes and comes back; the agreement of node 2 with the one who is away is drawn up anew, and node 1 has another
//! policy, so that what node 3 knows of their journals is of no use. Nobody knows when it will be back.

use std::time::Duration;

use mithaq_core::id::ReleaseId;

use crate::{
    PEACE_MAX, REST, come_to_rest,
    plan::{Plan, Policy},
    pool::{POOL, TIDE, TIDES, tide},
    scenarios::{OPEN, world},
    world::{PACE, World},
};

/// The one who is away.
const AWAY: usize = 3;

const DAY: Duration = Duration::from_secs(86_400);

/// How long it is away.
const ABSENCE: Duration = Duration::from_secs(30 * 86_400);

/// How often time passes for sessions while it is away: within the silence that they bear.
const SLOW_PACE: Duration = Duration::from_secs(40);

/// How many releases of each tide are too old once it is back.
const TOO_OLD: usize = 50;

/// How long it may take to be brought up to date, on links of 1 MB/s.
const CATCH_UP_MAX: Duration = Duration::from_secs(60);

impl World {
    /// Publishes a part of each tide, evenly over a time.
    fn publish_tides(&mut self, part: std::ops::Range<usize>, lasts: Duration) {
        let step = lasts / u32::try_from(part.len()).unwrap();
        for number in part {
            (0..TIDES).for_each(|origin| self.push(origin, tide(origin)[number]));
            self.run_until(self.now + step);
        }
    }

    /// Takes another key on a node, whose sessions begin anew with the card that names it.
    fn rotate_key(&mut self, node: usize) {
        self.nodes[node].disk.renewed.insert(node);
        self.hang_up(node);
    }

    /// What is too old is given to nobody any more.
    fn expire(&mut self, ids: &[ReleaseId]) {
        self.nodes.iter_mut().for_each(|node| node.disk.expired.extend(ids));
    }

    fn withdraw(&mut self, id: ReleaseId) {
        let origin = POOL.sample(id).origin;
        self.push(origin, POOL.withdrawal_of(id).unwrap());
    }

    fn has(&self, node: usize, id: ReleaseId) -> bool {
        self.nodes[node].disk.holds(id)
    }
}

/// Four who know each other, on links of 1 MB/s; all but the last have taken their second key.
fn mesh() -> World {
    let ends: Vec<[usize; 2]> = (1..4).flat_map(|b| (0..b).map(move |a| [a, b])).collect();
    let mut plan: Plan = world(4, &ends, &[]);
    plan.edges.iter_mut().for_each(|edge| edge.line.rate = Some(1_000_000));
    let mut world = World::new(plan);
    world.run_until(Duration::from_secs(3));
    [1, 2].into_iter().for_each(|node| world.rotate_key(node));
    (0..TIDES).for_each(|origin| POOL.crowd(origin).iter().for_each(|id| world.push(origin, *id)));
    (0..TIDES).for_each(|origin| world.push(origin, POOL.publication(origin, 0).unwrap()));
    come_to_rest(&mut world, PEACE_MAX);
    world
}

/// Lets thirty days pass without node 3.
fn be_away(world: &mut World) {
    let away_since = world.now;
    world.crash(AWAY, ABSENCE);
    world.pace = SLOW_PACE;
    let known = POOL.publication(0, 0).unwrap();
    let unknown = POOL.publication(1, 1).unwrap();
    world.push(1, unknown);
    world.run_until(away_since + DAY);
    world.withdraw(known);
    world.withdraw(unknown);
    world.rotate_key(0);
    let third = usize::try_from(TIDE).unwrap() / 3;
    world.publish_tides(0..third, 9 * DAY);
    world.crash(1, Duration::from_secs(600));
    world.run_until(world.now + Duration::from_secs(900));
    world.publish_tides(third..2 * third, 9 * DAY);
    let edge = world.plan.edges.iter().position(|edge| edge.ends == [2, AWAY]).unwrap();
    world.renew(edge, OPEN, DAY);
    world.restrict(1, Policy { amber: false, onward: true });
    world.publish_tides(2 * third..usize::try_from(TIDE).unwrap(), 9 * DAY);
    (0..TIDES).for_each(|origin| world.expire(&tide(origin)[..TOO_OLD]));
    world.run_until(away_since + ABSENCE - Duration::from_secs(60));
    world.pace = PACE;
    assert!(!world.nodes[AWAY].up && world.now < away_since + ABSENCE, "it was not away for long enough");
    world.run_until(away_since + ABSENCE);
}

#[test]
fn one_who_was_away_for_thirty_days_catches_up() {
    let mut world = mesh();
    be_away(&mut world);
    let (before, back) = (world.counts, world.now);
    let brought = |world: &World| [0, 1, 2].map(|peer| world.requests.brought(AWAY, peer));
    let brought_before = brought(&world);
    come_to_rest(&mut world, back + CATCH_UP_MAX);
    eprintln!("caught up after {:?}: {:?}", world.now - back, world.counts);
    world.assert_nothing_lost();
    let lacked: Vec<ReleaseId> = (0..TIDES).flat_map(|origin| tide(origin)[TOO_OLD..].iter().copied()).collect();
    assert!(lacked.iter().all(|id| world.has(AWAY, *id)), "something of the thirty days is missing");
    let [known, unknown] = [(0, 0), (1, 1)].map(|(origin, number)| POOL.publication(origin, number).unwrap());
    assert!(world.has(AWAY, POOL.withdrawal_of(known).unwrap()), "what it has is not taken back");
    assert!(!world.has(AWAY, unknown), "what was taken back came all the same");
    assert!((0..TIDES).all(|origin| !world.has(AWAY, tide(origin)[0])), "what was too old came");
    // All that came it lacked, each body once, and the notices of what was taken back: it may have been given both.
    let most = lacked.len() + 2;
    let brought: Vec<usize> = brought(&world).iter().zip(brought_before).map(|(now, before)| now - before).collect();
    let unasked = world.counts.inline - before.inline;
    assert_eq!(world.counts.bodies_wanted_twice, before.bodies_wanted_twice);
    assert!(brought.iter().sum::<usize>() <= most, "{brought:?} of {most}");
    assert!(brought.iter().sum::<usize>() + unasked >= lacked.len(), "{brought:?} and {unasked}");
    // And it takes its place in the trees again.
    world.run_until(world.now + REST);
    let fresh = POOL.publication(0, 2).unwrap_or(known);
    world.push(0, fresh);
    come_to_rest(&mut world, back + 2 * CATCH_UP_MAX);
}
