//! What is to be said of each object of an input of any size: why it cannot be read, and what the standard has against it.
//!
//! ```
//! use mithaq_stix::bundle::report::Reports;
//!
//! let mut reports = Reports::default();
//! reports.feed(br#"{"type":"bundle","objects":[{"type":"mutex","id":"mutex--1","name":"x"},12]}"#);
//! reports.end();
//! let mut said = Vec::new();
//! while let Some(report) = reports.next_report() {
//!     let refused = report.refusal.as_ref().map(|error| error.code());
//!     said.push((report.object_type.unwrap_or_default(), refused, report.findings.len()));
//! }
//! // The identifier of the mutex is malformed, 12 is no object, and the bundle has no identifier.
//! assert_eq!(said, [("mutex".into(), None, 1), ("".into(), Some(1010), 0), ("bundle".into(), None, 1)]);
//! ```

use super::stream::{Envelope, ObjectText, Part, Splitter};
use crate::{
    id::{StixIdRef, is_type_name},
    json::{JsonError, Map, Value, parse},
    object::{ObjectClass, ObjectError},
    quote::quote,
    validate::{Finding, Rule, Severity, validate},
};
use std::{
    collections::HashSet,
    hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher},
};

/// How many versions of objects are remembered for each bundle, to tell those that stand in it twice.
pub const VERSIONS_MAX: usize = 1 << 20;

/// The section of STIX 2.1 that says what a bundle is.
const BUNDLE_SECTION: &str = "8.1";

/// What is to be said of one object, of a bundle, or of a text that breaks off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The object's place among all entries of the input, as [`super::Reader`] counts them; bundles have one only if
    /// something is wrong with them as a whole.
    pub index: Option<usize>,
    /// Where it begins in the input, or where the text breaks off, in bytes.
    pub offset: usize,
    /// Its `id`, made safe to print and shortened if it is none.
    pub id: Option<String>,
    /// Its `type`, made safe to print and shortened if it is none; `bundle` of a bundle.
    pub object_type: Option<String>,
    /// Why it cannot be taken for a STIX 2.1 object at all.
    pub refusal: Option<ObjectError>,
    /// What the standard has against it.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Tells whether nothing breaks a MUST of the standard.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.refusal.is_none() && self.findings.iter().all(|finding| finding.severity() == Severity::Warning)
    }

    /// Tells whether there is nothing to say.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.refusal.is_none() && self.findings.is_empty()
    }
}

/// Reports on an input that is fed in chunks, in the memory that a [`Splitter`] takes.
///
/// There is a report for each object. A bundle has one after its objects, if something is wrong with it as a whole or
/// it holds no objects. Where the text is broken, the last report says so.
#[derive(Debug, Default)]
pub struct Reports {
    splitter: Splitter,
    seen: Seen,
    next_index: usize,
}

impl Reports {
    /// Takes the next chunk of the input, of any size.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.splitter.feed(chunk);
    }

    /// Says that there is no more input.
    pub fn end(&mut self) {
        self.splitter.end();
    }

    /// Tells whether there is nothing more to come, whatever is fed: after the end of the input, or where it broke.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.splitter.is_done()
    }

    /// The next report; `None` if more has to be fed first, or there is no more.
    pub fn next_report(&mut self) -> Option<Report> {
        loop {
            let report = match self.splitter.next_part()? {
                Ok(Part::Object(object)) => Some(of_object(&object, &mut self.seen)),
                Ok(Part::Bundle(envelope)) => of_bundle(&envelope),
                Err(error) => Some(broken(error, self.next_index)),
            };
            if let Some(report) = report {
                self.next_index = report.index.map_or(self.next_index, |index| index + 1);
                return Some(report);
            }
        }
    }
}

fn broken(error: JsonError, index: usize) -> Report {
    let offset = error.offset;
    let (id, object_type, findings) = (None, None, Vec::new());
    Report { index: Some(index), offset, id, object_type, refusal: Some(error.into()), findings }
}

fn of_object(object: &ObjectText<'_>, seen: &mut Seen) -> Report {
    let (index, offset) = (Some(object.index), object.offset);
    let value = match object.value() {
        Ok(value) => value,
        Err(error) => {
            let (id, object_type) = (object.id_hint(), None);
            return Report { index, offset, id, object_type, refusal: Some(error.into()), findings: Vec::new() };
        }
    };
    let Some(map) = value.as_object() else {
        let refusal = Some(ObjectError::NotAnObject { found: value.kind() });
        return Report { index, offset, id: None, object_type: None, refusal, findings: Vec::new() };
    };
    let (id, object_type) = (map.get("id").and_then(id_text), map.get("type").and_then(type_text));
    let refusal = match object_type.as_deref() {
        Some("bundle") => Some(ObjectError::NestedBundle),
        name => stix_2_0(map, name, object.bundle.is_some_and(|bundle| bundle.is_stix_2_0)),
    };
    let mut findings = match refusal {
        Some(ObjectError::NestedBundle) => Vec::new(),
        Some(_) => validate(&value).into_iter().filter(|finding| finding.pointer != "/spec_version").collect(),
        None => validate(&value),
    };
    if let Some(bundle) = object.bundle {
        findings.extend(seen.repeated(bundle.offset, map));
    }
    Report { index, offset, id, object_type, refusal, findings }
}

