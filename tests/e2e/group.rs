//! Groups: one agreement between several, and eyes that are named.

use crate::harness::{Cert, Daemon, Place, bundle, id_of, indicator, pair_group, settle, unmarked, until};

#[test]
fn members_of_a_group_share_with_each_other_and_red_goes_to_the_named_alone() {
    let place = Place::new();
    let certs = ["pk", "cn", "qa"].map(|name| Cert::init(&place, name));
    let [pk, cn, qa] = &certs;
    pair_group(&[pk, cn, qa], &["--tlp-max", "red", "--community", "gulf"]);
    // Nothing leaves that is stricter than our own policy says, whatever agreements say.
    let of_policy = |level: &str| format!("tlp_max = \"{level}\"\n# The level of objects");
    pk.configure(&of_policy("amber+strict"), &of_policy("red"));
    let _daemons = certs.each_ref().map(Daemon::start);

    // What one publishes reaches each of the others straight from it, and once.
    for (number, cert) in (1..).zip(&certs) {
        let id = id_of(&indicator(number, 1));
        cert.push(bundle(&[indicator(number, 1)]), &["--tlp", "green"]).exits(0);
        certs.iter().for_each(|member| member.until_serves(&id));
    }
    for cert in &certs {
        assert_eq!(cert.objects(), 3);
        for (number, origin) in (1..).zip(&certs) {
            let shown = cert.show(&id_of(&indicator(number, 1)));
            let releases = shown[0]["releases"].as_array().unwrap();
            assert_eq!((releases.len(), &releases[0]["origin"]), (1, &origin.id().into()));
        }
    }

    for (cert, peer) in [(pk, cn), (cn, qa), (qa, pk)] {
        cert.run(&["peer", "drill", &peer.name]).exits(0);
        // Stopped for a while, the agreement of three is in force again.
        cert.run(&["peer", "suspend", &peer.name]).exits(0);
        cert.run(&["peer", "resume", &peer.name]).exits(0);
        until("it goes on", || cert.peer(peer).filter(|peer| peer["state"] == "connected"));
    }

    // TLP:RED goes to nobody unless somebody is named, and then to nobody else.
    let [unnamed, named] = [id_of(&unmarked(4, 1)), id_of(&unmarked(4, 2))];
    pk.push(bundle(&[unmarked(4, 1)]), &["--tlp", "red"]).exits(0);
    pk.push(bundle(&[unmarked(4, 2)]), &["--tlp", "red", "--to", "cn"]).exits(0);
    cn.until_serves(&named);
    settle(pk, cn, 1);
    settle(pk, qa, 2);
    settle(cn, qa, 3);
    assert!(cn.show(&unnamed).is_empty() && qa.show(&unnamed).is_empty());
    assert!(qa.show(&named).is_empty(), "TLP:RED reached a CERT that is not named");
    assert_eq!(pk.withheld_by(&unnamed, cn), ["MQ-2011"]);
    assert!(pk.withheld_by(&named, qa).contains(&"MQ-2009".to_owned()));
    assert!(cn.withheld_by(&named, qa).contains(&"MQ-2011".to_owned()));

    // Taken back: QA, which was given nothing, is told nothing.
    let withdrawal = pk.withdraw(&named);
    cn.until_dropped(&named);
    pk.until_receipt(cn, &withdrawal, "applied");
    settle(pk, qa, 4);
    assert_eq!(pk.receipt_of(qa, &withdrawal), None);
    assert_eq!(qa.objects(), 7);

    // One member leaves PK: the other two go on.
    pk.run(&["agreement", "terminate", "qa", "--yes"]).exits(0);
    pk.push(bundle(&[indicator(5, 1)]), &[]).exits(0);
    cn.push(bundle(&[indicator(5, 2)]), &[]).exits(0);
    let [of_pk, of_cn] = [1, 2].map(|number| id_of(&indicator(5, number)));
    cn.until_serves(&of_pk);
    qa.until_serves(&of_cn);
    settle(cn, qa, 5);
    assert!(qa.show(&of_pk).is_empty());
    assert!(pk.withheld_by(&of_pk, qa).contains(&"MQ-2005".to_owned()));
    certs.iter().for_each(|cert| drop(cert.ledger_is_whole()));
}
