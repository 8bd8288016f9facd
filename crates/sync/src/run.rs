//! Runs: what a backlog has in common is told once.
//!
//! Manifests of one origin differ in little, and so do objects of one feed; yet releases are small, and what is packed
//! alone has to learn its words anew. So what travels on the backfill stream is packed with one memory: a *run*, which is
//! one zstd frame in *pieces*, each flushed so that it can be read when it is there. A run begins with the first piece,
//! and is over when the source says so, since it keeps memory on both sides.

use std::fmt;

use bytes::Bytes;
use mithaq_core::release::MANIFEST_BYTES_MAX;
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, InBuffer, MAGICNUMBER, OutBuffer, SafeResult, Strategy, compress_bound,
    zstd_sys::ZSTD_EndDirective,
};

use crate::{
    dictionary::{self, DICTIONARY},
    fault::Fault,
    limits::{GROUP_BYTES_MAX, RUN_WINDOW_BYTES},
};

/// Objects of one feed are alike over tens of bytes and differ in single values: long matches are searched, and far more
/// of them than a level that is as quick would.
const PARAMETERS: [CParameter; 8] = [
    CParameter::WindowLog(RUN_WINDOW_BYTES.ilog2()),
    CParameter::Strategy(Strategy::ZSTD_lazy),
    CParameter::HashLog(17),
    CParameter::ChainLog(17),
    CParameter::SearchLog(4),
    CParameter::MinMatch(6),
    CParameter::TargetLength(8),
    CParameter::DictIdFlag(false),
];

/// Bytes of a manifest or of a group, as they travel within a run.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    pub(crate) bytes: Bytes,
    /// How many bytes it unpacks to.
    pub(crate) size: u32,
    /// The name of the dictionary with which the run begins; nothing in all other pieces.
    pub(crate) dictionary: Bytes,
}

/// The run of a source, while there is one.
#[derive(Default)]
pub(crate) struct Packer(Option<CCtx<'static>>);

/// The run of the peer, while there is one.
#[derive(Default)]
pub(crate) struct Unpacker(Option<DCtx<'static>>);

/// What a piece holds, and how much of it there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Content {
    Manifest,
    Group,
}

impl Content {
    fn bytes_max(self) -> usize {
        match self {
            Self::Manifest => MANIFEST_BYTES_MAX,
            Self::Group => GROUP_BYTES_MAX,
        }
    }
}

impl Packer {
    /// Packs what is not empty as the next piece, and begins a run if there is none.
    pub(crate) fn pack(&mut self, raw: &[u8], peer_has_dictionary: bool) -> Result<Piece, Fault> {
        // zstd fails only when memory is short; the session then ends and resumes.
        let failed = |_| Fault::Internal("compression");
        let names_dictionary = peer_has_dictionary && self.0.is_none();
        let context = match &mut self.0 {
            Some(context) => context,
            none => none.insert(compressor(peer_has_dictionary).map_err(failed)?),
        };
        Ok(Piece {
            bytes: flushed(context, raw).map_err(failed)?.into(),
            size: u32::try_from(raw.len()).unwrap_or(u32::MAX),
            dictionary: Bytes::from_static(if names_dictionary { dictionary::name() } else { &[] }),
        })
    }

    /// Ends the run; says whether there was one.
    pub(crate) fn rest(&mut self) -> bool {
        self.0.take().is_some()
    }
}

fn compressor(with_dictionary: bool) -> Result<CCtx<'static>, usize> {
    let mut context = CCtx::try_create().ok_or(0_usize)?;
    PARAMETERS.into_iter().try_for_each(|parameter| context.set_parameter(parameter).map(drop))?;
    if with_dictionary {
        context.ref_prefix(DICTIONARY)?;
    }
    Ok(context)
}

fn flushed(context: &mut CCtx<'_>, raw: &[u8]) -> Result<Vec<u8>, usize> {
    let mut packed = Vec::with_capacity(compress_bound(raw.len()));
    let mut input = InBuffer::around(raw);
    while write(context, &mut packed, &mut input)? > 0 {
        packed.reserve(packed.capacity());
    }
    Ok(packed)
}

/// Writes as much as there is room for; gives how many bytes are left.
fn write(context: &mut CCtx<'_>, packed: &mut Vec<u8>, input: &mut InBuffer<'_>) -> SafeResult {
    let written = packed.len();
    let mut output = OutBuffer::around_pos(packed, written);
    context.compress_stream2(&mut output, input, ZSTD_EndDirective::ZSTD_e_flush)
}