/// Why the object is STIX 2.0, if it is.
fn stix_2_0(map: &Map<'_>, object_type: Option<&str>, bundle_is: bool) -> Option<ObjectError> {
    let class = ObjectClass::of(object_type?);
    let must_say = matches!(class, ObjectClass::Domain | ObjectClass::Relationship);
    let evidence = match map.get("spec_version") {
        _ if bundle_is => "bundle's spec_version",
        Some(version) if *version == Value::from("2.0") => "spec_version",
        None if must_say => "lack of a spec_version",
        _ => return None,
    };
    Some(ObjectError::Stix20 { evidence })
}

fn id_text(value: &Value<'_>) -> Option<String> {
    let text = value.as_str()?;
    Some(if StixIdRef::borrow(&text).is_ok() { text.into_owned() } else { quote(&text) })
}

fn type_text(value: &Value<'_>) -> Option<String> {
    let text = value.as_str()?;
    Some(if is_type_name(&text) { text.into_owned() } else { quote(&text) })
}

fn of_bundle(envelope: &Envelope<'_>) -> Option<Report> {
    let refusal = envelope.problem().cloned();
    let value = if refusal.is_none() { parse(envelope.text).ok() } else { None };
    let map = value.as_ref().and_then(Value::as_object);
    let findings = value.as_ref().map(|value| bundle_findings(value, envelope.objects)).unwrap_or_default();
    if refusal.is_none() && findings.is_empty() && envelope.objects > 0 {
        return None;
    }
    let (index, offset) = (envelope.index(), envelope.offset);
    let id = map.and_then(|map| id_text(map.get("id")?)).or_else(|| envelope.id_hint());
    Some(Report { index, offset, id, object_type: Some("bundle".to_owned()), refusal, findings })
}

/// What is wrong with a bundle as a whole. Its envelope comes without its objects, so that it holds none only if there
/// were none.
fn bundle_findings(envelope: &Value<'_>, objects: usize) -> Vec<Finding> {
    let mut findings = validate(envelope);
    findings.retain(|finding| objects == 0 || finding.pointer != "/objects");
    findings
}

/// The versions of objects that stood in a bundle, by their hashes.
#[derive(Debug, Default)]
struct Seen {
    bundle: Option<usize>,
    // Without a random seed: whoever makes two versions collide is warned of his own bundle, and of nothing else.
    versions: HashSet<u64, BuildHasherDefault<DefaultHasher>>,
}

