//! Taking in what our own analysts push: read, check, split by label, sign, store.

mod preview;
#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use mithaq_api::http::{PUSH_OBJECTS_MAX, Problem, PushQuery, PushStatus, PushSummary, PushedObject, WhyReason};
use mithaq_core::{
    body::{Body, BodyError},
    code::Code,
    id::{CertId, ContentId},
    label::{Label, Marking},
    notice::NOTICE_TYPE,
    policy::Reason,
    release::{Kind, Manifest, RELEASE_OBJECTS_MAX, ReleaseDraft},
    sighting, split,
    stix::{
        Object,
        bundle::{Entry, Reader},
        marking::Tlp,
    },
};
use mithaq_store::{Arrival, Batch, StoreError};
use mithaq_sync::{INLINE_BYTES_MAX, RELEASE_BYTES_MAX};

use crate::{
    audience::{self, Audiences, Narrowing},
    clock,
    node::Node,
    publishing::Turn,
    standing::Owners,
    steps::{self, Step},
    warnings::{self, Listed},
};

/// A push of no more bytes is an alert, and carried out where it came in; more is bulk.
pub(crate) const ALERT_TEXT_BYTES_MAX: usize = INLINE_BYTES_MAX;

/// Where the lines of the answer go.
pub(crate) trait Report {
    /// Tells what became of one object.
    fn object(&mut self, object: &PushedObject);
}

/// An object of the input that was taken.
struct Taken {
    index: usize,
    body: Body,
    listed: Listed,
    /// Whom it is for.
    audiences: Audiences,
}

impl Taken {
    fn refused(&self, problem: Problem) -> PushedObject {
        PushedObject {
            index: self.index,
            id: Some(self.body.facts().stix_id.clone()),
            status: PushStatus::Refused,
            content: Some(self.body.id()),
            listed: self.listed.hits.clone(),
            problem: Some(problem),
        }
    }

    /// The line of the answer that tells of it.
    fn told(&self, status: PushStatus) -> PushedObject {
        let (id, content) = (Some(self.body.facts().stix_id.clone()), Some(self.body.id()));
        PushedObject { index: self.index, id, status, content, listed: self.listed.hits.clone(), problem: None }
    }
}

/// What a push is made of, once read.
struct Input {
    taken: Vec<Taken>,
    /// If the text broke off, the last of these says where: nothing after that was read.
    refused: Vec<PushedObject>,
}

/// Carries out a push. Blocks.
///
/// # Errors
/// When nothing at all could be done, since the store's disk is nearly full for one; what became of each object is told
/// to `report`.
pub(crate) fn push(
    node: &Arc<Node>,
    text: &[u8],
    query: &PushQuery,
    report: &mut dyn Report,
) -> Result<PushSummary, Problem> {
    if !query.dry_run {
        node.room.check(&*node.store)?;
        if text.len() <= ALERT_TEXT_BYTES_MAX {
            node.alerts.note();
        }
    }
    let recipients = recipients(node, query)?;
    carry_out(node, text, query, recipients, Some(Narrowing::new(node)), report)
}

/// Carries out a push for these CERTs alone; for whomever the agreements let have it if there are none. That they may
/// learn of what it speaks of is the caller's care. Blocks.
///
/// # Errors
/// Those of [`push`].
pub(crate) fn push_to(
    node: &Arc<Node>,
    text: &[u8],
    query: &PushQuery,
    recipients: BTreeSet<CertId>,
    report: &mut dyn Report,
) -> Result<PushSummary, Problem> {
    carry_out(node, text, query, recipients, None, report)
}

