//! Receipts as acknowledgements carry them: both sides know the entries, so only places, statuses and a signature travel.

use std::sync::Arc;

use bytes::Bytes;
use mithaq_core::{
    card::VerifiedCard,
    id::{AgreementId, CertId, KeyId, ReleaseId, StoreId},
    keys::{SecretKey, Signature},
    receipt::{Journal, Receipt, ReceiptEntry, SignedReceipt, Status, VerifiedReceipt},
    time::Time,
};

use crate::{fault::Fault, session::Setup, wire::Ack};

/// Signs and checks the receipts of one session.
#[derive(Debug)]
pub(crate) struct Receipts {
    us: CertId,
    key: Arc<SecretKey>,
    peer: Arc<VerifiedCard>,
    agreement: AgreementId,
    our_store: StoreId,
    /// Known from the peer's hello on.
    peer_store: StoreId,
}

impl Receipts {
    pub(crate) fn of(setup: &Setup) -> Self {
        Self {
            us: setup.us,
            key: Arc::clone(&setup.key),
            peer: Arc::clone(&setup.peer),
            agreement: setup.agreement,
            our_store: StoreId::from_bytes(setup.store),
            peer_store: StoreId::from_bytes([0; 16]),
        }
    }

    pub(crate) fn set_peer_store(&mut self, store: [u8; 16]) {
        self.peer_store = StoreId::from_bytes(store);
    }

    fn journal(&self, owner: CertId, store: StoreId) -> Journal {
        Journal { owner, store, agreement: self.agreement }
    }

    /// Acknowledges entries of the peer's journal.
    pub(crate) fn sign(&self, entries: &[(u64, ReleaseId, Status)], at: Time) -> Result<Ack, Fault> {
        let mut entries: Vec<ReceiptEntry> = entries.iter().copied().map(ReceiptEntry::from).collect();
        entries.sort_unstable_by_key(|entry| entry.index);
        let indexes = entries.iter().map(|entry| entry.index).collect();
        let statuses = entries.iter().map(|entry| entry.status.to_byte()).collect();
        let journal = self.journal(self.peer.cert_id(), self.peer_store);
        let receipt = Receipt::new(self.us, journal, entries, at).and_then(|receipt| receipt.sign(&self.key));
        let receipt = receipt.map_err(|_| Fault::Internal("signing a receipt"))?.into_signed();
        Ok(Ack {
            indexes,
            statuses,
            at: u64::try_from(at.as_micros()).unwrap_or(0),
            key: Bytes::copy_from_slice(receipt.key().as_bytes()),
            signature: Bytes::copy_from_slice(receipt.signature().as_bytes()),
        })
    }

    /// Checks an acknowledgement of entries of our journal.
    pub(crate) fn verify(&self, ack: &Ack, entries: &[(u64, ReleaseId)], now: Time) -> Result<VerifiedReceipt, Fault> {
        let malformed = || Fault::Misbehaved("a malformed receipt");
        if ack.statuses.len() != entries.len() {
            return Err(malformed());
        }
        let statuses = ack.statuses.iter().map(|byte| Status::from_byte(*byte));
        let entries = entries.iter().zip(statuses);
        let entries = entries.map(|((index, release), status)| Some(ReceiptEntry::from((*index, *release, status?))));
        let entries = entries.collect::<Option<Vec<_>>>().ok_or_else(malformed)?;
        let key = KeyId::from_bytes(ack.key[..].try_into().map_err(|_| malformed())?);
        let signature = Signature::from_bytes(ack.signature[..].try_into().map_err(|_| malformed())?);
        let at = Time::from_micros(i64::try_from(ack.at).unwrap_or(i64::MAX));
        let receipt = Receipt::new(self.peer.cert_id(), self.journal(self.us, self.our_store), entries, at);
        let receipt = receipt.map_err(|_| malformed())?;
        SignedReceipt::new(receipt, key, signature).verify(&self.peer, now).map_err(Fault::Receipt)
    }
}
