//! Backups: taken while the daemon runs, checked before they are believed, and put back without forking the ledger.

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::{
    full_disk::Disk,
    harness::{
        Cert, Daemon, Place, bundle, command, end_of_stream, get, id_of, indicator, indicators, mithaq, read_stream,
        read_taxii, settle, text, two_peers, until,
    },
};

/// Takes a backup: what it says.
#[track_caller]
pub(crate) fn backup(cert: &Cert, dir: &Path, args: &[&str]) -> Value {
    cert.run(&[&["backup", &text(dir), "--json"], args].concat()).exits(0).last()
}

/// Checks a backup, for which no home is needed.
#[track_caller]
fn verify(dir: &Path) -> crate::harness::Output {
    mithaq(&dir.join("nobody"), &["backup", &text(dir), "--verify", "--json"])
}

#[track_caller]
pub(crate) fn restore(home: &Path, dir: &Path) -> crate::harness::Output {
    mithaq(home, &["restore", &text(dir), "--json"])
}

/// The status with which SIEMs are answered.
pub(crate) fn siem_status(cert: &Cert) -> u16 {
    get(UnixStream::connect(cert.siem_socket()).unwrap(), "/v1/stream", &[]).unwrap().status
}

/// Waits until SIEMs are served after a restore.
#[track_caller]
pub(crate) fn until_served(cert: &Cert) {
    until("SIEMs are served", || (cert.try_status()?["restored"]["serves"] == true).then_some(()));
}

/// Every file below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect();
    files.sort();
    files
}

/// What a SIEM is shown that reads everything, by either way.
#[track_caller]
fn shown(cert: &Cert) -> Vec<String> {
    let puts = |line: &crate::harness::Line| line.object["id"].as_str().unwrap().to_owned();
    let mut by_stream: Vec<_> = read_stream_puts(cert).iter().map(puts).collect();
    let mut by_taxii: Vec<_> =
        read_taxii(cert, 50).iter().map(|object| object["id"].as_str().unwrap().to_owned()).collect();
    by_stream.sort();
    by_taxii.sort();
    assert_eq!(by_stream, by_taxii);
    by_stream
}

/// The objects of the stream, without what it says of objects that are to be dropped.
#[track_caller]
pub(crate) fn read_stream_puts(cert: &Cert) -> Vec<crate::harness::Line> {
    let answer = get(UnixStream::connect(cert.siem_socket()).unwrap(), "/v1/stream", &[]).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().lines().filter(|line| line.contains("\"op\":\"put\"")).map(crate::harness::Line::parse).collect()
}

