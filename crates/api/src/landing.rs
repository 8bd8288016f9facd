//! Files that come to stand in their places whole or not at all: written beside, synced, renamed.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use crate::home::HomeError;

/// The file by which a feed names its events. Those that the one before named and this one does not are removed.
const MANIFEST: &str = "manifest.json";

/// The most bytes of a manifest that is read for that.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The mode of the files: whoever reads them runs as another user, of our group.
const FILE_MODE: u32 = 0o640;

/// The mode of a folder that is made for them.
const FOLDER_MODE: u32 = 0o750;

/// Tells the temporary files of this process apart.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// Files under way. Dropped before [`Landing::finish`], it leaves what stood there as it was.
#[derive(Debug)]
pub struct Landing {
    target: PathBuf,
    is_folder: bool,
    open: Option<BufWriter<File>>,
    /// Temporary file, place.
    files: Vec<(PathBuf, PathBuf)>,
}

impl Landing {
    /// One file at `path`, or a folder of files.
    #[must_use]
    pub fn new(path: &Path, is_folder: bool) -> Self {
        Self { target: path.to_owned(), is_folder, open: None, files: Vec::new() }
    }

    /// Begins a file; of a folder, the one with this name.
    ///
    /// # Errors
    /// When it cannot be made, or the name is no plain file name.
    pub fn begin(&mut self, name: &str) -> Result<(), HomeError> {
        self.close()?;
        let place = if self.is_folder { self.target.join(name) } else { self.target.clone() };
        let is_plain = !name.is_empty() && !name.contains(['/', '\0']) && !name.starts_with('.');
        if !is_plain || (!self.is_folder && !self.files.is_empty()) {
            return Err(failed("write", &place)(io::Error::other("it has a name that no file of an export has")));
        }
        let folder = folder_of(&place);
        fs::DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(failed("create", folder))?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let file_name = place.file_name().unwrap_or_default().to_string_lossy();
        let temporary = folder.join(format!(".{file_name}.{}-{number}.new", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&temporary);
        self.open = Some(BufWriter::new(file.map_err(failed("create", &temporary))?));
        self.files.push((temporary, place));
        Ok(())
    }

    /// Writes to the file that was begun last.
    ///
    /// # Errors
    /// When it cannot be written, or none was begun.
    pub fn write(&mut self, text: &str) -> Result<(), HomeError> {
        let Some(open) = &mut self.open else {
            return Err(failed("write", &self.target)(io::Error::other("no file of the export has begun")));
        };
        let written = open.write_all(text.as_bytes());
        written.map_err(failed("write", self.files.last().map_or(&self.target, |(temporary, _)| temporary)))
    }

    /// Has all files stand in their places, in the order in which they were begun.
    ///
    /// # Errors
    /// When one cannot be written or renamed; those before it stand then.
    pub fn finish(mut self) -> Result<(), HomeError> {
        self.close()?;
        let stale = self.stale();
        for (temporary, place) in std::mem::take(&mut self.files) {
            fs::rename(&temporary, &place).map_err(failed("replace", &place))?;
        }
        for path in stale {
            // One that somebody else removed is gone all the same.
            let _ = fs::remove_file(path);
        }
        let folder = if self.is_folder { &self.target } else { folder_of(&self.target) };
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("sync", folder))
    }

    fn close(&mut self) -> Result<(), HomeError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let synced = open.into_inner().map_err(io::IntoInnerError::into_error).and_then(|file| file.sync_all());
        synced.map_err(failed("write", self.files.last().map_or(&self.target, |(temporary, _)| temporary)))
    }

    /// The files that the manifest names which is being replaced, and that are not among ours.
    fn stale(&self) -> Vec<PathBuf> {
        let Some((_, manifest)) = self.files.iter().find(|(_, place)| self.is_folder && place.ends_with(MANIFEST))
        else {
            return Vec::new();
        };
        let is_small = fs::metadata(manifest).is_ok_and(|file| file.is_file() && file.len() <= MANIFEST_BYTES_MAX);
        let text = if is_small { fs::read(manifest).unwrap_or_default() } else { Vec::new() };
        let named: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&text).unwrap_or_default();
        let ours: BTreeSet<&PathBuf> = self.files.iter().map(|(_, place)| place).collect();
        let is_uuid =
            |name: &str| name.len() == 36 && name.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let paths = named.keys().filter(|name| is_uuid(name)).map(|name| self.target.join(format!("{name}.json")));
        paths.filter(|path| !ours.contains(path)).collect()
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        for (temporary, _) in &self.files {
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Where the state of an export stands: beside its file, or in its folder.
#[must_use]
pub fn state_beside(output: &Path, is_folder: bool) -> PathBuf {
    if is_folder {
        return output.join(".mithaq-export-state");
    }
    let name = output.file_name().unwrap_or_default().to_string_lossy();
    folder_of(output).join(format!(".{name}.mithaq-export-state"))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HomeError {
    let path = path.to_owned();
    move |source| HomeError::Io { action, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_stands_whole_or_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("intel.dat");
        fs::write(&path, "old").unwrap();
        let mut landing = Landing::new(&path, false);
        landing.begin("any").unwrap();
        landing.write("new").unwrap();
        drop(landing);
        assert_eq!((fs::read_to_string(&path).unwrap(), names(dir.path()).len()), ("old".into(), 1));
        let mut landing = Landing::new(&path, false);
        landing.begin("any").unwrap();
        landing.write("new").unwrap();
        landing.begin("second").unwrap_err();
        landing.finish().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap(), names(dir.path()).len()), ("new".into(), 1));
    }

    #[test]
    fn names_do_not_lead_out_of_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let mut landing = Landing::new(&dir.path().join("out"), true);
        for name in ["../x", "/x", "", ".x", "a/b", "a\0b"] {
            landing.begin(name).unwrap_err();
        }
    }

    #[test]
    fn only_events_that_a_manifest_named_before_go() {
        let dir = tempfile::tempdir().unwrap();
        let [old, kept] = ["11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"];
        let stranger = "33333333-3333-4333-8333-333333333333.json";
        let write = |uuids: &[&str]| {
            let mut landing = Landing::new(dir.path(), true);
            for uuid in uuids {
                landing.begin(&format!("{uuid}.json")).unwrap();
            }
            landing.begin(MANIFEST).unwrap();
            let manifest: serde_json::Map<_, _> = uuids.iter().map(|uuid| (uuid.to_string(), true.into())).collect();
            landing.write(&serde_json::to_string(&manifest).unwrap()).unwrap();
            landing.finish().unwrap();
        };
        fs::write(dir.path().join(stranger), "").unwrap();
        write(&[old, kept]);
        assert_eq!(names(dir.path()).len(), 4);
        write(&[kept]);
        assert_eq!(names(dir.path()), [format!("{kept}.json"), stranger.to_owned(), MANIFEST.to_owned()]);
    }
}
