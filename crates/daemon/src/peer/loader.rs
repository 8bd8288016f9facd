//! What a session asks of the store: read in order on a thread that may block.

use std::sync::{Arc, Mutex, PoisonError};

use mithaq_core::{
    card::VerifiedCard,
    id::{ContentId, ReleaseId},
    release::{Manifest, SignedRelease},
};
use mithaq_store::StoreError;
use mithaq_sync::{
    Cursor, GROUP_BYTES, INLINE_BYTES_MAX, Input, Pending, Waiting,
    sketch::{Cell, SketchKey},
};
use tokio::sync::mpsc;

use super::driver::End;
use crate::{
    fetching::{self, Seat},
    held,
    node::{Node, PeerEntry},
    origins,
    outbox::{self, Outbox},
    staging,
};

/// How many requests are taken at a time.
const REQUESTS: usize = 64;

/// How many bodies are read from the store at a time.
const BODIES: usize = 512;

/// A question of a session.
#[derive(Debug)]
pub(super) enum Request {
    OpenJournal { cursor: Option<Cursor> },
    ReadJournal { after: u64, limit: usize },
    LoadRelease { index: u64, id: ReleaseId, inline: bool },
    LoadBodies { index: u64, release: ReleaseId, contents: Vec<ContentId> },
    CountJournal,
    OpenSketch { key: SketchKey, cells: usize },
    ReadCells { from: usize, count: usize },
    FindMarks { shorts: Vec<u64> },
    ReadEntries { indexes: Vec<u64> },
    CompareSketch { key: SketchKey, cells: Vec<Cell> },
    CheckReleases { first: u64, ids: Vec<ReleaseId> },
    CheckBodies { index: u64, release: ReleaseId, contents: Vec<ContentId> },
}

/// Answers requests until the session ends.
pub(super) async fn run(
    loader: Loader,
    mut requests: mpsc::UnboundedReceiver<Request>,
    answers: mpsc::Sender<Result<Input, End>>,
) {
    let loader = Arc::new(loader);
    let mut freed = loader.seat.follow();
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            taken = requests.recv_many(&mut batch, REQUESTS) => if taken == 0 { return },
            () = fetching::freed_or_expired(&mut freed), if loader.has_waiting() => {}
        }
        let (worker, answers) = (Arc::clone(&loader), answers.clone());
        let requests = std::mem::take(&mut batch);
        let done = tokio::task::spawn_blocking(move || {
            let send = |answer: Result<Input, StoreError>| answers.blocking_send(answer.map_err(End::from)).is_ok();
            requests.into_iter().all(|request| send(worker.answer(request))) && worker.answer_waiting(send)
        });
        match done.await {
            Ok(true) => {}
            Ok(false) => return,
            Err(_) => return loader.node.fail("reading for a session"),
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
    node: Arc<Node>,
    outbox: Outbox,
    entry: Arc<PeerEntry>,
    seat: Arc<Seat>,
    /// Releases whose bodies are on their way from elsewhere.
    waiting: Mutex<Waiting>,
}

impl Loader {
    pub(super) fn new(node: Arc<Node>, outbox: Outbox, entry: Arc<PeerEntry>, seat: Arc<Seat>) -> Self {
        Self { node, outbox, entry, seat, waiting: Mutex::default() }
    }

