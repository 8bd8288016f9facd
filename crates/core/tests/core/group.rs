//! Groups: every member signs what all agree, a threshold of them who is in it, and no member is special.

use mithaq_core::{
    agreement::{
        AGREEMENT_TYPE, Agreement, AgreementError, AgreementTerms, Flow, Group, PARTIES_MAX, Party, SignedAgreement,
        VerifiedAgreement,
    },
    canonical,
    card::VerifiedCard,
    dsse::Envelope,
    id::CertId,
    stix::Tlp,
};
use serde_json::{Value, json};

use crate::cast::{Cert, cert, flow, terms, time};

fn group(threshold: u32) -> Group {
    Group { name: "گروپ five".to_owned(), threshold }
}

fn draft(members: &[u8], threshold: u32, terms: AgreementTerms) -> SignedAgreement {
    let members = members.iter().map(|seed| Party::new(cert(*seed).card.cert_id())).collect();
    SignedAgreement::draft(Agreement::of_group(members, group(threshold), terms).unwrap()).unwrap()
}

fn verify(
    mut agreement: SignedAgreement,
    signers: &[u8],
    previous: Option<&VerifiedAgreement>,
) -> Result<VerifiedAgreement, AgreementError> {
    let certs: Vec<Cert> = (1..=6).map(cert).collect();
    signers.iter().for_each(|seed| agreement.sign(&certs[usize::from(seed - 1)].signing));
    let cards: Vec<&VerifiedCard> = certs.iter().map(|cert| &cert.card).collect();
    agreement.verify_group(&cards, previous)
}

#[test]
fn a_first_version_needs_every_member() {
    assert!(verify(draft(&[3, 1, 2], 2, terms()), &[1, 2, 3], None).is_ok());
    for missing in 1..=3_u8 {
        let signers: Vec<u8> = (1..=5).filter(|seed| *seed != missing).collect();
        let error = verify(draft(&[1, 2, 3], 2, terms()), &signers, None).unwrap_err();
        assert!(matches!(error, AgreementError::Unsigned { .. }), "{error}");
    }
    let error = draft(&[1, 2], 1, terms()).verify_group(&[&cert(1).card], None).unwrap_err();
    assert!(matches!(error, AgreementError::Unsigned { .. } | AgreementError::NoCard { .. }), "{error}");
}

fn successor(previous: &VerifiedAgreement) -> AgreementTerms {
    let valid_until = time("2027-06-30T00:00:00Z");
    AgreementTerms { supersedes: Some(previous.id()), valid_until, ..terms() }
}

#[test]
fn a_threshold_of_the_previous_members_and_all_new_ones_decide_who_is_in_it() {
    let first = verify(draft(&[1, 2, 3], 2, terms()), &[1, 2, 3], None).unwrap();
    let check = |members: &[u8], signers: &[u8], expect: bool| {
        let verified = verify(draft(members, 2, successor(&first)), signers, Some(&first));
        assert_eq!(verified.is_ok(), expect, "{members:?} signed by {signers:?}: {verified:?}");
    };
    check(&[1, 2, 3], &[1, 2], true);
    check(&[1, 2, 3], &[2, 3], true);
    check(&[1, 2, 3], &[1], false);
    check(&[1, 2, 3], &[], false);
    check(&[1, 2, 3, 4], &[1, 3, 4], true);
    check(&[1, 2, 3, 4], &[1, 2, 3], false);
    check(&[1, 2, 3, 4], &[1, 4], false);
    check(&[1, 2, 3, 4, 5], &[1, 2, 4], false);
    check(&[1, 2, 3, 4, 5], &[1, 2, 4, 5], true);
    // One that is removed has a voice; a stranger has none.
    check(&[1, 2], &[1, 3], true);
    check(&[1, 2], &[1, 6], false);
    check(&[2, 3, 4], &[1, 2, 4], true);
}

#[test]
fn any_other_change_needs_every_member() {
    let first = verify(draft(&[1, 2, 3], 2, terms()), &[1, 2, 3], None).unwrap();
    let check = |agreement: fn(AgreementTerms) -> SignedAgreement| {
        let changed = || agreement(successor(&first));
        assert!(verify(changed(), &[1, 2], Some(&first)).is_err());
        assert!(verify(changed(), &[1, 2, 3], Some(&first)).is_ok());
    };
    check(|terms| draft(&[1, 2, 3], 1, terms));
    check(|terms| draft(&[1, 2, 3], 2, AgreementTerms { flow: Flow { tlp_max: Tlp::Red, ..flow() }, ..terms }));
    check(|terms| draft(&[1, 2, 3], 2, AgreementTerms { community: None, ..terms }));
    check(|terms| draft(&[1, 2, 3], 2, AgreementTerms { retention_days: None, ..terms }));
}

