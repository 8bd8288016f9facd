//! The header of a segment: which store it is of, its place among the segments, and how often it was written anew.

use super::codec::Input;
use crate::contract::{StoreError, StoreId};

/// What every segment begins with.
const SEGMENT_MAGIC: &[u8; 8] = b"MITHAQS1";

/// The bytes of a segment's header.
pub(crate) const SEGMENT_HEADER_BYTES: u64 = HEADER_LEN as u64;

/// The same, as a length.
pub(super) const HEADER_LEN: usize = 64;

/// The layout that this program writes.
pub(crate) const SCHEMA: u32 = 4;

/// The oldest layout that this program reads: it knows no purge, and no segment that was written anew.
const SCHEMA_OLDEST: u32 = 1;

/// What a segment's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) id: StoreId,
    pub(super) number: u32,
    /// Where the frames of the segment before this one end: what follows there was never acknowledged.
    pub(super) previous_end: u64,
    /// How often the segment was written anew.
    pub(super) edition: u32,
    pub(super) schema: u32,
}

impl SegmentHeader {
    pub(super) fn new(id: StoreId, number: u32, previous_end: u64) -> Self {
        Self { id, number, previous_end, edition: 0, schema: SCHEMA }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = SEGMENT_MAGIC.to_vec();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&self.schema.to_le_bytes());
        out.extend_from_slice(self.id.as_bytes());
        out.extend_from_slice(&self.number.to_le_bytes());
        // Segments are shorter than 4 GiB; schema 1 has zeros in place of the edition.
        out.extend_from_slice(&(self.previous_end | u64::from(self.edition) << 32).to_le_bytes());
        out.extend_from_slice(self.id.as_bytes());
        out.extend_from_slice(&crc32fast::hash(self.id.as_bytes()).to_le_bytes());
        let crc = crc32fast::hash(&out[12..]);
        out[8..12].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// The store's id out of a header that is damaged: one of its two copies is sound, unless it is damaged in several
    /// places. A store of one segment would else be taken for another one.
    pub(super) fn id_of_damaged(bytes: &[u8]) -> Option<StoreId> {
        let first: [u8; 16] = bytes.get(16..32)?.try_into().ok()?;
        let second: [u8; 16] = bytes.get(44..60)?.try_into().ok()?;
        let crc = u32::from_le_bytes(bytes.get(60..64)?.try_into().ok()?);
        let id = if crc32fast::hash(&second) == crc { second } else { first };
        (id != [0; 16]).then(|| StoreId::from_bytes(id))
    }

    /// A header's bytes with another id; a damaged one stays damaged, but for the id.
    pub(super) fn with_id(bytes: &[u8; HEADER_LEN], id: StoreId) -> Vec<u8> {
        if let Ok(Some(header)) = Self::parse(bytes) {
            return Self { id, ..header }.encode();
        }
        let mut bytes = bytes.to_vec();
        bytes[16..32].copy_from_slice(id.as_bytes());
        bytes[44..60].copy_from_slice(id.as_bytes());
        bytes[60..].copy_from_slice(&crc32fast::hash(id.as_bytes()).to_le_bytes());
        bytes
    }

    /// Reads a header; `Ok(None)` if it is damaged.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, StoreError> {
        let mut input = Input(bytes);
        let magic = input.array::<8>();
        let crc = input.u32();
        if magic != Some(*SEGMENT_MAGIC) || crc != Some(crc32fast::hash(input.0)) {
            return Ok(None);
        }
        let schema = match input.u32() {
            Some(schema @ SCHEMA_OLDEST..=SCHEMA) => schema,
            Some(found) => return Err(StoreError::Schema { found, known: SCHEMA }),
            None => return Ok(None),
        };
        let read = |input: &mut Input<'_>| {
            let (id, number) = (StoreId::from_bytes(input.array()?), input.u32()?);
            let (previous_end, edition) = (input.u32()?.into(), input.u32()?);
            Some(Self { id, number, previous_end, edition, schema })
        };
        Ok(read(&mut input))
    }
}
