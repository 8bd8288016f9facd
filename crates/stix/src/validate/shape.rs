//! Properties one by one: is each required one there, and has each the form that its structure gives it.

use super::{Findings, Path, Rule, Subject, form};
use crate::{
    id::{StixIdRef, is_type_name},
    json::{Map, Value},
    model::{Shape, Structure, vocabulary::Vocabulary},
    object::ObjectClass,
    quote::quote,
    time::TimestampRef,
};

/// The names that the standard keeps for itself (STIX 2.1 §3.8); the plural is taken for the same.
const RESERVED: [&str; 5] = ["severity", "username", "phone_number", "phone_numbers", "action"];

/// Checks the properties of a whole object.
pub(super) fn object(subject: &Subject<'_, '_>, findings: &mut Findings) {
    let mut walk = Walk { findings, siblings: subject.siblings, section: subject.structure.section };
    walk.object_type(subject);
    walk.structure(subject.structure, subject.map, &subject.path);
    walk.own_id(subject);
    if !matches!(subject.class, ObjectClass::Marking | ObjectClass::Bundle) {
        walk.names(subject.structure, subject.map, &subject.path);
    }
}

struct Walk<'f, 'a> {
    findings: &'f mut Findings,
    siblings: Option<&'f Map<'a>>,
    /// The section of the innermost structure that has one.
    section: &'static str,
}

impl Walk<'_, '_> {
    fn add(&mut self, rule: Rule, path: &Path<'_>, message: impl FnOnce() -> String) {
        self.findings.section = self.section;
        self.findings.add(rule, path, message);
    }

    fn object_type(&mut self, subject: &Subject<'_, '_>) {
        let Some(Value::String(_)) = subject.get("type") else { return };
        let path = subject.path.name("type");
        if !is_type_name(&subject.object_type) {
            self.add(Rule::TypeName, &path, || {
                format!("\"{}\" is no name of a type: use 3 to 250 of a-z, 0-9 and hyphen", quote(&subject.object_type))
            });
        } else if subject.object_type == "action" {
            self.add(Rule::Reserved, &path, || "the type \"action\" is reserved: choose another name".to_owned());
        }
    }

    /// An object's id is of the object's type.
    fn own_id(&mut self, subject: &Subject<'_, '_>) {
        let Some(id) = subject.text("id").filter(|_| is_type_name(&subject.object_type)) else { return };
        let Ok(id) = StixIdRef::borrow(&id) else { return };
        if id.object_type() != subject.object_type {
            self.add(Rule::IdentifierType, &subject.path.name("id"), || {
                format!("the id of an object of this type begins with \"{}--\"", quote(&subject.object_type))
            });
        }
    }

    /// Checks the properties that `structure` knows; of the others, that they say anything at all.
    fn structure(&mut self, structure: &'static Structure, map: &Map<'_>, path: &Path<'_>) {
        let outer = std::mem::replace(&mut self.section, structure.section);
        let mut known = 0;
        for property in structure.properties {
            let path = path.name(property.name);
            match map.get(property.name) {
                Some(value) => {
                    known += 1;
                    self.value(property.shape, value, &path);
                }
                None if property.is_required => self
                    .add(Rule::Required, &path, || format!("{} needs a \"{}\": add it", structure.name, property.name)),
                None => {}
            }
        }
        if known < map.len() {
            for member in map.iter().filter(|member| structure.property(&member.key.as_str()).is_none()) {
                self.custom(&member.key.as_str(), &member.value, &path.name(&member.key.as_str()));
            }
        }
        self.section = outer;
    }

    /// A property that the standard does not define: only its value's general form is fixed.
    fn custom(&mut self, name: &str, value: &Value<'_>, path: &Path<'_>) {
        match value {
            Value::Null => self.null(path),
            Value::Array(values) if values.is_empty() => self.empty(path, "list"),
            Value::String(text) if name.ends_with("_hex") => self.hex(&text.as_str(), path),
            Value::String(text) if name.ends_with("_bin") => self.binary(&text.as_str(), path),
            _ if name.ends_with("_hex") || name.ends_with("_bin") => self.kind(value, path, "a string of bytes"),
            _ => {}
        }
    }

    /// Names of an object's own properties, and of those that an extension adds.
    fn names(&mut self, structure: &Structure, map: &Map<'_>, path: &Path<'_>) {
        for member in map {
            let name = member.key.as_str();
            if structure.property(&name).is_some() {
                continue;
            }
            if RESERVED.contains(&name.as_ref()) {
                self.add(Rule::Reserved, &path.name(&name), || {
                    format!("the name \"{name}\" is reserved: name the property otherwise")
                });
            } else if !form::is_property_name(&name) {
                self.add(Rule::PropertyName, &path.name(&name), || {
                    format!("\"{}\" is no name of a property: use 3 to 250 of a-z, 0-9 and underscore", quote(&name))
                });
            }
        }
    }

