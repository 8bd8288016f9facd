//! Five CERTs under pacts of several kinds: who holds what in the end is what the pacts say, and every ledger is whole.

use serde_json::Value;

use crate::harness::{
    Cert, Daemon, Place, Told, bundle, end_of_stream, id_of, indicator, pair, pair_group, settle, told_since, unmarked,
    until,
};

/// The id of our signing key that is used now.
fn signing_key(cert: &Cert) -> String {
    let keys = cert.run(&["key", "list", "--json"]).exits(0).lines();
    let used = keys.iter().find(|key| key["use"] == "signing" && key["state"] == "used").unwrap();
    used["key"].as_str().unwrap().to_owned()
}

/// The serial of the card of `peer` that a CERT holds.
fn serial_at(cert: &Cert, peer: &Cert) -> u64 {
    let shown = cert.run(&["peer", "show", &peer.name, "--json"]).exits(0).last();
    shown["serial"].as_u64().unwrap_or_else(|| panic!("no serial in {shown}"))
}

/// Waits until `peer` holds the newest card of a CERT; it comes in the session that runs.
#[track_caller]
fn until_told(cert: &Cert, peers: &[&Cert]) {
    let serial = cert.run(&["card", "show", "--json"]).exits(0).last()["serial"].as_u64().unwrap();
    for peer in peers {
        until(&format!("{} has card {serial} of {}", peer.name, cert.name), || {
            (serial_at(peer, cert) == serial).then_some(())
        });
    }
}

/// Waits until an object is in quarantine for this reason.
#[track_caller]
fn until_quarantined(cert: &Cert, id: &str, code: &str) {
    until(&format!("{id} is in quarantine at {}", cert.name), || {
        let rows = cert.run(&["quarantine", "list", "--json"]).exits(0).lines();
        rows.into_iter().find(|row| row["id"] == id && row["code"] == code)
    });
}

/// The time of the first release of an object, as its origin dates it.
fn published_at(cert: &Cert, id: &str) -> String {
    cert.show(id)[0]["releases"][0]["published_at"].as_str().unwrap().to_owned()
}

/// Revokes the key that a CERT signs with: what it signed since a time counts nowhere any more.
#[track_caller]
fn revoke_signing_key(cert: &Cert, since: &str) {
    cert.run(&["key", "revoke", &signing_key(cert), "--since", since]).exits(0);
}

/// Who serves an object, and fails if that is not who should.
#[track_caller]
fn serve(certs: &[Cert], id: &str, expected: &[&Cert]) {
    let names = |certs: Vec<&Cert>| certs.into_iter().map(|cert| cert.name.clone()).collect::<Vec<_>>();
    let serving = names(certs.iter().filter(|cert| cert.serves(id)).collect());
    assert_eq!(serving, names(expected.to_vec()), "{id}");
}

/// The id of an object: series 1 is of PK, 3 of CN, 4 of OM, 5 of AE.
fn id(series: u32, number: u32) -> String {
    id_of(&indicator(series, number))
}

#[track_caller]
fn push(cert: &Cert, series: u32, number: u32, level: &str) {
    cert.push(bundle(&[unmarked(series, number)]), &["--tlp", level]).exits(0);
}

/// Waits until each of these pairs is done with all that it had to say, with probes from this number on.
#[track_caller]
fn settle_all(probe: u32, pairs: &[(&Cert, &Cert)]) {
    for (number, (from, to)) in (probe..).zip(pairs) {
        settle(from, to, number);
    }
}

#[test]
fn five_certs_hold_what_their_pacts_release_and_nothing_else() {
    let place = Place::new();
    let certs = ["pk", "qa", "cn", "om", "ae"].map(|name| Cert::init(&place, name));
    let [pk, qa, cn, om, ae] = &certs;
    // PK to QA to CN; and CN, OM and AE as a group, whose members take nothing from third CERTs.
    pair(pk, qa, &["--onward-to", &cn.id(), "--tlp-max", "amber"]);
    pair(qa, cn, &["--third-party", "accept", "--tlp-max", "green", "--community", "gulf"]);
    pair_group(&[cn, om, ae], &["--tlp-max", "amber", "--community", "gulf"]);
    let mut daemons = certs.each_ref().map(|cert| Some(Daemon::start(cert)));

    everything_goes_as_far_as_its_level(&certs);
    // A rotation: OM's card reaches the members in the sessions that run, and what it signs goes on.
    om.run(&["key", "rotate"]).exits(0);
    until_told(om, &[cn, ae]);
    settle_all(20, &[(om, cn), (om, ae)]);
    what_stolen_keys_signed_is_dropped(&certs);
    what_is_over_can_still_be_taken_back(&certs);

    for (daemon, cert) in daemons.iter_mut().zip(&certs) {
        daemon.take().unwrap().kill();
        *daemon = Some(Daemon::start(cert));
    }
    settle_all(50, &[(pk, qa), (qa, cn), (cn, om), (cn, ae), (om, cn), (ae, cn), (cn, qa)]);
    for (series, number, expected) in [
        (1, 1, &[][..]),
        (1, 2, &[pk]),
        (1, 3, &[pk, qa]),
        (1, 5, &[]),
        (3, 3, &[cn, om, ae]),
        (4, 1, &[]),
        (4, 5, &[cn, om, ae]),
        (4, 6, &[cn, om]),
        (4, 7, &[cn, om, ae]),
        (1, 4, &[pk]),
        (3, 4, &[cn]),
        (4, 4, &[om]),
    ] {
        serve(&certs, &id(series, number), expected);
    }
    for cert in &certs {
        let entries = cert.ledger_is_whole()["entries"].as_u64().unwrap();
        assert!(entries > 0, "{} has disclosed nothing", cert.name);
        assert_eq!(cert.run(&["store", "check", "--json"]).exits(0).last()["ok"], Value::from(true));
    }
}

