//! Peers that do not keep to the protocol, or keep to it and lie.

use bytes::{Bytes, BytesMut};
use mithaq_core::{id::ReleaseId, receipt::Status};
use mithaq_sync::{
    Chain, Cursor, Input,
    sketch::{CELL_BYTES, Cell, Compared, Digest},
    wire::{Frame, Kind, frame_length},
};

use crate::cast::{Rng, decode};

/// What is wrong with a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vice {
    /// It takes everything and acknowledges nothing.
    Mute,
    /// It acknowledges what it never stored.
    Braggart,
    /// It offers and never delivers.
    Hoarder,
    /// What it says that it has is made up.
    Liar,
    /// Its cursors are made up.
    Forger,
    /// It passes everything on to everyone, whatever was agreed.
    Gossip,
    /// It says some things twice.
    Echo,
    /// Bits flip in what it sends.
    Garbler,
    /// Its sketches leave out the newest of what it has; all else that it says of its journals is true.
    Omitter,
    /// Its sketches, and what it finds in them, are made up, as is how much it holds.
    Muddler,
    /// What it says that a sketch shows it to lack is made up, as is how much it holds.
    Grasper,
}

impl Vice {
    /// Each of them.
    pub(crate) const ALL: [Self; 11] = [
        Self::Mute,
        Self::Braggart,
        Self::Hoarder,
        Self::Liar,
        Self::Forger,
        Self::Gossip,
        Self::Echo,
        Self::Garbler,
        Self::Omitter,
        Self::Muddler,
        Self::Grasper,
    ];

    /// Whether what it sends as its journal, its chain and what of it may not go, is that.
    pub(crate) fn has_honest_journals(self) -> bool {
        self == Self::Omitter
    }

    /// What it tells its own session in place of the truth; nothing at all to keep it waiting.
    pub(crate) fn distort(self, input: Input, rng: &mut Rng) -> Option<Input> {
        match (self, input) {
            (Self::Mute, Input::Stored { .. }) => None,
            (Self::Hoarder, Input::ReleaseLoaded { .. }) if rng.below(2) == 0 => None,
            (Self::Hoarder, Input::BodiesLoaded { .. }) => None,
            (Self::Liar, Input::ReleasesKnown { first, known }) => {
                Some(Input::ReleasesKnown { first, known: made_up(known.len(), rng) })
            }
            (Self::Liar, Input::ReleasesFound { mut found }) => {
                found.iter_mut().for_each(|(_, release)| *release = other_release(*release, rng));
                Some(Input::ReleasesFound { found })
            }
            (Self::Liar, Input::BodiesHeld { index, held }) => {
                let held = held.into_iter().map(|held| held.filter(|_| rng.below(2) == 0)).collect();
                Some(Input::BodiesHeld { index, held })
            }
            (Self::Muddler, input) => Some(muddle(input, rng)),
            (Self::Grasper, Input::SketchCompared(compared)) => Some(Input::SketchCompared(grasp(compared, rng))),
            (_, input) => Some(input),
        }
    }

    /// How much of ours its hello says that it holds.
    pub(crate) fn held(self, held: u64, rng: &mut Rng) -> u64 {
        let is_made_up = matches!(self, Self::Muddler | Self::Grasper) && rng.below(2) == 0;
        if is_made_up { rng.pick(&[0, 1, 100, 1_000_000, u64::MAX]) } else { held }
    }

    /// What goes out in place of a frame.
    pub(crate) fn garble(self, frame: Bytes, rng: &mut Rng) -> Vec<Bytes> {
        match self {
            Self::Echo if rng.below(20) == 0 => vec![frame.clone(), frame],
            Self::Garbler if rng.below(8) == 0 => vec![flip(&frame, rng)],
            Self::Liar if rng.below(4) == 0 => vec![lie(frame, rng)],
            _ => vec![frame],
        }
    }

    /// The cursor of its hello.
    pub(crate) fn cursor(self, cursor: Option<Cursor>, rng: &mut Rng) -> Option<Cursor> {
        let (Self::Forger, Some(cursor)) = (self, cursor) else { return cursor };
        match rng.below(3) {
            0 => None,
            1 => Some(Cursor { index: rng.next(), ..cursor }),
            _ => Some(Cursor { chain: Chain::from_bytes([7; 32]), ..cursor }),
        }
    }

