use super::*;
use crate::json::parse;
use std::collections::BTreeSet;

/// Objects that have one fault each, what is found, and where.
#[rustfmt::skip] // A case is a line.
const CASES: &[(&str, Rule, &str)] = &[
    (r#"[]"#, Rule::Kind, ""),
    (r#"{IDENTITY}"#, Rule::Required, "/name"),
    (r#"{IDENTITY,"name":["a"]}"#, Rule::Kind, "/name"),
    (r#"{IDENTITY,"name":"a","roles":"b"}"#, Rule::Kind, "/roles"),
    (r#"{IDENTITY,"name":"a","x_own":null}"#, Rule::Kind, "/x_own"),
    (r#"{IDENTITY,"name":"a","labels":[]}"#, Rule::Empty, "/labels"),
    (r#"{IDENTITY,"name":"a","confidence":101}"#, Rule::Range, "/confidence"),
    (r#"{HEAD identity-4,"created":"2024-02-30T00:00:00.000Z","name":"a"}"#, Rule::Timestamp, "/created"),
    (r#"{HEAD identity-4,"created":"2024-02-28T00:00:00.00Z","name":"a"}"#, Rule::Milliseconds, "/created"),
    (r#"{HEAD identity-4,"created":"2025-01-01T00:00:00.001Z","name":"a"}"#, Rule::TimeOrder, "/modified"),
    (r#"{"type":"mutex","id":"mutex--1","name":"a"}"#, Rule::Identifier, "/id"),
    (r#"{"type":"mutex","id":"mutex--eba44954-d4e4-7d3b-814c-2b17dd8de300","name":"a"}"#, Rule::Identifier, "/id"),
    (r#"{"type":"tool","id":"malware--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",REST,"name":"a"}"#, Rule::IdentifierType, "/id"),
    (r#"{NOTE,"object_marking_refs":["identity--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"]}"#, Rule::IdentifierType, "/object_marking_refs/0"),
    (r#"{"type":"X","id":"mutex--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}"#, Rule::TypeName, "/type"),
    (r#"{IDENTITY,"name":"a","Foo":1}"#, Rule::PropertyName, "/Foo"),
    (r#"{IDENTITY,"name":"a","severity":1}"#, Rule::Reserved, "/severity"),
    (r#"{FILE,"hashes":{"a b":"c"}}"#, Rule::DictionaryKey, "/hashes/a b"),
    (r#"{HEAD opinion-4,OLD,"opinion":"yes","object_refs":["tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"]}"#, Rule::Enumeration, "/opinion"),
    (r#"{FILE,"name":"a","magic_number_hex":"4d5"}"#, Rule::Hex, "/magic_number_hex"),
    (r#"{"type":"artifact","id":"artifact--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f","payload_bin":"A"}"#, Rule::Binary, "/payload_bin"),
    (r#"{FILE,"hashes":{"MD5":"d41d8cd98f00b204e9800998ecf8427"}}"#, Rule::Digest, "/hashes/MD5"),
    (r#"{"type":"url","id":"url--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f","value":"hxxp"}"#, Rule::Url, "/value"),
    (r#"{HEAD location-4,OLD,"country":"PK","latitude":33.7}"#, Rule::Combination, ""),
    (r#"{NOTE,"defanged":true}"#, Rule::Combination, "/defanged"),
    (r#"{FILE,"hashes":{"MD5":"d41d8cd98f00b204e9800998ecf8427e"},"name_enc":"UTF-8"}"#, Rule::Combination, "/name_enc"),
    (r#"{HEAD sighting-4,OLD,"sighting_of_ref":"file--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f"}"#, Rule::IdentifierType, "/sighting_of_ref"),
    (r#"{"type":"windows-registry-key","id":"windows-registry-key--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f","values":[{"x_own":1}]}"#, Rule::Combination, "/values/0"),
    (r#"{NOTE,"external_references":[{"source_name":"a"}]}"#, Rule::ExternalReference, "/external_references/0"),
    (r#"{NOTE,"granular_markings":[{"lang":"ur","selectors":["content.[0]"]}]}"#, Rule::Selector, "/granular_markings/0/selectors/0"),
    (r#"{HEAD marking-definition-4,OLD}"#, Rule::Marking, ""),
    (r#"{INDICATOR,"pattern_type":"stix","pattern":"[a:b = ]"}"#, Rule::Pattern, "/pattern"),
    (r#"{INDICATOR,"pattern_type":"stix","pattern":"[file:hashes.MD5 = 'd41d8cd9']"}"#, Rule::Pattern, "/pattern"),
    (r#"{NOTE,"extensions":{"other":{"abc":1}}}"#, Rule::Extension, "/extensions/other"),
    (r#"{NOTE,"lang":"english"}"#, Rule::Language, "/lang"),
    (r#"{"type":"ipv4-addr","id":"ipv4-addr--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f","value":"1.2.3"}"#, Rule::Address, "/value"),
    (r#"{"type":"software","id":"software--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f","name":"a","cpe":"b"}"#, Rule::Registered, "/cpe"),
    (r#"{"type":"process","id":"process--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f","pid":7}"#, Rule::RandomId, "/id"),
    (r#"{FILE,"name":"a","spec_version":"2.0"}"#, Rule::SpecVersion, "/spec_version"),
    (r#"{IDENTITY,"name":"a","identity_class":"cert"}"#, Rule::Vocabulary, "/identity_class"),
    (r#"{IDENTITY,"name":"a","identity_class":"National CERT"}"#, Rule::VocabularyForm, "/identity_class"),
    (r#"{"type":"tool","id":"tool--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f",REST,"name":"a"}"#, Rule::UuidVersion, "/id"),
    (r#"{FILE,"name":"a"}"#, Rule::DeterministicId, "/id"),
    (r#"{IDENTITY,"name":"a","rank":1}"#, Rule::CustomProperty, "/rank"),
    (r#"{HEAD x-own-4,OLD}"#, Rule::CustomObject, "/type"),
    (r#"{HEAD tool-4,OLD,"name":"a","kill_chain_phases":[{"kill_chain_name":"Own","phase_name":"one"}]}"#, Rule::KillChain, "/kill_chain_phases/0/kill_chain_name"),
    (r#"{RELATION,"relationship_type":"uses"}"#, Rule::Relationship, "/relationship_type"),
    (r#"{HEAD observed-data-4,OLD,SEEN,"objects":{"0":{"type":"mutex","id":"mutex--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f","name":"a"}}}"#, Rule::Deprecated, "/objects"),
    (r#"{HEAD indicator-4,OLD,"name":"a","valid_from":"2024-01-01T00:00:00Z","pattern_type":"yara","pattern":"x"}"#, Rule::IndicatorText, "/description"),
    (r#"{HEAD location-4,OLD,"country":"XX"}"#, Rule::RegistryWord, "/country"),
    (r#"{FILE,"name":"a","x_own":{"Key":1}}"#, Rule::KeyCase, "/x_own/Key"),
    (r#"{"type":"network-traffic","id":"network-traffic--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f","protocols":["tcp"],"src_ref":"ipv4-addr--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f"}"#, Rule::Ports, ""),
    (r#"{FILE,"hashes":{"sha256":"c"}}"#, Rule::HashName, "/hashes/sha256"),
    (r#"{HEAD malware-analysis-4,OLD,"product":"My Product","result":"benign"}"#, Rule::ProductName, "/product"),
    (r#"{NOTE,"external_references":[{"source_name":"a","url":"https://a.example/"}]}"#, Rule::ReferenceHashes, "/external_references/0"),
    (r#"{HEAD extension-definition-4,OLD,"created_by_ref":"identity--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","name":"a","schema":"b","version":"1.0.0","extension_types":["new-sdo"]}"#, Rule::ExtensionText, "/description"),
    (r#"{NOTE,"created_by_ref":"tool--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"}"#, Rule::Creator, "/created_by_ref"),
];

/// Writes out the abbreviations of a case.
fn expand(case: &str) -> String {
    const REST: &str =
        r#""spec_version":"2.1","created":"2024-01-01T00:00:00.000Z","modified":"2024-12-01T00:00:00.000Z""#;
    const REF: &str = r#"--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f""#;
    let mut text = case
        .replace("IDENTITY", "HEAD identity-4,OLD")
        .replace("NOTE", &format!(r#"HEAD note-4,OLD,"content":"a","object_refs":["tool{REF}]"#))
        .replace(
            "INDICATOR",
            r#"HEAD indicator-4,OLD,"name":"a","description":"b","valid_from":"2024-01-01T00:00:00Z""#,
        )
        .replace("RELATION", &format!(r#"HEAD relationship-4,OLD,"source_ref":"tool{REF},"target_ref":"identity{REF}"#))
        .replace("FILE", r#""type":"file","id":"file--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f""#)
        .replace(
            "SEEN",
            r#""first_observed":"2024-01-01T00:00:00Z","last_observed":"2024-01-01T00:00:00Z","number_observed":1"#,
        )
        .replace("OLD", r#""created":"2024-01-01T00:00:00.000Z""#)
        .replace("REST", REST);
    if let Some((before, after)) = text.clone().split_once("HEAD ") {
        let (name, after) = after.split_once("-4").unwrap();
        let modified = if name == "marking-definition" { "" } else { r#","modified":"2024-12-01T00:00:00.000Z""# };
        text = format!(r#"{before}"type":"{name}","spec_version":"2.1","id":"{name}{REF}{modified}{after}"#);
    }
    text
}

#[test]
fn each_fault_is_found_where_it_is() {
    for (case, rule, pointer) in CASES {
        let text = expand(case);
        let findings = validate(&parse(text.as_bytes()).unwrap());
        let found: Vec<_> = findings.iter().map(|finding| (finding.rule, finding.pointer.as_str())).collect();
        assert!(found.contains(&(*rule, *pointer)), "{rule:?} at {pointer} is missing: {found:?}\n{text}");
        // Other errors would mean that the case shows something else than it says.
        let errors: Vec<_> = findings.iter().filter(|finding| finding.severity() == Severity::Error).collect();
        assert!(errors.iter().all(|error| error.rule == *rule), "{errors:?}\n{text}");
    }
}

/// Rules that no single object can break: those of bundles, and the limit.
const NOT_OF_ONE_OBJECT: [Rule; 2] = [Rule::TooMany, Rule::Repeated];

#[test]
fn every_rule_has_a_case() {
    let cases: BTreeSet<_> = CASES.iter().map(|(_, rule, _)| *rule).chain(NOT_OF_ONE_OBJECT).collect();
    let missing: Vec<_> = Rule::ALL.iter().filter(|rule| !cases.contains(rule)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn numbers_of_rules_are_unique_and_explained() {
    let codes: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.code()).collect();
    assert_eq!(codes.len(), Rule::ALL.len());
    assert!(RULE_CODES.iter().all(|(code, title, text)| codes.contains(code) && !title.is_empty() && !text.is_empty()));
}

#[test]
fn what_is_right_has_nothing_against_it() {
    let text =
        r#"{"type":"domain-name","id":"domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7","value":"example.com"}"#;
    assert_eq!(validate(&parse(text.as_bytes()).unwrap()), []);
}

#[test]
fn all_findings_are_told_but_not_without_end() {
    let labels = vec!["1"; FINDINGS_MAX + 500].join(",");
    let text = expand(&format!(r#"{{IDENTITY,"name":"a","labels":[{labels}]}}"#));
    let findings = validate(&parse(text.as_bytes()).unwrap());
    assert_eq!((findings.len(), findings[FINDINGS_MAX].rule), (FINDINGS_MAX + 1, Rule::TooMany));
    assert_eq!(findings[999].pointer, "/labels/999");
}

#[test]
fn findings_do_not_carry_what_a_terminal_would_obey() {
    let text =
        r#"{"type":"url","id":"url--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f","value":"\u001b[2J\u202e","\u001b[2J":1}"#;
    let findings = validate(&parse(text.as_bytes()).unwrap());
    let told = |finding: &Finding| format!("{} {}", finding.pointer, finding.message);
    assert!(findings.iter().all(|finding| !told(finding).contains(['\u{1b}', '\u{202e}'])), "{findings:?}");
}

#[test]
fn a_long_name_is_not_repeated_with_every_finding() {
    let members: Vec<_> = (0..FINDINGS_MAX).map(|i| format!(r#""A{i}":1"#)).collect();
    let extension =
        format!(r#"{{FILE,"name":"a","extensions":{{"{}":{{{}}}}}}}"#, "x".repeat(100_000), members.join(","));
    let findings = validate(&parse(expand(&extension).as_bytes()).unwrap());
    assert!(findings.len() >= FINDINGS_MAX);
    assert!(findings.iter().all(|finding| finding.pointer.len() + finding.message.len() < 1_000));
}

#[test]
fn observables_in_an_observation_refer_by_key() {
    let objects = |target: &str| {
        format!(
            r#"{{HEAD observed-data-4,OLD,SEEN,"objects":{{"0":{{"type":"domain-name","id":"domain-name--bedb4899-d24b-5401-bc86-8f6b4cc18ec7","value":"example.com","resolves_to_refs":["{target}"]}},"1":{{"type":"ipv4-addr","id":"ipv4-addr--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f","value":"192.0.2.1"}},"2":{{"type":"url","id":"url--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f","value":"https://a.example/"}}}}}}"#
        )
    };
    let check = |target: &str| {
        let text = expand(&objects(target));
        let findings = validate(&parse(text.as_bytes()).unwrap());
        let errors = findings.into_iter().filter(|finding| finding.severity() == Severity::Error);
        errors.map(|finding| (finding.rule, finding.pointer)).collect::<Vec<_>>()
    };
    let at = "/objects/0/resolves_to_refs/0".to_owned();
    assert_eq!(check("1"), []);
    assert_eq!(check("2"), [(Rule::IdentifierType, at.clone())]);
    assert_eq!(check("3"), [(Rule::Identifier, at)]);
}
