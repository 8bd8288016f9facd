//! Cards: signed by their own root, whole, and within their limits.

use mithaq_core::{
    canonical,
    card::{
        CARD_LIST_MAX, CARD_TEXT_BYTES_MAX, CARD_TYPE, CardDetails, CardDraft, CardError, RevokedKey, Succession,
        SuccessionError, VerifiedCard,
    },
    dsse::{ENVELOPE_BYTES_MAX, Envelope, EnvelopeError, SIGNATURES_MAX},
    keys::{SecretKey, Suite},
};
use serde_json::Value;

use crate::cast::{Cert, cert, dated, details, key, now, time};

#[test]
fn a_card_survives_its_journey() {
    let ours = cert(1);
    let read = VerifiedCard::from_json(&ours.card.envelope().to_json()).unwrap();
    assert_eq!(read, ours.card);
    assert_eq!(read.cert_id(), ours.root.public().cert_id());
}

#[test]
fn a_flipped_byte_is_refused_or_changes_nothing() {
    let ours = cert(1).card;
    let text = ours.envelope().to_json();
    for at in 0..text.len() {
        for flip in [0x01, 0x02, 0x20, 0x80] {
            let mut changed = text.clone();
            changed[at] ^= flip;
            if let Ok(card) = VerifiedCard::from_json(&changed) {
                assert_eq!(card.card(), ours.card(), "byte {at}");
                assert_eq!(card.cert_id(), ours.cert_id(), "byte {at}");
            }
        }
    }
}

/// The card of CERT 1 with `field` as `value`, signed by `signers`.
fn forged(field: &str, value: Value, signers: &[&SecretKey]) -> Result<VerifiedCard, CardError> {
    let (payload, _) = cert(1).card.envelope().open(CARD_TYPE).unwrap();
    let mut card: Value = serde_json::from_slice(&payload).unwrap();
    card[field] = value;
    let payload = canonical::to_vec(&card).unwrap();
    let signatures: Vec<_> =
        signers.iter().map(|signer| (signer.public().id(), signer.sign(CARD_TYPE, &payload))).collect();
    VerifiedCard::verify(Envelope::new(CARD_TYPE, &payload, &signatures))
}

#[test]
fn only_the_root_signs_and_it_signs_alone() {
    let Cert { root, signing, .. } = cert(1);
    let serial = |signers: &[&SecretKey]| forged("serial", 2.into(), signers);
    assert_eq!(serial(&[&root]).unwrap().card().serial, 2);
    let cases: [&[&SecretKey]; 6] =
        [&[], &[&signing], &[&key(2)], &[&root, &key(2)], &[&key(2), &root], &[&root, &root]];
    for signers in cases {
        assert!(matches!(serial(signers), Err(CardError::Signature)), "{signers:?}");
    }
}

#[test]
fn a_signature_stands_under_the_key_that_made_it() {
    let Cert { root, card, .. } = cert(1);
    let (payload, signatures) = card.envelope().open(CARD_TYPE).unwrap();
    let renamed = (key(2).public().id(), signatures[0].1);
    assert_ne!(renamed.0, root.public().id());
    let result = VerifiedCard::verify(Envelope::new(CARD_TYPE, &payload, &[renamed]));
    assert!(matches!(result, Err(CardError::Signature)));
}

#[test]
fn a_signature_of_another_type_does_not_fit() {
    let Cert { root, card, .. } = cert(1);
    let (payload, _) = card.envelope().open(CARD_TYPE).unwrap();
    let other = root.sign("application/vnd.mithaq.agreement+json;version=1", &payload);
    let envelope = Envelope::new(CARD_TYPE, &payload, &[(root.public().id(), other)]);
    assert!(matches!(VerifiedCard::verify(envelope), Err(CardError::Signature)));
}

