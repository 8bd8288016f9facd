//! What stands against serving a content of a release: it was withdrawn by its origin, or it is in quarantine here.
//!
//! A *hold* is a row of state for one content of one release. The log and the releases stay as they are; whoever reads
//! them to serve them (the feed, searches, the outbox) leaves out what is held. Two origins' releases of one content
//! stand apart: what one takes back, the other may go on saying.

mod gone;
mod judge;
mod keepsake;
mod quarantine;
mod retract;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::{Mutex, PoisonError, RwLock},
};

use mithaq_core::{
    body::Facts,
    code::Code,
    id::{CertId, ContentId, ReleaseId},
    time::Time,
};
use mithaq_store::{StateChange, Store, StoreError};
use serde::{Deserialize, Serialize};

pub(crate) use gone::Gone;
pub(crate) use judge::{Judgement, Owners, claims, facts_of, judge, revoked_key};
pub(crate) use keepsake::{complete, relearn, relearn_lost};
pub(crate) use quarantine::{accept, discard, expire, list, quarantine_revoked};
pub(crate) use retract::{apply_withdrawal, notice_of, revoke, withdraw};

/// Before the key of a hold: release, content.
const HOLD: &[u8] = b"q/";

/// Before the key of a withdrawal: origin, content.
const WITHDRAWAL: &[u8] = b"w/";

/// How many rows of state are read at a time.
const ROWS: usize = 1_024;

/// Why a content of a release is not served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cause {
    /// Its origin took it back.
    Withdrawn,
    /// It says that another CERT made it.
    Spoofed,
    /// Another CERT was the first to sign an object of this id.
    Contested,
    /// The key that signed it was revoked for that time.
    KeyRevoked,
    /// Its version is of a time to come, and would outlive every correction.
    Future,
    /// An operator dropped it.
    Dropped,
    /// It was kept as long as the agreement says.
    Expired,
    /// An operator accepted it: a release of our own shows it to our readers, since they may be past this one.
    Accepted,
}

impl Cause {
    /// The code that explains it.
    pub(crate) fn code(self) -> Code {
        match self {
            Self::Withdrawn => Code::WITHDRAWN,
            Self::Spoofed => Code::SPOOFED,
            Self::Contested => Code::CONTESTED,
            Self::KeyRevoked => Code::SIGNED_BY_REVOKED,
            Self::Future => Code::FUTURE_VERSION,
            Self::Dropped => Code::DROPPED,
            Self::Expired => Code::RETENTION,
            Self::Accepted => Code::ACCEPTED,
        }
    }

    /// Whether an operator may decide otherwise: what its origin took back stays taken back.
    pub(crate) fn is_quarantine(self) -> bool {
        !matches!(self, Self::Withdrawn | Self::Dropped | Self::Expired | Self::Accepted)
    }
}

/// What stands against serving a content of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Hold {
    pub(crate) cause: Cause,
    /// Since when.
    pub(crate) at: Time,
    /// The release of the log that brought it about; none if the content came held and was never served.
    pub(crate) by: Option<ReleaseId>,
    /// The object's STIX id, for readers that are told to drop it after its body is gone.
    pub(crate) stix_id: String,
    /// More for people.
    pub(crate) note: String,
    /// The kinds of observables that the object carries, for readers that are shown some kinds alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kinds: Vec<String>,
}

/// What a hold keeps of an object, whose body may go: its STIX id and the kinds of its observables.
fn kept_of(facts: Option<&Facts>) -> (String, Vec<String>) {
    let Some(facts) = facts else { return Default::default() };
    let kinds: BTreeSet<&str> = facts.observables.iter().map(|observable| observable.kind.as_str()).collect();
    (facts.stix_id.clone(), kinds.into_iter().map(str::to_owned).collect())
}

impl Hold {
    fn to_change(&self, release: ReleaseId, content: ContentId) -> StateChange {
        // INVARIANT: a structure of strings always serialises.
        StateChange::set(hold_key(release, content), serde_json::to_vec(self).unwrap_or_default())
    }
}

fn hold_key(release: ReleaseId, content: ContentId) -> Vec<u8> {
    [HOLD, release.as_bytes(), content.as_bytes()].concat()
}

fn withdrawal_key(origin: CertId, content: ContentId) -> Vec<u8> {
    [WITHDRAWAL, origin.as_bytes(), content.as_bytes()].concat()
}

/// What is known without asking the store, so that the many releases of which nothing is held cost nothing.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    held: RwLock<HashSet<ReleaseId>>,
    withdrawing: RwLock<HashSet<CertId>>,
    /// Held while what we published is taken back: what stays of a release is published again.
    retracting: Mutex<()>,
}

