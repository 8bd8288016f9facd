//! Which exports of the configuration are made: started with the daemon, and changed with the configuration while it runs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use mithaq_api::config::Export;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::job::Job;
use crate::node::Node;

/// The exports that are made, by name.
#[derive(Debug, Default)]
pub(crate) struct Schedule(Mutex<BTreeMap<String, Running>>);

/// An export that is made again and again.
#[derive(Debug)]
struct Running {
    export: Export,
    end: CancellationToken,
    task: JoinHandle<()>,
}

/// Makes the exports of a configuration from here on: those that are new begin, those that are gone end, and those that
/// changed begin anew. Must be called where tasks can be spawned.
pub(crate) fn replace(node: &Arc<Node>, exports: &BTreeMap<String, Export>) {
    let mut running = node.exports.schedule.0.lock().unwrap_or_else(PoisonError::into_inner);
    let mut old = std::mem::take(&mut *running);
    for (name, export) in exports {
        let before = old.remove(name);
        let next = match before {
            Some(same) if same.export == *export => same,
            before => start(node, name, export, before),
        };
        running.insert(name.clone(), next);
    }
    for (name, gone) in old {
        gone.end.cancel();
        node.exports.forget(&name);
    }
}

/// Starts an export, once the one that it takes the place of is done with its files.
fn start(node: &Arc<Node>, name: &str, export: &Export, before: Option<Running>) -> Running {
    let end = node.shutdown.child_token();
    // What stands may be of another making.
    let job = Job::new(node, name, export, end.clone(), before.is_some());
    let before = before.map(|before| {
        before.end.cancel();
        before.task
    });
    node.exports.begin(name, export);
    let task = node.tasks.spawn(async move {
        if let Some(before) = before {
            // However it ended, it writes no more.
            let _ = before.await;
        }
        job.run().await;
    });
    Running { export: export.clone(), end, task }
}
