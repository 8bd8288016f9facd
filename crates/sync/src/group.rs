//! Groups of bodies: each body after its length (4 bytes, big-endian), all of it as one zstd frame that states the
//! size of its content, or as a piece of a [run](crate::run).

use bytes::Bytes;
use mithaq_core::release::RELEASE_OBJECTS_MAX;
use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use crate::{
    dictionary,
    fault::Fault,
    limits::{DICTIONARY_GROUP_BYTES_MAX, GROUP_BYTES, GROUP_BYTES_MAX, GROUP_TIME},
};

/// Level 3 gives most of what zstd can give at several hundred megabytes a second.
pub(crate) const LEVEL: i32 = 3;

/// A group as it travels.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Packed {
    pub(crate) group: Bytes,
    /// The name of the dictionary that it needs, or nothing.
    pub(crate) dictionary: Bytes,
}

/// The bodies of a group one behind the other, each after its length.
pub(crate) fn join(bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(bodies.iter().map(|body| body.len() + 4).sum());
    for body in bodies {
        raw.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
        raw.extend_from_slice(body);
    }
    raw
}

/// Packs bodies into a group, with the dictionary if the peer has it and it is worth it.
pub(crate) fn pack(bodies: &[Vec<u8>], peer_has_dictionary: bool) -> Result<Packed, Fault> {
    let raw = join(bodies);
    // zstd fails only when memory is short; the session then ends and resumes.
    let failed = |_| Fault::Internal("compression");
    if peer_has_dictionary && raw.len() <= DICTIONARY_GROUP_BYTES_MAX {
        let group = dictionary::compressor().and_then(|mut compressor| compressor.compress(&raw)).map_err(failed)?;
        return Ok(Packed { group: group.into(), dictionary: Bytes::from_static(dictionary::name()) });
    }
    let group = zstd::bulk::compress(&raw, LEVEL).map_err(failed)?;
    Ok(Packed { group: group.into(), dictionary: Bytes::new() })
}

/// How many canonical bytes of bodies a group aims at on a link that carries so many bytes a second, if that is known:
/// no more than pass in [`GROUP_TIME`], and at the most [`GROUP_BYTES`]. A body that is larger goes alone.
#[must_use]
pub fn group_bytes(bytes_per_second: Option<u64>) -> usize {
    let in_time = |rate: u64| usize::try_from(rate.saturating_mul(GROUP_TIME.as_secs())).unwrap_or(usize::MAX);
    bytes_per_second.map_or(GROUP_BYTES, |rate| in_time(rate).min(GROUP_BYTES))
}

/// The first of `bodies`, as many as one group may hold.
pub(crate) fn fitting(bodies: &[Vec<u8>]) -> &[Vec<u8>] {
    let mut raw = 0_usize;
    let fits = |body: &&Vec<u8>| {
        raw = raw.saturating_add(body.len() + 4);
        raw <= GROUP_BYTES_MAX
    };
    &bodies[..bodies.iter().take_while(fits).count()]
}

/// Unpacks a group: what it states to hold is checked before anything is set aside for it.
pub(crate) fn unpack(group: &[u8], dictionary: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    let bad = || Fault::Misbehaved("a group that is not zstd or over its limit");
    let stated = get_frame_content_size(group).map_err(|_| bad())?;
    let size =
        stated.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= GROUP_BYTES_MAX).ok_or_else(bad)?;
    // zstd would go on with the next frame, and pass over frames that say nothing.
    if find_frame_compressed_size(group) != Ok(group.len()) {
        return Err(bad());
    }
    let raw = if dictionary.is_empty() {
        zstd::bulk::decompress(group, size)
    } else if dictionary == dictionary::name() {
        dictionary::decompressor().and_then(|mut decompressor| decompressor.decompress(group, size))
    } else {
        return Err(Fault::Misbehaved("a group that needs a dictionary which we did not list"));
    };
    split(&raw.map_err(|_| bad())?)
}

