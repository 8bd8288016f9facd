//! How far validation agrees with the OASIS validator, and where it does not, why: `docs/adr/0009`, item by item.
//!
//! `MITHAQ_VERDICTS` names a further file of cases to compare with: lines with an `object`, its `must_valid` and its
//! `must_errors`.

use crate::folder::corpora;
use mithaq_stix::{
    json::{Value, canonical, parse},
    model::Model,
    validate::{Finding, Rule, Severity, validate},
};
use std::{collections::BTreeMap, fs};

/// An object, or a bundle, and the oracle's verdict of it.
struct Case<'a> {
    object: Value<'a>,
    is_valid: bool,
    oracle_errors: Vec<String>,
}

impl<'a> Case<'a> {
    /// Reads a line; `None` when the oracle has no verdict.
    fn read(line: &Value<'a>, verdict: &str, errors: &str) -> Option<Case<'a>> {
        let errors = line.get(errors).and_then(Value::as_array).unwrap_or_default();
        Some(Case {
            object: line.get("object")?.clone(),
            is_valid: line.get(verdict)?.as_bool()?,
            oracle_errors: errors.iter().map(|error| error.as_str().unwrap().into_owned()).collect(),
        })
    }

    /// The errors that validation finds: in a bundle and all of its objects, or in one object.
    fn errors(&self) -> Vec<Finding> {
        let mut findings = validate(&self.object);
        if self.object.get("type").and_then(Value::as_str).as_deref() == Some("bundle") {
            let objects = self.object.get("objects").and_then(Value::as_array).unwrap_or_default();
            findings.extend(objects.iter().flat_map(validate));
        }
        findings.retain(|finding| finding.severity() == Severity::Error);
        findings
    }

    /// The item of the decision record that explains why the verdicts differ.
    fn departure(&self, ours: &[Finding]) -> Option<&'static str> {
        let oracle_says =
            |text: &str| !self.oracle_errors.is_empty() && self.oracle_errors.iter().all(|error| error.contains(text));
        let we_say = |fits: fn(&Finding) -> bool| ours.iter().all(fits);
        let items = if self.is_valid { TOO_LENIENT } else { &[] };
        let stricter = items.iter().find(|(_, fits)| we_say(*fits)).map(|(item, _)| *item);
        let too_strict = TOO_STRICT.iter().filter(|_| !self.is_valid);
        stricter.or_else(|| too_strict.into_iter().find(|(_, text)| oracle_says(text)).map(|(item, _)| *item))
    }
}

/// An item of the decision record, and the findings that it is about.
type Item = (&'static str, fn(&Finding) -> bool);

/// Where the oracle takes what the standard refuses: the item, and the findings that it is about.
const TOO_LENIENT: &[Item] = &[
    ("1 references between observables", |finding| {
        let name = finding.pointer.trim_end_matches(|c: char| c.is_ascii_digit() || c == '/');
        matches!(finding.rule, Rule::Identifier | Rule::IdentifierType) && name.ends_with(['f', 's'])
    }),
    ("2 names of properties", |finding| finding.rule == Rule::PropertyName),
];

/// Where the oracle refuses what the standard takes: the item, and the oracle's words.
const TOO_STRICT: &[(&str, &str)] = &[
    ("9 granular markings of a language", "'marking_ref' is a required property"),
    ("10 language tags", "language code"),
    ("11 vulnerabilities under another source", "If the external reference is a CVE"),
    ("12 the property id in patterns", "'id' is not a valid observable property name"),
];

/// What became of a corpus.
#[derive(Debug, Default, PartialEq)]
struct Agreement {
    agreed: usize,
    departures: BTreeMap<&'static str, usize>,
}

fn compare<'a>(name: &str, cases: impl IntoIterator<Item = Case<'a>>) -> Agreement {
    let mut agreement = Agreement::default();
    let mut unexplained = Vec::new();
    for case in cases {
        let ours = case.errors();
        if ours.is_empty() == case.is_valid {
            agreement.agreed += 1;
        } else if let Some(item) = case.departure(&ours) {
            *agreement.departures.entry(item).or_default() += 1;
        } else {
            let object = String::from_utf8(canonical(&case.object)).unwrap();
            unexplained.push(format!("oracle: {:?}\nours: {ours:?}\n{object:.600}", case.oracle_errors));
        }
        if ours.is_empty() {
            assert_round_trip(&case.object);
        }
    }
    let departures: usize = agreement.departures.values().sum();
    let total = agreement.agreed + departures + unexplained.len();
    eprintln!("{name}: {} of {total} verdicts agree; departures: {:?}", agreement.agreed, agreement.departures);
    assert!(unexplained.is_empty(), "{} unexplained:\n{}", unexplained.len(), unexplained.join("\n\n"));
    agreement
}

