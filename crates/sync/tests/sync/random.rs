//! Many seeds: whatever comes in whatever order, both sides end with the same, and garbage never ends the program.

use std::time::Duration;

use bytes::Bytes;
use mithaq_core::id::ReleaseId;
use mithaq_sync::{
    Brief, Chain, Input, Output,
    sketch::{Cell, Compared, Digest},
    wire::{Hello, Kind},
};
use proptest::prelude::*;

use crate::{
    fixtures::{BRIEFS, Rng, object, parcel, parcel_of, seeds},
    lone::{Lone, bare, group, hello, manifest, whole},
    pair::{Pair, World},
    prefixes::twin,
    runs::Pieces,
};

fn world(seed: u64, rng: &mut Rng) -> World {
    let millis = |rng: &mut Rng, bound| Duration::from_millis(rng.below(bound));
    World {
        seed,
        delay: millis(rng, 100),
        jitter: millis(rng, 200),
        rate: [None, Some(50_000 + rng.below(1_000_000))][rng.size(2)],
        answer: millis(rng, 50),
        commit: millis(rng, 300),
        short_reads: rng.below(2) == 0,
    }
}

/// Pushes, withdrawals, cuts and reconnections at random.
fn run(seed: u64) -> Pair {
    let mut rng = Rng(seed);
    let mut pair = Pair::new(world(seed, &mut rng));
    pair.connect();
    for _ in 0..rng.below(60) {
        let node = rng.size(2);
        match rng.below(20) {
            0 => {
                pair.cut();
                if rng.below(2) == 0 {
                    begin_another_journal(&mut pair, node, &mut rng);
                }
                pair.connect();
            }
            1 => withdraw(&mut pair, node, &mut rng),
            2..=9 => push(&mut pair, node, &mut rng),
            10 => (0..rng.below(200)).for_each(|_| push_small(&mut pair, node, &mut rng)),
            _ => {
                let until = pair.now + Duration::from_millis(rng.below(200));
                pair.run_until(until);
            }
        }
    }
    pair.run();
    pair
}

/// A release of objects of which some are held on either side, in other releases.
fn push(pair: &mut Pair, node: usize, rng: &mut Rng) {
    let size = rng.pick(&[300, 300, 300, 2_000, 2_000, 100_000]);
    let count = 1 + rng.below(12);
    let objects = (0..count).map(|_| object(rng.below(80), size));
    let parcel = parcel(&pair.nodes[node].cert, objects.collect());
    if rng.below(5) == 0 {
        let content = rng.pick(parcel.release.contents());
        pair.nodes[1 - node].store.twins.insert(content.prefix(), twin(content));
    }
    if !pair.nodes[node].store.journal.contains(&parcel.id()) {
        pair.push(node, &parcel);
    }
}

fn push_small(pair: &mut Pair, node: usize, rng: &mut Rng) {
    let parcel = parcel_of(&pair.nodes[node].cert, 1_000 + rng.below(1 << 40), 1, 300);
    pair.push(node, &parcel);
}

/// Another agreement or policy: the same releases in a journal of another order, and the sink may have no cursor.
fn begin_another_journal(pair: &mut Pair, node: usize, rng: &mut Rng) {
    let store = &mut pair.nodes[node].store;
    for last in (1..store.journal.len()).rev() {
        store.journal.swap(last, rng.size(last + 1));
    }
    store.sketched = None;
    if rng.below(2) == 0 {
        pair.nodes[1 - node].store.cursor = None;
    }
}

fn withdraw(pair: &mut Pair, node: usize, rng: &mut Rng) {
    let store = &mut pair.nodes[node].store;
    if let Some(last) = store.journal.len().checked_sub(1) {
        let id = store.journal[rng.size(last + 1)];
        store.withdrawn.insert(id);
    }
}

#[test]
fn every_seed_converges() {
    for seed in seeds(60) {
        let result = std::panic::catch_unwind(|| {
            let pair = run(seed);
            pair.assert_converged();
            pair.assert_nothing_else();
        });
        assert!(result.is_ok(), "seed {seed}: MITHAQ_SEED={seed} replays it");
    }
}

#[test]
fn the_same_seed_sends_the_same_bytes() {
    for seed in 0..10 {
        let (one, two) = (run(seed), run(seed));
        assert_eq!(one.trace, two.trace, "seed {seed}");
        assert_eq!(one.now, two.now, "seed {seed}");
    }
    assert_ne!(run(1).trace, run(2).trace);
}

