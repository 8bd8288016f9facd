//! What was set aside: copies of damaged bytes of the packs, in a folder beside them.
//!
//! A copy says that somebody has taken care of the damage: a check goes on naming it, and it is no problem any more. It
//! only counts as long as it holds what the pack holds. Nothing reads it but checks and people.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use crate::pack::{
    disk::sync_dir,
    segments::{Position, Segments, file_name},
};

/// The folder of the copies, in the store's folder.
pub(super) const FOLDER: &str = "damaged";

/// The file in it that is there from before a repair changes anything until it has come to its end.
const UNFINISHED: &str = "unfinished";

/// How much is copied or compared at a time.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Bytes of a pack that are damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) at: Position,
    pub(super) bytes: u64,
}

impl Piece {
    /// The name of its copy.
    pub(super) fn name(&self) -> String {
        let pack = file_name(self.at.segment);
        format!("{}-at-{}.bin", pack.trim_end_matches(".seg"), self.at.offset)
    }

    /// The chunks of what the pack holds there; none behind the end of a file that somebody has cut.
    fn chunks(self, segments: &Segments) -> impl Iterator<Item = io::Result<Vec<u8>>> {
        let offsets = (0..self.bytes).step_by(CHUNK_BYTES);
        offsets.map_while(move |offset| {
            let len = usize::try_from(self.bytes - offset).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            let at = Position { offset: self.at.offset + offset, ..self.at };
            segments.read(at, len).transpose()
        })
    }
}

/// The folder of what was set aside of one store.
#[derive(Debug)]
pub(super) struct Aside(PathBuf);

impl Aside {
    pub(super) fn of(store: &Path) -> Self {
        Self(store.join(FOLDER))
    }

    /// Whether a copy of a piece is there and holds what the pack holds.
    pub(super) fn has(&self, piece: Piece, segments: &Segments) -> io::Result<bool> {
        let Ok(mut copy) = File::open(self.0.join(piece.name())) else { return Ok(false) };
        if copy.metadata()?.len() != piece.bytes {
            return Ok(false);
        }
        let mut copied = Vec::new();
        for chunk in piece.chunks(segments) {
            let chunk = chunk?;
            copied.resize(chunk.len(), 0);
            copy.read_exact(&mut copied)?;
            if copied != chunk {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The places of what was set aside, as the names of the copies tell them.
    pub(super) fn pieces(&self) -> io::Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(pieces),
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let at =
                name.to_str().and_then(|name| name.strip_prefix("pack-")?.strip_suffix(".bin")?.split_once("-at-"));
            let at = at.and_then(|(segment, offset)| {
                Some(Position { segment: segment.parse().ok()?, offset: offset.parse().ok()? })
            });
            if let Some(at) = at {
                pieces.push(Piece { at, bytes: entry.metadata()?.len() });
            }
        }
        Ok(pieces)
    }

    /// Whether a repair has begun and not come to its end.
    pub(super) fn is_unfinished(&self) -> bool {
        self.0.join(UNFINISHED).exists()
    }

    /// Notes durably that a repair begins.
    pub(super) fn begin(&self) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        File::create(self.0.join(UNFINISHED))?.sync_all()?;
        self.sync()
    }

    /// Notes that the repair has come to its end.
    pub(super) fn end(&self) -> io::Result<()> {
        match fs::remove_file(self.0.join(UNFINISHED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => self.sync(),
        }
    }

    fn sync(&self) -> io::Result<()> {
        sync_dir(&self.0)?;
        sync_dir(self.0.parent().unwrap_or(Path::new(".")))
    }

    /// Copies a piece; the copy is durable on return.
    pub(super) fn put(&self, piece: Piece, segments: &Segments) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let (path, new) = (self.0.join(piece.name()), self.0.join("new"));
        let (file, disk) = (File::create(&new)?, segments.disk());
        let mut end = 0;
        for chunk in piece.chunks(segments) {
            let chunk = chunk?;
            disk.write_at(&file, &chunk, end)?;
            end += chunk.len() as u64;
        }
        disk.sync_data(&file)?;
        disk.replace(&new, &path)?;
        self.sync()
    }
}
