//! The line that programs get for an object.

use mithaq_api::home::with_sources;
use mithaq_core::{
    code::Code,
    stix::{
        ObjectError,
        bundle::report::Report,
        validate::{Finding, Severity},
    },
};
use serde::Serialize;

/// What is said of an object, for programs.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    index: Option<usize>,
    /// In bytes from the start of the file.
    offset: usize,
    id: Option<&'a str>,
    #[serde(rename = "type")]
    object_type: Option<&'a str>,
    valid: bool,
    errors: Vec<Problem<'a>>,
    warnings: Vec<Problem<'a>>,
}

#[derive(Serialize)]
struct Problem<'a> {
    code: Code,
    pointer: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    section: Option<&'static str>,
    message: std::borrow::Cow<'a, str>,
}

impl<'a> Line<'a> {
    pub(super) fn new(report: &'a Report, file: Option<&'a str>, valid: bool) -> Self {
        let refusal = report.refusal.as_ref().map(refused);
        let found = |severity| report.findings.iter().filter(move |found| found.severity() == severity).map(problem);
        Self {
            file,
            index: report.index,
            offset: report.offset,
            id: report.id.as_deref(),
            object_type: report.object_type.as_deref(),
            valid,
            errors: refusal.into_iter().chain(found(Severity::Error)).collect(),
            warnings: found(Severity::Warning).collect(),
        }
    }
}

fn problem(finding: &Finding) -> Problem<'_> {
    let Finding { rule, pointer, section, message } = finding;
    let (code, message) = (Code::new(rule.code()), message.as_str().into());
    Problem { code, pointer, section: Some(section), message }
}

fn refused(error: &ObjectError) -> Problem<'_> {
    let pointer = match error {
        ObjectError::BundleObjects { .. } => "/objects",
        ObjectError::Stix20 { evidence: "spec_version" | "lack of a spec_version" } => "/spec_version",
        _ => "",
    };
    Problem { code: refusal_code(error), pointer, section: None, message: refusal_message(error).into() }
}

/// The code of why an object cannot be read.
pub(super) fn refusal_code(error: &ObjectError) -> Code {
    Code::new(error.code())
}

/// Why an object cannot be read, with the place in the input.
pub(super) fn refusal_message(error: &ObjectError) -> String {
    with_sources(error)
}
