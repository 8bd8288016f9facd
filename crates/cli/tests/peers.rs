//! What becomes of a peer after the pairing: suspended, blocked, updated, drilled, removed.
#![allow(clippy::unwrap_used)]

mod support;

use std::{fs, os::unix::fs::PermissionsExt};

use mithaq_api::home::{KeyName, PeerState};
use mithaq_core::card::{CardDetails, VerifiedCard};
use support::{Cert, Pair};

/// Two CERTs of which ours has the other as an active peer.
fn active() -> Pair {
    let pair = Pair::signed();
    pair.pk.ok(&["peer", "verify", "qa", "--agreement", &pair.pact, "--groups", &pair.groups()]);
    pair.pk.ok(&["peer", "activate", "qa", "--agreement", &pair.pact]);
    pair
}

fn state(pair: &Pair) -> PeerState {
    pair.pk.home().peer("qa").unwrap().state
}

/// A card of Qatar's that says something else, signed by its root key.
fn card_of_qa(pair: &Pair, file: &str, change: impl FnOnce(&mut CardDetails)) -> String {
    let home = pair.qa.home();
    let mut details = CardDetails::from(home.card().unwrap().card().clone());
    change(&mut details);
    let card = VerifiedCard::sign(&home.key(KeyName::Root).unwrap(), details).unwrap();
    let path = pair.qa.file(file);
    fs::write(&path, card.envelope().to_json()).unwrap();
    path
}

