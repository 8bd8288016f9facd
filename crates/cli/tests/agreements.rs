//! The life of an agreement, from its draft to its end, through the commands that operators type.
#![allow(clippy::unwrap_used)]

mod support;

use serde_json::Value;
use support::{Cert, Pair};

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Drafts with a peer and shows what came of it.
fn drafted(cert: &Cert, file: &str, flags: &[&str]) -> Value {
    let file = cert.file(file);
    json(&cert.ok(&[&["agreement", "new", "--peer", "qa", "--out", &file, "--json"][..], flags].concat()))
}

#[test]
fn every_flag_changes_its_term_in_both_directions() {
    let pair = Pair::new();
    let check = |flags: &[&str], term: &str, expect: Value| {
        let file = format!("{}.json", flags.join("-").replace(['/', ' '], "-"));
        let draft = drafted(&pair.pk, &file, flags);
        for flow in draft["flows"].as_array().unwrap() {
            assert_eq!(flow[term], expect, "{flags:?}: {draft}");
        }
    };
    let ours = pair.pk.home().card().unwrap().cert_id().to_string();
    check(&["--tlp-max", "green"], "tlp_max", "green".into());
    check(&["--category", "threat"], "categories", vec!["threat"].into());
    check(&["--sector", "energy"], "sectors", serde_json::json!({"only": ["energy"]}));
    check(&["--statements", "deny"], "statements", "deny".into());
    check(&["--pap-max", "amber"], "pap_max", "amber".into());
    check(&["--age-days-max", "30"], "age_days_max", 30.into());
    check(&["--confidence-min", "med"], "confidence_min", "med".into());
    check(&["--personal-data", "pseudonymise"], "personal_data", "pseudonymise".into());
    check(&["--sightings", "count"], "sightings", "count".into());
    check(&["--iep", "deny"], "iep", "deny".into());
    check(&["--onward", "ask"], "onward", "ask".into());
    check(&["--onward-to", &ours], "onward", serde_json::json!({"listed": [ours]}));
    check(&["--template", "strict"], "sightings", "none".into());
    check(&["--template", "open"], "personal_data", "allow".into());
    check(&["--template", "strict", "--sightings", "full"], "sightings", "full".into());
    let whole = drafted(
        &pair.pk,
        "whole.json",
        &["--third-party", "accept", "--tlp-default", "red", "--retention-days", "9", "--at-end", "purge"],
    );
    assert_eq!((&whole["third_party"], &whole["tlp_default"]), (&"accept".into(), &"red".into()));
    assert_eq!((&whole["retention_days"], &whole["at_end"]), (&9.into(), &"purge".into()));
    for wrong in [&["--statements", "maybe"][..], &["--age-days-max", "0"], &["--confidence-min", "50"]] {
        let out = pair.pk.file("never.json");
        let run = pair.pk.run(&[&["agreement", "new", "--peer", "qa", "--out", &out][..], wrong].concat());
        assert_eq!(run.exit, 2, "{wrong:?}: {}", run.err);
    }
    let stranger = ["agreement", "new", "--peer", "qa", "--out", "x", "--onward-to", "nobody"];
    let run = pair.pk.run(&stranger);
    assert!(run.err.contains("neither a peer here"), "{}", run.err);
}

#[test]
fn a_difference_is_named_with_its_direction() {
    let pair = Pair::new();
    let changed = pair.pk.file("changed.json");
    let flags = ["--tlp-max", "green", "--category", "threat", "--category", "vulnerability", "--iep", "deny"];
    let more = ["--onward", "ask", "--retention-days", "700", "--at-end", "purge", "--age-days-max", "3"];
    pair.pk.ok(&[&["agreement", "new", "--peer", "qa", "--out", &changed][..], &flags, &more].concat());
    let found = json(&pair.pk.ok(&["agreement", "diff", &pair.pact, &changed, "--json"]));
    let of = |found: &Value, term: &str| {
        let differences = found["differences"].as_array().unwrap();
        let mut changes: Vec<_> =
            differences.iter().filter(|it| it["term"] == term).map(|it| it["change"].clone()).collect();
        changes.dedup();
        changes
    };
    for (term, expect) in [
        ("tlp_max", "narrower"),
        ("categories", "other"),
        ("iep", "narrower"),
        ("onward", "wider"),
        ("retention_days", "wider"),
        ("at_end", "narrower"),
        ("age_days_max", "narrower"),
    ] {
        assert_eq!(of(&found, term), [expect], "{term}: {found}");
    }
    let back = json(&pair.pk.ok(&["agreement", "diff", &changed, &pair.pact, "--json"]));
    assert_eq!(of(&back, "tlp_max"), ["wider"]);
    assert_eq!(of(&back, "onward"), ["narrower"]);
    let same = pair.pk.ok(&["agreement", "diff", &pair.pact, &pair.pact]);
    assert_eq!(same, "The terms are the same.\n");
    let text = pair.pk.ok(&["agreement", "diff", &pair.pact, &changed]);
    assert!(text.contains("from qa: tlp_max: amber -> green  narrower"), "{text}");
}

