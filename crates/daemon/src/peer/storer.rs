//! What a session receives: stored in order, many releases in one commit when they come fast.

use std::sync::Arc;

use mithaq_core::{body::Body, release::VerifiedRelease};
use mithaq_store::{Arrival, Batch, StateChange, StoreError};
use mithaq_sync::{Cursor, Input};
use tokio::sync::mpsc;

use crate::node::Node;

/// The most items of one commit.
const ITEMS: usize = 256;

/// Something to be made durable.
#[derive(Debug)]
pub(super) enum Item {
    Release { index: u64, release: Box<VerifiedRelease>, bodies: Vec<Body>, cursor: Cursor },
    Cursor(Cursor),
}

/// Stores until the session ends and everything that it verified is stored.
///
/// A cursor that moved without a release waits for the next release or the end: a peer must not be able to cause a
/// commit for each frame, and a cursor that is behind costs an offer that is answered from the index.
pub(super) async fn run(
    node: Arc<Node>,
    cursor_key: Vec<u8>,
    mut items: mpsc::UnboundedReceiver<Item>,
    answers: mpsc::Sender<Result<Input, StoreError>>,
) {
    let mut waiting = None;
    let mut items_taken = Vec::new();
    loop {
        let ended = items.recv_many(&mut items_taken, ITEMS).await == 0;
        let mut work = Work { cursor: waiting.take(), ..Work::default() };
        items_taken.drain(..).for_each(|item| work.add(item));
        if work.arrivals.is_empty() && !ended {
            waiting = work.cursor;
            continue;
        }
        let (worker, key) = (Arc::clone(&node), cursor_key.clone());
        let stored = tokio::task::spawn_blocking(move || work.store(&worker, key)).await;
        let Ok(stored) = stored else { return node.fail("storing for a session") };
        let failed = stored.is_err();
        // The session may be gone; what it verified is stored all the same.
        let _ = answers.send(stored.map(|indexes| Input::Stored { indexes })).await;
        if failed || ended {
            return;
        }
    }
}

/// What one commit makes durable.
#[derive(Default)]
struct Work {
    indexes: Vec<u64>,
    arrivals: Vec<Arrival>,
    cursor: Option<Cursor>,
}

impl Work {
    fn add(&mut self, item: Item) {
        match item {
            Item::Release { index, release, bodies, cursor } => {
                self.indexes.push(index);
                self.arrivals.push(Arrival { release: *release, bodies });
                self.cursor = Some(cursor);
            }
            Item::Cursor(cursor) => self.cursor = Some(cursor),
        }
    }

    fn store(self, node: &Node, cursor_key: Vec<u8>) -> Result<Vec<u64>, StoreError> {
        let state: Vec<_> =
            self.cursor.map(|cursor| StateChange::set(cursor_key, cursor.to_bytes())).into_iter().collect();
        if !(self.arrivals.is_empty() && state.is_empty()) {
            node.commit(Batch { arrivals: self.arrivals, state, ..Batch::default() })?;
        }
        Ok(self.indexes)
    }
}