    fn value(&mut self, shape: &'static Shape, value: &Value<'_>, path: &Path<'_>) {
        if matches!(value, Value::Null) {
            return self.null(path);
        }
        match shape {
            Shape::Any => {}
            Shape::Boolean => {
                if value.as_bool().is_none() {
                    self.kind(value, path, "true or false, without quotes");
                }
            }
            Shape::Integer { min, max } => self.integer(value, path, *min, *max),
            Shape::Number { min, max } => self.number(value, path, *min, *max),
            Shape::List(of) => self.list(of, value, path),
            Shape::Dictionary(of) => self.dictionary(of, value, path),
            Shape::Hashes => self.hashes(value, path),
            Shape::Object(structure) => match value.as_object() {
                Some(map) if map.is_empty() => self.empty(path, "object"),
                Some(map) => self.structure(structure, map, path),
                None => self.kind(value, path, "an object"),
            },
            Shape::Extensions(structure) => self.extensions(structure, value, path),
            _ => match value.as_str() {
                Some(text) => self.text(shape, &text, path),
                None => self.kind(value, path, "a string"),
            },
        }
    }

    /// A value that JSON writes as a string.
    fn text(&mut self, shape: &'static Shape, text: &str, path: &Path<'_>) {
        match shape {
            Shape::Timestamp => self.timestamp(text, path),
            Shape::Word(vocabulary) => self.word(vocabulary, text, path),
            Shape::Reference(types) => self.reference(types, text, path),
            Shape::Hex => self.hex(text, path),
            Shape::Binary => self.binary(text, path),
            _ => {}
        }
    }

    fn kind(&mut self, value: &Value<'_>, path: &Path<'_>, expected: &str) {
        self.add(Rule::Kind, path, || format!("{} stands here: it must be {expected}", value.kind()));
    }

    fn null(&mut self, path: &Path<'_>) {
        self.add(Rule::Kind, path, || "null is no value in STIX: leave the property out".to_owned());
    }

    fn empty(&mut self, path: &Path<'_>, what: &str) {
        self.add(Rule::Empty, path, || format!("the {what} is empty: leave the property out, or fill it"));
    }

    fn integer(&mut self, value: &Value<'_>, path: &Path<'_>, min: i64, max: i64) {
        match value.as_i64() {
            Some(number) if (min..=max).contains(&number) => {}
            Some(number) => {
                self.add(Rule::Range, path, || format!("{number} is not within {min} to {max}: correct it"))
            }
            None => self.kind(value, path, "a whole number, without quotes"),
        }
    }

    fn number(&mut self, value: &Value<'_>, path: &Path<'_>, min: f64, max: f64) {
        let Value::Number(number) = value else {
            return self.kind(value, path, "a number, without quotes");
        };
        let number = number.as_f64();
        if !(min..=max).contains(&number) {
            self.add(Rule::Range, path, || format!("{number} is not within {min} to {max}: correct it"));
        }
    }

    fn list(&mut self, of: &'static Shape, value: &Value<'_>, path: &Path<'_>) {
        let Some(values) = value.as_array() else {
            return self.kind(value, path, "a list, in brackets");
        };
        if values.is_empty() {
            self.empty(path, "list");
        }
        for (i, value) in values.iter().enumerate() {
            self.value(of, value, &path.index(i));
        }
    }

    fn dictionary(&mut self, of: &'static Shape, value: &Value<'_>, path: &Path<'_>) {
        let Some(map) = value.as_object() else {
            return self.kind(value, path, "a dictionary, in braces");
        };
        if map.is_empty() {
            self.empty(path, "dictionary");
        }
        for member in map {
            let key = member.key.as_str();
            let path = path.name(&key);
            self.key(&key, &path);
            self.value(of, &member.value, &path);
            if member.value.as_array().is_some_and(<[_]>::is_empty) && matches!(of, Shape::Any) {
                self.empty(&path, "list");
            }
        }
    }

    fn key(&mut self, key: &str, path: &Path<'_>) {
        if !form::is_dictionary_key(key) {
            self.add(Rule::DictionaryKey, path, || {
                format!("\"{}\" is no key: use at most 250 of a-z, A-Z, 0-9, hyphen and underscore", quote(key))
            });
        }
    }

    fn hashes(&mut self, value: &Value<'_>, path: &Path<'_>) {
        self.dictionary(&Shape::String, value, path);
        let Some(map) = value.as_object() else { return };
        for member in map {
            let (algorithm, digest) = (member.key.as_str(), member.value.as_str().unwrap_or_default());
            if algorithm.len() < form::NAME_LENGTH_MIN {
                self.add(Rule::DictionaryKey, &path.name(&algorithm), || {
                    format!("\"{}\" is no name of an algorithm: use 3 characters at least", quote(&algorithm))
                });
            } else if let Some(expected) = form::digest_mismatch(&algorithm, &digest) {
                self.add(Rule::Digest, &path.name(&algorithm), || {
                    format!("this is no {algorithm}, which has {expected}: correct the digest, or its name")
                });
            }
        }
    }

