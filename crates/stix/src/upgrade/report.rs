//! What became of what an object said: the loss report.

use super::tree::Node;
use crate::quote::quote;
use std::{cmp::Ordering, collections::BTreeMap, fmt};

/// What became of a property or of a whole object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// It says the same in another place or form.
    Moved,
    /// It follows from what the object said.
    Derived,
    /// STIX 2.1 requires an answer that STIX 2.0 did not give: this one was chosen.
    Assumed,
    /// It stands as it was, although STIX 2.1 has no meaning of its own for it.
    Kept,
    /// It is gone.
    Lost,
    /// The object cannot be read as STIX 2.0: all of it is left out.
    Refused,
}

impl ChangeKind {
    /// The kind's name, one word in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Moved => "moved",
            ChangeKind::Derived => "derived",
            ChangeKind::Assumed => "assumed",
            ChangeKind::Kept => "kept",
            ChangeKind::Lost => "lost",
            ChangeKind::Refused => "refused",
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One entry of the loss report.
///
/// What every object undergoes is no entry: the `spec_version` that goes from the bundle to each object, and the
/// `pattern_type` of indicators, which in STIX 2.0 could only be `stix`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What became of it.
    pub kind: ChangeKind,
    /// The object's place among the objects of the input, from 0.
    pub index: usize,
    /// What the object has for an `id`, fit for a message; not checked to be an identifier.
    pub object: Option<String>,
    /// Where in the object as it came it stands or, for what was derived or assumed, in the object as it went: a JSON
    /// pointer (RFC 6901); empty for the whole object.
    pub pointer: String,
    /// What became of it, as a sentence without its full stop; values in it are cut short.
    pub message: String,
}

/// The most entries that the report has for one object; one more says that there are others.
pub const CHANGES_MAX: usize = 1_000;

/// The report on one object, and where its properties went.
pub(super) struct Log {
    index: usize,
    object: Option<String>,
    /// Where the object stands in the one that came.
    base: String,
    changes: Vec<Change>,
    /// For selectors: what was selected, and what in its place. What stands under a path goes with it.
    moves: BTreeMap<String, Vec<String>>,
}

impl Log {
    pub(super) fn new(index: usize, object: Option<String>) -> Log {
        Log { index, object, base: String::new(), changes: Vec::new(), moves: BTreeMap::new() }
    }

    /// A report on what stands at `path` in this object.
    pub(super) fn nested(&self, path: &[&str]) -> Log {
        let base = format!("{}{}", self.base, pointer(path));
        Log { index: self.index, object: self.object.clone(), base, changes: Vec::new(), moves: BTreeMap::new() }
    }

    pub(super) fn absorb(&mut self, other: Log) {
        other.changes.into_iter().for_each(|change| self.push(change));
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    pub(super) fn add(&mut self, kind: ChangeKind, path: &[&str], message: String) {
        let pointer = format!("{}{}", self.base, pointer(path));
        self.push(Change { kind, index: self.index, object: self.object.clone(), pointer, message });
    }

    /// Adds an entry, if there is room. What is not listed may be a loss, and so is the entry that says so.
    fn push(&mut self, change: Change) {
        match self.changes.len().cmp(&CHANGES_MAX) {
            _ if change.kind == ChangeKind::Refused => self.changes.push(change),
            Ordering::Less => self.changes.push(change),
            Ordering::Equal => {
                let message = format!("only the first {CHANGES_MAX} changes of the object are listed");
                self.changes.push(Change { kind: ChangeKind::Lost, pointer: self.base.clone(), message, ..change });
            }
            Ordering::Greater => {}
        }
    }

    /// A property that has another place now.
    pub(super) fn moved(&mut self, from: &[&str], to: &[&[&str]], message: String) {
        self.add(ChangeKind::Moved, from, message);
        self.redirect(from, to);
    }

    /// A property that is gone, and why.
    pub(super) fn lost(&mut self, path: &[&str], value: &Node<'_>, why: &str) {
        self.add(ChangeKind::Lost, path, format!("{why}; it said {}", quote(&value.text())));
        self.redirect(path, &[]);
    }

    /// Says for selectors where a property went.
    pub(super) fn redirect(&mut self, from: &[&str], to: &[&[&str]]) {
        self.moves.insert(selector(from), to.iter().map(|path| selector(path)).collect());
    }

    /// What `selector` selects now; nothing if that is gone.
    pub(super) fn redirected(&self, selector: &str) -> Vec<String> {
        let whole_or_above = selector.match_indices('.').map(|(at, _)| at).chain([selector.len()]);
        let found = whole_or_above.filter_map(|end| self.moves.get(&selector[..end])).next_back();
        found.map_or_else(|| vec![selector.to_owned()], Vec::clone)
    }
}

/// The selector of a path (STIX 2.1 §7.2.3.1), in which places in lists have brackets.
fn selector(path: &[&str]) -> String {
    let is_place = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_digit());
    let step = |name: &&str| if is_place(name) { format!("[{name}]") } else { (*name).to_owned() };
    path.iter().map(step).collect::<Vec<_>>().join(".")
}

/// The JSON pointer of a path (RFC 6901).
fn pointer(path: &[&str]) -> String {
    path.iter().map(|name| format!("/{}", quote(name).replace('~', "~0").replace('/', "~1"))).collect()
}
