//! A CERT's home: the folder that holds its keys, card, peers, configuration, store and sockets.
//!
//! ```text
//! mithaq.toml          configuration
//! card.json            our card
//! keys/root.key        names the CERT and signs its cards; may live offline
//! keys/signing.key     signs releases and agreements; those that followed it are keys/signing-KEY.key
//! keys/tls.key         shown to peers; those that followed it are keys/tls-KEY.key
//! peers/NAME.json      one file a peer: card, agreement, state
//! evidence/            what proves that somebody cheated
//! store/               packs and index
//! run/                 sockets
//! ```

mod change;
mod keys;
mod pact;

pub use change::{CardRefusal, CardTaken};
pub use keys::{KeyFile, OwnKey, Turn, newest_key, read_key};

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use mithaq_core::{
    agreement::{AgreementError, SignedAgreement, VerifiedAgreement},
    card::{CardError, SuccessionError, VerifiedCard},
    code::Code,
    dsse::{ENVELOPE_BYTES_MAX, Envelope},
    id::AgreementId,
    keys::{KeyError, SecretKey},
    policy::Ending,
    statement::StatementError,
};
pub use pact::VERSIONS_MAX;
use rustix::{
    fs::{CWD, RenameFlags},
    io::Errno,
};
use serde::{Deserialize, Serialize};

use crate::{
    config::{COLLECTION_DEFAULT, Config, ConfigError},
    tokens::TOKEN_FILE_DEFAULT,
};

/// The most bytes of a peer file: a few envelopes and a little more.
const PEER_FILE_BYTES_MAX: u64 = (VERSIONS_MAX as u64 + 4) * ENVELOPE_BYTES_MAX as u64;

/// A unix socket's path may have at most this many bytes.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A CERT's home.
#[derive(Debug, Clone)]
pub struct Home {
    dir: PathBuf,
}

/// The keys of a home.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyName {
    /// Names the CERT and signs its cards.
    Root,
    /// Signs releases and agreements.
    Signing,
    /// Shown to peers in TLS.
    Tls,
}

impl KeyName {
    fn file(self) -> &'static str {
        match self {
            Self::Root => "root.key",
            Self::Signing => "signing.key",
            Self::Tls => "tls.key",
        }
    }
}

/// What stands between us and a peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PeerState {
    /// Its card is here; nothing else is settled.
    Added,
    /// The pairing code was compared over the agreement that the file names.
    Verified,
    /// Sessions may move data.
    Active,
    /// We let nothing move for now, and tell the peer so.
    Suspended,
    /// The peer's daemon cannot connect, and is told nothing.
    Blocked,
}

impl PeerState {
    /// Whether we have stopped the peer, whatever was settled with it.
    #[must_use]
    pub fn is_stopped(self) -> bool {
        matches!(self, Self::Suspended | Self::Blocked)
    }
}

