//! Frames as they travel: protobuf, each preceded by its length as a varint.
//!
//! `docs/PROTOCOL.md` gives the same messages as a `.proto` file; field numbers are a promise.

mod lazy;

use bytes::Bytes;
use mithaq_core::{
    id::{ContentId, ContentPrefix},
    release::RELEASE_OBJECTS_MAX,
};
use prost::Message;

pub use self::lazy::{LazyOffer, Twins};

use crate::{
    fault::Fault,
    limits::{CELLS_FRAME_MAX, CONTROL_FRAME_BYTES_MAX, DOCUMENT_FRAME_BYTES_MAX, FRAME_BYTES_MAX},
    sketch::Cell,
};

/// One frame.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Frame {
    /// What it says.
    #[prost(oneof = "Kind", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18")]
    pub kind: Option<Kind>,
}

/// What a frame says.
#[derive(Clone, PartialEq, Eq, prost::Oneof)]
pub enum Kind {
    /// The first frame of each side.
    #[prost(message, tag = "1")]
    Hello(Hello),
    /// Where the source's journal goes on.
    #[prost(message, tag = "2")]
    Start(Start),
    /// Entries of the source's journal.
    #[prost(message, tag = "3")]
    Offer(Offer),
    /// Which offered releases the sink lacks.
    #[prost(message, tag = "4")]
    Want(Want),
    /// A release without its bodies, or with them if they are small.
    #[prost(message, tag = "5")]
    Manifest(Manifest),
    /// A release that was offered and may no longer go.
    #[prost(message, tag = "6")]
    Gone(Gone),
    /// Which bodies of a release the sink lacks.
    #[prost(message, tag = "7")]
    WantBodies(WantBodies),
    /// Bodies of a release.
    #[prost(message, tag = "8")]
    Bodies(Bodies),
    /// Entries that the sink is done with.
    #[prost(message, tag = "9")]
    Ack(Ack),
    /// Something signed that is no release.
    #[prost(message, tag = "10")]
    Document(Document),
    /// A sketch of the source's journal, in place of offers from its start.
    #[prost(message, tag = "11")]
    Reconcile(Reconcile),
    /// More of that sketch.
    #[prost(message, tag = "12")]
    Cells(Cells),
    /// How much more of the sketch the sink takes.
    #[prost(message, tag = "13")]
    WantCells(WantCells),
    /// Which releases of the sketched journal the sink lacks.
    #[prost(message, tag = "14")]
    Missing(Missing),
    /// How the sink takes the fresh releases of a third origin.
    #[prost(message, tag = "15")]
    Tree(Tree),
    /// The source has sent all of its backlog, and its run is over.
    #[prost(message, tag = "16")]
    Rest(Rest),
    /// Entries of the source's journal that the sink gets elsewhere.
    #[prost(message, tag = "17")]
    LazyOffer(LazyOffer),
    /// Such entries that the sink has, and what they are in its own journal.
    #[prost(message, tag = "18")]
    Twins(Twins),
}

/// The first frame of each side, on the control stream.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Hello {
    /// The version of the protocol.
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
    /// The agreement's id, 32 bytes.
    #[prost(bytes = "bytes", tag = "2")]
    pub agreement: Bytes,
    /// The sender's store, 16 bytes.
    #[prost(bytes = "bytes", tag = "3")]
    pub store: Bytes,
    /// The sender's daemon since it started, 16 random bytes.
    #[prost(bytes = "bytes", tag = "4")]
    pub instance: Bytes,
    /// The serial of the sender's card.
    #[prost(uint64, tag = "5")]
    pub card_serial: u64,
    /// The sender's cursor into the receiver's journal, 56 bytes, or empty.
    #[prost(bytes = "bytes", tag = "6")]
    pub cursor: Bytes,
    /// The most bytes of a frame that the sender takes.
    #[prost(uint64, tag = "7")]
    pub frame_bytes_max: u64,
    /// The most canonical bytes of bodies that the sender takes before it acknowledges.
    #[prost(uint64, tag = "8")]
    pub window_bytes: u64,
    /// The most releases that the sender takes before it acknowledges.
    #[prost(uint64, tag = "9")]
    pub releases_open_max: u64,
    /// The serial of the receiver's card that the sender holds.
    #[prost(uint64, tag = "10")]
    pub held_card_serial: u64,
    /// How many entries the sender's ledger towards the receiver has.
    #[prost(uint64, tag = "11")]
    pub ledger_size: u64,
    /// The last checkpoint of the receiver's ledger towards the sender that the sender has accepted, 20 bytes, or
    /// empty.
    #[prost(bytes = "bytes", tag = "12")]
    pub seen: Bytes,
    /// About how many of the receiver's releases the sender has; 0 if it has none or wants them offered one by one.
    #[prost(uint64, tag = "13")]
    pub held: u64,
    /// The names of the dictionaries that the sender has, 8 bytes each.
    #[prost(bytes = "bytes", tag = "14")]
    pub dictionaries: Bytes,
    /// How many entries the sender takes beyond the window of its cursor.
    #[prost(uint64, tag = "15")]
    pub ahead_max: u64,
}

