//! Rules between the properties of an object, and forms that depend on its type.

use super::{Findings, Path, Rule, Subject, form};
use crate::{
    id::{StixIdRef, is_type_name},
    json::{Map, Value},
    model::Shape,
    object::ObjectClass,
    pattern::{ObjectPath, PathStep, Pattern},
    quote::quote,
    sco_id::contributing_properties,
};

/// The properties of which at least one must be there, by type or extension.
const ONE_OF: [(&str, &[&str]); 6] = [
    ("network-traffic", &["src_ref", "dst_ref"]),
    ("malware-analysis", &["result", "analysis_sco_refs"]),
    ("file", &["hashes", "name"]),
    ("ntfs-ext", &["sid", "alternate_data_streams"]),
    ("tcp-ext", &["src_flags_hex", "dst_flags_hex"]),
    ("observed-data", &["objects", "object_refs"]),
];

/// The types and extensions that must say something of themselves, whatever it is.
const NOT_BARE: [&str; 9] = [
    "process",
    "user-account",
    "windows-registry-key",
    "x509-certificate",
    "raster-image-ext",
    "pdf-ext",
    "unix-account-ext",
    "windows-process-ext",
    "windows-service-ext",
];

/// What relationships and sightings never lead to (STIX 2.1 §5.1, §5.2).
const NEVER_RELATED: [&str; 6] =
    ["relationship", "sighting", "bundle", "marking-definition", "language-content", "extension-definition"];

/// The properties that all observables have, and that say nothing of what was observed.
const OBSERVABLE_COMMON: [&str; 6] =
    ["type", "id", "spec_version", "object_marking_refs", "granular_markings", "defanged"];

pub(super) fn check(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let checks = Checks { subject, path: &subject.path };
    checks.presence(findings);
    checks.spec_version(findings);
    checks.random_id(findings);
    checks.defanged(findings);
    checks.values(findings);
    match subject.object_type.as_str() {
        "artifact" => checks.artifact(findings),
        "email-message" => checks.email_message(findings),
        "extension-definition" => checks.extension_definition(findings),
        "indicator" => checks.indicator(findings),
        "language-content" => checks.language_content(findings),
        "location" => checks.location(findings),
        "malware" => checks.malware(findings),
        "network-traffic" => checks.network_traffic(findings),
        "observed-data" => checks.observed_data(findings),
        "relationship" => checks.relationship(findings),
        "sighting" => checks.sighting(findings),
        "windows-registry-key" => checks.registry_key(findings),
        _ => {}
    }
    checks.extensions(findings);
    checks.external_references(findings);
}

struct Checks<'c, 's, 'a> {
    subject: &'c Subject<'s, 'a>,
    path: &'c Path<'s>,
}

fn combination(findings: &mut Findings, path: &Path<'_>, message: &str) {
    findings.add(Rule::Combination, path, || message.to_owned());
}

/// What must be there of a type or extension called `name`.
fn presence(name: &str, map: &Map<'_>, path: &Path<'_>, findings: &mut Findings) {
    if let Some((_, names)) = ONE_OF.iter().find(|(of, _)| *of == name)
        && !names.iter().any(|name| map.get(name).is_some())
    {
        findings.add(Rule::Combination, path, || format!("at least one of {} must be there", names.join(" or ")));
    }
    if name == "windows-pebinary-ext" && map.len() < 2 {
        combination(findings, path, "\"windows-pebinary-ext\" must have at least one property beside pe_type");
    }
    let says_something = map.iter().any(|member| !OBSERVABLE_COMMON.iter().any(|common| member.key == *common));
    if NOT_BARE.contains(&name) && !says_something {
        findings.add(Rule::Combination, path, || format!("\"{name}\" must have at least one property of its own"));
    }
}