/// One valid frame of each kind.
fn valid_frames() -> Vec<Bytes> {
    use mithaq_sync::wire::{
        Ack, Bodies, Cells, Gone, LazyOffer, Manifest, Missing, Offer, Reconcile, Rest, Start, Tree, Twins, Want,
        WantBodies, WantCells,
    };
    let lone = Lone::new();
    let parcel = parcel_of(&lone.peer, 1, 3, 400);
    let id = Bytes::copy_from_slice(parcel.id().as_bytes());
    let bitmap = Bytes::from_static(&[5]);
    let group = group(&parcel.bodies);
    let plain = manifest(1, &parcel);
    let inlined = whole(2, &parcel);
    let mut packed = Pieces::default();
    let kinds = [
        Kind::Hello(hello()),
        Kind::Start(Start { after: 0 }),
        Kind::Offer(Offer { first: 1, ids: id.clone() }),
        Kind::LazyOffer(LazyOffer::of(&[(2, BRIEFS.brief(parcel.id())), (3, Brief::from_bytes([1; 8]))])),
        Kind::Twins(Twins::of(&[(1, Some(4)), (2, None)])),
        Kind::Tree(Tree { origin: id.clone(), eager: false }),
        Kind::Want(Want { first: 1, bitmap: bitmap.clone(), count: 3 }),
        Kind::Manifest(packed.manifest(Manifest { index: 3, ..plain.clone() })),
        Kind::Bodies(packed.bodies(3, &parcel.bodies)),
        Kind::Rest(Rest {}),
        Kind::Manifest(plain),
        Kind::Manifest(inlined),
        Kind::Gone(Gone { index: 1, id }),
        Kind::WantBodies(WantBodies { index: 1, bitmap }),
        Kind::Bodies(Bodies { index: 1, group, ..Bodies::default() }),
        Kind::Ack(Ack { indexes: vec![1, 2], ..Ack::default() }),
        Kind::Reconcile(Reconcile {
            through: 80,
            chain: Bytes::from_static(&[1; 32]),
            digest: Bytes::from_static(&[0; 16]),
            cells: Bytes::from_static(&[0; 24]),
        }),
        Kind::Cells(Cells { from: 2, cells: Bytes::from_static(&[0; 24]) }),
        Kind::WantCells(WantCells { from: 32, count: 5 }),
        Kind::Missing(Missing { shorts: Bytes::from_static(&[0; 16]), last: true, give_up: false }),
        Kind::Missing(Missing { give_up: true, ..Missing::default() }),
    ];
    kinds.into_iter().map(bare).collect()
}

/// Every second release that is offered lazily is held, whatever it is.
fn made_up(brief: Brief) -> Option<ReleaseId> {
    (brief.as_bytes()[7] & 1 == 1).then(|| ReleaseId::from_bytes([7; 32]))
}

/// A plausible answer to whatever the session asks, so that garbage reaches deep states.
fn answer(lone: &mut Lone) -> bool {
    let mut closed = false;
    for output in lone.take_all() {
        assert!(!closed, "an output after the close");
        match output {
            Output::Close(_) => closed = true,
            Output::CheckReleases { first, ids } => lone
                .give(Input::ReleasesKnown { first, known: ids.iter().map(|id| id.as_bytes()[0] & 1 == 0).collect() }),
            Output::FindReleases { offered, .. } => lone.give(Input::ReleasesFound {
                found: offered.iter().map(|(index, brief)| (*index, made_up(*brief))).collect(),
            }),
            Output::ClaimRelease { index, .. } => {
                lone.give(Input::ReleaseClaimed { index, late: mithaq_sync::Late::Wanted })
            }
            Output::CheckBodies { index, prefixes, .. } => {
                lone.give(Input::BodiesHeld { index, held: vec![None; prefixes.len()] })
            }
            Output::SettleJournal => lone.give(Input::JournalSettled { head: 80 }),
            Output::OpenSketch { cells, .. } => lone.give(Input::SketchOpened {
                through: 80,
                chain: Chain::START,
                digest: Digest::default(),
                cells: vec![Cell::default(); cells],
            }),
            Output::ReadCells { count, .. } => lone.give(Input::CellsRead { cells: vec![Cell::default(); count] }),
            Output::FindMarks { shorts } => {
                lone.give(Input::MarksFound { indexes: (1..).map(Some).take(shorts.len()).collect() })
            }
            Output::ReadEntries { indexes } => {
                lone.give(Input::EntriesRead { ids: vec![ReleaseId::from_bytes([1; 32]); indexes.len()] })
            }
            Output::CompareSketch { cells, .. } => lone.give(Input::SketchCompared(match cells.len() {
                2 => Compared::Undecided { cells: 4 },
                _ => Compared::Differs { missing: Vec::new(), common: Digest::default() },
            })),
            _ => {}
        }
    }
    closed
}