#[test]
fn a_restored_store_is_a_new_one_and_serves_nothing_that_was_withdrawn() {
    let place = Place::new();
    let certs = two_peers(&place);
    let [pk, cn] = &certs;
    let [of_pk, of_cn] = certs.each_ref().map(Daemon::start);
    let id = |series, number| id_of(&indicator(series, number));
    pk.push(bundle(&indicators(1, 0..5)), &[]).exits(0);
    cn.push(bundle(&indicators(2, 0..5)), &[]).exits(0);
    settle(pk, cn, 1);
    settle(cn, pk, 2);
    pk.withdraw(&id(1, 4));
    cn.withdraw(&id(2, 4));
    cn.until_dropped(&id(1, 4));
    pk.until_dropped(&id(2, 4));
    let dir = place.path().join("backup");
    let taken = backup(pk, &dir, &[]);
    assert_eq!((&taken["keys"], &taken["cert"]), (&false.into(), &pk.id().into()), "{taken}");

    // After the backup: pushes of both, and withdrawals by both of what is in it.
    pk.push(bundle(&indicators(3, 0..3)), &[]).exits(0);
    cn.push(bundle(&indicators(4, 0..3)), &[]).exits(0);
    let withdrawal = pk.withdraw(&id(1, 0));
    cn.withdraw(&id(2, 0));
    // Published and taken back after it.
    cn.push(bundle(&[indicator(5, 0)]), &[]).exits(0);
    settle(cn, pk, 3);
    cn.withdraw(&id(5, 0));
    pk.until_dropped(&id(2, 0));
    pk.until_dropped(&id(5, 0));
    cn.until_dropped(&id(1, 0));
    settle(pk, cn, 4);
    settle(cn, pk, 5);
    pk.until_cosigned(cn);
    let (cursor, was) = (end_of_stream(pk), pk.run(&["store", "stats", "--json"]).exits(0).last()["store"].clone());
    of_pk.kill();
    of_cn.terminate();
    fs::remove_dir_all(pk.home.join("store")).unwrap();

    let report = restore(&pk.home, &dir).exits(0).last();
    assert_eq!(report["was"], was);
    assert_ne!(report["store"], was);
    assert_eq!((&report["problems"], &report["written"]), (&Vec::<Value>::new().into(), &Vec::<Value>::new().into()));
    // The file beside the store knows how much of the ledger is lost.
    let signed = &report["ledgers_signed"][0];
    assert_eq!(signed["peer"], "cn", "{report}");
    let lost = signed["lost"].as_u64().unwrap();
    assert!(lost >= 5, "{report}");
    restore(&pk.home, &dir).refused(1, "MQ-5033");

    // Alone it knows its own withdrawals, whatever else lies in their file, and shows SIEMs nothing.
    let kept = pk.home.join("ledger/withdrawals.ndjson");
    let lines = fs::read_to_string(&kept).unwrap();
    let forged = lines.lines().last().unwrap().replacen("\"signature\":\"", "\"signature\":\"00", 1);
    fs::write(&kept, format!("half a li\n{forged}\n{lines}")).unwrap();
    let of_pk = Daemon::start(pk);
    restore(&pk.home, &dir).refused(75, "MQ-5002");
    // But what it cannot read may be another withdrawal, so that it waits for its operator whatever peers tell.
    let problems = pk.status()["restored"]["blocked_by"].clone();
    for (number, problem) in problems.as_array().unwrap().iter().enumerate() {
        assert_eq!(problem["code"], "MQ-4041");
        assert!(problem["message"].as_str().unwrap().contains(&format!("line {} of", number + 1)), "{problem}");
    }
    assert_eq!(problems.as_array().unwrap().len(), 2, "{problems}");
    assert!(!pk.serves(&id(1, 0)) && !pk.serves(&id(1, 4)) && !pk.serves(&id(2, 4)));
    assert!(pk.serves(&id(1, 1)) && pk.serves(&id(2, 0)), "the test shows nothing");
    assert_eq!(siem_status(pk), 503);
    assert_eq!(pk.status()["restored"]["waits_for"], Value::from(vec!["cn"]));
    assert!(pk.run(&["status"]).exits(0).stdout.contains("SIEMs wait"));

    let of_cn = Daemon::start(cn);
    until("CN was heard", || (pk.try_status()?["restored"]["waits_for"].as_array()?.is_empty()).then_some(()));
    assert_eq!(siem_status(pk), 503);
    assert!(pk.run(&["status"]).exits(0).stdout.contains("MQ-4041"));
    assert!(of_pk.log().contains("that the backup lacks"), "{}", of_pk.log());
    of_pk.terminate();
    of_cn.terminate();
    fs::write(&kept, lines).unwrap();
    let of_pk = Daemon::start(pk);
    assert_eq!(siem_status(pk), 503);
    let _of_cn = Daemon::start(cn);
    until_served(pk);
    let mut expected: Vec<_> = (1..4).flat_map(|number| [id(1, number), id(2, number)]).collect();
    expected.extend((0..3).map(|number| id(4, number)));
    let probes: Vec<_> = [1, 2, 3, 5].map(|number| id(0xfeed, number)).into();
    expected.extend(probes);
    expected.sort();
    assert_eq!(shown(pk), expected);
    let old = get(UnixStream::connect(pk.siem_socket()).unwrap(), &format!("/v1/stream?cursor={cursor}"), &[]);
    assert_eq!(old.unwrap().status, 410);
    // What was pushed after the backup is lost here and nowhere else; the peer's word on it is shown.
    assert!(pk.show(&id(3, 0)).is_empty() && cn.serves(&id(3, 0)));
    let told = pk.status()["restored"]["lost"][0].clone();
    assert_eq!((&told["peer"], &told["entries"]), (&"cn".into(), &lost.into()), "{told}");
    assert!(pk.run(&["status"]).exits(0).stdout.contains("lacks"));
    assert_eq!(pk.show(&id(1, 0))[0]["releases"][0]["withdrawal"]["release"], withdrawal.as_str());

    // The exchange goes on both ways, under new ledgers that both find whole.
    pk.push(bundle(&indicators(3, 0..3)), &[]).exits(0);
    settle(pk, cn, 6);
    settle(cn, pk, 7);
    pk.withdraw(&id(3, 1));
    cn.until_dropped(&id(3, 1));
    cn.withdraw(&id(4, 1));
    pk.until_dropped(&id(4, 1));
    for (cert, peer) in [(pk, cn), (cn, pk)] {
        let head = cert.until_cosigned(peer);
        assert!(head["size"].as_u64().unwrap() > 0);
        for gone in [id(1, 0), id(1, 4), id(2, 0), id(2, 4), id(3, 1), id(4, 1), id(5, 0)] {
            assert!(!cert.serves(&gone), "{} serves {gone}", cert.name);
        }
    }
    assert_eq!(pk.run(&["store", "stats", "--json"]).exits(0).last()["store"], report["store"]);

    // Served is served, also after the next start.
    of_pk.terminate();
    let _of_pk = Daemon::start(pk);
    assert_eq!(siem_status(pk), 200);
    assert_eq!(&pk.status()["restored"]["lost"][0], &told);
    settle(pk, cn, 8);
    // The next backup in the folder is of the new store alone.
    let taken = backup(pk, &dir, &[]);
    assert_eq!((&taken["store"], &taken["copied_bytes"]), (&report["store"], &taken["bytes"]), "{taken}");
    verify(&dir).exits(0);
    certs.iter().for_each(|cert| drop(cert.ledger_is_whole()));
}

