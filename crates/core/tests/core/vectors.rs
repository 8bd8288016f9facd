//! The committed vectors in `tests/vectors`: what a second implementation must reproduce byte for byte.
//!
//! `MITHAQ_WRITE_VECTORS=1` writes them anew; a change to them is a change of the formats.

use mithaq_core::{
    agreement::{
        AGREEMENT_TYPE, Agreement, Group, Onward, Party, SignedAgreement, attestation::Attestation,
        termination::Termination,
    },
    card::{CARD_TYPE, CardDetails, RevokedKey, VerifiedCard},
    consent::{Answer, Consent, ConsentRequest, ConsentScope, LabelClass},
    dsse::pre_authentication_encoding,
    id::{AgreementId, ContentId, ReleaseId, sha256, to_hex},
    keys::{SecretKey, Suite},
    label::{Category, Label},
    merkle,
    pairing::{GROUPS, PairingCode},
    release::{RELEASE_TYPE, ReleaseDraft, VerifiedRelease},
    statement::{Statement, Verified},
    stix::{Object, Tlp, json},
};
use serde_json::{Value, json};
use std::{env, fs, path::PathBuf};

use crate::cast::{MARKING, cert, dated, key, now, signed, terms, time};

/// Compares `value` with the committed file, or writes it.
pub(crate) fn check(name: &str, value: &Value) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors").join(name);
    let text = serde_json::to_string_pretty(value).unwrap() + "\n";
    if env::var_os("MITHAQ_WRITE_VECTORS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(committed == text, "{name} differs from what the code makes");
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A document with its signature, as all kinds of signed JSON have one.
pub(crate) fn document(signer: &SecretKey, payload_type: &str, payload: &[u8]) -> Value {
    json!({
        "seed": to_hex(&seed_of(signer)),
        "public": signer.public(),
        "type": payload_type,
        "payload": text(payload),
        "pae": to_hex(&pre_authentication_encoding(payload_type, payload)),
        "signature": to_hex(signer.sign(payload_type, payload).as_bytes()),
    })
}

/// The seeds of the tests are one byte over and over.
pub(crate) fn seed_of(key: &SecretKey) -> [u8; 32] {
    let seeds = (0..=u8::MAX).map(|byte| [byte; 32]);
    seeds.into_iter().find(|seed| SecretKey::from_seed(seed).unwrap().public() == key.public()).unwrap()
}

#[test]
fn canonical_json() {
    let inputs = [
        ("IEP 2.0: RFC 8785 writes the number 2.0 as 2", r#"{"iep_version": 2.0, "name": "IEP"}"#),
        (
            "names are ordered by UTF-16 code units",
            "{\"\u{10000}\":1,\"\u{ffff}\":2,\"ب\":3,\"z\":4,\"\":5,\"Z\":6,\"aa\":7,\"a\":8}",
        ),
        (
            "numbers",
            "[0,-0,-0.0,1,1.0,100,1e2,1E+2,0.1,1e-7,0.000001,1e21,1.7976931348623157e308,5e-324,9007199254740991,-9007199254740991,0.30000000000000004,333333333.33333329,4.50]",
        ),
        (
            "escapes",
            "[\"\\u0000\\u0007\\b\\t\\n\\u000b\\f\\r\\u001f\\\"\\\\\\/\\u007f\\u0080\\u2028\\u20ac\\ud83d\\ude00\"]",
        ),
        (
            "text of many languages, with a joiner",
            "{\"ur\":\"قومی سرٹ\",\"fa\":\"می\u{200c}خواهم\",\"zh\":\"国家应急中心\",\"ar\":\"مؤشر\"}",
        ),
        ("nesting and blanks", " { \"b\" : [ { \"d\" : null , \"c\" : true } , [ ] , { } ] ,\t\"a\" :\r\n false } "),
        ("text is not normalised", "[\"\u{e9}\",\"e\u{301}\"]"),
    ];
    let accepted = inputs.map(|(name, input)| {
        let value = json::parse(input.as_bytes()).unwrap();
        let bytes = json::canonical(&value);
        json!({ "name": name, "input": input, "canonical": text(&bytes), "sha256": to_hex(&sha256(&bytes)) })
    });
    let refused = [
        ("a name twice", r#"{"tlp":"red","tlp":"clear"}"#),
        ("a name twice, once escaped", r#"{"a":1,"\u0061":2}"#),
        ("an integer that readers round", "[9007199254740993]"),
        ("a number beyond an IEEE double", "[1e999]"),
        ("an integer that readers round, in another writing", "[1e20]"),
        ("half a surrogate pair", r#"["\ud800"]"#),
        ("text after the end", "{} {}"),
        ("a leading zero", "[01]"),
        ("a trailing comma", "[1,]"),
        ("not a number", "[NaN]"),
    ];
    for (name, input) in refused {
        assert!(json::parse(input.as_bytes()).is_err(), "{name}");
    }
    let refused = refused.map(|(name, input)| json!({ "name": name, "input": input }));
    check("canonical.json", &json!({ "accepted": accepted, "refused": refused }));
}

#[test]
fn content_ids() {
    let inputs = [
        (
            "an indicator in Urdu",
            r#"{"type": "indicator", "spec_version": "2.1", "id": "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f", "created": "2024-05-01T00:00:00.000Z", "modified": "2024-05-01T00:00:00.000Z", "name": "جعلی بینک", "pattern": "[domain-name:value = 'evil.example']", "pattern_type": "stix", "valid_from": "2024-05-01T00:00:00Z", "confidence": 80}"#,
        ),
        (
            "an IEP 2.0 policy in a marking definition",
            r#"{"type":"marking-definition","spec_version":"2.1","id":"marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168","created":"2024-05-01T00:00:00.000Z","extensions":{"extension-definition--762e2e97-ee51-43e5-a9ea-165fbb862c4a":{"extension_type":"property-extension","iep_id":"iep--1","name":"Partners","iep_version":2.0,"tlp":"amber"}}}"#,
        ),
    ];
    let vectors = inputs.map(|(name, input)| {
        let object = Object::parse(input.as_bytes()).unwrap();
        let bytes = object.canonical();
        json!({ "name": name, "input": input, "canonical": text(&bytes), "content_id": ContentId::of(&bytes) })
    });
    check("content-id.json", &json!(vectors));
}

#[test]
fn pre_authentication_encodings() {
    let inputs = [("http://example.com/HelloWorld", "hello world"), ("", ""), ("t", "قومی")];
    let vectors = inputs.map(|(payload_type, payload)| {
        let pae = pre_authentication_encoding(payload_type, payload.as_bytes());
        json!({ "type": payload_type, "payload": payload, "pae": to_hex(&pae) })
    });
    check("pae.json", &json!(vectors));
}

#[test]
fn tree_hashes() {
    let vectors: Vec<_> = [0, 1, 2, 3, 4, 5, 7, 8, 9, 1000]
        .into_iter()
        .map(|size: u32| {
            let leaves: Vec<_> = (0..size).map(|n| ContentId::of(&n.to_be_bytes())).collect();
            let bytes: Vec<_> = leaves.iter().map(ContentId::as_bytes).collect();
            // Leaf n is the SHA-256 of n as four bytes, most significant first.
            json!({ "size": size, "root": merkle::root(&bytes) })
        })
        .collect();
    check("tree.json", &json!(vectors));
}

#[test]
fn cards() {
    let ours = cert(1);
    let (payload, _) = ours.card.envelope().open(CARD_TYPE).unwrap();
    let mut vector = document(&ours.root, CARD_TYPE, &payload);
    vector["cert_id"] = json!(ours.card.cert_id());
    vector["envelope"] = serde_json::to_value(ours.card.envelope()).unwrap();
    check("card.json", &vector);
}

#[test]
fn cards_with_revoked_keys() {
    let mut revoked_keys = [(101, "2026-06-01T00:00:00Z"), (77, "2026-03-01T00:00:00.5Z")]
        .map(|(seed, since)| RevokedKey { key: key(seed).public().id(), since: time(since) });
    revoked_keys.sort_by_key(|revoked| revoked.key);
    let ours = cert(1);
    let mut details = CardDetails::from(ours.card.card().clone());
    details.serial += 1;
    details.signing_keys.push(dated(&key(102)));
    details.revoked_keys = revoked_keys.to_vec();
    let card = VerifiedCard::sign(&ours.root, details).unwrap();
    let (payload, _) = card.envelope().open(CARD_TYPE).unwrap();
    let mut vector = document(&ours.root, CARD_TYPE, &payload);
    let mut counts = Vec::new();
    for (seed, at) in [
        (101, "2026-05-31T23:59:59.999999Z"),
        (101, "2026-06-01T00:00:00.000000Z"),
        (102, "2026-06-01T00:00:00.000000Z"),
        (77, "2026-02-01T00:00:00.000000Z"),
    ] {
        let id = key(seed).public().id();
        let is_good = card.signing_key(id, Suite::Ed25519, time(at)).is_some();
        counts.push(json!({ "key": id, "at": at, "counts": is_good }));
    }
    vector["cert_id"] = json!(card.cert_id());
    vector["envelope"] = serde_json::to_value(card.envelope()).unwrap();
    vector["signing_keys"] = json!(counts);
    check("card-revoked.json", &vector);
}

#[test]
fn agreements() {
    let (pk, cn) = (cert(1), cert(2));
    let mut terms = terms();
    terms.flow.markings.insert(MARKING.to_owned());
    terms.flow.sectors = mithaq_core::agreement::Scope::Only(["banking", "energy"].map(str::to_owned).into());
    let agreement = signed(&pk, &cn, terms);
    let (payload, _) = agreement.envelope().open(AGREEMENT_TYPE).unwrap();
    let signatures = [&pk, &cn].map(|cert| document(&cert.signing, AGREEMENT_TYPE, &payload));
    let envelope = serde_json::to_value(agreement.envelope()).unwrap();
    let vector = json!({
        "agreement_id": agreement.id(),
        "signatures": signatures,
        "envelope": envelope,
        "group": group(),
        "statements": statements(agreement.id()),
    });
    check("agreement.json", &vector);
}

/// The agreement of a group of three, signed by all.
fn group() -> Value {
    let certs = [cert(1), cert(2), cert(3)];
    let members = certs.iter().map(|cert| Party { contacts: vec!["tel:+1".into()], ..Party::new(cert.card.cert_id()) });
    let group = Group { name: "گروپ".to_owned(), threshold: 2 };
    let mut terms = terms();
    terms.flow.onward = Onward::Listed([cert(4).card.cert_id()].into());
    let mut signed = SignedAgreement::draft(Agreement::of_group(members.collect(), group, terms).unwrap()).unwrap();
    certs.iter().for_each(|cert| signed.sign(&cert.signing));
    let (payload, _) = signed.envelope().open(AGREEMENT_TYPE).unwrap();
    let signatures = certs.each_ref().map(|cert| document(&cert.signing, AGREEMENT_TYPE, &payload));
    json!({ "agreement_id": signed.id(), "signatures": signatures, "envelope": signed.envelope() })
}

/// What one CERT signs alone about agreements: an ending, a purge, a question and its answer.
fn statements(agreement: AgreementId) -> Value {
    let (pk, cn, qa) = (cert(1), cert(2), cert(3));
    let id = |cert: &crate::cast::Cert| cert.card.cert_id();
    let class = LabelClass { tlp_max: Tlp::Green, categories: [Category::Threat].into() };
    let asked = ConsentRequest::new(id(&pk), id(&qa), id(&cn), ConsentScope::Class(class), now(), "");
    let one = ConsentScope::Releases([ReleaseId::from_bytes([9; 32])].into());
    let until = now().plus(std::time::Duration::from_secs(86_400));
    let answered = Consent::answer(&asked, Answer::Grant, one, now(), until);
    json!({
        "termination": statement(Termination::new(agreement, id(&pk), now(), "قانون بدل گیا"), &pk),
        "attestation": statement(Attestation::new(agreement, id(&cn), now(), 12, 3_400), &cn),
        "consent_request": statement(asked, &pk),
        "consent": statement(answered, &qa),
    })
}

fn statement<S: Statement + Clone>(says: S, signer: &crate::cast::Cert) -> Value {
    let signed = Verified::sign(says, &signer.signing).unwrap();
    let (payload, _) = signed.envelope().open(S::TYPE).unwrap();
    let mut vector = document(&signer.signing, S::TYPE, &payload);
    vector["envelope"] = json!(signed.envelope());
    vector
}

#[test]
fn releases() {
    let origin = cert(1);
    let mut label = Label::new(Tlp::AmberStrict, Category::Threat);
    label.categories.insert(Category::Observable);
    label.sectors = ["banking", "قومی"].map(str::to_owned).into();
    label.markings.insert(MARKING.to_owned());
    let contents = (0..5_u32).map(|n| ContentId::of(&n.to_be_bytes())).collect();
    let release =
        VerifiedRelease::sign(origin.card.cert_id(), &origin.signing, ReleaseDraft::publish(label, contents, now()))
            .unwrap();
    let mut vector = document(&origin.signing, RELEASE_TYPE, &release.signed().manifest);
    assert_eq!(vector["signature"], to_hex(release.signed().signature.as_bytes()));
    vector["release_id"] = json!(release.id());
    vector["contents"] = json!(release.contents());
    check("release.json", &vector);
}

#[test]
fn pairing_codes() {
    let agreement = signed(&cert(1), &cert(2), terms()).id();
    let vectors = [(1, 2), (2, 3), (3, 1)].map(|(a, b)| {
        let (a, b) = (key(a).public(), key(b).public());
        let code = PairingCode::new(a.cert_id(), b.cert_id(), agreement);
        let groups: Vec<_> = (1..=GROUPS).map(|number| code.group(number)).collect();
        json!({ "roots": [a, b], "agreement_id": agreement, "groups": groups })
    });
    check("pairing.json", &json!(vectors));
}
