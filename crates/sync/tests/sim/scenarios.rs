//! Worlds by hand: what once went wrong, and what must not depend on luck with seeds.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    hostile::Vice,
    plan::{Action, Edge, Line, Plan, Policy, Terms},
    pool::{LARGEST, POOL},
    run,
    world::World,
};

pub(crate) const OPEN: Terms = Terms { amber: true, third_party: true };

pub(crate) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A world of these links, on which all goes smoothly but for these events, at these seconds.
pub(crate) fn world(nodes: usize, ends: &[[usize; 2]], actions: &[(u64, Action)]) -> Plan {
    let line = Line { delay: Duration::from_millis(20), jitter: Duration::ZERO, rate: None, loss: 0 };
    Plan {
        seed: 1,
        nodes,
        edges: ends.iter().map(|ends| Edge { ends: *ends, terms: OPEN, line: line.clone() }).collect(),
        vices: BTreeMap::new(),
        commit: Duration::from_millis(5),
        answer: Duration::from_millis(1),
        rows: 256,
        short_reads: false,
        actions: actions.iter().map(|(second, action)| (seconds(*second), action.clone())).collect(),
    }
}

/// Whether a node has the first release that another one published, or its withdrawal.
fn has_first(world: &World, node: usize, origin: usize, withdrawal: bool) -> bool {
    let first = POOL.publication(origin, 0).unwrap();
    let id = if withdrawal { POOL.withdrawal_of(first).unwrap() } else { first };
    world.nodes[node].disk.holds(id)
}

#[test]
fn a_release_goes_down_a_chain_and_its_withdrawal_after_it_though_agreements_ended() {
    let chain: Vec<[usize; 2]> = (0..9).map(|node| [node, node + 1]).collect();
    let world = run(world(
        10,
        &chain,
        &[
            (1, Action::Publish(0)),
            (20, Action::Terminate { edge: 4, by: 1 }),
            (21, Action::Cut { edge: 7, lasts: seconds(60) }),
            (22, Action::Withdraw(0)),
        ],
    ));
    assert!((0..10).all(|node| has_first(&world, node, 0, false) && has_first(&world, node, 0, true)));
}

/// What was withheld because a relay had fallen out with the origin goes on once they have agreed anew: the journals
/// towards all others must then be judged again, not only the one towards the origin.
#[test]
fn a_new_agreement_with_an_origin_lets_go_what_was_withheld_from_third_nodes() {
    let world = run(world(
        3,
        &[[0, 1], [1, 2]],
        &[
            (1, Action::Restrict { node: 1, policy: Policy { amber: true, onward: false } }),
            (2, Action::Publish(0)),
            (10, Action::Terminate { edge: 0, by: 1 }),
            (20, Action::Restrict { node: 1, policy: Policy { amber: true, onward: true } }),
            (30, Action::Renew { edge: 0, terms: OPEN, later: seconds(1) }),
        ],
    ));
    assert!(has_first(&world, 2, 0, false));
}

/// A relay falls out with an origin after it has disclosed a release to its sink and before it sends it; and then these
/// events. The sink has the release in the end.
#[track_caller]
fn assert_comes_after_gone(then: &[(u64, Action)]) {
    let begin = [(1, Action::Publish(0)), (4, Action::Terminate { edge: 0, by: 1 })];
    let plan = world(3, &[[0, 1], [1, 2]], &[&begin, then].concat());
    let mut gone = 0;
    for seed in 0..20 {
        let world = run(Plan { seed, answer: seconds(2), ..plan.clone() });
        gone += world.counts.gone;
        assert!(has_first(&world, 2, 0, false), "seed {seed}");
    }
    assert!(gone > 0, "all went before the relay fell out");
}

/// The relay agrees with the origin anew: the journal that then begins is like the one before as far as the cursor, which
/// has passed what was gone.
#[test]
fn what_was_gone_and_may_go_again_is_behind_no_cursor() {
    assert_comes_after_gone(&[(20, Action::Renew { edge: 0, terms: OPEN, later: seconds(1) })]);
}

/// A journal in between has nothing of what was gone: the sink acknowledges all that there is, and its cursor stays what it
/// was.
#[test]
fn what_was_gone_is_behind_no_cursor_also_after_a_journal_without_it() {
    let restrict = |onward| Action::Restrict { node: 1, policy: Policy { amber: true, onward } };
    assert_comes_after_gone(&[
        (10, restrict(false)),
        (15, Action::Crash { node: 2, down: seconds(1) }),
        (25, restrict(true)),
        (30, Action::Renew { edge: 0, terms: OPEN, later: seconds(1) }),
    ]);
}

/// The sink is put back to the moment between the `Gone` and the release's coming again, when the relay has forgotten what
/// it had passed over.
#[test]
fn what_was_gone_and_came_again_is_behind_no_cursor_of_a_store_that_was_put_back() {
    assert_comes_after_gone(&[
        (20, Action::Renew { edge: 0, terms: OPEN, later: seconds(1) }),
        (22, Action::Backup(2)),
        (60, Action::Restore { node: 2, fresh_id: true, down: seconds(1) }),
    ]);
}

