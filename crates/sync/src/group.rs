//! Groups of bodies: each body after its length (4 bytes, big-endian), all of it as one zstd frame that states the
//! size of its content.

use bytes::Bytes;
use mithaq_core::release::RELEASE_OBJECTS_MAX;
use zstd::zstd_safe::{find_frame_compressed_size, get_frame_content_size};

use crate::{fault::Fault, limits::GROUP_BYTES_MAX};

/// Level 3 gives most of what zstd can give at several hundred megabytes a second.
const LEVEL: i32 = 3;

/// Packs bodies into a group.
pub(crate) fn pack(bodies: &[Vec<u8>]) -> Result<Bytes, Fault> {
    let mut raw = Vec::with_capacity(bodies.iter().map(|body| body.len() + 4).sum());
    for body in bodies {
        raw.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_be_bytes());
        raw.extend_from_slice(body);
    }
    // zstd fails only when memory is short; the session then ends and resumes.
    let packed = zstd::bulk::compress(&raw, LEVEL).map_err(|_| Fault::Internal("compression"))?;
    Ok(packed.into())
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
pub(crate) fn unpack(group: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
    let bad = || Fault::Misbehaved("a group that is not zstd or over its limit");
    let stated = get_frame_content_size(group).map_err(|_| bad())?;
    let size =
        stated.and_then(|size| usize::try_from(size).ok()).filter(|size| *size <= GROUP_BYTES_MAX).ok_or_else(bad)?;
    // zstd would go on with the next frame, and pass over frames that say nothing.
    if find_frame_compressed_size(group) != Ok(group.len()) {
        return Err(bad());
    }
    let raw = zstd::bulk::decompress(group, size).map_err(|_| bad())?;
    split(&raw)
}

fn split(mut rest: &[u8]) -> Result<Vec<Vec<u8>>, Fault> {
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
        assert_eq!(unpack(&pack(&bodies).unwrap()).unwrap(), bodies);
    }

    #[test]
    fn bombs_and_nonsense_are_refused() {
        let check = |raw: &[u8]| {
            let group = zstd::bulk::compress(raw, LEVEL).unwrap();
            assert!(matches!(unpack(&group), Err(Fault::Misbehaved(_))));
        };
        check(&vec![0; GROUP_BYTES_MAX + 1]);
        check(&[0, 0, 0, 9, 1]);
        check(&[0xff, 0xff, 0xff, 0xff, 1]);
        check(&[0; 4 * (RELEASE_OBJECTS_MAX + 1)]);
        check(&[]);
        assert!(unpack(b"nonsense").is_err());
        assert!(unpack(b"").is_err());
    }

    #[test]
    fn a_frame_that_lies_about_its_size_is_refused() {
        let honest = pack(&[vec![7; 1000]]).unwrap();
        // The header's content size stands in bytes 5 and 6 of this frame, as 1004 - 256.
        assert_eq!(honest[5..7], (1004_u16 - 256).to_le_bytes());
        for stated in [0, 1, 747, 749, u16::MAX] {
            let mut lying = honest.to_vec();
            lying[5..7].copy_from_slice(&u16::to_le_bytes(stated));
            assert!(unpack(&lying).is_err(), "{stated}");
        }
    }

    #[test]
    fn a_group_is_one_zstd_frame_and_nothing_behind_it() {
        let group = pack(&[vec![7; 1000]]).unwrap();
        let empty = zstd::bulk::compress(&[], LEVEL).unwrap();
        // A frame that readers skip: its magic number, and a size of 4.
        let skipped = [&0x184d_2a50_u32.to_le_bytes()[..], &4_u32.to_le_bytes(), b"more"].concat();
        for behind in [&empty[..], &skipped, b"\0"] {
            assert!(unpack(&[&group[..], behind].concat()).is_err(), "{behind:?}");
        }
    }

    #[test]
    fn the_largest_group_that_a_source_may_fill_fits() {
        let mut bodies = vec![vec![b'x'; 262]; 1000];
        bodies[999] = vec![b'x'; mithaq_core::body::BODY_BYTES_MAX];
        assert_eq!(fitting(&bodies).len(), 1000);
        assert_eq!(unpack(&pack(&bodies).unwrap()).unwrap(), bodies);
        assert!(fitting(&[vec![0; GROUP_BYTES_MAX]]).is_empty());
    }
}