/// One peer as its file holds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerFile {
    /// Our name for it.
    pub name: String,
    /// Its card.
    pub card: Envelope,
    /// Where to reach it, in place of the endpoints of its card; empty to use those.
    #[serde(default)]
    pub endpoints: Vec<String>,
    /// The agreement over which the pairing code was compared.
    pub verified: Option<AgreementId>,
    /// The agreement in force.
    pub agreement: Option<Envelope>,
    /// The versions of a group's agreement before that one, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub superseded: Vec<Envelope>,
    /// The word of either side that the agreement is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub termination: Option<Envelope>,
    /// What stands between us.
    pub state: PeerState,
    /// Why the peer was suspended or blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A peer whose card, and agreement if there is one, were checked.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Our name for it.
    pub name: String,
    /// Its card.
    pub card: VerifiedCard,
    /// Where to reach it, `host:port`.
    pub endpoints: Vec<String>,
    /// The agreement that both sides signed, if the peer is active.
    pub agreement: Option<VerifiedAgreement>,
    /// That one of the two sides has ended that agreement.
    pub ended: Option<Ending>,
    /// Our own word of that, as the peer is told it.
    pub termination: Option<Envelope>,
    /// What stands between us.
    pub state: PeerState,
}

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HomeError {
    /// There is no CERT in the folder.
    #[error("{dir} holds no CERT (no card.json): `mithaq init --home {dir}` makes one, --home DIR names another")]
    Missing {
        /// The folder.
        dir: PathBuf,
    },
    /// Something is there already and is not overwritten.
    #[error("{path} exists already; nothing was changed")]
    Exists {
        /// What is there.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key file is missing or cannot be read.
    #[error("cannot read the key {path}: {source}")]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A key file cannot be used.
    #[error("{path}: {source}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        source: KeyError,
    },
    /// Others may read a key file.
    #[error("{path} has mode {mode:o}: others than its owner may read it; run `chmod 600 {path}`")]
    KeyMode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Of the keys that our card names, none that is here counts now.
    #[error(
        "our card names no {name} key that lies in {dir} and may be used now: `mithaq key list` shows them, `mithaq key rotate` makes new ones"
    )]
    NoUsableKey {
        /// Where keys lie.
        dir: PathBuf,
        /// What the key is for.
        name: &'static str,
    },
    /// A card does not follow the one that is held.
    #[error("{path}: {source}")]
    Succession {
        /// The file of the card that is held.
        path: PathBuf,
        /// Why.
        source: SuccessionError,
    },
    /// A card is refused.
    #[error("{path}: {}", with_sources(.source))]
    Card {
        /// The file.
        path: PathBuf,
        /// Why.
        source: CardError,
    },
    /// An agreement is refused.
    #[error("{path}: {}", with_sources(.source))]
    Agreement {
        /// The file.
        path: PathBuf,
        /// Why.
        source: AgreementError,
    },
    /// A termination is refused.
    #[error("{path}: {}", with_sources(.source))]
    Termination {
        /// The file.
        path: PathBuf,
        /// Why.
        source: StatementError,
    },
    /// A peer file cannot be read.
    #[error("{path} is not a peer file: {problem}")]
    PeerFile {
        /// The file.
        path: PathBuf,
        /// Why.
        problem: String,
    },
    /// A name cannot be a peer's.
    #[error("{name:?} cannot be a peer's name: use 1 to 32 of a-z, 0-9 and -")]
    PeerName {
        /// The name.
        name: String,
    },
    /// A card claims what another claims.
    #[error(
        "the card of {name} claims the identity {identity}, which is claimed by {by}: nothing was changed; ask both"
    )]
    Claimed {
        /// Our name for the card's CERT.
        name: String,
        /// The STIX identity.
        identity: String,
        /// Who claims it already.
        by: String,
    },
    /// There is no such peer.
    #[error("there is no peer {name:?}; known are: {known}")]
    NoSuchPeer {
        /// The name.
        name: String,
        /// The names of those that are.
        known: String,
    },
    /// The configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A socket's path is too long.
    #[error(
        "the socket path {path} has {bytes} bytes; at most {SOCKET_PATH_BYTES_MAX} work: use a home with a shorter path or set [sockets] dir"
    )]
    SocketPath {
        /// The path.
        path: PathBuf,
        /// Its length.
        bytes: usize,
    },
}

impl HomeError {
    /// The error's code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Missing { .. } => Code::NO_HOME,
            Self::Exists { .. } => Code::EXISTS,
            Self::Key { .. } | Self::KeyFile { .. } | Self::KeyMode { .. } => Code::KEY,
            Self::NoUsableKey { .. } => Code::NO_USABLE_KEY,
            Self::Succession { source, .. } => change::succession_code(source),
            Self::Card { .. } => Code::CARD,
            Self::Agreement { .. } => Code::AGREEMENT_REFUSED,
            Self::Termination { .. } => Code::TERMINATION,
            Self::Claimed { .. } => Code::IDENTITY_CLAIMED,
            Self::PeerName { .. } | Self::NoSuchPeer { .. } => Code::NO_SUCH_PEER,
            Self::SocketPath { .. } => Code::SOCKET_PATH,
            Self::Io { .. } | Self::PeerFile { .. } => Code::FILE,
            Self::Config(_) => Code::CONFIG,
        }
    }
}

/// An error and its sources in one line, for people.
pub fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

impl Home {
    /// The home in `dir`, which need not exist yet.
    #[must_use]
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The configuration file.
    #[must_use]
    pub fn config_path(&self) -> PathBuf {
        self.dir.join("mithaq.toml")
    }

    /// Our card's file.
    #[must_use]
    pub fn card_path(&self) -> PathBuf {
        self.dir.join("card.json")
    }

    /// A key's file.
    #[must_use]
    pub fn key_path(&self, name: KeyName) -> PathBuf {
        self.dir.join("keys").join(name.file())
    }

    /// The folder of peer files.
    #[must_use]
    pub fn peers_dir(&self) -> PathBuf {
        self.dir.join("peers")
    }

    /// The file of a peer.
    #[must_use]
    pub fn peer_path(&self, name: &str) -> PathBuf {
        self.peers_dir().join(format!("{name}.json"))
    }

