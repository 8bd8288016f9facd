//! The release rule: a table that an operator can read, and what must hold of every case that the table lacks.

mod case;
mod properties;
mod table;

use mithaq_core::{
    agreement::VerifiedAgreement,
    code::Code,
    id::CertId,
    label::{Category, Confidence, Label},
    policy::{CollectionRule, Decision, LocalPolicy, Subject, collection},
    release::{Kind, ReleaseDraft, VerifiedRelease},
    stix::{Tlp, marking::Pap},
};
use std::{collections::BTreeSet, sync::LazyLock};

use crate::cast::{Cert, MARKING, cert, flow, now, pact, terms};
use case::Case;

static US: LazyLock<Cert> = LazyLock::new(|| cert(1));
static PEER: LazyLock<Cert> = LazyLock::new(|| cert(2));
static THIRD: LazyLock<Cert> = LazyLock::new(|| cert(3));

fn codes(decision: &Decision) -> Vec<Code> {
    decision.reasons.iter().filter(|reason| !reason.ok).map(|reason| reason.code).collect()
}

#[test]
fn the_trace_has_every_step_that_withholds() {
    let mut terms = terms();
    terms.flow.tlp_max = Tlp::Clear;
    terms.flow.confidence_min = Confidence::Low;
    terms.community = None;
    let mut label = Label::new(Tlp::Green, Category::Vulnerability);
    label.markings.insert(MARKING.to_owned());
    label.personal = true;
    label.statements = true;
    let decision = Case { label, origin: 2, ..Case::usual() }.ask(Some(&pact(&US, &PEER, terms)));
    let expect = [
        Code::ORIGIN,
        Code::TLP_CEILING,
        Code::COMMUNITY,
        Code::VULNERABILITY,
        Code::MARKING,
        Code::STATEMENT,
        Code::PERSONAL,
        Code::CONFIDENCE,
    ];
    assert_eq!(codes(&decision), expect);
}

#[test]
fn a_subject_is_what_its_manifest_says() {
    let recipients: BTreeSet<_> = [PEER.card.cert_id()].into();
    let contents = vec![mithaq_core::id::ContentId::of(b"x")];
    let draft = ReleaseDraft {
        recipients: recipients.clone(),
        ..ReleaseDraft::publish(Label::new(Tlp::Red, Category::Threat), contents, now())
    };
    let release = VerifiedRelease::sign(US.card.cert_id(), &US.signing, draft).unwrap();
    let subject = Subject::of(release.manifest());
    assert_eq!((subject.kind, subject.origin, subject.published_at), (Kind::Publish, US.card.cert_id(), now()));
    assert_eq!((subject.label.tlp, subject.recipients), (Tlp::Red, &recipients));
    assert!(!subject.disclosed && !subject.held);
}

#[test]
fn a_collection_shows_all_but_red_unless_told_otherwise() {
    let check = |label: &Label, rule: &CollectionRule, expect: &[Code]| {
        let decision = collection(US.card.cert_id(), label, rule);
        assert_eq!(codes(&decision), expect, "{label} {rule:?}");
        assert_eq!(decision.released, expect.is_empty());
    };
    let open = CollectionRule::default();
    check(&Label::new(Tlp::AmberStrict, Category::Threat), &open, &[]);
    check(&Label::new(Tlp::Red, Category::Threat), &open, &[Code::TLP_CEILING]);
    let mut label = Label::new(Tlp::Green, Category::Threat);
    label.pap = Some(Pap::Red);
    let strict = CollectionRule {
        pap_max: Pap::Green,
        confidence_min: Confidence::Med,
        categories: [Category::Observable].into(),
        ..open
    };
    check(&label, &strict, &[Code::CATEGORY, Code::PAP, Code::CONFIDENCE]);
    check(&Label::nothing(), &CollectionRule::default(), &[Code::CATEGORY]);
}

#[test]
fn a_collection_shows_the_word_of_the_origins_that_it_lists() {
    let label = Label::new(Tlp::Green, Category::Threat);
    let check = |origins: &[CertId], expect: &[Code]| {
        let rule = CollectionRule { origins: Some(origins.iter().copied().collect()), ..CollectionRule::default() };
        assert_eq!(codes(&collection(US.card.cert_id(), &label, &rule)), expect);
    };
    check(&[US.card.cert_id(), PEER.card.cert_id()], &[]);
    check(&[PEER.card.cert_id()], &[Code::ORIGIN]);
    check(&[], &[Code::ORIGIN]);
}

#[test]
fn our_own_policy_only_narrows_from_the_start() {
    let open = LocalPolicy::default();
    assert_eq!((open.tlp_max, open.categories, open.onward), (Tlp::AmberStrict, None, true));
    assert_eq!(flow().onward, mithaq_core::agreement::Onward::Never);
}

/// An agreement of a group of all three.
fn group(mut terms: mithaq_core::agreement::AgreementTerms) -> VerifiedAgreement {
    use mithaq_core::agreement::{Agreement, Group, Party, SignedAgreement};
    terms.supersedes = None;
    let certs: [&Cert; 3] = [&US, &PEER, &THIRD];
    let members = certs.map(|cert| Party::new(cert.card.cert_id())).into();
    let group = Group { name: "three".to_owned(), threshold: 2 };
    let mut signed = SignedAgreement::draft(Agreement::of_group(members, group, terms).unwrap()).unwrap();
    certs.iter().for_each(|cert| signed.sign(&cert.signing));
    signed.verify_group(&certs.map(|cert| &cert.card), None).unwrap()
}
