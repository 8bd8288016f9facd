//! One case that is put to the rule, with all its circumstances.

use mithaq_core::{
    agreement::{AgreementTerms, Onward, ThirdParty, VerifiedAgreement},
    consent::ConsentState,
    id::CertId,
    label::{Category, Label, SECTOR_UNSPECIFIED},
    policy::{Decision, Ending, LocalPolicy, Question, Subject, release},
    release::Kind,
    stix::Tlp,
    time::Time,
};
use std::{collections::BTreeSet, time::Duration};

use super::{PEER, THIRD, US};
use crate::cast::{flow, now, pact, terms, time};

/// What is asked, but for the agreement with the peer.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) kind: Kind,
    pub(super) label: Label,
    /// 1 is us, 2 the peer, 3 a third CERT.
    pub(super) origin: u8,
    /// Numbers as of origins.
    pub(super) recipients: BTreeSet<u8>,
    pub(super) disclosed: bool,
    pub(super) held: bool,
    pub(super) age_days: u32,
    /// Whether a party, by its number, has ended the agreement.
    pub(super) ended: Option<u8>,
    /// The third CERT's term on passing on, if we have an agreement with it.
    pub(super) origin_says: Option<Onward>,
    /// Whether that agreement is over.
    pub(super) origin_over: bool,
    pub(super) consent: ConsentState,
    pub(super) local: LocalPolicy,
    pub(super) at: Time,
}

pub(super) fn cert_of(number: u8) -> CertId {
    [&US, &PEER, &THIRD][usize::from(number - 1)].card.cert_id()
}

impl Case {
    /// The usual case of the table.
    pub(super) fn usual() -> Self {
        let mut label = Label::new(Tlp::Green, Category::Threat);
        label.sectors.insert(SECTOR_UNSPECIFIED.to_owned());
        Self {
            kind: Kind::Publish,
            label,
            origin: 1,
            recipients: BTreeSet::new(),
            disclosed: false,
            held: false,
            age_days: 0,
            ended: None,
            origin_says: None,
            origin_over: false,
            consent: ConsentState::None,
            local: LocalPolicy::default(),
            at: now(),
        }
    }

    pub(super) fn ask(&self, agreement: Option<&VerifiedAgreement>) -> Decision {
        self.ask_for(PEER.card.cert_id(), agreement)
    }

    pub(super) fn ask_for(&self, peer: CertId, agreement: Option<&VerifiedAgreement>) -> Decision {
        self.ask_between(US.card.cert_id(), peer, agreement, cert_of)
    }

    /// The same question at the peer, where we are the peer.
    pub(super) fn ask_as_the_peer(&self, agreement: &VerifiedAgreement) -> Decision {
        let mirrored = |number| cert_of([2, 1, 3][usize::from(number - 1)]);
        self.ask_between(PEER.card.cert_id(), US.card.cert_id(), Some(agreement), mirrored)
    }

    fn ask_between(
        &self,
        us: CertId,
        peer: CertId,
        agreement: Option<&VerifiedAgreement>,
        cert_of: impl Fn(u8) -> CertId,
    ) -> Decision {
        let with_origin = self.with_origin();
        let recipients = self.recipients.iter().map(|number| cert_of(*number)).collect();
        release(&Question {
            subject: Subject {
                kind: self.kind,
                origin: cert_of(self.origin),
                published_at: self.published_at(),
                label: &self.label,
                recipients: &recipients,
                disclosed: self.disclosed,
                held: self.held,
            },
            us,
            peer,
            agreement,
            ended: self.ended.map(|number| Ending { at: self.at, by: cert_of(number) }),
            with_origin: with_origin.as_ref(),
            consent: self.consent,
            local: &self.local,
            now: self.at,
        })
    }

    fn published_at(&self) -> Time {
        let age = Duration::from_secs(u64::from(self.age_days) * 24 * 60 * 60);
        Time::from_micros(self.at.as_micros() - i64::try_from(age.as_micros()).unwrap())
    }

    fn with_origin(&self) -> Option<VerifiedAgreement> {
        let onward = self.origin_says.clone()?;
        let mut terms = AgreementTerms { flow: mithaq_core::agreement::Flow { onward, ..flow() }, ..terms() };
        if self.origin_over {
            terms.valid_until = time("2026-02-01T00:00:00Z");
        }
        Some(pact(&US, &THIRD, terms))
    }
}

/// The rule in one expression, for the tests to hold it against; of what publishes alone.
pub(super) fn expected(case: &Case, terms: &AgreementTerms) -> bool {
    let (label, flow) = (&case.label, &terms.flow);
    let level = label.level();
    is_open(case, terms)
        && level <= flow.tlp_max.min(case.local.tlp_max)
        && match level {
            Tlp::Clear => true,
            Tlp::Green => terms.community.is_some(),
            Tlp::Amber | Tlp::AmberStrict => case.origin == 1,
            Tlp::Red => case.origin == 1 && case.recipients.contains(&2),
        }
        && is_passed_on(case, terms)
        && is_content_listed(case, terms)
}

fn is_open(case: &Case, terms: &AgreementTerms) -> bool {
    (terms.valid_from..=terms.valid_until).contains(&case.at)
        && case.ended.is_none()
        && !case.held
        && (case.recipients.is_empty() || case.recipients.contains(&2))
}

fn is_passed_on(case: &Case, terms: &AgreementTerms) -> bool {
    let in_force = !case.origin_over && case.at <= time("2026-12-31T00:00:00Z") && case.at >= terms.valid_from;
    let says = case.origin_says.as_ref().filter(|_| in_force);
    match case.origin {
        1 => true,
        2 => false,
        _ => {
            case.local.onward
                && terms.third_party == ThirdParty::Accept
                && case.consent != ConsentState::Denied
                && match says {
                    Some(Onward::Listed(certs)) => certs.contains(&cert_of(2)),
                    Some(Onward::Ask) => case.consent == ConsentState::Granted,
                    _ => false,
                }
        }
    }
}

fn is_content_listed(case: &Case, terms: &AgreementTerms) -> bool {
    use mithaq_core::{
        agreement::{IepTerm, Permission, PersonalData, Scope, SightingTerm},
        stix::marking::Attribution,
    };
    let (label, flow) = (&case.label, &terms.flow);
    !label.categories.is_empty()
        && label.categories.is_subset(&flow.categories)
        && case.local.categories.as_ref().is_none_or(|local| label.categories.is_subset(local))
        && (flow.sightings == SightingTerm::Full || !label.categories.contains(&Category::Sighting))
        && label.markings.is_subset(&flow.markings)
        && (!label.statements || flow.statements == Permission::Allow)
        && label.pap.is_none_or(|level| level <= flow.pap_max)
        && (!label.personal || flow.personal_data == PersonalData::Allow)
        && label.confidence >= flow.confidence_min
        && flow.age_days_max.is_none_or(|days| case.age_days <= days)
        && label.iep.as_ref().is_none_or(|policy| {
            flow.iep == IepTerm::Honour
                && policy.is_in_force(case.at)
                && (case.origin == 1 || (policy.unmodified_resale && policy.attribution != Attribution::MustNot))
        })
        && match &flow.sectors {
            Scope::Any => true,
            Scope::Only(sectors) => !label.sectors.is_empty() && label.sectors.is_subset(sectors),
        }
}