    /// The control socket.
    ///
    /// # Errors
    /// When the path is longer than a socket's may be.
    pub fn control_socket(&self, config: &Config) -> Result<PathBuf, HomeError> {
        socket_path(self.dir.join(&config.sockets.dir).join("control.sock"))
    }

    /// The socket of the SIEM collection `default`.
    ///
    /// # Errors
    /// When the path is longer than a socket's may be.
    pub fn siem_socket(&self, config: &Config) -> Result<PathBuf, HomeError> {
        self.collection_socket(config, COLLECTION_DEFAULT)
    }

    /// The socket of a collection.
    ///
    /// # Errors
    /// When the path is longer than a socket's may be.
    pub fn collection_socket(&self, config: &Config, collection: &str) -> Result<PathBuf, HomeError> {
        socket_path(self.siem_dir(config).join(format!("{collection}.sock")))
    }

    /// The socket of a collection's lines, for programs that only read.
    ///
    /// # Errors
    /// When the path is longer than a socket's may be.
    pub fn lines_socket(&self, config: &Config, collection: &str) -> Result<PathBuf, HomeError> {
        socket_path(self.siem_dir(config).join(format!("{collection}.lines.sock")))
    }

    fn siem_dir(&self, config: &Config) -> PathBuf {
        self.dir.join(&config.sockets.dir).join("siem")
    }

    /// The tokens by which SIEMs read over TCP.
    #[must_use]
    pub fn siem_tokens(&self, config: &Config) -> PathBuf {
        let file = config.siem.tcp.as_ref().map_or(Path::new(TOKEN_FILE_DEFAULT), |tcp| &tcp.token_file);
        self.dir.join(file)
    }

    /// Reads the configuration.
    ///
    /// # Errors
    /// When there is no home here, or the configuration is not understood.
    pub fn config(&self) -> Result<Config, HomeError> {
        self.require()?;
        Ok(Config::load(&self.config_path())?)
    }

    /// Refuses a folder that holds no CERT.
    ///
    /// # Errors
    /// When there is no card.
    pub fn require(&self) -> Result<(), HomeError> {
        if self.card_path().exists() { Ok(()) } else { Err(HomeError::Missing { dir: self.dir.clone() }) }
    }

    /// Reads and checks our card.
    ///
    /// # Errors
    /// When it is missing, damaged or changed.
    pub fn card(&self) -> Result<VerifiedCard, HomeError> {
        self.require()?;
        read_card(&self.card_path())
    }

    /// Reads a key, if nobody but its owner may.
    ///
    /// # Errors
    /// When the file is missing, readable by others, or no key.
    pub fn key(&self, name: KeyName) -> Result<SecretKey, HomeError> {
        read_key(&self.key_path(name))
    }

