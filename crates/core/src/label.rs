//! Labels: what policy reads of an object. Labels form a lattice, and [`Label::join`] is its "strictest of both".

use std::{collections::BTreeSet, fmt, str::FromStr};

use mithaq_stix::{id::StixId, marking::Tlp};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{notice::NOTICE_TYPE, text::quote};

/// The most sectors or unknown markings a label may carry.
pub const LABEL_SET_MAX: usize = 64;

/// The most bytes in the name of a sector.
pub const SECTOR_BYTES_MAX: usize = 250;

/// The most bytes in the names of all sectors of a label, so that every label fits into a manifest.
pub const LABEL_SECTORS_BYTES_MAX: usize = 4 * 1024;

/// The sector of what names none, as agreements may list it.
///
/// Without it, a relationship between an object of a sector and one of none would look like one of that sector
/// alone, and an agreement on that sector would release a pointer to what it withholds.
pub const SECTOR_UNSPECIFIED: &str = "unspecified";

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
            "artifact"
            | "autonomous-system"
            | "directory"
            | "domain-name"
            | "email-addr"
            | "email-message"
            | "file"
            | "ipv4-addr"
            | "ipv6-addr"
            | "mac-addr"
            | "mutex"
            | "network-traffic"
            | "process"
            | "software"
            | "url"
            | "user-account"
            | "windows-registry-key"
            | "x509-certificate" => Self::Observable,
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

/// What policy reads of an object, and what all objects of a release have in common.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The Traffic Light Protocol level.
    #[serde(with = "tlp_text")]
    pub tlp: Tlp,
    /// What the object and all that it speaks of belong to.
    pub categories: BTreeSet<Category>,
    /// The sectors of the object and all that it speaks of, such as `energy`; [`SECTOR_UNSPECIFIED`] stands for
    /// what names none.
    pub sectors: BTreeSet<String>,
    /// Ids of markings other than TLP: nothing releases them but an agreement that names them.
    pub markings: BTreeSet<String>,
}

impl Label {
    /// A label with a level and one category, nothing else.
    #[must_use]
    pub fn new(tlp: Tlp, category: Category) -> Self {
        Self { tlp, categories: [category].into(), sectors: BTreeSet::new(), markings: BTreeSet::new() }
    }

    /// The strictest of both: the least label that restricts at least as much as each.
    ///
    /// A set that is over [`LABEL_SET_MAX`] grows no further: [`Label::check`] refuses it as it stands.
    #[must_use]
    pub fn join(mut self, other: &Self) -> Self {
        self.tlp = self.tlp.max(other.tlp);
        self.categories.extend(&other.categories);
        unite(&mut self.sectors, &other.sectors);
        unite(&mut self.markings, &other.markings);
        self
    }

    /// Whether this label restricts at least as much as `other`.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.tlp >= other.tlp
            && self.categories.is_superset(&other.categories)
            && self.sectors.is_superset(&other.sectors)
            && self.markings.is_superset(&other.markings)
    }

    /// Checks the limits that a label from outside must keep.
    ///
    /// # Errors
    /// When it has no category, too many entries, or a marking that is not a marking-definition's id.
    pub fn check(&self) -> Result<(), LabelError> {
        if self.categories.is_empty() {
            return Err(LabelError::NoCategory);
        }
        if self.sectors.len() > LABEL_SET_MAX || self.markings.len() > LABEL_SET_MAX {
            return Err(LabelError::TooMany);
        }
        let is_sector = |text: &String| text.len() <= SECTOR_BYTES_MAX && !text.chars().any(char::is_control);
        if !self.sectors.iter().all(is_sector) {
            return Err(LabelError::Sector);
        }
        if self.sectors.iter().map(String::len).sum::<usize>() > LABEL_SECTORS_BYTES_MAX {
            return Err(LabelError::TooMany);
        }
        let is_marking = |id: &String| {
            StixId::parse(id).is_ok_and(|id| id.object_type() == "marking-definition")
                && Tlp::from_marking_id(id).is_none()
        };
        if self.markings.iter().all(is_marking) { Ok(()) } else { Err(LabelError::Marking) }
    }
}

fn unite(into: &mut BTreeSet<String>, from: &BTreeSet<String>) {
    for text in from {
        if into.len() > LABEL_SET_MAX {
            return;
        }
        if !into.contains(text) {
            into.insert(text.clone());
        }
    }
}

