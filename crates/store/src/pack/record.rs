//! The records that groups hold, other than bodies, which stand for themselves.

use mithaq_core::{
    id::{ContentId, ReleaseId},
    keys::Signature,
    release::SignedRelease,
    time::Time,
};

use super::codec::{Input, put_bytes, put_varint};
use crate::contract::PURGE_ITEMS_MAX;

/// A release, with what cannot be derived of its arrival. Its place in the log is that of the record in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ReleaseRecord {
    pub(crate) added_at: Time,
    /// The ordinal of the first body that came with it.
    pub(crate) first: u64,
    /// How many bodies were written for it.
    pub(crate) stored: u32,
    /// How many of those were new; fewer only if another commit brought one meanwhile.
    pub(crate) new: u32,
    pub(crate) signed: SignedRelease,
}

impl ReleaseRecord {
    /// How a record begins: what is known once the release has its place in the log.
    pub(crate) fn encode_place(added_at: Time, first: u64, stored: u32, new: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        put_varint(&mut out, added_at.as_micros().unsigned_abs());
        put_varint(&mut out, first);
        put_varint(&mut out, u64::from(stored));
        put_varint(&mut out, u64::from(new));
        out
    }

    /// How it goes on: with the release.
    pub(crate) fn encode_release(release: &SignedRelease) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + release.manifest.len() + 32 * release.contents.len());
        out.extend_from_slice(release.signature.as_bytes());
        put_bytes(&mut out, &release.manifest);
        for content in &release.contents {
            out.extend_from_slice(content.as_bytes());
        }
        out
    }

    pub(crate) fn decode(record: &[u8]) -> Option<Self> {
        let mut input = Input(record);
        let added_at = Time::from_micros(input.varint()?.try_into().ok()?);
        let (first, stored, new) = (input.varint()?, input.varint_u32()?, input.varint_u32()?);
        let signature = Signature::from_bytes(input.array()?);
        let manifest = input.bytes()?.to_vec();
        let (ids, rest) = input.0.as_chunks::<32>();
        let contents = ids.iter().map(|id| ContentId::from_bytes(*id)).collect();
        let signed = SignedRelease { manifest, signature, contents };
        rest.is_empty().then_some(Self { added_at, first, stored, new, signed })
    }
}

/// What stays of a release that was purged and written anew: its row keeps its number and its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PurgedRelease {
    pub(crate) added_at: Time,
    pub(crate) first: u64,
    pub(crate) stored: u32,
    pub(crate) objects: u32,
}

impl PurgedRelease {
    pub(crate) fn of(record: &ReleaseRecord) -> Self {
        let ReleaseRecord { added_at, first, stored, .. } = *record;
        Self { added_at, first, stored, objects: u32::try_from(record.signed.contents.len()).unwrap_or(u32::MAX) }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_varint(&mut out, self.added_at.as_micros().unsigned_abs());
        put_varint(&mut out, self.first);
        put_varint(&mut out, u64::from(self.stored));
        put_varint(&mut out, u64::from(self.objects));
        out
    }

    /// Reads what [`Self::encode`] wrote, which is shorter than any release.
    pub(crate) fn decode(record: &[u8]) -> Option<Self> {
        let mut input = Input(record);
        let added_at = Time::from_micros(input.varint()?.try_into().ok()?);
        let (first, stored, objects) = (input.varint()?, input.varint_u32()?, input.varint_u32()?);
        input.0.is_empty().then_some(Self { added_at, first, stored, objects })
    }
}

/// What was purged: all that was held of it before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tombstone {
    Release(ReleaseId),
    /// A content, with the bytes that its body had.
    Content(ContentId, u64),
    /// Staged bodies: the ordinal of the first, and how many.
    Staged(u64, u32),
    /// A release that was found damaged: unlike one that was purged it is to come again.
    Damaged(ReleaseId),
}

impl Tombstone {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Release(id) => [&[1][..], id.as_bytes()].concat(),
            Self::Content(id, bytes) => {
                let mut out = [&[2][..], id.as_bytes()].concat();
                put_varint(&mut out, *bytes);
                out
            }
            Self::Staged(first, count) => {
                let mut out = vec![3];
                put_varint(&mut out, *first);
                put_varint(&mut out, u64::from(*count));
                out
            }
            Self::Damaged(id) => [&[4][..], id.as_bytes()].concat(),
        }
    }

    pub(crate) fn decode(record: &[u8]) -> Option<Self> {
        let mut input = Input(record);
        let tombstone = match input.byte()? {
            1 => Self::Release(ReleaseId::from_bytes(input.array()?)),
            2 => Self::Content(ContentId::from_bytes(input.array()?), input.varint()?),
            // No purge drops more: an edited file must not keep us counting.
            3 => Self::Staged(input.varint()?, input.varint_u32().filter(|count| *count as usize <= PURGE_ITEMS_MAX)?),
            4 => Self::Damaged(ReleaseId::from_bytes(input.array()?)),
            _ => return None,
        };
        input.0.is_empty().then_some(tombstone)
    }
}

/// A state key and what it holds from here on; `None` is nothing.
pub(crate) type StateRecord = (Vec<u8>, Option<Vec<u8>>);

pub(crate) fn encode_state(key: &[u8], value: Option<&[u8]>) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 + key.len() + value.map_or(0, <[u8]>::len));
    put_bytes(&mut out, key);
    if let Some(value) = value {
        out.push(1);
        out.extend_from_slice(value);
    }
    out
}

pub(crate) fn decode_state(record: &[u8]) -> Option<StateRecord> {
    let mut input = Input(record);
    let key = input.bytes()?.to_vec();
    match input.0.split_first() {
        None => Some((key, None)),
        Some((1, value)) => Some((key, Some(value.to_vec()))),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive() {
        let record = ReleaseRecord {
            added_at: Time::from_micros(5),
            first: 700,
            stored: 2,
            new: 1,
            signed: SignedRelease {
                manifest: b"{}".to_vec(),
                signature: Signature::from_bytes([7; 64]),
                contents: vec![ContentId::of(b"a"), ContentId::of(b"b")],
            },
        };
        let place = ReleaseRecord::encode_place(record.added_at, record.first, record.stored, record.new);
        let bytes = [place, ReleaseRecord::encode_release(&record.signed)].concat();
        assert_eq!(ReleaseRecord::decode(&bytes), Some(record));
        assert_eq!(ReleaseRecord::decode(&bytes[..bytes.len() - 1]), None);
        for value in [None, Some(&b""[..]), Some(b"v")] {
            let decoded = decode_state(&encode_state(b"k", value)).unwrap();
            assert_eq!(decoded, (b"k".to_vec(), value.map(<[u8]>::to_vec)));
        }
        assert_eq!(decode_state(&[1, b'k', 2]), None);
        let purged = PurgedRelease::of(&ReleaseRecord::decode(&bytes).unwrap());
        assert_eq!((purged.objects, PurgedRelease::decode(&purged.encode())), (2, Some(purged)));
        assert_eq!((PurgedRelease::decode(&bytes), ReleaseRecord::decode(&purged.encode())), (None, None));
        for tombstone in [
            Tombstone::Release(ReleaseId::from_bytes([1; 32])),
            Tombstone::Content(ContentId::of(b"a"), 700),
            Tombstone::Staged(700, 10_000),
            Tombstone::Damaged(ReleaseId::from_bytes([2; 32])),
        ] {
            let bytes = tombstone.encode();
            assert_eq!(Tombstone::decode(&bytes), Some(tombstone));
            assert_eq!(Tombstone::decode(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(Tombstone::decode(&Tombstone::Staged(700, 10_001).encode()), None);
    }
}
