//! Where a release is on its way from a push to the peer's readers, for whoever measures: a line of the log for each step,
//! at level TRACE and under a target of its own (`[log] filter = "info,mithaq::steps=trace"`).
//!
//! The lines carry ids and counts and nothing of what the objects say.

use mithaq_core::id::ReleaseId;

/// A step that a release has behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is signed and about to be committed.
    Signed,
    /// It is durable where it was signed.
    Stored,
    /// It is durably in the journal and the ledger towards a peer.
    Disclosed,
    /// It was read to be sent, after the rule was asked again.
    Loaded,
    /// At the peer: all of it came, verified.
    Verified,
    /// At the peer: it is durable.
    Settled,
    /// A reader's lines of it were written.
    Shown,
}

impl Step {
    fn name(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Stored => "stored",
            Self::Disclosed => "disclosed",
            Self::Loaded => "loaded",
            Self::Verified => "verified",
            Self::Settled => "settled",
            Self::Shown => "shown",
        }
    }
}

/// Notes that a release of so many objects has taken a step.
pub(crate) fn passed(step: Step, release: ReleaseId, objects: usize) {
    tracing::trace!(target: "mithaq::steps", step = step.name(), %release, objects);
}
