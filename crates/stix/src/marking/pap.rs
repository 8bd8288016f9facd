//! The Permissible Actions Protocol: what a recipient may do with an indicator without warning whom it speaks of.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// The extension by which some producers express PAP levels in STIX 2.1.
pub const PAP_EXTENSION: &str = "extension-definition--f8d78575-edfd-406e-8e84-6162a8450f5b";

/// A level of the Permissible Actions Protocol, from the least to the most strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pap {
    /// No limit on actions; WHITE in older texts.
    Clear,
    /// Active actions, such as blocking.
    Green,
    /// Passive cross-checks, such as queries to third parties.
    Amber,
    /// Nothing that can be seen from outside.
    Red,
}

impl Pap {
    /// All levels, from the least to the most strict.
    pub const ALL: [Self; 4] = [Self::Clear, Self::Green, Self::Amber, Self::Red];

    /// The level's name: `clear`, `green`, `amber` or `red`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Green => "green",
            Self::Amber => "amber",
            Self::Red => "red",
        }
    }
}

impl fmt::Display for Pap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no PAP level.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a PAP level: write clear, green, amber or red")]
pub struct PapError(());

impl FromStr for Pap {
    type Err = PapError;

    /// Reads a level's name in any case, with `PAP:` before it or without; WHITE is CLEAR.
    fn from_str(text: &str) -> Result<Self, PapError> {
        let lower = text.trim().to_ascii_lowercase();
        let name = lower.strip_prefix("pap:").unwrap_or(&lower);
        if name == "white" {
            return Ok(Self::Clear);
        }
        Self::ALL.into_iter().find(|level| level.as_str() == name).ok_or(PapError(()))
    }
}

/// Whether a text wants to be taken for a level.
pub(super) fn is_prefixed(text: &str) -> bool {
    text.trim_start().get(..4).is_some_and(|start| start.eq_ignore_ascii_case("pap:"))
}
