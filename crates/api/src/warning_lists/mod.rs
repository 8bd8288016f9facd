//! Warning lists: what is well known and mostly no threat, such as private addresses, resolvers and popular domains.
//!
//! The format is the public one of MISP: a `list.json` with `type` (`string`, `substring`, `hostname`, `cidr` or `regex`),
//! `matching_attributes` and `list`. A network matches both ways: a value that lies in a list's network, and a network
//! that is pushed and has a list's address in it. Reading folders aside, this is pure and never fails on a value.

mod builtin;
mod file;
mod matching;

use std::path::PathBuf;

use psl::Psl;

pub use self::{file::ListFile, matching::WarningLists};

/// The most entries of all lists together.
pub const ENTRIES_MAX: usize = 5_000_000;
/// The most lists.
pub const LISTS_MAX: usize = 1_000;
/// The largest file of a list, in bytes.
pub const LIST_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// The most hits that are told of one object.
pub const HITS_MAX: usize = 8;

/// A value stands on a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// The list's name.
    pub list: String,
    /// The value, in its normal form.
    pub value: String,
}

impl std::fmt::Display for Hit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is on the list \"{}\"", self.value, self.list)
    }
}

/// Why lists cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WarningListError {
    /// A folder or file cannot be read.
    #[error("cannot read the warning lists at {path}: {source}")]
    Read {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is no list.
    #[error("{path} is no warning list: {problem}; mend it, or take it out of the folder")]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no list where lists should be.
    #[error("there is no warning list in {path}: a checkout of the lists has its list.json files below lists/")]
    Empty {
        /// The folder.
        path: PathBuf,
    },
    /// There are too many.
    #[error("{path} has more than {LISTS_MAX} lists or {ENTRIES_MAX} entries: keep those that you need")]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
}

/// The public suffix that a domain name ends with, such as `co.uk`, if its last label is a known one.
///
/// The name is in lower case, with A-labels or without.
#[must_use]
pub fn known_suffix(name: &str) -> Option<String> {
    let suffix = psl::List.suffix(name.as_bytes())?;
    let text = std::str::from_utf8(suffix.as_bytes()).ok()?;
    suffix.is_known().then(|| text.to_owned())
}

#[cfg(test)]
mod tests;
