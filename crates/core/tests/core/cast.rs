//! Who and what the tests speak of: three CERTs with fixed keys, a pact, a few objects.

use mithaq_core::{
    agreement::{
        Agreement, AgreementTerms, AtEnd, Flow, IepTerm, Onward, Permission, PersonalData, Scope, SightingTerm,
        SignedAgreement, ThirdParty, VerifiedAgreement,
    },
    body::Body,
    canonical,
    card::{CardDetails, DatedKey, VerifiedCard},
    id::{ContentId, StoreId},
    keys::{SecretKey, Suite},
    label::{Category, Confidence},
    stix::{Object, Tlp, marking::Pap},
    time::Time,
};
use serde_json::Value;

/// A marking that is not TLP's.
pub(crate) const MARKING: &str = "marking-definition--fa42a846-8d90-4e51-bc29-71d5b4802168";

/// A CERT with its secrets.
pub(crate) struct Cert {
    pub(crate) root: SecretKey,
    pub(crate) signing: SecretKey,
    pub(crate) card: VerifiedCard,
}

pub(crate) fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed(&[seed; 32]).unwrap()
}

pub(crate) fn time(text: &str) -> Time {
    text.parse().unwrap()
}

/// Within the validity of all keys and pacts below.
pub(crate) fn now() -> Time {
    time("2026-06-01T12:00:00Z")
}

pub(crate) fn dated(key: &SecretKey) -> DatedKey {
    DatedKey {
        suite: Suite::Ed25519,
        public: key.public(),
        not_before: time("2026-01-01T00:00:00Z"),
        not_after: time("2027-01-01T00:00:00Z"),
    }
}

/// The details of the card of [`cert`].
pub(crate) fn details(seed: u8) -> CardDetails {
    CardDetails {
        name: format!("CERT {seed} قومی سرٹ 应急中心"),
        country: "PK".to_owned(),
        contacts: vec!["mailto:cert@example.org".to_owned()],
        serial: 1,
        issued_at: time("2026-01-01T00:00:00Z"),
        signing_keys: vec![dated(&key(seed + 100))],
        tls_keys: vec![dated(&key(seed + 200))],
        revoked_keys: Vec::new(),
        identities: ["identity--23054300-4dc0-4667-aee5-0689c0ce7b0b".to_owned()].into(),
        endpoints: vec!["[2001:db8::1]:4433".to_owned()],
    }
}

/// The CERT whose keys are made of `seed`, `seed + 100` and `seed + 200`.
pub(crate) fn cert(seed: u8) -> Cert {
    let root = key(seed);
    let card = VerifiedCard::sign(&root, details(seed)).unwrap();
    Cert { root, signing: key(seed + 100), card }
}

/// Terms under which nearly all goes.
pub(crate) fn terms() -> AgreementTerms {
    AgreementTerms {
        community: Some("APCERT".to_owned()),
        purposes: ["incident-response".to_owned()].into(),
        valid_from: time("2026-01-01T00:00:00Z"),
        valid_until: time("2026-12-31T00:00:00Z"),
        notice_days: 30,
        flow: flow(),
        third_party: ThirdParty::Refuse,
        tlp_default: Tlp::Amber,
        retention_days: Some(365),
        at_end: AtEnd::Keep,
        supersedes: None,
    }
}

/// The flow of [`terms`].
pub(crate) fn flow() -> Flow {
    Flow {
        from: None,
        tlp_max: Tlp::AmberStrict,
        categories: Category::ALL.into_iter().filter(|category| *category != Category::Vulnerability).collect(),
        sectors: Scope::Any,
        markings: [].into(),
        statements: Permission::Deny,
        pap_max: Pap::Red,
        age_days_max: None,
        confidence_min: Confidence::Unspecified,
        personal_data: PersonalData::Deny,
        sightings: SightingTerm::Full,
        iep: IepTerm::Deny,
        onward: Onward::Never,
    }
}

/// An agreement that both sides signed.
pub(crate) fn signed(a: &Cert, b: &Cert, terms: AgreementTerms) -> SignedAgreement {
    let agreement = Agreement::new(a.card.cert_id(), b.card.cert_id(), terms).unwrap();
    let mut signed = SignedAgreement::draft(agreement).unwrap();
    signed.sign(&a.signing);
    signed.sign(&b.signing);
    signed
}

/// An agreement in force.
pub(crate) fn pact(a: &Cert, b: &Cert, terms: AgreementTerms) -> VerifiedAgreement {
    signed(a, b, terms).verify(&a.card, &b.card).unwrap()
}

/// The body of a STIX object.
pub(crate) fn body(object: &Value) -> Body {
    let bytes = canonical::to_vec(object).unwrap();
    Body::verify(ContentId::of(&bytes), bytes).unwrap_or_else(|error| panic!("{object}: {error:?}"))
}

/// A STIX object of `object_type` whose UUID ends in `number`, with what else `more` says.
pub(crate) fn object(object_type: &str, number: u32, more: Value) -> Value {
    let mut object = serde_json::json!({
        "type": object_type,
        "spec_version": "2.1",
        "id": id(object_type, number),
        "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z",
    });
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
    assert!(Object::parse(object.to_string().as_bytes()).is_ok());
    object
}

/// The id of [`object`].
pub(crate) fn id(object_type: &str, number: u32) -> String {
    format!("{object_type}--00000000-0000-4000-8000-{number:012}")
}

/// The store of a CERT in the tests.
pub(crate) fn store(seed: u8) -> StoreId {
    StoreId::from_bytes([seed; 16])
}
