//! The cards of CERTs that are no peers of ours: relays show them with what they pass on.

use std::sync::Arc;

use mithaq_core::{card::VerifiedCard, id::CertId, release::Manifest, time::Time};
use mithaq_store::{StateChange, StoreError};

use crate::{node::Node, standing};

/// Before the key of a card: origin.
const CARD: &[u8] = b"k/";

fn key(origin: CertId) -> Vec<u8> {
    [CARD, origin.as_bytes()].concat()
}

/// The card of an origin: a peer's own, else the newest that a relay has shown. Blocks.
pub(crate) fn card_of(node: &Node, origin: CertId) -> Result<Option<Arc<VerifiedCard>>, StoreError> {
    if let Some(card) = node.card_of(origin) {
        return Ok(Some(Arc::new(card)));
    }
    let value = node.store.state(&key(origin))?;
    Ok(value.and_then(|value| VerifiedCard::from_json(&value).ok()).map(Arc::new))
}

/// Since when the newest card that we hold of a release's origin, our own or another's, has revoked the key that signed it;
/// `None` unless that is so for the time at which it signed. A relay may show an older card. Blocks.
pub(crate) fn revoked_since(node: &Node, manifest: &Manifest) -> Result<Option<Time>, StoreError> {
    let revoked = |card: &VerifiedCard| card.card().revoked_since(manifest.key);
    let since = if manifest.origin == node.us {
        revoked(&node.identity().card)
    } else {
        card_of(node, manifest.origin)?.as_deref().and_then(revoked)
    };
    Ok(since.filter(|since| manifest.published_at >= *since))
}

/// A card that a relay has shown, newer than the one that is known of its CERT.
pub(crate) struct Successor {
    after: Arc<VerifiedCard>,
}

impl Successor {
    /// The newest of these cards, which are of one CERT, unless it is known. Blocks.
    pub(crate) fn among<'a>(
        node: &Node,
        cards: impl Iterator<Item = &'a Arc<VerifiedCard>>,
    ) -> Result<Option<Self>, StoreError> {
        let Some(newest) = cards.max_by_key(|card| card.card().serial) else { return Ok(None) };
        let (before, after) = (card_of(node, newest.cert_id())?, Arc::clone(newest));
        let is_newer = before.as_ref().is_none_or(|before| before.card().serial < after.card().serial);
        Ok(is_newer.then_some(Self { after }))
    }

    /// What remembers it.
    pub(crate) fn to_change(&self) -> StateChange {
        StateChange::set(key(self.after.cert_id()), self.after.envelope().to_json())
    }

    /// Puts into quarantine what the keys that it revokes have signed; to be called once it is durable. Blocks.
    pub(crate) fn take_effect(&self, node: &Node) {
        standing::quarantine_revoked(node, self.after.cert_id(), self.after.card());
    }
}
