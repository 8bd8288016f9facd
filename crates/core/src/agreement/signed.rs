//! Agreements with signatures: as they travel, and as policy takes them.

use super::{AGREEMENT_BYTES_MAX, AGREEMENT_TYPE, Agreement, AgreementError};
use crate::{
    canonical,
    card::VerifiedCard,
    dsse::Envelope,
    id::{AgreementId, CertId, KeyId, sha256},
    keys::{SecretKey, Signature, Suite},
    time::Time,
};

/// An agreement with the signatures that it carries so far, none of them checked.
#[derive(Debug, Clone)]
pub struct SignedAgreement {
    agreement: Agreement,
    payload: Vec<u8>,
    signatures: Vec<(KeyId, Signature)>,
}

/// An agreement that all signed who must.
#[derive(Debug, Clone)]
pub struct VerifiedAgreement {
    id: AgreementId,
    agreement: Agreement,
}

impl SignedAgreement {
    /// Takes a draft that nobody has signed.
    ///
    /// # Errors
    /// When a field breaks its limits.
    pub fn draft(agreement: Agreement) -> Result<Self, AgreementError> {
        agreement.check()?;
        let payload = canonical::to_vec(&agreement).map_err(AgreementError::Agreement)?;
        check_size(&payload)?;
        Ok(Self { agreement, payload, signatures: Vec::new() })
    }

    /// Reads the JSON text of an agreement's envelope, without checking signatures.
    ///
    /// # Errors
    /// When it is damaged or breaks a limit.
    pub fn from_json(text: &[u8]) -> Result<Self, AgreementError> {
        Self::open(&Envelope::from_json(text)?)
    }

    /// Opens an agreement's envelope, without checking signatures.
    ///
    /// # Errors
    /// When it is damaged or breaks a limit.
    pub fn open(envelope: &Envelope) -> Result<Self, AgreementError> {
        let (payload, signatures) = envelope.open(AGREEMENT_TYPE)?;
        check_size(&payload)?;
        let agreement: Agreement = canonical::from_slice(&payload).map_err(AgreementError::Agreement)?;
        agreement.check()?;
        Ok(Self { agreement, payload, signatures })
    }

    /// The agreement's id.
    #[must_use]
    pub fn id(&self) -> AgreementId {
        AgreementId::from_bytes(sha256(&self.payload))
    }

    /// What it says, unchecked.
    #[must_use]
    pub fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// The keys that have signed, unchecked.
    pub fn signers(&self) -> impl Iterator<Item = KeyId> {
        self.signatures.iter().map(|(key, _)| *key)
    }

    /// Adds our signature, in place of an earlier one by the same key.
    pub fn sign(&mut self, key: &SecretKey) {
        let id = key.public().id();
        self.signatures.retain(|(signer, _)| *signer != id);
        self.signatures.push((id, key.sign(AGREEMENT_TYPE, &self.payload)));
    }

    /// The agreement as it travels.
    #[must_use]
    pub fn envelope(&self) -> Envelope {
        Envelope::new(AGREEMENT_TYPE, &self.payload, &self.signatures)
    }

    /// Checks that `party` is one and has signed with a key that its card names.
    ///
    /// # Errors
    /// When it is no party, has not signed, or its signature does not fit.
    pub fn verify_signer(&self, party: &VerifiedCard) -> Result<(), AgreementError> {
        if !self.agreement.has_party(party.cert_id()) {
            return Err(AgreementError::NotAParty { cert: party.cert_id(), name: party.card().name.clone() });
        }
        self.verify_signature(party)
    }

    fn verify_signature(&self, cert: &VerifiedCard) -> Result<(), AgreementError> {
        let name = || cert.card().name.clone();
        let keys = &cert.card().signing_keys;
        let mut theirs = self
            .signatures
            .iter()
            .filter_map(|(id, signature)| {
                let key = keys.iter().find(|key| key.public.id() == *id)?;
                (key.suite == Suite::Ed25519).then_some((key.public, signature))
            })
            .peekable();
        if theirs.peek().is_none() {
            return Err(AgreementError::Unsigned { name: name() });
        }
        // Anyone can put a broken signature beside a good one; it must not hide it.
        if theirs.any(|(key, signature)| key.verify(AGREEMENT_TYPE, &self.payload, signature).is_ok()) {
            Ok(())
        } else {
            Err(AgreementError::Signature { name: name() })
        }
    }

