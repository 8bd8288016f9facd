//! The CERTs of the worlds, and their agreements as they have signed them.

use std::sync::LazyLock;

use mithaq_core::{
    agreement::{
        self, Agreement, AgreementTerms, Group, Party, PersonalData, Scope, SignedAgreement, ThirdParty,
        VerifiedAgreement,
    },
    id::{CertId, ContentId},
    policy::LocalPolicy,
    time::Time,
};

use super::{
    oracle::DAY,
    plan::{CERTS_MAX, Local, Onward, Pact, Terms},
};
use crate::cast::{Cert, cert, flow, terms, time};

pub(super) static CERTS: LazyLock<Vec<Cert>> = LazyLock::new(|| (1..=8).map(cert).collect());

pub(super) fn id_of(cert: usize) -> CertId {
    CERTS[cert].card.cert_id()
}

pub(super) fn number_of(id: CertId) -> usize {
    (0..CERTS_MAX).find(|cert| id_of(*cert) == id).unwrap()
}

/// A moment, from seconds since the beginning of the world.
pub(super) fn moment(seconds: i64) -> Time {
    Time::from_micros(time("2026-03-01T00:00:00Z").as_micros() + seconds * 1_000_000)
}

pub(super) fn content_of(content: u8) -> ContentId {
    ContentId::from_bytes([content + 1; 32])
}

pub(super) fn local_policy(local: &Local) -> LocalPolicy {
    LocalPolicy { tlp_max: local.tlp_max, categories: None, onward: local.onward }
}

/// The agreement, signed by all of its members.
pub(super) fn agree(pact: &Pact) -> VerifiedAgreement {
    let certs: Vec<&Cert> = pact.members.iter().map(|member| &CERTS[*member]).collect();
    let mut signed = SignedAgreement::draft(terms_of(pact)).unwrap();
    certs.iter().for_each(|cert| signed.sign(&cert.signing));
    if pact.is_group {
        let cards: Vec<_> = certs.iter().map(|cert| &cert.card).collect();
        signed.verify_group(&cards, None).unwrap()
    } else {
        signed.verify(&certs[0].card, &certs[1].card).unwrap()
    }
}

fn terms_of(pact: &Pact) -> Agreement {
    let day = |days: i64| moment(days * DAY);
    let terms = AgreementTerms {
        community: pact.community.then(|| "APCERT".to_owned()),
        third_party: if pact.third_party { ThirdParty::Accept } else { ThirdParty::Refuse },
        valid_from: day(pact.from_day),
        valid_until: day(pact.until_day),
        flow: flow_of(&pact.flows[0]),
        ..terms()
    };
    let parties = pact.members.iter().map(|member| Party::new(id_of(*member))).collect();
    if pact.is_group {
        let group = Group { name: "group".to_owned(), threshold: 1 };
        return Agreement::of_group(parties, group, terms).unwrap();
    }
    let mut agreement = Agreement::new(id_of(pact.members[0]), id_of(pact.members[1]), terms).unwrap();
    for flow in &mut agreement.flows {
        let from = flow.from;
        *flow = agreement::Flow { from, ..flow_of(pact.flow_from(number_of(from.unwrap()))) };
    }
    agreement
}

fn flow_of(terms: &Terms) -> agreement::Flow {
    agreement::Flow {
        tlp_max: terms.tlp_max,
        categories: terms.categories.clone(),
        sectors: if terms.banking_only { Scope::Only(["banking".to_owned()].into()) } else { Scope::Any },
        age_days_max: terms.age_days_max,
        personal_data: if terms.personal { PersonalData::Allow } else { PersonalData::Deny },
        onward: match &terms.onward {
            Onward::Never => agreement::Onward::Never,
            Onward::Ask => agreement::Onward::Ask,
            Onward::Listed(certs) => agreement::Onward::Listed(certs.iter().map(|cert| id_of(*cert)).collect()),
        },
        ..flow()
    }
}
