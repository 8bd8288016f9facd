//! Daemons that refuse to start: each says why, with a code, and leaves everything as it was.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::harness::{Cert, Daemon, Place, bundle, indicators, mithaq, until};

#[test]
fn a_second_daemon_on_a_home_is_refused_and_the_first_goes_on() {
    let place = Place::new();
    let pk = &Cert::init(&place, "pk");
    let mut first = Daemon::start(pk);
    pk.push(bundle(&indicators(1, 0..10)), &[]).exits(0);
    // Another address is no way around it.
    for args in [&[][..], &["--listen", "127.0.0.1:0"]] {
        Daemon::refuse(&pk.home, args).refused(1, "MQ-5002");
    }
    assert!(first.is_alive());
    pk.push(bundle(&indicators(1, 0..20)), &[]).exits(0);
    assert_eq!(pk.objects(), 20);
    // Once the first is gone, however it went, the next may start.
    first.kill();
    let second = Daemon::start(pk);
    assert_eq!(pk.objects(), 20);
    assert_eq!(second.terminate().0, Some(0));
}

#[test]
fn an_address_in_use_is_named() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    let _first = Daemon::start(pk);
    let taken = format!("127.0.0.1:{}", pk.port);
    let refused = Daemon::refuse(&cn.home, &["--listen", &taken]).refused(1, "MQ-6005");
    assert!(refused.stderr.contains(&taken), "{refused:#?}");
}

#[test]
fn a_socket_path_that_is_too_long_is_refused() {
    let place = Place::new();
    let home = place.path().join("h".repeat(100));
    mithaq(&home, &["init", "--name", "pk", "--country", "PK", "--contact", "a@b.example"]).exits(0);
    let refused = Daemon::refuse(&home, &["--listen", "127.0.0.1:0"]).refused(64, "MQ-6003");
    assert!(refused.stderr.contains("107"), "{refused:#?}");
    mithaq(&home, &["status"]).refused(1, "MQ-6003");
    // The way out that the message names.
    let config = home.join("mithaq.toml");
    let text = fs::read_to_string(&config).unwrap();
    let dir = place.path().join("run");
    fs::write(&config, text.replacen("dir = \"run\"", &format!("dir = {dir:?}"), 1)).unwrap();
    let daemon = Daemon::spawn(&home, &["--listen", "127.0.0.1:0"]);
    until("it answers", || (mithaq(&home, &["status"]).exit == 0).then_some(()));
    assert_eq!(daemon.terminate().0, Some(0));
}

#[test]
fn a_configuration_that_is_not_understood_is_refused_with_its_place() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let path = pk.home.join("mithaq.toml");
    let check = |config: &str, line: usize, key: &str, value: &str| {
        fs::write(&path, config).unwrap();
        let refused = Daemon::refuse(&pk.home, &[]).refused(64, "MQ-6001");
        let place = format!("{}, line {line}, key {key}: ", path.display());
        assert!(refused.stderr.contains(&place) && refused.stderr.contains(value), "{refused:#?}");
        // Commands read the same file and say the same.
        pk.run(&["status"]).refused(64, "MQ-6001");
    };
    check("\n[lisen]\naddress = \"127.0.0.1:1\"\n", 2, "[lisen]", "unknown field");
    check("[listen]\nport = 8770\n", 2, "listen.port", "unknown field");
    check("[listen]\naddress = \"everywhere\"\n", 2, "listen.address", "");
    check("# hello\n[policy]\ntlp_max = \"purple\"\n", 3, "policy.tlp_max", "purple");
    check("[siem.tcp]\nlisten = \"0.0.0.0:8771\"\ntoken_file = \"t\"\n", 2, "siem.tcp.listen", "loopback");
    check("[store]\nfree_mib_min = -1\n", 2, "store.free_mib_min", "");
    check("[log\n", 1, "[log]", "unclosed");

    fs::write(&path, "").unwrap();
    Daemon::refuse(&pk.home, &["--listen", "127.0.0.1:0", "--log-filter", "a=b=c"]).refused(64, "MQ-6001");
    Daemon::refuse(&pk.home, &["--log-format", "xml"]).exits(2);
    assert!(!pk.home.join("store").exists(), "a daemon that was refused made a store");
    // A daemon that starts on the same home afterwards finds all in order.
    let daemon = Daemon::start_with(&pk, &["--listen", "127.0.0.1:0", "--log-format", "json"]);
    let last = until("it has logged a line", || daemon.log().lines().last().map(str::to_owned));
    let last: serde_json::Value = serde_json::from_str(&last).unwrap();
    assert_eq!(last["level"], "INFO", "{last}");
}

#[test]
fn keys_that_are_missing_damaged_or_open_to_others_are_refused() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    for name in ["signing.key", "tls.key"] {
        let path = pk.home.join("keys").join(name);
        let text = fs::read(&path).unwrap();
        let check = |code: &str| {
            let refused = Daemon::refuse(&pk.home, &[]).refused(64, code);
            assert!(refused.stderr.contains(name) && refused.stderr.matches("os error").count() < 2, "{refused:#?}");
        };
        for mode in [0o644, 0o640, 0o601] {
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            check("MQ-3006");
        }
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        fs::write(&path, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").unwrap();
        check("MQ-3006");
        fs::remove_file(&path).unwrap();
        check("MQ-3006");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    // A daemon needs no root key: it may live offline.
    fs::remove_file(pk.home.join("keys/root.key")).unwrap();
    let daemon = Daemon::start(&pk);
    pk.push(bundle(&indicators(1, 0..1)), &[]).exits(0);
    assert_eq!(daemon.terminate().0, Some(0));
}

#[test]
fn a_folder_without_a_cert_is_named_and_a_cert_is_not_overwritten() {
    let place = Place::new();
    let nowhere = place.path().join("nowhere");
    for args in [&["run"][..], &["status"], &["push", "-"], &["peer", "list"]] {
        let refused = mithaq(&nowhere, args);
        assert_ne!(refused.exit, 0);
        assert!(refused.stderr.contains("MQ-6002") && refused.stderr.contains("nowhere"), "{refused:#?}");
    }
    assert!(!nowhere.exists());

    let pk = Cert::init(&place, "pk");
    let files = ["card.json", "mithaq.toml", "keys/root.key", "keys/signing.key", "keys/tls.key"];
    let read = || files.map(|file| fs::read(pk.home.join(file)).unwrap());
    let before = read();
    pk.run(&["init", "--name", "other", "--country", "CN", "--contact", "a@b.example"]).refused(1, "MQ-3005");
    assert!(read() == before);
    for file in files {
        let mode = fs::metadata(pk.home.join(file)).unwrap().permissions().mode() & 0o077;
        assert!(mode == 0 || file == "mithaq.toml", "others may read {file}");
    }
    assert_eq!(fs::metadata(&pk.home).unwrap().permissions().mode() & 0o077, 0);

    fs::write(pk.home.join("card.json"), b"{}").unwrap();
    Daemon::refuse(&pk.home, &[]).refused(64, "MQ-3001");
}