#[test]
fn a_home_that_is_lost_comes_back_from_a_backup_with_its_keys() {
    let place = Place::new();
    let certs = two_peers(&place);
    let [pk, cn] = &certs;
    let of_pk = Daemon::start(pk);
    let _of_cn = Daemon::start(cn);
    pk.push(bundle(&indicators(1, 0..5)), &[]).exits(0);
    settle(pk, cn, 1);
    let [bare, whole] = ["bare", "whole"].map(|name| place.path().join(name));
    let people = pk.run(&["backup", &text(&bare)]).exits(0).stdout;
    assert!(people.contains("no secret key"), "{people}");
    let people = pk.run(&["backup", &text(&whole), "--keys"]).exits(0).stdout;
    assert!(people.contains("IT HOLDS THE SECRET KEYS"), "{people}");
    assert!(files(&bare).iter().all(|file| file.extension().is_none_or(|end| end != "key")));
    let pk_id = pk.id();
    of_pk.kill();
    fs::remove_dir_all(&pk.home).unwrap();

    // Of another CERT, and where there is none.
    restore(&cn.home, &whole).refused(5, "MQ-3031");
    restore(&pk.home, &place.path().join("nowhere")).refused(1, "MQ-5031");
    assert!(!pk.home.exists());

    let report = restore(&pk.home, &bare).exits(0).last();
    assert_eq!(report["lacks_keys"], true, "{report}");
    fs::remove_dir_all(&pk.home).unwrap();
    let report = restore(&pk.home, &whole).exits(0).last();
    assert_eq!((&report["lacks_keys"], &report["cert"]), (&false.into(), &pk_id.into()), "{report}");
    for file in files(&pk.home).iter().filter(|file| !file.starts_with(pk.home.join("store"))) {
        let mode = fs::metadata(file).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}", file.display());
    }
    let _of_pk = Daemon::start(pk);
    until_served(pk);
    assert_eq!(shown(pk).len(), 6);
    settle(pk, cn, 2);
    settle(cn, pk, 3);
    pk.until_cosigned(cn);
    cn.until_cosigned(pk);
    certs.iter().for_each(|cert| drop(cert.ledger_is_whole()));
}

#[test]
fn an_operator_can_have_siems_served_while_a_peer_is_away() {
    let place = Place::new();
    let [pk, cn] = &two_peers(&place);
    let of_pk = Daemon::start(pk);
    pk.push(bundle(&indicators(1, 0..5)), &[]).exits(0);
    pk.run(&["restore", "--serve"]).refused(6, "MQ-6008");
    let dir = place.path().join("backup");
    backup(pk, &dir, &[]);
    of_pk.terminate();
    fs::remove_dir_all(pk.home.join("store")).unwrap();
    restore(&pk.home, &dir).exits(0);
    let of_pk = Daemon::start(pk);
    assert_eq!(siem_status(pk), 503);
    of_pk.kill();
    let _of_pk = Daemon::start(pk);
    assert_eq!(siem_status(pk), 503);
    pk.run(&["restore", "--serve", "--json"]).exits(0);
    assert_eq!(read_stream(pk, None, 50).len(), 5);
    let _of_cn = Daemon::start(cn);
    settle(pk, cn, 1);
}

