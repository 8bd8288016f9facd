//! Consent: whether an origin lets what it released go on to a third CERT, asked and answered in signed words.

use std::collections::BTreeSet;

use mithaq_stix::marking::Tlp;
use serde::{Deserialize, Serialize};

use crate::{
    id::{CertId, ReleaseId},
    label::{Category, Label, tlp_text},
    statement::{STATEMENT_TEXT_BYTES_MAX, Statement, StatementError, Verified},
    text::is_plain,
    time::Time,
};

/// The type under which requests for consent are signed.
pub const CONSENT_REQUEST_TYPE: &str = "application/vnd.mithaq.consent-request+json;version=1";

/// The type under which consents are signed.
pub const CONSENT_TYPE: &str = "application/vnd.mithaq.consent+json;version=1";

/// The schema that requests name.
pub const CONSENT_REQUEST_SCHEMA: &str = "mithaq-consent-request/1";

/// The schema that consents name.
pub const CONSENT_SCHEMA: &str = "mithaq-consent/1";

/// The most releases that a request or a consent names.
pub const CONSENT_RELEASES_MAX: usize = 1_000;

/// What a consent is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ConsentScope {
    /// All that the origin has released and will release.
    All,
    /// These releases.
    Releases(BTreeSet<ReleaseId>),
    /// What has a label of this class.
    Class(LabelClass),
}

/// A class of labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelClass {
    /// The strictest TLP level in it.
    #[serde(with = "tlp_text")]
    pub tlp_max: Tlp,
    /// The categories in it; a label is in the class if all of its categories are.
    pub categories: BTreeSet<Category>,
}

impl ConsentScope {
    /// Whether a release with this label is what it is about.
    #[must_use]
    pub fn covers(&self, release: ReleaseId, label: &Label) -> bool {
        match self {
            Self::All => true,
            Self::Releases(releases) => releases.contains(&release),
            Self::Class(class) => label.level() <= class.tlp_max && label.categories.is_subset(&class.categories),
        }
    }

    fn check(&self, name: &'static str) -> Result<(), StatementError> {
        let field = |problem| Err(StatementError::Field { name, field: "what", problem });
        match self {
            Self::Releases(releases) if !(1..=CONSENT_RELEASES_MAX).contains(&releases.len()) => {
                field("names no release or more than 1000")
            }
            Self::Class(class) if class.categories.is_empty() => field("names no category"),
            _ => Ok(()),
        }
    }
}

/// One CERT asks an origin whether it may pass something on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsentRequest {
    schema: String,
    /// The CERT that asks.
    pub from: CertId,
    /// The origin.
    pub to: CertId,
    /// The CERT that would receive it.
    pub third: CertId,
    /// What it would receive.
    pub what: ConsentScope,
    /// When it asked.
    pub at: Time,
    /// Why, for people; may be empty.
    pub reason: String,
}

/// A request whose signature was checked.
pub type VerifiedConsentRequest = Verified<ConsentRequest>;

impl ConsentRequest {
    /// Asks an origin `to` whether we, `from`, may pass something on to `third`.
    #[must_use]
    pub fn new(
        from: CertId,
        to: CertId,
        third: CertId,
        what: ConsentScope,
        at: Time,
        reason: impl Into<String>,
    ) -> Self {
        let schema = CONSENT_REQUEST_SCHEMA.to_owned();
        Self { schema, from, to, third, what, at, reason: reason.into() }
    }
}

impl Statement for ConsentRequest {
    const TYPE: &'static str = CONSENT_REQUEST_TYPE;
    const NAME: &'static str = "consent request";

    fn signer(&self) -> CertId {
        self.from
    }

    fn at(&self) -> Time {
        self.at
    }

