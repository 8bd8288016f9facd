//! Data markings: the Traffic Light Protocol, and what a marking-definition object says (STIX 2.1 §7.2).

mod iep;
mod pap;

use crate::{json::Value, object::Object};
pub use iep::{Attribution, IepPolicy, PermittedActions};
pub use pap::{PAP_EXTENSION, Pap, PapError};
use std::{borrow::Cow, fmt, str::FromStr};
use thiserror::Error;

/// The extension by which TLP 2.0 is expressed in STIX 2.1.
pub const TLP_2_EXTENSION: &str = "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d";

/// The extension by which IEP 2.0 policies are expressed in STIX 2.1.
pub const IEP_EXTENSION: &str = "extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a";

/// A level of the Traffic Light Protocol 2.0 (FIRST), from the least to the most strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tlp {
    /// No limit on disclosure; WHITE in TLP 1.
    Clear,
    /// The community, through no public channel.
    Green,
    /// The recipient's organisation and its clients.
    Amber,
    /// The recipient's organisation only.
    AmberStrict,
    /// Named recipients only.
    Red,
}

/// Each level with the ids of the marking definitions that mean it: TLP 2.0 first, then TLP 1 (STIX 2.1 §7.2.1.4),
/// then the id that OpenCTI gave AMBER+STRICT before OASIS gave it one.
const MARKINGS: [(&str, Tlp); 10] = [
    ("marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487", Tlp::Clear),
    ("marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb", Tlp::Green),
    ("marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421", Tlp::Amber),
    ("marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003", Tlp::AmberStrict),
    ("marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1", Tlp::Red),
    ("marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", Tlp::Clear),
    ("marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", Tlp::Green),
    ("marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", Tlp::Amber),
    ("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", Tlp::Red),
    ("marking-definition--826578e1-40ad-459f-bc73-ede076f81f37", Tlp::AmberStrict),
];

/// The marking definitions of TLP 1, which the standard fixes: id, name and colour (STIX 2.1 §7.2.1.4).
pub(crate) const TLP_1: [(&str, &str, &str); 4] = [
    ("marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9", "TLP:WHITE", "white"),
    ("marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da", "TLP:GREEN", "green"),
    ("marking-definition--f88d31f6-486f-44da-b317-01333bde0b82", "TLP:AMBER", "amber"),
    ("marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed", "TLP:RED", "red"),
];

impl Tlp {
    /// All levels, from the least to the most strict.
    pub const ALL: [Tlp; 5] = [Tlp::Clear, Tlp::Green, Tlp::Amber, Tlp::AmberStrict, Tlp::Red];

    /// The level that the marking definition with this id means.
    ///
    /// Only the id counts. Names differ between producers, and no marking definition but these may claim to be TLP.
    #[must_use]
    pub fn from_marking_id(id: &str) -> Option<Tlp> {
        MARKINGS.iter().find(|(known, _)| *known == id).map(|(_, level)| *level)
    }

    /// The id of the level's TLP 2.0 marking definition.
    #[must_use]
    pub fn marking_id(self) -> &'static str {
        // INVARIANT: the table's first five rows are the levels in order.
        MARKINGS[self as usize].0
    }

    /// The level's name: `clear`, `green`, `amber`, `amber+strict` or `red`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Tlp::Clear => "clear",
            Tlp::Green => "green",
            Tlp::Amber => "amber",
            Tlp::AmberStrict => "amber+strict",
            Tlp::Red => "red",
        }
    }
}

impl fmt::Display for Tlp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no TLP level.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("not a TLP level: write clear, green, amber, amber+strict or red")]
pub struct TlpError(());

impl FromStr for Tlp {
    type Err = TlpError;

    /// Reads a level's name in any case, with `TLP:` before it or without; TLP 1's WHITE is CLEAR.
    fn from_str(text: &str) -> Result<Tlp, TlpError> {
        let lower = text.trim().to_ascii_lowercase();
        let name = lower.strip_prefix("tlp:").unwrap_or(&lower);
        if name == "white" {
            return Ok(Tlp::Clear);
        }
        Tlp::ALL.into_iter().find(|level| level.as_str() == name).ok_or(TlpError(()))
    }
}

