//! Worlds by hand in which little must travel: what a sketch, a claim, or what was staged saves.

use std::time::Duration;

use mithaq_sync::CLAIM_TTL;

use crate::{
    hostile::Vice,
    plan::{Action, Plan, Policy},
    pool::POOL,
    run,
    scenarios::{seconds, world},
    world::World,
};

/// How many of an origin's many small releases a node has.
fn of_crowd(world: &World, node: usize, origin: usize) -> usize {
    POOL.crowd(origin).iter().filter(|id| world.nodes[node].disk.holds(**id)).count()
}

/// One who comes late to two peers that both have all: 0 and 1, and 2 is late.
fn late(actions: &[(u64, Action)]) -> Plan {
    let came_late = [(0, Action::Crash { node: 2, down: seconds(30) }), (2, Action::Crowd(0))];
    world(3, &[[0, 1], [0, 2], [1, 2]], &[&came_late, actions].concat())
}

#[test]
fn two_peers_serve_one_backfill_and_each_body_comes_once() {
    let mut plan = late(&[]);
    plan.edges.iter_mut().for_each(|edge| edge.line.rate = Some(20_000));
    let world = run(plan);
    let (one, two) = (world.requests.brought(2, 0), world.requests.brought(2, 1));
    assert_eq!(one + two, POOL.crowd(0).len(), "{one} and {two}");
    assert!(one.min(two) > POOL.crowd(0).len() / 10, "{one} and {two} are not shared");
    assert_eq!(world.counts.bodies_wanted_twice, 0);
}

/// The hoarder is near and the other one far, so that the hoarder is asked first.
#[test]
fn one_who_offers_and_never_delivers_costs_the_patience_and_no_more() {
    let mut plan = Plan { vices: [(1, Vice::Hoarder)].into(), ..late(&[]) };
    plan.edges[1].line.delay = Duration::from_millis(300);
    let mut world = World::new(plan);
    world.run_until(seconds(40));
    assert!(of_crowd(&world, 2, 0) < POOL.crowd(0).len(), "nobody had to be waited for");
    world.run_until(seconds(30) + CLAIM_TTL + seconds(8));
    assert_eq!(of_crowd(&world, 2, 0), POOL.crowd(0).len());
}

#[test]
fn one_who_dies_is_replaced_at_once() {
    let mut plan = late(&[(31, Action::Crash { node: 1, down: seconds(60) })]);
    plan.edges[2].line.rate = Some(2_000);
    plan.edges[1].line.delay = Duration::from_millis(300);
    let mut world = World::new(plan);
    world.run_until(seconds(31) + CLAIM_TTL + seconds(8));
    assert_eq!(of_crowd(&world, 2, 0), POOL.crowd(0).len());
}

/// The fourth release of each is the largest: two of its bodies come, and most often a cut before the third.
#[test]
fn what_came_before_a_cut_or_a_crash_does_not_come_again() {
    let cuts = [
        Action::Cut { edge: 0, lasts: seconds(60) },
        Action::Crash { node: 0, down: seconds(3) },
        Action::Crash { node: 1, down: seconds(3) },
    ];
    for cut in cuts {
        let mut spared = 0;
        for seed in 0..4 {
            let mut actions = vec![(1, Action::Publish(0)); 4];
            actions.push((11, cut.clone()));
            let mut plan = Plan { seed, ..world(2, &[[0, 1]], &actions) };
            plan.edges[0].line.rate = Some(15_000);
            let world = run(plan);
            spared += world.counts.spared;
            // The others travel inline.
            assert_eq!(world.requests.brought(1, 0), 3, "{cut:?}");
        }
        assert!(spared >= 2, "{cut:?}: nothing was staged");
    }
}

/// A source that was put back, with one release that its peer lacks, costs a sketch and that release, and no list of all.
#[test]
fn a_store_that_was_put_back_costs_the_difference() {
    let actions = [
        (1, Action::Crowd(0)),
        (20, Action::Cut { edge: 0, lasts: seconds(60) }),
        (21, Action::Publish(0)),
        (22, Action::Backup(0)),
        (23, Action::Restore { node: 0, fresh_id: true, down: seconds(5) }),
    ];
    let world = run(world(2, &[[0, 1]], &actions));
    assert_eq!((world.counts.sketched, world.counts.named), (1, 1));
    // Of the crowd most was offered; what was published into the cut went out once more.
    assert!(world.counts.offers <= 1 && world.counts.manifests <= POOL.crowd(0).len() + 2, "{:?}", world.counts);
}

#[test]
fn lies_about_sketches_cost_a_list_and_nothing_is_lost() {
    let ring = [[0, 1], [1, 2], [2, 3], [0, 3]];
    for vice in [Vice::Omitter, Vice::Muddler, Vice::Grasper] {
        let mut sketched = 0;
        for seed in 0..4 {
            // Of two releases that the others lack the liar's sketch leaves out one.
            let mut actions = vec![(1, Action::Crowd(0)), (20, Action::Isolate { node: 1, lasts: seconds(14) })];
            actions.extend([(21, Action::Publish(1)), (22, Action::Publish(1)), (23, Action::Backup(1))]);
            actions.push((24, Action::Restore { node: 1, fresh_id: true, down: seconds(3) }));
            actions.extend([(25, Action::Publish(2)), (26, Action::Backup(2))]);
            actions.push((27, Action::Restore { node: 2, fresh_id: true, down: seconds(3) }));
            let plan = Plan { seed, vices: [(1, vice)].into(), ..world(4, &ring, &actions) };
            let world = run(plan);
            sketched += world.counts.sketched;
            assert_eq!(of_crowd(&world, 2, 0), POOL.crowd(0).len());
        }
        assert!(sketched > 0, "{vice:?} was sent no sketch");
    }
}

/// A new policy makes the journal anew, which takes longer than to open it: what then stands in it was there before, and
/// is no news to the peer.
#[test]
fn a_journal_that_is_made_anew_is_offered_and_sends_nothing_again() {
    for seed in 0..6 {
        let mut actions = vec![(1, Action::Publish(0)); 3];
        actions.push((10, Action::Restrict { node: 0, policy: Policy { amber: true, onward: true } }));
        let slow = Duration::from_secs(2);
        let world = run(Plan { seed, commit: slow, ..world(2, &[[0, 1]], &actions) });
        assert_eq!(world.counts.manifests, 3, "seed {seed}");
    }
}

/// Each policy makes another journal, of which the cursor fits none: two sketches are made for one run of both nodes.
#[test]
fn a_sketch_is_of_one_edition_of_the_journal() {
    let amber = |amber| Action::Restrict { node: 0, policy: Policy { amber, onward: true } };
    // The third release is for peers alone.
    let mut actions =
        vec![(0, amber(false)), (1, Action::Publish(0)), (1, Action::Publish(0)), (1, Action::Publish(0))];
    actions.extend([(4, Action::Crowd(0)), (40, amber(true)), (110, amber(false))]);
    let world = run(world(2, &[[0, 1]], &actions));
    assert_eq!((world.counts.sketched, world.counts.named, world.counts.agreed), (2, 1, 1));
    assert_eq!(world.counts.manifests, POOL.crowd(0).len() + 3);
}
