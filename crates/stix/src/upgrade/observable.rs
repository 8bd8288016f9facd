//! The properties of observables, from STIX 2.0 part 4 to STIX 2.1 §6.

use super::{
    report::{ChangeKind, Log},
    tree::{Members, Node, map_at, string},
};
use std::borrow::Cow;

/// Properties that have another name, as type, old name, new name.
const RENAMED: &[(&str, &str, &str)] = &[
    ("directory", "created", "ctime"),
    ("directory", "modified", "mtime"),
    ("directory", "accessed", "atime"),
    ("file", "created", "ctime"),
    ("file", "modified", "mtime"),
    ("file", "accessed", "atime"),
    ("process", "created", "created_time"),
    ("process", "binary_ref", "image_ref"),
    ("user-account", "password_last_changed", "credential_last_changed"),
    ("windows-registry-key", "modified", "modified_time"),
];

/// Properties that STIX 2.1 does not have, as type and path; a process's own are in [`COMMAND`] besides.
const REMOVED: &[(&str, &[&str])] = &[
    ("file", &["is_encrypted"]),
    ("file", &["encryption_algorithm"]),
    ("file", &["decryption_key"]),
    ("file", &["extensions", "archive-ext", "version"]),
    ("file", &["extensions", "raster-image-ext", "image_compression_algorithm"]),
    ("network-traffic", &["extensions", "socket-ext", "protocol_family"]),
];

/// What STIX 2.1 has in a process's `command_line`.
const COMMAND: [&str; 2] = ["name", "arguments"];

/// Dictionaries whose values were strings and are lists of strings, as type and path.
const LIST_DICTIONARIES: &[(&str, &[&str])] = &[
    ("email-message", &["additional_header_fields"]),
    ("network-traffic", &["extensions", "http-request-ext", "request_header"]),
];

/// The name in STIX 2.1 of a property of an observable, if it is another.
pub(super) fn renamed(object_type: &str, name: &str) -> Option<&'static str> {
    RENAMED.iter().find(|(of, from, _)| (*of, *from) == (object_type, name)).map(|(_, _, to)| *to)
}

