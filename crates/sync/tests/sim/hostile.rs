//! Peers that do not keep to the protocol, or keep to it and lie.

use bytes::{Bytes, BytesMut};
use mithaq_core::receipt::Status;
use mithaq_sync::{Chain, Cursor, Input, wire::frame_length};

use crate::cast::Rng;

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
}

impl Vice {
    /// Each of them.
    pub(crate) const ALL: [Self; 8] =
        [Self::Mute, Self::Braggart, Self::Hoarder, Self::Liar, Self::Forger, Self::Gossip, Self::Echo, Self::Garbler];

    /// What it tells its own session in place of the truth; nothing at all to keep it waiting.
    pub(crate) fn distort(self, input: Input, rng: &mut Rng) -> Option<Input> {
        match (self, input) {
            (Self::Mute, Input::Stored { .. }) => None,
            (Self::Hoarder, Input::ReleaseLoaded { .. }) if rng.below(2) == 0 => None,
            (Self::Hoarder, Input::BodiesLoaded { .. }) => None,
            (Self::Liar, Input::ReleasesKnown { first, known }) => {
                Some(Input::ReleasesKnown { first, known: made_up(known.len(), rng) })
            }
            (Self::Liar, Input::BodiesHeld { index, held }) => {
                Some(Input::BodiesHeld { index, held: made_up(held.len(), rng) })
            }
            (_, input) => Some(input),
        }
    }

    /// What goes out in place of a frame.
    pub(crate) fn garble(self, frame: Bytes, rng: &mut Rng) -> Vec<Bytes> {
        match self {
            Self::Echo if rng.below(20) == 0 => vec![frame.clone(), frame],
            Self::Garbler if rng.below(8) == 0 => vec![flip(&frame, rng)],
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

/// Flips one bit behind the frame's length.
fn flip(frame: &Bytes, rng: &mut Rng) -> Bytes {
    let (skip, length) = frame_length(frame).unwrap().unwrap();
    let mut bytes = BytesMut::from(&frame[..]);
    if length > 0 {
        bytes[skip + rng.size(length)] ^= 1 << rng.below(8);
    }
    bytes.freeze()
}
