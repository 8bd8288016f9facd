//! What the standard recommends.

use super::{
    Findings, Path, Rule, Subject, form, registry,
    relationship::{Departure, departure},
};
use crate::{
    id::StixIdRef,
    json::{Map, Value},
    model::{Shape, Structure},
    object::ObjectClass,
    quote::quote,
    sco_id::sco_id,
};

/// Dictionaries whose keys come from elsewhere, capitals and all.
const FOREIGN_KEYS: [&str; 10] = [
    "hashes",
    "file_header_hashes",
    "request_header",
    "additional_header_fields",
    "document_info_dict",
    "exif_tags",
    "ipfix",
    "options",
    "environment_variables",
    "startup_info",
];

pub(super) fn check(subject: &Subject<'_, '_>, findings: &mut Findings) {
    uuid(subject, findings);
    creator(subject, findings);
    custom(subject, findings);
    vocabulary_forms(subject, findings);
    kill_chains(subject, findings);
    external_references(subject, findings);
    match subject.object_type.as_str() {
        "indicator" => indicator(subject, findings),
        "relationship" => relationship(subject, findings),
        "location" => country(subject, findings),
        "malware-analysis" => product(subject, findings),
        "observed-data" => deprecated(subject, findings),
        "network-traffic" => network_traffic(subject, findings),
        "file" => file(subject, findings),
        "process" => priority(subject, findings),
        "extension-definition" => extension_definition(subject, findings),
        _ => {}
    }
    if subject.class == ObjectClass::Observable {
        key_case(subject.map, &subject.path, findings);
        hash_names(subject.map, subject.structure, &subject.path, findings);
    }
}

/// Observables have ids that follow from what they are; everything else should have random ones (STIX 2.1 §2.9).
fn uuid(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let Some(text) = subject.text("id") else { return };
    let Ok(id) = StixIdRef::borrow(&text) else { return };
    let path = subject.path.name("id");
    if subject.class != ObjectClass::Observable {
        let version = form::uuid_version(&id);
        if version != 4 {
            findings.add(Rule::UuidVersion, &path, || {
                format!("the id should be a random one, UUIDv4, and is UUIDv{version}")
            });
        }
        return;
    }
    // From the keys of a dictionary, in place of ids, nothing follows.
    let own = sco_id(&subject.object_type, subject.map).filter(|_| subject.siblings.is_none());
    if let Some(own) = own.filter(|own| own.as_str() != id.as_str()) {
        findings
            .add(Rule::DeterministicId, &path, || format!("the id that follows from the object's properties is {own}"));
    }
}

fn creator(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let Some(text) = subject.text("created_by_ref").filter(|_| subject.class != ObjectClass::Observable) else {
        return;
    };
    if StixIdRef::borrow(&text).is_ok_and(|id| id.object_type() != "identity") {
        findings.add(Rule::Creator, &subject.path.name("created_by_ref"), || {
            format!("\"{}\" should be the id of an identity", quote(&text))
        });
    }
}

/// What neither the standard nor an extension defines.
fn custom(subject: &Subject<'_, '_>, findings: &mut Findings) {
    if subject.class == ObjectClass::Custom {
        if !subject.is_extended_by(&["new-sdo", "new-sco", "new-sro"]) {
            findings.add(Rule::CustomObject, &subject.path.name("type"), || {
                format!(
                    "\"{}\" is of no extension: define it by one of type new-sdo, new-sco or new-sro",
                    quote(&subject.object_type)
                )
            });
        }
        return;
    }
    if !subject.is_extended_by(&["toplevel-property-extension"]) {
        unknown(subject.structure, subject.map, &subject.path, findings);
    }
    parts(subject.structure, subject.map, &subject.path, findings);
    if subject.class == ObjectClass::Observable {
        observable_extensions(subject, findings);
    }
    if subject.class == ObjectClass::Marking && !subject.has("extensions") {
        let known = matches!(subject.text("definition_type").as_deref(), Some("statement" | "tlp"));
        if !known {
            findings.add(Rule::CustomObject, &subject.path.name("definition_type"), || {
                "a marking that is neither a statement nor TLP should come by an extension".to_owned()
            });
        }
    }
}

