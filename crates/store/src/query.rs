//! What objects are searched by, and pages of what is found.

use mithaq_core::{
    body::Facts,
    id::ContentId,
    stix::observable::{Network, Observable, Place as Lies},
};

/// The most results of a page.
pub const FIND_LIMIT_MAX: usize = 1_000;

/// The most queries that are asked at once.
pub const FIND_QUERIES_MAX: usize = 32;

/// What an object is searched by.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Query {
    /// It carries exactly this observable.
    Value(Observable),
    /// It carries an address or a URL of this network, or a network that lies in it or contains it.
    Network(Network),
    /// It carries this domain name, a URL of that host, or a mail address of that domain.
    Host(String),
    /// The same of any name below this one.
    Below(String),
    /// Its text has all of these words, as `mithaq_core::words` makes them of a question.
    Words(Vec<String>),
    /// It is a `language-content` of this STIX id.
    Translations(String),
}

/// What the index finds an object by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Term<'a> {
    Observable(&'a Observable),
    Word(&'a str),
    Translates(&'a str),
}

/// Everything that the index finds an object by.
pub(crate) fn terms(facts: &Facts) -> impl Iterator<Item = Term<'_>> {
    let observables = facts.observables.iter().map(Term::Observable);
    let words = facts.words.iter().map(|word| Term::Word(word));
    observables.chain(words).chain(facts.translates.as_deref().map(Term::Translates))
}

impl Query {
    /// The word that objects are looked up by, of which the others are asked when they are read: the longest is mostly
    /// the rarest.
    pub(crate) fn leading_word(words: &[String]) -> Option<&String> {
        words.iter().max_by_key(|word| (word.len(), *word))
    }

    /// Whether an object with these facts is searched for because of one of its terms.
    pub(crate) fn is_met(&self, term: &Term<'_>, facts: &Facts) -> bool {
        match (self, term) {
            (Self::Value(wanted), Term::Observable(found)) => wanted == *found,
            (Self::Network(wanted), Term::Observable(found)) => {
                matches!(found.place(), Some(Lies::Network(network)) if network.overlaps(wanted))
            }
            (Self::Host(wanted), Term::Observable(found)) => {
                matches!(found.place(), Some(Lies::Name(name)) if name == *wanted)
            }
            (Self::Below(wanted), Term::Observable(found)) => {
                matches!(found.place(), Some(Lies::Name(name)) if is_below(&name, wanted))
            }
            (Self::Words(wanted), Term::Word(found)) => {
                let leads = Self::leading_word(wanted).is_some_and(|word| word == *found);
                leads && wanted.iter().all(|word| facts.words.contains(word))
            }
            (Self::Translations(wanted), Term::Translates(found)) => wanted == *found,
            _ => false,
        }
    }
}

fn is_below(name: &str, suffix: &str) -> bool {
    name.strip_suffix(suffix).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// A place between two pages. Its bytes are the store's own business; a place of one question means nothing to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place(pub(crate) Vec<u8>);

impl Place {
    /// A place that was given out before, as [`Self::as_bytes`] told it.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Its bytes: a few tens.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A content that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The content.
    pub content: ContentId,
    /// The place behind it.
    pub place: Place,
}

/// A page of what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FoundPage {
    /// What was found; may be less than was asked for, or nothing, with more to come.
    pub found: Vec<Found>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Place>,
}
