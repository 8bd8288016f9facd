//! Daemons that stop or die in the middle of a transfer: nothing is lost, nothing comes twice.

use std::{
    collections::BTreeSet,
    io::BufRead,
    thread,
    time::{Duration, Instant},
};

use crate::harness::{
    Cert, Daemon, Line, Place, bundle, domain, indicators, open_stream, pair, read_stream, settle, until,
};

/// Objects that are pushed around each restart, in this many bundles.
const STAGE: u32 = 840;
const BUNDLE: u32 = 84;

/// Who is restarted: the sender, the receiver, both.
const RESTARTED: [&[usize]; 3] = [&[0], &[1], &[0, 1]];

/// Pushes a stage's bundles, each again until the daemon has taken it: what was stored before is recognised.
fn push_stubbornly(cert: &Cert, stage: u32) {
    for first in (stage * STAGE..(stage + 1) * STAGE).step_by(BUNDLE as usize) {
        let input = bundle(&indicators(1, first..first + BUNDLE));
        until("the push is taken", || {
            let output = cert.push(&input, &[]);
            // A daemon that dies leaves it unreachable or the outcome unknown; either says to try again.
            assert!([0, 7, 75].contains(&output.exit), "{output:#?}");
            (output.exit == 0).then_some(())
        });
    }
}

/// A SIEM that comes by now and then and goes on where it was.
struct Reader {
    cert: Cert,
    lines: Vec<Line>,
}

impl Reader {
    fn read_on(&mut self) {
        let cursor = self.lines.last().map(|line| line.cursor.clone());
        self.lines.extend(read_stream(&self.cert, cursor.as_deref(), 250));
    }
}

#[test]
fn nothing_is_lost_or_doubled_when_daemons_stop_and_die() {
    let place = Place::new();
    let [pk, cn] = ["pk", "cn"].map(|name| Cert::init(&place, name));
    pair(&pk, &cn, &[]);
    let certs = [&pk, &cn];
    let mut daemons = certs.map(|cert| Some(Daemon::start(cert)));
    let mut readers = certs.map(|cert| Reader { cert: cert.clone(), lines: Vec::new() });
    let stages = RESTARTED.into_iter().flat_map(|who| [(who, true), (who, false)]);
    for (stage, (who, is_killed)) in (0..).zip(stages) {
        thread::scope(|scope| {
            let pusher = scope.spawn(|| push_stubbornly(&pk, stage));
            let under_way = u64::from(stage * STAGE + STAGE / 4);
            until("a part has arrived", || (cn.objects() >= under_way).then_some(()));
            for daemon in who.iter().filter_map(|index| daemons[*index].take()) {
                match is_killed {
                    true => daemon.kill(),
                    false => assert_eq!(daemon.terminate().0, Some(0)),
                }
            }
            for index in who {
                daemons[*index] = Some(Daemon::start(certs[*index]));
            }
            readers.iter_mut().for_each(Reader::read_on);
            pusher.join().unwrap();
        });
        let arrived = u64::from((stage + 1) * STAGE);
        until("all of the stage has arrived", || (cn.objects() >= arrived).then_some(()));
    }
    settle(&pk, &cn, 1);

    let pushed = 6 * STAGE as usize + 1;
    for reader in &mut readers {
        reader.read_on();
        let contents: BTreeSet<_> = reader.lines.iter().map(|line| &line.content).collect();
        assert_eq!(contents.len(), pushed, "{} lacks objects", reader.cert.name);
        assert_eq!(reader.lines.len(), pushed, "{} gave objects twice", reader.cert.name);
        assert_eq!(reader.cert.objects(), pushed as u64);
        reader.cert.run(&["store", "check"]).exits(0);
    }
    // The log of the receiver has each release once.
    assert_eq!(cn.status()["references"], pushed);
    assert_eq!(pk.status()["references"], pushed);
    cn.run(&["search", &domain(1, 6 * STAGE - 1)]).exits(0);
}

#[test]
fn a_daemon_stops_in_time_while_somebody_follows() {
    let place = Place::new();
    let pk = Cert::init(&place, "pk");
    let daemon = Daemon::start(&pk);
    pk.push(bundle(&indicators(1, 0..1)), &[]).exits(0);
    let mut siem = open_stream(&pk.siem_socket(), "/v1/stream?follow=true");
    let mut analyst = open_stream(&pk.control_socket(), "/v1/stream?follow=true");
    let mut chunk = String::new();
    // Both are served before the daemon is asked to stop.
    for stream in [&mut siem, &mut analyst] {
        stream.read_line(&mut chunk).unwrap();
    }
    let (exit, took) = daemon.terminate();
    assert_eq!(exit, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(!pk.control_socket().exists() && !pk.siem_socket().exists(), "sockets are left behind");
}

#[test]
fn a_peer_that_returns_is_found_again_soon() {
    let place = Place::new();
    let [pk, cn] = ["pk", "cn"].map(|name| Cert::init(&place, name));
    pair(&pk, &cn, &[]);
    let (_sender, receiver) = (Daemon::start(&pk), Daemon::start(&cn));
    let connected = |cert: &Cert, peer: &Cert| cert.peer(peer).filter(|peer| peer["state"] == "connected");
    until("PK is connected", || connected(&pk, &cn));
    until("CN is connected", || connected(&cn, &pk));
    receiver.kill();
    let _receiver = Daemon::start(&cn);
    let asked = Instant::now();
    pk.push(bundle(&indicators(1, 0..1)), &[]).exits(0);
    until("CN holds it", || (cn.objects() == 1).then_some(()));
    assert!(asked.elapsed() < Duration::from_secs(20), "{:?}", asked.elapsed());
    until("PK says so", || connected(&pk, &cn).filter(|peer| peer["lag"] == 0));
    until("CN says so", || connected(&cn, &pk));
}