/// Properties that `structure` does not have.
fn unknown(structure: &Structure, map: &Map<'_>, path: &Path<'_>, findings: &mut Findings) {
    for member in map {
        let name = member.key.as_str();
        if structure.property(&name).is_none() {
            findings.add(Rule::CustomProperty, &path.name(&name), || {
                format!("\"{}\" is no property of {}: define it by an extension", quote(&name), structure.name)
            });
        }
    }
}

/// The parts of an observable that have a structure of their own, and its predefined extensions.
fn parts(structure: &'static Structure, map: &Map<'_>, path: &Path<'_>, findings: &mut Findings) {
    for property in structure.properties {
        let Some(value) = map.get(property.name) else { continue };
        let path = path.name(property.name);
        match (property.shape, value) {
            (Shape::Object(structure), Value::Object(map)) => part(structure, map, &path, findings),
            (Shape::List(Shape::Object(structure)), Value::Array(values)) if is_observable_part(structure) => {
                for (i, value) in values.iter().enumerate() {
                    value.as_object().into_iter().for_each(|map| part(structure, map, &path.index(i), findings));
                }
            }
            (Shape::Extensions(structure), Value::Object(map)) => parts(structure, map, &path, findings),
            _ => {}
        }
    }
}

/// Parts of all objects, such as external references, are open: their producers put there what they like.
fn is_observable_part(structure: &Structure) -> bool {
    structure.section.starts_with('6')
}

fn part(structure: &'static Structure, map: &Map<'_>, path: &Path<'_>, findings: &mut Findings) {
    unknown(structure, map, path, findings);
    parts(structure, map, path, findings);
}

/// Extensions of observables for which the standard predefines some.
fn observable_extensions(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let Some(extensions) = subject.get("extensions").and_then(Value::as_object) else { return };
    let Some(Shape::Extensions(structure)) = subject.shape("extensions") else { return };
    let is_defined = subject.is_extended_by(&["property-extension", "toplevel-property-extension"]);
    if structure.properties.is_empty() || is_defined {
        return;
    }
    unknown(structure, extensions, &subject.path.name("extensions"), findings);
}

/// The vocabularies whose words have the usual form (STIX 2.1 §2.14).
fn vocabulary_forms(subject: &Subject<'_, '_>, findings: &mut Findings) {
    if subject.class == ObjectClass::Observable {
        return;
    }
    for property in subject.structure.properties {
        let Some(value) = subject.get(property.name) else { continue };
        let path = subject.path.name(property.name);
        match (property.shape, value) {
            (Shape::Word(words), Value::String(text)) if words.is_open => word(&text.as_str(), &path, findings),
            (Shape::List(Shape::Word(words)), Value::Array(values)) if words.is_open => {
                for (i, value) in values.iter().enumerate() {
                    value.as_str().into_iter().for_each(|text| word(&text, &path.index(i), findings));
                }
            }
            _ => {}
        }
    }
}

fn word(text: &str, path: &Path<'_>, findings: &mut Findings) {
    if !form::is_lower_words(text) {
        findings.add(Rule::VocabularyForm, path, || {
            format!("\"{}\" should be in lower case, with hyphens between words", quote(text))
        });
    }
}

fn kill_chains(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let path = subject.path.name("kill_chain_phases");
    for (i, phase) in subject.list("kill_chain_phases").iter().enumerate() {
        for name in ["kill_chain_name", "phase_name"] {
            let Some(text) = phase.get(name).and_then(Value::as_str) else { continue };
            if !form::is_lower_words(&text) {
                findings.add(Rule::KillChain, &path.index(i).name(name), || {
                    format!("\"{}\" should be in lower case, with hyphens between words", quote(&text))
                });
            }
        }
    }
}

/// A URL's content changes; a digest tells which content was meant (STIX 2.1 §2.5).
fn external_references(subject: &Subject<'_, '_>, findings: &mut Findings) {
    if subject.shape("external_references").is_none() {
        return;
    }
    let path = subject.path.name("external_references");
    for (i, reference) in subject.list("external_references").iter().enumerate() {
        if reference.get("url").is_some() && reference.get("hashes").is_none() {
            findings.add(Rule::ReferenceHashes, &path.index(i), || {
                "a reference with a url should have the hashes of what is there".to_owned()
            });
        }
    }
}