#[test]
fn a_successor_is_nothing_without_what_it_supersedes() {
    let first = verify(draft(&[1, 2, 3], 2, terms()), &[1, 2, 3], None).unwrap();
    let other = verify(draft(&[1, 2], 2, terms()), &[1, 2], None).unwrap();
    for previous in [None, Some(&other)] {
        let error = verify(draft(&[1, 2, 3], 2, successor(&first)), &[1, 2, 3], previous).unwrap_err();
        assert!(matches!(error, AgreementError::Previous { .. }), "{error}");
    }
    // Nobody makes a group out of a pact of two by a threshold.
    let pact = crate::cast::pact(&cert(1), &cert(2), terms());
    let error = verify(draft(&[1, 2, 3], 1, successor(&pact)), &[1, 3], Some(&pact)).unwrap_err();
    assert!(matches!(error, AgreementError::Unsigned { .. }), "{error}");
}

#[test]
fn a_group_is_no_pact_of_two_and_the_other_way_round() {
    let (pk, cn) = (cert(1), cert(2));
    let mut group = draft(&[1, 2], 2, terms());
    group.sign(&pk.signing);
    group.sign(&cn.signing);
    assert!(matches!(group.verify(&pk.card, &cn.card), Err(AgreementError::Shape { .. })));
    let pact = crate::cast::signed(&pk, &cn, terms());
    assert!(matches!(pact.verify_group(&[&pk.card, &cn.card], None), Err(AgreementError::Shape { .. })));
}

#[test]
fn one_flow_holds_from_every_member_and_from_nobody_else() {
    let agreement = draft(&[1, 2, 3], 2, terms());
    let flow = |seed| agreement.agreement().flow_from(cert(seed).card.cert_id());
    assert!(flow(1).is_some() && flow(1) == flow(2) && flow(2) == flow(3));
    assert_eq!(flow(4), None);
}

/// Checks whether a group's agreement that was changed by `change` can be opened.
fn check(change: impl FnOnce(&mut Value), expect: bool) {
    let mut value = serde_json::to_value(draft(&[1, 2, 3], 2, terms()).agreement()).unwrap();
    change(&mut value);
    let payload = canonical::to_vec(&value).unwrap();
    let result = SignedAgreement::open(&Envelope::new(AGREEMENT_TYPE, &payload, &[]));
    assert_eq!(result.is_ok(), expect, "{result:?}");
}

#[test]
fn a_group_keeps_its_limits() {
    let members = |count: usize| -> Value {
        let id = |n: usize| CertId::from_bytes([u8::try_from(n).unwrap(); 32]);
        (0..count).map(|n| json!({"cert": id(n), "contacts": []})).collect::<Vec<_>>().into()
    };
    check(|_| {}, true);
    check(|value| value["parties"] = members(PARTIES_MAX), true);
    check(|value| value["parties"] = members(PARTIES_MAX + 1), false);
    check(|value| value["parties"] = members(1), false);
    check(|value| value["group"]["threshold"] = json!(0), false);
    check(|value| value["group"]["threshold"] = json!(3), true);
    check(|value| value["group"]["threshold"] = json!(4), false);
    check(|value| value["group"]["name"] = json!(""), false);
    check(|value| value["group"]["name"] = json!("a\u{202e}b"), false);
    check(|value| value["group"] = Value::Null, false);
    check(|value| value["flows"][0]["from"] = json!(cert(1).card.cert_id()), false);
    check(|value| value["flows"][0]["from"] = Value::Null, false);
    check(|value| value["flows"] = json!([value["flows"][0], value["flows"][0]]), false);
    check(|value| value["parties"][0]["contacts"] = json!(vec!["mailto:a@example.org"; 16]), true);
    check(|value| value["parties"][0]["contacts"] = json!(vec!["mailto:a@example.org"; 17]), false);
    check(|value| value["parties"][0]["contacts"] = json!([""]), false);
}
