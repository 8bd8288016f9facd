//! Takes a backup, or brings one up to date.
//!
//! Nothing that the manifest of the backup before names is changed until the new manifest has taken its place: segments
//! grow behind the bytes that it names, another edition of a segment has another name, and the files of the home lie in a
//! folder of their own for each backup.

use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use mithaq_api::{
    config::Config,
    home::{Home, KeyName},
    http::{PackCut, StoreCut},
};
use mithaq_core::{card::VerifiedCard, id::StoreId, keys::SecretKey, time::Time};
use rustix::fs::OFlags;

use super::{
    BackupError,
    files::{self, Digest, io_error},
    folder::{Folder, PACKS, generation_after},
    manifest::{Draft, HomeFile, Manifest, PackFile, home_dir, pack_path},
};
use crate::{clock, daemon, failure::Failure};

/// How often the daemon is asked for a cut, whose segments may be written anew before they are opened.
const CUTS_MAX: usize = 8;

/// How many bytes at the end of a sealed segment are compared with those that the backup has.
const COMPARED_BYTES: u64 = 64 * 1024;

/// The folders of a home whose files are backed up, and what these files' names end with.
const FOLDERS: [(&str, &str); 4] =
    [("peers", ".json"), ("ledger", ""), ("evidence", ".json"), ("attestations", ".json")];

/// A segment that is open, so that nothing can take it away any more.
struct Source {
    cut: PackCut,
    path: PathBuf,
    file: File,
}

/// What a backup is taken of.
struct Origin<'a> {
    home: &'a Home,
    config: Config,
    card: VerifiedCard,
    key: Arc<SecretKey>,
}

/// Brings the backup in `dir` up to date; gives its manifest, and how many bytes were copied.
pub(super) fn take(home: &Home, dir: &Path, keys: bool) -> Result<(Manifest, u64), Failure> {
    let card = home.card()?;
    let key = home.current_key(&card, KeyName::Signing, clock::now())?;
    let origin = Origin { home, config: home.config()?, card, key };
    let store = home.dir().join(&origin.config.store.dir);
    let (folder, before) = Folder::open(dir, &[home.dir().to_owned(), store])?;
    let cert = origin.card.cert_id();
    if let Some(other) = before.as_ref().filter(|before| before.cert != cert) {
        return Err(BackupError::OtherCert { dir: dir.to_owned(), backup: other.cert, home: cert }.into());
    }
    folder.begin(before.as_ref())?;
    let taken = write(&origin, dir, &folder, before.as_ref(), keys);
    // Also after a failure: what a full disk could not take must not stay there.
    let tidied = folder.tidy(before.as_ref());
    let taken = taken?;
    tidied?;
    Ok(taken)
}

fn write(
    origin: &Origin<'_>,
    dir: &Path,
    folder: &Folder,
    before: Option<&Manifest>,
    keys: bool,
) -> Result<(Manifest, u64), Failure> {
    let (at, cut, sources) = open_cut(origin)?;
    let mut copies = Copies { folder, store: cut.store, before, copied: 0 };
    files::require_room(dir, copies.needed(&sources))?;
    let mut packs = Vec::with_capacity(sources.len());
    for source in sources {
        packs.push(copies.copy(source)?);
    }
    folder.sync(Path::new(PACKS))?;
    let generation = generation_after(before);
    let home = copy_home(origin, folder, &home_dir(generation), keys)?;
    let card = origin.card.card();
    let draft = Draft {
        cert: origin.card.cert_id(),
        name: card.name.clone(),
        at,
        generation,
        keys,
        store: cut.store,
        store_schema: cut.schema,
        head: cut.head,
        objects: cut.objects,
    };
    let copied = copies.copied + home.iter().map(|file| file.bytes).sum::<u64>();
    let manifest = Manifest::new(draft, packs, home);
    manifest.write(dir, &origin.key)?;
    Ok((manifest, copied))
}

