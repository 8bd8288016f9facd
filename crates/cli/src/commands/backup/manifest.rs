//! The manifest: what a backup holds, with the hash of every file, signed with a key of our card.
//!
//! It is the last file that a backup writes, by rename: two lines of JSON, the manifest and the envelope of its seal.
//! Whoever can write to the medium can put back an older backup, and cannot plant a peer or an object.

use std::{
    fs,
    io::{self, Write},
    path::{Component, Path, PathBuf},
};

use mithaq_api::home::{read_card, with_sources};
use mithaq_core::{
    dsse::Envelope,
    id::{CertId, StoreId},
    keys::SecretKey,
    statement::{Statement, StatementError, Verified},
    time::Time,
};
use serde::{Deserialize, Serialize};

use super::{
    BackupError,
    files::{self, Digest, io_error},
};

/// The manifest's file.
pub(crate) const FILE: &str = "manifest.jsonl";

/// The name under which it is written until it is whole.
pub(crate) const UNFINISHED: &str = "manifest.new";

/// The file that says that a run is under way, or was cut off: what else it has made is known by that.
pub(crate) const RUNNING: &str = "backup.running";

/// The schema that manifests name.
const SCHEMA: &str = "mithaq-backup/1";

/// The largest manifest that is read: a million files.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

/// What a backup holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    schema: String,
    /// Whose it is.
    pub(crate) cert: CertId,
    /// Its name, for people.
    pub(crate) name: String,
    /// When the cut of the store was made.
    pub(crate) at: Time,
    /// The program that took it.
    version: String,
    /// How many backups the folder has held.
    pub(crate) generation: u64,
    /// Whether secret keys are in it.
    pub(crate) keys: bool,
    /// The store's id.
    pub(crate) store: StoreId,
    /// The store's layout.
    store_schema: u32,
    /// A row of the log that is in it, as all rows before it are.
    pub(crate) head: u64,
    /// About how many objects are in it.
    pub(crate) objects: u64,
    /// The segments.
    pub(crate) packs: Vec<PackFile>,
    /// The files of the home.
    pub(crate) home: Vec<HomeFile>,
}

/// A segment in a backup. The file may have more bytes, which a later backup left that did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PackFile {
    /// Its name in the store.
    pub(crate) file: String,
    /// How often it was written anew.
    pub(crate) edition: u32,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// A file of the home in a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HomeFile {
    /// Its path in the home.
    pub(crate) path: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

/// What a new manifest says of the store and of the folder.
pub(crate) struct Draft {
    pub(crate) cert: CertId,
    pub(crate) name: String,
    pub(crate) at: Time,
    pub(crate) generation: u64,
    pub(crate) keys: bool,
    pub(crate) store: StoreId,
    pub(crate) store_schema: u32,
    pub(crate) head: u64,
    pub(crate) objects: u64,
}

/// What is signed: whose manifest, when, and its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seal {
    schema: String,
    cert: CertId,
    at: Time,
    sha256: String,
}

impl Statement for Seal {
    const TYPE: &'static str = "application/vnd.mithaq.backup+json;version=1";
    const NAME: &'static str = "backup's seal";

    fn signer(&self) -> CertId {
        self.cert
    }

    fn at(&self) -> Time {
        self.at
    }

    fn check(&self) -> Result<(), StatementError> {
        if self.schema == SCHEMA {
            return Ok(());
        }
        Err(StatementError::Field { name: Self::NAME, field: "schema", problem: "is not known to this program" })
    }
}

