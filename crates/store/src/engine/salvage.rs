//! Saves what damaged directories have led to, as long as the index still leads there.
//!
//! Where a frame's header or directory is damaged its groups may be whole, and the index finds them. One that is built
//! anew would not. So the segment is written anew, as a compaction does it, with a sound frame of these groups in place
//! of the bytes that are none.

use std::{collections::BTreeSet, sync::PoisonError};

use super::{Shared, aside::Piece};
use crate::{
    contract::StoreError,
    index::{Dead, Extent, Moved},
    pack::{
        frame::Frame,
        group::{GroupKind, Packed},
        scan::{FoundFrame, Scanned, Scanner},
        segments::{Position, Rewrite, file_name, io_error},
    },
};

impl Shared {
    /// Writes anew the segments of those pieces that are no frames and in which the index finds sound groups; says whether
    /// there were any.
    pub(super) fn salvage(&self, pieces: &[Piece]) -> Result<bool, StoreError> {
        let mut segments = BTreeSet::new();
        for piece in pieces {
            if !self.sound_groups(*piece)?.is_empty() {
                segments.insert(piece.at.segment);
            }
        }
        for number in &segments {
            self.salvage_one(*number)?;
        }
        Ok(!segments.is_empty())
    }

    fn salvage_one(&self, number: u32) -> Result<(), StoreError> {
        let failed = |error| io_error(&self.packs)(error);
        self.seal_if_last(number);
        let bytes = self.segments.list().into_iter().find(|(listed, _)| *listed == number).map_or(0, |(_, end)| end);
        if !self.segments.has_room(bytes) {
            return Err(StoreError::Full);
        }
        let Some(mut rewrite) = self.segments.begin_rewrite(number).map_err(failed)? else {
            tracing::warn!(pack = file_name(number), "the header is damaged: what lies behind it cannot be saved");
            return Ok(());
        };
        let moved = match self.copy_and_save(&mut rewrite) {
            Ok(moved) => moved,
            Err(error) => {
                self.segments.abandon(rewrite).map_err(failed)?;
                return Err(error);
            }
        };
        self.put_in_place(rewrite, &moved, Dead::default())
    }

    fn seal_if_last(&self, number: u32) {
        if self.segments.list().last().is_some_and(|(last, _)| *last == number) {
            self.seal();
        }
    }

    /// Puts a segment that was written anew in place of the old one, for readers and for the index.
    pub(super) fn put_in_place(&self, rewrite: Rewrite, moved: &Moved, reclaimed: Dead) -> Result<(), StoreError> {
        let (number, _) = rewrite.name();
        self.segments.publish(&rewrite).map_err(io_error(&self.packs))?;
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        // What a flush writes says where things lay before.
        self.index.wait_for_flush();
        let _places = self.places.write().unwrap_or_else(PoisonError::into_inner);
        self.segments.switch(rewrite);
        self.cache.forget(number);
        if let Err(error) = self.index.relocate(moved, reclaimed) {
            tracing::warn!(%error, "the index will be brought up to date when the store is opened again");
        }
        Ok(())
    }

    /// Copies the frames as they are, and saves what is between them.
    fn copy_and_save(&self, rewrite: &mut Rewrite) -> Result<Moved, StoreError> {
        let (number, edition) = rewrite.name();
        let mut moved = Moved::new(number, edition);
        let mut scanner = Scanner::of_segment(&self.segments, number);
        let (mut last, mut gap) = (None, None);
        while let Some(scanned) = scanner.next().map_err(io_error(&self.packs))? {
            match scanned {
                Scanned::Damage { at, bytes } => gap = Some(Piece { at, bytes }),
                Scanned::Frame(frame) => {
                    let next = frame.header.number;
                    if let Some(gap) = gap.take() {
                        self.fill(
                            gap,
                            last.map_or(next.saturating_sub(1), |last| last + 1),
                            next,
                            rewrite,
                            &mut moved,
                        )?;
                    }
                    self.copy_frame(frame, rewrite, &mut moved)?;
                    last = Some(next);
                }
            }
        }
        if let (Some(gap), Some(last)) = (gap, last) {
            self.fill(gap, last + 1, last + 2, rewrite, &mut moved)?;
        }
        Ok(moved)
    }

    fn copy_frame(&self, frame: FoundFrame, rewrite: &mut Rewrite, moved: &mut Moved) -> Result<(), StoreError> {
        let failed = |error| io_error(&self.packs)(error);
        let bytes = usize::try_from(frame.header.frame_bytes()).unwrap_or(usize::MAX);
        let bytes = self.segments.read(frame.at, bytes).map_err(failed)?.unwrap_or_default();
        let at = self.segments.append_to(rewrite, &bytes).map_err(failed)?;
        moved.add(&FoundFrame { at, ..frame });
        Ok(())
    }

    /// Writes frames `first` to `next`, without that one, in place of bytes that are no frame; the first has what is
    /// sound of them. Bytes in which nothing is, are copied.
    fn fill(
        &self,
        gap: Piece,
        first: u64,
        next: u64,
        rewrite: &mut Rewrite,
        moved: &mut Moved,
    ) -> Result<(), StoreError> {
        let failed = |error| io_error(&self.packs)(error);
        let mut groups = self.sound_groups(gap)?;
        if groups.is_empty() {
            let bytes = usize::try_from(gap.bytes).unwrap_or(usize::MAX);
            let bytes = self.segments.read(gap.at, bytes).map_err(failed)?.unwrap_or_default();
            return self.segments.append_to(rewrite, &bytes).map(drop).map_err(failed);
        }
        for number in first..next {
            let Some(frame) = Frame::build(number, &std::mem::take(&mut groups)) else { return Ok(()) };
            let at = self.segments.append_to(rewrite, &frame.bytes).map_err(failed)?;
            moved.add(&FoundFrame { at, header: frame.header, entries: frame.entries });
        }
        Ok(())
    }

    /// The groups of bodies and releases that the index finds in a piece and that are sound, as they lie there.
    fn sound_groups(&self, piece: Piece) -> Result<Vec<(u64, Packed)>, StoreError> {
        let mut groups = Vec::new();
        let end = piece.at.offset + piece.bytes;
        for (kind, extent) in self.index.extents_of(piece.at.segment) {
            let Position { offset, .. } = extent.at();
            if offset < piece.at.offset || offset + u64::from(extent.packed_bytes) > end {
                continue;
            }
            groups.extend(self.sound_group(kind, &extent)?.map(|packed| (extent.first, packed)));
        }
        Ok(groups)
    }

    pub(super) fn sound_group(&self, kind: GroupKind, extent: &Extent) -> Result<Option<Packed>, StoreError> {
        let Extent { count, raw_bytes, crc, packed_bytes, .. } = *extent;
        let bytes = self.segments.read(extent.at(), packed_bytes as usize).map_err(io_error(&self.packs))?;
        let bytes = bytes.filter(|bytes| crc32fast::hash(bytes) == crc);
        Ok(bytes.map(|bytes| Packed { kind, count, raw_bytes, crc, bytes }))
    }
}
