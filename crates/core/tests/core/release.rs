//! Releases: whatever is not exactly what the origin signed is refused.

use mithaq_core::{
    canonical,
    card::{CardDetails, RevokedKey, VerifiedCard},
    id::ContentId,
    keys::Signature,
    label::{Category, LABEL_SECTORS_BYTES_MAX, LABEL_SET_MAX, Label},
    release::{
        CLOCK_SKEW_MAX, MANIFEST_BYTES_MAX, RELEASE_OBJECTS_MAX, RELEASE_TYPE, ReleaseDraft, ReleaseError,
        SignedManifest, SignedRelease, VerifiedRelease,
    },
    stix::Tlp,
};
use serde_json::{Value, json};
use std::time::Duration;

use crate::cast::{MARKING, cert, dated, details, key, now, time};

fn contents(count: usize) -> Vec<ContentId> {
    (0..count).map(|n| ContentId::of(&n.to_be_bytes())).collect()
}

fn label() -> Label {
    Label::new(Tlp::Green, Category::Threat)
}

fn sign(count: usize) -> Result<VerifiedRelease, ReleaseError> {
    let origin = cert(1);
    VerifiedRelease::sign(
        origin.card.cert_id(),
        &origin.signing,
        ReleaseDraft::publish(label(), contents(count), now()),
    )
}

fn release() -> SignedRelease {
    sign(3).unwrap().signed().clone()
}

fn verify(release: SignedRelease) -> Result<VerifiedRelease, ReleaseError> {
    release.verify(&cert(1).card, now())
}

/// The release whose manifest was changed by `change` and then signed again by the origin itself.
fn signed_anew(change: impl FnOnce(&mut Value)) -> SignedRelease {
    let mut release = release();
    let mut manifest: Value = serde_json::from_slice(&release.manifest).unwrap();
    change(&mut manifest);
    release.manifest = canonical::to_vec(&manifest).unwrap();
    release.signature = cert(1).signing.sign(RELEASE_TYPE, &release.manifest);
    release
}

#[test]
fn what_the_origin_signed_is_what_the_peer_verifies() {
    let ours = sign(3).unwrap();
    let theirs = verify(ours.signed().clone()).unwrap();
    assert_eq!(theirs, ours);
    assert_eq!(theirs.id(), ours.signed().id());
    assert_eq!(theirs.manifest().objects, 3);
    assert!(theirs.contents().is_sorted_by(|a, b| a < b));
}

#[test]
fn every_flipped_byte_of_manifest_and_signature_is_refused() {
    let good = release();
    for at in 0..good.manifest.len() {
        for flip in [0x01, 0x02, 0x20, 0x80] {
            let mut changed = good.clone();
            changed.manifest[at] ^= flip;
            assert!(verify(changed).is_err(), "manifest byte {at}");
        }
    }
    for at in 0..64 {
        let mut bytes = *good.signature.as_bytes();
        bytes[at] ^= 1;
        let signature = Signature::from_bytes(bytes);
        let changed = SignedRelease { signature, ..good.clone() };
        assert!(matches!(verify(changed), Err(ReleaseError::Signature)), "signature byte {at}");
    }
}

#[test]
fn contents_are_those_that_were_signed() {
    let check = |change: fn(&mut Vec<ContentId>), expect: fn(&ReleaseError) -> bool| {
        let mut release = release();
        change(&mut release.contents);
        let error = verify(release).unwrap_err();
        assert!(expect(&error), "{error}");
    };
    let count = |error: &ReleaseError| matches!(error, ReleaseError::Count { .. });
    let order = |error: &ReleaseError| matches!(error, ReleaseError::Order);
    let tree = |error: &ReleaseError| matches!(error, ReleaseError::Tree);
    check(|contents| contents.truncate(2), count);
    check(Vec::clear, count);
    check(|contents| contents.push(ContentId::from_bytes([0xff; 32])), count);
    check(|contents| contents.swap(0, 1), order);
    check(|contents| contents.reverse(), order);
    check(|contents| contents[1] = contents[0], order);
    check(|contents| contents[2] = ContentId::from_bytes([0xff; 32]), tree);
    check(|contents| contents[0] = ContentId::from_bytes([0; 32]), tree);
}

#[test]
fn contents_may_follow_the_manifest() {
    let SignedRelease { manifest, signature, contents } = release();
    let manifest = SignedManifest { manifest, signature }.verify(&cert(1).card, now()).unwrap();
    assert_eq!(manifest.with_contents(contents.clone()).unwrap(), sign(3).unwrap());
    assert!(manifest.check_count(3).is_ok());
    for count in [0, 2, 4, RELEASE_OBJECTS_MAX + 1] {
        assert!(matches!(manifest.check_count(count), Err(ReleaseError::Count { .. })), "{count}");
    }
    let mut others = contents;
    let mut bytes = *others[1].as_bytes();
    bytes[31] ^= 1;
    others[1] = ContentId::from_bytes(bytes);
    assert!(matches!(manifest.with_contents(others), Err(ReleaseError::Tree)));
}