/// Where the source's journal goes on.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Start {
    /// The entry after which it goes on: the sink's cursor, or 0 if that cursor is not into this journal.
    #[prost(uint64, tag = "1")]
    pub after: u64,
}

/// Entries of the source's journal.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Offer {
    /// The number of the first.
    #[prost(uint64, tag = "1")]
    pub first: u64,
    /// Release ids, 32 bytes each.
    #[prost(bytes = "bytes", tag = "2")]
    pub ids: Bytes,
}

/// Which offered releases the sink lacks.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Want {
    /// The number of the first entry that the bitmap speaks of.
    #[prost(uint64, tag = "1")]
    pub first: u64,
    /// One bit an entry, the lowest bit first: 1 is wanted.
    #[prost(bytes = "bytes", tag = "2")]
    pub bitmap: Bytes,
    /// How many entries the bitmap speaks of.
    #[prost(uint32, tag = "3")]
    pub count: u32,
}

/// A release.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Manifest {
    /// The entry's number.
    #[prost(uint64, tag = "1")]
    pub index: u64,
    /// The manifest's canonical bytes.
    #[prost(bytes = "bytes", tag = "2")]
    pub manifest: Bytes,
    /// The signature, 64 bytes.
    #[prost(bytes = "bytes", tag = "3")]
    pub signature: Bytes,
    /// How the content ids begin, 8 bytes each, in the order of the whole ids; empty if `bodies` is not.
    #[prost(bytes = "bytes", tag = "4")]
    pub contents: Bytes,
    /// All bodies in the order of their content ids as one group, or empty.
    #[prost(bytes = "bytes", tag = "5")]
    pub bodies: Bytes,
    /// The card of the release's origin as JSON, if that is not the sender and this stream has not carried it yet.
    #[prost(bytes = "bytes", tag = "6")]
    pub card: Bytes,
    /// The name of the dictionary that `bodies` needs, or the run that begins with `manifest`; 8 bytes, or empty.
    #[prost(bytes = "bytes", tag = "7")]
    pub dictionary: Bytes,
    /// If it is not 0, `manifest` is a piece of the source's run, and unpacks to so many bytes.
    #[prost(uint32, tag = "8")]
    pub size: u32,
}

/// A release that was offered and may no longer go.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Gone {
    /// The entry's number.
    #[prost(uint64, tag = "1")]
    pub index: u64,
    /// The release's id, 32 bytes, which the journal's chain runs over.
    #[prost(bytes = "bytes", tag = "2")]
    pub id: Bytes,
}

/// Which bodies of a release the sink lacks.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WantBodies {
    /// The entry's number.
    #[prost(uint64, tag = "1")]
    pub index: u64,
    /// One bit a content id, the lowest bit first: 1 is wanted.
    #[prost(bytes = "bytes", tag = "2")]
    pub bitmap: Bytes,
}

/// Bodies of a release.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Bodies {
    /// The entry's number.
    #[prost(uint64, tag = "1")]
    pub index: u64,
    /// The next wanted bodies in the order of the content ids, as one group.
    #[prost(bytes = "bytes", tag = "2")]
    pub group: Bytes,
    /// The name of the dictionary that `group` needs, or the run that begins with it; 8 bytes, or empty.
    #[prost(bytes = "bytes", tag = "3")]
    pub dictionary: Bytes,
    /// If it is not 0, `group` is a piece of the source's run, and unpacks to so many bytes.
    #[prost(uint32, tag = "4")]
    pub size: u32,
}

/// Entries that the sink is done with. Signed, it is the receipt for releases that are durable; unsigned, it takes note
/// of entries that are gone.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Ack {
    /// The entries' numbers.
    #[prost(uint64, repeated, tag = "1")]
    pub indexes: Vec<u64>,
    /// What became of each release, one byte an entry; empty if unsigned.
    #[prost(bytes = "bytes", tag = "2")]
    pub statuses: Bytes,
    /// When it was signed, in microseconds since the Unix epoch.
    #[prost(uint64, tag = "3")]
    pub at: u64,
    /// The id of the key that signed, 32 bytes.
    #[prost(bytes = "bytes", tag = "4")]
    pub key: Bytes,
    /// The signature over the receipt, 64 bytes.
    #[prost(bytes = "bytes", tag = "5")]
    pub signature: Bytes,
}