/// Checks that a card with this field is refused, whoever made it, or taken.
fn check(field: &str, value: impl Into<Value>, expect: bool) {
    let value = value.into();
    let result = forged(field, value.clone(), &[&cert(1).root]);
    assert_eq!(result.is_ok(), expect, "{field} = {value}: {result:?}");
    if let Err(error) = result {
        let shown = format!("{error} {:?}", std::error::Error::source(&error).map(ToString::to_string));
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }
}

#[test]
fn texts_have_limits_and_no_control_or_bidi_characters() {
    check("name", "Pakistan's NCERT · قومی سرٹ", true);
    check("name", "می\u{200c}خواهم", true);
    check("name", "x".repeat(CARD_TEXT_BYTES_MAX), true);
    check("name", "x".repeat(CARD_TEXT_BYTES_MAX + 1), false);
    for text in ["", "a\u{1b}[2J", "a\nb", "\u{9b}1m", "a\u{202e}b", "\u{200f}a", "\u{61c}a", "\u{2069}", "a\u{2028}b"]
    {
        check("name", text, false);
    }
    check("contacts", vec!["a\u{7}"], false);
    check("contacts", vec!["x"; CARD_LIST_MAX], true);
    check("contacts", vec!["x"; CARD_LIST_MAX + 1], false);
    for text in ["pk", "PAK", "P", "", "P1", "ПК"] {
        check("country", text, false);
    }
}

#[test]
fn endpoints_are_hosts_and_ports() {
    for text in ["cert.example:4433", "192.0.2.1:1", "[2001:db8::1]:65535", "xn--ls8h.example:443", "host_1:443"] {
        check("endpoints", vec![text], true);
    }
    for text in [
        "",
        ":443",
        "cert.example",
        "cert.example:",
        "cert.example:0",
        "cert.example:65536",
        "cert.example:+443",
        "cert.example: 443",
        "a b:443",
        "a/b:443",
        "user@host:443",
        "2001:db8::1:443",
        "[cert.example]:443",
        "[::1:443",
        "قومی.example:443",
        "a\u{0}b:443",
    ] {
        check("endpoints", vec![text], false);
    }
    check("endpoints", vec!["a:1"; CARD_LIST_MAX + 1], false);
}

#[test]
fn other_fields_have_their_limits() {
    check("schema", "mithaq-card/2", false);
    check("unknown", 1, false);
    check("identities", vec!["indicator--23054300-4dc0-4667-aee5-0689c0ce7b0b"], false);
    check("identities", vec!["identity--nonsense"], false);
    check("serial", -1, false);
    check("serial", 9_007_199_254_740_991_u64, true);
    check("signing_keys", Vec::<Value>::new(), false);
    check("tls_keys", Vec::<Value>::new(), false);
    let key_of = |suite: &str, from: &str, until: &str| serde_json::json!([{ "suite": suite, "public": key(9).public(), "not_before": from, "not_after": until }]);
    let (early, late) = ("2026-01-01T00:00:00.000000Z", "2027-01-01T00:00:00.000000Z");
    check("signing_keys", key_of("ed25519", early, late), true);
    check("signing_keys", key_of("ed25519", late, early), false);
    check("tls_keys", key_of("ed25519", late, early), false);
    check("signing_keys", key_of("none", early, late), false);
    check("signing_keys", key_of("Ed25519", early, late), false);
}

#[test]
fn the_largest_card_still_travels() {
    let text = "\"".repeat(CARD_TEXT_BYTES_MAX);
    let seeds = 0..u8::try_from(CARD_LIST_MAX).unwrap();
    let card = CardDetails {
        name: text.clone(),
        contacts: vec![text; CARD_LIST_MAX],
        signing_keys: seeds.clone().map(|seed| dated(&key(seed))).collect(),
        tls_keys: seeds.map(|seed| dated(&key(seed))).collect(),
        revoked_keys: revoked(&(100..).take(CARD_LIST_MAX).collect::<Vec<u8>>(), "2026-06-01T00:00:00Z"),
        identities: (0..CARD_LIST_MAX).map(|n| format!("identity--00000000-0000-4000-8000-{n:012}")).collect(),
        endpoints: vec![format!("{}:65535", "h".repeat(CARD_TEXT_BYTES_MAX - 6)); CARD_LIST_MAX],
        ..details(1)
    };
    let card = VerifiedCard::sign(&key(1), card).unwrap();
    assert!(VerifiedCard::from_json(&card.envelope().to_json()).is_ok());
}