/// A store that was put back goes on differently: the sink's cursor is of an entry that the journal has again, with
/// another release in it.
#[test]
fn a_fork_as_long_as_the_cursor_is_told_by_its_chain() {
    for fresh_id in [false, true] {
        let world = run(world(
            2,
            &[[0, 1]],
            &[
                (1, Action::Publish(0)),
                (5, Action::Backup(0)),
                (6, Action::Publish(0)),
                (10, Action::Cut { edge: 0, lasts: seconds(20) }),
                (11, Action::Restore { node: 0, fresh_id, down: seconds(1) }),
                (15, Action::Publish(0)),
            ],
        ));
        let published = (0..3).filter_map(|number| POOL.publication(0, number));
        assert_eq!(published.filter(|id| world.nodes[1].disk.holds(*id)).count(), 3);
        assert_eq!(world.nodes[0].disk.log.len(), 2, "what the backup lacks is not lost at its origin");
    }
}

/// A sink that was put back has what it lost from whoever has it: here a relay, as the origin is gone.
#[test]
fn a_store_that_was_put_back_is_filled_by_its_peers() {
    let world = run(world(
        3,
        &[[0, 1], [1, 2], [0, 2]],
        &[
            (1, Action::Backup(2)),
            (2, Action::Publish(0)),
            (9, Action::Isolate { node: 0, lasts: seconds(50) }),
            (10, Action::Restore { node: 2, fresh_id: true, down: seconds(2) }),
        ],
    ));
    assert!(has_first(&world, 2, 0, false));
    assert_eq!(world.counts.restores, 1);
}

/// One who was away gets the backlog from all sides at once and ends with all of it.
#[test]
fn one_who_was_away_is_brought_up_to_date_by_all() {
    let ends: Vec<[usize; 2]> = (1..5).flat_map(|b| (0..b).map(move |a| [a, b])).collect();
    let mut actions = vec![(0, Action::Crash { node: 4, down: seconds(30) })];
    actions.extend((0..4).flat_map(|node| (0..8).map(move |_| (2, Action::Publish(node)))));
    let world = run(world(5, &ends, &actions));
    assert_eq!(world.nodes[4].disk.log.len(), world.nodes[4].disk.releases.len());
    assert!((0..4).all(|origin| has_first(&world, 4, origin, false)));
    assert!(world.counts.offers > 0, "a backlog is offered");
}

/// What the source has begun to send, and what the sink has of it, makes room for what comes after.
#[test]
fn what_is_taken_back_between_its_bodies_leaves_nothing_behind() {
    let mut midway = 0;
    for seed in 0..10 {
        let actions =
            [(1, Action::Regret(0)), (2, Action::Regret(1)), (12, Action::Publish(0)), (12, Action::Publish(1))];
        let slow = Duration::from_secs(3);
        let world = run(Plan { seed, answer: slow, ..world(3, &[[0, 1], [1, 2]], &actions) });
        midway += world.counts.gone_midway;
        assert!(has_first(&world, 2, 0, false));
    }
    assert!(midway > 3, "only {midway} were taken back between their bodies");
}

/// A source takes a release back between its bodies, and is then put back to a time before that: the sink has dropped what
/// it had of the release and not staged, and that comes again.
#[test]
fn what_was_dropped_as_gone_comes_again_from_a_store_that_was_put_back() {
    let mut midway = 0;
    for seed in 0..20 {
        let actions = [
            (1, Action::Regret(0)),
            (2, Action::Backup(0)),
            (20, Action::Restore { node: 0, fresh_id: true, down: seconds(1) }),
        ];
        let mut plan = Plan { seed, answer: Duration::from_millis(1_500), ..world(2, &[[0, 1]], &actions) };
        // What says that a release is gone then comes right behind the bodies that were sent before.
        plan.edges[0].line.rate = Some(15_000);
        let world = run(plan);
        midway += world.counts.gone_midway;
        assert!(world.nodes[1].disk.holds(POOL.publication(0, LARGEST).unwrap()));
    }
    assert!(midway > 3, "only {midway} were taken back between their bodies");
}

/// Whatever a hostile node does in the middle of a ring, the others come to rest with all that they may have.
#[test]
fn no_hostile_node_keeps_others_from_their_peace() {
    let ring = [[0, 1], [1, 2], [2, 3], [3, 4], [0, 4]];
    for vice in Vice::ALL {
        // The sixth release of each names its recipients, and a gossip sends it to others.
        let count = if vice == Vice::Gossip { 6 } else { 3 };
        let actions: Vec<_> = (0..5).flat_map(|node| (1..=count).map(move |at| (at, Action::Publish(node)))).collect();
        let plan = Plan { vices: [(2, vice)].into(), ..world(5, &ring, &actions) };
        let world = run(plan);
        for (node, origin) in [(1, 3), (3, 1), (0, 3), (4, 1)] {
            assert!(has_first(&world, node, origin, false), "{vice:?} keeps {node} from what {origin} published");
        }
    }
}

/// Another policy has the journal made anew, and its beginning happens to be that of the old one, so that the sink's cursor
/// fits. What the journal then comes to is no news: it is offered, and what the sink holds does not come again.
#[test]
fn a_journal_that_is_made_anew_behind_a_cursor_that_fits_is_no_news() {
    let world = run(Plan::of(462));
    assert!(world.counts.restrictions > 0 && world.counts.resumed > 0);
}

/// A store is put back that had a release from one peer and does not know any more that another gave it too: to that one
/// it may not say that it holds it, so it comes once more.
#[test]
fn a_store_that_was_put_back_says_no_more_than_it_remembers() {
    let world = run(Plan::of(374));
    assert!(world.counts.restores > 0);
}
