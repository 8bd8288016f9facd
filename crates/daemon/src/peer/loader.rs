//! What a session asks of the store: what an alert needs is answered at once, all else in lanes, each in order.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mithaq_core::{
    card::VerifiedCard,
    id::{ContentId, ContentPrefix, ReleaseId},
    release::{Manifest, SignedRelease},
};
use mithaq_store::StoreError;
use mithaq_sync::{
    Brief, BriefKey, Cursor, INLINE_BYTES_MAX, Input, Late, Pending, Waiting,
    sketch::{Cell, SketchKey},
};
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use super::{driver::End, frames::Backlog};
use crate::{
    fetching::{self, Seat},
    held,
    node::{Node, PeerEntry},
    origins,
    outbox::{self, Outbox, PROMPT_OBJECTS_MAX},
    staging,
    steps::{self, Step},
    threads,
};

/// How many requests are taken at a time.
const REQUESTS: usize = 64;

/// How many requests of backfill are taken at a time.
const BULK_REQUESTS: usize = 8;

/// With more than this waiting to be written to the backfill stream, nothing is loaded for it: what was loaded has
/// passed the rule, and the rule may change.
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
    LoadBodies { index: u64, release: ReleaseId, contents: Vec<ContentId>, group_bytes: usize },
    CountJournal,
    OpenSketch { through: u64, key: SketchKey, cells: usize },
    ReadCells { from: usize, count: usize },
    FindMarks { shorts: Vec<u64> },
    ReadEntries { indexes: Vec<u64> },
    CompareSketch { key: SketchKey, cells: Vec<Cell> },
    CheckReleases { first: u64, ids: Vec<ReleaseId> },
    FindReleases { key: BriefKey, offered: Vec<(u64, Brief)> },
    ClaimRelease { index: u64, key: BriefKey, brief: Brief },
    CheckBodies { index: u64, release: ReleaseId, prefixes: Vec<ContentPrefix> },
}

impl Request {
    /// Whether alerts wait for the answer, which is then quick to find.
    fn is_for_alerts(&self) -> bool {
        match self {
            Self::OpenJournal { .. } | Self::ReadJournal { .. } | Self::ReadTail { .. } => true,
            Self::LoadRelease { inline, .. } => *inline,
            _ => false,
        }
    }
}

/// The questions of one session, in lanes, so that what is quick waits for nothing that is not.
pub(super) struct Requests {
    loader: Arc<Loader>,
    /// What an alert needs, until it is answered.
    prompt: VecDeque<Request>,
    /// What the peer offers us.
    checks: mpsc::UnboundedSender<Request>,
    /// What reconciles: the first sketch takes a pass over all there is.
    sketches: mpsc::UnboundedSender<Request>,
    /// What goes on the backfill stream.
    bulk: mpsc::UnboundedSender<Request>,
}

impl Requests {
    /// Asks. The machine bounds how much it asks for before it is answered, so these queues are bounded too.
    pub(super) fn send(&mut self, request: Request) {
        if request.is_for_alerts() {
            return self.prompt.push_back(request);
        }
        let lane = match request {
            Request::CheckReleases { .. }
            | Request::FindReleases { .. }
            | Request::ClaimRelease { .. }
            | Request::CheckBodies { .. } => &self.checks,
            Request::CountJournal
            | Request::OpenSketch { .. }
            | Request::ReadCells { .. }
            | Request::FindMarks { .. }
            | Request::ReadEntries { .. }
            | Request::CompareSketch { .. } => &self.sketches,
            _ => &self.bulk,
        };
        let _ = lane.send(request);
    }

    /// Whether a question waits that an alert needs answered.
    pub(super) fn has_prompt(&self) -> bool {
        !self.prompt.is_empty()
    }

    /// Answers the next question that an alert needs answered; `None` if there is none. Blocks for as long as the store
    /// takes to read a little.
    pub(super) fn answer_prompt(&mut self) -> Option<Result<Input, End>> {
        let request = self.prompt.pop_front()?;
        Some(match threads::at_once(|| self.loader.answer(request)) {
            Some(answer) => answer.map_err(End::from),
            None => {
                self.loader.node.fail("reading for a session");
                Err(End::GoingAway)
            }
        })
    }

    /// Has the length of the journal counted once `settled` has come, unless the session ends before.
    pub(super) fn count_journal_after(&self, settled: impl Future<Output = ()> + Send + 'static, tasks: &TaskTracker) {
        // The loader ends with the session, whoever waits here.
        let sketches = self.sketches.downgrade();
        tasks.spawn(async move {
            settled.await;
            if let Some(sketches) = sketches.upgrade() {
                let _ = sketches.send(Request::CountJournal);
            }
        });
    }
}