/// Asks the daemon for a cut and opens its segments: those, and no others that took their place meanwhile.
fn open_cut(origin: &Origin<'_>) -> Result<(Time, StoreCut, Vec<Source>), Failure> {
    let packs = origin.home.dir().join(&origin.config.store.dir).join("packs");
    let client = daemon::client(origin.home)?;
    for _ in 0..CUTS_MAX {
        let at = clock::now();
        let cut: StoreCut = daemon::block_on(async { Ok(client.get("/v1/store/cut").await?) })?;
        if let Some(sources) = open_sources(&packs, &cut)? {
            return Ok((at, cut, sources));
        }
    }
    Err(BackupError::Moving.into())
}

/// The segments of a cut; `None` if one was written anew since.
fn open_sources(packs: &Path, cut: &StoreCut) -> Result<Option<Vec<Source>>, BackupError> {
    let mut sources = Vec::with_capacity(cut.packs.len());
    for cut in &cut.packs {
        let path = packs.join(&cut.file);
        let file = File::open(&path).map_err(io_error("read", &path))?;
        if file.metadata().map_err(io_error("read", &path))?.ino() != cut.inode {
            return Ok(None);
        }
        sources.push(Source { cut: cut.clone(), path, file });
    }
    Ok(Some(sources))
}

/// Copies segments as far as the folder lacks them.
struct Copies<'a> {
    folder: &'a Folder,
    store: StoreId,
    before: Option<&'a Manifest>,
    copied: u64,
}

impl Copies<'_> {
    fn path(&self, cut: &PackCut) -> PathBuf {
        pack_path(self.store, &cut.file, cut.edition)
    }

    /// What the backup before has of a segment, if it is still there.
    fn held(&self, cut: &PackCut) -> Option<&PackFile> {
        let before = self.before.filter(|before| before.store == self.store)?;
        let held = before.packs.iter().find(|pack| pack.file == cut.file && pack.edition == cut.edition)?;
        let copy = self.folder.open_file(&self.path(cut), OFlags::RDONLY | OFlags::NONBLOCK).ok()?;
        let is_there = copy.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() >= held.bytes);
        is_there.then_some(held)
    }

    fn needed(&self, sources: &[Source]) -> u64 {
        let held = |cut: &PackCut| self.held(cut).map_or(0, |held| held.bytes);
        sources.iter().map(|source| source.cut.bytes.saturating_sub(held(&source.cut))).sum()
    }

    fn copy(&mut self, mut source: Source) -> Result<PackFile, BackupError> {
        let to = self.path(&source.cut);
        let bytes = source.cut.bytes;
        let (sha256, copied) = match self.held(&source.cut) {
            None => (copy_all(&mut source, self.folder, &to)?, bytes),
            Some(held) if held.bytes == bytes && has_same_end(&mut source, self.folder, &to)? => {
                (held.sha256.clone(), 0)
            }
            // What the backup has of it is damaged: it is mended, as far as the store is sound.
            Some(held) if files::hash_of(&self.folder.path(&to), held.bytes)?.as_ref() != Some(&held.sha256) => {
                (copy_all(&mut source, self.folder, &to)?, bytes)
            }
            Some(held) if held.bytes < bytes => (append(&mut source, held, self.folder, &to)?, bytes - held.bytes),
            Some(_) => return Err(BackupError::Diverged { path: source.path }),
        };
        self.copied += copied;
        let PackCut { file, edition, .. } = source.cut;
        Ok(PackFile { file, edition, bytes, sha256 })
    }
}

fn copy_all(source: &mut Source, folder: &Folder, to: &Path) -> Result<String, BackupError> {
    let mut target = folder.create(to)?;
    let mut digest = Digest::new();
    let copied = files::pump(&mut source.file, source.cut.bytes, &mut digest, Some(&mut target));
    copied.and_then(|()| target.sync_all()).map_err(io_error("write", &folder.path(to)))?;
    Ok(digest.finish())
}