#[test]
fn envelopes_have_limits() {
    let text = vec![b' '; ENVELOPE_BYTES_MAX + 1];
    assert!(matches!(Envelope::from_json(&text), Err(EnvelopeError::TooLarge { .. })));
    let signature = (key(1).public().id(), key(1).sign("a", b""));
    let envelope = Envelope::new("a", b"", &vec![signature; SIGNATURES_MAX + 1]);
    assert!(matches!(envelope.open("a"), Err(EnvelopeError::TooManySignatures { .. })));
    let envelope = Envelope::new("a", &vec![0; ENVELOPE_BYTES_MAX], &[]);
    assert!(matches!(envelope.open("a"), Err(EnvelopeError::TooLarge { .. })));
    let error = Envelope::from_json(br#"{"\u001b[2J":1}"#).unwrap_err();
    assert!(!error.to_string().chars().any(char::is_control), "{error}");
    let twice = br#"{"payload":"","payload":"AA==","payloadType":"a","signatures":[]}"#;
    assert!(matches!(Envelope::from_json(twice), Err(EnvelopeError::Shape(_))));
}

#[test]
fn keys_count_for_their_suite_and_time_alone() {
    let ours = cert(1);
    let id = ours.signing.public().id();
    let check = |at: &str, expect: bool| {
        let found = ours.card.signing_key(id, Suite::Ed25519, time(at));
        assert_eq!(found.is_some(), expect, "{at}");
        let found = ours.card.has_tls_key(key(201).public(), time(at));
        assert_eq!(found, expect, "{at}");
    };
    check("2025-12-31T23:59:59.999999Z", false);
    check("2026-01-01T00:00:00Z", true);
    check("2027-01-01T00:00:00Z", true);
    check("2027-01-01T00:00:00.000001Z", false);
    let root = ours.root.public();
    assert!(ours.card.signing_key(root.id(), Suite::Ed25519, now()).is_none());
    assert!(!ours.card.has_tls_key(ours.signing.public(), now()));
}

fn revoked(seeds: &[u8], since: &str) -> Vec<RevokedKey> {
    let mut revoked: Vec<_> =
        seeds.iter().map(|seed| RevokedKey { key: key(*seed).public().id(), since: time(since) }).collect();
    revoked.sort_by_key(|revoked| revoked.key);
    revoked
}

#[test]
fn a_revoked_key_counts_until_it_was_revoked_and_not_from_then_on() {
    let since = "2026-06-01T00:00:00Z";
    let details = CardDetails { revoked_keys: revoked(&[101, 201, 77], since), ..details(1) };
    let card = VerifiedCard::sign(&key(1), details).unwrap();
    let check = |at: &str, expect: bool| {
        let signing = card.signing_key(key(101).public().id(), Suite::Ed25519, time(at));
        assert_eq!(signing.is_some(), expect, "{at}");
        assert_eq!(card.has_tls_key(key(201).public(), time(at)), expect, "{at}");
    };
    check("2025-12-31T23:59:59.999999Z", false);
    check("2026-01-01T00:00:00Z", true);
    check("2026-05-31T23:59:59.999999Z", true);
    check(since, false);
    check("2027-01-01T00:00:00Z", false);
    assert_eq!(card.card().revoked_since(key(77).public().id()), Some(time(since)), "though it is named nowhere else");
    assert_eq!(card.card().revoked_since(key(78).public().id()), None);
}

#[test]
fn revoked_keys_have_their_limits() {
    let value = |keys: &[RevokedKey]| serde_json::to_value(keys).unwrap();
    let ascending = revoked(&[5, 6], "2026-06-01T00:00:00Z");
    let descending: Vec<_> = ascending.iter().rev().copied().collect();
    check("revoked_keys", value(&ascending), true);
    check("revoked_keys", value(&descending), false);
    check("revoked_keys", value(&[ascending[0], ascending[0]]), false);
    check("revoked_keys", value(&revoked(&[1], "2026-06-01T00:00:00Z")), false);
    let seeds: Vec<u8> = (10..).take(CARD_LIST_MAX + 1).collect();
    check("revoked_keys", value(&revoked(&seeds[1..], "2026-06-01T00:00:00Z")), true);
    check("revoked_keys", value(&revoked(&seeds, "2026-06-01T00:00:00Z")), false);
    // A list that says nothing is not written, so that a card has one form.
    check("revoked_keys", Vec::<Value>::new(), false);
    check("revoked_keys", serde_json::json!([{ "key": key(5).public().id() }]), false);
}

#[test]
fn a_card_follows_an_older_one_of_the_same_root() {
    let card = |root: u8, serial: u64, name: &str| {
        VerifiedCard::sign(&key(root), CardDetails { serial, name: name.into(), ..details(1) }).unwrap()
    };
    let held = card(1, 5, "held");
    let check = |found: &VerifiedCard, expect: Result<Succession, SuccessionError>| {
        assert_eq!(found.succeeds(&held), expect, "{:?}", found.card());
    };
    let (us, them) = (held.cert_id(), card(2, 1, "held").cert_id());
    check(&card(1, 6, "held"), Ok(Succession::Newer));
    check(&card(1, 9_007_199_254_740_991, "other"), Ok(Succession::Newer));
    check(&card(1, 5, "held"), Ok(Succession::Same));
    check(&card(1, 4, "held"), Err(SuccessionError::Rollback { held: 5, found: 4 }));
    check(&card(1, 0, "other"), Err(SuccessionError::Rollback { held: 5, found: 0 }));
    check(&card(1, 5, "other"), Err(SuccessionError::Equivocation { serial: 5 }));
    for serial in [4, 5, 6] {
        check(&card(2, serial, "held"), Err(SuccessionError::OtherRoot { held: us, found: them }));
    }
}

#[test]
fn a_draft_is_signed_by_its_root_key_alone_and_gives_the_same_card() {
    let (root, draft) = (key(1), CardDraft::new(key(1).public(), details(1)).unwrap());
    let text = draft.to_json().unwrap();
    let (payload, _) = cert(1).card.envelope().open(CARD_TYPE).unwrap();
    assert_eq!(text.trim_ascii_end(), payload, "what is signed is what was drafted");
    let read = CardDraft::from_json(&text).unwrap();
    assert_eq!((&read, read.cert_id()), (&draft, cert(1).card.cert_id()));
    assert!(matches!(read.clone().sign(&key(2)), Err(CardError::Root { .. })));
    assert_eq!(read.sign(&root).unwrap(), cert(1).card);
    assert!(CardDraft::new(root.public(), CardDetails { name: String::new(), ..details(1) }).is_err());
}

#[test]
fn a_draft_has_one_form_and_keeps_the_limits_of_a_card() {
    let draft = CardDraft::new(key(1).public(), details(1)).unwrap();
    let text = draft.to_json().unwrap();
    let spaced = String::from_utf8(text.clone()).unwrap().replacen(':', ": ", 1);
    assert!(matches!(CardDraft::from_json(spaced.as_bytes()), Err(CardError::Card(_))));
    assert!(matches!(CardDraft::from_json(&vec![b' '; ENVELOPE_BYTES_MAX + 1]), Err(CardError::Envelope(_))));
    for at in 0..text.len() {
        for flip in [0x01, 0x02, 0x20, 0x80] {
            let mut changed = text.clone();
            changed[at] ^= flip;
            // Whatever is still a draft says something else, or differs in the white space after it alone.
            if let Ok(read) = CardDraft::from_json(&changed) {
                let same_text = changed.trim_ascii() == text.trim_ascii();
                assert_eq!(read == draft, same_text, "byte {at}");
            }
        }
    }
}
