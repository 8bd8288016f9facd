//! Whatever comes in, an answer comes out, and no object that the standard's reader refuses.

use mithaq_core::stix::Object;
use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Makes the objects of an intake and reads each.
fn check(intake: &Intake) {
    let origin = Origin::new(
        "identity--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
        mithaq_core::time::Time::from_micros(1_767_312_000_000_000),
    );
    let ids: Vec<_> = intake.drafts().iter().map(|draft| origin.id(draft)).collect();
    for draft in intake.drafts() {
        if let Outcome::Object(object) = origin.object(draft, &ids, None) {
            let text = object.to_string();
            let parsed = Object::parse(text.as_bytes()).unwrap();
            let is_report = matches!(draft.what, What::Report(_));
            assert!(is_report || !parsed.observables().is_empty(), "{text}");
            let again = origin.object(draft, &ids, Some(&object));
            assert!(matches!(draft.what, What::Observable(_)) || again == Outcome::Object(object), "{text}");
        }
    }
}

/// Texts that are near to what is read.
fn near_text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        any::<String>(),
        "[\\PC\u{0}-\u{20}\u{200b}\u{202e}\u{2066}\u{a0}\u{3000}]{0,12}",
        Just("evil[.]example".to_owned()),
        Just("hxxp://Evil(dot)example/'\\".to_owned()),
        Just("192.0.2.1:80".to_owned()),
        Just("١٩٢.٠.٢.١".to_owned()),
        Just("d41d8cd98f00b204e9800998ecf8427e".to_owned()),
        Just("مثال.إختبار".to_owned()),
        "[,;\t|\"\n\r ]{1,3}",
        Just("\nSubject: a\nFrom: b\nContent-Type: multipart/mixed; boundary=x\n\n--x\n".to_owned()),
        Just("value,type,tlp\n".to_owned()),
    ];
    prop::collection::vec(part, 0..12).prop_map(|parts| parts.concat())
}

/// JSON that is near to an event.
fn near_event() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        prop::sample::select(vec![
            "domain",
            "ip-dst|port",
            "domain|ip",
            "filename|md5",
            "file",
            "evil.example|1.2.3.4",
            "x|99999"
        ])
        .prop_map(Value::from),
    ];
    let name = prop::sample::select(vec![
        "Event",
        "response",
        "Attribute",
        "Object",
        "Tag",
        "Galaxy",
        "GalaxyCluster",
        "name",
        "value",
        "type",
        "uuid",
        "info",
        "deleted",
        "to_ids",
        "timestamp",
        "date",
        "comment",
        "distribution",
    ]);
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn texts_of_any_kind_have_an_answer(input in near_text()) {
        let mut intake = Intake::default();
        text(input.as_bytes(), &mut intake);
        mail(input.as_bytes(), &mut intake);
        let _ = csv(input.as_bytes(), &Map::default(), &mut intake);
        let _ = csv(input.as_bytes(), &Map::parse("value=1").unwrap(), &mut intake);
        head_kind(input.as_bytes());
        check(&intake);
    }

    #[test]
    fn bytes_of_any_kind_have_an_answer(input in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut intake = Intake::default();
        text(&input, &mut intake);
        mail(&input, &mut intake);
        let _ = csv(&input, &Map::default(), &mut intake);
        let _ = misp(&input, &mut intake);
        let _ = stix_2_0(&input, &mut intake);
        head_kind(&input);
        check(&intake);
    }

    #[test]
    fn events_of_any_shape_have_an_answer(event in near_event()) {
        let mut intake = Intake::default();
        misp(event.to_string().as_bytes(), &mut intake).unwrap();
        misp(format!(r#"{{"Event":{event}}}"#).as_bytes(), &mut intake).unwrap();
        check(&intake);
    }
}
