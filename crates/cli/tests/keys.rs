//! Keys that come and go, here and with the root key on another machine.
#![allow(clippy::unwrap_used)]

mod support;

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use mithaq_api::home::{Home, HomeError, KeyName, read_card};
use mithaq_core::{card::VerifiedCard, code::Code, keys::SecretKey, time::Time};
use serde_json::Value;
use support::{Cert, Pair};

fn now() -> Time {
    let micros = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_micros();
    Time::from_micros(i64::try_from(micros).unwrap())
}

fn current(home: &Home, name: KeyName, at: Time) -> std::sync::Arc<SecretKey> {
    home.current_key(&home.card().unwrap(), name, at).unwrap()
}

/// The keys of `mithaq key list`, those of one use.
fn listed(cert: &Cert, kind: &str) -> Vec<(String, String)> {
    let out = cert.ok(&["key", "list", "--json"]);
    let lines = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let text = |line: &Value, field: &str| line[field].as_str().unwrap().to_owned();
    lines.filter(|line| line["use"] == kind).map(|line| (text(&line, "key"), text(&line, "state"))).collect()
}

fn states(cert: &Cert, kind: &str) -> Vec<String> {
    listed(cert, kind).into_iter().map(|(_, state)| state).collect()
}

fn mode(path: impl AsRef<Path>) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_rotation_names_old_and_new_keys_and_the_new_ones_take_over_by_themselves() {
    let cert = Cert::new("CNCERT", "CN");
    let (home, before) = (cert.home(), cert.home().card().unwrap());
    let (signing, tls) = (current(&home, KeyName::Signing, now()), current(&home, KeyName::Tls, now()));
    let out = cert.ok(&["key", "rotate", "--overlap", "10", "--json"]);
    assert!(out.contains(r#""serial":2"#) && out.contains(r#""reloaded":false"#), "{out}");
    let after = home.card().unwrap();
    assert!(after.succeeds(&before).is_ok());
    assert_eq!(states(&cert, "signing"), ["used", "next"]);
    assert_eq!(states(&cert, "tls"), ["used", "next"]);
    let day = |days: i64| Time::from_micros(now().as_micros() + days * 86_400_000_000);
    for (name, old) in [(KeyName::Signing, signing), (KeyName::Tls, tls)] {
        assert_eq!(current(&home, name, day(4)).public(), old.public(), "peers still learn of the new card");
        let fresh = current(&home, name, day(6)).public();
        assert_ne!(fresh, old.public());
        assert_eq!(current(&home, name, day(300)).public(), fresh);
        assert_eq!(mode(home.key_path_of(name, fresh.id())), 0o600);
    }
    let old_tls = before.card().tls_keys[0].public;
    assert!(after.has_tls_key(old_tls, day(9)) && !after.has_tls_key(old_tls, day(11)));
}

#[test]
fn a_rotation_of_one_kind_leaves_the_other_alone_and_can_be_repeated() {
    let cert = Cert::new("CNCERT", "CN");
    let before = cert.home().card().unwrap();
    cert.ok(&["key", "rotate", "--only", "signing", "--overlap", "0"]);
    assert_eq!(states(&cert, "signing"), ["old", "used"]);
    let after = cert.home().card().unwrap();
    assert_eq!(after.card().tls_keys, before.card().tls_keys);
    for serial in 3..6 {
        cert.ok(&["key", "rotate", "--overlap", "0"]);
        assert_eq!(cert.home().card().unwrap().card().serial, serial);
    }
    assert_eq!(states(&cert, "signing").last().unwrap(), "used");
    assert_eq!(states(&cert, "signing").len(), 5, "old signing keys stay for the sake of what they signed");
}

#[test]
fn an_agreement_goes_on_and_the_new_key_signs_the_next_one() {
    let pair = Pair::signed();
    pair.pk.ok(&["peer", "verify", "qa", "--agreement", &pair.pact, "--groups", &pair.groups()]);
    pair.pk.ok(&["peer", "activate", "qa", "--agreement", &pair.pact]);
    pair.pk.ok(&["key", "rotate", "--overlap", "0"]);
    assert!(pair.pk.home().peer("qa").unwrap().agreement.is_some());
    let next = pair.pk.file("next.json");
    pair.pk.ok(&["agreement", "new", "--peer", "qa", "--out", &next]);
    pair.pk.ok(&["agreement", "sign", &next, "--yes"]);
    let shown = pair.qa.run(&["agreement", "show", &next, "--json"]);
    assert!(!shown.out.contains(r#""signature":"fits""#), "they do not know the new key yet: {}", shown.out);
    pair.pk.ok(&["card", "export", "--out", &pair.pk.file("card-2.json")]);
    pair.qa.ok(&["peer", "update", "pk", &pair.pk.file("card-2.json")]);
    let shown = pair.qa.ok(&["agreement", "show", &next, "--json"]);
    assert!(shown.contains(r#""signature":"fits""#), "{shown}");
}

#[test]
fn a_revoked_key_is_replaced_at_once() {
    let cert = Cert::new("CNCERT", "CN");
    let (key, _) = listed(&cert, "signing").remove(0);
    let since = "2026-01-01T00:00:00Z";
    for wrong in [&key[..7], "ffffffffffffffff", "nonsense"] {
        let run = cert.run(&["key", "revoke", wrong, "--since", since]);
        assert_eq!(run.exit, 6, "{wrong}");
        assert!(run.err.starts_with("error: MQ-3037: "), "{}", run.err);
    }
    assert_eq!(cert.run(&["key", "revoke", &key, "--since", "yesterday"]).exit, 2);
    assert_eq!(cert.home().card().unwrap().card().serial, 1);
    cert.ok(&["key", "revoke", &key[..8], "--since", since]);
    let card = cert.home().card().unwrap();
    assert_eq!(card.card().revoked_since(key.parse().unwrap()), Some(since.parse().unwrap()));
    assert_eq!(states(&cert, "signing"), ["revoked", "used"]);
    assert_eq!(states(&cert, "tls"), ["used"], "the other kind stays");
    // Later is not taken back; earlier counts.
    cert.ok(&["key", "revoke", &key, "--since", "2026-02-01T00:00:00Z"]);
    cert.ok(&["key", "revoke", &key, "--since", "2025-12-01T00:00:00Z"]);
    let card = cert.home().card().unwrap();
    assert_eq!(card.card().revoked_since(key.parse().unwrap()), Some("2025-12-01T00:00:00Z".parse().unwrap()));
    assert_eq!(listed(&cert, "signing").len(), 2, "a key is replaced once");
    let shown = cert.ok(&["card", "show"]);
    assert!(shown.contains(&format!("revoked      {key} since 2025-12-01 00:00:00Z")), "{shown}");
}

#[test]
fn a_key_that_waits_is_no_reason_to_go_without_one() {
    let cert = Cert::new("CNCERT", "CN");
    cert.ok(&["key", "rotate", "--overlap", "20"]);
    let used = listed(&cert, "tls").into_iter().find(|(_, state)| state == "used").unwrap().0;
    cert.ok(&["key", "revoke", &used, "--since", "2026-01-01T00:00:00Z"]);
    assert_eq!(states(&cert, "tls"), ["revoked", "next", "used"]);
}

#[test]
fn the_root_key_moves_out_and_a_draft_brings_back_its_signature() {
    let cert = Cert::new("CNCERT", "CN");
    let (home, root) = (cert.home(), cert.file("root.key"));
    let inside = home.dir().join("keys/elsewhere.key");
    assert_eq!(cert.run(&["key", "export-root", "--to", inside.to_str().unwrap()]).exit, 2);
    assert!(home.key(KeyName::Root).is_ok());
    cert.ok(&["key", "export-root", "--to", &root]);
    assert!(!home.key_path(KeyName::Root).exists());
    assert_eq!(mode(&root), 0o600);
    for command in [&["key", "rotate"][..], &["key", "export-root", "--to", &root]] {
        let run = cert.run(command);
        assert_eq!(run.exit, 5);
        assert!(run.err.starts_with("error: MQ-3030: the root key is not at "), "{}", run.err);
    }

    let (draft, card) = (cert.file("next.draft"), cert.file("next.json"));
    cert.ok(&["key", "draft", "--overlap", "0", "--out", &draft]);
    assert_eq!(home.card().unwrap().card().serial, 1, "nothing changes yet");
    assert_eq!(states(&cert, "signing"), ["used", "waiting"]);
    let text = fs::read_to_string(&draft).unwrap();
    assert!(!text.contains("PRIVATE"), "a draft holds no secret");

    let elsewhere = Cert::nowhere();
    let sign = ["key", "sign-card", &draft, "--root", &root, "--out", &card];
    assert_eq!(elsewhere.run(&sign).exit, 2, "nobody is there to be asked");
    let no = elsewhere.run_with(&sign, Some("no\n"));
    assert_eq!((no.exit, no.out.contains("serial       2, ")), (1, true), "{}", no.out);
    assert!(!Path::new(&card).exists());
    assert_eq!(elsewhere.run_with(&sign, Some("yes\n")).exit, 0);
    cert.ok(&["key", "install", &card]);
    assert_eq!(home.card().unwrap(), read_card(Path::new(&card)).unwrap());
    assert_eq!(states(&cert, "signing"), ["old", "used"]);
    cert.ok(&["key", "install", &card]);
    let rotated = cert.run(&["key", "rotate", "--root", &root]);
    assert_eq!(rotated.exit, 0, "{}", rotated.err);
    let run = cert.run(&["key", "install", &card]);
    assert_eq!(run.exit, 5);
    assert!(run.err.starts_with("error: MQ-3032: "), "an older card is not installed: {}", run.err);
}

#[test]
fn a_serial_is_signed_once_and_only_by_its_own_root() {
    let cert = Cert::new("CNCERT", "CN");
    let (first, second) = (cert.file("first.draft"), cert.file("second.draft"));
    cert.ok(&["key", "draft", "--out", &first]);
    let key = listed(&cert, "tls").remove(0).0;
    cert.ok(&["key", "draft", "--revoke", &key, "--since", "2026-01-01T00:00:00Z", "--out", &second]);
    let root = cert.home().key_path(KeyName::Root).to_str().unwrap().to_owned();
    let (one, two) = (cert.file("one.json"), cert.file("two.json"));
    cert.ok(&["key", "sign-card", &first, "--root", &root, "--out", &one, "--yes"]);
    let again = cert.run(&["key", "sign-card", &second, "--root", &root, "--last", &one, "--out", &two, "--yes"]);
    assert_eq!(again.exit, 5);
    assert!(again.err.starts_with("error: MQ-3033: "), "{}", again.err);
    assert!(!Path::new(&two).exists());

    let other = Cert::new("Qatar CERT", "QA");
    let theirs = other.home().key_path(KeyName::Root).to_str().unwrap().to_owned();
    let run = cert.run(&["key", "sign-card", &first, "--root", &theirs, "--out", &two, "--yes"]);
    assert_eq!((run.exit, run.err.starts_with("error: MQ-3006: ")), (5, true), "{}", run.err);
    let run = other.run(&["key", "rotate", "--root", &root]);
    assert_eq!((run.exit, other.home().card().unwrap().card().serial), (5, 1));
    // Nor is a card installed that is another CERT's, or whose keys are not here.
    let run = other.run(&["key", "install", &one]);
    assert!(run.err.starts_with("error: MQ-3031: "), "{}", run.err);
    cert.ok(&["key", "sign-card", &second, "--root", &root, "--out", &two, "--yes"]);
    cert.ok(&["key", "install", &one]);
    let run = cert.run(&["key", "install", &two]);
    assert!(run.err.starts_with("error: MQ-3033: "), "{}", run.err);
}

#[test]
fn every_flipped_byte_of_a_draft_is_refused_or_changes_nothing() {
    let cert = Cert::new("CNCERT", "CN");
    let (draft, root) = (cert.file("next.draft"), cert.home().key_path(KeyName::Root));
    cert.ok(&["key", "draft", "--out", &draft]);
    let text = fs::read(&draft).unwrap();
    let root = root.to_str().unwrap();
    // A name is anyone's to choose, so a person reads it; where the draft is not a draft any more, it is refused.
    for at in (0..text.len()).step_by(17) {
        let mut changed = text.clone();
        changed[at] ^= 0x80;
        fs::write(&draft, &changed).unwrap();
        let run = cert.run(&["key", "sign-card", &draft, "--root", root, "--out", &cert.file("never.json"), "--yes"]);
        assert_eq!(run.exit, 5, "byte {at}: {}", run.err);
        assert!(run.err.starts_with("error: MQ-3001: "), "byte {at}: {}", run.err);
    }
}

#[test]
fn a_rotation_that_was_cut_short_anywhere_loses_nothing() {
    let cert = Cert::new("CNCERT", "CN");
    let (home, before) = (cert.home(), cert.home().card().unwrap());
    let used = current(&home, KeyName::Signing, now()).public();
    // Cut short after the keys, and in the middle of writing the card.
    let orphan = SecretKey::from_seed(&[7; 32]).unwrap();
    home.add_key(KeyName::Signing, &orphan).unwrap();
    fs::write(home.dir().join("card.new"), b"{\"payload\":").unwrap();
    assert_eq!(home.card().unwrap(), before);
    assert_eq!(current(&home, KeyName::Signing, now()).public(), used);
    assert_eq!(states(&cert, "signing"), ["used", "waiting"]);
    // What comes next works as if nothing had been.
    cert.ok(&["key", "rotate", "--overlap", "0"]);
    assert_eq!(home.card().unwrap().card().serial, 2);
    assert_eq!(states(&cert, "signing"), ["old", "used", "waiting"]);

    // Cut short after the root key was copied, and in the middle of copying it.
    let copy = cert.file("root.key");
    fs::copy(home.key_path(KeyName::Root), &copy).unwrap();
    fs::set_permissions(&copy, PermissionsExt::from_mode(0o600)).unwrap();
    let half = cert.file("half.key");
    fs::write(&half, "-----BEGIN PRIVATE KEY-----\nMC4C").unwrap();
    fs::set_permissions(&half, PermissionsExt::from_mode(0o600)).unwrap();
    assert_eq!(cert.run(&["key", "export-root", "--to", &half]).exit, 1);
    assert!(home.key(KeyName::Root).is_ok(), "a copy that does not read back is none");
    cert.ok(&["key", "export-root", "--to", &copy]);
    assert!(!home.key_path(KeyName::Root).exists());
}

#[test]
fn a_card_whose_keys_are_not_here_is_not_put_in_place() {
    let cert = Cert::new("CNCERT", "CN");
    let home = cert.home();
    let root = home.key(KeyName::Root).unwrap();
    let stranger = SecretKey::from_seed(&[9; 32]).unwrap();
    let mut details = mithaq_core::card::CardDetails::from(home.card().unwrap().card().clone());
    details.serial = 2;
    details.tls_keys[0].public = stranger.public();
    let next = VerifiedCard::sign(&root, details).unwrap();
    let error = home.replace_card(&next, now()).unwrap_err();
    assert_eq!(error.code(), Code::NO_USABLE_KEY);
    home.add_key(KeyName::Tls, &stranger).unwrap();
    home.replace_card(&next, now()).unwrap();
    assert_eq!(current(&home, KeyName::Tls, now()).public(), stranger.public());
    assert!(matches!(home.add_key(KeyName::Tls, &stranger), Err(HomeError::Exists { .. })), "keys are not overwritten");
}

#[test]
fn two_rotations_at_once_never_sign_one_serial_twice() {
    let cert = Cert::new("CNCERT", "CN");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| cert.ok(&["key", "rotate", "--overlap", "0"]));
        }
    });
    assert_eq!(cert.home().card().unwrap().card().serial, 5);
    assert_eq!(cert.home().card().unwrap().card().signing_keys.len(), 5);
}
