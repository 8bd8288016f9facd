//! The ids of observables are those of other implementations, over other people's data.

use crate::folder::corpora;
use mithaq_stix::{
    StixId,
    json::{Value, parse},
    sco_id::sco_id,
};
use std::fs;

#[test]
fn ids_are_those_of_other_implementations() {
    let Some(folder) = corpora() else { return };
    let text = fs::read_to_string(folder.join("vectors/sco-uuid5.ndjson")).unwrap();
    let mut cases = 0;
    for line in text.lines() {
        let case = parse(line.as_bytes()).unwrap();
        let object = case.get("object_without_id").unwrap();
        let object_type = object.get("type").and_then(Value::as_str).unwrap();
        let expected = case.get("expected_id").and_then(Value::as_str);
        let id = sco_id(&object_type, object.as_object().unwrap());
        assert_eq!(id.as_ref().map(StixId::as_str), expected.as_deref(), "{line}");
        cases += 1;
    }
    assert!(cases > 50, "{cases} vectors");
}
