//! What travels along the tree of a third origin.

use mithaq_sync::{Branch, Input, wire::Kind};

use super::{Recording, after};
use crate::{
    fixtures::{Parcel, cert, parcel_of},
    pair::Pair,
};

/// Both pass on what a third CERT signed, and each says that it gets that sooner from elsewhere.
#[test]
fn releases_that_travel_along_a_tree() {
    let three = cert(3);
    let about = "What A and B both pass on of a third CERT: offered lazily, told to be the same, and asked for late.";
    let mut recording = Recording::new(about, |setup| setup.third_party = true);
    for node in &mut recording.pair.nodes {
        node.store.origins.insert(three.card.cert_id(), three.card.clone());
    }
    let releases: Vec<Parcel> = (0..7).map(|number| parcel_of(&three, 10 * number + 1, 1, 400)).collect();
    // What B is offered lazily and holds is told by no frame.
    let held = [releases[1].id(), releases[2].id(), releases[3].id()];
    recording.tell_held(&held);
    recording.session(|pair| along_a_tree(pair, &releases));
    // The cursors tell what was offered so.
    recording.session(|_| {});
    recording.check("tree");
}

fn along_a_tree(pair: &mut Pair, releases: &[Parcel]) {
    let origin = cert(3).card.cert_id();
    let [first, second, third, fourth, fifth, sixth, seventh, ..] = releases else { unreachable!() };
    // Each brings one unasked, and is pruned for it.
    pair.push(0, first);
    pair.push(1, second);
    pair.run();
    for node in [0, 1] {
        pair.give(node, Input::Placed { origin, branch: Branch::Pruned });
    }
    pair.run();
    // Both come to have two of them: the second of A goes along with the first, and B answers for both with numbers.
    pair.push(0, third);
    pair.push(1, fourth);
    after(pair, 100);
    pair.push(0, fourth);
    pair.push(1, third);
    // This one B has told A of already.
    pair.push(0, second);
    pair.run();
    assert_eq!(lazily(pair, 0), (1, 0), "A offers all of it in one frame");
    assert_eq!(lazily(pair, 1), (0, 1), "and B answers with one");
    // One that B lacks, and one that A lacks.
    pair.push(0, fifth);
    pair.run();
    pair.push(1, sixth);
    pair.run();
    assert!(pair.nodes[1].store.releases.contains_key(&fifth.id()), "it was not asked for");
    assert!(pair.nodes[0].store.releases.contains_key(&sixth.id()), "it was not asked for");
    pair.give(1, Input::Placed { origin, branch: Branch::Grafted });
    pair.run();
    pair.push(0, seventh);
    pair.run();
    pair.give(1, Input::Placed { origin, branch: Branch::Pruned });
}

/// How many lazy offers a side has sent, and how many answers that name entries of its own.
fn lazily(pair: &Pair, node: usize) -> (usize, usize) {
    let count =
        |is_such: fn(&Kind) -> bool| pair.nodes[node].sent.frames.iter().filter(|(_, kind)| is_such(kind)).count();
    (count(|kind| matches!(kind, Kind::LazyOffer(_))), count(|kind| matches!(kind, Kind::Twins(_))))
}
