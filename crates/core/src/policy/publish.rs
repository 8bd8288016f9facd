//! The steps for what publishes.

use std::time::Duration;

use mithaq_stix::marking::{Attribution, Tlp};

use super::{Question, Trace, content, onward};
use crate::{
    agreement::{Flow, IepTerm, PersonalData, VerifiedAgreement},
    code::Code,
};

pub(super) fn steps(trace: &mut Trace, question: &Question<'_>) {
    let Some(agreement) = question.agreement else {
        return trace.step(Code::NO_AGREEMENT, false, "there is no agreement with this CERT");
    };
    let terms = agreement.agreement();
    let is_between_us = terms.has_party(question.peer) && question.us != question.peer;
    let Some(flow) = terms.flow_from(question.us).filter(|_| is_between_us) else {
        return trace.step(Code::NO_AGREEMENT, false, "the agreement is between other CERTs");
    };
    trace.step(Code::AGREEMENT, true, format!("agreement {}", agreement.id().fmt_short()));
    validity(trace, question, agreement);
    held(trace, question);
    recipients(trace, question);
    onward::steps(trace, question, terms);
    level(trace, question, flow, terms.community.as_deref());
    policy_on_data(trace, question, flow);
    let label = question.subject.label;
    content::categories(trace, label, &flow.categories, question.local.categories.as_ref());
    content::sightings(trace, question.subject.kind, label, flow.sightings);
    content::sectors(trace, label, &flow.sectors);
    content::markings(trace, label, &flow.markings);
    content::statements(trace, label, flow.statements);
    content::pap(trace, label, flow.pap_max);
    personal(trace, question, flow);
    content::confidence(trace, label, flow.confidence_min);
    age(trace, question, flow);
}

fn validity(trace: &mut Trace, question: &Question<'_>, agreement: &VerifiedAgreement) {
    let terms = agreement.agreement();
    let text = format!("the agreement holds from {} until {}", terms.valid_from, terms.valid_until);
    trace.step(Code::VALIDITY, agreement.is_in_force(question.now), text);
    match question.ended {
        None => trace.step(Code::ENDED, true, "no party has ended the agreement"),
        Some(ending) => {
            let who =
                if ending.by == question.us { "we".to_owned() } else { format!("CERT {}", ending.by.fmt_short()) };
            trace.step(Code::ENDED, false, format!("{who} ended the agreement at {}", ending.at));
        }
    }
}

fn held(trace: &mut Trace, question: &Question<'_>) {
    let text = if question.subject.held {
        "something in the release is withdrawn or in quarantine here"
    } else {
        "nothing in the release is withdrawn or in quarantine here"
    };
    trace.step(Code::HELD, !question.subject.held, text);
}

fn recipients(trace: &mut Trace, question: &Question<'_>) {
    let named = question.subject.recipients;
    let (ok, text) = match (named.is_empty(), named.contains(&question.peer)) {
        (true, _) => (true, "the release names no recipients: the agreements decide"),
        (false, true) => (true, "the release names this CERT among its recipients"),
        (false, false) => (false, "the release names its recipients, and this CERT is none of them"),
    };
    trace.step(Code::RECIPIENTS, ok, text);
}

fn level(trace: &mut Trace, question: &Question<'_>, flow: &Flow, community: Option<&str>) {
    let level = question.subject.label.level();
    let ceiling = flow.tlp_max.min(question.local.tlp_max);
    let whose = if question.local.tlp_max < flow.tlp_max { "our own policy's" } else { "the agreement's" };
    content::ceiling(trace, level, ceiling, whose);
    let is_ours = question.subject.origin == question.us;
    match level {
        Tlp::Clear => {}
        Tlp::Green => match community {
            Some(name) => trace.step(Code::COMMUNITY, true, format!("TLP:green within the community {name:?}")),
            None => trace.step(Code::COMMUNITY, false, "TLP:green needs a community, and the agreement names none"),
        },
        Tlp::Amber | Tlp::AmberStrict if is_ours => {
            trace.step(Code::TLP_AMBER, true, format!("TLP:{level} straight from its origin"));
        }
        Tlp::Amber | Tlp::AmberStrict => {
            trace.step(Code::TLP_AMBER, false, format!("TLP:{level} goes to no third CERT"));
        }
        Tlp::Red => red(trace, question, is_ours),
    }
}

fn red(trace: &mut Trace, question: &Question<'_>, is_ours: bool) {
    let is_named = question.subject.recipients.contains(&question.peer);
    let text = match (is_ours, is_named) {
        (true, true) => "TLP:red straight from its origin to a named recipient",
        (false, _) => "TLP:red goes straight from its origin alone",
        (true, false) => "TLP:red goes to named recipients alone, and this CERT is not named",
    };
    trace.step(Code::TLP_RED, is_ours && is_named, text);
}

/// The Information Exchange Policy, but for its TLP level, which the level of the label contains.
fn policy_on_data(trace: &mut Trace, question: &Question<'_>, flow: &Flow) {
    let Some(policy) = &question.subject.label.iep else {
        return trace.step(Code::IEP, true, "no Information Exchange Policy is on it");
    };
    let is_third = question.subject.origin != question.us;
    let (ok, text) = if flow.iep != IepTerm::Honour {
        (false, "an Information Exchange Policy is on it, and the agreement says nothing of honouring one")
    } else if !policy.is_in_force(question.now) {
        (false, "the Information Exchange Policy on it does not hold now")
    } else if is_third && !policy.unmodified_resale {
        (false, "the Information Exchange Policy on it lets nobody pass it on unmodified")
    } else if is_third && policy.attribution == Attribution::MustNot {
        (false, "the Information Exchange Policy on it forbids to name the provider, whose signature it bears")
    } else {
        (true, "the receiver undertakes to honour the Information Exchange Policy on it")
    };
    trace.step(Code::IEP, ok, text);
}

fn personal(trace: &mut Trace, question: &Question<'_>, flow: &Flow) {
    let (ok, text) = match (question.subject.label.personal, flow.personal_data) {
        (false, _) => (true, "no personal data is known to be in it"),
        (true, PersonalData::Allow) => (true, "personal data is in the agreement"),
        (true, PersonalData::Deny) => (false, "personal data is not in the agreement"),
        (true, PersonalData::Pseudonymise) => (
            false,
            "personal data goes as pseudonyms alone, and what is signed is never changed: publish a version with \
             pseudonyms",
        ),
    };
    trace.step(Code::PERSONAL, ok, text);
}

fn age(trace: &mut Trace, question: &Question<'_>, flow: &Flow) {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let Some(days) = flow.age_days_max else {
        return trace.step(Code::AGE, true, "any age goes");
    };
    let ok = question.now.since(question.subject.published_at) <= DAY * days;
    let verb = if ok { "is within" } else { "is older than" };
    trace.step(Code::AGE, ok, format!("the release {verb} {days} days"));
}
