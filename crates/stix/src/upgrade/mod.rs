//! STIX 2.0 brought to STIX 2.1, with a report of what became of what it said.
//!
//! The rules are those by which the two standards differ; where STIX 2.1 asks what STIX 2.0 did not say, the report
//! tells what was assumed, and where it has no place for what STIX 2.0 said, the report tells what was lost.
//!
//! ```
//! use mithaq_stix::upgrade::{ChangeKind, upgrade};
//!
//! let text = br#"{"type":"bundle","id":"bundle--b7ab1e7c-8a4c-4c6f-9d84-d6b2a3dc1f02","spec_version":"2.0","objects":[
//!   {"type":"malware","id":"malware--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2018-05-01T00:00:00.000Z",
//!    "modified":"2018-05-01T00:00:00.000Z","name":"Tarrask","labels":["rootkit","seen-twice"]}]}"#;
//! let upgraded = upgrade(text)?;
//! assert_eq!(upgraded.objects.len(), 1);
//! let kinds: Vec<_> = upgraded.changes.iter().map(|change| (change.kind, change.pointer.as_str())).collect();
//! assert_eq!(kinds, [
//!     (ChangeKind::Moved, "/labels/0"),
//!     (ChangeKind::Kept, "/labels/1"),
//!     (ChangeKind::Assumed, "/is_family"),
//! ]);
//! # Ok::<(), mithaq_stix::json::JsonError>(())
//! ```

mod container;
mod marking;
mod merge;
mod object;
mod observable;
mod pattern;
mod report;
mod tree;

use crate::{
    bundle::{Entry, Reader},
    json::{JsonError, Parser, Value, canonical, value_end},
    object::{LIMITS, Object, ObjectClass, ObjectError},
    quote::quote,
};
use container::Observable;
use merge::Merged;
use report::Log;
pub use report::{CHANGES_MAX, Change, ChangeKind};
use std::{cmp::Ordering, collections::BTreeMap};
use tree::{Members, Node};

/// STIX 2.1 out of STIX 2.0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upgraded {
    /// The objects in canonical form (RFC 8785): what was STIX 2.1 already as it was, each observable before the first
    /// observed-data object that it was in.
    pub objects: Vec<Vec<u8>>,
    /// The loss report, in the order of the input.
    pub changes: Vec<Change>,
}

/// Brings STIX 2.0 to STIX 2.1: bundles, single objects, or lines of either; both versions may be mixed.
///
/// What says no version is STIX 2.0, unless it is an observable (STIX 2.1 §3.2). An object that cannot be read is an
/// entry of the report that says why, and the others go on. The same input always gives the same objects.
///
/// # Errors
/// When the text as a whole is not JSON.
pub fn upgrade(input: &[u8]) -> Result<Upgraded, JsonError> {
    let mut upgrade = Upgrade::default();
    for entry in Reader::new(input) {
        upgrade.take(entry?, input)?;
    }
    Ok(upgrade.finish())
}

/// The objects so far.
#[derive(Default)]
struct Upgrade<'a> {
    outputs: Vec<Output<'a>>,
    /// Where among the outputs each observable stands, by its id.
    observables: BTreeMap<String, usize>,
    changes: Vec<Change>,
}

/// The most entries that the report has for all of an input; one more says that there are others.
pub const REPORT_MAX: usize = 100_000;

/// An object of the output.
enum Output<'a> {
    Canonical(Vec<u8>),
    /// To which another observed-data object may add.
    Observable(Merged<'a>),
}

impl<'a> Upgrade<'a> {
    fn take(&mut self, entry: Entry<'a>, input: &'a [u8]) -> Result<(), JsonError> {
        let Entry { index, offset, object, id_hint } = entry;
        let error = match object {
            Ok(object) if is_stix_2_0(&object) => {
                let id = quote(object.id().as_str());
                self.object(object.value(), Log::new(index, Some(id)));
                return Ok(());
            }
            Ok(object) => {
                self.outputs.push(Output::Canonical(object.canonical().into_owned()));
                return Ok(());
            }
            Err(error) => error,
        };
        let log = Log::new(index, id_hint);
        match error {
            ObjectError::Stix20 { .. } => match read_again(input, offset)? {
                Some(Ok(value)) => self.object(&value, log),
                Some(Err(error)) => self.refuse(log, &error.to_string()),
                // What a bundle says of its version was heard.
                None => {}
            },
            error => self.refuse(log, &container::explain(&error)),
        }
        Ok(())
    }

