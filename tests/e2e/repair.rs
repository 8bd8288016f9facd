//! Damage in a sealed segment: named, never served, set aside, and what is lacking comes again.

use std::{fs, path::Path};

use serde_json::Value;

use crate::harness::{Cert, Daemon, Place, bundle, indicator, indicators, read_stream, settle, two_peers, until};

/// Changes a byte of a segment behind its header, at each of these parts of a hundred.
fn damage(pack: &Path, percents: impl IntoIterator<Item = usize>) {
    let mut bytes = fs::read(pack).unwrap();
    for percent in percents {
        let at = 64 + (bytes.len() - 64) * percent / 100;
        bytes[at] ^= 1;
    }
    fs::write(pack, bytes).unwrap();
}

/// Seals the first segment of a store; gives its file.
fn seal(cert: &Cert) -> std::path::PathBuf {
    cert.run(&["store", "compact", "--dead", "0"]).exits(0);
    let packs = cert.home.join("store/packs");
    assert!(packs.join("pack-00000000.seg").exists());
    packs.join("pack-00000000.seg")
}

fn check(cert: &Cert, more: &[&str]) -> Value {
    cert.run(&[&["store", "check", "--json"], more].concat()).last()
}

fn until_sound(cert: &Cert) {
    until("the store is sound", || (check(cert, &[])["ok"] == true).then_some(()));
}

#[test]
fn what_is_damaged_comes_again_from_the_peer() {
    let place = Place::new();
    let [pk, cn] = &two_peers(&place);
    let daemons = [pk, cn].map(Daemon::start);
    for round in 0..3 {
        pk.push(bundle(&indicators(1, round * 100..round * 100 + 100)), &[]).exits(0);
    }
    settle(pk, cn, 1);
    let pack = seal(cn);
    cn.push(bundle(&indicators(2, 0..50)), &[]).exits(0);
    settle(cn, pk, 2);
    let objects = cn.objects();
    assert!(cn.home.join("store/packs/pack-00000001.seg").exists(), "the first segment is not sealed");
    assert_eq!(check(cn, &[])["ok"], true);

    // The bodies of the first release, which lie first, and whatever lies further behind.
    damage(&pack, [4, 40, 80]);
    let named = check(cn, &[]);
    cn.run(&["store", "check"]).exits(1);
    let problems: Vec<_> = named["problems"].as_array().unwrap().iter().map(|what| what.as_str().unwrap()).collect();
    assert!(problems.iter().any(|what| what.contains("pack-00000000.seg")), "{problems:?}");
    let missing = problems.iter().find_map(|what| what.split(" names ").nth(1)?.split(',').next());
    let missing = missing.unwrap_or_else(|| panic!("no object is missing: {problems:?}"));
    cn.run(&["show", missing]).refused(1, "MQ-5003");

    let repaired = check(cn, &["--repair"]);
    let repair = &repaired["repair"];
    assert_eq!(repair["asked"][0]["peer"], "pk", "{repair}");
    assert_eq!(repair["unasked"], Value::Array(vec![]), "{repair}");
    for file in repair["files"].as_array().unwrap() {
        assert!(cn.home.join("store").join(file.as_str().unwrap()).exists(), "{file}");
    }
    until_sound(cn);
    assert!(!check(cn, &[])["set_aside"].as_array().unwrap().is_empty());
    cn.run(&["show", missing]).exits(0);
    assert_eq!(cn.objects(), objects);
    let shown = |cert| read_stream(cert, None, 50).len();
    assert_eq!(shown(cn), shown(pk));
    [pk, cn].iter().for_each(|cert| drop(cert.ledger_is_whole()));

    // The exchange goes on, also after an index that is built anew has read past the damage.
    let [of_pk, of_cn] = daemons;
    of_cn.kill();
    fs::remove_dir_all(cn.home.join("store/index")).unwrap();
    let of_cn = Daemon::start(cn);
    assert_eq!((check(cn, &[])["ok"].as_bool(), cn.objects()), (Some(true), objects));
    pk.push(bundle(&indicators(1, 300..310)), &[]).exits(0);
    settle(pk, cn, 3);
    settle(cn, pk, 4);
    assert_eq!(shown(cn), shown(pk));
    assert_eq!([of_pk.terminate().0, of_cn.terminate().0], [Some(0), Some(0)]);
}

#[test]
fn what_is_damaged_of_our_own_is_named_and_pushed_again() {
    let place = Place::new();
    let [pk, cn] = &two_peers(&place);
    let daemons = [pk, cn].map(Daemon::start);
    let input = bundle(&indicators(1, 0..200));
    pk.push(&input, &[]).exits(0);
    settle(pk, cn, 1);
    let pack = seal(pk);
    let stats = pk.run(&["store", "stats", "--json"]).exits(0).last();
    let [of_pk, _of_cn] = daemons;
    assert_eq!(of_pk.terminate().0, Some(0));

    // Without a daemon: figures, the check, and the repair.
    let offline = pk.run(&["store", "stats", "--json"]).exits(0).last();
    assert_eq!((&offline["objects"], &offline["store"]), (&stats["objects"], &stats["store"]), "{offline}");
    assert_eq!(check(pk, &[])["ok"], true);
    damage(&pack, (10..100).step_by(10));
    pk.run(&["store", "check"]).exits(1);
    let repair = &check(pk, &["--repair"])["repair"];
    assert!(!repair["unasked"].as_array().unwrap().is_empty(), "{repair}");

    let _of_pk = Daemon::start(pk);
    pk.push(&input, &[]).exits(0);
    // The probe may be among it.
    pk.push(bundle(&[indicator(0xfeed, 1)]), &[]).exits(0);
    until_sound(pk);
    assert_eq!(pk.objects(), stats["objects"].as_u64().unwrap());
    settle(pk, cn, 2);
    settle(cn, pk, 3);
    assert_eq!(read_stream(pk, None, 50).len(), read_stream(cn, None, 50).len());
}
