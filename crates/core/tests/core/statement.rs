//! Terminations, purge attestations, consents: one CERT's word, signed by it alone.

use mithaq_core::{
    agreement::{
        attestation::{Attestation, VerifiedAttestation},
        termination::{TERMINATION_TYPE, Termination, VerifiedTermination},
    },
    consent::{
        Answer, Consent, ConsentRequest, ConsentScope, ConsentState, LabelClass, Passing, VerifiedConsent,
        VerifiedConsentRequest,
    },
    dsse::Envelope,
    id::{AgreementId, CertId, ReleaseId},
    label::{Category, Label},
    policy::Ending,
    statement::{Statement, StatementError, Verified, peek},
    stix::Tlp,
    time::Time,
};

use crate::cast::{Cert, cert, now, time};

const AGREEMENT: AgreementId = AgreementId::from_bytes([7; 32]);

fn id(seed: u8) -> CertId {
    cert(seed).card.cert_id()
}

fn termination(by: u8) -> Termination {
    Termination::new(AGREEMENT, id(by), now(), "قانون بدل گیا")
}

#[test]
fn a_statement_is_its_signers_alone() {
    let (pk, cn) = (cert(1), cert(2));
    let signed = VerifiedTermination::sign(termination(1), &pk.signing).unwrap();
    let envelope = signed.envelope().clone();
    assert_eq!(VerifiedTermination::verify(envelope.clone(), &pk.card).unwrap(), signed);
    assert_eq!(peek::<Termination>(&envelope).unwrap(), termination(1));
    assert_eq!(Ending::from(&signed), Ending { at: now(), by: id(1) });
    let error = VerifiedTermination::verify(envelope, &cn.card).unwrap_err();
    assert!(matches!(error, StatementError::Signer { .. }), "{error}");
    let forged = VerifiedTermination::sign(termination(1), &cn.signing).unwrap();
    let error = VerifiedTermination::verify(forged.envelope().clone(), &pk.card).unwrap_err();
    assert!(matches!(error, StatementError::Signature { .. }), "{error}");
}

#[test]
fn a_key_signs_only_while_it_is_valid_and_alone() {
    let pk = cert(1);
    for at in ["2025-12-31T23:59:59Z", "2027-01-02T00:00:00Z"] {
        let late = VerifiedTermination::sign(Termination::new(AGREEMENT, id(1), time(at), ""), &pk.signing).unwrap();
        assert!(VerifiedTermination::verify(late.envelope().clone(), &pk.card).is_err(), "{at}");
    }
    let by_root = VerifiedTermination::sign(termination(1), &pk.root).unwrap();
    assert!(VerifiedTermination::verify(by_root.envelope().clone(), &pk.card).is_err());
    let signed = VerifiedTermination::sign(termination(1), &pk.signing).unwrap();
    let (payload, signatures) = signed.envelope().open(TERMINATION_TYPE).unwrap();
    let twice = Envelope::new(TERMINATION_TYPE, &payload, &[signatures[0], signatures[0]]);
    assert!(VerifiedTermination::verify(twice, &pk.card).is_err());
    let unsigned = Envelope::new(TERMINATION_TYPE, &payload, &[]);
    assert!(VerifiedTermination::verify(unsigned, &pk.card).is_err());
}

fn check_bytes<S: Statement + PartialEq + std::fmt::Debug>(signed: &Verified<S>, signer: &Cert) {
    let text = signed.envelope().to_json();
    for at in 0..text.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut changed = text.clone();
            changed[at] ^= flip;
            let Ok(envelope) = Envelope::from_json(&changed) else { continue };
            if let Ok(verified) = Verified::<S>::verify(envelope, &signer.card) {
                assert_eq!(verified.statement(), signed.statement(), "byte {at}");
            }
        }
    }
}

fn request(what: ConsentScope) -> ConsentRequest {
    ConsentRequest::new(id(1), id(3), id(2), what, now(), "they see the same campaign")
}

fn consent(answer: Answer, what: ConsentScope, at: &str) -> VerifiedConsent {
    let until = time("2026-12-01T00:00:00Z");
    let consent = Consent::answer(&request(ConsentScope::All), answer, what, time(at), until);
    VerifiedConsent::sign(consent, &cert(3).signing).unwrap()
}

#[test]
fn a_byte_changed_anywhere_is_refused_or_changes_nothing() {
    let pk = cert(1);
    check_bytes(&VerifiedTermination::sign(termination(1), &pk.signing).unwrap(), &pk);
    let purge = Attestation::new(AGREEMENT, id(1), now(), 12, 3_400);
    check_bytes(&VerifiedAttestation::sign(purge, &pk.signing).unwrap(), &pk);
    let class = LabelClass { tlp_max: Tlp::Green, categories: [Category::Threat].into() };
    let asked = request(ConsentScope::Class(class));
    check_bytes(&VerifiedConsentRequest::sign(asked, &pk.signing).unwrap(), &pk);
    check_bytes(&consent(Answer::Grant, ConsentScope::All, "2026-05-01T00:00:00Z"), &cert(3));
}

