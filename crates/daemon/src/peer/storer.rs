//! What a session receives: judged and stored, many releases in one commit when they come fast, small ones beside large
//! ones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mithaq_core::{body::Body, card::VerifiedCard, receipt::Status, release::Kind, release::VerifiedRelease};
use mithaq_store::{Arrival, Batch, StateChange, StoreError};
use mithaq_sync::{Cursor, INLINE_BYTES_MAX, Input};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{driver::End, order::Order};
use crate::{
    node::Node,
    origins::Successor,
    standing::{self, Judgement},
    steps::{self, Step},
};

/// The most releases of one commit.
const RELEASES: usize = 256;

/// A commit is closed once its bodies reach so many bytes: the next alert waits for one of these at the most.
const COMMIT_BYTES: usize = 1024 * 1024;

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

impl Received {
    fn bytes(&self) -> usize {
        self.bodies.iter().map(|body| body.bytes().len()).sum()
    }

    /// Whether it overtakes what is large.
    fn is_prompt(&self) -> bool {
        self.release.manifest().kind == Kind::Withdraw || self.bytes() <= INLINE_BYTES_MAX
    }
}

/// A release in a lane, with its number in the order of the session.
type Numbered = (u64, Received);

/// Takes what a session verifies, in two lanes: what is small or takes something back is stored beside what is large.
#[derive(Debug)]
pub(super) struct Storer {
    order: Arc<Mutex<Order>>,
    prompt: mpsc::UnboundedSender<Numbered>,
    bulk: mpsc::UnboundedSender<Numbered>,
}

impl Storer {
    /// Takes a release, with the cursor that holds once it and all that was handed over before it are durable.
    pub(super) fn store(&self, received: Received) {
        let lane = if received.is_prompt() { &self.prompt } else { &self.bulk };
        let _ = lane.send((lock(&self.order).begin(received.cursor), received));
    }

    /// Takes a cursor that moved without a release. It waits for the next release or the end: a peer must not be able to
    /// cause a commit for each frame, and a cursor that is behind costs an offer that is answered from the index.
    pub(super) fn save(&self, cursor: Cursor) {
        let mut order = lock(&self.order);
        let number = order.begin(cursor);
        order.settle(&[number]);
    }
}

fn lock(order: &Mutex<Order>) -> MutexGuard<'_, Order> {
    order.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts to store for a session. The task ends once the [`Storer`] was dropped and everything that it took is stored.
pub(super) fn start(
    node: &Arc<Node>,
    cursor_key: Vec<u8>,
    answers: &mpsc::Sender<Result<Input, End>>,
) -> (Storer, JoinHandle<()>) {
    let order = Arc::new(Mutex::new(Order::default()));
    let lane = |releases| Lane {
        node: Arc::clone(node),
        cursor_key: cursor_key.clone(),
        order: Arc::clone(&order),
        releases,
        answers: answers.clone(),
    };
    let ((prompt, prompt_out), (bulk, bulk_out)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let (prompt_lane, bulk_lane, last) = (lane(prompt_out), lane(bulk_out), lane(mpsc::unbounded_channel().1));
    let task = node.tasks.spawn(async move {
        let (prompt, bulk) = tokio::join!(prompt_lane.run(), bulk_lane.run());
        if prompt && bulk {
            last.save_cursor().await;
        }
    });
    (Storer { order, prompt, bulk }, task)
}

struct Lane {
    node: Arc<Node>,
    cursor_key: Vec<u8>,
    order: Arc<Mutex<Order>>,
    releases: mpsc::UnboundedReceiver<Numbered>,
    answers: mpsc::Sender<Result<Input, End>>,
}

impl Lane {
    /// Stores what comes; says whether all of it was stored.
    async fn run(mut self) -> bool {
        let mut taken = Vec::new();
        while self.releases.recv_many(&mut taken, RELEASES).await > 0 {
            let mut taken = taken.drain(..).peekable();
            while taken.peek().is_some() {
                if !self.store(next_commit(&mut taken)).await {
                    return false;
                }
            }
        }
        true
    }

    async fn store(&self, commit: Vec<Numbered>) -> bool {
        let (numbers, received): (Vec<_>, Vec<_>) = commit.into_iter().unzip();
        let (node, key, order) = (Arc::clone(&self.node), self.cursor_key.clone(), Arc::clone(&self.order));
        let stored = tokio::task::spawn_blocking(move || {
            let stored = Work { received, numbers: &numbers, order: &order }.store(&node, &key)?;
            lock(&order).settle(&numbers);
            Ok::<_, StoreError>(stored)
        });
        let Ok(stored) = stored.await else {
            self.node.fail("storing for a session");
            return false;
        };
        let is_stored = stored.is_ok();
        // The session may be gone; what it verified is stored all the same.
        let _ = self.answers.send(stored.map(|entries| Input::Stored { entries }).map_err(End::from)).await;
        is_stored
    }

    /// Stores the cursor that no commit carried.
    async fn save_cursor(self) {
        let Some(cursor) = lock(&self.order).cursor_with(&[]) else { return };
        let state = vec![StateChange::set(self.cursor_key, cursor.to_bytes())];
        let node = Arc::clone(&self.node);
        let saved = tokio::task::spawn_blocking(move || node.commit(Batch { state, ..Batch::default() })).await;
        if let Ok(Err(error)) = saved {
            let _ = self.answers.send(Err(End::from(error))).await;
        }
    }
}

/// Takes from `releases` what makes a commit, at least one.
fn next_commit(releases: &mut impl Iterator<Item = Numbered>) -> Vec<Numbered> {
    let mut commit = Vec::new();
    let mut bytes = 0;
    while bytes < COMMIT_BYTES
        && let Some(next) = releases.next()
    {
        bytes += next.1.bytes();
        commit.push(next);
    }
    commit
}

/// What is made durable together.
struct Work<'a> {
    received: Vec<Received>,
    numbers: &'a [u64],
    order: &'a Mutex<Order>,
}

impl Work<'_> {
    fn store(self, node: &Node, cursor_key: &[u8]) -> Result<Vec<(u64, Status)>, StoreError> {
        let received = self.received.iter().map(|received| (&received.release, &received.bodies[..]));
        let claims = standing::claims(node, received)?;
        let turn = node.publishing.turn(claims);
        let mut entries = Vec::with_capacity(self.received.len());
        let mut successors = Vec::new();
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
            // The cursor goes with the last part, behind which nothing of this is missing.
            let cursor = received.peek().is_none().then(|| lock(self.order).cursor_with(self.numbers)).flatten();
            entries.extend(store_part(node, part, cursor, cursor_key, &mut successors)?);
        }
        // What they put into quarantine takes turns of its own.
        drop(turn);
        successors.iter().for_each(|successor| successor.take_effect(node));
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
