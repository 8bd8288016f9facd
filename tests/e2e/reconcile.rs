//! Cursors that do not fit: what is held is not sent again, and what lacks is found.

use std::{fs, path::Path, thread};

use crate::harness::{
    Cert, Daemon, Place, activate_both, bundle, draft, id_of, indicator, settle, text, unmarked, until,
};

/// More releases than a source would offer one by one.
const RELEASES: u32 = 80;

/// How many analysts push at once.
const ANALYSTS: u32 = 4;

/// Pushes each of these indicators alone: each is a release of its own.
fn push_each(cert: &Cert, series: u32, numbers: std::ops::Range<u32>) {
    thread::scope(|scope| {
        for analyst in 0..ANALYSTS {
            let numbers = numbers.clone().filter(move |number| number % ANALYSTS == analyst);
            scope.spawn(|| {
                numbers.for_each(|number| drop(cert.push(bundle(&[indicator(series, number)]), &[]).exits(0)))
            });
        }
    });
}

/// Whether a CERT's daemon has sent a sketch.
fn has_sketched(cert: &Cert) -> bool {
    fs::read_to_string(cert.home.with_extension("log")).unwrap().contains("what the peer lacks is found by a sketch")
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let copied = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &copied)
        } else {
            fs::copy(entry.path(), copied).map(drop).unwrap()
        }
    }
}

#[test]
fn a_wider_agreement_sends_only_what_it_adds() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    activate_both(pk, cn, &draft(pk, cn, &["--tlp-max", "green"]));
    let _daemons = [pk, cn].map(Daemon::start);
    push_each(pk, 1, 0..RELEASES);
    for number in 0..5 {
        pk.push(bundle(&[unmarked(2, number)]), &["--tlp", "amber"]).exits(0);
    }
    settle(pk, cn, 1);
    assert_eq!(cn.objects(), u64::from(RELEASES) + 1);
    assert!(!has_sketched(pk));

    activate_both(pk, cn, &draft(pk, cn, &["--tlp-max", "amber"]));
    settle(pk, cn, 2);
    until("CN has what was withheld", || (cn.objects() == u64::from(RELEASES) + 7).then_some(()));
    assert!(has_sketched(pk));
    // Under the new agreement: what it adds, and the probe.
    assert_eq!(pk.peer(cn).unwrap()["objects_sent"], 6);
    assert_eq!(cn.status()["references"], u64::from(RELEASES) + 7);
    for cert in [pk, cn] {
        cert.ledger_is_whole();
    }
}

#[test]
fn a_store_that_was_replaced_by_an_older_copy_catches_up() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    activate_both(pk, cn, &draft(pk, cn, &[]));
    let of_pk = Daemon::start(pk);
    let of_cn = Daemon::start(cn);
    push_each(pk, 1, 0..RELEASES);
    settle(pk, cn, 1);
    assert_eq!(of_cn.terminate().0, Some(0));
    let (store, backup) = (cn.home.join("store"), place.path().join("backup"));
    copy(&store, &backup);
    let of_cn = Daemon::start(cn);
    push_each(pk, 2, 0..9);
    settle(pk, cn, 2);
    assert_eq!((of_cn.terminate().0, of_pk.terminate().0), (Some(0), Some(0)));
    fs::remove_dir_all(&store).unwrap();
    copy(&backup, &store);
    // Under another agreement the cursor of the older copy does not count either.
    activate_both(pk, cn, &draft(pk, cn, &["--community", "demo"]));

    let _daemons = [pk, cn].map(Daemon::start);
    settle(pk, cn, 3);
    until("CN has all of it again", || (cn.objects() == u64::from(RELEASES) + 12).then_some(()));
    assert!(has_sketched(pk));
    for number in 0..9 {
        assert!(cn.serves(&id_of(&indicator(2, number))));
    }
    assert_eq!(pk.peer(cn).unwrap()["objects_sent"], 11, "of {}: nine, and two probes", text(&store));
    cn.run(&["store", "check"]).exits(0);
}
