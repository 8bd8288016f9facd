//! A disk that fills up: pushes are refused and may be tried again, and what is stored is served on.

use std::{
    fs::{self, File},
    io::Write,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::Command,
};

use crate::harness::{
    Cert, Daemon, Place, bundle, domain, get, id_of, indicators, pair, read_stream, settle, skipped, until,
};

/// A small disk of its own; it goes with the scenario.
pub(crate) struct Disk(PathBuf);

impl Disk {
    /// Mounts a disk of so many MiB; `None` where that is not allowed.
    pub(crate) fn mount(path: &Path, mib: u64) -> Option<Self> {
        fs::create_dir_all(path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m,mode=700"), "mithaq-e2e"]).arg(path);
        match mount.output() {
            Ok(output) if output.status.success() => Some(Self(path.to_owned())),
            Ok(output) => {
                skipped("a full disk", String::from_utf8_lossy(&output.stderr).trim());
                None
            }
            Err(error) => {
                skipped("a full disk", &format!("no mount here: {error}"));
                None
            }
        }
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }

    /// Writes until nothing more fits, then frees so many MiB.
    pub(crate) fn fill_but(&self, mib: u64) {
        let mut file = File::create(self.ballast()).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(mib << 20)).unwrap();
    }

    pub(crate) fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_refuses_pushes_and_loses_nothing() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    let Some(disk) = Disk::mount(&pk.home.join("store"), 64) else { return };
    pk.configure("free_mib_min = 64", "free_mib_min = 8");
    pair(pk, cn, &[]);
    let mut daemon = Daemon::start(pk);
    pk.push(bundle(&indicators(1, 0..100)), &[]).exits(0);

    // Below the mark, with room left: refused before anything fails.
    disk.fill_but(4);
    let input = bundle(&indicators(1, 100..300));
    for args in [&[][..], &["--atomic"]] {
        let refused = pk.push(&input, args).refused(75, "MQ-5001");
        assert_eq!(refused.last()["code"], "MQ-5001");
    }
    // Nothing left at all.
    disk.fill_but(0);
    pk.push(&input, &[]).refused(75, "MQ-5001");
    assert!(daemon.is_alive());
    assert_eq!(pk.objects(), 100);
    assert_eq!(read_stream(pk, None, 50).len(), 100);
    pk.run(&["search", &domain(1, 99)]).exits(0);
    pk.run(&["store", "check"]).exits(0);

    // A start with next to no room serves what is there; with none at all it may be refused, and loses nothing.
    daemon.kill();
    let refused = Daemon::spawn(&pk.home, &[]);
    until("the daemon starts or says why not", || {
        let started = pk.try_status().is_some();
        (started || refused.log().contains("MQ-5001")).then_some(())
    });
    refused.kill();
    disk.fill_but(4);
    let daemon = Daemon::start(pk);
    assert_eq!(read_stream(pk, None, 50).len(), 100);
    pk.push(&input, &[]).refused(75, "MQ-5001");
    // What a peer shares waits until there is room.
    let _peer = Daemon::start(cn);
    cn.push(bundle(&indicators(2, 0..100)), &[]).exits(0);

    disk.free();
    pk.push(&input, &[]).exits(0);
    settle(cn, pk, 1);
    settle(pk, cn, 2);
    assert_eq!((pk.objects(), cn.objects()), (402, 402));
    assert_eq!(daemon.terminate().0, Some(0));
}

#[test]
fn a_nearly_full_disk_lets_peers_wait_and_takes_what_takes_back() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    let Some(disk) = Disk::mount(&pk.home.join("store"), 64) else { return };
    pk.configure("free_mib_min = 64", "free_mib_min = 16");
    pair(pk, cn, &[]);
    let daemons = [pk, cn].map(Daemon::start);
    let (wrong, own) = (indicators(2, 0..2), indicators(3, 0..1));
    for object in &wrong {
        cn.push(bundle(std::slice::from_ref(object)), &[]).exits(0);
    }
    cn.push(bundle(&indicators(2, 2..20)), &[]).exits(0);
    pk.push(bundle(&own), &[]).exits(0);
    settle(cn, pk, 1);
    let [wrong, wrong_too, own] = [&wrong[0], &wrong[1], &own[0]].map(id_of);
    [&wrong, &wrong_too].into_iter().for_each(|id| pk.until_serves(id));
    cn.until_serves(&own);

    disk.fill_but(12);
    until("the daemon says so", || (pk.status()["read_only"] == true).then_some(()));
    let input = bundle(&indicators(1, 0..50));
    pk.push(&input, &[]).refused(75, "MQ-5001");
    let people = pk.run(&["status"]).exits(0).stdout;
    assert!(people.contains("nearly full"), "{people}");
    let metrics = get(UnixStream::connect(pk.control_socket()).unwrap(), "/metrics", &[]).unwrap();
    assert!(metrics.text().contains("mithaq_store_read_only 1"), "{metrics:?}");
    let check = pk.run(&["status", "--check"]).exits(3).stderr;
    assert!(check.contains("read-only"), "{check}");
    let ready = get(UnixStream::connect(pk.control_socket()).unwrap(), "/readyz", &[]).unwrap();
    assert!(ready.status == 503 && ready.text().contains("read-only"), "{ready:?}");
    // Far more than an alert: it waits at the peer.
    let held = pk.objects();
    cn.push(bundle(&indicators(2, 1_000..3_000)), &[]).exits(0);
    cn.withdraw(&wrong);
    pk.until_dropped(&wrong);
    assert_eq!(pk.peer(cn).unwrap()["state"], "connected");
    assert!(pk.objects() <= held + 1, "what can wait was taken");

    // Below the floor an alert waits too, and nothing that takes something back waits behind it or at home.
    disk.fill_but(5);
    let held = pk.objects();
    cn.push(bundle(&indicators(2, 5_000..5_001)), &[]).exits(0);
    cn.withdraw(&wrong_too);
    pk.until_dropped(&wrong_too);
    pk.withdraw(&own);
    cn.until_dropped(&own);
    // Two notices.
    assert!(pk.objects() <= held + 2, "an alert was taken below the floor");

    disk.free();
    until("the daemon goes on", || (pk.status()["read_only"] == false).then_some(()));
    until("what waited has come", || (pk.objects() >= held + 2_000).then_some(()));
    pk.push(&input, &[]).exits(0);
    settle(pk, cn, 2);
    assert_eq!(daemons.map(|daemon| daemon.terminate().0), [Some(0), Some(0)]);
}
