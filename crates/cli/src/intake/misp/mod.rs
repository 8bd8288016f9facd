//! MISP events: attributes and objects, tags and galaxies, what was deleted, what is for detection.
//!
//! The reader is lenient, since other versions and other programs write the format too: what it does not find, it does
//! without, and what nothing carries it reports.

mod attribute;
mod kind;

use mithaq_core::stix::marking::Tlp;
use serde_json::{Map, Value};

pub(crate) use kind::kind_named;

use self::attribute::{Context, attributes, objects};
use super::{Draft, Intake, Says, What, date, draft::some, quoted};

/// Fields of an event that only its own instance can make use of.
const PASSED_OVER: [&str; 22] = [
    "id",
    "uuid",
    "info",
    "date",
    "timestamp",
    "Attribute",
    "Object",
    "Tag",
    "Galaxy",
    "orgc_id",
    "org_id",
    "Orgc",
    "Org",
    "attribute_count",
    "published",
    "publish_timestamp",
    "event_creator_email",
    "extends_uuid",
    "ShadowAttribute",
    "locked",
    "proposal_email_lock",
    "disable_correlation",
];

/// The level that a text names, in any of MISP's spellings.
pub(crate) fn level(text: &str) -> Option<Tlp> {
    let lower = text.trim().to_ascii_lowercase();
    lower.parse().ok().or_else(|| lower.strip_prefix("tlp").map(str::trim_start)?.parse().ok())
}

/// Takes one event, an array of events, or what MISP's API answers.
///
/// # Errors
/// When the text is no JSON.
pub(crate) fn misp(bytes: &[u8], into: &mut Intake) -> Result<(), serde_json::Error> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let value: Value = serde_json::from_slice(bytes)?;
    events(&value, into);
    Ok(())
}

/// The file of an event in a feed's folder, if its manifest names it as it should.
pub(crate) fn event_file(uuid: &str) -> Option<String> {
    let is_uuid = uuid.len() == 36 && uuid.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    is_uuid.then(|| format!("{uuid}.json"))
}

fn events(value: &Value, into: &mut Intake) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| events(value, into)),
        Value::Object(map) => match (map.get("Event"), map.get("response")) {
            (Some(Value::Object(own)), _) => event(own, into),
            (_, Some(response)) => events(response, into),
            _ if map.contains_key("Attribute") || map.contains_key("info") => event(map, into),
            _ => into.losses.refuse(
                "the input",
                &quoted(&value.to_string()),
                "is no MISP event: it has neither Event nor Attribute",
            ),
        },
        other => into.losses.refuse("the input", &quoted(&other.to_string()), "is no MISP event"),
    }
}

fn event(event: &Map<String, Value>, into: &mut Intake) {
    let uuid = text(event, "uuid").unwrap_or_default();
    let info = text(event, "info").unwrap_or_default();
    let place = format!("event {}", if uuid.is_empty() { quoted(info) } else { uuid.to_owned() });
    let mut says = Says { changed_at: text(event, "timestamp").and_then(date::read), ..Says::default() };
    tags(event, &place, &mut says, into);
    confine(event, &place, &mut says, into);
    let context = Context { place: &place, says: &says };
    let mut members = attributes(event, &context, into);
    members.extend(objects(event, &context, into));
    for (name, value) in event.iter().filter(|(name, _)| !PASSED_OVER.contains(&name.as_str())) {
        lost(name, value, into);
    }
    if let (Some(name), false) = (some(info), members.is_empty()) {
        let says = Says { name: Some(name), valid_from: text(event, "date").and_then(date::read), ..says };
        let key = if uuid.is_empty() { format!("misp\n{info}") } else { format!("misp\n{uuid}") };
        let what = What::Report(members);
        into.take(Draft { place, found: quoted(info), what, key, says, notes: Vec::new() });
    }
}

/// Text, or a number as text: MISP writes both.
fn text<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    map.get(name)?.as_str().map(str::trim).filter(|text| !text.is_empty())
}

fn number(map: &Map<String, Value>, name: &str) -> Option<i64> {
    let value = map.get(name)?;
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// A yes or no, which MISP writes in four ways.
fn flag(map: &Map<String, Value>, name: &str) -> Option<bool> {
    match map.get(name)? {
        Value::Bool(flag) => Some(*flag),
        Value::Number(number) => Some(number.as_i64() != Some(0)),
        Value::String(text) => Some(matches!(text.as_str(), "1" | "true" | "True")),
        _ => None,
    }
}

fn array<'a>(map: &'a Map<String, Value>, name: &str) -> impl Iterator<Item = &'a Map<String, Value>> {
    map.get(name).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object)
}

/// Tags become labels and galaxies too; a TLP tag is a level, and one that is not known is the strictest.
fn tags(map: &Map<String, Value>, place: &str, says: &mut Says, into: &mut Intake) {
    for tag in array(map, "Tag") {
        let Some(name) = text(tag, "name") else { continue };
        let lower = name.to_ascii_lowercase();
        if lower.starts_with("tlp:") {
            if level(name).is_none() {
                into.losses.field("TLP levels that are not known, taken for red", &format!("{place}: {name}"));
            }
            says.at_least(Some(level(name).unwrap_or(Tlp::Red)));
        } else if !lower.starts_with("misp-galaxy:") {
            says.label(name);
        } else {
            says.label(name.split('"').nth(1).unwrap_or(name));
        }
    }
    for galaxy in array(map, "Galaxy") {
        for cluster in array(galaxy, "GalaxyCluster") {
            if let Some(name) = text(cluster, "value") {
                says.label(name);
            }
        }
    }
}

/// What MISP keeps to an organisation or a sharing group, and nobody marked, goes to nobody who is not named.
fn confine(map: &Map<String, Value>, place: &str, says: &mut Says, into: &mut Intake) {
    let Some(distribution) = number(map, "distribution") else { return };
    if matches!(distribution, 0 | 4) && says.tlp.is_none() {
        says.tlp = Some(Tlp::Red);
        let content = format!("{place}: distribution {distribution} and no TLP tag");
        into.losses.field("what MISP keeps to an organisation or sharing group, taken for red", &content);
    }
}

fn lost(name: &str, value: &Value, into: &mut Intake) {
    let is_empty = match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    if !is_empty {
        let content = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        into.losses.field(name, &content);
    }
}

#[cfg(test)]
mod tests;