/// Appends what a segment has grown by, once what the backup has of it was found to be its beginning.
fn append(source: &mut Source, held: &PackFile, folder: &Folder, to: &Path) -> Result<String, BackupError> {
    let mut digest = Digest::new();
    let read = files::pump(&mut source.file, held.bytes, &mut digest, None);
    read.map_err(io_error("read", &source.path))?;
    if digest.clone().finish() != held.sha256 {
        return Err(BackupError::Diverged { path: source.path.clone() });
    }
    let mut target = folder.open_file(to, OFlags::WRONLY)?;
    // A run that was cut short may have left more.
    let ready = target.set_len(held.bytes).and_then(|()| target.seek(SeekFrom::End(0)));
    ready.map_err(io_error("write", &folder.path(to)))?;
    let grown = source.cut.bytes - held.bytes;
    let copied = files::pump(&mut source.file, grown, &mut digest, Some(&mut target));
    copied.and_then(|()| target.sync_all()).map_err(io_error("write", &folder.path(to)))?;
    Ok(digest.finish())
}

/// Whether a segment ends as the backup's copy of it does, which tells one past from another: what has not grown is not read
/// again in full.
fn has_same_end(source: &mut Source, folder: &Folder, to: &Path) -> Result<bool, BackupError> {
    let (from, end) = (source.cut.bytes.saturating_sub(COMPARED_BYTES), source.cut.bytes);
    let ours = files::range(&mut source.file, from, end).map_err(io_error("read", &source.path))?;
    let held = files::range(&mut folder.open_file(to, OFlags::RDONLY)?, from, end);
    let held = held.map_err(io_error("read", &folder.path(to)))?;
    source.file.rewind().map_err(io_error("read", &source.path))?;
    Ok(ours == held)
}

/// Copies the files of the home into a folder of this backup's own.
fn copy_home(origin: &Origin<'_>, folder: &Folder, to: &Path, keys: bool) -> Result<Vec<HomeFile>, BackupError> {
    // What is there is of a run that was cut off.
    let left = folder.path(to);
    if left.symlink_metadata().is_ok() {
        fs::remove_dir_all(&left).map_err(io_error("remove", &left))?;
    }
    folder.make_dir(to)?;
    let mut home = Vec::new();
    for path in home_files(origin, keys)? {
        let target = to.join(&path);
        let dirs: Vec<&Path> = target.ancestors().skip(1).take_while(|dir| *dir != to).collect();
        dirs.iter().rev().try_for_each(|dir| folder.make_dir(dir))?;
        let from = origin.home.dir().join(&path);
        // Files of a home are replaced by rename, or only grow: what is read at once is whole.
        let text = fs::read(&from).map_err(io_error("read", &from))?;
        let mut copy = folder.create(&target)?;
        let written = io::Write::write_all(&mut copy, &text).and_then(|()| copy.sync_all());
        written.map_err(io_error("write", &folder.path(&target)))?;
        folder.sync(target.parent().unwrap_or(to))?;
        home.push(HomeFile { path, bytes: text.len() as u64, sha256: Digest::of(&text) });
    }
    folder.sync(to)?;
    folder.sync(Path::new(""))?;
    Ok(home)
}

/// The paths of the files that are backed up, in the home.
fn home_files(origin: &Origin<'_>, keys: bool) -> Result<Vec<String>, BackupError> {
    let home = origin.home.dir();
    let mut paths = vec!["card.json".to_owned()];
    paths.extend(origin.home.config_path().exists().then(|| "mithaq.toml".to_owned()));
    let secrets = keys.then_some(("keys", ".key"));
    for (folder, end) in FOLDERS.into_iter().chain(secrets) {
        let is_whole = |name: &str| name.ends_with(end) && !name.ends_with(".new");
        paths.extend(files::names(&home.join(folder), is_whole)?.into_iter().map(|name| format!("{folder}/{name}")));
    }
    // A token lets in whoever has it, so it counts as a key.
    let token = origin.config.siem.tcp.as_ref().map(|tcp| tcp.token_file.clone()).filter(|_| keys);
    let token = token.filter(|token| token.is_relative() && home.join(token).is_file());
    paths.extend(token.and_then(|token| token.into_os_string().into_string().ok()));
    paths.sort_unstable();
    paths.dedup();
    Ok(paths)
}
