//! What operators and analysts decide about what was released: withdrawals, revocations, the quarantine, consents.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use axum::{extract::State, response::Response};
use mithaq_api::http::{
    ConsentQuery, PeerPreview, PreviewQuery, PreviewReason, QuarantineDecided, QuarantineQuery, RevokeQuery,
    WithdrawQuery, Withdrawn,
};
use mithaq_core::{
    code::Code,
    consent::Answer,
    id::{CertId, ContentId, ReleaseId},
    policy::Decision,
    release::{Kind, SignedRelease},
};
use mithaq_store::{Holding, StoreError};

use super::{
    answer::{self, Ask, Failed, blocking},
    control::Control,
    lookup,
};
use crate::{
    clock, consents,
    node::{Node, PeerEntry},
    outbox, standing,
};

/// The most rows that the quarantine shows.
const QUARANTINE_ROWS: usize = 10_000;

/// How many rows of the log are read at a time.
const ROWS: usize = 256;

/// Takes back what we published.
pub(super) async fn withdraw(
    State(control): State<Control>,
    Ask(query): Ask<WithdrawQuery>,
) -> Result<Response, Failed> {
    let node = control.node;
    let done = blocking(move || {
        let contents = targets(&node, &query.id)?;
        let done = standing::withdraw(&node, &contents, &query.reason)?;
        // The counts of sightings go with them and are nobody's objects.
        let objects = done.contents.intersection(&contents).count();
        Ok::<_, Failed>(Withdrawn { objects, releases: done.releases })
    });
    Ok(answer::json(&done.await??))
}

/// The contents that an id stands for: all objects of a release, one content, or all versions of a STIX id.
fn targets(node: &Node, id: &str) -> Result<BTreeSet<ContentId>, Failed> {
    if let Ok(release) = id.parse::<ReleaseId>()
        && let Some((_, release)) = node.store.release(release)?
    {
        return Ok(release.contents.into_iter().collect());
    }
    let mut contents: BTreeSet<ContentId> = lookup::contents_of(node, id)?.into_iter().collect();
    if let Ok(content) = id.parse::<ContentId>()
        && matches!(node.store.holding(content)?, Holding::Unknown | Holding::Staged)
    {
        contents.clear();
    }
    if contents.is_empty() { Err(lookup::not_held(id)) } else { Ok(contents) }
}

/// Publishes a revoked version of an object of ours.
pub(super) async fn revoke(State(control): State<Control>, Ask(query): Ask<RevokeQuery>) -> Result<Response, Failed> {
    let summary = blocking(move || standing::revoke(&control.node, &query.id)).await??;
    Ok(answer::json(&summary))
}

/// What is in quarantine.
pub(super) async fn quarantine(State(control): State<Control>) -> Result<Response, Failed> {
    let rows = blocking(move || standing::list(&control.node, QUARANTINE_ROWS)).await??;
    Ok(answer::lines(rows))
}

/// Serves what is in quarantine.
pub(super) async fn accept(
    State(control): State<Control>,
    Ask(query): Ask<QuarantineQuery>,
) -> Result<Response, Failed> {
    let releases = blocking(move || standing::accept(&control.node, query.content)).await??;
    Ok(answer::json(&QuarantineDecided { releases }))
}

/// Drops what is in quarantine.
pub(super) async fn discard(
    State(control): State<Control>,
    Ask(query): Ask<QuarantineQuery>,
) -> Result<Response, Failed> {
    let releases = blocking(move || standing::discard(&control.node, query.content)).await??;
    Ok(answer::json(&QuarantineDecided { releases }))
}

/// The requests for consent, with their answers.
pub(super) async fn consents(State(control): State<Control>) -> Result<Response, Failed> {
    let rows = blocking(move || consents::list(&control.node)).await??;
    Ok(answer::lines(rows))
}

