//! Taking in what our own analysts push: read, check, split by label, sign, store.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use mithaq_api::http::{
    PUSH_OBJECTS_MAX, Preview, Problem, PushQuery, PushStatus, PushSummary, PushedObject, WhyReason,
};
use mithaq_core::{
    body::{Body, BodyError},
    code::Code,
    id::ContentId,
    label::Label,
    policy::Reason,
    release::{RELEASE_OBJECTS_MAX, ReleaseDraft, VerifiedRelease},
    split,
    stix::{
        bundle::{Entry, Reader},
        marking::Tlp,
    },
};
use mithaq_store::{Arrival, Batch, StoreError};
use mithaq_sync::RELEASE_BYTES_MAX;

use crate::{clock, node::Node, outbox};

/// How many releases are committed together, so that peers get the first while the last are still being signed.
const RELEASES_PER_COMMIT: usize = 8;

/// Where the lines of the answer go.
pub(crate) trait Report {
    /// Tells what became of one object.
    fn object(&mut self, object: &PushedObject);
}

/// An object of the input that was taken.
struct Taken {
    index: usize,
    body: Body,
}

impl Taken {
    fn refused(&self, problem: Problem) -> PushedObject {
        PushedObject {
            index: self.index,
            id: Some(self.body.facts().stix_id.clone()),
            status: PushStatus::Refused,
            content: Some(self.body.id()),
            problem: Some(problem),
        }
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
/// When nothing at all could be done; what became of each object is told to `report`.
pub(crate) fn push(
    node: &Arc<Node>,
    text: &[u8],
    query: &PushQuery,
    report: &mut dyn Report,
) -> Result<PushSummary, Problem> {
    let started = Instant::now();
    let default = default_level(node, query)?;
    let mut input = read(node, text)?;
    let _turn = node.publishing.turn(input.taken.iter().map(|taken| taken.body.id()).collect());
    let labels = labels(node, &mut input, default).map_err(|error| store_problem(&error))?;
    let mut summary = PushSummary { refused: input.refused.len(), ..PushSummary::default() };
    let nothing_goes = query.atomic && !input.refused.is_empty();
    input.refused.iter().for_each(|object| report.object(object));
    if nothing_goes {
        summary.refused += input.taken.len();
        refuse_all(&input.taken, report);
    } else {
        if query.dry_run {
            summary.preview = preview(node, &input.taken, &labels);
        }
        let fresh = fresh(node, &input.taken, &labels, &mut summary, report).map_err(|error| store_problem(&error))?;
        let groups = group(input.taken, labels, fresh);
        if query.dry_run {
            summary.stored = groups.iter().map(|group| group.taken.len()).sum();
            summary.releases = groups.len();
            groups.iter().for_each(|group| tell(&group.taken, PushStatus::Stored, report));
        } else {
            store(node, groups, query.atomic, &mut summary, report)?;
        }
    }
    summary.seconds = started.elapsed().as_secs_f64();
    Ok(summary)
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

fn read(node: &Node, text: &[u8]) -> Result<Input, Problem> {
    let mut input = Input { taken: Vec::new(), refused: Vec::new() };
    for entry in Reader::new(text) {
        match entry {
            Ok(entry) => {
                if entry.index >= PUSH_OBJECTS_MAX {
                    let text =
                        format!("the input has more than {PUSH_OBJECTS_MAX} objects: nothing was stored; split it");
                    return Err(Problem::new(Code::TOO_LARGE, text));
                }
                take(node, entry, &mut input);
            }
            Err(error) => {
                let (line, column) = error.line_column(text);
                let text =
                    format!("broken JSON at line {line}, column {column}: {error}; nothing after that place was read");
                let problem = Problem::new(Code::BROKEN_JSON, text);
                let (index, status) = (input.taken.len() + input.refused.len(), PushStatus::Refused);
                input.refused.push(PushedObject { index, id: None, status, content: None, problem: Some(problem) });
                break;
            }
        }
    }
    Ok(input)
}

fn take(node: &Node, entry: Entry<'_>, input: &mut Input) {
    let index = entry.index;
    let (id, problem) = match entry.object {
        Ok(object) => match Body::of(&object) {
            Ok(body) => match owner(node, &body) {
                None => return input.taken.push(Taken { index, body }),
                Some(problem) => (Some(body.facts().stix_id.clone()), problem),
            },
            Err(error) => (Some(object.id().as_str().to_owned()), body_problem(&error)),
        },
        Err(error) => (entry.id_hint, Problem::new(Code::new(error.code()), error.to_string())),
    };
    let status = PushStatus::Refused;
    input.refused.push(PushedObject { index, id, status, content: None, problem: Some(problem) });
}

/// The problem with an object that a peer's card claims.
fn owner(node: &Node, body: &Body) -> Option<Problem> {
    let identity = body.facts().created_by_ref.as_deref()?;
    let entry = node.peer_with_identity(identity)?;
    let text =
        format!("created_by_ref {identity} belongs to {}: only that CERT may publish this object", entry.peer.name);
    Some(Problem::new(Code::FOREIGN_OBJECT, text))
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
    let mut failure = None;
    let labels = split::labels(&facts, default, &mut |stix_id| {
        held_label(node, stix_id).unwrap_or_else(|error| {
            failure.get_or_insert(error);
            None
        })
    });
    if let Some(error) = failure {
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

/// The strictest label under which we hold any version of a STIX id.
fn held_label(node: &Node, stix_id: &str) -> Result<Option<Label>, StoreError> {
    let mut strictest: Option<Label> = None;
    for version in node.store.versions(stix_id)? {
        for seq in node.store.rows_of(version.content)? {
            if let Some((_, _, manifest)) = node.release_at(seq)? {
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
    let mut ours = OurReleases { node, rows: HashSet::new(), labels: HashMap::new() };
    let mut seen: HashMap<ContentId, &Label> = HashMap::with_capacity(taken.len());
    let mut fresh = Vec::with_capacity(taken.len());
    for ((taken, label), held) in taken.iter().zip(labels).zip(held) {
        let twice = seen.insert(taken.body.id(), label) == Some(label);
        let released = twice || (held && ours.contain(taken.body.id(), label)?);
        fresh.push(!released);
        if released {
            summary.duplicate += 1;
            tell(std::slice::from_ref(taken), PushStatus::Duplicate, report);
        }
    }
    Ok(fresh)
}

/// Our own releases, as far as they were read: what was released together is mostly pushed again together.
struct OurReleases<'a> {
    node: &'a Node,
    rows: HashSet<u64>,
    labels: HashMap<ContentId, Vec<Arc<Label>>>,
}

impl OurReleases<'_> {
    /// Whether we have released a content with a label.
    fn contain(&mut self, content: ContentId, label: &Label) -> Result<bool, StoreError> {
        if self.is_known(content, label) {
            return Ok(true);
        }
        for row in self.node.store.rows_of(content)? {
            self.read(row)?;
        }
        Ok(self.is_known(content, label))
    }

    fn is_known(&self, content: ContentId, label: &Label) -> bool {
        self.labels.get(&content).is_some_and(|labels| labels.iter().any(|known| **known == *label))
    }

    fn read(&mut self, row: u64) -> Result<(), StoreError> {
        if !self.rows.insert(row) {
            return Ok(());
        }
        let Some((_, release, manifest)) = self.node.release_at(row)? else { return Ok(()) };
        if manifest.origin == self.node.us {
            let label = Arc::new(manifest.label);
            for content in release.contents {
                self.labels.entry(content).or_default().push(Arc::clone(&label));
            }
        }
        Ok(())
    }
}

fn tell(taken: &[Taken], status: PushStatus, report: &mut dyn Report) {
    for Taken { index, body } in taken {
        let (id, content) = (Some(body.facts().stix_id.clone()), Some(body.id()));
        report.object(&PushedObject { index: *index, id, status, content, problem: None });
    }
}

/// Objects of one label that become one release.
struct Group {
    label: Label,
    taken: Vec<Taken>,
}

/// Puts what is fresh into groups of one label, none larger than a release may be.
fn group(taken: Vec<Taken>, labels: Vec<Label>, fresh: Vec<bool>) -> Vec<Group> {
    let mut slots: Vec<Option<Taken>> =
        taken.into_iter().zip(fresh).map(|(taken, fresh)| fresh.then_some(taken)).collect();
    let mut groups = Vec::new();
    for (label, indexes) in split::group(labels) {
        let mut group = Group { label: label.clone(), taken: Vec::new() };
        let mut bytes = 0;
        for taken in indexes.into_iter().filter_map(|index| slots[index].take()) {
            let length = taken.body.bytes().len();
            if group.taken.len() == RELEASE_OBJECTS_MAX || bytes + length > RELEASE_BYTES_MAX {
                groups.push(std::mem::replace(&mut group, Group { label: label.clone(), taken: Vec::new() }));
                bytes = 0;
            }
            bytes += length;
            group.taken.push(taken);
        }
        if !group.taken.is_empty() {
            groups.push(group);
        }
    }
    groups
}

fn store(
    node: &Node,
    groups: Vec<Group>,
    atomic: bool,
    summary: &mut PushSummary,
    report: &mut dyn Report,
) -> Result<(), Problem> {
    let per_commit = if atomic { groups.len().max(1) } else { RELEASES_PER_COMMIT };
    let mut groups = groups.into_iter().peekable();
    while groups.peek().is_some() {
        let mut told = Vec::new();
        let mut arrivals = Vec::new();
        for group in groups.by_ref().take(per_commit) {
            let ids = group.taken.iter().map(|taken| taken.body.id()).collect();
            let release = VerifiedRelease::sign(
                node.us,
                &node.signing_key,
                ReleaseDraft::publish(group.label, ids, clock::wall()),
            )
            .map_err(|error| Problem::new(Code::INTERNAL, mithaq_api::home::with_sources(&error)))?;
            for taken in &group.taken {
                told.push((taken.index, taken.body.facts().stix_id.clone(), taken.body.id()));
            }
            arrivals.push(Arrival { release, bodies: group.taken.into_iter().map(|taken| taken.body).collect() });
        }
        let releases = arrivals.len();
        node.commit(Batch { arrivals, ..Batch::default() }).map_err(|error| store_problem(&error))?;
        summary.releases += releases;
        summary.stored += told.len();
        for (index, id, content) in told {
            let status = PushStatus::Stored;
            report.object(&PushedObject { index, id: Some(id), status, content: Some(content), problem: None });
        }
    }
    Ok(())
}

/// What each peer would be released of each label, whether we had released it before or not.
fn preview(node: &Node, taken: &[Taken], labels: &[Label]) -> Vec<Preview> {
    let mut contents: BTreeMap<&Label, BTreeSet<ContentId>> = BTreeMap::new();
    for (taken, label) in taken.iter().zip(labels) {
        contents.entry(label).or_default().insert(taken.body.id());
    }
    let peers = node.peers();
    let rows = contents.into_iter().flat_map(|(label, contents)| {
        let objects = contents.len();
        peers.iter().map(move |entry| {
            let decision = outbox::decide(node, label, node.us, entry.cert(), entry.peer.agreement.as_ref());
            let withheld = decision.reasons.iter().filter(|reason| !reason.ok).map(why_reason).collect();
            Preview {
                peer: entry.peer.name.clone(),
                label: label.to_string(),
                objects,
                released: decision.released,
                reasons: withheld,
            }
        })
    });
    rows.collect()
}

/// A step of the rule as the local API writes it.
pub(crate) fn why_reason(reason: &Reason) -> WhyReason {
    WhyReason { code: reason.code.to_string(), text: reason.text.clone(), ok: reason.ok }
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
