//! The quarantine: what arrived and is not served until an operator decides.

use mithaq_api::http::{Problem, QuarantineRow};
use mithaq_core::{
    card::{Card, RevokedKey},
    code::Code,
    id::{CertId, ContentId, KeyId, ReleaseId},
    label::Label,
    notice::NOTICE_CONTENTS_MAX,
    release::{Kind, Manifest, ReleaseDraft},
    time::Time,
};
use mithaq_store::{Arrival, Batch, Purge, StateChange, StoreError};

use super::{Cause, HOLD, Hold, hold_key, judge::facts_of, kept_of, read_hold, retract::notice_release};
use crate::{clock, node::Node, push::store_problem};

/// Before the mark of a revocation that was carried out: CERT, key, since.
const REVOKED: &[u8] = b"kr/";

/// How many rows of the log are looked at together.
const ROWS: usize = 256;

/// What is in quarantine, at most `limit` rows. Blocks.
pub(crate) fn list(node: &Node, limit: usize) -> Result<Vec<QuarantineRow>, StoreError> {
    let mut rows = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    while rows.len() < limit {
        let read = node.store.state_range(HOLD, after.as_deref(), super::ROWS)?;
        let Some((last, _)) = read.last() else { break };
        after = Some(last.clone());
        for (key, value) in &read {
            rows.extend(row(node, key, &read_hold(value)?)?);
        }
    }
    rows.truncate(limit);
    Ok(rows)
}

fn row(node: &Node, key: &[u8], hold: &Hold) -> Result<Option<QuarantineRow>, StoreError> {
    let Some((release, content)) = ids_of(key).filter(|_| hold.cause.is_quarantine()) else { return Ok(None) };
    let manifest = manifest_of(node, release)?;
    Ok(Some(QuarantineRow {
        content,
        id: hold.stix_id.clone(),
        release,
        from: manifest.as_ref().map_or_else(String::new, |manifest| node.name_of(manifest.origin)),
        label: manifest.map_or_else(String::new, |manifest| manifest.label.to_string()),
        code: hold.cause.code().to_string(),
        reason: hold.note.clone(),
        since: hold.at,
    }))
}

fn ids_of(key: &[u8]) -> Option<(ReleaseId, ContentId)> {
    let (release, content) = key.strip_prefix(HOLD)?.split_first_chunk::<32>()?;
    Some((ReleaseId::from_bytes(*release), ContentId::from_bytes(content.try_into().ok()?)))
}

fn manifest_of(node: &Node, release: ReleaseId) -> Result<Option<Manifest>, StoreError> {
    Ok(node.store.release(release)?.and_then(|(_, release)| release.stored_manifest().ok()))
}

/// Serves a content that is in quarantine, in all the releases that name it. Blocks.
///
/// # Errors
/// When it is not in quarantine, or the store fails.
pub(crate) fn accept(node: &Node, content: ContentId) -> Result<usize, Problem> {
    let _turn = node.publishing.turn(vec![content]);
    let held = held_rows(node, content)?;
    let label = held.iter().map(|(.., manifest)| manifest.label.clone()).reduce(|joined, label| joined.join(&label));
    let label = label.ok_or_else(|| not_in_quarantine(content))?;
    let draft = ReleaseDraft { kind: Kind::Accept, ..ReleaseDraft::publish(label, vec![content], clock::wall()) };
    let release = node.sign(draft)?;
    let mut batch = Batch::default();
    for (release_held, value, _) in &held {
        let hold = read_hold(value).map_err(|error| store_problem(&error))?;
        let note = format!("accepted; it was {}: {}", hold.cause.code(), hold.note);
        let accepted = Hold { cause: Cause::Accepted, at: clock::wall(), by: Some(release.id()), note, ..hold };
        batch.state.push(accepted.to_change(*release_held, content));
    }
    batch.arrivals.push(Arrival { release, bodies: Vec::new() });
    node.commit(batch).map_err(|error| store_problem(&error))?;
    Ok(held.len())
}