    fn check(&self) -> Result<(), StatementError> {
        let field = |field, problem| Err(StatementError::Field { name: Self::NAME, field, problem });
        if self.schema != CONSENT_REQUEST_SCHEMA {
            return field("schema", "is not mithaq-consent-request/1");
        }
        if !are_different(self.from, self.to, self.third) {
            return field("CERTs", "are not three");
        }
        if !is_plain(&self.reason, STATEMENT_TEXT_BYTES_MAX) {
            return field("reason", "is over 1000 bytes or has control or bidi characters");
        }
        self.what.check(Self::NAME)
    }
}

fn are_different(a: CertId, b: CertId, c: CertId) -> bool {
    a != b && b != c && c != a
}

/// What an origin answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// It may be passed on.
    Grant,
    /// It may not.
    Deny,
}

/// An origin says whether a CERT may pass something on to a third.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    schema: String,
    /// The origin.
    pub origin: CertId,
    /// The CERT that may pass it on, or not.
    pub to: CertId,
    /// The CERT that would receive it.
    pub third: CertId,
    /// What the origin says.
    pub answer: Answer,
    /// About what.
    pub what: ConsentScope,
    /// Until when it holds.
    pub until: Time,
    /// When it was said.
    pub at: Time,
}

/// A consent whose signature was checked.
pub type VerifiedConsent = Verified<Consent>;

impl Consent {
    /// Answers a request as its addressee, about `what`, until a time.
    #[must_use]
    pub fn answer(request: &ConsentRequest, answer: Answer, what: ConsentScope, at: Time, until: Time) -> Self {
        let schema = CONSENT_SCHEMA.to_owned();
        Self { schema, origin: request.to, to: request.from, third: request.third, answer, what, until, at }
    }

    fn applies(&self, passing: &Passing<'_>) -> bool {
        self.origin == passing.origin
            && self.to == passing.us
            && self.third == passing.third
            && passing.now <= self.until
            && self.what.covers(passing.release, passing.label)
    }
}

/// What would be passed on, by whom and to whom.
#[derive(Debug, Clone, Copy)]
pub struct Passing<'a> {
    /// The CERT that released it.
    pub origin: CertId,
    /// Our own CERT.
    pub us: CertId,
    /// The CERT that would receive it.
    pub third: CertId,
    /// The release.
    pub release: ReleaseId,
    /// Its label.
    pub label: &'a Label,
    /// The time.
    pub now: Time,
}

impl Statement for Consent {
    const TYPE: &'static str = CONSENT_TYPE;
    const NAME: &'static str = "consent";

    fn signer(&self) -> CertId {
        self.origin
    }

    fn at(&self) -> Time {
        self.at
    }

    fn check(&self) -> Result<(), StatementError> {
        let field = |field, problem| Err(StatementError::Field { name: Self::NAME, field, problem });
        if self.schema != CONSENT_SCHEMA {
            return field("schema", "is not mithaq-consent/1");
        }
        if !are_different(self.origin, self.to, self.third) {
            return field("CERTs", "are not three");
        }
        if self.until <= self.at {
            return field("until", "is not after it was said");
        }
        self.what.check(Self::NAME)
    }
}

/// What an origin has said of one release, as far as it is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConsentState {
    /// Nothing that holds now.
    #[default]
    None,
    /// It may be passed on.
    Granted,
    /// It may not.
    Denied,
}

impl ConsentState {
    /// What the consents at hand say of one passing on: the last word that applies holds, and of two of one moment the
    /// denial.
    #[must_use]
    pub fn of<'a>(consents: impl IntoIterator<Item = &'a VerifiedConsent>, passing: &Passing<'_>) -> Self {
        let applying = consents.into_iter().map(Verified::statement).filter(|consent| consent.applies(passing));
        let last = applying.max_by_key(|consent| (consent.at, consent.answer == Answer::Deny));
        match last.map(|consent| consent.answer) {
            None => Self::None,
            Some(Answer::Grant) => Self::Granted,
            Some(Answer::Deny) => Self::Denied,
        }
    }
}
