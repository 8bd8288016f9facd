//! Sightings: what somebody saw of an indicator, and the same as a count alone.
//!
//! An agreement may let sightings go in full, as counts, or not at all. What is signed is never summed up on its way, so
//! whoever publishes a sighting publishes its count beside it, in a release of kind [`Kind::Tally`](crate::release::Kind):
//! the rule lets one of the two go, never both.

use mithaq_stix::object::Object;
use serde::{Deserialize, Serialize};

use crate::{
    body::Body,
    canonical,
    id::{sha256_of, to_uuid},
    time::Time,
};

/// The STIX type of sightings.
pub const SIGHTING_TYPE: &str = "sighting";

/// The largest number of times that one sighting states (STIX 2.1, section 5.2).
pub const SIGHTING_COUNT_MAX: u32 = 999_999_999;

/// What a count keeps of a sighting.
#[derive(Debug, Deserialize)]
struct Sighting {
    id: String,
    created: String,
    modified: String,
    sighting_of_ref: String,
    #[serde(default)]
    count: Option<u32>,
    #[serde(default)]
    created_by_ref: Option<String>,
    #[serde(default)]
    first_seen: Option<String>,
    #[serde(default)]
    last_seen: Option<String>,
    #[serde(default)]
    object_marking_refs: Option<Vec<String>>,
    #[serde(default)]
    revoked: Option<bool>,
    #[serde(default)]
    spec_version: Option<String>,
}

/// A count as it is written.
#[derive(Debug, Serialize)]
struct Tally<'a> {
    count: u32,
    created: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_by_ref: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_seen: Option<Time>,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_seen: Option<Time>,
    modified: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    object_marking_refs: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<bool>,
    sighting_of_ref: &'a str,
    spec_version: &'a str,
    r#type: &'static str,
}

/// The count that stands beside a sighting: what was seen, how often, between which days, and by which CERT, under an id
/// of its own. Where it was seen, what was observed and every other property stay behind. One sighting has one count,
/// however often this is asked. `None` of what is no sighting.
#[must_use]
pub fn tally(body: &Body) -> Option<Body> {
    if body.facts().object_type() != SIGHTING_TYPE {
        return None;
    }
    let sighting: Sighting = serde_json::from_slice(body.bytes()).ok()?;
    // When a first version was written is mostly when something was seen.
    let is_first = sighting.created == sighting.modified;
    let document = Tally {
        count: sighting.count.unwrap_or(1).min(SIGHTING_COUNT_MAX),
        created: day(&sighting.created)?,
        created_by_ref: sighting.created_by_ref.as_deref(),
        first_seen: sighting.first_seen.as_deref().and_then(day),
        id: derived_id(SIGHTING_TYPE, &[b"tally", sighting.id.as_bytes()]),
        last_seen: sighting.last_seen.as_deref().and_then(day),
        modified: if is_first { day(&sighting.modified)? } else { sighting.modified.parse().ok()? },
        object_marking_refs: sighting.object_marking_refs.as_deref().filter(|refs| !refs.is_empty()),
        revoked: sighting.revoked.filter(|revoked| *revoked),
        sighting_of_ref: &sighting.sighting_of_ref,
        spec_version: sighting.spec_version.as_deref().unwrap_or("2.1"),
        r#type: SIGHTING_TYPE,
    };
    let bytes = canonical::to_vec(&document).ok()?;
    Body::of(&Object::parse(&bytes).ok()?).ok()
}

fn day(text: &str) -> Option<Time> {
    Some(text.parse::<Time>().ok()?.day())
}

/// A STIX id that is derived from what makes an object itself, so that the same said twice is one object.
#[must_use]
pub fn derived_id(object_type: &str, parts: &[&[u8]]) -> String {
    let lengths: Vec<[u8; 8]> = parts.iter().map(|part| (part.len() as u64).to_be_bytes()).collect();
    let framed: Vec<&[u8]> = lengths.iter().zip(parts).flat_map(|(length, part)| [&length[..], part]).collect();
    format!("{object_type}--{}", to_uuid(&sha256_of(&framed)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn body(value: &Value) -> Body {
        Body::of(&Object::parse(value.to_string().as_bytes()).unwrap()).unwrap()
    }

    fn sighting() -> Value {
        json!({
            "type": "sighting", "spec_version": "2.1", "id": "sighting--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
            "created": "2026-11-21T12:00:00.5Z", "modified": "2026-11-21T12:00:00.5Z", "count": 412,
            "first_seen": "2026-11-19T23:59:59.999Z", "last_seen": "2026-11-21T11:00:00Z",
            "created_by_ref": "identity--f431f809-377b-45e0-aa1c-6a4751cae5ff",
            "sighting_of_ref": "indicator--a932fcc6-e032-476c-826f-cb970a5a1ade",
            "where_sighted_refs": ["identity--b67d30ff-02ac-498a-92f9-32f845f448cf"],
            "observed_data_refs": ["observed-data--b67d30ff-02ac-498a-92f9-32f845f448cf"],
            "description": "at the bank's gateway 10.1.2.3", "x_host": "gw7", "summary": true,
        })
    }

    #[test]
    fn a_count_keeps_what_and_how_often_and_nothing_of_where() {
        let count = tally(&body(&sighting())).unwrap();
        let written: Value = serde_json::from_slice(count.bytes()).unwrap();
        let id = written["id"].clone();
        assert_ne!(id, sighting()["id"]);
        assert_eq!(
            written,
            json!({
                "type": "sighting", "spec_version": "2.1", "id": id, "count": 412,
                "created": "2026-11-21T00:00:00.000000Z", "modified": "2026-11-21T00:00:00.000000Z",
                "first_seen": "2026-11-19T00:00:00.000000Z", "last_seen": "2026-11-21T00:00:00.000000Z",
                "created_by_ref": "identity--f431f809-377b-45e0-aa1c-6a4751cae5ff",
                "sighting_of_ref": "indicator--a932fcc6-e032-476c-826f-cb970a5a1ade",
            })
        );
        assert_eq!(tally(&body(&sighting())).unwrap().id(), count.id(), "asked twice it is one object");
    }

    #[test]
    fn versions_of_a_sighting_are_versions_of_one_count() {
        let mut newer = sighting();
        newer["modified"] = "2026-11-22T12:00:00Z".into();
        newer["revoked"] = true.into();
        let counts = [sighting(), newer].map(|sighting| tally(&body(&sighting)).unwrap());
        let [first, second] = counts.each_ref().map(|count| count.facts());
        assert_eq!(first.stix_id, second.stix_id);
        assert!(first.version_nanos < second.version_nanos && second.revoked);
    }

    #[test]
    fn what_is_no_sighting_has_no_count() {
        let identity = json!({
            "type": "identity", "spec_version": "2.1", "id": "identity--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
            "created": "2026-11-21T12:00:00.000Z", "modified": "2026-11-21T12:00:00.5Z", "name": "x",
        });
        assert_eq!(tally(&body(&identity)), None);
        let mut odd = sighting();
        odd["count"] = "many".into();
        assert_eq!(tally(&body(&odd)), None, "what cannot be counted is not told as a count");
    }

    #[test]
    fn parts_of_an_id_cannot_be_shifted_into_each_other() {
        assert_ne!(derived_id("opinion", &[b"ab", b"c"]), derived_id("opinion", &[b"a", b"bc"]));
    }
}