impl Seen {
    /// What is to be said if the bundle held this version before.
    fn repeated(&mut self, bundle: usize, map: &Map<'_>) -> Option<Finding> {
        if self.bundle.replace(bundle) != Some(bundle) {
            self.versions.clear();
        }
        let id = map.get("id")?.as_str()?;
        let modified = map.get("modified").and_then(Value::as_str);
        let mut hasher = DefaultHasher::new();
        (&id, &modified).hash(&mut hasher);
        let hash = hasher.finish();
        if self.versions.len() < VERSIONS_MAX && self.versions.insert(hash) || !self.versions.contains(&hash) {
            return None;
        }
        let message = "this version of the object stands in the bundle before: send it once".to_owned();
        Some(Finding { rule: Rule::Repeated, pointer: "/id".to_owned(), section: BUNDLE_SECTION, message })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of `text`, in short: index, type, code of the refusal, rules of the findings.
    fn said(text: &str) -> Vec<String> {
        let mut out = Vec::new();
        for size in [1, text.len().max(1)] {
            let mut reports = Reports::default();
            let mut lines = Vec::new();
            let mut chunks = text.as_bytes().chunks(size).peekable();
            while let Some(chunk) = chunks.next() {
                reports.feed(chunk);
                if chunks.peek().is_none() {
                    reports.end();
                }
                while let Some(report) = reports.next_report() {
                    let index = report.index.map_or("-".to_owned(), |index| index.to_string());
                    let refusal = report.refusal.as_ref().map(|error| format!(" !{}", error.code()));
                    let rules = report.findings.iter().map(|finding| format!(" {:?}{}", finding.rule, finding.pointer));
                    let object_type = report.object_type.clone().unwrap_or_default();
                    let rules = rules.collect::<String>();
                    lines.push(format!("{index} {object_type}{}{rules}", refusal.unwrap_or_default()));
                    assert_eq!(report.is_clean(), refusal_free(&report) && report.findings.is_empty());
                }
            }
            assert!(out.is_empty() || out == lines, "{out:?} {lines:?}");
            out = lines;
        }
        out
    }

    fn refusal_free(report: &Report) -> bool {
        report.refusal.is_none()
    }

    #[track_caller]
    fn check(text: &str, expect: &[&str]) {
        assert_eq!(said(text), expect, "{text}");
    }

    const ID: &str = r#""id":"bundle--b7ab1e7c-8a4c-4c6f-9d84-d6b2a3dc1f02""#;
    const TOOL: &str = r#"{"type":"tool","spec_version":"2.1","id":"tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","created":"2024-05-01T00:00:00.000Z","modified":"2024-05-01T00:00:00.000Z","name":"x"}"#;

    #[test]
    fn a_bundle_is_reported_when_there_is_something_to_say() {
        check(&format!(r#"{{"type":"bundle",{ID},"objects":[{TOOL}]}}"#), &["0 tool"]);
        check(&format!(r#"{{"type":"bundle",{ID}}}"#), &["- bundle"]);
        check(&format!(r#"{{"type":"bundle",{ID},"objects":[]}}"#), &["- bundle Empty/objects"]);
        check(&format!(r#"{{"type":"bundle","objects":[{TOOL}]}}"#), &["0 tool", "- bundle Required/id"]);
        check(r#"{"id":"x","type":"bundle"}"#, &["- bundle Identifier/id"]);
        check(&format!(r#"{{"id":7,"type":"bundle","objects":[{TOOL}]}}"#), &["0 tool", "- bundle Kind/id"]);
        let other = ID.replace("bundle--", "report--");
        check(&format!(r#"{{{other},"type":"bundle"}} {TOOL}"#), &["- bundle IdentifierType/id", "0 tool"]);
        check(
            &format!(r#"{{"type":"bundle",{ID},"spec_version":"2.0"}}"#),
            &["- bundle SpecVersion/spec_version CustomProperty/spec_version"],
        );
        check(
            &format!(r#"{{"type":"bundle",{ID},"spec_version":2.0,"objects":[{TOOL}]}}"#),
            &["0 tool", "- bundle SpecVersion/spec_version CustomProperty/spec_version"],
        );
        check(&format!(r#"{{"type":"bundle",{ID},"objects":7}} {TOOL}"#), &["0 bundle !1012", "1 tool"]);
        check(&format!(r#"{{"type":"bundle",{ID},{ID}}}"#), &["0 bundle !1003"]);
        check(&format!(r#"{{"type":"bundle",{ID},"objects":[{TOOL}],{ID}}}"#), &["0 tool", "1 bundle !1003"]);
    }

    #[test]
    fn what_is_no_object_is_told_from_what_is_a_wrong_one() {
        check(&format!("12 {TOOL}"), &["0  !1010", "1 tool"]);
        check(r#"{"id":"a","id":"b"}"#, &["0  !1003"]);
        check(&format!("{TOOL} {{\"type\":"), &["0 tool", "1  !1001"]);
        check(&format!(r#"{{"type":"bundle",{ID},"objects":[{{"type":"bundle"}}]}}"#), &["0 bundle !1011"]);
    }

    #[test]
    fn stix_2_0_is_named_and_looked_at_all_the_same() {
        let old = TOOL.replace(r#""spec_version":"2.1","#, "");
        check(&old, &["0 tool !1013"]);
        check(&TOOL.replace(r#""2.1""#, r#""2.0""#).replace(r#","name":"x""#, ""), &["0 tool !1013 Required/name"]);
        let bundle = |objects: &str| format!(r#"{{"type":"bundle",{ID},"spec_version":"2.0","objects":[{objects}]}}"#);
        let of_bundle = "- bundle SpecVersion/spec_version CustomProperty/spec_version";
        check(&bundle(TOOL), &["0 tool !1013", of_bundle]);
    }

    #[test]
    fn a_version_stands_in_a_bundle_once() {
        let newer = TOOL.replace(r#""modified":"2024"#, r#""modified":"2025"#);
        let bundle = |objects: &[&str]| format!(r#"{{"type":"bundle",{ID},"objects":[{}]}}"#, objects.join(","));
        check(&bundle(&[TOOL, &newer, TOOL]), &["0 tool", "1 tool", "2 tool Repeated/id"]);
        check(&(bundle(&[TOOL]) + &bundle(&[TOOL])), &["0 tool", "1 tool"]);
        check(&format!("{TOOL}\n{TOOL}"), &["0 tool", "1 tool"]);
    }
}
