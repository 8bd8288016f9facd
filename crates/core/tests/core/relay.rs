//! What crosses links, over random topologies with relays: CERTs, agreements of two and of groups, and random orders of
//! releases, withdrawals, consents, terminations, days that pass, and arrivals.
//!
//! Each node passes on whatever the release rule lets go. The oracle says what may cross, from the words of AGREEMENTS.md and
//! of section 7 of the design, without asking the rule. `PROPTEST_CASES` tries more worlds than the usual.

mod cast;
mod node;
mod oracle;
mod plan;
mod world;

use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use plan::plan;
use world::{Counts, World};

/// How many worlds are tried unless told otherwise: one takes a tenth of a second.
const WORLDS: u32 = 128;

fn config() -> ProptestConfig {
    let told = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: told.unwrap_or(WORLDS), ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_crosses_but_what_the_terms_let_cross(plan in plan()) {
        World::new(&plan).run();
    }
}

/// Random worlds could be ones in which nothing ever happens; these are not.
#[test]
fn the_worlds_are_lively() {
    let mut runner = TestRunner::deterministic();
    let mut counts = Counts::default();
    for _ in 0..100 {
        let plan = plan().new_tree(&mut runner).unwrap().current();
        counts.add(&World::new(&plan).run());
    }
    let Counts {
        published,
        delivered,
        relayed,
        consented,
        red,
        gone,
        withdrawn,
        withdrawn_by_relay,
        void,
        within_groups,
    } = counts;
    let all = [published, delivered, relayed, consented, red, gone, withdrawn, withdrawn_by_relay, void, within_groups];
    assert!(all.iter().all(|count| *count > 10), "{counts:?}");
}
