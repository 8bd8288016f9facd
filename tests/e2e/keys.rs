//! Keys that change and peers that are stopped, while the daemons run.

use std::{process::Stdio, thread, time::Duration};

use crate::harness::{Cert, Daemon, Place, bundle, command, indicators, mithaq, settle, text, two_peers, until};

/// How often a rotation is killed, each time a little later.
const KILLS: u64 = 60;

fn is_in_state(cert: &Cert, peer: &Cert, state: &str) {
    let what = format!("{} has {} as {state}", cert.name, peer.name);
    until(&what, || cert.peer(peer).filter(|peer| peer["state"] == state));
}

/// Sends a card by mail.
fn mail_card(from: &Cert, to: &Cert, place: &Place, name: &str) {
    let file = text(&place.path().join(name));
    from.run(&["card", "export", "--out", &file]).exits(0);
    to.run(&["peer", "update", &from.name, &file]).exits(0);
}

/// The id of our key of a kind that is used now.
fn used_key(cert: &Cert, kind: &str) -> String {
    let keys = cert.run(&["key", "list", "--json"]).exits(0).lines();
    let used = keys.iter().find(|key| key["use"] == kind && key["state"] == "used");
    used.unwrap_or_else(|| panic!("no {kind} key is used: {keys:?}"))["key"].as_str().unwrap().to_owned()
}

#[test]
fn keys_come_and_go_and_data_moves_on() {
    let place = Place::new();
    let certs = two_peers(&place);
    let [pk, cn] = &certs;
    let mut daemons = certs.each_ref().map(|cert| Some(Daemon::start(cert)));
    settle(pk, cn, 1);
    assert_eq!(pk.run(&["peer", "drill", "cn", "--json"]).exits(0).last()["ok"], true);

    // New keys wait for their time: a peer that knows nothing of them goes on, also from anew.
    let used = used_key(pk, "tls");
    pk.run(&["key", "rotate"]).exits(0);
    settle(pk, cn, 2);
    daemons[1].take().unwrap().terminate();
    daemons[1] = Some(Daemon::start(cn));
    settle(pk, cn, 3);
    settle(cn, pk, 4);
    assert_eq!(used_key(pk, "tls"), used);

    // A stolen TLS key is shown no more, and the card goes by mail.
    pk.run(&["key", "revoke", &used, "--since", "2026-01-01T00:00:00Z"]).exits(0);
    assert_ne!(used_key(pk, "tls"), used);
    mail_card(pk, cn, &place, "pk-3.card");
    settle(pk, cn, 5);
    settle(cn, pk, 6);

    // The root key lives elsewhere.
    let [root, draft, card] = ["root.key", "next.draft", "next.card"].map(|name| text(&place.path().join(name)));
    pk.run(&["key", "export-root", "--to", &root]).exits(0);
    pk.run(&["key", "rotate"]).refused(5, "MQ-3030");
    pk.run(&["key", "draft", "--only", "signing", "--overlap", "0", "--out", &draft]).exits(0);
    mithaq(place.path(), &["key", "sign-card", &draft, "--root", &root, "--out", &card, "--yes"]).exits(0);
    // The peer has the card before anything is signed with the new key.
    cn.run(&["peer", "update", "pk", &card]).exits(0);
    pk.run(&["key", "install", &card]).exits(0);
    settle(pk, cn, 7);
    assert_eq!((pk.objects(), cn.objects()), (7, 7));
}

#[test]
fn a_peer_is_stopped_and_goes_on_where_it_was() {
    let place = Place::new();
    let certs = two_peers(&place);
    let [pk, cn] = &certs;
    let _daemons = certs.each_ref().map(Daemon::start);
    settle(pk, cn, 1);
    for (stop, state) in [("suspend", "suspended"), ("block", "blocked")] {
        pk.run(&["peer", stop, "cn", "--reason", "a test"]).exits(0);
        is_in_state(pk, cn, state);
        let held = cn.objects();
        pk.push(bundle(&indicators(1, 0..10)), &[]).exits(0);
        // The other side tries again and again, and is refused in its way.
        let code = if stop == "suspend" { "MQ-3035" } else { "MQ-4006" };
        until(&format!("cn says {code}"), || cn.problem_with(pk).filter(|problem| problem == code));
        assert_eq!(cn.objects(), held, "{stop}");
        pk.run(&["peer", "drill", "cn"]).exits(3);
        pk.run(&["peer", "resume", "cn"]).exits(0);
        settle(pk, cn, 2);
        assert_eq!(pk.objects(), cn.objects(), "{stop}");
    }
    pk.run(&["peer", "remove", "cn", "--yes"]).exits(0);
    assert!(pk.peer(cn).is_none());
    let lost = || cn.peer(pk).filter(|peer| peer["state"] != "connected");
    until("the removed peer is not served", lost);
}

#[test]
fn a_rotation_that_is_killed_leaves_a_whole_card_and_its_keys() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let serial = || pk.run(&["card", "show", "--json"]).exits(0).last()["serial"].as_u64().unwrap();
    let mut last = serial();
    let mut killed = 0;
    for step in 0..KILLS {
        let args = ["key", "rotate", "--overlap", "0"];
        let mut child = command(&pk.home, &args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(Duration::from_millis(step));
        let _ = child.kill();
        killed += u32::from(!child.wait().unwrap().success());
        let now = serial();
        assert!(now == last || now == last + 1, "{last} became {now}");
        last = now;
        // Whatever was cut short, a key of each kind is here that the card lets count.
        let _ = (used_key(&pk, "signing"), used_key(&pk, "tls"));
    }
    assert!(killed > 0, "nothing was killed in {KILLS} rotations");
    pk.run(&["key", "rotate"]).exits(0);
    assert_eq!(serial(), last + 1);
}

/// The heads beside the store were signed with the key that is revoked: they count as heads, and no peer is lost by it.
#[test]
fn a_daemon_starts_again_after_its_key_was_revoked_for_the_past() {
    let place = Place::new();
    let certs = two_peers(&place);
    let [pk, cn] = &certs;
    let of_pk = Daemon::start(pk);
    let of_cn = Daemon::start(cn);
    settle(pk, cn, 1);
    pk.until_cosigned(cn);
    let key = used_key(pk, "signing");
    of_pk.terminate();
    pk.run(&["key", "revoke", &key, "--since", "2026-01-01T00:00:00Z"]).exits(0);
    let _of_pk = Daemon::start(pk);
    settle(pk, cn, 2);
    pk.run(&["ledger", "verify"]).exits(0);
    // Carried out on both sides, though the daemon was down and the card came later.
    for cert in [pk, cn] {
        until("it is in quarantine", || {
            let rows = cert.run(&["quarantine", "list", "--json"]).exits(0).lines();
            rows.iter().any(|row| row["code"] == "MQ-3063").then_some(())
        });
    }
    drop(of_cn);
}
