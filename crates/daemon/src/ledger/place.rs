//! Where a release stands in a ledger: the disclosure, and what the peer said of it last.

use std::collections::BTreeMap;

use mithaq_core::{
    id::{AgreementId, ReleaseId},
    ledger::Entry,
    receipt::{SignedReceipt, Status},
    time::Time,
};
use mithaq_store::{StateChange, StoreError};

use super::Ledger;

/// Before the key of a place: peer, release.
const PLACE: &[u8] = b"lx/";

/// Where a release stands in the ledger towards a peer. It can be derived from the ledger and is kept to be found fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of the last disclosure.
    pub(crate) entry: u64,
    /// The first bytes of the agreement under which it was disclosed last.
    pub(crate) agreement: [u8; 8],
    /// The peer's last receipt.
    pub(crate) receipt: Option<Acknowledged>,
}

/// What a peer said of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    /// The number of the entry with the receipt.
    pub(crate) entry: u64,
    /// What became of the release.
    pub(crate) status: Status,
    /// When, by the peer's clock.
    pub(crate) at: Time,
}

fn short(agreement: AgreementId) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&agreement.as_bytes()[..8]);
    short
}

impl Place {
    /// Whether the release was disclosed under this agreement.
    pub(crate) fn is_under(&self, agreement: AgreementId) -> bool {
        self.agreement == short(agreement)
    }

    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = [&self.entry.to_be_bytes()[..], &self.agreement].concat();
        if let Some(Acknowledged { entry, status, at }) = self.receipt {
            bytes.extend(entry.to_be_bytes());
            bytes.extend(at.as_micros().to_be_bytes());
            bytes.push(status.to_byte());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (entry, rest) = bytes.split_first_chunk::<8>()?;
        let (agreement, rest) = rest.split_first_chunk::<8>()?;
        let receipt = if rest.is_empty() { None } else { Some(Acknowledged::from_bytes(rest)?) };
        Some(Self { entry: u64::from_be_bytes(*entry), agreement: *agreement, receipt })
    }
}

impl Acknowledged {
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (entry, rest) = bytes.split_first_chunk::<8>()?;
        let (at, status) = rest.split_first_chunk::<8>()?;
        let [status] = *status else { return None };
        let status = Status::from_byte(status)?;
        let at = Time::from_micros(i64::from_be_bytes(*at));
        Some(Self { entry: u64::from_be_bytes(*entry), status, at })
    }
}

impl Ledger<'_> {
    fn place_key(&self, release: ReleaseId) -> Vec<u8> {
        [PLACE, self.peer.as_bytes(), release.as_bytes()].concat()
    }

    /// Where a release stands; `None` if it was never disclosed to the peer. Blocks.
    pub(crate) fn place(&self, release: ReleaseId) -> Result<Option<Place>, StoreError> {
        let value = self.node.store.state(&self.place_key(release))?;
        value.map(|value| Place::from_bytes(&value).ok_or_else(|| self.damaged("a place"))).transpose()
    }
}

/// The places that change with entries that are being appended.
pub(super) struct Places<'a> {
    ledger: Ledger<'a>,
    changed: BTreeMap<ReleaseId, Place>,
}

impl<'a> Places<'a> {
    pub(super) fn new(ledger: Ledger<'a>) -> Self {
        Self { ledger, changed: BTreeMap::new() }
    }

    fn known(&self, release: ReleaseId) -> Result<Option<Place>, StoreError> {
        match self.changed.get(&release) {
            Some(place) => Ok(Some(*place)),
            None => self.ledger.place(release),
        }
    }

    pub(super) fn note(&mut self, number: u64, entry: &Entry) -> Result<(), StoreError> {
        match entry {
            Entry::Disclosure(disclosure) => {
                let receipt = self.known(disclosure.release)?.and_then(|place| place.receipt);
                let place = Place { entry: number, agreement: short(disclosure.agreement), receipt };
                self.changed.insert(disclosure.release, place);
                Ok(())
            }
            Entry::Receipt(signed) => self.note_receipt(number, signed),
            _ => Ok(()),
        }
    }

    fn note_receipt(&mut self, number: u64, signed: &SignedReceipt) -> Result<(), StoreError> {
        let at = signed.receipt().at();
        for entry in signed.receipt().entries() {
            if let Some(place) = self.known(entry.release)? {
                let receipt = Some(Acknowledged { entry: number, status: entry.status, at });
                self.changed.insert(entry.release, Place { receipt, ..place });
            }
        }
        Ok(())
    }

    pub(super) fn into_changes(self) -> impl Iterator<Item = StateChange> {
        let Self { ledger, changed } = self;
        changed
            .into_iter()
            .map(|(release, place)| StateChange::set(ledger.place_key(release), place.to_bytes()))
            .collect::<Vec<_>>()
            .into_iter()
    }
}
