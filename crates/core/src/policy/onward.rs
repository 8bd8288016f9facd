//! Passing on: whose release it is, and what its origin and the receiver say of that.

use super::{Question, Trace};
use crate::{
    agreement::{Agreement, Onward, ThirdParty},
    code::Code,
    consent::ConsentState,
};

pub(super) fn steps(trace: &mut Trace, question: &Question<'_>, terms: &Agreement) {
    let origin = question.subject.origin;
    if origin == question.us {
        trace.step(Code::ORIGIN, true, "the release is our own");
    } else if origin == question.peer {
        trace.step(Code::ORIGIN, false, "the release came from this very CERT");
    } else {
        trace.step(Code::ORIGIN, true, format!("the release is of CERT {}", origin.fmt_short()));
        by_origin(trace, question);
        let ok = terms.third_party == ThirdParty::Accept;
        let verb = if ok { "takes" } else { "does not take" };
        trace.step(Code::THIRD_PARTY, ok, format!("the receiver {verb} what third CERTs released"));
    }
}

/// What the origin's agreement with us says of passing on, and what the origin itself said since.
fn by_origin(trace: &mut Trace, question: &Question<'_>) {
    if !question.local.onward {
        trace.step(Code::ONWARD, false, "our own policy passes nothing on");
    }
    let (ok, text) = match onward_term(question) {
        None => (false, "there is no agreement in force with its origin"),
        Some(Onward::Never) => (false, "its origin lets nothing be passed on"),
        Some(Onward::Listed(certs)) if certs.contains(&question.peer) => (true, "its origin lists this CERT"),
        Some(Onward::Listed(_)) => (false, "its origin lists other CERTs"),
        Some(Onward::Ask) => (true, "its origin is to be asked"),
    };
    trace.step(Code::ONWARD, ok, text);
    let is_asked = matches!(onward_term(question), Some(Onward::Ask));
    match question.consent {
        ConsentState::Granted => trace.step(Code::CONSENT, true, "its origin consents"),
        ConsentState::Denied => trace.step(Code::CONSENT, false, "its origin has denied its consent"),
        ConsentState::None if is_asked => trace.step(Code::CONSENT, false, "its origin has not consented"),
        ConsentState::None => {}
    }
}

/// The origin's term on passing on, if an agreement of ours with it holds now.
fn onward_term<'a>(question: &Question<'a>) -> Option<&'a Onward> {
    let agreement = question.with_origin.filter(|agreement| agreement.is_in_force(question.now))?;
    let terms = agreement.agreement();
    let flow = terms.flow_from(question.subject.origin).filter(|_| terms.has_party(question.us))?;
    Some(&flow.onward)
}