impl Standing {
    /// Reads which releases have holds and which origins have withdrawn. Blocks.
    pub(crate) fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let standing = Self::default();
        for_each_key(store, HOLD, |key| standing.note_held(ReleaseId::from_bytes(key)))?;
        for_each_key(store, WITHDRAWAL, |key| standing.note_withdrawing(CertId::from_bytes(key)))?;
        Ok(standing)
    }

    /// Notes that a release has a hold, before its commit: a reader that looks for a hold in vain loses nothing.
    fn note_held(&self, release: ReleaseId) {
        self.held.write().unwrap_or_else(PoisonError::into_inner).insert(release);
    }

    fn note_withdrawing(&self, origin: CertId) {
        self.withdrawing.write().unwrap_or_else(PoisonError::into_inner).insert(origin);
    }

    fn may_be_held(&self, release: ReleaseId) -> bool {
        self.held.read().unwrap_or_else(PoisonError::into_inner).contains(&release)
    }

    fn may_withdraw(&self, origin: CertId) -> bool {
        self.withdrawing.read().unwrap_or_else(PoisonError::into_inner).contains(&origin)
    }

    /// What of a release is held. Blocks.
    pub(crate) fn holds(&self, store: &dyn Store, release: ReleaseId) -> Result<BTreeMap<ContentId, Hold>, StoreError> {
        let mut holds = BTreeMap::new();
        if !self.may_be_held(release) {
            return Ok(holds);
        }
        let prefix = [HOLD, release.as_bytes()].concat();
        for_each_row(store, &prefix, |key, value| {
            holds.insert(ContentId::from_bytes(key), read_hold(value)?);
            Ok(())
        })?;
        Ok(holds)
    }

    /// Whether anything of a release may not be passed on, be it accepted for our own readers. Blocks.
    pub(crate) fn is_blocked(&self, store: &dyn Store, release: ReleaseId) -> Result<bool, StoreError> {
        Ok(!self.holds(store, release)?.is_empty())
    }

    /// What stands against a content of a release. Blocks.
    pub(crate) fn hold(
        &self,
        store: &dyn Store,
        release: ReleaseId,
        content: ContentId,
    ) -> Result<Option<Hold>, StoreError> {
        if !self.may_be_held(release) {
            return Ok(None);
        }
        store.state(&hold_key(release, content))?.map(|value| read_hold(&value)).transpose()
    }

    /// Until when, and by which release, an origin has withdrawn a content: what it published until then is void. Blocks.
    fn withdrawal(
        &self,
        store: &dyn Store,
        origin: CertId,
        content: ContentId,
    ) -> Result<Option<(Time, ReleaseId)>, StoreError> {
        if !self.may_withdraw(origin) {
            return Ok(None);
        }
        let value = store.state(&withdrawal_key(origin, content))?;
        value.map(|value| read_withdrawal(&value)).transpose()
    }
}

fn withdrawal_change(origin: CertId, content: ContentId, until: Time, by: ReleaseId) -> StateChange {
    let value = [&until.as_micros().to_be_bytes()[..], by.as_bytes()].concat();
    StateChange::set(withdrawal_key(origin, content), value)
}

fn read_withdrawal(value: &[u8]) -> Result<(Time, ReleaseId), StoreError> {
    let parts = value.split_first_chunk::<8>().and_then(|(time, id)| Some((*time, id.try_into().ok()?)));
    let (time, id) = parts.ok_or_else(|| StoreError::Corrupt { what: "the note of a withdrawal".into() })?;
    Ok((Time::from_micros(i64::from_be_bytes(time)), ReleaseId::from_bytes(id)))
}

fn read_hold(value: &[u8]) -> Result<Hold, StoreError> {
    serde_json::from_slice(value).map_err(|_| StoreError::Corrupt { what: "the note of a hold".into() })
}

/// Visits the 32 bytes that follow `prefix` in each key.
fn for_each_key(store: &dyn Store, prefix: &[u8], mut visit: impl FnMut([u8; 32])) -> Result<(), StoreError> {
    for_each_row(store, prefix, |key, _| {
        visit(key);
        Ok(())
    })
}

/// Visits rows of state with the 32 bytes that follow `prefix` in their keys.
fn for_each_row(
    store: &dyn Store,
    prefix: &[u8],
    mut visit: impl FnMut([u8; 32], &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let rows = store.state_range(prefix, after.as_deref(), ROWS)?;
        for (key, value) in &rows {
            if let Some((id, _)) = key.get(prefix.len()..).and_then(|rest| rest.split_first_chunk::<32>()) {
                visit(*id, value)?;
            }
        }
        match rows.into_iter().last() {
            Some((key, _)) => after = Some(key),
            None => return Ok(()),
        }
    }
}
