//! Files that are there whole or not at all, and that only their owner reads.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

use rustix::{
    fs::{CWD, RenameFlags},
    io::Errno,
};

use super::HomeError;

/// Makes a folder that only its owner may enter, with its parents.
///
/// # Errors
/// When it cannot be made.
pub fn create_private_dir(path: &Path) -> Result<(), HomeError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io_error("create", path))
}

/// Writes a new file with a mode; never over one that is there. It is whole from the moment on in which it is there, also if
/// whoever writes it is killed, where the file system can give a name only if nothing has it.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn create_file(path: &Path, content: &[u8], mode: u32) -> Result<(), HomeError> {
    let exists = || HomeError::Exists { path: path.to_owned() };
    if path.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = path.with_file_name(format!(".{name}.{}.part", std::process::id()));
    write_new(&temporary, content, mode)?;
    let named = rustix::fs::renameat_with(CWD, &temporary, CWD, path, RenameFlags::NOREPLACE);
    match named {
        Ok(()) => return sync_parent(path),
        Err(_) => fs::remove_file(&temporary).map_err(io_error("remove", &temporary))?,
    }
    match named {
        Err(Errno::EXIST) => Err(exists()),
        // A file system that knows no such renaming.
        Err(Errno::INVAL | Errno::NOSYS) => write_new(path, content, mode),
        named => named.map_err(|source| io_error("create", path)(source.into())),
    }
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<(), HomeError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut file = file.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => HomeError::Exists { path: path.to_owned() },
        _ => HomeError::Io { action: "create", path: path.to_owned(), source },
    })?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(io_error("write", path))
}

/// Replaces a file by rename, so that a reader sees the old content or the new, and a crash loses neither.
///
/// # Errors
/// When it cannot be written.
pub fn replace_file(path: &Path, content: &[u8]) -> Result<(), HomeError> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(io_error("create", &temporary))?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(io_error("write", &temporary))?;
    fs::rename(&temporary, path).map_err(io_error("replace", path))?;
    sync_parent(path)
}

/// Makes a file's entry in its folder durable.
pub(super) fn sync_parent(path: &Path) -> Result<(), HomeError> {
    // A bare file name has the empty path as its parent.
    sync_dir(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

pub(super) fn sync_dir(dir: &Path) -> Result<(), HomeError> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(io_error("sync", dir))
}

pub(super) fn read_file(path: &Path, bytes_max: u64) -> Result<Vec<u8>, HomeError> {
    let is_file = fs::metadata(path).map_err(io_error("read", path))?.is_file();
    if !is_file {
        // To open a pipe would wait for whoever writes to it.
        return Err(io_error("read", path)(io::Error::other("it is not a regular file")));
    }
    let file = File::open(path).map_err(io_error("read", path))?;
    let mut text = Vec::new();
    // One byte more than may be there: whoever parses it then says that it is too large.
    file.take(bytes_max + 1).read_to_end(&mut text).map_err(io_error("read", path))?;
    Ok(text)
}

pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HomeError {
    let path = path.to_owned();
    move |source| HomeError::Io { action, path, source }
}
