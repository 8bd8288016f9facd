//! Observables: the values that analysts search for and SIEMs match, in one normal form each.
//!
//! The same address arrives as `hxxp://Evil[.]example`, `http://evil.example/` and inside a pattern. Normalised, the
//! three are one key for correlation and search. A value that cannot be what its place says it is (an address that
//! does not parse, a hash of the wrong length) yields no observable: it would only match noise.

mod defang;
mod extract;
mod kind;
mod normalise;
mod place;
mod query;
mod sufficient;

use crate::pattern::Pattern;
pub use defang::refang;
pub(crate) use extract::of_object;
pub use kind::ObservableKind;
pub use place::{Network, Place};

/// A value in its normal form, and what it is.
///
/// | kinds | normal form |
/// |---|---|
/// | IP addresses | as `std::net` prints them; a network without host bits; a network of one address is that address |
/// | domains | lower-case A-labels (UTS 46) without a final dot |
/// | URLs | as the WHATWG URL standard serialises them, in ASCII |
/// | mail addresses | lower case, the domain as above |
/// | hashes, MAC addresses | lower case; MAC addresses with colons |
/// | AS numbers | decimal digits |
/// | registry keys | lower case, the hive's name in full |
/// | everything else | as it came, without white space around it |
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Observable {
    /// What the value is.
    pub kind: ObservableKind,
    /// The value in its normal form.
    pub value: String,
}

impl Observable {
    /// The observable of this kind that `text` writes, defanged or not; `None` if it cannot be one.
    ///
    /// A text of one kind may turn out to be of a closely related one: a network of a single address is an address.
    #[must_use]
    pub fn new(kind: ObservableKind, text: &str) -> Option<Observable> {
        normalise::observable(kind, text.trim())
    }

    /// What a pattern looks for, sorted, each once: the values that are compared and not excluded.
    #[must_use]
    pub fn of_pattern(pattern: &Pattern<'_>) -> Vec<Observable> {
        extract::of_pattern(pattern)
    }

    /// The values of which one alone makes a pattern match, sorted, each once: what a list of values can carry of it.
    ///
    /// Nothing comes of parts that need more than one value: comparisons that `AND` joins, observations one after the
    /// other, and those within limits.
    #[must_use]
    pub fn sufficient_for(pattern: &Pattern<'_>) -> Vec<Observable> {
        sufficient::of_pattern(pattern)
    }

    /// What an analyst may have meant by typing `text`: every kind of observable that it can be.
    ///
    /// The text may be defanged. Nothing comes of text that could be no observable, nor of an address that is written
    /// with other digits than 0 to 9.
    #[must_use]
    pub fn from_query(text: &str) -> Vec<Observable> {
        query::guess(text)
    }
}

#[cfg(test)]
mod tests;
