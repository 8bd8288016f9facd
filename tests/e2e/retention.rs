//! What an agreement says of the time after it: the bodies go, readers are told, and the other side has it in writing.

use std::fs;

use crate::harness::{
    Cert, Daemon, Place, activate_both, bundle, draft, end_of_stream, id_of, indicator, indicators, settle, told_since,
    until,
};

#[test]
fn what_was_received_is_purged_at_the_end_and_that_is_attested() {
    let place = Place::new();
    let certs = ["pk", "cn"].map(|name| Cert::init(&place, name));
    let [pk, cn] = &certs;
    activate_both(pk, cn, &draft(pk, cn, &["--at-end", "purge"]));
    let _of_pk = Daemon::start(pk);
    let of_cn = Daemon::start(cn);
    pk.push(bundle(&indicators(1, 0..3)), &[]).exits(0);
    cn.push(bundle(&indicators(2, 0..2)), &[]).exits(0);
    settle(pk, cn, 1);
    settle(cn, pk, 2);
    let cursor = end_of_stream(cn);

    pk.run(&["agreement", "terminate", "cn", "--yes"]).exits(0);
    until("CN has heard of the end", || {
        cn.run(&["peer", "list", "--json"]).exits(0).lines().iter().any(|peer| peer["ended"] == true).then_some(())
    });
    // It looks at its start, and twice a minute.
    of_cn.terminate();
    let _of_cn = Daemon::start(cn);
    let received: Vec<String> = (0..3).map(|number| id_of(&indicator(1, number))).collect();
    received.iter().for_each(|id| cn.until_dropped(id));
    assert!(cn.serves(&id_of(&indicator(2, 0))), "its own stays");
    let told = told_since(cn, &cursor);
    for id in &received {
        assert!(told.iter().any(|told| told.op == "withdraw" && told.id == *id), "{told:?}");
        assert!(pk.serves(id), "the publisher's own stays");
    }
    let attested = until("PK has CN's word", || {
        let mut files = fs::read_dir(pk.home.join("attestations")).ok()?;
        fs::read_to_string(files.next()?.ok()?.path()).ok()
    });
    assert!(attested.contains("purge"), "{attested}");
    certs.iter().for_each(|cert| drop(cert.ledger_is_whole()));
}