/// A session in which both sides say that they have releases of the other.
fn reconciling() -> Lone {
    let mut lone = Lone::holding(80);
    lone.receive(Kind::Hello(Hello { held: 80, ..hello() }));
    lone.start(80)
}

/// Changes a frame a little, or cuts it, or leaves it whole.
fn mutate(frame: &Bytes, rng: &mut Rng) -> Bytes {
    let mut bytes = frame.to_vec();
    for _ in 0..rng.below(4) {
        let place = rng.size(bytes.len());
        match rng.below(4) {
            0 => bytes[place] ^= 1 << rng.below(8),
            1 => bytes[place] = 0xff,
            2 => bytes.truncate(place.max(1)),
            _ => bytes.insert(place, 0x80),
        }
    }
    bytes.into()
}

#[test]
fn mutated_frames_in_any_order_never_end_the_program() {
    let frames = valid_frames();
    for seed in 0..3_000 {
        let mut rng = Rng(seed);
        let mut lone = match rng.below(4) {
            0 => Lone::new(),
            1 => reconciling(),
            _ => Lone::started(rng.below(4)),
        };
        lone.give(Input::JournalRead { ids: vec![ReleaseId::from_bytes([1; 32]); 3] });
        for _ in 0..12 {
            let frame = &frames[rng.size(frames.len())];
            lone.give(Input::Received(mutate(frame, &mut rng)));
            if answer(&mut lone) {
                lone.assert_silent();
                break;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn arbitrary_bytes_never_end_the_program(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..80), 1..6),
        kind in 1_u8..=19,
    ) {
        for started in [false, true] {
            let mut lone = if started { reconciling() } else { Lone::new() };
            for frame in &frames {
                let length = u8::try_from(frame.len()).unwrap();
                // From field 16 on its key is a varint of two bytes.
                let key = if kind < 16 { vec![kind << 3 | 2] } else { vec![kind << 3 | 2, 1] };
                let shaped = [&key[..], &[length], frame].concat();
                let bytes = if started { shaped } else { frame.clone() };
                lone.give(Input::Received(bytes.into()));
                if answer(&mut lone) {
                    break;
                }
            }
        }
    }

    #[test]
    fn numbers_of_any_size_never_end_the_program(
        index in prop_oneof![0_u64..6, (u64::MAX - 5)..=u64::MAX, any::<u64>()],
        count in prop_oneof![0_u32..20, any::<u32>()],
        length in 0_usize..40,
    ) {
        use mithaq_sync::wire::{
            Ack, Bodies, Cells, Gone, LazyOffer, Missing, Offer, Reconcile, Start, Twins, Want, WantBodies, WantCells,
        };
        let bitmap = Bytes::from(vec![0xff; length]);
        let ids = Bytes::from(vec![7; 32 * length]);
        let (id, step) = (Bytes::from_static(&[7; 32]), index.cast_signed());
        for kind in [
            Kind::Start(Start { after: index }),
            Kind::Offer(Offer { first: index, ids }),
            Kind::Want(Want { first: index, bitmap: bitmap.clone(), count }),
            Kind::Gone(Gone { index, id }),
            Kind::WantBodies(WantBodies { index, bitmap: bitmap.clone() }),
            Kind::Bodies(Bodies { index, group: bitmap, ..Bodies::default() }),
            Kind::Ack(Ack { indexes: vec![index, index], ..Ack::default() }),
            Kind::Reconcile(Reconcile {
                through: index,
                chain: Bytes::from_static(&[1; 32]),
                digest: Bytes::from_static(&[0; 16]),
                cells: vec![0; 12 * length].into(),
            }),
            Kind::LazyOffer(LazyOffer { entries: vec![step; length], briefs: vec![7; 8 * length].into() }),
            Kind::LazyOffer(LazyOffer { entries: vec![step], briefs: vec![8; 8].into() }),
            Kind::Twins(Twins { offered: vec![1, step], own: vec![step] }),
            Kind::Cells(Cells { from: index, cells: vec![0; 12 * length].into() }),
            Kind::WantCells(WantCells { from: index, count }),
            Kind::Missing(Missing { shorts: vec![7; 8 * length].into(), last: count % 2 == 0, give_up: false }),
        ] {
            let is_of_sketch = matches!(kind, Kind::Reconcile(_) | Kind::Cells(_) | Kind::WantCells(_) | Kind::Missing(_));
            let mut lone = if is_of_sketch { reconciling() } else { Lone::started(2) };
            lone.give(Input::JournalRead { ids: vec![ReleaseId::from_bytes([1; 32]); 2] });
            lone.receive(kind);
            answer(&mut lone);
        }
    }
}
