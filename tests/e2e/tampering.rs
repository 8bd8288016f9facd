//! A byte changed in what CERTs hand to each other, or in what they keep: refused, and nothing changed.

use std::{fs, path::Path};

use crate::harness::{Cert, Daemon, Place, activate, bundle, draft, indicators, pair, until};

/// The text with one character changed to another that could stand there too.
fn changed(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
    String::from_utf8(bytes).unwrap()
}

/// Places in a signed file whose change must be noticed: within the payload, and within each signature.
fn places(text: &str) -> Vec<usize> {
    let value_at = |key: &str| {
        let key = format!("\"{key}\":");
        let keys = text.match_indices(&key).map(|(at, found)| at + found.len());
        keys.map(|at| at + text[at..].find('"').unwrap() + 1).collect::<Vec<_>>()
    };
    let payloads = value_at("payload").into_iter().flat_map(|at| (at..at + 1_000).step_by(83));
    let signatures = value_at("sig").into_iter().flat_map(|at| [at, at + 41, at + 85]);
    payloads.chain(signatures).collect()
}

/// All files of a home that a command could have changed.
fn contents(home: &Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let files = ["", "keys", "peers"].iter().flat_map(|dir| fs::read_dir(home.join(dir)).unwrap());
    let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn a_changed_card_is_refused() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    let card = cn.run(&["peer", "invite"]).exits(0).stdout;
    let before = contents(&pk.home);
    for at in places(&card) {
        let file = place.write("changed.card", changed(&card, at));
        pk.run(&["peer", "add", "cn", &file, "--json"]).refused(5, "MQ-3001");
    }
    for text in ["", "{}", "[]", "null", &card[..card.len() / 2], &card.replace("mithaq.card", "mithaq.agreement")] {
        let file = place.write("changed.card", text);
        pk.run(&["peer", "add", "cn", &file]).refused(5, "MQ-3001");
    }
    assert!(contents(&pk.home) == before, "a refused card changed the home");
    // Its own card, and the one that is known already.
    let own = place.write("own.card", pk.run(&["peer", "invite"]).exits(0).stdout);
    pk.run(&["peer", "add", "me", &own]).refused(1, "MQ-3005");
    let file = place.write("cn.card", &card);
    pk.run(&["peer", "add", "cn", &file]).exits(0);
    pk.run(&["peer", "add", "cn2", &file]).refused(1, "MQ-3005");
}

#[test]
fn a_changed_agreement_is_refused() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    let file = draft(pk, cn, &[]);
    let text = fs::read_to_string(&file).unwrap();
    activate(pk, cn, &file);
    let before = contents(&cn.home);
    for at in places(&text) {
        let file = place.write("changed.pact", changed(&text, at));
        let heard = "1=61897 5=32363 9=31116";
        cn.run(&["peer", "verify", "pk", "--agreement", &file, "--groups", heard]).exits(5);
        cn.run(&["peer", "activate", "pk", "--agreement", &file]).exits(5);
    }
    // A signature that does not fit keeps others from signing, and is named.
    let of_pk = text.find("\"sig\":\"").unwrap() + 20;
    let of_cn = text.rfind("\"sig\":\"").unwrap() + 20;
    let shown = |at| place.write("changed.pact", changed(&text, at));
    for at in [of_pk, of_cn] {
        cn.run(&["agreement", "show", &shown(at), "--json"]).exits(5);
    }
    let by_the_other = [of_pk, of_cn].map(|at| cn.run(&["agreement", "sign", &shown(at), "--yes"]).exit);
    assert!(by_the_other.contains(&5), "{by_the_other:?}");
    assert!(contents(&cn.home) == before, "a refused agreement changed the home");
    // A group of another code: someone holds another key or other terms.
    let heard = ["1=00000 5=00000 9=00000", "1=61897 5=32363 9=31116"];
    for groups in heard {
        cn.run(&["peer", "verify", "pk", "--agreement", &file, "--groups", groups]).refused(5, "MQ-3003");
    }
    assert!(contents(&cn.home) == before, "a refused code changed the home");
}

#[test]
fn a_copy_of_a_peer_file_does_not_keep_a_removed_peer_alive() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    pair(pk, cn, &[]);
    let _daemons = [pk, cn].map(Daemon::start);
    pk.push(bundle(&indicators(1, 0..10)), &[]).exits(0);
    until("CN holds it", || (cn.objects() == 10).then_some(()));
    let (file, copy) = (pk.peer_file(cn), pk.peer_file(cn).with_file_name("cn-old.json"));
    fs::copy(&file, &copy).unwrap();
    assert_ne!(pk.run(&["reload"]).exit, 0, "a copy under another name is refused");
    fs::remove_file(&copy).unwrap();
    fs::remove_file(&file).unwrap();
    pk.run(&["reload"]).exits(0);
    pk.push(bundle(&indicators(1, 10..20)), &[]).exits(0);
    assert!(pk.peer(cn).is_none());
    let gone = || cn.peer(pk).filter(|peer| peer["state"] != "connected");
    until("CN has lost the connection", gone);
    assert_eq!(cn.objects(), 10, "data went to a peer that was removed");
}

#[test]
fn a_changed_peer_file_costs_that_peer_and_no_other() {
    let place = Place::new();
    let [pk, cn, qa] = &["pk", "cn", "qa"].map(|name| Cert::init(&place, name));
    pair(pk, cn, &[]);
    pair(pk, qa, &[]);
    let file = pk.peer_file(cn);
    let text = fs::read_to_string(&file).unwrap();
    let daemon = Daemon::start(pk);
    for at in places(&text) {
        fs::write(&file, changed(&text, at)).unwrap();
        pk.run(&["reload"]).exits(5);
        assert_eq!(pk.peer(cn).unwrap()["state"], "connecting", "a changed peer file changed the peers");
    }
    assert_eq!(daemon.terminate().0, Some(0));

    // At the start there is nothing to go on with, so CN is left out and QA is served.
    let _ours = Daemon::start(pk);
    let _others = [cn, qa].map(Daemon::start);
    assert!(pk.peer(cn).is_none(), "a changed peer file is used");
    pk.push(bundle(&indicators(1, 0..10)), &[]).exits(0);
    until("QA holds it", || (qa.objects() == 10).then_some(()));
    assert_eq!(cn.objects(), 0);
    fs::write(&file, text).unwrap();
    pk.run(&["reload"]).exits(0);
    until("CN holds it", || (cn.objects() == 10).then_some(()));
}