/// Drops a content that is in quarantine: its body goes, unless a release that stands serves it. Blocks.
///
/// # Errors
/// When it is not in quarantine, or the store fails.
pub(crate) fn discard(node: &Node, content: ContentId) -> Result<usize, Problem> {
    let _turn = node.publishing.turn(vec![content]);
    let held = held_rows(node, content)?;
    let mut batch = Batch::default();
    for (release, value, _) in &held {
        let hold = read_hold(value).map_err(|error| store_problem(&error))?;
        let note = format!("dropped; it was {}: {}", hold.cause.code(), hold.note);
        let dropped = Hold { cause: Cause::Dropped, at: clock::wall(), note, ..hold };
        batch.state.push(dropped.to_change(*release, content));
    }
    if !is_served(node, content, None).map_err(|error| store_problem(&error))? {
        batch.purge = Purge { contents: vec![content], ..Purge::default() };
    }
    node.commit(batch).map_err(|error| store_problem(&error))?;
    Ok(held.len())
}

/// The releases in which a content is in quarantine, with the hold as it is stored.
fn held_rows(node: &Node, content: ContentId) -> Result<Vec<(ReleaseId, Vec<u8>, Manifest)>, Problem> {
    let read = || -> Result<_, StoreError> {
        let mut held = Vec::new();
        for seq in node.store.rows_of(content)? {
            let Some((row, _, manifest)) = node.release_at(seq)? else { continue };
            let Some(value) = node.store.state(&hold_key(row.release, content))? else { continue };
            if read_hold(&value)?.cause.is_quarantine() {
                held.push((row.release, value, manifest));
            }
        }
        Ok(held)
    };
    let held = read().map_err(|error| store_problem(&error))?;
    if held.is_empty() { Err(not_in_quarantine(content)) } else { Ok(held) }
}

fn not_in_quarantine(content: ContentId) -> Problem {
    let text = format!("the object {content} is not in quarantine: `mithaq quarantine list` shows what is");
    Problem::new(Code::NOT_FOUND, text)
}

/// The releases of our own that serve a content which an operator accepted.
fn accepting(node: &Node, content: ContentId) -> Result<Vec<ReleaseId>, StoreError> {
    let mut accepting = Vec::new();
    for seq in node.store.rows_of(content)? {
        let Some((row, _, manifest)) = node.sound_release_at(seq)? else { continue };
        if manifest.kind == Kind::Accept && node.standing.hold(&*node.store, row.release, content)?.is_none() {
            accepting.push(row.release);
        }
    }
    Ok(accepting)
}