#[test]
fn a_release_has_one_to_a_thousand_objects() {
    assert!(matches!(sign(0), Err(ReleaseError::Count { .. })));
    assert!(matches!(sign(RELEASE_OBJECTS_MAX + 1), Err(ReleaseError::Count { .. })));
    let full = sign(RELEASE_OBJECTS_MAX).unwrap();
    assert!(verify(full.signed().clone()).is_ok());

    let mut empty = signed_anew(|manifest| manifest["objects"] = json!(0));
    empty.contents.clear();
    assert!(matches!(verify(empty), Err(ReleaseError::Count { .. })));
    let mut long = signed_anew(|manifest| manifest["objects"] = json!(RELEASE_OBJECTS_MAX + 1));
    long.contents = contents(RELEASE_OBJECTS_MAX + 1);
    long.contents.sort_unstable();
    assert!(matches!(verify(long), Err(ReleaseError::Count { .. })));
    let lying = signed_anew(|manifest| manifest["objects"] = json!(u32::MAX));
    assert!(matches!(verify(lying), Err(ReleaseError::Count { .. })));
}

#[test]
fn contents_are_signed_once_each_and_in_order() {
    let origin = cert(1);
    let mut twice = contents(5);
    twice.reverse();
    twice.extend(contents(5));
    let signed =
        VerifiedRelease::sign(origin.card.cert_id(), &origin.signing, ReleaseDraft::publish(label(), twice, now()))
            .unwrap();
    assert_eq!(signed.id(), sign(5).unwrap().id());
}

#[test]
fn a_manifest_has_one_shape() {
    let check = |change: fn(&mut Value), expect: fn(&ReleaseError) -> bool| {
        let error = verify(signed_anew(change)).unwrap_err();
        assert!(expect(&error), "{error}");
    };
    let shape = |error: &ReleaseError| matches!(error, ReleaseError::Manifest(_));
    let label = |error: &ReleaseError| matches!(error, ReleaseError::Label(_));
    assert!(verify(signed_anew(|_| {})).is_ok());
    check(
        |manifest| manifest["schema"] = json!("mithaq-release/2"),
        |error| matches!(error, ReleaseError::Schema { .. }),
    );
    check(|manifest| manifest["unknown"] = json!(1), shape);
    check(|manifest| manifest["suite"] = json!("none"), shape);
    check(|manifest| manifest["kind"] = json!("withdraw-everything"), shape);
    check(|manifest| manifest["objects"] = json!(-3), shape);
    check(|manifest| manifest["objects"] = json!(3.5), shape);
    check(|manifest| manifest["objects"] = json!(u64::from(u32::MAX) + 1), shape);
    check(|manifest| manifest["published_at"] = json!("2026-06-01T12:00:00Z"), shape);
    check(|manifest| manifest["label"]["tlp"] = json!("purple"), shape);
    check(|manifest| manifest["label"]["tlp"] = json!("white"), shape);
    check(|manifest| manifest["label"]["categories"] = json!([]), label);
    check(|manifest| manifest["label"]["categories"] = json!(["all"]), shape);
    check(|manifest| manifest["label"]["categories"] = json!(["threat", "threat"]), shape);
    check(|manifest| manifest["label"]["sectors"] = json!(["a\u{1b}[2J"]), label);
    check(|manifest| manifest["label"]["sectors"] = json!(["x".repeat(251)]), label);
    check(|manifest| manifest["label"]["markings"] = json!(["indicator--fa42a846-8d90-4e51-bc29-71d5b4802168"]), label);
    check(
        |manifest| manifest["label"]["markings"] = json!(["marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"]),
        label,
    );
    check(|manifest| drop(manifest.as_object_mut().unwrap().remove("tree")), shape);
}

#[test]
fn a_manifest_that_is_too_large_is_not_read() {
    let manifest = vec![b' '; MANIFEST_BYTES_MAX + 1];
    let error = verify(SignedRelease { manifest, ..release() }).unwrap_err();
    assert!(matches!(error, ReleaseError::ManifestTooLarge { .. }), "{error}");
}

#[test]
fn every_label_within_its_limits_fits_into_a_manifest() {
    let origin = cert(1);
    let mut widest = label();
    widest.categories = Category::ALL.into();
    let sector_bytes = LABEL_SECTORS_BYTES_MAX / LABEL_SET_MAX;
    widest.sectors = (0..LABEL_SET_MAX).map(|n| format!("{n:02}{}", "\"".repeat(sector_bytes - 2))).collect();
    widest.markings =
        (0..LABEL_SET_MAX).map(|n| format!("marking-definition--00000000-0000-4000-8000-{n:012}")).collect();
    let sign = |label: &Label| {
        VerifiedRelease::sign(
            origin.card.cert_id(),
            &origin.signing,
            ReleaseDraft::publish(label.clone(), contents(1), now()),
        )
    };
    assert!(verify(sign(&widest).unwrap().signed().clone()).is_ok());

    let mut longer = widest.clone();
    let last = longer.sectors.pop_last().unwrap();
    longer.sectors.insert(last + "x");
    assert!(matches!(sign(&longer), Err(ReleaseError::Label(_))));
    let mut more = widest.clone();
    more.markings.insert(MARKING.to_owned());
    assert!(matches!(sign(&more), Err(ReleaseError::Label(_))));
}

