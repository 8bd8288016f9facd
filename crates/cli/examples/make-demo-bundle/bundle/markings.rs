//! Markings of every kind: TLP 2.0, TLP 1, a statement; and the extension that gives any object sectors.

use serde_json::{Value, json};

use super::make::{PK_NCERT, id, object};

pub(crate) const CLEAR: &str = "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487";
pub(crate) const GREEN: &str = "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb";
pub(crate) const AMBER: &str = "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421";
pub(crate) const AMBER_STRICT: &str = "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003";
pub(crate) const RED: &str = "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1";
pub(crate) const TLP_1_WHITE: &str = "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9";
pub(crate) const TLP_1_GREEN: &str = "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da";
pub(crate) const TLP_1_AMBER: &str = "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82";

/// The marking that no agreement of the demo names, so that what carries it stays at home.
pub(crate) fn statement() -> String {
    id("marking-definition", "statement")
}

/// The extension by which any object may name sectors.
pub(crate) fn sectors_extension() -> String {
    id("extension-definition", "sectors")
}

pub(crate) fn all() -> Vec<Value> {
    vec![
        tlp_2(CLEAR, "clear"),
        tlp_2(GREEN, "green"),
        tlp_2(AMBER, "amber"),
        tlp_2(AMBER_STRICT, "amber+strict"),
        tlp_2(RED, "red"),
        tlp_1(TLP_1_WHITE, "white"),
        tlp_1(TLP_1_GREEN, "green"),
        tlp_1(TLP_1_AMBER, "amber"),
        json!({
            "type": "marking-definition",
            "spec_version": "2.1",
            "id": statement(),
            "created": "2025-01-06T04:30:00.000Z",
            "created_by_ref": PK_NCERT,
            "name": "صرف تفتیش کے لیے",
            "definition_type": "statement",
            "definition": {"statement": "Held for an inquiry of the Federal prosecutor; not to be passed on without written consent."},
            "object_marking_refs": [CLEAR],
        }),
        object(
            "extension-definition",
            "sectors",
            "01-06",
            json!({
                "name": "Sectors",
                "description": "The sectors of critical infrastructure that an object concerns, for objects that have no such property of their own.",
                "schema": "A top-level property `sectors`: a list of strings from the STIX industry-sector-ov vocabulary, or such as `banking`.",
                "version": "1.0.0",
                "extension_types": ["toplevel-property-extension"],
                "extension_properties": ["sectors"],
                "object_marking_refs": [CLEAR],
            }),
        ),
    ]
}

/// A level of TLP 2.0, as OASIS defines it to the letter.
fn tlp_2(id: &str, level: &str) -> Value {
    json!({
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": id,
        "created": "2022-10-01T00:00:00.000Z",
        "name": format!("TLP:{}", level.to_uppercase()),
        "extensions": {
            "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d": {
                "extension_type": "property-extension",
                "tlp_2_0": level,
            },
        },
    })
}

/// A level of TLP 1, as STIX 2.1 §7.2.1.4 defines it to the letter.
fn tlp_1(id: &str, level: &str) -> Value {
    json!({
        "type": "marking-definition",
        "spec_version": "2.1",
        "id": id,
        "created": "2017-01-20T00:00:00.000Z",
        "definition_type": "tlp",
        "name": format!("TLP:{}", level.to_uppercase()),
        "definition": {"tlp": level},
    })
}
