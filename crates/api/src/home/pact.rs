//! Agreements in a home: what makes the one of a peer's file hold, and what ends it.

use std::path::Path;

use mithaq_core::{
    agreement::{
        AgreementError, SignedAgreement, VerifiedAgreement,
        termination::{Termination, VerifiedTermination},
    },
    card::VerifiedCard,
    dsse::Envelope,
    policy::Ending,
    statement,
};

use super::{Home, HomeError, PeerFile, PeerState};

/// The most earlier versions of a group's agreement that a peer file holds.
pub const VERSIONS_MAX: usize = 16;

impl PeerFile {
    /// The earlier versions that an agreement needs to be checked, oldest first: in a group, who may decide on a version
    /// stands in the one before it.
    fn versions_before(&self, agreement: &SignedAgreement) -> Vec<Envelope> {
        let terms = agreement.agreement();
        if terms.group.is_none() || terms.supersedes.is_none() {
            return Vec::new();
        }
        let is_other = |current: &&Envelope| SignedAgreement::open(current).is_ok_and(|it| it.id() != agreement.id());
        let current = self.agreement.iter().filter(is_other);
        self.superseded.iter().chain(current).cloned().collect()
    }

    /// The file of the peer once this agreement is in force with it.
    #[must_use]
    pub fn with_agreement(self, agreement: &SignedAgreement) -> Self {
        let superseded = self.versions_before(agreement);
        let (envelope, state) = (agreement.envelope(), PeerState::Active);
        Self { agreement: Some(envelope), superseded, termination: None, state, ..self }
    }
}

impl Home {
    /// Checks the signatures of an agreement with a peer: both of a pact of two; in a group those of all who must have
    /// signed, with the cards that this home holds.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify_agreement(
        &self,
        agreement: SignedAgreement,
        peer: &PeerFile,
        ours: &VerifiedCard,
        theirs: &VerifiedCard,
    ) -> Result<VerifiedAgreement, AgreementError> {
        if agreement.agreement().group.is_none() {
            return agreement.verify(ours, theirs);
        }
        let is_stranger = |card: &&VerifiedCard| !agreement.agreement().has_party(card.cert_id());
        if let Some(stranger) = [ours, theirs].into_iter().find(is_stranger) {
            let (cert, name) = (stranger.cert_id(), stranger.card().name.clone());
            return Err(AgreementError::NotAParty { cert, name });
        }
        let known = self.known_cards();
        let cards: Vec<&VerifiedCard> = [ours, theirs].into_iter().chain(&known).collect();
        let versions = peer.versions_before(&agreement);
        if versions.len() > VERSIONS_MAX {
            let problem = "has over 16 versions before it: let every member sign one that supersedes none";
            return Err(AgreementError::Field { field: "supersedes", problem });
        }
        let mut previous: Option<VerifiedAgreement> = None;
        for version in versions {
            previous = Some(SignedAgreement::open(&version)?.verify_group(&cards, previous.as_ref())?);
        }
        agreement.verify_group(&cards, previous.as_ref())
    }

    /// The cards of all peers; what cannot be read signs nothing.
    fn known_cards(&self) -> Vec<VerifiedCard> {
        let names = self.peer_names().unwrap_or_default();
        names.iter().filter_map(|name| VerifiedCard::verify(self.peer_file(name).ok()?.card).ok()).collect()
    }

    /// How a termination of ours or the peer's ends an agreement; one of an earlier agreement ends nothing.
    pub(super) fn ending(
        &self,
        agreement: &VerifiedAgreement,
        envelope: Envelope,
        peer: &VerifiedCard,
        path: &Path,
    ) -> Result<Option<Ending>, HomeError> {
        let refused = |source| HomeError::Termination { path: path.to_owned(), source };
        let termination: Termination = statement::peek(&envelope).map_err(refused)?;
        let ours = self.card()?;
        let signer = if termination.by == ours.cert_id() { &ours } else { peer };
        let verified = VerifiedTermination::verify(envelope, signer).map_err(refused)?;
        Ok((termination.agreement == agreement.id()).then(|| Ending::from(&verified)))
    }
}
