//! Segments that were written anew: the same groups, with the same numbers, lie elsewhere in the file.
//!
//! Each segment carries how often that was done, its edition. An index that names another edition, as one does that a
//! crash left behind, is brought up to date from the segment's directories before it is used.

use std::{collections::BTreeMap, ops::Range};

use super::{
    Index,
    dense::{Extent, Fixed, write_blocks},
    failed,
    flush::{BODIES, RELEASES},
    manifest::{Checkpoint, Dead, MANIFEST, Manifest},
};
use crate::{
    contract::StoreError,
    pack::{
        group::GroupKind,
        scan::{FoundFrame, Scanned, Scanner},
        segments::{Position, Segments, io_error},
    },
};

/// Where everything of one segment lies now.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    segment: u32,
    edition: u32,
    /// Groups by the number of their first record.
    bodies: BTreeMap<u64, Extent>,
    releases: BTreeMap<u64, Extent>,
    /// Frames by number: place, checksum, end.
    frames: BTreeMap<u64, (Position, u32, Position)>,
}

impl Moved {
    pub(crate) fn new(segment: u32, edition: u32) -> Self {
        Self { segment, edition, ..Self::default() }
    }

    /// Reads the directories of a segment.
    fn read(segments: &Segments, segment: u32, edition: u32) -> Result<Self, StoreError> {
        let mut moved = Self::new(segment, edition);
        let mut scanner = Scanner::of_segment(segments, segment);
        while let Some(scanned) = scanner.next().map_err(io_error(std::path::Path::new("packs")))? {
            if let Scanned::Frame(frame) = scanned {
                moved.add(&frame);
            }
        }
        Ok(moved)
    }

    /// Takes in a frame of the segment as it is now.
    pub(crate) fn add(&mut self, frame: &FoundFrame) {
        self.frames.insert(frame.header.number, (frame.at, frame.header.crc, frame.end()));
        for (entry, offset) in &frame.entries {
            // INVARIANT: no segment is so large that a group has no extent.
            let Some(extent) = Extent::of(entry, frame.group_at(*offset)) else { continue };
            match entry.kind {
                GroupKind::Bodies | GroupKind::Staged => drop(self.bodies.insert(entry.first, extent)),
                GroupKind::Releases => drop(self.releases.insert(entry.first, extent)),
                GroupKind::State | GroupKind::Purges => {}
            }
        }
    }

    fn move_checkpoint(&self, checkpoint: &mut Checkpoint) {
        if checkpoint.frame == 0 || checkpoint.frame_at.segment != self.segment {
            return;
        }
        // The number may be that of a frame behind it that is lost.
        if let Some((_, (at, crc, end))) = self.frames.range(..=checkpoint.frame).next_back() {
            (checkpoint.frame_at, checkpoint.frame_crc) = (*at, *crc);
            if checkpoint.next.segment == self.segment {
                checkpoint.next = *end;
            }
        }
    }

    /// Moves the extents of the segment; gives where they stand in the array.
    fn move_extents(&self, extents: &mut [Extent], to: &BTreeMap<u64, Extent>) -> Range<usize> {
        // Segments follow each other, and so do the numbers of what is in them.
        let from = extents.partition_point(|extent| extent.segment < self.segment);
        let end = extents.partition_point(|extent| extent.segment <= self.segment);
        for extent in &mut extents[from..end] {
            if let Some(moved) = to.get(&extent.first) {
                *extent = *moved;
            }
        }
        from..end
    }
}

/// What of the packs an index that was opened had to be told.
pub(super) fn moves_since(manifest: &Manifest, segments: &Segments) -> Result<Vec<Moved>, StoreError> {
    let known = |segment| manifest.editions.get(&segment).copied().unwrap_or(0);
    let editions = segments.editions().into_iter().filter(|(segment, edition)| known(*segment) != *edition);
    editions.map(|(segment, edition)| Moved::read(segments, segment, edition)).collect()
}

/// Moves what a manifest says of the packs.
pub(super) fn move_manifest(manifest: &mut Manifest, moves: &[Moved]) {
    for moved in moves {
        moved.move_checkpoint(&mut manifest.checkpoint);
        manifest.dead.remove(&moved.segment);
    }
}

impl Index {
    /// Brings the index to where everything of a segment lies now; `reclaimed` bytes of it were dead and are so no
    /// more. Whoever calls sees to it that nobody reads, commits or flushes meanwhile.
    ///
    /// # Errors
    /// When sled cannot be written to: the index is right all the same, and is brought up to date again when it is
    /// opened the next time.
    pub(crate) fn relocate(&self, moved: &Moved, reclaimed: Dead) -> Result<(), StoreError> {
        let (bodies, releases) = {
            let mut view = self.view_mut();
            let view = &mut *view;
            moved.move_checkpoint(&mut view.reached);
            if let Some(dead) = view.dead.get_mut(&moved.segment) {
                *dead = dead.less(reclaimed);
            }
            let bodies = moved.move_extents(&mut view.bodies, &moved.bodies);
            (bodies, moved.move_extents(&mut view.releases, &moved.releases))
        };
        self.rewrite_extents(BODIES, bodies)?;
        self.rewrite_extents(RELEASES, releases)?;
        let mut written = self.written();
        let mut next = written.clone();
        moved.move_checkpoint(&mut next.checkpoint);
        next.editions.insert(moved.segment, moved.edition);
        if let Some(dead) = next.dead.get_mut(&moved.segment) {
            *dead = dead.less(reclaimed);
        }
        self.engine.tree.insert(MANIFEST, next.encode()).map_err(|error| failed(&error))?;
        *written = next;
        Ok(())
    }

    /// Writes the blocks in which these extents lie.
    fn rewrite_extents(&self, prefix: u8, range: Range<usize>) -> Result<(), StoreError> {
        if range.is_empty() {
            return Ok(());
        }
        let first = range.start - range.start % Extent::PER_BLOCK;
        let items = {
            let view = self.view();
            let extents = if prefix == BODIES { &view.bodies } else { &view.releases };
            let end = extents.len().min(range.end.next_multiple_of(Extent::PER_BLOCK));
            extents[first..end].to_vec()
        };
        write_blocks(&self.engine.tree, prefix, first as u64, &items)
    }
}