    fn timestamp(&mut self, text: &str, path: &Path<'_>) {
        if TimestampRef::borrow(text).is_err() {
            self.add(Rule::Timestamp, path, || {
                format!("\"{}\" is no timestamp: write it like 2024-05-01T00:00:00.000Z, in UTC", quote(text))
            });
        }
    }

    fn word(&mut self, vocabulary: &Vocabulary, text: &str, path: &Path<'_>) {
        if vocabulary.contains(text) {
            return;
        }
        let name = vocabulary.name;
        let words = || vocabulary.words.join(", ");
        if vocabulary.is_open {
            self.add(Rule::Vocabulary, path, || {
                format!("\"{}\" is allowed, but not of {name}: {}", quote(text), words())
            });
            return;
        }
        self.add(Rule::Enumeration, path, || format!("\"{}\" is not of {name}: use one of {}", quote(text), words()));
    }

    fn reference(&mut self, types: &[&str], text: &str, path: &Path<'_>) {
        if let Some(siblings) = self.siblings.filter(|_| path.is_embedded_ref()) {
            return self.sibling(siblings, types, text, path);
        }
        match StixIdRef::borrow(text) {
            Ok(id) if !form::is_rfc_4122(&id) => self.add(Rule::Identifier, path, || {
                format!("the UUID of \"{}\" is not of RFC 4122, versions 1 to 5", quote(text))
            }),
            Ok(id) if types.is_empty() || types.contains(&id.object_type()) => {}
            Ok(_) => self.add(Rule::IdentifierType, path, || {
                format!("\"{}\" leads to another type than it may: refer to {}", quote(text), types.join(" or "))
            }),
            Err(error) => self.add(Rule::Identifier, path, || {
                format!("\"{}\" is no identifier such as indicator--UUID: {error}", quote(text))
            }),
        }
    }

    /// A reference by the key of another observable in the same dictionary.
    fn sibling(&mut self, siblings: &Map<'_>, types: &[&str], text: &str, path: &Path<'_>) {
        let Some(sibling) = siblings.get(text) else {
            return self
                .add(Rule::Identifier, path, || format!("\"{}\" is no key of the objects around it", quote(text)));
        };
        let found = sibling.get("type").and_then(Value::as_str).unwrap_or_default();
        if !types.is_empty() && !types.contains(&found.as_ref()) {
            self.add(Rule::IdentifierType, path, || {
                format!("\"{}\" leads to a {}: it may lead to {}", quote(text), quote(&found), types.join(" or "))
            });
        }
    }

    fn hex(&mut self, text: &str, path: &Path<'_>) {
        if text.is_empty() || text.len() % 2 == 1 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            self.add(Rule::Hex, path, || {
                format!("\"{}\" is not an even number of hexadecimal digits: correct it", quote(text))
            });
        }
    }

    fn binary(&mut self, text: &str, path: &Path<'_>) {
        if !form::is_base64(text) {
            self.add(Rule::Binary, path, || {
                format!("\"{}\" is not base64: write it with its padding and without line breaks", quote(text))
            });
        }
    }

    fn extensions(&mut self, structure: &'static Structure, value: &Value<'_>, path: &Path<'_>) {
        let Some(map) = value.as_object() else {
            return self.kind(value, path, "a dictionary of extensions, in braces");
        };
        if map.is_empty() {
            self.empty(path, "dictionary");
        }
        for member in map {
            let key = member.key.as_str();
            let path = path.name(&key);
            match (structure.property(&key), member.value.as_object()) {
                (_, None) => self.kind(&member.value, &path, "an object"),
                (_, Some(extension)) if extension.is_empty() => self.empty(&path, "extension"),
                (Some(property), Some(extension)) => {
                    self.value(property.shape, &member.value, &path);
                    if let Shape::Object(structure) = property.shape {
                        self.names(structure, extension, &path);
                    }
                }
                (None, Some(extension)) => self.extension(&key, extension, &path),
            }
        }
    }

    /// An extension that the standard does not predefine for the object's type.
    fn extension(&mut self, key: &str, extension: &Map<'_>, path: &Path<'_>) {
        use crate::model::Extension;
        let is_definition = |id: StixIdRef<'_>| id.object_type() == "extension-definition" && form::is_rfc_4122(&id);
        let is_defined = StixIdRef::borrow(key).is_ok_and(is_definition);
        if is_defined && extension.get("extension_type").is_none() {
            self.add(Rule::Extension, &path.name("extension_type"), || {
                "an extension says its extension_type: add it".to_owned()
            });
        } else if !is_defined && !form::is_predefined_extension_name(key) {
            self.add(Rule::Extension, path, || {
                format!("\"{}\" is neither the id of an extension-definition nor a name that ends in -ext", quote(key))
            });
        }
        self.structure(Extension::STRUCTURE, extension, path);
        self.names(Extension::STRUCTURE, extension, path);
    }
}