/// Starts to answer requests, each lane in order, until the session ends. `backfill` is what waits for the backfill
/// stream.
pub(super) fn start(loader: Loader, backfill: Arc<Backlog>, answers: &mpsc::Sender<Result<Input, End>>) -> Requests {
    let (node, loader) = (Arc::clone(&loader.node), Arc::new(loader));
    let lane = |requests_max, backfill, follows| {
        let (sender, requests) = mpsc::unbounded_channel();
        let loader = Arc::clone(&loader);
        let lane = Lane { loader, requests, requests_max, backfill, follows, answers: answers.clone() };
        node.tasks.spawn(lane.run());
        sender
    };
    let checks = lane(REQUESTS, None, Some(loader.seat.follow()));
    let (sketches, bulk) = (lane(REQUESTS, None, None), lane(BULK_REQUESTS, Some(backfill), None));
    Requests { loader, prompt: VecDeque::new(), checks, sketches, bulk }
}

struct Lane {
    loader: Arc<Loader>,
    requests: mpsc::UnboundedReceiver<Request>,
    requests_max: usize,
    /// What must be written before more is loaded.
    backfill: Option<Arc<Backlog>>,
    /// Tells when what waits for other sessions may be answered.
    follows: Option<watch::Receiver<u64>>,
    answers: mpsc::Sender<Result<Input, End>>,
}

impl Lane {
    async fn run(mut self) {
        let mut batch = Vec::new();
        while self.take(&mut batch).await {
            if let Some(backfill) = &self.backfill {
                tokio::select! {
                    () = backfill.at_most(BACKFILL_WAITING_MAX) => {}
                    () = self.answers.closed() => return,
                }
            }
            let (loader, answers, follows) = (Arc::clone(&self.loader), self.answers.clone(), self.follows.is_some());
            let (requests, node) = (std::mem::take(&mut batch), &self.loader.node);
            let work = move || {
                let send = |answer: Result<Input, StoreError>| answers.blocking_send(answer.map_err(End::from)).is_ok();
                requests.into_iter().all(|request| send(loader.answer(request)))
                    && (!follows || loader.answer_waiting(send))
            };
            let done = if self.backfill.is_some() { node.spawn_piece(work) } else { node.spawn_bulk(work) };
            match done.await {
                Ok(true) => {}
                Ok(false) => return,
                Err(_) => return self.loader.node.fail("reading for a session"),
            }
        }
    }

    /// Waits until there is something to answer; says whether there still is anybody who asks.
    async fn take(&mut self, batch: &mut Vec<Request>) -> bool {
        let requests = self.requests.recv_many(batch, self.requests_max);
        let Some(freed) = self.follows.as_mut().filter(|_| self.loader.has_waiting()) else {
            return requests.await > 0;
        };
        tokio::select! {
            taken = requests => taken > 0,
            () = fetching::freed_or_expired(freed) => true,
        }
    }
}

fn are_some(contents: &[Option<ContentId>]) -> Vec<bool> {
    contents.iter().map(Option::is_some).collect()
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
    /// Releases whose bodies are not asked for, since there is no room for them.
    held_back: Mutex<Vec<Pending>>,
}

impl Loader {
    pub(super) fn new(node: Arc<Node>, outbox: Outbox, entry: Arc<PeerEntry>, seat: Arc<Seat>) -> Self {
        Self { node, outbox, entry, seat, waiting: Mutex::default(), held_back: Mutex::default() }
    }

    fn has_waiting(&self) -> bool {
        !self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_empty() || !self.held_back().is_empty()
    }

    fn held_back(&self) -> MutexGuard<'_, Vec<Pending>> {
        self.held_back.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers what need not wait any longer; says whether the answers were taken.
    pub(super) fn answer_waiting(&self, mut send: impl FnMut(Result<Input, StoreError>) -> bool) -> bool {
        if !self.node.room.is_low() {
            let held_back = std::mem::take(&mut *self.held_back());
            if !held_back.into_iter().all(|pending| send(self.check_bodies(pending))) {
                return false;
            }
        }
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

    pub(super) fn answer(&self, request: Request) -> Result<Input, StoreError> {
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
            Request::CountJournal => Ok(Input::JournalSettled { head: self.outbox.position()?.head }),
            Request::OpenSketch { through, key, cells } => self.entry.sketches.open(&self.outbox, through, key, cells),
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
            Request::LoadBodies { index, release, contents, group_bytes } => {
                self.load_bodies(index, release, &contents, group_bytes)
            }
            Request::CheckReleases { first, ids } => {
                let known = ids.iter().map(|id| held::is_held(&self.node, self.entry.cert(), *id));
                let known = known.collect::<Result<_, _>>()?;
                Ok(Input::ReleasesKnown { first, known })
            }
            Request::FindReleases { key, offered } => {
                let find = |(index, brief)| Ok((index, held::find(&self.node, self.entry.cert(), brief, &key)?));
                Ok(Input::ReleasesFound { found: offered.into_iter().map(find).collect::<Result<_, StoreError>>()? })
            }
            Request::ClaimRelease { index, key, brief } => {
                Ok(Input::ReleaseClaimed { index, late: self.claim_release(brief, &key)? })
            }
            Request::CheckBodies { index, release, prefixes } => {
                self.check_bodies(Pending::new(index, release, prefixes))
            }
        }
    }

