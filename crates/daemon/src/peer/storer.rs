//! What a session receives: judged and stored, many releases in one commit when they come fast, small ones beside large
//! ones, the smallest and what takes something back at once.

use std::{
    collections::HashSet,
    iter::Peekable,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mithaq_core::{
    body::Body,
    card::VerifiedCard,
    id::{CertId, ReleaseId},
    receipt::Status,
    release::Kind,
    release::VerifiedRelease,
};
use mithaq_store::{Arrival, Batch, StateChange, StoreError};
use mithaq_sync::{Cursor, INLINE_BYTES_MAX, Input, Manner, Part};
use tokio::{sync::mpsc, task::JoinHandle};

use super::{branches, cursor::CursorRow, driver::End, order::Order};
use crate::{
    alerts::ALERT_BYTES_MAX,
    fetching::Seat,
    held,
    node::Node,
    origins::Successor,
    outbox::PROMPT_OBJECTS_MAX,
    staging,
    standing::{self, Judgement},
    steps::{self, Step},
    threads,
};

/// The most items of one commit.
const ITEMS: usize = 256;

/// How many commits are made in one turn: whoever publishes the same contents or objects meanwhile waits for no more of
/// them, however many withdrawals or releases of ever other origins a peer sends at once.
const COMMITS_MAX: usize = 16;

/// What a withdrawal takes in the store beside its objects, their ids and the notes that it makes: more than its
/// manifest, and the frame that it is committed in.
const WITHDRAWAL_BYTES: usize = 2 * 1024;

/// A release that came, with what came with it.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) index: u64,
    pub(super) release: VerifiedRelease,
    pub(super) bodies: Vec<Body>,
    /// The card of its origin, if that is not the peer.
    pub(super) card: Option<Arc<VerifiedCard>>,
    pub(super) cursor: Cursor,
    pub(super) manner: Manner,
    /// Whether its bodies came with its manifest.
    pub(super) inline: bool,
    /// What is to be committed with it.
    pub(super) changes: Vec<StateChange>,
}

impl Received {
    fn bytes(&self) -> usize {
        self.bodies.iter().map(|body| body.bytes().len()).sum()
    }

    /// Whether it is judged together with the one before it.
    fn is_judged_with(&self, before: &Self) -> bool {
        let manifest = before.release.manifest();
        manifest.kind.publishes() && is_of(self, manifest.origin, manifest.kind)
    }

    /// Whether it overtakes what is large.
    fn is_small(&self) -> bool {
        self.bytes() <= INLINE_BYTES_MAX
    }

    /// Whether it was sent as a part of a backlog or of a bulk.
    fn is_bulk(&self) -> bool {
        self.manner == Manner::Asked || !self.inline
    }

    /// Whether it may be an alert: it came as one, is small, and names little.
    fn is_alert(&self) -> bool {
        !self.is_bulk() && self.bytes() <= ALERT_BYTES_MAX && self.release.contents().len() <= PROMPT_OBJECTS_MAX
    }

    /// Whether it withdraws something, which the store takes however full its disk is, so many bytes of a peer.
    fn takes_back(&self) -> bool {
        self.release.manifest().kind == Kind::Withdraw
    }
}

/// What goes through a lane.
#[derive(Debug)]
enum Item {
    /// A release, with its number in the order of the session.
    Release(u64, Box<Received>),
    /// Of releases that have not come whole.
    Parts(Vec<Part>),
}

impl Item {
    fn bytes(&self) -> usize {
        match self {
            Self::Release(_, received) => received.bytes(),
            Self::Parts(parts) => parts.iter().flat_map(|part| &part.bodies).map(|body| body.bytes().len()).sum(),
        }
    }

    fn takes_back(&self) -> bool {
        matches!(self, Self::Release(_, received) if received.takes_back())
    }
}