impl fmt::Display for Label {
    /// For people: level, categories, named sectors and the number of markings.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |set: &mut dyn Iterator<Item = &str>| set.collect::<Vec<_>>().join("+");
        write!(f, "{} {}", self.tlp, list(&mut self.categories.iter().map(|category| category.as_str())))?;
        if self.sectors.iter().any(|text| text != SECTOR_UNSPECIFIED) {
            let sectors = list(&mut self.sectors.iter().map(String::as_str));
            write!(f, " [{}]", quote(&sectors))?;
        }
        match self.markings.len() {
            0 => Ok(()),
            1 => f.write_str(" +1 marking"),
            n => write!(f, " +{n} markings"),
        }
    }
}

/// Why a label cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LabelError {
    /// It says nothing of what the objects are.
    #[error("the label names no category")]
    NoCategory,
    /// A set is too large.
    #[error(
        "the label names more than {LABEL_SET_MAX} sectors or markings, or its sectors have more than \
         {LABEL_SECTORS_BYTES_MAX} bytes"
    )]
    TooMany,
    /// A sector is too long or has control characters.
    #[error("a sector of the label is longer than {SECTOR_BYTES_MAX} bytes or has control characters")]
    Sector,
    /// A marking is not one.
    #[error("a marking of the label is not the id of a marking-definition other than TLP")]
    Marking,
}

/// Serialises a [`Tlp`] as its canonical lower-case name, for use with `#[serde(with)]`.
pub mod tlp_text {
    use super::{Deserialize, Deserializer, Serializer, Tlp};

    /// Writes the level's name.
    ///
    /// # Errors
    /// Those of the serialiser.
    pub fn serialize<S: Serializer>(tlp: &Tlp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(tlp)
    }

    /// Reads the level's one canonical spelling; `WHITE` and `TLP:` prefixes are for people.
    ///
    /// # Errors
    /// When the text is not a level's canonical name.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tlp, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.parse::<Tlp>() {
            Ok(tlp) if tlp.to_string() == text => Ok(tlp),
            _ => Err(serde::de::Error::custom(format_args!("unknown TLP level {text:?}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn join_is_the_least_label_that_covers_both() {
        let mut a = Label::new(Tlp::Green, Category::Threat);
        a.sectors.insert("energy".into());
        let b = Label::new(Tlp::Amber, Category::Vulnerability);
        let joined = a.clone().join(&b);
        assert!(joined.covers(&a) && joined.covers(&b));
        assert!(!a.covers(&joined) && !b.covers(&joined));
        assert_eq!(joined, b.join(&a));
        assert_eq!(joined.clone().join(&joined), joined);
    }

    #[test]
    fn categories_ascend_by_the_name_that_is_signed() {
        let categories: Vec<_> = BTreeSet::from(Category::ALL).into_iter().collect();
        assert_eq!(categories.len(), Category::ALL.len());
        assert!(categories.is_sorted_by_key(|category| category.as_str()));
        for category in categories {
            let written = serde_json::to_string(&category).unwrap();
            assert_eq!(written, format!("\"{category}\""));
            assert_eq!(category.as_str().parse(), Ok(category));
        }
    }

    #[test]
    fn text_from_outside_is_shown_and_not_obeyed() {
        let mut label = Label::new(Tlp::Green, Category::Threat);
        label.sectors = ["energy\u{1b}[2J".to_owned(), "a\u{202e}b".to_owned()].into();
        assert_eq!(label.to_string(), "green threat [a\\u{202e}b+energy\\u{1b}[2J]");
        label.sectors = [SECTOR_UNSPECIFIED.to_owned()].into();
        assert_eq!(label.to_string(), "green threat");
    }

    #[test]
    fn an_unknown_level_is_refused() {
        let text = r#"{"tlp":"purple","categories":["threat"],"sectors":[],"markings":[]}"#;
        let error = serde_json::from_str::<Label>(text).unwrap_err().to_string();
        assert!(error.contains("purple"), "{error}");
        assert!(serde_json::from_str::<Label>(&text.replace("purple", "white")).is_err());
        assert!(serde_json::from_str::<Label>(&text.replace("purple", "red")).is_ok());
    }

    #[test]
    fn a_tlp_id_cannot_pose_as_an_unknown_marking() {
        let mut label = Label::new(Tlp::Clear, Category::Threat);
        label.markings.insert("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed".into());
        assert_eq!(label.check(), Err(LabelError::Marking));
    }
}
