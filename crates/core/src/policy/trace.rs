//! The steps of one decision.

use std::borrow::Cow;

use serde::Serialize;

use crate::code::Code;

/// One step of the rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// The step's code, which `mithaq explain` expands.
    pub code: Code,
    /// What was found.
    pub text: Cow<'static, str>,
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
pub(super) struct Trace(Vec<Reason>);

impl Trace {
    pub(super) fn step(&mut self, code: Code, ok: bool, text: impl Into<Cow<'static, str>>) {
        self.0.push(Reason { code, text: text.into(), ok });
    }

    /// Nothing is released without at least one step that says so.
    pub(super) fn decide(self) -> Decision {
        let released = !self.0.is_empty() && self.0.iter().all(|reason| reason.ok);
        Decision { released, reasons: self.0 }
    }
}