    fn has_waiting(&self) -> bool {
        !self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Answers what need not wait any longer; says whether the answers were taken.
    fn answer_waiting(&self, mut send: impl FnMut(Result<Input, StoreError>) -> bool) -> bool {
        loop {
            let ready = self.seat.take_ready(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
            if ready.is_empty() {
                return true;
            }
            for pending in ready {
                if !send(self.check_bodies(pending)) {
                    return false;
                }
            }
        }
    }

    fn answer(&self, request: Request) -> Result<Input, StoreError> {
        match request {
            Request::OpenJournal { cursor } => {
                let head = self.outbox.position()?.head;
                Ok(Input::JournalOpened { after: self.outbox.resume_at(cursor)?, head })
            }
            Request::ReadJournal { after, limit } => Ok(Input::JournalRead { ids: self.outbox.read(after, limit)? }),
            Request::CountJournal => Ok(Input::JournalSettled { head: self.outbox.position()?.head }),
            Request::OpenSketch { key, cells } => self.entry.sketches.open(&self.outbox, key, cells),
            Request::ReadCells { from, count } => {
                Ok(Input::CellsRead { cells: self.entry.sketches.cells(from, count) })
            }
            Request::FindMarks { shorts } => Ok(Input::MarksFound { indexes: self.entry.sketches.find(&shorts) }),
            Request::ReadEntries { indexes } => Ok(Input::EntriesRead { ids: self.outbox.read_each(&indexes)? }),
            Request::CompareSketch { key, cells } => {
                let compared = self.entry.sketches.compare(&self.node, self.entry.cert(), key, &cells)?;
                Ok(Input::SketchCompared(compared))
            }
            Request::LoadRelease { index, id, inline } => self.load_release(index, id, inline),
            Request::LoadBodies { index, release, contents } => self.load_bodies(index, release, &contents),
            Request::CheckReleases { first, ids } => {
                let known = ids.iter().map(|id| held::is_held(&self.node, self.entry.cert(), *id));
                let known = known.collect::<Result<_, _>>()?;
                Ok(Input::ReleasesKnown { first, known })
            }
            Request::CheckBodies { index, release, contents } => {
                self.check_bodies(Pending::new(index, release, contents))
            }
        }
    }

    fn load_release(&self, index: u64, id: ReleaseId, inline: bool) -> Result<Input, StoreError> {
        let release = unless_damaged(self.outbox.load(id))?;
        let inline = match &release {
            Some(release) if inline => unless_damaged(self.small_bodies(release))?,
            _ => None,
        };
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
        if release.contents.len() > BODIES {
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

    /// Which bodies of a release to ask for, unless some of them are on their way from elsewhere.
    fn check_bodies(&self, mut pending: Pending) -> Result<Input, StoreError> {
        let (index, freed) = (pending.index, self.seat.freed());
        let mut held = self.node.store.has_bodies(&pending.contents)?;
        if !self.seat.claim(&mut pending, &held) {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(pending);
            return Ok(Input::BodiesElsewhere { index });
        }
        if self.seat.freed() != freed {
            // What others fetched may have been stored between the look and the claim.
            held = self.node.store.has_bodies(&pending.contents)?;
            self.seat.narrow(&pending, &held);
        }
        Ok(Input::BodiesHeld { index, held: self.told(&pending, &held)? })
    }

    /// Which of the bodies that we hold we may say so of: those that the peer itself released to us, in whole or in part, or
    /// that it may see of ours; of a release that it passes on and that we hold, all; and those that it was kept waiting for,
    /// since they were on their way from another. What it gave in part it knows that we hold, also once another CERT's release
    /// has taken it. Else it would learn from our silence what others gave us: whoever guesses a body can name it in a release
    /// of its own, but nobody can make up a release that another CERT signed, and whoever guesses at the moment at which a body
    /// is on its way has to sign for it and is not answered twice.
    pub(super) fn told(&self, pending: &Pending, held: &[bool]) -> Result<Vec<bool>, StoreError> {
        let passed_on = held.contains(&true) && self.holds_of_third(pending.release)?;
        let given = staging::given_by(&self.node, self.entry.cert())?;
        let is_known = |position, content| passed_on || pending.was_elsewhere(position) || given.contains(content);
        let contents = pending.contents.iter().zip(held).enumerate();
        contents
            .map(|(position, (content, held))| Ok(*held && (is_known(position, content) || self.may_tell(*content)?)))
            .collect()
    }

    /// Whether we hold a release that another than the peer signed.
    fn holds_of_third(&self, id: ReleaseId) -> Result<bool, StoreError> {
        let Some((_, release)) = self.node.store.release(id)? else { return Ok(false) };
        Ok(release.stored_manifest().is_ok_and(|manifest| manifest.origin != self.entry.cert()))
    }

    fn may_tell(&self, content: ContentId) -> Result<bool, StoreError> {
        for seq in self.node.store.rows_of(content)? {
            let Some((row, release, manifest)) = self.node.release_at(seq)? else { continue };
            if manifest.origin == self.entry.cert() || self.may_go(row.release, &release, &manifest)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn may_go(&self, id: ReleaseId, release: &SignedRelease, manifest: &Manifest) -> Result<bool, StoreError> {
        let Some(entry) = self.node.peer(self.entry.cert()) else { return Ok(false) };
        Ok(outbox::ask(&self.node, id, release, manifest, &entry)?.released)
    }
}
