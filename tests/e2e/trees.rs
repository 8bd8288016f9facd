//! A mesh of relays: once trees have formed what is passed on comes once to each, and another way is found when one is gone.

use serde_json::Value;

use crate::harness::{Cert, Daemon, Place, bundle, free_port, id_of, indicator, pair, until};

/// How many pushes let the trees form, and how many are looked at then.
const WARM_UP: u32 = 12;
const MEASURED: u32 = 20;

/// Four CERTs that have agreed each with each that what PK releases may be passed on among the others. All are linked but PK
/// and CN: neither can be reached at the endpoint of its card.
fn mesh(place: &Place) -> [Cert; 4] {
    let hidden = |name| Cert::init_at(place, name, free_port(), Some("127.0.0.1:1"));
    let certs = [hidden("pk"), Cert::init(place, "qa"), Cert::init(place, "om"), hidden("cn")];
    let [pk, qa, om, cn] = &certs;
    for (relay, others) in [(qa, [om, cn]), (om, [qa, cn]), (cn, [qa, om])] {
        let [one, two] = others.map(Cert::id);
        pair(pk, relay, &["--third-party", "accept", "--onward-to", &one, "--onward-to", &two]);
    }
    for [a, b] in [[qa, om], [qa, cn], [om, cn]] {
        pair(a, b, &["--third-party", "accept"]);
    }
    certs
}

/// Pushes single objects at PK, each once all have the one before.
fn push_each(certs: &[Cert; 4], series: u32, count: u32) {
    for number in 0..count {
        let object = indicator(series, number);
        certs[0].push(bundle(std::slice::from_ref(&object)), &[]).exits(0);
        certs[1..].iter().for_each(|cert| cert.until_serves(&id_of(&object)));
    }
}

/// How many bodies have come to a CERT from all of its peers.
fn bodies_received(cert: &Cert) -> u64 {
    let status = cert.status();
    let peers = status["peers"].as_array().unwrap();
    peers.iter().map(|peer| peer["objects_received"].as_u64().unwrap()).sum()
}

/// Waits until nothing is on its way between any two that are linked.
fn until_quiet(certs: &[Cert; 4]) {
    let is_quiet = |cert: &Cert| {
        let status = cert.try_status()?;
        let is_done = |peer: &&Value| peer["lag"] == 0 && peer["state"] == "connected";
        let linked = if ["pk", "cn"].contains(&cert.name.as_str()) { 2 } else { 3 };
        (status["peers"].as_array()?.iter().filter(is_done).count() == linked).then_some(())
    };
    certs.iter().for_each(|cert| until(&format!("{} is done with all peers", cert.name), || is_quiet(cert)));
}

#[test]
fn what_is_passed_on_in_a_mesh_comes_once_and_finds_another_way() {
    let place = Place::new();
    let certs = mesh(&place);
    let mut daemons = certs.each_ref().map(|cert| Some(Daemon::start(cert)));
    until_quiet(&certs);
    push_each(&certs, 1, WARM_UP);
    until_quiet(&certs);
    let before = [1, 2, 3].map(|cert| bodies_received(&certs[cert]));
    push_each(&certs, 2, MEASURED);
    until_quiet(&certs);
    let came: u64 = [1, 2, 3].iter().zip(before).map(|(cert, before)| bodies_received(&certs[*cert]) - before).sum();
    let least = 3 * u64::from(MEASURED);
    // Unasked, each gets one copy from each of its peers: eight for every three.
    assert!((least..=least + least / 4).contains(&came), "{came} bodies came, and {least} were needed");

    assert!([1, 2].iter().any(|relay| certs[*relay].peer(&certs[3]).unwrap()["pruned"] == 1), "no relay is pruned");

    // The relay is gone from which CN gets what is fresh.
    let from = |relay: usize| certs[3].peer(&certs[relay]).unwrap()["objects_received"].as_u64().unwrap();
    let eager = if from(1) > from(2) { 1 } else { 2 };
    daemons[eager].take().unwrap().kill();
    for number in 0..3 {
        let object = indicator(3, number);
        certs[0].push(bundle(std::slice::from_ref(&object)), &[]).exits(0);
        certs[3].until_serves(&id_of(&object));
    }
}
