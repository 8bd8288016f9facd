//! What a session receives: judged and stored in order, many releases in one commit when they come fast.

use std::sync::Arc;

use mithaq_core::{body::Body, card::VerifiedCard, receipt::Status, release::Kind, release::VerifiedRelease};
use mithaq_store::{Arrival, Batch, StateChange, StoreError};
use mithaq_sync::{Cursor, Input};
use tokio::sync::mpsc;

use super::driver::End;
use crate::{
    node::Node,
    origins::Successor,
    standing::{self, Judgement},
    steps::{self, Step},
};

/// The most items of one commit.
const ITEMS: usize = 256;

/// Something to be made durable.
#[derive(Debug)]
pub(super) enum Item {
    Release(Box<Received>),
    Cursor(Cursor),
}

/// A release that came, with what came with it.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) index: u64,
    pub(super) release: VerifiedRelease,
    pub(super) bodies: Vec<Body>,
    /// The card of its origin, if that is not the peer.
    pub(super) card: Option<Arc<VerifiedCard>>,
    pub(super) cursor: Cursor,
}

/// Stores until the session ends and everything that it verified is stored.
///
/// A cursor that moved without a release waits for the next release or the end: a peer must not be able to cause a
/// commit for each frame, and a cursor that is behind costs an offer that is answered from the index.
pub(super) async fn run(
    node: Arc<Node>,
    cursor_key: Vec<u8>,
    mut items: mpsc::UnboundedReceiver<Item>,
    answers: mpsc::Sender<Result<Input, End>>,
) {
    let mut waiting = None;
    let mut items_taken = Vec::new();
    loop {
        let ended = items.recv_many(&mut items_taken, ITEMS).await == 0;
        let mut work = Work { cursor: waiting.take(), ..Work::default() };
        items_taken.drain(..).for_each(|item| work.add(item));
        if work.received.is_empty() && !ended {
            waiting = work.cursor;
            continue;
        }
        let (worker, key) = (Arc::clone(&node), cursor_key.clone());
        let stored = tokio::task::spawn_blocking(move || work.store(&worker, &key)).await;
        let Ok(stored) = stored else { return node.fail("storing for a session") };
        let failed = stored.is_err();
        // The session may be gone; what it verified is stored all the same.
        let _ = answers.send(stored.map(|entries| Input::Stored { entries }).map_err(End::from)).await;
        if failed || ended {
            return;
        }
    }
}

/// What is made durable together.
#[derive(Default)]
struct Work {
    received: Vec<Received>,
    cursor: Option<Cursor>,
}

impl Work {
    fn add(&mut self, item: Item) {
        match item {
            Item::Release(received) => {
                self.cursor = Some(received.cursor);
                self.received.push(*received);
            }
            Item::Cursor(cursor) => self.cursor = Some(cursor),
        }
    }

    fn store(self, node: &Node, cursor_key: &[u8]) -> Result<Vec<(u64, Status)>, StoreError> {
        let received = self.received.iter().map(|received| (&received.release, &received.bodies[..]));
        let claims = standing::claims(node, received)?;
        let turn = node.publishing.turn(claims);
        let mut entries = Vec::with_capacity(self.received.len());
        let mut successors = Vec::new();
        let last = self.cursor;
        let mut received = self.received.into_iter().peekable();
        while let Some(first) = received.next() {
            // What is judged together is of one origin, and a withdrawal is judged alone: each sees what came before it.
            let (origin, kind) = (first.release.manifest().origin, first.release.manifest().kind);
            let mut part = vec![first];
            while kind == Kind::Publish
                && let Some(next) = received.next_if(|next| is_of(next, origin, kind))
            {
                part.push(next);
            }
            let cursor = if received.peek().is_none() { last } else { part.last().map(|received| received.cursor) };
            entries.extend(store_part(node, part, cursor, cursor_key, &mut successors)?);
        }
        // What they put into quarantine takes turns of its own.
        drop(turn);
        successors.iter().for_each(|successor| successor.take_effect(node));
        if entries.is_empty()
            && let Some(cursor) = last
        {
            let state = vec![StateChange::set(cursor_key.to_vec(), cursor.to_bytes())];
            node.commit(Batch { state, ..Batch::default() })?;
        }
        Ok(entries)
    }
}

fn is_of(received: &Received, origin: mithaq_core::id::CertId, kind: Kind) -> bool {
    let manifest = received.release.manifest();
    manifest.origin == origin && manifest.kind == kind
}

/// Judges and commits releases of one origin, with the cursor behind them.
fn store_part(
    node: &Node,
    part: Vec<Received>,
    cursor: Option<Cursor>,
    cursor_key: &[u8],
    successors: &mut Vec<Successor>,
) -> Result<Vec<(u64, Status)>, StoreError> {
    let mut batch = Batch::default();
    batch.state.extend(cursor.map(|cursor| StateChange::set(cursor_key.to_vec(), cursor.to_bytes())));
    let successor = Successor::among(node, part.iter().filter_map(|received| received.card.as_ref()))?;
    batch.state.extend(successor.as_ref().map(Successor::to_change));
    let mut entries = Vec::with_capacity(part.len());
    for Received { index, release, bodies, .. } in part {
        let judgement = match release.manifest().kind {
            Kind::Withdraw => withdraw(node, &release, &bodies, &mut batch)?,
            _ => standing::judge(node, &release, &bodies)?,
        };
        entries.push((index, judgement.status));
        batch.state.extend(judgement.changes);
        batch.arrivals.push(Arrival { release, bodies });
    }
    let settled: Vec<_> =
        batch.arrivals.iter().map(|arrival| (arrival.release.id(), arrival.release.contents().len())).collect();
    node.commit(batch)?;
    settled.iter().for_each(|(id, objects)| steps::passed(Step::Settled, *id, *objects));
    successors.extend(successor);
    Ok(entries)
}

fn withdraw(
    node: &Node,
    release: &VerifiedRelease,
    bodies: &[Body],
    batch: &mut Batch,
) -> Result<Judgement, StoreError> {
    if let Some(reason) = standing::revoked_key(node, release.manifest())? {
        tracing::warn!(release = release.id().fmt_short(), reason, "a withdrawal has no effect");
        return Ok(Judgement { changes: Vec::new(), status: Status::Held });
    }
    let notice = match release.contents().first() {
        Some(content) => standing::notice_of(node, *content, bodies)?,
        None => None,
    };
    let Some(notice) = notice else {
        tracing::warn!(release = release.id().fmt_short(), "a withdrawal without a notice has no effect");
        return Ok(Judgement { changes: Vec::new(), status: Status::Held });
    };
    let (changes, purge) = standing::apply_withdrawal(node, release, &notice)?;
    batch.purge.contents.extend(purge.contents);
    Ok(Judgement { changes, status: Status::Applied })
}
