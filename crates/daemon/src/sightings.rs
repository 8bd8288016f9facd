//! What our own SIEMs and analysts saw: their reports become sightings, which go where agreements let them, and feedback
//! to the origins of what was a false positive.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use mithaq_api::{
    http::{Problem, PushQuery, PushSummary, PushedObject},
    sighting::{
        SIGHTING_NOTE_BYTES_MAX, SIGHTING_REPORTS_MAX, SightingReport, SightingStatus, SightingSummary, SightingTold,
        SightingsQuery,
    },
};
use mithaq_core::{
    code::Code,
    id::{CertId, ContentId, sha256_of},
    sighting::{SIGHTING_COUNT_MAX, SIGHTING_TYPE, derived_id},
    stix::{id::StixId, object::ObjectClass, observable::Observable},
    text::is_plain,
    time::Time,
};
use mithaq_store::StoreError;
use serde_json::{Map, Value, json};

use crate::{
    audience::{self, Subject},
    clock,
    feed::{Feed, Visibility},
    node::Node,
    push, standing,
};

/// How many indicators one value may stand for; those of further CERTs are left out.
const SUBJECTS_MAX: usize = 16;

/// How many objects that carry a value, and how many versions of an id, are looked at.
const LOOKED_AT_MAX: usize = 64;

/// How many notes are told together.
const NOTES_MAX: usize = 16;

/// What stands before our key, where ids of sightings are made.
const ID_DOMAIN: &[u8] = b"mithaq/1 ids of sightings";

/// What reports say of one object, taken together.
#[derive(Debug, Default)]
struct Seen {
    count: u32,
    first: Option<Time>,
    last: Option<Time>,
    notes: BTreeSet<String>,
}

impl Seen {
    fn add(&mut self, report: &SightingReport) {
        self.count = self.count.saturating_add(report.count.unwrap_or(1)).min(SIGHTING_COUNT_MAX);
        let (first, last) = (report.first_seen.or(report.last_seen), report.last_seen.or(report.first_seen));
        self.first = self.first.into_iter().chain(first).min();
        self.last = self.last.max(last);
        self.notes.extend(report.note.clone().filter(|_| self.notes.len() < NOTES_MAX));
    }

    fn note(&self) -> Option<String> {
        (!self.notes.is_empty()).then(|| self.notes.iter().map(String::as_str).collect::<Vec<_>>().join("\n"))
    }
}

type Subjects = BTreeMap<String, Subject>;

/// Everything that one request says.
#[derive(Debug, Default)]
struct Digest {
    /// What was seen, by whom it may be told.
    sighted: BTreeMap<BTreeSet<CertId>, BTreeMap<String, Seen>>,
    /// By whom feedback is for.
    harmless: BTreeMap<CertId, BTreeMap<String, Seen>>,
    /// What values and ids stand for, as far as it was looked up.
    subjects: HashMap<(bool, String), Subjects>,
}

/// Carries out a request of a reader with these rights: what it may not see is unknown to it. `tell` hears of each report.
/// Blocks.
///
/// # Errors
/// When nothing at all could be done.
pub(crate) fn report(
    node: &Arc<Node>,
    visibility: Visibility,
    query: &SightingsQuery,
    reports: Vec<Result<SightingReport, Problem>>,
    tell: &mut dyn FnMut(SightingTold),
) -> Result<SightingSummary, Problem> {
    if reports.len() > SIGHTING_REPORTS_MAX {
        let text = format!("the request has more than {SIGHTING_REPORTS_MAX} reports: nothing was done; split it");
        return Err(Problem::new(Code::TOO_LARGE, text));
    }
    node.room.check(&*node.store)?;
    let is_desk = visibility == Visibility::ALL;
    let mut feed = Feed::new(Arc::clone(node), visibility);
    let mut digest = Digest::default();
    let mut summary = SightingSummary::default();
    for (index, report) in reports.into_iter().enumerate() {
        let told = take(node, &mut feed, report, &mut digest).map_err(|error| push::store_problem(&error))?;
        let (status, of, problem) = match told {
            Ok((status, of)) => (status, of, None),
            Err(problem) => (SightingStatus::Refused, Vec::new(), Some(problem)),
        };
        match status {
            SightingStatus::Sighted => summary.sighted += 1,
            SightingStatus::FalsePositive => summary.false_positives += 1,
            SightingStatus::Unknown => summary.unknown += 1,
            SightingStatus::Refused => summary.refused += 1,
        }
        tell(SightingTold { index, status, of, problem });
    }
    publish(node, query, digest, &mut summary)?;
    if !is_desk {
        // Labels and names of what a reader may not see could stand there.
        summary.withheld.clear();
    }
    Ok(summary)
}

