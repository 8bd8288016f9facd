//! Walks the frames of the packs in order, over damage.

use std::io;

use super::{
    frame::{Entry, FRAME_HEADER_BYTES, FRAME_MAGIC, FrameHeader, place},
    segments::{Position, SEGMENT_HEADER_BYTES, Segments},
};

/// How much is read at a time in search of the next frame.
const SEARCH_BYTES: usize = 1024 * 1024;

/// What lies at a place of the packs.
#[derive(Debug)]
pub(crate) enum Scanned {
    /// A frame whose header and directory are sound; its groups have yet to be checked.
    Frame(FoundFrame),
    /// Bytes that are no frame.
    Damage {
        /// Where they begin.
        at: Position,
        /// How many they are.
        bytes: u64,
    },
}

/// A frame in the packs.
#[derive(Debug, Clone)]
pub(crate) struct FoundFrame {
    pub(crate) at: Position,
    pub(crate) header: FrameHeader,
    /// Its groups, each with its offset in the frame.
    pub(crate) entries: Vec<(Entry, u64)>,
}

impl FoundFrame {
    /// Where the frame ends.
    pub(crate) fn end(&self) -> Position {
        Position { offset: self.at.offset + self.header.frame_bytes(), ..self.at }
    }

    /// Where a group of the frame lies.
    pub(crate) fn group_at(&self, offset: u64) -> Position {
        Position { offset: self.at.offset + offset, ..self.at }
    }
}

/// Walks from a place to the end that the packs had when it began.
pub(crate) struct Scanner<'a> {
    segments: &'a Segments,
    at: Position,
    ends: Vec<(u32, u64)>,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(segments: &'a Segments, from: Position) -> Self {
        let mut ends = segments.list();
        ends.retain(|(number, _)| *number >= from.segment);
        ends.reverse();
        Self { segments, at: from, ends }
    }

    /// Walks over one segment alone.
    pub(crate) fn of_segment(segments: &'a Segments, segment: u32) -> Self {
        let mut ends = segments.list();
        ends.retain(|(number, _)| *number == segment);
        Self { segments, at: Position { segment, offset: SEGMENT_HEADER_BYTES }, ends }
    }

    /// Whether nothing follows.
    pub(crate) fn is_at_end(&self) -> bool {
        match self.ends.as_slice() {
            [] => true,
            [(number, end)] => self.at.segment == *number && self.at.offset >= *end,
            _ => false,
        }
    }

    /// The next frame, or the damage before it; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Scanned>> {
        while let Some((number, end)) = self.ends.last().copied() {
            if self.at.segment != number {
                self.at = Position { segment: number, offset: SEGMENT_HEADER_BYTES };
            }
            if self.at.offset < end {
                return self.step(end).map(Some);
            }
            if self.ends.len() == 1 {
                break;
            }
            self.ends.pop();
        }
        Ok(None)
    }

    fn step(&mut self, end: u64) -> io::Result<Scanned> {
        let at = self.at;
        if let Some(frame) = frame_at(self.segments, at)? {
            self.at = frame.end();
            return Ok(Scanned::Frame(frame));
        }
        self.at.offset = self.search(end)?;
        Ok(Scanned::Damage { at, bytes: self.at.offset - at.offset })
    }

    /// The next offset at which a sound frame begins, else `end`.
    fn search(&self, end: u64) -> io::Result<u64> {
        let mut from = self.at.offset + 1;
        while from < end {
            let len = usize::try_from(end - from).unwrap_or(usize::MAX).min(SEARCH_BYTES);
            let Some(bytes) = self.segments.read(Position { offset: from, ..self.at }, len)? else { break };
            for (start, window) in bytes.windows(FRAME_MAGIC.len()).enumerate() {
                let at = Position { offset: from + start as u64, ..self.at };
                if window == FRAME_MAGIC && frame_at(self.segments, at)?.is_some() {
                    return Ok(at.offset);
                }
            }
            if len < FRAME_MAGIC.len() {
                break;
            }
            // The last bytes may begin a magic that the next read completes.
            from += (len - (FRAME_MAGIC.len() - 1)) as u64;
        }
        Ok(end)
    }
}

/// The frame at a place, if its header and directory are sound and it lies in the segment whole.
pub(crate) fn frame_at(segments: &Segments, at: Position) -> io::Result<Option<FoundFrame>> {
    let Some(fixed) = segments.read(at, FRAME_HEADER_BYTES)? else { return Ok(None) };
    let Some(header) = FrameHeader::parse(&fixed) else { return Ok(None) };
    let directory_at = Position { offset: at.offset + FRAME_HEADER_BYTES as u64, ..at };
    let Some(directory) = segments.read(directory_at, header.directory_bytes as usize)? else { return Ok(None) };
    let Some(entries) = header.directory(&fixed, &directory) else { return Ok(None) };
    let last = Position { offset: at.offset + header.frame_bytes(), ..at };
    if segments.read(last, 0)?.is_none() {
        return Ok(None);
    }
    Ok(Some(FoundFrame { at, header, entries: place(&header, entries) }))
}