fn carry_out(
    node: &Arc<Node>,
    text: &[u8],
    query: &PushQuery,
    recipients: BTreeSet<CertId>,
    narrowing: Option<Narrowing<'_>>,
    report: &mut dyn Report,
) -> Result<PushSummary, Problem> {
    let started = Instant::now();
    let default = default_level(node, query)?;
    let is_bulk = text.len() > ALERT_TEXT_BYTES_MAX;
    let read = || read(node, text, query.force);
    let mut input = if is_bulk { node.alerts.piece(read) } else { read() }?;
    let mut turn = node.publishing.turn(input.taken.iter().map(|taken| taken.body.id()));
    let labels = labels(node, &mut input, default).map_err(|error| store_problem(&error))?;
    address(&mut input.taken, &recipients, narrowing).map_err(|error| store_problem(&error))?;
    let mut summary = PushSummary { refused: input.refused.len(), ..PushSummary::default() };
    let nothing_goes = query.atomic && !input.refused.is_empty();
    input.refused.iter().for_each(|object| report.object(object));
    if nothing_goes {
        summary.refused += input.taken.len();
        refuse_all(&input.taken, report);
    } else {
        summary.preview = preview::preview(node, &input.taken, &labels, &recipients, query.dry_run);
        let listed = input.taken.iter().filter(|taken| !taken.listed.hits.is_empty());
        summary.listed = listed.clone().count();
        summary.forced = listed.filter(|taken| taken.listed.forced).count();
        let fresh = fresh(node, &input.taken, &labels, &mut summary, report);
        let fresh = fresh.map_err(|error| store_problem(&error))?;
        // A bulk takes long, and nearly every push has the same identity.
        turn.give_back(stale(&input.taken, &fresh));
        let groups = group(input.taken, labels, fresh);
        if query.dry_run {
            summary.stored = groups.iter().map(|group| group.taken.len()).sum();
            summary.releases = groups.iter().map(|group| group.audiences.len()).sum();
            groups.iter().for_each(|group| tell(&group.taken, PushStatus::Stored, report));
        } else {
            record_forced(node, &groups)?;
            let pace = Pace { is_atomic: query.atomic, is_bulk };
            store(node, groups, pace, turn, &mut summary, report)?;
        }
    }
    summary.seconds = started.elapsed().as_secs_f64();
    Ok(summary)
}

/// Records what is about to be published although warning lists block it.
fn record_forced(node: &Node, groups: &[Group]) -> Result<(), Problem> {
    let forced = groups.iter().flat_map(|group| &group.taken).filter(|taken| taken.listed.forced);
    warnings::record(node, forced.map(|taken| (taken.body.facts().stix_id.as_str(), taken.listed.hits.as_slice())))
}

fn default_level(node: &Node, query: &PushQuery) -> Result<Tlp, Problem> {
    let Some(text) = &query.tlp else {
        return Ok(node.config.policy.tlp_default);
    };
    text.parse().map_err(|_| {
        let text: String = text.chars().take(40).collect();
        let known = "clear, green, amber, amber+strict, red";
        Problem::new(Code::BAD_REQUEST, format!("unknown TLP level {text:?}: the levels are {known}"))
    })
}

/// The CERTs that a push is for alone; empty if the agreements decide.
fn recipients(node: &Node, query: &PushQuery) -> Result<BTreeSet<CertId>, Problem> {
    let names = query.to.iter().flat_map(|names| names.split(',')).filter(|name| !name.is_empty());
    let cert = |name: &str| {
        let known: Vec<_> = node.peers().iter().map(|entry| entry.peer.name.clone()).collect();
        let unknown = || format!("there is no peer {name:?}; known are: {}", known.join(", "));
        node.peer_named(name).map(|entry| entry.cert()).ok_or_else(|| Problem::new(Code::NO_SUCH_PEER, unknown()))
    };
    names.map(cert).collect()
}

/// Notes whom each object is for: these CERTs, or fewer.
fn address(
    taken: &mut [Taken],
    recipients: &BTreeSet<CertId>,
    mut narrowing: Option<Narrowing<'_>>,
) -> Result<(), StoreError> {
    let given = audience::apart(recipients.clone());
    for taken in taken {
        taken.audiences = match &mut narrowing {
            Some(narrowing) => narrowing.narrow(&taken.body, &given)?,
            None => Arc::clone(&given),
        };
    }
    Ok(())
}

