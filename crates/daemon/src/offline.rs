//! The store of a home whose daemon does not run: opened as the daemon would, for a check or for figures.

use std::collections::BTreeMap;

use mithaq_api::{
    home::{Home, with_sources},
    http::{Problem, StoreAnswer, StoreTask},
};
use mithaq_core::{code::Code, id::CertId};
use mithaq_store::{SledStore, Store, StoreError};

use crate::{clock, local, repair, start};

/// Opens the store of a home and does what is asked. It takes the store's lock: a daemon that runs keeps it out, and
/// none starts meanwhile. As at a daemon's start, what a crash tore is cut off and an index that lags is brought up.
///
/// # Errors
/// When the home has no store or its store cannot be opened or read. Damage is not an error but told.
pub fn ask_store(home: &Home, task: StoreTask) -> Result<StoreAnswer, Problem> {
    let config = home.config().map_err(|error| Problem::new(error.code(), error.to_string()))?;
    let dir = home.dir().join(&config.store.dir);
    if !dir.join("packs").is_dir() {
        return Err(Problem::new(Code::NOT_FOUND, format!("there is no store in {}", dir.display())));
    }
    let us = home.card().map_err(|error| Problem::new(error.code(), error.to_string()))?.cert_id();
    let store = SledStore::open(&dir, start::store_options(&config)).map_err(|error| problem(&error))?;
    let names = names(home);
    let name = |cert: CertId| names.get(&cert).cloned().unwrap_or_else(|| cert.fmt_short());
    let answer = match task {
        StoreTask::Stats => local::store_stats(&store, &name).map(|stats| StoreAnswer::Stats(Box::new(stats))),
        StoreTask::Check { repair: false } => store.verify().map(|report| StoreAnswer::Check(local::checked(report))),
        StoreTask::Check { repair: true } => {
            repair::repair(&store, us, clock::wall()).map(|repair| StoreAnswer::Check(local::repaired(repair, &name)))
        }
    };
    answer.map_err(|error| problem(&error))
}

/// How people here call the peers; those whose files cannot be read go by their ids.
fn names(home: &Home) -> BTreeMap<CertId, String> {
    let names = home.peer_names().unwrap_or_default();
    names.into_iter().filter_map(|name| Some((home.peer(&name).ok()?.card.cert_id(), name))).collect()
}

fn problem(error: &StoreError) -> Problem {
    let code = match error {
        StoreError::Locked { .. } => Code::STORE_LOCKED,
        StoreError::Full => Code::DISK_FULL,
        _ => Code::STORE,
    };
    Problem::new(code, with_sources(error))
}