/// Takes apart what [`join`] has made.
pub(crate) fn split(mut rest: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    let cut = || Fault::Misbehaved("a group that is cut");
    let mut bodies = Vec::new();
    while !rest.is_empty() {
        if bodies.len() == RELEASE_OBJECTS_MAX {
            return Err(Fault::Misbehaved("a group of more bodies than a release has"));
        }
        let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| cut())?;
        let (body, behind) = behind.split_at_checked(length).ok_or_else(cut)?;
        bodies.push(body.to_vec());
        rest = behind;
    }
    if bodies.is_empty() {
        return Err(Fault::Misbehaved("an empty group"));
    }
    Ok(bodies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_survive() {
        let bodies = [b"one".to_vec(), Vec::new(), b"three".to_vec()];
        for dictionary in [false, true] {
            let packed = pack(&bodies, dictionary).unwrap();
            assert_eq!(packed.dictionary.is_empty(), !dictionary);
            assert_eq!(unpack(&packed.group, &packed.dictionary).unwrap(), bodies);
        }
    }

    #[test]
    fn the_dictionary_is_for_small_groups_and_saves_much() {
        let object = |number: u32| {
            let text = format!(
                "{{\"created\":\"2026-03-01T00:00:00.000Z\",\"id\":\"indicator--0e1c7a5e-0000-4000-8000-{number:012x}\",\
                 \"modified\":\"2026-03-01T00:00:00.000Z\",\"pattern\":\"[domain-name:value = 'h{number}.example']\",\
                 \"pattern_type\":\"stix\",\"spec_version\":\"2.1\",\"type\":\"indicator\",\
                 \"valid_from\":\"2026-03-01T00:00:00Z\"}}"
            );
            text.into_bytes()
        };
        let size = |count: u32, dictionary: bool| {
            let bodies: Vec<_> = (0..count).map(object).collect();
            pack(&bodies, dictionary).unwrap().group.len()
        };
        assert!(size(1, true) * 2 < size(1, false), "{} and {}", size(1, true), size(1, false));
        assert!(size(10, true) < size(10, false));
        assert_eq!(size(1000, true), size(1000, false));
    }

    #[test]
    fn another_dictionary_is_refused() {
        let packed = pack(&[b"one".to_vec()], true).unwrap();
        assert!(unpack(&packed.group, b"another.").is_err());
        assert!(unpack(&packed.group, &packed.dictionary[1..]).is_err());
        let plain = pack(&[vec![b'x'; 1000]], false).unwrap();
        // What needs no dictionary is read with one all the same.
        assert!(unpack(&plain.group, dictionary::name()).is_ok());
    }

    #[test]
    fn bombs_and_nonsense_are_refused() {
        let check = |raw: &[u8]| {
            let group = zstd::bulk::compress(raw, LEVEL).unwrap();
            assert!(matches!(unpack(&group, b""), Err(Fault::Misbehaved(_))));
            let group = dictionary::compressor().unwrap().compress(raw).unwrap();
            assert!(matches!(unpack(&group, dictionary::name()), Err(Fault::Misbehaved(_))));
        };
        check(&vec![0; GROUP_BYTES_MAX + 1]);
        check(&[0, 0, 0, 9, 1]);
        check(&[0xff, 0xff, 0xff, 0xff, 1]);
        check(&[0; 4 * (RELEASE_OBJECTS_MAX + 1)]);
        check(&[]);
        assert!(unpack(b"nonsense", b"").is_err());
        assert!(unpack(b"", b"").is_err());
    }

    #[test]
    fn a_frame_that_lies_about_its_size_is_refused() {
        let honest = pack(&[vec![7; 1000]], false).unwrap().group;
        // The header's content size stands in bytes 5 and 6 of this frame, as 1004 - 256.
        assert_eq!(honest[5..7], (1004_u16 - 256).to_le_bytes());
        for stated in [0, 1, 747, 749, u16::MAX] {
            let mut lying = honest.to_vec();
            lying[5..7].copy_from_slice(&u16::to_le_bytes(stated));
            assert!(unpack(&lying, b"").is_err(), "{stated}");
        }
    }

    #[test]
    fn a_group_is_one_zstd_frame_and_nothing_behind_it() {
        let group = pack(&[vec![7; 1000]], false).unwrap().group;
        let empty = zstd::bulk::compress(&[], LEVEL).unwrap();
        // A frame that readers skip: its magic number, and a size of 4.
        let skipped = [&0x184d_2a50_u32.to_le_bytes()[..], &4_u32.to_le_bytes(), b"more"].concat();
        for behind in [&empty[..], &skipped, b"\0"] {
            assert!(unpack(&[&group[..], behind].concat(), b"").is_err(), "{behind:?}");
        }
    }

    #[test]
    fn the_largest_group_that_a_source_may_fill_fits() {
        let mut bodies = vec![vec![b'x'; 262]; 1000];
        bodies[999] = vec![b'x'; mithaq_core::body::BODY_BYTES_MAX];
        assert_eq!(fitting(&bodies).len(), 1000);
        assert_eq!(unpack(&pack(&bodies, true).unwrap().group, b"").unwrap(), bodies);
        assert!(fitting(&[vec![0; GROUP_BYTES_MAX]]).is_empty());
    }
}
