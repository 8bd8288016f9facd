//! Peers that lie about sketches: what they cost is bounded, and what is no sketch closes.

use bytes::Bytes;
use mithaq_core::{code::Code, id::ReleaseId};
use mithaq_sync::{
    CELLS_FRAME_MAX, CELLS_MAX, CELLS_WANT_MAX, COMPARISONS_MAX, Chain, INDEX_MAX, Input, OFFERS_OPEN_MAX, Output,
    SHORTS_FRAME_MAX,
    sketch::{CELL_BYTES, Cell, Compared, Digest, SketchKey},
    wire::{Cells, Gone, Hello, Kind, Missing, Reconcile, WantCells},
};

use crate::{
    fixtures::{AGREEMENT, Parcel, cert, decode, parcel_of},
    hostile_source::{offer, some_ids},
    lone::{Lone, hello, manifest},
};

/// A sketch of `through` entries whose first `count` cells are empty.
pub(crate) fn sketch(through: u64, count: usize) -> Reconcile {
    Reconcile {
        through,
        chain: Bytes::from_static(&[1; 32]),
        digest: Bytes::copy_from_slice(&Digest { count: through, sum: 0 }.to_bytes()),
        cells: vec![0; CELL_BYTES * count].into(),
    }
}

fn cells(from: u64, count: usize) -> Kind {
    Kind::Cells(Cells { from, cells: vec![0; CELL_BYTES * count].into() })
}

/// The key of what the peer releases to us.
fn key() -> SketchKey {
    SketchKey::new(AGREEMENT, [0x22; 16], [0xf1; 16])
}

/// A session that says that it has releases of the peer.
fn holding() -> Lone {
    let mut lone = Lone::holding(100);
    lone.receive(Kind::Hello(hello()));
    lone.start(0)
}

/// A session that compares a sketch of 200 entries of the peer.
fn comparing() -> Lone {
    let mut lone = holding();
    lone.receive(Kind::Reconcile(sketch(200, 32)));
    assert!(matches!(lone.take_all()[..], [Output::CompareSketch { .. }]));
    lone
}

/// A session that has named these as what it lacks of the peer.
fn lacking(parcels: &[Parcel]) -> Lone {
    let mut lone = comparing();
    let missing: Vec<u64> = parcels.iter().map(|parcel| key().mark(parcel.id()).short).collect();
    let common = Digest { count: 200 - missing.len() as u64, sum: 0 };
    lone.give(Input::SketchCompared(Compared::Differs { missing, common }));
    let (_, frame) = lone.take_frame();
    assert!(matches!(frame, Kind::Missing(Missing { last: true, give_up: false, .. })));
    lone
}

fn theirs(number: u64) -> Parcel {
    parcel_of(&cert(2), number, 1, 400)
}

