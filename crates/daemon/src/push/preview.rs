//! What each peer would be released of a push.

use std::collections::{BTreeMap, BTreeSet};

use mithaq_api::http::Preview;
use mithaq_core::{
    consent::ConsentState,
    id::{CertId, ContentId},
    label::Label,
    policy::Subject,
    release::Kind,
};

use super::{Taken, why_reason};
use crate::{audience::Audiences, clock, node::Node, outbox};

/// The audience that a peer belongs to, else any: the rule tells who is left out.
fn audience_of(audiences: &[BTreeSet<CertId>], peer: CertId) -> &BTreeSet<CertId> {
    static EVERYONE: BTreeSet<CertId> = BTreeSet::new();
    audiences.iter().find(|audience| audience.contains(&peer)).or(audiences.first()).unwrap_or(&EVERYONE)
}

/// What each peer would be released of each label, whether we had released it before or not. Of a push that is carried out
/// only what the rule keeps from a CERT that is named: whoever names it must hear of that.
pub(super) fn preview(
    node: &Node,
    taken: &[Taken],
    labels: &[Label],
    recipients: &BTreeSet<CertId>,
    is_dry_run: bool,
) -> Vec<Preview> {
    let mut contents: BTreeMap<(&Label, &Audiences), BTreeSet<ContentId>> = BTreeMap::new();
    for (taken, label) in taken.iter().zip(labels) {
        contents.entry((label, &taken.audiences)).or_default().insert(taken.body.id());
    }
    let peers = node.peers();
    let published_at = clock::wall();
    let rows = contents.into_iter().flat_map(|((label, audiences), contents)| {
        let objects = contents.len();
        peers.iter().filter_map(move |entry| {
            let peer = entry.cert();
            let is_named = recipients.contains(&peer) || audiences.iter().any(|audience| audience.contains(&peer));
            if !is_dry_run && !is_named {
                return None;
            }
            let recipients = audience_of(audiences, peer);
            let (kind, origin) = (Kind::Publish, node.us);
            let subject = Subject { kind, origin, published_at, label, recipients, disclosed: false, held: false };
            let decision = outbox::decide(node, subject, ConsentState::None, entry);
            let withheld = decision.reasons.iter().filter(|reason| !reason.ok).map(why_reason).collect();
            (is_dry_run || !decision.released).then(|| Preview {
                peer: entry.peer.name.clone(),
                label: label.to_string(),
                objects,
                released: decision.released,
                reasons: withheld,
            })
        })
    });
    rows.collect()
}
