//! Corroboration: which objects enough CERTs have seen for the collections that ask for it.
//!
//! Once an object is seen by enough, a row of the log shows it to the readers of that collection, so that it has a place
//! and a time of its own there, however old it is. What is counted is only what the collection would show otherwise:
//! an object that it may not see counts for nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use mithaq_api::http::Problem;
use mithaq_core::{
    id::{CertId, ContentId},
    release::{Kind, RELEASE_OBJECTS_MAX, ReleaseDraft},
    stix::{object::Object, observable::Observable},
};
use mithaq_store::{Arrival, Batch, StateChange, StoreError};

use crate::{
    clock,
    collections::Collection,
    feed::{Corroboration, Feed},
    node::Node,
    push::store_problem,
};

/// Before the key of the last row that was counted for a rule: its key.
const PROGRESS: &[u8] = b"cb/";

/// How many rows of the log are counted before it is written down.
const ROWS: usize = 64;

/// The most objects that are looked at for one value.
const OBSERVED_MAX: usize = 256;

/// The most values of one object that are counted, the first in their order: an object of a hostile peer has thousands, and
/// each costs a look at [`OBSERVED_MAX`] objects.
const VALUES_MAX: usize = 256;

/// The most values of which it is remembered for a part of the log who has seen them, so that many objects with the same
/// values cost no more than one.
const REMEMBERED_MAX: usize = 16_384;

/// How long to wait after a failure.
const FAILED_WAIT: Duration = Duration::from_secs(10);

/// Counts for all collections that ask for it, until the daemon stops.
pub(crate) async fn run(node: Arc<Node>) {
    let (mut log, mut collections) = (node.follow(), node.collections.follow());
    loop {
        log.mark_unchanged();
        collections.mark_unchanged();
        let worker = Arc::clone(&node);
        let counted = tokio::task::spawn_blocking(move || count_all(&worker));
        match counted.await {
            Ok(Ok(())) => {}
            Ok(Err(problem)) => {
                let reason = problem.message;
                tracing::error!(code = problem.code, reason, "corroboration could not be counted; trying again");
                tokio::select! {
                    () = tokio::time::sleep(FAILED_WAIT) => continue,
                    () = node.shutdown.cancelled() => return,
                }
            }
            Err(_) => return node.fail("counting corroboration"),
        }
        tokio::select! {
            changed = log.changed() => if changed.is_err() { return },
            changed = collections.changed() => if changed.is_err() { return },
            () = node.shutdown.cancelled() => return,
        }
    }
}

/// Counts for all collections that ask for it what came since. Blocks.
pub(crate) fn count_all(node: &Arc<Node>) -> Result<(), Problem> {
    node.collections.all().iter().try_for_each(|collection| count(node, collection))
}

/// Counts for one collection what came since. Blocks.
fn count(node: &Arc<Node>, collection: &Collection) -> Result<(), Problem> {
    let Some(rule) = collection.visibility.corroboration() else { return Ok(()) };
    let failed = |error: StoreError| store_problem(&error);
    let progress_key = [PROGRESS, rule.key.as_bytes()].concat();
    let progress = node.store.state(&progress_key).map_err(failed)?;
    let mut after = progress.and_then(|value| value.try_into().ok()).map_or(0, u64::from_be_bytes);
    let mut counter = Counter {
        node: Arc::clone(node),
        counted: Feed::new(Arc::clone(node), collection.visibility.uncorroborated()),
        shown: Feed::new(Arc::clone(node), collection.visibility.clone()),
        collection,
        rule,
        seen: HashMap::new(),
        found: BTreeSet::new(),
    };
    while !node.shutdown.is_cancelled() && !collection.changed.is_cancelled() {
        let rows = node.store.log(after, ROWS).map_err(failed)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.seq;
        let mut looked_at = false;
        for row in rows {
            looked_at |= counter.count_row(row.seq).map_err(failed)?;
        }
        // Rows of our own alone are not worth a commit, which would not be the last then.
        if looked_at {
            let mut batch = counter.take_found()?;
            batch.state.push(StateChange::set(progress_key.clone(), after.to_be_bytes().to_vec()));
            node.commit(batch).map_err(failed)?;
        }
    }
    Ok(())
}

/// Counts for one collection.
struct Counter<'a> {
    node: Arc<Node>,
    /// What counts.
    counted: Feed,
    /// What its readers are shown so far.
    shown: Feed,
    collection: &'a Collection,
    rule: Corroboration,
    /// Who has seen a value, as far as it was counted in this part of the log.
    seen: HashMap<Observable, BTreeSet<CertId>>,
    /// What is to be shown to them beside.
    found: BTreeSet<ContentId>,
}

