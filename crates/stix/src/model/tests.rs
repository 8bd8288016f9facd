use super::*;
use crate::json::{canonical, parse};

/// Reads an object into its model and writes it again.
fn written(text: &str) -> Result<String, String> {
    let value = parse(text.as_bytes()).map_err(|error| error.to_string())?;
    let model = Model::from_value(&value).map_err(|error| error.to_string())?;
    let bytes = model.canonical().map_err(|error| error.to_string())?;
    assert_eq!(bytes, canonical(&value), "the model is the object");
    String::from_utf8(bytes).map_err(|error| error.to_string())
}

const IDENTITY: &str = r#""type":"identity","spec_version":"2.1","id":"identity--8E2E2D2B-17D4-4CBF-938F-98EE46B3CD3F","created":"2024-01-01T00:00:00.000Z","modified":"2024-12-01T00:00:00.120000Z","name":"Pak NCERT""#;

#[test]
fn text_stays_as_it_was_written() {
    let text = written(&format!(r#"{{{IDENTITY},"confidence":5e1,"x_list":[1.50,{{"a":null}}]}}"#)).unwrap();
    for kept in ["8E2E2D2B", "00.120000Z", r#""confidence":50"#, r#""x_list":[1.5,{"a":null}]"#] {
        assert!(text.contains(kept), "{kept} in {text}");
    }
}

#[test]
fn fields_have_types() {
    let text = format!(r#"{{{IDENTITY},"sectors":["energy","own"],"confidence":70}}"#);
    let Ok(Model::Identity(identity)) = Model::from_value(&parse(text.as_bytes()).unwrap()) else {
        panic!("an identity");
    };
    assert_eq!(identity.id.id().as_str(), "identity--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f");
    assert_eq!(identity.confidence.map(fields::Integer::value), Some(70));
    let sectors = identity.sectors.unwrap();
    assert_eq!(sectors.iter().map(fields::Word::is_known).collect::<Vec<_>>(), [true, false]);
    assert!(identity.created < identity.modified);
}

#[test]
fn what_has_not_its_form_has_no_model() {
    for (bad, why) in [
        (r#""name":7"#, "name"),
        (r#""confidence":101"#, "101"),
        (r#""created":"yesterday""#, "yesterday"),
        (r#""object_marking_refs":["identity--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f"]"#, "marking-definition"),
        (r#""lang":null"#, "unit"),
    ] {
        let name = bad.split('"').nth(1).unwrap();
        let members: Vec<_> =
            IDENTITY.split(',').filter(|member| !member.starts_with(&format!("\"{name}\""))).collect();
        let error = written(&format!("{{{},{bad}}}", members.join(","))).unwrap_err();
        assert!(error.contains(why) || error.contains("string"), "{bad}: {error}");
    }
}

#[test]
fn other_types_keep_all_they_say() {
    written(r#"{"type":"x-own","id":"x-own--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","a":{"b":[true,-0.5,1e-7]}}"#)
        .unwrap();
    let versioned = IDENTITY.replace("identity", "x-own");
    written(&format!(r#"{{{versioned},"extensions":{{"extension-definition--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f":{{"extension_type":"new-sdo","rank":5}}}}}}"#)).unwrap();
}

#[test]
fn predefined_extensions_have_fields() {
    let text = r#"{"type":"file","id":"file--8e2e2d2b-17d4-5cbf-938f-98ee46b3cd3f","name":"a",
        "extensions":{"ntfs-ext":{"sid":"S-1","own":2},"x-own-ext":{"abc":1}}}"#;
    written(text).unwrap();
    let Ok(Model::File(file)) = Model::from_value(&parse(text.as_bytes()).unwrap()) else { panic!("a file") };
    let extensions = file.extensions.unwrap();
    assert_eq!(extensions.ntfs.unwrap().sid.as_deref(), Some("S-1"));
    assert_eq!(extensions.other["x-own-ext"].custom["abc"], 1);
}

#[test]
fn every_type_of_the_standard_is_there() {
    use crate::ObjectClass;
    assert_eq!(TYPES.len(), 19 + 2 + 18 + 3 + 1);
    for object_type in TYPES {
        assert_ne!(ObjectClass::of(object_type), ObjectClass::Custom, "{object_type}");
        assert_eq!(structure_of(object_type).unwrap().name, *object_type);
    }
}