/// Whether a published release other than `but` serves a content.
fn is_served(node: &Node, content: ContentId, but: Option<ReleaseId>) -> Result<bool, StoreError> {
    for seq in node.store.rows_of(content)? {
        let Some((row, _, manifest)) = node.sound_release_at(seq)? else { continue };
        if Some(row.release) != but
            && manifest.kind.publishes()
            && node.standing.hold(&*node.store, row.release, content)?.is_none()
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts into quarantine what the keys that a CERT's card revokes have signed since, and has readers look again; each
/// revocation once, which a mark in the store tells, so that it is carried out however the card came here. Blocks.
pub(crate) fn quarantine_revoked(node: &Node, cert: CertId, card: &Card) {
    for revoked in &card.revoked_keys {
        let (origin, key) = (node.name_of(cert), revoked.key.fmt_short());
        match carry_out(node, cert, revoked) {
            Ok(None) => {}
            Ok(Some(objects)) => {
                tracing::warn!(origin, key, objects, "a key was revoked: what it signed since is in quarantine");
            }
            Err(problem) => tracing::error!(origin, key, reason = problem.message, "a quarantine failed"),
        }
    }
}

/// How many objects a revocation put into quarantine; `None` if it was carried out before.
fn carry_out(node: &Node, cert: CertId, revoked: &RevokedKey) -> Result<Option<usize>, Problem> {
    let since = revoked.since.as_micros().to_be_bytes();
    let mark = [REVOKED, cert.as_bytes(), revoked.key.as_bytes(), &since].concat();
    if node.store.state(&mark).map_err(|error| store_problem(&error))?.is_some() {
        return Ok(None);
    }
    let objects = quarantine_key(node, cert, revoked.key, revoked.since)?;
    let change = StateChange::set(mark, vec![1]);
    node.commit(Batch { state: vec![change], ..Batch::default() }).map_err(|error| store_problem(&error))?;
    Ok(Some(objects))
}

fn quarantine_key(node: &Node, origin: CertId, key: KeyId, since: Time) -> Result<usize, Problem> {
    let failed = |error| store_problem(&error);
    let (mut after, mut count) = (0, 0);
    loop {
        let rows = node.store.log(after, ROWS).map_err(failed)?;
        let Some(last) = rows.last() else { return Ok(count) };
        after = last.seq;
        for row in rows {
            let Some(manifest) = manifest_of(node, row.release).map_err(failed)? else { continue };
            let is_void = manifest.origin == origin && manifest.key == key && manifest.published_at >= since;
            if is_void && manifest.kind.publishes() {
                let note = format!("key {} is revoked since {since}", key.fmt_short());
                count += quarantine_release(node, row.release, manifest.label, &note)?;
            }
        }
    }
}

fn quarantine_release(node: &Node, release: ReleaseId, label: Label, note: &str) -> Result<usize, Problem> {
    let Some((_, signed)) = node.store.release(release).map_err(|error| store_problem(&error))? else { return Ok(0) };
    let _turn = node.publishing.turn(signed.contents.clone());
    take_from_readers(node, release, signed.contents, label, Cause::KeyRevoked, note)
}

/// Serves contents of a release no longer, has readers look again, and drops the bodies that nothing else serves. The
/// caller has the turn of these contents. Blocks.
pub(crate) fn expire(
    node: &Node,
    release: ReleaseId,
    contents: Vec<ContentId>,
    label: Label,
    note: &str,
) -> Result<usize, Problem> {
    take_from_readers(node, release, contents, label, Cause::Expired, note)
}

fn take_from_readers(
    node: &Node,
    release: ReleaseId,
    contents: Vec<ContentId>,
    label: Label,
    cause: Cause,
    note: &str,
) -> Result<usize, Problem> {
    let failed = |error| store_problem(&error);
    let holds = node.standing.holds(&*node.store, release).map_err(failed)?;
    // At the end of retention what is in quarantine goes too.
    let goes = |held: Cause| held == Cause::Accepted || (cause == Cause::Expired && held.is_quarantine());
    let is_free = |content: &ContentId| holds.get(content).is_none_or(|hold| goes(hold.cause));
    let contents: Vec<ContentId> = contents.into_iter().filter(is_free).collect();
    for part in contents.chunks(NOTICE_CONTENTS_MAX) {
        let arrival = notice_release(node, Kind::Review, Some(label.clone()), part, note, clock::wall())?;
        let by = Some(arrival.release.id());
        let mut batch = Batch { arrivals: vec![arrival], ..Batch::default() };
        for content in part {
            let (stix_id, kinds) = kept_of(facts_of(node, *content).map_err(failed)?.as_ref());
            let hold = Hold { cause, at: clock::wall(), by, stix_id, note: note.to_owned(), kinds };
            batch.state.push(hold.to_change(release, *content));
            for accepted in accepting(node, *content).map_err(failed)? {
                // What an operator accepted was that origin's word.
                node.standing.note_held(accepted);
                batch.state.push(hold.to_change(accepted, *content));
            }
            if cause == Cause::Expired && !is_served(node, *content, Some(release)).map_err(failed)? {
                batch.purge.contents.push(*content);
            }
        }
        node.standing.note_held(release);
        node.commit(batch).map_err(failed)?;
    }
    Ok(contents.len())
}