fn read(node: &Node, text: &[u8], force: bool) -> Result<Input, Problem> {
    let mut input = Input { taken: Vec::new(), refused: Vec::new() };
    let mut owners = Owners::new(node, node.us);
    for entry in Reader::new(text) {
        match entry {
            Ok(entry) => {
                if entry.index >= PUSH_OBJECTS_MAX {
                    let text =
                        format!("the input has more than {PUSH_OBJECTS_MAX} objects: nothing was stored; split it");
                    return Err(Problem::new(Code::TOO_LARGE, text));
                }
                take(node, entry, force, &mut owners, &mut input);
            }
            Err(error) => {
                let (line, column) = error.line_column(text);
                let text =
                    format!("broken JSON at line {line}, column {column}: {error}; nothing after that place was read");
                let problem = Problem::new(Code::BROKEN_JSON, text);
                let (index, status) = (input.taken.len() + input.refused.len(), PushStatus::Refused);
                input.refused.push(PushedObject {
                    index,
                    id: None,
                    status,
                    content: None,
                    listed: Vec::new(),
                    problem: Some(problem),
                });
                break;
            }
        }
    }
    Ok(input)
}

fn take(node: &Node, entry: Entry<'_>, force: bool, owners: &mut Owners<'_>, input: &mut Input) {
    let index = entry.index;
    let (id, problem) = match entry.object {
        Ok(object) => match Body::of(&object) {
            Ok(body) => match admit(node, owners, &body, force) {
                Ok(listed) => {
                    return input.taken.push(Taken { index, body, listed, audiences: audience::apart([].into()) });
                }
                Err(problem) => (Some(body.facts().stix_id.clone()), problem),
            },
            Err(error) => (Some(object.id().as_str().to_owned()), body_problem(&error)),
        },
        Err(error) => (entry.id_hint, Problem::new(Code::new(error.code()), error.to_string())),
    };
    let status = PushStatus::Refused;
    let listed = Vec::new();
    input.refused.push(PushedObject { index, id, status, content: None, listed, problem: Some(problem) });
}

/// Whether an object may be published by us at all, and which warning lists it stands on.
fn admit(node: &Node, owners: &mut Owners<'_>, body: &Body, force: bool) -> Result<Listed, Problem> {
    match owner(node, owners, body) {
        Some(problem) => Err(problem),
        None => node.warnings.look(body.facts(), force),
    }
}

/// The problem with an object that is another CERT's: its card claims who made it, or it was the first to sign the id.
fn owner(node: &Node, owners: &mut Owners<'_>, body: &Body) -> Option<Problem> {
    if body.facts().object_type() == NOTICE_TYPE {
        let text = "an object of this type is made by the daemon alone: use `mithaq withdraw`";
        return Some(Problem::new(Code::FOREIGN_OBJECT, text));
    }
    let foreign = |text: String| Some(Problem::new(Code::FOREIGN_OBJECT, text));
    if let Some(identity) = body.facts().created_by_ref.as_deref()
        && let Some(entry) = node.peer_with_identity(identity)
    {
        let name = &entry.peer.name;
        return foreign(format!("created_by_ref {identity} belongs to {name}: only that CERT may publish this object"));
    }
    if !node.receives() {
        return None;
    }
    match owners.other_than(body.id(), body.facts()) {
        Ok(None) => None,
        Ok(Some(owner)) => {
            let (id, name) = (&body.facts().stix_id, node.name_of(owner));
            foreign(format!("{id} was first published by {name}: only that CERT revises it; use an id of your own"))
        }
        Err(error) => Some(store_problem(&error)),
    }
}

fn body_problem(error: &BodyError) -> Problem {
    let code = match error {
        BodyError::TooLarge { .. } => Code::OBJECT_TOO_LARGE,
        _ => Code::INTERNAL,
    };
    Problem::new(code, error.to_string())
}

fn refuse_all(taken: &[Taken], report: &mut dyn Report) {
    let text = "not stored, since the push is atomic and another object was refused";
    for taken in taken {
        report.object(&taken.refused(Problem::new(Code::ATOMIC, text)));
    }
}

