//! What names a journal: all that the release rule reads beside a release, and that may come to permit more.
//!
//! A journal passes by what the rule withholds and never asks of it again. So whatever could have the rule answer otherwise
//! later is part of the journal's name, and begins another one.

use mithaq_core::{
    agreement::{Agreement, Onward, ThirdParty, VerifiedAgreement},
    id::{CertId, sha256_of},
    policy::LocalPolicy,
};

use crate::{
    clock,
    node::{Node, PeerEntry},
};

/// What names a journal beside its peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edition {
    /// All of it.
    pub(crate) name: [u8; 32],
    /// What of it the agreements with third origins are: these change for one peer and concern others. Our policy and
    /// consents do not change but for all peers, which are served anew then.
    origins: [u8; 32],
}

impl Edition {
    /// The edition that the journal towards a peer has under an agreement now.
    pub(crate) fn of(node: &Node, peer: CertId, agreement: &VerifiedAgreement) -> Self {
        let (policy, consents) = (policy_part(&node.local_policy()), node.consents.edition());
        let origins = origins_part(node, peer, agreement.agreement());
        // Without any the journals that there are keep their names.
        let name = sha256_of(&[agreement.id().as_bytes(), policy.as_bytes(), &consents, &origins]);
        Self { name, origins: sha256_of(&[&origins]) }
    }

    /// Whether third origins permit what they did when this edition was named, as far as it was not to be asked again.
    pub(crate) fn is_current(&self, node: &Node, peer: CertId, agreement: &VerifiedAgreement) -> bool {
        self.origins == sha256_of(&[&origins_part(node, peer, agreement.agreement())])
    }
}

fn policy_part(policy: &LocalPolicy) -> String {
    let categories = policy.categories.iter().flatten().map(|category| format!(" {category}"));
    let listed = if policy.categories.is_some() { " only" } else { "" };
    let onward = if policy.onward { "" } else { " no-onward" };
    format!("{}{listed}{}{onward}", policy.tlp_max, categories.collect::<String>())
}

/// The agreements under which third origins let something be passed on to the peer, one after the other.
///
/// One that has ended still counts: nothing more is passed on under it, and nothing ever will be, so that there is nothing
/// to be asked again. What comes after it has an id of its own.
fn origins_part(node: &Node, peer: CertId, terms: &Agreement) -> Vec<u8> {
    if !node.local_policy().onward || terms.third_party != ThirdParty::Accept {
        return Vec::new();
    }
    let of_third = |entry: &PeerEntry| {
        let agreement = entry.peer.agreement.as_ref().filter(|_| entry.cert() != peer)?;
        let is_read = permits(agreement.agreement(), entry.cert(), node.us, peer);
        is_read.then(|| [&b" origin "[..], entry.cert().as_bytes(), agreement.id().as_bytes()].concat())
    };
    let mut parts: Vec<_> = node.peers().iter().filter_map(|entry| of_third(entry)).collect();
    parts.sort_unstable();
    parts.concat()
}

/// Whether an agreement that has begun lets releases of `origin` be passed on to `peer`, be it only when the origin is asked.
fn permits(terms: &Agreement, origin: CertId, us: CertId, peer: CertId) -> bool {
    let flow = terms.flow_from(origin).filter(|_| terms.has_party(us) && terms.valid_from <= clock::wall());
    flow.is_some_and(|flow| match &flow.onward {
        Onward::Never => false,
        Onward::Listed(certs) => certs.contains(&peer),
        // Asked for, or something that this version does not know: another answer of the rule has another edition.
        _ => true,
    })
}
