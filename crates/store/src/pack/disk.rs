//! The few calls that make bytes durable, behind a seam so that tests can make them fail.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

/// What the packs ask of the operating system when they write.
pub trait Disk: Send + Sync {
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the file's data, and the length needed to read it, durable.
    fn sync_data(&self, file: &File) -> io::Result<()>;

    /// Cuts the file to `len` bytes.
    fn truncate(&self, file: &File, len: u64) -> io::Result<()>;

    /// Gives a file, which is durable, the name of another in the same folder, which it replaces; durable on return.
    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)?;
        sync_dir(to.parent().unwrap_or(Path::new(".")))
    }

    /// How many bytes an unprivileged process may still write where `path` lies.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// The operating system itself.
#[derive(Debug)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    fn sync_data(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

/// Opens a file to be read alone, if `error`, met when it was to be written, is that its file system is read-only.
pub(crate) fn if_read_only(error: io::Error, path: &Path) -> io::Result<File> {
    if error.kind() == io::ErrorKind::ReadOnlyFilesystem { File::open(path) } else { Err(error) }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
