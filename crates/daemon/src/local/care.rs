//! The care of the store, as operators ask for it on the control socket.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use mithaq_api::http::{
    Asked, Check, CheckQuery, CompactQuery, Compacted, DEAD_PERCENT_DEFAULT, PackCut, Problem, Share, StagedOfPeer,
    StagedStats, StoreCut, StoreStats,
};
use mithaq_core::{code::Code, id::CertId};
use mithaq_store::{Care, Cut, Report, SegmentCut, Store, StoreError};

use super::{
    answer::{self, Ask, Failed, blocking},
    control::Control,
};
use crate::{clock, node::Node, repair, staging, standing, start};

/// What lies on the disk.
pub(super) async fn stats(State(control): State<Control>) -> Result<Response, Failed> {
    let node = control.node;
    let stats = blocking(move || store_stats(&*node.store, &|cert| node.name_of(cert))).await??;
    Ok(answer::json(&stats))
}

/// Reads and hashes everything; has what is damaged come again, if that is asked for.
pub(super) async fn check(State(control): State<Control>, Ask(query): Ask<CheckQuery>) -> Result<Response, Failed> {
    let node = control.node;
    if !query.repair {
        let report = blocking(move || node.store.verify()).await??;
        return Ok(answer::json(&checked(report)));
    }
    let check = blocking(move || Ok::<_, StoreError>(repaired(mend(&node)?, &|cert| node.name_of(cert))));
    Ok(answer::json(&check.await??))
}

/// Repairs the store, and has what is lacking come again. Blocks.
fn mend(node: &Arc<Node>) -> Result<repair::Repair, StoreError> {
    let repair = repair::repair(&*node.store, node.us, clock::wall())?;
    // Nobody tells us again what we withdrew ourselves.
    standing::relearn_lost(node)?;
    if !repair.asked.is_empty() {
        // Sessions that run know nothing of it.
        start::restart_peers(node);
    }
    warn_of(node, &repair);
    Ok(repair)
}

/// Takes up a repair that was cut short: until it has come to its end, not all that is lacking is asked for.
pub(crate) async fn resume_repair(node: Arc<Node>) {
    let worker = Arc::clone(&node);
    let resumed = tokio::task::spawn_blocking(move || {
        if repair::is_unfinished(&*worker.store)? {
            tracing::warn!("a repair of the store was cut short: it is taken up again");
            mend(&worker)?;
            tracing::info!("the repair of the store has come to its end");
        }
        Ok::<_, StoreError>(())
    });
    match resumed.await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::error!(%error, "the store cannot be repaired: run `mithaq store check --repair`"),
        Err(_) => node.fail("taking up a repair"),
    }
}

/// Tells the log what a repair has found and done.
fn warn_of(node: &Node, repair: &repair::Repair) {
    let report = &repair.repaired.report;
    for problem in &report.problems {
        tracing::error!(problem, "the store is damaged");
    }
    for (peer, releases) in &repair.asked {
        tracing::warn!(peer = node.name_of(*peer), releases, "releases are asked for again, to mend the store");
    }
    for release in &repair.unasked {
        tracing::error!(release = release.fmt_short(), "a release is damaged that no peer sends again");
    }
}

/// A check as it is told.
pub(crate) fn checked(report: Report) -> Check {
    let Report { objects, problems, set_aside, .. } = report;
    Check { ok: problems.is_empty(), objects, problems, set_aside, repair: None }
}

/// A repair as it is told; `name` says how people here call a peer.
pub(crate) fn repaired(repair: repair::Repair, name: &dyn Fn(CertId) -> String) -> Check {
    let repair::Repair { repaired, asked, unasked } = repair;
    let lacking = &repaired.report.lacking;
    let asked = asked.into_iter().map(|(peer, releases)| Asked { peer: name(peer), releases });
    let told = mithaq_api::http::Repair {
        files: repaired.files,
        objects_lacking: lacking.bodies,
        rows_lost: lacking.rows,
        dropped: repaired.dropped,
        asked: asked.collect(),
        unasked,
    };
    Check { repair: Some(told), ..checked(repaired.report) }
}