#[track_caller]
fn everything_goes_as_far_as_its_level(certs: &[Cert; 5]) {
    let [pk, qa, cn, om, ae] = certs;
    for (number, level) in (1..).zip(["clear", "green", "amber", "red"]) {
        for (cert, series) in [(pk, 1), (cn, 3), (om, 4), (ae, 5)] {
            push(cert, series, number, level);
        }
    }
    settle_all(1, &[(pk, qa), (qa, cn), (cn, om), (cn, ae), (om, ae), (om, cn), (ae, om), (ae, cn), (cn, qa)]);
    for (series, number, expected) in [
        (1, 1, &[pk, qa, cn][..]),
        // GREEN needs a community, and the pact between PK and QA names none.
        (1, 2, &[pk]),
        // AMBER stays with whom its origin gave it to.
        (1, 3, &[pk, qa]),
        (3, 1, &[qa, cn, om, ae]),
        (3, 2, &[qa, cn, om, ae]),
        (3, 3, &[cn, om, ae]),
        (4, 1, &[cn, om, ae]),
        (4, 3, &[cn, om, ae]),
        (5, 1, &[cn, om, ae]),
        (1, 4, &[pk]),
        (3, 4, &[cn]),
        (4, 4, &[om]),
        (5, 4, &[ae]),
    ] {
        serve(certs, &id(series, number), expected);
    }
}

/// OM's key of the group is stolen, and PK's of the chain, whose card reaches CN by the relay alone.
#[track_caller]
fn what_stolen_keys_signed_is_dropped(certs: &[Cert; 5]) {
    let [pk, qa, cn, om, ae] = certs;
    push(om, 4, 5, "clear");
    push(pk, 1, 5, "clear");
    for (cert, id) in [(cn, id(4, 5)), (ae, id(4, 5)), (cn, id(1, 5))] {
        cert.until_serves(&id);
    }
    let cursors = [cn, ae].map(end_of_stream);
    revoke_signing_key(om, &published_at(om, &id(4, 5)));
    // At once, with the key that took its place, of which nobody has heard.
    push(om, 4, 7, "clear");
    for cert in [cn, ae] {
        cert.until_serves(&id(4, 7));
        until_quarantined(cert, &id(4, 5), "MQ-3063");
    }
    revoke_signing_key(pk, &published_at(pk, &id(1, 5)));
    until_quarantined(qa, &id(1, 5), "MQ-3063");
    settle(pk, qa, 30);
    until_quarantined(cn, &id(1, 5), "MQ-3063");
    let withdrawn = |cert: &Cert, cursor: &str| -> Vec<String> {
        let told: Vec<Told> = told_since(cert, cursor);
        told.into_iter().filter(|told| told.op == "withdraw").map(|told| told.id).collect()
    };
    assert_eq!(withdrawn(cn, &cursors[0]), [id(4, 5), id(1, 5)]);
    assert_eq!(withdrawn(ae, &cursors[1]), [id(4, 5)]);
    // What it signed before stands, and what was OM's own is pushed again.
    serve(certs, &id(4, 1), &[cn, om, ae]);
    serve(certs, &id(4, 5), &[]);
    serve(certs, &id(1, 5), &[]);
    push(om, 4, 5, "clear");
    for cert in [cn, ae] {
        cert.until_serves(&id(4, 5));
    }
}

/// AE ends its pact with OM, and PK takes back what the relay has passed on.
#[track_caller]
fn what_is_over_can_still_be_taken_back(certs: &[Cert; 5]) {
    let [pk, qa, cn, om, ae] = certs;
    ae.run(&["agreement", "terminate", "om", "--reason", "a test", "--yes"]).exits(0);
    until("OM knows", || om.withheld_by(&id(4, 1), ae).contains(&"MQ-2005".to_owned()).then_some(()));
    push(om, 4, 6, "clear");
    let withdrawal = om.withdraw(&id(4, 1));
    for cert in [cn, ae] {
        cert.until_dropped(&id(4, 1));
        om.until_receipt(cert, &withdrawal, "applied");
    }
    cn.until_serves(&id(4, 6));
    let withdrawal = pk.withdraw(&id(1, 1));
    cn.until_dropped(&id(1, 1));
    qa.until_receipt(cn, &withdrawal, "applied");
}
