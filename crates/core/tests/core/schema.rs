//! The published JSON Schema names what our own reader takes, term by term.

use mithaq_core::agreement::{Agreement, Group, Onward, Party, Scope};
use serde_json::Value;
use std::collections::BTreeSet;

use crate::cast::{cert, signed, terms};

const SCHEMA: &str = include_str!("../../../../docs/agreement.schema.json");
const PAGE: &str = include_str!("../../../../docs/AGREEMENTS.md");

fn names(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

/// What a schema without references, or the one that it refers to, says.
fn resolved<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    let name = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/"));
    name.map_or(schema, |name| &root["$defs"][name])
}

/// Checks a value's shape: types, words, members and bounds, so far as our schema speaks of them.
fn fits(root: &Value, schema: &Value, value: &Value) -> bool {
    let own = schema;
    let schema = resolved(root, schema);
    let one_of = schema["oneOf"].as_array();
    let has = |bound: &str| schema[bound].as_u64();
    let count = match value {
        Value::Array(values) => values.len() as u64,
        _ => 0,
    };
    one_of.is_none_or(|schemas| schemas.iter().filter(|schema| fits(root, schema, value)).count() == 1)
        && schema["const"].as_str().is_none_or(|word| value == word)
        && schema["enum"].as_array().is_none_or(|words| words.contains(value))
        && match schema["type"].as_str() {
            None => true,
            Some("null") => value.is_null(),
            Some("string") => value.is_string(),
            Some("integer") => {
                value.as_u64().is_some_and(|n| has("minimum").is_none_or(|least| n >= least))
                    && value.as_u64().is_some_and(|n| has("maximum").is_none_or(|most| n <= most))
            }
            Some("array") => {
                has("minItems").is_none_or(|least| count >= least)
                    && has("maxItems").is_none_or(|most| count <= most)
                    && value.as_array().is_some_and(|items| items.iter().all(|item| fits(root, &schema["items"], item)))
            }
            Some("object") => value.as_object().is_some_and(|members| {
                let required = schema["required"].as_array().into_iter().flatten();
                required.into_iter().all(|name| members.contains_key(name.as_str().unwrap_or_default()))
                    && members.iter().all(|(name, member)| {
                        schema["properties"].get(name).is_some_and(|schema| fits(root, schema, member))
                    })
            }),
            Some(other) => panic!("{other}: {own}"),
        }
}

fn samples() -> [Agreement; 2] {
    let two = signed(&cert(1), &cert(2), terms()).agreement().clone();
    let mut terms = terms();
    terms.flow.onward = Onward::Listed([cert(4).card.cert_id()].into());
    terms.flow.sectors = Scope::Only(["energy".to_owned()].into());
    terms.flow.age_days_max = Some(30);
    let members =
        [1, 2, 3].map(|seed| Party { contacts: vec!["tel:+1".into()], ..Party::new(cert(seed).card.cert_id()) });
    let group = Group { name: "three".to_owned(), threshold: 2 };
    [two, Agreement::of_group(members.into(), group, terms).unwrap()]
}

#[test]
fn the_schema_has_the_members_that_are_written_and_no_other() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    for sample in samples() {
        let value = serde_json::to_value(&sample).unwrap();
        assert_eq!(names(&schema["properties"]), names(&value));
        assert_eq!(names(&schema["$defs"]["party"]["properties"]), names(&value["parties"][0]));
        let mut of_flow = names(&value["flows"][0]);
        of_flow.insert("from".to_owned());
        assert_eq!(names(&schema["$defs"]["flow"]["properties"]), of_flow);
    }
}

#[test]
fn samples_fit_and_what_our_reader_refuses_does_not() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let check = |value: &Value, expect: bool| assert_eq!(fits(&schema, &schema, value), expect, "{value}");
    for sample in samples() {
        let value = serde_json::to_value(&sample).unwrap();
        check(&value, true);
        for name in names(&value) {
            let mut changed = value.clone();
            changed.as_object_mut().unwrap().remove(&name);
            check(&changed, false);
            let mut changed = value.clone();
            changed[&name] = serde_json::json!({"unknown": 1});
            check(&changed, false);
        }
        for name in names(&value["flows"][0]) {
            let mut changed = value.clone();
            changed["flows"][0][&name] = serde_json::json!(-1);
            check(&changed, false);
        }
    }
}

#[test]
fn the_page_for_people_names_every_term() {
    let sample = serde_json::to_value(&samples()[0]).unwrap();
    for name in names(&sample).into_iter().chain(names(&sample["flows"][0])) {
        if !matches!(name.as_str(), "schema" | "flows" | "from") {
            assert!(PAGE.contains(&format!("`{name}`")), "{name}");
        }
    }
}
