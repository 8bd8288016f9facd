//! Retention: what a peer released to us is kept as long as the agreement says, and at its end as the agreement says.
//!
//! Bodies go; releases stay, as names without objects, so that nothing comes back by being offered again. Readers of the
//! stream are told to drop what nothing else serves them. What was purged at the end of an agreement is attested to the
//! peer over our signature.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use mithaq_api::http::Problem;
use mithaq_core::{
    agreement::{
        AtEnd, VerifiedAgreement,
        attestation::{Attestation, VerifiedAttestation},
    },
    code::Code,
    dsse::Envelope,
    id::{AgreementId, CertId, ContentId, ReleaseId},
    label::Label,
    time::Time,
};
use mithaq_store::{Batch, StateChange, StoreError};

use crate::{
    clock,
    node::{Node, PeerEntry},
    push::store_problem,
    staging, standing,
};

/// Before the key of the last row that was looked at for a peer: peer.
const PROGRESS: &[u8] = b"rt/";

/// Before the key of what we attested: peer, agreement.
const ATTESTED: &[u8] = b"at/";

/// How often it is looked whether something is to go.
const REVIEW: Duration = Duration::from_secs(30);

/// How many rows of the log are read at a time.
const ROWS: usize = 256;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Looks after retention until the daemon stops.
pub(crate) async fn run(node: Arc<Node>) {
    loop {
        let worker = Arc::clone(&node);
        let swept = tokio::task::spawn_blocking(move || {
            for entry in worker.peers() {
                if let Err(problem) = sweep(&worker, &entry) {
                    let (peer, reason) = (&entry.peer.name, problem.message);
                    tracing::error!(peer, code = problem.code, reason, "retention could not be kept");
                }
            }
            if let Err(error) = staging::sweep(&worker) {
                tracing::error!(%error, "parts of releases could not be dropped");
            }
        });
        if swept.await.is_err() {
            return node.fail("keeping retention");
        }
        tokio::select! {
            () = tokio::time::sleep(REVIEW) => {}
            () = node.shutdown.cancelled() => return,
        }
    }
}

/// Purges what of a peer is kept no longer. Blocks.
fn sweep(node: &Node, entry: &PeerEntry) -> Result<(), Problem> {
    let Some(agreement) = &entry.peer.agreement else { return Ok(()) };
    let (terms, now, peer) = (agreement.agreement(), clock::wall(), entry.cert());
    let is_over = entry.peer.ended.is_some() || terms.valid_until < now;
    if is_over && terms.at_end == AtEnd::Purge {
        return end(node, peer, agreement, now);
    }
    match terms.retention_days {
        Some(days) => purge(node, peer, before(now, DAY * days)).map(drop),
        None => Ok(()),
    }
}

fn before(now: Time, age: Duration) -> Time {
    Time::from_micros(now.as_micros().saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX)))
}

/// Purges all of a peer once, and attests it.
fn end(node: &Node, peer: CertId, agreement: &VerifiedAgreement, now: Time) -> Result<(), Problem> {
    if attested(node, peer, agreement.id()).map_err(|error| store_problem(&error))?.is_some() {
        return Ok(());
    }
    let purged = purge(node, peer, now)?;
    staging::forget(node, peer).map_err(|error| store_problem(&error))?;
    let (releases, objects) = (purged.len() as u64, purged.values().sum());
    let attestation = Attestation::new(agreement.id(), node.us, now, releases, objects);
    let signed = VerifiedAttestation::sign(attestation, &*node.signing_key(now)?);
    let signed = signed.map_err(|error| Problem::new(Code::INTERNAL, mithaq_api::home::with_sources(&error)))?;
    let change = StateChange::set(attested_key(peer, agreement.id()), signed.envelope().to_json());
    node.commit(Batch { state: vec![change], ..Batch::default() }).map_err(|error| store_problem(&error))?;
    let peer = node.name_of(peer);
    tracing::warn!(
        peer,
        releases,
        objects,
        "the agreement is over: what the peer released was purged, and that is attested"
    );
    Ok(())
}

fn attested_key(peer: CertId, agreement: AgreementId) -> Vec<u8> {
    [ATTESTED, peer.as_bytes(), agreement.as_bytes()].concat()
}

/// Our word that what a peer released under an agreement was purged. Blocks.
pub(crate) fn attested(node: &Node, peer: CertId, agreement: AgreementId) -> Result<Option<Envelope>, StoreError> {
    let value = node.store.state(&attested_key(peer, agreement))?;
    Ok(value.and_then(|value| Envelope::from_json(&value).ok()))
}

/// Purges the bodies of what a peer released and we added before `until`; says how many objects of which releases.
fn purge(node: &Node, peer: CertId, until: Time) -> Result<BTreeMap<ReleaseId, u64>, Problem> {
    let failed = |error: StoreError| store_problem(&error);
    let key = [PROGRESS, peer.as_bytes()].concat();
    let progress = node.store.state(&key).map_err(failed)?.and_then(|value| value.try_into().ok());
    let start = progress.map_or(0, u64::from_be_bytes);
    let (mut after, mut purged) = (start, BTreeMap::new());
    'log: loop {
        let rows = node.store.log(after, ROWS).map_err(failed)?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if row.added_at >= until {
                break 'log;
            }
            if let Some((row, release, manifest)) = node.sound_release_at(row.seq).map_err(failed)?
                && manifest.origin == peer
                && manifest.kind.publishes()
            {
                let objects = purge_release(node, row.release, release.contents, manifest.label)?;
                purged.insert(row.release, objects);
            }
            after = row.seq;
        }
    }
    if after > start {
        let change = StateChange::set(key, after.to_be_bytes().to_vec());
        node.commit(Batch { state: vec![change], ..Batch::default() }).map_err(failed)?;
    }
    Ok(purged)
}

fn purge_release(node: &Node, release: ReleaseId, contents: Vec<ContentId>, label: Label) -> Result<u64, Problem> {
    let _turn = node.publishing.turn(contents.clone());
    let objects = standing::expire(node, release, contents, label, "kept as long as the agreement says")?;
    Ok(objects as u64)
}
