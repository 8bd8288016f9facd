//! The keys of a home, matched with the card that names them.
//!
//! A new key's file is named after the key: `signing-0123456789abcdef.key`. So old and new ones lie side by side while
//! peers learn of the new card, and which of them is used is for the card alone to say. The first keys of a home are
//! called `signing.key` and `tls.key`.
//!
//! A key is on the disk before the card that names it: whatever is cut short leaves a key too many, never a card that
//! names a key which is lost.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use mithaq_core::{
    card::{Card, DatedKey, Succession, VerifiedCard},
    id::{KeyId, to_hex},
    keys::{PublicKey, SecretKey},
    time::Time,
};

use super::{Home, HomeError, KeyName, create_file, io_error, replace_file, sync_dir, sync_parent};

/// The most key files that are looked at: a card names at most 64 of either kind.
const KEY_FILES_MAX: usize = 1024;

/// A key of ours that our card names, both halves.
#[derive(Debug)]
pub struct OwnKey {
    /// The public half, with its dates.
    pub dated: DatedKey,
    /// The secret half, which many tasks sign with.
    pub secret: Arc<SecretKey>,
}

/// A key file of the home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFile {
    /// What the key is for.
    pub name: KeyName,
    /// The public half of what the file holds.
    pub public: PublicKey,
    /// Where it is.
    pub path: PathBuf,
}

/// The right to change a part of the home; others wait until it is dropped, also other programs.
#[derive(Debug)]
pub struct Turn {
    _folder: File,
}

impl KeyName {
    /// What its files' names begin with.
    fn stem(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Signing => "signing",
            Self::Tls => "tls",
        }
    }

    /// The keys of a card that are for this.
    fn of(self, card: &Card) -> &[DatedKey] {
        match self {
            Self::Root => &[],
            Self::Signing => &card.signing_keys,
            Self::Tls => &card.tls_keys,
        }
    }
}

/// The key that is used at `at`: the newest of those that the card lets count then.
#[must_use]
pub fn newest_key<'a>(card: &VerifiedCard, keys: &'a [OwnKey], at: Time) -> Option<&'a OwnKey> {
    let usable = keys.iter().filter(|key| card.card().is_usable(&key.dated, at));
    usable.max_by_key(|key| key.dated.not_before)
}

impl Home {
    /// The folder of keys.
    #[must_use]
    pub fn keys_dir(&self) -> PathBuf {
        self.dir().join("keys")
    }

    /// Where a key lies that is named after itself.
    #[must_use]
    pub fn key_path_of(&self, name: KeyName, key: KeyId) -> PathBuf {
        self.keys_dir().join(format!("{}-{}.key", name.stem(), to_hex(&key.as_bytes()[..8])))
    }