type Taken = Result<(SightingStatus, Vec<String>), Problem>;

fn take(
    node: &Node,
    feed: &mut Feed,
    report: Result<SightingReport, Problem>,
    digest: &mut Digest,
) -> Result<Taken, StoreError> {
    let report = match report.and_then(check) {
        Ok(report) => report,
        Err(problem) => return Ok(Err(problem)),
    };
    let asked = match (&report.id, &report.value) {
        (Some(id), _) => (true, id.clone()),
        (None, value) => (false, value.clone().unwrap_or_default()),
    };
    if !digest.subjects.contains_key(&asked) {
        let found = subjects(node, feed, &report)?;
        digest.subjects.insert(asked.clone(), found);
    }
    let Digest { sighted, harmless, subjects } = digest;
    let subjects = subjects.get(&asked).filter(|subjects| !subjects.is_empty());
    let Some(subjects) = subjects else { return Ok(Ok((SightingStatus::Unknown, Vec::new()))) };
    for (id, subject) in subjects {
        if report.false_positive {
            for origin in &subject.origins {
                harmless.entry(*origin).or_default().entry(id.clone()).or_default().add(&report);
            }
        } else {
            sighted.entry(subject.audience.clone()).or_default().entry(id.clone()).or_default().add(&report);
        }
    }
    let status = if report.false_positive { SightingStatus::FalsePositive } else { SightingStatus::Sighted };
    Ok(Ok((status, subjects.keys().cloned().collect())))
}

fn check(report: SightingReport) -> Result<SightingReport, Problem> {
    let bad = |text: String| Err(Problem::new(Code::BAD_REQUEST, text));
    if report.value.is_some() == report.id.is_some() {
        return bad("a report has either \"value\" or \"id\"".into());
    }
    if report.count.is_some_and(|count| !(1..=SIGHTING_COUNT_MAX).contains(&count)) {
        return bad(format!("count is 1 to {SIGHTING_COUNT_MAX}"));
    }
    if let (Some(first), Some(last)) = (report.first_seen, report.last_seen)
        && last < first
    {
        return bad(format!("last_seen, {last}, lies before first_seen, {first}"));
    }
    if report.note.as_ref().is_some_and(|note| !is_plain(note, SIGHTING_NOTE_BYTES_MAX)) {
        return bad(format!("a note has at most {SIGHTING_NOTE_BYTES_MAX} bytes and no control or bidi characters"));
    }
    Ok(report)
}

/// What a report is about, as far as the reader is shown it, by STIX id.
fn subjects(node: &Node, feed: &mut Feed, report: &SightingReport) -> Result<Subjects, StoreError> {
    let mut subjects = Subjects::new();
    for content in candidates(node, report)? {
        let facts = match standing::facts_of(node, content) {
            Err(StoreError::Corrupt { .. }) => None,
            read => read?,
        };
        let Some(facts) = facts else { continue };
        let is_meant = report.id.is_some() || facts.object_type() == "indicator";
        let may_be_sighted = matches!(ObjectClass::of(facts.object_type()), ObjectClass::Domain | ObjectClass::Custom);
        let is_known = subjects.contains_key(&facts.stix_id);
        if !is_meant || !may_be_sighted || facts.revoked || (!is_known && subjects.len() == SUBJECTS_MAX) {
            continue;
        }
        if let Some(Subject { origins, audience }) = audience::subject(node, feed, content)? {
            let known = subjects.entry(facts.stix_id).or_insert_with(|| Subject { origins: BTreeSet::new(), audience });
            known.origins.extend(origins);
        }
    }
    Ok(subjects)
}

fn candidates(node: &Node, report: &SightingReport) -> Result<Vec<ContentId>, StoreError> {
    if let Some(id) = &report.id {
        let Ok(id) = StixId::parse(id) else { return Ok(Vec::new()) };
        let versions = node.store.versions(id.as_str())?.into_iter().map(|version| version.content);
        return Ok(versions.take(LOOKED_AT_MAX).collect());
    }
    let mut contents = Vec::new();
    for observable in Observable::from_query(report.value.as_deref().unwrap_or_default()) {
        contents.extend(node.store.observed(&observable, LOOKED_AT_MAX)?);
    }
    Ok(contents)
}