/// Takes what a session verifies, in four lanes: what takes something back waits neither for alerts nor for room, an alert
/// not for what is only small, and what is small not for what is large.
pub(super) struct Storer {
    node: Arc<Node>,
    from: CertId,
    order: Arc<Mutex<Order>>,
    back: mpsc::UnboundedSender<Item>,
    alert: mpsc::UnboundedSender<Item>,
    prompt: mpsc::UnboundedSender<Item>,
    bulk: mpsc::UnboundedSender<Item>,
    /// Releases of which parts were handed over last: these parts may not be durable yet, and their release must not
    /// overtake them.
    parted: HashSet<ReleaseId>,
}

impl Storer {
    /// Takes a release, with the cursor that holds once it and all that was handed over before it are durable.
    pub(super) fn store(&mut self, received: Received) {
        let is_parted = self.parted.remove(&received.release.id());
        if received.is_alert() {
            self.node.alerts.note_from(self.from);
        }
        let lane = match () {
            () if is_parted => &self.bulk,
            () if received.takes_back() => &self.back,
            () if received.is_alert() => &self.alert,
            () if received.is_small() => &self.prompt,
            () => &self.bulk,
        };
        let _ = lane.send(Item::Release(lock(&self.order).begin(received.cursor), Box::new(received)));
    }

    /// Takes bodies of releases that are not whole. The session hands over no more before it hears that they are
    /// durable.
    pub(super) fn stage(&mut self, parts: Vec<Part>) {
        self.parted = parts.iter().map(|part| part.release).collect();
        let _ = self.bulk.send(Item::Parts(parts));
    }

