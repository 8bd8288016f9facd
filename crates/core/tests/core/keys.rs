//! Keys: what no honest generator draws.

use mithaq_core::{
    card::{CardDetails, CardError, VerifiedCard},
    dsse::Envelope,
    keys::{PublicKey, Signature},
};

use crate::cast::{cert, dated, details, key};

/// The neutral element of the curve: the signature of a zero scalar and the same point fits whatever was signed.
const NEUTRAL: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

#[test]
fn keys_under_which_anyone_can_sign_are_told() {
    let mut signature = [0; 64];
    signature[0] = 1;
    let everything = Signature::from_bytes(signature);
    let weak = PublicKey::from_bytes(NEUTRAL);
    let fits = weak.verify("type", b"whatever", &everything).is_ok();
    assert!(!fits || weak.is_weak(), "the library accepts it, so it must be told");

    let mut negative = NEUTRAL;
    negative[31] |= 0x80;
    for bytes in [[0; 32], NEUTRAL, negative] {
        assert!(PublicKey::from_bytes(bytes).is_weak());
    }
    for seed in 0..=255 {
        assert!(!key(seed).public().is_weak());
    }
}

#[test]
fn no_card_names_such_a_key() {
    let mut weak = dated(&key(1));
    weak.public = PublicKey::from_bytes(NEUTRAL);
    let refused = |details: CardDetails| {
        let error = VerifiedCard::sign(&key(1), details).unwrap_err();
        assert!(matches!(error, CardError::Field { .. }), "{error}");
    };
    refused(CardDetails { signing_keys: vec![weak.clone()], ..details(1) });
    refused(CardDetails { tls_keys: vec![weak.clone()], ..details(1) });

    let text = String::from_utf8(cert(1).card.envelope().open(mithaq_core::card::CARD_TYPE).unwrap().0).unwrap();
    let forged = text.replace(&cert(1).root.public().to_string(), &weak.public.to_string());
    assert_ne!(text, forged);
    let mut signature = [0; 64];
    signature[0] = 1;
    let signature = Signature::from_bytes(signature);
    let envelope = Envelope::new(mithaq_core::card::CARD_TYPE, forged.as_bytes(), &[(weak.public.id(), signature)]);
    assert!(VerifiedCard::verify(envelope).is_err());
}
