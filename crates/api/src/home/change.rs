//! Changes of what stands between us and a peer, by whichever program makes them.

use std::{fs, path::PathBuf};

use mithaq_core::{
    agreement::SignedAgreement,
    card::{CardError, Succession, SuccessionError, VerifiedCard},
    code::Code,
    evidence::{Evidence, Noticed},
    id::CertId,
    time::Time,
};

use super::{
    Home, HomeError, PeerFile, PeerState, create_file, create_private_dir, io_error, keys, sync_dir, sync_parent,
    with_sources,
};

/// The most pieces of evidence that are kept.
const EVIDENCE_MAX: usize = 1_024;

/// What became of a card that a peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CardTaken {
    /// Whose it is.
    pub cert: CertId,
    /// Its serial.
    pub serial: u64,
    /// Whether it took the place of an older one, or was held already.
    pub succession: Succession,
    /// What stands between us and the peer now. A peer whose new card no longer names the key that signed the
    /// agreement is not active any more.
    pub state: PeerState,
}

/// Why a card that a peer sent is not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardRefusal {
    /// It is damaged, changed or breaks a limit.
    #[error("{}", with_sources(.0))]
    Card(#[from] CardError),
    /// No peer has this root key.
    #[error("CERT {} is no peer of ours", .0.fmt_short())]
    Unknown(CertId),
    /// It is another CERT's, or older than the one that is held.
    #[error(transparent)]
    Succession(SuccessionError),
    /// The root key signed two cards with one serial. Both are kept, and the peer is blocked.
    #[error("{source}; both are kept in {}, and the peer is blocked", evidence.display())]
    Equivocation {
        /// Where both cards lie.
        evidence: PathBuf,
        /// What was found.
        source: SuccessionError,
    },
    /// The home cannot be read or written.
    #[error(transparent)]
    Home(#[from] HomeError),
}

impl CardRefusal {
    /// The refusal's code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Card(_) => Code::CARD,
            Self::Unknown(_) => Code::NO_SUCH_PEER,
            Self::Succession(error) | Self::Equivocation { source: error, .. } => succession_code(error),
            Self::Home(error) => error.code(),
        }
    }
}

/// The code of a card that does not follow another.
pub(super) fn succession_code(error: &SuccessionError) -> Code {
    match error {
        SuccessionError::OtherRoot { .. } => Code::OTHER_CERT,
        SuccessionError::Rollback { .. } => Code::CARD_ROLLBACK,
        SuccessionError::Equivocation { .. } => Code::EQUIVOCATION,
        _ => Code::CARD,
    }
}

impl Home {
    /// Changes the file of a peer. Other programs that change it by this function wait, so that neither undoes what
    /// the other does.
    ///
    /// # Errors
    /// When there is no such peer or its file cannot be read or written; those of `change`, and then nothing was
    /// changed.
    pub fn change_peer<E: From<HomeError>>(
        &self,
        name: &str,
        change: impl FnOnce(&mut PeerFile) -> Result<(), E>,
    ) -> Result<PeerFile, E> {
        let _turn = keys::turn(&self.peers_dir())?;
        let mut file = self.peer_file(name)?;
        change(&mut file)?;
        self.write_peer(&file)?;
        Ok(file)
    }

    /// Removes the file of a peer, durably.
    ///
    /// # Errors
    /// When there is no such peer or the file cannot be removed.
    pub fn remove_peer(&self, name: &str) -> Result<(), HomeError> {
        let _turn = keys::turn(&self.peers_dir())?;
        // A name that is no peer's, or no name at all, is told from a file that cannot be removed.
        self.require_peer(name)?;
        let path = self.peer_path(name);
        fs::remove_file(&path).map_err(io_error("remove", &path))?;
        sync_dir(&self.peers_dir())
    }

