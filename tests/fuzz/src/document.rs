//! What travels in envelopes, releases and their notices, evidence.
//!
//! A fuzzer makes no signatures. So each input is taken twice where that can be: as the document, and as what a CERT signs;
//! the second way leads behind the signature.

use mithaq_core::{
    agreement::{AGREEMENT_TYPE, SignedAgreement, attestation::Attestation, termination::Termination},
    canonical,
    card::{CARD_TYPE, VerifiedCard},
    consent::{Consent, ConsentRequest},
    dsse::Envelope,
    evidence::Evidence,
    id::ContentId,
    keys::Signature,
    notice::Notice,
    release::{Kind, Manifest, RECIPIENTS_MAX, RELEASE_TYPE, SignedRelease},
    statement::{Statement, Verified, peek},
};

use crate::cast::{ONE, THREE, TWO, now};

/// The payload in an envelope that CERT 1 has signed.
fn signed(payload_type: &str, payload: &[u8]) -> Envelope {
    let key = &ONE.signing;
    Envelope::new(payload_type, payload, &[(key.public().id(), key.sign(payload_type, payload))])
}

/// Cards: what verifies is written as it was read, and its CERT is that of its root key.
pub fn card(data: &[u8]) {
    let _ = VerifiedCard::from_json(data).map(|card| one_card(&card));
    let signature = (ONE.root.public().id(), ONE.root.sign(CARD_TYPE, data));
    let signed = Envelope::new(CARD_TYPE, data, &[signature]);
    if let Ok(card) = VerifiedCard::verify(signed) {
        assert_eq!(canonical::to_vec(card.card()).unwrap(), data, "a card that is not canonical");
        one_card(&card);
    }
}

fn one_card(card: &VerifiedCard) {
    let again = VerifiedCard::from_json(&card.envelope().to_json()).unwrap();
    assert_eq!((&again, again.cert_id()), (card, card.card().root.cert_id()));
    for key in &card.card().signing_keys {
        let usable = card.signing_key(key.public.id(), key.suite, now());
        assert!(usable.is_none() || key.is_valid_at(now()), "a key counts outside of its time");
        let is_revoked = card.card().revoked_since(key.public.id()).is_some_and(|since| since <= now());
        assert!(usable.is_none() || !is_revoked, "a revoked key counts");
    }
}

/// Agreements: read and written they are the same, and they hold only with the signatures of their parties.
pub fn agreement(data: &[u8]) {
    let cards = [&*ONE.card, &*TWO.card, &*THREE.card];
    if let Ok(agreement) = SignedAgreement::from_json(data) {
        let again = SignedAgreement::from_json(&agreement.envelope().to_json()).unwrap();
        assert_eq!((again.id(), again.agreement()), (agreement.id(), agreement.agreement()));
        assert!(agreement.agreement().certs().count() >= 2);
        let signers = agreement.signers().count();
        let of_two = agreement.clone().verify(cards[0], cards[1]).is_ok();
        let of_group = agreement.verify_group(&cards, None).is_ok();
        assert!(!(of_two && of_group) && (!(of_two || of_group) || signers >= 2));
    }
    if let Ok(mut agreement) = SignedAgreement::open(&signed(AGREEMENT_TYPE, data)) {
        assert_eq!(canonical::to_vec(agreement.agreement()).unwrap(), data, "an agreement that is not canonical");
        assert!(agreement.clone().verify(cards[0], cards[1]).is_err(), "one signature is enough");
        agreement.sign(&TWO.signing);
        if let Ok(verified) = agreement.clone().verify(cards[0], cards[1]) {
            let terms = verified.agreement();
            assert!(cards[..2].iter().all(|card| terms.flow_from(card.cert_id()).is_some()));
            assert!(terms.flow_from(cards[2].cert_id()).is_none());
        }
        agreement.sign(&THREE.signing);
        let _ = agreement.verify_group(&cards, None);
    }
}

