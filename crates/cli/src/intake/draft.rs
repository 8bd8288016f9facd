//! One thing that an input says, before it is a STIX object.

use std::collections::BTreeSet;

use mithaq_core::{
    stix::{Observable, marking::Tlp},
    time::Time,
};

use super::{LABELS_MAX, SAID_BYTES_MAX};

/// What a draft becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// An indicator with this STIX pattern, which looks for these.
    Indicator {
        /// The pattern.
        pattern: String,
        /// What it looks for.
        observables: Vec<Observable>,
    },
    /// An observable that is not to be detected.
    Observable(Observable),
    /// A report on other drafts of the same intake, by their numbers.
    Report(Vec<usize>),
}

/// What is said of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Says {
    /// What it is called.
    pub(crate) name: Option<String>,
    /// What is said of it.
    pub(crate) description: Option<String>,
    /// Its labels.
    pub(crate) labels: BTreeSet<String>,
    /// The sectors it is for.
    pub(crate) sectors: BTreeSet<String>,
    /// Its level, if the input says one.
    pub(crate) tlp: Option<Tlp>,
    /// How sure its producer is, 0 to 100.
    pub(crate) confidence: Option<u8>,
    /// From when on it is good.
    pub(crate) valid_from: Option<Time>,
    /// Until when.
    pub(crate) valid_until: Option<Time>,
    /// When it was last changed where it comes from.
    pub(crate) changed_at: Option<Time>,
    /// Whether its producer took it back.
    pub(crate) revoked: bool,
}

/// One thing that an input says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Draft {
    /// Where it stood.
    pub(crate) place: String,
    /// What stood there.
    pub(crate) found: String,
    /// What it becomes.
    pub(crate) what: What,
    /// What names it: the same key is the same object whenever it is pushed.
    pub(crate) key: String,
    /// What is said of it.
    pub(crate) says: Says,
    /// What a person should look at before it is sent.
    pub(crate) notes: Vec<String>,
}

impl Draft {
    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let says = &self.says;
        let texts = says.labels.iter().chain(&says.sectors).chain(&says.name).chain(&says.description);
        let of_what = match &self.what {
            What::Indicator { pattern, observables } => {
                pattern.len() + observables.iter().map(|observable| observable.value.len()).sum::<usize>()
            }
            What::Observable(observable) => observable.value.len(),
            What::Report(members) => members.len() * size_of::<usize>(),
        };
        size_of::<Self>() + self.key.len() + of_what + texts.map(String::len).sum::<usize>()
    }
}

impl Says {
    /// Adds a label, if it is one and there is room.
    pub(crate) fn label(&mut self, text: &str) {
        let text = said(text);
        if !text.is_empty() && self.labels.len() < LABELS_MAX {
            self.labels.insert(text);
        }
    }

    /// Takes the stricter of two levels.
    pub(crate) fn at_least(&mut self, tlp: Option<Tlp>) {
        self.tlp = self.tlp.max(tlp);
    }

    /// Joins what is said of the same thing at another place.
    pub(crate) fn join(&mut self, other: Says) {
        self.at_least(other.tlp);
        other.labels.iter().for_each(|label| self.label(label));
        self.sectors.extend(other.sectors);
        self.name = self.name.take().or(other.name);
        self.description = joined(self.description.take(), other.description);
        self.confidence = self.confidence.max(other.confidence);
        self.valid_from = earlier(self.valid_from, other.valid_from);
        self.valid_until = self.valid_until.max(other.valid_until);
        self.changed_at = self.changed_at.max(other.changed_at);
        self.revoked &= other.revoked;
    }
}

fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn joined(one: Option<String>, other: Option<String>) -> Option<String> {
    match (one, other) {
        (Some(one), Some(other)) if one.contains(&other) => Some(one),
        (Some(one), Some(other)) => Some(said(&format!("{one}\n{other}"))),
        (one, other) => one.or(other),
    }
}

/// A text as an object may carry it: without blanks around it and no longer than is sensible.
pub(super) fn said(text: &str) -> String {
    let text = text.trim();
    let end = (0..=SAID_BYTES_MAX.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].to_owned()
}

/// The same, if anything is left.
pub(super) fn some(text: &str) -> Option<String> {
    Some(said(text)).filter(|text| !text.is_empty())
}