/// Gives back the space of what was purged.
pub(super) async fn compact(State(control): State<Control>, Ask(query): Ask<CompactQuery>) -> Result<Response, Failed> {
    let dead = query.dead.unwrap_or(DEAD_PERCENT_DEFAULT);
    if dead > 100 {
        return Err(Failed::bad_request("dead is a percentage, 0 to 100"));
    }
    let node = control.node;
    let done = blocking(move || Ok::<_, Failed>(care(&node)?.compact(dead)?)).await??;
    let mithaq_store::Compacted { packs, rewritten, bytes_before, bytes_after, left } = done;
    Ok(answer::json(&Compacted { packs, rewritten, bytes_before, bytes_after, left }))
}

/// The packs as they are now, for a backup, which copies the files itself.
pub(super) async fn cut(State(control): State<Control>) -> Result<Response, Failed> {
    let node = control.node;
    let cut = blocking(move || {
        let Cut { schema, head, segments } = care(&node)?.cut()?;
        let pack = |SegmentCut { file, edition, inode, bytes, .. }| PackCut { file, edition, inode, bytes };
        let packs = segments.into_iter().map(pack).collect();
        let objects = node.store.stats().objects;
        Ok::<_, Failed>(StoreCut { store: node.store.id(), schema, head, objects, packs })
    });
    Ok(answer::json(&cut.await??))
}

/// Serves SIEMs from now on, whoever was not heard since the store was restored.
pub(super) async fn serve(State(control): State<Control>) -> Result<Response, Failed> {
    let node = control.node;
    let restored = blocking(move || {
        node.gate.open(&node)?;
        let none = || Failed::not_found("this store was not restored from a backup: SIEMs are served");
        node.gate.describe(&node).ok_or_else(none)
    });
    Ok(answer::json(&restored.await??))
}

fn care(node: &Node) -> Result<&dyn Care, Failed> {
    let none = || Problem::new(Code::STORE, "this store has no files to look after");
    Ok(node.store.care().ok_or_else(none)?)
}

fn share(share: mithaq_store::Share) -> Share {
    Share { live: share.live, dead: share.dead }
}

/// What a store holds on disk; `name` says how people here call a peer. Blocks.
#[allow(clippy::cast_precision_loss)] // A ratio for people.
pub(crate) fn store_stats(store: &dyn Store, name: &dyn Fn(CertId) -> String) -> Result<StoreStats, StoreError> {
    let none = || StoreError::Misuse { what: "this store has no files to look after".into() };
    let census = store.care().ok_or_else(none)?.census()?;
    let stats = store.stats();
    let held = [census.bodies, census.releases, census.state];
    let packed: u64 = held.iter().map(|share| share.live + share.dead).sum();
    let lots = staging::count(store)?.into_iter();
    let peers: Vec<_> = lots.map(|(peer, lots, bytes)| StagedOfPeer { peer: name(peer), lots, bytes }).collect();
    let bytes = peers.iter().map(|peer| peer.bytes).sum();
    Ok(StoreStats {
        store: store.id().to_string(),
        schema: census.schema,
        objects: stats.objects,
        releases: stats.releases,
        references: stats.references,
        body_bytes: stats.body_bytes,
        packs: census.packs,
        pack_bytes: census.pack_bytes,
        index_bytes: census.index_bytes,
        bodies: share(census.bodies),
        release_records: share(census.releases),
        state: share(census.state),
        staged: StagedStats { objects: stats.staged, bytes, peers },
        overhead_bytes: census.overhead_bytes,
        compression: census.raw_bytes as f64 / packed.max(1) as f64,
        oldest: census.oldest,
        newest: census.newest,
    })
}
