//! Gives the packs of a store that is not open to a store with another id.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use super::{
    disk::sync_dir,
    header::{HEADER_LEN, SegmentHeader},
    segments::{file_name, io_error, segment_numbers},
};
use crate::contract::{StoreError, StoreId};

/// Writes another store id into the header of each segment in `dir`, durably; gives the id that was there.
///
/// What the frames hold does not depend on the id. A crash half way leaves segments of both ids: whoever calls this does so
/// on copies, and gives them their place only afterwards.
pub(crate) fn adopt(dir: &Path, id: StoreId) -> Result<Option<StoreId>, StoreError> {
    let mut was = None;
    for number in segment_numbers(dir).map_err(io_error(dir))? {
        let path = dir.join(file_name(number));
        let file = OpenOptions::new().read(true).write(true).open(&path).map_err(io_error(&path))?;
        let mut bytes = [0; HEADER_LEN];
        file.read_exact_at(&mut bytes, 0).map_err(io_error(&path))?;
        was = SegmentHeader::parse(&bytes)?.map(|header| header.id).or(was);
        rewrite(&file, &bytes, id).map_err(io_error(&path))?;
    }
    sync_dir(dir).map_err(io_error(dir))?;
    Ok(was)
}

fn rewrite(file: &File, bytes: &[u8; HEADER_LEN], id: StoreId) -> io::Result<()> {
    file.write_all_at(&SegmentHeader::with_id(bytes, id), 0)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_sound_header_gets_the_id_and_a_damaged_one_stays_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let (old, new) = (StoreId::from_bytes([1; 16]), StoreId::from_bytes([2; 16]));
        let header = |number, id| SegmentHeader::new(id, number, 77).encode();
        let mut damaged = header(1, old);
        damaged[36] ^= 1;
        fs::write(dir.path().join(file_name(0)), [&header(0, old)[..], b"frames"].concat()).unwrap();
        fs::write(dir.path().join(file_name(1)), &damaged).unwrap();

        assert_eq!(adopt(dir.path(), new).unwrap(), Some(old));
        let sound = fs::read(dir.path().join(file_name(0))).unwrap();
        assert_eq!(sound, [&header(0, new)[..], b"frames"].concat());
        let damaged = fs::read(dir.path().join(file_name(1))).unwrap();
        assert_eq!(SegmentHeader::parse(&damaged).unwrap(), None);
        assert_eq!(SegmentHeader::id_of_damaged(&damaged), Some(new));
    }
}
