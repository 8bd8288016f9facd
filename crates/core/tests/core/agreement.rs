//! Agreements: both parties, every byte, both directions.

use mithaq_core::{
    agreement::{AGREEMENT_TYPE, Agreement, AgreementError, AgreementTerms, Flow, Scope, SignedAgreement},
    canonical,
    dsse::Envelope,
    keys::Signature,
    label::LABEL_SET_MAX,
};
use serde_json::{Value, json};

use crate::cast::{MARKING, cert, flow, now, pact, signed, terms, time};

#[test]
fn an_agreement_needs_both_signatures_and_no_other_will_do() {
    let (pk, cn, qa) = (cert(1), cert(2), cert(3));
    let draft = || {
        let agreement = Agreement::new(pk.card.cert_id(), cn.card.cert_id(), terms()).unwrap();
        SignedAgreement::draft(agreement).unwrap()
    };
    let check = |signers: &[&crate::cast::Cert], expect: Result<(), &str>| {
        for (a, b) in [(&pk, &cn), (&cn, &pk)] {
            let mut agreement = draft();
            signers.iter().for_each(|cert| agreement.sign(&cert.signing));
            let verified = agreement.verify(&a.card, &b.card).map(drop);
            let shown = verified.map_err(|error| error.to_string());
            match expect {
                Ok(()) => assert_eq!(shown, Ok(())),
                Err(expect) => assert!(shown.as_ref().is_err_and(|shown| shown.contains(expect)), "{shown:?}"),
            }
        }
    };
    check(&[&pk, &cn], Ok(()));
    check(&[&cn, &pk, &qa], Ok(()));
    check(&[], Err("is not signed by CERT"));
    check(&[&pk], Err("is not signed by CERT 2"));
    check(&[&cn], Err("is not signed by CERT 1"));
    check(&[&pk, &qa], Err("is not signed by CERT 2"));
}

#[test]
fn a_root_key_or_anothers_signature_under_our_name_does_not_sign() {
    let (pk, cn) = (cert(1), cert(2));
    let mut agreement = signed(&pk, &cn, terms());
    assert!(agreement.verify_signer(&pk.card).is_ok());
    assert!(matches!(agreement.verify_signer(&cert(3).card), Err(AgreementError::NotAParty { .. })));

    let agreement_id = agreement.id();
    agreement.sign(&pk.signing);
    assert_eq!(agreement.signers().count(), 2, "signing again replaces");
    assert_eq!(agreement.id(), agreement_id);

    let (payload, signatures) = agreement.envelope().open(AGREEMENT_TYPE).unwrap();
    let swapped = [(signatures[0].0, signatures[1].1), (signatures[1].0, signatures[0].1)];
    let swapped = SignedAgreement::open(&Envelope::new(AGREEMENT_TYPE, &payload, &swapped)).unwrap();
    assert!(matches!(swapped.verify(&pk.card, &cn.card), Err(AgreementError::Signature { .. })));

    let root = (pk.root.public().id(), pk.root.sign(AGREEMENT_TYPE, &payload));
    let by_root = Envelope::new(AGREEMENT_TYPE, &payload, &[root]);
    let by_root = SignedAgreement::open(&by_root).unwrap();
    assert!(matches!(by_root.verify_signer(&pk.card), Err(AgreementError::Unsigned { .. })));
}

#[test]
fn a_broken_signature_does_not_hide_a_good_one() {
    let (pk, cn) = (cert(1), cert(2));
    let (payload, mut signatures) = signed(&pk, &cn, terms()).envelope().open(AGREEMENT_TYPE).unwrap();
    signatures.insert(0, (pk.signing.public().id(), Signature::from_bytes([0; 64])));
    let agreement = SignedAgreement::open(&Envelope::new(AGREEMENT_TYPE, &payload, &signatures)).unwrap();
    assert!(agreement.verify(&pk.card, &cn.card).is_ok());
}

#[test]
fn a_byte_changed_anywhere_is_refused_or_changes_nothing() {
    let (pk, cn) = (cert(1), cert(2));
    let ours = signed(&pk, &cn, terms());
    let text = ours.envelope().to_json();
    for at in 0..text.len() {
        for flip in [0x01, 0x02, 0x20, 0x80] {
            let mut changed = text.clone();
            changed[at] ^= flip;
            let read = SignedAgreement::from_json(&changed);
            if let Ok(verified) = read.and_then(|read| read.verify(&pk.card, &cn.card)) {
                assert_eq!(verified.agreement(), ours.agreement(), "byte {at}");
                assert_eq!(verified.id(), ours.id(), "byte {at}");
            }
        }
    }
}