/// The label of each object that was taken; refuses those whose label no release can carry.
///
/// # Errors
/// When a label that is held cannot be read: to go on without it would be to release under a looser one.
fn labels(node: &Node, input: &mut Input, default: Tlp) -> Result<Vec<Label>, StoreError> {
    let facts: Vec<_> = input.taken.iter().map(|taken| taken.body.facts()).collect();
    let pushed = pushed_definitions(&input.taken);
    let failure = RefCell::new(None);
    let labels = split::labels(
        &facts,
        default,
        &mut |stix_id| held_label(node, stix_id).unwrap_or_else(|error| note(&failure, error, None)),
        &mut |id| marking(node, &pushed, id).unwrap_or_else(|error| note(&failure, error, Marking::Unknown)),
    );
    if let Some(error) = failure.into_inner() {
        return Err(error);
    }
    let mut usable = Vec::with_capacity(labels.len());
    let mut taken = Vec::with_capacity(labels.len());
    for (object, label) in std::mem::take(&mut input.taken).into_iter().zip(labels) {
        match label.check() {
            Ok(()) => {
                taken.push(object);
                usable.push(label);
            }
            Err(error) => {
                let problem = Problem::new(Code::LABEL, error.to_string());
                input.refused.push(object.refused(problem));
            }
        }
    }
    input.taken = taken;
    Ok(usable)
}

/// Keeps the first failure, to be told once the split is done with.
fn note<T>(failure: &RefCell<Option<StoreError>>, error: StoreError, instead: T) -> T {
    failure.borrow_mut().get_or_insert(error);
    instead
}

/// The marking definitions of a push, by id.
fn pushed_definitions(taken: &[Taken]) -> HashMap<&str, Vec<&Body>> {
    let mut definitions: HashMap<&str, Vec<&Body>> = HashMap::new();
    for Taken { body, .. } in taken.iter().filter(|taken| taken.body.facts().object_type() == "marking-definition") {
        definitions.entry(&body.facts().stix_id).or_default().push(body);
    }
    definitions
}

/// What a marking means by all of its definitions in the push and in the store; if they differ, nothing.
fn marking(node: &Node, pushed: &HashMap<&str, Vec<&Body>>, id: &str) -> Result<Marking, StoreError> {
    let now = clock::wall();
    let read = |bytes: &[u8]| Object::parse(bytes).map_or(Marking::Unknown, |object| Marking::of(&object, now));
    let held: Vec<_> = node.store.versions(id)?.into_iter().map(|version| version.content).collect();
    let held = node.store.bodies(&held)?;
    let pushed = pushed.get(id).into_iter().flatten().map(|body| read(body.bytes()));
    Ok(Marking::agreed(pushed.chain(held.iter().flatten().map(|bytes| read(bytes)))))
}

/// The strictest label under which we hold any version of a STIX id.
fn held_label(node: &Node, stix_id: &str) -> Result<Option<Label>, StoreError> {
    let mut strictest: Option<Label> = None;
    for version in node.store.versions(stix_id)? {
        for seq in node.store.rows_of(version.content)? {
            if let Some((row, _, manifest)) = node.release_at(seq)?.filter(|(.., manifest)| !manifest.kind.is_echo()) {
                let hold = node.standing.hold(&*node.store, row.release, version.content)?;
                if hold.is_some_and(|hold| hold.cause.is_quarantine()) {
                    // What is not trusted must not raise the label of what speaks of it.
                    continue;
                }
                strictest = Some(match strictest {
                    Some(label) => label.join(&manifest.label),
                    None => manifest.label,
                });
            }
        }
    }
    Ok(strictest)
}

/// Which objects we have not released with the same label; tells of the others.
fn fresh(
    node: &Node,
    taken: &[Taken],
    labels: &[Label],
    summary: &mut PushSummary,
    report: &mut dyn Report,
) -> Result<Vec<bool>, StoreError> {
    let ids: Vec<ContentId> = taken.iter().map(|taken| taken.body.id()).collect();
    let held = node.store.has_bodies(&ids)?;
    let mut ours = OurReleases { node, rows: HashSet::new(), released: HashMap::new() };
    let mut seen: HashMap<ContentId, &Label> = HashMap::with_capacity(taken.len());
    let mut fresh = Vec::with_capacity(taken.len());
    for ((taken, label), held) in taken.iter().zip(labels).zip(held) {
        let twice = seen.insert(taken.body.id(), label) == Some(label);
        let released = twice || (held && ours.contain(taken.body.id(), label, &taken.audiences)?);
        fresh.push(!released);
        if released {
            summary.duplicate += 1;
            tell(std::slice::from_ref(taken), PushStatus::Duplicate, report);
        }
    }
    Ok(fresh)
}

