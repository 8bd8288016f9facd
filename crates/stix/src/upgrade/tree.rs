//! JSON that can be changed: values of the input, and text of our own beside them.

use crate::json::{Str, Value, canonical};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// The members of a JSON object.
pub(super) type Members<'a> = BTreeMap<Cow<'a, str>, Node<'a>>;

/// A JSON value that can be changed.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node<'a> {
    /// Null, a boolean or a number.
    Leaf(Value<'a>),
    Text(Cow<'a, str>),
    List(Vec<Node<'a>>),
    Map(Members<'a>),
}

impl<'a> Node<'a> {
    /// A copy of `value` that can be changed.
    pub(super) fn of(value: &Value<'a>) -> Node<'a> {
        match value {
            Value::String(text) => Node::Text(text.as_str()),
            Value::Array(values) => Node::List(values.iter().map(Node::of).collect()),
            Value::Object(map) => {
                Node::Map(map.iter().map(|member| (member.key.as_str(), Node::of(&member.value))).collect())
            }
            leaf => Node::Leaf(leaf.clone()),
        }
    }

    /// The same as a value that borrows from this one.
    pub(super) fn value(&self) -> Value<'_> {
        match self {
            Node::Leaf(value) => value.clone(),
            Node::Text(text) => Value::String(Str::from(text.as_ref())),
            Node::List(nodes) => Value::Array(nodes.iter().map(Node::value).collect()),
            Node::Map(members) => value(members),
        }
    }

    /// The canonical form (RFC 8785), which is equal for equal values only.
    pub(super) fn canonical(&self) -> Vec<u8> {
        canonical(&self.value())
    }

    /// The text for a message: a string without its quotes, anything else in canonical form.
    pub(super) fn text(&self) -> String {
        match self {
            Node::Text(text) => text.to_string(),
            other => String::from_utf8_lossy(&other.canonical()).into_owned(),
        }
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        if let Node::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn as_list_mut(&mut self) -> Option<&mut Vec<Node<'a>>> {
        if let Node::List(nodes) = self { Some(nodes) } else { None }
    }

    pub(super) fn as_map(&self) -> Option<&Members<'a>> {
        if let Node::Map(members) = self { Some(members) } else { None }
    }

    pub(super) fn as_map_mut(&mut self) -> Option<&mut Members<'a>> {
        if let Node::Map(members) = self { Some(members) } else { None }
    }

    /// Tells an array or object without anything in it, which STIX does not allow.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Node::List(nodes) => nodes.is_empty(),
            Node::Map(members) => members.is_empty(),
            Node::Leaf(_) | Node::Text(_) => false,
        }
    }
}

impl<'a> From<&'a str> for Node<'a> {
    fn from(text: &'a str) -> Node<'a> {
        Node::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Node<'_> {
    fn from(text: String) -> Self {
        Node::Text(Cow::Owned(text))
    }
}

/// The members as a value that borrows from them.
pub(super) fn value<'n>(members: &'n Members<'_>) -> Value<'n> {
    Value::object(members.iter().map(|(key, node)| (key.as_ref(), node.value())))
}

/// The string under `name`.
pub(super) fn string<'n>(members: &'n Members<'_>, name: &str) -> Option<&'n str> {
    members.get(name)?.as_str()
}

/// The object at the end of `path`.
pub(super) fn map_at<'n, 'a>(members: &'n mut Members<'a>, path: &[&str]) -> Option<&'n mut Members<'a>> {
    path.iter().try_fold(members, |members, name| members.get_mut(*name)?.as_map_mut())
}

/// Adds those of `nodes` to the list under `name` that are not in it.
pub(super) fn add_to_list<'a>(
    members: &mut Members<'a>,
    name: &'static str,
    nodes: impl IntoIterator<Item = Node<'a>>,
) {
    let mut nodes = nodes.into_iter().peekable();
    if nodes.peek().is_none() {
        return;
    }
    let list = members.entry(Cow::Borrowed(name)).or_insert_with(|| Node::List(Vec::new()));
    let Node::List(known) = list else { return };
    let mut seen: BTreeSet<Vec<u8>> = known.iter().map(Node::canonical).collect();
    known.extend(nodes.filter(|node| seen.insert(node.canonical())));
}