    /// Adds to the report, if there is room; its last entry then speaks for all that are left out.
    fn tell(&mut self, changes: Vec<Change>) {
        for change in changes {
            match (self.changes.len().cmp(&REPORT_MAX), self.changes.last_mut()) {
                (Ordering::Greater, Some(last)) => last.kind = last.kind.max(change.kind),
                (Ordering::Equal, _) => {
                    let message = format!("only the first {REPORT_MAX} changes are listed: divide the input");
                    self.changes.push(Change { object: None, pointer: String::new(), message, ..change });
                }
                _ => self.changes.push(change),
            }
        }
    }

    fn refuse(&mut self, mut log: Log, why: &str) {
        log.add(ChangeKind::Refused, &[], why.to_owned());
        self.tell(log.into_changes());
    }

    /// Takes an object out of a STIX 2.0 bundle, or one that says no version.
    fn object(&mut self, value: &Value<'a>, log: Log) {
        let says_2_1 = value.get("spec_version").is_some_and(|version| *version == Value::from("2.1"));
        let (Node::Map(members), false) = (Node::of(value), says_2_1) else {
            return match Object::from_value(value.clone(), &[]) {
                Ok(_) => self.outputs.push(Output::Canonical(canonical(value))),
                Err(error) => self.refuse(log, &container::explain(&error)),
            };
        };
        match members.get("spec_version").map(Node::as_str) {
            None | Some(Some("2.0")) => self.stix_2_0(members, log),
            Some(other) => {
                let found = quote(other.unwrap_or("no string"));
                self.refuse(log, &format!("/spec_version is \"{found}\": only STIX 2.0 and 2.1 are taken"));
            }
        }
    }

    fn stix_2_0(&mut self, mut members: Members<'a>, mut log: Log) {
        if marking::has_long_selector(&members) {
            let why = format!("a selector is longer than {} bytes: shorten it", marking::SELECTOR_BYTES_MAX);
            return self.refuse(log, &why);
        }
        object::upgrade(&mut members, &mut log);
        let id = match Object::from_value(tree::value(&members), &[]) {
            Ok(object) => object.id().clone().into_owned(),
            Err(error) => return self.refuse(log, &container::explain(&error)),
        };
        if id.object_type() == "observed-data" {
            match container::take_observables(&mut members, &id, &mut log) {
                Ok(observables) => self.observables(observables, &mut log),
                Err(why) => return self.refuse(log, &why),
            }
        }
        self.outputs.push(Output::Canonical(canonical(&tree::value(&members))));
        self.tell(log.into_changes());
    }

    /// Takes the observables of an observed-data object, each id once.
    fn observables(&mut self, observables: Vec<Observable<'a>>, log: &mut Log) {
        for Observable { id, key, members } in observables {
            match self.observables.get(&id).and_then(|at| self.outputs.get_mut(*at)) {
                Some(Output::Observable(merged)) => {
                    let mut nested = log.nested(&["objects", &key]);
                    merged.add(members, &mut nested);
                    log.absorb(nested);
                }
                _ => {
                    self.observables.insert(id, self.outputs.len());
                    self.outputs.push(Output::Observable(Merged::new(members)));
                }
            }
        }
    }

    fn finish(self) -> Upgraded {
        let text = |output| match output {
            Output::Canonical(text) => text,
            Output::Observable(merged) => canonical(&tree::value(&merged.members)),
        };
        Upgraded { objects: self.outputs.into_iter().map(text).collect(), changes: self.changes }
    }
}

/// Tells whether an object that could be read without a `spec_version` is STIX 2.0 all the same.
fn is_stix_2_0(object: &Object<'_>) -> bool {
    let has_version = match object.class() {
        ObjectClass::Observable => return false,
        // What a custom object is, a domain object or an observable, only its timestamps tell.
        ObjectClass::Custom => object.created().is_some(),
        _ => true,
    };
    has_version && object.spec_version().is_none()
}

/// Reads the object at `offset`, whose text is JSON; `None` if it is a bundle.
fn read_again(input: &[u8], offset: usize) -> Result<Option<Result<Value<'_>, JsonError>>, JsonError> {
    let text = &input[offset..value_end(input, offset)?];
    let mut parser = Parser::with_limits(text, LIMITS);
    let [object_type] = parser.find_strings(1, None, ["type"]);
    if object_type.is_some_and(|found| found == "bundle") {
        return Ok(None);
    }
    let shift = |error: JsonError| JsonError { offset: error.offset + offset, ..error };
    Ok(Some(parser.document().map_err(shift)))
}

#[cfg(test)]
mod tests;
