//! Taking back what was published: our own withdrawals and revocations, and the withdrawals of others.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
};

use mithaq_api::http::{Problem, PushQuery, PushSummary, PushedObject};
use mithaq_core::{
    body::Body,
    code::Code,
    id::{CertId, ContentId, ReleaseId},
    label::Label,
    notice::{NOTICE_CONTENTS_MAX, Notice},
    release::{Kind, Manifest, ReleaseDraft, VerifiedRelease},
    sighting,
    stix::object::Object,
    time::Time,
};
use mithaq_store::{Arrival, Batch, Purge, StateChange, StoreError};

use super::{Cause, Hold, judge::facts_of, keepsake, kept_of, withdrawal_change};
use crate::{
    alerts, clock,
    feed::{Rank, by_time},
    node::Node,
    push,
};

/// What one withdrawal did.
#[derive(Debug, Default)]
pub(crate) struct Retraction {
    /// The contents that are withdrawn.
    pub(crate) contents: BTreeSet<ContentId>,
    /// The releases that say so.
    pub(crate) releases: Vec<ReleaseId>,
}

/// A release of ours and what of it stays.
struct Source {
    id: ReleaseId,
    manifest: Manifest,
    contents: Vec<ContentId>,
}

/// Takes back contents that we published, in all of our releases, and the counts of what are sightings. What else those releases published is published again
/// beside them, since a release goes whole or not at all. Blocks.
///
/// # Errors
/// When nothing of it was published by us, or the store fails.
pub(crate) fn withdraw(node: &Node, contents: &BTreeSet<ContentId>, reason: &str) -> Result<Retraction, Problem> {
    let _alone = node.standing.retracting.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = |error| push::store_problem(&error);
    let contents = &with_counts(node, contents).map_err(failed)?;
    let _turn = node.publishing.turn(contents.iter().copied());
    let mut sources: BTreeMap<ReleaseId, Source> = BTreeMap::new();
    let mut was_withdrawn = false;
    let mut groups: BTreeMap<BTreeSet<ReleaseId>, BTreeSet<ContentId>> = BTreeMap::new();
    for content in contents {
        let (releases, stands) = own_releases(node, *content, &mut sources).map_err(failed)?;
        was_withdrawn |= !stands && !releases.is_empty();
        if stands {
            groups.entry(releases).or_default().insert(*content);
        }
    }
    if groups.is_empty() && was_withdrawn {
        return Err(Problem::new(Code::EXISTS, "all of it was withdrawn already; `mithaq show` says by which release"));
    }
    if groups.is_empty() {
        let text = "nothing of it was published by us and still stands: only its origin can withdraw it";
        return Err(Problem::new(Code::NOT_OURS, text));
    }
    // However full the disk is: nothing gives space back, and nobody is told, before it is committed.
    let mut batch = Batch { takes_back: true, ..Batch::default() };
    let mut retraction = Retraction::default();
    // A clock that was set back must not date the withdrawal before what it takes back.
    let now = sources.values().map(|source| source.manifest.published_at).fold(clock::wall(), Time::max);
    for (releases, contents) in groups {
        let standing: BTreeSet<ReleaseId> = releases.into_iter().filter(|id| sources.contains_key(id)).collect();
        let label = joined_label(standing.iter().filter_map(|id| sources.get(id)));
        let contents: Vec<ContentId> = contents.into_iter().collect();
        for part in contents.chunks(NOTICE_CONTENTS_MAX) {
            let arrival = notice_release(node, Kind::Withdraw, label.clone(), part, reason, now)?;
            let by = arrival.release.id();
            batch.state.extend(part.iter().map(|content| withdrawal_change(node.us, *content, now, by)));
            for content in part {
                batch.state.extend(hold_everywhere(node, *content, &standing, by, reason, now).map_err(failed)?);
            }
            retraction.releases.push(by);
            batch.arrivals.push(arrival);
        }
        retraction.contents.extend(contents);
    }
    for source in sources.values() {
        batch.arrivals.extend(published_again(node, source, &retraction.contents, now)?);
    }
    node.standing.note_withdrawing(node.us);
    sources.keys().for_each(|release| node.standing.note_held(*release));
    let line = keepsake::line(&batch.arrivals);
    if alerts::is_alert(&batch) {
        node.alerts.note();
    }
    node.commit(batch).map_err(failed)?;
    keepsake::keep(node, &line);
    Ok(retraction)
}

