//! From two empty folders to an agreement in force, through the commands that operators type.
#![allow(clippy::unwrap_used)]

mod support;

use std::fs;

use mithaq_api::home::{Home, PeerState};
use support::{Cert, Pair};

#[test]
fn two_certs_pair_and_activate() {
    let pair = Pair::signed();
    for (cert, peer) in [(&pair.pk, "qa"), (&pair.qa, "pk")] {
        let groups = pair.groups();
        cert.ok(&["peer", "verify", peer, "--agreement", &pair.pact, "--groups", &groups]);
        assert_eq!(cert.home().peer(peer).unwrap().state, PeerState::Verified);
        let out = cert.ok(&["peer", "activate", peer, "--agreement", &pair.pact, "--json"]);
        assert!(out.contains(r#""state":"active""#) && out.contains(r#""reloaded":false"#), "{out}");
        let active = cert.home().peer(peer).unwrap();
        assert_eq!(active.state, PeerState::Active);
        assert!(active.agreement.is_some());
        let shown = cert.ok(&["agreement", "show", peer, "--json"]);
        assert_eq!(shown.matches(r#""signature":"fits""#).count(), 2, "{shown}");
    }
    let of = |cert: &Cert, peer| cert.home().peer(peer).unwrap().agreement.unwrap().id();
    assert_eq!(of(&pair.pk, "qa"), of(&pair.qa, "pk"));
    let list = pair.pk.ok(&["peer", "list", "--json"]);
    assert!(list.contains(r#""name":"qa""#) && list.contains(r#""state":"active""#), "{list}");
}

#[test]
fn both_sides_show_the_same_twelve_groups() {
    let pair = Pair::signed();
    let groups = |cert: &Cert, peer| cert.ok(&["peer", "verify", peer, "--agreement", &pair.pact, "--show", "--json"]);
    let shown = groups(&pair.pk, "qa");
    assert_eq!(shown, groups(&pair.qa, "pk"));
    let parsed: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(parsed["groups"].as_array().unwrap().len(), 12);
    assert_eq!(pair.pk.home().peer("qa").unwrap().state, PeerState::Added, "showing changes nothing");
}

#[test]
fn a_wrong_or_mistyped_group_changes_nothing() {
    let pair = Pair::signed();
    let before = fs::read(pair.pk.home().peer_path("qa")).unwrap();
    let verify = |groups: &str| pair.pk.run(&["peer", "verify", "qa", "--agreement", &pair.pact, "--groups", groups]);
    let right = pair.group_list();
    // A well-formed group of another code: groups 1 and 2 of this very code, swapped.
    let swapped = verify(&format!("1={} 2={}", right[1], right[0]));
    assert_eq!(swapped.exit, 5);
    assert!(swapped.err.starts_with("error: MQ-3003: group 1 is of another code"), "{}", swapped.err);
    let digit = if right[0].starts_with('0') { "1" } else { "0" };
    let mistyped = verify(&format!("1={digit}{} 2={}", &right[0][1..], right[1]));
    assert_eq!(mistyped.exit, 5);
    assert!(mistyped.err.contains("misheard or mistyped"), "{}", mistyped.err);
    assert_eq!(fs::read(pair.pk.home().peer_path("qa")).unwrap(), before);
    let few = verify(&format!("1={} 2={}", right[0], right[1]));
    assert_eq!(few.exit, 2, "two groups are not enough");
    assert_eq!(fs::read(pair.pk.home().peer_path("qa")).unwrap(), before);
    for usage in ["nonsense", &format!("1={0} 1={0}", right[0])] {
        let run = verify(usage);
        assert_eq!(run.exit, 2, "{usage}");
        assert!(run.err.starts_with("error: invalid value"), "{}", run.err);
    }
}

#[test]
fn a_person_types_what_the_other_side_reads_out() {
    let pair = Pair::signed();
    let args = ["peer", "verify", "qa", "--agreement", &pair.pact];
    assert_eq!(pair.pk.run(&args).exit, 2, "nobody is there to be asked");
    // The same digits for every group: whichever eight are asked for, at most one can be right.
    let right = pair.group_list();
    let wrong = pair.pk.run_with(&args, Some(&format!("{}\n", right[0]).repeat(3)));
    assert_eq!(wrong.exit, 5);
    assert!(wrong.err.contains("of another code"), "{}", wrong.err);
    let deaf = pair.pk.run_with(&args, Some("12\n12\n12\n"));
    assert_eq!(deaf.exit, 5);
    assert_eq!(deaf.err.matches("must have 5 digits").count(), 4, "asked three times, then refused: {}", deaf.err);
    assert_eq!(pair.pk.home().peer("qa").unwrap().state, PeerState::Added);
}

#[test]
fn an_agreement_is_activated_only_over_a_compared_code_and_both_signatures() {
    let pair = Pair::new();
    let activate = |pair: &Pair| pair.pk.run(&["peer", "activate", "qa", "--agreement", &pair.pact]);
    let unsigned = activate(&pair);
    assert_eq!(unsigned.exit, 5);
    assert!(unsigned.err.starts_with("error: MQ-3002: "), "{}", unsigned.err);
    pair.pk.ok(&["agreement", "sign", &pair.pact, "--yes"]);
    let half = activate(&pair);
    assert!(half.err.contains("the agreement is not signed by قطر"), "{}", half.err);
    pair.qa.ok(&["agreement", "sign", &pair.pact, "--yes"]);
    let unverified = activate(&pair);
    assert_eq!(unverified.exit, 5);
    assert!(unverified.err.starts_with("error: MQ-3004: "), "{}", unverified.err);
    assert!(unverified.err.ends_with("help: mithaq explain MQ-3004\n"), "{}", unverified.err);
}

#[test]
fn an_agreement_that_is_over_is_neither_signed_nor_activated() {
    let pair = Pair::with_terms(&["--from", "2020-01-01T00:00:00Z", "--days", "10"]);
    let signed = pair.pk.run(&["agreement", "sign", &pair.pact, "--yes"]);
    assert_eq!(signed.exit, 4);
    assert!(signed.err.starts_with("error: MQ-2003: the agreement ended at 2020-01-11 00:00:00Z"), "{}", signed.err);
}

#[test]
fn signing_needs_consent_and_a_party() {
    let pair = Pair::new();
    let before = fs::read(&pair.pact).unwrap();
    let sign = ["agreement", "sign", pair.pact.as_str()];
    assert_eq!(pair.pk.run(&sign).exit, 2, "nobody is there to be asked");
    let no = pair.pk.run_with(&sign, Some("no\n"));
    assert_eq!((no.exit, no.err.contains("nothing was signed")), (1, true));
    assert!(no.out.contains("up to      TLP:amber"), "{}", no.out);
    assert_eq!(fs::read(&pair.pact).unwrap(), before);
    assert_eq!(pair.pk.run_with(&sign, Some("yes\n")).exit, 0);
    assert_ne!(fs::read(&pair.pact).unwrap(), before);
    let other = Cert::new("CNCERT", "CN");
    let refused = other.run(&["agreement", "sign", &pair.pact, "--yes"]);
    assert_eq!(refused.exit, 5);
    assert!(refused.err.contains("is not a party"), "{}", refused.err);
}

#[test]
fn a_peer_is_added_once_and_never_ourselves() {
    let pair = Pair::new();
    let third = Cert::new("CNCERT", "CN");
    let check = |card: &str, name: &str, exit: u8, says: &str| {
        let run = pair.pk.run(&["peer", "add", name, card]);
        assert_eq!(run.exit, exit, "{}", run.err);
        assert!(run.err.contains(says), "{}", run.err);
    };
    check(&third.card(), "qa", 1, "MQ-3005: there is a peer \"qa\" already");
    check(&pair.qa.card(), "other", 1, "MQ-3005: the CERT of this card is known already, as peer \"qa\"");
    check(&pair.pk.card(), "me", 1, "MQ-3005: this card is our own");
    check(&third.card(), "../evil", 2, "");
    check("/nonexistent", "cn", 1, "MQ-6012: cannot read /nonexistent");
    assert_eq!(pair.pk.home().peer_names().unwrap(), ["qa"]);
}

#[test]
fn an_agreement_is_never_written_over_another_file() {
    let pair = Pair::new();
    let run = pair.pk.run(&["agreement", "new", "--peer", "qa", "--out", &pair.pact]);
    assert_eq!(run.exit, 1);
    assert!(run.err.contains("MQ-3005"), "{}", run.err);
    let run = pair.pk.run(&["agreement", "new", "--peer", "nobody", "--out", "/tmp/never", "--json"]);
    assert_eq!(run.exit, 6);
    assert!(run.out.starts_with(r#"{"code":"MQ-3007","message":"there is no peer"#), "{}", run.out);
}

#[test]
fn commands_that_ask_the_daemon_say_that_none_runs() {
    let cert = Cert::new("CNCERT", "CN");
    for command in [&["status"][..], &["show", "x"], &["search", "x"], &["tail"], &["reload"], &["store", "compact"]] {
        let run = cert.run(command);
        assert_eq!(run.exit, 7, "{command:?}");
        assert!(run.err.starts_with("error: MQ-6004: no daemon answers at "), "{}", run.err);
    }
    let homeless = Cert::nowhere();
    let run = homeless.run(&["status"]);
    assert_eq!(run.exit, 1);
    assert!(run.err.starts_with("error: MQ-6002: "), "{}", run.err);
}

#[test]
fn a_card_with_any_byte_changed_is_refused() {
    let (pk, qa) = (Cert::new("Pakistan NCERT", "PK"), Cert::new("CNCERT", "CN"));
    let card = fs::read(qa.card()).unwrap();
    let changed = pk.file("changed.json");
    for at in 0..card.len() {
        fs::write(&changed, flip(&card, at)).unwrap();
        let run = pk.run(&["peer", "add", "cn", &changed]);
        assert_eq!(run.exit, 5, "byte {at}: {}", run.err);
        assert!(run.err.starts_with("error: MQ-3001: "), "byte {at}: {}", run.err);
    }
    assert!(pk.home().peer_names().unwrap().is_empty());
}

#[test]
fn an_agreement_with_any_byte_changed_is_refused() {
    let pair = Pair::signed();
    pair.pk.ok(&["peer", "verify", "qa", "--agreement", &pair.pact, "--groups", &pair.groups()]);
    let before = fs::read(pair.pk.home().peer_path("qa")).unwrap();
    let pact = fs::read(&pair.pact).unwrap();
    let changed = pair.pk.file("changed.json");
    for at in 0..pact.len() {
        fs::write(&changed, flip(&pact, at)).unwrap();
        let run = pair.pk.run(&["peer", "activate", "qa", "--agreement", &changed]);
        assert_eq!(run.exit, 5, "byte {at}: {}", run.err);
        assert!(run.err.starts_with("error: MQ-3002: "), "byte {at}: {}", run.err);
    }
    assert_eq!(fs::read(pair.pk.home().peer_path("qa")).unwrap(), before);
}

#[test]
fn show_tells_whose_signature_does_not_fit() {
    let pair = Pair::signed();
    let text = fs::read_to_string(&pair.pact).unwrap();
    let mut envelope: serde_json::Value = serde_json::from_str(&text).unwrap();
    let first = envelope["signatures"][0]["sig"].clone();
    envelope["signatures"][1]["sig"] = first;
    let changed = pair.pk.file("changed.json");
    fs::write(&changed, envelope.to_string()).unwrap();
    let run = pair.pk.run(&["agreement", "show", &changed, "--json"]);
    assert_eq!(run.exit, 5);
    assert!(run.out.contains(r#""signature":"does-not-fit""#), "{}", run.out);
    let human = pair.qa.run(&["agreement", "show", &changed]);
    assert!(human.out.contains("DOES NOT FIT"), "{}", human.out);
    assert_eq!(pair.pk.run(&["agreement", "sign", &changed, "--yes"]).exit, 5, "nor is it signed");
}

#[test]
fn a_stranger_reads_an_agreement_without_a_home() {
    let pair = Pair::signed();
    let stranger = Cert::nowhere();
    let run = stranger.run(&["agreement", "show", &pair.pact, "--json"]);
    assert_eq!(run.exit, 0);
    assert_eq!(run.out.matches(r#""signature":"unknown-card""#).count(), 2, "{}", run.out);
}

#[test]
fn keys_that_others_may_read_are_not_used() {
    use std::os::unix::fs::PermissionsExt;
    let pair = Pair::new();
    let key = pair.pk.home().key_path(mithaq_api::home::KeyName::Signing);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let run = pair.pk.run(&["agreement", "sign", &pair.pact, "--yes"]);
    assert_eq!(run.exit, 5);
    assert!(run.err.starts_with("error: MQ-3006: "), "{}", run.err);
}

#[test]
fn names_in_cards_are_not_obeyed_by_the_terminal() {
    // A card cannot hold control characters; whatever a peer's name holds, what is printed holds none.
    let pair = Pair::new();
    let out = pair.pk.ok(&["peer", "show", "qa"]);
    assert!(out.contains("قطر للأمن"), "{out}");
    assert!(!out.contains('\u{1b}'), "{out}");
    let home: Home = pair.pk.home();
    assert_eq!(home.peer("qa").unwrap().endpoints, ["127.0.0.1:9"]);
}

/// The bytes with one bit changed; in a letter or digit it gives another letter or digit.
fn flip(bytes: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at] ^= 1;
    bytes
}
