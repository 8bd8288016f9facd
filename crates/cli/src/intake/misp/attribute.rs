//! Attributes, alone and in objects.

use mithaq_core::stix::{Observable, ObservableKind as Kind};
use serde_json::{Map, Value};

use super::{
    array, confine, date, flag,
    kind::{Type, type_named},
    lost, tags, text,
};
use crate::intake::{
    Draft, Intake, Says, What,
    draft::some,
    quoted,
    text::draft,
    value::{self, Found},
};

/// Fields of an attribute that are taken, or that only its own instance can make use of.
const PASSED_OVER: [&str; 21] = [
    "id",
    "event_id",
    "object_id",
    "uuid",
    "type",
    "value",
    "value1",
    "value2",
    "to_ids",
    "comment",
    "timestamp",
    "first_seen",
    "deleted",
    "Tag",
    "Galaxy",
    "disable_correlation",
    "object_relation",
    "distribution",
    "category",
    "ShadowAttribute",
    "sharing_group_id",
];
/// The same of an object.
const OF_OBJECTS: [&str; 15] = [
    "id",
    "event_id",
    "uuid",
    "name",
    "meta-category",
    "description",
    "template_uuid",
    "template_version",
    "timestamp",
    "deleted",
    "Attribute",
    "comment",
    "distribution",
    "sharing_group_id",
    "first_seen",
];

/// What holds for all that an event has.
pub(super) struct Context<'a> {
    pub(super) place: &'a str,
    pub(super) says: &'a Says,
}

/// Takes the attributes of an event or object; the numbers of their drafts.
pub(super) fn attributes(map: &Map<String, Value>, context: &Context<'_>, into: &mut Intake) -> Vec<usize> {
    let mut members = Vec::new();
    for attribute in array(map, "Attribute") {
        members.extend(self::attribute(attribute, context, into));
    }
    members
}

/// Takes the objects of an event; the hashes of one file become one indicator.
pub(super) fn objects(event: &Map<String, Value>, context: &Context<'_>, into: &mut Intake) -> Vec<usize> {
    let mut members = Vec::new();
    for object in array(event, "Object") {
        let name = text(object, "name").unwrap_or("object");
        for (field, value) in object.iter().filter(|(field, _)| !OF_OBJECTS.contains(&field.as_str())) {
            lost(&format!("{name}: {field}"), value, into);
        }
        let mut says = context.says.clone();
        says.revoked |= flag(object, "deleted") == Some(true);
        says.description = text(object, "comment").and_then(some);
        let place = format!("{}, {name} {}", context.place, text(object, "uuid").unwrap_or_default());
        let context = Context { place: place.trim_end(), says: &says };
        match file(object, &context, into) {
            Some(number) => members.push(number),
            None => members.extend(attributes(object, &context, into)),
        }
    }
    members
}

/// What a file's object says, if it has hashes that are for detection.
fn file(object: &Map<String, Value>, context: &Context<'_>, into: &mut Intake) -> Option<usize> {
    if text(object, "name") != Some("file") {
        return None;
    }
    let mut observables: Vec<Observable> = Vec::new();
    let mut says = context.says.clone();
    for attribute in array(object, "Attribute").filter(|attribute| flag(attribute, "deleted") != Some(true)) {
        let (kind, content) = (text(attribute, "type")?, text(attribute, "value")?);
        let of_hash = match type_named(kind) {
            Type::One(kind) if is_file_hash(kind) => Observable::new(kind, content),
            _ => None,
        };
        match of_hash {
            Some(observable) if flag(attribute, "to_ids") != Some(false) => observables.push(observable),
            _ if kind == "filename" => says.name = says.name.or_else(|| some(content)),
            _ => into.losses.field(&format!("file: {kind}"), content),
        }
        tags(attribute, context.place, &mut says, into);
        confine(attribute, context.place, &mut says, into);
        says.changed_at = says.changed_at.max(text(attribute, "timestamp").and_then(date::read));
    }
    observables.sort();
    observables.dedup();
    let first = observables.first()?.clone();
    let tests: Vec<String> =
        observables.iter().map(|observable| value::comparison(observable.kind, &observable.value)).collect();
    says.name = says.name.or_else(|| Some(first.value.clone()));
    let uuid = text(object, "uuid").map_or_else(|| first.value.clone(), str::to_owned);
    let pattern = format!("[{}]", tests.join(" OR "));
    let what = What::Indicator { pattern, observables };
    let key = format!("misp-file\n{uuid}");
    into.take(Draft { place: context.place.to_owned(), found: first.value, what, key, says, notes: Vec::new() })
}

fn is_file_hash(kind: Kind) -> bool {
    kind.as_str().starts_with("file-") && kind != Kind::FileName
}

