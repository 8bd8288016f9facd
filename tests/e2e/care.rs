//! The care of the store: what it holds on disk, and space given back while the daemon serves.

use crate::harness::{Daemon, Place, bundle, id_of, indicator, indicators, read_stream, settle, two_peers, until};

#[test]
fn compact_gives_superseded_state_back_and_everything_is_served_on() {
    let place = Place::new();
    let [pk, cn] = &two_peers(&place);
    let [daemon, peer] = [pk, cn].map(Daemon::start);
    // Each push moves the position of the journal towards the peer, which supersedes the one before.
    for round in 0..40 {
        pk.push(bundle(&indicators(1, round * 2..round * 2 + 2)), &[]).exits(0);
        until("the peer has it", || (cn.objects() >= u64::from(round + 1) * 2).then_some(()));
    }
    // Nor does the ledger move any more, which is state as well.
    let last = pk.show(&id_of(&indicator(1, 79)))[0]["releases"][0]["release"].as_str().unwrap().to_owned();
    pk.until_receipt(cn, &last, "received");
    pk.until_cosigned(cn);
    let acknowledged = || pk.peer(cn).filter(|peer| peer["lag"] == 0).map(drop);
    until("the peer has acknowledged all", acknowledged);
    let before = pk.run(&["store", "stats", "--json"]).exits(0).last();
    assert_eq!((before["objects"].as_u64(), before["releases"].as_u64()), (Some(80), Some(40)), "{before}");
    assert!(before["state"]["dead"].as_u64().unwrap() > 400, "{before}");
    assert!(before["oldest"].as_str() < before["newest"].as_str(), "{before}");

    let compacted = pk.run(&["store", "compact", "--dead", "1", "--json"]).exits(0).last();
    assert_eq!(
        (compacted["rewritten"].as_u64(), compacted["bytes_before"].as_u64()),
        (Some(1), before["pack_bytes"].as_u64())
    );
    assert!(compacted["bytes_after"].as_u64() < compacted["bytes_before"].as_u64(), "{compacted}");
    let after = pk.run(&["store", "stats", "--json"]).exits(0).last();
    assert_eq!((&after["pack_bytes"], &after["state"]["dead"]), (&compacted["bytes_after"], &0.into()), "{after}");
    assert_eq!(after["store"], before["store"]);

    for _ in 0..2 {
        assert_eq!(read_stream(pk, None, 50).len(), 80);
        pk.run(&["store", "check"]).exits(0);
    }
    pk.push(bundle(&indicators(1, 80..90)), &[]).exits(0);
    until("the peer has acknowledged all", acknowledged);
    daemon.kill();
    let daemon = Daemon::start(pk);
    assert_eq!((read_stream(pk, None, 50).len(), cn.objects()), (90, 90));
    settle(cn, pk, 1);
    pk.run(&["store", "check"]).exits(0);
    let people = pk.run(&["store", "stats"]).exits(0).stdout;
    assert!(people.contains("IN SEGMENTS"), "{people}");
    pk.run(&["store", "compact", "--dead", "101"]).exits(2);
    assert_eq!([daemon.terminate().0, peer.terminate().0], [Some(0), Some(0)]);
}
