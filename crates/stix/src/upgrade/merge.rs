//! Observables that come several times, which have one id and must be one object.

use super::{
    report::Log,
    tree::{Members, Node},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// An observable, and what all who saw it say of it.
pub(super) struct Merged<'a> {
    pub(super) members: Members<'a>,
    /// The elements of lists that were added to, by the lists' names: an observable that comes a thousand times is not gone
    /// through a thousand times.
    elements: BTreeMap<Cow<'a, str>, BTreeSet<Vec<u8>>>,
}

impl<'a> Merged<'a> {
    pub(super) fn new(members: Members<'a>) -> Merged<'a> {
        Merged { members, elements: BTreeMap::new() }
    }

    /// Adds what `other`, the same observable, says besides: properties, elements of lists, markings.
    ///
    /// What they contradict each other in stays as it was first, and `log` has the other.
    pub(super) fn add(&mut self, other: Members<'a>, log: &mut Log) {
        for (name, value) in other {
            let Some(before) = self.members.get_mut(&name) else {
                self.members.insert(name, value);
                continue;
            };
            match (before, value) {
                (before, value) if *before == value => {}
                (Node::List(before), Node::List(values)) => {
                    let known = || before.iter().map(Node::canonical).collect();
                    let seen = self.elements.entry(name).or_insert_with(known);
                    before.extend(values.into_iter().filter(|value| seen.insert(value.canonical())));
                }
                (_, value) => {
                    let why = "the same observable came before and said otherwise, and one object can say one thing";
                    log.lost(&[&name], &value, why);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        json::{canonical, parse},
        upgrade::tree,
    };

    #[test]
    fn what_is_new_is_added_and_what_differs_is_reported() {
        let members = |text: &'static str| match Node::of(&parse(text.as_bytes()).unwrap()) {
            Node::Map(members) => members,
            other => panic!("{other:?}"),
        };
        let mut merged = Merged::new(members(r#"{"a":[1],"b":"x","c":1}"#));
        let mut log = Log::new(0, None);
        merged.add(members(r#"{"a":[1,2],"b":"x","c":1,"d":true}"#), &mut log);
        merged.add(members(r#"{"a":["1",2],"b":"y"}"#), &mut log);
        let text = canonical(&tree::value(&merged.members));
        assert_eq!(String::from_utf8_lossy(&text), r#"{"a":[1,2,"1"],"b":"x","c":1,"d":true}"#);
        let changes = log.into_changes();
        assert_eq!(changes.len(), 1);
        assert_eq!(changes[0].pointer, "/b");
        assert!(changes[0].message.ends_with("it said y"), "{}", changes[0].message);
    }
}
