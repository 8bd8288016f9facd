//! The split of a push by label, so that each release is homogeneous.
//!
//! A relationship, sighting, note or report takes the strictest label of what it refers to: whoever may not see
//! an indicator must not learn of it from what points at it.

use std::collections::{BTreeMap, HashMap};

use mithaq_stix::marking::Tlp;

use crate::{
    body::Facts,
    label::{Confidence, Label, Marking, SECTOR_UNSPECIFIED},
};

/// Computes the label of each object of a push, in order.
///
/// `default` is the level of unmarked data. `held` gives the label of an object that is not in the push but known
/// to the store; what nobody knows counts only by the type that its id tells. `known` tells what a marking other than
/// TLP means, and is asked once of each. An id stands for all the versions of it that the push has. The work grows
/// with the number of references, however they are tangled.
///
/// A label that fails [`Label::check`] cannot be released: refuse that object and keep the others.
pub fn labels(
    objects: &[&Facts],
    default: Tlp,
    held: &mut dyn FnMut(&str) -> Option<Label>,
    known: &mut dyn FnMut(&str) -> Marking,
) -> Vec<Label> {
    let mut asked = HashMap::new();
    let mut known = |id: &str| match asked.get(id) {
        Some(marking) => Marking::clone(marking),
        None => asked.entry(id.to_owned()).or_insert(known(id)).clone(),
    };
    let graph = Graph::new(objects);
    let ids = graph.ids.iter().zip(&graph.edges[objects.len()..]);
    let mut labels: Vec<Label> = objects
        .iter()
        .map(|facts| starting_label(facts, default, &mut known))
        .chain(ids.map(|(id, versions)| match versions.is_empty() {
            true => held(id).unwrap_or_else(unknown),
            false => Label::nothing(),
        }))
        .collect();
    graph.for_each_component(|component| {
        let targets = component.iter().flat_map(|node| &graph.edges[*node]);
        if targets.clone().next().is_none() {
            return;
        }
        let joined = component.iter().chain(targets).fold(Label::nothing(), |joined, node| joined.join(&labels[*node]));
        for node in component {
            labels[*node].clone_from(&joined);
        }
    });
    labels.truncate(objects.len());
    labels
}

/// The label of an object by itself. What speaks of others has their sectors; what speaks for itself and names none
/// says so.
fn starting_label(facts: &Facts, default: Tlp, known: &mut dyn FnMut(&str) -> Marking) -> Label {
    let mut label = facts.marked_label(default, known);
    if label.sectors.is_empty() && facts.subject_refs.is_empty() {
        label.sectors.insert(SECTOR_UNSPECIFIED.to_owned());
    }
    label
}

/// What is added by a reference to an object that nobody knows.
fn unknown() -> Label {
    let sectors = [SECTOR_UNSPECIFIED.to_owned()].into();
    Label { sectors, confidence: Confidence::Unspecified, ..Label::nothing() }
}

/// What refers to what: the objects by index, then the ids that they refer to. An object leads to the ids that it
/// names, an id to the objects that have it, so that many versions of one id cost no more than one.
struct Graph<'a> {
    ids: Vec<&'a str>,
    edges: Vec<Vec<usize>>,
    nodes: HashMap<&'a str, usize>,
}

impl<'a> Graph<'a> {
    fn new(objects: &[&'a Facts]) -> Self {
        let mut graph = Self { ids: Vec::new(), edges: vec![Vec::new(); objects.len()], nodes: HashMap::new() };
        for (object, facts) in objects.iter().enumerate() {
            for id in &facts.subject_refs {
                let node = graph.node(id);
                graph.edges[object].push(node);
            }
        }
        for (object, facts) in objects.iter().enumerate() {
            if let Some(&node) = graph.nodes.get(facts.stix_id.as_str()) {
                graph.edges[node].push(object);
            }
        }
        graph
    }

    fn node(&mut self, id: &'a str) -> usize {
        *self.nodes.entry(id).or_insert_with(|| {
            self.ids.push(id);
            self.edges.push(Vec::new());
            self.edges.len() - 1
        })
    }

    /// Visits the strongly connected components, each after all that it leads to (Tarjan's algorithm, without
    /// recursion, since the depth is the sender's choice).
    fn for_each_component(&self, mut visit: impl FnMut(&[usize])) {
        // Of a node that was not reached yet, and of one whose component was visited: larger than any number in use.
        const NEW: usize = usize::MAX;
        const VISITED: usize = usize::MAX - 1;
        let mut found = vec![NEW; self.edges.len()];
        let mut lowest = vec![NEW; self.edges.len()];
        let mut count = 0;
        let mut open = Vec::new();
        let mut path = Vec::new();
        for start in 0..self.edges.len() {
            if found[start] == NEW {
                path.push((start, 0));
            }
            while let Some((node, next)) = path.last_mut() {
                let node = *node;
                if found[node] == NEW {
                    found[node] = count;
                    lowest[node] = count;
                    count += 1;
                    open.push(node);
                }
                if let Some(&target) = self.edges[node].get(*next) {
                    *next += 1;
                    match found[target] {
                        NEW => path.push((target, 0)),
                        number => lowest[node] = lowest[node].min(number),
                    }
                    continue;
                }
                path.pop();
                if let Some((parent, _)) = path.last() {
                    lowest[*parent] = lowest[*parent].min(lowest[node]);
                }
                if lowest[node] == found[node] {
                    // INVARIANT: a node stays open until its component is visited, here.
                    let first = open.iter().rposition(|other| *other == node).unwrap_or(0);
                    visit(&open[first..]);
                    for node in open.drain(first..) {
                        found[node] = VISITED;
                    }
                }
            }
        }
    }
}

/// Groups object indexes by label, each group in the order of the push.
#[must_use]
pub fn group(labels: Vec<Label>) -> BTreeMap<Label, Vec<usize>> {
    let mut groups: BTreeMap<Label, Vec<usize>> = BTreeMap::new();
    for (index, label) in labels.into_iter().enumerate() {
        groups.entry(label).or_default().push(index);
    }
    groups
}
