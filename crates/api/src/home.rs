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
mod error;
mod file;
mod keys;
mod pact;
mod peer;

use std::path::{Path, PathBuf};

pub use change::{CardRefusal, CardTaken};
pub use error::{HomeError, with_sources};
pub use file::{create_file, create_private_dir, replace_file};
use file::{io_error, read_file, sync_dir, sync_parent};
pub use keys::{KeyFile, OwnKey, Turn, newest_key, read_key};
use mithaq_core::{agreement::SignedAgreement, card::VerifiedCard, dsse::ENVELOPE_BYTES_MAX, keys::SecretKey};
pub use pact::VERSIONS_MAX;
pub use peer::{Peer, PeerFile, PeerState, check_peer_name};

use crate::{
    config::{COLLECTION_DEFAULT, Config},
    tokens::TOKEN_FILE_DEFAULT,
};

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

fn socket_path(path: PathBuf) -> Result<PathBuf, HomeError> {
    let bytes = path.as_os_str().len();
    if bytes <= SOCKET_PATH_BYTES_MAX { Ok(path) } else { Err(HomeError::SocketPath { path, bytes }) }
}