/// What is valid has a model, which writes the same bytes.
fn assert_round_trip(object: &Value<'_>) {
    let model = Model::from_value(object).unwrap_or_else(|error| panic!("{error}: {object:?}"));
    assert_eq!(String::from_utf8(model.canonical().unwrap()), String::from_utf8(canonical(object)));
}

fn lines(text: &str) -> impl Iterator<Item = Value<'_>> {
    // Cases that are no I-JSON never reach validation.
    text.lines().filter_map(|line| parse(line.as_bytes()).ok())
}

#[test]
fn verdicts_of_the_validators_own_tests() {
    let Some(folder) = corpora() else { return };
    let text = fs::read_to_string(folder.join("validity/validator_corpus.ndjson")).unwrap();
    let cases = lines(&text).filter_map(|line| Case::read(&line, "must_valid", "must_errors"));
    let departures =
        [("1 references between observables", 6), ("2 names of properties", 2), ("10 language tags", 1)].into();
    assert_eq!(compare("OASIS validator", cases), Agreement { agreed: 187, departures });
}

#[test]
fn verdicts_of_objects_of_the_python_library() {
    let Some(folder) = corpora() else { return };
    let text = fs::read_to_string(folder.join("validity/pystix2_corpus.ndjson")).unwrap();
    let cases = lines(&text).filter_map(|line| Case::read(&line, "must_valid", "must_errors"));
    let departures = [("9 granular markings of a language", 7)].into();
    assert_eq!(compare("Python library", cases), Agreement { agreed: 474, departures });
}

#[test]
fn verdicts_of_the_standards_own_examples() {
    let Some(folder) = corpora() else { return };
    let text = fs::read(folder.join("spec/stix-2.1-errata01-examples.json")).unwrap();
    let examples = parse(&text).unwrap();
    let examples = examples.as_array().unwrap();
    let cases = examples.iter().filter_map(|line| Case::read(line, "reference_validator_valid", "errors"));
    let agreement = compare("examples of the standard", cases);
    assert_eq!(agreement, Agreement { agreed: 178, departures: [("9 granular markings of a language", 1)].into() });
}

/// Whether the standard recommends anything else, of objects that are valid to both.
#[test]
fn warnings_of_the_validators_own_tests() {
    let Some(folder) = corpora() else { return };
    let text = fs::read_to_string(folder.join("validity/validator_corpus.ndjson")).unwrap();
    let (mut agreed, mut departures) = (0, BTreeMap::new());
    for line in lines(&text) {
        let Some(case) = Case::read(&line, "strict_valid", "strict_errors") else { continue };
        let is_valid = line.get("must_valid").and_then(Value::as_bool) == Some(true) && case.errors().is_empty();
        let rules: Vec<_> = validate(&case.object).into_iter().map(|finding| finding.rule).collect();
        if !is_valid || case.object.get("objects").is_some() {
            continue;
        }
        match rules.iter().all(|rule| matches!(rule, Rule::DeterministicId | Rule::Creator)) {
            _ if rules.is_empty() == case.is_valid => agreed += 1,
            true => *departures.entry(rules[0]).or_default() += 1,
            false => panic!("oracle: {:?}\nours: {rules:?}\n{:?}", case.oracle_errors, case.object),
        }
    }
    eprintln!("OASIS validator, warnings: {agreed} agree; departures: {departures:?}");
    assert_eq!((agreed, departures), (69, [(Rule::DeterministicId, 19), (Rule::Creator, 9)].into()));
}

#[test]
fn verdicts_of_a_file_of_ones_own() {
    let Some(file) = std::env::var_os("MITHAQ_VERDICTS") else { return };
    let text = fs::read_to_string(file).unwrap();
    compare("MITHAQ_VERDICTS", lines(&text).filter_map(|line| Case::read(&line, "must_valid", "must_errors")));
}