/// Answers a peer's request for consent.
pub(super) async fn consent(State(control): State<Control>, Ask(query): Ask<ConsentQuery>) -> Result<Response, Failed> {
    let node = control.node;
    let done = blocking(move || {
        let via = node.peer_named(&query.via).ok_or_else(|| lookup::no_such_peer(&node, &query.via))?;
        let third = third_cert(&node, &query.to)?;
        let verdict = if query.grant { Answer::Grant } else { Answer::Deny };
        let until = clock::wall().plus(std::time::Duration::from_secs(u64::from(query.days) * 24 * 60 * 60));
        consents::answer(&node, via.cert(), third, verdict, until)?;
        Ok::<_, Failed>(consents::list(&node)?)
    });
    Ok(answer::lines(done.await??))
}

fn third_cert(node: &Node, text: &str) -> Result<CertId, Failed> {
    if let Ok(cert) = text.parse() {
        return Ok(cert);
    }
    if let Some(entry) = node.peer_named(text) {
        return Ok(entry.cert());
    }
    let rows = consents::list(node)?;
    let row = rows.into_iter().find(|row| row.to == text);
    Ok(row.ok_or_else(|| lookup::no_such_peer(node, text))?.to_cert)
}

/// What a peer may have of all that we hold.
pub(super) async fn preview(State(control): State<Control>, Ask(query): Ask<PreviewQuery>) -> Result<Response, Failed> {
    let node = control.node;
    let preview = blocking(move || {
        let entry = node.peer_named(&query.peer).ok_or_else(|| lookup::no_such_peer(&node, &query.peer))?;
        Ok::<_, Failed>(preview_for(&node, &entry)?)
    });
    Ok(answer::json(&preview.await??))
}

/// What a peer may have, by object: one that several releases name may go with the first that may.
#[derive(Default)]
struct Outlook {
    released: HashSet<ContentId>,
    withheld: HashMap<ContentId, BTreeSet<Code>>,
    releases: u64,
}

fn preview_for(node: &Node, entry: &PeerEntry) -> Result<PeerPreview, StoreError> {
    let mut outlook = Outlook::default();
    let mut after = 0;
    loop {
        let rows = node.store.log(after, ROWS)?;
        let Some(last) = rows.last() else { return Ok(outlook.tell(&entry.peer.name)) };
        after = last.seq;
        for row in rows {
            if let Some((row, release, manifest)) = node.sound_release_at(row.seq)?
                && manifest.kind.publishes()
            {
                let decision = outbox::ask(node, row.release, &release, &manifest, entry)?;
                // A count that stays is no loss: its sighting is looked at by itself.
                if manifest.kind == Kind::Publish || decision.released {
                    outlook.note(&release, &decision);
                }
            }
        }
    }
}

impl Outlook {
    fn note(&mut self, release: &SignedRelease, decision: &Decision) {
        if decision.released {
            self.releases += 1;
            self.released.extend(&release.contents);
            return;
        }
        let codes: BTreeSet<Code> =
            decision.reasons.iter().filter(|reason| !reason.ok).map(|reason| reason.code).collect();
        for content in &release.contents {
            self.withheld.entry(*content).or_insert_with(|| codes.clone());
        }
    }

    fn tell(mut self, peer: &str) -> PeerPreview {
        self.withheld.retain(|content, _| !self.released.contains(content));
        let mut counts: BTreeMap<Code, u64> = BTreeMap::new();
        self.withheld.values().flatten().for_each(|code| *counts.entry(*code).or_default() += 1);
        let titled = |(code, objects): (Code, u64)| PreviewReason {
            code: code.to_string(),
            title: code.explain().map_or_else(String::new, |explanation| explanation.title.to_owned()),
            objects,
        };
        let mut reasons: Vec<_> = counts.into_iter().map(titled).collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.objects));
        PeerPreview {
            peer: peer.to_owned(),
            released: self.released.len() as u64,
            withheld: self.withheld.len() as u64,
            releases: self.releases,
            reasons,
        }
    }
}