/// Makes an agreement one in force on one side.
fn activate(pair: &Pair) {
    let groups = pair.groups();
    pair.pk.ok(&["peer", "verify", "qa", "--agreement", &pair.pact, "--groups", &groups]);
    pair.pk.ok(&["peer", "activate", "qa", "--agreement", &pair.pact]);
}

#[test]
fn a_successor_has_the_same_terms_and_names_what_it_supersedes() {
    let pair = Pair::signed();
    activate(&pair);
    let out = pair.pk.file("renewed.json");
    let renewed = json(&pair.pk.ok(&["agreement", "renew", "qa", "--days", "700", "--out", &out, "--json"]));
    let current = pair.pk.home().peer("qa").unwrap().agreement.unwrap();
    assert_eq!(renewed["supersedes"], current.id().to_string());
    let found = json(&pair.pk.ok(&["agreement", "diff", "qa", &out, "--json"]));
    let terms: Vec<_> = found["differences"].as_array().unwrap().iter().map(|it| it["term"].clone()).collect();
    assert!(terms.iter().all(|term| *term == "valid_until" || *term == "valid_from"), "{terms:?}");
    let nobody = Pair::new();
    let run = nobody.pk.run(&["agreement", "renew", "qa", "--out", &out]);
    assert_eq!(run.exit, 6, "{}", run.err);
}

#[test]
fn an_agreement_is_ended_once_and_for_good() {
    let pair = Pair::signed();
    activate(&pair);
    let end = ["agreement", "terminate", "qa"];
    assert_eq!(pair.pk.run(&end).exit, 2, "nobody is there to be asked");
    assert_eq!(pair.pk.run_with(&end, Some("no\n")).exit, 1);
    assert!(pair.pk.home().peer("qa").unwrap().ended.is_none());
    let ended = json(&pair.pk.ok(&["agreement", "terminate", "qa", "--reason", "قانون", "--yes", "--json"]));
    assert_eq!((&ended["peer"], &ended["reloaded"]), (&"qa".into(), &false.into()));
    let peer = pair.pk.home().peer("qa").unwrap();
    assert_eq!(peer.ended.unwrap().by, pair.pk.home().card().unwrap().cert_id());
    assert!(peer.agreement.is_some(), "withdrawals still go under it");
    let again = pair.pk.run(&["agreement", "terminate", "qa", "--yes"]);
    assert!(again.err.starts_with("error: MQ-3014: "), "{}", again.err);
    let revived = pair.pk.run(&["peer", "activate", "qa", "--agreement", &pair.pact]);
    assert!(revived.err.starts_with("error: MQ-3014: "), "{}", revived.err);
    // The other side takes the same word, and no word of a stranger.
    let file = pair.pk.home().peer_file("qa").unwrap();
    pair.qa.ok(&["peer", "verify", "pk", "--agreement", &pair.pact, "--groups", &pair.groups()]);
    pair.qa.ok(&["peer", "activate", "pk", "--agreement", &pair.pact]);
    let mut theirs = pair.qa.home().peer_file("pk").unwrap();
    theirs.termination.clone_from(&file.termination);
    pair.qa.home().write_peer(&theirs).unwrap();
    assert_eq!(pair.qa.home().peer("pk").unwrap().ended, peer.ended);
}