/// The contents that are not released at all this time.
fn stale(taken: &[Taken], fresh: &[bool]) -> Vec<ContentId> {
    let ids = || taken.iter().map(|taken| taken.body.id());
    let going: HashSet<_> = ids().zip(fresh).filter_map(|(id, fresh)| fresh.then_some(id)).collect();
    ids().filter(|id| !going.contains(id)).collect()
}

/// Our own releases, as far as they were read: what was released together is mostly pushed again together.
struct OurReleases<'a> {
    node: &'a Node,
    rows: HashSet<u64>,
    released: HashMap<ContentId, Vec<Arc<Manifest>>>,
}

impl OurReleases<'_> {
    /// Whether we have released a content with a label to each of these audiences.
    fn contain(
        &mut self,
        content: ContentId,
        label: &Label,
        audiences: &[BTreeSet<CertId>],
    ) -> Result<bool, StoreError> {
        if self.is_known(content, label, audiences) {
            return Ok(true);
        }
        for row in self.node.store.rows_of(content)? {
            self.read(row)?;
        }
        Ok(self.is_known(content, label, audiences))
    }

    fn is_known(&self, content: ContentId, label: &Label, audiences: &[BTreeSet<CertId>]) -> bool {
        let Some(released) = self.released.get(&content) else { return false };
        let reached = |audience: &BTreeSet<CertId>| {
            released.iter().any(|known| known.label == *label && known.recipients == *audience)
        };
        audiences.iter().all(reached)
    }

    fn read(&mut self, row: u64) -> Result<(), StoreError> {
        if !self.rows.insert(row) {
            return Ok(());
        }
        let Some((row, release, manifest)) = self.node.release_at(row)? else { return Ok(()) };
        if manifest.origin == self.node.us && manifest.kind == Kind::Publish {
            // What we took back we may say again, and then it is new.
            let holds = self.node.standing.holds(&*self.node.store, row.release)?;
            let manifest = Arc::new(manifest);
            for content in release.contents.into_iter().filter(|content| !holds.contains_key(content)) {
                self.released.entry(content).or_default().push(Arc::clone(&manifest));
            }
        }
        Ok(())
    }
}

fn tell(taken: &[Taken], status: PushStatus, report: &mut dyn Report) {
    taken.iter().for_each(|taken| report.object(&taken.told(status)));
}

/// Objects of one label that become one release for each of their audiences.
struct Group {
    label: Label,
    audiences: Audiences,
    taken: Vec<Taken>,
}

/// Puts what is fresh into groups of one label and the same audiences, none larger than a release may be.
fn group(taken: Vec<Taken>, labels: Vec<Label>, fresh: Vec<bool>) -> Vec<Group> {
    let mut slots: Vec<Option<Taken>> =
        taken.into_iter().zip(fresh).map(|(taken, fresh)| fresh.then_some(taken)).collect();
    let mut groups = Vec::new();
    for (label, indexes) in split::group(labels) {
        let mut open: BTreeMap<Audiences, (Vec<Taken>, usize)> = BTreeMap::new();
        for taken in indexes.into_iter().filter_map(|index| slots[index].take()) {
            let length = taken.body.bytes().len();
            let audiences = Arc::clone(&taken.audiences);
            let (part, bytes) = open.entry(Arc::clone(&audiences)).or_default();
            if part.len() == RELEASE_OBJECTS_MAX || *bytes + length > RELEASE_BYTES_MAX {
                groups.push(Group { label: label.clone(), audiences, taken: std::mem::take(part) });
                *bytes = 0;
            }
            *bytes += length;
            part.push(taken);
        }
        let rest = open.into_iter().filter(|(_, (part, _))| !part.is_empty());
        groups.extend(rest.map(|(audiences, (taken, _))| Group { label: label.clone(), audiences, taken }));
    }
    groups
}

/// How the groups of a push go into commits.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// All in one.
    is_atomic: bool,
    /// With rests, and sent to peers behind all else.
    is_bulk: bool,
}

