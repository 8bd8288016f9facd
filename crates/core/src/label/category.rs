//! Categories: what an object speaks of, as agreements name it.

use std::{fmt, str::FromStr};

use mithaq_stix::object::ObjectClass;
use serde::{Deserialize, Serialize};

use crate::notice::NOTICE_TYPE;

/// What an object speaks of, as agreements name it; ordered by name, as sets are in what is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Category {
    /// Objects of types that the standard does not know.
    Custom,
    /// Identities and locations.
    Identity,
    /// Marking definitions, extension definitions, language content, notices.
    Meta,
    /// Courses of action.
    Mitigation,
    /// Cyber-observable objects: addresses, domain names, files and the like.
    Observable,
    /// Reports, groupings, notes, opinions, observed data.
    Report,
    /// Sightings.
    Sighting,
    /// Indicators, malware, tools, campaigns, actors, infrastructure, attack patterns, incidents.
    Threat,
    /// Vulnerabilities, and whatever refers to one: denied unless an agreement names it.
    Vulnerability,
}

impl Category {
    /// Every category, in the order in which they are listed for people.
    pub const ALL: [Self; 9] = [
        Self::Threat,
        Self::Observable,
        Self::Sighting,
        Self::Report,
        Self::Mitigation,
        Self::Identity,
        Self::Meta,
        Self::Vulnerability,
        Self::Custom,
    ];

    /// The category of objects of a STIX type; `None` for relationships, which take that of what they connect.
    #[must_use]
    pub fn of_type(object_type: &str) -> Option<Self> {
        Some(match object_type {
            "relationship" => return None,
            "indicator" | "malware" | "tool" | "campaign" | "threat-actor" | "intrusion-set" | "infrastructure"
            | "attack-pattern" | "incident" | "malware-analysis" => Self::Threat,
            "sighting" => Self::Sighting,
            "report" | "grouping" | "note" | "opinion" | "observed-data" => Self::Report,
            "course-of-action" => Self::Mitigation,
            "identity" | "location" => Self::Identity,
            "marking-definition" | "extension-definition" | "language-content" | NOTICE_TYPE => Self::Meta,
            "vulnerability" => Self::Vulnerability,
            _ if ObjectClass::of(object_type) == ObjectClass::Observable => Self::Observable,
            _ => Self::Custom,
        })
    }

    /// The name that agreements use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Threat => "threat",
            Self::Observable => "observable",
            Self::Sighting => "sighting",
            Self::Report => "report",
            Self::Mitigation => "mitigation",
            Self::Identity => "identity",
            Self::Meta => "meta",
            Self::Vulnerability => "vulnerability",
            Self::Custom => "custom",
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A text is not a category.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{found:?} is not a category; known are threat, observable, sighting, report, mitigation, identity, meta, vulnerability, custom"
)]
pub struct CategoryError {
    /// What stood there.
    pub found: String,
}

impl FromStr for Category {
    type Err = CategoryError;

    fn from_str(text: &str) -> Result<Self, CategoryError> {
        Self::ALL
            .into_iter()
            .find(|category| category.as_str() == text)
            .ok_or_else(|| CategoryError { found: text.chars().take(80).collect() })
    }
}