#[test]
fn a_release_is_of_the_origin_whose_card_is_at_hand() {
    let error = release().verify(&cert(2).card, now()).unwrap_err();
    assert!(matches!(error, ReleaseError::Origin { .. }), "{error}");
    let error = verify(signed_anew(|manifest| manifest["origin"] = json!(cert(2).card.cert_id()))).unwrap_err();
    assert!(matches!(error, ReleaseError::Origin { .. }), "{error}");
}

/// Verifies a release of `published_at`, signed by the key of `seed`, against a card with these dates.
fn check_key(seed: u8, published_at: &str, at: &str, expect: Result<(), &str>) {
    let origin = cert(1);
    let signed = VerifiedRelease::sign(
        origin.card.cert_id(),
        &key(seed),
        ReleaseDraft::publish(label(), contents(1), time(published_at)),
    );
    let signed = signed.unwrap().signed().clone();
    let result = signed.verify(&origin.card, time(at)).map(drop).map_err(|error| match error {
        ReleaseError::Key { .. } => "key",
        ReleaseError::Future { .. } => "future",
        _ => "other",
    });
    assert_eq!(result, expect, "{seed} {published_at} {at}");
}

#[test]
fn a_key_counts_only_while_the_card_says_so() {
    // The card's key is that of seed 101, valid in 2026.
    let year = "2028-01-01T00:00:00Z";
    check_key(101, "2026-01-01T00:00:00Z", year, Ok(()));
    check_key(101, "2027-01-01T00:00:00Z", year, Ok(()));
    check_key(101, "2025-12-31T23:59:59.999999Z", year, Err("key"));
    check_key(101, "2027-01-01T00:00:00.000001Z", year, Err("key"));
    check_key(1, "2026-06-01T00:00:00Z", year, Err("key"));
    check_key(102, "2026-06-01T00:00:00Z", year, Err("key"));
    check_key(201, "2026-06-01T00:00:00Z", year, Err("key"));
}

#[test]
fn a_release_is_dated_at_most_five_minutes_ahead() {
    check_key(101, "2026-06-01T12:05:00Z", "2026-06-01T12:00:00Z", Ok(()));
    check_key(101, "2026-06-01T12:05:00.000001Z", "2026-06-01T12:00:00Z", Err("future"));
    check_key(101, "2026-06-01T12:00:00Z", "1970-01-01T00:00:00Z", Err("future"));
    assert_eq!(CLOCK_SKEW_MAX, Duration::from_secs(300));
}

#[test]
fn a_key_that_the_card_dropped_signs_nothing_whatever_the_date() {
    let rotated = CardDetails { serial: 2, signing_keys: vec![dated(&key(150))], ..details(1) };
    let card = VerifiedCard::sign(&key(1), rotated).unwrap();
    assert!(matches!(release().verify(&card, now()), Err(ReleaseError::Key { .. })));
}

#[test]
fn a_release_of_a_revoked_key_is_told_from_one_of_an_unknown_key() {
    let dated_at = release().stored_manifest().unwrap().published_at;
    let check = |since: &str, is_named: bool, expect: &str| {
        let revoked = RevokedKey { key: key(101).public().id(), since: time(since) };
        let named = if is_named { vec![dated(&key(101))] } else { vec![dated(&key(150))] };
        let details = CardDetails { serial: 2, signing_keys: named, revoked_keys: vec![revoked], ..details(1) };
        let card = VerifiedCard::sign(&key(1), details).unwrap();
        let result = release().verify(&card, now());
        let found = match &result {
            Ok(_) => "good",
            Err(ReleaseError::Revoked { key: id, since, at }) => {
                assert_eq!((*id, *since, *at), (revoked.key, revoked.since, dated_at));
                "revoked"
            }
            Err(ReleaseError::Key { .. }) => "unknown",
            Err(_) => "other",
        };
        assert_eq!(found, expect, "{since} {is_named}");
    };
    let just_after = mithaq_core::time::Time::from_micros(dated_at.as_micros() + 1).to_string();
    check(&just_after, true, "good");
    check(&dated_at.to_string(), true, "revoked");
    check("1970-01-01T00:00:00Z", true, "revoked");
    check(&just_after, false, "unknown");
    check(&dated_at.to_string(), false, "revoked");
}