/// Commits groups piece by piece, and gives back the turn on each content as soon as it is stored: it is in one group
/// alone, since label and audiences follow from what it says.
fn store(
    node: &Node,
    groups: Vec<Group>,
    pace: Pace,
    mut turn: Turn<'_>,
    summary: &mut PushSummary,
    report: &mut dyn Report,
) -> Result<(), Problem> {
    let mut groups = groups.into_iter().peekable();
    while groups.peek().is_some() {
        let bytes_max = if pace.is_atomic { usize::MAX } else { node.alerts.piece_bytes() };
        let mut piece = || store_piece(node, &mut groups, bytes_max, pace.is_bulk, summary);
        let told = if pace.is_bulk { node.alerts.piece(piece) } else { piece() }?;
        turn.give_back(told.iter().filter_map(|object| object.content));
        told.iter().for_each(|object| report.object(object));
    }
    Ok(())
}

/// Signs groups and commits them together. The commit is closed once its bodies reach so many bytes, so that peers get
/// the first releases while the last are still being signed, and the next alert waits for no more than this.
fn store_piece(
    node: &Node,
    groups: &mut impl Iterator<Item = Group>,
    bytes_max: usize,
    is_bulk: bool,
    summary: &mut PushSummary,
) -> Result<Vec<PushedObject>, Problem> {
    let counts_go = node.shares_counts();
    let (mut told, mut arrivals, mut bytes) = (Vec::new(), Vec::new(), 0);
    while bytes < bytes_max
        && let Some(group) = groups.next()
    {
        bytes += group.taken.iter().map(|taken| taken.body.bytes().len()).sum::<usize>();
        told.extend(group.taken.iter().map(|taken| taken.told(PushStatus::Stored)));
        sign(node, group, counts_go, &mut arrivals)?;
    }
    let releases = arrivals.len();
    let signed: Vec<_> =
        arrivals.iter().map(|arrival| (arrival.release.id(), arrival.release.contents().len())).collect();
    signed.iter().for_each(|(id, objects)| steps::passed(Step::Signed, *id, *objects));
    if is_bulk {
        node.in_bulk.note(signed.iter().map(|(id, _)| *id));
    }
    node.commit(Batch { arrivals, ..Batch::default() }).map_err(|error| store_problem(&error))?;
    signed.iter().for_each(|(id, objects)| steps::passed(Step::Stored, *id, *objects));
    summary.releases += releases;
    summary.stored += told.len();
    Ok(told)
}

/// Signs the releases of a group: one for each audience, and one of its counts where those go.
fn sign(node: &Node, group: Group, counts_go: bool, arrivals: &mut Vec<Arrival>) -> Result<(), Problem> {
    let ids: Vec<ContentId> = group.taken.iter().map(|taken| taken.body.id()).collect();
    let mut bodies: Vec<Body> = group.taken.into_iter().map(|taken| taken.body).collect();
    let mut counts: Vec<Body> =
        if counts_go { bodies.iter().filter_map(sighting::tally).collect() } else { Vec::new() };
    let counted: Vec<ContentId> = counts.iter().map(Body::id).collect();
    for audience in &*group.audiences {
        let draft = ReleaseDraft::publish(group.label.clone(), ids.clone(), clock::wall());
        let release = node.sign(ReleaseDraft { recipients: audience.clone(), ..draft })?;
        arrivals.push(Arrival { release, bodies: std::mem::take(&mut bodies) });
        if !counted.is_empty() {
            let draft = ReleaseDraft::publish(group.label.clone(), counted.clone(), clock::wall());
            let draft = ReleaseDraft { kind: Kind::Tally, recipients: audience.clone(), ..draft };
            arrivals.push(Arrival { release: node.sign(draft)?, bodies: std::mem::take(&mut counts) });
        }
    }
    Ok(())
}

/// A step of the rule as the local API writes it.
pub(crate) fn why_reason(reason: &Reason) -> WhyReason {
    WhyReason { code: reason.code.to_string(), text: reason.text.to_string(), ok: reason.ok }
}

/// What a failure of the store means to who asked.
pub(crate) fn store_problem(error: &StoreError) -> Problem {
    let code = match error {
        StoreError::Full | StoreError::Busy => Code::DISK_FULL,
        StoreError::OutcomeUnknown(_) => Code::OUTCOME_UNKNOWN,
        StoreError::Corrupt { .. } => Code::CORRUPT,
        StoreError::Locked { .. } => Code::STORE_LOCKED,
        _ => Code::STORE,
    };
    Problem::new(code, mithaq_api::home::with_sources(error))
}