    /// Writes a new key with mode 0600 under its own name, durably; never over one that is there.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn add_key(&self, name: KeyName, key: &SecretKey) -> Result<(), HomeError> {
        let path = self.key_path_of(name, key.public().id());
        write_key(&path, key)
    }

    /// The keys of our card whose secret halves lie here, in the card's order.
    ///
    /// # Errors
    /// When a key file that is there cannot be used, or there is none of that name at all.
    pub fn own_keys(&self, card: &VerifiedCard, name: KeyName) -> Result<Vec<OwnKey>, HomeError> {
        let plain = if self.key_path(name).exists() { Some(self.key(name)?) } else { None };
        let plain = plain.map(|key| (key.public(), self.key_path(name)));
        let mut found = Vec::new();
        for dated in name.of(card.card()) {
            let named = self.key_path_of(name, dated.public.id());
            let first = plain.as_ref().filter(|(public, _)| *public == dated.public).map(|(_, path)| path.clone());
            let Some(path) = named.exists().then_some(named).or(first) else { continue };
            let secret = read_key(&path)?;
            if secret.public() != dated.public {
                return Err(HomeError::KeyFile {
                    path,
                    source: io::Error::other("it holds another key than its name says"),
                });
            }
            found.push(OwnKey { dated: dated.clone(), secret: Arc::new(secret) });
        }
        if found.is_empty() && plain.is_none() {
            let source = io::ErrorKind::NotFound.into();
            return Err(HomeError::KeyFile { path: self.key_path(name), source });
        }
        Ok(found)
    }

    /// The key of our card that is used at `at`.
    ///
    /// # Errors
    /// When none that is here counts then, or a key file cannot be used.
    pub fn current_key(&self, card: &VerifiedCard, name: KeyName, at: Time) -> Result<Arc<SecretKey>, HomeError> {
        let mut keys = self.own_keys(card, name)?;
        let current = newest_key(card, &keys, at).map(|key| key.dated.public);
        let index = keys.iter().position(|key| Some(key.dated.public) == current);
        let index = index.ok_or_else(|| HomeError::NoUsableKey { dir: self.keys_dir(), name: name.stem() })?;
        Ok(keys.swap_remove(index).secret)
    }

    /// All signing and TLS keys that lie here, whether a card names them or not, in the order of their files' names.
    ///
    /// # Errors
    /// When the folder or a key file cannot be read.
    pub fn key_files(&self) -> Result<Vec<KeyFile>, HomeError> {
        let dir = self.keys_dir();
        let mut files = Vec::new();
        for entry in fs::read_dir(&dir).map_err(io_error("read", &dir))?.take(KEY_FILES_MAX) {
            let path = entry.map_err(io_error("read", &dir))?.path();
            if let Some(name) = name_of(&path) {
                files.push(KeyFile { name, public: read_key(&path)?.public(), path });
            }
        }
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// Waits for the right to change our card and keys: of two programs that do so at once, both would make a card
    /// with the same serial, which peers must take for fraud.
    ///
    /// # Errors
    /// When there is no folder of keys.
    pub fn card_turn(&self) -> Result<Turn, HomeError> {
        turn(&self.keys_dir())
    }

    /// Puts a newer card in place of ours, durably. Have a [`Home::card_turn`] meanwhile.
    ///
    /// # Errors
    /// When it does not follow ours, names no key that is here and counts at `at`, or cannot be written.
    pub fn replace_card(&self, card: &VerifiedCard, at: Time) -> Result<Succession, HomeError> {
        let path = self.card_path();
        let held = self.card()?;
        let succession = card.succeeds(&held).map_err(|source| HomeError::Succession { path: path.clone(), source })?;
        if succession == Succession::Newer {
            for name in [KeyName::Signing, KeyName::Tls] {
                self.current_key(card, name, at)?;
            }
            replace_file(&path, &card.envelope().to_json())?;
        }
        Ok(succession)
    }

    /// Moves the root key out of the home: writes it to a new file, reads it back, and only then removes it here.
    /// Cut short anywhere, it can be called again with the same file.
    ///
    /// # Errors
    /// When there is no root key here, another file is in the way, or the copy does not read back.
    pub fn export_root(&self, to: &Path) -> Result<(), HomeError> {
        let from = self.key_path(KeyName::Root);
        let key = self.key(KeyName::Root)?;
        match write_key(to, &key) {
            // An earlier call was cut short; what it wrote is read back below.
            Err(HomeError::Exists { .. }) => {}
            written => written?,
        }
        if read_key(to).map_or(true, |copy| copy.public() != key.public()) {
            return Err(HomeError::Exists { path: to.to_owned() });
        }
        fs::remove_file(&from).map_err(io_error("remove", &from))?;
        sync_dir(&self.keys_dir())
    }
}

/// What a file of the key folder is for, if it holds a signing or TLS key.
fn name_of(path: &Path) -> Option<KeyName> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".key")?;
    [KeyName::Signing, KeyName::Tls].into_iter().find(|name| {
        let rest = stem.strip_prefix(name.stem());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}

fn write_key(path: &Path, key: &SecretKey) -> Result<(), HomeError> {
    let text = key.to_pem().map_err(|source| HomeError::Key { path: path.to_owned(), source })?;
    create_file(path, text.as_bytes(), 0o600)?;
    sync_parent(path)
}

/// Reads a key file, if nobody but its owner may.
///
/// # Errors
/// When the file is missing, readable by others, or no key.
pub fn read_key(path: &Path) -> Result<SecretKey, HomeError> {
    let unreadable = |source| HomeError::KeyFile { path: path.to_owned(), source };
    let metadata = fs::metadata(path).map_err(unreadable)?;
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.permissions().mode() & 0o777;
        return Err(HomeError::KeyMode { path: path.to_owned(), mode });
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    SecretKey::from_pem(&text).map_err(|source| HomeError::Key { path: path.to_owned(), source })
}

/// Waits until nobody else has the folder's lock, and takes it.
pub(super) fn turn(dir: &Path) -> Result<Turn, HomeError> {
    let folder = File::open(dir).map_err(io_error("open", dir))?;
    folder.lock().map_err(io_error("lock", dir))?;
    Ok(Turn { _folder: folder })
}