#[test]
fn a_backup_copies_what_it_lacks_and_follows_a_compaction() {
    let place = Place::new();
    let [pk, cn] = &two_peers(&place);
    let _daemons = [pk, cn].map(Daemon::start);
    pk.push(bundle(&indicators(1, 0..400)), &[]).exits(0);
    settle(pk, cn, 1);
    let dir = place.path().join("backup");
    let first = backup(pk, &dir, &[]);
    assert_eq!(first["copied_bytes"], first["bytes"], "{first}");
    let packs = |taken: &Value| taken["bytes"].as_u64().unwrap();
    let second = backup(pk, &dir, &[]);
    assert!(second["copied_bytes"].as_u64().unwrap() < packs(&second) / 2, "{second}");
    assert_eq!(verify(&dir).exits(0).last()["problems"], Value::from(Vec::<Value>::new()));

    // Each round supersedes state; then the segment is written anew.
    for number in 2..20 {
        settle(pk, cn, number);
    }
    let compacted = pk.run(&["store", "compact", "--dead", "0", "--json"]).exits(0).last();
    assert_eq!(compacted["rewritten"], 1, "{compacted}");
    pk.push(bundle(&indicators(1, 400..450)), &[]).exits(0);
    backup(pk, &dir, &[]);
    let checked = verify(&dir).exits(0).last();
    assert_eq!(checked["ok"], true, "{checked}");
    assert_eq!(fs::read_dir(dir.join("packs")).unwrap().count(), 2, "the old edition is gone, and the tail is there");

    // What runs that were cut short leave behind does no harm, and goes.
    let tail = files(&dir.join("packs")).pop().unwrap();
    fs::OpenOptions::new().append(true).open(&tail).unwrap().write_all(&[7; 1000]).unwrap();
    fs::create_dir(dir.join("home-4")).unwrap();
    fs::create_dir(dir.join("home-99")).unwrap();
    for name in ["packs/pack-00000009-01234567-0.seg", "manifest.new", "backup.running"] {
        fs::write(dir.join(name), "half").unwrap();
    }
    verify(&dir).exits(0);
    settle(pk, cn, 30);
    backup(pk, &dir, &[]);
    verify(&dir).exits(0);
    assert!(files(&dir).iter().all(|file| !text(file).ends_with(".new") && !text(file).ends_with(".running")));
    assert!(dir.join("home-99").exists(), "what no backup has made stays");
    assert_eq!(fs::read_dir(dir.join("packs")).unwrap().count(), 2);

    let home = place.path().join("other");
    let report = restore(&home, &dir).exits(0).last();
    assert_eq!((report["objects"].as_u64(), &report["problems"]), (Some(pk.objects()), &Vec::<Value>::new().into()));
    // A copy that was damaged is mended by the next run.
    for file in files(&dir.join("packs")) {
        let mut bytes = fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        fs::write(file, bytes).unwrap();
    }
    assert_eq!(verify(&dir).refused(1, "MQ-5030").last()["problems"].as_array().unwrap().len(), 2);
    settle(pk, cn, 31);
    backup(pk, &dir, &[]);
    verify(&dir).exits(0);
}

#[test]
fn a_backup_into_the_store_is_refused_and_the_store_stays() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let _of_pk = Daemon::start(&pk);
    pk.push(bundle(&indicators(1, 0..5)), &[]).exits(0);
    for dir in [pk.home.join("store"), pk.home.clone(), place.path().to_owned(), pk.home.join("store/new")] {
        pk.run(&["backup", &text(&dir)]).refused(1, "MQ-6012");
    }
    assert!(pk.home.join("store/packs/pack-00000000.seg").exists() && !pk.home.join("store/new").exists());
    pk.run(&["store", "check"]).exits(0);
}

