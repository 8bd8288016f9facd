//! Labels: what policy reads of an object. Labels form a lattice, and [`Label::join`] is its "strictest of both".

mod category;
mod confidence;
mod iep;
mod marking;

use std::{collections::BTreeSet, fmt};

pub use category::{Category, CategoryError};
pub use confidence::{Confidence, ConfidenceError};
pub use iep::Iep;
pub use marking::Marking;
use mithaq_stix::{
    id::StixId,
    marking::{Pap, Tlp},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::text::quote;

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
    /// Ids of markings whose meaning is not known: nothing releases them but an agreement that names them.
    pub markings: BTreeSet<String>,
    /// The lowest confidence of the object and all that it speaks of.
    #[serde(default, skip_serializing_if = "Confidence::is_unspecified")]
    pub confidence: Confidence,
    /// Whether it holds personal data: people, accounts, mail addresses.
    #[serde(default, skip_serializing_if = "is_false")]
    pub personal: bool,
    /// The strictest level of the Permissible Actions Protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pap: Option<Pap>,
    /// The strictest of all Information Exchange Policies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub iep: Option<Iep>,
    /// Whether there is a marking whose statement only people can read.
    #[serde(default, skip_serializing_if = "is_false")]
    pub statements: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The form that serde asks for.
fn is_false(value: &bool) -> bool {
    !value
}

impl Label {
    /// A label with a level and one category, nothing else.
    #[must_use]
    pub fn new(tlp: Tlp, category: Category) -> Self {
        let confidence = Confidence::Unspecified;
        Self { tlp, categories: [category].into(), confidence, ..Self::nothing() }
    }

    /// The label that restricts nothing, where every [`Label::join`] may begin. It has no category, so nothing is
    /// released under it.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            tlp: Tlp::Clear,
            categories: BTreeSet::new(),
            sectors: BTreeSet::new(),
            markings: BTreeSet::new(),
            confidence: Confidence::High,
            personal: false,
            pap: None,
            iep: None,
            statements: false,
        }
    }

    /// The level that holds: the stricter of TLP and what the policies ask for.
    #[must_use]
    pub fn level(&self) -> Tlp {
        self.iep.as_ref().map_or(self.tlp, |iep| self.tlp.max(iep.tlp))
    }

    /// Takes what is known of one marking into account.
    pub fn mark(&mut self, id: &str, marking: &Marking) {
        match marking {
            Marking::Statement => self.statements = true,
            Marking::Pap(level) => self.pap = self.pap.max(Some(*level)),
            Marking::Iep(policy) => self.iep = Some(join_iep(self.iep.take(), policy)),
            Marking::Unknown => drop(self.markings.insert(id.to_owned())),
        }
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
        self.confidence = self.confidence.min(other.confidence);
        self.personal |= other.personal;
        self.pap = self.pap.max(other.pap);
        if let Some(policy) = &other.iep {
            self.iep = Some(join_iep(self.iep.take(), policy));
        }
        self.statements |= other.statements;
        self
    }

    /// Whether this label restricts at least as much as `other`.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.tlp >= other.tlp
            && self.categories.is_superset(&other.categories)
            && self.sectors.is_superset(&other.sectors)
            && self.markings.is_superset(&other.markings)
            && self.confidence <= other.confidence
            && self.personal >= other.personal
            && self.pap >= other.pap
            && other.iep.as_ref().is_none_or(|theirs| self.iep.as_ref().is_some_and(|ours| ours.covers(theirs)))
            && self.statements >= other.statements
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

fn join_iep(ours: Option<Iep>, theirs: &Iep) -> Iep {
    ours.map_or_else(|| theirs.clone(), |ours| ours.join(theirs))
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
    /// For people: level, categories, named sectors, what is known of markings, and the number of those that are not.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |set: &mut dyn Iterator<Item = &str>| set.collect::<Vec<_>>().join("+");
        write!(f, "{} {}", self.tlp, list(&mut self.categories.iter().map(|category| category.as_str())))?;
        if self.sectors.iter().any(|text| text != SECTOR_UNSPECIFIED) {
            let sectors = list(&mut self.sectors.iter().map(String::as_str));
            write!(f, " [{}]", quote(&sectors))?;
        }
        f.write_str(if self.personal { " personal" } else { "" })?;
        f.write_str(if self.statements { " statement" } else { "" })?;
        if let Some(level) = self.pap {
            write!(f, " PAP:{level}")?;
        }
        if let Some(policy) = &self.iep {
            write!(f, " IEP:{}", policy.tlp)?;
        }
        if !self.confidence.is_unspecified() {
            write!(f, " confidence:{}", self.confidence)?;
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