/// Contents, and the counts that stand beside those that are sightings.
fn with_counts(node: &Node, contents: &BTreeSet<ContentId>) -> Result<BTreeSet<ContentId>, StoreError> {
    let mut all = contents.clone();
    for content in contents {
        let body = match node.store.bodies(&[*content]) {
            // What cannot be read is taken back all the same.
            Err(StoreError::Corrupt { .. }) => None,
            read => read?.into_iter().next().flatten(),
        };
        let Some(body) = body else { continue };
        let count = Object::parse(&body).ok().and_then(|object| sighting::tally(&Body::of(&object).ok()?));
        all.extend(count.map(|count| count.id()));
    }
    Ok(all)
}

/// All of our releases that published a content, and whether any of them still stands; those that do become sources. Who
/// was given any of them is told, so contents share a notice only if all of these are the same.
fn own_releases(
    node: &Node,
    content: ContentId,
    sources: &mut BTreeMap<ReleaseId, Source>,
) -> Result<(BTreeSet<ReleaseId>, bool), StoreError> {
    let (mut releases, mut stands) = (BTreeSet::new(), false);
    for seq in node.store.rows_of(content)? {
        let Some((row, release, manifest)) = node.sound_release_at(seq)? else { continue };
        if manifest.origin != node.us || !manifest.kind.publishes() {
            continue;
        }
        let id = row.release;
        releases.insert(id);
        if node.standing.hold(&*node.store, id, content)?.is_none() {
            stands = true;
            sources.entry(id).or_insert(Source { id, manifest, contents: release.contents });
        }
    }
    Ok((releases, stands))
}

fn joined_label<'a>(sources: impl Iterator<Item = &'a Source>) -> Option<Label> {
    sources.map(|source| source.manifest.label.clone()).reduce(|joined, label| joined.join(&label))
}

/// A signed release whose one object is a notice about contents.
pub(super) fn notice_release(
    node: &Node,
    kind: Kind,
    label: Option<Label>,
    contents: &[ContentId],
    reason: &str,
    now: Time,
) -> Result<Arrival, Problem> {
    let internal =
        |error: &dyn std::error::Error| Problem::new(Code::BAD_REQUEST, mithaq_api::home::with_sources(error));
    let notice = Notice { contents: contents.iter().copied().collect(), reason: reason.to_owned() };
    let body = notice.to_body(now).map_err(|error| internal(&error))?;
    let own = body.facts().own_label(node.config.policy.tlp_default);
    let label = match label {
        Some(label) => Label { tlp: label.tlp, ..own }.join(&label),
        None => own,
    };
    let draft = ReleaseDraft { kind, ..ReleaseDraft::publish(label, vec![body.id()], now) };
    let release = node.sign(draft)?;
    Ok(Arrival { release, bodies: vec![body] })
}

fn hold_everywhere(
    node: &Node,
    content: ContentId,
    releases: &BTreeSet<ReleaseId>,
    by: ReleaseId,
    reason: &str,
    now: Time,
) -> Result<Vec<StateChange>, StoreError> {
    let (stix_id, kinds) = kept_of(facts_of(node, content)?.as_ref());
    let hold = Hold { cause: Cause::Withdrawn, at: now, by: Some(by), stix_id, note: reason.to_owned(), kinds };
    Ok(releases.iter().map(|release| hold.to_change(*release, content)).collect())
}