    /// Takes a cursor that moved without a release. It waits for the next release or the end: a peer must not be able
    /// to cause a commit for each frame, and a cursor that is behind costs an offer that is answered from the index.
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
    from: CertId,
    cursor_row: CursorRow,
    seat: &Arc<Seat>,
    answers: &mpsc::Sender<Result<Input, End>>,
) -> (Storer, JoinHandle<()>) {
    let order = Arc::new(Mutex::new(Order::default()));
    let lane = |is_bulk, items| Lane {
        is_bulk,
        node: Arc::clone(node),
        from,
        cursor_row: cursor_row.clone(),
        seat: Arc::clone(seat),
        order: Arc::clone(&order),
        items,
        answers: answers.clone(),
    };
    let ((back, back_out), (alert, alert_out)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let ((prompt, prompt_out), (bulk, bulk_out)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
    let lanes = [(false, back_out), (false, alert_out), (true, prompt_out), (true, bulk_out)];
    // Each has a task of its own, which is held up by what it does itself alone.
    let lanes = lanes.map(|(is_bulk, items)| node.tasks.spawn(lane(is_bulk, items).run()));
    let last = lane(false, mpsc::unbounded_channel().1);
    let task = node.tasks.spawn(async move {
        let mut is_all_stored = true;
        for lane in lanes {
            is_all_stored &= lane.await.unwrap_or(false);
        }
        if is_all_stored {
            last.save_cursor().await;
        }
    });
    let storer = Storer { node: Arc::clone(node), from, order, back, alert, prompt, bulk, parted: HashSet::new() };
    (storer, task)
}

struct Lane {
    /// Whether it runs on the threads of bulk, and rests while alerts are about.
    is_bulk: bool,
    node: Arc<Node>,
    from: CertId,
    cursor_row: CursorRow,
    seat: Arc<Seat>,
    order: Arc<Mutex<Order>>,
    items: mpsc::UnboundedReceiver<Item>,
    answers: mpsc::Sender<Result<Input, End>>,
}

impl Lane {
    /// Stores what comes; says whether all of it was stored.
    async fn run(mut self) -> bool {
        let mut taken = Vec::new();
        while self.items.recv_many(&mut taken, ITEMS).await > 0 {
            let mut taken = taken.drain(..).peekable();
            while taken.peek().is_some() {
                let work = Work::next(&mut taken, self.node.alerts.piece_bytes());
                if !self.store(work).await {
                    return false;
                }
            }
        }
        true
    }

    async fn store(&self, work: Work) -> bool {
        let (node, from, row, order) =
            (Arc::clone(&self.node), self.from, self.cursor_row.clone(), Arc::clone(&self.order));
        let (has_parts, seat) = (work.has_parts, Arc::clone(&self.seat));
        tokio::select! {
            // Whoever has room stores what was verified, also behind the end of its session.
            biased;
            () = self.wait_for_room(work.taken_back()) => {}
            () = self.node.shutdown.cancelled() => {}
            // What was not acknowledged comes again with the next session.
            () = self.answers.closed() => return false,
        }
        let store = move || {
            let numbers = work.numbers.clone();
            let arrivals = work.received.iter().map(|one| branches::arrival(&node, from, &one.release, one.manner));
            let arrivals = arrivals.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
            let stored = work.store(&node, from, &row, &order)?;
            lock(&order).settle(&numbers);
            Ok::<_, StoreError>((stored, branches::place(&seat, arrivals)))
        };
        let stored = match self.is_bulk {
            true => self.node.spawn_piece(store).await.ok(),
            false => threads::at_once(store),
        };
        let Some(stored) = stored else {
            self.node.fail("storing for a session");
            return false;
        };
        let is_stored = stored.is_ok();
        let (stored, placed) = match stored {
            Ok((entries, placed)) => (Ok(Input::Stored { entries }), placed),
            Err(error) => (Err(End::from(error)), Vec::new()),
        };
        let staged = has_parts.then_some(Input::Staged);
        // The session may be gone; what it verified is stored all the same.
        for answer in [stored].into_iter().chain(placed.into_iter().chain(staged).map(Ok)) {
            let _ = self.answers.send(answer).await;
        }
        is_stored
    }

    async fn wait_for_room(&self, taken_back: Option<u64>) {
        match taken_back {
            Some(bytes) => self.node.room.wait_to_take_back(self.from, bytes, self.node.peer_count()).await,
            None => self.node.room.wait_above_floor().await,
        }
    }

    /// Stores the cursor that no commit carried.
    async fn save_cursor(self) {
        let Some(cursor) = lock(&self.order).cursor_with(&[]) else { return };
        let state = self.cursor_row.set(&cursor).collect();
        let node = Arc::clone(&self.node);
        let saved =
            tokio::task::spawn_blocking(move || node.commit(Batch { state, takes_back: true, ..Batch::default() }))
                .await;
        if let Ok(Err(error)) = saved {
            let _ = self.answers.send(Err(End::from(error))).await;
        }
    }
}

/// What is made durable together.
#[derive(Default)]
struct Work {
    received: Vec<Received>,
    /// The numbers of those, ascending.
    numbers: Vec<u64>,
    /// How many commits they take: what is judged together is of one origin, and a withdrawal is judged alone.
    commits: usize,
    parts: Vec<Part>,
    /// Whether there were parts, which are answered for even if their release made them needless.
    has_parts: bool,
}

impl Work {
    /// Takes from `items` what is stored in one turn, at least one, until it has so many bytes; what takes something
    /// back goes with nothing that waits for room.
    fn next(items: &mut Peekable<impl Iterator<Item = Item>>, bytes_max: usize) -> Self {
        let (mut work, mut bytes, mut takes_back) = (Self::default(), 0, None);
        while bytes < bytes_max
            && work.commits < COMMITS_MAX
            && let Some(item) =
                items.next_if(|item| takes_back.is_none_or(|takes_back| takes_back == item.takes_back()))
        {
            takes_back = Some(item.takes_back());
            bytes += item.bytes();
            work.add(item);
        }
        work
    }

    /// About how many bytes of withdrawals it stores, if it is of these.
    fn taken_back(&self) -> Option<u64> {
        let bytes = || self.received.iter().map(|received| received.bytes() + WITHDRAWAL_BYTES).sum::<usize>();
        let takes_back = self.received.iter().any(Received::takes_back);
        takes_back.then(|| u64::try_from(bytes()).unwrap_or(u64::MAX))
    }

    fn add(&mut self, item: Item) {
        match item {
            Item::Release(number, received) => {
                // Whole, it needs its parts no longer.
                self.parts.retain(|part| part.release != received.release.id());
                self.numbers.push(number);
                let goes_along = self.received.last().is_some_and(|last| received.is_judged_with(last));
                self.commits += usize::from(!goes_along);
                self.received.push(*received);
            }
            Item::Parts(parts) => {
                self.has_parts = true;
                self.parts.extend(parts);
            }
        }
    }

    fn store(
        mut self,
        node: &Node,
        from: CertId,
        cursor_row: &CursorRow,
        order: &Mutex<Order>,
    ) -> Result<Vec<(u64, Status)>, StoreError> {
        for Received { release, bodies, changes, .. } in &mut self.received {
            *changes = staging::complete(node, from, release, bodies)?;
        }
        // It goes along with the first that is committed.
        let mut staged = staging::stage(node, from, self.parts)?;
        let received = self.received.iter().map(|received| (&received.release, &received.bodies[..]));
        let claims = standing::claims(node, received)?;
        let turn = node.publishing.turn(claims);
        let mut entries = Vec::with_capacity(self.received.len());
        let mut successors = Vec::new();
        let mut received = self.received.into_iter().peekable();
        while let Some(first) = received.next() {
            // What is judged together is of one origin, and a withdrawal is judged alone: each sees what came before
            // it.
            let mut part = vec![first];
            while let Some(next) = received.next_if(|next| part.last().is_some_and(|last| next.is_judged_with(last))) {
                part.push(next);
            }
            // The cursor goes with the last part, behind which nothing of this is missing.
            let cursor = received.peek().is_none().then(|| lock(order).cursor_with(&self.numbers)).flatten();
            let batch = std::mem::take(&mut staged);
            entries.extend(store_part(node, from, batch, part, cursor, cursor_row, &mut successors)?);
        }
        // What they put into quarantine takes turns of its own.
        drop(turn);
        successors.iter().for_each(|successor| successor.take_effect(node));
        if entries.is_empty() && !staged.staged.is_empty() {
            node.commit(staged)?;
        }
        Ok(entries)
    }
}

fn is_of(received: &Received, origin: CertId, kind: Kind) -> bool {
    let manifest = received.release.manifest();
    manifest.origin == origin && manifest.kind == kind
}

/// Judges and commits releases of one origin, with the cursor behind them and what else the batch holds.
fn store_part(
    node: &Node,
    from: CertId,
    mut batch: Batch,
    part: Vec<Received>,
    cursor: Option<Cursor>,
    cursor_row: &CursorRow,
    successors: &mut Vec<Successor>,
) -> Result<Vec<(u64, Status)>, StoreError> {
    batch.state.extend(cursor.iter().flat_map(|cursor| cursor_row.set(cursor)));
    let successor = Successor::among(node, part.iter().filter_map(|received| received.card.as_ref()))?;
    batch.state.extend(successor.as_ref().map(Successor::to_change));
    let mut entries = Vec::with_capacity(part.len());
    let mut held = held::Rows::default();
    note_bulk(node, &part)?;
    for Received { index, release, bodies, changes, .. } in part {
        let judgement = match release.manifest().kind {
            Kind::Withdraw => {
                batch.takes_back = true;
                withdraw(node, &release, &bodies, &mut batch)?
            }
            _ => standing::judge(node, &release, &bodies)?,
        };
        entries.push((index, judgement.status));
        batch.state.extend(judgement.changes.into_iter().chain(changes));
        held.add_received(node, from, release.id(), release.manifest());
        batch.arrivals.push(Arrival { release, bodies });
    }
    batch.state.extend(held.to_changes());
    let settled: Vec<_> =
        batch.arrivals.iter().map(|arrival| (arrival.release.id(), arrival.release.contents().len())).collect();
    let taken_back = batch.takes_back.then(|| weight(&batch));
    node.commit(batch)?;
    if let Some(bytes) = taken_back {
        node.room.note_taken_back(from, bytes);
    }
    settled.iter().for_each(|(id, objects)| steps::passed(Step::Settled, *id, *objects));
    held.note(node);
    successors.extend(successor);
    Ok(entries)
}

/// Notes which releases of a part came as a part of a bulk, of those that would go ahead by their size. One that is here
/// goes by how it came first: journals may not have it yet, and no copy makes bulk of an alert.
fn note_bulk(node: &Node, part: &[Received]) -> Result<(), StoreError> {
    let may_go_ahead =
        |one: &&Received| !one.takes_back() && one.is_small() && one.release.contents().len() <= PROMPT_OBJECTS_MAX;
    let mut fresh = Vec::new();
    for release in part.iter().filter(|one| one.is_bulk()).filter(may_go_ahead).map(|one| one.release.id()) {
        if !is_here(node, release)? {
            fresh.push(release);
        }
    }
    node.in_bulk.note(fresh);
    Ok(())
}

/// Whether we hold a release. Blocks.
pub(super) fn is_here(node: &Node, release: ReleaseId) -> Result<bool, StoreError> {
    match node.store.release(release) {
        // What is damaged is taken in again.
        Err(StoreError::Corrupt { .. }) => Ok(false),
        read => Ok(read?.is_some()),
    }
}

/// About how many bytes a batch of withdrawals takes in the store.
fn weight(batch: &Batch) -> u64 {
    let of_arrival = |Arrival { release, bodies }: &Arrival| {
        let bodies: usize = bodies.iter().map(|body| body.bytes().len()).sum();
        WITHDRAWAL_BYTES + size_of_val(release.contents()) + bodies
    };
    let of_change = |change: &StateChange| change.key.len() + change.value.as_ref().map_or(0, Vec::len);
    let arrivals: usize = batch.arrivals.iter().map(of_arrival).sum();
    let state: usize = batch.state.iter().map(of_change).sum();
    let purged = size_of_val(batch.purge.contents.as_slice());
    u64::try_from(arrivals + state + purged).unwrap_or(u64::MAX)
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

#[cfg(test)]
mod tests {
    use mithaq_core::{
        id::ContentId,
        keys::SecretKey,
        label::{Category, Label},
        release::ReleaseDraft,
        stix::{Object, Tlp},
    };

    use super::*;
    use crate::{clock, peer::tests::Cert};

    /// The release of this number of an origin.
    fn item(number: u8, origin: u8, kind: Kind) -> Item {
        let received = received(number, ContentId::from_bytes([number; 32]), origin, kind);
        Item::Release(number.into(), Box::new(received))
    }

    fn received(number: u8, content: ContentId, origin: u8, kind: Kind) -> Received {
        let label = Label::new(Tlp::Green, Category::Threat);
        let draft = ReleaseDraft { kind, ..ReleaseDraft::publish(label, vec![content], clock::wall()) };
        let key = SecretKey::from_seed(&[origin; 32]).unwrap();
        Received {
            index: number.into(),
            release: VerifiedRelease::sign(CertId::from_bytes([origin; 32]), &key, draft).unwrap(),
            bodies: Vec::new(),
            card: None,
            cursor: Cursor::start([0; 16]),
            manner: Manner::Unasked,
            inline: true,
            changes: Vec::new(),
        }
    }

    /// What goes into each turn.
    fn works(items: impl Iterator<Item = Item>) -> Vec<Work> {
        let mut items = items.peekable();
        let mut works = Vec::new();
        while items.peek().is_some() {
            works.push(Work::next(&mut items, 256 * 1024));
        }
        works
    }

    #[test]
    fn a_turn_is_bounded_in_its_commits() {
        let turns = |item: &dyn Fn(u8) -> Item| -> Vec<usize> {
            works((0..100).map(item)).iter().map(|work| work.received.len()).collect()
        };
        let in_sixteens = [16, 16, 16, 16, 16, 16, 4];
        assert_eq!(turns(&|number| item(number, 1, Kind::Publish)), [100], "all of one origin are one commit");
        assert_eq!(turns(&|number| item(number, 1, Kind::Withdraw)), in_sixteens);
        assert_eq!(turns(&|number| item(number, number, Kind::Publish)), in_sixteens);
    }

    /// What waits for room must not keep what takes something back from being stored.
    #[test]
    fn what_takes_something_back_goes_with_nothing_else() {
        let kinds = [Kind::Publish, Kind::Publish, Kind::Withdraw, Kind::Withdraw, Kind::Publish];
        let items = (0..).zip(kinds).map(|(number, kind)| item(number, 1, kind));
        let works: Vec<_> =
            works(items).iter().map(|work| (work.numbers.clone(), work.taken_back().is_some())).collect();
        assert_eq!(works, [(vec![0, 1], false), (vec![2, 3], true), (vec![4], false)]);
    }

    #[tokio::test]
    async fn bulk_gives_way_to_what_a_peer_sends_as_an_alert() {
        let cert = Cert::new(50);
        let (alone, peer) = (cert.node.alerts.piece_bytes(), CertId::from_bytes([1; 32]));
        let row = CursorRow { key: vec![1], marks: Vec::new() };
        let (answers, _heard) = mpsc::channel(8);
        let (mut storer, _) = start(&cert.node, peer, row, &Arc::new(Seat::new(&cert.node.fetching)), &answers);
        let release = |number, kind| received(number, ContentId::from_bytes([number; 32]), 1, kind);
        storer.store(Received { manner: Manner::Asked, ..release(1, Kind::Publish) });
        storer.store(Received { inline: false, ..release(2, Kind::Publish) });
        assert_eq!(cert.node.alerts.piece_bytes(), alone);
        storer.store(release(3, Kind::Publish));
        assert!(cert.node.alerts.piece_bytes() < alone);
    }

    /// What came as a part of a bulk goes on as one.
    #[tokio::test]
    async fn what_is_asked_for_or_comes_without_its_bodies_is_known_as_bulk() {
        let cert = Cert::new(50);
        let is_known = |number, manner, inline| {
            let release = received(number, ContentId::from_bytes([number; 32]), 1, Kind::Publish);
            let (id, row) = (release.release.id(), CursorRow { key: vec![1], marks: Vec::new() });
            let part = vec![Received { manner, inline, ..release }];
            // Whether it is stored does not matter: its body is made up.
            let from = CertId::from_bytes([1; 32]);
            let _ = store_part(&cert.node, from, Batch::default(), part, None, &row, &mut Vec::new());
            cert.node.in_bulk.has(id)
        };
        assert!(!is_known(1, Manner::Unasked, true) && !is_known(2, Manner::AskedLate, true));
        assert!(is_known(3, Manner::Asked, true) && is_known(4, Manner::Unasked, false));
        assert!(is_known(5, Manner::AskedLate, false));
    }

    #[tokio::test]
    async fn an_alert_that_comes_again_as_bulk_stays_an_alert() {
        let cert = Cert::new(50);
        let text =
            br#"{"type":"url","spec_version":"2.1","id":"url--00000000-0000-4000-8000-000000000000","value":"x"}"#;
        let body = Body::of(&Object::parse(text).unwrap()).unwrap();
        let first = received(1, body.id(), 1, Kind::Publish).release;
        for (from, inline) in [(1, true), (2, false)] {
            let (from, row) = (CertId::from_bytes([from; 32]), CursorRow { key: vec![1], marks: Vec::new() });
            let (release, bodies) = (first.clone(), vec![body.clone()]);
            let part = vec![Received { release, bodies, inline, ..received(1, body.id(), 1, Kind::Publish) }];
            store_part(&cert.node, from, Batch::default(), part, None, &row, &mut Vec::new()).unwrap();
            assert!(!cert.node.in_bulk.has(first.id()), "{inline}");
        }
    }
}
