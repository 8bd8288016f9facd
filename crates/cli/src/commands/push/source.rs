//! What is pushed, as it lies there: a file, standard input, or the folder of a feed.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use mithaq_api::http::PUSH_BYTES_MAX;

use super::upload::is_too_large;
use crate::{failure::Failure, input};

/// How much of the beginning is looked at.
const HEAD_BYTES: usize = 64 * 1024;

/// An input whose beginning was read.
pub(super) struct Opened {
    /// What it is called in messages.
    pub(super) name: String,
    /// Its beginning.
    pub(super) head: Vec<u8>,
    /// What follows.
    pub(super) rest: File,
    /// Its size, if it is known.
    pub(super) bytes: Option<u64>,
}

impl Opened {
    /// Opens a file, or standard input for `-`; a file that is too large is refused before anything is sent.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let failed = |source| Failure::File { action: "read", path: PathBuf::from(path), source };
        let (mut rest, bytes) = if input::is_stdin(path) {
            (File::from(io::stdin().as_fd().try_clone_to_owned()?), None)
        } else {
            let file = File::open(path).map_err(failed)?;
            let metadata = file.metadata().map_err(failed)?;
            if metadata.is_dir() {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            (file, metadata.is_file().then_some(metadata.len()))
        };
        let name = input::name(path);
        if let Some(bytes) = bytes.filter(|bytes| is_too_large(*bytes)) {
            return Err(Failure::TooLarge { input: name, bytes });
        }
        let mut head = Vec::new();
        (&mut rest).take(HEAD_BYTES as u64).read_to_end(&mut head).map_err(failed)?;
        Ok(Self { name, head, rest, bytes })
    }

    /// Reads it to its end.
    pub(super) fn whole(self) -> Result<Vec<u8>, Failure> {
        let Self { name, head: mut whole, rest, .. } = self;
        let failed = |source| Failure::File { action: "read", path: PathBuf::from(&name), source };
        rest.take(PUSH_BYTES_MAX as u64).read_to_end(&mut whole).map_err(failed)?;
        if is_too_large(whole.len() as u64) {
            return Err(Failure::TooLarge { input: name, bytes: whole.len() as u64 });
        }
        Ok(whole)
    }
}
