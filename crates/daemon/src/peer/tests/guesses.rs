//! A peer that names what it guesses that we have: when it is asked for what must not tell it.

use std::sync::Arc;

use mithaq_core::id::{ContentId, ReleaseId, sha256};
use mithaq_store::{Arrival, Batch};
use mithaq_sync::{CREDIT_BODIES_MIN, Input};

use super::{
    Cert,
    staging::{bodies, ids, release, three, told},
};
use crate::{
    fetching::Seat,
    outbox::Outbox,
    peer::loader::{Loader, Request},
};

/// A session of ours with a peer.
struct Side {
    loader: Loader,
    seat: Arc<Seat>,
}

impl Side {
    fn new(us: &Cert, peer: &Cert) -> Self {
        let entry = us.node.peer(peer.id()).unwrap();
        let outbox = Outbox::new(Arc::clone(&us.node), Arc::clone(&entry)).unwrap();
        let seat = Arc::new(Seat::new(&us.node.fetching));
        Self { loader: Loader::new(Arc::clone(&us.node), outbox, entry, Arc::clone(&seat)), seat }
    }

    /// What we make of a release of these contents that the peer names as this entry.
    fn names(&self, index: u8, contents: &[ContentId]) -> Input {
        let release = ReleaseId::from_bytes([index; 32]);
        let prefixes = contents.iter().map(ContentId::prefix).collect();
        let request = Request::CheckBodies { index: index.into(), release, prefixes };
        self.loader.answer(request).unwrap()
    }

    /// What we make of those that waited.
    fn waited(&self) -> Vec<Input> {
        let mut answers = Vec::new();
        let taken = self.loader.answer_waiting(|answer| {
            answers.push(answer.unwrap());
            true
        });
        assert!(taken);
        answers
    }
}

/// Lets `origin` have released these to us.
fn arrive(us: &Cert, origin: &Cert, numbers: std::ops::Range<u32>) {
    let bodies = bodies(numbers);
    let arrivals = vec![Arrival { release: release(origin, &bodies), bodies }];
    us.node.commit(Batch { arrivals, ..Batch::default() }).unwrap();
}

fn asks(index: u64) -> impl Fn(&Input) -> bool {
    move |input| matches!(input, Input::BodiesHeld { index: at, held } if *at == index && *held == [None])
}

fn waits(index: u64) -> impl Fn(&Input) -> bool {
    move |input| matches!(input, Input::BodiesElsewhere { index: at } if *at == index)
}

#[tokio::test]
async fn of_two_releases_with_one_guess_the_second_waits_whether_it_is_held_or_not() {
    for is_held in [false, true] {
        let [us, guesser, other] = three();
        if is_held {
            arrive(&us, &other, 0..1);
        }
        let (side, guess) = (Side::new(&us, &guesser), ids(&bodies(0..1)));
        assert!(asks(1)(&side.names(1, &guess)) && waits(2)(&side.names(2, &guess)), "held: {is_held}");
        assert!(side.waited().is_empty());
        side.seat.give_up(1);
        let answers = side.waited();
        assert!(answers.len() == 1 && asks(2)(&answers[0]), "held: {is_held}: {answers:?}");
    }
}

#[tokio::test]
async fn two_peers_together_learn_no_more() {
    for (is_held, comes) in [(false, false), (true, false), (false, true), (true, true)] {
        let [us, guesser, accomplice] = three();
        let honest = Cert::new(40);
        if is_held {
            arrive(&us, &honest, 0..1);
        }
        let (first, second) = (Side::new(&us, &guesser), Side::new(&us, &accomplice));
        let guess = ids(&bodies(0..1));
        assert!(asks(1)(&first.names(1, &guess)) && waits(2)(&second.names(2, &guess)), "held: {is_held}");
        if comes {
            arrive(&us, &guesser, 0..1);
            first.seat.settle([1]);
        } else {
            first.seat.give_up(1);
        }
        let answers = second.waited();
        assert!(answers.len() == 1 && asks(2)(&answers[0]) != comes, "held: {is_held}, came: {comes}: {answers:?}");
    }
}

#[tokio::test]
async fn who_owes_much_waits_for_what_is_held_too() {
    for is_held in [false, true] {
        let [us, guesser, other] = three();
        if is_held {
            arrive(&us, &other, 0..1);
        }
        let side = Side::new(&us, &guesser);
        let content = |number: usize| ContentId::from_bytes(sha256(&number.to_be_bytes()));
        let many: Vec<_> = (0..CREDIT_BODIES_MIN).map(content).collect();
        let _ = side.names(1, &many);
        assert!(waits(2)(&side.names(2, &ids(&bodies(0..1)))), "held: {is_held}");
    }
}

#[tokio::test]
async fn who_passes_a_release_on_is_told_of_its_contents_and_of_nothing_else_that_it_names() {
    let [us, guesser, other] = three();
    let (passed_on, private) = (bodies(0..3), bodies(3..6));
    let known = release(&other, &passed_on);
    let arrivals = vec![Arrival { release: known.clone(), bodies: passed_on.clone() }];
    us.node.commit(Batch { arrivals, ..Batch::default() }).unwrap();
    arrive(&us, &other, 3..6);
    assert_eq!(told(&us, &guesser, known.id(), &ids(&passed_on)), [true; 3]);
    // Nobody has signed what a manifest without bodies is said to name.
    assert_eq!(told(&us, &guesser, known.id(), &ids(&private)), [false; 3]);
    let mixed = [ids(&private[..1]), ids(&passed_on[1..2]), ids(&private[2..])].concat();
    assert_eq!(told(&us, &guesser, known.id(), &mixed), [false, true, false]);
}
