//! What the bytes of a session are for, so that operators see what a link carries.

use std::ops::{Add, AddAssign};

use prost::decode_length_delimiter;

use crate::wire::kind_of;

/// What bytes are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Finding out what the other side lacks: hello, reconciliation, offers, wants.
    Control,
    /// Manifests with their signatures and the prefixes of content ids, and the cards of their origins.
    Manifests,
    /// Bodies.
    Bodies,
    /// Acknowledgements and receipts.
    Receipts,
    /// Cards, checkpoints, terminations, consents.
    Documents,
}

impl Purpose {
    /// All purposes.
    pub const ALL: [Self; 5] = [Self::Control, Self::Manifests, Self::Bodies, Self::Receipts, Self::Documents];

    /// Its name in `status` and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Manifests => "manifests",
            Self::Bodies => "bodies",
            Self::Receipts => "receipts",
            Self::Documents => "documents",
        }
    }
}

/// Bytes of frames by purpose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally([u64; Purpose::ALL.len()]);

/// The field of a frame that holds its manifest, its bodies, its acknowledgement, its document.
const MANIFEST: u16 = 5;
const BODIES: u16 = 8;
const ACK: u16 = 9;
const DOCUMENT: u16 = 10;

/// The field of a manifest that holds bodies, which travel with it when they are small.
const INLINE_BODIES: u8 = 5;

impl Tally {
    /// Bytes of one purpose.
    #[must_use]
    pub fn bytes(&self, purpose: Purpose) -> u64 {
        self.0[purpose as usize]
    }

    /// Counts a frame whose length was taken off; the length counts with it. A frame that makes no sense counts as
    /// control.
    pub fn count(&mut self, frame: &[u8]) {
        let whole = (prost::length_delimiter_len(frame.len()) + frame.len()) as u64;
        let (purpose, inline) = match kind_of(frame) {
            Some((MANIFEST, message)) => (Purpose::Manifests, inline_bodies(message).unwrap_or(0)),
            Some((BODIES, _)) => (Purpose::Bodies, 0),
            Some((ACK, _)) => (Purpose::Receipts, 0),
            Some((DOCUMENT, _)) => (Purpose::Documents, 0),
            _ => (Purpose::Control, 0),
        };
        self.0[purpose as usize] += whole - inline;
        self.0[Purpose::Bodies as usize] += inline;
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        for (bytes, more) in self.0.iter_mut().zip(other.0) {
            *bytes += more;
        }
    }
}

/// How many bytes of bodies a frame with a manifest holds, of which this stands behind the key.
fn inline_bodies(mut message: &[u8]) -> Option<u64> {
    decode_length_delimiter(&mut message).ok()?;
    while let Some((key, rest)) = message.split_first() {
        message = rest;
        // A number's varint reads as a length does; 2 is a field with its length before it.
        let value = decode_length_delimiter(&mut message).ok()?;
        match (key >> 3, key & 7) {
            (INLINE_BODIES, 2) => return u64::try_from(value.min(message.len())).ok(),
            (_, 2) => message = message.get(value..)?,
            (_, 0) => {}
            _ => return None,
        }
    }
    Some(0)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::wire::{Ack, Bodies, Document, Frame, Gone, Kind, Manifest, frame_length};

    /// Counts a frame and expects all of its bytes, `elsewhere` under bodies and the rest under one purpose.
    fn check(kind: Kind, purpose: Purpose, elsewhere: u64) {
        let frame = Frame::encode_with_length(kind);
        let (skip, _) = frame_length(&frame).unwrap().unwrap();
        let mut tally = Tally::default();
        tally.count(&frame[skip..]);
        let bodies = if purpose == Purpose::Bodies { 0 } else { tally.bytes(Purpose::Bodies) };
        assert_eq!((tally.bytes(purpose), bodies), (frame.len() as u64 - elsewhere, elsewhere));
    }

    #[test]
    fn frames_are_counted_by_what_they_are_for() {
        let bytes = |length: usize| Bytes::from(vec![7; length]);
        check(Kind::Gone(Gone { index: 3, id: bytes(32) }), Purpose::Control, 0);
        check(Kind::Bodies(Bodies { index: 300, group: bytes(5_000), ..Bodies::default() }), Purpose::Bodies, 0);
        check(Kind::Ack(Ack { indexes: vec![1, 2], ..Ack::default() }), Purpose::Receipts, 0);
        check(Kind::Document(Document { kind: 1, body: bytes(9) }), Purpose::Documents, 0);
        let manifest = Manifest { index: 70_000, manifest: bytes(500), contents: bytes(64), ..Manifest::default() };
        check(Kind::Manifest(manifest.clone()), Purpose::Manifests, 0);
        check(Kind::Manifest(Manifest { bodies: bytes(700), ..manifest }), Purpose::Manifests, 700);
    }

    #[test]
    fn what_makes_no_sense_is_counted_all_the_same() {
        for frame in [&[][..], &[0xff], &[0x2a], &[0x2a, 3, 0x2a, 0x80, 0x80], &[0x2a, 2, 0x2b, 1]] {
            let mut tally = Tally::default();
            tally.count(frame);
            let all: u64 = Purpose::ALL.iter().map(|purpose| tally.bytes(*purpose)).sum();
            assert_eq!(all, frame.len() as u64 + 1, "{frame:?}");
        }
    }

    #[test]
    fn tallies_add_up() {
        let mut one = Tally::default();
        one.count(&[0x4a, 0]);
        assert_eq!((one + one).bytes(Purpose::Receipts), 6);
    }
}