impl Manifest {
    /// A manifest of these files.
    pub(crate) fn new(draft: Draft, packs: Vec<PackFile>, home: Vec<HomeFile>) -> Self {
        let Draft { cert, name, at, generation, keys, store, store_schema, head, objects } = draft;
        let (schema, version) = (SCHEMA.to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        Self { schema, cert, name, at, version, generation, keys, store, store_schema, head, objects, packs, home }
    }

    /// Where a segment lies in the folder.
    pub(crate) fn pack_path(&self, pack: &PackFile) -> PathBuf {
        pack_path(self.store, &pack.file, pack.edition)
    }

    /// Where a file of the home lies in the folder.
    pub(crate) fn home_path(&self, file: &HomeFile) -> PathBuf {
        home_dir(self.generation).join(&file.path)
    }

    /// All bytes that are in it.
    pub(crate) fn bytes(&self) -> u64 {
        let (packs, home) = (self.packs.iter().map(|pack| pack.bytes), self.home.iter().map(|file| file.bytes));
        // Whoever holds our keys could sign any numbers.
        packs.chain(home).fold(0, u64::saturating_add)
    }

    /// All bytes of its segments.
    pub(crate) fn pack_bytes(&self) -> u64 {
        self.packs.iter().map(|pack| pack.bytes).fold(0, u64::saturating_add)
    }

    /// Writes the manifest in place of the one before: from here on the folder holds this backup.
    pub(crate) fn write(&self, dir: &Path, key: &SecretKey) -> Result<(), BackupError> {
        let path = dir.join(FILE);
        let failed = |error: &dyn std::error::Error| io_error("write", &path)(io::Error::other(with_sources(error)));
        let text = serde_json::to_vec(self).map_err(|error| failed(&error))?;
        let seal = Seal { schema: SCHEMA.to_owned(), cert: self.cert, at: self.at, sha256: Digest::of(&text) };
        let seal = Verified::sign(seal, key).map_err(|error| failed(&error))?;
        let unfinished = dir.join(UNFINISHED);
        let mut file = files::create(&unfinished).map_err(io_error("create", &unfinished))?;
        let written = file.write_all(&text).and_then(|()| file.write_all(b"\n"));
        let written = written.and_then(|()| file.write_all(&seal.envelope().to_json()));
        written.and_then(|()| file.sync_all()).map_err(io_error("write", &unfinished))?;
        fs::rename(&unfinished, &path).map_err(io_error("write", &path))?;
        files::sync_dir(dir)
    }

    /// Reads the manifest of a folder and checks its seal with the card that is in the backup.
    ///
    /// # Errors
    /// When there is none, or manifest or card were damaged or changed.
    pub(crate) fn read(dir: &Path) -> Result<Self, BackupError> {
        let path = dir.join(FILE);
        let length = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(BackupError::Missing { dir: dir.to_owned() });
            }
            metadata => metadata.map_err(io_error("read", &path))?.len(),
        };
        let damaged = |problem: String| BackupError::Damaged { path: path.clone(), problem };
        if length > BYTES_MAX {
            return Err(damaged(format!("it has {length} bytes, more than any manifest")));
        }
        let text = fs::read(&path).map_err(io_error("read", &path))?;
        let cut = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
        let (line, seal) = text.split_at(cut);
        let manifest: Self = serde_json::from_slice(line).map_err(|error| damaged(error.to_string()))?;
        manifest.check().map_err(damaged)?;
        manifest.check_seal(dir, line, seal).map_err(|error| match error {
            SealError::Card(error) => error,
            SealError::Seal(problem) => damaged(problem),
        })?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        if self.schema != SCHEMA {
            return Err(format!("it has schema {:?}; this program reads {SCHEMA:?}", self.schema));
        }
        if !(1..u64::MAX).contains(&self.generation) {
            return Err(format!("{} is no number of a backup", self.generation));
        }
        if let Some(pack) = self.packs.iter().find(|pack| !is_pack(&pack.file)) {
            return Err(format!("{:?} is no segment's name", pack.file));
        }
        match self.home.iter().find(|file| !is_inside(&file.path)) {
            Some(file) => Err(format!("{:?} is no path in a home", file.path)),
            None => Ok(()),
        }
    }

    fn check_seal(&self, dir: &Path, line: &[u8], seal: &[u8]) -> Result<(), SealError> {
        let path = dir.join(home_dir(self.generation)).join("card.json");
        let card = read_card(&path);
        let card = card.map_err(|error| {
            let problem = error.to_string();
            SealError::Card(BackupError::Damaged { path: path.clone(), problem })
        })?;
        let wrong = |error: &dyn std::error::Error| SealError::Seal(with_sources(error));
        let envelope = Envelope::from_json(seal.trim_ascii()).map_err(|error| wrong(&error))?;
        let seal = Verified::<Seal>::verify(envelope, &card).map_err(|error| wrong(&error))?;
        if seal.statement().cert != self.cert || seal.statement().sha256 != Digest::of(line) {
            return Err(SealError::Seal("it is not what was signed: it was damaged or changed".into()));
        }
        Ok(())
    }
}

