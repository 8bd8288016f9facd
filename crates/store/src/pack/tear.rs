//! Tells a frame that a crash tore from one that was damaged after it was whole.
//!
//! Both end the packs with something that is no sound frame. What a crash tore was never acknowledged and may go; what
//! was damaged may have been read, so that the numbers of its rows must never be given again. A crash tears in two ways:
//! the file ends before the frame does, or the file was made longer and some of its sectors were never written, and those
//! read as zeros. Compressed data has no such sectors.

use std::io;

use super::{
    frame::{FRAME_HEADER_BYTES, FrameHeader},
    segments::{Position, Segments},
};

/// What disks write at once.
const SECTOR_BYTES: usize = 512;

/// How much is read at a time; a multiple of a sector.
const READ_BYTES: u64 = 1024 * 1024;

/// How many zeros at the least are a sector, or its part, that was not written.
const ZEROS_MIN: usize = 16;

/// A release takes at least its signature and the id of one content, neither of which can be compressed.
const RELEASE_BYTES_MIN: u64 = 96;

/// The most rows of the log that damaged bytes can have held.
pub(crate) fn rows_at_most(bytes: u64) -> u64 {
    bytes / RELEASE_BYTES_MIN
}

/// Whether the last `bytes` of the packs, which are no sound frame, are one that a crash tore.
pub(crate) fn is_torn(segments: &Segments, at: Position, bytes: u64) -> io::Result<bool> {
    Ok(ends_early(segments, at, bytes)? || has_unwritten_sector(segments, at, bytes)?)
}

/// Whether the bytes are the beginning of a longer frame.
fn ends_early(segments: &Segments, at: Position, bytes: u64) -> io::Result<bool> {
    let Some(fixed) = segments.read(at, FRAME_HEADER_BYTES)? else { return Ok(true) };
    let Some(header) = FrameHeader::parse(&fixed) else { return Ok(false) };
    let room = bytes - FRAME_HEADER_BYTES as u64;
    let directory_at = Position { offset: at.offset + FRAME_HEADER_BYTES as u64, ..at };
    if u64::from(header.directory_bytes) <= room {
        let directory = segments.read(directory_at, header.directory_bytes as usize)?;
        let is_sound = directory.is_some_and(|directory| header.is_sound(&fixed, &directory));
        return Ok(is_sound && header.frame_bytes() > bytes);
    }
    // The directory goes on behind the end, unless it is its length that was damaged.
    for bit in 0..u32::BITS {
        let directory_bytes = header.directory_bytes ^ 1 << bit;
        if u64::from(directory_bytes) > room {
            continue;
        }
        let mut fixed = fixed.clone();
        fixed[12..16].copy_from_slice(&directory_bytes.to_le_bytes());
        let directory = segments.read(directory_at, directory_bytes as usize)?;
        if directory.is_some_and(|directory| header.is_sound(&fixed, &directory)) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn has_unwritten_sector(segments: &Segments, at: Position, bytes: u64) -> io::Result<bool> {
    let end = at.offset + bytes;
    let mut from = at.offset;
    while from < end {
        let to = (from - from % SECTOR_BYTES as u64 + READ_BYTES).min(end);
        let len = usize::try_from(to - from).unwrap_or(usize::MAX);
        let Some(read) = segments.read(Position { offset: from, ..at }, len)? else { return Ok(true) };
        if has_zeros(&read, from) {
            return Ok(true);
        }
        from = to;
    }
    Ok(false)
}

/// Whether bytes that lie at `offset` hold a sector, or a part of one, of zeros.
fn has_zeros(bytes: &[u8], offset: u64) -> bool {
    let to_boundary = SECTOR_BYTES - usize::try_from(offset % SECTOR_BYTES as u64).unwrap_or(0);
    let (first, rest) = bytes.split_at(to_boundary.min(bytes.len()));
    let sectors = rest.chunks(SECTOR_BYTES);
    [first].into_iter().chain(sectors).any(|part| part.len() >= ZEROS_MIN && part.iter().all(|byte| *byte == 0))
}
