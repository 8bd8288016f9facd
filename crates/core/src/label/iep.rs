//! Information Exchange Policies (FIRST, IEP 2.0) in a label.

use mithaq_stix::marking::{Attribution, IepPolicy, PermittedActions, Tlp};
use serde::{Deserialize, Serialize};

use super::tlp_text;
use crate::time::Time;

/// What the release rule reads of the policies on an object; the strictest of all, where there are several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Iep {
    /// The TLP level that the policies ask for.
    #[serde(with = "tlp_text")]
    pub tlp: Tlp,
    /// Before this moment the policies do not hold, and nothing goes.
    pub start: Option<Time>,
    /// After this moment the policies no longer hold, and nothing goes.
    pub end: Option<Time>,
    /// What a recipient may do.
    pub permitted_actions: PermittedActions,
    /// Whether a recipient names the provider.
    pub attribution: Attribution,
    /// Whether a recipient may pass it on as it is.
    pub unmodified_resale: bool,
}

impl Iep {
    /// What both policies allow.
    #[must_use]
    pub fn join(self, other: &Self) -> Self {
        Self {
            tlp: self.tlp.max(other.tlp),
            start: self.start.max(other.start),
            end: earliest(self.end, other.end),
            permitted_actions: self.permitted_actions.min(other.permitted_actions),
            attribution: self.attribution.max(other.attribution),
            unmodified_resale: self.unmodified_resale && other.unmodified_resale,
        }
    }

    /// Whether this allows nothing that `other` does not.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.tlp >= other.tlp
            && self.start >= other.start
            && earliest(self.end, other.end) == self.end
            && self.permitted_actions <= other.permitted_actions
            && self.attribution >= other.attribution
            && self.unmodified_resale <= other.unmodified_resale
    }

    /// Whether the policies hold at `now`.
    #[must_use]
    pub fn is_in_force(&self, now: Time) -> bool {
        self.start.is_none_or(|start| start <= now) && self.end.is_none_or(|end| now <= end)
    }
}

/// The earlier of two ends, of which each may be missing.
fn earliest(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (end, None) | (None, end) => end,
    }
}

impl From<&IepPolicy> for Iep {
    fn from(policy: &IepPolicy) -> Self {
        Self {
            tlp: policy.tlp,
            start: policy.start_micros.map(Time::from_micros),
            end: policy.end_micros.map(Time::from_micros),
            permitted_actions: policy.permitted_actions,
            attribution: policy.attribution,
            unmodified_resale: policy.unmodified_resale,
        }
    }
}
