//! Frames: one group of commits, written with one write and made durable with one `fdatasync`.

use super::{
    codec::{Input, put_varint},
    group::{GroupKind, Packed},
};

/// What every frame begins with.
pub(crate) const FRAME_MAGIC: &[u8; 8] = b"MITHAQF1";

/// The bytes of a frame's fixed header.
pub(crate) const FRAME_HEADER_BYTES: usize = 32;

/// The most bytes of a directory: one entry takes at most 40.
const DIRECTORY_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// The most bytes of a frame: an edited file must not make us reserve more.
const GROUPS_BYTES_MAX: u32 = 256 * 1024 * 1024;

/// The fixed header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// CRC-32 of the rest of the header and of the directory.
    pub(crate) crc: u32,
    pub(crate) directory_bytes: u32,
    pub(crate) groups_bytes: u32,
    /// Counts the frames of the store from 1.
    pub(crate) number: u64,
}

/// Where one group of a frame lies and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: GroupKind,
    /// The ordinal of the first body, or the log row of the first release.
    pub(crate) first: u64,
    pub(crate) count: u32,
    pub(crate) raw_bytes: u32,
    pub(crate) packed_bytes: u32,
    pub(crate) crc: u32,
}

impl FrameHeader {
    /// Reads a header; says nothing yet of its checksum.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut input = Input(bytes);
        if input.array::<8>()? != *FRAME_MAGIC {
            return None;
        }
        let crc = input.u32()?;
        let (directory_bytes, groups_bytes) = (input.u32()?, input.u32()?);
        let number = input.u64()?;
        if input.u32()? != 0 || directory_bytes > DIRECTORY_BYTES_MAX || groups_bytes > GROUPS_BYTES_MAX {
            return None;
        }
        Some(Self { crc, directory_bytes, groups_bytes, number })
    }

    /// The bytes of the whole frame.
    pub(crate) fn frame_bytes(&self) -> u64 {
        FRAME_HEADER_BYTES as u64 + u64::from(self.directory_bytes) + u64::from(self.groups_bytes)
    }

    /// Where the first group lies in the frame.
    pub(crate) fn groups_offset(&self) -> u64 {
        FRAME_HEADER_BYTES as u64 + u64::from(self.directory_bytes)
    }

    /// Whether the header's bytes and the directory's agree with the checksum.
    pub(crate) fn is_sound(&self, header: &[u8], directory: &[u8]) -> bool {
        crc_of(header, directory) == Some(self.crc)
    }

    /// Checks the header's bytes and the directory's against the checksum and reads the directory.
    pub(crate) fn directory(&self, header: &[u8], directory: &[u8]) -> Option<Vec<Entry>> {
        if !self.is_sound(header, directory) {
            return None;
        }
        let mut input = Input(directory);
        let mut entries = Vec::new();
        let mut groups_bytes = 0_u64;
        while !input.0.is_empty() {
            let entry = read_entry(&mut input)?;
            groups_bytes += u64::from(entry.packed_bytes);
            entries.push(entry);
        }
        (groups_bytes == u64::from(self.groups_bytes)).then_some(entries)
    }
}

fn crc_of(header: &[u8], directory: &[u8]) -> Option<u32> {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header.get(12..FRAME_HEADER_BYTES)?);
    crc.update(directory);
    Some(crc.finalize())
}

fn read_entry(input: &mut Input<'_>) -> Option<Entry> {
    Some(Entry {
        kind: GroupKind::from_code(input.byte()?)?,
        first: input.varint()?,
        count: input.varint_u32()?,
        raw_bytes: input.varint_u32()?,
        packed_bytes: input.varint_u32()?,
        crc: input.u32()?,
    })
}

fn put_entry(out: &mut Vec<u8>, first: u64, group: &Packed) {
    out.push(group.kind.code());
    put_varint(out, first);
    put_varint(out, u64::from(group.count));
    put_varint(out, u64::from(group.raw_bytes));
    put_varint(out, group.bytes.len() as u64);
    out.extend_from_slice(&group.crc.to_le_bytes());
}

/// A frame ready to be written.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) header: FrameHeader,
    /// The groups, each with its offset in the frame.
    pub(crate) entries: Vec<(Entry, u64)>,
    pub(crate) bytes: Vec<u8>,
}

impl Frame {
    /// Puts groups, each with the number of its first record, into a frame; `None` if they are too large for one.
    pub(crate) fn build(number: u64, groups: &[(u64, Packed)]) -> Option<Self> {
        let mut directory = Vec::new();
        for (first, group) in groups {
            put_entry(&mut directory, *first, group);
        }
        let groups_bytes: usize = groups.iter().map(|(_, group)| group.bytes.len()).sum();
        let directory_bytes = u32::try_from(directory.len()).ok().filter(|bytes| *bytes <= DIRECTORY_BYTES_MAX)?;
        let groups_bytes = u32::try_from(groups_bytes).ok().filter(|bytes| *bytes <= GROUPS_BYTES_MAX)?;

        let mut bytes = Vec::with_capacity(FRAME_HEADER_BYTES + directory.len() + groups_bytes as usize);
        bytes.extend_from_slice(FRAME_MAGIC);
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&directory_bytes.to_le_bytes());
        bytes.extend_from_slice(&groups_bytes.to_le_bytes());
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let crc = crc_of(&bytes, &directory)?;
        bytes[8..12].copy_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&directory);
        for (_, group) in groups {
            bytes.extend_from_slice(&group.bytes);
        }
        let header = FrameHeader { crc, directory_bytes, groups_bytes, number };
        let entries = header.directory(&bytes, &directory)?;
        Some(Self { header, entries: place(&header, entries), bytes })
    }
}

/// Gives each entry its group's offset in the frame.
pub(crate) fn place(header: &FrameHeader, entries: Vec<Entry>) -> Vec<(Entry, u64)> {
    let mut offset = header.groups_offset();
    let mut placed = Vec::with_capacity(entries.len());
    for entry in entries {
        placed.push((entry, offset));
        offset += u64::from(entry.packed_bytes);
    }
    placed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::group::{RawGroup, Zip};

    #[test]
    fn a_frame_names_its_groups_and_a_changed_directory_is_seen() {
        let zip = Zip::new(3);
        let mut raw = RawGroup::default();
        raw.push(b"body");
        let bodies = zip.pack(GroupKind::Bodies, &mut raw).unwrap();
        raw.push(b"state");
        let state = zip.pack(GroupKind::State, &mut raw).unwrap();
        let frame = Frame::build(9, &[(4, bodies), (0, state)]).unwrap();

        let header = FrameHeader::parse(&frame.bytes).unwrap();
        assert_eq!((header, header.frame_bytes()), (frame.header, frame.bytes.len() as u64));
        let end = usize::try_from(header.groups_offset()).unwrap();
        let read = |bytes: &[u8]| {
            let header = FrameHeader::parse(bytes)?;
            header.directory(bytes, bytes.get(FRAME_HEADER_BYTES..end)?)
        };
        assert_eq!(place(&header, read(&frame.bytes).unwrap()), frame.entries);
        for bit in 0..end * 8 {
            let mut bytes = frame.bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(&bytes), None, "bit {bit}");
        }
    }
}