impl Checks<'_, '_, '_> {
    fn presence(&self, findings: &mut Findings) {
        presence(&self.subject.object_type, self.subject.map, self.path, findings);
    }

    /// STIX 2.1 §3.2: objects of other versions follow other rules. A bundle says its version in STIX 2.0 only.
    fn spec_version(&self, findings: &mut Findings) {
        let Some(version) = self.subject.get("spec_version") else { return };
        let is_other = match self.subject.class {
            ObjectClass::Bundle => *version != Value::from("2.1"),
            _ => *version == Value::from("2.0"),
        };
        if is_other {
            findings.add(Rule::SpecVersion, &self.path.name("spec_version"), || {
                "this is not STIX 2.1, by its spec_version: upgrade it first".to_owned()
            });
        }
    }

    /// STIX 2.1 §2.9: an observable has a random id if none follows from its properties.
    fn random_id(&self, findings: &mut Findings) {
        let Some(text) = self.subject.text("id").filter(|_| self.subject.class == ObjectClass::Observable) else {
            return;
        };
        let Ok(id) = StixIdRef::borrow(&text) else { return };
        let is_random = form::uuid_version(&id) == 4;
        let contributes = |name: &&str| self.subject.has(name);
        if !is_random && !contributing_properties(&self.subject.object_type).iter().any(contributes) {
            findings.add(Rule::RandomId, &self.path.name("id"), || {
                "without a property that its id could follow from, an observable has a random one: UUIDv4".to_owned()
            });
        }
    }

    /// STIX 2.1 §3.2: only observables are defanged.
    fn defanged(&self, findings: &mut Findings) {
        let is_allowed = matches!(self.subject.class, ObjectClass::Observable | ObjectClass::Custom);
        if !is_allowed && self.subject.has("defanged") {
            combination(findings, &self.path.name("defanged"), "only observables are defanged: leave the property out");
        }
    }

    fn both(&self, one: &str, other: &str) -> bool {
        self.subject.has(one) && self.subject.has(other)
    }

    /// A property whose text must be of a form.
    fn form(&self, rule: Rule, name: &str, fits: fn(&str) -> bool, form: &str, findings: &mut Findings) {
        let Some(text) = self.subject.text(name) else { return };
        if !fits(&text) {
            findings.add(rule, &self.path.name(name), || format!("\"{}\" is not {form}: correct it", quote(&text)));
        }
    }

    fn values(&self, findings: &mut Findings) {
        let value = match self.subject.object_type.as_str() {
            "domain-name" => Some((form::is_domain as fn(&str) -> bool, "a domain name of RFC 1034 and RFC 5890")),
            "email-addr" => Some((form::is_email as _, "the address of a mailbox, as RFC 5322 writes it")),
            "ipv4-addr" => Some((form::is_ipv4 as _, "an IPv4 address or network, such as 198.51.100.0/24")),
            "ipv6-addr" => Some((form::is_ipv6 as _, "an IPv6 address or network, such as 2001:db8::/32")),
            "mac-addr" => Some((form::is_mac as _, "a MAC address in lower case, such as d2:fb:49:24:37:18")),
            _ => None,
        };
        if let Some((fits, expected)) = value {
            self.form(Rule::Address, "value", fits, expected, findings);
        }
        match self.subject.object_type.as_str() {
            "url" => self.form(Rule::Url, "value", form::is_uri, "a URL of RFC 3986, with its scheme", findings),
            "artifact" => {
                self.form(Rule::Url, "url", form::is_uri, "a URL of RFC 3986, with its scheme", findings);
                let form = "a media type of IANA's registry, such as application/zip";
                self.form(Rule::Registered, "mime_type", form::is_media_type, form, findings);
            }
            "software" => self.software(findings),
            "directory" => self.charset("path_enc", findings),
            "file" => self.file_name(findings),
            _ => {}
        }
        if self.subject.shape("lang").is_none() {
            return;
        }
        self.form(Rule::Language, "lang", form::is_language, "a language tag of RFC 5646, such as ar", findings);
    }

    fn charset(&self, name: &str, findings: &mut Findings) {
        let form = "a character set of IANA's registry, such as UTF-8";
        self.form(Rule::Registered, name, form::is_charset, form, findings);
    }

    /// STIX 2.1 §3.1: an encoding stands beside what it is the encoding of.
    fn file_name(&self, findings: &mut Findings) {
        self.charset("name_enc", findings);
        if self.subject.has("name_enc") && !self.subject.has("name") {
            combination(findings, &self.path.name("name_enc"), "name_enc needs a name");
        }
    }

    fn software(&self, findings: &mut Findings) {
        self.form(Rule::Registered, "cpe", form::is_cpe, "a name of CPE 2.3", findings);
        for (i, language) in self.subject.list("languages").iter().enumerate() {
            let Some(language) = language.as_str() else { continue };
            // STIX 2.0 asked for the three letters of ISO 639-2 here, and they are in use.
            let is_iso_639 = language.len() == 3 && language.bytes().all(|byte| byte.is_ascii_lowercase());
            if !is_iso_639 && !form::is_language(&language) {
                findings.add(Rule::Language, &self.path.name("languages").index(i), || {
                    format!("\"{}\" is not a language tag of RFC 5646", quote(&language))
                });
            }
        }
    }

    fn artifact(&self, findings: &mut Findings) {
        let (bytes, url, hashes) =
            (self.subject.has("payload_bin"), self.subject.has("url"), self.subject.has("hashes"));
        if bytes == url {
            combination(findings, self.path, "either payload_bin or url must be there, and not both");
        } else if url && !hashes {
            combination(findings, self.path, "an artifact with a url needs hashes");
        }
        if self.subject.has("decryption_key") && !self.subject.has("encryption_algorithm") {
            combination(findings, self.path, "a decryption_key needs an encryption_algorithm");
        }
    }

    fn email_message(&self, findings: &mut Findings) {
        let Some(is_multipart) = self.subject.get("is_multipart").and_then(Value::as_bool) else { return };
        if is_multipart && self.subject.has("body") {
            combination(findings, &self.path.name("body"), "a mail of several parts has body_multipart and no body");
        }
        if !is_multipart && self.subject.has("body_multipart") {
            let path = self.path.name("body_multipart");
            combination(findings, &path, "a mail of one part has a body and no body_multipart");
        }
        for (i, part) in self.subject.list("body_multipart").iter().enumerate() {
            if part.get("body").is_some() == part.get("body_raw_ref").is_some() {
                let path = self.path.name("body_multipart");
                combination(findings, &path.index(i), "a part has either body or body_raw_ref");
            }
        }
        let headers = self.subject.get("additional_header_fields").and_then(Value::as_object);
        for header in headers.into_iter().flatten() {
            let is_list = header.value.as_array().is_some_and(|all| all.iter().all(|one| one.as_str().is_some()));
            if header.value.as_str().is_none() && !is_list {
                let (fields, name) = (self.path.name("additional_header_fields"), header.key.as_str());
                findings.add(Rule::Kind, &fields.name(&name), || {
                    "the value of a header field is a string or a list of strings".to_owned()
                });
            }
        }
    }

    fn extension_definition(&self, findings: &mut Findings) {
        if !self.subject.has("created_by_ref") {
            findings.add(Rule::Required, &self.path.name("created_by_ref"), || {
                "an extension-definition needs a \"created_by_ref\": add it".to_owned()
            });
        }
        let types = self.subject.list("extension_types");
        let adds_properties =
            types.iter().any(|found| found.as_str().as_deref() == Some("toplevel-property-extension"));
        if self.subject.has("extension_properties") && !types.is_empty() && !adds_properties {
            let message = "extension_properties go with the type toplevel-property-extension only";
            combination(findings, &self.path.name("extension_properties"), message);
        }
    }

    fn indicator(&self, findings: &mut Findings) {
        if self.subject.text("pattern_type").as_deref() != Some("stix") {
            return;
        }
        let Some(text) = self.subject.text("pattern") else { return };
        let path = self.path.name("pattern");
        match Pattern::parse(&text) {
            Ok(pattern) => {
                if let Some(mismatch) = pattern.malformed_digest() {
                    findings.add(Rule::Pattern, &path, || mismatch.to_string());
                }
                if let Some(name) = pattern.paths().find_map(malformed_name) {
                    findings.add(Rule::Pattern, &path, || {
                        format!("\"{}\" is no name of a type or property: correct the pattern", quote(&name))
                    });
                }
            }
            Err(error) => findings.add(Rule::Pattern, &path, || format!("{error}: correct the pattern there")),
        }
    }

    fn language_content(&self, findings: &mut Findings) {
        self.ends(&["object_ref"], &["bundle", "language-content"], findings);
        let contents = self.subject.get("contents").and_then(Value::as_object);
        for content in contents.into_iter().flatten() {
            let language = content.key.as_str();
            let path = self.path.name("contents");
            if !form::is_language(&language) {
                findings.add(Rule::Language, &path.name(&language), || {
                    format!("\"{}\" is not a language tag of RFC 5646", quote(&language))
                });
            }
            for member in content.value.as_object().into_iter().flatten() {
                let name = member.key.as_str();
                if !form::is_property_name(&name) {
                    findings.add(Rule::PropertyName, &path.name(&language).name(&name), || {
                        format!("\"{}\" is no name of a property that could be translated", quote(&name))
                    });
                }
            }
        }
    }

    fn location(&self, findings: &mut Findings) {
        let has_point = self.both("latitude", "longitude");
        if !has_point && (self.subject.has("latitude") || self.subject.has("longitude")) {
            combination(findings, self.path, "latitude and longitude go together");
        }
        if self.subject.has("precision") && !has_point {
            combination(findings, &self.path.name("precision"), "precision needs latitude and longitude");
        }
        if !has_point && !self.subject.has("region") && !self.subject.has("country") {
            combination(findings, self.path, "region, country, or latitude and longitude must be there");
        }
    }

    fn malware(&self, findings: &mut Findings) {
        let is_family = self.subject.get("is_family").and_then(Value::as_bool) == Some(true);
        if is_family && !self.subject.has("name") {
            combination(findings, &self.path.name("name"), "a family of malware needs a name");
        }
    }

    fn network_traffic(&self, findings: &mut Findings) {
        let is_active = self.subject.get("is_active").and_then(Value::as_bool) == Some(true);
        if is_active && self.subject.has("end") {
            combination(findings, &self.path.name("end"), "traffic that is_active has no end");
        }
        for member in self.subject.get("ipfix").and_then(Value::as_object).into_iter().flatten() {
            if member.value.as_str().is_none() && member.value.as_i64().is_none() {
                let (ipfix, name) = (self.path.name("ipfix"), member.key.as_str());
                findings.add(Rule::Kind, &ipfix.name(&name), || {
                    "the value of an IPFIX element is a string or a whole number".to_owned()
                });
            }
        }
    }

    fn observed_data(&self, findings: &mut Findings) {
        if self.both("objects", "object_refs") {
            combination(findings, &self.path.name("objects"), "objects and object_refs exclude each other");
        }
    }

    fn relationship(&self, findings: &mut Findings) {
        let form = "of lower-case letters, digits and hyphens";
        let fits = |text: &str| {
            !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        self.form(Rule::Enumeration, "relationship_type", fits, form, findings);
        self.ends(&["source_ref", "target_ref"], &NEVER_RELATED, findings);
    }

    /// STIX 2.1 §5.2.1: what was sighted is a domain object; an observable that was seen is observed data.
    fn sighting(&self, findings: &mut Findings) {
        self.ends(&["sighting_of_ref"], &NEVER_RELATED, findings);
        let Some(text) = self.subject.text("sighting_of_ref") else { return };
        let object_type = text.split("--").next().unwrap_or_default();
        if ObjectClass::of(object_type) == ObjectClass::Observable {
            findings.add(Rule::IdentifierType, &self.path.name("sighting_of_ref"), || {
                format!(
                    "a sighting is of a domain object, not of a {object_type}: refer to observed-data that holds it"
                )
            });
        }
    }

    /// References that lead to any type but some.
    fn ends(&self, names: &[&str], never: &[&str], findings: &mut Findings) {
        for name in names {
            let Some(text) = self.subject.text(name) else { continue };
            let object_type = text.split("--").next().unwrap_or_default();
            if never.contains(&object_type) {
                findings.add(Rule::IdentifierType, &self.path.name(name), || {
                    format!("a {} cannot lead to a {object_type}", self.subject.object_type)
                });
            }
        }
    }

    fn registry_key(&self, findings: &mut Findings) {
        const SHORT_HIVES: [&str; 5] = ["hklm", "hkcc", "hkcr", "hkcu", "hku"];
        let key = self.subject.text("key").unwrap_or_default();
        let hive = key.split('\\').next().unwrap_or_default().to_ascii_lowercase();
        if SHORT_HIVES.contains(&hive.as_str()) {
            findings.add(Rule::Registered, &self.path.name("key"), || {
                format!("the hive \"{hive}\" is not shortened: write HKEY_LOCAL_MACHINE and the like in full")
            });
        }
        for (i, value) in self.subject.list("values").iter().enumerate() {
            if value
                .as_object()
                .is_some_and(|value| ["name", "data", "data_type"].iter().all(|n| value.get(n).is_none()))
            {
                let path = self.path.name("values");
                combination(findings, &path.index(i), "a value has a name, data or data_type");
            }
        }
    }

    fn extensions(&self, findings: &mut Findings) {
        let extensions = self.path.name("extensions");
        let Some(Shape::Extensions(structure)) = self.subject.shape("extensions") else { return };
        for property in structure.properties {
            if let Some(map) = self.subject.extension(property.name) {
                presence(property.name, map, &extensions.name(property.name), findings);
            }
        }
        self.exif_tags(findings);
    }

    /// STIX 2.1 §6.7.5: the values of EXIF tags are strings or whole numbers.
    fn exif_tags(&self, findings: &mut Findings) {
        let Some(image) = self.subject.extension("raster-image-ext") else { return };
        let path = self.path.name("extensions");
        let path = path.name("raster-image-ext");
        let path = path.name("exif_tags");
        for member in image.get("exif_tags").and_then(Value::as_object).into_iter().flatten() {
            if member.value.as_str().is_none() && member.value.as_i64().is_none() {
                findings.add(Rule::Kind, &path.name(&member.key.as_str()), || {
                    "the value of an EXIF tag is a string or a whole number".to_owned()
                });
            }
        }
    }

    /// STIX 2.1 §2.5.2: beside the source a description, url or id; and the forms of CVE and CAPEC.
    fn external_references(&self, findings: &mut Findings) {
        if self.subject.shape("external_references").is_none() {
            return;
        }
        let path = self.path.name("external_references");
        for (i, reference) in self.subject.list("external_references").iter().enumerate() {
            let Some(map) = reference.as_object() else { continue };
            external_reference(map, &path.index(i), findings);
        }
    }
}