impl Unpacker {
    /// Unpacks the next piece of a run, or the first of a new one: what it states to hold is checked before anything is set
    /// aside for it.
    pub(crate) fn unpack(&mut self, piece: &Piece, content: Content) -> Result<Vec<u8>, Fault> {
        let bad = || Fault::Misbehaved("a piece that is not zstd or does not hold what it states");
        let size = usize::try_from(piece.size).ok().filter(|size| (1..=content.bytes_max()).contains(size));
        let size = size.ok_or(Fault::Misbehaved("a piece over its limit"))?;
        let context = match &mut self.0 {
            Some(_) if !piece.dictionary.is_empty() => {
                return Err(Fault::Misbehaved("a dictionary within a run"));
            }
            Some(context) => context,
            // zstd would pass over frames that say nothing, and read those of versions before 1.
            _ if !piece.bytes.starts_with(&MAGICNUMBER.to_le_bytes()) => return Err(bad()),
            none => none.insert(decompressor(&piece.dictionary)?),
        };
        // With room for one byte more all is written that the piece holds.
        let mut raw = Vec::with_capacity(size + 1);
        let mut input = InBuffer::around(&piece.bytes);
        while input.pos() < piece.bytes.len() && raw.len() <= size {
            let written = raw.len();
            let mut output = OutBuffer::around_pos(&mut raw, written);
            // Where a zstd frame ends nothing is expected any more; a run has no end of its own.
            let expected = context.decompress_stream(&mut output, &mut input).map_err(|_| bad())?;
            if expected == 0 {
                return Err(bad());
            }
        }
        if raw.len() == size { Ok(raw) } else { Err(bad()) }
    }

    /// The source has ended its run.
    pub(crate) fn rest(&mut self) -> Result<(), Fault> {
        self.0.take().map(drop).ok_or(Fault::Misbehaved("the end of a run that was not begun"))
    }
}

fn decompressor(named: &[u8]) -> Result<DCtx<'static>, Fault> {
    if !named.is_empty() && named != dictionary::name() {
        return Err(Fault::Misbehaved("a run that needs a dictionary which we did not list"));
    }
    let mut context = DCtx::try_create().ok_or(Fault::Internal("decompression"))?;
    let failed = |_| Fault::Internal("decompression");
    context.set_parameter(DParameter::WindowLogMax(RUN_WINDOW_BYTES.ilog2())).map_err(failed)?;
    if !named.is_empty() {
        context.ref_prefix(DICTIONARY).map_err(failed)?;
    }
    Ok(context)
}