#[test]
fn the_store_of_another_past_is_not_mixed_into_a_backup() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let [dir, older] = ["backup", "older"].map(|name| place.path().join(name));
    let of_pk = Daemon::start(&pk);
    pk.push(bundle(&indicators(1, 0..5)), &[]).exits(0);
    of_pk.terminate();
    let pack = pk.home.join("store/packs/pack-00000000.seg");
    fs::copy(&pack, &older).unwrap();
    let of_pk = Daemon::start(&pk);
    pk.push(bundle(&indicators(1, 5..10)), &[]).exits(0);
    backup(&pk, &dir, &[]);
    of_pk.terminate();

    // Put back by hand, as long as it was, and then longer.
    fs::remove_dir_all(pk.home.join("store/index")).unwrap();
    fs::copy(&older, &pack).unwrap();
    let _of_pk = Daemon::start(&pk);
    for numbers in [20..21, 21..40] {
        pk.run(&["backup", &text(&dir)]).refused(1, "MQ-5032");
        verify(&dir).exits(0);
        pk.push(bundle(&indicators(1, numbers)), &[]).exits(0);
    }
    pk.run(&["backup", &text(&dir)]).refused(1, "MQ-5032");
    verify(&dir).exits(0);
    backup(&pk, &place.path().join("other"), &[]);
}

#[test]
fn a_changed_byte_is_named_whatever_file_it_is_in_and_nothing_is_restored() {
    let place = Place::new();
    let [pk, cn] = &two_peers(&place);
    let of_pk = Daemon::start(pk);
    let of_cn = Daemon::start(cn);
    pk.push(bundle(&indicators(1, 0..20)), &[]).exits(0);
    settle(pk, cn, 1);
    pk.until_cosigned(cn);
    let dir = place.path().join("backup");
    backup(pk, &dir, &["--keys"]);
    of_pk.kill();
    of_cn.kill();
    let home = place.path().join("new");
    let all = files(&dir);
    let names: Vec<_> = all.iter().map(|file| text(file.strip_prefix(&dir).unwrap())).collect();
    for kind in
        ["packs/", "card.json", "peers/cn.json", "mithaq.toml", "keys/root.key", "ledger/local.json", "manifest.jsonl"]
    {
        assert!(names.iter().any(|name| name.contains(kind)), "{kind} is not in {names:?}");
    }
    for file in &all {
        let whole = fs::read(file).unwrap();
        for at in [whole.len() / 3, whole.len() - 2] {
            let mut bytes = whole.clone();
            bytes[at] ^= 4;
            fs::write(file, &bytes).unwrap();
            let name = file.file_name().unwrap().to_str().unwrap();
            let checked = verify(&dir).refused(1, "MQ-5030");
            assert!(format!("{}{}", checked.stdout, checked.stderr).contains(name), "{name}: {checked:?}");
            let refused = restore(&home, &dir).refused(1, "MQ-5030");
            assert!(refused.stderr.contains(name), "{name}: {refused:?}");
        }
        fs::write(file, &whole[..whole.len() / 2]).unwrap();
        verify(&dir).refused(1, "MQ-5030");
        fs::remove_file(file).unwrap();
        let code = if file.ends_with("manifest.jsonl") { "MQ-5031" } else { "MQ-5030" };
        verify(&dir).refused(1, code);
        assert!(!home.exists());
        fs::write(file, &whole).unwrap();
    }
    verify(&dir).exits(0);
    restore(&home, &dir).exits(0);
}

/// Runs a command and kills it after so long.
fn cut_short(home: &Path, args: &[&str], after: Duration) {
    let mut child = command(home, args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    thread::sleep(after);
    let _ = child.kill();
    child.wait().unwrap();
}

#[test]
fn backups_and_restores_that_are_cut_short_leave_what_was_there() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let of_pk = Daemon::start(&pk);
    let [dir, home] = ["backup", "new"].map(|name| place.path().join(name));
    pk.push(bundle(&indicators(1, 0..2000)), &[]).exits(0);
    backup(&pk, &dir, &["--keys"]);
    for round in 0..25 {
        pk.push(bundle(&indicators(2, round * 40..round * 40 + 40)), &[]).exits(0);
        cut_short(&pk.home, &["backup", &text(&dir), "--keys"], Duration::from_millis(u64::from(round) * 3));
        verify(&dir).exits(0);
    }
    backup(&pk, &dir, &["--keys"]);
    let objects = pk.objects();
    of_pk.terminate();

    for round in 0..25_u64 {
        cut_short(&home, &["restore", &text(&dir)], Duration::from_millis(round * 8));
        // Either there is no store, or it is whole.
        let is_done = home.join("store").exists();
        if is_done {
            assert!(!home.join("store.restoring").exists());
            let restored = Cert { home: home.clone(), ..pk.clone() };
            let daemon = Daemon::start(&restored);
            assert_eq!(restored.objects(), objects);
            restored.run(&["store", "check"]).exits(0);
            daemon.kill();
            fs::remove_dir_all(&home).unwrap();
        }
    }
    restore(&home, &dir).exits(0);
    let restored = Cert { home, ..pk };
    let _daemon = Daemon::start(&restored);
    assert_eq!(restored.objects(), objects);
    until_served(&restored);
    restored.run(&["store", "check"]).exits(0);
}

