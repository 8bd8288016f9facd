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
pub(super) async fn run(
    node: Arc<Node>,
    cursor_key: Vec<u8>,
    mut items: mpsc::UnboundedReceiver<Item>,
    answers: mpsc::Sender<Result<Input, StoreError>>,
) {
    let mut batch = Vec::new();
    while items.recv_many(&mut batch, ITEMS).await > 0 {
        let (node, key) = (Arc::clone(&node), cursor_key.clone());
        let items = std::mem::take(&mut batch);
        let stored = tokio::task::spawn_blocking(move || store(&node, key, items)).await;
        let Ok(stored) = stored else { return };
        let failed = stored.is_err();
        // The session may be gone; what it verified is stored all the same.
        let _ = answers.send(stored.map(|indexes| Input::Stored { indexes })).await;
        if failed {
            return;
        }
    }
}

fn store(node: &Node, cursor_key: Vec<u8>, items: Vec<Item>) -> Result<Vec<u64>, StoreError> {
    let mut indexes = Vec::new();
    let mut arrivals = Vec::new();
    let mut last = None;
    for item in items {
        match item {
            Item::Release { index, release, bodies, cursor } => {
                indexes.push(index);
                arrivals.push(Arrival { release: *release, bodies });
                last = Some(cursor);
            }
            Item::Cursor(cursor) => last = Some(cursor),
        }
    }
    let state = last.map(|cursor| StateChange::set(cursor_key, cursor.to_bytes())).into_iter().collect();
    node.commit(Batch { arrivals, state })?;
    Ok(indexes)
}