impl fmt::Debug for Packer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Packer({})", if self.0.is_some() { "running" } else { "at rest" })
    }
}

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Unpacker({})", if self.0.is_some() { "running" } else { "at rest" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The most memory that either side keeps for a run.
    const MEMORY_MAX: usize = 3 * 1024 * 1024;

    /// A group of objects that are alike, and unlike those of another number.
    fn group(number: u32, objects: u32) -> Vec<u8> {
        let object = |object: u32| {
            let id = mithaq_core::id::to_hex(&mithaq_core::id::sha256(
                &[number.to_be_bytes(), object.to_be_bytes()].concat(),
            ));
            format!(
                "{{\"created\":\"2026-03-01T00:00:00.000Z\",\"id\":\"indicator--{id}\",\"pattern\":\"[domain-name:value = \
                 'h{id}.example']\",\"pattern_type\":\"stix\",\"spec_version\":\"2.1\",\"type\":\"indicator\"}}"
            )
        };
        (0..objects).map(object).collect::<String>().into_bytes()
    }

    /// Packs with other parameters than ours, and flushes or ends.
    fn pack(raw: &[u8], parameters: &[CParameter], end: ZSTD_EndDirective) -> Piece {
        let mut context = CCtx::create();
        parameters.iter().for_each(|parameter| assert!(context.set_parameter(*parameter).is_ok()));
        let mut packed = Vec::with_capacity(2 * raw.len() + 100);
        let mut output = OutBuffer::around(&mut packed);
        assert_eq!(context.compress_stream2(&mut output, &mut InBuffer::around(raw), end), Ok(0));
        Piece { bytes: packed.into(), size: u32::try_from(raw.len()).unwrap(), dictionary: Bytes::new() }
    }

    fn flush(raw: &[u8]) -> Piece {
        pack(raw, &[CParameter::WindowLog(RUN_WINDOW_BYTES.ilog2())], ZSTD_EndDirective::ZSTD_e_flush)
    }

    fn check_refused(piece: &Piece) {
        let unpacked = Unpacker::default().unpack(piece, Content::Group);
        assert!(matches!(unpacked, Err(Fault::Misbehaved(_))), "{piece:?}");
    }

    #[test]
    fn pieces_survive_in_their_order_and_a_run_begins_anew_after_its_end() {
        for has_dictionary in [false, true] {
            let (mut packer, mut unpacker) = (Packer::default(), Unpacker::default());
            for round in 0..3 {
                assert_eq!((packer.rest(), unpacker.rest().is_ok()), (round > 0, round > 0));
                for number in 0..40 {
                    let raw = group(number, 1 + number * 9 % 50);
                    let piece = packer.pack(&raw, has_dictionary).unwrap();
                    assert_eq!(piece.dictionary.is_empty(), !has_dictionary || number > 0);
                    assert_eq!(unpacker.unpack(&piece, Content::Group).unwrap(), raw);
                }
            }
        }
    }

    #[test]
    fn what_came_before_is_told_once() {
        let mut packer = Packer::default();
        let (first, second) = (group(1, 20), group(2, 20));
        let alone = packer.pack(&first, false).unwrap().bytes.len();
        assert!(packer.pack(&second, false).unwrap().bytes.len() < alone);
        assert!(packer.pack(&first, false).unwrap().bytes.len() * 50 < alone);
        // The dictionary helps the first piece.
        assert!(Packer::default().pack(&first, true).unwrap().bytes.len() < alone);
    }

    #[test]
    fn a_run_keeps_no_more_memory_than_is_told() {
        let (mut packer, mut unpacker) = (Packer::default(), Unpacker::default());
        for number in 0..8 {
            let piece = packer.pack(&group(number, 1_000), true).unwrap();
            unpacker.unpack(&piece, Content::Group).unwrap();
        }
        let (packs, unpacks) = (packer.0.unwrap().sizeof(), unpacker.0.unwrap().sizeof());
        assert!(packs <= MEMORY_MAX && unpacks <= MEMORY_MAX / 3, "{packs} and {unpacks}");
    }

    #[test]
    fn pieces_over_their_limit_and_bombs_are_refused() {
        check_refused(&flush(&vec![0; GROUP_BYTES_MAX + 1]));
        assert!(Unpacker::default().unpack(&flush(&vec![0; GROUP_BYTES_MAX]), Content::Group).is_ok());
        check_refused(&Piece { size: 1, ..flush(&vec![0; 64 << 20]) });
        let manifest = flush(&[b' '; MANIFEST_BYTES_MAX + 1]);
        assert!(Unpacker::default().unpack(&manifest, Content::Manifest).is_err());
        assert!(Unpacker::default().unpack(&flush(&[b' '; MANIFEST_BYTES_MAX]), Content::Manifest).is_ok());
    }

    #[test]
    fn a_piece_holds_what_it_states() {
        let honest = flush(&[7; 1_000]);
        for size in [0, 1, 999, 1_001, u32::MAX] {
            check_refused(&Piece { size, bytes: honest.bytes.clone(), dictionary: Bytes::new() });
        }
        for length in 0..honest.bytes.len() {
            check_refused(&Piece { bytes: honest.bytes.slice(..length), size: 1_000, dictionary: Bytes::new() });
        }
    }

    #[test]
    fn a_run_is_one_zstd_frame_without_end_and_of_a_small_window() {
        let ours = [CParameter::WindowLog(RUN_WINDOW_BYTES.ilog2())];
        check_refused(&pack(&[7; 1_000], &ours, ZSTD_EndDirective::ZSTD_e_end));
        let large = [CParameter::WindowLog(RUN_WINDOW_BYTES.ilog2() + 1)];
        check_refused(&pack(&[7; 1_000], &large, ZSTD_EndDirective::ZSTD_e_flush));
        let honest = flush(&[7; 1_000]);
        // A frame that readers skip: its magic number, and a size of 4.
        let skipped = [&0x184d_2a50_u32.to_le_bytes()[..], &4_u32.to_le_bytes(), b"more"].concat();
        let bytes = [&skipped, &honest.bytes[..]].concat().into();
        check_refused(&Piece { bytes, size: 1_000, dictionary: Bytes::new() });
        for version in 0x21..0x28 {
            let bytes = [&[version, 0xb5, 0x2f, 0xfd], &honest.bytes[4..]].concat().into();
            check_refused(&Piece { bytes, size: 1_000, dictionary: Bytes::new() });
        }
        check_refused(&Piece { bytes: Bytes::from_static(b"nonsense"), size: 8, dictionary: Bytes::new() });
    }

    #[test]
    fn a_dictionary_is_named_where_a_run_begins_and_nowhere_else() {
        let mut packer = Packer::default();
        let (first, second) = (packer.pack(b"one", true).unwrap(), packer.pack(b"two", true).unwrap());
        check_refused(&Piece { dictionary: Bytes::from_static(b"another."), bytes: first.bytes.clone(), size: 3 });
        let mut unpacker = Unpacker::default();
        assert!(unpacker.unpack(&first, Content::Group).is_ok());
        let named = Piece { dictionary: first.dictionary.clone(), bytes: second.bytes, size: 3 };
        assert!(matches!(unpacker.unpack(&named, Content::Group), Err(Fault::Misbehaved(_))));
    }
}
