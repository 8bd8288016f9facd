//! What analysts look up: objects by id, and why something goes to a peer or not.

use std::sync::Arc;

use mithaq_api::http::{Given, Held, HeldBack, HeldRelease, Problem, Why, WhyQuery, WithdrawalState};
use mithaq_core::{
    code::Code,
    id::{ContentId, ReleaseId},
    stix::id::StixId,
};
use mithaq_store::{Holding, StoreError};
use serde_json::value::RawValue;

use super::{answer::Failed, around};
use crate::{
    feed::{Feed, Visibility},
    ledger::{self, Ledger},
    node::Node,
    outbox, push,
    standing::{Cause, Hold},
};

/// Every version of a STIX id, or the object with a content id. Blocks.
pub(super) fn show(node: &Arc<Node>, id: &str) -> Result<Vec<Held>, Failed> {
    let contents = contents_of(node, id)?;
    let held = contents.into_iter().map(|content| held(node, content)).collect::<Result<Vec<_>, _>>()?;
    let mut held: Vec<_> = held.into_iter().flatten().collect();
    for object in &mut held {
        around::add(node, object)?;
    }
    if held.is_empty() { Err(missing(node, id)?) } else { Ok(held) }
}

/// Why nothing is shown: what was here and is damaged may come again, what never was will not.
fn missing(node: &Node, id: &str) -> Result<Failed, StoreError> {
    let holding = id.parse().map_or(Ok(Holding::Unknown), |content| node.store.holding(content))?;
    Ok(match holding {
        Holding::Damaged => {
            let text = format!("the object {id} is damaged here: push it again, or ask the CERT that released it");
            Problem::new(Code::CORRUPT, text).into()
        }
        Holding::Purged => Failed::not_found(format!("the object {id} was held here and was purged")),
        _ => not_held(id),
    })
}

pub(super) fn not_held(id: &str) -> Failed {
    Failed::not_found(format!("nothing with the id {:?} is held here", id.chars().take(120).collect::<String>()))
}

pub(super) fn contents_of(node: &Node, id: &str) -> Result<Vec<ContentId>, Failed> {
    if let Ok(content) = id.parse() {
        return Ok(vec![content]);
    }
    let text: String = id.chars().take(120).collect();
    StixId::parse(id).map_err(|_| Failed::bad_request(format!("{text:?} is neither a STIX id nor a content id")))?;
    Ok(node.store.versions(id)?.into_iter().map(|version| version.content).collect())
}

/// Whether a release shows its object to our readers; what an operator accepted is shown, by a release of our own.
pub(super) fn is_served(release: &HeldRelease) -> bool {
    release.held.as_ref().is_none_or(|held| held.code == Code::ACCEPTED.to_string())
}

/// An object with the releases that name it.
pub(super) fn held(node: &Arc<Node>, content: ContentId) -> Result<Option<Held>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Named {
        id: String,
        r#type: String,
    }
    if node.store.holding(content)? == Holding::Staged {
        return Ok(None);
    }
    let Some(body) = node.store.bodies(&[content])?.into_iter().next().flatten() else { return Ok(None) };
    let damaged = || StoreError::Corrupt { what: format!("object {}", content.fmt_short()) };
    let text = String::from_utf8(body).map_err(|_| damaged())?;
    let Named { id, r#type } = serde_json::from_str(&text).map_err(|_| damaged())?;
    let object = RawValue::from_string(text).map_err(|_| damaged())?;
    // The store names ids as `StixId` writes them; what a body writes may have upper-case digits.
    let current = match StixId::parse(&id) {
        Ok(id) => {
            let served = Feed::new(Arc::clone(node), Visibility::ALL).current_of(id.as_str())?;
            served == Some(content)
        }
        Err(_) => false,
    };
    let releases = releases_of(node, content)?;
    let (cursor, corroboration, translations) = Default::default();
    Ok(Some(Held { id, object_type: r#type, content, current, releases, object, cursor, corroboration, translations }))
}

fn releases_of(node: &Node, content: ContentId) -> Result<Vec<HeldRelease>, StoreError> {
    let mut releases = Vec::new();
    for seq in node.store.rows_of(content)? {
        let Some((row, _, manifest)) = node.release_at(seq)? else { continue };
        if manifest.kind.is_local() {
            continue;
        }
        let hold = node.standing.hold(&*node.store, row.release, content)?;
        let by = hold.as_ref().filter(|hold| hold.cause == Cause::Withdrawn).and_then(|hold| hold.by);
        releases.push(HeldRelease {
            release: row.release,
            origin: manifest.origin,
            from: node.name_of(manifest.origin),
            label: manifest.label.to_string(),
            published_at: manifest.published_at,
            added_at: row.added_at,
            held: hold.map(held_back),
            given: given(node, row.release)?,
            withdrawal: match by {
                Some(release) => Some(WithdrawalState { release, given: given(node, release)? }),
                None => None,
            },
        });
    }
    Ok(releases)
}

fn held_back(hold: Hold) -> HeldBack {
    HeldBack { code: hold.cause.code().to_string(), reason: hold.note, since: hold.at }
}

/// The peers that were given a release, and what they said of it.
fn given(node: &Node, release: ReleaseId) -> Result<Vec<Given>, StoreError> {
    let mut given = Vec::new();
    for peer in ledger::peers(node)? {
        if let Some(place) = Ledger::new(node, peer).place(release)? {
            let receipt = place.receipt;
            given.push(Given {
                peer: node.name_of(peer),
                status: receipt.map(|receipt| receipt.status),
                at: receipt.map(|receipt| receipt.at),
            });
        }
    }
    given.sort_by(|a, b| a.peer.cmp(&b.peer));
    Ok(given)
}

/// Why an object or a release goes to a peer or not: the answer for the release that comes nearest. Blocks.
pub(super) fn why(node: &Arc<Node>, query: &WhyQuery) -> Result<Why, Failed> {
    let entry = node.peer_named(&query.peer).ok_or_else(|| no_such_peer(node, &query.peer))?;
    let mut answers = Vec::new();
    for seq in rows_for(node, &query.id)? {
        // What only speaks to our own readers goes nowhere, and says nothing of why.
        let found = node.release_at(seq)?.filter(|(.., manifest)| !manifest.kind.is_echo());
        if let Some((row, release, manifest)) = found {
            let decision = outbox::ask(node, row.release, &release, &manifest, &entry)?;
            let reasons = decision.reasons.iter().map(push::why_reason).collect();
            answers.push(Why { released: decision.released, reasons });
        }
    }
    let withheld = |why: &Why| why.reasons.iter().filter(|reason| !reason.ok).count();
    answers.sort_by_key(|why| (!why.released, withheld(why)));
    answers.into_iter().next().ok_or_else(|| not_held(&query.id))
}

/// The rows of the log that an id stands for.
fn rows_for(node: &Node, id: &str) -> Result<Vec<u64>, Failed> {
    if let Ok(release) = id.parse::<ReleaseId>()
        && let Some((seq, _)) = node.store.release(release)?
    {
        return Ok(vec![seq]);
    }
    let mut rows = Vec::new();
    for content in contents_of(node, id)? {
        rows.extend(node.store.rows_of(content)?);
    }
    Ok(rows)
}

pub(super) fn no_such_peer(node: &Node, name: &str) -> Failed {
    let known: Vec<_> = node.peers().iter().map(|entry| entry.peer.name.clone()).collect();
    let name: String = name.chars().take(40).collect();
    Problem::new(Code::NO_SUCH_PEER, format!("there is no peer {name:?}; known are: {}", known.join(", "))).into()
}
