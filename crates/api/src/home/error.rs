//! Why a home cannot be used.

use std::{io, path::PathBuf};

use mithaq_core::{
    agreement::AgreementError,
    card::{CardError, SuccessionError},
    code::Code,
    keys::KeyError,
    statement::StatementError,
};

use super::{SOCKET_PATH_BYTES_MAX, change};
use crate::config::ConfigError;

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
