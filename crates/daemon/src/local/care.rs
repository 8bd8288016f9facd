//! The care of the store, as operators ask for it on the control socket.

use axum::{extract::State, response::Response};
use mithaq_api::http::{CompactQuery, Compacted, DEAD_PERCENT_DEFAULT, PackCut, Problem, Share, StoreCut, StoreStats};
use mithaq_core::code::Code;
use mithaq_store::{Care, Census, Cut, SegmentCut};

use super::{
    answer::{self, Ask, Failed, blocking},
    control::Control,
};
use crate::node::Node;

/// What lies on the disk.
pub(super) async fn stats(State(control): State<Control>) -> Result<Response, Failed> {
    let node = control.node;
    let stats = blocking(move || Ok::<_, Failed>(describe(&node, &care(&node)?.census()?))).await??;
    Ok(answer::json(&stats))
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

#[allow(clippy::cast_precision_loss)] // A ratio for people.
fn describe(node: &Node, census: &Census) -> StoreStats {
    let stats = node.store.stats();
    let held = [census.bodies, census.releases, census.state];
    let packed: u64 = held.iter().map(|share| share.live + share.dead).sum();
    StoreStats {
        store: node.store.id().to_string(),
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
        overhead_bytes: census.overhead_bytes,
        compression: census.raw_bytes as f64 / packed.max(1) as f64,
        oldest: census.oldest,
        newest: census.newest,
    }
}
