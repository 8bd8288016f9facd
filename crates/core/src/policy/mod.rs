//! The release rule: the one pure function that says whether a release may go to a peer.
//!
//! It denies by default, the strictest of marking, policy on the data, agreement and local policy wins, and every step
//! leaves a reason with a stable code, so that `mithaq why` can show how the answer came about.

mod collection;
mod content;
mod onward;
mod publish;
mod trace;

use std::collections::BTreeSet;

pub use collection::{CollectionRule, collection};
use mithaq_stix::marking::Tlp;
pub use trace::{Decision, Reason};

use crate::{
    agreement::{VerifiedAgreement, termination::VerifiedTermination},
    code::Code,
    consent::ConsentState,
    id::CertId,
    label::{Category, Label},
    release::{Kind, Manifest},
    time::Time,
};
use trace::Trace;

/// The edition of the rule, which ledgers record with each disclosure: it grows with every change of an answer.
pub const RULE_VERSION: u32 = 1;

/// What our own operator allows, whatever agreements say; it can only narrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalPolicy {
    /// The strictest TLP level that leaves.
    pub tlp_max: Tlp,
    /// The categories that leave; `None` for all that agreements list.
    pub categories: Option<BTreeSet<Category>>,
    /// Whether what third CERTs released is passed on at all.
    pub onward: bool,
}

impl Default for LocalPolicy {
    fn default() -> Self {
        Self { tlp_max: Tlp::AmberStrict, categories: None, onward: true }
    }
}

/// What would go.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// What the release does.
    pub kind: Kind,
    /// The CERT that signed it.
    pub origin: CertId,
    /// When, by the origin's clock.
    pub published_at: Time,
    /// Its label.
    pub label: &'a Label,
    /// The CERTs that it is for; empty if the agreements alone decide.
    pub recipients: &'a BTreeSet<CertId>,
    /// Of a withdrawal: whether the peer was given what it takes back.
    pub disclosed: bool,
    /// Whether something in it is withdrawn or in quarantine here.
    pub held: bool,
}

impl<'a> Subject<'a> {
    /// A release as its manifest describes it: not known to be disclosed, nor held back.
    #[must_use]
    pub fn of(manifest: &'a Manifest) -> Self {
        Self {
            kind: manifest.kind,
            origin: manifest.origin,
            published_at: manifest.published_at,
            label: &manifest.label,
            recipients: &manifest.recipients,
            disclosed: false,
            held: false,
        }
    }
}

/// That a party has ended an agreement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ending {
    /// When it said so.
    pub at: Time,
    /// The party.
    pub by: CertId,
}

impl From<&VerifiedTermination> for Ending {
    fn from(termination: &VerifiedTermination) -> Self {
        Self { at: termination.statement().at, by: termination.statement().by }
    }
}

/// What the rule is asked.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// What would go.
    pub subject: Subject<'a>,
    /// Our own CERT.
    pub us: CertId,
    /// The CERT that would receive it.
    pub peer: CertId,
    /// The agreement with that CERT, if there is one.
    pub agreement: Option<&'a VerifiedAgreement>,
    /// Whether we or the peer have ended it.
    pub ended: Option<Ending>,
    /// Our agreement with the origin, if it is a third CERT and has not ended that agreement.
    pub with_origin: Option<&'a VerifiedAgreement>,
    /// What the origin has said of passing this on to the peer.
    pub consent: ConsentState,
    /// Our own operator's policy.
    pub local: &'a LocalPolicy,
    /// The time.
    pub now: Time,
}

/// Decides whether a release may go to a peer.
#[must_use]
pub fn release(question: &Question<'_>) -> Decision {
    let mut trace = Trace::default();
    match question.subject.kind {
        Kind::Publish | Kind::Tally => publish::steps(&mut trace, question),
        Kind::Withdraw => withdrawal(&mut trace, question),
        Kind::Review | Kind::Accept | Kind::Corroborate | Kind::Expire => {
            trace.step(Code::REVIEW, false, "the release speaks to our own readers alone");
        }
    }
    trace.decide()
}

/// What takes back goes to whoever was given what it takes back, and to nobody else, whatever holds today.
fn withdrawal(trace: &mut Trace, question: &Question<'_>) {
    let Question { subject, us, peer, .. } = question;
    let fits = peer != us && *peer != subject.origin;
    let text = if fits {
        "the peer is not the CERT that withdraws"
    } else {
        "a withdrawal does not go back to the CERT that withdraws"
    };
    trace.step(Code::ORIGIN, fits, text);
    let text = if subject.disclosed {
        "the CERT was given what is taken back"
    } else {
        "the CERT was given nothing of what is taken back"
    };
    trace.step(Code::WITHDRAWAL, subject.disclosed, text);
}