/// What of a release was not taken back, as a new release with the same label.
fn published_again(
    node: &Node,
    source: &Source,
    withdrawn: &BTreeSet<ContentId>,
    now: Time,
) -> Result<Option<Arrival>, Problem> {
    let holds = node.standing.holds(&*node.store, source.id).map_err(|error| push::store_problem(&error))?;
    let stays = |content: &&ContentId| !withdrawn.contains(content) && !holds.contains_key(content);
    let contents: Vec<ContentId> = source.contents.iter().filter(stays).copied().collect();
    if contents.is_empty() {
        return Ok(None);
    }
    let draft = ReleaseDraft {
        kind: source.manifest.kind,
        recipients: source.manifest.recipients.clone(),
        ..ReleaseDraft::publish(source.manifest.label.clone(), contents, now)
    };
    let release = node.sign(draft)?;
    Ok(Some(Arrival { release, bodies: Vec::new() }))
}

/// What another CERT's withdrawal changes here: state, and the bodies that nothing serves any more. Blocks.
pub(crate) fn apply_withdrawal(
    node: &Node,
    release: &VerifiedRelease,
    notice: &Notice,
) -> Result<(Vec<StateChange>, Purge), StoreError> {
    let Manifest { origin, published_at, .. } = *release.manifest();
    let (mut changes, mut purge) = (Vec::new(), Purge::default());
    node.standing.note_withdrawing(origin);
    for content in &notice.contents {
        let before = node.standing.withdrawal(&*node.store, origin, *content)?;
        if before.is_none_or(|(until, _)| until < published_at) {
            changes.push(withdrawal_change(origin, *content, published_at, release.id()));
        }
        let (stix_id, kinds) = kept_of(facts_of(node, *content)?.as_ref());
        let hold = Hold {
            cause: Cause::Withdrawn,
            at: clock::wall(),
            by: Some(release.id()),
            stix_id,
            note: notice.reason.clone(),
            kinds,
        };
        let (held, is_served) = void_releases(node, *content, origin, published_at)?;
        for id in held {
            node.standing.note_held(id);
            changes.push(hold.to_change(id, *content));
        }
        if !is_served {
            purge.contents.push(*content);
        }
    }
    Ok((changes, purge))
}

/// The releases of `origin`, until `until`, whose word on a content is void from now on, and whether any other release
/// still serves it or keeps it in quarantine.
fn void_releases(
    node: &Node,
    content: ContentId,
    origin: CertId,
    until: Time,
) -> Result<(Vec<ReleaseId>, bool), StoreError> {
    let (mut void, mut accepted, mut is_served, mut is_kept) = (Vec::new(), Vec::new(), false, false);
    for seq in node.store.rows_of(content)? {
        let Some((row, _, manifest)) = node.sound_release_at(seq)? else { continue };
        let hold = node.standing.hold(&*node.store, row.release, content)?;
        let stands = hold.as_ref().is_none_or(|hold| hold.cause != Cause::Withdrawn);
        match manifest.kind {
            Kind::Accept if stands => accepted.push(row.release),
            Kind::Publish | Kind::Tally if manifest.origin == origin && manifest.published_at <= until => {
                void.extend(stands.then_some(row.release));
            }
            Kind::Publish | Kind::Tally => {
                is_kept |= hold.as_ref().is_some_and(|hold| hold.cause.is_quarantine());
                is_served |= hold.is_none_or(|hold| hold.cause == Cause::Accepted);
            }
            kind if kind.is_echo() => {}
            // A notice goes on being told, whoever else has published its bytes.
            _ => is_kept = true,
        }
    }
    if !is_served {
        // What an operator accepted was this origin's word too.
        void.append(&mut accepted);
    }
    Ok((void, is_served || is_kept))
}