    fn load_release(&self, index: u64, id: ReleaseId, inline: bool) -> Result<Input, StoreError> {
        let release = unless_damaged(self.outbox.load(id))?;
        if release.is_none() {
            self.outbox.pass(index)?;
        }
        let inline = match &release {
            Some(release) if inline && self.outbox.goes_ahead(index)? => unless_damaged(self.small_bodies(release))?,
            _ => None,
        };
        steps::passed(Step::Loaded, id, release.as_ref().map_or(0, |release| release.contents.len()));
        let card = match &release {
            Some(release) => self.origin_card(release)?,
            None => None,
        };
        Ok(Input::ReleaseLoaded { index, release, card, inline })
    }

    /// What is done about a release that was offered lazily. What is here and may not be told is asked for like what is
    /// not.
    fn claim_release(&self, brief: Brief, key: &BriefKey) -> Result<Late, StoreError> {
        if let Some(release) = held::find(&self.node, self.entry.cert(), brief, key)? {
            return Ok(Late::Held(release));
        }
        Ok(if self.seat.claim_release(brief.prefix()) { Late::Wanted } else { Late::Elsewhere })
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

    /// The first of the bodies asked for, as many as make a group; none if the rule no longer lets the release go, or
    /// one of them is damaged.
    fn load_bodies(
        &self,
        index: u64,
        release: ReleaseId,
        contents: &[ContentId],
        group_bytes: usize,
    ) -> Result<Input, StoreError> {
        let mut bodies = Vec::new();
        let mut bytes = 0;
        if unless_damaged(self.outbox.load(release))?.is_some() {
            let read = self.node.store.bodies(&contents[..contents.len().min(BODIES)]);
            for body in unless_damaged(read)?.into_iter().map_while(|body| body) {
                bytes += body.len();
                if bytes > group_bytes && !bodies.is_empty() {
                    break;
                }
                bodies.push(body);
            }
        }
        if bodies.is_empty() {
            self.outbox.pass(index)?;
        }
        Ok(Input::BodiesLoaded { index, bodies })
    }

    /// Which bodies of a release to ask for, unless some of them are on their way from elsewhere or there is no room.
    fn check_bodies(&self, mut pending: Pending) -> Result<Input, StoreError> {
        let (index, freed) = (pending.index, self.seat.freed());
        // A release of one object may take something back, and is small: what it is, is known once it is here.
        if self.node.room.is_low() && pending.prefixes.len() > 1 {
            // The peer is told again and again that it is to wait, as if they were on their way from elsewhere.
            self.held_back().push(pending);
            return Ok(Input::BodiesElsewhere { index });
        }
        // What may not be told is claimed like what we lack: when it is asked for must tell no more than that it is.
        let mut told = self.told(&pending)?;
        if !self.seat.claim(&mut pending, &are_some(&told)) {
            self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(pending);
            return Ok(Input::BodiesElsewhere { index });
        }
        if self.seat.freed() != freed {
            // What others fetched may have been stored between the look and the claim.
            told = self.told(&pending)?;
            self.seat.narrow(&pending, &are_some(&told));
        }
        Ok(Input::BodiesHeld { index, held: told })
    }

    /// Which of the bodies that we hold we may say so of: those that the peer itself released to us, in whole or in
    /// part, or that it may see of ours; of a release that it passes on and that we hold, what belongs to it; and those
    /// that it was kept waiting for, since they were on their way from another and came. What it gave in part for this
    /// release it knows that we hold, also once another CERT's release has taken it. Else it would learn from our
    /// silence what others gave us: whoever guesses a body can name it in a release of its own, but nobody can make up
    /// a release that another CERT signed, and whoever guesses at the moment at which a body is on its way has to sign
    /// a release for it, which does not verify if it is not of that body, and is not answered twice.
    pub(super) fn told(&self, pending: &Pending) -> Result<Vec<Option<ContentId>>, StoreError> {
        let mut held = self.node.store.contents_with(&pending.prefixes)?;
        let passed_on =
            if held.iter().any(Option::is_some) { self.contents_of_third(pending.release)? } else { Vec::new() };
        let given = staging::given_by(&self.node, self.entry.cert(), pending.release)?;
        let is_known = |position, content| {
            passed_on.binary_search(&content).is_ok() || pending.came_elsewhere(position) || given.contains(&content)
        };
        for (position, held) in held.iter_mut().enumerate() {
            if let Some(content) = *held
                && !is_known(position, content)
                && !self.may_tell(content)?
            {
                *held = None;
            }
        }
        Ok(held)
    }

    /// The contents of a release that we hold and another than the peer signed, in order. The prefixes that the peer
    /// names them by are signed by nobody: they may be a guess at something else.
    fn contents_of_third(&self, id: ReleaseId) -> Result<Vec<ContentId>, StoreError> {
        let Some((_, release)) = self.node.store.release(id)? else { return Ok(Vec::new()) };
        let is_of_third = |manifest: Manifest| manifest.origin != self.entry.cert();
        Ok(if release.stored_manifest().is_ok_and(is_of_third) { release.contents } else { Vec::new() })
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
