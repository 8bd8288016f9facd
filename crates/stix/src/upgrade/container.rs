//! The observables inside observed-data objects, which in STIX 2.1 are objects of their own.
//!
//! Each gets the id that the standard recommends for it. Where the standard recommends none, as for processes, it demands
//! a random one, a UUIDv4; an upgrade that is done twice must not make two objects of one, so that the random bits are a
//! hash of the observed-data object's UUID, its version and the observable's key.

use super::{
    marking::{self, Inherited},
    observable,
    report::{ChangeKind, Log},
    tree::{self, Members, Node, string},
};
use crate::{
    id::StixId,
    object::{Object, ObjectError},
    sco_id::{UuidVersion, contributing_properties, hashed_id, sco_id},
};
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

/// How many observables may hang on each other for their ids; chains of the standard's own types are far shorter.
const CHAIN_MAX: usize = 16;

/// Properties whose names are data, so that none of them is a reference.
const DICTIONARIES: [&str; 9] = [
    "additional_header_fields",
    "document_info_dict",
    "environment_variables",
    "exif_tags",
    "file_header_hashes",
    "hashes",
    "ipfix",
    "request_header",
    "startup_info_dict",
];

/// An observable that stood in an observed-data object.
pub(super) struct Observable<'a> {
    pub(super) id: String,
    /// Its key in the container.
    pub(super) key: String,
    pub(super) members: Members<'a>,
}

/// Takes the observables out of an observed-data object and puts their ids in.
///
/// # Errors
/// A sentence, when there is none that can be taken out, or too much is said of them.
pub(super) fn take_observables<'a>(
    observed: &mut Members<'a>,
    id: &StixId,
    log: &mut Log,
) -> Result<Vec<Observable<'a>>, String> {
    let container = match observed.remove("objects") {
        Some(Node::Map(container)) => container,
        Some(_) => return Err("/objects is no object: it must hold the observables by their keys".to_owned()),
        None if observed.contains_key("object_refs") => return Ok(Vec::new()),
        None => return Err("/objects is missing: an observed-data object without observables says nothing".to_owned()),
    };
    let version = string(observed, "modified").unwrap_or_default().to_owned();
    let mut logs = BTreeMap::new();
    let container = readable(container, log, &mut logs);
    let ids = Ids::of(&container, id.uuid_bytes(), &version);
    let mut inherited = Inherited::of(observed, &container)?;
    let mut refs = BTreeSet::new();
    let mut observables = Vec::new();
    for (key, mut observable) in container {
        let Some(mut nested) = logs.remove(&key) else { continue };
        let (Some(id), Some(Node::Map(members))) = (ids.get(key.as_ref()), Some(&mut observable)) else { continue };
        resolve(members, &mut Vec::new(), &ids, &mut nested);
        inherited.mark(members, &key, &nested);
        nested.add(ChangeKind::Moved, &[], format!("this observable is an object of its own in STIX 2.1: {id}"));
        if let Some(members) = checked(members, id, &mut nested) {
            refs.insert(id.to_owned());
            observables.push(Observable { id: id.to_owned(), key: key.to_string(), members });
        }
        log.absorb(nested);
    }
    marking::leave_container(observed);
    observed.insert(Cow::Borrowed("object_refs"), Node::List(refs.into_iter().map(Node::from).collect()));
    if observables.is_empty() {
        return Err("none of its observables could be taken over".to_owned());
    }
    Ok(observables)
}

/// The observables that are objects with something in them, brought to STIX 2.1 but for their references; `logs` takes
/// what became of each.
fn readable<'a>(container: Members<'a>, log: &mut Log, logs: &mut BTreeMap<Cow<'a, str>, Log>) -> Members<'a> {
    let mut readable = Members::new();
    for (key, mut node) in container {
        let mut nested = log.nested(&["objects", &key]);
        let before = node.clone();
        if let Node::Map(members) = &mut node {
            observable::upgrade(members, &mut nested);
        }
        let says_something = node.as_map().is_some_and(|map| string(map, "type").is_some() && map.len() > 1);
        if says_something {
            logs.insert(key.clone(), nested);
            readable.insert(key, node);
        } else {
            nested.lost(&[], &before, "no object with a type, or with nothing that STIX 2.1 has a place for");
            log.absorb(nested);
        }
    }
    readable
}

/// The observable with its id, if it is an object of STIX 2.1.
fn checked<'a>(members: &mut Members<'a>, id: &str, log: &mut Log) -> Option<Members<'a>> {
    members.insert(Cow::Borrowed("id"), Node::from(id.to_owned()));
    members.insert(Cow::Borrowed("spec_version"), Node::from("2.1"));
    match Object::from_value(tree::value(members), &[]) {
        Ok(_) => Some(std::mem::take(members)),
        Err(error) => {
            let value = Node::Map(std::mem::take(members));
            log.lost(&[], &value, &explain(&error));
            None
        }
    }
}