/// Something signed that is no release: a card, a checkpoint, the end of an agreement.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Document {
    /// What it is; unknown kinds are passed over.
    #[prost(uint32, tag = "1")]
    pub kind: u32,
    /// It.
    #[prost(bytes = "bytes", tag = "2")]
    pub body: Bytes,
}

/// A sketch of the source's journal, in place of offers from its start.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Reconcile {
    /// The last entry that the sketch has.
    #[prost(uint64, tag = "1")]
    pub through: u64,
    /// The journal's chain up to it, 32 bytes.
    #[prost(bytes = "bytes", tag = "2")]
    pub chain: Bytes,
    /// The digest of the releases up to it, 16 bytes.
    #[prost(bytes = "bytes", tag = "3")]
    pub digest: Bytes,
    /// The sketch's first cells, 12 bytes each.
    #[prost(bytes = "bytes", tag = "4")]
    pub cells: Bytes,
}

/// More of a sketch.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Cells {
    /// The number of the first, from 0.
    #[prost(uint64, tag = "1")]
    pub from: u64,
    /// They, 12 bytes each.
    #[prost(bytes = "bytes", tag = "2")]
    pub cells: Bytes,
}

/// How much more of a sketch the sink takes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct WantCells {
    /// The number of the first, from 0: the one after the last that came.
    #[prost(uint64, tag = "1")]
    pub from: u64,
    /// How many.
    #[prost(uint32, tag = "2")]
    pub count: u32,
}

/// Which releases of a sketched journal the sink lacks.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Missing {
    /// Their short ids, 8 bytes each.
    #[prost(bytes = "bytes", tag = "1")]
    pub shorts: Bytes,
    /// Whether these are the last.
    #[prost(bool, tag = "2")]
    pub last: bool,
    /// The sink wants the journal offered from its start instead.
    #[prost(bool, tag = "3")]
    pub give_up: bool,
}

/// How the sink takes the fresh releases of a third origin from this source.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Tree {
    /// The origin's CertId, 32 bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub origin: Bytes,
    /// Whether they are to come unasked, which holds until the sink says otherwise; else they are offered.
    #[prost(bool, tag = "2")]
    pub eager: bool,
}

/// All of the source's backlog was sent: its run is over, and the next piece begins another.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Rest {}

impl Frame {
    /// Writes a frame with its length before it.
    #[must_use]
    pub fn encode_with_length(kind: Kind) -> Bytes {
        Self { kind: Some(kind) }.encode_length_delimited_to_vec().into()
    }

    /// Reads a frame whose length was already taken off.
    pub(crate) fn read(bytes: Bytes) -> Result<Kind, Fault> {
        check_shape(&bytes)?;
        let frame = Self::decode(bytes).map_err(|_| Fault::Misbehaved("a frame that is not protobuf"))?;
        frame.kind.ok_or(Fault::Misbehaved("a frame of an unknown kind"))
    }
}

/// The number of the field with which a frame begins, and what stands behind its key, if that is a message with its
/// length before it. A key is a varint in its shortest form: the number above the wire type, which is 2.
pub(crate) fn kind_of(frame: &[u8]) -> Option<(u16, &[u8])> {
    let (key, message) = match frame {
        [key @ 0..0x80, message @ ..] => (u16::from(*key), message),
        [low, high @ 1..0x80, message @ ..] => (u16::from(*high) << 7 | u16::from(low & 0x7f), message),
        _ => return None,
    };
    (key & 7 == 2).then_some((key >> 3, message))
}

/// Checks that a frame is one message of a known kind and nothing beside it, and not larger than its kind may be.
///
/// Protobuf would merge what comes twice and skip what is unknown; here each frame says one thing.
fn check_shape(frame: &[u8]) -> Result<(), Fault> {
    let unknown = Fault::Misbehaved("a frame of an unknown kind");
    let Some((number, mut message)) = kind_of(frame) else {
        return Err(unknown);
    };
    let bytes_max = match number {
        5 | 8 => FRAME_BYTES_MAX,
        10 => DOCUMENT_FRAME_BYTES_MAX,
        1..=9 | 11..=18 => CONTROL_FRAME_BYTES_MAX,
        _ => return Err(unknown),
    };
    if frame.len() > bytes_max {
        return Err(Fault::Misbehaved("a frame over its limit"));
    }
    if prost::decode_length_delimiter(&mut message) == Ok(message.len()) {
        Ok(())
    } else {
        Err(Fault::Misbehaved("a frame that is not one message"))
    }
}