    /// Takes a card of a peer: a newer one takes the place of the one that is held.
    ///
    /// Two cards with one serial are kept as evidence, and the peer is blocked: evidence first, so that a peer is
    /// never blocked without it.
    ///
    /// # Errors
    /// When the card is of another CERT, older, or proof of two cards with one serial; when the home cannot be
    /// written, and then nothing was changed.
    pub fn take_card(&self, name: &str, card: &VerifiedCard, now: Time) -> Result<CardTaken, CardRefusal> {
        let _turn = keys::turn(&self.peers_dir())?;
        let mut file = self.peer_file(name)?;
        let path = self.peer_path(name);
        let held = VerifiedCard::verify(file.card.clone()).map_err(|source| HomeError::Card { path, source })?;
        let succession = match card.succeeds(&held) {
            Ok(succession) => succession,
            Err(source @ SuccessionError::Equivocation { .. }) => {
                let evidence = self.keep_equivocation(&held, card, now)?;
                file.state = PeerState::Blocked;
                file.reason = Some(source.to_string());
                self.write_peer(&file)?;
                return Err(CardRefusal::Equivocation { evidence, source });
            }
            Err(error) => return Err(CardRefusal::Succession(error)),
        };
        if succession == Succession::Newer {
            self.refuse_claimed(name, card)?;
            file.card = card.envelope().clone();
            if file.state == PeerState::Active {
                file.state = self.settled_state(&file)?;
            }
            self.write_peer(&file)?;
        }
        Ok(CardTaken { cert: card.cert_id(), serial: card.card().serial, succession, state: file.state })
    }

    /// Refuses a card that claims a STIX identity which our own card or that of another peer claims: what its CERT made
    /// would be taken for somebody else's, or the other way round.
    ///
    /// # Errors
    /// When it claims one, or a card that is here cannot be read.
    pub fn refuse_claimed(&self, name: &str, card: &VerifiedCard) -> Result<(), HomeError> {
        let ours = self.card()?;
        let others = self.peer_names()?.into_iter().filter(|other| other != name);
        let others = others.filter_map(|other| {
            let file = self.peer_file(&other).ok()?;
            Some((other, VerifiedCard::verify(file.card).ok()?))
        });
        for (by, held) in std::iter::once(("our own card".to_owned(), ours)).chain(others) {
            let shared = held.card().identities.intersection(&card.card().identities).next();
            if let Some(identity) = shared.filter(|_| held.cert_id() != card.cert_id()) {
                return Err(HomeError::Claimed { name: name.to_owned(), identity: identity.clone(), by });
            }
        }
        Ok(())
    }

    /// How far the pairing with a peer has come, whether or not it is suspended or blocked: active if the code was
    /// compared over the agreement of its file and the cards that are held name the keys that signed it.
    ///
    /// # Errors
    /// When our card or the peer's cannot be read.
    pub fn settled_state(&self, file: &PeerFile) -> Result<PeerState, HomeError> {
        let Some(verified) = file.verified else { return Ok(PeerState::Added) };
        let path = self.peer_path(&file.name);
        let (ours, theirs) = (self.card()?, VerifiedCard::verify(file.card.clone()));
        let theirs = theirs.map_err(|source| HomeError::Card { path, source })?;
        let agreement = file.agreement.as_ref().and_then(|envelope| SignedAgreement::open(envelope).ok());
        let holds = agreement.is_some_and(|signed| {
            signed.id() == verified && self.verify_agreement(signed, file, &ours, &theirs).is_ok()
        });
        Ok(if holds { PeerState::Active } else { PeerState::Verified })
    }

    fn keep_equivocation(&self, held: &VerifiedCard, other: &VerifiedCard, now: Time) -> Result<PathBuf, HomeError> {
        let noticed = Noticed { by: self.card()?.cert_id(), at: now };
        // INVARIANT: two cards of one root and serial that differ are what this evidence is of, and canonical JSON carries
        // them; the name below serves if it were otherwise.
        let evidence = Evidence::of_cards(held, other, noticed);
        let written = evidence.and_then(|evidence| Some((evidence.name().ok()?, evidence.to_json().ok()?)));
        let (name, text) = written.unwrap_or_else(|| ("cards".to_owned(), other.envelope().to_json()));
        self.write_evidence(&name, &text)
    }

    /// Keeps a piece of evidence as `evidence/NAME.json`, durably. A name stands for one matter: what is kept already stays
    /// as it is.
    ///
    /// # Errors
    /// When it cannot be written, or there are too many pieces.
    pub fn write_evidence(&self, name: &str, content: &[u8]) -> Result<PathBuf, HomeError> {
        let dir = self.dir().join("evidence");
        create_private_dir(&dir)?;
        let path = dir.join(format!("{name}.json"));
        if path.exists() {
            return Ok(path);
        }
        if fs::read_dir(&dir).map_err(io_error("read", &dir))?.count() >= EVIDENCE_MAX {
            return Err(HomeError::Exists { path: dir });
        }
        match create_file(&path, content, 0o600) {
            Err(HomeError::Exists { .. }) => Ok(path),
            written => written.and_then(|()| sync_parent(&path)).map(|()| path),
        }
    }
}