fn indicator(subject: &Subject<'_, '_>, findings: &mut Findings) {
    for name in ["name", "description"] {
        if !subject.has(name) {
            findings
                .add(Rule::IndicatorText, &subject.path.name(name), || format!("an indicator should have a {name}"));
        }
    }
}

fn relationship(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let end = |name: &str| {
        let text = subject.text(name)?;
        StixIdRef::borrow(&text).ok().map(|id| id.object_type().to_owned())
    };
    let (Some(source), Some(target)) = (end("source_ref"), end("target_ref")) else { return };
    let Some(name) = subject.text("relationship_type") else { return };
    let is_meta = |object_type: &str| matches!(ObjectClass::of(object_type), ObjectClass::Meta | ObjectClass::Marking);
    if is_meta(&source) || is_meta(&target) {
        return;
    }
    let Some(departure) = departure(&source, &name, &target) else { return };
    findings.add(Rule::Relationship, &subject.path.name("relationship_type"), || {
        let name = quote(&name);
        match departure {
            Departure::Source => format!("the standard suggests no relationship \"{name}\" from {source}"),
            Departure::Type => format!("{source} has no relationship \"{name}\" in the standard"),
            Departure::Target(targets) => {
                format!("\"{name}\" from {source} leads to {}, and not to {target}", targets.join(", "))
            }
        }
    });
}

fn country(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let Some(country) = subject.text("country") else { return };
    if !registry::contains(registry::COUNTRIES, &country.to_uppercase()) {
        registry_word(&subject.path.name("country"), &country, "a code of ISO 3166-1 alpha-2", findings);
    }
}

fn registry_word(path: &Path<'_>, found: &str, expected: &str, findings: &mut Findings) {
    findings.add(Rule::RegistryWord, path, || format!("\"{}\" should be {expected}", quote(found)));
}

fn product(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let Some(product) = subject.text("product") else { return };
    if product.is_empty() || !product.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-') {
        findings.add(Rule::ProductName, &subject.path.name("product"), || {
            format!("\"{}\" should be in lower case, with hyphens between words", quote(&product))
        });
    }
}

fn deprecated(subject: &Subject<'_, '_>, findings: &mut Findings) {
    if subject.has("objects") {
        findings.add(Rule::Deprecated, &subject.path.name("objects"), || {
            "objects is deprecated: send the observables on their own and name them in object_refs".to_owned()
        });
    }
}

fn network_traffic(subject: &Subject<'_, '_>, findings: &mut Findings) {
    if !subject.has("src_port") || !subject.has("dst_port") {
        findings.add(Rule::Ports, &subject.path, || "src_port and dst_port should both be there".to_owned());
    }
    let path = subject.path.name("protocols");
    for (i, protocol) in subject.list("protocols").iter().enumerate() {
        let Some(protocol) = protocol.as_str() else { continue };
        let is_name = (1..=15).contains(&protocol.len())
            && protocol.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !is_name {
            registry_word(&path.index(i), &protocol, "a service name of IANA's registry, such as https", findings);
        }
    }
    keys(subject, "http-request-ext", "request_header", findings, "a header field of HTTP requests", |key| {
        registry::contains(registry::REQUEST_HEADERS, key)
    });
    keys(subject, "socket-ext", "options", findings, "a socket option, such as SO_RCVTIMEO", |key| {
        let families = ["SO_", "ICMP_", "ICMP6_", "IP_", "IPV6_", "MCAST_", "TCP_", "IRLMP_"];
        families.iter().any(|family| key.starts_with(family))
    });
    let path = subject.path.name("ipfix");
    for member in subject.get("ipfix").and_then(Value::as_object).into_iter().flatten() {
        let key = member.key.as_str();
        if !key.starts_with(|c: char| c.is_ascii_lowercase()) || !key.bytes().all(|b| b.is_ascii_alphanumeric()) {
            registry_word(&path.name(&key), &key, "an information element of IPFIX", findings);
        }
    }
}