/// Publishes sightings to whomever agreements let have them, and feedback to each origin alone; what is said of our own
/// objects stays here.
fn publish(
    node: &Arc<Node>,
    query: &SightingsQuery,
    digest: Digest,
    summary: &mut SightingSummary,
) -> Result<(), Problem> {
    let now = clock::wall();
    let query = PushQuery { tlp: query.tlp.clone(), ..PushQuery::default() };
    for (audience, sighted) in &digest.sighted {
        let sightings = sighted.iter().map(|(id, seen)| sighting(node, id, seen, now));
        push_all(node, &query, sightings.collect(), audience.clone(), summary)?;
    }
    for (origin, harmless) in &digest.harmless {
        let peer = node.peer(*origin).map(|entry| entry.peer.name.clone());
        if peer.is_none() && *origin != node.us {
            // Nobody there whom we could tell.
            continue;
        }
        let opinions = harmless.iter().map(|(id, seen)| opinion(node, id, seen, now));
        push_all(node, &query, opinions.collect(), [*origin].into(), summary)?;
        let is_withheld = summary.withheld.iter().any(|row| Some(&row.peer) == peer.as_ref());
        summary.told.extend((*origin != node.us && !is_withheld).then_some(*origin));
    }
    Ok(())
}

fn push_all(
    node: &Arc<Node>,
    query: &PushQuery,
    objects: Vec<Value>,
    recipients: BTreeSet<CertId>,
    summary: &mut SightingSummary,
) -> Result<(), Problem> {
    let text: String = objects.iter().map(|object| format!("{object}\n")).collect();
    let mut refused = Refused::default();
    let PushSummary { stored, duplicate, preview, .. } =
        push::push_to(node, text.as_bytes(), query, recipients, &mut refused)?;
    summary.stored += stored;
    summary.duplicate += duplicate;
    summary.withheld.extend(preview);
    summary.problems.extend(refused.0);
    Ok(())
}

/// Keeps why objects of ours were refused.
#[derive(Default)]
struct Refused(Vec<Problem>);

impl push::Report for Refused {
    fn object(&mut self, object: &PushedObject) {
        self.0.extend(object.problem.clone().filter(|_| self.0.len() < NOTES_MAX));
    }
}

fn sighting(node: &Node, of: &str, seen: &Seen, now: Time) -> Value {
    let mut object = head(node, SIGHTING_TYPE, of, seen, now);
    object.insert("sighting_of_ref".into(), of.into());
    object.insert("count".into(), seen.count.into());
    object.extend(seen.first.map(|first| ("first_seen".into(), json!(first))));
    object.extend(seen.last.map(|last| ("last_seen".into(), json!(last))));
    object.extend(seen.note().map(|note| ("description".into(), note.into())));
    Value::Object(object)
}

fn opinion(node: &Node, of: &str, seen: &Seen, now: Time) -> Value {
    let mut object = head(node, "opinion", of, seen, now);
    object.insert("object_refs".into(), json!([of]));
    object.insert("opinion".into(), "strongly-disagree".into());
    let note = seen.note().unwrap_or_else(|| "a false positive".to_owned());
    object.insert("explanation".into(), note.into());
    Value::Object(object)
}

/// What every object has. Its id and times come from what it says, so that a request that comes twice is one, if it tells
/// when something was last seen. Its times tell the day alone, and its id nobody can compute who lacks our key: a count
/// shows both.
fn head(node: &Node, object_type: &str, of: &str, seen: &Seen, now: Time) -> Map<String, Value> {
    let at = seen.last.unwrap_or(now).min(now);
    let (first, when, note) = (json!(seen.first).to_string(), at.to_string(), seen.note().unwrap_or_default());
    let secret = secret(node);
    let said = [
        secret.as_slice(),
        of.as_bytes(),
        first.as_bytes(),
        when.as_bytes(),
        &seen.count.to_be_bytes(),
        note.as_bytes(),
    ];
    let at = at.day();
    let mut object = Map::new();
    object.insert("type".into(), object_type.into());
    object.insert("spec_version".into(), "2.1".into());
    object.insert("id".into(), derived_id(object_type, &said).into());
    object.insert("created".into(), json!(at));
    object.insert("modified".into(), json!(at));
    let identity = node.identity().card.card().identities.first().cloned();
    object.extend(identity.map(|identity| ("created_by_ref".into(), identity.into())));
    object
}

/// What makes ids of ours unguessable; another key makes others.
fn secret(node: &Node) -> [u8; 32] {
    let key = node.identity().signing_key(clock::wall()).ok().and_then(|key| key.to_pkcs8_der().ok());
    sha256_of(&[ID_DOMAIN, node.us.as_bytes(), key.unwrap_or_default().as_slice()])
}