/// Why a manifest cannot be trusted.
enum SealError {
    Card(BackupError),
    Seal(String),
}

/// Where a segment lies in a backup: segments of two stores, or of two editions, never share a name.
pub(crate) fn pack_path(store: StoreId, file: &str, edition: u32) -> PathBuf {
    let stem = file.strip_suffix(".seg").unwrap_or(file);
    let store = store.to_string();
    Path::new("packs").join(format!("{stem}-{}-{edition}.seg", store.get(..8).unwrap_or(&store)))
}

/// Where the files of the home lie in a backup.
pub(crate) fn home_dir(generation: u64) -> PathBuf {
    PathBuf::from(format!("home-{generation}"))
}

fn is_pack(file: &str) -> bool {
    let number = file.strip_prefix("pack-").and_then(|rest| rest.strip_suffix(".seg"));
    number.is_some_and(|digits| digits.len() == 8 && is_digits(digits))
}

/// Whether a name is one that [`pack_path`] gives.
pub(crate) fn is_pack_copy(name: &str) -> bool {
    let parts = name.strip_prefix("pack-").and_then(|rest| rest.strip_suffix(".seg"));
    let parts: Vec<&str> = parts.into_iter().flat_map(|parts| parts.split('-')).collect();
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    matches!(parts[..], [number, store, edition] if number.len() == 8 && is_digits(number)
        && store.len() == 8 && store.bytes().all(is_hex) && is_digits(edition))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_in_a_home_and_names_of_segments_are_taken() {
        for (path, expect) in
            [("card.json", true), ("peers/cn.json", true), ("../x", false), ("/etc/x", false), ("", false)]
        {
            assert_eq!(is_inside(path), expect, "{path}");
        }
        for (file, expect) in [("pack-00000001.seg", true), ("pack-1.seg", false), ("pack-0000000x.seg", false)] {
            assert_eq!(is_pack(file), expect, "{file}");
        }
    }

    #[test]
    fn a_manifest_may_name_any_number_of_bytes() {
        let pack = PackFile { file: "pack-00000000.seg".into(), edition: 0, bytes: u64::MAX, sha256: String::new() };
        let draft = Draft {
            cert: CertId::from_bytes([1; 32]),
            name: String::new(),
            at: Time::from_micros(0),
            generation: u64::MAX,
            keys: false,
            store: StoreId::from_bytes([1; 16]),
            store_schema: 1,
            head: 0,
            objects: 0,
        };
        let manifest = Manifest::new(draft, vec![pack.clone(), pack], Vec::new());
        assert_eq!((manifest.bytes(), manifest.pack_bytes()), (u64::MAX, u64::MAX));
        assert!(manifest.check().is_err(), "there is no generation after the last");
    }

    #[test]
    fn only_names_that_a_backup_gives_are_copies_of_segments() {
        let given = pack_path(StoreId::from_bytes([0xab; 16]), "pack-00000017.seg", 12);
        assert!(is_pack_copy(given.file_name().unwrap().to_str().unwrap()), "{}", given.display());
        for name in ["pack-00000000.seg", "mine.seg", "pack-00000000-0101010x-0.seg", "pack-00000000-01010101-.seg"] {
            assert!(!is_pack_copy(name), "{name}");
        }
    }

    #[test]
    fn segments_of_two_stores_or_editions_never_share_a_name() {
        let [a, b] = [1, 2].map(|byte| StoreId::from_bytes([byte; 16]));
        let paths = [(a, 0), (a, 1), (b, 0)].map(|(store, edition)| pack_path(store, "pack-00000000.seg", edition));
        assert_eq!(paths[0], Path::new("packs/pack-00000000-01010101-0.seg"));
        assert!(paths[0] != paths[1] && paths[0] != paths[2] && paths[1] != paths[2]);
    }
}