/// The keys of a dictionary in an extension.
fn keys(
    subject: &Subject<'_, '_>,
    extension: &str,
    dictionary: &str,
    findings: &mut Findings,
    expected: &str,
    fits: fn(&str) -> bool,
) {
    let Some(map) = subject.extension(extension).and_then(|map| map.get(dictionary)?.as_object()) else { return };
    let path = subject.path.name("extensions");
    let (path, name) = (path.name(extension), dictionary);
    for member in map {
        let key = member.key.as_str();
        if !fits(&key) {
            registry_word(&path.name(name).name(&key), &key, expected, findings);
        }
    }
}

fn file(subject: &Subject<'_, '_>, findings: &mut Findings) {
    if let Some(mime_type) = subject.text("mime_type").filter(|text| !form::is_media_type(text)) {
        registry_word(&subject.path.name("mime_type"), &mime_type, "a media type of IANA's registry", findings);
    }
    keys(subject, "pdf-ext", "document_info_dict", findings, "a key of PDF's document information", |key| {
        registry::contains(registry::PDF_KEYS, key)
    });
}

fn priority(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let Some(priority) = subject.extension("windows-process-ext").and_then(|map| map.get("priority")?.as_str()) else {
        return;
    };
    if !priority.ends_with("_CLASS") {
        let path = subject.path.name("extensions");
        let path = path.name("windows-process-ext");
        registry_word(
            &path.name("priority"),
            &priority,
            "a priority class of Windows, such as NORMAL_PRIORITY_CLASS",
            findings,
        );
    }
}

fn extension_definition(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let adds_properties = subject
        .list("extension_types")
        .iter()
        .any(|found| found.as_str().as_deref() == Some("toplevel-property-extension"));
    if !subject.has("description") {
        findings.add(Rule::ExtensionText, &subject.path.name("description"), || {
            "an extension-definition should have a description".to_owned()
        });
    }
    if adds_properties && !subject.has("extension_properties") {
        findings.add(Rule::ExtensionText, &subject.path.name("extension_properties"), || {
            "an extension of the top level should name its extension_properties".to_owned()
        });
    }
}

/// The recursion ends: the reader let no value nest deeper than its limit.
fn key_case(map: &Map<'_>, path: &Path<'_>, findings: &mut Findings) {
    for member in map {
        let key = member.key.as_str();
        let path = path.name(&key);
        if key.bytes().any(|byte| byte.is_ascii_uppercase()) {
            findings.add(Rule::KeyCase, &path, || format!("\"{}\" should be in lower case", quote(&key)));
        }
        if let Some(inner) = member.value.as_object().filter(|_| !FOREIGN_KEYS.contains(&key.as_ref())) {
            key_case(inner, &path, findings);
        }
    }
}

/// Digests stand under the names of `hash-algorithm-ov`, wherever in an observable they are.
fn hash_names(map: &Map<'_>, structure: &'static Structure, path: &Path<'_>, findings: &mut Findings) {
    for property in structure.properties {
        let Some(value) = map.get(property.name) else { continue };
        let path = path.name(property.name);
        match (property.shape, value) {
            (Shape::Hashes, Value::Object(hashes)) => algorithms(hashes, &path, findings),
            (Shape::Object(structure) | Shape::Extensions(structure), Value::Object(map)) => {
                hash_names(map, structure, &path, findings);
            }
            (Shape::List(Shape::Object(structure)), Value::Array(values)) => {
                for (i, value) in values.iter().enumerate() {
                    value.as_object().into_iter().for_each(|map| hash_names(map, structure, &path.index(i), findings));
                }
            }
            _ => {}
        }
    }
}

fn algorithms(hashes: &Map<'_>, path: &Path<'_>, findings: &mut Findings) {
    use crate::model::{fields::Words, vocabulary::HashingAlgorithm};
    for member in hashes {
        let name = member.key.as_str();
        if !HashingAlgorithm::VOCABULARY.contains(&name) && !name.starts_with("x_") {
            findings.add(Rule::HashName, &path.name(&name), || {
                format!("\"{}\" is not of {}", quote(&name), HashingAlgorithm::VOCABULARY.name)
            });
        }
    }
}
