//! Whose a release is that comes, and for whom.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use mithaq_core::{
    card::VerifiedCard,
    id::CertId,
    release::{Kind, Manifest, ReleaseError, SignedManifest},
};

use super::Sink;
use crate::{fault::Fault, limits::ORIGINS_MAX};

impl Sink {
    /// The card of a release's origin if that is not the peer, which must have shown it with this release or an earlier
    /// one.
    pub(super) fn origin_card(
        &mut self,
        signed: &SignedManifest,
        shown: &Bytes,
    ) -> Result<Option<Arc<VerifiedCard>>, Fault> {
        let unreadable = |error| Fault::Release(ReleaseError::Manifest(error));
        let Manifest { origin, kind, .. } = signed.read().map_err(unreadable)?;
        // What was taken under an earlier agreement can be taken back under one that takes nothing of others.
        let is_taken = self.third_party || kind == Kind::Withdraw;
        if origin == self.peer.cert_id() || origin == self.us || !is_taken {
            // What the peer may not pass on does not verify against its own card.
            return Ok(None);
        }
        if !shown.is_empty() {
            let card = VerifiedCard::from_json(shown).map_err(|_| Fault::Misbehaved("a card that does not verify"))?;
            let shown_before = self.origins.get(&card.cert_id());
            if shown_before.is_none() && self.origins.len() >= ORIGINS_MAX {
                return Err(Fault::Misbehaved("cards of more CERTs than we take"));
            }
            // An older one may come late: there is no order between streams.
            if shown_before.is_none_or(|before| before.card().serial < card.card().serial) {
                self.origins.insert(card.cert_id(), Arc::new(card));
            }
        }
        let card = self.origins.get(&origin);
        Ok(Some(Arc::clone(card.ok_or(Fault::Misbehaved("a release of a CERT whose card was not shown"))?)))
    }

    /// Refuses what is for others, and what no CERT may send.
    pub(super) fn check_address(&self, manifest: &Manifest) -> Result<(), Fault> {
        let is_for = |recipients: &BTreeSet<CertId>| recipients.is_empty() || recipients.contains(&self.us);
        if manifest.kind.is_local() {
            return Err(Fault::Misbehaved("a release that never leaves its store"));
        }
        if is_for(&manifest.recipients) { Ok(()) } else { Err(Fault::Misbehaved("a release that is for others")) }
    }
}