/// Reads the length before a frame: how many bytes it takes and how long the frame is; `None` if more bytes are
/// needed to tell.
///
/// # Errors
/// When the length is malformed or over [`FRAME_BYTES_MAX`].
pub fn frame_length(start: &[u8]) -> Result<Option<(usize, usize)>, Fault> {
    let mut length = 0_usize;
    for (place, byte) in start.iter().take(4).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return if length <= FRAME_BYTES_MAX {
                Ok(Some((place + 1, length)))
            } else {
                Err(Fault::Misbehaved("a frame over its limit"))
            };
        }
    }
    if start.len() >= 4 { Err(Fault::Misbehaved("a frame over its limit")) } else { Ok(None) }
}

/// Splits a run of 32-byte ids.
pub(crate) fn ids<T>(bytes: &[u8], max: usize, make: fn([u8; 32]) -> T) -> Result<Vec<T>, Fault> {
    let (ids, rest) = bytes.as_chunks::<32>();
    if !rest.is_empty() || ids.is_empty() || ids.len() > max {
        return Err(Fault::Misbehaved("a list of ids that is empty, too long or cut"));
    }
    Ok(ids.iter().copied().map(make).collect())
}

/// Writes a run of 32-byte ids.
pub(crate) fn join_ids<'a>(ids: impl Iterator<Item = &'a [u8; 32]>) -> Bytes {
    ids.flatten().copied().collect()
}

/// Splits a run of the first bytes of content ids, which are in the order of the whole ids.
pub(crate) fn prefixes(bytes: &[u8]) -> Result<Vec<ContentPrefix>, Fault> {
    let (prefixes, rest) = bytes.as_chunks::<{ ContentPrefix::BYTES }>();
    if !rest.is_empty() || prefixes.is_empty() || prefixes.len() > RELEASE_OBJECTS_MAX || !prefixes.is_sorted() {
        return Err(Fault::Misbehaved("a list of contents that is empty, too long, cut or in another order"));
    }
    Ok(prefixes.iter().copied().map(ContentPrefix::from_bytes).collect())
}

/// Writes how content ids begin.
pub(crate) fn join_prefixes(contents: &[ContentId]) -> Bytes {
    contents.iter().flat_map(|content| *content.prefix().as_bytes()).collect()
}

/// Splits a run of at most `max` short ids.
pub(crate) fn shorts(bytes: &[u8], max: usize) -> Result<Vec<u64>, Fault> {
    let (shorts, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() || shorts.len() > max {
        return Err(Fault::Misbehaved("a list of short ids that is too long or cut"));
    }
    Ok(shorts.iter().copied().map(u64::from_be_bytes).collect())
}

/// Writes a run of short ids.
pub(crate) fn join_shorts(shorts: &[u64]) -> Bytes {
    shorts.iter().flat_map(|short| short.to_be_bytes()).collect()
}

/// Splits a run of cells, at least one and no more than a frame may have.
pub(crate) fn cells(bytes: &[u8]) -> Result<Vec<Cell>, Fault> {
    let cells = Cell::read_all(bytes).filter(|cells| !cells.is_empty() && cells.len() <= CELLS_FRAME_MAX);
    cells.ok_or(Fault::Misbehaved("a run of cells that is empty, too long or cut"))
}

/// Writes a bitmap, the lowest bit first.
pub(crate) fn bitmap(bits: &[bool]) -> Bytes {
    let byte = |bits: &[bool]| bits.iter().enumerate().fold(0_u8, |byte, (place, bit)| byte | u8::from(*bit) << place);
    bits.chunks(8).map(byte).collect()
}

/// Reads a bitmap of `count` bits; the bits behind must be 0.
pub(crate) fn bits(bitmap: &[u8], count: usize) -> Result<Vec<bool>, Fault> {
    let bit = |place: usize| bitmap.get(place / 8).is_some_and(|byte| byte >> (place % 8) & 1 == 1);
    if bitmap.len() != count.div_ceil(8) || (count..bitmap.len() * 8).any(bit) {
        return Err(Fault::Misbehaved("a bitmap of the wrong length"));
    }
    Ok((0..count).map(bit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitmaps_survive_and_are_strict() {
        let check = |text: &[bool]| assert_eq!(bits(&bitmap(text), text.len()).unwrap(), text);
        check(&[true]);
        check(&[false; 8]);
        check(&[true, false, true, true, false, false, false, true, true]);
        assert!(bits(&[0b10], 1).is_err());
        assert!(bits(&[0, 0], 8).is_err());
    }

    #[test]
    fn lengths_are_read_as_they_come_in() {
        let frame = Frame::encode_with_length(Kind::Gone(Gone { index: 300, id: Bytes::new() }));
        let (skip, length) = frame_length(&frame).unwrap().unwrap();
        assert_eq!(frame.len(), skip + length);
        assert!(frame_length(&[0x80, 0x80]).unwrap().is_none());
        assert!(frame_length(&[0xff, 0xff, 0xff, 0x7f]).is_err());
        assert!(frame_length(&[0x80, 0x80, 0x80, 0x80]).is_err());
    }
}