/// Statements of every kind: what verifies is its signer's, and is written as it was read.
pub fn statement(data: &[u8]) {
    let envelope = Envelope::from_json(data).ok();
    each_way::<Termination>(envelope.as_ref(), data);
    each_way::<Attestation>(envelope.as_ref(), data);
    each_way::<ConsentRequest>(envelope.as_ref(), data);
    each_way::<Consent>(envelope.as_ref(), data);
}

fn each_way<S: Statement + PartialEq + std::fmt::Debug>(envelope: Option<&Envelope>, data: &[u8]) {
    if let Some(envelope) = envelope {
        assert_eq!(&Envelope::from_json(&envelope.to_json()).unwrap(), envelope);
        one_statement::<S>(envelope);
    }
    if let Some(statement) = one_statement::<S>(&signed(S::TYPE, data)) {
        assert_eq!(canonical::to_vec(statement.statement()).unwrap(), data, "a statement that is not canonical");
    }
}

fn one_statement<S: Statement + PartialEq + std::fmt::Debug>(envelope: &Envelope) -> Option<Verified<S>> {
    let verified = Verified::<S>::verify(envelope.clone(), &ONE.card).ok()?;
    assert_eq!(verified.statement().signer(), ONE.card.cert_id());
    assert_eq!(peek::<S>(envelope).as_ref().ok(), Some(verified.statement()));
    assert!(Verified::<S>::verify(envelope.clone(), &TWO.card).is_err(), "it is another's as well");
    Some(verified)
}

/// Releases. An input is a signature (64 bytes), how many content ids follow (2, big-endian), these, and the manifest.
pub fn release(data: &[u8]) {
    let Some(read) = read_release(data) else { return };
    let _ = read.clone().verify(&ONE.card, now()).map(|release| assert_eq!(release.signed(), &read));
    let signature = ONE.signing.sign(RELEASE_TYPE, &read.manifest);
    let read = SignedRelease { signature, ..read };
    if let Ok(release) = read.clone().verify(&ONE.card, now()) {
        let manifest: &Manifest = release.manifest();
        assert_eq!(canonical::to_vec(manifest).unwrap(), read.manifest, "a manifest that is not canonical");
        assert_eq!((manifest.origin, release.id()), (ONE.card.cert_id(), read.id()));
        assert_eq!(release.contents().len(), usize::try_from(manifest.objects).unwrap());
        assert!(manifest.recipients.len() <= RECIPIENTS_MAX);
        assert!(manifest.kind != Kind::Withdraw || manifest.objects == 1);
        assert!(read.verify(&TWO.card, now()).is_err(), "it is another's as well");
    }
}

fn read_release(data: &[u8]) -> Option<SignedRelease> {
    let (signature, rest) = data.split_first_chunk::<64>()?;
    let (count, rest) = rest.split_first_chunk::<2>()?;
    let (contents, manifest) = rest.split_at_checked(32 * usize::from(u16::from_be_bytes(*count)))?;
    let contents = contents.as_chunks::<32>().0.iter().copied().map(ContentId::from_bytes).collect();
    Some(SignedRelease { manifest: manifest.to_vec(), signature: Signature::from_bytes(*signature), contents })
}

/// Notices: what is read names something and can be written again.
pub fn notice(data: &[u8]) {
    let Ok(notice) = Notice::from_bytes(data) else { return };
    assert!(!notice.contents.is_empty());
    let body = notice.to_body(now()).unwrap();
    assert_eq!(Notice::from_bytes(body.bytes()).unwrap(), notice);
}

/// Evidence: what verifies is against its accused and nobody else, and is written as it was read.
pub fn evidence(data: &[u8]) {
    let Ok(evidence) = Evidence::from_json(data) else { return };
    if let Ok(verified) = evidence.clone().verify(&ONE.card) {
        assert_eq!(verified.evidence().accused, ONE.card.cert_id());
        assert_eq!(verified.to_json().unwrap().trim_ascii(), data.trim_ascii());
        assert!(!verified.name().unwrap().contains(['/', '.']));
    }
    assert!(evidence.verify(&TWO.card).is_err(), "nobody has accused this CERT");
}
