//! FIRST's Information Exchange Policy 2.0, as far as a rule can read it.

use super::Tlp;
use crate::{json::Value, time::TimestampRef};
use serde::{Deserialize, Serialize};

/// What a recipient may do with what it was given (IEP 2.0, PERMITTED-ACTIONS), from the least to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PermittedActions {
    /// Nothing.
    None,
    /// Ask the provider first.
    ContactForInstruction,
    /// What nobody outside can see.
    InternallyVisibleActions,
    /// What can be seen from outside, though not at whom it aims.
    ExternallyVisibleIndirectActions,
    /// Everything.
    ExternallyVisibleDirectActions,
}

/// Whether a recipient names the provider (IEP 2.0, PROVIDER-ATTRIBUTION), from the least to the most strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attribution {
    /// As it likes.
    May,
    /// It must.
    Must,
    /// It must not.
    MustNot,
}

/// A policy, reduced to what decides about passing on and use. What it leaves out is as strict as can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IepPolicy {
    /// Its TLP level.
    pub tlp: Tlp,
    /// From when on it holds, in microseconds since the Unix epoch.
    pub start_micros: Option<i64>,
    /// Until when it holds, in microseconds since the Unix epoch.
    pub end_micros: Option<i64>,
    /// What a recipient may do.
    pub permitted_actions: PermittedActions,
    /// Whether it names the provider.
    pub attribution: Attribution,
    /// Whether it may pass the information on as it is.
    pub unmodified_resale: bool,
}

impl IepPolicy {
    /// Reads the members of the STIX extension, or of a policy by itself; `None` if it cannot be understood whole, is
    /// of another version, or only refers to a policy elsewhere.
    pub(super) fn read(value: &Value<'_>) -> Option<Self> {
        if value.get("id_ref").is_some() || !is_version_2(value.get("iep_version")?) {
            return None;
        }
        let attribution = match value.get("provider_attribution") {
            Some(_) => "provider_attribution",
            None => "attribution",
        };
        Some(Self {
            tlp: value.get("tlp")?.as_str()?.parse().ok()?,
            start_micros: moment(value, "start_date")?,
            end_micros: moment(value, "end_date")?,
            permitted_actions: word(value, "permitted_actions", PermittedActions::None)?,
            attribution: word(value, attribution, Attribution::MustNot)?,
            unmodified_resale: word(value, "unmodified_resale", Resale::MustNot)? == Resale::May,
        })
    }
}

#[derive(PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Resale {
    May,
    MustNot,
}

/// Producers write the version as a number, with a fraction or without, and as text.
fn is_version_2(value: &Value<'_>) -> bool {
    value.as_i64() == Some(2) || value.as_str().is_some_and(|text| matches!(text.as_ref(), "2" | "2.0"))
}

/// A moment that may be missing; `None` if it is there and cannot be read.
fn moment(value: &Value<'_>, name: &str) -> Option<Option<i64>> {
    match value.get(name) {
        None | Some(Value::Null) => Some(None),
        Some(value) => Some(Some(TimestampRef::borrow(&value.as_str()?).ok()?.unix_micros())),
    }
}

/// One of the words that the policy knows for `name`, `strictest` if it is missing; `None` if it is another.
fn word<T: for<'de> Deserialize<'de>>(value: &Value<'_>, name: &str, strictest: T) -> Option<T> {
    let Some(value) = value.get(name) else { return Some(strictest) };
    let text = value.as_str()?.to_ascii_lowercase();
    T::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(&text)).ok()
}
