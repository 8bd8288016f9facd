//! What a session asks of the store: read in order on a thread that may block.

use std::sync::Arc;

use mithaq_core::{
    card::VerifiedCard,
    id::{CertId, ContentId, ReleaseId},
    release::{Manifest, SignedRelease},
};
use mithaq_store::StoreError;
use mithaq_sync::{Cursor, GROUP_BYTES, INLINE_BYTES_MAX, Input};
use tokio::sync::mpsc;

use super::{driver::End, frames::Backlog};
use crate::{
    node::Node,
    origins,
    outbox::{self, Outbox, PROMPT_OBJECTS_MAX},
    steps::{self, Step},
};

/// How many requests are taken at a time.
const REQUESTS: usize = 64;

/// How many requests of backfill are taken at a time.
const BULK_REQUESTS: usize = 8;

/// With more than this waiting to be written to the backfill stream, nothing is loaded for it: what was loaded has passed
/// the rule, and the rule may change.
const BACKFILL_WAITING_MAX: usize = 64 * 1024;

/// How many bodies are read from the store at a time.
const BODIES: usize = 512;

/// A question of a session.
#[derive(Debug)]
pub(super) enum Request {
    OpenJournal { cursor: Option<Cursor> },
    ReadJournal { after: u64, limit: usize },
    ReadTail { after: u64, limit: usize },
    LoadRelease { index: u64, id: ReleaseId, inline: bool },
    LoadBodies { index: u64, release: ReleaseId, contents: Vec<ContentId> },
    CheckReleases { first: u64, ids: Vec<ReleaseId> },
    CheckBodies { index: u64, contents: Vec<ContentId> },
}

/// The questions of one session, in lanes, so that none of what is prompt waits for what is not.
#[derive(Debug)]
pub(super) struct Requests {
    /// What an alert needs.
    prompt: mpsc::UnboundedSender<Request>,
    /// What the peer offers us.
    checks: mpsc::UnboundedSender<Request>,
    /// What goes on the backfill stream.
    bulk: mpsc::UnboundedSender<Request>,
}

impl Requests {
    /// Asks. The machine bounds how much it asks for before it is answered, so these queues are bounded too.
    pub(super) fn send(&self, request: Request) {
        let lane = match request {
            Request::LoadBodies { .. } | Request::LoadRelease { inline: false, .. } => &self.bulk,
            Request::CheckReleases { .. } | Request::CheckBodies { .. } => &self.checks,
            _ => &self.prompt,
        };
        let _ = lane.send(request);
    }
}

/// Starts to answer requests, each lane in order, until the session ends. `backfill` is what waits for the backfill stream.
pub(super) fn start(loader: Loader, backfill: Arc<Backlog>, answers: &mpsc::Sender<Result<Input, End>>) -> Requests {
    let loader = Arc::new(loader);
    let lane = |requests_max, backfill: Option<Arc<Backlog>>| {
        let (sender, requests) = mpsc::unbounded_channel();
        let lane = Lane { loader: Arc::clone(&loader), requests, requests_max, backfill, answers: answers.clone() };
        loader.node.tasks.spawn(lane.run());
        sender
    };
    Requests { prompt: lane(REQUESTS, None), checks: lane(REQUESTS, None), bulk: lane(BULK_REQUESTS, Some(backfill)) }
}

struct Lane {
    loader: Arc<Loader>,
    requests: mpsc::UnboundedReceiver<Request>,
    requests_max: usize,
    /// What must be written before more is loaded.
    backfill: Option<Arc<Backlog>>,
    answers: mpsc::Sender<Result<Input, End>>,
}

impl Lane {
    async fn run(mut self) {
        let mut batch = Vec::new();
        while self.requests.recv_many(&mut batch, self.requests_max).await > 0 {
            if let Some(backfill) = &self.backfill {
                tokio::select! {
                    () = backfill.at_most(BACKFILL_WAITING_MAX) => {}
                    () = self.answers.closed() => return,
                }
            }
            let (loader, answers) = (Arc::clone(&self.loader), self.answers.clone());
            let mut requests = std::mem::take(&mut batch).into_iter();
            let done = tokio::task::spawn_blocking(move || {
                requests.all(|request| answers.blocking_send(loader.answer(request).map_err(End::from)).is_ok())
            });
            match done.await {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => return self.loader.node.fail("reading for a session"),
            }
        }
    }
}

/// Takes what is damaged as not there: the release does not go, and holds up nothing behind it.
fn unless_damaged<T: Default>(read: Result<T, StoreError>) -> Result<T, StoreError> {
    match read {
        Err(StoreError::Corrupt { what }) => {
            tracing::error!(what, "damaged data is not shared: run `mithaq store check`");
            Ok(T::default())
        }
        read => read,
    }
}

