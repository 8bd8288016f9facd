//! Inputs of the commands that need no daemon: files, folders and standard input, read in chunks.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use indicatif::ProgressBar;

use crate::{failure::Failure, progress};

/// How much is read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// What the names of files end in that are looked for in folders.
const EXTENSIONS: [&str; 5] = ["json", "jsonl", "ndjson", "stix", "stix2"];

/// An input that is open.
pub(crate) struct Input {
    path: PathBuf,
    reader: Box<dyn Read>,
    bar: ProgressBar,
    chunk: Vec<u8>,
}

/// Whether a path means standard input.
pub(crate) fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

/// What an input is called in messages.
pub(crate) fn name(path: &Path) -> String {
    if is_stdin(path) { "standard input".to_owned() } else { path.display().to_string() }
}

/// The inputs that are meant: of a folder the files in and below it that may hold STIX, in the order of their names.
pub(crate) fn expand(path: &Path) -> Result<Vec<PathBuf>, Failure> {
    if is_stdin(path) || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        list(&folder, &mut files, &mut folders).map_err(|source| failed("list", &folder, source))?;
    }
    files.sort();
    if files.is_empty() {
        let source = io::Error::new(io::ErrorKind::NotFound, "no .json, .jsonl, .ndjson, .stix or .stix2 file there");
        return Err(failed("find STIX in", path, source));
    }
    Ok(files)
}

/// Lists a folder. Links to files are followed, those to folders are not: they may lead in a circle.
fn list(folder: &Path, files: &mut Vec<PathBuf>, folders: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
        if entry.file_type()?.is_dir() {
            folders.push(path);
        } else if extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str())) && is_file(&path) {
            files.push(path);
        }
    }
    Ok(())
}

/// A file, or a link to one or to nothing. Pipes and devices have no end.
fn is_file(path: &Path) -> bool {
    path.metadata().map_or(true, |metadata| metadata.is_file())
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> Failure {
    Failure::File { action, path: PathBuf::from(name(path)), source }
}

/// Reads a file as a whole, or standard input for `-`, as far as one byte over `bytes_max`: whoever parses it then says
/// that it is too large.
pub(crate) fn read_whole(path: &Path, bytes_max: usize) -> Result<Vec<u8>, Failure> {
    let mut input = Input::open(path, "reading")?;
    let mut whole = Vec::new();
    while whole.len() <= bytes_max {
        let chunk = input.next_chunk()?;
        if chunk.is_empty() {
            break;
        }
        whole.extend_from_slice(chunk);
    }
    whole.truncate(bytes_max.saturating_add(1));
    Ok(whole)
}

impl Input {
    /// Opens a file, or standard input for `-`; `doing` stands before the bar.
    pub(crate) fn open(path: &Path, doing: &'static str) -> Result<Self, Failure> {
        let (reader, bytes): (Box<dyn Read>, _) = if is_stdin(path) {
            (Box::new(io::stdin()), None)
        } else {
            let file = File::open(path).map_err(|source| failed("read", path, source))?;
            let metadata = file.metadata().map_err(|source| failed("read", path, source))?;
            (Box::new(file), metadata.is_file().then_some(metadata.len()))
        };
        let bar = progress::bar(doing, bytes);
        Ok(Self { path: path.to_owned(), reader, bar, chunk: vec![0; CHUNK_BYTES] })
    }

    /// The next chunk, which is empty at the end.
    pub(crate) fn next_chunk(&mut self) -> Result<&[u8], Failure> {
        let bytes = loop {
            match self.reader.read(&mut self.chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result.map_err(|source| failed("read", &self.path, source))?,
            }
        };
        self.bar.inc(bytes as u64);
        Ok(&self.chunk[..bytes])
    }

    /// The bar, which must not be in the way of what is printed meanwhile.
    pub(crate) fn bar(&self) -> &ProgressBar {
        &self.bar
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mithaq_core::code::Code;

    #[test]
    fn folders_are_looked_through_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let failure = expand(folder.path()).unwrap_err();
        assert_eq!(failure.code(), Code::FILE);
        let below = folder.path().join("b");
        fs::create_dir(&below).unwrap();
        std::os::unix::fs::symlink(folder.path(), below.join("circle.json")).unwrap();
        for name in ["c.JSON", "a.stix2", "b/z.ndjson", "b/a.jsonl", "notes.txt", "stix"] {
            fs::write(folder.path().join(name), "{}").unwrap();
        }
        let files = expand(folder.path()).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.strip_prefix(folder.path()).unwrap()).collect();
        assert_eq!(names, ["a.stix2", "b/a.jsonl", "b/z.ndjson", "c.JSON"].map(Path::new));
        assert_eq!(expand(&files[0]).unwrap(), [files[0].clone()]);
        assert_eq!(expand(Path::new("-")).unwrap(), [PathBuf::from("-")]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let failure = Input::open(Path::new("/nonexistent"), "reading").map(|_| ()).unwrap_err();
        assert!(failure.message().starts_with("cannot read /nonexistent: "), "{failure}");
        let mut folder = Input::open(Path::new("/"), "reading").unwrap();
        assert!(folder.next_chunk().unwrap_err().message().starts_with("cannot read /: "));
    }
}