    /// Writes a new key with mode 0600; never over one that is there.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn create_key(&self, name: KeyName, key: &SecretKey) -> Result<(), HomeError> {
        let path = self.key_path(name);
        let text = key.to_pem().map_err(|source| HomeError::Key { path: path.clone(), source })?;
        create_file(&path, text.as_bytes(), 0o600)
    }

    /// Reads every peer file, in the order of names.
    ///
    /// # Errors
    /// When one cannot be read or does not verify.
    pub fn peers(&self) -> Result<Vec<Peer>, HomeError> {
        self.peer_names()?.iter().map(|name| self.peer(name)).collect()
    }

    /// The names of all peers, in order.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn peer_names(&self) -> Result<Vec<String>, HomeError> {
        let dir = self.peers_dir();
        let mut names = Vec::new();
        for entry in fs::read_dir(&dir).map_err(io_error("read", &dir))? {
            let path = entry.map_err(io_error("read", &dir))?.path();
            if path.extension().is_some_and(|extension| extension == "json")
                && let Some(name) = path.file_stem().and_then(|name| name.to_str())
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Reads the file of a peer, unchecked.
    ///
    /// # Errors
    /// When there is no such peer or its file is damaged.
    pub fn peer_file(&self, name: &str) -> Result<PeerFile, HomeError> {
        self.require_peer(name)?;
        let path = self.peer_path(name);
        let text = read_file(&path, PEER_FILE_BYTES_MAX)?;
        let refused = |problem| HomeError::PeerFile { path, problem };
        match serde_json::from_slice::<PeerFile>(&text) {
            Ok(file) if file.name == name => Ok(file),
            Ok(file) => Err(refused(format!("it is the file of peer {:?}: copies belong elsewhere", file.name))),
            Err(error) => Err(refused(error.to_string())),
        }
    }

    /// Refuses a name that no peer has.
    fn require_peer(&self, name: &str) -> Result<(), HomeError> {
        check_peer_name(name)?;
        if self.peer_path(name).exists() {
            return Ok(());
        }
        let known = self.peer_names()?.join(", ");
        let known = if known.is_empty() { "none".into() } else { known };
        Err(HomeError::NoSuchPeer { name: name.to_owned(), known })
    }

    /// Reads and checks a peer; the agreement of an active peer must be signed by both sides.
    ///
    /// # Errors
    /// When its file is damaged, or card or agreement do not verify.
    pub fn peer(&self, name: &str) -> Result<Peer, HomeError> {
        let file = self.peer_file(name)?;
        let path = self.peer_path(name);
        let card =
            VerifiedCard::verify(file.card.clone()).map_err(|source| HomeError::Card { path: path.clone(), source })?;
        let agreement = match (file.state, &file.agreement) {
            (PeerState::Active, Some(envelope)) => {
                let ours = self.card()?;
                let agreement = SignedAgreement::open(envelope)
                    .and_then(|signed| self.verify_agreement(signed, &file, &ours, &card));
                Some(agreement.map_err(|source| HomeError::Agreement { path: path.clone(), source })?)
            }
            (PeerState::Active, None) => {
                return Err(HomeError::PeerFile { path, problem: "an active peer without an agreement".into() });
            }
            _ => None,
        };
        if agreement.as_ref().is_some_and(|agreement| Some(agreement.id()) != file.verified) {
            let problem = "the pairing code was compared over another agreement".into();
            return Err(HomeError::PeerFile { path, problem });
        }
        let ended = match (&agreement, &file.termination) {
            (Some(agreement), Some(envelope)) => self.ending(agreement, envelope.clone(), &card, &path)?,
            _ => None,
        };
        let termination = file.termination.filter(|_| ended.is_some_and(|ending| ending.by != card.cert_id()));
        let endpoints = if file.endpoints.is_empty() { card.card().endpoints.clone() } else { file.endpoints };
        Ok(Peer { name: file.name, card, endpoints, agreement, ended, termination, state: file.state })
    }

    /// Writes the file of a peer, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_peer(&self, peer: &PeerFile) -> Result<(), HomeError> {
        check_peer_name(&peer.name)?;
        let path = self.peer_path(&peer.name);
        let text = serde_json::to_vec_pretty(peer)
            .map_err(|error| HomeError::PeerFile { path: path.clone(), problem: error.to_string() })?;
        replace_file(&path, &text)
    }
}

/// Reads and checks a card's file.
///
/// # Errors
/// When it is missing, damaged or changed.
pub fn read_card(path: &Path) -> Result<VerifiedCard, HomeError> {
    let text = read_file(path, ENVELOPE_BYTES_MAX as u64)?;
    VerifiedCard::from_json(&text).map_err(|source| HomeError::Card { path: path.to_owned(), source })
}

/// Reads an agreement's file, without checking signatures.
///
/// # Errors
/// When it is missing or damaged.
pub fn read_agreement(path: &Path) -> Result<SignedAgreement, HomeError> {
    let text = read_file(path, ENVELOPE_BYTES_MAX as u64)?;
    SignedAgreement::from_json(&text).map_err(|source| HomeError::Agreement { path: path.to_owned(), source })
}

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
fn sync_parent(path: &Path) -> Result<(), HomeError> {
    // A bare file name has the empty path as its parent.
    sync_dir(path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))
}

fn sync_dir(dir: &Path) -> Result<(), HomeError> {
    File::open(dir).and_then(|file| file.sync_all()).map_err(io_error("sync", dir))
}

/// Whether a text may be a peer's name: 1 to 32 of `a-z`, `0-9` and `-`, so that it is a plain file name.
///
/// # Errors
/// When it may not.
pub fn check_peer_name(name: &str) -> Result<(), HomeError> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if (1..=32).contains(&name.len()) && name.bytes().all(fits) && !name.starts_with('-') {
        Ok(())
    } else {
        Err(HomeError::PeerName { name: name.chars().take(80).collect() })
    }
}

fn socket_path(path: PathBuf) -> Result<PathBuf, HomeError> {
    let bytes = path.as_os_str().len();
    if bytes <= SOCKET_PATH_BYTES_MAX { Ok(path) } else { Err(HomeError::SocketPath { path, bytes }) }
}

fn read_file(path: &Path, bytes_max: u64) -> Result<Vec<u8>, HomeError> {
    use io::Read;
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

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> HomeError {
    let path = path.to_owned();
    move |source| HomeError::Io { action, path, source }
}