/// The error with what it comes from.
pub(super) fn explain(error: &ObjectError) -> String {
    use std::error::Error;
    error.source().map_or_else(|| error.to_string(), |source| format!("{error}: {source}"))
}

/// The ids of a container's observables by their keys.
struct Ids {
    by_key: BTreeMap<String, String>,
}

impl Ids {
    fn of(container: &Members<'_>, namespace: [u8; 16], version: &str) -> Ids {
        let mut ids = Ids { by_key: BTreeMap::new() };
        for key in container.keys() {
            ids.assign(key, &Source { container, namespace, version }, 0);
        }
        ids
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.by_key.get(key).map(String::as_str)
    }

    /// Gives the observable under `key` its id, after those that the id is made of.
    fn assign(&mut self, key: &str, source: &Source<'_, '_>, depth: usize) {
        let Some(Node::Map(members)) = source.container.get(key) else { return };
        if self.by_key.contains_key(key) {
            return;
        }
        let object_type = string(members, "type").unwrap_or_default();
        // Stands already when a circle comes back here, and where the chain is too long.
        let name = format!("{}/{key}", source.version);
        if let Some(id) = hashed_id(object_type, source.namespace, name.as_bytes(), UuidVersion::Random) {
            self.by_key.insert(key.to_owned(), id.to_string());
        }
        if depth == CHAIN_MAX {
            return;
        }
        let property = |property: &&'static str| Some((Cow::Borrowed(*property), members.get(*property)?.clone()));
        let mut contribution: Members<'_> = contributing_properties(object_type).iter().filter_map(property).collect();
        let mut keys = Vec::new();
        visit_references(&mut contribution, &mut Vec::new(), &mut |_, key| {
            keys.push(key.to_owned());
            Some(key.to_owned())
        });
        keys.iter().for_each(|key| self.assign(key, source, depth + 1));
        visit_references(&mut contribution, &mut Vec::new(), &mut |_, key| self.target(key));
        let value = tree::value(&contribution);
        if let Some(id) = value.as_object().and_then(|map| sco_id(object_type, map)) {
            self.by_key.insert(key.to_owned(), id.to_string());
        }
    }

    /// What a reference to `key` refers to now: an observable of the container, or what is an id already.
    fn target(&self, key: &str) -> Option<String> {
        let known = self.get(key).map(str::to_owned);
        known.or_else(|| StixId::parse(key).ok().map(|id| id.to_string()))
    }
}

/// What ids are made of.
struct Source<'s, 'a> {
    container: &'s Members<'a>,
    namespace: [u8; 16],
    version: &'s str,
}

/// Puts ids in the place of keys, and takes out references that lead nowhere.
fn resolve(members: &mut Members<'_>, path: &mut Vec<String>, ids: &Ids, log: &mut Log) {
    visit_references(members, path, &mut |path, key| {
        let target = ids.target(key);
        if target.is_none() {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            log.lost(&path, &Node::from(key.to_owned()), "it refers to an observable that is not there");
        }
        target
    });
}

/// What takes the place of a reference, by the path of its property; nothing if it is taken out.
type Visit<'v> = dyn FnMut(&[String], &str) -> Option<String> + 'v;

/// Goes through the properties whose names end in `_ref` or `_refs`, however deep they stand.
fn visit_references(members: &mut Members<'_>, path: &mut Vec<String>, visit: &mut Visit<'_>) {
    members.retain(|name, node| {
        path.push(name.to_string());
        let stays = match node {
            _ if DICTIONARIES.contains(&name.as_ref()) || is_marking(name) => true,
            Node::Text(_) if name.ends_with("_ref") => replace(node, path, visit),
            Node::List(nodes) if name.ends_with("_refs") => {
                nodes.retain_mut(|node| replace(node, path, visit));
                !nodes.is_empty()
            }
            Node::List(nodes) => {
                nodes.iter_mut().filter_map(Node::as_map_mut).for_each(|map| visit_references(map, path, visit));
                true
            }
            Node::Map(map) => {
                visit_references(map, path, visit);
                true
            }
            Node::Leaf(_) | Node::Text(_) => true,
        };
        path.pop();
        stays
    });
}

/// Markings refer to objects outside of the container.
fn is_marking(name: &str) -> bool {
    matches!(name, "object_marking_refs" | "granular_markings")
}

fn replace(node: &mut Node<'_>, path: &[String], visit: &mut Visit<'_>) -> bool {
    let Some(target) = node.as_str().map(|key| visit(path, key)) else { return true };
    target.is_some_and(|target| {
        *node = Node::from(target);
        true
    })
}