    /// Checks that both parties, whose cards are given in either order, have signed.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(self, a: &VerifiedCard, b: &VerifiedCard) -> Result<VerifiedAgreement, AgreementError> {
        if self.agreement.group.is_some() {
            return Err(AgreementError::Shape { expected: "one of two CERTs", found: "one of a group" });
        }
        self.verify_signer(a)?;
        self.verify_signer(b)?;
        if a.cert_id() == b.cert_id() {
            return Err(AgreementError::Field { field: "parties", problem: "are one and the same CERT" });
        }
        Ok(VerifiedAgreement { id: self.id(), agreement: self.agreement })
    }

    /// Checks that all have signed who must to make this a group's agreement, where `cards` are those at hand and
    /// `previous` is the version that it supersedes.
    ///
    /// A version that only admits or removes members or renews needs the previous version's threshold of the previous
    /// members, and everyone newly admitted. Any other needs every member.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify_group(
        self,
        cards: &[&VerifiedCard],
        previous: Option<&VerifiedAgreement>,
    ) -> Result<VerifiedAgreement, AgreementError> {
        if self.agreement.group.is_none() {
            return Err(AgreementError::Shape { expected: "one of a group", found: "one of two CERTs" });
        }
        let previous = self.superseded(previous)?;
        match previous.filter(|previous| self.agreement.only_renews(previous)) {
            None => self.verify_members(cards, |_| true)?,
            Some(previous) => {
                self.verify_members(cards, |cert| !previous.has_party(cert))?;
                self.verify_threshold(cards, previous)?;
            }
        }
        Ok(VerifiedAgreement { id: self.id(), agreement: self.agreement })
    }

    fn superseded<'p>(&self, previous: Option<&'p VerifiedAgreement>) -> Result<Option<&'p Agreement>, AgreementError> {
        match (self.agreement.supersedes, previous) {
            (None, _) => Ok(None),
            (Some(id), Some(previous)) if previous.id == id => Ok(Some(&previous.agreement)),
            (Some(superseded), _) => Err(AgreementError::Previous { superseded }),
        }
    }

    /// Checks the signature of every member that `must` sign.
    fn verify_members(&self, cards: &[&VerifiedCard], must: impl Fn(CertId) -> bool) -> Result<(), AgreementError> {
        for cert in self.agreement.certs().filter(|cert| must(*cert)) {
            let card = cards.iter().find(|card| card.cert_id() == cert);
            self.verify_signature(card.ok_or(AgreementError::NoCard { cert })?)?;
        }
        Ok(())
    }

    /// Checks that enough members of the previous version agree; one that is removed has a voice too.
    fn verify_threshold(&self, cards: &[&VerifiedCard], previous: &Agreement) -> Result<(), AgreementError> {
        let has_signed = |cert: &CertId| {
            let card = cards.iter().find(|card| card.cert_id() == *cert);
            card.is_some_and(|card| self.verify_signature(card).is_ok())
        };
        let signed = previous.certs().filter(has_signed).count();
        let threshold = previous.group.as_ref().map_or(previous.parties.len(), |group| group.threshold as usize);
        if signed >= threshold { Ok(()) } else { Err(AgreementError::Threshold { signed, threshold }) }
    }
}

fn check_size(payload: &[u8]) -> Result<(), AgreementError> {
    let bytes = payload.len();
    if bytes <= AGREEMENT_BYTES_MAX { Ok(()) } else { Err(AgreementError::TooLarge { bytes }) }
}

impl VerifiedAgreement {
    /// The agreement's id.
    #[must_use]
    pub fn id(&self) -> AgreementId {
        self.id
    }

    /// What it says.
    #[must_use]
    pub fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// Whether it holds at `now`.
    #[must_use]
    pub fn is_in_force(&self, now: Time) -> bool {
        self.agreement.valid_from <= now && now <= self.agreement.valid_until
    }
}
