//! The two CERTs of a pair, their agreement, and releases in their usual form.

use std::sync::Arc;

use mithaq_core::{id::AgreementId, label::Label, release::ReleaseDraft, time::Time};
use mithaq_sync::{BriefKey, Cursor, Setup};

pub(crate) use crate::cast::*;

pub(crate) const AGREEMENT: AgreementId = AgreementId::from_bytes([0xaa; 32]);

/// What both sides have of their connection and nobody else.
pub(crate) const SECRET: [u8; 32] = [0x77; 32];

/// What stands for releases in lazy offers.
pub(crate) const BRIEFS: BriefKey = BriefKey::new(SECRET);

pub(crate) fn setup(number: u8, peer: &Cert, cursor: Option<Cursor>) -> Setup {
    let us = cert(number);
    Setup {
        us: us.card.cert_id(),
        key: us.signing,
        agreement: AGREEMENT,
        store: [number; 16],
        instance: [number ^ 0xf0; 16],
        card_serial: 1,
        peer: Arc::clone(&peer.card),
        cursor,
        held: 0,
        ledger_size: 0,
        seen: None,
        third_party: false,
        briefs: BRIEFS,
    }
}

/// Signs a release of these bodies.
pub(crate) fn parcel_at(cert: &Cert, bodies: Vec<Vec<u8>>, label: Label, time: Time) -> Parcel {
    signed(cert, bodies, |contents| ReleaseDraft::publish(label, contents, time))
}

pub(crate) fn parcel(cert: &Cert, bodies: Vec<Vec<u8>>) -> Parcel {
    parcel_at(cert, bodies, green(), wall())
}

/// A release of the objects numbered from `first`, each of about `size` bytes.
pub(crate) fn parcel_of(cert: &Cert, first: u64, count: u64, size: usize) -> Parcel {
    let objects = (first..first + count).map(|number| object(number, size));
    parcel(cert, objects.collect())
}
