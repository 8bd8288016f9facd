//! The folder of a backup: what a run may write to and remove there, and nothing else.
//!
//! The folder lies on a medium that others may be able to write to, and its path is typed by people. So a folder that is
//! not a backup's is refused, no link in it is followed to write, and only what a run of ours has made is removed.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat};

use super::{
    BackupError,
    files::{self, io_error},
    manifest::{self, Manifest, home_dir, is_pack_copy},
};

/// The folder of the segments.
pub(super) const PACKS: &str = "packs";

/// What file systems put into their own root.
const LOST_FOUND: &str = "lost+found";

/// The folder of a backup, locked: two runs at once would write to the same files.
pub(super) struct Folder {
    dir: PathBuf,
    root: File,
}

impl Folder {
    /// Opens the folder for a run, and makes it if it is not there; gives the manifest of the backup that it holds.
    ///
    /// # Errors
    /// When it is mixed up with the folders that are to be backed up, or has what no backup has made.
    pub(super) fn open(dir: &Path, apart_from: &[PathBuf]) -> Result<(Self, Option<Manifest>), BackupError> {
        require_apart(dir, apart_from)?;
        files::create_dir(dir)?;
        // Only now all of the path can be followed.
        require_apart(dir, apart_from)?;
        let root = File::open(dir).map_err(io_error("open", dir))?;
        root.lock().map_err(io_error("lock", dir))?;
        let folder = Self { dir: dir.to_owned(), root };
        let before = folder.manifest()?;
        Ok((folder, before))
    }

    /// Notes that a run begins, so that what it leaves when it is cut off is known to be its own.
    ///
    /// # Errors
    /// When the folder has what neither the backup before nor a run that was cut off has made.
    pub(super) fn begin(&self, before: Option<&Manifest>) -> Result<(), BackupError> {
        let was_cut_off = self.is_plain(Path::new(manifest::RUNNING), fs::FileType::is_file);
        if before.is_none() {
            self.require_empty(was_cut_off)?;
        }
        let next = home_dir(generation_after(before));
        if !was_cut_off && self.dir.join(&next).symlink_metadata().is_ok() {
            return Err(self.foreign(&next));
        }
        if !was_cut_off {
            self.create(Path::new(manifest::RUNNING))?;
        }
        files::sync_dir(&self.dir)?;
        self.make_dir(Path::new(PACKS))?;
        match self.is_plain(Path::new(PACKS), fs::FileType::is_dir) {
            true => Ok(()),
            false => Err(self.foreign(Path::new(PACKS))),
        }
    }

