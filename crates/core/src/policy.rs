//! The release rule: the one pure function that says whether a release may go to a peer.
//!
//! It denies by default, the strictest of marking, agreement and local policy wins, and every step leaves a reason
//! with a stable code, so that `mithaq why` can show how the answer came about.

use mithaq_stix::marking::Tlp;
use serde::Serialize;

use crate::{
    agreement::{Flow, Scope, VerifiedAgreement},
    code::Code,
    id::CertId,
    label::{Category, Label},
    time::Time,
};

/// What our own operator allows, whatever agreements say; it can only narrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalPolicy {
    /// The strictest TLP level that leaves.
    pub tlp_max: Tlp,
}

impl Default for LocalPolicy {
    fn default() -> Self {
        Self { tlp_max: Tlp::AmberStrict }
    }
}

/// What the rule is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The label of the release.
    pub label: &'a Label,
    /// The CERT that signed the release.
    pub origin: CertId,
    /// Our own CERT.
    pub us: CertId,
    /// The CERT that would receive it.
    pub peer: CertId,
    /// The agreement with that CERT, if there is one.
    pub agreement: Option<&'a VerifiedAgreement>,
    /// Our own operator's policy.
    pub local: LocalPolicy,
    /// The time.
    pub now: Time,
}

/// One step of the rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The step's code, which `mithaq explain` expands.
    pub code: Code,
    /// What was found.
    pub text: String,
    /// Whether this step lets the release go.
    pub ok: bool,
}

/// The rule's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Whether the release may go.
    pub released: bool,
    /// The steps, in order; all of them, so that an analyst sees everything that withholds at once.
    pub reasons: Vec<Reason>,
}

impl Decision {
    /// The first step that withholds.
    #[must_use]
    pub fn withheld_by(&self) -> Option<&Reason> {
        self.reasons.iter().find(|reason| !reason.ok)
    }
}

/// Collects the steps of one decision.
#[derive(Default)]
struct Trace(Vec<Reason>);

impl Trace {
    fn step(&mut self, code: Code, ok: bool, text: impl Into<String>) {
        self.0.push(Reason { code, text: text.into(), ok });
    }

    /// Nothing is released without at least one step that says so.
    fn decide(self) -> Decision {
        let released = !self.0.is_empty() && self.0.iter().all(|reason| reason.ok);
        Decision { released, reasons: self.0 }
    }
}

/// Decides whether a release may go to a peer.
#[must_use]
pub fn release(question: &Question<'_>) -> Decision {
    let mut trace = Trace::default();
    let Some(agreement) = question.agreement else {
        trace.step(Code::NO_AGREEMENT, false, "there is no agreement with this CERT");
        return trace.decide();
    };
    let terms = agreement.agreement();
    let flow = terms.flow_from(question.us).filter(|_| terms.has_party(question.peer) && question.us != question.peer);
    let Some(flow) = flow else {
        trace.step(Code::NO_AGREEMENT, false, "the agreement is between other CERTs");
        return trace.decide();
    };
    trace.step(Code::AGREEMENT, true, format!("agreement {}", agreement.id().fmt_short()));
    validity(&mut trace, agreement, question.now);
    origin(&mut trace, question);
    tlp(&mut trace, question, flow, terms.community.as_deref());
    categories(&mut trace, question.label, flow);
    sectors(&mut trace, question.label, flow);
    markings(&mut trace, question.label, flow);
    trace.decide()
}

fn validity(trace: &mut Trace, agreement: &VerifiedAgreement, now: Time) {
    let terms = agreement.agreement();
    let text = format!("the agreement holds from {} until {}", terms.valid_from, terms.valid_until);
    trace.step(Code::VALIDITY, agreement.is_in_force(now), text);
}

fn origin(trace: &mut Trace, question: &Question<'_>) {
    if question.origin == question.us {
        trace.step(Code::ORIGIN, true, "the release is our own");
    } else if question.origin == question.peer {
        trace.step(Code::ORIGIN, false, "the release came from this very CERT");
    } else {
        let text = format!(
            "the release is of CERT {}, whose agreement lets nothing be passed on",
            question.origin.fmt_short()
        );
        trace.step(Code::ORIGIN, false, text);
    }
}

fn tlp(trace: &mut Trace, question: &Question<'_>, flow: &Flow, community: Option<&str>) {
    let level = question.label.tlp;
    let ceiling = flow.tlp_max.min(question.local.tlp_max);
    let whose = if question.local.tlp_max < flow.tlp_max { "our own policy's" } else { "the agreement's" };
    let verb = if level <= ceiling { "is within" } else { "is over" };
    trace.step(Code::TLP_CEILING, level <= ceiling, format!("TLP:{level} {verb} {whose} ceiling TLP:{ceiling}"));
    match level {
        Tlp::Red => trace.step(Code::TLP_RED, false, "TLP:red goes to named recipients alone, and none is named"),
        Tlp::Green => match community {
            Some(name) => trace.step(Code::COMMUNITY, true, format!("TLP:green within the community {name:?}")),
            None => trace.step(Code::COMMUNITY, false, "TLP:green needs a community, and the agreement names none"),
        },
        _ => {}
    }
}

fn categories(trace: &mut Trace, label: &Label, flow: &Flow) {
    for category in &label.categories {
        let ok = flow.categories.contains(category);
        let code = if *category == Category::Vulnerability { Code::VULNERABILITY } else { Code::CATEGORY };
        let verb = if ok { "is" } else { "is not" };
        trace.step(code, ok, format!("category {category} {verb} in the agreement"));
    }
    if label.categories.is_empty() {
        trace.step(Code::CATEGORY, false, "the release has no category");
    }
}

fn sectors(trace: &mut Trace, label: &Label, flow: &Flow) {
    let Scope::Only(allowed) = &flow.sectors else {
        return;
    };
    for sector in &label.sectors {
        let ok = allowed.contains(sector);
        let verb = if ok { "is" } else { "is not" };
        trace.step(Code::SECTOR, ok, format!("sector {sector:?} {verb} in the agreement"));
    }
    if label.sectors.is_empty() {
        // An agreement that lists sectors shares what concerns them; what names none is not known to.
        trace.step(Code::SECTOR, false, "the agreement lists sectors and the release names none");
    }
}

fn markings(trace: &mut Trace, label: &Label, flow: &Flow) {
    for marking in &label.markings {
        let ok = flow.markings.contains(marking);
        let verb = if ok { "is named" } else { "is not named" };
        trace.step(Code::MARKING, ok, format!("{marking} {verb} in the agreement"));
    }
}