/// What a marking-definition object says of what it marks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Definition<'a> {
    /// One of TLP's own definitions.
    Tlp(Tlp),
    /// It claims to be TLP, but its id is none of TLP's: it means nothing, and must not be taken for a level.
    FalseTlp,
    /// A statement, such as a copyright notice.
    Statement(Cow<'a, str>),
    /// A FIRST Information Exchange Policy.
    Iep(IepPolicy),
    /// A level of the Permissible Actions Protocol.
    Pap(Pap),
    /// A definition that this crate does not know, or that says two things at once.
    Unknown,
}

/// Reads a marking-definition object; `None` for an object of another type.
#[must_use]
pub fn definition<'a>(object: &Object<'a>) -> Option<Definition<'a>> {
    if object.object_type() != "marking-definition" {
        return None;
    }
    if let Some(level) = Tlp::from_marking_id(object.id().as_str()) {
        return Some(Definition::Tlp(level));
    }
    let value = object.value();
    if claims_tlp(value) {
        return Some(Definition::FalseTlp);
    }
    let readings = [iep_policy(value), pap_level(value), statement(value)];
    let mut readings = readings.into_iter().flatten();
    // Whoever reads one half of a definition that says two things, or has an extension nobody knows, is wrong.
    Some(match (readings.next(), readings.next()) {
        (Some(reading), None) if extensions(value).all(is_known_extension) => reading,
        _ => Definition::Unknown,
    })
}

fn definition_type(value: &Value<'_>) -> String {
    value.get("definition_type").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase()
}

fn extensions<'v>(value: &'v Value<'_>) -> impl Iterator<Item = String> + 'v {
    let extensions = value.get("extensions").and_then(Value::as_object);
    extensions.into_iter().flatten().map(|member| member.key.as_str().into_owned())
}

fn is_known_extension(id: impl AsRef<str>) -> bool {
    matches!(id.as_ref(), IEP_EXTENSION | PAP_EXTENSION)
}

/// A member of `definition`, whatever the case of its name: producers differ.
fn member<'a>(value: &Value<'a>, name: &str) -> Option<Cow<'a, str>> {
    let definition = value.get("definition")?.as_object()?;
    let member = definition.iter().find(|member| member.key.as_str().eq_ignore_ascii_case(name))?;
    member.value.as_str()
}

/// Whether a definition wants to be taken for TLP, be it only in the words of a statement.
fn claims_tlp(value: &Value<'_>) -> bool {
    let says_tlp = |text: &str| text.trim_start().get(..3).is_some_and(|start| start.eq_ignore_ascii_case("tlp"));
    definition_type(value).starts_with("tlp")
        || member(value, "tlp").is_some()
        || extensions(value).any(|id| id == TLP_2_EXTENSION)
        || member(value, "statement").is_some_and(|text| says_tlp(&text))
}

fn iep_policy<'a>(value: &Value<'a>) -> Option<Definition<'a>> {
    let extension = value.get("extensions")?.get(IEP_EXTENSION)?;
    Some(IepPolicy::read(extension).map_or(Definition::Unknown, Definition::Iep))
}

/// A PAP level as OpenCTI and MISP write it, by type, by extension or as a statement of nothing else.
fn pap_level<'a>(value: &Value<'a>) -> Option<Definition<'a>> {
    let extension = value.get("extensions").and_then(|extensions| extensions.get(PAP_EXTENSION));
    let by_statement = member(value, "statement").filter(|text| pap::is_prefixed(text));
    let text = match extension {
        Some(extension) => extension.get("pap").and_then(Value::as_str),
        None if definition_type(value) == "pap" => member(value, "pap"),
        None => Some(by_statement?),
    };
    Some(text.and_then(|text| text.parse().ok()).map_or(Definition::Unknown, Definition::Pap))
}