fn attribute(attribute: &Map<String, Value>, context: &Context<'_>, into: &mut Intake) -> Option<usize> {
    let kind = text(attribute, "type").unwrap_or_default();
    let content = text(attribute, "value").or_else(|| text(attribute, "value1")).unwrap_or_default();
    let uuid = text(attribute, "uuid");
    let place = match uuid {
        Some(uuid) => format!("attribute {uuid}"),
        None => context.place.to_owned(),
    };
    let says = says(attribute, &place, context, into);
    for (field, value) in attribute.iter().filter(|(field, _)| !PASSED_OVER.contains(&field.as_str())) {
        lost(field, value, into);
    }
    let is_for_detection = flag(attribute, "to_ids") != Some(false);
    let mut made = match read(kind, content, is_for_detection, says, &place) {
        Ok(Some(made)) => made,
        Ok(None) => {
            into.losses.field(&format!("attributes of type {kind}"), content);
            return None;
        }
        Err(reason) => {
            into.losses.refuse(&place, content, reason);
            return None;
        }
    };
    if let (Some(uuid), What::Indicator { .. }) = (uuid, &made.what) {
        made.key = format!("misp-attribute\n{uuid}");
    }
    if made.says.revoked && matches!(made.what, What::Observable(_)) {
        into.losses.skip(&place, content, "was deleted where it comes from");
        return None;
    }
    into.take(made)
}

fn says(attribute: &Map<String, Value>, place: &str, context: &Context<'_>, into: &mut Intake) -> Says {
    let mut says = context.says.clone();
    says.description = text(attribute, "comment").and_then(some).or(says.description);
    says.valid_from = text(attribute, "first_seen").and_then(date::read);
    says.changed_at = text(attribute, "timestamp").and_then(date::read).or(says.changed_at);
    says.revoked |= flag(attribute, "deleted") == Some(true);
    tags(attribute, place, &mut says, into);
    confine(attribute, place, &mut says, into);
    says
}

/// What an attribute says; nothing, if STIX has no place for its type.
fn read(kind: &str, content: &str, is_for_detection: bool, says: Says, place: &str) -> Result<Option<Draft>, String> {
    let one = |kind: Kind, text: &str| value::value(text, Some(kind)).map_err(|error| error.to_string());
    match type_named(kind) {
        Type::Unknown => Ok(None),
        Type::One(kind) => Ok(Some(draft(place, content, one(kind, content)?, is_for_detection, says))),
        Type::Two(first, second) => {
            let Some((left, right)) = content.split_once('|') else {
                return Err(format!("has one value where its type {kind} has two"));
            };
            let (left, right) = (one(first, left)?, one(second, right)?);
            Ok(Some(pair(&left, &right, content, says, place)))
        }
        Type::WithPort(direction) => {
            let Some((address, port)) = content.split_once('|').or_else(|| content.rsplit_once(':')) else {
                return Err(format!("has no port, which its type {kind} has"));
            };
            let found = one(Kind::Domain, address).or_else(|_| one(Kind::Ipv4, address))?;
            let port: u16 = port.trim().parse().map_err(|_| format!("{port:?} is no port"))?;
            Ok(Some(with_port(&found, direction, port, content, says, place)))
        }
    }
}

fn pair(left: &Found, right: &Found, content: &str, says: Says, place: &str) -> Draft {
    let second = match (left.observable.kind, right.observable.kind) {
        (Kind::Domain, Kind::Ipv4 | Kind::Ipv6) => {
            format!("domain-name:resolves_to_refs[*].value = {}", value::literal(&right.observable.value))
        }
        (_, kind) => value::comparison(kind, &right.spelled),
    };
    let pattern = format!("[{} AND {second}]", value::comparison(left.observable.kind, &left.spelled));
    of_pattern(pattern, vec![left.observable.clone(), right.observable.clone()], content, says, place)
}

fn with_port(found: &Found, direction: &str, port: u16, content: &str, says: Says, place: &str) -> Draft {
    let address = value::literal(&found.observable.value);
    let pattern =
        format!("[network-traffic:{direction}_ref.value = {address} AND network-traffic:{direction}_port = {port}]");
    of_pattern(pattern, vec![found.observable.clone()], content, says, place)
}

fn of_pattern(pattern: String, observables: Vec<Observable>, content: &str, mut says: Says, place: &str) -> Draft {
    says.name = says.name.or_else(|| some(content));
    let key = format!("indicator\n{pattern}");
    let what = What::Indicator { pattern, observables };
    Draft { place: place.to_owned(), found: quoted(content), what, key, says, notes: Vec::new() }
}