impl Counter<'_> {
    /// Counts what a row brings; says whether it may bring anything.
    fn count_row(&mut self, seq: u64) -> Result<bool, StoreError> {
        let Some((_, release, manifest)) = self.node.sound_release_at(seq)? else { return Ok(false) };
        if !matches!(manifest.kind, Kind::Publish | Kind::Accept) {
            return Ok(false);
        }
        for content in release.contents {
            if self.counted.shows(content)? {
                self.count_object(content)?;
            }
        }
        Ok(true)
    }

    /// Counts who has seen what an object carries; of an object that carries nothing, who has released it.
    fn count_object(&mut self, content: ContentId) -> Result<(), StoreError> {
        let observables = self.observables(content)?;
        if observables.is_empty() {
            return self.count_among(vec![content]).map(drop);
        }
        let origins: BTreeSet<CertId> = self.counted.origins_of(content)?.into_iter().collect();
        for observable in observables {
            self.count_value(observable, content, &origins)?;
        }
        Ok(())
    }

    /// Counts who has seen a value that an object of these CERTs carries.
    fn count_value(
        &mut self,
        observable: Observable,
        content: ContentId,
        origins: &BTreeSet<CertId>,
    ) -> Result<(), StoreError> {
        if let Some(seen) = self.seen.get_mut(&observable) {
            let were_enough = is_enough(seen, self.rule);
            seen.extend(origins);
            if were_enough {
                return self.find(content);
            }
            if !is_enough(seen, self.rule) {
                return Ok(());
            }
        }
        let mut others = self.node.store.observed(&observable, OBSERVED_MAX)?;
        if !others.contains(&content) {
            others.push(content);
        }
        let mut seen = self.count_among(others)?;
        if self.seen.len() >= REMEMBERED_MAX {
            self.seen.clear();
        }
        seen.extend(origins);
        self.seen.insert(observable, seen);
        Ok(())
    }

    fn observables(&self, content: ContentId) -> Result<Vec<Observable>, StoreError> {
        let body = match self.node.store.bodies(&[content]) {
            Err(StoreError::Corrupt { .. }) => None,
            read => read?.pop().flatten(),
        };
        let observables = body.and_then(|body| Some(Object::parse(&body).ok()?.observables())).unwrap_or_default();
        let counts = |observable: &Observable| self.collection.visibility.counts(observable.kind);
        Ok(observables.into_iter().filter(counts).take(VALUES_MAX).collect())
    }

    /// Finds these contents, if enough CERTs have released one of them; tells which have.
    fn count_among(&mut self, contents: Vec<ContentId>) -> Result<BTreeSet<CertId>, StoreError> {
        let (mut origins, mut shown) = (BTreeSet::<CertId>::new(), Vec::new());
        for content in contents {
            if self.counted.shows(content)? {
                origins.extend(self.counted.origins_of(content)?);
                shown.push(content);
            }
        }
        if is_enough(&origins, self.rule) {
            shown.into_iter().try_for_each(|content| self.find(content))?;
        }
        Ok(origins)
    }

    /// Has a content shown, unless it is already.
    fn find(&mut self, content: ContentId) -> Result<(), StoreError> {
        if !self.found.contains(&content) && !self.shown.shows(content)? {
            self.found.insert(content);
        }
        Ok(())
    }

    /// Rows that show what was found, each with the label of the release that brought it.
    fn take_found(&mut self) -> Result<Batch, Problem> {
        let failed = |error: StoreError| store_problem(&error);
        let mut by_row: BTreeMap<u64, Vec<ContentId>> = BTreeMap::new();
        // Some of it may be taken back before the next part is counted.
        self.seen.clear();
        for content in std::mem::take(&mut self.found) {
            let is_held = self.node.store.has_bodies(&[content]).map_err(failed)? == [true];
            let row = self.counted.source_row(content).map_err(failed)?.filter(|_| is_held);
            row.into_iter().for_each(|row| by_row.entry(row).or_default().push(content));
        }
        let mut batch = Batch::default();
        for (row, contents) in by_row {
            let Some((_, _, manifest)) = self.node.sound_release_at(row).map_err(failed)? else { continue };
            for part in contents.chunks(RELEASE_OBJECTS_MAX) {
                let draft = ReleaseDraft {
                    kind: Kind::Corroborate,
                    recipients: [self.rule.key].into(),
                    ..ReleaseDraft::publish(manifest.label.clone(), part.to_vec(), clock::wall())
                };
                batch.arrivals.push(Arrival { release: self.node.sign(draft)?, bodies: Vec::new() });
            }
        }
        Ok(batch)
    }
}

fn is_enough(origins: &BTreeSet<CertId>, rule: Corroboration) -> bool {
    origins.len() >= rule.least as usize
}
