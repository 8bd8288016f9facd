//! Collections: what our own readers, such as SIEMs, are shown.

use std::collections::BTreeSet;

use mithaq_stix::marking::{Pap, Tlp};

use super::{Decision, Trace, content};
use crate::{
    agreement::Scope,
    code::Code,
    id::CertId,
    label::{Category, Confidence, Label},
};

/// What a collection shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectionRule {
    /// The CERTs whose word it shows; `None` for all.
    pub origins: Option<BTreeSet<CertId>>,
    /// The strictest TLP level.
    pub tlp_max: Tlp,
    /// The categories.
    pub categories: BTreeSet<Category>,
    /// The sectors.
    pub sectors: Scope,
    /// The strictest level of the Permissible Actions Protocol.
    pub pap_max: Pap,
    /// The least confidence.
    pub confidence_min: Confidence,
}

impl Default for CollectionRule {
    /// All but TLP:RED.
    fn default() -> Self {
        Self {
            origins: None,
            tlp_max: Tlp::AmberStrict,
            categories: Category::ALL.into(),
            sectors: Scope::Any,
            pap_max: Pap::Red,
            confidence_min: Confidence::Unspecified,
        }
    }
}

/// Decides whether a collection shows what a CERT has released with this label.
#[must_use]
pub fn collection(origin: CertId, label: &Label, rule: &CollectionRule) -> Decision {
    let mut trace = Trace::default();
    origins(&mut trace, origin, rule.origins.as_ref());
    content::ceiling(&mut trace, label.level(), rule.tlp_max, "the collection's");
    content::categories(&mut trace, label, &rule.categories, None);
    content::sectors(&mut trace, label, &rule.sectors);
    content::pap(&mut trace, label, rule.pap_max);
    content::confidence(&mut trace, label, rule.confidence_min);
    trace.decide()
}

fn origins(trace: &mut Trace, origin: CertId, listed: Option<&BTreeSet<CertId>>) {
    let (ok, verb) = match listed {
        None => return trace.step(Code::ORIGIN, true, "any origin is shown"),
        Some(listed) if listed.contains(&origin) => (true, "is"),
        Some(_) => (false, "is not"),
    };
    trace.step(Code::ORIGIN, ok, format!("origin {} {verb} listed", origin.fmt_short()));
}