#[test]
fn a_backup_that_is_taken_while_pushes_run_is_one_moment_of_the_log() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let of_pk = Daemon::start(&pk);
    let dir = place.path().join("backup");
    let stop = AtomicBool::new(false);
    let mut heads = Vec::new();
    thread::scope(|scope| {
        let (pk, stop) = (&pk, &stop);
        for series in 1..3 {
            scope.spawn(move || {
                for number in (0..).take_while(|_| !stop.load(SeqCst)) {
                    pk.push(bundle(&indicators(series, number * 5..number * 5 + 5)), &[]).exits(0);
                }
            });
        }
        for round in 0..8 {
            let taken = backup(pk, &dir, &["--keys"]);
            verify(&dir).exits(0);
            let home = place.path().join(format!("copy{round}"));
            let report = restore(&home, &dir).exits(0).last();
            assert_eq!(report["problems"], Value::from(Vec::<Value>::new()));
            assert!(report["head"].as_u64() >= taken["head"].as_u64(), "{report}");
            // Every release with all of its objects.
            assert_eq!(report["objects"].as_u64().unwrap(), report["releases"].as_u64().unwrap() * 5, "{report}");
            heads.push(report["head"].as_u64().unwrap());
        }
        stop.store(true, SeqCst);
    });
    assert!(heads.is_sorted() && heads.first() < heads.last(), "{heads:?}");
    of_pk.terminate();
}

#[test]
fn a_full_disk_costs_neither_the_backup_before_nor_the_home() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let _of_pk = Daemon::start(&pk);
    pk.push(bundle(&indicators(1, 0..100)), &[]).exits(0);
    let Some(disk) = Disk::mount(&place.path().join("disk"), 16) else { return };
    let dir = place.path().join("disk/backup");
    let first = backup(&pk, &dir, &["--keys"]);
    disk.fill_but(0);
    pk.push(bundle(&indicators(1, 100..3000)), &[]).exits(0);
    pk.run(&["backup", &text(&dir), "--keys"]).refused(75, "MQ-5001");
    let checked = verify(&dir).exits(0).last();
    assert_eq!(checked["at"], first["at"]);
    disk.free();
    backup(&pk, &dir, &["--keys"]);
    verify(&dir).exits(0);
    let elsewhere = place.path().join("elsewhere");
    backup(&pk, &elsewhere, &["--keys"]);

    // A home on a disk that is full stays without a store.
    disk.fill_but(0);
    let home = place.path().join("disk/home");
    restore(&home, &elsewhere).refused(75, "MQ-5001");
    assert!(!home.join("store").exists() && !home.join("store.restoring").exists());
    disk.free();
    restore(&home, &elsewhere).exits(0);

    // A store that has a disk of its own stays on it.
    fs::remove_dir_all(&home).unwrap();
    fs::remove_dir_all(&dir).unwrap();
    let home = place.path().join("own");
    fs::create_dir_all(&home).unwrap();
    let Some(_own) = Disk::mount(&home.join("store"), 16) else { return };
    restore(&home, &elsewhere).exits(0);
    let names: BTreeSet<_> = files(&home.join("store")).into_iter().map(|file| text(&file)).collect();
    assert!(names.iter().any(|name| name.ends_with("store/packs/pack-00000000.seg")), "{names:?}");
    assert!(names.iter().all(|name| !name.contains("restoring")), "{names:?}");
    restore(&home, &elsewhere).refused(1, "MQ-5033");
}