#[test]
fn one_kind_is_never_taken_for_another() {
    let pk = cert(1);
    let purge = VerifiedAttestation::sign(Attestation::new(AGREEMENT, id(1), now(), 1, 1), &pk.signing).unwrap();
    let error = VerifiedTermination::verify(purge.envelope().clone(), &pk.card).unwrap_err();
    assert!(matches!(error, StatementError::Envelope { .. }), "{error}");
}

#[test]
fn limits_are_kept_by_who_signs_and_by_who_reads() {
    let sign = |termination| VerifiedTermination::sign(termination, &cert(1).signing);
    for reason in ["x".repeat(1_001), "a\u{202e}b".to_owned(), "a\nb".to_owned()] {
        assert!(sign(Termination::new(AGREEMENT, id(1), now(), reason)).is_err());
    }
    let too_many = Attestation::new(AGREEMENT, id(1), now(), 1 << 53, 0);
    assert!(VerifiedAttestation::sign(too_many, &cert(1).signing).is_err());
    let ask = |request| VerifiedConsentRequest::sign(request, &cert(1).signing);
    assert!(ask(request(ConsentScope::All)).is_ok());
    assert!(ask(request(ConsentScope::Releases([].into()))).is_err());
    let many = (0..1_001_u32).map(|n| ReleaseId::from_bytes(mithaq_core::id::sha256(&n.to_be_bytes()))).collect();
    assert!(ask(request(ConsentScope::Releases(many))).is_err());
    for third in [1, 3] {
        let mut two = request(ConsentScope::All);
        two.third = id(third);
        assert!(ask(two).is_err());
    }
    let over = Consent::answer(&request(ConsentScope::All), Answer::Grant, ConsentScope::All, now(), now());
    assert!(VerifiedConsent::sign(over, &cert(3).signing).is_err());
}

#[test]
fn the_last_word_on_what_is_passed_on_holds() {
    use Answer::{Deny, Grant};
    let release = ReleaseId::from_bytes([1; 32]);
    let label = Label::new(Tlp::Green, Category::Threat);
    let ask = |consents: &[VerifiedConsent], at: Time| {
        let (origin, us, third) = (id(3), id(1), id(2));
        ConsentState::of(consents, &Passing { origin, us, third, release, label: &label, now: at })
    };
    let all = |answer, at| consent(answer, ConsentScope::All, at);
    let (early, late) = ("2026-05-01T00:00:00Z", "2026-05-02T00:00:00Z");
    assert_eq!(ask(&[], now()), ConsentState::None);
    assert_eq!(ask(&[all(Grant, early)], now()), ConsentState::Granted);
    assert_eq!(ask(&[all(Grant, early), all(Deny, late)], now()), ConsentState::Denied);
    assert_eq!(ask(&[all(Grant, late), all(Deny, early)], now()), ConsentState::Granted);
    assert_eq!(ask(&[all(Deny, late), all(Grant, late)], now()), ConsentState::Denied);
    assert_eq!(ask(&[all(Grant, late), all(Deny, late)], now()), ConsentState::Denied);
    assert_eq!(ask(&[all(Grant, early)], time("2026-12-01T00:00:01Z")), ConsentState::None);
    let class = |tlp_max, category| ConsentScope::Class(LabelClass { tlp_max, categories: [category].into() });
    let state = |what| ask(&[consent(Grant, what, early)], now());
    assert_eq!(state(class(Tlp::Green, Category::Threat)), ConsentState::Granted);
    assert_eq!(state(class(Tlp::Clear, Category::Threat)), ConsentState::None);
    assert_eq!(state(class(Tlp::Green, Category::Report)), ConsentState::None);
    assert_eq!(state(ConsentScope::Releases([release].into())), ConsentState::Granted);
    assert_eq!(state(ConsentScope::Releases([ReleaseId::from_bytes([2; 32])].into())), ConsentState::None);
}

#[test]
fn a_consent_to_others_or_of_others_is_none() {
    let release = ReleaseId::from_bytes([1; 32]);
    let label = Label::new(Tlp::Green, Category::Threat);
    let given = [consent(Answer::Grant, ConsentScope::All, "2026-05-01T00:00:00Z")];
    let ask = |origin, us, third| {
        let passing = Passing { origin: id(origin), us: id(us), third: id(third), release, label: &label, now: now() };
        ConsentState::of(&given, &passing)
    };
    assert_eq!(ask(3, 1, 2), ConsentState::Granted);
    for (origin, us, third) in [(4, 1, 2), (3, 4, 2), (3, 1, 4), (3, 2, 1)] {
        assert_eq!(ask(origin, us, third), ConsentState::None);
    }
}