#[test]
fn a_peer_is_suspended_blocked_and_resumed_with_all_that_was_agreed() {
    let pair = active();
    let before = fs::read(pair.pk.home().peer_path("qa")).unwrap();
    let out = pair.pk.ok(&["peer", "suspend", "qa", "--reason", "an incident at theirs", "--json"]);
    assert!(out.contains(r#""state":"suspended""#) && out.contains(r#""reason":"an incident at theirs""#), "{out}");
    assert_eq!(state(&pair), PeerState::Suspended);
    assert!(pair.pk.home().peer("qa").unwrap().agreement.is_none(), "no agreement lets anything go");
    assert!(pair.pk.home().peer_file("qa").unwrap().agreement.is_some(), "but it stays on file");
    assert!(pair.pk.ok(&["peer", "show", "qa"]).contains("reason       an incident at theirs"));
    pair.pk.ok(&["peer", "block", "qa"]);
    assert_eq!(state(&pair), PeerState::Blocked);
    assert!(pair.pk.ok(&["peer", "list"]).contains("blocked"));
    let loosened = pair.pk.run(&["peer", "suspend", "qa"]);
    assert!(loosened.err.starts_with("error: MQ-3036: qa is blocked"), "{}", loosened.err);
    for args in [
        &["peer", "activate", "qa", "--agreement", &pair.pact][..],
        &["peer", "verify", "qa", "--agreement", &pair.pact, "--groups", &pair.groups()],
    ] {
        let run = pair.pk.run(args);
        assert_eq!(run.exit, 1, "{args:?}");
        assert!(run.err.contains("`mithaq peer resume qa` comes first"), "{}", run.err);
    }
    assert_eq!(state(&pair), PeerState::Blocked, "only `resume` lets it in");
    pair.pk.ok(&["peer", "resume", "qa"]);
    assert_eq!(fs::read(pair.pk.home().peer_path("qa")).unwrap(), before);
    pair.pk.ok(&["peer", "resume", "qa"]);
    assert_eq!(state(&pair), PeerState::Active);
    assert_eq!(pair.pk.run(&["peer", "suspend", "nobody"]).exit, 6);
    assert_eq!(pair.pk.run(&["peer", "suspend", "qa", "--reason", "a\u{1b}b"]).exit, 2);
}

#[test]
fn a_peer_that_was_not_paired_resumes_as_far_as_it_was() {
    let pair = Pair::signed();
    for (settle, expect) in [(false, PeerState::Added), (true, PeerState::Verified)] {
        if settle {
            pair.pk.ok(&["peer", "verify", "qa", "--agreement", &pair.pact, "--groups", &pair.groups()]);
        }
        pair.pk.ok(&["peer", "block", "qa"]);
        pair.pk.ok(&["peer", "resume", "qa"]);
        assert_eq!(state(&pair), expect);
    }
}

#[test]
fn a_peer_is_removed_by_whoever_types_its_name() {
    let pair = active();
    assert_eq!(pair.pk.run(&["peer", "remove", "qa"]).exit, 2, "nobody is there to be asked");
    let no = pair.pk.run_with(&["peer", "remove", "qa"], Some("yes\n"));
    assert_eq!((no.exit, no.err.contains("nothing was removed")), (1, true));
    assert_eq!(state(&pair), PeerState::Active);
    assert_eq!(pair.pk.run_with(&["peer", "remove", "qa"], Some("qa\n")).exit, 0);
    assert!(pair.pk.home().peer_names().unwrap().is_empty());
    assert_eq!(pair.pk.run(&["peer", "remove", "qa", "--yes"]).exit, 6);
    pair.pk.ok(&["peer", "add", "qa", &pair.qa.card()]);
    fs::write(pair.pk.home().peer_path("qa"), b"damaged").unwrap();
    pair.pk.ok(&["peer", "remove", "qa", "--yes"]);
}

#[test]
fn a_newer_card_of_the_same_root_needs_no_new_pairing() {
    let pair = active();
    pair.qa.ok(&["key", "rotate", "--overlap", "0"]);
    let card = pair.qa.file("card-2.json");
    pair.qa.ok(&["card", "export", "--out", &card]);
    let out = pair.pk.ok(&["peer", "update", "qa", &card, "--json"]);
    assert!(out.contains(r#""new":true"#) && out.contains(r#""state":"active""#), "{out}");
    assert_eq!(pair.pk.home().peer("qa").unwrap().card.card().serial, 2);
    assert!(pair.pk.home().peer("qa").unwrap().agreement.is_some());
    let out = pair.pk.ok(&["peer", "update", "qa", &card, "--json"]);
    assert!(out.contains(r#""new":false"#), "{out}");
    let before = fs::read(pair.pk.home().peer_path("qa")).unwrap();
    let check = |card: &str, code: &str| {
        let run = pair.pk.run(&["peer", "update", "qa", card]);
        assert_eq!(run.exit, 5, "{}", run.err);
        assert!(run.err.starts_with(&format!("error: {code}: ")), "{}", run.err);
        assert_eq!(fs::read(pair.pk.home().peer_path("qa")).unwrap(), before);
    };
    check(&pair.qa.card(), "MQ-3032");
    check(&Cert::new("CNCERT", "CN").card(), "MQ-3031");
    let mut changed = fs::read(&card).unwrap();
    changed[40] ^= 1;
    fs::write(&card, changed).unwrap();
    check(&card, "MQ-3001");
}

#[test]
fn a_peer_whose_card_drops_the_key_of_the_agreement_signs_it_again() {
    let pair = active();
    pair.qa.ok(&["key", "rotate", "--overlap", "0"]);
    let card = card_of_qa(&pair, "dropped.json", |details| {
        details.serial += 1;
        details.signing_keys.remove(0);
    });
    let out = pair.pk.ok(&["peer", "update", "qa", &card]);
    assert!(out.contains("let them sign it"), "{out}");
    assert_eq!(state(&pair), PeerState::Verified);
    assert!(pair.pk.home().peers().is_ok(), "the home is still one that a daemon reads");
    pair.pk.ok(&["peer", "block", "qa"]);
    pair.pk.ok(&["peer", "resume", "qa"]);
    assert_eq!(state(&pair), PeerState::Verified);
    pair.qa.ok(&["agreement", "sign", &pair.pact, "--yes"]);
    pair.pk.ok(&["peer", "activate", "qa", "--agreement", &pair.pact]);
    assert_eq!(state(&pair), PeerState::Active, "the same terms need no other call");
}

#[test]
fn two_cards_of_one_serial_are_kept_and_block_the_peer() {
    let pair = active();
    let other = card_of_qa(&pair, "other.json", |details| details.name = "Another".into());
    let run = pair.pk.run(&["peer", "update", "qa", &other]);
    assert_eq!(run.exit, 5);
    assert!(run.err.starts_with("error: MQ-3033: the root key has signed two different cards"), "{}", run.err);
    assert_eq!(state(&pair), PeerState::Blocked);
    let dir = pair.pk.home().dir().join("evidence");
    let cert = pair.qa.home().card().unwrap().cert_id();
    let file = fs::read_dir(&dir).unwrap().next().unwrap().unwrap().path();
    assert!(file.to_string_lossy().contains(&cert.to_string()[..8]), "{}", file.display());
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&dir), mode(&file)), (0o700, 0o600));
    let kept: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(kept["kind"], "card-equivocation", "{kept}");
    let (file, card) = (file.to_str().unwrap(), pair.qa.card());
    assert_eq!(pair.pk.run(&["evidence", "verify", file, "--card", &card]).exit, 0);
    assert_eq!(pair.pk.run(&["peer", "update", "qa", &other]).exit, 5);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 1, "the same proof is kept once");
    let third = card_of_qa(&pair, "third.json", |details| details.name = "A third".into());
    assert_eq!(pair.pk.run(&["peer", "update", "qa", &third]).exit, 5);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2);
    pair.pk.ok(&["peer", "resume", "qa"]);
    assert_eq!(state(&pair), PeerState::Active, "the card that was held first stays, if somebody has decided so");
}

#[test]
fn a_drill_tells_what_does_not_work() {
    let pair = active();
    let drill = pair.pk.run(&["peer", "drill", "qa"]);
    assert_eq!(drill.exit, 3, "no daemon runs: {}", drill.out);
    let line = |out: &str, what: &str| out.lines().find(|line| line.starts_with(what)).unwrap().to_owned();
    for good in ["state", "agreement", "their signing key", "their TLS key", "our signing key", "our TLS key", "clock"]
    {
        assert!(line(&drill.out, good).contains(" ok  "), "{good}: {}", drill.out);
    }
    assert!(line(&drill.out, "daemon").contains("NOT OK  no daemon answers"), "{}", drill.out);

    let key = pair.qa.home().current_key(
        &pair.qa.home().card().unwrap(),
        KeyName::Tls,
        "2027-01-01T00:00:00Z".parse().unwrap(),
    );
    let key = key.unwrap().public().id().to_string();
    pair.qa.ok(&["key", "revoke", &key, "--since", "2026-01-01T00:00:00Z"]);
    let card = card_of_qa(&pair, "bare.json", |details| {
        details.serial += 1;
        details.tls_keys.truncate(1);
    });
    pair.pk.ok(&["peer", "update", "qa", &card]);
    pair.pk.ok(&["peer", "suspend", "qa", "--reason", "for the drill"]);
    let drill = pair.pk.run(&["peer", "drill", "qa"]);
    assert!(line(&drill.out, "state").contains("NOT OK  suspended: for the drill"), "{}", drill.out);
    assert!(line(&drill.out, "their TLS key").contains("NOT OK  their card names none for now"), "{}", drill.out);
    let json = pair.pk.run(&["peer", "drill", "qa", "--json"]);
    assert_eq!(json.exit, 3);
    assert!(json.out.lines().all(|line| line.starts_with(r#"{"check":"#)), "{}", json.out);
}

#[test]
fn changes_of_one_peer_at_once_do_not_undo_each_other() {
    let pair = active();
    pair.qa.ok(&["key", "rotate", "--overlap", "0"]);
    let card = pair.qa.file("card-2.json");
    pair.qa.ok(&["card", "export", "--out", &card]);
    std::thread::scope(|scope| {
        scope.spawn(|| pair.pk.ok(&["peer", "update", "qa", &card]));
        scope.spawn(|| pair.pk.ok(&["peer", "suspend", "qa"]));
    });
    let peer = pair.pk.home().peer("qa").unwrap();
    assert_eq!((peer.state, peer.card.card().serial), (PeerState::Suspended, 2));
}
