//! The ledger: what it proves, and that a store which was changed or put back does not go unnoticed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::harness::{
    Cert, Daemon, Place, bundle, id_of, indicator, indicators, mithaq, settle, text, two_peers, until,
};

/// The bytes of a segment before its first frame.
const HEADER: usize = 64;

/// How many bytes of the store are changed, one after the other.
const FLIPS: usize = 7;

/// Every file below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let copy = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(copy.parent().unwrap()).unwrap();
        fs::copy(file, copy).unwrap();
    }
}

#[test]
fn what_was_disclosed_is_proven_with_two_cards_and_no_daemon() {
    let place = Place::new();
    let certs = two_peers(&place);
    let [pk, cn] = &certs;
    let _daemons = certs.each_ref().map(Daemon::start);
    pk.push(bundle(&indicators(1, 0..9)), &[]).exits(0);
    settle(pk, cn, 1);
    let release = pk.show(&id_of(&indicator(1, 1)))[0]["releases"][0]["release"].as_str().unwrap().to_owned();
    pk.until_receipt(cn, &release, "received");
    let head = pk.until_cosigned(cn);
    assert!(head["size"].as_u64().unwrap() >= 3, "two disclosures and a receipt: {head}");

    let [proof, of_pk, of_cn] = ["proof.json", "pk.card", "cn.card"].map(|name| text(&place.path().join(name)));
    pk.run(&["ledger", "prove", &release, "--peer", "cn", "--out", &proof]).exits(0);
    for (cert, file) in [(pk, &of_pk), (cn, &of_cn)] {
        cert.run(&["card", "export", "--out", file]).exits(0);
    }
    let check = |proof: &str, card: &str| {
        let args = ["ledger", "check-proof", proof, "--card", card, "--peer-card", &of_cn, "--json"];
        mithaq(&place.path().join("nobody"), &args)
    };
    let proven = check(&proof, &of_pk).exits(0).last();
    assert_eq!((&proven["from"], &proven["to"]), (&pk.id().into(), &cn.id().into()), "{proven}");
    assert!(proven["entry"].to_string().contains(&release) && proven["cosigned_at"].is_string(), "{proven}");
    // Of another CERT, and of another time.
    check(&proof, &of_cn).refused(5, "MQ-4017");
    let text = fs::read_to_string(&proof).unwrap();
    let changed = text.replacen("2026-", "2025-", 1);
    assert_ne!(changed, text);
    check(&place.write("changed.json", changed), &of_pk).exits(5);
}

#[test]
fn a_store_that_was_put_back_is_named_by_both_and_signs_nothing_anew() {
    let place = Place::new();
    let certs = two_peers(&place);
    let [pk, cn] = &certs;
    let of_pk = Daemon::start(pk);
    let of_cn = Daemon::start(cn);
    settle(pk, cn, 1);
    pk.until_cosigned(cn);
    of_pk.terminate();
    let store = pk.home.join("store");
    let [backup, newest] = ["backup", "newest"].map(|name| place.path().join(name));
    copy(&store, &backup);
    let of_pk = Daemon::start(pk);
    pk.push(bundle(&indicators(1, 0..5)), &[]).exits(0);
    settle(pk, cn, 2);
    let accepted = pk.until_cosigned(cn);
    of_pk.terminate();
    copy(&store, &newest);
    fs::remove_dir_all(&store).unwrap();
    copy(&backup, &store);

    let of_pk = Daemon::start(pk);
    let problem = |cert: &Cert, peer: &Cert, codes: &[&str]| {
        until(&format!("{} names it: {codes:?}", cert.name), || {
            cert.problem_with(peer).filter(|code| codes.contains(&code.as_str()))
        })
    };
    problem(pk, cn, &["MQ-4019", "MQ-4011"]);
    problem(cn, pk, &["MQ-4011", "MQ-4019"]);
    // It would be a second history: nothing moves, and no checkpoint of it is signed, also once it has as many entries.
    for number in 0..8 {
        pk.push(bundle(&[indicator(2, number)]), &[]).exits(0);
    }
    cn.push(bundle(&indicators(3, 0..3)), &[]).exits(0);
    of_cn.terminate();
    let _of_cn = Daemon::start(cn);
    problem(pk, cn, &["MQ-4019"]);
    problem(cn, pk, &["MQ-4011", "MQ-4019"]);
    assert!(cn.show(&id_of(&indicator(2, 1))).is_empty() && pk.show(&id_of(&indicator(3, 1))).is_empty());
    // Told by the file beside the store, without asking anybody.
    let check = pk.run(&["ledger", "verify", "--json"]).exits(5).last();
    assert!(check["problems"][0].as_str().unwrap().starts_with("ledger towards cn:"), "{check}");
    let head = &check["peers"][0];
    assert!(head["size"].as_u64() > accepted["size"].as_u64(), "{head}");
    assert!(head["cosigned_size"].as_u64() < accepted["cosigned_size"].as_u64(), "{head}");
    pk.run(&["status", "--check"]).exits(3);

    // With its newest state it goes on as if nothing had been.
    of_pk.terminate();
    fs::remove_dir_all(&store).unwrap();
    copy(&newest, &store);
    let _of_pk = Daemon::start(pk);
    settle(pk, cn, 3);
    settle(cn, pk, 4);
    certs.iter().for_each(|cert| drop(cert.ledger_is_whole()));
}

#[test]
fn a_byte_that_was_changed_in_the_store_is_named() {
    let place = Place::new();
    let certs = two_peers(&place);
    let [pk, cn] = &certs;
    let of_pk = Daemon::start(pk);
    let _of_cn = Daemon::start(cn);
    pk.push(bundle(&indicators(1, 0..20)), &[]).exits(0);
    settle(pk, cn, 1);
    pk.until_cosigned(cn);
    of_pk.terminate();
    let (store, sound) = (pk.home.join("store"), place.path().join("sound"));
    copy(&store, &sound);
    let pack = store.join("packs/pack-00000000.seg");
    let whole = fs::read(&pack).unwrap();
    // Over the whole file behind its header, whose parts lie there twice; now and then the index has to be built anew.
    for (number, at) in (HEADER..whole.len()).step_by((whole.len() - HEADER) / FLIPS).enumerate() {
        fs::remove_dir_all(&store).unwrap();
        copy(&sound, &store);
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&pack, bytes).unwrap();
        if number % 2 == 1 {
            fs::remove_dir_all(store.join("index")).unwrap();
        }
        let daemon = Daemon::start(pk);
        let check = pk.run(&["ledger", "verify", "--json"]).exits(5).last();
        let named = check["problems"].as_array().unwrap().iter().any(|problem| problem.to_string().contains("pack-0"));
        assert!(check["ok"] == false && named, "byte {at} of {}: {check}", whole.len());
        daemon.kill();
    }
    fs::remove_dir_all(&store).unwrap();
    copy(&sound, &store);
    let _of_pk = Daemon::start(pk);
    settle(pk, cn, 2);
    pk.ledger_is_whole();
}
