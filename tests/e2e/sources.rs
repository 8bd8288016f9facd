//! A newcomer with two peers that hold the same: both serve it, no body comes twice, and one that stops is done without.

use crate::harness::{Cert, Daemon, Place, bundle, indicators, pair, until};

/// How many bundles there are, each of which becomes a release, and how many objects each has.
const BUNDLES: u32 = 30;
const OBJECTS: u32 = 200;
const ALL: u64 = BUNDLES as u64 * OBJECTS as u64;

/// QA and OM, which hold what PK released and may pass it on to CN; CN has not been there yet.
fn newcomer(place: &Place) -> ([Cert; 3], [Daemon; 2]) {
    let [pk, qa, om, cn] = ["pk", "qa", "om", "cn"].map(|name| Cert::init(place, name));
    for relay in [&qa, &om] {
        pair(&pk, relay, &["--onward-to", &cn.id()]);
        pair(relay, &cn, &["--third-party", "accept"]);
    }
    let origin = Daemon::start(&pk);
    let relays = [&qa, &om].map(Daemon::start);
    for number in 0..BUNDLES {
        let first = number * OBJECTS;
        pk.push(bundle(&indicators(1, first..first + OBJECTS)), &[]).exits(0);
    }
    for relay in [&qa, &om] {
        until(&format!("{} may pass on all of PK's releases", relay.name), || {
            relay.peer(&cn).filter(|peer| peer["lag"].as_u64() == Some(BUNDLES.into()))
        });
    }
    drop(origin);
    ([qa, om, cn], relays)
}

/// What came from a peer: bodies, and objects whose bodies were not needed.
fn came(cert: &Cert, peer: &Cert) -> (u64, u64) {
    let peer = cert.peer(peer).unwrap();
    (peer["objects_received"].as_u64().unwrap(), peer["objects_deduplicated"].as_u64().unwrap())
}

fn until_all_is_passed_on(relay: &Cert, cn: &Cert) {
    let is_done = |peer: &serde_json::Value| peer["lag"] == 0;
    until(&format!("{} has passed on all", relay.name), || relay.peer(cn).filter(is_done));
}

#[test]
fn a_newcomer_gets_each_body_once_from_two_peers() {
    let place = Place::new();
    let ([qa, om, cn], _relays) = newcomer(&place);
    let _newcomer = Daemon::start(&cn);
    [&qa, &om].into_iter().for_each(|relay| until_all_is_passed_on(relay, &cn));
    assert_eq!(cn.objects(), ALL);
    let (one, two) = (came(&cn, &qa), came(&cn, &om));
    assert_eq!(one.0 + two.0, ALL, "{one:?} {two:?}: a body came twice");
    assert_eq!(one.1 + two.1, ALL, "{one:?} {two:?}");
}

#[test]
fn a_newcomer_does_without_a_peer_that_stops() {
    let place = Place::new();
    let ([qa, om, cn], relays) = newcomer(&place);
    let _newcomer = Daemon::start(&cn);
    until("CN has something", || (cn.objects() > 0).then_some(()));
    relays[0].freeze();
    let missing = ALL - cn.objects();
    assert!(missing > 0, "it was all there before the peer was stopped");
    until_all_is_passed_on(&om, &cn);
    assert_eq!(cn.objects(), ALL);
    let (one, two) = (came(&cn, &qa), came(&cn, &om));
    assert_eq!(one.0 + two.0, ALL, "{one:?} {two:?}: a body came twice");
    // What it had been asked for it may still send, and the two agree.
    relays[0].thaw();
    until_all_is_passed_on(&qa, &cn);
    assert_eq!(cn.objects(), ALL);
}
