//! Other people's data: everything real is read, and canonical bytes are those of other implementations.

use crate::folder::corpora;
use aws_lc_rs::digest::{SHA256, digest};
use mithaq_stix::{
    Object, ObjectError, Reader, Tlp,
    json::{Value, canonical, parse},
    marking::{Definition, definition},
    model::Model,
    pattern::Pattern,
    validate::{Severity, validate},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The files of a folder, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// The errors of reading `text`, each with what tells the object; and how many objects were read.
fn read(text: &[u8]) -> (usize, Vec<String>) {
    let mut refused = Vec::new();
    let mut accepted = 0;
    for entry in Reader::new(text) {
        match entry {
            Ok(entry) => match entry.object {
                Ok(object) => {
                    accepted += 1;
                    assert_eq!(canonical(object.value()), object.canonical().as_ref());
                }
                Err(error) => refused.push(format!("{:?}: {error}", entry.id_hint)),
            },
            Err(error) => refused.push(error.to_string()),
        }
    }
    (accepted, refused)
}

#[test]
fn rfc_8785_vectors() {
    let Some(folder) = corpora() else { return };
    let inputs = files(&folder.join("jcs-rfc8785/input"));
    assert_eq!(inputs.len(), 6);
    for input in inputs {
        let text = fs::read(&input).unwrap();
        let expected = fs::read(folder.join("jcs-rfc8785/output").join(input.file_name().unwrap())).unwrap();
        let written = canonical(&parse(&text).unwrap());
        assert_eq!(String::from_utf8_lossy(&written), String::from_utf8_lossy(&expected), "{}", input.display());
    }
}

#[test]
fn ics_history_has_its_golden_hashes() {
    let Some(folder) = corpora() else { return };
    let text = fs::read(folder.join("attack/ics-history.ndjson")).unwrap();
    let golden = fs::read_to_string(folder.join("attack/ics-history.jcs-sha256.txt")).unwrap();
    let mut hashes = BTreeSet::new();
    let mut versions: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    let mut lines = golden.lines();
    for entry in Reader::new(&text) {
        let object = entry.unwrap().object.unwrap();
        let digest = digest(&SHA256, &object.canonical());
        let hash: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        let line: Vec<&str> = lines.next().unwrap().split(' ').collect();
        assert_eq!([hash.as_str(), object.id().as_str()], line[..2]);
        let modified = object.modified().or(object.created()).map(ToString::to_string).unwrap_or_default();
        assert_eq!(modified, line[2]);
        if hashes.insert(hash) {
            *versions.entry((object.id().to_string(), modified)).or_default() += 1;
        }
        ids.insert(object.id().to_string());
    }
    assert_eq!(lines.next(), None);
    let conflicts = versions.values().filter(|bodies| **bodies > 1).count();
    assert_eq!((hashes.len(), ids.len(), versions.len(), conflicts), (9_195, 2_296, 7_948, 1_235));
}

/// What is valid has a model; a model of anything writes what it was read from.
#[test]
fn models_of_real_objects_are_the_objects() {
    let Some(folder) = corpora() else { return };
    let mut found = BTreeMap::<&str, usize>::new();
    for file in ["attack/ics-history.ndjson", "attack/mobile-attack-17.1.json", "capec/capec-2.1-half.json"] {
        let text = fs::read(folder.join(file)).unwrap();
        for entry in Reader::new(&text) {
            let object = entry.unwrap().object.unwrap();
            let is_valid = validate(object.value()).iter().all(|finding| finding.severity() == Severity::Warning);
            *found.entry(if is_valid { "valid" } else { "not valid" }).or_default() += 1;
            match Model::from_value(object.value()) {
                Ok(model) => assert_eq!(model.canonical().unwrap(), object.canonical().as_ref()),
                Err(error) => {
                    assert!(!is_valid, "{}: {error}", object.id());
                    *found.entry("without a model").or_default() += 1;
                }
            }
        }
    }
    assert_eq!(found, [("valid", 12_215), ("not valid", 469)].into());
}

#[test]
fn real_bundles_are_read_whole() {
    let Some(folder) = corpora() else { return };
    let mut bundles = vec![
        folder.join("attack/ics-attack-18.1.json"),
        folder.join("attack/mobile-attack-17.1.json"),
        folder.join("capec/capec-2.1-half.json"),
        folder.join("tlp/tlp-1-and-2.json"),
    ];
    bundles.extend(files(&folder.join("indicators")).into_iter().filter(|file| file.extension().unwrap() == "stix2"));
    bundles.extend(files(&folder.join("extensions")).into_iter().filter(|file| file.extension().unwrap() == "json"));
    bundles.extend(files(&folder.join("interop-csd01/examples")));
    let mut accepted = 0;
    let mut refused = Vec::new();
    for bundle in bundles {
        let (count, errors) = read(&fs::read(&bundle).unwrap());
        accepted += count;
        refused.extend(errors.into_iter().map(|error| format!("{}: {error}", bundle.display())));
    }
    eprintln!("{accepted} objects accepted, {} refused:\n{}", refused.len(), refused.join("\n"));
    // An example of the Interoperability document whose ids have a digit too few.
    let known =
        refused.iter().filter(|refused| refused.contains("ex-3.1.4.2") && refused.contains("is not a STIX identifier"));
    assert_eq!((accepted, refused.len(), known.count()), (8_535, 2, 2));
}

#[test]
fn stix_2_0_is_never_taken_for_2_1() {
    let Some(folder) = corpora() else { return };
    let text = fs::read(folder.join("stix-2.0/unit42-dearcry-ransomware.json")).unwrap();
    let entries: Vec<_> = Reader::new(&text).map(Result::unwrap).collect();
    assert!(entries.len() > 1);
    for entry in entries {
        assert!(matches!(entry.object, Err(ObjectError::Stix20 { .. })), "{:?}", entry.object);
    }
}

#[test]
fn tlp_definitions_mean_their_levels() {
    let Some(folder) = corpora() else { return };
    let text = fs::read(folder.join("tlp/tlp-1-and-2.json")).unwrap();
    let mut levels = Vec::new();
    for entry in Reader::new(&text) {
        let object = entry.unwrap().object.unwrap();
        if let Some(definition) = definition(&object) {
            let name = object.name().unwrap().parse::<Tlp>().unwrap();
            assert_eq!(definition, Definition::Tlp(name), "{}", object.id());
            levels.push(name);
        }
    }
    levels.sort();
    let [clear, green, amber, strict, red] = Tlp::ALL;
    assert_eq!(levels, [clear, clear, green, green, amber, amber, strict, red, red]);
}

/// Objects that the OASIS validator and the Python library's tests have seen: what is valid is accepted.
#[test]
fn what_other_validators_accept_is_accepted() {
    let Some(folder) = corpora() else { return };
    for file in ["validator_corpus.ndjson", "pystix2_corpus.ndjson"] {
        let text = fs::read_to_string(folder.join("validity").join(file)).unwrap();
        let mut counts = BTreeMap::<(Option<bool>, bool), usize>::new();
        for line in text.lines() {
            let case = parse(line.as_bytes()).unwrap();
            let is_valid = case.get("must_valid").and_then(Value::as_bool);
            let object = canonical(case.get("object").unwrap());
            let (_, refused) = read(&object);
            if is_valid == Some(true) && !refused.is_empty() {
                eprintln!("valid but refused: {refused:?} {}", String::from_utf8_lossy(&object));
            }
            *counts.entry((is_valid, refused.is_empty())).or_default() += 1;
        }
        eprintln!("{file}: (valid, accepted) → cases {counts:?}");
        assert_eq!(counts.get(&(Some(true), false)), None);
    }
}

#[test]
fn patterns_have_the_verdicts_of_the_reference() {
    let Some(folder) = corpora() else { return };
    for file in ["unit.ndjson", "real.ndjson"] {
        let text = fs::read_to_string(folder.join("patterns").join(file)).unwrap();
        let mut disagreements = Vec::new();
        let mut cases = 0;
        for line in text.lines() {
            let case = parse(line.as_bytes()).unwrap();
            let pattern = case.get("pattern").unwrap().as_str().unwrap();
            let is_valid = case.get("valid").and_then(Value::as_bool).unwrap();
            let read = Pattern::parse(&pattern);
            cases += 1;
            if let Ok(read) = &read {
                let printed = read.to_string();
                assert_eq!(Pattern::parse(&printed).as_ref(), Ok(read), "{printed}");
            }
            let is_accepted = read.as_ref().is_ok_and(|pattern| pattern.malformed_digest().is_none());
            if is_accepted != is_valid {
                disagreements.push(format!("valid {is_valid}, ours {:?}: {pattern}", read.err()));
            }
        }
        eprintln!("{file}: {} of {cases} differ\n{}", disagreements.len(), disagreements.join("\n"));
        assert!(disagreements.is_empty());
    }
}

#[test]
fn the_standards_own_examples_are_read() {
    let Some(folder) = corpora() else { return };
    let text = fs::read(folder.join("spec/stix-2.1-errata01-examples.json")).unwrap();
    let examples = parse(&text).unwrap();
    let mut refused = 0;
    let examples = examples.as_array().unwrap();
    for example in examples {
        if let Err(error) = Object::from_value(example.get("object").unwrap().clone(), &text) {
            eprintln!("{error}");
            refused += 1;
            let verdict = example.get("reference_validator_valid").and_then(Value::as_bool);
            assert_ne!(verdict, Some(true), "{error}");
        }
    }
    // Placeholders such as `example--1`, one id with a hyphen too few, and one object of STIX 2.0.
    assert_eq!((examples.len(), refused), (180, 16));
}