fn check_closes(mut lone: Lone, frame: Kind) {
    lone.receive(frame);
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn sketches_that_were_not_asked_for() {
    check_closes(Lone::started(0), Kind::Reconcile(sketch(200, 32)));
    check_closes(comparing(), Kind::Reconcile(sketch(200, 32)));
    check_closes(lacking(&[theirs(1)]), Kind::Reconcile(sketch(200, 32)));
    let mut offered = holding();
    offered.receive(offer(1, &some_ids(1)));
    offered.take_all();
    check_closes(offered, Kind::Reconcile(sketch(200, 32)));
}

#[test]
fn malformed_sketches() {
    let whole = || sketch(200, 32);
    for sketch in [
        sketch(0, 32),
        sketch(200, 0),
        sketch(200, CELLS_FRAME_MAX + 1),
        Reconcile { chain: Bytes::from_static(&[1; 31]), ..whole() },
        Reconcile { digest: Bytes::from_static(&[1; 17]), ..whole() },
        Reconcile { cells: vec![0; 13].into(), ..whole() },
    ] {
        check_closes(holding(), Kind::Reconcile(sketch));
    }
}

#[test]
fn cells_that_were_not_asked_for() {
    check_closes(holding(), cells(0, 1));
    check_closes(comparing(), cells(32, 1));
    check_closes(lacking(&[theirs(1)]), cells(32, 1));
    let wanting = || {
        let mut lone = comparing();
        lone.give(Input::SketchCompared(Compared::Undecided { cells: 50 }));
        assert!(matches!(lone.take_frame(), (_, Kind::WantCells(WantCells { from: 32, count: 18 }))));
        lone
    };
    for (from, count) in [(0, 18), (31, 18), (33, 18), (u64::MAX, 1), (32, 0), (32, 19)] {
        check_closes(wanting(), cells(from, count));
    }
    let mut lone = wanting();
    for (from, count) in [(32, 10), (42, 8)] {
        assert!(lone.take_all().is_empty());
        lone.receive(cells(from, count));
    }
    assert!(matches!(&lone.take_all()[..], [Output::CompareSketch { cells, .. }] if cells.len() == 50));
    check_closes(lone, cells(50, 1));
}

/// Whatever the cells say and however long the journal is said to be, there is an end of asking.
#[test]
fn cells_that_never_decode_are_given_up() {
    for (through, cells_max) in [(200, 200 * 32 / CELL_BYTES), (INDEX_MAX, CELLS_MAX)] {
        let mut lone = holding();
        lone.receive(Kind::Reconcile(sketch(through, 32)));
        let (mut sent, mut comparisons) = (32, 0);
        let given_up = loop {
            let output = lone.take_all().pop().unwrap();
            match output {
                Output::CompareSketch { cells, .. } => {
                    assert_eq!(cells.len(), sent);
                    comparisons += 1;
                    lone.give(Input::SketchCompared(Compared::Undecided { cells: sent * 4 }));
                }
                Output::Send { frame, .. } => match decode(&frame) {
                    Kind::WantCells(want) => {
                        let count = usize::try_from(want.count).unwrap();
                        assert!(want.from == sent as u64 && count <= CELLS_WANT_MAX);
                        for first in (0..count).step_by(CELLS_FRAME_MAX) {
                            let part = CELLS_FRAME_MAX.min(count - first);
                            lone.receive(cells(sent as u64, part));
                            sent += part;
                        }
                    }
                    Kind::Missing(missing) => break missing.give_up,
                    other => panic!("{other:?}"),
                },
                other => panic!("{other:?}"),
            }
        };
        assert!(given_up && comparisons <= COMPARISONS_MAX);
        assert_eq!(sent, cells_max);
        // What it has of the journal is offered from the start then.
        lone.receive(offer(1, &some_ids(3)));
        assert!(matches!(lone.take_all()[..], [Output::CheckReleases { first: 1, .. }]));
    }
}

#[test]
fn comparing_has_an_end_even_if_each_asks_for_one_cell_more() {
    let mut lone = comparing();
    for sent in 32.. {
        lone.give(Input::SketchCompared(Compared::Undecided { cells: sent + 1 }));
        match lone.take_frame().1 {
            Kind::WantCells(_) => lone.receive(cells(sent as u64, 1)),
            Kind::Missing(missing) => return assert!(missing.give_up && sent < 32 + COMPARISONS_MAX),
            other => panic!("{other:?}"),
        }
        lone.take_all();
    }
}

#[test]
fn entries_of_the_sketch_before_anything_was_named() {
    check_closes(comparing(), Kind::Manifest(manifest(1, &theirs(1))));
    check_closes(comparing(), offer(1, &some_ids(1)));
    check_closes(comparing(), offer(201 + OFFERS_OPEN_MAX, &some_ids(1)));
    let mut behind = comparing();
    behind.receive(Kind::Manifest(manifest(201, &theirs(1))));
    assert!(matches!(behind.take_all()[..], [Output::CheckBodies { index: 201, .. }]));
}

#[test]
fn releases_that_did_not_lack() {
    let gone = |index, id: ReleaseId| Kind::Gone(Gone { index, id: Bytes::copy_from_slice(id.as_bytes()) });
    for index in [0, 1, 200] {
        check_closes(lacking(&[theirs(1)]), Kind::Manifest(manifest(index, &theirs(2))));
        check_closes(lacking(&[theirs(1)]), gone(index, theirs(2).id()));
    }
    // The same once more, at another place.
    let mut lone = lacking(&[theirs(1), theirs(2)]);
    lone.receive(Kind::Manifest(manifest(5, &theirs(1))));
    lone.take_all();
    check_closes(lone, Kind::Manifest(manifest(6, &theirs(1))));
    let mut lone = lacking(&[theirs(1), theirs(2)]);
    lone.receive(gone(5, theirs(1).id()));
    lone.take_all();
    check_closes(lone, gone(5, theirs(1).id()));
}

/// The receipt for the second would be signed when the first is durable.
#[test]
fn two_missing_releases_as_one_entry() {
    let gone = |index, id: ReleaseId| Kind::Gone(Gone { index, id: Bytes::copy_from_slice(id.as_bytes()) });
    let parcels = [theirs(1), theirs(2)];
    for frame in [Kind::Manifest(manifest(5, &parcels[1])), gone(5, parcels[1].id())] {
        let mut lone = lacking(&parcels);
        lone.receive(Kind::Manifest(manifest(5, &parcels[0])));
        lone.give(Input::BodiesHeld { index: 5, held: vec![Some(parcels[0].release.contents()[0])] });
        assert!(matches!(&lone.take_all()[..], [.., Output::Store { index: 5, .. }]));
        check_closes(lone, frame);
    }
    let mut lone = lacking(&parcels);
    lone.receive(gone(5, parcels[0].id()));
    lone.take_all();
    check_closes(lone, Kind::Manifest(manifest(5, &parcels[1])));
}

#[test]
fn a_digest_of_something_else_is_given_up_in_one_frame() {
    let mut lone = comparing();
    lone.give(Input::SketchCompared(Compared::Differs { missing: vec![], common: Digest { count: 200, sum: 9 } }));
    assert!(matches!(lone.take_frame().1, Kind::Missing(Missing { give_up: true, .. })));
    lone.receive(offer(1, &some_ids(1)));
    assert!(matches!(lone.take_all()[..], [Output::CheckReleases { first: 1, .. }]));
}

/// What is added to a number must not overflow: it ends the session's task.
#[test]
fn numbers_that_there_are_not() {
    for through in [INDEX_MAX + 1, u64::MAX - 10, u64::MAX] {
        check_closes(holding(), Kind::Reconcile(sketch(through, 1)));
    }
    let longest = || {
        let mut lone = holding();
        lone.receive(Kind::Reconcile(sketch(INDEX_MAX, 1)));
        assert!(matches!(lone.take_all()[..], [Output::CompareSketch { .. }]));
        lone
    };
    for first in [INDEX_MAX + 1, u64::MAX - 2, u64::MAX] {
        check_closes(longest(), offer(first, &some_ids(3)));
        check_closes(longest(), Kind::Manifest(manifest(first, &theirs(1))));
        check_closes(holding(), offer(first, &some_ids(3)));
        check_closes(holding(), Kind::Manifest(manifest(first, &theirs(1))));
    }
}

/// Offers in place of what was named are a source's way to say that it knows no such short id; not once it sent some.
#[test]
fn offers_of_what_was_sketched() {
    let mut lone = lacking(&[theirs(1), theirs(2)]);
    lone.receive(offer(1, &some_ids(2)));
    assert!(matches!(lone.take_all()[..], [Output::CheckReleases { .. }]));
    let mut lone = lacking(&[theirs(1), theirs(2)]);
    lone.receive(Kind::Manifest(manifest(5, &theirs(1))));
    lone.take_all();
    check_closes(lone, offer(1, &some_ids(2)));
}

#[test]
fn answers_of_comparisons_that_nobody_asked_for_have_no_effect() {
    for mut lone in [holding(), lacking(&[theirs(1)])] {
        lone.give(Input::SketchCompared(Compared::Undecided { cells: 9 }));
        lone.give(Input::SketchCompared(Compared::Differs { missing: vec![1], common: Digest::default() }));
        assert!(lone.take_all().is_empty());
    }
}

/// A session that has sent a peer which has 190 of ours the first cells of a sketch of 200.
fn sketching() -> Lone {
    let mut lone = Lone::new();
    lone.receive(Kind::Hello(Hello { held: 190, ..hello() }));
    let mut lone = lone.start(200);
    assert!(lone.take_all().is_empty());
    lone.give(Input::JournalSettled { head: 200 });
    let outputs = lone.take_all();
    let [Output::OpenSketch { cells: 32, .. }] = outputs[..] else { panic!("{outputs:?}") };
    let cells = vec![Cell::default(); 32];
    lone.give(Input::SketchOpened { through: 200, chain: Chain::START, digest: Digest::default(), cells });
    assert!(matches!(lone.take_frame().1, Kind::Reconcile(Reconcile { through: 200, .. })));
    lone
}

fn want_cells(from: u64, count: u32) -> Kind {
    Kind::WantCells(WantCells { from, count })
}

fn missing(shorts: usize, last: bool) -> Kind {
    let shorts = (0..shorts as u64).flat_map(u64::to_be_bytes).collect();
    Kind::Missing(Missing { shorts, last, give_up: false })
}

fn give_up() -> Kind {
    Kind::Missing(Missing { give_up: true, ..Missing::default() })
}

/// A session whose peer has named one entry, which is being read.
fn named() -> Lone {
    let mut lone = sketching();
    lone.receive(missing(1, true));
    assert!(matches!(lone.take_all()[..], [Output::FindMarks { .. }]));
    lone.give(Input::MarksFound { indexes: vec![Some(7)] });
    assert!(matches!(&lone.take_all()[..], [Output::ReadEntries { indexes }] if *indexes == [7]));
    lone
}

#[test]
fn answers_to_no_sketch() {
    for frame in [want_cells(0, 1), missing(0, true), missing(1, true), give_up()] {
        check_closes(Lone::started(200), frame);
    }
}

#[test]
fn cells_wanted_out_of_turn() {
    let all = u32::try_from(CELLS_WANT_MAX).unwrap();
    for (from, count) in [(0, 5), (31, 5), (33, 5), (u64::MAX, 5), (32, 0), (32, all + 1), (32, u32::MAX)] {
        check_closes(sketching(), want_cells(from, count));
    }
    let mut lone = sketching();
    lone.receive(want_cells(32, all));
    assert!(matches!(lone.take_all()[..], [Output::ReadCells { from: 32, count: CELLS_WANT_MAX }]));
    for frame in [want_cells(32, 5), want_cells(u64::from(all) + 32, 5), missing(1, true), give_up()] {
        let mut lone = sketching();
        lone.receive(want_cells(32, all));
        lone.take_all();
        check_closes(lone, frame);
    }
    check_closes(named(), want_cells(32, 5));
}

#[test]
fn no_peer_gets_more_cells_than_there_are() {
    let mut lone = sketching();
    let mut from = 32;
    while from + CELLS_WANT_MAX <= CELLS_MAX {
        lone.receive(want_cells(from as u64, u32::try_from(CELLS_WANT_MAX).unwrap()));
        lone.give(Input::CellsRead { cells: vec![Cell::default(); CELLS_WANT_MAX] });
        from += CELLS_WANT_MAX;
        lone.take_all();
    }
    let rest = u32::try_from(CELLS_MAX - from).unwrap();
    check_closes(lone, want_cells(from as u64, rest + 1));
}

#[test]
fn short_ids_out_of_turn() {
    check_closes(sketching(), missing(33, true));
    check_closes(sketching(), missing(1, false));
    check_closes(sketching(), missing(SHORTS_FRAME_MAX + 1, true));
    check_closes(sketching(), Kind::Missing(Missing { shorts: vec![0; 12].into(), last: true, give_up: false }));
    let mut twice = sketching();
    twice.receive(missing(1, true));
    twice.take_all();
    check_closes(twice, missing(1, true));
    check_closes(named(), missing(1, true));
    check_closes(named(), give_up());
}

#[test]
fn the_same_short_id_twice() {
    let mut lone = sketching();
    lone.receive(missing(2, true));
    lone.take_all();
    lone.give(Input::MarksFound { indexes: vec![Some(7), Some(7)] });
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn a_short_id_out_of_nothing_leads_to_a_list() {
    let mut lone = sketching();
    lone.receive(missing(2, true));
    lone.take_all();
    lone.give(Input::MarksFound { indexes: vec![Some(7), None] });
    let outputs = lone.take_all();
    let [Output::ReadEntries { indexes }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(*indexes, (1..=200).collect::<Vec<_>>());
    check_closes(lone, give_up());
}

#[test]
fn a_sketch_is_given_up_once_and_the_list_is_bounded() {
    let mut lone = sketching();
    lone.receive(give_up());
    assert!(matches!(lone.take_all()[..], [Output::ReadEntries { .. }]));
    lone.give(Input::EntriesRead { ids: some_ids(200) });
    let outputs = lone.take_all();
    assert!(matches!(outputs[..], [Output::Send { .. }]), "{outputs:?}");
    assert_eq!(lone.session.in_flight().entries_out, 200);
    check_closes(lone, give_up());
}

/// What stands behind the sketch could arrive before it on another stream.
#[test]
fn nothing_behind_the_sketch_but_what_is_prompt_goes_before_the_peer_has_answered() {
    let mut lone = sketching();
    lone.give(Input::JournalGrew { head: 201 });
    assert!(matches!(lone.take_all()[..], [Output::ReadTail { after: 200, .. }]));
    lone.give(Input::TailRead { through: 201, entries: Vec::new() });
    assert!(lone.take_all().is_empty());
    lone.receive(want_cells(32, 5));
    let outputs = lone.take_all();
    assert!(matches!(outputs[..], [Output::ReadCells { .. }, Output::ReadJournal { after: 200, .. }]), "{outputs:?}");
}

#[test]
fn a_peer_that_answers_nothing_is_left() {
    let mut lone = sketching();
    lone.now += mithaq_sync::STALL_TIMEOUT * 2;
    lone.give(Input::Tick);
    lone.assert_closed(Code::MISBEHAVED);
}