#[test]
fn a_termination_with_any_byte_changed_is_refused() {
    let pair = Pair::signed();
    activate(&pair);
    pair.pk.ok(&["agreement", "terminate", "qa", "--yes"]);
    let home = pair.pk.home();
    let file = home.peer_file("qa").unwrap();
    let whole = home.peer("qa").unwrap().ended;
    let text = serde_json::to_vec(&file.termination).unwrap();
    for at in 0..text.len() {
        let mut changed = text.clone();
        changed[at] ^= 1;
        let Ok(termination) = serde_json::from_slice(&changed) else { continue };
        let mut file = home.peer_file("qa").unwrap();
        file.termination = termination;
        home.write_peer(&file).unwrap();
        assert!(home.peer("qa").map_or(true, |peer| peer.ended == whole), "byte {at}");
    }
}

#[test]
fn a_group_is_drafted_signed_and_put_in_force_by_each_of_its_members() {
    let pair = Pair::new();
    let cn = Cert::new("CNCERT", "CN");
    pair.pk.ok(&["peer", "add", "cn", &cn.card()]);
    pair.qa.ok(&["peer", "add", "cn", &cn.card()]);
    cn.ok(&["peer", "add", "pk", &pair.pk.card()]);
    cn.ok(&["peer", "add", "qa", &pair.qa.card()]);
    let file = pair.pk.file("group.json");
    let new = ["agreement", "new", "--peer", "qa", "--peer", "cn", "--out", &file, "--json"];
    let unnamed = pair.pk.run(&new);
    assert!(unnamed.err.contains("name the --group") || unnamed.out.contains("name the --group"), "{}", unnamed.out);
    let draft = json(&pair.pk.ok(&[&new[..], &["--group", "gulf"]].concat()));
    assert_eq!(draft["group"], serde_json::json!({"name": "gulf", "threshold": 2}));
    assert_eq!((draft["flows"].as_array().unwrap().len(), draft["parties"].as_array().unwrap().len()), (1, 3));
    for cert in [&pair.pk, &pair.qa] {
        cert.ok(&["agreement", "sign", &file, "--yes"]);
    }
    settle(&pair.pk, "qa", &pair.qa, "pk", &file);
    let early = pair.pk.run(&["peer", "activate", "qa", "--agreement", &file]);
    assert!(early.err.contains("is not signed by CNCERT"), "{}", early.err);
    cn.ok(&["agreement", "sign", &file, "--yes"]);
    pair.pk.ok(&["peer", "activate", "qa", "--agreement", &file]);
    assert!(pair.pk.home().peer("qa").unwrap().agreement.unwrap().agreement().group.is_some());

    // A renewal is in force with two of three signatures, and the version before it stays at hand.
    let renewed = pair.pk.file("renewed.json");
    pair.pk.ok(&["agreement", "renew", "qa", "--days", "500", "--out", &renewed]);
    pair.pk.ok(&["agreement", "sign", &renewed, "--yes"]);
    settle(&pair.pk, "qa", &pair.qa, "pk", &renewed);
    let alone = pair.pk.run(&["peer", "activate", "qa", "--agreement", &renewed]);
    assert!(alone.err.contains("1 members of the agreement that it supersedes have signed; 2 must"), "{}", alone.err);
    cn.ok(&["agreement", "sign", &renewed, "--yes"]);
    pair.pk.ok(&["peer", "activate", "qa", "--agreement", &renewed]);
    assert_eq!(pair.pk.home().peer_file("qa").unwrap().superseded.len(), 1);
    assert!(pair.pk.home().peer("qa").unwrap().agreement.is_some());
}

/// Two CERTs compare the code over an agreement.
fn settle(ours: &Cert, their_name: &str, theirs: &Cert, our_name: &str, file: &str) {
    let shown = json(&theirs.ok(&["peer", "verify", our_name, "--agreement", file, "--show", "--json"]));
    let groups: Vec<String> = serde_json::from_value(shown["groups"].clone()).unwrap();
    let heard: Vec<_> = (1..=8).map(|number| format!("{number}={}", groups[number - 1])).collect();
    ours.ok(&["peer", "verify", their_name, "--agreement", file, "--groups", &heard.join(" ")]);
}