#[test]
fn one_cert_makes_no_agreement_with_itself() {
    let pk = cert(1);
    let id = pk.card.cert_id();
    assert!(matches!(Agreement::new(id, id, terms()), Err(AgreementError::Field { field: "parties", .. })));
    let agreement = signed(&pk, &cert(2), terms());
    assert!(agreement.verify(&pk.card, &pk.card).is_err());
}

/// Checks whether an agreement that was changed by `change` and then signed by both is taken.
fn check(change: impl FnOnce(&mut Value), expect: bool) {
    let (pk, cn) = (cert(1), cert(2));
    let mut value = serde_json::to_value(signed(&pk, &cn, terms()).agreement()).unwrap();
    change(&mut value);
    let payload = canonical::to_vec(&value).unwrap();
    let signature = |key: &mithaq_core::keys::SecretKey| (key.public().id(), key.sign(AGREEMENT_TYPE, &payload));
    let envelope = Envelope::new(AGREEMENT_TYPE, &payload, &[signature(&pk.signing), signature(&cn.signing)]);
    let result = SignedAgreement::open(&envelope).and_then(|signed| signed.verify(&pk.card, &cn.card));
    assert_eq!(result.is_ok(), expect, "{value}: {result:?}");
}

#[test]
fn an_agreement_has_one_shape() {
    check(|_| {}, true);
    check(|value| value["flows"].as_array_mut().unwrap().reverse(), false);
    check(|value| value["parties"].as_array_mut().unwrap().reverse(), false);
    check(|value| value["flows"][1] = value["flows"][0].clone(), false);
    check(|value| value["flows"][0]["from"] = json!(cert(3).card.cert_id()), false);
    check(|value| value["parties"] = json!([{"cert": cert(1).card.cert_id(), "contacts": []}]), false);
    check(|value| value["schema"] = json!("mithaq-agreement/2"), false);
    check(|value| value["unknown"] = json!(1), false);
    check(|value| value["flows"][0]["unknown"] = json!(1), false);
    check(|value| value["flows"][0]["tlp_max"] = json!("purple"), false);
    check(|value| value["flows"][0]["tlp_max"] = json!("AMBER"), false);
    check(|value| value["flows"][0]["onward"] = json!("always"), false);
    check(|value| value["flows"][0]["categories"] = json!(["everything"]), false);
    check(|value| value["flows"][0]["categories"] = json!(["threat", "report"]), false);
    check(|value| value["flows"][0]["categories"] = json!(["threat", "threat"]), false);
    check(|value| value["flows"][0]["sectors"] = json!("some"), false);
    check(|value| value["flows"][0]["sectors"] = json!({"only": ["energy"]}), true);
    check(|value| value["flows"][0]["sectors"] = json!({"only": ["energy"], "any": null}), false);
    check(|value| value["flows"][0]["markings"] = json!([MARKING]), true);
    check(
        |value| value["flows"][0]["markings"] = json!(["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]),
        false,
    );
    check(|value| value["flows"][0]["markings"] = json!(["indicator--e828b379-4e03-4974-9ac4-e53a884c97c1"]), false);
    check(|value| value["valid_until"] = value["valid_from"].clone(), false);
    for (term, value, expect) in [
        ("onward", json!("ask"), true),
        ("onward", json!({"listed": [cert(3).card.cert_id()]}), true),
        ("onward", json!({"listed": []}), false),
        ("statements", json!("allow"), true),
        ("statements", json!("maybe"), false),
        ("pap_max", json!("clear"), true),
        ("pap_max", json!("white"), false),
        ("pap_max", json!(null), false),
        ("age_days_max", json!(1), true),
        ("age_days_max", json!(0), false),
        ("age_days_max", json!(36_501), false),
        ("age_days_max", json!(1.5), false),
        ("confidence_min", json!("med"), true),
        ("confidence_min", json!(50), false),
        ("personal_data", json!("pseudonymise"), true),
        ("sightings", json!("count"), true),
        ("iep", json!("honour"), true),
        ("iep", json!("ignore"), false),
    ] {
        check(|agreement| agreement["flows"][1][term] = value.clone(), expect);
    }
    for (term, value, expect) in [
        ("third_party", json!("accept"), true),
        ("tlp_default", json!("green"), true),
        ("tlp_default", json!("white"), false),
        ("retention_days", json!(null), true),
        ("retention_days", json!(0), false),
        ("notice_days", json!(36_501), false),
        ("at_end", json!("purge"), true),
        ("at_end", json!("burn"), false),
        ("supersedes", json!("00".repeat(32)), true),
        ("supersedes", json!("latest"), false),
        ("group", json!({"name": "two", "threshold": 1}), false),
    ] {
        check(|agreement| agreement[term] = value.clone(), expect);
    }
}

#[test]
fn no_term_may_be_left_out() {
    let (pk, cn) = (cert(1), cert(2));
    let whole = serde_json::to_value(signed(&pk, &cn, terms()).agreement()).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let (of_agreement, of_flow) = (names(&whole), names(&whole["flows"][0]));
    assert!(of_agreement.len() > 13 && of_flow.len() > 12);
    for name in of_agreement {
        check(|agreement| drop(agreement.as_object_mut().unwrap().remove(&name)), false);
    }
    for name in of_flow {
        check(|agreement| drop(agreement["flows"][0].as_object_mut().unwrap().remove(&name)), false);
    }
}

#[test]
fn texts_and_lists_have_limits() {
    let many = |count: usize| (0..count).map(|n| format!("x{n:03}")).collect::<Vec<_>>();
    let markings = |count: usize| {
        let ids = (0..count).map(|n| format!("marking-definition--00000000-0000-4000-8000-{n:012}"));
        ids.collect::<Vec<_>>()
    };
    check(|value| value["purposes"] = json!(many(LABEL_SET_MAX)), true);
    check(|value| value["purposes"] = json!(many(LABEL_SET_MAX + 1)), false);
    check(|value| value["flows"][1]["sectors"] = json!({"only": many(LABEL_SET_MAX + 1)}), false);
    check(|value| value["flows"][1]["markings"] = json!(markings(LABEL_SET_MAX)), true);
    check(|value| value["flows"][1]["markings"] = json!(markings(LABEL_SET_MAX + 1)), false);
    check(|value| value["community"] = json!("افریقہ ایشیا"), true);
    for text in [String::new(), "x".repeat(251), "a\u{1b}[2J".into(), "a\u{202e}b".into()] {
        check(|value| value["community"] = json!(text), false);
    }
    check(|value| value["purposes"] = json!(["a\nb"]), false);
    check(|value| value["flows"][0]["sectors"] = json!({"only": ["a\u{202e}b"]}), false);
}

#[test]
fn an_agreement_holds_from_its_first_moment_to_its_last() {
    let check = |at: &str, expect: bool| {
        assert_eq!(pact(&cert(1), &cert(2), terms()).is_in_force(time(at)), expect, "{at}");
    };
    check("2025-12-31T23:59:59.999999Z", false);
    check("2026-01-01T00:00:00Z", true);
    check("2026-12-31T00:00:00Z", true);
    check("2026-12-31T00:00:00.000001Z", false);
    assert!(pact(&cert(1), &cert(2), terms()).is_in_force(now()));
}

#[test]
fn the_two_sides_draft_the_same_bytes() {
    let (a, b) = (cert(1).card.cert_id(), cert(2).card.cert_id());
    let id = |a, b, terms| SignedAgreement::draft(Agreement::new(a, b, terms).unwrap()).unwrap().id();
    assert_eq!(id(a, b, terms()), id(b, a, terms()));
    let other = AgreementTerms { flow: Flow { sectors: Scope::Only([].into()), ..flow() }, ..terms() };
    assert_ne!(id(a, b, terms()), id(a, b, other));
}

#[test]
fn a_draft_keeps_the_limits_too() {
    let mut agreement = Agreement::new(cert(1).card.cert_id(), cert(2).card.cert_id(), terms()).unwrap();
    agreement.community = Some("a\u{1b}".to_owned());
    assert!(SignedAgreement::draft(agreement).is_err());
}