fn statement<'a>(value: &Value<'a>) -> Option<Definition<'a>> {
    let text = member(value, "statement").filter(|text| !pap::is_prefixed(text))?;
    Some(if definition_type(value) == "statement" { Definition::Statement(text) } else { Definition::Unknown })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Written out again, apart from the table: a wrong id here releases what must not be released.
    #[test]
    fn every_id_is_pinned() {
        let check = |uuid: &str, level| {
            assert_eq!(Tlp::from_marking_id(&format!("marking-definition--{uuid}")), Some(level), "{uuid}");
        };
        check("94868c89-83c2-464b-929b-a1a8aa3c8487", Tlp::Clear);
        check("613f2e26-407d-48c7-9eca-b8e91df99dc9", Tlp::Clear);
        check("bab4a63c-aed9-4cf5-a766-dfca5abac2bb", Tlp::Green);
        check("34098fce-860f-48ae-8e50-ebd3cc5e41da", Tlp::Green);
        check("55d920b0-5e8b-4f79-9ee9-91f868d9b421", Tlp::Amber);
        check("f88d31f6-486f-44da-b317-01333bde0b82", Tlp::Amber);
        check("939a9414-2ddd-4d32-a0cd-375ea402b003", Tlp::AmberStrict);
        check("826578e1-40ad-459f-bc73-ede076f81f37", Tlp::AmberStrict);
        check("e828b379-4e03-4974-9ac4-e53a884c97c1", Tlp::Red);
        check("5e57c739-391a-4eb3-b6be-7d15ca92d5ed", Tlp::Red);
        assert_eq!(Tlp::from_marking_id("marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168"), None);
        assert_eq!(Tlp::from_marking_id("identity--94868c89-83c2-464b-929b-a1a8aa3c8487"), None);
    }

    #[test]
    fn levels_have_an_order_a_name_and_an_id() {
        assert!(Tlp::ALL.is_sorted());
        for level in Tlp::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
            assert_eq!(Tlp::from_marking_id(level.marking_id()), Some(level));
        }
        assert_eq!("TLP:White".parse(), Ok(Tlp::Clear));
        assert_eq!("tlp:AMBER+STRICT".parse(), Ok(Tlp::AmberStrict));
        assert!("chartreuse".parse::<Tlp>().is_err());
        assert!("".parse::<Tlp>().is_err());
    }

    #[track_caller]
    fn check(members: &str, expect: Definition<'_>) {
        let text = format!(
            r#"{{"type":"marking-definition","spec_version":"2.1","created":"2020-01-01T00:00:00Z",{members}}}"#
        );
        assert_eq!(definition(&Object::parse(text.as_bytes()).unwrap()), Some(expect), "{members}");
    }

    #[test]
    fn only_the_id_makes_a_tlp_level() {
        const OTHER: &str = r#""id":"marking-definition--00000000-0000-4000-8000-000000000001""#;
        let opencti = r#""id":"marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9","definition_type":"TLP",
            "name":"TLP:CLEAR","definition":{"TLP":"TLP:CLEAR"}"#;
        check(opencti, Definition::Tlp(Tlp::Clear));
        check(&format!(r#"{OTHER},"definition_type":"tlp","definition":{{"tlp":"clear"}}"#), Definition::FalseTlp);
        check(&format!(r#"{OTHER},"definition_type":"tlp","definition":{{"tlp":"mauve"}}"#), Definition::FalseTlp);
        check(&format!(r#"{OTHER},"extensions":{{"{TLP_2_EXTENSION}":{{"tlp_2_0":"clear"}}}}"#), Definition::FalseTlp);
        let statement = format!(r#"{OTHER},"definition_type":"statement","definition":{{"statement":"©"}}"#);
        check(&statement, Definition::Statement("©".into()));
        check(&format!(r#"{OTHER},"extensions":{{"{IEP_EXTENSION}":{{}}}}"#), Definition::Unknown);
        check(OTHER, Definition::Unknown);
    }

    #[test]
    fn a_permissible_actions_level_is_read_in_every_spelling() {
        const OTHER: &str = r#""id":"marking-definition--00000000-0000-4000-8000-000000000001""#;
        let typed = |kind: &str, name: &str, level: &str| {
            format!(r#"{OTHER},"definition_type":"{kind}","definition":{{"{name}":"{level}"}}"#)
        };
        check(&typed("PAP", "PAP", "PAP:RED"), Definition::Pap(Pap::Red));
        check(&typed("pap", "pap", "amber"), Definition::Pap(Pap::Amber));
        check(&typed("statement", "statement", "PAP:WHITE"), Definition::Pap(Pap::Clear));
        check(&typed("pap", "pap", "purple"), Definition::Unknown);
        check(&typed("pap", "level", "red"), Definition::Unknown);
        check(&typed("statement", "statement", "PAP:RED and more"), Definition::Unknown);
        let extension = format!(r#"{OTHER},"extensions":{{"{PAP_EXTENSION}":{{"pap":"green"}}}}"#);
        check(&extension, Definition::Pap(Pap::Green));
    }

    #[test]
    fn what_says_two_things_or_poses_as_tlp_means_nothing() {
        const OTHER: &str = r#""id":"marking-definition--00000000-0000-4000-8000-000000000001""#;
        let posing = format!(r#"{OTHER},"definition_type":"statement","definition":{{"statement":"TLP:RED"}}"#);
        check(&posing, Definition::FalseTlp);
        let two = format!(
            r#"{OTHER},"definition_type":"pap","definition":{{"pap":"red"}},"extensions":{{"{IEP_EXTENSION}":
            {{"iep_version":2.0,"tlp":"green"}}}}"#
        );
        check(&two, Definition::Unknown);
        let odd = format!(
            r#"{OTHER},"definition_type":"statement","definition":{{"statement":"x"}},"extensions":
            {{"extension-definition--00000000-0000-4000-8000-000000000009":{{"secret":true}}}}"#
        );
        check(&odd, Definition::Unknown);
    }

    #[test]
    fn a_policy_is_read_or_means_nothing() {
        const OTHER: &str = r#""id":"marking-definition--00000000-0000-4000-8000-000000000001""#;
        let iep = |members: &str| format!(r#"{OTHER},"extensions":{{"{IEP_EXTENSION}":{{{members}}}}}"#);
        let strict = IepPolicy {
            tlp: Tlp::Amber,
            start_micros: None,
            end_micros: None,
            permitted_actions: PermittedActions::None,
            attribution: Attribution::MustNot,
            unmodified_resale: false,
        };
        check(&iep(r#""iep_version":2.0,"tlp":"amber""#), Definition::Iep(strict.clone()));
        let open = r#""iep_version":2,"tlp":"white","start_date":"1970-01-01T00:00:01Z","end_date":"1970-01-01T00:00:02Z",
            "permitted_actions":"externally-visible-direct-actions","provider_attribution":"may","unmodified_resale":"may""#;
        let expect = IepPolicy {
            tlp: Tlp::Clear,
            start_micros: Some(1_000_000),
            end_micros: Some(2_000_000),
            permitted_actions: PermittedActions::ExternallyVisibleDirectActions,
            attribution: Attribution::May,
            unmodified_resale: true,
        };
        check(&iep(open), Definition::Iep(expect));
        for unreadable in [
            r#""tlp":"amber""#,
            r#""iep_version":1.0,"tlp":"amber""#,
            r#""iep_version":2.0"#,
            r#""iep_version":2.0,"tlp":"purple""#,
            r#""iep_version":2.0,"tlp":"amber","id_ref":"https://example.org/policy""#,
            r#""iep_version":2.0,"tlp":"amber","end_date":"soon""#,
            r#""iep_version":2.0,"tlp":"amber","unmodified_resale":"perhaps""#,
            r#""iep_version":2.0,"tlp":"amber","permitted_actions":7"#,
        ] {
            check(&iep(unreadable), Definition::Unknown);
        }
    }
}