/// The type or first property of a path, if it could be the name of none.
fn malformed_name(path: &ObjectPath<'_>) -> Option<String> {
    if !is_type_name(path.object_type) {
        return Some(path.object_type.to_owned());
    }
    match path.steps.first() {
        Some(PathStep::Key(key)) if !form::is_property_name(key) => Some(key.to_string()),
        _ => None,
    }
}

fn external_reference(map: &Map<'_>, path: &Path<'_>, findings: &mut Findings) {
    let text = |name: &str| map.get(name).and_then(Value::as_str);
    if ["description", "url", "external_id"].iter().all(|name| map.get(name).is_none()) {
        findings.add(Rule::ExternalReference, path, || {
            "a description, url or external_id must stand beside source_name".to_owned()
        });
    }
    if let Some(url) = text("url").filter(|url| !form::is_uri(url)) {
        findings.add(Rule::Url, &path.name("url"), || format!("\"{}\" is not a URL of RFC 3986", quote(&url)));
    }
    let (source, id) = (text("source_name").unwrap_or_default(), text("external_id").unwrap_or_default());
    let expected = match source.as_ref() {
        "cve" if !is_cve(&id) => "CVE-YYYY-NNNN",
        "capec" if !is_capec(&id) => "CAPEC-NNN",
        _ => return,
    };
    findings.add(Rule::ExternalReference, &path.name("external_id"), || {
        format!("a reference to {source} has an external_id of the form {expected}")
    });
}

fn is_cve(id: &str) -> bool {
    let Some((year, number)) = id.strip_prefix("CVE-").and_then(|rest| rest.split_once('-')) else { return false };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    year.len() == 4 && number.len() >= 4 && is_number(year) && is_number(number)
}

fn is_capec(id: &str) -> bool {
    id.strip_prefix("CAPEC-").is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}
