//! Runs: a backlog is packed with one memory, which ends with it, and what is no honest run is refused.

use bytes::Bytes;
use mithaq_core::code::Code;
use mithaq_sync::{
    Channel, DICTIONARY, GROUP_BYTES_MAX, Input, RUN_WINDOW_BYTES,
    wire::{Bodies, Kind, Manifest, Rest},
};
use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer};

use crate::{
    fixtures::{Parcel, cert, parcel_of},
    hostile_source::three,
    lone::{Lone, group, manifest},
    pair::{Pair, World},
};

/// A run of another make, without a dictionary.
#[derive(Default)]
pub(crate) struct Pieces(Option<CCtx<'static>>);

impl Pieces {
    /// A manifest as a piece.
    pub(crate) fn manifest(&mut self, sent: Manifest) -> Manifest {
        let size = u32::try_from(sent.manifest.len()).unwrap();
        Manifest { manifest: self.piece(&sent.manifest), size, ..sent }
    }

    /// Bodies as a piece.
    pub(crate) fn bodies(&mut self, index: u64, bodies: &[Vec<u8>]) -> Bodies {
        let member = |body: &Vec<u8>| [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat();
        let raw = bodies.iter().map(member).collect::<Vec<_>>().concat();
        Bodies { index, group: self.piece(&raw), size: u32::try_from(raw.len()).unwrap(), ..Bodies::default() }
    }

    /// A run that begins with the dictionary, which its first piece is to name.
    pub(crate) fn with_dictionary() -> Self {
        let mut pieces = Self::default();
        pieces.begin().ref_prefix(DICTIONARY).unwrap();
        pieces
    }

    fn begin(&mut self) -> &mut CCtx<'static> {
        self.0.get_or_insert_with(|| {
            let mut context = CCtx::create();
            context.set_parameter(CParameter::WindowLog(RUN_WINDOW_BYTES.ilog2())).unwrap();
            context.set_parameter(CParameter::DictIdFlag(false)).unwrap();
            context
        })
    }

    fn piece(&mut self, raw: &[u8]) -> Bytes {
        let context = self.begin();
        let mut piece = Vec::with_capacity(2 * raw.len() + 100);
        let mut output = OutBuffer::around(&mut piece);
        context.compress_stream(&mut output, &mut InBuffer::around(raw)).unwrap();
        assert_eq!(context.flush_stream(&mut output), Ok(0));
        piece.into()
    }
}

impl Pieces {
    fn of(mut self, parcel: &Parcel) -> Vec<Kind> {
        let first = self.manifest(manifest(1, parcel));
        vec![Kind::Manifest(first), Kind::Bodies(self.bodies(1, &parcel.bodies))]
    }
}

/// A pair of which the first side has so many releases of as many objects.
fn backlog(releases: u64, objects: u64) -> Pair {
    let mut pair = Pair::new(World::default());
    for number in 0..releases {
        let parcel = parcel_of(&pair.nodes[0].cert, number * objects, objects, 400);
        pair.push(0, &parcel);
    }
    pair
}

/// What goes on the backfill stream of the first side in a session: how many pieces, of which that many begin a run,
/// and how many ends of runs; the last of all frames on it is one.
fn check_runs(pair: &Pair, pieces: usize, begun: usize, ended: usize) {
    let frames: Vec<_> =
        pair.nodes[0].sent.packed.iter().filter(|(channel, _)| *channel == Channel::Backfill).collect();
    let (mut found, mut dictionaries, mut rests) = (0, 0, 0);
    for (_, kind) in &frames {
        match kind {
            Kind::Manifest(Manifest { size: 1.., dictionary, .. })
            | Kind::Bodies(Bodies { size: 1.., dictionary, .. }) => {
                found += 1;
                dictionaries += usize::from(!dictionary.is_empty());
            }
            Kind::Rest(_) => rests += 1,
            other => panic!("{other:?} on the backfill stream"),
        }
    }
    assert_eq!((found, dictionaries, rests), (pieces, begun, ended));
    assert!(ended == 0 || matches!(frames.last(), Some((_, Kind::Rest(_)))));
}

#[test]
fn a_backlog_is_one_run_that_ends_with_it() {
    let mut pair = backlog(30, 5);
    pair.connect();
    pair.run();
    pair.assert_converged();
    check_runs(&pair, 60, 1, 1);
    // What is fresh and small needs none; what is large begins another.
    let (small, large) = (parcel_of(&cert(1), 900, 2, 400), parcel_of(&cert(1), 1_000, 300, 400));
    pair.push(0, &small);
    pair.run();
    check_runs(&pair, 60, 1, 1);
    pair.push(0, &large);
    pair.run();
    pair.assert_converged();
    check_runs(&pair, 62, 2, 2);
}

#[test]
fn nothing_is_said_of_runs_where_nothing_lacks() {
    let mut pair = backlog(3, 1);
    pair.connect();
    pair.run();
    pair.cut();
    pair.connect();
    pair.run();
    check_runs(&pair, 0, 0, 0);
}

#[test]
fn a_run_ends_with_its_session() {
    let mut pair = backlog(300, 2);
    pair.connect();
    while pair.nodes[1].store.releases.len() < 100 {
        assert!(pair.step());
    }
    let began = |pair: &Pair| pair.nodes[0].sent.packed.iter().filter(|(_, kind)| is_first(kind)).count();
    assert_eq!(began(&pair), 1);
    pair.cut();
    pair.connect();
    pair.run();
    pair.assert_converged();
    assert_eq!(began(&pair), 1, "what the peer has lost is not built upon");
}

/// Whether a frame is the first piece of a run.
fn is_first(kind: &Kind) -> bool {
    let (Kind::Manifest(Manifest { dictionary, .. }) | Kind::Bodies(Bodies { dictionary, .. })) = kind else {
        return false;
    };
    !dictionary.is_empty()
}

#[test]
fn a_backlog_of_many_releases_costs_little_more_than_one_release() {
    let bytes = |releases, objects| {
        let mut pair = backlog(releases, objects);
        pair.connect();
        pair.run();
        pair.assert_converged();
        pair.nodes[0].sent.bytes[&Channel::Backfill]
    };
    let (one, many) = (bytes(1, 400), bytes(40, 10));
    // A release's signature and tree hash can be told in no fewer bytes.
    assert!(many < one + 39 * 250, "{one} and {many}");
}

fn check_closes(frames: impl IntoIterator<Item = Kind>) {
    let mut lone = Lone::started(0);
    for frame in frames {
        if matches!(frame, Kind::Bodies(_)) {
            lone.give(Input::BodiesHeld { index: 1, held: vec![None; 3] });
        }
        lone.take_all();
        lone.receive(frame);
    }
    lone.assert_closed(Code::MISBEHAVED);
}

#[test]
fn a_run_of_another_make_is_read() {
    let mut pieces = Pieces::default();
    let mut lone = Lone::started(0);
    for number in 1..4 {
        let parcel = parcel_of(&cert(2), 10 * number, 3, 400);
        lone.receive(Kind::Manifest(pieces.manifest(manifest(number, &parcel))));
        lone.give(Input::BodiesHeld { index: number, held: vec![None; 3] });
        lone.take_all();
        lone.receive(Kind::Bodies(pieces.bodies(number, &parcel.bodies)));
        assert!(matches!(lone.take_all()[..], [mithaq_sync::Output::Store { .. }]));
        if number == 2 {
            lone.receive(Kind::Rest(Rest {}));
            pieces = Pieces::default();
        }
    }
}

#[test]
fn the_end_of_what_was_not_begun() {
    check_closes([Kind::Rest(Rest {})]);
    let mut frames = Pieces::default().of(&three());
    frames.extend([Kind::Rest(Rest {}), Kind::Rest(Rest {})]);
    check_closes(frames);
}

#[test]
fn a_piece_after_the_end_of_its_run() {
    let mut frames = Pieces::default().of(&three());
    frames.insert(1, Kind::Rest(Rest {}));
    check_closes(frames);
}

#[test]
fn pieces_that_do_not_hold_what_they_state() {
    let honest = Pieces::default().manifest(manifest(1, &three()));
    for size in [1, honest.size - 1, honest.size + 1, 20_000, u32::MAX] {
        check_closes([Kind::Manifest(Manifest { size, ..honest.clone() })]);
    }
    let cut = honest.manifest.slice(..honest.manifest.len() - 1);
    check_closes([Kind::Manifest(Manifest { manifest: cut, ..honest })]);
    let mut pieces = Pieces::default();
    let first = Kind::Manifest(pieces.manifest(manifest(1, &three())));
    let group = pieces.bodies(1, &three().bodies);
    for size in [group.size - 1, group.size + 1, u32::try_from(GROUP_BYTES_MAX).unwrap() + 1] {
        check_closes([first.clone(), Kind::Bodies(Bodies { size, ..group.clone() })]);
    }
    check_closes([first.clone(), Kind::Bodies(Pieces::default().bodies(1, &[vec![0; 64 << 20]]))]);
    // A piece of no bodies, of one that is cut, and of one that is not next.
    check_closes([first.clone(), Kind::Bodies(Bodies { size: 4, ..pieces.bodies(1, &[]) })]);
    let mut pieces = Pieces::default();
    let first = Kind::Manifest(pieces.manifest(manifest(1, &three())));
    let group = Bodies { index: 1, group: pieces.piece(&[0, 0, 0, 9, 1]), size: 5, ..Bodies::default() };
    check_closes([first, Kind::Bodies(group)]);
}

#[test]
fn a_piece_with_bodies_beside_it() {
    let parcel = three();
    let piece = Pieces::default().manifest(manifest(1, &parcel));
    check_closes([Kind::Manifest(Manifest { bodies: group(&parcel.bodies), ..piece })]);
}

#[test]
fn a_dictionary_that_nobody_listed_or_within_a_run() {
    let dictionary = Bytes::from_static(b"another.");
    let piece = Pieces::default().manifest(manifest(1, &three()));
    check_closes([Kind::Manifest(Manifest { dictionary, ..piece })]);
    let ours = Bytes::copy_from_slice(&mithaq_core::id::sha256(DICTIONARY)[..8]);
    let mut pieces = Pieces::default();
    let first = Kind::Manifest(pieces.manifest(manifest(1, &three())));
    let second = Bodies { dictionary: ours, ..pieces.bodies(1, &three().bodies) };
    check_closes([first, Kind::Bodies(second)]);
}

#[test]
fn a_window_over_the_limit() {
    let mut context = CCtx::create();
    context.set_parameter(CParameter::WindowLog(RUN_WINDOW_BYTES.ilog2() + 1)).unwrap();
    let mut large = Pieces(Some(context));
    check_closes([Kind::Manifest(large.manifest(manifest(1, &three())))]);
}
