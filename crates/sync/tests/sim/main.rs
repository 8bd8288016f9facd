//! Whole meshes of sessions in one thread and virtual time.
//!
//! A world has 2 to 30 nodes in chains, rings, stars, full meshes and random graphs (`plan.rs`). Each has a store of which a
//! crash loses what no commit has made durable (`disk.rs`), a release rule, an outbox for each peer and one committer
//! (`node.rs`), and for each session a storer (`storer.rs`), as the daemon has them: a disclosure is in journal and ledger
//! before its bytes leave, the rule is asked when an entry is written and again when it is loaded, releases and the cursor
//! behind them are one commit, acknowledgements follow it, and what a session verified is stored also when it is over. What
//! peers may be told to be held, and the sketches of that and of the journals (`sketches.rs`), are kept from one session to
//! the next; the sessions of a node share one table of claims (`fetching.rs`); parts of releases that a cut leaves behind are
//! staged.
//! Connections (`links.rs`) have latency, jitter, a rate, and loss that shows as delay; there is no order between streams.
//! Nodes publish, withdraw, crash, and are put back from backups, with their store's id or a new one; links are cut for
//! moments and for minutes; agreements are renewed, widened, narrowed and ended, policies change. In a fifth of the worlds
//! some nodes are hostile (`hostile.rs`). CERTs and releases are real and signed once for all worlds (`pool.rs`).
//!
//! What must hold (`checks.rs`), in every world and at every moment:
//!
//! - **No leak.** A manifest or a body leaves only if the agreements, told from what happened and not by the rule, let it go
//!   at that moment, and only after it is in the ledger. A sink says that it holds something only if the peer may know.
//! - **No loss.** What is acknowledged is durable, and stays so but for a store that is put back. A cursor covers nothing
//!   that is neither durable nor gone, and its chain is that of the journal.
//! - **Nothing twice.** No entry is sent, stored or acknowledged twice in a session; nothing durable that we may say that
//!   we hold is asked for; what was acknowledged to a source does not come from it again, also not by a journal that was
//!   made anew. A body that was asked for is asked for again only of another peer, and only once the first has delivered
//!   nothing for as long as a claim lasts, or the release has waited for as long as any does (`requests.rs`). What came before
//!   a cut does not come again, nor what came before a crash but for the last moments; what a sink dropped since its source
//!   said that it is gone may.
//! - **No idle wait.** What waits for another session is asked for as soon as that is given up or over.
//! - **True sketches.** A sketch is that of the journal or of what is held, at every moment at which it is used.
//! - **Bounds.** What is on its way keeps to the limits of the protocol, whatever a peer does.
//! - **No blame.** No session between honest nodes ends in a fault that the world did not cause.
//! - **Peace.** Once nothing happens any more each honest node soon has all that its honest peers may give it, all is
//!   acknowledged, nothing is on its way, and it stays so.
//!
//! There is no bulk: what is small, or takes something back, is prompt.
//!
//! A failure names its seed. `MITHAQ_SEED=7` replays it, and with `MITHAQ_TOLD=1` each event is told on standard error;
//! `MITHAQ_SEEDS=100000` is the long run, which begins at `MITHAQ_SEED` if that is set too.
//!
//! What sessions can ask for and be told stands in `driver.rs` alone, what is checked of frames in `checks.rs` and, of
//! requests for bodies, in `requests.rs`. Worlds by hand are in `scenarios.rs` and `savings.rs`.

// A failed expectation is how a test fails, and its helpers stand outside of `#[test]` functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

mod absence;
#[path = "../cast/mod.rs"]
mod cast;
mod checks;
mod disk;
mod driver;
mod fetching;
mod hostile;
mod links;
mod node;
mod plan;
mod pool;
mod requests;
mod savings;
mod scenarios;
mod sketches;
mod storer;
mod trees;
mod world;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    time::Duration,
};

use cast::seeds;
use plan::{Plan, REGRET_MAX};
use world::{Counts, World};

/// How many seeds the ordinary test tries.
const SEEDS: u64 = 1_000;

/// How long after the last event the honest nodes may take to come to rest: the longest silence after which an end takes
/// the other for dead, a few times over, on the slowest link.
const PEACE_MAX: Duration = Duration::from_secs(900);

/// How long it is watched that they stay at rest.
const REST: Duration = Duration::from_secs(20);

/// Runs the world of a plan, and the peace that follows.
fn run(plan: Plan) -> World {
    let last = plan.actions.iter().map(|(at, _)| *at).max().unwrap_or_default();
    let mut world = World::new(plan);
    world.run_until(last + REGRET_MAX);
    come_to_rest(&mut world, last + PEACE_MAX);
    world.assert_nothing_lost();
    let before = world.counts;
    world.run_until(world.now + REST);
    if world.plan.vices.is_empty() {
        assert_eq!(world.unrest(), None, "the peace does not last");
        assert_eq!(world.counts, before, "something goes on in peace");
    } else {
        // What a hostile node lets go late is passed on at any time.
        come_to_rest(&mut world, last + PEACE_MAX);
    }
    world
}

/// Runs a world until its honest nodes are at rest.
fn come_to_rest(world: &mut World, until: Duration) {
    while let Some(unrest) = world.unrest() {
        assert!(world.now < until, "no peace: {unrest}");
        world.run_until(world.now + Duration::from_secs(1));
    }
}

/// Runs many seeds on all cores. Says which failed, and what has happened in all the others.
fn run_all(seeds: std::ops::Range<u64>) -> (Vec<u64>, Counts) {
    let (next, failed, counts) = (Mutex::new(seeds), Mutex::new(Vec::new()), Mutex::new(Counts::default()));
    let work = || {
        while let Some(seed) = next.lock().unwrap().next() {
            match catch_unwind(AssertUnwindSafe(|| run(Plan::of(seed)).counts)) {
                Ok(happened) => counts.lock().unwrap().add(&happened),
                Err(_) => failed.lock().unwrap().push(seed),
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    (failed.into_inner().unwrap(), counts.into_inner().unwrap())
}

#[test]
fn every_world_comes_to_rest() {
    let seeds = seeds(SEEDS);
    let is_many = seeds.end - seeds.start >= SEEDS;
    let (failed, counts) = run_all(seeds);
    assert!(failed.is_empty(), "seeds {failed:?}: MITHAQ_SEED={} replays the first", failed[0]);
    eprintln!("{counts:?}");
    // Random worlds could be ones in which nothing ever happens; these are not.
    assert!(!is_many || counts.smallest() > 20, "{counts:?}");
}

#[test]
fn the_same_seed_sends_the_same_bytes() {
    for seed in 0..10 {
        let (one, two) = (run(Plan::of(seed)), run(Plan::of(seed)));
        assert_eq!((one.trace, one.now), (two.trace, two.now), "seed {seed}");
    }
}
