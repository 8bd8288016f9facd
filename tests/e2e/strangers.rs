//! Whoever answers at a peer's address is the peer only if its key says so.

use crate::harness::{Cert, Daemon, Place, bundle, indicators, pair, settle, until};

#[test]
fn another_cert_at_the_peers_address_gets_nothing() {
    let place = Place::new();
    let [pk, cn, qa] = &["pk", "cn", "qa"].map(|name| Cert::init(&place, name));
    pair(pk, cn, &[]);
    // QA is a CERT in good standing with PK; that does not make it CN.
    pair(pk, qa, &["--tlp-max", "clear", "--category", "vulnerability"]);
    let _sender = Daemon::start(pk);
    let address = format!("127.0.0.1:{}", cn.port);
    let impostor = Daemon::spawn(&qa.home, &["--listen", &address]);
    pk.push(bundle(&indicators(1, 0..10)), &[]).exits(0);
    until("PK says that it is another", || pk.problem_with(cn).filter(|code| code == "MQ-4001"));
    let peer = pk.peer(cn).unwrap();
    assert_eq!((&peer["state"], &peer["objects_sent"]), (&"refused".into(), &0.into()), "{peer}");
    assert!(impostor.log().contains("ready"));
    assert_eq!(qa.objects(), 0);
    impostor.kill();

    // Once CN is at its address again, all goes on by itself.
    let _receiver = Daemon::start(cn);
    settle(pk, cn, 1);
    assert_eq!(cn.objects(), 11);
}

#[test]
fn a_cert_that_nobody_knows_is_turned_away() {
    let place = Place::new();
    let [pk, cn] = &["pk", "cn"].map(|name| Cert::init(&place, name));
    pair(pk, cn, &[]);
    // PK forgets CN; CN goes on dialling.
    std::fs::remove_file(pk.peer_file(cn)).unwrap();
    let (_ours, theirs) = (Daemon::start(pk), Daemon::start(cn));
    cn.push(bundle(&indicators(1, 0..10)), &[]).exits(0);
    until("CN is turned away", || cn.problem_with(pk));
    assert_eq!(cn.peer(pk).unwrap()["objects_sent"], 0);
    assert_eq!(pk.objects(), 0);
    assert_eq!(theirs.terminate().0, Some(0));
}