/// Publishes a revoked version of an object of ours: the same object, with `revoked` and a new `modified`. Blocks.
///
/// # Errors
/// When we hold no current version of it that is ours, it has no versions, or the store fails.
pub(crate) fn revoke(node: &Arc<Node>, stix_id: &str) -> Result<PushSummary, Problem> {
    let (content, label, audience) = current_of_ours(node, stix_id)?;
    let body = node.store.bodies(&[content]).map_err(|error| push::store_problem(&error))?.pop().flatten();
    let body =
        body.ok_or_else(|| Problem::new(Code::NOT_FOUND, format!("the object {stix_id} is not held any more")))?;
    let text = revoked_version(stix_id, &body)?;
    let query = PushQuery { tlp: Some(label.tlp.to_string()), atomic: true, ..PushQuery::default() };
    let mut refusals = Refusals(None);
    let summary = push::push_to(node, &text, &query, audience, &mut refusals)?;
    refusals.0.map_or(Ok(summary), Err)
}

/// Keeps the first refusal of a push.
struct Refusals(Option<Problem>);

impl push::Report for Refusals {
    fn object(&mut self, object: &PushedObject) {
        if let Some(problem) = &object.problem {
            self.0.get_or_insert_with(|| problem.clone());
        }
    }
}

/// The newest version that we published, the strictest label that we gave it, and the CERTs that it was for alone; none if
/// the agreements decided.
fn current_of_ours(node: &Node, stix_id: &str) -> Result<(ContentId, Label, BTreeSet<CertId>), Problem> {
    let failed = |error| push::store_problem(&error);
    let versions = node.store.versions(stix_id).map_err(failed)?;
    for versions in by_time(&versions).rev() {
        let mut newest: Option<(Rank, BTreeMap<ReleaseId, Source>)> = None;
        for version in versions {
            let mut sources = BTreeMap::new();
            own_releases(node, version.content, &mut sources).map_err(failed)?;
            let Some(at) = sources.values().map(|source| source.manifest.published_at).max() else { continue };
            let rank = Rank::new(version.version_nanos, at, version.content);
            if newest.as_ref().is_none_or(|(known, _)| rank > *known) {
                newest = Some((rank, sources));
            }
        }
        if let Some((rank, sources)) = newest
            && let Some(label) = joined_label(sources.values())
        {
            let everyone = sources.values().any(|source| source.manifest.recipients.is_empty());
            let named = sources.values().flat_map(|source| source.manifest.recipients.iter().copied());
            return Ok((rank.content(), label, if everyone { BTreeSet::new() } else { named.collect() }));
        }
    }
    let text = format!("no version of {stix_id} was published by us: only its owner can revoke it");
    Err(Problem::new(Code::NOT_OURS, text))
}

fn revoked_version(stix_id: &str, body: &[u8]) -> Result<Vec<u8>, Problem> {
    let unreadable = |_| Problem::new(Code::CORRUPT, format!("the object {stix_id} cannot be read"));
    let object = Object::parse(body).map_err(|_| Problem::new(Code::CORRUPT, format!("{stix_id} cannot be read")))?;
    if object.modified().is_none() {
        let text = format!("objects of type {} have no versions: use `mithaq withdraw`", object.object_type());
        return Err(Problem::new(Code::BAD_REQUEST, text));
    }
    if object.revoked() {
        return Err(Problem::new(Code::EXISTS, format!("{stix_id} is revoked already, and stays so")));
    }
    let mut value: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(body).map_err(unreadable)?;
    let now = clock::wall().to_string();
    value.insert("modified".into(), now.into());
    value.insert("revoked".into(), true.into());
    serde_json::to_vec(&value).map_err(unreadable)
}

/// The notice of a release that has one, read from its body or from the store.
pub(crate) fn notice_of(node: &Node, content: ContentId, bodies: &[Body]) -> Result<Option<Notice>, StoreError> {
    let came = bodies.iter().find(|body| body.id() == content).map(|body| body.bytes().to_vec());
    let bytes = match came {
        Some(bytes) => Some(bytes),
        None => node.store.bodies(&[content])?.pop().flatten(),
    };
    Ok(bytes.and_then(|bytes| Notice::from_bytes(&bytes).ok()))
}
