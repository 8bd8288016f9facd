//! Copying with a hash, durably.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use aws_lc_rs::digest::{Context, SHA256};
use mithaq_core::id::to_hex;

use super::BackupError;

/// How much is read at a time.
const CHUNK_BYTES: usize = 1024 * 1024;

/// A SHA-256 in the making.
#[derive(Clone)]
pub(crate) struct Digest(Context);

impl Digest {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// The hash of some bytes.
    pub(crate) fn of(bytes: &[u8]) -> String {
        let mut digest = Self::new();
        digest.0.update(bytes);
        digest.finish()
    }

    /// 64 hexadecimal digits.
    pub(crate) fn finish(self) -> String {
        to_hex(self.0.finish().as_ref())
    }
}

/// An error of the operating system about a file.
pub(crate) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io { action, path, source }
}

/// Reads exactly `bytes` bytes into the digest and, if there is one, into a writer.
pub(crate) fn pump(from: &mut File, mut bytes: u64, digest: &mut Digest, mut to: Option<&mut File>) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    while bytes > 0 {
        let len = usize::try_from(bytes).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        from.read_exact(&mut chunk[..len])?;
        digest.0.update(&chunk[..len]);
        if let Some(to) = to.as_mut() {
            to.write_all(&chunk[..len])?;
        }
        bytes -= len as u64;
    }
    Ok(())
}

/// The hash of the first `bytes` bytes of a file; `None` if it has fewer, or is not there.
pub(crate) fn hash_of(path: &Path, bytes: u64) -> Result<Option<String>, BackupError> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(io_error("read", path))?,
    };
    let mut digest = Digest::new();
    match pump(&mut file, bytes, &mut digest, None) {
        Ok(()) => Ok(Some(digest.finish())),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(io_error("read", path)(error)),
    }
}

/// The bytes of a file between two places.
pub(crate) fn range(file: &mut File, from: u64, to: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(to.saturating_sub(from)).map_err(io::Error::other)?];
    file.seek(SeekFrom::Start(from))?;
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Copies the first `bytes` bytes of a file to a new one, durably; gives their hash.
pub(crate) fn copy(from: &Path, to: &Path, bytes: u64) -> Result<String, BackupError> {
    let mut source = File::open(from).map_err(io_error("read", from))?;
    let mut target = create(to).map_err(io_error("create", to))?;
    let mut digest = Digest::new();
    pump(&mut source, bytes, &mut digest, Some(&mut target)).map_err(io_error("copy to", to))?;
    target.sync_all().map_err(io_error("write", to))?;
    Ok(digest.finish())
}

/// A new file that only its owner may read, in place of whatever has its name: a link there is not followed.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path),
    }
}

/// Makes a folder that only its owner may enter, with its parents.
pub(crate) fn create_dir(path: &Path) -> Result<(), BackupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error("create", path))
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(path: &Path) -> Result<(), BackupError> {
    File::open(path).and_then(|dir| dir.sync_all()).map_err(io_error("write", path))
}

/// Refuses a disk without room for so many bytes and a little more.
pub(crate) fn require_room(dir: &Path, bytes: u64) -> Result<(), BackupError> {
    let needed = bytes.saturating_add(CHUNK_BYTES as u64);
    // A file system that does not say how full it is says so when it is.
    let Ok(stat) = rustix::fs::statvfs(dir) else { return Ok(()) };
    let free = stat.f_bavail.saturating_mul(stat.f_frsize);
    if free < needed { Err(BackupError::NoRoom { dir: dir.to_owned(), needed, free }) } else { Ok(()) }
}

/// The plain files of a folder whose names are accepted, in order; none if there is no folder.
pub(crate) fn names(dir: &Path, accept: impl Fn(&str) -> bool) -> Result<Vec<String>, BackupError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io_error("list", dir))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io_error("list", dir))?;
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        let name = entry.file_name().into_string().ok().filter(|name| is_file && accept(name));
        names.extend(name);
    }
    names.sort_unstable();
    Ok(names)
}