    /// What it says of entries that it was to store, without storing them.
    pub(crate) fn brag(self, index: u64) -> Option<Input> {
        (self == Self::Braggart).then(|| Input::Stored { entries: vec![(index, Status::Received)] })
    }
}

fn made_up(count: usize, rng: &mut Rng) -> Vec<bool> {
    (0..count).map(|_| rng.below(2) == 0).collect()
}

/// Makes up whether a release is held, and which.
fn other_release(release: Option<ReleaseId>, rng: &mut Rng) -> Option<ReleaseId> {
    let made_up = [rng.next().to_be_bytes(); 4].concat().try_into().unwrap();
    rng.pick(&[None, release, Some(ReleaseId::from_bytes(made_up))])
}

/// Makes something else of what is offered lazily, and of what is told to be the same.
fn lie(frame: Bytes, rng: &mut Rng) -> Bytes {
    let mut kind = decode(&frame);
    match &mut kind {
        Kind::LazyOffer(offer) if rng.below(2) == 0 => {
            offer.entries[0] = offer.entries[0].wrapping_add(rng.pick(&[-1, 1, 9, i64::MAX]));
        }
        Kind::LazyOffer(offer) => offer.briefs = offer.briefs.iter().rev().copied().collect(),
        Kind::Twins(twins) if rng.below(2) == 0 => twins.offered.extend_from_within(..1),
        Kind::Twins(twins) => twins.own = twins.own.iter().map(|step| step + rng.pick(&[-1, 0, 1, 5_000])).collect(),
        _ => return frame,
    }
    Frame::encode_with_length(kind)
}

/// Makes something else of what a sketch of its own journal is, and of what it finds in that.
fn muddle(input: Input, rng: &mut Rng) -> Input {
    match input {
        Input::SketchOpened { through, chain, digest, cells } => {
            let count = cells.len();
            match rng.below(5) {
                0 => Input::SketchOpened { through, chain, digest, cells: cells_made_up(count, rng) },
                1 => Input::SketchOpened { through, chain, digest: Digest { sum: rng.next(), ..digest }, cells },
                2 => Input::SketchOpened { through, chain: Chain::from_bytes([9; 32]), digest, cells },
                3 => Input::SketchOpened { through: through + rng.below(9), chain, digest, cells },
                _ => Input::SketchOpened { through, chain, digest, cells: cells[..rng.size(count + 1)].to_vec() },
            }
        }
        Input::CellsRead { cells } if rng.below(2) == 0 => Input::CellsRead { cells: cells_made_up(cells.len(), rng) },
        Input::MarksFound { mut indexes } => {
            indexes.iter_mut().for_each(|index| {
                *index = if rng.below(9) == 0 { rng.pick(&[None, Some(1), Some(7), *index]) } else { *index };
            });
            Input::MarksFound { indexes }
        }
        Input::EntriesRead { mut ids } => {
            let most = ids.len().min(2);
            ids.rotate_left(rng.size(most + 1));
            Input::EntriesRead { ids }
        }
        input => input,
    }
}

fn cells_made_up(count: usize, rng: &mut Rng) -> Vec<Cell> {
    let bytes: Vec<u8> = (0..CELL_BYTES * count).map(|_| rng.next().to_le_bytes()[0]).collect();
    Cell::read_all(&bytes).unwrap()
}

/// Makes something else of what a peer's sketch has shown.
fn grasp(compared: Compared, rng: &mut Rng) -> Compared {
    let Compared::Differs { mut missing, mut common } = compared else {
        return Compared::Undecided { cells: rng.pick(&[0, 40, 5_000, usize::MAX]) };
    };
    match rng.below(4) {
        0 => missing.extend((0..1 + rng.below(5)).map(|_| rng.next())),
        1 => missing.truncate(missing.len() / 2),
        2 => return Compared::Undecided { cells: rng.pick(&[0, 40, 5_000, usize::MAX]) },
        _ => {}
    }
    common.count = common.count.wrapping_sub(rng.below(3));
    Compared::Differs { missing, common }
}

/// Flips one bit behind the frame's length.
fn flip(frame: &Bytes, rng: &mut Rng) -> Bytes {
    let (skip, length) = frame_length(frame).unwrap().unwrap();
    let mut bytes = BytesMut::from(&frame[..]);
    if length > 0 {
        bytes[skip + rng.size(length)] ^= 1 << rng.below(8);
    }
    bytes.freeze()
}