/// Tells whether STIX 2.1 has no property at `path` where STIX 2.0 had one.
pub(super) fn is_removed(object_type: &str, path: &[Cow<'_, str>]) -> bool {
    let is_command = object_type == "process" && matches!(path, [name] if COMMAND.contains(&name.as_ref()));
    is_command || REMOVED.iter().any(|(of, removed)| *of == object_type && path == *removed)
}

/// Tells whether the values of the dictionary at `path` are lists in STIX 2.1 and were strings in STIX 2.0.
pub(super) fn is_list_dictionary(object_type: &str, path: &[Cow<'_, str>]) -> bool {
    LIST_DICTIONARIES.iter().any(|(of, dictionary)| *of == object_type && path == *dictionary)
}

/// Tells whether a property holds hashes by their algorithms.
pub(super) fn is_hash_dictionary(name: &str) -> bool {
    matches!(name, "hashes" | "file_header_hashes")
}

/// The name in STIX 2.1 of a hash algorithm, if it is another (hash-algorithm-ov).
pub(super) fn renamed_hash(algorithm: &str) -> Option<&'static str> {
    (algorithm == "ssdeep").then_some("SSDEEP")
}

/// Brings an observable's own properties to STIX 2.1; references are left as they are.
pub(super) fn upgrade(members: &mut Members<'_>, log: &mut Log) {
    let object_type = string(members, "type").unwrap_or_default().to_owned();
    for (_, from, to) in RENAMED.iter().filter(|(of, _, _)| *of == object_type) {
        rename(members, from, to, log);
    }
    if object_type == "process" {
        command_line(members, log);
    }
    for (_, path) in REMOVED.iter().filter(|(of, _)| *of == object_type) {
        remove(members, path, log);
    }
    for (_, path) in LIST_DICTIONARIES.iter().filter(|(of, _)| *of == object_type) {
        lists(members, path, log);
    }
    hashes(members, &mut Vec::new(), log);
}

fn rename(members: &mut Members<'_>, from: &'static str, to: &'static str, log: &mut Log) {
    let Some(value) = members.remove(from) else { return };
    if members.contains_key(to) {
        return log.lost(&[from], &value, &format!("STIX 2.1 calls this {to}, and that is there already"));
    }
    members.insert(Cow::Borrowed(to), value);
    log.moved(&[from], &[&[to]], format!("STIX 2.1 calls this {to}"));
}

/// A process's name and arguments: STIX 2.1 has them in the command line, which begins with the name.
fn command_line(members: &mut Members<'_>, log: &mut Log) {
    let name = string(members, "name").map(str::to_owned);
    if let Some(name) = name.filter(|_| !members.contains_key("command_line")) {
        let arguments = match members.get("arguments") {
            Some(Node::List(nodes)) => nodes.iter().filter_map(Node::as_str).map(quote_argument).collect(),
            _ => Vec::new(),
        };
        let command = std::iter::once(quote_argument(&name)).chain(arguments).collect::<Vec<_>>().join(" ");
        members.insert(Cow::Borrowed("command_line"), Node::from(command));
        for part in COMMAND.into_iter().filter(|part| members.remove(*part).is_some()) {
            log.moved(&[part], &[&["command_line"]], "STIX 2.1 has this in command_line, put together here".to_owned());
        }
    }
    for part in COMMAND {
        if let Some(value) = members.remove(part) {
            log.lost(&[part], &value, "STIX 2.1 has no such property of a process");
        }
    }
}

/// An argument as it can stand in a command line and be told from the next.
fn quote_argument(argument: &str) -> String {
    let needs_quotes = argument.is_empty() || argument.contains([' ', '\t', '"']);
    if needs_quotes { format!("\"{}\"", argument.replace('"', "\\\"")) } else { argument.to_owned() }
}

/// Takes out what STIX 2.1 does not have, and what is empty without it.
fn remove(members: &mut Members<'_>, path: &[&str], log: &mut Log) {
    let [above @ .., name] = path else { return };
    let Some(value) = map_at(members, above).and_then(|map| map.remove(*name)) else { return };
    log.lost(path, &value, "STIX 2.1 has no such property");
    for length in (1..path.len()).rev() {
        let [above @ .., name] = &path[..length] else { return };
        let Some(map) = map_at(members, above) else { return };
        if map.get(*name).is_some_and(Node::is_empty) {
            map.remove(*name);
            log.redirect(&path[..length], &[]);
        }
    }
}

/// Makes lists of a dictionary's strings.
fn lists(members: &mut Members<'_>, path: &[&str], log: &mut Log) {
    let Some(dictionary) = map_at(members, path) else { return };
    for (name, value) in dictionary {
        if matches!(value, Node::Text(_)) {
            let only = std::mem::replace(value, Node::List(Vec::new()));
            *value = Node::List(vec![only]);
            let path: Vec<&str> = path.iter().copied().chain([name.as_ref()]).collect();
            log.add(ChangeKind::Moved, &path, "STIX 2.1 has a list here: the value is its only element".to_owned());
        }
    }
}

/// Gives hash algorithms the names of STIX 2.1, wherever in the object they stand.
pub(super) fn hashes(members: &mut Members<'_>, path: &mut Vec<String>, log: &mut Log) {
    for (name, value) in members {
        path.push(name.to_string());
        match value {
            Node::Map(map) if is_hash_dictionary(name) => hash_names(map, path, log),
            Node::Map(map) => hashes(map, path, log),
            Node::List(nodes) => {
                for (at, node) in nodes.iter_mut().enumerate() {
                    path.push(at.to_string());
                    if let Node::Map(map) = node {
                        hashes(map, path, log);
                    }
                    path.pop();
                }
            }
            Node::Leaf(_) | Node::Text(_) => {}
        }
        path.pop();
    }
}

fn hash_names(hashes: &mut Members<'_>, path: &[String], log: &mut Log) {
    let old: Vec<String> = hashes.keys().filter(|name| renamed_hash(name).is_some()).map(Cow::to_string).collect();
    for name in old {
        let (Some(new), Some(value)) = (renamed_hash(&name), hashes.remove(name.as_str())) else { continue };
        let path = |name| path.iter().map(String::as_str).chain([name]).collect::<Vec<_>>();
        if hashes.contains_key(new) {
            log.lost(&path(&name), &value, &format!("STIX 2.1 calls this {new}, and that is there already"));
        } else {
            hashes.insert(Cow::Borrowed(new), value);
            log.moved(&path(&name), &[&path(new)], format!("STIX 2.1 calls this {new}"));
        }
    }
}
