//! What analysts look up: objects by id and by value, and why something goes to a peer or not.

use std::sync::Arc;

use mithaq_api::http::{Held, HeldRelease, Problem, SEARCH_LIMIT_MAX, SearchQuery, Why, WhyQuery};
use mithaq_core::{
    code::Code,
    id::{ContentId, ReleaseId},
    release::Manifest,
    stix::{id::StixId, observable::Observable},
};
use mithaq_store::{Holding, StoreError};
use serde_json::value::RawValue;

use super::answer::Failed;
use crate::{
    node::{Node, PeerEntry},
    outbox, push,
};

/// How many results a search gives unless asked otherwise.
const SEARCH_LIMIT: usize = 100;

/// Every version of a STIX id, or the object with a content id. Blocks.
pub(super) fn show(node: &Node, id: &str) -> Result<Vec<Held>, Failed> {
    let contents = contents_of(node, id)?;
    let held = contents.into_iter().map(|content| held(node, content)).collect::<Result<Vec<_>, _>>()?;
    let held: Vec<_> = held.into_iter().flatten().collect();
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

fn not_held(id: &str) -> Failed {
    Failed::not_found(format!("nothing with the id {:?} is held here", id.chars().take(120).collect::<String>()))
}

fn contents_of(node: &Node, id: &str) -> Result<Vec<ContentId>, Failed> {
    if let Ok(content) = id.parse() {
        return Ok(vec![content]);
    }
    let text: String = id.chars().take(120).collect();
    StixId::parse(id).map_err(|_| Failed::bad_request(format!("{text:?} is neither a STIX id nor a content id")))?;
    Ok(node.store.versions(id)?.into_iter().map(|version| version.content).collect())
}

/// Objects that carry a value. Blocks.
pub(super) fn search(node: &Node, query: &SearchQuery) -> Result<Vec<Held>, Failed> {
    let limit = query.limit.unwrap_or(SEARCH_LIMIT);
    if !(1..=SEARCH_LIMIT_MAX).contains(&limit) {
        return Err(Failed::bad_request(format!("limit is 1 to {SEARCH_LIMIT_MAX}")));
    }
    let observables = Observable::from_query(&query.value);
    let mut contents = Vec::new();
    for observable in &observables {
        contents.extend(node.store.observed(observable, limit)?);
    }
    contents.sort_unstable();
    contents.dedup();
    let held = contents.into_iter().take(limit).map(|content| held(node, content));
    let held: Vec<_> = held.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    if held.is_empty() {
        let value: String = query.value.chars().take(120).collect();
        return Err(Failed::not_found(format!("no object here carries {value:?}")));
    }
    Ok(held)
}

/// An object with the releases that name it.
fn held(node: &Node, content: ContentId) -> Result<Option<Held>, StoreError> {
    #[derive(serde::Deserialize)]
    struct Named {
        id: String,
        r#type: String,
    }
    let Some(body) = node.store.bodies(&[content])?.into_iter().next().flatten() else { return Ok(None) };
    let damaged = || StoreError::Corrupt { what: format!("object {}", content.fmt_short()) };
    let text = String::from_utf8(body).map_err(|_| damaged())?;
    let Named { id, r#type } = serde_json::from_str(&text).map_err(|_| damaged())?;
    let object = RawValue::from_string(text).map_err(|_| damaged())?;
    // The store names ids as `StixId` writes them; what a body writes may have upper-case digits.
    let current = match StixId::parse(&id) {
        Ok(id) => is_current(node, content, id.as_str())?,
        Err(_) => false,
    };
    Ok(Some(Held { id, object_type: r#type, content, current, releases: releases_of(node, content)?, object }))
}

/// Whether no newer version of the object's id is held; of versions with one time, the smaller content id is current.
fn is_current(node: &Node, content: ContentId, id: &str) -> Result<bool, StoreError> {
    let versions = node.store.versions(id)?;
    let newest = versions.iter().map(|version| version.version_nanos).max();
    let current = versions.iter().find(|version| Some(version.version_nanos) == newest);
    Ok(current.is_some_and(|version| version.content == content))
}

fn releases_of(node: &Node, content: ContentId) -> Result<Vec<HeldRelease>, StoreError> {
    let mut releases = Vec::new();
    for seq in node.store.rows_of(content)? {
        if let Some((row, _, manifest)) = node.release_at(seq)? {
            releases.push(HeldRelease {
                release: row.release,
                origin: manifest.origin,
                from: node.name_of(manifest.origin),
                label: manifest.label.to_string(),
                published_at: manifest.published_at,
                added_at: row.added_at,
            });
        }
    }
    Ok(releases)
}

/// Why an object or a release goes to a peer or not: the answer for the release that comes nearest. Blocks.
pub(super) fn why(node: &Arc<Node>, query: &WhyQuery) -> Result<Why, Failed> {
    let entry = node.peer_named(&query.peer).ok_or_else(|| no_such_peer(node, &query.peer))?;
    let manifests = manifests_for(node, &query.id)?;
    let mut answers: Vec<Why> = manifests.iter().map(|manifest| answer(node, &entry, manifest)).collect();
    let withheld = |why: &Why| why.reasons.iter().filter(|reason| !reason.ok).count();
    answers.sort_by_key(|why| (!why.released, withheld(why)));
    answers.into_iter().next().ok_or_else(|| not_held(&query.id))
}

fn answer(node: &Node, entry: &PeerEntry, manifest: &Manifest) -> Why {
    let agreement = entry.peer.agreement.as_ref();
    let decision = outbox::decide(node, &manifest.label, manifest.origin, entry.cert(), agreement);
    Why { released: decision.released, reasons: decision.reasons.iter().map(push::why_reason).collect() }
}

fn manifests_for(node: &Node, id: &str) -> Result<Vec<Manifest>, Failed> {
    if let Ok(release) = id.parse::<ReleaseId>()
        && let Some((seq, _)) = node.store.release(release)?
    {
        return Ok(node.release_at(seq)?.into_iter().map(|(_, _, manifest)| manifest).collect());
    }
    let mut manifests = Vec::new();
    for content in contents_of(node, id)? {
        for seq in node.store.rows_of(content)? {
            manifests.extend(node.release_at(seq)?.map(|(_, _, manifest)| manifest));
        }
    }
    Ok(manifests)
}

fn no_such_peer(node: &Node, name: &str) -> Failed {
    let known: Vec<_> = node.peers().iter().map(|entry| entry.peer.name.clone()).collect();
    let name: String = name.chars().take(40).collect();
    Problem::new(Code::NO_SUCH_PEER, format!("there is no peer {name:?}; known are: {}", known.join(", "))).into()
}
