//! The runs of a source, read so that what goes on its backfill stream can be looked at.

use std::fmt;

use bytes::Bytes;
use mithaq_sync::{
    DICTIONARY,
    wire::{Bodies, Kind, Manifest},
};
use zstd::zstd_safe::{DCtx, InBuffer, OutBuffer};

/// What a source packs its backlog with in one session, as far as it was read.
#[derive(Default)]
pub(crate) struct Runs(Option<DCtx<'static>>);

impl fmt::Debug for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runs({})", self.0.is_some())
    }
}

impl Runs {
    /// The next frame of a source, as it would be if it were no piece of a run.
    pub(crate) fn plain(&mut self, kind: Kind) -> Kind {
        match kind {
            Kind::Manifest(Manifest { size: 1.., .. }) | Kind::Bodies(Bodies { size: 1.., .. }) => self.unpacked(kind),
            Kind::Rest(_) => {
                assert!(self.0.take().is_some(), "the end of a run that was not begun");
                kind
            }
            kind => kind,
        }
    }

    fn unpacked(&mut self, kind: Kind) -> Kind {
        match kind {
            Kind::Manifest(sent) => {
                let manifest = self.unpack(&sent.manifest, sent.size, &sent.dictionary);
                Kind::Manifest(Manifest { manifest, size: 0, dictionary: Bytes::new(), ..sent })
            }
            Kind::Bodies(sent) => {
                let raw = self.unpack(&sent.group, sent.size, &sent.dictionary);
                let group = zstd::bulk::compress(&raw, 3).unwrap().into();
                Kind::Bodies(Bodies { group, size: 0, dictionary: Bytes::new(), ..sent })
            }
            kind => kind,
        }
    }

    fn unpack(&mut self, piece: &Bytes, size: u32, dictionary: &[u8]) -> Bytes {
        let context = self.0.get_or_insert_with(|| {
            let mut context = DCtx::create();
            if !dictionary.is_empty() {
                context.ref_prefix(DICTIONARY).unwrap();
            }
            context
        });
        let mut raw = Vec::with_capacity(size as usize + 1);
        let mut input = InBuffer::around(piece);
        while input.pos() < piece.len() {
            let written = raw.len();
            context.decompress_stream(&mut OutBuffer::around_pos(&mut raw, written), &mut input).unwrap();
        }
        assert_eq!(raw.len(), size as usize, "a piece states another size");
        raw.into()
    }
}