/// Reads for one session.
pub(super) struct Loader {
    pub(super) node: Arc<Node>,
    pub(super) outbox: Outbox,
    pub(super) peer: CertId,
}

impl Loader {
    fn answer(&self, request: Request) -> Result<Input, StoreError> {
        match request {
            Request::OpenJournal { cursor } => {
                let head = self.outbox.position()?.head;
                Ok(Input::JournalOpened { after: self.outbox.resume_at(cursor)?, head })
            }
            Request::ReadJournal { after, limit } => Ok(Input::JournalRead { ids: self.outbox.read(after, limit)? }),
            Request::ReadTail { after, limit } => {
                let (through, entries) = self.outbox.read_tail(after, limit)?;
                Ok(Input::TailRead { through, entries })
            }
            Request::LoadRelease { index, id, inline } => self.load_release(index, id, inline),
            Request::LoadBodies { index, release, contents } => self.load_bodies(index, release, &contents),
            Request::CheckReleases { first, ids } => {
                let known = ids.iter().map(|id| self.is_known(*id)).collect::<Result<_, _>>()?;
                Ok(Input::ReleasesKnown { first, known })
            }
            Request::CheckBodies { index, contents } => Ok(Input::BodiesHeld { index, held: self.held(&contents)? }),
        }
    }

    fn load_release(&self, index: u64, id: ReleaseId, inline: bool) -> Result<Input, StoreError> {
        let release = unless_damaged(self.outbox.load(id))?;
        let inline = match &release {
            Some(release) if inline => unless_damaged(self.small_bodies(release))?,
            _ => None,
        };
        steps::passed(Step::Loaded, id, release.as_ref().map_or(0, |release| release.contents.len()));
        let card = match &release {
            Some(release) => self.origin_card(release)?,
            None => None,
        };
        Ok(Input::ReleaseLoaded { index, release, card, inline })
    }

    /// The card of a release's origin, if that is not ourselves.
    fn origin_card(&self, release: &SignedRelease) -> Result<Option<Arc<VerifiedCard>>, StoreError> {
        match release.stored_manifest() {
            Ok(manifest) if manifest.origin != self.node.us => origins::card_of(&self.node, manifest.origin),
            _ => Ok(None),
        }
    }

    /// All bodies of a release, if they are few and small enough to travel with its manifest.
    fn small_bodies(&self, release: &SignedRelease) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        if release.contents.len() > PROMPT_OBJECTS_MAX {
            return Ok(None);
        }
        let bodies: Option<Vec<_>> = self.node.store.bodies(&release.contents)?.into_iter().collect();
        Ok(bodies.filter(|bodies| bodies.iter().map(Vec::len).sum::<usize>() <= INLINE_BYTES_MAX))
    }

    /// The first of the bodies asked for, as many as make a group; none if the rule no longer lets the release go, or one
    /// of them is damaged.
    fn load_bodies(&self, index: u64, release: ReleaseId, contents: &[ContentId]) -> Result<Input, StoreError> {
        let mut bodies = Vec::new();
        let mut bytes = 0;
        if unless_damaged(self.outbox.load(release))?.is_some() {
            let read = self.node.store.bodies(&contents[..contents.len().min(BODIES)]);
            for body in unless_damaged(read)?.into_iter().map_while(|body| body) {
                bytes += body.len();
                if bytes > GROUP_BYTES && !bodies.is_empty() {
                    break;
                }
                bodies.push(body);
            }
        }
        Ok(Input::BodiesLoaded { index, bodies })
    }

    /// Whether we hold a release that the peer itself signed; of others it learns nothing.
    fn is_known(&self, id: ReleaseId) -> Result<bool, StoreError> {
        let Some((_, release)) = self.node.store.release(id)? else { return Ok(false) };
        Ok(release.stored_manifest().is_ok_and(|manifest| manifest.origin == self.peer))
    }

    /// Which bodies we hold and may say so: those that the peer itself released to us, or that it may see of ours.
    fn held(&self, contents: &[ContentId]) -> Result<Vec<bool>, StoreError> {
        let held = self.node.store.has_bodies(contents)?;
        contents.iter().zip(held).map(|(content, held)| Ok(held && self.may_tell(*content)?)).collect()
    }

    fn may_tell(&self, content: ContentId) -> Result<bool, StoreError> {
        for seq in self.node.store.rows_of(content)? {
            let Some((row, release, manifest)) = self.node.release_at(seq)? else { continue };
            if manifest.origin == self.peer || self.may_go(row.release, &release, &manifest)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn may_go(&self, id: ReleaseId, release: &SignedRelease, manifest: &Manifest) -> Result<bool, StoreError> {
        let Some(entry) = self.node.peer(self.peer) else { return Ok(false) };
        Ok(outbox::ask(&self.node, id, release, manifest, &entry)?.released)
    }
}
