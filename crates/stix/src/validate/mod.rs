//! What the standard has to say against an object: breaches of its MUSTs, and departures from its SHOULDs.
//!
//! The sections are those of STIX 2.1 with Errata 01.
//!
//! The forms of properties come from the declarations of [`crate::model`]; the rules between properties stand here.
//! Validation is for those who make objects. To relay an object less is asked of it: see [`crate::Object`].
//!
//! ```
//! use mithaq_stix::{json, validate::{Rule, validate}};
//!
//! let text = br#"{"type":"mutex","id":"mutex--1","name":["x"]}"#;
//! let findings = validate(&json::parse(text)?);
//! let places: Vec<_> = findings.iter().map(|finding| (finding.rule, finding.pointer.as_str())).collect();
//! assert_eq!(places, [(Rule::Identifier, "/id"), (Rule::Kind, "/name")]);
//! # Ok::<(), mithaq_stix::json::JsonError>(())
//! ```

mod advice;
mod combination;
mod embedded;
mod form;
mod marking;
mod path;
mod registry;
mod relationship;
mod rule;
mod shape;
mod time;

use crate::{
    json::{Map, Value},
    model::{CustomObject, CustomObservable, Shape, Structure, structure_of},
    object::ObjectClass,
};
use path::Path;
pub use rule::{RULE_CODES, Rule, Severity};

/// The most findings that are told of one object; one more says that there are others.
pub const FINDINGS_MAX: usize = 1_000;

/// Something that the standard has against an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule that the object departs from.
    pub rule: Rule,
    /// Where in the object, as a JSON pointer (RFC 6901) whose names are shortened and made safe to print.
    pub pointer: String,
    /// The section of STIX 2.1 that has the rule.
    pub section: &'static str,
    /// What is wrong, and how to mend it. Text of the object is quoted, shortened and made safe to print.
    pub message: String,
}

impl Finding {
    /// What the finding means for the object.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.rule.severity()
    }
}

/// Tells everything that the standard has against the object that `value` is, errors and warnings, at most
/// [`FINDINGS_MAX`] and one.
///
/// An object is valid if no finding is an error. Of a bundle only the envelope is validated: its objects are objects of
/// their own.
#[must_use]
pub fn validate(value: &Value<'_>) -> Vec<Finding> {
    // Until the object's type is known, the section is that of all objects.
    let mut findings = Findings { list: Vec::new(), section: "3" };
    match value.as_object() {
        Some(map) => object(map, None, Path::ROOT, &mut findings),
        None => findings.add(Rule::Kind, &Path::ROOT, || {
            format!("{} stands where a STIX object should: objects are written in braces", value.kind())
        }),
    }
    findings.list
}

/// Checks an object; `siblings` is the dictionary around one that stands in the `objects` of an `observed-data`.
fn object<'s, 'a>(map: &'s Map<'a>, siblings: Option<&'s Map<'a>>, path: Path<'s>, findings: &mut Findings) {
    let subject = Subject::new(map, siblings, path);
    findings.section = subject.structure.section;
    shape::object(&subject, findings);
    combination::check(&subject, findings);
    time::check(&subject, findings);
    marking::check(&subject, findings);
    embedded::check(&subject, findings);
    advice::check(&subject, findings);
}

/// An object under validation.
struct Subject<'s, 'a> {
    map: &'s Map<'a>,
    /// What references lead to, if not to objects by their ids.
    siblings: Option<&'s Map<'a>>,
    path: Path<'s>,
    object_type: String,
    class: ObjectClass,
    structure: &'static Structure,
}

impl<'s, 'a> Subject<'s, 'a> {
    fn new(map: &'s Map<'a>, siblings: Option<&'s Map<'a>>, path: Path<'s>) -> Subject<'s, 'a> {
        let object_type = map.get("type").and_then(Value::as_str).unwrap_or_default().into_owned();
        let class = ObjectClass::of(&object_type);
        let is_versioned = map.get("created").is_some() || map.get("modified").is_some();
        let custom = if is_versioned { CustomObject::STRUCTURE } else { CustomObservable::STRUCTURE };
        let structure = structure_of(&object_type).unwrap_or(custom);
        Subject { map, siblings, path, object_type, class, structure }
    }

    fn get(&self, name: &str) -> Option<&'s Value<'a>> {
        self.map.get(name)
    }

    fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some()
    }

    fn text(&self, name: &str) -> Option<std::borrow::Cow<'a, str>> {
        self.map.get(name)?.as_str()
    }

    fn list(&self, name: &str) -> &'s [Value<'a>] {
        self.map.get(name).and_then(Value::as_array).unwrap_or_default()
    }

    /// The form that the standard gives the property, if it knows it.
    fn shape(&self, name: &str) -> Option<&'static Shape> {
        self.structure.property(name).map(|property| property.shape)
    }

    /// The extension called `name`.
    fn extension(&self, name: &str) -> Option<&'s Map<'a>> {
        self.map.get("extensions")?.get(name)?.as_object()
    }

    /// Tells whether an extension says that it is of one of these types.
    fn is_extended_by(&self, extension_types: &[&str]) -> bool {
        let Some(extensions) = self.map.get("extensions").and_then(Value::as_object) else { return false };
        let types = extensions.iter().filter_map(|extension| extension.value.get("extension_type")?.as_str());
        types.into_iter().any(|found| extension_types.contains(&found.as_ref()))
    }
}

/// The findings so far, and the section of the structure that is being looked at.
struct Findings {
    list: Vec<Finding>,
    section: &'static str,
}

impl Findings {
    fn add(&mut self, rule: Rule, path: &Path<'_>, message: impl FnOnce() -> String) {
        if self.list.len() >= FINDINGS_MAX {
            if self.list.len() == FINDINGS_MAX {
                let message = format!("only the first {FINDINGS_MAX} findings are listed: correct them and see");
                self.list.push(Finding { rule: Rule::TooMany, pointer: String::new(), section: "3", message });
            }
            return;
        }
        let section = rule.section().unwrap_or(self.section);
        self.list.push(Finding { rule, pointer: path.to_string(), section, message: message() });
    }
}

#[cfg(test)]
mod tests;
