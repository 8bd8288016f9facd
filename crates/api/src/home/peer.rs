//! A peer's file: what stands between us and it.

use std::fs;

use mithaq_core::{
    agreement::{SignedAgreement, VerifiedAgreement},
    card::VerifiedCard,
    dsse::{ENVELOPE_BYTES_MAX, Envelope},
    id::AgreementId,
    policy::Ending,
};
use serde::{Deserialize, Serialize};

use super::{
    Home, HomeError, VERSIONS_MAX,
    file::{io_error, read_file, replace_file},
};

/// The most bytes of a peer file: a few envelopes and a little more.
const PEER_FILE_BYTES_MAX: u64 = (VERSIONS_MAX as u64 + 4) * ENVELOPE_BYTES_MAX as u64;

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

impl Home {
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
    pub(super) fn require_peer(&self, name: &str) -> Result<(), HomeError> {
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
