//! Granular markings, whose selectors follow what they select (STIX 2.0 part 1 §4.3, STIX 2.1 §7.2.3).
//!
//! Where a property was divided, each part is marked, and where the place of an element cannot be told, the whole list:
//! a marking covers what it covered before, or more.

use super::{
    report::Log,
    tree::{self, Members, Node, add_to_list, string},
};
use crate::{json::canonical, marking::TLP_1};
use std::collections::{BTreeMap, BTreeSet};

/// The most bytes of markings that one observed-data object hands to its observables. Each marking of the whole is written
/// out for every observable, so that a small object could become one that fills the memory.
const INHERITED_BYTES_MAX: usize = 64 << 20;

/// The longest selector, in bytes: one is tried at each of its dots against what was moved.
pub(super) const SELECTOR_BYTES_MAX: usize = 4_096;

/// Tells whether a granular marking of the object has a longer selector than [`SELECTOR_BYTES_MAX`].
pub(super) fn has_long_selector(members: &Members<'_>) -> bool {
    let markings = list(members.get("granular_markings")).iter();
    let selectors = markings.flat_map(|marking| list(marking.as_map().and_then(|marking| marking.get("selectors"))));
    selectors.filter_map(Node::as_str).any(|selector| selector.len() > SELECTOR_BYTES_MAX)
}

fn list<'n, 'a>(node: Option<&'n Node<'a>>) -> &'n [Node<'a>] {
    if let Some(Node::List(nodes)) = node { nodes } else { &[] }
}

/// Lets the selectors of an object's granular markings follow what `log` says was moved.
pub(super) fn redirect(members: &mut Members<'_>, log: &Log) {
    rewrite(members, |selector| log.redirected(selector));
}

/// Puts other selectors in the place of each, and drops markings that select nothing any more.
fn rewrite(members: &mut Members<'_>, replace: impl Fn(&str) -> Vec<String>) {
    let Some(Node::List(markings)) = members.get_mut("granular_markings") else { return };
    for marking in markings.iter_mut() {
        let Some(selectors) = marking.as_map_mut().and_then(|map| map.get_mut("selectors")?.as_list_mut()) else {
            continue;
        };
        let mut seen = BTreeSet::new();
        let new = selectors.iter().filter_map(Node::as_str).flat_map(&replace);
        *selectors = new.filter(|selector| seen.insert(selector.clone())).map(Node::from).collect();
    }
    markings.retain(|marking| marking.as_map().is_none_or(|map| !map.get("selectors").is_some_and(Node::is_empty)));
    if markings.is_empty() {
        members.remove("granular_markings");
    }
}

/// What the markings of an observed-data object say of its observables.
#[derive(Default)]
pub(super) struct Inherited<'a> {
    /// Markings of every observable.
    all: Vec<Node<'a>>,
    by_key: BTreeMap<String, Marks<'a>>,
    /// The bytes that the markings take when each observable has its own.
    bytes: usize,
}

/// What the markings of an observed-data object say of one observable alone.
#[derive(Default)]
struct Marks<'a> {
    /// Markings of all of it.
    whole: Vec<Node<'a>>,
    /// Granular markings whose selectors begin at the observable.
    parts: Vec<Node<'a>>,
}

impl<'a> Inherited<'a> {
    /// What `members`, an observed-data object, says of the observables of `container`.
    ///
    /// # Errors
    /// A sentence, when that is more than [`INHERITED_BYTES_MAX`].
    pub(super) fn of(members: &Members<'a>, container: &Members<'a>) -> Result<Inherited<'a>, String> {
        let mut inherited = Inherited::default();
        if let Some(Node::List(refs)) = members.get("object_marking_refs") {
            inherited.all.clone_from(refs);
        }
        if let Some(Node::List(markings)) = members.get("granular_markings") {
            markings.iter().filter_map(Node::as_map).for_each(|marking| inherited.add(marking, container));
        }
        let of_one = inherited.all.iter().map(|marking| marking.canonical().len()).sum();
        inherited.count(of_one, container.len());
        if inherited.bytes > INHERITED_BYTES_MAX {
            return Err(format!(
                "the markings of its observables take more than {INHERITED_BYTES_MAX} bytes when each has its own: \
                 divide the object"
            ));
        }
        Ok(inherited)
    }

    fn count(&mut self, bytes: usize, times: usize) {
        self.bytes = self.bytes.saturating_add(bytes.saturating_mul(times));
    }

    fn add(&mut self, marking: &Members<'a>, container: &Members<'a>) {
        let Some(Node::List(selectors)) = marking.get("selectors") else { return };
        let mut parts: BTreeMap<&str, Vec<Node<'a>>> = BTreeMap::new();
        for selector in selectors.iter().filter_map(Node::as_str) {
            if selector == "objects" {
                self.all.extend(marking.get("marking_ref").cloned());
            }
            let Some((key, part)) = selector.strip_prefix("objects.").and_then(|rest| split_key(rest, container))
            else {
                continue;
            };
            if part.is_empty() {
                self.by_key.entry(key.to_owned()).or_default().whole.extend(marking.get("marking_ref").cloned());
            } else {
                parts.entry(key).or_default().push(Node::from(part.to_owned()));
            }
        }
        let mut marking = marking.clone();
        marking.remove("selectors");
        self.count(canonical(&tree::value(&marking)).len(), parts.len());
        if self.bytes > INHERITED_BYTES_MAX {
            return;
        }
        for (key, parts) in parts {
            let mut marking = marking.clone();
            marking.insert("selectors".into(), Node::List(parts));
            self.by_key.entry(key.to_owned()).or_default().parts.push(Node::Map(marking));
        }
    }

    /// Marks the observable under `key`; `log` says where its properties went.
    pub(super) fn mark(&mut self, observable: &mut Members<'a>, key: &str, log: &Log) {
        let Marks { whole, parts } = self.by_key.remove(key).unwrap_or_default();
        add_to_list(observable, "object_marking_refs", self.all.iter().cloned().chain(whole));
        let own = observable.remove("granular_markings");
        if !parts.is_empty() {
            observable.insert("granular_markings".into(), Node::List(parts));
            redirect(observable, log);
        }
        if let Some(Node::List(own)) = own {
            add_to_list(observable, "granular_markings", own);
        }
    }
}

/// The key of `container` that a selector begins with, and what follows; keys may hold dots themselves.
fn split_key<'s>(selector: &'s str, container: &Members<'_>) -> Option<(&'s str, &'s str)> {
    let mut ends = selector.match_indices('.').map(|(at, _)| at).chain([selector.len()]);
    let end = ends.rfind(|end| container.contains_key(&selector[..*end]))?;
    Some((&selector[..end], selector[end..].strip_prefix('.').unwrap_or_default()))
}

/// After the observables have their own markings: what was selected in the container is selected in the list of ids.
pub(super) fn leave_container(members: &mut Members<'_>) {
    rewrite(members, |selector| match selector {
        "objects" => vec!["object_refs".to_owned()],
        // The observable itself carries the marking.
        inside if inside.starts_with("objects.") => Vec::new(),
        other => vec![other.to_owned()],
    });
}

/// The name that STIX 2.1 §7.2.1.4 gives to the marking definition of a TLP 1 level, by its id.
pub(super) fn tlp_name(members: &Members<'_>) -> Option<&'static str> {
    let id = string(members, "id")?;
    TLP_1.iter().find(|(known, ..)| *known == id).map(|(_, name, _)| *name)
}