    /// The manifest of the backup that the folder holds now.
    fn manifest(&self) -> Result<Option<Manifest>, BackupError> {
        match Manifest::read(&self.dir) {
            Ok(manifest) => Ok(Some(manifest)),
            Err(BackupError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Refuses what a first run that was cut off cannot have left.
    fn require_empty(&self, was_cut_off: bool) -> Result<(), BackupError> {
        for entry in fs::read_dir(&self.dir).map_err(io_error("list", &self.dir))? {
            let name = PathBuf::from(entry.map_err(io_error("list", &self.dir))?.file_name());
            let is_own = match name.to_str() {
                Some(LOST_FOUND) => true,
                Some(manifest::RUNNING | manifest::UNFINISHED) => was_cut_off,
                Some(PACKS) => self.has_copies_only(was_cut_off)?,
                _ => was_cut_off && name == home_dir(1) && self.is_plain(&name, fs::FileType::is_dir),
            };
            if !is_own {
                return Err(self.foreign(&name));
            }
        }
        Ok(())
    }

    /// Whether the folder of the segments is one, and has nothing but copies of segments, if it may have any.
    fn has_copies_only(&self, may_have_any: bool) -> Result<bool, BackupError> {
        let packs = self.dir.join(PACKS);
        if !self.is_plain(Path::new(PACKS), fs::FileType::is_dir) {
            return Ok(false);
        }
        let all = fs::read_dir(&packs).map_err(io_error("list", &packs))?.count();
        let copies = files::names(&packs, is_pack_copy)?.len();
        Ok(all == copies && (may_have_any || all == 0))
    }

    /// Whether there is something of this kind, and no link to it.
    fn is_plain(&self, path: &Path, is_kind: impl Fn(&fs::FileType) -> bool) -> bool {
        self.dir.join(path).symlink_metadata().is_ok_and(|metadata| is_kind(&metadata.file_type()))
    }

    fn foreign(&self, path: &Path) -> BackupError {
        BackupError::Foreign { dir: self.dir.clone(), name: path.to_owned() }
    }

    /// Where a file of the backup lies.
    pub(super) fn path(&self, path: &Path) -> PathBuf {
        self.dir.join(path)
    }

    /// Opens a file of the backup, with no link followed below the folder.
    pub(super) fn open_file(&self, path: &Path, flags: OFlags) -> Result<File, BackupError> {
        let opened = self.parent(path).and_then(|(parent, name)| open_at(&parent, name, flags));
        opened.map_err(io_error("open", &self.path(path)))
    }

    /// Makes a file that only its owner may read, in place of whatever has its name.
    pub(super) fn create(&self, path: &Path) -> Result<File, BackupError> {
        let created = || {
            let (parent, name) = self.parent(path)?;
            match unlinkat(&parent, name, AtFlags::empty()) {
                Err(error) if error != rustix::io::Errno::NOENT => Err(error.into()),
                _ => open_at(&parent, name, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL),
            }
        };
        created().map_err(io_error("create", &self.path(path)))
    }

    /// Makes a folder that only its owner may enter, if there is none.
    pub(super) fn make_dir(&self, path: &Path) -> Result<(), BackupError> {
        let made = || {
            let (parent, name) = self.parent(path)?;
            match mkdirat(&parent, name, Mode::RWXU) {
                Err(error) if error != rustix::io::Errno::EXIST => Err(io::Error::from(error)),
                _ => Ok(()),
            }
        };
        made().map_err(io_error("create", &self.path(path)))
    }

    /// Makes the names in a folder of the backup durable.
    pub(super) fn sync(&self, path: &Path) -> Result<(), BackupError> {
        files::sync_dir(&self.path(path))
    }

    /// The folder that a file lies in, and the file's name.
    fn parent<'a>(&self, path: &'a Path) -> io::Result<(File, &'a Path)> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let mut parent = self.root.try_clone()?;
        for part in path.parent().into_iter().flat_map(Path::iter) {
            parent = open_at(&parent, Path::new(part), OFlags::RDONLY | OFlags::DIRECTORY)?;
        }
        Ok((parent, Path::new(name)))
    }

    /// Removes what earlier backups and runs that were cut off have made and the backup that the folder holds does not
    /// name: a run that failed at its very end has put its manifest there all the same.
    pub(super) fn tidy(&self, before: Option<&Manifest>) -> Result<(), BackupError> {
        let kept = self.manifest()?;
        self.tidy_packs(kept.as_ref())?;
        // The one before the last may be left of a run that was cut off behind its manifest; the next is this run's.
        let next = generation_after(before);
        for generation in next.saturating_sub(2).max(1)..=next {
            if kept.as_ref().is_none_or(|kept| kept.generation != generation) {
                remove(&self.path(&home_dir(generation)), |path| fs::remove_dir_all(path))?;
            }
        }
        // The last of all is what tells that the rest is a run's.
        for name in [manifest::UNFINISHED, manifest::RUNNING] {
            remove(&self.path(Path::new(name)), |path| fs::remove_file(path))?;
        }
        Ok(())
    }

    fn tidy_packs(&self, kept: Option<&Manifest>) -> Result<(), BackupError> {
        let packs = kept.iter().flat_map(|kept| kept.packs.iter().map(|pack| (kept.pack_path(pack), pack.bytes)));
        let packs: Vec<_> = packs.collect();
        let named: BTreeSet<&Path> = packs.iter().map(|(path, _)| path.as_path()).collect();
        for name in files::names(&self.path(Path::new(PACKS)), is_pack_copy)? {
            let path = Path::new(PACKS).join(name);
            if !named.contains(path.as_path()) {
                let removed = self.parent(&path).and_then(|(dir, name)| Ok(unlinkat(&dir, name, AtFlags::empty())?));
                removed.map_err(io_error("remove", &self.path(&path)))?;
            }
        }
        for (path, bytes) in &packs {
            if self.path(path).symlink_metadata().is_ok_and(|metadata| metadata.len() > *bytes) {
                let cut = self.open_file(path, OFlags::WRONLY)?.set_len(*bytes);
                cut.map_err(io_error("cut", &self.path(path)))?;
            }
        }
        Ok(())
    }
}

/// Which backup of the folder a run makes.
pub(super) fn generation_after(before: Option<&Manifest>) -> u64 {
    // INVARIANT: no manifest is read whose generation is the last one.
    before.map_or(1, |before| before.generation.saturating_add(1))
}

fn open_at(dir: &File, name: &Path, flags: OFlags) -> io::Result<File> {
    let mode = Mode::RUSR | Mode::WUSR;
    Ok(openat(dir, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, mode)?.into())
}

/// Removes something, if it is there. A link is removed, and not what it leads to.
fn remove(path: &Path, by: impl Fn(&Path) -> io::Result<()>) -> Result<(), BackupError> {
    match by(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Refuses a folder that is one of these, lies in one or holds one.
fn require_apart(dir: &Path, from: &[PathBuf]) -> Result<(), BackupError> {
    let resolved = resolve(dir)?;
    for other in from {
        let found = resolve(other)?;
        if resolved.starts_with(&found) || found.starts_with(&resolved) {
            return Err(BackupError::Overlaps { dir: dir.to_owned(), other: other.clone() });
        }
    }
    Ok(())
}

/// A path with all links followed, as far as it is there.
fn resolve(path: &Path) -> Result<PathBuf, BackupError> {
    let path = std::path::absolute(path).map_err(io_error("find", path))?;
    for there in path.ancestors() {
        match there.canonicalize() {
            Ok(found) => return Ok(found.join(path.strip_prefix(there).unwrap_or(Path::new("")))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(io_error("find", there)(error)),
        }
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Opens a folder that holds no backup, and begins a run there.
    fn begin(dir: &Path) -> Result<Folder, BackupError> {
        let (folder, before) = Folder::open(dir, &[])?;
        folder.begin(before.as_ref())?;
        Ok(folder)
    }

    fn write(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "mine").unwrap();
    }

    #[test]
    fn a_backup_is_apart_from_what_it_is_taken_of() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("home");
        fs::create_dir_all(home.join("store/packs")).unwrap();
        symlink(home.join("store"), place.path().join("link")).unwrap();
        for dir in ["home", "home/store", "home/store/packs", "home/backup", "", "link", "link/new", "no/../home/new"] {
            let refused = Folder::open(&place.path().join(dir), &[home.clone(), home.join("store")]);
            assert!(matches!(refused, Err(BackupError::Overlaps { .. })), "{dir}");
        }
        assert!(Folder::open(&place.path().join("home2"), &[home]).is_ok());
    }

    #[test]
    fn a_folder_that_is_not_a_backups_is_refused_and_keeps_what_it_has() {
        for name in
            ["notes.txt", "home-1/photo", "home-2024/photo", "packs/mine.seg", "packs/pack-00000000-01010101-0.seg"]
        {
            let place = tempfile::tempdir().unwrap();
            write(&place.path().join(name));
            assert!(matches!(begin(place.path()), Err(BackupError::Foreign { .. })), "{name}");
            assert!(place.path().join(name).exists(), "{name}");
            assert!(!place.path().join(manifest::RUNNING).exists(), "{name}");
        }
    }

    #[test]
    fn what_a_run_left_that_was_cut_off_goes_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let own = ["backup.running", "manifest.new", "home-1/card.json", "packs/pack-00000000-01010101-0.seg"];
        own.iter().for_each(|name| write(&place.path().join(name)));
        drop(begin(place.path()).unwrap());
        // Cut off just as it was about to write its manifest.
        fs::remove_file(place.path().join(manifest::UNFINISHED)).unwrap();
        let folder = begin(place.path()).unwrap();
        let others = ["home-/x", "home-3/x", "packs/mine.seg", "packs/pack-00000000.seg", "packs/pack-1-0-0.seg"];
        others.iter().for_each(|name| write(&place.path().join(name)));
        folder.tidy(None).unwrap();
        own.iter().for_each(|name| assert!(!place.path().join(name).exists(), "{name}"));
        others.iter().for_each(|name| assert!(place.path().join(name).exists(), "{name}"));
    }

    #[test]
    fn no_link_is_followed_to_write() {
        let place = tempfile::tempdir().unwrap();
        let [dir, other] = ["backup", "other"].map(|name| place.path().join(name));
        write(&other.join("pack-00000000-01010101-0.seg"));
        let live = other.join("pack-00000000-01010101-0.seg");
        let folder = begin(&dir).unwrap();
        let path = Path::new("packs/pack-00000000-01010101-0.seg");
        for planted in ["backup.running", "manifest.new", "packs/pack-00000000-01010101-0.seg"] {
            let _ = fs::remove_file(dir.join(planted));
            symlink(&live, dir.join(planted)).unwrap();
            assert!(folder.open_file(Path::new(planted), OFlags::WRONLY).is_err(), "{planted}");
            folder.create(Path::new(planted)).unwrap();
            assert!(dir.join(planted).symlink_metadata().unwrap().is_file(), "{planted}");
        }
        fs::remove_dir_all(dir.join(PACKS)).unwrap();
        symlink(&other, dir.join(PACKS)).unwrap();
        assert!(folder.create(path).is_err() && folder.tidy(None).is_err());
        drop(folder);
        assert!(matches!(begin(&dir), Err(BackupError::Foreign { .. })));
        assert_eq!(fs::read(&live).unwrap(), b"mine");
    }
}
