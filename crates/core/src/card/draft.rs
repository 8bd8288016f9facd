//! Drafts: cards that wait for the signature of a root key, which may lie on another machine.

use serde::Serialize;

use super::{CARD_SCHEMA, CARD_TYPE, Card, CardDetails, CardError, VerifiedCard};
use crate::{
    canonical,
    dsse::{ENVELOPE_BYTES_MAX, Envelope, EnvelopeError},
    id::CertId,
    keys::{PublicKey, SecretKey},
};

/// A card that nobody has signed. Its text is what is to be signed: the card in canonical JSON, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct CardDraft(Card);

impl CardDraft {
    /// Drafts a card for the root key to sign.
    ///
    /// # Errors
    /// When a field breaks its limits.
    pub fn new(root: PublicKey, details: CardDetails) -> Result<Self, CardError> {
        let card = Card {
            schema: CARD_SCHEMA.to_owned(),
            name: details.name,
            country: details.country,
            contacts: details.contacts,
            serial: details.serial,
            issued_at: details.issued_at,
            root,
            signing_keys: details.signing_keys,
            tls_keys: details.tls_keys,
            revoked_keys: details.revoked_keys,
            identities: details.identities,
            endpoints: details.endpoints,
        };
        card.check()?;
        Ok(Self(card))
    }

    /// Reads the text of a draft; white space around it does not count.
    ///
    /// # Errors
    /// When it is not a card in canonical form, or a field breaks its limits.
    pub fn from_json(text: &[u8]) -> Result<Self, CardError> {
        if text.len() > ENVELOPE_BYTES_MAX {
            return Err(EnvelopeError::TooLarge { bytes: text.len() }.into());
        }
        let card: Card = canonical::from_slice(text.trim_ascii()).map_err(CardError::Card)?;
        card.check()?;
        Ok(Self(card))
    }

    /// The draft as it travels: what is to be signed, and a newline that is not.
    ///
    /// # Errors
    /// When canonical JSON cannot carry a field, such as a serial over 2^53 - 1.
    pub fn to_json(&self) -> Result<Vec<u8>, CardError> {
        let mut text = canonical::to_vec(&self.0).map_err(CardError::Card)?;
        text.push(b'\n');
        Ok(text)
    }

    /// What the card will say.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.0
    }

    /// The CERT whose card it will be.
    #[must_use]
    pub fn cert_id(&self) -> CertId {
        self.0.root.cert_id()
    }

    /// Signs the draft with the root key that it names.
    ///
    /// # Errors
    /// When this is another key.
    pub fn sign(self, root: &SecretKey) -> Result<VerifiedCard, CardError> {
        if root.public() != self.0.root {
            return Err(CardError::Root { expected: self.cert_id(), found: root.public().cert_id() });
        }
        let payload = canonical::to_vec(&self.0).map_err(CardError::Card)?;
        let signature = root.sign(CARD_TYPE, &payload);
        let envelope = Envelope::new(CARD_TYPE, &payload, &[(root.public().id(), signature)]);
        Ok(VerifiedCard { card: self.0, envelope })
    }
}
